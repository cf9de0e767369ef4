/* The core of a session: its life, the reading of frames, the queue of events.
 *
 * A session is opened (both Hellos), may be closing (a Goodbye with NONE went one of the two
 * ways), and is over.  Each state is entered once and in this order:
 *
 *   -> opened    read_hello
 *   -> closing   afar__session_close, read_goodbye
 *   -> over      end, which all roads lead to: a broken rule, memory, silence, a broken
 *                stream, the peer's Goodbye, or nothing left of a session that closes
 *
 * There is no queue of events as such.  A frame leads to at most one event, which
 * afar__session_next returns before it reads the next frame.  What a frame or an act
 * lets happen elsewhere is noted in the calls and exports concerned (afar__session_tell), which
 * are in lists, and is told before another frame is read.  So an event costs no memory, and a
 * peer cannot make events pile up.
 *
 * Runs under the owner's lock, on whatever thread that is. */

#include "runtime/session/session.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/line.h"
#include "runtime/misuse.h"
#include "runtime/session/parts.h"

/* ---- life ---- */

afar__session *
afar__session_open(const afar__session_options *options)
{
    afar__session *session = calloc(1, sizeof *session);

    if (!session)
        return NULL;
    session->limits = afar__limits_complete(&options->limits);
    memcpy(session->instance, options->instance, sizeof session->instance);
    memcpy(session->host, options->host, sizeof session->host);
    session->has_host = options->has_host;
    session->now = session->heard = options->now;
    session->allowed = session->limits.session_bytes;
    session->answers.most = session->limits.calls;
    session->last_call = UINT64_MAX;
    session->held_bytes = sizeof *session;
    afar__queue_init(&session->free_of_charge);
    afar__queue_init(&session->paid);
    return session;
}

void
afar__session_free(afar__session *session)
{
    if (!session)
        return;
    afar__unpack_done(session);
    afar__flow_clear(session);
    afar__calls_clear(session, &session->questions);
    afar__calls_clear(session, &session->answers);
    afar__refs_clear(session);
    afar__methods_clear(session);
    free(session);
}

static void
set_text(afar__session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
set_text(afar__session *session, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    afar__line_format(session->text, sizeof session->text, format, arguments);
    va_end(arguments);
}

/* The one end of all sessions; the text has been set. */
static void
end(afar__session *session, afar__session_reason reason, bool remote)
{
    session->over = true;
    session->over_remote = remote;
    session->reason = reason;
    if (!remote && reason != AFAR__SESSION_BROKEN && !session->goodbye_sent)
        session->goodbye_due = true;
    if (remote || reason == AFAR__SESSION_BROKEN)
        session->goodbye_due = false;
    session->reader.at = session->reader.end;
    session->ping_due = session->pong_due = false;
    session->n_unknown = 0;
    session->owed = 0;
    afar__flow_clear(session);
    afar__questions_fail(session, true);
    afar__answers_end(session);
    session->first_send = session->last_send = NULL;
}

bool
afar__session_fault(afar__session *session, const char *format, ...)
{
    va_list arguments;

    if (session->over)
        return false;
    va_start(arguments, format);
    afar__line_format(session->text, sizeof session->text, format, arguments);
    va_end(arguments);
    session->goodbye_sent = false;
    end(session, AFAR__SESSION_PROTOCOL, false);
    return false;
}

bool
afar__session_exhausted(afar__session *session)
{
    if (session->over)
        return false;
    set_text(session, "out of memory");
    session->goodbye_sent = false;
    end(session, AFAR__SESSION_LIMIT, false);
    return false;
}

void
afar__session_broken(afar__session *session, const char *text)
{
    if (session->over) {
        session->goodbye_due = false;
        return;
    }
    set_text(session, "%s", text);
    end(session, AFAR__SESSION_BROKEN, false);
}

void
afar__session_close(afar__session *session)
{
    if (session->over || session->goodbye_due || session->goodbye_sent)
        return;
    session->closing = true;
    session->goodbye_due = true;
    set_text(session, "the session was closed");
    afar__questions_fail(session, false);
    afar__session_settle(session);
}

/* The Goodbye's number of calls is final when it was taken: so not before. */
void
afar__session_settle(afar__session *session)
{
    if (!session->closing || session->over || session->goodbye_due)
        return;
    if (session->open_questions == 0 && session->open_answers == 0)
        end(session, AFAR__SESSION_NONE, session->last_call != UINT64_MAX);
}

int64_t
afar__session_tick(afar__session *session, int64_t now)
{
    int64_t idle = session->limits.idle_ms * AFAR__MILLISECOND;
    int64_t dead = session->limits.dead_ms * AFAR__MILLISECOND;

    session->now = now;
    if (session->over)
        return AFAR__NEVER;
    if (now - session->heard >= dead) {
        set_text(session, "nothing came for %u ms", (unsigned)session->limits.dead_ms);
        end(session, AFAR__SESSION_SILENCE, false);
        return AFAR__NEVER;
    }
    if (!session->opened || session->ping_open)
        return session->heard + dead;
    if (now - session->heard >= idle) {
        session->ping++;
        session->ping_open = session->ping_due = true;
        return session->heard + dead;
    }
    return session->heard + (idle < dead ? idle : dead);
}

/* ---- what is to be told and sent of calls ---- */

void
afar__session_tell(afar__session *session, afar__call *call, unsigned what)
{
    call->tell = (uint8_t)(call->tell | what);
    if (call->in_tell)
        return;
    call->in_tell = true;
    call->next_tell = NULL;
    if (session->last_tell)
        session->last_tell->next_tell = call;
    else
        session->first_tell = call;
    session->last_tell = call;
}

void
afar__session_send(afar__session *session, afar__call *call, unsigned what)
{
    if (session->over)
        return;
    call->send = (uint8_t)(call->send | what);
    if (call->in_send)
        return;
    call->in_send = true;
    call->next_send = NULL;
    if (session->last_send)
        session->last_send->next_send = call;
    else
        session->first_send = call;
    session->last_send = call;
}

static void
told_returned(afar__session *session, afar__call *call, afar__session_event *event)
{
    event->kind = AFAR__SESSION_RETURNED;
    event->code = call->code;
    event->outcome = call->outcome;
    event->not_begun = call->outcome == AFAR_OUTCOME_NOT_SENT;
    event->keep = call->keep;
    event->oneway = call->oneway;
    event->text = (afar__session_span){ session->text, strlen(session->text) };
    if (call->code == AFAR_CANCELLED && !session->over)
        event->text = (afar__session_span){ "cancelled before it was sent", 28 };
}

/* Tells the next thing of a call; false if it came to nothing. */
static bool
tell_one(afar__session *session, afar__call *call, afar__session_event *event)
{
    unsigned what = call->tell & (unsigned)-(int)call->tell;

    call->tell = (uint8_t)(call->tell & ~what);
    event->call = afar__call_handle(call);
    event->user = call->user;
    event->ours = call->ours;
    switch (what) {
    case AFAR__TELL_CALLED:
        return afar__held_tell(session, call, event);
    case AFAR__TELL_RETURNED:
        told_returned(session, call, event);
        return true;
    case AFAR__TELL_CANCELLED:
        event->kind = AFAR__SESSION_CANCELLED;
        return true;
    case AFAR__TELL_WRITABLE:
        event->kind = AFAR__SESSION_WRITABLE;
        return true;
    default:
        event->kind = AFAR__SESSION_FINISHED;
        return true;
    }
}

static bool
tell_calls(afar__session *session, afar__session_event *event)
{
    while (session->first_tell) {
        afar__call *call = session->first_tell;
        bool told = call->tell && tell_one(session, call, event);

        if (!call->tell) {
            session->first_tell = call->next_tell;
            if (!session->first_tell)
                session->last_tell = NULL;
            call->in_tell = false;
            afar__call_settle(session, call);
        }
        if (told)
            return true;
        memset(event, 0, sizeof *event);
    }
    return false;
}

static bool
tell_end(afar__session *session, afar__session_event *event)
{
    if (!session->over || session->over_told)
        return false;
    session->over_told = true;
    afar__refs_clear(session);
    event->kind = AFAR__SESSION_OVER;
    event->reason = session->reason;
    event->remote = session->over_remote;
    event->text = (afar__session_span){ session->text, strlen(session->text) };
    return true;
}

/* ---- reading ---- */

void
afar__session_receive(afar__session *session, const uint8_t *data, size_t length, int64_t now)
{
    if (session->over)
        return;
    if (session->reader.at != session->reader.end)
        afar__misuse("a batch for a session that has not read the one before");
    session->now = session->heard = now;
    afar__frame_reader_init(&session->reader, data, length);
}

static bool
read_hello(afar__session *session, afar__session_event *event)
{
    const afar__frame_hello *hello = &session->frame.hello;
    const afar__limits *limits = &hello->limits;

    if (session->opened)
        return afar__session_fault(session, "a second Hello");
    if (hello->lowest > AFAR__SESSION_VERSION_1 || hello->highest < AFAR__SESSION_VERSION_1) {
        set_text(session, "no version in common: here %d to %d, there %u to %u",
                 AFAR__SESSION_VERSION_1, AFAR__SESSION_VERSION_1, (unsigned)hello->lowest,
                 (unsigned)hello->highest);
        end(session, AFAR__SESSION_VERSION, false);
        return false;
    }
    session->opened = true;
    session->peer = afar__limits_complete(&(afar__session_limits){
        limits->calls, limits->references, limits->message_bytes, limits->window_bytes,
        limits->session_bytes, limits->methods, limits->idle_ms, limits->dead_ms });
    session->questions.most = session->peer.calls;
    session->credit = session->peer.session_bytes;
    memcpy(session->peer_instance, hello->instance.data, sizeof session->peer_instance);
    session->peer_has_host = hello->host.length > 0;
    if (session->peer_has_host)
        memcpy(session->peer_host, hello->host.data, sizeof session->peer_host);
    event->kind = AFAR__SESSION_OPENED;
    return true;
}

static bool
read_goodbye(afar__session *session, afar__session_event *event)
{
    const afar__frame_goodbye *goodbye = &session->frame.goodbye;

    if (session->last_call != UINT64_MAX && goodbye->reason == AFAR__GOODBYE_NONE)
        return afar__session_fault(session, "a second Goodbye");
    if (goodbye->last_call > session->calls_sent)
        return afar__session_fault(session, "Goodbye has read %llu calls of %llu",
                                   (unsigned long long)goodbye->last_call,
                                   (unsigned long long)session->calls_sent);
    session->last_call = goodbye->last_call;
    set_text(session, "%.*s", (int)(goodbye->text.length < 150 ? goodbye->text.length : 150),
             goodbye->text.length ? (const char *)goodbye->text.data : "");
    if (goodbye->reason != AFAR__GOODBYE_NONE) {
        end(session,
            goodbye->reason <= AFAR__GOODBYE_SILENCE ? (afar__session_reason)goodbye->reason
                                                     : AFAR__SESSION_PROTOCOL,
            true);
        return false;
    }
    session->closing = true;
    afar__questions_fail(session, false);
    afar__session_settle(session);
    event->kind = AFAR__SESSION_CLOSING;
    return true;
}

static bool
read_ping(afar__session *session, uint64_t number)
{
    if (session->pong_due)
        return afar__session_fault(session, "a Ping before the Pong for the one before");
    session->pong_due = true;
    session->pong = number;
    return false;
}

static bool
read_pong(afar__session *session, uint64_t number)
{
    if (!session->ping_open || session->ping_due || number != session->ping)
        return afar__session_fault(session, "a Pong without a Ping");
    session->ping_open = false;
    return false;
}

static bool
read_unknown(afar__session *session, const afar__frame *frame)
{
    if (frame->may_ignore)
        return false;
    if (session->n_unknown == AFAR__SESSION_MAX_UNKNOWN) {
        set_text(session, "too many frames that are not known");
        end(session, AFAR__SESSION_LIMIT, false);
        return false;
    }
    session->unknown[session->n_unknown++] = frame->number;
    return false;
}

/* Frames that lead to no event by themselves. */
static void
read_quiet(afar__session *session, const afar__frame *frame)
{
    switch (frame->kind) {
    case AFAR__FRAME_CANCEL:
        afar__read_cancel(session, frame->cancel);
        break;
    case AFAR__FRAME_FINISH:
        afar__read_finish(session, frame->finish);
        break;
    case AFAR__FRAME_RELEASE:
        afar__read_release(session, &frame->release);
        break;
    case AFAR__FRAME_CREDIT:
        afar__read_credit(session, &frame->credit);
        break;
    case AFAR__FRAME_METHOD:
        afar__read_method(session, &frame->method);
        break;
    case AFAR__FRAME_PING:
        read_ping(session, frame->ping);
        break;
    case AFAR__FRAME_PONG:
        read_pong(session, frame->pong);
        break;
    case AFAR__FRAME_UNKNOWN:
        break;
    default:
        read_unknown(session, frame);
        break;
    }
}

/* True: there is an event. */
static bool
read_frame(afar__session *session, afar__session_event *event)
{
    const afar__frame *frame = &session->frame;

    if ((frame->kind == AFAR__FRAME_CALL || frame->kind == AFAR__FRAME_ITEM) &&
        frame->wire.length > frame->length + 64)
        return afar__session_fault(session, "%s has fields beside it",
                                   afar__frame_name(frame->kind));
    if (!session->opened && frame->kind != AFAR__FRAME_HELLO &&
        (frame->kind != AFAR__FRAME_GOODBYE || frame->goodbye.reason == AFAR__GOODBYE_NONE))
        return afar__session_fault(session, "%s before Hello", afar__frame_name(frame->kind));
    switch (frame->kind) {
    case AFAR__FRAME_HELLO:
        return read_hello(session, event);
    case AFAR__FRAME_CALL:
        return afar__read_call(session, event);
    case AFAR__FRAME_RETURN:
        return afar__read_return(session, event);
    case AFAR__FRAME_ITEM:
        return afar__read_item(session, event);
    case AFAR__FRAME_END:
        return afar__read_end(session, frame->end, event);
    case AFAR__FRAME_GOODBYE:
        return read_goodbye(session, event);
    default:
        read_quiet(session, frame);
        return false;
    }
}

/* The bytes that the reader stood at are no frame.  They are read again for the text: errors are
 * large, and frames that need none are many. */
static void
refuse_frame(afar__session *session, afar__frame_reader *reader)
{
    afar_error err = AFAR_ERROR_INIT;

    if (afar__frame_read(reader, &session->frame, &err) != AFAR_OK)
        afar__session_fault(session, "%s", err.message);
    afar_error_clear(&err);
}

/* Whether there is nothing to tell and nothing to read. */
static bool
is_quiet(const afar__session *session)
{
    return session->reader.at == session->reader.end && !session->first_tell &&
           !session->refs.export_look && !session->over;
}

bool
afar__session_next(afar__session *session, afar__session_event *ret_event)
{
    afar__frame_reader before;

    afar__unpack_done(session);
    if (is_quiet(session))
        return false;
    memset(ret_event, 0, sizeof *ret_event);
    for (;;) {
        if (tell_calls(session, ret_event))
            return true;
        ret_event->object = afar__export_next_released(session);
        if (ret_event->object) {
            ret_event->kind = AFAR__SESSION_RELEASED;
            ret_event->reason = session->over ? session->reason : AFAR__SESSION_NONE;
            return true;
        }
        if (session->over)
            return tell_end(session, ret_event);
        before = session->reader;
        switch (afar__frame_read(&session->reader, &session->frame, NULL)) {
        case AFAR_OK:
            if (read_frame(session, ret_event))
                return true;
            break;
        case AFAR_ENDED:
            return false;
        default:
            refuse_frame(session, &before);
            break;
        }
    }
}

/* ---- looking ---- */

afar__session_counts
afar__session_count(const afar__session *session)
{
    return (afar__session_counts){
        .questions = session->questions.used,
        .answers = session->answers.used,
        .exports = session->refs.export_used,
        .imports = session->refs.import_used,
        .exported = session->refs.exported,
        .held = session->held,
    };
}

const afar__session_limits *
afar__session_peer_limits(const afar__session *session)
{
    return &session->peer;
}

const uint8_t *
afar__session_peer_instance(const afar__session *session)
{
    return session->peer_instance;
}

const uint8_t *
afar__session_peer_host(const afar__session *session)
{
    return session->peer_has_host ? session->peer_host : NULL;
}
