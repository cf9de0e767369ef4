/* Memory runs out while calls are made again elsewhere: each ends with an error that says
 * so or with the one that it had, or does without; nothing is lost.
 *
 * As in memory_test.c, each loop lets the first allocation fail, then the second, and so
 * on.  The server's fail, too: it is in this process. */

#include <string.h>

#include <afar/client.h>
#include <afar/server.h>

#include "allocations.h"
#include "check.h"
#include "runtime/address.h"
#include "runtime/finder.h"
#include "thing.afar.h"

#define MOST 3000

/* A server, and a way to a process that is not there any more. */
struct world {
    afar_node *node;
    afar_server *server;
    afar__place good, bad;
};

static afar_deadline
soon(void)
{
    return afar_after_ms(10000);
}

static afar_code
answer(void *self, const Fault__Word *request, Fault__Word *reply, afar_call *call)
{
    (void)self;
    (void)call;
    reply->number = request->number + 1;
    return AFAR_OK;
}

static afar_code
list(void *self, const Fault__Word *request, fault_thing_list_server_stream *stream,
     afar_call *call)
{
    Fault__Word word = FAULT__WORD__INIT;

    (void)self;
    (void)request;
    (void)call;
    return fault_thing_list_server_send(stream, &word, soon(), NULL);
}

static const fault_thing_methods methods = { .ask = answer, .list = list };

static void
open_world(struct world *world)
{
    afar_error err = AFAR_ERROR_INIT;
    fault_thing *near = NULL;
    afar__address address;

    memset(world, 0, sizeof *world);
    CHECK_OK(afar_node_open(NULL, &world->node, &err));
    CHECK_OK(afar_server_open(world->node, "127.0.0.1:0", NULL, &world->server, &err));
    CHECK_OK(fault_thing_new(&methods, NULL, NULL, &near, &err));
    CHECK_OK(afar_server_export(world->server, "thing", fault_thing_object(near), &err));
    fault_thing_close(near);
    CHECK_OK(afar_server_start(world->server, &err));
    CHECK_OK(afar__address_parse_endpoint(afar_server_address(world->server), &address, &err));
    CHECK_OK(afar__link_open(world->node, &address, &world->good.link, &err));
    world->good.has_instance = true;
    memcpy(world->good.instance, afar_node_instance(world->node), 16);
    world->bad = world->good;
    world->bad.instance[0] ^= 1;
    CHECK_OK(afar__link_connect(world->good.link, soon(), &err));
}

static void
close_world(struct world *world)
{
    afar__link_shut(world->good.link);
    afar__link_unref(world->good.link);
    afar_server_close(world->server);
    afar_node_close(world->node);
}

/* ---- the finder, which allocates nothing ---- */

struct found {
    afar__finder finder;
    struct world *world;
};

static afar_code
find(afar__finder *finder, const afar__place *old, int64_t deadline, afar__place *ret_place,
     afar_error *err)
{
    (void)old;
    (void)deadline;
    (void)err;
    *ret_place = ((struct found *)finder)->world->good;
    afar__link_ref(ret_place->link);
    return AFAR_OK;
}

static void
note_freed(afar__finder *finder)
{
    (void)finder;
}

static const afar__finder_ops ops = { find, note_freed };

typedef afar_code (*operation)(fault_thing *thing, afar_error *err);

/* Only what says that memory was out, here or there; or that nobody could be asked. */
static void
check_code(afar_code code, const afar_error *err, long n)
{
    if (code && code != AFAR_RESOURCE_EXHAUSTED && code != AFAR_MOVED && code != AFAR_UNAVAILABLE)
        check_fail(__FILE__, __LINE__, "allocation %ld failed: %s: %s", n, afar_code_name(code),
                   err->message);
    CHECK(!code || (err->message[0] && !strchr(err->message, '\n')));
}

static void
fail_each(operation run)
{
    struct found found = { .finder = { &ops } };
    struct world world;
    bool failed = true;

    open_world(&world);
    found.world = &world;
    for (long n = 0; failed; n++) {
        afar_error err = AFAR_ERROR_INIT;
        afar_object *object = NULL;
        afar_code code;

        CHECK(n < MOST);
        allocations_fail_after(n);
        code = afar__place_object(&world.bad, &fault_thing_interface, "thing", &found.finder,
                                  &object, &err);
        CHECK(!code == !!object);
        if (!code)
            code = run((fault_thing *)object, &err);
        failed = allocations_stop();
        CHECK(failed || !code);
        check_code(code, &err, n);
        if (object && !code)
            CHECK_OK(run((fault_thing *)object, &err));
        afar_object_close(object);
        afar_error_clear(&err);
    }
    close_world(&world);
}

static afar_code
ask(fault_thing *thing, afar_error *err)
{
    Fault__Word request = FAULT__WORD__INIT, *reply = NULL;
    afar_code code = fault_thing_ask(thing, &request, soon(), &reply, err);

    CHECK(!code == !!reply);
    afar_message_free(reply);
    return code;
}

TEST(making_a_call_again)
{
    fail_each(ask);
}

/* The first stream is refused; then the finder is asked. */
static afar_code
list_twice(fault_thing *thing, afar_error *err)
{
    Fault__Word request = FAULT__WORD__INIT, *item = NULL;
    afar_code code = AFAR_OK;

    for (int i = 0; i < 2 && (!code || code == AFAR_MOVED); i++) {
        fault_thing_list_stream *stream = NULL;

        code = fault_thing_list(thing, &request, soon(), NULL, &stream, err);
        while (!code && !(code = fault_thing_list_receive(stream, soon(), &item, err)))
            afar_message_free(item);
        fault_thing_list_close(stream);
        if (code == AFAR_ENDED)
            code = AFAR_OK;
    }
    return code;
}

TEST(asking_for_a_place_before_a_stream)
{
    fail_each(list_twice);
}
