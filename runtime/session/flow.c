/* Credit, the frames that wait for it, and the batches that are sent.
 *
 * A frame waits in one of three places:
 *
 *   call->queue      what follows in one call: Items, then its End or Return.  The first of them
 *                    goes on when no other Item of the call is among the paid and the
 *                    stream has credit.  So each stream has one turn in a round.
 *   paid             Calls and Items that need only credit of the session now, first come first
 *   free_of_charge   all others
 *
 * Frames get a number when they come into the last two, and `take` gives the lowest first,
 * passing over the paid while there is no credit.
 *
 * What needs no place in the order is not a frame before it is sent: Hello, Ping, Pong, Unknown,
 * Credit, Release, Cancel and Finish are notes in the session, its calls and imports.  They add
 * up meanwhile, so a peer that does not read cannot make them pile up.
 *
 * Credit may go below 0 by one message.  So the receiver checks that it was above 0. */

#include <string.h>

#include "runtime/clock.h"
#include "runtime/session/parts.h"
#include "runtime/spare.h"

/* ---- queues ---- */

void
afar__queue_init(afar__queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

void
afar__queue_push(afar__queue *queue, afar__waiting *waiting)
{
    waiting->next = NULL;
    *queue->last = waiting;
    queue->last = &waiting->next;
}

afar__waiting *
afar__queue_pop(afar__queue *queue)
{
    afar__waiting *waiting = queue->first;

    queue->first = waiting->next;
    if (!queue->first)
        queue->last = &queue->first;
    return waiting;
}

static bool
is_paid(const afar__waiting *waiting)
{
    return waiting->frame.kind == AFAR__FRAME_CALL || waiting->frame.kind == AFAR__FRAME_ITEM;
}

void
afar__flow_push(afar__session *session, afar__waiting *waiting)
{
    waiting->order = ++session->order;
    if (!waiting->size)
        waiting->size = afar__frame_size(&waiting->frame);
    if (waiting->call && waiting->frame.kind == AFAR__FRAME_CALL)
        waiting->call->waiting++;
    if (!waiting->call || waiting->frame.kind == AFAR__FRAME_CALL)
        session->waiting_bytes += waiting->size;
    afar__queue_push(is_paid(waiting) ? &session->paid : &session->free_of_charge, waiting);
}

void
afar__flow_advance(afar__session *session, afar__call *call)
{
    while (call->queue.first && !call->busy) {
        bool item = call->queue.first->frame.kind == AFAR__FRAME_ITEM;

        if (item && call->credit <= 0)
            break;
        call->busy = item;
        afar__flow_push(session, afar__queue_pop(&call->queue));
    }
    if (call->stalled && call->item_bytes == 0) {
        call->stalled = false;
        if (!call->returned && !call->cancelled)
            afar__session_tell(session, call, AFAR__TELL_WRITABLE);
    }
}

void
afar__flow_append(afar__session *session, afar__call *call, afar__waiting *waiting)
{
    if (!waiting->size)
        waiting->size = afar__frame_size(&waiting->frame);
    call->waiting++;
    session->waiting_bytes += waiting->size;
    if (waiting->frame.kind == AFAR__FRAME_ITEM)
        call->item_bytes += waiting->size;
    afar__queue_push(&call->queue, waiting);
    afar__flow_advance(session, call);
}

static void
drop_uses(afar__session *session, const afar__waiting *waiting)
{
    const afar__callee *target = &waiting->frame.call.target;
    afar__call *promiser;

    if (waiting->frame.kind != AFAR__FRAME_CALL)
        return;
    if (target->kind == AFAR__CALLEE_EXPORT)
        afar__import_use(session, target->export, false);
    if (target->kind != AFAR__CALLEE_PROMISED)
        return;
    promiser = afar__calls_find(&session->questions, target->promised.call);
    if (promiser && promiser->uses && --promiser->uses == 0)
        afar__call_settle(session, promiser);
}

static afar__list
references_of(const afar__frame *frame)
{
    switch (frame->kind) {
    case AFAR__FRAME_CALL:
        return frame->call.references;
    case AFAR__FRAME_ITEM:
        return frame->item.references;
    case AFAR__FRAME_RETURN:
        return frame->returned.references;
    default:
        return (afar__list){ .count = 0 };
    }
}

void
afar__waiting_free(afar__session *session, afar__waiting *waiting, bool sent)
{
    afar__list references = references_of(&waiting->frame);
    afar__reference reference;

    while (afar__list_next_reference(&references, &reference)) {
        if (reference.kind == AFAR__REFERENCE_YOURS)
            afar__import_use(session, reference.yours, false);
        else if (reference.kind == AFAR__REFERENCE_HOSTED && !sent)
            afar__export_take_back(session, reference.hosted.id);
    }
    drop_uses(session, waiting);
    afar__spare_free(waiting, waiting->memory);
}

void
afar__flow_forget(afar__session *session, afar__waiting *waiting)
{
    afar__call *call = waiting->call;

    session->waiting_bytes -= waiting->size;
    if (!call)
        return;
    call->waiting--;
    if (waiting->frame.kind == AFAR__FRAME_ITEM)
        call->item_bytes -= waiting->size;
}

/* Drops the frames of a call, or all if it is NULL. */
static void
drop(afar__session *session, afar__queue *queue, const afar__call *call)
{
    afar__waiting *waiting = queue->first, *next;

    afar__queue_init(queue);
    for (; waiting; waiting = next) {
        next = waiting->next;
        if (call && waiting->call != call) {
            afar__queue_push(queue, waiting);
            continue;
        }
        afar__flow_forget(session, waiting);
        afar__waiting_free(session, waiting, false);
    }
}

void
afar__flow_drop(afar__session *session, afar__call *call)
{
    if (call->waiting == 0)
        return;
    drop(session, &call->queue, NULL);
    drop(session, &session->paid, call);
    drop(session, &session->free_of_charge, call);
    call->busy = false;
    call->stalled = false;
}

static void
clear_queues(afar__session *session, const afar__calls *calls)
{
    for (uint32_t id = 1; id <= calls->capacity; id++) {
        afar__call *call = afar__calls_find(calls, id);

        if (call)
            drop(session, &call->queue, NULL);
    }
}

void
afar__flow_clear(afar__session *session)
{
    clear_queues(session, &session->questions);
    clear_queues(session, &session->answers);
    drop(session, &session->paid, NULL);
    drop(session, &session->free_of_charge, NULL);
}

/* ---- items ---- */

afar_code
afar__session_item(afar__session *session, afar__session_id handle,
                   const afar__session_message *message, afar_error *err)
{
    afar__call *call = afar__call_of(session, handle);
    afar__waiting *waiting;
    afar_code code;

    if (!call || session->over || call->returned || call->cancelled)
        return afar_fail(err, AFAR_CANCELLED, "the call is over");
    if (call->ours && call->ended)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "a message behind the end of the stream");
    code = afar__pack_item(session, call, message, &waiting, err);
    if (code != AFAR_OK)
        return code;
    afar__flow_append(session, call, waiting);
    if (call->credit <= (int64_t)call->item_bytes || session->credit <= 0)
        call->stalled = call->item_bytes > 0;
    return AFAR_OK;
}

bool
afar__session_stalled(const afar__session *session, afar__session_id handle)
{
    const afar__call *call = afar__call_of(session, handle);

    return call && call->stalled;
}

void
afar__session_end(afar__session *session, afar__session_id handle)
{
    afar__call *call = afar__call_of(session, handle);
    afar__waiting *waiting;

    if (!call || !call->ours || session->over || call->returned || call->cancelled || call->ended)
        return;
    waiting = afar__pack_plain(call, AFAR__FRAME_END);
    if (!waiting) {
        afar__session_exhausted(session);
        return;
    }
    waiting->frame.end = call->id;
    call->ended = true;
    afar__flow_append(session, call, waiting);
}

/* ---- credit ---- */

bool
afar__flow_charge(afar__session *session, afar__call *call, uint32_t cost)
{
    if (session->allowed <= 0)
        return afar__session_fault(session, "no credit is left on the session");
    if (call && call->allowed <= 0)
        return afar__session_fault(session, "no credit is left on call %u", (unsigned)call->id);
    session->allowed -= cost;
    if (call)
        call->allowed -= cost;
    return true;
}

/* Small pieces add up before they are sent. */
static bool
is_worth(uint32_t owed, uint32_t window)
{
    return owed > 0 && owed >= window / 4;
}

static void
give_back_of_stream(afar__session *session, afar__call *call, uint32_t cost)
{
    if (session->over || !call || call->returned || (call->ended && !call->ours))
        return;
    call->owed += cost;
    if (is_worth(call->owed, session->limits.window_bytes))
        afar__session_send(session, call, AFAR__SEND_CREDIT);
}

void
afar__flow_give_back(afar__session *session, afar__call *call, uint32_t cost)
{
    if (session->over)
        return;
    session->owed += cost;
    give_back_of_stream(session, call, cost);
}

void
afar__session_taken(afar__session *session, afar__session_id handle, uint32_t cost, bool item)
{
    afar__flow_give_back(session, item ? afar__call_of(session, handle) : NULL, cost);
}

void
afar__session_passed(afar__session *session, afar__session_id handle, uint32_t cost)
{
    give_back_of_stream(session, afar__call_of(session, handle), cost);
}

static bool
add_credit(afar__session *session, int64_t *credit, uint32_t bytes)
{
    if (*credit + bytes > INT32_MAX)
        return afar__session_fault(session, "credit of 2^31 or more");
    *credit += bytes;
    return true;
}

void
afar__read_credit(afar__session *session, const afar__frame_credit *credit)
{
    afar__call *call;

    if (credit->call == 0) {
        add_credit(session, &session->credit, credit->bytes);
        return;
    }
    call =
        afar__calls_find(credit->to_caller ? &session->answers : &session->questions, credit->call);
    if (!call || (call->ours && call->returned))
        return; /* it is over */
    if (add_credit(session, &call->credit, credit->bytes))
        afar__flow_advance(session, call);
}
