/* Seeks: who waits for another place, the task that asks for it, and what may be repeated.
 *
 *     on its way -> over        it succeeded, or failed in a way that is final
 *     on its way -> waiting     afar__seek_wait_locked: it may be repeated, or the place is bad
 *     waiting    -> on its way  told GO: the finder gave a place
 *     waiting    -> over        told FAIL, or afar__seek_leave_locked
 *
 * A seek is in the list of its goal just while it waits, and gets one verdict each time,
 * unless it leaves before.
 *
 * One task at a time, on a library thread, asks the finder, without the lock.  It ends when
 * nobody waits; only it changes the place. */

#include "runtime/seek.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/call.h>

#include "runtime/clock.h"
#include "runtime/fail.h"

#define MOST_REPEATS 4
#define LOOK (100 * AFAR__MILLISECOND) /* how often a thread that waits looks around */
#define SLICE AFAR__SECOND             /* of the finder's time: who waits may have gone meanwhile */
#define FIRST_PAUSE (20 * AFAR__MILLISECOND)
#define LONGEST_PAUSE AFAR__SECOND

/* ---- goals ---- */

afar__goal *
afar__goal_new(const afar__place *place, const char *name, afar__finder *finder)
{
    size_t length = strlen(name) + 1;
    afar__goal *goal = calloc(1, sizeof *goal + length);

    if (!goal) {
        finder->ops->free(finder);
        return NULL;
    }
    atomic_init(&goal->refs, 1);
    pthread_mutex_init(&goal->lock, NULL);
    goal->finder = finder;
    goal->place = *place;
    afar__link_ref(place->link);
    goal->number = 1;
    memcpy(goal->name, name, length);
    return goal;
}

afar__goal *
afar__goal_ref(afar__goal *goal)
{
    atomic_fetch_add_explicit(&goal->refs, 1, memory_order_relaxed);
    return goal;
}

void
afar__goal_unref(afar__goal *goal)
{
    if (!goal || atomic_fetch_sub_explicit(&goal->refs, 1, memory_order_acq_rel) != 1)
        return;
    goal->finder->ops->free(goal->finder);
    afar__link_unref(goal->place.link);
    pthread_mutex_destroy(&goal->lock);
    free(goal);
}

/* ---- errors ---- */

/* "/bank.Account/Deposit bank/accounts/alice: " and a text. */
static void
fail(afar__seek *seek, afar_code code, const char *text)
{
    const char *name = seek->goal->name;
    afar_outcome outcome = seek->unsure ? AFAR_OUTCOME_UNKNOWN : AFAR_OUTCOME_NOT_SENT;

    afar__fail_outcome(&seek->error, code, outcome, false, "%s%s%s: %s", seek->method->path,
                       *name ? " " : "", name, text);
}

/* Its time is over before a place was found; what was wrong before is the reason. */
static void
fail_late(afar__seek *seek)
{
    const char *before = seek->error.message, *path = seek->method->path;
    const char *name = seek->goal->name, *between = "";
    char text[sizeof seek->error.message + 64];

    if (strncmp(before, path, strlen(path)) == 0)
        before += strlen(path);
    if (*before == ' ' && *name && strncmp(before + 1, name, strlen(name)) == 0)
        before += 1 + strlen(name);
    if (*before)
        between = *before == ':' ? "" : *before == ' ' ? "; last tried" : ": ";
    snprintf(text, sizeof text, "not found again before the deadline%s%s", between, before);
    fail(seek, AFAR_DEADLINE_EXCEEDED, text);
}

void
afar__seek_give_up(afar__seek *seek, bool late)
{
    if (late)
        fail_late(seek);
    else
        fail(seek, AFAR_CANCELLED, "cancelled while its object was looked for");
}

void
afar__seek_conclude(afar__seek *seek)
{
    afar_error *error = &seek->error;

    if (seek->unsure && (error->outcome == AFAR_OUTCOME_NOT_SENT || error->code == AFAR_MOVED))
        error->outcome = AFAR_OUTCOME_UNKNOWN;
}

/* ---- what may be repeated ---- */

/* Whether the peer went without an answer.  A server that stops drops calls that it has not
 * begun: over gRPC they seem to be cancelled. */
static bool
is_lost(const afar_error *error, bool dropped)
{
    return error->outcome == AFAR_OUTCOME_UNKNOWN &&
           (error->code == AFAR_UNAVAILABLE || error->code == AFAR_LOST ||
            (error->code == AFAR_CANCELLED && dropped));
}

/* Whether nobody was there to send it to. */
static bool
is_unsent(const afar_error *error)
{
    return error->outcome == AFAR_OUTCOME_NOT_SENT &&
           (error->code == AFAR_UNAVAILABLE || error->code == AFAR_LOST);
}

static bool
does_no_harm(const afar__seek *seek, bool dropped)
{
    const afar_error *error = &seek->error;

    if (error->code == AFAR_MOVED)
        return error->outcome == AFAR_OUTCOME_ANSWERED;
    if (is_unsent(error))
        return true;
    return (seek->method->flags & AFAR_METHOD_IDEMPOTENT) && is_lost(error, dropped);
}

bool
afar__seek_failed(afar__seek *seek, bool dropped)
{
    seek->unsure = seek->unsure || seek->error.outcome == AFAR_OUTCOME_UNKNOWN;
    return does_no_harm(seek, dropped) && (seek->patient || seek->tries < MOST_REPEATS);
}

void
afar__goal_note(afar__goal *goal, uint64_t number, const afar_error *why)
{
    if (why->code != AFAR_MOVED && !is_unsent(why))
        return;
    pthread_mutex_lock(&goal->lock);
    if (number == goal->number)
        goal->bad = true;
    pthread_mutex_unlock(&goal->lock);
}

/* ---- who waits ---- */

void
afar__seek_init(afar__seek *seek, afar__goal *goal, const afar__request *request)
{
    seek->goal = afar__goal_ref(goal);
    seek->method = request->method;
    seek->number = 0;
    seek->tries = 0;
    seek->patient = request->options && request->options->wait_for_ready;
    seek->unsure = false;
    afar__error_init(&seek->error);
    seek->link = NULL;
    seek->verdict = AFAR__VERDICT_NONE;
}

void
afar__seek_clear(afar__seek *seek)
{
    afar_error_clear(&seek->error);
    afar__goal_unref(seek->goal);
}

const afar__place *
afar__seek_go_locked(afar__seek *seek)
{
    seek->number = seek->goal->number;
    return &seek->goal->place;
}

bool
afar__seek_leave_locked(afar__seek *seek)
{
    if (!seek->link)
        return false;
    *seek->link = seek->next;
    if (seek->next)
        seek->next->link = seek->link;
    seek->link = NULL;
    if (!seek->goal->waiting)
        afar__waiters_wake(&seek->goal->waiters); /* the task: it can stop */
    return true;
}

static void
tell_locked(afar__seek *seek, afar__verdict verdict)
{
    (void)afar__seek_leave_locked(seek);
    seek->verdict = verdict;
    seek->tell(seek);
}

static void
look_for_place(afar__task *task);

void
afar__seek_wait_locked(afar__seek *seek)
{
    afar__goal *goal = seek->goal;

    if (seek->number == goal->number)
        goal->bad = true;
    seek->tries++;
    seek->verdict = AFAR__VERDICT_NONE;
    seek->next = goal->waiting;
    seek->link = &goal->waiting;
    if (seek->next)
        seek->next->link = &seek->next;
    goal->waiting = seek;
    if (goal->looking) {
        afar__waiters_wake(&goal->waiters); /* no pause for this one */
        return;
    }
    goal->looking = true;
    goal->task.run = look_for_place;
    afar__goal_ref(goal);
    afar__engine_run(&goal->task);
}

/* ---- the task ---- */

/* Who failed at another place than the one that is known now goes there. */
static void
release_locked(afar__goal *goal)
{
    afar__seek *next;

    for (afar__seek *seek = goal->waiting; seek && !goal->bad; seek = next) {
        next = seek->next;
        if (seek->number != goal->number)
            tell_locked(seek, AFAR__VERDICT_GO);
    }
}

static void
fail_locked(afar__goal *goal, const afar_error *err)
{
    bool for_now = err->code == AFAR_UNAVAILABLE || err->code == AFAR_NOT_FOUND;
    afar__seek *next;

    for (afar__seek *seek = goal->waiting; seek; seek = next) {
        next = seek->next;
        seek->tries++;
        fail(seek, err->code, err->message);
        if (!seek->patient || !for_now)
            tell_locked(seek, AFAR__VERDICT_FAIL);
    }
}

/* How long to let things be: whoever has tried least decides. */
static int64_t
pause_of_locked(const afar__goal *goal)
{
    unsigned least = 8;
    int64_t pause;

    for (const afar__seek *seek = goal->waiting; seek; seek = seek->next)
        if (seek->tries < least)
            least = seek->tries;
    if (least <= 1)
        return 0;
    pause = FIRST_PAUSE << (least - 2);
    return pause < LONGEST_PAUSE ? pause : LONGEST_PAUSE;
}

/* Until the time is over, somebody new waits, or nobody does. */
static void
pause_locked(afar__goal *goal, int64_t pause)
{
    int64_t until = afar__now() + pause;
    afar__waiter waiter;
    bool refused;

    afar__waiters_add(&goal->waiters, &waiter);
    pthread_mutex_unlock(&goal->lock);
    refused = afar__wait(&waiter, until) == AFAR__WAIT_REFUSED;
    pthread_mutex_lock(&goal->lock);
    afar__waiters_remove(&waiter);
    if (refused) {
        afar_error err = AFAR_ERROR_INIT;

        (void)afar__wait_refused(&err);
        fail_locked(goal, &err);
    }
}

/* Asks the finder, without the lock. */
static void
ask_locked(afar__goal *goal)
{
    afar__place old = goal->place, found = { .link = NULL };
    afar_error err = AFAR_ERROR_INIT;
    int64_t until = afar__now() + SLICE;
    afar_code code;

    pthread_mutex_unlock(&goal->lock);
    code = goal->finder->ops->find(goal->finder, &old, until, &found, &err);
    pthread_mutex_lock(&goal->lock);
    if (!code) {
        goal->place = found;
        goal->number++;
        goal->bad = false;
        release_locked(goal);
        pthread_mutex_unlock(&goal->lock);
        afar__link_unref(old.link);
        pthread_mutex_lock(&goal->lock);
    } else if (code != AFAR_DEADLINE_EXCEEDED) {
        fail_locked(goal, &err);
    } else if (goal->waiting && afar__now() < until) {
        pause_locked(goal, FIRST_PAUSE);
    }
    afar_error_clear(&err);
}

/* Only this task changes the place, so the link of the one it asks about stays. */
static void
look_for_place(afar__task *task)
{
    afar__goal *goal = (afar__goal *)((char *)task - offsetof(afar__goal, task));

    pthread_mutex_lock(&goal->lock);
    while (release_locked(goal), goal->waiting) {
        int64_t pause = pause_of_locked(goal);

        if (pause > 0)
            pause_locked(goal, pause);
        if (goal->waiting)
            ask_locked(goal);
    }
    goal->looking = false;
    pthread_mutex_unlock(&goal->lock);
    afar__goal_unref(goal);
}

/* ---- threads ---- */

static void
wake(afar__seek *seek)
{
    afar__waiters_wake(&seek->goal->waiters);
}

/* Whether a thread should not wait any more. */
static bool
has_to_go_locked(afar__seek *seek, int64_t deadline)
{
    afar_call *current = afar_call_current();

    if (afar__now() >= deadline)
        fail_late(seek);
    else if (current && afar_call_cancelled(current))
        fail(seek, AFAR_CANCELLED, "the call that it belongs to has ended");
    else if (afar__link_is_shut(seek->goal->place.link))
        fail(seek, AFAR_FAILED_PRECONDITION, "the client was closed");
    else
        return false;
    return true;
}

static void
wait_for_place_locked(afar__seek *seek, int64_t deadline)
{
    afar__goal *goal = seek->goal;
    bool leave = false;

    afar__seek_wait_locked(seek);
    while (seek->verdict == AFAR__VERDICT_NONE && !leave) {
        int64_t until = afar__now() + LOOK;
        afar__waiter waiter;
        afar__wait_result result;

        afar__waiters_add(&goal->waiters, &waiter);
        pthread_mutex_unlock(&goal->lock);
        result = afar__wait(&waiter, until < deadline ? until : deadline);
        pthread_mutex_lock(&goal->lock);
        afar__waiters_remove(&waiter);
        if (seek->verdict != AFAR__VERDICT_NONE)
            break;
        if (result == AFAR__WAIT_REFUSED)
            (void)afar__wait_refused(&seek->error);
        leave = result == AFAR__WAIT_REFUSED || has_to_go_locked(seek, deadline);
    }
    (void)afar__seek_leave_locked(seek);
}

afar_code
afar__goal_ready(afar__goal *goal, const afar__request *request, afar_error *err)
{
    afar_call *current = afar_call_current();
    int64_t deadline = request->deadline.ns;
    afar__seek seek = { .tell = wake };
    const afar__place *place;
    afar_code code = AFAR_OK;

    if (current && afar_call_deadline(current).ns < deadline)
        deadline = afar_call_deadline(current).ns;
    afar__seek_init(&seek, goal, request);
    pthread_mutex_lock(&goal->lock);
    place = afar__seek_go_locked(&seek);
    if (goal->bad || !afar__link_connected(place->link)) {
        wait_for_place_locked(&seek, deadline);
        if (seek.verdict != AFAR__VERDICT_GO)
            code = seek.error.code;
    }
    pthread_mutex_unlock(&goal->lock);
    if (code && err)
        afar_error_move(err, &seek.error);
    afar__seek_clear(&seek);
    return code;
}
