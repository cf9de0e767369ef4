/* A thread cannot be made: the operation says so, or goes on without it, and when
 * threads can be made again all that was left undone is done.
 *
 * Labels: concurrent */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include <afar/client.h>
#include <afar/server.h>

#include "check.h"
#include "thing.afar.h"
#include "threads.h"

#define NAME "inproc:threads/thing"

static afar_code
answer(void *self, const Fault__Word *request, Fault__Word *reply, afar_call *call)
{
    (void)self;
    (void)call;
    reply->number = request->number + 1;
    return AFAR_OK;
}

static const fault_thing_methods methods = { .ask = answer };

static afar_deadline
soon(void)
{
    return afar_after_ms(10000);
}

static afar_code
call(fault_thing *thing, afar_error *err)
{
    Fault__Word request = FAULT__WORD__INIT, *reply = NULL;
    afar_code code = fault_thing_ask(thing, &request, soon(), &reply, err);

    if (!code)
        CHECK_INT(reply->number, 1);
    afar_message_free(reply);
    return code;
}

/* A server whose thread cannot be made says so when it starts, or serves all the same. */
static afar_code
serve(afar_error *err)
{
    afar_server *server = NULL;
    afar_client *client = NULL;
    fault_thing *near = NULL, *far = NULL;
    afar_code code = afar_server_open(NULL, "inproc:threads", NULL, &server, err);

    if (!code)
        code = fault_thing_new(&methods, NULL, NULL, &near, err);
    if (!code)
        code = afar_server_export(server, "thing", fault_thing_object(near), err);
    if (!code)
        code = afar_server_start(server, err);
    if (!code)
        code = afar_client_open(NULL, NULL, &client, err);
    if (!code)
        code = fault_thing_open(client, NAME, soon(), &far, err);
    if (!code)
        code = call(far, err);
    fault_thing_close(far);
    fault_thing_close(near);
    afar_client_close(client);
    afar_server_close(server);
    return code;
}

TEST(serving_without_a_thread)
{
    bool failed = true;

    for (int n = 0; failed; n++) {
        afar_error err = AFAR_ERROR_INIT;

        CHECK(n < 100);
        threads_fail_after(n);
        afar_code code = serve(&err);
        failed = threads_stop();
        if (code && code != AFAR_RESOURCE_EXHAUSTED)
            check_fail(__FILE__, __LINE__, "thread %d failed: %s: %s", n, afar_code_name(code),
                       err.message);
        CHECK(failed || !code);
        afar_error_clear(&err);
    }
}

static void
finalize(void *self)
{
    atomic_store((atomic_bool *)self, true);
}

static void *
close_thing(void *arg)
{
    threads_fail_all();
    fault_thing_close(arg);
    return NULL;
}

/* It needs a library thread, and waits for one. */
TEST(a_finalizer_without_a_thread)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    static atomic_bool finalized;
    afar_error err = AFAR_ERROR_INIT;
    afar_deadline end = soon();
    fault_thing *thing = NULL;
    pthread_t closer;

    options.finalizer = finalize;
    CHECK_OK(fault_thing_new(&methods, &finalized, &options, &thing, &err));
    CHECK_INT(pthread_create(&closer, NULL, close_thing, thing), 0);
    while (!threads_have_failed()) {
        CHECK(afar_deadline_left_ns(end) > 0);
        sched_yield();
    }
    threads_stop();
    CHECK_INT(pthread_join(closer, NULL), 0);
    CHECK(atomic_load(&finalized));
}

/* Without a thread nobody would look for the answer. */
TEST(a_future_without_a_thread)
{
    Fault__Word request = FAULT__WORD__INIT, *reply = NULL;
    fault_thing_talk_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;
    fault_thing *thing = NULL;

    CHECK_OK(fault_thing_new(&methods, NULL, NULL, &thing, &err));
    for (int i = 0; i < 3; i++) {
        threads_fail_all();
        CHECK_FAILS(fault_thing_ask_start(thing, &request, soon(), NULL, &future, &err),
                    AFAR_RESOURCE_EXHAUSTED);
        CHECK_FAILS(fault_thing_talk(thing, soon(), NULL, &stream, &err), AFAR_RESOURCE_EXHAUSTED);
        CHECK_FAILS(fault_thing_ask(thing, &request, soon(), &reply, &err),
                    AFAR_RESOURCE_EXHAUSTED);
        CHECK_STR(err.message, "no thread can be made to work in");
        CHECK(threads_stop());
    }
    CHECK_OK(call(thing, &err));
    CHECK_OK(fault_thing_ask_start(thing, &request, soon(), NULL, &future, &err));
    CHECK_OK(afar_future_wait(future, soon(), &err));
    afar_future_close(future);
    fault_thing_close(thing);
    afar_error_clear(&err);
}

/* Nobody is left to close with: it stays open, and can be held again. */
TEST(opening_after_a_close_without_a_thread)
{
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < 3; i++) {
        CHECK_OK(serve(&err));
        threads_fail_all();
        afar_node *node = NULL;
        CHECK_OK(afar_node_open(NULL, &node, &err));
        afar_node_close(node);
        threads_stop();
    }
    CHECK_OK(serve(&err));
}
