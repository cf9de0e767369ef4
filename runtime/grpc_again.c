/* Calls on references with a finder: made again at another place, when that does no harm.
 *
 *     on its way -> over        it succeeded, or failed in a way that is final
 *     on its way -> waiting     it may be repeated: it waits for another place
 *     waiting    -> on its way  the finder gave one
 *     waiting    -> over        the finder failed; deadline, cancelled, client closed
 *
 * A call that waits is a call of the core all the same: a new one on its old link, for
 * which nothing but the status is asked.  It is never sent.  The core ends it at its
 * deadline, with its parent, when it is cancelled and when its link is shut; and it counts on
 * that link, so that closing a client does not overlook it.  A verdict is brought by
 * cancelling it, too.  So a call only changes its state when a tag comes back, on the
 * thread that polls, and its members need no lock but those that say so.
 *
 * One task at a time, on a library thread, asks the finder.  It ends when nobody waits.
 *
 * `lock` guards a reference's place and the list of who waits.  A link's lock may be taken
 * under it.  A call's `link` and `call` change under both, so that whoever cancels it
 * needs one of them.
 *
 * The parent is an afar_call with a reference, until the call is over: each new call
 * of the core needs it, and the core cancels at once what is made for one that ended. */

#include "runtime/grpc_again.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/fail.h"
#include "runtime/grpc_incoming.h"
#include "runtime/grpc_link.h"
#include "runtime/grpc_outgoing.h"

#define MOST_REPEATS 4
#define SLICE AFAR__SECOND /* of the finder's time: who waits may have gone meanwhile */
#define FIRST_PAUSE (20 * AFAR__MILLISECOND)
#define LONGEST_PAUSE AFAR__SECOND
#define LOOK (100 * AFAR__MILLISECOND) /* how often a thread that waits looks around */

struct afar__again {
    atomic_uint refs;
    afar__finder *finder;
    afar__task task;
    pthread_mutex_t lock; /* guards what follows, but not the name */
    afar__place place;
    grpc_slice instance;
    uint64_t number; /* of the place, from 1 */
    bool bad;        /* somebody failed there */
    bool looking;    /* the task runs */
    afar__seek *waiting;
    afar__waiters waiters; /* the task while it pauses; threads */
    char name[];           /* of the object */
};

grpc_slice
afar__again_instance(const afar__place *place)
{
    char digits[AFAR__INSTANCE_DIGITS];

    if (!place->has_instance)
        return grpc_empty_slice();
    afar__grpc_instance(place->instance, digits);
    return grpc_slice_from_copied_buffer(digits, sizeof digits);
}

afar_code
afar__again_new(const afar__place *place, const char *name, afar__finder *finder,
                afar__again **ret_again, afar_error *err)
{
    size_t length = strlen(name) + 1;
    afar__again *again = calloc(1, sizeof *again + length);

    if (!again) {
        finder->ops->free(finder);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a reference", name);
    }
    atomic_init(&again->refs, 1);
    pthread_mutex_init(&again->lock, NULL);
    again->finder = finder;
    again->place = *place;
    afar__link_ref(place->link);
    again->instance = afar__again_instance(place);
    again->number = 1;
    memcpy(again->name, name, length);
    *ret_again = again;
    return AFAR_OK;
}

static afar__again *
ref(afar__again *again)
{
    atomic_fetch_add_explicit(&again->refs, 1, memory_order_relaxed);
    return again;
}

void
afar__again_unref(afar__again *again)
{
    if (!again || atomic_fetch_sub_explicit(&again->refs, 1, memory_order_acq_rel) != 1)
        return;
    again->finder->ops->free(again->finder);
    grpc_slice_unref(again->instance);
    afar__link_unref(again->place.link);
    pthread_mutex_destroy(&again->lock);
    free(again);
}

/* ---- errors ---- */

static afar_outcome
outcome_of(const afar__seek *seek)
{
    return seek->unsure ? AFAR_OUTCOME_UNKNOWN : AFAR_OUTCOME_NOT_SENT;
}

/* "/bank.Account/Deposit bank/accounts/alice: " and a text. */
static void
fail(afar__seek *seek, afar_code code, const char *text)
{
    const char *name = seek->again->name;

    afar__fail_outcome(&seek->error, code, outcome_of(seek), false, "%s%s%s: %s",
                       seek->method->path, *name ? " " : "", name, text);
}

/* Its time is over before a place was found; what was wrong before is the reason. */
static void
fail_late(afar__seek *seek)
{
    const char *before = seek->error.message, *path = seek->method->path;
    const char *name = seek->again->name, *between = "";
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

/* ---- who waits ---- */

static void
leave_locked(afar__seek *seek)
{
    *seek->place = seek->next;
    if (seek->next)
        seek->next->place = seek->place;
    seek->place = NULL;
    if (!seek->again->waiting)
        afar__waiters_wake(&seek->again->waiters); /* the task: it can stop */
}

static void
tell_locked(afar__seek *seek, afar__verdict verdict)
{
    leave_locked(seek);
    seek->verdict = verdict;
    if (seek->out)
        grpc_call_cancel(seek->out->call, NULL);
    else
        afar__waiters_wake(&seek->again->waiters);
}

static void
look_for_place(afar__task *task);

static void
wait_locked(afar__seek *seek)
{
    afar__again *again = seek->again;

    if (seek->number == again->number)
        again->bad = true;
    seek->verdict = AFAR__VERDICT_NONE;
    seek->next = again->waiting;
    seek->place = &again->waiting;
    if (seek->next)
        seek->next->place = &seek->next;
    again->waiting = seek;
    if (again->looking) {
        afar__waiters_wake(&again->waiters); /* no pause for this one */
        return;
    }
    again->looking = true;
    again->task.run = look_for_place;
    ref(again);
    afar__engine_run(&again->task);
}

/* ---- the task ---- */

/* Who failed at another place than the one that is known now goes there. */
static void
release_locked(afar__again *again)
{
    afar__seek *next;

    for (afar__seek *seek = again->waiting; seek && !again->bad; seek = next) {
        next = seek->next;
        if (seek->number != again->number)
            tell_locked(seek, AFAR__VERDICT_GO);
    }
}

static void
fail_locked(afar__again *again, const afar_error *err)
{
    bool for_now = err->code == AFAR_UNAVAILABLE || err->code == AFAR_NOT_FOUND;
    afar__seek *next;

    for (afar__seek *seek = again->waiting; seek; seek = next) {
        next = seek->next;
        seek->tries++;
        fail(seek, err->code, err->message);
        if (!seek->patient || !for_now)
            tell_locked(seek, AFAR__VERDICT_FAIL);
    }
}

/* How long to let things be: whoever has tried least decides. */
static int64_t
pause_of_locked(const afar__again *again)
{
    unsigned least = 8;
    int64_t pause;

    for (const afar__seek *seek = again->waiting; seek; seek = seek->next)
        if (seek->tries < least)
            least = seek->tries;
    if (least <= 1)
        return 0;
    pause = FIRST_PAUSE << (least - 2);
    return pause < LONGEST_PAUSE ? pause : LONGEST_PAUSE;
}

/* Until the time is over, somebody new waits, or nobody does. */
static void
pause_locked(afar__again *again, int64_t pause)
{
    int64_t until = afar__now() + pause;
    afar__waiter waiter;
    bool refused;

    afar__waiters_add(&again->waiters, &waiter);
    pthread_mutex_unlock(&again->lock);
    refused = afar__wait(&waiter, until) == AFAR__WAIT_REFUSED;
    pthread_mutex_lock(&again->lock);
    afar__waiters_remove(&waiter);
    if (refused) {
        afar_error err = AFAR_ERROR_INIT;

        (void)afar__wait_refused(&err);
        fail_locked(again, &err);
    }
}

/* Asks the finder, without the lock. */
static void
ask_locked(afar__again *again)
{
    afar__place old = again->place, found = { .link = NULL };
    afar_error err = AFAR_ERROR_INIT;
    int64_t until = afar__now() + SLICE;
    grpc_slice instance = grpc_empty_slice();
    afar_code code;

    pthread_mutex_unlock(&again->lock);
    code = again->finder->ops->find(again->finder, &old, until, &found, &err);
    if (!code)
        instance = afar__again_instance(&found);
    pthread_mutex_lock(&again->lock);
    if (!code) {
        grpc_slice_unref(again->instance);
        again->instance = instance;
        again->place = found;
        again->number++;
        again->bad = false;
        release_locked(again);
        pthread_mutex_unlock(&again->lock);
        afar__link_unref(old.link);
        pthread_mutex_lock(&again->lock);
    } else if (code != AFAR_DEADLINE_EXCEEDED) {
        fail_locked(again, &err);
    } else if (again->waiting && afar__now() < until) {
        pause_locked(again, FIRST_PAUSE);
    }
    afar_error_clear(&err);
}

/* Only this task changes the place, so the link of the one it asks about stays. */
static void
look_for_place(afar__task *task)
{
    afar__again *again = (afar__again *)((char *)task - offsetof(afar__again, task));

    pthread_mutex_lock(&again->lock);
    while (release_locked(again), again->waiting) {
        int64_t pause = pause_of_locked(again);

        if (pause > 0)
            pause_locked(again, pause);
        if (again->waiting)
            ask_locked(again);
    }
    again->looking = false;
    pthread_mutex_unlock(&again->lock);
    afar__again_unref(again);
}

/* ---- calls ---- */

afar_code
afar__again_open(afar__again *again, afar__outgoing *out, const afar__request *request,
                 afar_call *parent, grpc_slice *ret_instance, afar_error *err)
{
    afar__seek *seek = calloc(1, sizeof *seek);

    if (!seek)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a call",
                         request->method->path);
    seek->again = ref(again);
    seek->out = out;
    seek->method = request->method;
    seek->patient = request->options && request->options->wait_for_ready;
    if (parent && request->method->kind == AFAR_UNARY) {
        afar__call_ref(parent);
        seek->parent = parent;
    }
    pthread_mutex_lock(&again->lock);
    seek->number = again->number;
    out->link = afar__link_ref(again->place.link);
    *ret_instance = grpc_slice_ref(again->instance);
    pthread_mutex_unlock(&again->lock);
    out->seek = seek;
    return AFAR_OK;
}

static void
let_go_of_parent(afar__seek *seek)
{
    if (seek->parent)
        afar__call_unref(seek->parent);
    seek->parent = NULL;
}

void
afar__again_close(afar__seek *seek)
{
    if (!seek)
        return;
    let_go_of_parent(seek);
    afar_error_clear(&seek->error);
    afar__again_unref(seek->again);
    free(seek);
}

static grpc_call *
parent_of(const afar__seek *seek)
{
    return seek->parent ? afar__incoming_parent(seek->parent) : NULL;
}

/* It could not be placed anew. */
static void
end(afar__seek *seek)
{
    afar__outgoing *out = seek->out;

    let_go_of_parent(seek);
    afar__outgoing_ended(out);
    seek->over(out);
}

/* What it waited as has ended by itself: its time is over, or it was cancelled. */
static void
give_up(afar__seek *seek)
{
    if (seek->out->status == GRPC_STATUS_DEADLINE_EXCEEDED)
        fail_late(seek);
    else
        fail(seek, AFAR_CANCELLED, "cancelled while its object was looked for");
}

/* At the place that is known now.  False, and an error, if its link is shut. */
static bool
start_anew(afar__seek *seek)
{
    afar__again *again = seek->again;
    afar__outgoing *out = seek->out;
    afar__link *link;
    afar_code code;

    pthread_mutex_lock(&again->lock);
    link = afar__link_ref(again->place.link);
    code = afar__link_move(link, out, parent_of(seek), &seek->error);
    if (!code) {
        seek->number = again->number;
        afar__outgoing_expect(out, grpc_slice_ref(again->instance));
        afar__outgoing_renew(out);
    }
    pthread_mutex_unlock(&again->lock);
    afar__link_unref(link);
    if (code) {
        seek->error.outcome = outcome_of(seek);
        return false;
    }
    seek->start(out);
    return true;
}

/* The tag of a call that waits. */
static void
waited(afar__tag *tag, bool ok)
{
    afar__seek *seek = (afar__seek *)((char *)tag - offsetof(afar__seek, tag));
    afar__again *again = seek->again;
    afar__verdict verdict;

    if (!ok && seek->out->status == GRPC_STATUS_OK)
        seek->out->status = GRPC_STATUS_CANCELLED;
    pthread_mutex_lock(&again->lock);
    if (seek->verdict == AFAR__VERDICT_NONE)
        leave_locked(seek);
    verdict = seek->cancelled ? AFAR__VERDICT_NONE : seek->verdict;
    pthread_mutex_unlock(&again->lock);
    if (verdict == AFAR__VERDICT_NONE)
        give_up(seek);
    if (verdict != AFAR__VERDICT_GO || !start_anew(seek))
        end(seek);
    afar__engine_background_end();
}

/* Its call of the core becomes the one that waits. */
static void
hold_locked(afar__seek *seek)
{
    grpc_op op = afar__outgoing_receive_status(seek->out);

    seek->tries++;
    seek->tag.done = waited;
    wait_locked(seek);
    afar__grpc_start(seek->out->call, &op, 1, &seek->tag);
}

bool
afar__again_hold(afar__outgoing *out)
{
    afar__seek *seek = out->seek;
    bool hold;

    if (!seek || afar__engine_background(NULL))
        return false;
    pthread_mutex_lock(&seek->again->lock);
    hold = seek->again->bad;
    if (hold)
        hold_locked(seek);
    pthread_mutex_unlock(&seek->again->lock);
    if (!hold)
        afar__engine_background_end();
    return hold;
}

/* Whether the peer went without an answer.  A server that stops drops calls that it has not
 * begun, and the core tells that as CANCELLED; when we cancel one, nothing is heard. */
static bool
is_lost(const afar__seek *seek)
{
    afar_code code = seek->error.code;

    return seek->error.outcome == AFAR_OUTCOME_UNKNOWN &&
           (code == AFAR_UNAVAILABLE ||
            (code == AFAR_CANCELLED && afar__outgoing_heard(seek->out)));
}

/* Whether repeating it does no harm: it surely did nothing, or may be done twice. */
static bool
may_repeat(const afar__seek *seek)
{
    const afar_error *error = &seek->error;

    if (error->code == AFAR_MOVED)
        return error->outcome == AFAR_OUTCOME_ANSWERED;
    if (error->code == AFAR_UNAVAILABLE && error->outcome == AFAR_OUTCOME_NOT_SENT)
        return true;
    return (seek->method->flags & AFAR_METHOD_IDEMPOTENT) && is_lost(seek);
}

/* False if it was cancelled, or its link is shut. */
static bool
park(afar__seek *seek)
{
    afar__outgoing *out = seek->out;
    afar__again *again = seek->again;
    bool parked;

    if (afar__engine_background(NULL))
        return false;
    pthread_mutex_lock(&again->lock);
    parked = !seek->cancelled && !afar__link_move(out->link, out, parent_of(seek), NULL);
    if (parked) {
        afar__outgoing_renew(out);
        hold_locked(seek);
    }
    pthread_mutex_unlock(&again->lock);
    if (!parked)
        afar__engine_background_end();
    return parked;
}

bool
afar__again_try(afar__outgoing *out)
{
    afar__seek *seek = out->seek;
    bool more;

    afar_error_clear(&seek->error);
    if (afar__outgoing_result(out, &seek->error)) {
        seek->unsure = seek->unsure || seek->error.outcome == AFAR_OUTCOME_UNKNOWN;
        more = seek->patient || seek->tries < MOST_REPEATS;
        if (may_repeat(seek) && more && park(seek))
            return true;
        if (seek->unsure &&
            (seek->error.outcome == AFAR_OUTCOME_NOT_SENT || seek->error.code == AFAR_MOVED))
            seek->error.outcome = AFAR_OUTCOME_UNKNOWN;
    }
    let_go_of_parent(seek);
    return false;
}

void
afar__again_cancel(afar__outgoing *out)
{
    afar__again *again = out->seek->again;

    pthread_mutex_lock(&again->lock);
    out->seek->cancelled = true;
    grpc_call_cancel(out->call, NULL);
    pthread_mutex_unlock(&again->lock);
}

/* ---- streams ---- */

/* Whether a thread should not wait any more. */
static bool
has_to_go_locked(afar__seek *seek, int64_t deadline)
{
    afar_call *current = afar_call_current();

    if (afar__now() >= deadline)
        fail_late(seek);
    else if (current && afar_call_cancelled(current))
        fail(seek, AFAR_CANCELLED, "the call that it belongs to has ended");
    else if (afar__link_is_shut(seek->again->place.link))
        fail(seek, AFAR_FAILED_PRECONDITION, "the client was closed");
    else
        return false;
    return true;
}

static void
wait_for_place_locked(afar__seek *seek, int64_t deadline)
{
    afar__again *again = seek->again;
    bool leave = false;

    wait_locked(seek);
    while (seek->verdict == AFAR__VERDICT_NONE && !leave) {
        int64_t until = afar__now() + LOOK;
        afar__waiter waiter;
        afar__wait_result result;

        afar__waiters_add(&again->waiters, &waiter);
        pthread_mutex_unlock(&again->lock);
        result = afar__wait(&waiter, until < deadline ? until : deadline);
        pthread_mutex_lock(&again->lock);
        afar__waiters_remove(&waiter);
        if (seek->verdict != AFAR__VERDICT_NONE)
            break;
        if (result == AFAR__WAIT_REFUSED)
            (void)afar__wait_refused(&seek->error);
        leave = result == AFAR__WAIT_REFUSED || has_to_go_locked(seek, deadline);
    }
    if (leave)
        leave_locked(seek);
}

afar_code
afar__again_ready(afar__again *again, const afar__request *request, afar_error *err)
{
    afar_call *current = afar_call_current();
    afar__seek seek = { .again = again, .method = request->method, .tries = 1 };
    int64_t deadline = request->deadline.ns;
    afar_code code = AFAR_OK;

    if (current && afar_call_deadline(current).ns < deadline)
        deadline = afar_call_deadline(current).ns;
    seek.patient = request->options && request->options->wait_for_ready;
    pthread_mutex_lock(&again->lock);
    seek.number = again->number;
    if (again->bad || !afar__link_connected(again->place.link)) {
        wait_for_place_locked(&seek, deadline);
        if (seek.verdict != AFAR__VERDICT_GO)
            code = seek.error.code;
    }
    pthread_mutex_unlock(&again->lock);
    if (code && err)
        afar_error_move(err, &seek.error);
    else
        afar_error_clear(&seek.error);
    return code;
}

void
afar__again_note(afar__outgoing *out)
{
    afar__again *again = out->seek->again;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = afar__outgoing_result(out, &err);

    if (code == AFAR_MOVED || (code == AFAR_UNAVAILABLE && err.outcome == AFAR_OUTCOME_NOT_SENT)) {
        pthread_mutex_lock(&again->lock);
        if (out->seek->number == again->number)
            again->bad = true;
        pthread_mutex_unlock(&again->lock);
    }
    afar_error_clear(&err);
}
