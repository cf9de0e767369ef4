/* The batches that are sent.
 *
 * What is only noted comes first, then the frames that wait, by their numbers (see
 * flow.c).  A Goodbye comes last.  Notes are taken off as their frames come into the batch,
 * so memory that runs out in between loses frames: then the session is over, and its stream
 * can only be closed.
 *
 * A frame is sent, for all that the tables know, when it has been taken. */

#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/session/parts.h"
#include "runtime/wire.h"

static bool
is_full(const afar__batch *batch)
{
    return batch->length > AFAR__FRAME_MAX_BATCH - 4096;
}

/* A frame that is one number. */
static bool
add_number(afar__batch *batch, afar__frame_kind kind, uint64_t number)
{
    afar__frame frame = { .kind = kind };

    if (kind == AFAR__FRAME_PING || kind == AFAR__FRAME_PONG)
        frame.ping = number;
    else
        frame.cancel = (uint32_t)number;
    return afar__batch_add(batch, &frame);
}

static bool
add_credit(afar__batch *batch, const afar__call *call, uint32_t bytes)
{
    afar__frame frame = { .kind = AFAR__FRAME_CREDIT, .credit = { .bytes = bytes } };

    if (call) {
        frame.credit.call = call->id;
        frame.credit.to_caller = call->ours;
    }
    return afar__batch_add(batch, &frame);
}

static bool
add_hello(afar__session *session, afar__batch *batch)
{
    const afar__session_limits *limits = &session->limits;
    afar__frame frame = { .kind = AFAR__FRAME_HELLO };
    afar__frame_hello *hello = &frame.hello;

    hello->lowest = hello->highest = AFAR__SESSION_VERSION_1;
    hello->instance = (afar__bytes){ session->instance, sizeof session->instance };
    hello->host = (afar__bytes){ session->host, session->has_host ? sizeof session->host : 0 };
    hello->limits =
        (afar__limits){ limits->calls,        limits->references,    limits->message_bytes,
                        limits->window_bytes, limits->session_bytes, limits->methods,
                        limits->idle_ms,      limits->dead_ms };
    session->hello_sent = true;
    return afar__batch_add(batch, &frame);
}

static bool
add_pings(afar__session *session, afar__batch *batch)
{
    if (session->pong_due && !add_number(batch, AFAR__FRAME_PONG, session->pong))
        return false;
    session->pong_due = false;
    if (session->ping_due && !add_number(batch, AFAR__FRAME_PING, session->ping))
        return false;
    session->ping_due = false;
    for (uint32_t at = 0; at < session->n_unknown; at++)
        if (!add_number(batch, AFAR__FRAME_UNKNOWN, session->unknown[at]))
            return false;
    session->n_unknown = 0;
    return true;
}

static bool
owes_credit(const afar__session *session)
{
    return session->owed > 0 && session->owed >= session->limits.session_bytes / 4;
}

static bool
add_session_credit(afar__session *session, afar__batch *batch)
{
    uint32_t bytes = session->owed;

    if (!owes_credit(session))
        return true;
    session->allowed += bytes;
    session->owed = 0;
    return add_credit(batch, NULL, bytes);
}

static bool
add_call_credit(afar__call *call, afar__batch *batch)
{
    uint32_t bytes = call->owed;

    call->allowed += bytes;
    call->owed = 0;
    return add_credit(batch, call, bytes);
}

/* What of a call's notes can be sent: what ends it comes behind its Call, and behind calls
 * to its result. */
static unsigned
sendable(const afar__call *call)
{
    unsigned what = call->send;

    if (call->ours && !call->sent)
        what = 0;
    if (call->uses)
        what &= ~(unsigned)AFAR__SEND_FINISH;
    return what;
}

static bool
add_notes(afar__session *session, afar__call *call, afar__batch *batch)
{
    unsigned what = sendable(call);

    call->send = (uint8_t)(call->send & ~what);
    if ((what & AFAR__SEND_CREDIT) && !add_call_credit(call, batch))
        return false;
    if ((what & AFAR__SEND_CANCEL) && !add_number(batch, AFAR__FRAME_CANCEL, call->id))
        return false;
    if ((what & AFAR__SEND_FINISH) && !add_number(batch, AFAR__FRAME_FINISH, call->id))
        return false;
    afar__call_settle(session, call);
    return true;
}

/* Notes that cannot be sent yet stay in the list. */
static bool
add_all_notes(afar__session *session, afar__batch *batch)
{
    afar__call *call = session->first_send, *next;
    bool added = true;

    session->first_send = session->last_send = NULL;
    for (; call; call = next) {
        next = call->next_send;
        call->in_send = false;
        if (added && !is_full(batch))
            added = add_notes(session, call, batch);
        if (call->send)
            afar__session_send(session, call, 0);
    }
    return added;
}

static bool
has_notes(const afar__session *session)
{
    for (const afar__call *call = session->first_send; call; call = call->next_send)
        if (sendable(call))
            return true;
    return false;
}

/* ---- frames that wait ---- */

static afar__queue *
next_queue(afar__session *session)
{
    afar__waiting *free_one = session->free_of_charge.first;
    afar__waiting *paid = session->credit > 0 ? session->paid.first : NULL;

    if (!paid || (free_one && free_one->order < paid->order))
        return free_one ? &session->free_of_charge : NULL;
    return &session->paid;
}

/* It was measured with the longest one. */
static void
set_timeout(const afar__session *session, afar__waiting *waiting)
{
    int64_t left = waiting->deadline - session->now;
    uint64_t timeout = left < AFAR__MICROSECOND ? 1 : (uint64_t)(left / AFAR__MICROSECOND);

    if (waiting->deadline == AFAR__NEVER)
        return;
    if (waiting->length)
        waiting->length -= afar__wire_varint_size(waiting->frame.call.timeout_us) -
                           afar__wire_varint_size(timeout);
    waiting->frame.call.timeout_us = timeout;
}

static void
charge(afar__session *session, const afar__waiting *waiting)
{
    int64_t cost = (int64_t)waiting->length + AFAR__SESSION_COST;

    session->credit -= cost;
    if (waiting->frame.kind == AFAR__FRAME_ITEM)
        waiting->call->credit -= cost;
}

/* What the tables learn from a frame that is sent. */
static void
note_sent(afar__session *session, afar__waiting *waiting)
{
    afar__call *call = waiting->call;

    switch (waiting->frame.kind) {
    case AFAR__FRAME_CALL:
        call->sent = true;
        call->number = ++session->calls_sent;
        call->busy = false;
        break;
    case AFAR__FRAME_ITEM:
        call->busy = false;
        call->begun |= !call->ours;
        break;
    case AFAR__FRAME_RETURN:
        call->sent = true;
        session->open_answers--;
        break;
    default:
        break;
    }
}

static bool
add_waiting(afar__session *session, afar__batch *batch, afar__waiting *waiting)
{
    afar__call *call = waiting->call;

    if (waiting->frame.kind == AFAR__FRAME_CALL)
        set_timeout(session, waiting);
    if (!waiting->length)
        waiting->length = afar__frame_length(&waiting->frame);
    if (!afar__batch_add_of(batch, &waiting->frame, waiting->length)) {
        afar__flow_forget(session, waiting);
        afar__waiting_free(session, waiting, false);
        return false;
    }
    if (waiting->frame.kind == AFAR__FRAME_CALL || waiting->frame.kind == AFAR__FRAME_ITEM)
        charge(session, waiting);
    note_sent(session, waiting);
    afar__flow_forget(session, waiting);
    if (call) {
        afar__flow_advance(session, call);
        afar__call_settle(session, call);
    }
    return true;
}

/* A payload that is not copied into the batch must stay until it was written out: so frames are
 * gathered in `sent`, and freed later. */
static bool
add_queues(afar__session *session, afar__batch *batch, afar__queue *sent)
{
    afar__queue *queue;

    while ((queue = next_queue(session))) {
        afar__waiting *waiting = queue->first;

        if (batch->length && batch->length + waiting->size + 32 > AFAR__FRAME_MAX_BATCH)
            break;
        afar__queue_pop(queue);
        if (!add_waiting(session, batch, waiting))
            return false;
        afar__queue_push(sent, waiting);
    }
    return true;
}

/* ---- a batch ---- */

static bool
add_goodbye(afar__session *session, afar__batch *batch)
{
    afar__frame frame = { .kind = AFAR__FRAME_GOODBYE };
    bool over = session->over;

    frame.goodbye.reason = over ? (uint32_t)session->reason : AFAR__GOODBYE_NONE;
    frame.goodbye.text = (afar__bytes){ (const uint8_t *)session->text, strlen(session->text) };
    frame.goodbye.last_call = session->calls_read;
    session->goodbye_due = false;
    session->goodbye_sent = true;
    return afar__batch_add(batch, &frame);
}

static bool
gather(afar__session *session, afar__batch *batch, afar__queue *sent)
{
    if (!session->hello_sent && !add_hello(session, batch))
        return false;
    if (session->over)
        return !session->goodbye_due || add_goodbye(session, batch);
    if (!session->opened)
        return true;
    if (!add_pings(session, batch) || !add_session_credit(session, batch) ||
        !add_all_notes(session, batch) || !afar__refs_take(session, batch) ||
        !add_queues(session, batch, sent))
        return false;
    return !session->goodbye_due || add_goodbye(session, batch);
}

/* One piece of memory with all of it; NULL without. */
static uint8_t *
flatten(afar__batch *batch)
{
    afar__batch_place place = { 0 };
    afar__bytes piece;
    uint8_t *data, *at;

    if (batch->n_gaps == 0) {
        data = batch->bytes;
        batch->bytes = NULL;
        batch->used = batch->room = 0;
        return data;
    }
    data = at = malloc(batch->length);
    while (data && afar__batch_next(batch, &place, &piece)) {
        memcpy(at, piece.data, piece.length);
        at += piece.length;
    }
    return data;
}

bool
afar__session_wants_write(const afar__session *session)
{
    if (!session->hello_sent)
        return !session->over || session->goodbye_due;
    if (session->over)
        return session->goodbye_due;
    if (!session->opened)
        return false;
    return session->ping_due || session->pong_due || session->n_unknown || session->goodbye_due ||
           owes_credit(session) || session->free_of_charge.first ||
           (session->paid.first && session->credit > 0) || has_notes(session) ||
           afar__refs_owe(session);
}

size_t
afar__session_waiting_bytes(const afar__session *session)
{
    return session->waiting_bytes;
}

bool
afar__session_take(afar__session *session, int64_t now, uint8_t **ret_data, size_t *ret_length)
{
    afar__batch batch = { 0 };
    afar__waiting *waiting;
    uint8_t *data = NULL;
    afar__queue sent;
    bool gathered;

    session->now = now;
    if (!afar__session_wants_write(session))
        return false;
    afar__queue_init(&sent);
    gathered = gather(session, &batch, &sent);
    if (gathered && batch.length) {
        *ret_length = batch.length;
        *ret_data = data = flatten(&batch);
    }
    while ((waiting = sent.first)) {
        afar__queue_pop(&sent);
        afar__waiting_free(session, waiting, true);
    }
    if (!gathered || (batch.length && !data))
        afar__session_broken(session, "out of memory for a batch");
    afar__batch_free(&batch);
    afar__session_settle(session);
    return data != NULL;
}
