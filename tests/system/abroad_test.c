/* References over plain gRPC: objects that a server lends, until nobody uses them; objects that
 * are somewhere else; and clients that have nobody to lend theirs.
 *
 * Labels: concurrent */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/client.h>
#include <afar/server.h>

#include "abroad.afar.h"
#include "check.h"
#include "event.h"

/* Longer than any test; and so short that a test may wait for its end. */
#define LONG_MS 60000
#define SHORT_MS 400

typedef Abroad__Number Number;
typedef Abroad__Things Things;

static afar_deadline
soon(void)
{
    return afar_after_ms(15000);
}

/* ---- things ---- */

static struct event ended = EVENT_INIT;

struct thing {
    int64_t count;
};

static afar_code
count(void *self, const Number *request, Number *reply, afar_call *call)
{
    struct thing *thing = self;

    (void)call;
    thing->count += request->number;
    reply->number = thing->count;
    return AFAR_OK;
}

static afar_code
count_up(void *self, const Number *request, abroad_thing_count_up_server_stream *stream,
         afar_call *call)
{
    Number message = ABROAD__NUMBER__INIT;
    afar_code code = AFAR_OK;

    (void)self;
    (void)call;
    for (; !code && message.number < request->number; message.number++)
        code = abroad_thing_count_up_server_send(stream, &message, AFAR_FOREVER, NULL);
    return code;
}

static const abroad_thing_methods thing_methods = { .count = count, .count_up = count_up };

static void
end_thing(void *self)
{
    free(self);
    event_raise(&ended);
}

static abroad_thing *
make_thing(void)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct thing *self = calloc(1, sizeof *self);
    abroad_thing *thing = NULL;

    CHECK(self != NULL);
    options.finalizer = end_thing;
    CHECK_OK(abroad_thing_new(&thing_methods, self, &options, &thing, &err));
    return thing;
}

static int64_t
counted(abroad_thing *thing, int64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    Number request = ABROAD__NUMBER__INIT, *reply = NULL;

    request.number = number;
    CHECK_OK(abroad_thing_count(thing, &request, soon(), &reply, &err));
    int64_t sum = reply->number;
    afar_message_free(reply);
    return sum;
}

static afar_code
count_fails(abroad_thing *thing)
{
    Number request = ABROAD__NUMBER__INIT, *reply = NULL;
    afar_code code = abroad_thing_count(thing, &request, soon(), &reply, NULL);

    afar_message_free(reply);
    return code;
}

/* ---- shops ---- */

struct shop {
    abroad_thing *one;     /* what it gives; NULL: new ones */
    afar_object *seen;     /* what it was sent last; no reference */
    abroad_thing *kept[4]; /* what it was told to keep */
    size_t n_kept;
};

/* The references belong to the call. */
static afar_code
fill(struct shop *shop, Things *things, size_t number, afar_call *call)
{
    afar_code code = AFAR_OK;

    things->n_things = number;
    things->things = afar_call_alloc(call, number * sizeof(Afar__Ref *) + 1);
    if (!things->things)
        return AFAR_RESOURCE_EXHAUSTED;
    memset(things->things, 0, number * sizeof(Afar__Ref *));
    for (size_t i = 0; i < number && !code; i++) {
        abroad_thing *thing = shop->one;

        if (thing)
            thing = (abroad_thing *)afar_object_share(abroad_thing_object(thing));
        else
            thing = make_thing();
        code = abroad_things_give_things(things, i, call, thing);
    }
    return code;
}

static afar_code
get(void *self, const Number *request, Things *reply, afar_call *call)
{
    return fill(self, reply, (size_t)request->number, call);
}

static afar_code
get_each(void *self, abroad_shop_get_each_server_stream *stream, afar_call *call)
{
    const Number *message = NULL;
    afar_code code = AFAR_OK;

    while (!code &&
           !(code = abroad_shop_get_each_server_receive(stream, AFAR_FOREVER, &message, NULL))) {
        Things things = ABROAD__THINGS__INIT;

        code = fill(self, &things, (size_t)message->number, call);
        if (!code)
            code = abroad_shop_get_each_server_send(stream, &things, AFAR_FOREVER, NULL);
    }
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static afar_code
use_things(struct shop *shop, const Things *things, int64_t *sum, afar_error *err)
{
    afar_code code = AFAR_OK;

    for (size_t i = 0; i < things->n_things && !code; i++) {
        abroad_thing *thing = abroad_things_take_things(things, i);
        Number request = ABROAD__NUMBER__INIT, *reply = NULL;

        if (!thing)
            return afar_fail(err, AFAR_INVALID_ARGUMENT, "thing %zu is none", i);
        request.number = 1;
        code = abroad_thing_count(thing, &request, soon(), &reply, err);
        *sum += code ? 0 : reply->number;
        shop->seen = abroad_thing_object(thing);
        afar_message_free(reply);
        abroad_thing_close(thing);
    }
    return code;
}

static afar_code
use(void *self, const Things *request, Number *reply, afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;

    return use_things(self, request, &reply->number, &err) ? afar_call_fail_error(call, &err)
                                                           : AFAR_OK;
}

static afar_code
use_all(void *self, abroad_shop_use_all_server_stream *stream, Number *reply, afar_call *call)
{
    const Things *message = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;

    while (!code &&
           !(code = abroad_shop_use_all_server_receive(stream, AFAR_FOREVER, &message, &err)))
        code = use_things(self, message, &reply->number, &err);
    if (code != AFAR_ENDED)
        return afar_call_fail_error(call, &err);
    afar_error_clear(&err);
    return AFAR_OK;
}

static afar_code
use_each(void *self, const Things *request, abroad_shop_use_each_server_stream *stream,
         afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;
    Number message = ABROAD__NUMBER__INIT;

    if (use_things(self, request, &message.number, &err))
        return afar_call_fail_error(call, &err);
    return abroad_shop_use_each_server_send(stream, &message, AFAR_FOREVER, NULL);
}

static void
forget_kept(struct shop *shop)
{
    while (shop->n_kept > 0)
        abroad_thing_close(shop->kept[--shop->n_kept]);
}

static afar_code
keep(void *self, const Things *request, Number *reply, afar_call *call)
{
    struct shop *shop = self;

    (void)call;
    forget_kept(shop);
    while (shop->n_kept < request->n_things && shop->n_kept < 4) {
        shop->kept[shop->n_kept] = abroad_things_take_things(request, shop->n_kept);
        shop->n_kept++;
    }
    reply->number = (int64_t)shop->n_kept;
    return AFAR_OK;
}

static const abroad_shop_methods shop_methods = {
    .get = get,
    .get_each = get_each,
    .use = use,
    .use_all = use_all,
    .use_each = use_each,
    .keep = keep,
};

/* ---- a server and a client ---- */

struct place {
    afar_node *node;
    afar_server *server;
    afar_client *client; /* of the same node */
    struct shop self;
    abroad_shop *shop; /* the server's, near */
};

static void
place_open(struct place *place, const char *address, int64_t lend_ms, unsigned max_lent)
{
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;

    memset(place, 0, sizeof *place);
    options.lend_ms = lend_ms;
    options.max_lent = max_lent;
    options.insecure = true;
    CHECK_OK(afar_node_open(NULL, &place->node, &err));
    CHECK_OK(afar_server_open(place->node, address, &options, &place->server, &err));
    CHECK_OK(abroad_shop_new(&shop_methods, &place->self, NULL, &place->shop, &err));
    CHECK_OK(afar_server_export(place->server, "shop", abroad_shop_object(place->shop), &err));
    CHECK_OK(afar_server_start(place->server, &err));
    CHECK_OK(afar_client_open(place->node, NULL, &place->client, &err));
}

static void
place_close(struct place *place)
{
    afar_client_close(place->client);
    afar_server_close(place->server);
    forget_kept(&place->self);
    abroad_shop_close(place->shop);
    abroad_thing_close(place->self.one);
    afar_node_close(place->node);
}

/* The shop at `to`, as that client sees it. */
static abroad_shop *
reach(afar_client *client, const char *scheme, const struct place *to)
{
    afar_error err = AFAR_ERROR_INIT;
    abroad_shop *shop = NULL;
    char name[200];

    snprintf(name, sizeof name, "%s%s/shop", scheme, afar_server_address(to->server));
    CHECK_OK(abroad_shop_open(client, name, soon(), &shop, &err));
    return shop;
}

/* A client of a node of its own, which has no server. */
static afar_client *
lone_client(void)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    return client;
}

static Things *
got(abroad_shop *shop, int64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    Number request = ABROAD__NUMBER__INIT;
    Things *reply = NULL;

    request.number = number;
    CHECK_OK(abroad_shop_get(shop, &request, soon(), &reply, &err));
    CHECK_INT(reply->n_things, number);
    return reply;
}

static abroad_thing *
got_one(abroad_shop *shop)
{
    Things *reply = got(shop, 1);
    abroad_thing *thing = abroad_things_take_things(reply, 0);

    CHECK(thing != NULL);
    afar_message_free(reply);
    return thing;
}

static void
put_one(Things *things, Afar__Ref **place, Afar__Ref *room, abroad_thing *thing)
{
    abroad__things__init(things);
    things->things = place;
    things->n_things = 1;
    abroad_things_put_things(things, 0, room, thing);
}

static afar_code
use_one(abroad_shop *shop, abroad_thing *thing, int64_t *ret_sum, afar_error *err)
{
    Afar__Ref room, *place = NULL;
    Number *reply = NULL;
    Things request;

    put_one(&request, &place, &room, thing);
    afar_code code = abroad_shop_use(shop, &request, soon(), &reply, err);
    /* What was written for the way is not in the message any more. */
    CHECK(*room.address == '\0' && room.object.len == 0 && room.handle != NULL);
    if (!code)
        *ret_sum = reply->number;
    afar_message_free(reply);
    return code;
}

static int64_t
used(abroad_shop *shop, abroad_thing *thing)
{
    afar_error err = AFAR_ERROR_INIT;
    int64_t sum = 0;

    CHECK_OK(use_one(shop, thing, &sum, &err));
    return sum;
}

static bool
is_lent_name(const ProtobufCBinaryData *name)
{
    return name->len == 32 && strspn((const char *)name->data, "0123456789abcdef") >= 32;
}

/* ---- what a server lends ---- */

TEST(an_object_without_a_name_is_lent)
{
    struct place place;
    char expected[200];

    place_open(&place, "127.0.0.1:0", LONG_MS, 0);
    afar_client *client = lone_client();
    abroad_shop *shop = reach(client, "grpc://", &place);
    Things *things = got(shop, 2);
    snprintf(expected, sizeof expected, "grpc://%s", afar_server_address(place.server));
    for (size_t i = 0; i < 2; i++) {
        CHECK_STR(things->things[i]->address, expected);
        CHECK_STR(things->things[i]->interface, "abroad.Thing");
        CHECK_INT(things->things[i]->index, 0);
        CHECK(is_lent_name(&things->things[i]->object));
    }
    CHECK(memcmp(things->things[0]->object.data, things->things[1]->object.data, 32) != 0);
    abroad_thing *one = abroad_things_take_things(things, 0);
    abroad_thing *other = abroad_things_take_things(things, 1);
    afar_message_free(things);
    CHECK_INT(counted(one, 3), 3);
    CHECK_INT(counted(other, 5), 5);
    CHECK_INT(counted(one, 3), 6);
    abroad_thing_close(one);
    abroad_thing_close(other);
    abroad_shop_close(shop);
    afar_client_close(client);
    CHECK_INT(event_count(&ended), 0);
    /* The server's end is the end of what it lends. */
    place_close(&place);
    event_wait(&ended, 2);
}

TEST(one_object_has_one_name)
{
    struct place place;
    abroad_thing *thing = make_thing();

    place_open(&place, "127.0.0.1:0", LONG_MS, 0);
    place.self.one = thing;
    abroad_shop *shop = reach(place.client, "grpc://", &place);
    Things *things = got(shop, 2);
    CHECK(memcmp(things->things[0]->object.data, things->things[1]->object.data, 32) == 0);
    afar_message_free(things);
    abroad_shop_close(shop);
    place_close(&place);
    event_wait(&ended, 1);
}

TEST(a_server_on_all_addresses_tells_the_one_that_was_used)
{
    struct place place;
    afar_error err = AFAR_ERROR_INIT;
    abroad_shop *shop = NULL;
    char name[100], expected[100];

    place_open(&place, "0.0.0.0:0", LONG_MS, 0);
    afar_client *client = lone_client();
    const char *port = strrchr(afar_server_address(place.server), ':');
    snprintf(name, sizeof name, "grpc://127.0.0.1%s/shop", port);
    snprintf(expected, sizeof expected, "grpc://127.0.0.1%s", port);
    CHECK_OK(abroad_shop_open(client, name, soon(), &shop, &err));
    Things *things = got(shop, 1);
    CHECK_STR(things->things[0]->address, expected);
    afar_message_free(things);
    abroad_shop_close(shop);
    afar_client_close(client);
    place_close(&place);
}

TEST(the_option_endpoints_is_told)
{
    const char *const endpoints[] = { "grpc://bank.example:7000", NULL };
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    struct shop self = { 0 };
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    abroad_shop *near = NULL, *shop = NULL;
    char name[100];

    options.endpoints = endpoints;
    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", &options, &server, &err));
    CHECK_OK(abroad_shop_new(&shop_methods, &self, NULL, &near, &err));
    CHECK_OK(afar_server_export(server, "", abroad_shop_object(near), &err));
    CHECK_OK(afar_server_start(server, &err));
    afar_client *client = lone_client();
    snprintf(name, sizeof name, "grpc://%s", afar_server_address(server));
    CHECK_OK(abroad_shop_open(client, name, soon(), &shop, &err));
    Things *things = got(shop, 1);
    CHECK_STR(things->things[0]->address, "grpc://bank.example:7000");
    afar_message_free(things);
    abroad_shop_close(shop);
    afar_client_close(client);
    afar_server_close(server);
    abroad_shop_close(near);
}

TEST(an_endpoint_that_is_none_is_refused)
{
    const char *const endpoints[] = { "http://bank.example", NULL };
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;

    options.endpoints = endpoints;
    CHECK_FAILS(afar_server_open(NULL, "127.0.0.1:0", &options, &server, &err),
                AFAR_INVALID_ARGUMENT);
    afar_error_clear(&err);
}

/* What is exported needs no lease. */
TEST(an_object_with_a_name_is_sent_by_that)
{
    static const char *const names[] = { "", "things/one" };
    struct place place;
    afar_error err = AFAR_ERROR_INIT;
    abroad_thing *thing = make_thing();

    place_open(&place, "127.0.0.1:0", LONG_MS, 0);
    place.self.one = thing;
    abroad_shop *shop = reach(place.client, "grpc://", &place);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(afar_server_export(place.server, names[i], abroad_thing_object(thing), &err));
        Things *things = got(shop, 1);
        CHECK_INT(things->things[0]->object.len, strlen(names[i]));
        CHECK(memcmp(things->things[0]->object.data, names[i], strlen(names[i])) == 0);
        abroad_thing *taken = abroad_things_take_things(things, 0);
        CHECK_INT(counted(taken, 1), i + 1);
        afar_message_free(things);
        abroad_thing_close(taken);
    }
    abroad_shop_close(shop);
    place_close(&place);
}

/* ---- leases ---- */

TEST(what_nobody_calls_ends_with_its_lease)
{
    struct place place;

    place_open(&place, "127.0.0.1:0", SHORT_MS, 0);
    afar_client *client = lone_client();
    abroad_shop *shop = reach(client, "grpc://", &place);
    abroad_thing *thing = got_one(shop);
    event_wait(&ended, 1);
    CHECK_INT(count_fails(thing), AFAR_NOT_FOUND);
    abroad_thing_close(thing);
    /* The timer is set anew for the next one. */
    abroad_thing_close(got_one(shop));
    event_wait(&ended, 2);
    abroad_shop_close(shop);
    afar_client_close(client);
    place_close(&place);
}

/* Two are lent at once; the one that is called stays when the other one ends. */
TEST(calls_renew_a_lease)
{
    struct place place;

    place_open(&place, "127.0.0.1:0", 1500, 0);
    afar_client *client = lone_client();
    abroad_shop *shop = reach(client, "grpc://", &place);
    abroad_thing *thing = got_one(shop);
    abroad_thing_close(got_one(shop));
    int64_t sum = 0;
    while (event_count(&ended) == 0)
        CHECK_INT(counted(thing, 1), ++sum);
    CHECK_INT(counted(thing, 1), sum + 1);
    event_wait(&ended, 2);
    CHECK_INT(count_fails(thing), AFAR_NOT_FOUND);
    abroad_thing_close(thing);
    abroad_shop_close(shop);
    afar_client_close(client);
    place_close(&place);
}

TEST(over_the_limit_a_call_fails)
{
    struct place place;
    Number request = ABROAD__NUMBER__INIT;
    Things *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    place_open(&place, "127.0.0.1:0", LONG_MS, 3);
    afar_client *client = lone_client();
    abroad_shop *shop = reach(client, "grpc://", &place);
    Things *things = got(shop, 3);
    request.number = 1;
    CHECK_FAILS(abroad_shop_get(shop, &request, soon(), &reply, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK(strstr(err.message, "max_lent") != NULL);
    event_wait(&ended, 1);
    afar_message_free(things);
    afar_error_clear(&err);
    abroad_shop_close(shop);
    afar_client_close(client);
    place_close(&place);
    event_wait(&ended, 4);
}

/* ---- clients that send objects ---- */

/* Over plain gRPC nobody can call back without an address. */
TEST(a_client_without_a_server_cannot_send_its_objects)
{
    struct place place;
    afar_error err = AFAR_ERROR_INIT;
    abroad_shop_use_all_stream *all = NULL;
    abroad_shop_use_each_stream *each = NULL;
    Afar__Ref room, *slot = NULL;
    Number *reply = NULL;
    Things things;
    int64_t sum = 0;

    place_open(&place, "127.0.0.1:0", LONG_MS, 0);
    afar_client *client = lone_client();
    abroad_shop *shop = reach(client, "grpc://", &place);
    abroad_thing *thing = make_thing();
    CHECK_FAILS(use_one(shop, thing, &sum, &err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "afar://") != NULL);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    put_one(&things, &slot, &room, thing);
    CHECK_FAILS(abroad_shop_use_each(shop, &things, soon(), NULL, &each, &err),
                AFAR_FAILED_PRECONDITION);
    CHECK_OK(abroad_shop_use_all(shop, soon(), NULL, &all, &err));
    CHECK_FAILS(abroad_shop_use_all_send(all, &things, soon(), &err), AFAR_FAILED_PRECONDITION);
    /* The stream goes on. */
    things.n_things = 0;
    CHECK_OK(abroad_shop_use_all_send(all, &things, soon(), &err));
    CHECK_OK(abroad_shop_use_all_finish(all, soon(), &reply, &err));
    CHECK_INT(reply->number, 0);
    afar_message_free(reply);
    abroad_shop_use_all_close(all);
    abroad_thing_close(thing);
    event_wait(&ended, 1);
    abroad_shop_close(shop);
    afar_client_close(client);
    afar_error_clear(&err);
    place_close(&place);
}

TEST(a_client_with_a_server_can)
{
    struct place place, home;
    afar_error err = AFAR_ERROR_INIT;
    abroad_shop_use_each_stream *each = NULL;
    abroad_shop_use_all_stream *all = NULL;
    Afar__Ref room, *slot = NULL;
    Number *reply = NULL;
    Things things;

    place_open(&place, "127.0.0.1:0", LONG_MS, 0);
    place_open(&home, "127.0.0.1:0", LONG_MS, 0);
    abroad_shop *shop = reach(home.client, "grpc://", &place);
    abroad_thing *thing = make_thing();
    CHECK_INT(used(shop, thing), 1);
    put_one(&things, &slot, &room, thing);
    CHECK_OK(abroad_shop_use_each(shop, &things, soon(), NULL, &each, &err));
    CHECK_OK(abroad_shop_use_each_receive(each, soon(), &reply, &err));
    CHECK_INT(reply->number, 2);
    afar_message_free(reply);
    abroad_shop_use_each_close(each);
    CHECK_OK(abroad_shop_use_all(shop, soon(), NULL, &all, &err));
    for (int i = 0; i < 2; i++)
        CHECK_OK(abroad_shop_use_all_send(all, &things, soon(), &err));
    CHECK_OK(abroad_shop_use_all_finish(all, soon(), &reply, &err));
    CHECK_INT(reply->number, 3 + 4);
    afar_message_free(reply);
    abroad_shop_use_all_close(all);
    abroad_thing_close(thing);
    abroad_shop_close(shop);
    place_close(&home);
    event_wait(&ended, 1);
    place_close(&place);
}

TEST(items_of_a_stream_bring_references)
{
    struct place place;
    afar_error err = AFAR_ERROR_INIT;
    abroad_shop_get_each_stream *stream = NULL;
    Number request = ABROAD__NUMBER__INIT;
    Things *reply = NULL;

    place_open(&place, "127.0.0.1:0", LONG_MS, 0);
    afar_client *client = lone_client();
    abroad_shop *shop = reach(client, "grpc://", &place);
    CHECK_OK(abroad_shop_get_each(shop, soon(), NULL, &stream, &err));
    for (request.number = 1; request.number < 4; request.number++) {
        CHECK_OK(abroad_shop_get_each_send(stream, &request, soon(), &err));
        CHECK_OK(abroad_shop_get_each_receive(stream, soon(), &reply, &err));
        CHECK_INT(reply->n_things, request.number);
        for (size_t i = 0; i < reply->n_things; i++) {
            abroad_thing *thing = abroad_things_take_things(reply, i);

            CHECK_INT(counted(thing, 7), 7);
            abroad_thing_close(thing);
        }
        afar_message_free(reply);
    }
    CHECK_OK(abroad_shop_get_each_finish(stream, &err));
    CHECK_FAILS(abroad_shop_get_each_receive(stream, soon(), &reply, &err), AFAR_ENDED);
    abroad_shop_get_each_close(stream);
    afar_error_clear(&err);
    abroad_shop_close(shop);
    afar_client_close(client);
    place_close(&place);
    event_wait(&ended, 6);
}

/* ---- where objects are ---- */

TEST(an_object_that_comes_home_is_itself)
{
    struct place place;
    abroad_thing *thing = make_thing();

    place_open(&place, "127.0.0.1:0", LONG_MS, 0);
    place.self.one = thing;
    afar_client *client = lone_client();
    abroad_shop *shop = reach(client, "grpc://", &place);
    abroad_thing *far = got_one(shop);
    CHECK(abroad_thing_object(far) != abroad_thing_object(thing));
    CHECK_INT(used(shop, far), 1);
    CHECK(place.self.seen == abroad_thing_object(thing));
    abroad_thing_close(far);
    abroad_shop_close(shop);
    afar_client_close(client);
    place_close(&place);
    event_wait(&ended, 1);
}

/* One that was opened over a session travels by its own address, and nobody lends it. */
TEST(an_object_of_a_third_process_keeps_its_address)
{
    struct place place, third;
    afar_error err = AFAR_ERROR_INIT;
    abroad_thing *far = NULL;
    char name[100];

    place_open(&place, "127.0.0.1:0", LONG_MS, 0);
    place_open(&third, "127.0.0.1:0", LONG_MS, 0);
    abroad_thing *thing = make_thing();
    CHECK_OK(afar_server_export(third.server, "thing", abroad_thing_object(thing), &err));
    afar_client *client = lone_client();
    for (int i = 0; i < 2; i++) {
        abroad_shop *shop = reach(client, "grpc://", &place);

        snprintf(name, sizeof name, "%s://%s/thing", i ? "grpc" : "afar",
                 afar_server_address(third.server));
        CHECK_OK(abroad_thing_open(client, name, soon(), &far, &err));
        CHECK_INT(used(shop, far), i + 1);
        abroad_thing_close(far);
        abroad_shop_close(shop);
    }
    afar_client_close(client);
    abroad_thing_close(thing);
    place_close(&third);
    place_close(&place);
    event_wait(&ended, 1);
}

/* What came over a session from a process without a server is relayed. */
TEST(an_object_without_an_address_is_relayed)
{
    struct place place;
    afar_error err = AFAR_ERROR_INIT;
    abroad_thing_count_up_stream *stream = NULL;
    Number request = ABROAD__NUMBER__INIT, *reply = NULL;
    Afar__Ref room, *slot = NULL;
    Things things;

    place_open(&place, "127.0.0.1:0", LONG_MS, 0);
    afar_client *owner = lone_client(), *client = lone_client();
    abroad_shop *by_session = reach(owner, "afar://", &place);
    abroad_shop *by_grpc = reach(client, "grpc://", &place);
    abroad_thing *thing = make_thing();
    put_one(&things, &slot, &room, thing);
    CHECK_OK(abroad_shop_keep(by_session, &things, soon(), &reply, &err));
    CHECK_INT(reply->number, 1);
    afar_message_free(reply);
    place.self.one = (abroad_thing *)afar_object_share(abroad_thing_object(place.self.kept[0]));
    abroad_thing *far = got_one(by_grpc);
    CHECK_INT(counted(far, 4), 4);
    request.number = 3;
    CHECK_OK(abroad_thing_count_up(far, &request, soon(), NULL, &stream, &err));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(abroad_thing_count_up_receive(stream, soon(), &reply, &err));
        CHECK_INT(reply->number, i);
        afar_message_free(reply);
    }
    abroad_thing_count_up_close(stream);
    abroad_thing_close(far);
    abroad_thing_close(thing);
    abroad_shop_close(by_grpc);
    abroad_shop_close(by_session);
    afar_client_close(client);
    afar_client_close(owner);
    afar_error_clear(&err);
    place_close(&place);
    event_wait(&ended, 1);
}

/* A reference may be closed while its call is under way. */
TEST(a_call_goes_on_without_its_reference)
{
    struct place place;
    afar_error err = AFAR_ERROR_INIT;
    Number request = ABROAD__NUMBER__INIT, *reply = NULL;
    afar_future *future = NULL;

    place_open(&place, "127.0.0.1:0", LONG_MS, 0);
    afar_client *client = lone_client();
    abroad_shop *shop = reach(client, "grpc://", &place);
    abroad_thing *thing = got_one(shop);
    request.number = 9;
    CHECK_OK(abroad_thing_count_start(thing, &request, soon(), NULL, &future, &err));
    abroad_thing_close(thing);
    CHECK_OK(abroad_thing_count_await(future, soon(), &reply, &err));
    CHECK_INT(reply->number, 9);
    afar_message_free(reply);
    afar_future_close(future);
    abroad_shop_close(shop);
    afar_client_close(client);
    place_close(&place);
}
