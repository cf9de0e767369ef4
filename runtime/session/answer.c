/* Calls, as frames of the peer change them.
 *
 * A frame is judged before it changes anything but the credit it costs.  What is for a call
 * that is over, since it crossed the Return, is ignored: then the references in it are
 * released and its credit is given back.
 *
 * A call to a promised object is held until the answer that promised it has returned: its
 * frames (the Call, Items, End) are kept as they came, one behind the other, and read again
 * when their turn has come.  The objects of ours that they name are pinned meanwhile. */

#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/session/parts.h"

/* What a frame costs; under 2^32 since it has passed `too_large`. */
static uint32_t
cost_of(const afar__frame *frame)
{
    return (uint32_t)frame->length + AFAR__SESSION_COST;
}

static bool
too_large(afar__session *session, size_t length)
{
    if (length <= session->limits.message_bytes)
        return false;
    afar__session_fault(session, "a payload of %zu bytes, over %u", length,
                        (unsigned)session->limits.message_bytes);
    return true;
}

/* Nobody gets it: references and credit go back. */
static void
ignore(afar__session *session, afar__call *call, const afar__list *references)
{
    if (!afar__refs_receive(session, references, false))
        return;
    afar__refs_ignore(session, references, false);
    afar__flow_give_back(session, call, cost_of(&session->frame));
}

/* ---- what is held ---- */

/* Keeps the session's frame. */
static bool
hold(afar__session *session, afar__call *call)
{
    const afar__frame *frame = &session->frame;
    uint8_t *grown = realloc(call->held, call->held_length + frame->wire.length);

    if (!grown)
        return afar__session_exhausted(session);
    memcpy(grown + call->held_length, frame->wire.data, frame->wire.length);
    call->held = grown;
    call->held_length += frame->wire.length;
    session->held_bytes += frame->wire.length;
    return true;
}

/* The call does not wait any more. */
static void
unhold(afar__session *session, afar__call *call)
{
    afar__call *promiser = call->waits_for;

    if (!promiser)
        return;
    call->waits_for = NULL;
    session->held--;
    promiser->n_held--;
    if (promiser->n_held)
        return;
    if (promiser->returned && promiser->finished && promiser->code == AFAR_OK && !session->over)
        afar__session_tell(session, promiser, AFAR__TELL_FINISHED);
    else
        afar__call_settle(session, promiser);
}

/* Takes a call out of the list of those that its promiser lets go. */
static void
unlist(afar__call *call)
{
    afar__call *promiser = call->waits_for, *before = NULL;

    if (!promiser)
        return;
    for (afar__call *at = promiser->first_held; at; before = at, at = at->next_held) {
        if (at != call)
            continue;
        if (before)
            before->next_held = call->next_held;
        else
            promiser->first_held = call->next_held;
        if (promiser->last_held == call)
            promiser->last_held = before;
        break;
    }
    call->next_held = NULL;
}

static const afar__list *
references_of(const afar__frame *frame)
{
    static const afar__list none;

    if (frame->kind == AFAR__FRAME_CALL)
        return &frame->call.references;
    return frame->kind == AFAR__FRAME_ITEM ? &frame->item.references : &none;
}

void
afar__held_drop(afar__session *session, afar__call *call)
{
    afar__frame_reader reader;
    afar__frame frame;

    if (call->held) {
        afar__frame_reader_init(&reader, call->held + call->held_at,
                                call->held_length - call->held_at);
        while (afar__frame_read(&reader, &frame, NULL) == AFAR_OK) {
            afar__refs_ignore(session, references_of(&frame), true);
            if (frame.kind != AFAR__FRAME_END)
                afar__flow_give_back(session, NULL, cost_of(&frame));
        }
        afar__session_drop(session, call->held, call->held_length);
        call->held = NULL;
    }
    call->tell = (uint8_t)(call->tell & ~(unsigned)AFAR__TELL_CALLED);
    unlist(call);
    unhold(session, call);
}

/* ---- Call ---- */

static int64_t
deadline_of(const afar__session *session, uint64_t timeout_us)
{
    if (timeout_us == 0 ||
        timeout_us > (uint64_t)(AFAR__NEVER - session->now) / (uint64_t)AFAR__MICROSECOND)
        return AFAR__NEVER;
    return session->now + (int64_t)timeout_us * AFAR__MICROSECOND;
}

static void
fill_target(afar__session *session, const afar__callee *callee, afar__session_event *event)
{
    afar__session_target *target = &event->target;
    const afar__call *promiser;

    switch (callee->kind) {
    case AFAR__CALLEE_EXPORT:
        target->kind = AFAR__SESSION_OBJECT;
        target->object = afar__export_object(session, callee->export);
        break;
    case AFAR__CALLEE_PROMISED:
        promiser = afar__calls_find(&session->answers, callee->promised.call);
        target->kind = AFAR__SESSION_PROMISED;
        target->call = afar__call_handle(promiser);
        target->path = callee->promised.path;
        target->path_length = callee->promised.n_path;
        event->target_user = promiser->user;
        break;
    default:
        target->kind = AFAR__SESSION_NAMED;
        target->name = (afar__session_span){ callee->name.data, callee->name.length };
        break;
    }
}

/* Fills the event from the session's frame, which is a Call. */
static bool
called(afar__session *session, afar__call *call, int64_t deadline, afar__session_event *event)
{
    const afar__frame_call *frame = &session->frame.call;
    const afar__list none = { .count = 0 };

    if (!afar__unpack(session, &frame->metadata, &none, &frame->references, event))
        return afar__session_exhausted(session);
    call->told = true;
    event->kind = AFAR__SESSION_CALLED;
    event->call = afar__call_handle(call);
    event->user = call->user;
    event->cost = cost_of(&session->frame);
    fill_target(session, &frame->target, event);
    event->method = afar__method_path(session, frame->method);
    event->deadline = deadline;
    event->chain = frame->chain;
    event->chain_length = frame->n_chain;
    event->keep = call->keep;
    event->oneway = call->oneway;
    event->payload = (afar__session_span){ frame->payload.data, frame->payload.length };
    return true;
}

/* What is wrong with a Call, or true. */
static bool
check_call(afar__session *session, const afar__frame_call *frame)
{
    const afar__callee *target = &frame->target;
    const afar__call *promiser;

    if (session->last_call != UINT64_MAX)
        return afar__session_fault(session, "Call %u behind Goodbye", (unsigned)frame->id);
    if (frame->id == 0 || frame->id > session->limits.calls)
        return afar__session_fault(session, "Call %u, over %u", (unsigned)frame->id,
                                   (unsigned)session->limits.calls);
    if (afar__calls_find(&session->answers, frame->id))
        return afar__session_fault(session, "Call %u is in use", (unsigned)frame->id);
    if (afar__method_path(session, frame->method).length == 0)
        return afar__session_fault(session, "Call %u has the method %u, which is none",
                                   (unsigned)frame->id, (unsigned)frame->method);
    if (too_large(session, frame->payload.length))
        return false;
    if (session->goodbye_sent || target->kind == AFAR__CALLEE_NAME)
        return true;
    if (target->kind == AFAR__CALLEE_EXPORT)
        return afar__export_known(session, target->export) ||
               afar__session_fault(session, "Call to export %u, which is none",
                                   (unsigned)target->export);
    promiser = afar__calls_find(&session->answers, target->promised.call);
    if (!promiser || !promiser->keep || promiser->finished)
        return afar__session_fault(session, "Call to the result of call %u, which is not kept",
                                   (unsigned)target->promised.call);
    return true;
}

/* Lets it wait for its promiser, with all that it brought. */
static void
wait_for(afar__session *session, afar__call *call, afar__call *promiser)
{
    call->waits_for = promiser;
    call->held_deadline = deadline_of(session, session->frame.call.timeout_us);
    promiser->n_held++;
    session->held++;
    if (promiser->last_held)
        promiser->last_held->next_held = call;
    else
        promiser->first_held = call;
    promiser->last_held = call;
    if (afar__refs_receive(session, &session->frame.call.references, true))
        hold(session, call);
}

static bool
begin_call(afar__session *session, afar__call *call, afar__session_event *event)
{
    const afar__frame_call *frame = &session->frame.call;
    afar__call *promiser = NULL;

    if (frame->target.kind == AFAR__CALLEE_PROMISED)
        promiser = afar__calls_find(&session->answers, frame->target.promised.call);
    if (promiser && !promiser->returned) {
        wait_for(session, call, promiser);
        return false;
    }
    if (promiser && promiser->code != AFAR_OK) {
        ignore(session, NULL, &frame->references);
        if (!session->over)
            afar__answer_refuse(session, call, promiser->code,
                                "the call that promised its target failed");
        return false;
    }
    return afar__refs_receive(session, &frame->references, false) &&
           called(session, call, deadline_of(session, frame->timeout_us), event);
}

bool
afar__read_call(afar__session *session, afar__session_event *event)
{
    const afar__frame_call *frame = &session->frame.call;
    afar__call *call;

    if (!check_call(session, frame) || !afar__flow_charge(session, NULL, cost_of(&session->frame)))
        return false;
    if (session->goodbye_sent) {
        ignore(session, NULL, &frame->references);
        return false;
    }
    session->calls_read++;
    call = afar__calls_use(session, &session->answers, frame->id);
    if (!call)
        return afar__session_exhausted(session);
    session->open_answers++;
    call->keep = frame->keep;
    call->oneway = frame->oneway;
    return begin_call(session, call, event);
}

/* ---- results of promises ---- */

/* Those that wait for one that fails are put behind it: they fail the same way, and a long
 * chain of promises is not a deep stack. */
void
afar__answer_resolved(afar__session *session, afar__call *promiser)
{
    afar__call *first = promiser->first_held, *last = promiser->last_held;

    promiser->first_held = promiser->last_held = NULL;
    while (first && !session->over) {
        afar__call *call = first;

        if (promiser->code != AFAR_OK && call->first_held) {
            last->next_held = call->first_held;
            last = call->last_held;
            call->first_held = call->last_held = NULL;
        }
        first = call->next_held;
        call->next_held = NULL;
        if (promiser->code == AFAR_OK)
            afar__session_tell(session, call, AFAR__TELL_CALLED);
        else
            afar__answer_refuse(session, call, promiser->code,
                                "the call that promised its target failed");
    }
    if (promiser->finished && promiser->n_held == 0 && promiser->code == AFAR_OK &&
        promiser->told && promiser->keep && !session->over)
        afar__session_tell(session, promiser, AFAR__TELL_FINISHED);
}

static bool
tell_item(afar__session *session, afar__call *call, afar__session_event *event)
{
    const afar__frame_item *frame = &session->frame.item;
    const afar__list none = { .count = 0 };

    if (!afar__unpack(session, &frame->initial, &none, &frame->references, event))
        return afar__session_exhausted(session);
    event->kind = AFAR__SESSION_ITEM;
    event->call = afar__call_handle(call);
    event->user = call->user;
    event->ours = call->ours;
    event->cost = cost_of(&session->frame);
    event->payload = (afar__session_span){ frame->payload.data, frame->payload.length };
    return true;
}

static void
tell_ended(afar__call *call, afar__session_event *event)
{
    event->kind = AFAR__SESSION_ENDED;
    event->call = afar__call_handle(call);
    event->user = call->user;
}

bool
afar__held_tell(afar__session *session, afar__call *call, afar__session_event *event)
{
    afar__frame_reader reader;
    afar__list references;
    bool told = true;

    afar__frame_reader_init(&reader, call->held + call->held_at, call->held_length - call->held_at);
    if (afar__frame_read(&reader, &session->frame, NULL) != AFAR_OK)
        return afar__session_fault(session, "a held frame cannot be read");
    call->held_at = call->held_length - (size_t)(reader.end - reader.at);
    references = *references_of(&session->frame);
    if (!afar__refs_told(session, &references))
        return false;
    if (session->frame.kind == AFAR__FRAME_CALL)
        told = called(session, call, call->held_deadline, event);
    else if (session->frame.kind == AFAR__FRAME_ITEM)
        told = tell_item(session, call, event);
    else
        tell_ended(call, event);
    if (!told)
        return false;
    if (call->held_at < call->held_length) {
        call->tell |= AFAR__TELL_CALLED;
    } else {
        session->told = call->held;
        session->told_length = call->held_length;
        call->held = NULL;
        unhold(session, call);
    }
    return true;
}

/* ---- Return ---- */

static afar_code
known_code(uint32_t code)
{
    bool known = code <= AFAR_UNAUTHENTICATED || (code >= AFAR_DEADLOCK && code <= AFAR_MOVED);

    return known ? (afar_code)code : AFAR_UNKNOWN;
}

/* The answer is here: what was still to be sent of the call is not needed. */
static void
close_question(afar__session *session, afar__call *call)
{
    call->returned = true;
    call->send = (uint8_t)(call->send & AFAR__SEND_FINISH);
    session->open_questions--;
    afar__flow_drop(session, call);
    call->tell = (uint8_t)(call->tell & ~(unsigned)AFAR__TELL_WRITABLE);
    if (call->keep && call->code != AFAR_OK && !call->finished) {
        call->finished = true;
        afar__session_send(session, call, AFAR__SEND_FINISH);
    }
}

/* Initial metadata comes with the first that is said of a call. */
static bool
is_in_place(afar__session *session, const afar__call *call, const afar__list *initial)
{
    return !call->begun || initial->count == 0 ||
           afar__session_fault(session, "initial metadata behind an Item of call %u",
                               (unsigned)call->id);
}

static void
fill_returned(const afar__frame_return *frame, const afar__call *call, afar__session_event *event)
{
    event->kind = AFAR__SESSION_RETURNED;
    event->call = afar__call_handle(call);
    event->user = call->user;
    event->ours = true;
    event->keep = call->keep;
    event->oneway = call->oneway;
    event->code = call->code;
    event->remote = true;
    event->not_begun = frame->not_begun;
    event->outcome = frame->not_begun ? AFAR_OUTCOME_NOT_SENT : AFAR_OUTCOME_ANSWERED;
    event->text = (afar__session_span){ frame->text.data, frame->text.length };
    event->details = (afar__session_span){ frame->details.data, frame->details.length };
    event->payload = (afar__session_span){ frame->payload.data, frame->payload.length };
}

bool
afar__read_return(afar__session *session, afar__session_event *event)
{
    const afar__frame_return *frame = &session->frame.returned;
    afar__call *call = afar__calls_find(&session->questions, frame->call);

    if (!call || !call->sent || call->returned)
        return afar__session_fault(session, "Return for call %u, which is not open",
                                   (unsigned)frame->call);
    if (call->oneway && (frame->payload.length || frame->references.count))
        return afar__session_fault(session, "Return with a payload for call %u, which is oneway",
                                   (unsigned)frame->call);
    if (!is_in_place(session, call, &frame->initial) || too_large(session, frame->payload.length) ||
        !afar__refs_receive(session, &frame->references, false))
        return false;
    if (!afar__unpack(session, &frame->initial, &frame->trailing, &frame->references, event))
        return afar__session_exhausted(session);
    call->code = known_code(frame->code);
    fill_returned(frame, call, event);
    close_question(session, call);
    afar__call_settle(session, call);
    afar__session_settle(session);
    return true;
}

/* ---- the rest ---- */

void
afar__read_cancel(afar__session *session, uint32_t id)
{
    afar__call *call = afar__calls_find(&session->answers, id);

    if (call)
        afar__answer_cancel(session, call);
}

void
afar__read_finish(afar__session *session, uint32_t id)
{
    afar__call *call = afar__calls_find(&session->answers, id);

    if (!call && session->goodbye_sent)
        return; /* for a call that our Goodbye crossed */
    if (!call || !call->keep || call->finished) {
        afar__session_fault(session, "Finish for call %u, which is not kept", (unsigned)id);
        return;
    }
    call->finished = true;
    if (!call->returned && call->n_held == 0)
        afar__answer_cancel(session, call);
    else if (call->returned && call->n_held == 0 && call->code == AFAR_OK)
        afar__session_tell(session, call, AFAR__TELL_FINISHED);
    else
        afar__call_settle(session, call);
}

static bool
item_to_caller(afar__session *session, afar__session_event *event)
{
    const afar__frame_item *frame = &session->frame.item;
    afar__call *call = afar__calls_find(&session->questions, frame->call);

    if (!call || !call->sent || call->returned)
        return afar__session_fault(session, "Item for call %u, which is not open",
                                   (unsigned)frame->call);
    if (!is_in_place(session, call, &frame->initial) ||
        !afar__flow_charge(session, call, cost_of(&session->frame)))
        return false;
    call->begun = true;
    if (call->cancelled || call->finished) {
        ignore(session, call, &frame->references);
        return false;
    }
    return afar__refs_receive(session, &frame->references, false) &&
           tell_item(session, call, event);
}

static bool
item_to_answer(afar__session *session, afar__session_event *event)
{
    const afar__frame_item *frame = &session->frame.item;
    afar__call *call = afar__calls_find(&session->answers, frame->call);

    if (call && call->ended)
        return afar__session_fault(session, "Item behind the End of call %u",
                                   (unsigned)frame->call);
    if (call && call->returned)
        call = NULL;
    if (!afar__flow_charge(session, call, cost_of(&session->frame)))
        return false;
    if (!call || call->cancelled) {
        ignore(session, call, &frame->references);
        return false;
    }
    if (!afar__refs_receive(session, &frame->references, !call->told))
        return false;
    if (call->told)
        return tell_item(session, call, event);
    hold(session, call);
    return false;
}

bool
afar__read_item(afar__session *session, afar__session_event *event)
{
    const afar__frame_item *frame = &session->frame.item;

    if (too_large(session, frame->payload.length))
        return false;
    return frame->to_caller ? item_to_caller(session, event) : item_to_answer(session, event);
}

bool
afar__read_end(afar__session *session, uint32_t id, afar__session_event *event)
{
    afar__call *call = afar__calls_find(&session->answers, id);

    if (!call)
        return false; /* it crossed the Return */
    if (call->ended)
        return afar__session_fault(session, "a second End of call %u", (unsigned)id);
    call->ended = true;
    if (call->returned || call->cancelled)
        return false;
    if (!call->told) {
        hold(session, call);
        return false;
    }
    tell_ended(call, event);
    return true;
}
