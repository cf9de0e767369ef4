/* References over plain gRPC: objects that a server lends, until nobody uses them; objects that
 * are somewhere else; and clients that have nobody to lend theirs.
 *
 * Labels: concurrent waits */

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "pair.h"
#include "shop.h"

/* Longer than any test; and so short that a test may wait for its end. */
#define LONG_MS 60000
#define SHORT_MS 400

/* ---- what a server lends ---- */

static bool
is_lent_name(const ProtobufCBinaryData *name)
{
    for (size_t i = 0; i < name->len; i++)
        if (!name->data[i] || !strchr("0123456789abcdef", name->data[i]))
            return false;
    return name->len == 32;
}

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
        CHECK(!*names[i] ||
              memcmp(things->things[0]->object.data, names[i], strlen(names[i])) == 0);
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

    place_open(&place, "127.0.0.1:0", 2500, 0);
    afar_client *client = lone_client();
    abroad_shop *shop = reach(client, "grpc://", &place);
    abroad_thing *thing = got_one(shop);
    int64_t sum = counted(thing, 1); /* connects */
    abroad_thing_close(got_one(shop));
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
    const afar_metadata *initial = NULL;
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
    CHECK_OK(afar_stream_initial_metadata(abroad_thing_count_up_stream_base(stream), soon(),
                                          &initial, &err));
    CHECK_STR(afar_metadata_find(initial, "from", NULL), "0");
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
