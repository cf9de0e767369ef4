/* The poller role.
 *
 * One thread at a time is inside the core: with a second one there, the one that
 * polls finds nothing and both wake each other (a round trip of 17 us became 58
 * to 340).  So the right to be there is a role, held by one thread:
 *
 *     vacant -> taken          afar__lead_take
 *     taken  -> in user code   afar__lead_enter_user
 *     in user code -> taken    by the holder (leave_user), or by anybody (take)
 *     taken  -> vacant         afar__lead_release
 *
 * The state is one word: the holder's address, with a bit for a library thread
 * and a bit for user code.  A release, or an entry into user code, leaves the
 * role open; the engine then sees to it that somebody looks (engine.c).
 *
 * How the leader waits: it polls, yields, polls, for a window of time, and blocks
 * then.  Waking a blocked thread on another CPU takes some 35 us, so polling
 * wins when events come quickly, and only burns time when they do not.  The window
 * follows outcomes: it grows when an event came that a longer window would have
 * caught, it shrinks when none did, down to nothing: then the leader blocks at once.  The yield
 * lets the peer run if it shares our CPU.
 *
 * One look at the core handles one descriptor, which may bring no event though the next
 * one would.  So with many connections a second look before the first yield is worth
 * more than the yield (a tenth more calls with 64 connections), and with one it is lost (a
 * tenth of a round trip where both sides share a CPU).  It is taken while it finds
 * events now and then, and tried from time to time when it does not.
 *
 * The leader rings the timers, too.  It looks at them once before it takes an event, since a
 * busy core would else keep it from them, and between polls; and it blocks no longer than until
 * the first one.  What rang counts as an event: a caller looks whether it was for it, and a
 * library thread runs what it asked for. */

#include "runtime/lead.h"

#include <sched.h>
#include <stddef.h>

#include "runtime/clock.h"
#include "runtime/core.h"
#include "runtime/timer.h"

#define IN_USER 1u
#define IS_LIBRARY 2u

#define WINDOW_MAX (300 * AFAR__MICROSECOND)
#define WINDOW_MIN (2 * AFAR__MICROSECOND) /* a shorter one is none */
#define AWAKE INT64_MIN
#define VAIN_MOST 8   /* second looks that find nothing, before they stop */
#define VAIN_EVERY 32 /* of the chances is tried then */

static _Atomic(uintptr_t) holder;
static atomic_uint epoch;
static _Atomic(int64_t) window = 50 * AFAR__MICROSECOND;
static atomic_uint in_vain; /* chances of a second look since one found an event */
static _Atomic(int64_t) sleeps_until = AWAKE;
static _Atomic(afar__task *) idle_tasks; /* the newest first */

static void
changed(void)
{
    atomic_fetch_add_explicit(&epoch, 1, memory_order_relaxed);
}

bool
afar__lead_take(afar__leader self, bool library)
{
    uintptr_t seen = atomic_load(&holder);
    uintptr_t mine = self | (library ? IS_LIBRARY : 0);

    while (seen == 0 || (seen & IN_USER))
        if (atomic_compare_exchange_weak(&holder, &seen, mine)) {
            changed();
            return true;
        }
    return false;
}

void
afar__lead_release(afar__leader self)
{
    uintptr_t seen = atomic_load(&holder);

    if (afar__lead_is_ours(self) && atomic_compare_exchange_strong(&holder, &seen, 0))
        changed();
}

void
afar__lead_enter_user(afar__leader self)
{
    atomic_store(&holder, self | IS_LIBRARY | IN_USER);
    changed();
}

bool
afar__lead_leave_user(afar__leader self)
{
    uintptr_t seen = self | IS_LIBRARY | IN_USER;

    if (!atomic_compare_exchange_strong(&holder, &seen, self | IS_LIBRARY))
        return false;
    changed();
    return true;
}

bool
afar__lead_is_ours(afar__leader self)
{
    return (atomic_load(&holder) & ~(uintptr_t)(IN_USER | IS_LIBRARY)) == self;
}

bool
afar__lead_open(void)
{
    uintptr_t seen = atomic_load(&holder);

    return seen == 0 || (seen & IN_USER);
}

bool
afar__lead_vacant(void)
{
    return atomic_load(&holder) == 0;
}

bool
afar__lead_in_library(void)
{
    return (atomic_load(&holder) & (IN_USER | IS_LIBRARY)) == IS_LIBRARY;
}

unsigned
afar__lead_epoch(void)
{
    return atomic_load_explicit(&epoch, memory_order_relaxed);
}

static void
set_window(int64_t ns)
{
    if (ns > WINDOW_MAX)
        ns = WINDOW_MAX;
    if (ns < WINDOW_MIN)
        ns = 0;
    atomic_store_explicit(&window, ns, memory_order_relaxed);
}

void
afar__lead_rare(int64_t gap)
{
    if (gap >= WINDOW_MAX)
        set_window(0);
}

static bool
looks_again(void)
{
    unsigned chances = atomic_fetch_add_explicit(&in_vain, 1, memory_order_relaxed);

    return chances < VAIN_MOST || chances % VAIN_EVERY == 0;
}

/* ---- timers ---- */

void
afar__lead_hurry(int64_t when)
{
    if (when < atomic_load(&sleeps_until))
        afar__core_kick();
}

static bool
ring_due(int64_t now)
{
    if (now < afar__timer_next())
        return false;
    afar__timer_run(now);
    return true;
}

bool
afar__lead_ring(void)
{
    return afar__timer_next() != AFAR__NEVER && ring_due(afar__now());
}

/* ---- what is done when there is nothing else ---- */

/* Who goes to sleep looks at the list after it has said so, who adds to it looks at that
 * afterwards: one of them sees the other. */
bool
afar__lead_when_idle(afar__task *task)
{
    if (atomic_load(&sleeps_until) != AWAKE)
        return false;
    task->next = atomic_load(&idle_tasks);
    while (!atomic_compare_exchange_weak(&idle_tasks, &task->next, task))
        continue;
    if (atomic_load(&sleeps_until) != AWAKE)
        afar__core_kick();
    return true;
}

static bool
run_idle(void)
{
    afar__task *newest, *oldest = NULL;

    if (!atomic_load_explicit(&idle_tasks, memory_order_relaxed))
        return false;
    newest = atomic_exchange(&idle_tasks, NULL);
    while (newest) {
        afar__task *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        afar__task *task = oldest;

        oldest = task->next;
        task->run(task);
    }
    return true;
}

/* ---- polling ---- */

/* Sleeps in the core until the deadline or the first timer, unless that is over already. */
static bool
sleep_in_core(int64_t now, int64_t deadline, afar__event *ret_event)
{
    int64_t first = afar__timer_next();
    int64_t until = first < deadline ? first : deadline;
    bool got;

    atomic_store(&sleeps_until, until);
    got = now < until && afar__timer_next() >= until && !atomic_load(&idle_tasks) &&
          afar__core_next(until, ret_event);
    atomic_store(&sleeps_until, AWAKE);
    return got;
}

afar__polled
afar__lead_poll(int64_t deadline, bool (*stop)(void *arg), void *arg,
                void (*block)(void *arg, bool blocked))
{
    int64_t limit = atomic_load_explicit(&window, memory_order_relaxed);
    int64_t start = 0, now, slept;
    afar__event event;
    bool rang = afar__lead_ring();
    bool again = false, got;

    for (;;) {
        if (limit > 0 && afar__core_next(0, &event)) {
            if (again)
                atomic_store_explicit(&in_vain, 0, memory_order_relaxed);
            if (start != 0)
                set_window(limit + limit / 4);
            afar__core_dispatch(event);
            return AFAR__POLLED_EVENT;
        }
        if (run_idle())
            return AFAR__POLLED_EVENT;
        if (rang || stop(arg))
            return rang ? AFAR__POLLED_EVENT : AFAR__POLLED_NOTHING;
        now = afar__now();
        if (ring_due(now))
            return AFAR__POLLED_EVENT;
        if (now >= deadline)
            return AFAR__POLLED_NOTHING;
        if (start == 0)
            start = now;
        if (now - start >= limit)
            break;
        again = start == now && looks_again();
        if (!again)
            sched_yield();
    }
    block(arg, true);
    got = !stop(arg) && sleep_in_core(now, deadline, &event);
    block(arg, false);
    slept = afar__now() - now;
    if (slept >= WINDOW_MAX)
        set_window(limit / 2);
    else
        set_window(limit > 0 ? limit * 2 : WINDOW_MIN);
    if (got)
        afar__core_dispatch(event);
    return got || ring_due(now + slept) ? AFAR__POLLED_EVENT : AFAR__POLLED_NOTHING;
}
