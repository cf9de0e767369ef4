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
 * A call's `link` and `call` change under the lock of its reference's place and under that
 * of the link, so that whoever cancels it needs one of them.
 *
 * The parent is an afar_call with a reference, until the call is over: each new call
 * of the core needs it, and the core cancels at once what is made for one that ended. */

#include "runtime/grpc_again.h"

#include <stdlib.h>

#include "runtime/clock.h"
#include "runtime/grpc_incoming.h"
#include "runtime/grpc_link.h"
#include "runtime/grpc_outgoing.h"
#include "runtime/grpc_seek.h"

#define MOST_REPEATS 4
#define FRESH AFAR__MILLISECOND        /* the core has been polled since */
#define LOOK (100 * AFAR__MILLISECOND) /* how often a thread that waits looks around */

/* ---- calls ---- */

/* In a program that did something else nobody has polled the core since the last call.  One
 * look shows it a connection that has ended meanwhile.  Without it the call would be sent
 * into that, and nobody could say any more whether it arrived. */
static void
look_around(afar__again *again)
{
    int64_t now = afar__now();

    if (now - atomic_exchange_explicit(&again->used, now, memory_order_relaxed) > FRESH)
        (void)afar__glance();
}

afar_code
afar__again_open(afar__again *again, afar__outgoing *out, const afar__request *request,
                 afar_call *parent, grpc_slice *ret_instance, afar_error *err)
{
    afar__seek *seek = calloc(1, sizeof *seek);

    if (!seek)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a call",
                         request->method->path);
    seek->again = afar__again_ref(again);
    seek->out = out;
    seek->method = request->method;
    seek->patient = request->options && request->options->wait_for_ready;
    if (parent && request->method->kind == AFAR_UNARY) {
        afar__call_ref(parent);
        seek->parent = parent;
    }
    look_around(again);
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
        afar__seek_fail_late(seek);
    else
        afar__seek_fail(seek, AFAR_CANCELLED, "cancelled while its object was looked for");
}

/* To the place that is known now.  False, and an error, if its link is shut. */
static bool
move_locked(afar__seek *seek)
{
    afar__again *again = seek->again;
    afar__outgoing *out = seek->out;

    if (afar__link_move(again->place.link, out, parent_of(seek), &seek->error)) {
        seek->error.outcome = afar__seek_outcome(seek);
        return false;
    }
    seek->number = again->number;
    afar__outgoing_expect(out, grpc_slice_ref(again->instance));
    afar__outgoing_renew(out);
    return true;
}

/* The tag of a call that waits.  Under one lock it is seen not to be cancelled and gets its
 * new call of the core, so that whoever cancels it later cancels that one. */
static void
waited(afar__tag *tag, bool ok)
{
    afar__seek *seek = (afar__seek *)((char *)tag - offsetof(afar__seek, tag));
    afar__again *again = seek->again;
    bool moved = false;

    if (!ok && seek->out->status == GRPC_STATUS_OK)
        seek->out->status = GRPC_STATUS_CANCELLED;
    pthread_mutex_lock(&again->lock);
    if (seek->verdict == AFAR__VERDICT_NONE)
        afar__seek_leave_locked(seek);
    if (seek->cancelled || seek->verdict == AFAR__VERDICT_NONE)
        give_up(seek);
    else if (seek->verdict == AFAR__VERDICT_GO)
        moved = move_locked(seek);
    pthread_mutex_unlock(&again->lock);
    if (moved)
        seek->start(seek->out);
    else
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
    afar__seek_wait_locked(seek);
    afar__grpc_start(seek->out->call, &op, 1, &seek->tag);
}

/* Most calls find their place good: only one that waits needs a thread for it. */
bool
afar__again_hold(afar__outgoing *out)
{
    afar__seek *seek = out->seek;
    bool hold;

    pthread_mutex_lock(&seek->again->lock);
    hold = seek->again->bad && !afar__engine_background(NULL);
    if (hold)
        hold_locked(seek);
    pthread_mutex_unlock(&seek->again->lock);
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
        afar__seek_fail_late(seek);
    else if (current && afar_call_cancelled(current))
        afar__seek_fail(seek, AFAR_CANCELLED, "the call that it belongs to has ended");
    else if (afar__link_is_shut(seek->again->place.link))
        afar__seek_fail(seek, AFAR_FAILED_PRECONDITION, "the client was closed");
    else
        return false;
    return true;
}

static void
wait_for_place_locked(afar__seek *seek, int64_t deadline)
{
    afar__again *again = seek->again;
    bool leave = false;

    afar__seek_wait_locked(seek);
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
        afar__seek_leave_locked(seek);
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
    look_around(again);
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
