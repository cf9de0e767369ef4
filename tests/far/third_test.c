/* References passed on to a third process: a client gives one to a server, which gives it to
 * another client.  What has no address is called through the server, what has one is opened
 * there.
 *
 * Each client and each server here has its own node, so they are strangers to each other, or a
 * process.
 *
 * Labels: concurrent */

#include <string.h>

#include "peer.h"

/* An object that keeps what it is given, and gives it to whoever asks without one. */
struct shelf {
    far_peer *kept;
};

static afar_code
keep_or_give(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    struct shelf *shelf = self;
    far_peer *one = far_bundle_take_one(request);

    if (!one && shelf->kept)
        return far_bundle_give_one(reply, call, share_peer(shelf->kept));
    far_peer_close(shelf->kept);
    shelf->kept = one;
    return AFAR_OK;
}

static const far_peer_methods shelving = { .ask = keep_or_give };

/* Two clients and what is between them. */
struct passing {
    struct shelf shelf;
    struct pair pair; /* the server, and the client that gives */
    afar_client *taker;
    far_peer *given, *taken; /* as the giver and the taker have it */
    struct event gone;
};

static void
passing_open(struct passing *passing, const char *transport, const far_peer_methods *methods,
             void *self, afar_mode mode)
{
    afar_error err = AFAR_ERROR_INIT;

    *passing = (struct passing){ .gone = EVENT_INIT };
    pair_open(&passing->pair, transport);
    CHECK_OK(afar_client_open(NULL, NULL, &passing->taker, &err));
    far_peer *shelf = pair_peer(&passing->pair, "", &shelving, &passing->shelf, AFAR_SERIAL);
    far_peer *other = reach_peer_at(passing->taker, afar_server_address(passing->pair.server), "");
    passing->given =
        make_peer(methods, self ? self : &passing->gone, mode, self ? NULL : raise_event);
    give_to(shelf, passing->given);
    passing->taken = get_from(other, 0);
    CHECK(passing->taken != passing->given);
    far_peer_close(shelf);
    far_peer_close(other);
}

static void
passing_close(struct passing *passing)
{
    far_peer_close(passing->given);
    far_peer_close(passing->taken);
    far_peer_close(passing->shelf.kept);
    afar_client_close(passing->taker);
    pair_close(&passing->pair);
}

/* ---- home again ---- */

static afar_code
is_it_me(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    far_peer *one = far_bundle_take_one(request);
    far_peer **me = self;

    (void)call;
    reply->number = one == *me;
    far_peer_close(one);
    return AFAR_OK;
}

TEST(what_comes_home_is_the_object_itself)
{
    static const far_peer_methods methods = { .ask = is_it_me };

    for (const char *const *transport = transports; *transport; transport++) {
        struct passing passing;
        afar_error err = AFAR_ERROR_INIT;
        int64_t answer = 0;

        passing_open(&passing, *transport, &methods, &passing.given, AFAR_SERIAL);
        CHECK_OK(ask_with(passing.shelf.kept, 0, passing.shelf.kept, &answer, &err));
        CHECK_INT(answer, 1);
        CHECK_OK(ask_with(passing.taken, 0, passing.taken, &answer, &err)); /* through the relay */
        CHECK_INT(answer, 1);
        passing_close(&passing);
    }
}

/* ---- relayed ---- */

TEST(an_object_without_address_is_called_through_who_passed_it_on)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct passing passing;

        passing_open(&passing, *transport, &counting_methods, NULL, AFAR_SERIAL);
        use_all_kinds(passing.taken);
        far_peer_close(passing.given);
        passing.given = NULL;
        far_peer_close(passing.shelf.kept);
        passing.shelf.kept = NULL;
        use_all_kinds(passing.taken); /* the relay has it still */
        CHECK_INT(event_count(&passing.gone), 0);
        far_peer_close(passing.taken);
        passing.taken = NULL;
        event_wait(&passing.gone, 1);
        passing_close(&passing);
    }
}

struct order {
    int64_t next;
    struct event all;
};

enum { TOLD = 2000 };

static afar_code
hear_in_order(void *self, const Far__Bundle *request, afar_call *call)
{
    struct order *order = self;

    (void)call;
    CHECK_INT(request->number, order->next++);
    if (order->next == TOLD)
        event_raise(&order->all);
    return AFAR_OK;
}

TEST(relayed_oneway_calls_stay_in_order)
{
    static const far_peer_methods listening = { .tell = hear_in_order };

    for (const char *const *transport = transports; *transport; transport++) {
        struct order order = { 0, EVENT_INIT };
        Far__Bundle news = FAR__BUNDLE__INIT;
        afar_error err = AFAR_ERROR_INIT;
        struct passing passing;

        passing_open(&passing, *transport, &listening, &order, AFAR_SERIAL);
        for (; news.number < TOLD; news.number++)
            CHECK_OK(far_peer_tell(passing.taken, &news, soon(), &err));
        event_wait(&order.all, 1);
        passing_close(&passing);
    }
}

static afar_code
refuse(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    Far__Refused refused = FAR__REFUSED__INIT;

    (void)self;
    (void)reply;
    refused.number = request->number;
    CHECK(!afar_call_add_trailing_metadata(call, "reason", "tired", 5, NULL));
    return far_refused_fail(call, AFAR_ABORTED, &refused, "number %d is refused",
                            (int)request->number);
}

static afar_code
refuse_talk(void *self, far_peer_talk_server_stream *stream, afar_call *call)
{
    const Far__Bundle *item = NULL;
    Far__Bundle reply = FAR__BUNDLE__INIT;
    afar_code code = far_peer_talk_server_receive(stream, AFAR_FOREVER, &item, NULL);

    return code ? code : refuse(self, item, &reply, call);
}

static const far_peer_methods refusing = { .ask = refuse, .talk = refuse_talk };

static void
check_refused(const afar_error *err)
{
    const Far__Refused *refused = far_refused_of(err);

    CHECK(refused && refused->number == 7);
    CHECK(strstr(err->message, "number 7 is refused"));
    CHECK(err->remote);
    CHECK_INT(err->outcome, AFAR_OUTCOME_ANSWERED);
}

TEST(relayed_errors_keep_their_details)
{
    for (const char *const *transport = transports; *transport; transport++) {
        Far__Bundle item = FAR__BUNDLE__INIT, *reply = NULL;
        far_peer_talk_stream *stream = NULL;
        afar_error err = AFAR_ERROR_INIT;
        struct passing passing;
        int64_t answer;

        passing_open(&passing, *transport, &refusing, NULL, AFAR_SERIAL);
        CHECK_FAILS(ask_with(passing.taken, 7, NULL, &answer, &err), AFAR_ABORTED);
        check_refused(&err);
        afar_error_clear(&err);
        item.number = 7;
        CHECK_OK(far_peer_talk(passing.taken, soon(), NULL, &stream, &err));
        CHECK_OK(far_peer_talk_send(stream, &item, soon(), &err));
        CHECK_FAILS(far_peer_talk_receive(stream, soon(), &reply, &err), AFAR_ABORTED);
        check_refused(&err);
        CHECK_STR(
            afar_metadata_find(afar_stream_trailing_metadata(far_peer_talk_stream_base(stream)),
                               "reason", NULL),
            "tired");
        far_peer_talk_close(stream);
        afar_error_clear(&err);
        passing_close(&passing);
    }
}

static afar_code
wait_at_gate(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    (void)request;
    (void)reply;
    (void)call;
    return gate_pass(self, NULL);
}

static afar_code
wait_for_items(void *self, far_peer_talk_server_stream *stream, afar_call *call)
{
    const Far__Bundle *item = NULL;
    struct gate *gate = self;
    afar_code code;

    (void)call;
    event_raise(&gate->entered);
    while (!(code = far_peer_talk_server_receive(stream, AFAR_FOREVER, &item, NULL)))
        continue;
    event_raise(&gate->left);
    return code;
}

static const far_peer_methods waiting = { .ask = wait_at_gate, .talk = wait_for_items };

TEST(relayed_calls_are_cancelled)
{
    for (const char *const *transport = transports; *transport; transport++) {
        far_peer_talk_stream *stream = NULL;
        afar_error err = AFAR_ERROR_INIT;
        struct passing passing;
        struct gate gate;

        gate_init(&gate);
        passing_open(&passing, *transport, &waiting, &gate, AFAR_CONCURRENT);
        afar_future *future = start_number(passing.taken, 1);
        event_wait(&gate.entered, 1);
        afar_future_close(future);
        event_wait(&gate.left, 1);
        CHECK_OK(far_peer_talk(passing.taken, soon(), NULL, &stream, &err));
        event_wait(&gate.entered, 2);
        far_peer_talk_close(stream);
        event_wait(&gate.left, 2);
        passing_close(&passing);
        gate_close(&gate);
    }
}

TEST(relayed_calls_have_their_deadline)
{
    for (const char *const *transport = transports; *transport; transport++) {
        Far__Bundle request = FAR__BUNDLE__INIT, *reply = NULL;
        afar_error err = AFAR_ERROR_INIT;
        struct passing passing;
        struct gate gate;

        gate_init(&gate);
        passing_open(&passing, *transport, &waiting, &gate, AFAR_CONCURRENT);
        CHECK_FAILS(far_peer_ask(passing.taken, &request, afar_after_ms(300), &reply, &err),
                    AFAR_DEADLINE_EXCEEDED);
        if (event_count(&gate.entered)) /* else it was too slow to come so far */
            event_wait(&gate.left, 1);
        afar_error_clear(&err);
        passing_close(&passing);
        gate_close(&gate);
    }
}

/* ---- the one between them dies ---- */

static void
be_shelf(struct child *self)
{
    static struct shelf shelf;
    struct pair pair = { NULL, NULL };

    pair_open(&pair, TCP);
    serve_peer(pair.server, "", &shelving, &shelf, AFAR_SERIAL);
    child_serve(self, pair.server);
    far_peer_close(shelf.kept);
    pair_close(&pair);
}

/* A reference goes from one client to another through the child. */
static far_peer *
pass_through(const char *address, afar_client *from, afar_client *to, far_peer *given)
{
    far_peer *shelf = reach_peer_at(from, address, "");
    far_peer *other = reach_peer_at(to, address, "");

    give_to(shelf, given);
    far_peer *taken = get_from(other, 0);
    far_peer_close(shelf);
    far_peer_close(other);
    return taken;
}

TEST(a_relay_that_is_killed_ends_calls_with_its_cause)
{
    afar_client *giver = NULL, *taker = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct child child;
    struct gate gate;
    char address[300];
    Far__Bundle *reply = NULL;
    int64_t answer;

    child_start(&child, be_shelf);
    child_hear(&child, address);
    gate_init(&gate);
    CHECK_OK(afar_client_open(NULL, NULL, &giver, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &taker, &err));
    far_peer *given = make_peer(&waiting, &gate, AFAR_CONCURRENT, NULL);
    far_peer *taken = pass_through(address, giver, taker, given);
    afar_future *future = start_number(taken, 1);
    event_wait(&gate.entered, 1);
    child_kill(&child);
    CHECK_FAILS(far_peer_ask_await(future, soon(), &reply, &err), AFAR_UNAVAILABLE);
    CHECK_INT(err.outcome, AFAR_OUTCOME_UNKNOWN);
    CHECK(strstr(err.message, address));
    event_wait(&gate.left, 1);
    CHECK_FAILS(ask_with(taken, 1, NULL, &answer, &err), AFAR_UNAVAILABLE);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(strstr(err.message, address));
    afar_future_close(future);
    far_peer_close(given);
    far_peer_close(taken);
    afar_client_close(giver);
    afar_client_close(taker);
    gate_close(&gate);
    afar_error_clear(&err);
}

TEST(an_object_with_an_address_is_opened_there_and_needs_nobody_else)
{
    afar_client *taker = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct child child;
    struct pair pair;
    char address[300];

    child_start(&child, be_shelf);
    child_hear(&child, address);
    pair_open(&pair, TCP);
    CHECK_OK(afar_client_open(NULL, NULL, &taker, &err));
    far_peer *given = pair_peer(&pair, "counter", &counting_methods, NULL, AFAR_SERIAL);
    far_peer *taken = pass_through(address, pair.client, taker, given);
    use_all_kinds(taken);
    child_kill(&child);
    use_all_kinds(taken);
    far_peer_close(given);
    far_peer_close(taken);
    afar_client_close(taker);
    pair_close(&pair);
}

/* The server says where its own object can be opened, when it gives a reference. */
TEST(an_exported_object_that_was_given_is_opened_there_as_well)
{
    afar_client *taker = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct shelf shelf = { NULL };
    struct child child;
    struct pair pair;
    char address[300];

    child_start(&child, be_shelf);
    child_hear(&child, address);
    pair_open(&pair, TCP);
    CHECK_OK(afar_client_open(NULL, NULL, &taker, &err));
    shelf.kept = make_peer(&counting_methods, NULL, AFAR_SERIAL, NULL);
    CHECK_OK(afar_server_export(pair.server, "counter", far_peer_object(shelf.kept), &err));
    far_peer *source = pair_peer(&pair, "source", &shelving, &shelf, AFAR_SERIAL);
    far_peer *given = get_from(source, 0);
    far_peer *taken = pass_through(address, pair.client, taker, given);
    use_all_kinds(taken);
    child_kill(&child);
    use_all_kinds(taken);
    far_peer_close(source);
    far_peer_close(given);
    far_peer_close(taken);
    afar_client_close(taker);
    pair_close(&pair);
    far_peer_close(shelf.kept);
}
