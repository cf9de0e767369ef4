/* Objects that a method makes and gives to its caller: they live as long as the caller has them.
 *
 * Labels: concurrent */

#include <stdatomic.h>
#include <stdlib.h>

#include "peer.h"

/* A factory; all its products have one event, which says that they are gone. */
struct factory {
    struct event gone;
    struct gate gate; /* where calls on products wait, if they ask with -1 */
    atomic_int made;
};

/* A product that has been finalized is never inside. */
struct product {
    struct factory *factory;
    atomic_bool busy;
};

static void
finalize(void *self)
{
    struct product *product = self;

    CHECK(!product->busy);
    event_raise(&product->factory->gone);
    free(product);
}

static afar_code
product_ask(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    struct product *product = self;

    (void)call;
    product->busy = true;
    if (request->number == -1)
        (void)!gate_pass(&product->factory->gate, NULL);
    reply->number = request->number + 1;
    product->busy = false;
    return AFAR_OK;
}

static const far_peer_methods product_methods = { .ask = product_ask };

static far_peer *
make_product(struct factory *factory)
{
    struct product *product = calloc(1, sizeof *product);

    CHECK(product);
    product->factory = factory;
    atomic_fetch_add(&factory->made, 1);
    return make_peer(&product_methods, product, AFAR_SERIAL, finalize);
}

static afar_code
factory_ask(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    (void)request;
    return far_bundle_give_one(reply, call, make_product(self));
}

static afar_code
factory_list(void *self, const Far__Bundle *request, far_peer_list_server_stream *stream,
             afar_call *call)
{
    afar_code code = AFAR_OK;

    (void)call;
    for (int64_t i = 0; i < request->number && !code; i++) {
        Far__Bundle item = FAR__BUNDLE__INIT;
        far_peer *product = make_product(self);
        Afar__Ref room;

        far_bundle_put_one(&item, &room, product);
        code = far_peer_list_server_send(stream, &item, AFAR_FOREVER, NULL);
        far_peer_close(product);
    }
    return code;
}

static const far_peer_methods factory_methods = { .ask = factory_ask, .list = factory_list };

static void
factory_init(struct factory *factory)
{
    *factory = (struct factory){ .gone = EVENT_INIT };
    gate_init(&factory->gate);
}

TEST(a_product_ends_with_the_last_reference)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct factory factory;
        struct pair pair;

        factory_init(&factory);
        pair_open(&pair, *transport);
        far_peer *maker = pair_peer(&pair, "", &factory_methods, &factory, AFAR_SERIAL);
        far_peer *product = get_from(maker, 0);
        far_peer *again = share_peer(product);
        CHECK_INT(number_of(product, 1), 2);
        far_peer_close(product);
        CHECK_INT(number_of(again, 2), 3);
        CHECK_INT(event_count(&factory.gone), 0);
        far_peer_close(again);
        event_wait(&factory.gone, 1);
        far_peer_close(maker);
        pair_close(&pair);
        gate_close(&factory.gate);
    }
}

TEST(what_is_not_taken_out_is_closed_with_the_message)
{
    for (const char *const *transport = transports; *transport; transport++) {
        Far__Bundle request = FAR__BUNDLE__INIT, *reply = NULL;
        afar_error err = AFAR_ERROR_INIT;
        struct factory factory;
        struct pair pair;

        factory_init(&factory);
        pair_open(&pair, *transport);
        far_peer *maker = pair_peer(&pair, "", &factory_methods, &factory, AFAR_SERIAL);
        CHECK_OK(far_peer_ask(maker, &request, soon(), &reply, &err));
        CHECK_INT(number_of(maker, 0), 0); /* this reply is freed at once */
        event_wait(&factory.gone, 1);
        CHECK_INT(event_count(&factory.gone), 1);
        afar_message_free(reply);
        event_wait(&factory.gone, 2);
        far_peer_close(maker);
        pair_close(&pair);
        gate_close(&factory.gate);
    }
}

TEST(replies_and_items_that_nobody_receives_let_go_of_their_objects)
{
    for (const char *const *transport = transports; *transport; transport++) {
        Far__Bundle request = FAR__BUNDLE__INIT, *item = NULL;
        far_peer_list_stream *stream = NULL;
        afar_error err = AFAR_ERROR_INIT;
        struct factory factory;
        struct pair pair;

        factory_init(&factory);
        pair_open(&pair, *transport);
        far_peer *maker = pair_peer(&pair, "", &factory_methods, &factory, AFAR_SERIAL);
        request.number = 20;
        CHECK_OK(far_peer_list(maker, &request, soon(), NULL, &stream, &err));
        CHECK_OK(far_peer_list_receive(stream, soon(), &item, &err));
        afar_message_free(item);
        afar_future *future = start_number(maker, 0);
        CHECK_OK(afar_future_wait(future, soon(), &err));
        afar_future_close(future); /* it has a reply that was not taken */
        far_peer_list_close(stream);
        far_peer_close(
            get_from(maker, 0)); /* the list's handler is over, as the object is serial */
        event_wait(&factory.gone, atomic_load(&factory.made));
        far_peer_close(maker);
        pair_close(&pair);
        gate_close(&factory.gate);
    }
}

TEST(replies_that_are_not_wanted_let_go_of_their_objects)
{
    for (const char *const *transport = transports; *transport; transport++) {
        Far__Bundle request = FAR__BUNDLE__INIT;
        afar_error err = AFAR_ERROR_INIT;
        struct factory factory;
        struct pair pair;

        factory_init(&factory);
        pair_open(&pair, *transport);
        far_peer *maker = pair_peer(&pair, "", &factory_methods, &factory, AFAR_SERIAL);
        CHECK_OK(far_peer_ask(maker, &request, soon(), NULL, &err));
        event_wait(&factory.gone, 1);
        afar_future *future = start_number(maker, 0);
        CHECK_OK(far_peer_ask_await(future, soon(), NULL, &err));
        event_wait(&factory.gone, 2);
        afar_future_close(future);
        far_peer_close(maker);
        pair_close(&pair);
        gate_close(&factory.gate);
    }
}

TEST(a_product_is_not_finalized_while_a_call_on_it_runs)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct factory factory;
        struct pair pair;

        factory_init(&factory);
        pair_open(&pair, *transport);
        far_peer *maker = pair_peer(&pair, "", &factory_methods, &factory, AFAR_SERIAL);
        far_peer *product = get_from(maker, 0);
        afar_future *future = start_number(product, -1);
        event_wait(&factory.gate.entered, 1);
        far_peer_close(product);
        far_peer_close(get_from(maker, 0)); /* what was released before this is released */
        event_wait(&factory.gone, 1);
        gate_open(&factory.gate);
        event_wait(&factory.gone, 2);
        afar_future_close(future);
        far_peer_close(maker);
        pair_close(&pair);
        gate_close(&factory.gate);
    }
}

TEST(products_end_with_the_session)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct factory factory;
        struct pair pair;
        far_peer *products[20];

        factory_init(&factory);
        pair_open(&pair, *transport);
        far_peer *maker = pair_peer(&pair, "", &factory_methods, &factory, AFAR_SERIAL);
        for (int i = 0; i < 20; i++)
            products[i] = get_from(maker, 0);
        afar_client_close(pair.client);
        pair.client = NULL;
        event_wait(&factory.gone, 20);
        for (int i = 0; i < 20; i++)
            far_peer_close(products[i]);
        far_peer_close(maker);
        pair_close(&pair);
        gate_close(&factory.gate);
    }
}

/* ---- a client that is killed ---- */

static void
hold_products(struct child *self)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;
    char address[300];

    child_hear(self, address);
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    far_peer *maker = reach_peer_at(client, address, "");
    for (int i = 0; i < 20; i++)
        CHECK(get_from(maker, 0));
    (void)start_number(get_from(maker, 0), -1);
    child_say(self, "I have them");
    child_hear(self, address); /* nothing comes */
}

static void
check_killed(const char *transport)
{
    struct factory factory;
    struct child child;
    struct pair pair;
    char line[300];

    child_start(&child, hold_products);
    factory_init(&factory);
    pair_open(&pair, transport);
    serve_peer(pair.server, "", &factory_methods, &factory, AFAR_SERIAL);
    child_say(&child, afar_server_address(pair.server));
    child_hear(&child, line);
    event_wait(&factory.gate.entered, 1);
    CHECK_INT(event_count(&factory.gone), 0);
    child_kill(&child);
    event_wait(&factory.gone, 20); /* that with the call stays, or its call is cancelled */
    gate_open(&factory.gate);
    event_wait(&factory.gone, 21);
    pair_close(&pair);
    gate_close(&factory.gate);
}

TEST(products_end_when_the_client_is_killed)
{
    check_killed(TCP);
}

TEST(products_end_when_the_client_is_killed_at_a_unix_socket)
{
    check_killed(UNIX);
}
