/* Memory runs out once, at every place where it could: the operation ends with
 * RESOURCE_EXHAUSTED or does without, nothing is lost, and the next one succeeds.
 *
 * Each loop lets the first allocation fail, then the second, and so on, until an
 * operation makes fewer.  Client and server are in one process, so the server's
 * allocations fail, too. */

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <afar/client.h>
#include <afar/server.h>

#include "allocations.h"
#include "check.h"
#include "thing.afar.h"

#define NAME "inproc:memory/thing"
#define MOST 3000 /* allocations of an operation; more would be a loop without end */

/* ---- the other side ---- */

struct world {
    afar_node *node;
    afar_server *server;
    afar_client *client;
    fault_thing *near, *far;
};

static afar_deadline
soon(void)
{
    return afar_after_ms(10000);
}

/* A typed error for the number 7, metadata both ways for the others. */
static afar_code
answer(void *self, const Fault__Word *request, Fault__Word *reply, afar_call *call)
{
    Fault__Refused why = FAULT__REFUSED__INIT;
    afar_code code;

    (void)self;
    why.why = request->text;
    if (request->number == 7)
        return fault_refused_fail(call, AFAR_FAILED_PRECONDITION, &why, "refused");
    code = afar_call_add_initial_metadata(call, "first", "1", 1, NULL);
    if (!code)
        code = afar_call_add_trailing_metadata(call, "last", "2", 1, NULL);
    reply->number = request->number + 1;
    reply->text = afar_call_strdup(call, request->text);
    if (!reply->text)
        code = AFAR_RESOURCE_EXHAUSTED;
    return code;
}

static afar_code
list(void *self, const Fault__Word *request, fault_thing_list_server_stream *stream,
     afar_call *call)
{
    Fault__Word word = FAULT__WORD__INIT;
    afar_code code = AFAR_OK;

    (void)self;
    (void)call;
    for (; !code && word.number < request->number; word.number++)
        code = fault_thing_list_server_send(stream, &word, soon(), NULL);
    return code;
}

static afar_code
gather(void *self, fault_thing_gather_server_stream *stream, Fault__Word *reply, afar_call *call)
{
    const Fault__Word *word = NULL;
    afar_code code;

    (void)self;
    (void)call;
    while (!(code = fault_thing_gather_server_receive(stream, soon(), &word, NULL)))
        reply->number += word->number;
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static afar_code
talk(void *self, fault_thing_talk_server_stream *stream, afar_call *call)
{
    const Fault__Word *word = NULL;
    afar_code code;

    (void)self;
    (void)call;
    while (!(code = fault_thing_talk_server_receive(stream, soon(), &word, NULL)))
        if ((code = fault_thing_talk_server_send(stream, word, soon(), NULL)))
            return code;
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static const fault_thing_methods methods = {
    .ask = answer, .list = list, .gather = gather, .talk = talk
};

static void
open_world(struct world *world)
{
    afar_error err = AFAR_ERROR_INIT;

    memset(world, 0, sizeof *world);
    CHECK_OK(afar_node_open(NULL, &world->node, &err));
    CHECK_OK(afar_server_open(world->node, "inproc:memory", NULL, &world->server, &err));
    CHECK_OK(fault_thing_new(&methods, NULL, NULL, &world->near, &err));
    CHECK_OK(afar_server_export(world->server, "thing", fault_thing_object(world->near), &err));
    CHECK_OK(afar_server_start(world->server, &err));
    CHECK_OK(afar_client_open(world->node, NULL, &world->client, &err));
    CHECK_OK(fault_thing_open(world->client, NAME, soon(), &world->far, &err));
}

static void
close_world(struct world *world)
{
    fault_thing_close(world->far);
    fault_thing_close(world->near);
    afar_client_close(world->client);
    afar_server_close(world->server);
    afar_node_close(world->node);
}

/* ---- the loop ---- */

static void
fill(Fault__Word *request, int64_t number)
{
    static char *more[] = { (char *)"one", (char *)"two", (char *)"three" };

    fault__word__init(request);
    request->number = number;
    request->text = (char *)"some text that is to be allocated";
    request->more = more;
    request->n_more = 3;
}

static void
check_alive(fault_thing *thing, long n)
{
    afar_error err = AFAR_ERROR_INIT;
    Fault__Word request, *reply = NULL;

    fill(&request, 1);
    if (fault_thing_ask(thing, &request, soon(), &reply, &err))
        check_fail(__FILE__, __LINE__, "after allocation %ld failed: %s", n, err.message);
    CHECK_INT(reply->number, 2);
    afar_message_free(reply);
    afar_error_clear(&err);
}

/* Only what says that memory was out, in one line; or that the session ended because of that. */
static afar_code
expected(afar_code code, const afar_error *err, long n)
{
    if (code && code != AFAR_RESOURCE_EXHAUSTED && code != AFAR_UNAVAILABLE)
        check_fail(__FILE__, __LINE__, "allocation %ld failed: %s: %s", n, afar_code_name(code),
                   err->message);
    CHECK(!code || (err->message[0] && !strchr(err->message, '\n')));
    return code;
}

typedef afar_code (*operation)(struct world *world, afar_error *err);

static void
fail_each(operation run)
{
    struct world world;
    bool failed = true;

    open_world(&world);
    for (long n = 0; failed; n++) {
        afar_error err = AFAR_ERROR_INIT;

        CHECK(n < MOST);
        allocations_fail_after(n);
        afar_code code = run(&world, &err);
        failed = allocations_stop();
        CHECK(failed || !code);
        expected(code, &err, n);
        check_alive(world.far, n);
        afar_error_clear(&err);
    }
    close_world(&world);
}

/* ---- opening ---- */

static afar_code
open_node(struct world *world, afar_error *err)
{
    afar_node_options options = AFAR_NODE_OPTIONS_INIT;
    const char *travels[] = { "one", "two", NULL };
    afar_node *node = NULL;
    afar_code code;

    (void)world;
    options.travels = travels;
    code = afar_node_open(&options, &node, err);
    CHECK(!code == !!node);
    afar_node_close(node);
    return code;
}

TEST(opening_a_node)
{
    fail_each(open_node);
}

static afar_code
open_client(struct world *world, afar_error *err)
{
    afar_client *client = NULL;
    fault_thing *thing = NULL;
    afar_code code = afar_client_open(NULL, NULL, &client, err);

    (void)world;
    if (!code)
        code = fault_thing_open(client, NAME, soon(), &thing, err);
    CHECK(!code == !!thing);
    fault_thing_close(thing);
    afar_client_close(client);
    return code;
}

TEST(opening_a_client_and_a_reference)
{
    fail_each(open_client);
}

static afar_code
open_over_tcp(struct world *world, afar_error *err)
{
    afar_server *server = NULL;
    fault_thing *thing = NULL;
    char name[200];
    afar_code code = afar_server_open(NULL, "127.0.0.1:0", NULL, &server, err);

    if (!code)
        code = afar_server_listen(server, "localhost:0", err);
    if (!code)
        code = afar_server_export(server, "", fault_thing_object(world->near), err);
    if (!code)
        code = afar_server_export(server, "again", fault_thing_object(world->near), err);
    if (!code)
        code = afar_server_start(server, err);
    if (!code) {
        snprintf(name, sizeof name, "grpc://%s/again", afar_server_address(server));
        code = fault_thing_open(world->client, name, soon(), &thing, err);
    }
    fault_thing_close(thing);
    afar_server_close(server);
    return code;
}

/* A connection that the server cannot take is one that cannot be made. */
TEST(serving_over_tcp)
{
    struct world world;
    bool failed = true;

    open_world(&world);
    for (long n = 0; failed; n++) {
        afar_error err = AFAR_ERROR_INIT;

        CHECK(n < MOST);
        allocations_fail_after(n);
        afar_code code = open_over_tcp(&world, &err);
        failed = allocations_stop();
        CHECK(failed || !code);
        if (code != AFAR_UNAVAILABLE)
            expected(code, &err, n);
        check_alive(world.far, n);
        afar_error_clear(&err);
    }
    close_world(&world);
}

static afar_code
export_many(struct world *world, afar_error *err)
{
    fault_thing *thing = NULL;
    afar_code code = fault_thing_new(&methods, NULL, NULL, &thing, err);
    int count = 0;
    char name[24];

    for (; !code && count < 100; count++) {
        snprintf(name, sizeof name, "name-%d", count);
        code = afar_server_export(world->server, name, fault_thing_object(thing), err);
    }
    for (int i = 0; i < count - (code ? 1 : 0); i++) {
        snprintf(name, sizeof name, "name-%d", i);
        CHECK(!afar_server_unexport(world->server, name, &fault_thing_interface, NULL));
    }
    fault_thing_close(thing);
    return code;
}

TEST(exporting_until_the_table_grows)
{
    fail_each(export_many);
}

/* ---- calling ---- */

static afar_code
call_with(fault_thing *thing, int64_t number, afar_error *err)
{
    Fault__Word request, *reply = NULL;
    afar_code code;

    fill(&request, number);
    code = fault_thing_ask(thing, &request, soon(), &reply, err);
    CHECK(!code == !!reply);
    if (reply)
        CHECK_STR(reply->text, request.text);
    afar_message_free(reply);
    return code;
}

static afar_code
call_far(struct world *world, afar_error *err)
{
    return call_with(world->far, 1, err);
}

TEST(a_call)
{
    fail_each(call_far);
}

/* The error may come without its detail. */
static afar_code
call_in_vain(struct world *world, afar_error *err)
{
    afar_code code = call_with(world->far, 7, err);

    CHECK(code);
    if (code == AFAR_FAILED_PRECONDITION) {
        CHECK_STR(err->message, "refused");
        code = AFAR_OK;
    }
    return code;
}

TEST(a_call_that_fails_with_a_detail)
{
    fail_each(call_in_vain);
}

static afar_code
call_with_metadata(struct world *world, afar_error *err)
{
    const afar_metadata_entry entries[] = { { "a", "1", 1 }, { "b", "2", 1 }, { "c-bin", "\0", 1 },
                                            { "d", "4", 1 }, { "e", "5", 1 }, { "f", "6", 1 } };
    afar_call_options options = AFAR_CALL_OPTIONS_INIT;
    const afar_metadata given = { entries, 6 };
    Fault__Word request, *reply = NULL;
    afar_future *future = NULL;
    afar_code code;

    options.metadata = &given;
    fill(&request, 1);
    code = fault_thing_ask_start(world->far, &request, soon(), &options, &future, err);
    if (!code)
        code = fault_thing_ask_await(future, soon(), &reply, err);
    if (!code) {
        (void)afar_future_initial_metadata(future);
        (void)afar_future_trailing_metadata(future);
    }
    afar_message_free(reply);
    afar_future_close(future);
    return code;
}

TEST(a_future_with_metadata)
{
    fail_each(call_with_metadata);
}

/* The first call of a local object opens the loop that such calls go over; the last
 * object closes it. */
static afar_code
call_near(struct world *world, afar_error *err)
{
    fault_thing *thing = NULL;
    afar_code code = fault_thing_new(&methods, NULL, NULL, &thing, err);

    (void)world;
    if (!code)
        code = call_with(thing, 1, err);
    if (!code)
        code = call_with(thing, 2, err);
    fault_thing_close(thing);
    return code;
}

TEST(a_call_of_a_local_object)
{
    fail_each(call_near);
}

/* ---- streams ---- */

static afar_code
list_far(struct world *world, afar_error *err)
{
    fault_thing_list_stream *stream = NULL;
    Fault__Word request, *word = NULL;
    int64_t count = 0;
    afar_code code;

    fill(&request, 5);
    code = fault_thing_list(world->far, &request, soon(), NULL, &stream, err);
    while (!code && !(code = fault_thing_list_receive(stream, soon(), &word, err))) {
        CHECK_INT(word->number, count++);
        afar_message_free(word);
    }
    if (code == AFAR_ENDED) {
        CHECK_INT(count, 5);
        code = AFAR_OK;
    }
    fault_thing_list_close(stream);
    return code;
}

TEST(a_server_stream)
{
    fail_each(list_far);
}

static afar_code
gather_far(struct world *world, afar_error *err)
{
    fault_thing_gather_stream *stream = NULL;
    Fault__Word request, *reply = NULL;
    afar_code code;

    fill(&request, 3);
    code = fault_thing_gather(world->far, soon(), NULL, &stream, err);
    for (int i = 0; i < 5 && !code; i++)
        code = fault_thing_gather_send(stream, &request, soon(), err);
    if (!code)
        code = fault_thing_gather_finish(stream, soon(), &reply, err);
    if (!code)
        CHECK_INT(reply->number, 15);
    afar_message_free(reply);
    fault_thing_gather_close(stream);
    return code;
}

TEST(a_client_stream)
{
    fail_each(gather_far);
}

static afar_code
talk_far(struct world *world, afar_error *err)
{
    fault_thing_talk_stream *stream = NULL;
    const afar_metadata *metadata = NULL;
    Fault__Word request, *word = NULL;
    afar_code code;

    fill(&request, 3);
    code = fault_thing_talk(world->far, soon(), NULL, &stream, err);
    for (int i = 0; i < 5 && !code; i++) {
        code = fault_thing_talk_send(stream, &request, soon(), err);
        if (!code)
            code = fault_thing_talk_receive(stream, soon(), &word, err);
        if (!code) {
            CHECK_STR(word->text, request.text);
            afar_message_free(word);
        }
    }
    if (!code)
        code = afar_stream_initial_metadata(fault_thing_talk_stream_base(stream), soon(), &metadata,
                                            err);
    fault_thing_talk_close(stream);
    return code;
}

TEST(a_stream_both_ways)
{
    fail_each(talk_far);
}

/* ---- nothing is lost ---- */

/* The core lets go of what it had a little later than the calls return. */
static void
wait_for_count(long count)
{
    afar_deadline end = soon();

    while (allocations_count() != count && afar_deadline_left_ns(end) > 0)
        sched_yield();
    CHECK_INT(allocations_count(), count);
}

TEST(everything_is_given_back)
{
    static const operation all[] = { open_node,          open_client, open_over_tcp, export_many,
                                     call_far,           call_near,   call_in_vain,  list_far,
                                     call_with_metadata, gather_far,  talk_far };
    long before = allocations_count();

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        bool failed = true;

        for (long n = 0; failed; n++) {
            afar_error err = AFAR_ERROR_INIT;
            struct world world;

            open_world(&world);
            allocations_fail_after(n);
            (void)!all[i](&world, &err);
            failed = allocations_stop();
            afar_error_clear(&err);
            close_world(&world);
            wait_for_count(before);
        }
    }
}
