/* Closing, in the right order, in odd orders, and from where it hurts.
 *
 * Labels: concurrent waits */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "pair.h"

static afar_code
wait_at_gate(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)call;
    reply->number = request->number;
    return gate_pass(self, NULL);
}

static const test_probe_methods waiting = { .ask = wait_at_gate };

/* ---- clients ---- */

TEST(closing_a_client_ends_its_calls)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_future *futures[20];
        afar_error err = AFAR_ERROR_INIT;
        Test__Packet *reply = NULL;
        int64_t number = 0;
        struct pair pair;
        struct gate gate;

        gate_init(&gate);
        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &waiting, &gate, AFAR_CONCURRENT);
        for (int i = 0; i < 20; i++)
            futures[i] = start_ask(probe, i, AFAR_FOREVER);
        event_wait(&gate.entered, 20);
        afar_client_close(pair.client);
        pair.client = NULL;
        event_wait(&gate.left, 20);
        for (int i = 0; i < 20; i++) {
            CHECK(afar_future_done(futures[i]));
            CHECK_FAILS(test_probe_ask_await(futures[i], soon(), &reply, &err), AFAR_CANCELLED);
            afar_future_close(futures[i]);
        }
        CHECK_FAILS(ask(probe, 1, &number, &err), AFAR_FAILED_PRECONDITION);
        CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
        test_probe_close(probe);
        afar_error_clear(&err);
        pair_close(&pair);
        gate_close(&gate);
    }
}

static void
ask_until_closed(void *arg)
{
    afar_error err = AFAR_ERROR_INIT;
    int64_t number = 0;

    while (!ask(arg, 1, &number, &err))
        continue;
    CHECK(err.code == AFAR_CANCELLED || err.code == AFAR_FAILED_PRECONDITION);
    afar_error_clear(&err);
}

TEST(closing_a_client_that_others_use)
{
    for (int round = 0; round < 20; round++) {
        struct worker workers[4];
        struct pair pair;

        pair_open(&pair, round % 2 ? TCP : INPROC);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_CONCURRENT);
        for (int i = 0; i < 4; i++)
            worker_start(&workers[i], ask_until_closed, probe);
        asked(probe, 1);
        afar_client_close(pair.client);
        pair.client = NULL;
        for (int i = 0; i < 4; i++)
            worker_join(&workers[i]);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

struct closing {
    afar_client *client;
    struct event done;
};

static void
close_the_client(afar_future *future, void *arg)
{
    struct closing *closing = arg;

    afar_client_close(closing->client);
    afar_future_close(future);
    event_raise(&closing->done);
}

TEST(closing_a_client_from_a_callback)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct closing closing = { .done = EVENT_INIT };
        afar_error err = AFAR_ERROR_INIT;
        int64_t number = 0;
        struct pair pair;
        struct gate gate;

        gate_init(&gate);
        pair_open(&pair, *transport);
        test_probe *gated = pair_probe(&pair, "gated", &waiting, &gate, AFAR_SERIAL);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        afar_future *running = start_ask(gated, 1, AFAR_FOREVER);
        event_wait(&gate.entered, 1);
        closing.client = pair.client;
        pair.client = NULL;
        afar_future_on_done(start_ask(probe, 1, soon()), close_the_client, &closing);
        event_wait(&closing.done, 1);
        event_wait(&gate.left, 1);
        CHECK_OK(afar_future_wait(running, soon(), &err));
        CHECK_FAILS(ask(probe, 1, &number, &err), AFAR_FAILED_PRECONDITION);
        afar_future_close(running);
        test_probe_close(gated);
        test_probe_close(probe);
        afar_error_clear(&err);
        pair_close(&pair);
        gate_close(&gate);
    }
}

static afar_code
close_clients(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct closing *closing = self;

    (void)call;
    afar_client_close(closing->client);
    reply->number = request->number;
    event_raise(&closing->done);
    return AFAR_OK;
}

/* The client's own call is what the handler serves: its caller is gone when it ends. */
TEST(closing_a_client_from_a_handler)
{
    static const test_probe_methods methods = { .ask = close_clients };

    for (const char *const *transport = transports; *transport; transport++) {
        struct closing closing = { .done = EVENT_INIT };
        afar_error err = AFAR_ERROR_INIT;
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, &closing, AFAR_SERIAL);
        closing.client = pair.client;
        pair.client = NULL;
        afar_future *future = start_ask(probe, 1, soon());
        event_wait(&closing.done, 1);
        CHECK_OK(afar_future_wait(future, soon(), &err));
        afar_future_close(future);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

/* ---- servers ---- */

struct stopping {
    afar_server *server;
    struct event done;
};

static afar_code
close_server(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct stopping *stopping = self;

    (void)call;
    afar_server_close(stopping->server);
    reply->number = request->number;
    event_raise(&stopping->done);
    return AFAR_OK;
}

TEST(closing_a_server_from_its_handler)
{
    static const test_probe_methods methods = { .ask = close_server };

    for (const char *const *transport = transports; *transport; transport++) {
        struct stopping stopping = { .done = EVENT_INIT };
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, &stopping, AFAR_SERIAL);
        stopping.server = pair.server;
        pair.server = NULL;
        CHECK_INT(finish_ask(start_ask(probe, 7, soon())), 7); /* it runs, so it may finish */
        event_wait(&stopping.done, 1);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

static void
close_pair_server(void *arg)
{
    struct pair *pair = arg;

    afar_server_close(pair->server);
    pair->server = NULL;
}

/* Until the last call has left, or the grace is over. */
TEST(closing_a_server_lets_calls_finish)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct worker closer;
        struct pair pair;
        struct gate gate;

        gate_init(&gate);
        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &waiting, &gate, AFAR_SERIAL);
        afar_future *future = start_ask(probe, 7, soon());
        event_wait(&gate.entered, 1);
        worker_start(&closer, close_pair_server, &pair);
        worker_wait_asleep(&closer);
        gate_open(&gate);
        CHECK_INT(finish_ask(future), 7);
        worker_join(&closer);
        test_probe_close(probe);
        pair_close(&pair);
        gate_close(&gate);
    }
}

struct visit {
    struct gate gate;
    struct event over;
};

static afar_code
visit_gate(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct visit *visit = self;

    (void)request;
    (void)reply;
    (void)call;
    afar_code code = gate_pass(&visit->gate, NULL);
    event_raise(&visit->over);
    return code;
}

/* When it returns the handler has been told, and has left. */
TEST(closing_a_server_cancels_after_the_grace)
{
    static const test_probe_methods methods = { .ask = visit_gate };
    static const int64_t graces[] = { 200, -1 };

    for (const char *const *transport = transports; *transport; transport++) {
        for (int i = 0; i < 2; i++) {
            afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
            struct visit visit = { .over = EVENT_INIT };
            afar_error err = AFAR_ERROR_INIT;
            Test__Packet *reply = NULL;
            struct pair pair;

            gate_init(&visit.gate);
            options.grace_ms = graces[i];
            pair_open_with(&pair, NULL, *transport, &options);
            test_probe *probe = pair_probe(&pair, "", &methods, &visit, AFAR_SERIAL);
            afar_future *future = start_ask(probe, 7, soon());
            event_wait(&visit.gate.entered, 1);
            close_pair_server(&pair);
            CHECK_INT(event_count(&visit.over), 1);
            afar_code code = test_probe_ask_await(future, soon(), &reply, &err);
            CHECK(code == AFAR_CANCELLED || code == AFAR_UNAVAILABLE);
            afar_future_close(future);
            test_probe_close(probe);
            afar_error_clear(&err);
            pair_close(&pair);
            /* The gate is told beside the handler that waited for it. */
            event_wait(&visit.gate.left, 1);
            gate_close(&visit.gate);
        }
    }
}

TEST(a_closed_server_is_unavailable)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        int64_t number = 0;
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        CHECK_INT(asked(probe, 1), 2);
        close_pair_server(&pair);
        CHECK_FAILS(ask(probe, 1, &number, &err), AFAR_UNAVAILABLE);
        test_probe_close(probe);
        afar_error_clear(&err);
        pair_close(&pair);
    }
}

/* ---- running ---- */

static void
run_server(void *arg)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_server_run(arg, &err));
}

static afar_code
stop_server(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)call;
    afar_server_stop(*(afar_server **)self);
    reply->number = request->number;
    return AFAR_OK;
}

TEST(run_returns_when_a_handler_stops_it)
{
    static const test_probe_methods methods = { .ask = stop_server };
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair = { NULL, NULL };
    struct worker runner;

    CHECK_OK(afar_server_open(NULL, TCP, NULL, &pair.server, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &pair.client, &err));
    worker_start(&runner, run_server, pair.server);
    test_probe *probe = pair_probe(&pair, "", &methods, &pair.server, AFAR_SERIAL);
    CHECK_INT(asked(probe, 3), 3);
    worker_join(&runner);
    test_probe_close(probe);
    pair_close(&pair);
}

static void
raise_signal(int number)
{
    struct sigaction before, after;
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair = { NULL, NULL };
    struct worker runner;

    CHECK_INT(sigaction(number, NULL, &before), 0);
    CHECK_OK(afar_server_open(NULL, TCP, NULL, &pair.server, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &pair.client, &err));
    worker_start(&runner, run_server, pair.server);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    CHECK_INT(asked(probe, 3), 4);
    CHECK_INT(raise(number), 0);
    worker_join(&runner);
    CHECK_INT(sigaction(number, NULL, &after), 0);
    CHECK(before.sa_handler == after.sa_handler);
    test_probe_close(probe);
    pair_close(&pair);
}

TEST(run_returns_on_signals_and_gives_them_back)
{
    raise_signal(SIGTERM);
    raise_signal(SIGINT);
}

TEST(stop_before_run)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;

    CHECK_OK(afar_server_open(NULL, TCP, NULL, &server, &err));
    afar_server_stop(server);
    CHECK_OK(afar_server_run(server, &err));
    afar_server_close(server);
}

/* ---- odd orders ---- */

TEST(the_object_after_the_client)
{
    struct pair pair;

    for (const char *const *transport = transports; *transport; transport++) {
        test_probe_talk_stream *stream = NULL;
        afar_error err = AFAR_ERROR_INIT;
        Test__Packet *packet = NULL;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        CHECK_OK(test_probe_talk(probe, AFAR_FOREVER, NULL, &stream, &err));
        afar_future *future = start_ask(probe, 1, soon());
        CHECK_OK(afar_future_wait(future, soon(), &err));
        pair_close(&pair);
        CHECK_FAILS(test_probe_talk_receive(stream, soon(), &packet, &err), AFAR_CANCELLED);
        test_probe_close(probe);
        CHECK_INT(finish_ask(future), 2); /* the answer was there */
        test_probe_talk_close(stream);
        afar_error_clear(&err);
    }
}

TEST(the_object_before_its_calls)
{
    for (const char *const *transport = transports; *transport; transport++) {
        Test__Packet packet = TEST__PACKET__INIT, *reply = NULL;
        test_probe_talk_stream *stream = NULL;
        afar_error err = AFAR_ERROR_INIT;
        struct pair pair;
        struct gate gate;

        gate_init(&gate);
        pair_open(&pair, *transport);
        test_probe *gated = pair_probe(&pair, "gated", &waiting, &gate, AFAR_SERIAL);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        afar_future *future = start_ask(gated, 5, soon());
        CHECK_OK(test_probe_talk(probe, soon(), NULL, &stream, &err));
        test_probe_close(gated);
        test_probe_close(probe);
        CHECK_OK(test_probe_talk_send(stream, &packet, soon(), &err));
        CHECK_OK(test_probe_talk_receive(stream, soon(), &reply, &err));
        CHECK_INT(reply->number, 1);
        afar_message_free(reply);
        event_wait(&gate.entered, 1);
        gate_open(&gate);
        CHECK_INT(finish_ask(future), 5);
        test_probe_talk_close(stream);
        pair_close(&pair);
        gate_close(&gate);
    }
}

TEST(the_node_first)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;
    struct pair pair;

    CHECK_OK(afar_node_open(NULL, &node, &err));
    pair_open_with(&pair, node, TCP, NULL);
    afar_node_close(node);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    CHECK_INT(asked(probe, 1), 2);
    pair_close(&pair);
    test_probe_close(probe);
}

TEST(nothing_at_all)
{
    afar_server_close(NULL);
    afar_client_close(NULL);
    afar_node_close(NULL);
    afar_object_close(NULL);
    afar_future_close(NULL);
    afar_stream_close(NULL);
    afar_message_free(NULL);
    afar_error_clear(NULL);
}

/* A process may do all of it again and again. */
TEST(open_and_close_many_times)
{
    for (int i = 0; i < 50; i++) {
        struct pair pair;

        pair_open(&pair, transports[i % 3]);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        CHECK_INT(asked(probe, i), i + 1);
        test_probe_close(probe);
        pair_close(&pair);
    }
}
