/* What a call inherits from the call on whose behalf it is made: the deadline, the
 * cancellation, and the metadata that travels.
 *
 * Labels: concurrent */

#include <stdatomic.h>
#include <string.h>

#include "pair.h"

/* An outer object whose handlers do something with `inner`. */
struct outer {
    test_probe *inner;
    struct event entered, done;
    afar_code code;  /* of the call to inner */
    int64_t left_ns; /* of the outer call's time, seen in its handler */
};

struct seen {
    int64_t left_ns;
    char trace[16], tenant[16];
};

/* The inner object: notes what came with the call. */
static afar_code
note(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    const afar_metadata *metadata = afar_call_metadata(call);
    const char *trace = afar_metadata_find(metadata, "traceparent", NULL);
    const char *tenant = afar_metadata_find(metadata, "tenant", NULL);
    struct seen *seen = self;

    (void)request;
    (void)reply;
    seen->left_ns = afar_deadline_left_ns(afar_call_deadline(call));
    strncpy(seen->trace, trace ? trace : "none", sizeof seen->trace - 1);
    strncpy(seen->tenant, tenant ? tenant : "none", sizeof seen->tenant - 1);
    return AFAR_OK;
}

static const test_probe_methods noting = { .ask = note };

static afar_code
ask_inner(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct outer *outer = self;
    Test__Packet *answer = NULL;

    (void)reply;
    outer->left_ns = afar_deadline_left_ns(afar_call_deadline(call));
    event_raise(&outer->entered);
    outer->code = test_probe_ask(outer->inner, request, AFAR_FOREVER, &answer, NULL);
    afar_message_free(answer);
    event_raise(&outer->done);
    return outer->code;
}

static const test_probe_methods asking = { .ask = ask_inner };

#define SECONDS(n) (INT64_C(1000000000) * (n))
#define OUTER_INIT                                                                                 \
    {                                                                                              \
        NULL, EVENT_INIT, EVENT_INIT, AFAR_OK, 0                                                   \
    }

/* ---- deadlines ---- */

TEST(a_nested_call_has_the_time_that_is_left)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct outer outer = OUTER_INIT;
        struct seen seen = { 0 };
        struct pair pair;

        pair_open(&pair, *transport);
        outer.inner = pair_probe(&pair, "inner", &noting, &seen, AFAR_SERIAL);
        test_probe *probe = pair_probe(&pair, "", &asking, &outer, AFAR_SERIAL);
        finish_ask(start_ask(probe, 1, afar_after_ms(10000)));
        CHECK(outer.left_ns > 0 && outer.left_ns <= SECONDS(11)); /* gRPC rounds up */
        CHECK(seen.left_ns > 0 && seen.left_ns <= SECONDS(11));
        finish_ask(start_ask(probe, 1, AFAR_FOREVER));
        CHECK_INT(seen.left_ns, INT64_MAX);
        test_probe_close(probe);
        test_probe_close(outer.inner);
        pair_close(&pair);
    }
}

static afar_code
wait_at_gate(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)call;
    reply->number = request->number;
    return gate_pass(self, NULL);
}

static const test_probe_methods waiting = { .ask = wait_at_gate };

/* Nobody gives the nested calls a deadline; they end with the outermost one's. */
TEST(a_deadline_ends_what_is_nested)
{
    struct outer outer = OUTER_INIT;
    Test__Packet request = TEST__PACKET__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    outer.inner = pair_probe(&pair, "inner", &waiting, &gate, AFAR_SERIAL);
    test_probe *probe = pair_probe(&pair, "", &asking, &outer, AFAR_SERIAL);
    CHECK_FAILS(test_probe_ask(probe, &request, afar_after_ms(300), &reply, &err),
                AFAR_DEADLINE_EXCEEDED);
    event_wait(&outer.done, 1);
    CHECK(outer.code == AFAR_DEADLINE_EXCEEDED || outer.code == AFAR_CANCELLED);
    event_wait(&gate.left, 1);
    test_probe_close(probe);
    test_probe_close(outer.inner);
    afar_error_clear(&err);
    pair_close(&pair);
    gate_close(&gate);
}

/* ---- cancellation ---- */

TEST(cancelling_goes_down_to_the_last)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct outer outer = OUTER_INIT;
        struct pair pair;
        struct gate gate;

        gate_init(&gate);
        pair_open(&pair, *transport);
        outer.inner = pair_probe(&pair, "inner", &waiting, &gate, AFAR_SERIAL);
        test_probe *probe = pair_probe(&pair, "", &asking, &outer, AFAR_SERIAL);
        afar_future *future = start_ask(probe, 1, AFAR_FOREVER);
        event_wait(&gate.entered, 1);
        afar_future_close(future);
        event_wait(&gate.left, 1);
        event_wait(&outer.done, 1);
        CHECK_INT(outer.code, AFAR_CANCELLED);
        test_probe_close(probe);
        test_probe_close(outer.inner);
        pair_close(&pair);
        gate_close(&gate);
    }
}

static afar_code
ask_after_cancellation(void *self, const Test__Packet *request, Test__Packet *reply,
                       afar_call *call)
{
    struct outer *outer = self;
    Test__Packet *answer = NULL;
    int64_t end = now_ms() + 15000;

    (void)reply;
    event_raise(&outer->entered);
    while (!afar_call_cancelled(call))
        CHECK(now_ms() < end);
    outer->code = test_probe_ask(outer->inner, request, AFAR_FOREVER, &answer, NULL);
    event_raise(&outer->done);
    return outer->code;
}

TEST(nothing_starts_on_behalf_of_a_cancelled_call)
{
    static const test_probe_methods methods = { .ask = ask_after_cancellation };
    struct outer outer = OUTER_INIT;
    struct pair pair;

    pair_open(&pair, TCP);
    outer.inner = pair_probe(&pair, "inner", &echo_methods, NULL, AFAR_SERIAL);
    test_probe *probe = pair_probe(&pair, "", &methods, &outer, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 1, AFAR_FOREVER);
    event_wait(&outer.entered, 1);
    afar_future_close(future);
    event_wait(&outer.done, 1);
    CHECK_INT(outer.code, AFAR_CANCELLED);
    test_probe_close(probe);
    test_probe_close(outer.inner);
    pair_close(&pair);
}

/* A stream and a future that a handler started and left are cancelled as well. */
static afar_code
start_and_wait(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct outer *outer = self;
    test_probe_talk_stream *stream = NULL;
    Test__Packet *packet = NULL;
    afar_error err = AFAR_ERROR_INIT;

    (void)reply;
    (void)call;
    afar_future *future = start_ask(outer->inner, request->number, AFAR_FOREVER);
    CHECK_OK(test_probe_talk(outer->inner, AFAR_FOREVER, NULL, &stream, &err));
    event_raise(&outer->entered);
    CHECK_FAILS(test_probe_talk_receive(stream, AFAR_FOREVER, &packet, &err), AFAR_CANCELLED);
    CHECK_FAILS(test_probe_ask_await(future, AFAR_FOREVER, &packet, &err), AFAR_CANCELLED);
    test_probe_talk_close(stream);
    afar_future_close(future);
    afar_error_clear(&err);
    event_raise(&outer->done);
    return AFAR_OK;
}

static afar_code
listen_only(void *self, test_probe_talk_server_stream *stream, afar_call *call)
{
    const Test__Packet *packet = NULL;

    (void)self;
    (void)call;
    return test_probe_talk_server_receive(stream, AFAR_FOREVER, &packet, NULL);
}

TEST(streams_and_futures_of_a_handler_are_cancelled_with_it)
{
    static const test_probe_methods methods = { .ask = start_and_wait };
    static const test_probe_methods inner = { .ask = wait_at_gate, .talk = listen_only };
    struct outer outer = OUTER_INIT;
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    outer.inner = pair_probe(&pair, "inner", &inner, &gate, AFAR_CONCURRENT);
    test_probe *probe = pair_probe(&pair, "", &methods, &outer, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 1, AFAR_FOREVER);
    event_wait(&outer.entered, 1);
    event_wait(&gate.entered, 1);
    afar_future_close(future);
    event_wait(&outer.done, 1);
    event_wait(&gate.left, 1);
    test_probe_close(probe);
    test_probe_close(outer.inner);
    pair_close(&pair);
    gate_close(&gate);
}

/* ---- metadata ---- */

static void
ask_with_metadata(test_probe *probe)
{
    afar_metadata_entry entries[] = { { "traceparent", "t-7", 3 }, { "tenant", "zoo", 3 } };
    afar_metadata metadata = { entries, 2 };
    afar_call_options options = AFAR_CALL_OPTIONS_INIT;
    Test__Packet request = TEST__PACKET__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;

    options.metadata = &metadata;
    CHECK_OK(test_probe_ask_start(probe, &request, soon(), &options, &future, &err));
    finish_ask(future);
}

static void
check_travel(const afar_node_options *options, const char *trace, const char *tenant)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct outer outer = OUTER_INIT;
        afar_error err = AFAR_ERROR_INIT;
        struct seen seen = { 0 };
        afar_node *node = NULL;
        struct pair pair;

        CHECK_OK(afar_node_open(options, &node, &err));
        pair_open_with(&pair, node, *transport, NULL);
        outer.inner = pair_probe(&pair, "inner", &noting, &seen, AFAR_SERIAL);
        test_probe *probe = pair_probe(&pair, "", &asking, &outer, AFAR_SERIAL);
        ask_with_metadata(probe);
        CHECK_STR(seen.trace, trace);
        CHECK_STR(seen.tenant, tenant);
        test_probe_close(probe);
        test_probe_close(outer.inner);
        pair_close(&pair);
        afar_node_close(node);
    }
}

TEST(traces_travel_and_the_rest_does_not)
{
    check_travel(NULL, "t-7", "none");
}

TEST(the_node_says_what_travels)
{
    static const char *const keys[] = { "tenant", NULL };
    afar_node_options options = AFAR_NODE_OPTIONS_INIT;

    options.travels = keys;
    check_travel(&options, "none", "zoo");
}

/* ---- the current call ---- */

struct errand {
    struct outer *outer;
    afar_call *call;
};

static void
run_errand(void *arg)
{
    struct errand *errand = arg;
    Test__Packet request = TEST__PACKET__INIT, *reply = NULL;

    CHECK(!afar_call_current());
    afar_call_enter(errand->call);
    CHECK(afar_call_current() == errand->call);
    afar_call_enter(errand->call);
    afar_call_leave(errand->call);
    CHECK(afar_call_current() == errand->call);
    errand->outer->code =
        test_probe_ask(errand->outer->inner, &request, AFAR_FOREVER, &reply, NULL);
    afar_message_free(reply);
    afar_call_leave(errand->call);
    CHECK(!afar_call_current());
}

static afar_code
send_a_thread(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct outer *outer = self;
    struct errand errand = { outer, call };
    struct worker worker;

    (void)request;
    (void)reply;
    outer->left_ns = afar_deadline_left_ns(afar_call_deadline(call));
    worker_start(&worker, run_errand, &errand);
    worker_join(&worker);
    return outer->code;
}

TEST(a_thread_that_entered_a_call_calls_on_its_behalf)
{
    static const test_probe_methods methods = { .ask = send_a_thread };
    struct outer outer = OUTER_INIT;
    struct seen seen = { 0 };
    struct pair pair;

    CHECK(!afar_call_current());
    pair_open(&pair, TCP);
    outer.inner = pair_probe(&pair, "inner", &noting, &seen, AFAR_SERIAL);
    test_probe *probe = pair_probe(&pair, "", &methods, &outer, AFAR_SERIAL);
    ask_with_metadata(probe);
    CHECK_STR(seen.trace, "t-7");
    CHECK(seen.left_ns > 0 && seen.left_ns <= outer.left_ns + SECONDS(1));
    test_probe_close(probe);
    test_probe_close(outer.inner);
    pair_close(&pair);
}

/* A thread of the library carries nothing over from one call to the next. */
static afar_code
has_no_other_call(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)self;
    (void)request;
    (void)reply;
    CHECK(afar_call_current() == call);
    return AFAR_OK;
}

static void
has_no_call(afar_future *future, void *arg)
{
    CHECK(!afar_call_current());
    afar_future_close(future);
    event_raise(arg);
}

TEST(callbacks_belong_to_no_call)
{
    static const test_probe_methods methods = { .ask = has_no_other_call };
    struct event called = EVENT_INIT;
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &methods, NULL, AFAR_CONCURRENT);
    for (int i = 0; i < 200; i++)
        afar_future_on_done(start_ask(probe, i, soon()), has_no_call, &called);
    event_wait(&called, 200);
    test_probe_close(probe);
    pair_close(&pair);
}
