/* Calls of gRPC that are made again at another place.
 *
 * A call that waits is a call of the core all the same: a new one on its old link, for
 * which nothing but the status is asked.  It is never sent.  The core ends it at its
 * deadline, with its parent, when it is cancelled and when its link is shut; and it counts on
 * that link, so that closing a client does not overlook it.  A verdict is brought by
 * cancelling it, too.  So a call only changes its state when a tag comes back, on the
 * thread that polls, and its members need no lock but those that say so.
 *
 * A call's `link` and `call` change under the lock of its goal and under that of the link,
 * so that whoever cancels it needs one of them.
 *
 * The parent is an afar_call with a reference, until the call is over: each new call
 * of the core needs it, and the core cancels at once what is made for one that ended. */

#include "runtime/grpc_again.h"

#include <stdlib.h>

#include "runtime/grpc_incoming.h"
#include "runtime/grpc_outgoing.h"

static void
waited(afar__tag *tag, bool ok);

static afar__again *
again_of(afar__seek *seek)
{
    return (afar__again *)((char *)seek - offsetof(afar__again, seek));
}

/* ---- from beginning to end ---- */

/* The verdict comes with the status of what it waits as. */
static void
tell(afar__seek *seek)
{
    grpc_call_cancel(again_of(seek)->out->call, NULL);
}

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
afar__again_open(afar__goal *goal, afar__outgoing *out, const afar__request *request,
                 afar_call *parent, grpc_slice *ret_instance, afar_error *err)
{
    afar__again *again = calloc(1, sizeof *again);
    const afar__place *place;

    if (!again)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a call",
                         request->method->path);
    again->seek.tell = tell;
    again->out = out;
    again->tag.done = waited;
    if (parent && request->method->kind == AFAR_UNARY) {
        afar__call_ref(parent);
        again->parent = parent;
    }
    afar__seek_init(&again->seek, goal, request);
    pthread_mutex_lock(&goal->lock);
    place = afar__seek_go_locked(&again->seek);
    out->link = afar__link_ref(place->link);
    *ret_instance = afar__again_instance(place);
    pthread_mutex_unlock(&goal->lock);
    out->again = again;
    return AFAR_OK;
}

static void
let_go_of_parent(afar__again *again)
{
    if (again->parent)
        afar__call_unref(again->parent);
    again->parent = NULL;
}

void
afar__again_close(afar__again *again)
{
    if (!again)
        return;
    let_go_of_parent(again);
    afar__seek_clear(&again->seek);
    free(again);
}

static grpc_call *
parent_of(const afar__again *again)
{
    return again->parent ? afar__incoming_parent(again->parent) : NULL;
}

void
afar__again_cancel(afar__outgoing *out)
{
    afar__again *again = out->again;
    afar__goal *goal = again->seek.goal;

    pthread_mutex_lock(&goal->lock);
    again->cancelled = true;
    grpc_call_cancel(out->call, NULL);
    pthread_mutex_unlock(&goal->lock);
}

/* ---- waiting ---- */

/* Its call of the core becomes the one that waits. */
static void
hold_locked(afar__again *again)
{
    grpc_op op = afar__outgoing_receive_status(again->out);

    afar__seek_wait_locked(&again->seek);
    afar__grpc_start(again->out->call, &op, 1, &again->tag);
}

/* Most calls find their place good: only one that waits needs a thread for it. */
bool
afar__again_hold(afar__outgoing *out)
{
    afar__goal *goal = out->again->seek.goal;
    bool hold;

    pthread_mutex_lock(&goal->lock);
    hold = goal->bad && !afar__engine_background(NULL);
    if (hold)
        hold_locked(out->again);
    pthread_mutex_unlock(&goal->lock);
    return hold;
}

/* To the place that is known now.  False, and an error, if its link is shut. */
static bool
move_locked(afar__again *again)
{
    const afar__place *place = afar__seek_go_locked(&again->seek);
    afar__outgoing *out = again->out;

    if (afar__link_move(place->link, out, parent_of(again), &again->seek.error))
        return false;
    afar__outgoing_expect(out, afar__again_instance(place));
    afar__outgoing_renew(out);
    return true;
}

/* It could not be placed anew. */
static void
end(afar__again *again)
{
    afar__outgoing *out = again->out;

    afar__seek_conclude(&again->seek);
    let_go_of_parent(again);
    afar__outgoing_ended(out);
    again->over(out);
}

/* The tag of a call that waits.  Under one lock it is seen not to be cancelled and gets its
 * new call of the core, so that whoever cancels it later cancels that one.  What has ended
 * by itself was not told before: its time is over, or it was cancelled. */
static void
waited(afar__tag *tag, bool ok)
{
    afar__again *again = (afar__again *)((char *)tag - offsetof(afar__again, tag));
    afar__outgoing *out = again->out;
    afar__goal *goal = again->seek.goal;
    bool moved = false;

    if (!ok && out->status == GRPC_STATUS_OK)
        out->status = GRPC_STATUS_CANCELLED;
    pthread_mutex_lock(&goal->lock);
    if (afar__seek_leave_locked(&again->seek) || again->cancelled)
        afar__seek_give_up(&again->seek, out->status == GRPC_STATUS_DEADLINE_EXCEEDED);
    else if (again->seek.verdict == AFAR__VERDICT_GO)
        moved = move_locked(again);
    pthread_mutex_unlock(&goal->lock);
    if (moved)
        again->start(out);
    else
        end(again);
    afar__engine_background_end();
}

/* ---- after an attempt ---- */

/* False if it was cancelled, or its link is shut. */
static bool
park(afar__again *again)
{
    afar__goal *goal = again->seek.goal;
    afar__outgoing *out = again->out;
    bool parked;

    if (afar__engine_background(NULL))
        return false;
    pthread_mutex_lock(&goal->lock);
    parked = !again->cancelled && !afar__link_move(out->link, out, parent_of(again), NULL);
    if (parked) {
        afar__outgoing_renew(out);
        hold_locked(again);
    }
    pthread_mutex_unlock(&goal->lock);
    if (!parked)
        afar__engine_background_end();
    return parked;
}

bool
afar__again_try(afar__outgoing *out)
{
    afar__again *again = out->again;
    afar_code code;
    bool dropped;

    afar_error_clear(&again->seek.error);
    code = afar__outgoing_result(out, &again->seek.error);
    if (code) {
        /* When we cancel a call, nothing is heard. */
        dropped = code == AFAR_CANCELLED && afar__outgoing_heard(out);
        if (afar__seek_failed(&again->seek, dropped) && park(again))
            return true;
        afar__seek_conclude(&again->seek);
    }
    let_go_of_parent(again);
    return false;
}

void
afar__again_note(afar__outgoing *out)
{
    afar__seek *seek = &out->again->seek;
    afar_error err = AFAR_ERROR_INIT;

    if (afar__outgoing_result(out, &err))
        afar__goal_note(seek->goal, seek->number, &err);
    afar_error_clear(&err);
}
