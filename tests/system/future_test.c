/* Futures: started, awaited, called back, closed, in every order that the header
 * allows.
 *
 * Labels: concurrent */

#include <sched.h>
#include <string.h>

#include "pair.h"

#define MANY 1000

/* Handlers that wait at the gate which is their object. */
static afar_code
ask_at_gate(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)call;
    reply->number = request->number + 1;
    return gate_pass(self, NULL);
}

static const test_probe_methods gated = { .ask = ask_at_gate };

TEST(await_gives_the_reply)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        afar_future *future = start_ask(probe, 41, soon());
        CHECK_INT(finish_ask(future), 42);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

TEST(the_request_is_not_needed_after_start)
{
    Test__Packet request = TEST__PACKET__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;
    char text[] = "before";
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    request.text = text;
    CHECK_OK(test_probe_ask_start(probe, &request, soon(), NULL, &future, &err));
    memset(text, '!', sizeof text - 1);
    memset(&request, 0, sizeof request);
    CHECK_OK(test_probe_ask_await(future, soon(), &reply, &err));
    CHECK_STR(reply->text, "before");
    afar_message_free(reply);
    afar_future_close(future);
    test_probe_close(probe);
    pair_close(&pair);
}

TEST(a_reply_is_taken_once)
{
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *reply = NULL, *again = NULL;
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 1, soon());
    CHECK_OK(test_probe_ask_await(future, soon(), &reply, &err));
    CHECK_FAILS(test_probe_ask_await(future, soon(), &again, &err), AFAR_FAILED_PRECONDITION);
    CHECK(!again);
    CHECK_OK(afar_future_wait(future, soon(), &err));
    afar_message_free(reply);
    afar_future_close(future);
    test_probe_close(probe);
    afar_error_clear(&err);
    pair_close(&pair);
}

static afar_code
fail_with_detail(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    Test__Broken detail = TEST__BROKEN__INIT;

    (void)self;
    (void)reply;
    detail.number = request->number;
    return test_broken_fail(call, AFAR_ABORTED, &detail, "broken");
}

TEST(an_error_can_be_taken_again)
{
    static const test_probe_methods methods = { .ask = fail_with_detail };
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *reply = NULL;
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &methods, NULL, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 7, soon());
    CHECK_OK(afar_future_wait(future, soon(), &err));
    for (int i = 0; i < 2; i++) {
        CHECK_FAILS(test_probe_ask_await(future, soon(), &reply, &err), AFAR_ABORTED);
        CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED);
        CHECK(err.remote && test_broken_of(&err));
        CHECK_INT(test_broken_of(&err)->number, 7);
    }
    afar_future_close(future);
    test_probe_close(probe);
    afar_error_clear(&err);
    pair_close(&pair);
}

TEST(waiting_gives_up_and_the_call_goes_on)
{
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *reply = NULL;
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &gated, &gate, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 1, AFAR_FOREVER);
    CHECK_FAILS(afar_future_wait(future, afar_after_ms(0), &err), AFAR_DEADLINE_EXCEEDED);
    CHECK_FAILS(afar_future_wait(future, afar_after_ms(50), &err), AFAR_DEADLINE_EXCEEDED);
    CHECK_FAILS(test_probe_ask_await(future, afar_after_ms(10), &reply, &err),
                AFAR_DEADLINE_EXCEEDED);
    CHECK(!afar_future_done(future));
    event_wait(&gate.entered, 1);
    gate_open(&gate);
    CHECK_INT(finish_ask(future), 2);
    CHECK_INT(event_count(&gate.left), 0);
    test_probe_close(probe);
    afar_error_clear(&err);
    pair_close(&pair);
    gate_close(&gate);
}

static void
wait_for_future(void *arg)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_future_wait(arg, soon(), &err));
    CHECK(afar_future_done(arg));
}

TEST(several_threads_wait_for_one)
{
    struct worker workers[4];
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &gated, &gate, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 1, AFAR_FOREVER);
    for (int i = 0; i < 4; i++)
        worker_start(&workers[i], wait_for_future, future);
    for (int i = 0; i < 4; i++)
        worker_wait_asleep(&workers[i]);
    gate_open(&gate);
    for (int i = 0; i < 4; i++)
        worker_join(&workers[i]);
    CHECK_INT(finish_ask(future), 2);
    test_probe_close(probe);
    pair_close(&pair);
    gate_close(&gate);
}

/* ---- callbacks ---- */

struct called {
    struct event event;
    pthread_t by;
    bool done;
};

static void
note_call(afar_future *future, void *arg)
{
    struct called *called = arg;

    called->by = pthread_self();
    called->done = afar_future_done(future);
    event_raise(&called->event);
}

TEST(a_callback_runs_on_a_library_thread)
{
    struct called called = { .event = EVENT_INIT };
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &gated, &gate, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 1, AFAR_FOREVER);
    afar_future_on_done(future, note_call, &called);
    event_wait(&gate.entered, 1);
    CHECK_INT(event_count(&called.event), 0);
    gate_open(&gate);
    event_wait(&called.event, 1);
    CHECK(called.done);
    CHECK(!pthread_equal(called.by, pthread_self()));
    CHECK_INT(finish_ask(future), 2);
    test_probe_close(probe);
    pair_close(&pair);
    CHECK_INT(event_count(&called.event), 1);
    gate_close(&gate);
}

TEST(a_callback_for_an_answer_that_is_there)
{
    struct called called = { .event = EVENT_INIT };
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 1, soon());
    CHECK_OK(afar_future_wait(future, soon(), &err));
    afar_future_on_done(future, note_call, &called);
    event_wait(&called.event, 1);
    CHECK(!pthread_equal(called.by, pthread_self()));
    afar_future_close(future);
    test_probe_close(probe);
    pair_close(&pair);
}

static void
close_future(afar_future *future, void *arg)
{
    afar_future_close(future);
    event_raise(arg);
}

TEST(a_callback_may_close_its_future)
{
    struct event closed = EVENT_INIT;
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_CONCURRENT);
    for (int i = 0; i < MANY; i++)
        afar_future_on_done(start_ask(probe, i, soon()), close_future, &closed);
    event_wait(&closed, MANY);
    test_probe_close(probe);
    pair_close(&pair);
}

struct asking {
    test_probe *probe;
    struct event done;
};

/* A callback that calls in its turn, and waits for the answer. */
static void
ask_again(afar_future *future, void *arg)
{
    struct asking *asking = arg;

    CHECK_INT(asked(asking->probe, 1), 2);
    afar_future_close(future);
    event_raise(&asking->done);
}

TEST(callbacks_may_call_and_wait)
{
    struct asking asking = { .done = EVENT_INIT };
    struct pair pair;

    pair_open(&pair, TCP);
    asking.probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_CONCURRENT);
    for (int i = 0; i < 20; i++)
        afar_future_on_done(start_ask(asking.probe, i, soon()), ask_again, &asking);
    event_wait(&asking.done, 20);
    test_probe_close(asking.probe);
    pair_close(&pair);
}

TEST(a_closed_future_calls_nobody_back)
{
    struct called called = { .event = EVENT_INIT };
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &gated, &gate, AFAR_CONCURRENT);
    for (int i = 1; i <= 20; i++) {
        afar_future *future = start_ask(probe, 1, AFAR_FOREVER);

        afar_future_on_done(future, note_call, &called);
        event_wait(&gate.entered, i);
        afar_future_close(future);
        event_wait(&gate.left, i);
    }
    test_probe_close(probe);
    pair_close(&pair);
    CHECK_INT(event_count(&called.event), 0);
    gate_close(&gate);
}

/* ---- close meets the callback ---- */

struct meeting {
    struct event inside, closing;
    afar_future *future;
    _Atomic bool finished;
};

static void
linger(afar_future *future, void *arg)
{
    struct meeting *meeting = arg;

    (void)future;
    event_raise(&meeting->inside);
    event_wait(&meeting->closing, 1);
    for (int i = 0; i < 1000; i++)
        sched_yield();
    meeting->finished = true;
}

static void
close_it(void *arg)
{
    struct meeting *meeting = arg;

    event_raise(&meeting->closing);
    afar_future_close(meeting->future);
    CHECK(meeting->finished);
}

TEST(close_waits_for_the_callback_that_runs)
{
    struct meeting meeting = { .inside = EVENT_INIT, .closing = EVENT_INIT };
    struct worker closer;
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    meeting.future = start_ask(probe, 1, soon());
    afar_future_on_done(meeting.future, linger, &meeting);
    event_wait(&meeting.inside, 1);
    worker_start(&closer, close_it, &meeting);
    worker_join(&closer);
    test_probe_close(probe);
    pair_close(&pair);
}

TEST(closing_cancels_the_call)
{
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &gated, &gate, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 1, AFAR_FOREVER);
    event_wait(&gate.entered, 1);
    afar_future_close(future);
    event_wait(&gate.left, 1);
    afar_future_close(NULL);
    test_probe_close(probe);
    pair_close(&pair);
    gate_close(&gate);
}

/* ---- many ---- */

TEST(many_in_flight_awaited_from_the_last_to_the_first)
{
    static afar_future *futures[MANY];
    struct pair pair;

    for (const char *const *transport = transports; *transport; transport++) {
        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        for (int i = 0; i < MANY; i++)
            futures[i] = start_ask(probe, i, soon());
        for (int i = MANY - 1; i >= 0; i--)
            CHECK_INT(finish_ask(futures[i]), i + 1);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

TEST(calls_that_queue_hold_no_thread)
{
    afar_future *futures[500];
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &gated, &gate, AFAR_SERIAL);
    test_probe *other = pair_probe(&pair, "other", &echo_methods, NULL, AFAR_SERIAL);
    for (int i = 0; i < 500; i++)
        futures[i] = start_ask(probe, i, AFAR_FOREVER);
    event_wait(&gate.entered, 1);
    CHECK_INT(asked(other, 1), 2);
    CHECK(thread_count() < 40);
    gate_open(&gate);
    for (int i = 0; i < 500; i++)
        CHECK_INT(finish_ask(futures[i]), i + 1);
    test_probe_close(probe);
    test_probe_close(other);
    pair_close(&pair);
    gate_close(&gate);
}

/* ---- metadata ---- */

static afar_code
answer_with_metadata(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;

    (void)request;
    (void)reply;
    CHECK_OK(afar_call_add_initial_metadata(call, "first", "1", 1, &err));
    CHECK_OK(afar_call_add_trailing_metadata(call, "last-bin", "\0\xff", 2, &err));
    CHECK_FAILS(afar_call_add_initial_metadata(call, "Upper", "1", 1, &err), AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(afar_call_add_trailing_metadata(call, "text", "\n", 1, &err),
                AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(afar_call_add_trailing_metadata(call, "grpc-status", "0", 1, &err),
                AFAR_INVALID_ARGUMENT);
    afar_error_clear(&err);
    return gate_pass(self, NULL);
}

TEST(metadata_comes_with_the_answer)
{
    static const test_probe_methods methods = { .ask = answer_with_metadata };
    struct pair pair;

    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        struct gate gate;
        size_t length = 0;

        gate_init(&gate);
        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, &gate, AFAR_SERIAL);
        afar_future *future = start_ask(probe, 1, soon());
        CHECK_INT(afar_future_initial_metadata(future)->count, 0);
        CHECK_INT(afar_future_trailing_metadata(future)->count, 0);
        gate_open(&gate);
        CHECK_OK(afar_future_wait(future, soon(), &err));
        CHECK_STR(afar_metadata_find(afar_future_initial_metadata(future), "first", &length), "1");
        const void *last =
            afar_metadata_find(afar_future_trailing_metadata(future), "last-bin", &length);
        CHECK(last && length == 2 && memcmp(last, "\0\xff", 2) == 0);
        CHECK(!afar_metadata_find(afar_future_trailing_metadata(future), "first", NULL));
        afar_future_close(future);
        test_probe_close(probe);
        pair_close(&pair);
        gate_close(&gate);
    }
}
