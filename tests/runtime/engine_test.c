/* The engine: waiting and being woken, tasks and who runs them, the poller role and
 * who takes it, opening and closing under load.
 *
 * The tests have no gRPC call under way: what they wait for is made by other threads,
 * or by tasks.  A wait that nobody ends is what they look for, so all have a bound.
 *
 * Labels: concurrent waits */

#include "runtime/engine.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "bell.h"
#include "check.h"
#include "runtime/clock.h"
#include "runtime/engine_parts.h"
#include "runtime/timer.h"

#define PLAYERS 4
#define PASSES 3000

/* ---- waiting ---- */

TEST(a_wait_ends_with_its_deadline)
{
    static const int64_t times[] = { -AFAR__SECOND, 0, AFAR__MICROSECOND, 30 * AFAR__MILLISECOND };
    struct bell bell = BELL_INIT;

    hold();
    for (int i = 0; i < 4; i++) {
        int64_t deadline = afar__now() + times[i];

        CHECK_INT(hear(&bell, 1, deadline), AFAR__WAIT_TIMEOUT);
        CHECK(afar__now() >= deadline);
    }
    CHECK_INT(hear(&bell, 1, 0), AFAR__WAIT_TIMEOUT);
    CHECK_INT(hear(&bell, 1, INT64_MIN), AFAR__WAIT_TIMEOUT);
    afar__engine_release();
}

TEST(who_was_woken_before_does_not_wait)
{
    struct bell bell = BELL_INIT;
    afar__waiter waiter;

    hold();
    afar__waiters_add(&bell.waiters, &waiter);
    ring(&bell);
    CHECK_INT(afar__wait(&waiter, AFAR__NEVER), AFAR__WAIT_WOKEN);
    CHECK_INT(afar__wait(&waiter, 0), AFAR__WAIT_WOKEN); /* past its deadline, too */
    afar__waiters_remove(&waiter);
    CHECK(!bell.waiters.first);
    afar__engine_release();
}

static void *
hear_once(void *arg)
{
    must_hear(arg, 1);
    return NULL;
}

/* One of them has the role and blocks in the core, the others park. */
TEST(all_who_wait_are_woken)
{
    pthread_t threads[PLAYERS];

    hold();
    for (int round = 0; round < 100; round++) {
        struct bell bell = BELL_INIT;

        for (int i = 0; i < PLAYERS; i++)
            threads[i] = start(hear_once, &bell);
        if (round % 2)
            CHECK_INT(hear(&bell, 1, afar__now() + AFAR__MILLISECOND), AFAR__WAIT_TIMEOUT);
        ring(&bell);
        for (int i = 0; i < PLAYERS; i++)
            join(threads[i]);
    }
    afar__engine_release();
}

static void
ring_at_once(afar__timer *timer)
{
    afar__timer_set(timer, 0);
}

/* Who leads finds something to do at each look. */
TEST(a_wait_ends_though_events_do_not)
{
    afar__timer always = { .ring = ring_at_once };
    struct bell never = BELL_INIT;

    hold();
    afar__timer_set(&always, 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(hear(&never, 1, afar__now() + AFAR__MILLISECOND), AFAR__WAIT_TIMEOUT);
    CHECK(afar__timer_clear(&always));
    afar__engine_release();
}

struct player {
    struct bell mine;
    struct player *next;
    int64_t odd; /* waits in between for what never comes */
};

static void *
play(void *arg)
{
    struct player *player = arg;
    struct bell never = BELL_INIT;

    for (int i = 1; i <= PASSES; i++) {
        must_hear(&player->mine, i);
        if (i % 50 == player->odd)
            hear(&never, 1, afar__now() + i % 3 * 20 * AFAR__MICROSECOND);
        ring(&player->next->mine);
    }
    return NULL;
}

/* Two balls go round; each pass wakes one that leads, one that parks, or one that is
 * between the two. */
static void
play_a_game(void)
{
    struct player players[PLAYERS];
    pthread_t threads[PLAYERS];

    for (int i = 0; i < PLAYERS; i++)
        players[i] = (struct player){ BELL_INIT, &players[(i + 1) % PLAYERS], i };
    for (int i = 0; i < PLAYERS; i++)
        threads[i] = start(play, &players[i]);
    ring(&players[0].mine);
    for (int i = 0; i < PLAYERS; i++)
        join(threads[i]);
}

TEST(callers_wake_each_other)
{
    hold();
    play_a_game();
    afar__engine_release();
}

/* The library's threads want the role, too. */
TEST(callers_wake_each_other_in_the_foreground)
{
    hold();
    begin_background();
    play_a_game();
    afar__engine_background_end();
    afar__engine_release();
}

/* ---- tasks ---- */

struct job {
    afar__task task;
    struct bell *done;
    struct gate *gate;
    pthread_t by;
    bool by_library;
    bool may_wait;
};

static void
run_job(afar__task *task)
{
    struct job *job = (struct job *)task;

    job->by = pthread_self();
    job->by_library = afar__engine_is_library_thread();
    job->may_wait = afar__engine_may_wait();
    if (job->gate)
        gate_pass(job->gate);
    ring(job->done);
}

TEST(a_task_runs_on_a_library_thread)
{
    struct bell done = BELL_INIT;
    struct job job = { .task = { .run = run_job }, .done = &done };

    hold();
    afar__engine_run(&job.task);
    must_hear(&done, 1);
    CHECK(job.by_library && !job.may_wait);
    CHECK(!pthread_equal(job.by, pthread_self()));
    CHECK(!afar__engine_is_library_thread() && afar__engine_may_wait());
    afar__engine_release();
}

/* Tasks that wait on their own do not keep the next one from running. */
TEST(a_task_for_which_all_threads_are_busy)
{
    struct bell done = BELL_INIT;
    struct gate gate = GATE_INIT;
    struct job jobs[20], last = { .task = { .run = run_job }, .done = &done };

    hold();
    for (int i = 0; i < 20; i++) {
        jobs[i] = (struct job){ .task = { .run = run_job }, .done = &done, .gate = &gate };
        afar__engine_run(&jobs[i].task);
    }
    gate_wait_entered(&gate, 20);
    afar__engine_run(&last.task);
    must_hear(&done, 1);
    gate_open(&gate);
    must_hear(&done, 21);
    afar__engine_release();
}

struct link {
    afar__task task;
    struct link *next;
    struct bell *done;
    struct link *last_before; /* the one whose task ran before it on this thread */
};

static _Thread_local struct link *ran_last;

static void
run_link(afar__task *task)
{
    struct link *link = (struct link *)task;

    link->last_before = ran_last;
    ran_last = link;
    if (link->next)
        afar__engine_run_next(&link->next->task);
    ring(link->done);
}

/* On the same thread, one after the other. */
TEST(tasks_that_run_next)
{
    struct bell done = BELL_INIT;
    struct link links[100];

    hold();
    for (int i = 0; i < 100; i++)
        links[i] = (struct link){ { run_link, NULL }, i < 99 ? &links[i + 1] : NULL, &done, NULL };
    afar__engine_run_next(&links[0].task); /* not a library thread: any will do */
    must_hear(&done, 100);
    for (int i = 1; i < 100; i++)
        CHECK(links[i].last_before == &links[i - 1]);
    afar__engine_release();
}

/* ---- waiting in tasks ---- */

struct blocked {
    afar__task task;
    struct bell *go, *ready, *done;
    afar__wait_result result;
};

static void
run_blocked(afar__task *task)
{
    struct blocked *blocked = (struct blocked *)task;

    ring(blocked->ready);
    blocked->result = hear(blocked->go, 1, afar__now() + PATIENCE);
    ring(blocked->done);
}

/* 255 may wait; the 256th would leave nobody to run what they wait for. */
TEST(the_last_thread_may_not_wait)
{
    struct bell go = BELL_INIT, ready = BELL_INIT, done = BELL_INIT;
    static struct blocked tasks[256];
    afar_error err = AFAR_ERROR_INIT;
    int refused = 0;

    hold();
    for (int i = 0; i < 256; i++) {
        tasks[i] = (struct blocked){ { run_blocked, NULL }, &go, &ready, &done, 0 };
        afar__engine_run(&tasks[i].task);
    }
    must_hear(&done, 1); /* the one that was refused */
    must_hear(&ready, 256);
    ring(&go);
    must_hear(&done, 256);
    for (int i = 0; i < 256; i++)
        refused += tasks[i].result == AFAR__WAIT_REFUSED;
    CHECK_INT(refused, 1);
    CHECK_FAILS(afar__wait_refused(&err), AFAR_RESOURCE_EXHAUSTED);
    CHECK_STR(err.message, "255 handlers wait already: no thread is left to run another");
    afar__engine_release();
}

/* ---- the role ---- */

/* Two library threads at least, which have nothing to do any more. */
static void
make_spares(struct bell *done)
{
    struct gate gate = GATE_INIT;
    struct job jobs[2];
    int before = done->count;

    for (int i = 0; i < 2; i++) {
        jobs[i] = (struct job){ .task = { .run = run_job }, .done = done, .gate = &gate };
        afar__engine_run(&jobs[i].task);
    }
    gate_wait_entered(&gate, 2);
    gate_open(&gate);
    must_hear(done, before + 2);
}

TEST(a_library_thread_polls_when_nobody_does)
{
    struct bell never = BELL_INIT;

    hold();
    begin_background();
    wait_for_poller();
    for (int i = 0; i < 50; i++) {
        /* A caller who waits gets the role, and gives it back. */
        CHECK_INT(hear(&never, 1, afar__now() + AFAR__MILLISECOND), AFAR__WAIT_TIMEOUT);
        wait_for_poller();
    }
    afar__engine_background_end();
    afar__engine_release();
}

/* They are waited for, but not for ever. */
TEST(callers_that_pause_do_not_keep_the_role)
{
    static const struct timespec pause = { 0, AFAR__MILLISECOND };
    struct bell never = BELL_INIT;

    hold();
    begin_background();
    wait_for_poller();
    for (int i = 0; i < 100; i++) {
        CHECK_INT(hear(&never, 1, afar__now() + 50 * AFAR__MICROSECOND), AFAR__WAIT_TIMEOUT);
        nanosleep(&pause, NULL);
        if (i % 25 == 24)
            wait_for_poller();
    }
    afar__engine_background_end();
    afar__engine_release();
}

#define ALARMS 50

/* Rings the bell every few milliseconds. */
struct alarm {
    afar__timer timer;
    struct bell bell;
    int rung;   /* by whoever leads */
    int others; /* of them by a thread that is not the library's */
};

static void
ring_alarm(afar__timer *timer)
{
    struct alarm *alarm = (struct alarm *)timer;

    alarm->others += !afar__engine_is_library_thread();
    if (++alarm->rung < ALARMS)
        afar__timer_set(timer, afar__now() + 4 * AFAR__MILLISECOND);
    ring(&alarm->bell);
}

static void *
hear_next(void *arg)
{
    struct alarm *alarm = arg;
    int heard;

    pthread_mutex_lock(&alarm->bell.lock);
    heard = alarm->bell.count;
    pthread_mutex_unlock(&alarm->bell.lock);
    if (heard < ALARMS)
        must_hear(&alarm->bell, heard + 1);
    return NULL;
}

/* Outside of the engine. */
static void
wait_for_count(struct bell *bell, int count)
{
    int64_t limit = afar__now() + PATIENCE;
    bool there = false;

    while (!there && afar__now() < limit) {
        sched_yield();
        pthread_mutex_lock(&bell->lock);
        there = bell->count >= count;
        pthread_mutex_unlock(&bell->lock);
    }
    CHECK(there);
}

/* The library thread sleeps in the core then, and keeps the role: each thread waits for the first
 * time. */
TEST(who_waits_once_is_woken_by_the_library)
{
    struct alarm alarm = { { .ring = ring_alarm }, BELL_INIT, 0, 0 };

    hold();
    begin_background();
    wait_for_poller();
    afar__timer_set(&alarm.timer, afar__now() + AFAR__MILLISECOND);
    wait_for_count(&alarm.bell, 1);
    for (int i = 0; i < ALARMS; i++) {
        int64_t limit = afar__now() + PATIENCE;

        while (!afar__engine_lead_sleeps() && afar__now() < limit)
            sched_yield();
        join(start(hear_next, &alarm));
    }
    wait_for_count(&alarm.bell, ALARMS);
    CHECK(alarm.others < ALARMS / 2); /* it may have been awake now and then */
    afar__engine_background_end();
    afar__engine_release();
}

/* The thread that watches the role is taken for a task that lasts: another one must
 * watch from then on. */
TEST(user_code_that_lasts_does_not_keep_the_library_from_polling)
{
    struct bell never = BELL_INIT, done = BELL_INIT;

    hold();
    begin_background();
    make_spares(&done);
    for (int i = 0; i < 20; i++) {
        struct gate gate = GATE_INIT;
        struct job job = { .task = { .run = run_job }, .done = &done, .gate = &gate };
        int before = done.count;

        wait_for_poller();
        CHECK_INT(hear(&never, 1, afar__now() + AFAR__MILLISECOND), AFAR__WAIT_TIMEOUT);
        afar__engine_run(&job.task);
        gate_wait_entered(&gate, 1);
        wait_for_poller();
        gate_open(&gate);
        must_hear(&done, before + 1);
    }
    afar__engine_background_end();
    afar__engine_release();
}

/* ---- life ---- */

static void *
open_and_close(void *arg)
{
    for (int i = 0; i < 200; i++) {
        struct bell done = BELL_INIT;
        struct job job = { .task = { .run = run_job }, .done = &done };

        hold();
        if (i % 3 == 0)
            begin_background();
        if (i % 2 == 0) {
            afar__engine_run(&job.task);
            must_hear(&done, 1);
        }
        if (i % 3 == 0)
            afar__engine_background_end();
        afar__engine_release();
    }
    return arg;
}

/* The last one closes it, while others open it. */
TEST(opened_and_closed_by_several)
{
    pthread_t threads[PLAYERS];

    for (int i = 0; i < PLAYERS; i++)
        threads[i] = start(open_and_close, NULL);
    for (int i = 0; i < PLAYERS; i++)
        join(threads[i]);
}

struct last {
    afar__task task;
    struct gate gate;
};

static void
release_last(afar__task *task)
{
    struct last *last = (struct last *)task;

    gate_pass(&last->gate);
    afar__engine_release();
}

/* A library thread cannot wait for its own end: another one closes, and whoever opens
 * next waits for that. */
TEST(closed_by_a_library_thread)
{
    static struct last tasks[50]; /* one may still run when the next is made */

    for (int i = 0; i < 50; i++) {
        tasks[i] = (struct last){ { release_last, NULL }, GATE_INIT };
        hold();
        hold();
        afar__engine_run(&tasks[i].task);
        gate_wait_entered(&tasks[i].gate, 1);
        afar__engine_release();
        gate_open(&tasks[i].gate);
    }
    hold();
    afar__engine_release();
}
