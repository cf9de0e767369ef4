/* Timers: the heap, and who rings them: a library thread, a caller that waits, or who glances.
 *
 * No test measures how late a timer rings.  A ring that is lost ends a test by its time limit, one
 * that is early fails it.
 *
 * Labels: concurrent */

#include "runtime/timer.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bell.h"
#include "check.h"
#include "random.h"
#include "runtime/clock.h"
#include "runtime/core.h"
#include "runtime/engine.h"

#define MANY 10000
#define SETTERS 3
#define ROUNDS 2000

/* ---- the heap ---- */

struct entry {
    afar__timer timer;
    int64_t when;
    int rings;
};

static int64_t rung_last; /* of the entries, in the one thread of these tests */
static int rung_count;

static void
note(afar__timer *timer)
{
    struct entry *entry = (struct entry *)timer;

    CHECK(entry->when >= rung_last);
    rung_last = entry->when;
    rung_count++;
    entry->rings++;
}

static void
set(struct entry *entry, int64_t when)
{
    entry->timer.ring = note;
    entry->when = when;
    afar__timer_set(&entry->timer, when);
}

TEST(many_ring_in_their_order)
{
    static struct entry entries[MANY];
    struct random random = { .state = 5 };

    for (int i = 0; i < MANY; i++)
        set(&entries[i], (int64_t)random_below(&random, MANY));
    for (int now = 0; now < MANY; now += 7) {
        CHECK(afar__timer_next() >= rung_last);
        afar__timer_run(now);
        CHECK(rung_last <= now);
        CHECK(afar__timer_next() > now);
    }
    afar__timer_run(MANY);
    CHECK_INT(rung_count, MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(entries[i].rings, 1);
    CHECK(afar__timer_next() == INT64_MAX);
}

/* Many are moved, earlier and later, and cleared, also between two runs. */
TEST(moved_and_cleared_ones_ring_as_they_were_set_last)
{
    static struct entry entries[MANY];
    struct random random = { .state = 7 };
    int cleared = 0, moved = 0;

    for (int i = 0; i < MANY; i++)
        set(&entries[i], (int64_t)random_below(&random, MANY));
    for (int now = 0; now <= 2 * MANY; now += 100) {
        for (int i = 0; i < 100; i++) {
            struct entry *entry = &entries[random_below(&random, MANY)];
            bool waits = entry->when > now - 100 && entry->rings == 0;

            if (i % 2) {
                moved += waits;
                if (waits)
                    set(entry, now + (int64_t)random_below(&random, MANY));
            } else {
                CHECK(afar__timer_clear(&entry->timer) == waits);
                entry->rings += waits;
                cleared += waits;
            }
        }
        afar__timer_run(now);
    }
    afar__timer_run(3 * MANY);
    CHECK(cleared > MANY / 10 && moved > MANY / 10);
    CHECK_INT(rung_count, MANY - cleared);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(entries[i].rings, 1);
}

TEST(cleared_says_whether_it_was_set)
{
    struct entry entry = { .when = 0 };

    CHECK(!afar__timer_clear(&entry.timer));
    set(&entry, 5);
    CHECK(afar__timer_next() == 5);
    CHECK(afar__timer_clear(&entry.timer));
    CHECK(!afar__timer_clear(&entry.timer));
    CHECK(afar__timer_next() == INT64_MAX);
    set(&entry, 5);
    afar__timer_run(4);
    CHECK_INT(entry.rings, 0);
    afar__timer_run(5);
    CHECK_INT(entry.rings, 1);
    CHECK(!afar__timer_clear(&entry.timer));
    set(&entry, INT64_MAX);
    afar__timer_run(INT64_MAX - 1);
    CHECK_INT(entry.rings, 1);
    CHECK(afar__timer_clear(&entry.timer));
}

/* ---- rings that set and clear ---- */

struct again {
    afar__timer timer;
    int rings;
};

static void
ring_again(afar__timer *timer)
{
    struct again *again = (struct again *)timer;

    again->rings++;
    CHECK(!afar__timer_clear(timer));
    afar__timer_set(timer, 0);
}

/* Else one that is late would keep the poller for ever. */
TEST(what_a_ring_sets_waits_for_the_next_run)
{
    struct again one = { .timer = { .ring = ring_again } }, other = one;

    afar__timer_set(&one.timer, 0);
    afar__timer_set(&other.timer, 1);
    for (int i = 1; i <= 10; i++) {
        afar__timer_run(100);
        CHECK(one.rings == i && other.rings == i);
        CHECK(afar__timer_next() == 0);
    }
    CHECK(afar__timer_clear(&one.timer) && afar__timer_clear(&other.timer));
}

struct pair {
    afar__timer timer;
    struct pair *cleared, *moved;
    int rings;
};

static void
ring_pair(afar__timer *timer)
{
    struct pair *pair = (struct pair *)timer;

    pair->rings++;
    if (pair->cleared)
        CHECK(afar__timer_clear(&pair->cleared->timer));
    if (pair->moved)
        afar__timer_set(&pair->moved->timer, 50);
}

TEST(a_ring_clears_and_moves_those_that_are_due_with_it)
{
    struct pair cleared = { .timer = { .ring = ring_pair } };
    struct pair moved = { .timer = { .ring = ring_pair } };
    struct pair last = { .timer = { .ring = ring_pair } };
    struct pair first = { .timer = { .ring = ring_pair }, .cleared = &cleared, .moved = &moved };

    afar__timer_set(&last.timer, 4);
    afar__timer_set(&cleared.timer, 3);
    afar__timer_set(&moved.timer, 2);
    afar__timer_set(&first.timer, 1);
    afar__timer_run(10);
    CHECK(first.rings == 1 && cleared.rings == 0 && moved.rings == 0 && last.rings == 1);
    CHECK(afar__timer_next() == 50);
    afar__timer_run(100);
    CHECK(first.rings == 1 && cleared.rings == 0 && moved.rings == 1 && last.rings == 1);
}

/* ---- who rings ---- */

/* Something that a ring makes happen; one that sets itself again rings so many times. */
struct alarm {
    afar__timer timer;
    int64_t when, again;
    int rings_left;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    afar__waiters waiters;
    bool rung; /* guarded by lock */
};

static void
ring_alarm(afar__timer *timer)
{
    struct alarm *alarm = (struct alarm *)timer;

    CHECK(afar__now() >= alarm->when);
    if (--alarm->rings_left > 0) {
        alarm->when = afar__now() + alarm->again;
        afar__timer_set(timer, alarm->when);
        return;
    }
    pthread_mutex_lock(&alarm->lock);
    alarm->rung = true;
    afar__waiters_wake(&alarm->waiters);
    pthread_cond_signal(&alarm->changed);
    pthread_mutex_unlock(&alarm->lock);
}

static void
set_alarm(struct alarm *alarm, int64_t from_now, int64_t again, int rings)
{
    *alarm = (struct alarm){ .timer = { .ring = ring_alarm },
                             .when = afar__now() + from_now,
                             .again = again,
                             .rings_left = rings,
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .changed = PTHREAD_COND_INITIALIZER };
    afar__timer_set(&alarm->timer, alarm->when);
}

/* Waits as the library does. */
static void
hear_alarm(struct alarm *alarm, int64_t deadline, bool expected)
{
    afar__wait_result result = AFAR__WAIT_WOKEN;
    afar__waiter waiter;

    pthread_mutex_lock(&alarm->lock);
    afar__waiters_add(&alarm->waiters, &waiter);
    if (!alarm->rung) {
        pthread_mutex_unlock(&alarm->lock);
        result = afar__wait(&waiter, deadline);
        pthread_mutex_lock(&alarm->lock);
    }
    afar__waiters_remove(&waiter);
    CHECK(alarm->rung == expected);
    CHECK(expected || result == AFAR__WAIT_TIMEOUT);
    pthread_mutex_unlock(&alarm->lock);
}

/* Waits outside of the engine: somebody else must poll. */
static void
see_alarm(struct alarm *alarm)
{
    struct timespec end = { (afar__now() + PATIENCE) / AFAR__SECOND, 0 };

    pthread_mutex_lock(&alarm->lock);
    while (!alarm->rung)
        CHECK_INT(pthread_cond_clockwait(&alarm->changed, &alarm->lock, CLOCK_MONOTONIC, &end), 0);
    pthread_mutex_unlock(&alarm->lock);
}

/* No thread but this one. */
TEST(who_waits_for_ever_rings_and_is_woken)
{
    static const int64_t times[] = { -AFAR__SECOND, 0, 30 * AFAR__MICROSECOND,
                                     5 * AFAR__MILLISECOND };
    struct alarm alarm;

    hold();
    for (int i = 0; i < 40; i++) {
        set_alarm(&alarm, times[i % 4], 0, 1);
        hear_alarm(&alarm, AFAR__NEVER, true);
    }
    set_alarm(&alarm, 0, 50 * AFAR__MICROSECOND, 200);
    hear_alarm(&alarm, AFAR__NEVER, true);
    afar__engine_release();
}

TEST(a_wait_still_ends_with_its_deadline)
{
    struct alarm later, often;
    int64_t deadline;

    hold();
    set_alarm(&often, 0, 20 * AFAR__MICROSECOND, 1 << 30);
    set_alarm(&later, 3600 * AFAR__SECOND, 0, 1);
    for (int i = 0; i < 20; i++) {
        deadline = afar__now() + i * 100 * AFAR__MICROSECOND;
        hear_alarm(&later, deadline, false);
        CHECK(afar__now() >= deadline);
    }
    CHECK(often.rings_left < 1 << 30);
    CHECK(afar__timer_clear(&later.timer));
    CHECK(afar__timer_clear(&often.timer));
    afar__engine_release();
}

static void *
hear_in_time(void *arg)
{
    hear_alarm(arg, AFAR__NEVER, true);
    return NULL;
}

/* One of them leads, the others follow; each time another one may. */
TEST(whoever_leads_rings_for_the_others)
{
    struct alarm alarms[SETTERS];
    pthread_t threads[SETTERS];

    hold();
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < SETTERS; i++)
            set_alarm(&alarms[i], (i + round) % SETTERS * 200 * AFAR__MICROSECOND, 0, 1);
        for (int i = 0; i < SETTERS; i++)
            threads[i] = start(hear_in_time, &alarms[i]);
        for (int i = 0; i < SETTERS; i++)
            join(threads[i]);
    }
    afar__engine_release();
}

/* Lets the leader go to sleep, most likely. */
static void
pass_time(int64_t ns)
{
    int64_t end = afar__now() + ns;

    while (afar__now() < end)
        sched_yield();
}

/* It sleeps until the late one else, or for ever. */
TEST(an_earlier_timer_gets_the_leader_out_of_its_sleep)
{
    struct alarm late = { .rings_left = 0 }, early;

    hold();
    begin_background();
    for (int i = 0; i < 60; i++) {
        if (i == 30)
            set_alarm(&late, 3600 * AFAR__SECOND, 0, 1);
        pass_time(i % 15 * 100 * AFAR__MICROSECOND);
        set_alarm(&early, i % 3 * 200 * AFAR__MICROSECOND, 0, 1);
        see_alarm(&early);
    }
    CHECK(afar__timer_clear(&late.timer));
    afar__engine_background_end();
    afar__engine_release();
}

TEST(an_earlier_timer_gets_a_caller_out_of_its_sleep)
{
    struct alarm early, last;
    pthread_t caller;

    hold();
    set_alarm(&last, 3600 * AFAR__SECOND, 0, 1);
    caller = start(hear_in_time, &last);
    for (int i = 0; i < 60; i++) {
        pass_time(i % 15 * 100 * AFAR__MICROSECOND);
        set_alarm(&early, i % 3 * 200 * AFAR__MICROSECOND, 0, 1);
        see_alarm(&early);
    }
    last.when = 0;
    afar__timer_set(&last.timer, 0);
    join(caller);
    afar__engine_release();
}

TEST(who_glances_rings)
{
    struct alarm alarm;
    int64_t end = afar__now() + PATIENCE;

    hold();
    set_alarm(&alarm, AFAR__MILLISECOND, 0, 1);
    while (!alarm.rung) {
        CHECK(afar__now() < end);
        (void)afar__glance();
    }
    afar__engine_release();
}

static atomic_bool quiet;

static void
post_again(afar__tag *tag, bool ok)
{
    if (!atomic_load(&quiet))
        afar__core_post(tag, ok);
}

/* The core has an event at each look. */
TEST(a_busy_core_does_not_keep_timers_from_ringing)
{
    afar__tag tag = { .done = post_again };
    struct alarm alarm;

    hold();
    afar__core_post(&tag, true);
    for (int i = 0; i < 20; i++) {
        set_alarm(&alarm, 100 * AFAR__MICROSECOND, 10 * AFAR__MICROSECOND, 10);
        hear_alarm(&alarm, AFAR__NEVER, true);
    }
    atomic_store(&quiet, true);
    while (afar__glance())
        continue;
    afar__engine_release();
}

/* A thread that polled all the time would take all of it. */
TEST(who_waits_for_a_timer_sleeps)
{
    struct timespec before, after;
    struct alarm alarm;

    hold();
    set_alarm(&alarm, 400 * AFAR__MILLISECOND, 0, 1);
    CHECK_INT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before), 0);
    hear_alarm(&alarm, AFAR__NEVER, true);
    CHECK_INT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after), 0);
    CHECK((after.tv_sec - before.tv_sec) * AFAR__SECOND + after.tv_nsec - before.tv_nsec <
          100 * AFAR__MILLISECOND);
    afar__engine_release();
}

/* ---- from several threads ---- */

struct counted {
    afar__timer timer;
    atomic_int rings;
};

static void
count_ring(afar__timer *timer)
{
    atomic_fetch_add(&((struct counted *)timer)->rings, 1);
}

static void
wait_for_rings(struct counted *counted, int rings)
{
    int64_t end = afar__now() + PATIENCE;

    while (atomic_load(&counted->rings) < rings) {
        CHECK(afar__now() < end);
        sched_yield();
    }
}

/* What was set rings once or is cleared; never both, never neither. */
static void *
set_and_clear(void *arg)
{
    struct counted counted = { .timer = { .ring = count_ring } };
    int rings = 0;

    for (int i = 0; i < ROUNDS; i++) {
        afar__timer_set(&counted.timer, afar__now() + i % 8 * AFAR__MICROSECOND);
        if (i % 2)
            sched_yield();
        if (!afar__timer_clear(&counted.timer))
            wait_for_rings(&counted, ++rings);
        CHECK_INT(counted.rings, rings);
    }
    return arg;
}

/* It may have rung, or ring still, when it is moved; then it rings once more. */
static void *
set_move_and_clear(void *arg)
{
    struct counted *counted = arg;
    int cleared = 0;

    for (int i = 0; i < ROUNDS; i++) {
        int before = atomic_load(&counted->rings);

        afar__timer_set(&counted->timer, afar__now() + i % 8 * AFAR__MICROSECOND);
        afar__timer_set(&counted->timer, afar__now() + (i + 3) % 8 * AFAR__MICROSECOND);
        if (i % 2)
            sched_yield();
        if (afar__timer_clear(&counted->timer))
            cleared++;
        else
            wait_for_rings(counted, before + 1);
    }
    wait_for_rings(counted, ROUNDS - cleared);
    CHECK(counted->rings <= 2 * ROUNDS - cleared);
    return NULL;
}

TEST(set_moved_and_cleared_by_several)
{
    static struct counted moved[SETTERS]; /* one may still ring when its thread has ended */
    pthread_t threads[2 * SETTERS];

    hold();
    begin_background();
    for (int i = 0; i < SETTERS; i++) {
        moved[i].timer.ring = count_ring;
        threads[i] = start(set_and_clear, NULL);
        threads[SETTERS + i] = start(set_move_and_clear, &moved[i]);
    }
    for (int i = 0; i < 2 * SETTERS; i++)
        join(threads[i]);
    CHECK(afar__timer_next() == INT64_MAX);
    afar__engine_background_end();
    afar__engine_release();
}
