/* A thread's wait for its select.
 *
 *     AWAKE -> DONE            the round is done; its result stands in the select
 *     AWAKE -> ASLEEP -> DONE  and the thread sleeps on the state
 *
 * There are two ways to wait.  What can only come from threads of this process needs nobody to poll for it: the
 * thread looks at its state for a while, since who answers does so at once or is not running, and then
 * sleeps on it.  All else goes by afar__wait, which polls the core; library threads always do, for they
 * have to be replaced while they wait.
 *
 * How long it looks is learned from what looking has brought, as adaptive mutexes do: too long takes the
 * processor away from the one it waits for. */

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "runtime/call.h"
#include "runtime/channel/live.h"
#include "runtime/clock.h"
#include "runtime/futex.h"
#include "runtime/host.h"

#define MOST_LOOKS 1000
#define FEWEST_LOOKS 20
#define YIELDS 3

enum { AWAKE, DONE, ASLEEP };

static _Thread_local int looks = 100;

static bool
is_done(const afar__rest *rest)
{
    return atomic_load_explicit(&((afar__rest *)rest)->state, memory_order_acquire) == DONE;
}

static bool
has_processors(void)
{
    static atomic_int known;
    int count = atomic_load_explicit(&known, memory_order_relaxed);

    if (count == 0) {
        count = (int)sysconf(_SC_NPROCESSORS_ONLN);
        atomic_store_explicit(&known, count, memory_order_relaxed);
    }
    return count > 1;
}

static void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- told by the board ---- */

void
afar__rest_done_locked(afar__select *select)
{
    afar__rest *rest = select->user;

    if (atomic_exchange_explicit(&rest->state, DONE, memory_order_acq_rel) == ASLEEP)
        afar__channels_wake_locked(&rest->state);
    afar__waiters_wake(&rest->waiters);
}

/* ---- waiting ---- */

static bool
look(afar__rest *rest)
{
    int most = has_processors() ? 2 * looks + 10 : 0;
    int i;

    if (most > MOST_LOOKS)
        most = MOST_LOOKS;
    for (i = 0; i < most && !is_done(rest); i++)
        relax();
    looks += (i - looks) / 8;
    if (looks < FEWEST_LOOKS)
        looks = FEWEST_LOOKS;
    for (i = 0; i < YIELDS && !is_done(rest); i++)
        sched_yield();
    return is_done(rest);
}

/* False: time is up. */
static bool
sleep_here(afar__rest *rest, int64_t deadline)
{
    unsigned awake = AWAKE;

    if (look(rest))
        return true;
    if (!atomic_compare_exchange_strong(&rest->state, &awake, ASLEEP))
        return true;
    while (!is_done(rest)) {
        if (deadline != AFAR__NEVER && afar__now() >= deadline)
            break;
        afar__futex_wait(&rest->state, ASLEEP, deadline);
    }
    unsigned asleep = ASLEEP;
    return !atomic_compare_exchange_strong(&rest->state, &asleep, AWAKE);
}

static bool
wait_in_core(afar__rest *rest, int64_t deadline, bool *ret_refused)
{
    afar__wait_result result;

    result = afar__wait(&rest->waiter, deadline);
    *ret_refused = result == AFAR__WAIT_REFUSED;
    return result == AFAR__WAIT_WOKEN;
}

/* Waits without the lock, and has it again.  False: time is up, or nobody may wait here. */
static bool
wait_locked(afar__rest *rest, int64_t deadline, bool *ret_refused)
{
    bool in_core = rest->in_core;
    bool woken;

    *ret_refused = false;
    if (in_core)
        afar__waiters_add(&rest->waiters, &rest->waiter);
    afar__channels_unlock();
    woken = in_core ? wait_in_core(rest, deadline, ret_refused) : sleep_here(rest, deadline);
    afar__channels_lock();
    if (in_core)
        afar__waiters_remove(&rest->waiter);
    return woken;
}

/* Until it is done, or stopped: which may need an answer of a home elsewhere. */
static afar_code
finish_round_locked(afar__rest *rest, int64_t deadline, bool *ret_late, afar_error *err)
{
    bool refused = false, late = false, stopped = false;

    afar__host_wait(afar_call_current());
    while (!stopped && !is_done(rest)) {
        if (wait_locked(rest, late ? AFAR__NEVER : deadline, &refused) || is_done(rest))
            break;
        if (!late)
            stopped = afar__select_stop(&rest->select);
        else
            sched_yield();
        late = true;
    }
    afar__host_go_on(afar_call_current());
    *ret_late = late && !rest->select.happened;
    if (refused && *ret_late)
        return afar__wait_refused(err);
    return AFAR_OK;
}

static bool
has_to_poll_locked(const afar__rest *rest)
{
    if (rest->only)
        return afar__channel_is_visited_locked(rest->only);
    return rest->elsewhere || afar__channels_are_visited_locked();
}

void
afar__rest_open(afar__rest *rest, afar__guard *guards, size_t count, bool by_priority)
{
    rest->waiters.first = NULL;
    atomic_init(&rest->state, AWAKE);
    afar__select_open(&rest->select, afar__channels_board(), guards, count, by_priority, rest);
}

afar_code
afar__rest_round_unlock(afar__rest *rest, bool poll, int64_t deadline, afar__happened *ret_happened,
                        afar_error *err)
{
    afar__select *select = &rest->select;
    afar_code code = AFAR_OK;
    bool late = false;

    atomic_store_explicit(&rest->state, AWAKE, memory_order_relaxed);
    if (!afar__select_begin(select, poll)) {
        rest->in_core = afar__engine_is_library_thread() || has_to_poll_locked(rest);
        code = finish_round_locked(rest, deadline, &late, err);
    }
    *ret_happened = (afar__happened){ select->happened, select->code, late, select->parcel };
    if (select->code)
        afar_fail(err, select->code, "%s", select->text ? select->text : "the channel is over");
    afar__select_next(select);
    afar__channels_unlock();
    return code;
}

void
afar__rest_close(afar__rest *rest)
{
    afar__channels_lock();
    afar__select_close(&rest->select);
    afar__channels_unlock();
}
