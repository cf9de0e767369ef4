/* Calls that are made again where their object is found again: which are, and how often.
 *
 * Labels: concurrent waits */

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "places.h"

/* ---- what is repeated ---- */

TEST(a_server_that_moved_is_found_by_the_next_call)
{
    struct world world;

    world_open(&world);
    CHECK_INT(added(world.counter, 1), 2);
    CHECK_INT(event_count(&world.fake.asked), 0);
    home_stop(&world.first);
    CHECK_INT(added(world.counter, 2), 3);
    CHECK_INT(added(world.counter, 3), 4);
    CHECK_INT(calls_of(&world.first), 1);
    CHECK_INT(calls_of(&world.second), 2);
    CHECK_INT(event_count(&world.fake.asked), 1);
    world_close(&world);
}

TEST(futures_and_oneways_are_repeated_as_well)
{
    Test__Count request = TEST__COUNT__INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct world world;
    int64_t number = 0;

    world_open(&world);
    home_stop(&world.first);
    CHECK_OK(finish_add(start_add(world.counter, 2, soon()), &number, &err));
    CHECK_INT(number, 3);
    world_close(&world);
    world_open(&world);
    home_stop(&world.first);
    CHECK_OK(test_counter_tell(world.counter, &request, soon(), &err));
    event_wait(&world.second.told, 1);
    world_close(&world);
}

TEST(a_call_that_came_to_another_process_is_repeated)
{
    struct home wrong;
    struct world world;
    struct fake fake;

    world_open(&world);
    wrong = world.first; /* the address of the second, the instance of the first */
    wrong.link = world.second.link;
    fake_init(&fake, &world.second);
    test_counter *counter = place_counter(&wrong, &fake);
    CHECK_INT(added(counter, 2), 3);
    CHECK_INT(calls_of(&world.second), 1);
    CHECK_INT(event_count(&fake.asked), 1);
    test_counter_close(counter);
    event_wait(&fake.freed, 1);
    world_close(&world);
}

/* The empty message, and one that does not fit into one write. */
TEST(a_repeated_call_has_its_request_and_metadata)
{
    size_t sizes[] = { 0, 1, 100000 };

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        Test__Count request = TEST__COUNT__INIT, *reply = NULL;
        afar_error err = AFAR_ERROR_INIT;
        char *text = calloc(1, sizes[i] + 1);
        struct world world;

        CHECK(text);
        memset(text, 'x', sizes[i]);
        request.text = text;
        world_open(&world);
        home_stop(&world.first);
        CHECK_OK(test_counter_read(world.counter, &request, soon(), &reply, &err));
        CHECK_STR(reply->text, text);
        afar_message_free(reply);
        free(text);
        world_close(&world);
    }
}

#define MANY 64

TEST(many_calls_at_once_are_repeated_once_each)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_future *futures[MANY];
    struct world world;

    world_open(&world);
    world.fake.stuck = true;
    home_stop(&world.first);
    for (int i = 0; i < MANY; i++)
        futures[i] = start_add(world.counter, i, soon());
    event_wait(&world.fake.asked, 1);
    event_raise(&world.fake.go);
    for (int i = 0; i < MANY; i++) {
        int64_t number = 0;

        CHECK_OK(finish_add(futures[i], &number, &err));
        CHECK_INT(number, i + 1);
    }
    for (int i = 0; i < MANY; i++)
        CHECK_INT(atomic_load(&world.second.tally->of_number[i]), 1);
    world_close(&world);
}

/* While a server stops, a call may get lost on its way; only Read may be sent twice. */
static void
read_a_hundred(void *arg)
{
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < 100; i++) {
        int64_t number = 0;

        CHECK_OK(finish_read(start_read(arg, i, false), &number, &err));
        CHECK_INT(number, i + 1);
    }
}

TEST(threads_do_not_notice_that_the_object_moved)
{
    struct worker workers[4];
    struct world world;

    world_open(&world);
    for (int i = 0; i < 4; i++)
        worker_start(&workers[i], read_a_hundred, world.counter);
    home_stop(&world.first);
    for (int i = 0; i < 4; i++)
        worker_join(&workers[i]);
    CHECK(calls_of(&world.first) + calls_of(&world.second) >= 400);
    world_close(&world);
}

/* ---- what is not repeated ---- */

static afar_code
refuse(void *self, const Test__Count *request, Test__Count *reply, afar_call *call)
{
    (void)self;
    (void)request;
    (void)reply;
    return afar_call_fail(call, AFAR_UNAVAILABLE, "not today");
}

TEST(an_answer_is_never_repeated)
{
    static const test_counter_methods refusing = { .add = refuse, .read = refuse };
    afar_error err = AFAR_ERROR_INIT;
    test_counter *near = NULL;
    struct world world;
    int64_t number = 0;

    world_open(&world);
    CHECK_OK(test_counter_new(&refusing, NULL, NULL, &near, &err));
    CHECK_OK(afar_server_unexport(world.first.server, "count", &test_counter_interface, &err));
    CHECK_OK(afar_server_export(world.first.server, "count", test_counter_object(near), &err));
    CHECK_FAILS(add(world.counter, 1, soon(), &number, &err), AFAR_UNAVAILABLE);
    CHECK_FAILS(finish_read(start_read(world.counter, 1, true), &number, &err), AFAR_UNAVAILABLE);
    CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED);
    CHECK_STR(err.message, "not today");
    CHECK_INT(event_count(&world.fake.asked), 0);
    afar_error_clear(&err);
    test_counter_close(near);
    world_close(&world);
}

TEST(repeats_of_a_call_that_does_not_wait_for_readiness_are_bounded)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;
    int64_t number = 0;

    world_open(&world);
    home_stop(&world.first);
    home_stop(&world.second);
    CHECK_FAILS(add(world.counter, 1, soon(), &number, &err), AFAR_UNAVAILABLE);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK_INT(event_count(&world.fake.asked), 4);
    afar_error_clear(&err);
    world_close(&world);
}

TEST(a_finder_that_finds_the_wrong_process_is_asked_four_times)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;
    int64_t number = 0;

    world_open(&world);
    world.fake.wrong = true;
    home_stop(&world.first);
    CHECK_FAILS(add(world.counter, 1, soon(), &number, &err), AFAR_MOVED);
    CHECK_INT(event_count(&world.fake.asked), 4);
    CHECK_INT(calls_of(&world.second), 0);
    afar_error_clear(&err);
    world_close(&world);
}

/* ---- processes that are killed ---- */

struct child {
    pid_t pid;
    char address[64];
    struct home home; /* as it is seen here: its link, its instance, and its shared tally */
};

struct hello {
    char address[64];
    uint8_t instance[16];
};

/* Before anything of the library runs in this process. */
static void
child_start(struct child *child, bool waits)
{
    struct hello hello = { "", { 0 } };
    int ends[2];

    *child = (struct child){ 0 };
    child->home.tally = mmap(NULL, sizeof *child->home.tally, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(child->home.tally != MAP_FAILED);
    CHECK_INT(pipe(ends), 0);
    child->pid = fork();
    CHECK(child->pid >= 0);
    if (child->pid == 0) {
        struct home home = { .told = EVENT_INIT, .tally = child->home.tally };
        struct gate gate;

        gate_init(&gate);
        home.gate = waits ? &gate : NULL;
        home_serve(&home, TCP);
        strncpy(hello.address, afar_server_address(home.server), sizeof hello.address - 1);
        memcpy(hello.instance, home.instance, sizeof hello.instance);
        CHECK_INT(write(ends[1], &hello, sizeof hello), sizeof hello);
        for (;;)
            pause();
    }
    CHECK_INT(read(ends[0], &hello, sizeof hello), sizeof hello);
    close(ends[0]);
    close(ends[1]);
    memcpy(child->home.instance, hello.instance, sizeof hello.instance);
    memcpy(child->address, hello.address, sizeof child->address);
}

static void
child_kill(struct child *child)
{
    CHECK_INT(kill(child->pid, SIGKILL), 0);
    CHECK_INT(waitpid(child->pid, NULL, 0), child->pid);
}

/* A reference to a child's object, with a finder that knows a home of this process. */
static void
child_world_open(struct world *world, struct child *child)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_node_open(NULL, &world->here, &err));
    home_open(&world->second, TCP, world->here);
    child->home.link = open_link(world->here, child->address);
    fake_init(&world->fake, &world->second);
    world->counter = place_counter(&child->home, &world->fake);
}

static void
child_world_close(struct world *world, struct child *child)
{
    test_counter_close(world->counter);
    event_wait(&world->fake.freed, 1);
    afar__link_shut(child->home.link);
    afar__link_unref(child->home.link);
    home_close(&world->second);
    afar_node_close(world->here);
}

static void
wait_for_calls(const struct home *home, int count)
{
    int64_t end = now_ms() + 15000;

    while (calls_of(home) < count) {
        CHECK(now_ms() < end);
        usleep(1000);
    }
}

TEST(of_a_killed_server_idempotent_calls_are_repeated_and_others_unknown)
{
    afar_future *adds[10], *reads[10];
    afar_error err = AFAR_ERROR_INIT;
    struct child child;
    struct world world;
    int64_t number = 0;

    child_start(&child, true);
    child_world_open(&world, &child);
    for (int i = 0; i < 10; i++) {
        adds[i] = start_add(world.counter, i, soon());
        reads[i] = start_read(world.counter, i + 10, false);
    }
    wait_for_calls(&child.home, 20);
    child_kill(&child);
    for (int i = 0; i < 10; i++) {
        CHECK_FAILS(finish_add(adds[i], &number, &err), AFAR_UNAVAILABLE);
        CHECK_INT(err.outcome, AFAR_OUTCOME_UNKNOWN);
        CHECK_OK(finish_read(reads[i], &number, &err));
        CHECK_INT(number, i + 11);
        CHECK_INT(atomic_load(&world.second.tally->of_number[i]), 0);
        CHECK_INT(atomic_load(&world.second.tally->of_number[i + 10]), 1);
    }
    afar_error_clear(&err);
    child_world_close(&world, &child);
}

struct adder {
    struct worker worker;
    test_counter *counter;
    int first;
    afar_outcome outcomes[NUMBERS / 4]; /* ANSWERED: it succeeded */
};

static void
add_and_note(void *arg)
{
    struct adder *adder = arg;

    for (int i = 0; i < NUMBERS / 4; i++) {
        afar_error err = AFAR_ERROR_INIT;
        int64_t number = 0;

        adder->outcomes[i] = AFAR_OUTCOME_ANSWERED;
        if (add(adder->counter, adder->first + i, soon(), &number, &err)) {
            CHECK_INT(err.code, AFAR_UNAVAILABLE);
            adder->outcomes[i] = err.outcome;
        }
        afar_error_clear(&err);
    }
}

TEST(nothing_runs_twice_when_a_server_is_killed_in_the_middle_of_calls)
{
    struct adder adders[4];
    struct child child;
    struct world world;

    child_start(&child, false);
    child_world_open(&world, &child);
    for (int i = 0; i < 4; i++) {
        adders[i].counter = world.counter;
        adders[i].first = i * (NUMBERS / 4);
        worker_start(&adders[i].worker, add_and_note, &adders[i]);
    }
    wait_for_calls(&child.home, NUMBERS / 10);
    child_kill(&child);
    for (int i = 0; i < 4; i++)
        worker_join(&adders[i].worker);
    for (int i = 0; i < NUMBERS; i++) {
        afar_outcome outcome = adders[i / (NUMBERS / 4)].outcomes[i % (NUMBERS / 4)];
        int ran = atomic_load(&child.home.tally->of_number[i]) +
                  atomic_load(&world.second.tally->of_number[i]);

        CHECK(ran <= 1);
        CHECK(outcome != AFAR_OUTCOME_NOT_SENT);
        CHECK(outcome != AFAR_OUTCOME_ANSWERED || ran == 1);
    }
    CHECK(calls_of(&world.second) > 0);
    child_world_close(&world, &child);
}

TEST(an_idempotent_call_that_was_sent_and_not_placed_anew_is_unknown)
{
    afar_error err = AFAR_ERROR_INIT;
    struct child child;
    struct world world;
    int64_t number = 0;

    child_start(&child, true);
    child_world_open(&world, &child);
    world.fake.code = AFAR_NOT_FOUND;
    atomic_store(&world.fake.failures, -1);
    afar_future *future = start_read(world.counter, 1, false);
    wait_for_calls(&child.home, 1);
    child_kill(&child);
    CHECK_FAILS(finish_read(future, &number, &err), AFAR_NOT_FOUND);
    CHECK_INT(err.outcome, AFAR_OUTCOME_UNKNOWN);
    CHECK_STR(err.message, "/test.Counter/Read count: the finder said so");
    afar_error_clear(&err);
    child_world_close(&world, &child);
}

/* ---- what it costs ---- */

/* A program that only makes blocking calls polls by itself, finder or not. */
TEST(blocking_calls_at_a_good_place_make_no_threads)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *here = NULL;
    struct child child;
    struct fake fake;
    int before;

    child_start(&child, false);
    CHECK_OK(afar_node_open(NULL, &here, &err));
    child.home.link = open_link(here, child.address);
    fake_init(&fake, &child.home);
    test_counter *still = place_counter(&child.home, NULL);
    test_counter *moves = place_counter(&child.home, &fake);
    for (int i = 0; i < 100; i++)
        CHECK_INT(added(still, i), i + 1);
    before = thread_count();
    for (int i = 0; i < 10000; i++)
        CHECK_INT(added(moves, i), i + 1);
    /* On a busy machine the caller is away for so long that library threads poll for it. */
    CHECK(thread_count() - before <= 4);
    test_counter_close(moves);
    test_counter_close(still);
    event_wait(&fake.freed, 1);
    afar__link_shut(child.home.link);
    afar__link_unref(child.home.link);
    child_kill(&child);
    afar_node_close(here);
}

/* ---- what is known of those that were sent ---- */

TEST(a_call_that_ran_and_was_not_answered_in_time_is_unknown)
{
    static const char *const addresses[] = { TCP, "inproc:again", NULL };

    for (const char *const *address = addresses; *address; address++) {
        afar_error err = AFAR_ERROR_INIT;
        struct tally tally = { 0 };
        afar_node *here = NULL;
        struct gate gate;
        struct home home = { .tally = &tally, .told = EVENT_INIT, .gate = &gate };
        int64_t number = 0;

        gate_init(&gate);
        CHECK_OK(afar_node_open(NULL, &here, &err));
        home_serve(&home, *address);
        home.link = open_link(here, afar_server_address(home.server));
        test_counter *counter = place_counter(&home, NULL);
        afar_future *late = start_add(counter, 1, afar_after_ms(300));
        afar_future *shut = start_add(counter, 2, AFAR_FOREVER);
        event_wait(&gate.entered, 2);
        CHECK_FAILS(finish_add(late, &number, &err), AFAR_DEADLINE_EXCEEDED);
        CHECK_INT(err.outcome, AFAR_OUTCOME_UNKNOWN);
        afar__link_shut(home.link);
        CHECK_FAILS(finish_add(shut, &number, &err), AFAR_CANCELLED);
        CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED); /* the handler was told, and said so */
        afar_error_clear(&err);
        test_counter_close(counter);
        home.tally = NULL;
        home_close(&home);
        gate_close(&gate);
        afar_node_close(here);
    }
}
