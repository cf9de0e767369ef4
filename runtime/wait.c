/* Waiting.  A thread that must wait takes the poller role if that is open and polls
 * until what it waits for has come; else it looks on for a while and then parks.
 *
 * Who leads depends on how soon the thread comes back.  It is expected to do as it did before:
 *
 * - A caller that waits again soon should find the role vacant: taking it from a library thread
 *   costs a kick, two threads that change places, and another change when it is given
 *   back.  So a library thread takes a vacant role only when the callers' patience is over, which
 *   grows while callers come back within 2 ms.
 * - One that waits now and then leaves the role to the library thread that sleeps in the
 *   core, and parks at once: being woken once costs less.
 * - One that is away for long, compared to what it waits, blocks in the core without polling.
 *
 * States of a waiter:
 *
 *     WAITING -> WOKEN              what it waits for has come (afar__waiters_wake)
 *     WAITING -> IN_CORE -> WAITING it is the leader and blocks in the core; waking it
 *                                   then takes a kick
 *     WAITING -> PARKED -> WAITING  it sleeps on its own state, and is sent to look
 *                                   at the role
 *     PARKED, IN_CORE -> WOKEN      as from WAITING
 *
 * Invariants:
 * - A waiter is woken under the lock of whoever owns its list, and leaves the list
 *   under the same lock, so it is alive while it is woken.
 * - Whoever leaves the role open looks for a parked caller afterwards, and whoever
 *   parks looks at the role afterwards.  Both use sequentially consistent atomics, so
 *   one of them sees the other.  Whoever was sent to look and does not take the
 *   role sends the next one. */

#include "runtime/engine.h"

#include <pthread.h>
#include <sched.h>

#include "runtime/clock.h"
#include "runtime/core.h"
#include "runtime/engine_parts.h"
#include "runtime/futex.h"
#include "runtime/lead.h"

#define EVENTS_PER_LOOK 16
#define PARK_WINDOW (50 * AFAR__MICROSECOND)
#define PATIENCE_MIN (200 * AFAR__MICROSECOND)
#define PATIENCE_MAX (2 * AFAR__MILLISECOND)

enum { WAITING, WOKEN, PARKED, IN_CORE };

static struct {
    pthread_mutex_t lock;
    afar__waiter *first; /* guarded by lock */
    atomic_uint count;
} parked = { .lock = PTHREAD_MUTEX_INITIALIZER };

static _Atomic(int64_t) patience = PATIENCE_MIN;

/* This thread's last wait. */
static _Thread_local struct {
    int64_t end;
    int64_t took;
} last;

/* ---- how long callers are waited for ---- */

int64_t
afar__callers_patience(void)
{
    return atomic_load_explicit(&patience, memory_order_relaxed);
}

/* A wait begins, so long after the thread's last one.  Patience grows while more of it would have
 * kept the role for the caller, shrinks while callers come so soon that they need none, and is over
 * with the first one that comes too late. */
static void
note_gap(int64_t gap)
{
    int64_t old = afar__callers_patience(), now = old;

    if (gap >= PATIENCE_MAX)
        now = PATIENCE_MIN;
    else if (gap > old / 2)
        now = old * 2 < PATIENCE_MAX ? old * 2 : PATIENCE_MAX;
    else if (gap < old / 4 && old > PATIENCE_MIN)
        now = old - old / 8;
    if (now != old)
        atomic_store_explicit(&patience, now, memory_order_relaxed);
}

/* ---- parking ---- */

static void
unpark_locked(afar__waiter *waiter)
{
    *waiter->link_parked = waiter->next_parked;
    if (waiter->next_parked)
        waiter->next_parked->link_parked = waiter->link_parked;
    waiter->link_parked = NULL;
    atomic_fetch_sub(&parked.count, 1);
}

/* Sends one parked caller to look at the role.  One that has been woken already
 * has no use for it; one that is about to park looks by itself. */
bool
afar__wake_parked(void)
{
    bool found = false;

    if (atomic_load(&parked.count) == 0)
        return false;
    pthread_mutex_lock(&parked.lock);
    while (parked.first && !found) {
        afar__waiter *waiter = parked.first;
        unsigned state = PARKED;

        unpark_locked(waiter);
        if (atomic_compare_exchange_strong(&waiter->state, &state, WAITING))
            afar__futex_wake(&waiter->state);
        found = state != WOKEN;
    }
    pthread_mutex_unlock(&parked.lock);
    return found;
}

/* ---- lists ---- */

void
afar__waiters_add(afar__waiters *list, afar__waiter *waiter)
{
    atomic_store_explicit(&waiter->state, WAITING, memory_order_relaxed);
    waiter->link_parked = NULL;
    waiter->next = list->first;
    waiter->link = &list->first;
    if (waiter->next)
        waiter->next->link = &waiter->next;
    list->first = waiter;
}

void
afar__waiters_remove(afar__waiter *waiter)
{
    if (!waiter->link)
        return;
    *waiter->link = waiter->next;
    if (waiter->next)
        waiter->next->link = waiter->link;
    waiter->link = NULL;
}

void
afar__waiters_wake(afar__waiters *list)
{
    for (afar__waiter *waiter = list->first; waiter; waiter = waiter->next) {
        unsigned before = atomic_exchange(&waiter->state, WOKEN);

        if (before == PARKED)
            afar__futex_wake(&waiter->state);
        else if (before == IN_CORE)
            afar__core_kick();
    }
}

static bool
is_woken(afar__waiter *waiter)
{
    return atomic_load_explicit(&waiter->state, memory_order_acquire) == WOKEN;
}

static bool
caller_stop(void *arg)
{
    return is_woken(arg);
}

/* While the leader blocks in the core, a wake-up must kick it out. */
static void
caller_block(void *arg, bool blocked)
{
    afar__waiter *waiter = arg;
    unsigned from = blocked ? WAITING : IN_CORE;

    atomic_compare_exchange_strong(&waiter->state, &from, blocked ? IN_CORE : WAITING);
}

/* Polling saves some 35 us, which is nothing to a caller that is away for much longer than it
 * waits.  While there is an event at each look the poll does not come to look at the deadline. */
static void
lead_for(afar__waiter *waiter, int64_t deadline, int64_t gap)
{
    unsigned events = 0;

    if (gap > 2 * last.took)
        afar__lead_rare(gap);
    afar__engine_lead_taken();
    while (!is_woken(waiter) &&
           afar__lead_poll(deadline, caller_stop, waiter, caller_block) == AFAR__POLLED_EVENT)
        if (++events % EVENTS_PER_LOOK == 0 && afar__now() >= deadline)
            break;
    afar__lead_release(afar__engine_self());
    afar__engine_lead_opened();
}

static void
park(afar__waiter *waiter, int64_t deadline)
{
    unsigned waiting = WAITING;

    pthread_mutex_lock(&parked.lock);
    waiter->next_parked = parked.first;
    waiter->link_parked = &parked.first;
    if (waiter->next_parked)
        waiter->next_parked->link_parked = &waiter->next_parked;
    parked.first = waiter;
    atomic_fetch_add(&parked.count, 1);
    if (!afar__lead_open() && atomic_compare_exchange_strong(&waiter->state, &waiting, PARKED)) {
        pthread_mutex_unlock(&parked.lock);
        afar__futex_wait(&waiter->state, PARKED, deadline);
        pthread_mutex_lock(&parked.lock);
    }
    if (waiter->link_parked)
        unpark_locked(waiter);
    unsigned asleep = PARKED;
    atomic_compare_exchange_strong(&waiter->state, &asleep, WAITING);
    pthread_mutex_unlock(&parked.lock);
}

/* Somebody else is in the core: looks for a while, then sleeps.  Who waits rarely sleeps at once,
 * if it is a library thread that sleeps there. */
static void
follow(afar__waiter *waiter, int64_t deadline, bool rare)
{
    int64_t until = afar__now() + PARK_WINDOW;

    if (rare && afar__engine_lead_sleeps()) {
        park(waiter, deadline);
        return;
    }
    afar__engine_ask_for_lead();
    if (until > deadline)
        until = deadline;
    do {
        if (is_woken(waiter) || afar__lead_open())
            return;
        sched_yield();
    } while (afar__now() < until);
    park(waiter, deadline);
}

afar__wait_result
afar__wait(afar__waiter *waiter, int64_t deadline)
{
    int64_t start = afar__now(), now = start;
    int64_t gap = start - last.end;
    bool woken;

    if (is_woken(waiter))
        return AFAR__WAIT_WOKEN;
    if (!afar__engine_block())
        return AFAR__WAIT_REFUSED;
    note_gap(gap);
    for (; !(woken = is_woken(waiter)) && now < deadline; now = afar__now())
        if (afar__lead_take(afar__engine_self(), false))
            lead_for(waiter, deadline, gap);
        else
            follow(waiter, deadline, gap >= PATIENCE_MAX);
    last.took = now - start;
    last.end = now;
    /* We may have been sent to look at the role, and not have needed it. */
    if (afar__lead_open())
        afar__engine_lead_opened();
    afar__engine_unblock();
    return woken ? AFAR__WAIT_WOKEN : AFAR__WAIT_TIMEOUT;
}

bool
afar__engine_when_idle(afar__task *task)
{
    if (!afar__lead_when_idle(task))
        return false;
    if (afar__lead_open())
        afar__engine_lead_opened();
    return true;
}

bool
afar__glance(void)
{
    afar__event event;
    bool found;

    if (!afar__lead_take(afar__engine_self(), false))
        return false;
    found = afar__core_next(0, &event);
    if (found)
        afar__core_dispatch(event);
    (void)afar__lead_ring();
    afar__lead_release(afar__engine_self());
    afar__engine_lead_opened();
    return found;
}

afar_code
afar__wait_refused(afar_error *err)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                     "%d handlers wait already: no thread is left to run another",
                     AFAR__MAX_THREADS - 1);
}
