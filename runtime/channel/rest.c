/* A thread's wait for its select.
 *
 *     AWAKE -> DONE            the round is done; its result stands in the select
 *     AWAKE -> ASLEEP -> DONE  and the thread sleeps on the state
 *
 * There are two ways to wait.  What can only come from threads of this process needs nobody to poll for it: the
 * thread looks at its state for a while, since who answers does so at once or is not running, and then
 * sleeps on it.  All else goes by afar__wait, which polls the core; library threads always do, for they
 * have to be replaced while they wait. */

#include <stdlib.h>
#include <string.h>

#include "runtime/call.h"
#include "runtime/channel/live.h"
#include "runtime/channel/look.h"
#include "runtime/clock.h"
#include "runtime/futex.h"
#include "runtime/host.h"

#define REFUSED_TIME (10 * AFAR__MILLISECOND)

enum { AWAKE, DONE, ASLEEP };

_Atomic int64_t afar__channel_patience = AFAR__CHANNEL_PATIENCE;

static bool
is_done(const afar__rest *rest)
{
    return atomic_load_explicit(&((afar__rest *)rest)->state, memory_order_acquire) == DONE;
}

static inline bool
has_come(const void *rest)
{
    return is_done(rest);
}

/* ---- told by the board ---- */

/* The text of an end elsewhere is that of its last loss: another thread may attach it anew, in vain, before
 * this one reads it.  That of a message that could not be sent is gone even sooner. */
void
afar__rest_keep_text_locked(afar__rest *rest)
{
    afar__select *select = &rest->select;

    if (select->text && select->happened)
        select->text = rest->text = strdup(select->text);
}

/* A thread that does not poll may be gone as soon as it sees the new state. */
void
afar__rest_done_locked(afar__rest *rest)
{
    bool in_core = rest->in_core;

    if (atomic_exchange_explicit(&rest->state, DONE, memory_order_acq_rel) == ASLEEP)
        afar__channels_wake_locked(&rest->state);
    if (in_core)
        afar__waiters_wake(&rest->waiters);
}

/* ---- waiting ---- */

/* False: time is up. */
static bool
sleep_here(afar__rest *rest, int64_t deadline)
{
    unsigned awake = AWAKE;

    if (!rest->looked && afar__look(has_come, rest))
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

/* Waits without the lock.  False: time is up, or nobody may wait here. */
static bool
wait_unlocked(afar__rest *rest, int64_t deadline, bool *ret_refused)
{
    afar__wait_result result;

    *ret_refused = false;
    if (!rest->in_core)
        return sleep_here(rest, deadline);
    result = afar__wait(&rest->waiter, deadline);
    *ret_refused = result == AFAR__WAIT_REFUSED;
    return result == AFAR__WAIT_WOKEN;
}

/* Time is up, and the answer that is under way did not come in time either: what holds the round is broken off, so
 * it will be done.  Lets the lock go and takes it again. */
static void
give_up_locked(afar__rest *rest)
{
    afar__proxy *proxy;
    afar__seat *seat;

    if (!afar__select_give_up(&rest->select, &proxy, &seat))
        return;
    if (proxy) {
        afar__end_give_up_locked(afar__proxy_user(proxy));
        return;
    }
    afar__channel_expel_unlock(seat);
    afar__channels_lock();
}

/* Under the lock: time is up.  Whether the round is over; if not, `deadline` is that of the answer. */
static bool
stop_locked(afar__rest *rest, bool late, int64_t *deadline)
{
    if (!late) {
        *deadline = afar__now() + afar__channel_patience;
        return afar__select_stop(&rest->select);
    }
    if (afar__now() >= *deadline) {
        *deadline = AFAR__NEVER;
        give_up_locked(rest);
    }
    return is_done(rest);
}

/* Until it is done, or stopped, which may need an answer from elsewhere.  Has the lock when it returns,
 * but if it was done for a thread that does not poll: nobody else knows of the select then. */
static afar_code
finish_round_unlock(afar__rest *rest, int64_t deadline, bool *ret_late, bool *ret_locked,
                    afar_error *err)
{
    bool refused = false, late = false;

    while (!*ret_locked) {
        if (rest->in_core)
            afar__waiters_add(&rest->waiters, &rest->waiter);
        afar__channels_unlock();
        if (wait_unlocked(rest, deadline, &refused) && !rest->in_core)
            break;
        /* It may wait again once another handler does not: it looks now and then. */
        if (refused && late)
            (void)sleep_here(rest, afar__now() + REFUSED_TIME);
        afar__channels_lock();
        if (rest->in_core)
            afar__waiters_remove(&rest->waiter);
        *ret_locked = is_done(rest);
        if (!*ret_locked) {
            *ret_locked = stop_locked(rest, late, &deadline);
            late = true;
        }
    }
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
    rest->text = NULL;
    atomic_init(&rest->state, AWAKE);
    afar__select_open(&rest->select, afar__channels_board(), guards, count, by_priority, rest);
}

static afar_code
wait_for_round_unlock(afar__rest *rest, int64_t deadline, bool *ret_late, bool *ret_locked,
                      afar_error *err)
{
    afar_call *call = afar_call_current();

    rest->in_core = afar__engine_is_library_thread() || has_to_poll_locked(rest);
    if (call) {
        afar__channels_unlock();
        afar__host_wait(call);
        afar__channels_lock();
        /* What came meanwhile found nobody to wake. */
        if (is_done(rest))
            return AFAR_OK;
    }
    *ret_locked = false;
    return finish_round_unlock(rest, deadline, ret_late, ret_locked, err);
}

afar_code
afar__rest_round_unlock(afar__rest *rest, bool poll, int64_t deadline, afar__happened *ret_happened,
                        afar_error *err)
{
    afar__select *select = &rest->select;
    bool late = false, locked = true, waits;
    afar_code code = AFAR_OK;

    atomic_store_explicit(&rest->state, AWAKE, memory_order_relaxed);
    waits = !afar__select_begin(select, poll);
    if (waits)
        code = wait_for_round_unlock(rest, deadline, &late, &locked, err);
    *ret_happened = (afar__happened){ select->happened, select->code, late, select->parcel };
    if (!locked && (!rest->only || select->code)) {
        afar__channels_lock();
        locked = true;
    }
    if (select->code)
        afar_fail(err, select->code, "%s", select->text ? select->text : "the channel is over");
    free(rest->text);
    rest->text = NULL;
    rest->settled = rest->only && select->happened;
    afar__select_next(select);
    if (locked)
        afar__channels_unlock();
    /* Not under the lock: it may wait for its object's other calls, which may use channels. */
    if (waits)
        afar__host_go_on(afar_call_current());
    return code;
}

void
afar__rest_close(afar__rest *rest)
{
    if (rest->settled)
        return;
    afar__channels_lock();
    afar__select_close(&rest->select);
    afar__channels_unlock();
}
