/* Turns.  A serial object serves one call at a time, in the order of arrival.
 *
 *     come -> holder             at once, if nobody has the turn
 *     come -> queued -> holder   when the turn is handed on
 *     holder -> paused           its handler waits for the peer of its stream;
 *     paused -> holder           it comes back in front of the queue
 *     holder -> outer            its handler waits for a call of its own, and a call
 *     outer  -> holder           that descends from that one came in; it comes back
 *                                when that one has left
 *
 * A call that comes while a call it descends from waits in the object would wait
 * for itself.  A reentrant object lets it in; in a serial one it fails with
 * DEADLOCK.  It may have come before the holder began to wait: so the queue is
 * looked through again when it does.
 *
 * `lock` guards all of it and is not held while anything runs. */

#include "runtime/turn.h"

#include <sched.h>

#include "runtime/clock.h"

void
afar__turns_init(afar__turns *turns, afar_mode mode, unsigned limit)
{
    turns->concurrent = mode == AFAR_CONCURRENT;
    turns->reentrant = mode == AFAR_REENTRANT;
    turns->limit = limit;
    turns->holder = NULL;
    turns->queued = 0;
    turns->first = NULL;
    turns->last = &turns->first;
    pthread_mutex_init(&turns->lock, NULL);
}

void
afar__turns_clear(afar__turns *turns)
{
    pthread_mutex_destroy(&turns->lock);
}

/* ---- the queue ---- */

static void
queue_locked(afar__turns *turns, afar_call *call)
{
    call->next_turn = NULL;
    *turns->last = call;
    turns->last = &call->next_turn;
    turns->queued++;
}

static void
queue_first_locked(afar__turns *turns, afar_call *call)
{
    call->next_turn = turns->first;
    turns->first = call;
    if (!call->next_turn)
        turns->last = &call->next_turn;
    turns->queued++;
}

static afar_call *
unqueue_locked(afar__turns *turns, afar_call **place)
{
    afar_call *call = *place;

    *place = call->next_turn;
    if (!*place)
        turns->last = place;
    turns->queued--;
    return call;
}

/* ---- who may have it ---- */

/* How many calls up the one is that this call descends from: 1 is the call in whose handler it
 * was made.  0: it does not descend from it. */
static unsigned
steps_up(const afar_call *call, const afar_call *from)
{
    uint64_t id = afar__call_id_if_any(from);

    for (unsigned i = 0; id != 0 && i < call->chain_length; i++)
        if (call->chain[i] == id)
            return call->chain_length - i;
    return 0;
}

/* Whether the holder waits for this call. */
static bool
waited_for_locked(const afar__turns *turns, const afar_call *call)
{
    return turns->holder && turns->holder->waits > 0 && steps_up(call, turns->holder) > 0;
}

static void
take_locked(afar__turns *turns, afar_call *call)
{
    call->outer = turns->holder;
    call->has_turn = true;
    turns->holder = call;
}

/* Who comes next, now that something changed; it has the turn then. */
static afar_call *
next_locked(afar__turns *turns)
{
    afar_call **place = &turns->first;
    afar_call *next;

    if (turns->holder) {
        while (*place && !waited_for_locked(turns, *place))
            place = &(*place)->next_turn;
        if (!turns->reentrant)
            return NULL;
    }
    if (!*place)
        return NULL;
    next = unqueue_locked(turns, place);
    take_locked(turns, next);
    return next;
}

/* A call that has been given the turn: its thread waits for it, or it has none yet
 * and its task is to be run. */
static afar__task *
rouse_locked(afar_call *next)
{
    if (!next)
        return NULL;
    if (!next->turn_waiters.first)
        return &next->task;
    afar__waiters_wake(&next->turn_waiters);
    return NULL;
}

/* The call would wait for the holder, which waits for it.  Only while the lock is held does the
 * holder stay; it is told of by what is known of it here. */
static void
fail_locked(const afar__turns *turns, afar_call *call)
{
    const afar_call *waiting = turns->holder;
    const char *name = waiting->object_name;
    unsigned steps = steps_up(call, waiting);

    afar_call_fail(call, AFAR_DEADLOCK,
                   "%s: deadlock: this call descends from %s%s%.60s%s (%u call%s up), which waits "
                   "in the same object; make the object AFAR_REENTRANT",
                   call->method->path, waiting->method->path, name && *name ? " of \"" : "",
                   name ? name : "", name && *name ? "\"" : "", steps, steps == 1 ? "" : "s");
}

afar__turn
afar__turn_ask(afar__turns *turns, afar_call *call)
{
    afar__turn turn = AFAR__TURN_NOW;

    if (turns->concurrent)
        return turn;
    pthread_mutex_lock(&turns->lock);
    if (waited_for_locked(turns, call) && !turns->reentrant) {
        turn = AFAR__TURN_DEADLOCK;
        fail_locked(turns, call);
    } else if (!turns->holder || waited_for_locked(turns, call)) {
        take_locked(turns, call);
    } else if (turns->queued >= turns->limit) {
        turn = AFAR__TURN_FULL;
    } else {
        turn = AFAR__TURN_LATER;
        queue_locked(turns, call);
    }
    pthread_mutex_unlock(&turns->lock);
    return turn;
}

void
afar__turn_leave(afar__turns *turns, afar_call *call, bool returned)
{
    afar__task *run = NULL;

    if (turns->concurrent)
        return;
    pthread_mutex_lock(&turns->lock);
    if (call->has_turn) {
        afar_call **inner = &turns->holder;

        /* It may be an outer one: a deferred call, finished while another is inside. */
        while (*inner != call)
            inner = &(*inner)->outer;
        *inner = call->outer;
        call->has_turn = false;
        if (inner == &turns->holder && turns->holder)
            afar__waiters_wake(&turns->holder->turn_waiters);
        run = rouse_locked(next_locked(turns));
    }
    pthread_mutex_unlock(&turns->lock);
    if (run && returned)
        afar__engine_run_next(run);
    else if (run)
        afar__engine_run(run);
}

/* ---- waiting with and without it ---- */

/* Until this call is the holder.  Its handler cannot go on without, so a refused
 * wait is repeated. */
static void
wait_locked(afar__turns *turns, afar_call *call)
{
    afar__waiter waiter;

    while (turns->holder != call) {
        afar__waiters_add(&call->turn_waiters, &waiter);
        pthread_mutex_unlock(&turns->lock);
        if (afar__wait(&waiter, AFAR__NEVER) == AFAR__WAIT_REFUSED)
            sched_yield();
        pthread_mutex_lock(&turns->lock);
        afar__waiters_remove(&waiter);
    }
}

void
afar__turn_pause(afar__turns *turns, afar_call *call)
{
    call->paused = call->has_turn;
    afar__turn_leave(turns, call, false);
}

void
afar__turn_resume(afar__turns *turns, afar_call *call)
{
    if (turns->concurrent || !call->paused)
        return;
    call->paused = false;
    pthread_mutex_lock(&turns->lock);
    /* A holder that waits for this call would never hand the turn on. */
    if (!turns->holder || (turns->reentrant && waited_for_locked(turns, call))) {
        take_locked(turns, call);
    } else {
        queue_first_locked(turns, call);
        wait_locked(turns, call);
    }
    pthread_mutex_unlock(&turns->lock);
}

/* The calls of a serial object that the holder would now wait for; their errors are set. */
static afar_call *
deadlocked_locked(afar__turns *turns)
{
    afar_call **place = &turns->first, *found = NULL;

    while (*place)
        if (waited_for_locked(turns, *place) && !(*place)->turn_waiters.first) {
            afar_call *call = unqueue_locked(turns, place);

            fail_locked(turns, call);
            call->next_turn = found;
            found = call;
        } else {
            place = &(*place)->next_turn;
        }
    return found;
}

void
afar__turn_wait(afar__turns *turns, afar_call *call)
{
    afar_call *refused = NULL, *next;
    afar__task *run = NULL;

    if (turns->concurrent)
        return;
    pthread_mutex_lock(&turns->lock);
    call->waits++;
    if (turns->holder == call && turns->reentrant)
        run = rouse_locked(next_locked(turns));
    else if (turns->holder == call)
        refused = deadlocked_locked(turns);
    pthread_mutex_unlock(&turns->lock);
    if (run)
        afar__engine_run(run);
    for (; refused; refused = next) {
        next = refused->next_turn;
        afar__call_refuse(refused);
    }
}

void
afar__turn_go_on(afar__turns *turns, afar_call *call)
{
    if (turns->concurrent)
        return;
    pthread_mutex_lock(&turns->lock);
    call->waits--;
    if (call->has_turn)
        wait_locked(turns, call);
    pthread_mutex_unlock(&turns->lock);
}
