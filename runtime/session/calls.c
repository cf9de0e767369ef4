/* Calls, as the owner acts on them: questions are made, cancelled and finished, answers are given.
 *
 * A call's struct is made once for its id and used again with it.  What tells one use from
 * the next is the generation, which is part of the handle: so a handle of a call that is over
 * is known as such, whatever has the id now.
 *
 *   question   made -> sent -> returned -> free; free when RETURNED was told and, for a kept one,
 *              Finish was sent
 *   answer     read (-> held) -> told -> returned -> sent -> free; free when the Return was taken
 *              and, for a kept one, Finish has come and FINISHED was told
 *
 * An answer's id is not free before its Return was taken: so a peer that calls and does not
 * read runs into its limit of calls. */

#include <stdlib.h>
#include <string.h>

#include "runtime/session/parts.h"

/* A handle: the generation, whose it is, the id. */
enum { HANDLE_ID_BITS = 24, HANDLE_BITS = 25 };

afar__session_id
afar__call_handle(const afar__call *call)
{
    return call->generation << HANDLE_BITS | (uint64_t)call->ours << HANDLE_ID_BITS | call->id;
}

afar__call *
afar__calls_find(const afar__calls *calls, uint32_t id)
{
    afar__call *call = id && id <= calls->capacity ? calls->slots[id - 1] : NULL;

    return call && call->used ? call : NULL;
}

afar__call *
afar__call_of(const afar__session *session, afar__session_id handle)
{
    const afar__calls *calls =
        handle >> HANDLE_ID_BITS & 1 ? &session->questions : &session->answers;
    afar__call *call = afar__calls_find(calls, (uint32_t)(handle & AFAR__SESSION_MAX_ID));

    return call && call->generation == handle >> HANDLE_BITS ? call : NULL;
}

/* The struct for an id, used or not; NULL without memory. */
static afar__call *
slot_of(afar__session *session, afar__calls *calls, uint32_t id)
{
    bool ours = calls == &session->questions;
    afar__call **slot;

    if (!afar__session_grow(session, (void *)&calls->slots, &calls->capacity, id, calls->most,
                            sizeof(afar__call *), !ours))
        return NULL;
    slot = &calls->slots[id - 1];
    if (!*slot) {
        *slot = calloc(1, sizeof **slot);
        if (*slot && !ours)
            session->held_bytes += sizeof **slot;
    }
    return *slot;
}

afar__call *
afar__calls_use(afar__session *session, afar__calls *calls, uint32_t id)
{
    bool ours = calls == &session->questions;
    afar__call *call = slot_of(session, calls, id);
    uint64_t generation;

    if (!call)
        return NULL;
    generation = call->generation + 1;
    *call = (afar__call){ .id = id,
                          .ours = ours,
                          .used = true,
                          .generation = generation,
                          .in_tell = call->in_tell,
                          .next_tell = call->next_tell,
                          .in_send = call->in_send,
                          .next_send = call->next_send };
    afar__queue_init(&call->queue);
    call->credit = session->peer.window_bytes;
    call->allowed = session->limits.window_bytes;
    calls->used++;
    return call;
}

void
afar__calls_clear(afar__session *session, afar__calls *calls)
{
    for (uint32_t at = 0; at < calls->capacity; at++) {
        if (calls->slots[at])
            afar__session_drop(session, calls->slots[at]->held, calls->slots[at]->held_length);
        free(calls->slots[at]);
    }
    free(calls->slots);
    free(calls->free_ids);
}

static void
question_settle(afar__session *session, afar__call *call)
{
    bool kept = call->keep && call->code == AFAR_OK;

    if (!call->returned || call->tell || call->uses)
        return;
    if ((kept && !call->finished) || (call->send & AFAR__SEND_FINISH))
        return;
    afar__flow_drop(session, call);
    call->used = false;
    call->send = 0;
    session->questions.used--;
    session->questions.free_ids[session->questions.n_free++] = call->id;
}

static void
answer_settle(afar__session *session, afar__call *call)
{
    if (!call->returned || !call->sent || call->tell || call->n_held)
        return;
    if (call->keep && !call->finished)
        return;
    call->used = false;
    call->send = 0;
    session->answers.used--;
}

void
afar__call_settle(afar__session *session, afar__call *call)
{
    if (!call->used)
        return;
    if (call->ours)
        question_settle(session, call);
    else
        answer_settle(session, call);
}

/* ---- questions ---- */

/* An id for which all memory is there; 0 without. */
static uint32_t
next_id(afar__session *session)
{
    afar__calls *calls = &session->questions;
    uint32_t *grown;

    if (calls->n_free)
        return calls->free_ids[calls->n_free - 1];
    if (!slot_of(session, calls, calls->made + 1))
        return 0;
    if (calls->free_room < calls->capacity) {
        grown = realloc(calls->free_ids, calls->capacity * sizeof *grown);
        if (!grown)
            return 0;
        calls->free_ids = grown;
        calls->free_room = calls->capacity;
    }
    return calls->made + 1;
}

bool
afar__session_can_call(const afar__session *session)
{
    return session->opened && !session->closing && !session->over &&
           session->questions.used < session->questions.most;
}

afar_code
afar__session_call(afar__session *session, const afar__session_request *request,
                   afar__session_id *ret_call, afar_error *err)
{
    afar__calls *calls = &session->questions;
    afar__waiting *waiting;
    afar__call *call;
    afar_code code;
    uint32_t id;

    if (!session->opened || session->closing || session->over)
        return afar_fail(err, AFAR_UNAVAILABLE, "the session is %s",
                         session->over      ? session->text
                         : session->closing ? "closing"
                                            : "not open yet");
    if (calls->used >= calls->most)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "the peer takes %u calls at a time",
                         (unsigned)calls->most);
    id = next_id(session);
    if (!id)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "out of memory for a call");
    code = afar__pack_call(session, request, id, &waiting, err);
    if (code != AFAR_OK)
        return code;
    call = afar__calls_use(session, calls, id); /* next_id has made it */
    if (calls->n_free)
        calls->n_free--;
    else
        calls->made++;
    call->user = request->user;
    call->keep = request->keep;
    call->oneway = request->oneway;
    call->busy = true;
    session->open_questions++;
    waiting->call = call;
    afar__flow_push(session, waiting);
    *ret_call = afar__call_handle(call);
    return AFAR_OK;
}

void
afar__question_fail(afar__session *session, afar__call *call, afar_code code, afar_outcome outcome)
{
    call->returned = true;
    call->finished = true;
    call->code = code;
    call->outcome = outcome;
    call->send = 0;
    session->open_questions--;
    afar__flow_drop(session, call);
    afar__session_tell(session, call, AFAR__TELL_RETURNED);
}

void
afar__session_cancel(afar__session *session, afar__session_id handle)
{
    afar__call *call = afar__call_of(session, handle);

    if (!call || !call->ours || call->returned || call->cancelled)
        return;
    call->cancelled = true;
    if (!call->sent && call->uses == 0) {
        afar__question_fail(session, call, AFAR_CANCELLED, AFAR_OUTCOME_NOT_SENT);
        return;
    }
    if (call->sent)
        afar__flow_drop(session, call);
    afar__session_send(session, call, AFAR__SEND_CANCEL);
}

void
afar__session_finish(afar__session *session, afar__session_id handle)
{
    afar__call *call = afar__call_of(session, handle);

    if (!call || !call->ours || !call->keep || call->finished)
        return;
    if (!call->returned && !call->sent && call->uses == 0) {
        afar__question_fail(session, call, AFAR_CANCELLED, AFAR_OUTCOME_NOT_SENT);
        return;
    }
    call->finished = true;
    afar__session_send(session, call, AFAR__SEND_FINISH);
}

/* Whether there will be no answer. */
static bool
is_lost(const afar__session *session, const afar__call *call)
{
    return !call->sent || call->number > session->last_call;
}

void
afar__questions_fail(afar__session *session, bool all)
{
    for (uint32_t id = 1; id <= session->questions.made; id++) {
        afar__call *call = afar__calls_find(&session->questions, id);

        if (!call)
            continue;
        if (!call->returned && (all || is_lost(session, call)))
            afar__question_fail(session, call, AFAR_UNAVAILABLE,
                                is_lost(session, call) ? AFAR_OUTCOME_NOT_SENT
                                                       : AFAR_OUTCOME_UNKNOWN);
        if (all) {
            call->finished = true;
            call->send = 0;
            afar__call_settle(session, call);
        }
    }
}

/* ---- answers ---- */

void
afar__session_set_user(afar__session *session, afar__session_id handle, void *user)
{
    afar__call *call = afar__call_of(session, handle);

    if (call)
        call->user = user;
}

/* Puts the Return in its place: behind the Items, unless nobody wants those. */
static void
answer(afar__session *session, afar__call *call, afar_code code, afar__waiting *waiting)
{
    call->returned = true;
    call->code = code;
    call->tell = (uint8_t)(call->tell & ~(unsigned)(AFAR__TELL_CANCELLED | AFAR__TELL_WRITABLE));
    call->send = 0;
    afar__held_drop(session, call);
    if (call->cancelled)
        afar__flow_drop(session, call);
    if (waiting)
        afar__flow_append(session, call, waiting);
    afar__answer_resolved(session, call);
}

/* The same after the end of the session. */
static void
answer_nobody(afar__session *session, afar__call *call, afar_code code)
{
    answer(session, call, code, NULL);
    call->sent = call->finished = true;
    session->open_answers--;
    afar__call_settle(session, call);
}

/* A failure that takes the place of what cannot be sent. */
static afar__waiting *
pack_failure(afar__session *session, afar__call *call, afar_code code, const char *text,
             bool not_begun)
{
    afar__session_reply reply = { .code = code,
                                  .text = { text, strlen(text) },
                                  .not_begun = not_begun };
    afar__waiting *waiting = NULL;

    if (afar__pack_return(session, &reply, call, &waiting, NULL) != AFAR_OK)
        return NULL;
    return waiting;
}

/* A reply that could not be sent is packed once more, for the text that says why: errors are large,
 * and replies that need none are many.  (If memory has come back meanwhile, the better.) */
static afar_code
replace_reply(afar__session *session, afar__call *call, const afar__session_reply *reply,
              afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    afar__waiting *waiting = NULL;
    afar_code code = afar__pack_return(session, reply, call, &waiting, &why);

    if (code != AFAR_OK) {
        waiting = pack_failure(session, call, code, why.message, false);
        afar_fail(err, code, "%s", why.message);
    }
    afar_error_clear(&why);
    if (waiting) {
        answer(session, call, code != AFAR_OK ? code : reply->code, waiting);
    } else {
        afar__session_exhausted(session);
        answer_nobody(session, call, reply->code);
    }
    return code;
}

afar_code
afar__session_return(afar__session *session, afar__session_id handle,
                     const afar__session_reply *reply, afar_error *err)
{
    afar__call *call = afar__call_of(session, handle);
    afar__waiting *waiting = NULL;

    if (!call || call->ours || call->returned || !call->told)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "no call that waits for an answer");
    if (session->over) {
        answer_nobody(session, call, reply->code);
        return AFAR_OK;
    }
    if (afar__pack_return(session, reply, call, &waiting, NULL) != AFAR_OK)
        return replace_reply(session, call, reply, err);
    answer(session, call, reply->code, waiting);
    return AFAR_OK;
}

void
afar__answer_refuse(afar__session *session, afar__call *call, afar_code code, const char *text)
{
    afar__waiting *waiting = pack_failure(session, call, code, text, true);

    if (!waiting) {
        afar__session_exhausted(session);
        return;
    }
    answer(session, call, code, waiting);
}

void
afar__answer_cancel(afar__session *session, afar__call *call)
{
    if (call->returned || call->cancelled)
        return;
    call->cancelled = true;
    if (!call->told) {
        afar__answer_refuse(session, call, AFAR_CANCELLED,
                            "cancelled while it waited for its target");
        return;
    }
    afar__flow_drop(session, call);
    afar__session_tell(session, call, AFAR__TELL_CANCELLED);
}

static void
answer_end(afar__session *session, afar__call *call)
{
    afar__held_drop(session, call);
    call->send = 0;
    if (!call->told)
        call->returned = true;
    if (!call->returned) {
        if (!call->cancelled)
            afar__session_tell(session, call, AFAR__TELL_CANCELLED);
        call->cancelled = true;
        return;
    }
    if (call->told && call->keep && call->code == AFAR_OK && !call->finished)
        afar__session_tell(session, call, AFAR__TELL_FINISHED);
    call->finished = true;
    if (!call->sent)
        session->open_answers--;
    call->sent = true;
    afar__call_settle(session, call);
}

void
afar__answers_end(afar__session *session)
{
    for (uint32_t id = 1; id <= session->answers.capacity; id++) {
        afar__call *call = afar__calls_find(&session->answers, id);

        if (call)
            answer_end(session, call);
    }
}
