/* Calls that wait for their object to be found again: how they leave, what they are told,
 * and what holds for streams.
 *
 * Labels: concurrent waits */

#include <stdio.h>
#include <string.h>

#include "places.h"

/* ---- how those that wait leave ---- */

/* A world whose reference cannot be used, and whose finder is stuck. */
static void
stuck_world_open(struct world *world)
{
    world_open(world);
    world->fake.stuck = true;
    home_stop(&world->first);
}

static void
stuck_world_close(struct world *world)
{
    event_raise(&world->fake.go);
    world_close(world);
}

TEST(deadlines_hold_while_the_finder_is_stuck)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;
    int64_t number = 0;

    stuck_world_open(&world);
    int64_t start = now_ms();
    afar_future *future = start_add(world.counter, 1, afar_after_ms(300));
    CHECK_FAILS(add(world.counter, 2, afar_after_ms(200), &number, &err), AFAR_DEADLINE_EXCEEDED);
    CHECK(now_ms() - start >= 200);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(strstr(err.message, "not found again before the deadline"));
    CHECK_FAILS(finish_add(future, &number, &err), AFAR_DEADLINE_EXCEEDED);
    CHECK(now_ms() - start >= 300);
    CHECK(now_ms() - start < 10000);
    CHECK_INT(event_count(&world.fake.asked), 1);
    afar_error_clear(&err);
    stuck_world_close(&world);
}

static void
count_done(afar_future *future, void *arg)
{
    (void)future;
    event_raise(arg);
}

TEST(a_call_that_waits_is_cancelled_at_once)
{
    struct event done = EVENT_INIT;
    struct world world;
    int64_t number = 0;
    afar_error err = AFAR_ERROR_INIT;

    stuck_world_open(&world);
    afar_future *closed = start_add(world.counter, 1, AFAR_FOREVER);
    afar_future *other = start_add(world.counter, 2, AFAR_FOREVER);
    afar_future_on_done(closed, count_done, &done);
    afar_future_on_done(other, count_done, &done);
    event_wait(&world.fake.asked, 1);
    afar_future_close(closed);
    event_raise(&world.fake.go);
    event_wait(&done, 1);
    CHECK_OK(finish_add(other, &number, &err));
    CHECK_INT(atomic_load(&world.second.tally->of_number[1]), 0);
    CHECK_INT(atomic_load(&world.second.tally->of_number[2]), 1);
    CHECK_INT(event_count(&done), 1);
    world_close(&world);
}

/* Nobody opens the gate for a call that is not cancelled: it would keep its finder. */
TEST(a_call_is_cancelled_while_it_is_placed_anew)
{
    struct world world;
    struct gate gate;

    world_open(&world);
    home_stop(&world.first);
    gate_init(&gate);
    world.second.gate = &gate;
    for (int i = 1; i <= 100; i++) {
        struct fake fake;

        fake_init(&fake, &world.second);
        fake.stuck = true;
        test_counter *counter = place_counter(&world.first, &fake);
        afar_future *future = start_add(counter, i, AFAR_FOREVER);
        event_wait(&fake.asked, 1);
        event_raise(&fake.go);
        afar_future_close(future);
        test_counter_close(counter);
        event_wait(&fake.freed, 1);
    }
    gate_close(&gate);
    world_close(&world);
}

TEST(a_reference_may_be_closed_while_its_calls_wait)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;
    int64_t number = 0;

    stuck_world_open(&world);
    afar_future *future = start_add(world.counter, 1, soon());
    event_wait(&world.fake.asked, 1);
    test_counter_close(world.counter);
    world.counter = NULL;
    CHECK_INT(event_count(&world.fake.freed), 0);
    event_raise(&world.fake.go);
    CHECK_OK(finish_add(future, &number, &err));
    world_close(&world);
}

TEST(closing_a_client_ends_its_calls_that_wait)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_future *futures[20];
    struct world world;
    int64_t number = 0;

    stuck_world_open(&world);
    for (int i = 0; i < 20; i++)
        futures[i] = start_add(world.counter, i, AFAR_FOREVER);
    event_wait(&world.fake.asked, 1);
    afar__link_shut(world.first.link);
    afar__link_shut(world.second.link);
    for (int i = 0; i < 20; i++) {
        afar_code code;

        CHECK(afar_future_done(futures[i]));
        code = finish_add(futures[i], &number, &err);
        /* A call that failed as the link was shut has its own reason. */
        CHECK(code == AFAR_CANCELLED || code == AFAR_UNAVAILABLE);
        CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    }
    CHECK_FAILS(add(world.counter, 1, soon(), &number, &err), AFAR_FAILED_PRECONDITION);
    CHECK_INT(event_count(&world.fake.freed), 0);
    afar_error_clear(&err);
    stuck_world_close(&world);
}

/* The place that is found belongs to a client that is closed already. */
TEST(a_call_is_not_moved_to_a_link_that_is_shut)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;
    int64_t number = 0;

    stuck_world_open(&world);
    afar_future *future = start_add(world.counter, 1, AFAR_FOREVER);
    event_wait(&world.fake.asked, 1);
    afar__link_shut(world.second.link);
    event_raise(&world.fake.go);
    CHECK_FAILS(finish_add(future, &number, &err), AFAR_FAILED_PRECONDITION);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    afar_error_clear(&err);
    world_close(&world);
}

/* ---- when nothing is found ---- */

TEST(the_error_is_the_finder_s_with_the_name_in_front)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;
    int64_t number = 0;

    world_open(&world);
    world.fake.code = AFAR_PERMISSION_DENIED;
    atomic_store(&world.fake.failures, 1);
    home_stop(&world.first);
    CHECK_FAILS(add(world.counter, 1, soon(), &number, &err), AFAR_PERMISSION_DENIED);
    CHECK_STR(err.message, "/test.Counter/Add count: the finder said so");
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(!err.remote);
    afar_error_clear(&err);
    CHECK_INT(added(world.counter, 2), 3); /* asks again, before anything is sent */
    CHECK_INT(event_count(&world.fake.asked), 2);
    world_close(&world);
}

TEST(a_call_that_waits_for_readiness_waits_for_the_finder)
{
    static const afar_code codes[] = { AFAR_NOT_FOUND, AFAR_UNAVAILABLE };
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < 2; i++) {
        struct world world;
        int64_t number = 0;

        world_open(&world);
        world.fake.code = codes[i];
        atomic_store(&world.fake.failures, 5);
        home_stop(&world.first);
        CHECK_OK(finish_read(start_read(world.counter, 1, true), &number, &err));
        CHECK_INT(event_count(&world.fake.asked), 6);
        world_close(&world);
    }
}

TEST(a_call_does_not_wait_for_readiness_past_its_deadline)
{
    afar_call_options options = AFAR_CALL_OPTIONS_INIT;
    Test__Count request = TEST__COUNT__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;
    struct world world;
    int64_t number = 0;

    options.wait_for_ready = true;
    world_open(&world);
    world.fake.code = AFAR_NOT_FOUND;
    atomic_store(&world.fake.failures, -1);
    home_stop(&world.first);
    CHECK_OK(test_counter_add_start(world.counter, &request, afar_after_ms(300), &options, &future,
                                    &err));
    CHECK_FAILS(finish_add(future, &number, &err), AFAR_DEADLINE_EXCEEDED);
    CHECK_STR(err.message, "/test.Counter/Add count: not found again before the deadline: "
                           "the finder said so");
    CHECK(event_count(&world.fake.asked) >= 2);
    CHECK(event_count(&world.fake.asked) < 10); /* it pauses */
    afar_error_clear(&err);
    world_close(&world);
}

TEST(waiting_for_readiness_does_not_hide_what_is_final)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;
    int64_t number = 0;

    world_open(&world);
    world.fake.code = AFAR_PERMISSION_DENIED;
    atomic_store(&world.fake.failures, -1);
    home_stop(&world.first);
    CHECK_FAILS(finish_read(start_read(world.counter, 1, true), &number, &err),
                AFAR_PERMISSION_DENIED);
    CHECK_INT(event_count(&world.fake.asked), 1);
    afar_error_clear(&err);
    world_close(&world);
}

/* One waits for readiness and pauses; the other asks at once and is told. */
TEST(a_pause_of_one_call_does_not_hold_another_up)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;
    int64_t number = 0;

    world_open(&world);
    world.fake.code = AFAR_NOT_FOUND;
    atomic_store(&world.fake.failures, -1);
    home_stop(&world.first);
    afar_future *patient = start_read(world.counter, 1, true);
    event_wait(&world.fake.asked, 6); /* from here on it pauses for longer and longer */
    CHECK_FAILS(add(world.counter, 2, soon(), &number, &err), AFAR_NOT_FOUND);
    CHECK(!afar_future_done(patient));
    atomic_store(&world.fake.failures, 0);
    CHECK_OK(finish_read(patient, &number, &err));
    afar_error_clear(&err);
    world_close(&world);
}

/* ---- calls within calls ---- */

struct relay {
    test_counter *inner;
    struct event *asked; /* of the finder */
    afar_future *left;   /* by Read */
    struct event done;
    afar_code code; /* of the call to inner */
};

static afar_code
relay_add(void *self, const Test__Count *request, Test__Count *reply, afar_call *call)
{
    struct relay *relay = self;

    (void)call;
    relay->code = add(relay->inner, request->number, AFAR_FOREVER, &reply->number, NULL);
    event_raise(&relay->done);
    return relay->code;
}

/* Leaves a call behind that waits for a place. */
static afar_code
relay_read(void *self, const Test__Count *request, Test__Count *reply, afar_call *call)
{
    struct relay *relay = self;

    (void)reply;
    (void)call;
    relay->left = start_add(relay->inner, request->number, AFAR_FOREVER);
    event_wait(relay->asked, 1);
    return AFAR_OK;
}

static const test_counter_methods relaying = { .add = relay_add, .read = relay_read };

struct nest {
    struct world world;
    struct relay relay;
    struct home home;
    test_counter *outer;
};

static void
nest_open(struct nest *nest, bool stuck)
{
    afar_error err = AFAR_ERROR_INIT;
    test_counter *near = NULL;

    world_open(&nest->world);
    nest->world.fake.stuck = stuck;
    home_stop(&nest->world.first);
    nest->relay = (struct relay){ .inner = nest->world.counter,
                                  .asked = &nest->world.fake.asked,
                                  .done = EVENT_INIT };
    home_open(&nest->home, TCP, nest->world.here);
    CHECK_OK(test_counter_new(&relaying, &nest->relay, NULL, &near, &err));
    CHECK_OK(afar_server_unexport(nest->home.server, "count", &test_counter_interface, &err));
    CHECK_OK(afar_server_export(nest->home.server, "count", test_counter_object(near), &err));
    test_counter_close(near);
    nest->outer = place_counter(&nest->home, NULL);
}

static void
nest_close(struct nest *nest)
{
    event_raise(&nest->world.fake.go);
    test_counter_close(nest->outer);
    home_close(&nest->home);
    world_close(&nest->world);
}

TEST(a_call_within_a_call_is_repeated)
{
    struct nest nest;

    nest_open(&nest, false);
    CHECK_INT(added(nest.outer, 1), 2);
    CHECK_INT(calls_of(&nest.world.second), 1);
    nest_close(&nest);
}

TEST(a_call_that_waits_is_cancelled_with_the_one_it_belongs_to)
{
    struct nest nest;

    nest_open(&nest, true);
    afar_future *future = start_add(nest.outer, 1, AFAR_FOREVER);
    event_wait(&nest.world.fake.asked, 1);
    afar_future_close(future);
    event_wait(&nest.relay.done, 1);
    CHECK_INT(nest.relay.code, AFAR_CANCELLED);
    nest_close(&nest);
}

TEST(a_call_that_waits_has_the_time_of_the_one_it_belongs_to)
{
    afar_error err = AFAR_ERROR_INIT;
    struct nest nest;
    int64_t number = 0;

    nest_open(&nest, true);
    CHECK_FAILS(add(nest.outer, 1, afar_after_ms(300), &number, &err), AFAR_DEADLINE_EXCEEDED);
    event_wait(&nest.relay.done, 1);
    CHECK(nest.relay.code == AFAR_DEADLINE_EXCEEDED || nest.relay.code == AFAR_CANCELLED);
    afar_error_clear(&err);
    nest_close(&nest);
}

TEST(a_call_that_waits_ends_when_the_one_it_belongs_to_has)
{
    afar_error err = AFAR_ERROR_INIT;
    struct nest nest;
    int64_t number = 0;

    nest_open(&nest, true);
    CHECK_OK(finish_read(start_read(nest.outer, 1, false), &number, &err));
    CHECK_FAILS(finish_add(nest.relay.left, &number, &err), AFAR_CANCELLED);
    afar_error_clear(&err);
    nest_close(&nest);
}

/* ---- streams ---- */

TEST(a_stream_asks_for_a_place_when_the_link_is_not_connected)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;
    int64_t number = 0;
    int count;

    world_open(&world);
    CHECK_INT(added(world.counter, 1), 2);
    CHECK_OK(watch(world.counter, 3, soon(), &count, &err));
    CHECK_INT(event_count(&world.fake.asked), 0);
    home_stop(&world.first);
    /* By now the loss is known: this call over the same link was told. */
    test_counter *plain = place_counter(&world.first, NULL);
    CHECK_FAILS(add(plain, 1, soon(), &number, &err), AFAR_UNAVAILABLE);
    test_counter_close(plain);
    CHECK_OK(watch(world.counter, 3, soon(), &count, &err));
    CHECK_INT(count, 3);
    CHECK_INT(event_count(&world.fake.asked), 1);
    afar_error_clear(&err);
    world_close(&world);
}

TEST(a_stream_that_came_to_another_process_makes_the_next_one_ask)
{
    afar_error err = AFAR_ERROR_INIT;
    struct home wrong;
    struct world world;
    struct fake fake;
    int count;

    world_open(&world);
    wrong = world.first;
    wrong.link = world.second.link;
    fake_init(&fake, &world.second);
    test_counter *counter = place_counter(&wrong, &fake);
    CHECK_OK(afar__link_connect(world.second.link, soon(), &err));
    CHECK_FAILS(watch(counter, 3, soon(), &count, &err), AFAR_MOVED);
    CHECK_INT(event_count(&fake.asked), 0);
    CHECK_OK(watch(counter, 3, soon(), &count, &err));
    CHECK_INT(event_count(&fake.asked), 1);
    CHECK_INT(calls_of(&world.second), 1);
    test_counter_close(counter);
    event_wait(&fake.freed, 1);
    afar_error_clear(&err);
    world_close(&world);
}

TEST(a_stream_waits_for_a_place_until_its_deadline)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;
    int count;

    stuck_world_open(&world);
    int64_t start = now_ms();
    CHECK_FAILS(watch(world.counter, 3, afar_after_ms(200), &count, &err), AFAR_DEADLINE_EXCEEDED);
    CHECK(now_ms() - start >= 200);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    afar_error_clear(&err);
    stuck_world_close(&world);
}

TEST(a_stream_is_told_what_the_finder_says)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;
    int count;

    world_open(&world);
    world.fake.code = AFAR_NOT_FOUND;
    atomic_store(&world.fake.failures, 1);
    home_stop(&world.first);
    CHECK_FAILS(watch(world.counter, 3, soon(), &count, &err), AFAR_NOT_FOUND);
    CHECK_STR(err.message, "/test.Counter/Watch count: the finder said so");
    CHECK_OK(watch(world.counter, 3, soon(), &count, &err));
    CHECK_INT(count, 3);
    afar_error_clear(&err);
    world_close(&world);
}

static void
watch_in_vain(void *arg)
{
    afar_error err = AFAR_ERROR_INIT;
    int count;

    CHECK_FAILS(watch(arg, 3, AFAR_FOREVER, &count, &err), AFAR_FAILED_PRECONDITION);
    afar_error_clear(&err);
}

TEST(a_thread_that_waits_to_start_a_stream_leaves_when_the_client_is_closed)
{
    struct worker worker;
    struct world world;

    stuck_world_open(&world);
    worker_start(&worker, watch_in_vain, world.counter);
    event_wait(&world.fake.asked, 1);
    afar__link_shut(world.first.link);
    worker_join(&worker);
    stuck_world_close(&world);
}

/* ---- opening ---- */

/* gRPC would pause after a failure, and say all the while that it has failed. */
TEST(a_server_that_came_back_is_reached_by_the_next_open)
{
    afar_error err = AFAR_ERROR_INIT;
    char address[64], name[100];
    afar_node *here = NULL;
    struct home home;

    CHECK_OK(afar_node_open(NULL, &here, &err));
    home_open(&home, TCP, here);
    strncpy(address, afar_server_address(home.server), sizeof address - 1);
    address[sizeof address - 1] = '\0';
    home_close(&home);
    afar__link *link = open_link(here, address);
    for (int i = 0; i < 3; i++) {
        CHECK_FAILS(afar__link_connect(link, AFAR_FOREVER, &err), AFAR_UNAVAILABLE);
        snprintf(name, sizeof name, "%s: cannot connect: Connection refused", address);
        CHECK_STR(err.message, name);
    }
    home_open(&home, address, NULL);
    CHECK_OK(afar__link_connect(link, soon(), &err));
    CHECK(afar__link_connected(link));
    home.link = link;
    test_counter *counter = place_counter(&home, NULL);
    CHECK_INT(added(counter, 1), 2);
    test_counter_close(counter);
    afar_error_clear(&err);
    home_close(&home);
    afar_node_close(here);
}
