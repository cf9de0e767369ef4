/* Closing under those who use what is closed.
 *
 * Labels: concurrent */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include <afar/client.h>
#include <afar/server.h>

#include "check.h"
#include "thing.afar.h"

#define NAME "inproc:closing"
#define ROUNDS 30

static afar_deadline
soon(void)
{
    return afar_after_ms(10000);
}

struct serving {
    afar_server *server;
    pthread_t runner;
    atomic_bool close; /* the handler is to close the server */
};

static afar_code
answer(void *self, const Client__Word *request, Client__Word *reply, afar_call *call)
{
    struct serving *serving = self;

    (void)call;
    reply->number = request->number + 1;
    if (atomic_load(&serving->close))
        afar_server_close(serving->server);
    return AFAR_OK;
}

static const client_thing_methods methods = { .ask = answer };

static void *
run(void *arg)
{
    struct serving *serving = arg;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_server_run(serving->server, &err));
    return NULL;
}

static void
start(struct serving *serving)
{
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;

    atomic_init(&serving->close, false);
    CHECK_OK(afar_server_open(NULL, NAME, NULL, &serving->server, &err));
    CHECK_OK(client_thing_new(&methods, serving, NULL, &thing, &err));
    CHECK_OK(afar_server_export(serving->server, "", client_thing_object(thing), &err));
    client_thing_close(thing);
    CHECK_INT(pthread_create(&serving->runner, NULL, run, serving), 0);
}

static afar_code
ask(client_thing *thing)
{
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    afar_code code = client_thing_ask(thing, &request, soon(), &reply, NULL);

    afar_message_free(reply);
    return code;
}

/* Opens and asks until the server has started: inproc servers have no backlog, and a
 * connection to the one before may not be known to be broken yet. */
static client_thing *
reach(afar_client *client)
{
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;
    afar_deadline end = soon();

    while (client_thing_open(client, NAME, soon(), &thing, &err) || ask(thing)) {
        CHECK(afar_deadline_left_ns(end) > 0);
        client_thing_close(thing);
        thing = NULL;
    }
    afar_error_clear(&err);
    return thing;
}

/* The thread that runs it comes back, and then the memory goes. */
TEST(a_server_that_another_thread_runs)
{
    for (int i = 0; i < ROUNDS; i++) {
        afar_error err = AFAR_ERROR_INIT;
        afar_client *client = NULL;
        struct serving serving;

        start(&serving);
        CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
        client_thing *thing = reach(client);
        afar_server_close(serving.server);
        CHECK_INT(pthread_join(serving.runner, NULL), 0);
        client_thing_close(thing);
        afar_client_close(client);
    }
}

TEST(a_server_that_its_handler_closes_while_it_runs)
{
    for (int i = 0; i < ROUNDS; i++) {
        afar_error err = AFAR_ERROR_INIT;
        afar_client *client = NULL;
        struct serving serving;

        start(&serving);
        CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
        client_thing *thing = reach(client);
        atomic_store(&serving.close, true);
        CHECK(!ask(thing));
        CHECK_INT(pthread_join(serving.runner, NULL), 0);
        client_thing_close(thing);
        afar_client_close(client);
    }
}

/* A client connects again and again while the server closes: it gets in or it does
 * not. */
struct connecting {
    pthread_t thread;
    atomic_bool stop;
    atomic_int count;
};

static void *
connect_often(void *arg)
{
    struct connecting *connecting = arg;

    while (!atomic_load(&connecting->stop)) {
        afar_error err = AFAR_ERROR_INIT;
        afar_client *client = NULL;
        client_thing *thing = NULL;

        CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
        if (client_thing_open(client, NAME, soon(), &thing, &err))
            CHECK_INT(err.code, AFAR_UNAVAILABLE);
        else
            (void)ask(thing);
        atomic_fetch_add(&connecting->count, 1);
        client_thing_close(thing);
        afar_client_close(client);
        afar_error_clear(&err);
    }
    return NULL;
}

TEST(a_server_that_clients_connect_to)
{
    struct connecting connecting[2];
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;
    struct serving serving;

    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    for (int i = 0; i < 2; i++) {
        atomic_init(&connecting[i].stop, false);
        atomic_init(&connecting[i].count, 0);
        CHECK_INT(pthread_create(&connecting[i].thread, NULL, connect_often, &connecting[i]), 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        start(&serving);
        client_thing_close(reach(client)); /* it runs */
        for (int before = atomic_load(&connecting[0].count);
             atomic_load(&connecting[0].count) < before + 3;)
            sched_yield();
        afar_server_close(serving.server);
        CHECK_INT(pthread_join(serving.runner, NULL), 0);
    }
    for (int i = 0; i < 2; i++) {
        atomic_store(&connecting[i].stop, true);
        CHECK_INT(pthread_join(connecting[i].thread, NULL), 0);
    }
    afar_client_close(client);
}
