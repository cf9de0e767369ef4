/* How many calls an object serves at a time, and in which order: SERIAL and
 * CONCURRENT objects, and the queue in front of them.
 *
 * Labels: concurrent */

#include <stdatomic.h>
#include <string.h>

#include "pair.h"

#define CALLERS 8
#define CALLS 200

/* ---- one at a time ---- */

struct counter {
    atomic_int inside, most;
    int64_t plain; /* no lock, no atomic: the object's turn guards it */
};

static void
enter(struct counter *counter)
{
    int inside = atomic_fetch_add(&counter->inside, 1) + 1;
    int most = atomic_load(&counter->most);

    while (inside > most && !atomic_compare_exchange_weak(&counter->most, &most, inside))
        continue;
}

static void
leave(struct counter *counter)
{
    atomic_fetch_sub(&counter->inside, 1);
}

static afar_code
count_up(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct counter *counter = self;

    (void)request;
    (void)call;
    enter(counter);
    reply->number = ++counter->plain;
    leave(counter);
    return AFAR_OK;
}

static const test_probe_methods counting = { .ask = count_up };

static void
call_many_times(void *arg)
{
    for (int i = 0; i < CALLS; i++)
        CHECK(asked(arg, 0) > 0);
}

TEST(a_serial_object_serves_one_call_at_a_time)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct counter counter = { .plain = 0 };
        struct worker workers[CALLERS];
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &counting, &counter, AFAR_SERIAL);
        for (int i = 0; i < CALLERS; i++)
            worker_start(&workers[i], call_many_times, probe);
        for (int i = 0; i < CALLERS; i++)
            worker_join(&workers[i]);
        test_probe_close(probe);
        pair_close(&pair);
        CHECK_INT(counter.plain, CALLERS * CALLS);
        CHECK_INT(counter.most, 1);
    }
}

/* Callers from outside and from inside the process share one turn. */
TEST(near_and_far_callers_share_the_turn)
{
    struct counter counter = { .plain = 0 };
    struct worker workers[CALLERS];
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *near = make_probe(&counting, &counter, AFAR_SERIAL);
    export_probe(pair.server, "", near);
    test_probe *far = pair_reach(&pair, "");
    for (int i = 0; i < CALLERS; i++)
        worker_start(&workers[i], call_many_times, i % 2 ? near : far);
    for (int i = 0; i < CALLERS; i++)
        worker_join(&workers[i]);
    test_probe_close(near);
    test_probe_close(far);
    pair_close(&pair);
    CHECK_INT(counter.plain, CALLERS * CALLS);
    CHECK_INT(counter.most, 1);
}

struct order {
    struct gate gate;
    int64_t next;
};

static afar_code
check_order(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct order *order = self;

    (void)reply;
    (void)call;
    CHECK_INT(request->number, order->next++);
    return request->number == 0 ? gate_pass(&order->gate, NULL) : AFAR_OK;
}

/* More at once and the core may change their order (afar/object.h). */
#define IN_ORDER 64

static const test_probe_methods ordered = { .ask = check_order };

static void
call_in_order(test_probe *probe, struct order *order, int count)
{
    afar_future *futures[1000];

    for (int i = 0; i < count; i++)
        futures[i] = start_ask(probe, i, soon());
    gate_open(&order->gate);
    for (int i = 0; i < count; i++)
        CHECK_INT(finish_ask(futures[i]), 0);
    test_probe_close(probe);
}

TEST(calls_enter_in_the_order_of_arrival)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct order order = { .next = 0 };
        struct pair pair;

        gate_init(&order.gate);
        pair_open(&pair, *transport);
        call_in_order(pair_probe(&pair, "", &ordered, &order, AFAR_SERIAL), &order, IN_ORDER);
        pair_close(&pair);
        gate_close(&order.gate);
    }
}

TEST(a_local_object_keeps_the_order)
{
    struct order order = { .next = 0 };

    gate_init(&order.gate);
    call_in_order(make_probe(&ordered, &order, AFAR_SERIAL), &order, 64);
    gate_close(&order.gate);
}

/* ---- side by side ---- */

static afar_code
wait_at_gate(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)call;
    reply->number = request->number;
    return gate_pass(self, NULL);
}

static const test_probe_methods waiting = { .ask = wait_at_gate };

TEST(a_concurrent_object_serves_calls_side_by_side)
{
    afar_future *futures[16];
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &waiting, &gate, AFAR_CONCURRENT);
    for (int i = 0; i < 16; i++)
        futures[i] = start_ask(probe, i, soon());
    event_wait(&gate.entered, 16);
    gate_open(&gate);
    for (int i = 0; i < 16; i++)
        CHECK_INT(finish_ask(futures[i]), i);
    test_probe_close(probe);
    pair_close(&pair);
    gate_close(&gate);
}

TEST(different_objects_run_in_parallel)
{
    afar_future *futures[16];
    test_probe *probes[16];
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    for (int i = 0; i < 16; i++) {
        char name[2] = { (char)('a' + i), '\0' };
        probes[i] = pair_probe(&pair, name, &waiting, &gate, AFAR_SERIAL);
        futures[i] = start_ask(probes[i], i, soon());
    }
    event_wait(&gate.entered, 16);
    gate_open(&gate);
    for (int i = 0; i < 16; i++) {
        CHECK_INT(finish_ask(futures[i]), i);
        test_probe_close(probes[i]);
    }
    pair_close(&pair);
    gate_close(&gate);
}

static afar_code
meet(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct event *met = self;

    (void)request;
    (void)reply;
    (void)call;
    event_raise(met);
    event_wait(met, 2);
    return AFAR_OK;
}

/* The library does not see that they wait, and still has a thread for the second. */
TEST(two_handlers_that_wait_on_their_own)
{
    static const test_probe_methods methods = { .ask = meet };
    struct event met = EVENT_INIT;
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &methods, &met, AFAR_CONCURRENT);
    afar_future *first = start_ask(probe, 1, soon());
    afar_future *second = start_ask(probe, 2, soon());
    finish_ask(first);
    finish_ask(second);
    test_probe_close(probe);
    pair_close(&pair);
}

/* ---- the queue ---- */

TEST(one_call_more_than_the_queue_holds)
{
    enum { LIMIT = 4, STARTED = LIMIT + 2 };
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *futures[STARTED];
    test_probe *near = NULL;
    struct pair pair;
    struct gate gate;
    int refused = 0;

    gate_init(&gate);
    pair_open(&pair, TCP);
    options.queue_limit = LIMIT;
    CHECK_OK(test_probe_new(&waiting, &gate, &options, &near, &err));
    export_probe(pair.server, "", near);
    test_probe *probe = pair_reach(&pair, "");
    for (int i = 0; i < STARTED; i++)
        futures[i] = start_ask(probe, i, soon());
    event_wait(&gate.entered, 1);
    CHECK_OK(afar_future_wait(futures[STARTED - 1], soon(), &err)); /* refused at once */
    gate_open(&gate);
    for (int i = 0; i < STARTED; i++) {
        Test__Packet *reply = NULL;

        if (test_probe_ask_await(futures[i], soon(), &reply, &err)) {
            CHECK_INT(err.code, AFAR_RESOURCE_EXHAUSTED);
            CHECK(err.remote && strlen(err.message) > 0);
            refused++;
        }
        afar_message_free(reply);
        afar_future_close(futures[i]);
    }
    CHECK_INT(refused, 1);
    test_probe_close(near);
    test_probe_close(probe);
    afar_error_clear(&err);
    pair_close(&pair);
    gate_close(&gate);
}

/* Who gave up leaves the queue: the handler never sees that call. */
TEST(a_queued_call_whose_caller_gave_up_is_not_served)
{
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &waiting, &gate, AFAR_SERIAL);
    test_probe *other = pair_probe(&pair, "other", &echo_methods, NULL, AFAR_SERIAL);
    afar_future *first = start_ask(probe, 1, soon());
    event_wait(&gate.entered, 1);
    for (int i = 0; i < 50; i++)
        afar_future_close(start_ask(probe, 2, soon()));
    for (int i = 0; i < 50; i++) /* what was cancelled before these arrives before them */
        CHECK_INT(asked(other, i), i + 1);
    gate_open(&gate);
    CHECK_INT(finish_ask(first), 1);
    CHECK_INT(finish_ask(start_ask(probe, 3, soon())), 3);
    CHECK_INT(event_count(&gate.entered), 2);
    test_probe_close(probe);
    test_probe_close(other);
    pair_close(&pair);
    gate_close(&gate);
}
