/* Acts and words on their way to another process.
 *
 * They gather in segments, each of which becomes one message of the stream.  One thread at a time sends,
 * without the lock; so their order is kept, and a stream is not closed under it.  While the connection
 * writes they go on gathering: it calls back when it has written.
 *
 * Messages with references go in segments of their own, since references are those of a whole item; large ones, too: they
 * are copied when they go, without the lock.  One that cannot be sent then (the peer takes no more references, or no
 * message as large) is only that one: something else is said instead. */

#include <stdlib.h>
#include <string.h>

#include "runtime/channel/bytes.h"
#include "runtime/channel/live.h"

#define SEGMENT_BYTES (64u * 1024)
#define MANY_SEGMENTS 8 /* then those are held up whose answers they are */

struct afar__segment {
    struct afar__segment *next;
    afar__channel_buffer buffer;
    bool alone; /* nothing but this, which is written when it goes */
    afar__step step;
};

void
afar__wire_init(afar__wire *wire, const afar__wire_ops *ops, const afar_channel_type *type)
{
    *wire = (afar__wire){ .ops = ops, .type = type };
}

static void
free_segment(struct afar__segment *segment)
{
    if (!segment)
        return;
    if (segment->alone)
        afar__parcel_free(segment->step.parcel);
    afar__channel_buffer_free(&segment->buffer);
    free(segment);
}

static void
drop_segments(struct afar__segment *segment)
{
    while (segment) {
        struct afar__segment *next = segment->next;

        free_segment(segment);
        segment = next;
    }
}

void
afar__wire_clear(afar__wire *wire)
{
    drop_segments(wire->first);
    drop_segments(wire->dropped);
    free_segment(wire->spare);
    wire->first = wire->last = wire->spare = wire->dropped = NULL;
}

/* ---- writing ---- */

static struct afar__segment *
add_segment_locked(afar__wire *wire)
{
    struct afar__segment *segment = wire->spare;

    wire->spare = NULL;
    if (!segment)
        segment = calloc(1, sizeof *segment);
    if (!segment)
        return NULL;
    if (wire->last)
        wire->last->next = segment;
    else
        wire->first = segment;
    wire->last = segment;
    wire->segments++;
    return segment;
}

static struct afar__segment *
segment_locked(afar__wire *wire)
{
    struct afar__segment *last = wire->last;

    if (last && !last->alone && last->buffer.length < SEGMENT_BYTES)
        return last;
    return add_segment_locked(wire);
}

/* Also while the connection is busy: a peer that does not read would be written to without end. */
static void
look_at_stall_locked(afar__wire *wire)
{
    bool stalled = wire->segments >= MANY_SEGMENTS;

    if (!wire->ops->stall_locked || wire->stalled == stalled)
        return;
    wire->stalled = stalled;
    wire->ops->stall_locked(wire, stalled);
}

static void
written_locked(afar__wire *wire, bool well)
{
    if (!well)
        wire->failed = true;
    if (wire->segments >= MANY_SEGMENTS)
        look_at_stall_locked(wire);
    if (!wire->waiting || wire->failed)
        afar__channels_due_locked(wire);
}

void
afar__wire_hello_locked(afar__wire *wire)
{
    const ProtobufCMessageDescriptor *message = wire->type->message;
    afar__channel_hello hello = { .version = AFAR__CHANNEL_VERSION,
                                  .carries =
                                      message == &afar__bytes_descriptor ? "" : message->name };
    struct afar__segment *segment = segment_locked(wire);

    memcpy(hello.process, afar__channels_board()->process, sizeof hello.process);
    written_locked(wire, segment && afar__channel_add_hello(&segment->buffer, &hello));
}

void
afar__wire_welcome_locked(afar__wire *wire, bool buffered)
{
    afar__channel_welcome welcome = { AFAR__CHANNEL_OFFERS, AFAR__CHANNEL_WINDOW, buffered };
    struct afar__segment *segment = segment_locked(wire);

    written_locked(wire, segment && afar__channel_add_welcome(&segment->buffer, &welcome));
}

/* The parcel goes over. */
static bool
write_alone_locked(afar__wire *wire, afar__step *step)
{
    struct afar__segment *segment = add_segment_locked(wire);

    if (!segment)
        return false;
    segment->alone = true;
    segment->step = *step;
    step->parcel = NULL;
    return true;
}

static bool
is_large(const afar__parcel *parcel)
{
    return parcel->refs || parcel->kept || parcel->length >= SEGMENT_BYTES;
}

void
afar__wire_step_locked(afar__wire *wire, afar__step *step)
{
    const afar__parcel *parcel = step->parcel;
    struct afar__segment *segment;
    bool well = true;

    if (wire->finished) {
        afar__parcel_drop_locked(step->parcel);
        return;
    }
    if (parcel && is_large(parcel)) {
        well = write_alone_locked(wire, step);
    } else {
        afar__channel_span payload = { NULL, 0 };

        if (parcel)
            payload = (afar__channel_span){ parcel->data, parcel->length };
        segment = segment_locked(wire);
        well = segment && afar__channel_add(&segment->buffer, step, payload);
    }
    afar__parcel_drop_locked(step->parcel);
    written_locked(wire, well);
}

void
afar__wire_finish_locked(afar__wire *wire)
{
    wire->finish = true;
    afar__channels_due_locked(wire);
}

/* ---- sending ---- */

void
afar__wire_open_locked(afar__wire *wire, afar__raw *raw)
{
    wire->raw = raw;
    wire->waiting = false;
    afar__channels_due_locked(wire);
}

void
afar__wire_shut_locked(afar__wire *wire)
{
    if (wire->last) {
        wire->last->next = wire->dropped;
        wire->dropped = wire->first;
        wire->first = wire->last = NULL;
        wire->segments = 0;
    }
    wire->finish = wire->finished = wire->sent = wire->failed = wire->told = false;
    if (!wire->raw && !wire->dropped)
        return;
    if (wire->raw)
        wire->shut = wire->raw;
    wire->raw = NULL;
    afar__channels_due_locked(wire);
}

static struct afar__segment *
take_locked(afar__wire *wire)
{
    struct afar__segment *segment = wire->first;

    if (segment) {
        wire->first = segment->next;
        if (!wire->first)
            wire->last = NULL;
        segment->next = NULL;
        wire->segments--;
    }
    return segment;
}

static void
keep_locked(afar__wire *wire, struct afar__segment *segment)
{
    if (wire->spare || segment->buffer.room > 4 * SEGMENT_BYTES) {
        free_segment(segment);
        return;
    }
    afar__channel_buffer_clear(&segment->buffer);
    wire->spare = segment;
}

static void
released(void *arg)
{
    afar__wire *wire = arg;

    wire->ops->released(wire);
}

/* Whether the connection writes nothing else, and the peer takes more; if not, `idle` or `writable` comes,
 * perhaps before this returns: then `waiting` is false again.  The end waits for neither: the connection may be
 * closed next, which takes what it has been given along. */
static bool
may_send_locked(afar__wire *wire)
{
    afar__raw *raw = wire->raw;
    bool idle;

    if (wire->finish)
        return true;
    wire->waiting = true;
    afar__channels_let_go();
    idle = afar__raw_idle(raw) && !afar__raw_stalled(raw);
    afar__channels_lock();
    if (idle)
        wire->waiting = false;
    return idle && wire->raw == raw;
}

static afar_code
write_now(const afar__wire *wire, struct afar__segment *segment, afar_error *err)
{
    static const uint8_t unreadable[] = { 0 };
    afar__step *step = &segment->step;
    afar__channel_span payload = { unreadable, step->kind == AFAR__STEP_MESSAGE };
    afar_code code = AFAR_OK;

    if (step->parcel)
        code = afar__parcel_renumber(&step->parcel, wire->type, err);
    if (code)
        return code;
    if (step->parcel)
        payload = (afar__channel_span){ step->parcel->data, step->parcel->length };
    if (!afar__channel_add(&segment->buffer, step, payload))
        code = afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for what is to be sent");
    return code;
}

/* What is too much for one message of the peer's, which may take less than a segment has, goes in two. */
static afar_code
send_parts(afar__raw *raw, const uint8_t *data, size_t length, afar_error *err)
{
    afar_code code = afar__raw_send(raw, data, length, NULL, err);
    size_t middle;

    if (code != AFAR_RESOURCE_EXHAUSTED)
        return code;
    middle = afar__channel_middle(data, length);
    if (middle == length)
        return code;
    afar_error_clear(err);
    code = send_parts(raw, data, middle, err);
    return code ? code : send_parts(raw, data + middle, length - middle, err);
}

static afar_code
send_segment(const afar__wire *wire, afar__raw *raw, struct afar__segment *segment, afar_error *err)
{
    afar__ref_list *refs = NULL;
    afar_code code = segment->alone ? write_now(wire, segment, err) : AFAR_OK;

    if (code)
        return code;
    if (!segment->alone)
        return send_parts(raw, segment->buffer.data, segment->buffer.length, err);
    if (segment->step.parcel)
        refs = segment->step.parcel->refs;
    return afar__raw_send(raw, segment->buffer.data, segment->buffer.length, refs, err);
}

/* The message could not be sent: what its owner says instead, if anything.  Without the lock. */
static afar_code
send_instead(afar__wire *wire, afar__raw *raw, struct afar__segment *segment, afar_error *err)
{
    afar__parcel *parcel = segment->step.parcel;
    bool says = false;

    segment->step.parcel = NULL;
    afar__channel_buffer_clear(&segment->buffer);
    afar__channels_lock();
    if (wire->raw == raw)
        says = wire->ops->unsent_locked(wire, &segment->step, err);
    afar__channels_let_go();
    afar__parcel_free(parcel);
    afar_error_clear(err);
    return says ? send_segment(wire, raw, segment, err) : AFAR_OK;
}

/* Sends one segment, or the end.  The lock is let go meanwhile. */
static void
send_one_locked(afar__wire *wire)
{
    afar__raw *raw = wire->raw;
    struct afar__segment *segment = take_locked(wire);
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;

    wire->sent = true;
    if (!segment)
        wire->finished = true;
    afar__channels_let_go();
    if (!segment)
        afar__raw_finish(raw, NULL);
    else
        code = send_segment(wire, raw, segment, &err);
    if (code && code != AFAR_CANCELLED && segment->alone)
        code = send_instead(wire, raw, segment, &err);
    /* One that is over says so itself, behind all that came before. */
    if (code && code != AFAR_CANCELLED)
        wire->ops->failed(wire, &err);
    afar_error_clear(&err);
    if (segment && segment->alone) {
        afar__parcel_free(segment->step.parcel);
        segment->alone = false;
    }
    afar__channels_lock();
    if (segment)
        keep_locked(wire, segment);
}

/* Nothing goes once something could not be written: what follows would be taken for it. */
static bool
has_work_locked(const afar__wire *wire)
{
    return wire->raw && !wire->failed && (wire->first || (wire->finish && !wire->finished));
}

static void
fail_locked(afar__wire *wire)
{
    static const afar_error no_memory = { .code = AFAR_RESOURCE_EXHAUSTED,
                                          .message = "no memory for what is to be sent" };

    if (!wire->failed || !wire->raw || wire->told)
        return;
    wire->told = true;
    afar__channels_let_go();
    wire->ops->failed(wire, &no_memory);
    afar__channels_lock();
}

/* Whoever finds it flushed by another thread has that one look again. */
static void
flush_locked(afar__wire *wire)
{
    wire->again = true;
    if (wire->flushing)
        return;
    wire->flushing = true;
    while (wire->again) {
        wire->again = false;
        if (wire->ops->rest_locked)
            wire->ops->rest_locked(wire);
        while (has_work_locked(wire) && may_send_locked(wire))
            send_one_locked(wire);
        fail_locked(wire);
    }
    wire->flushing = false;
    look_at_stall_locked(wire);
}

void
afar__wire_flush(afar__wire *wire, bool listed)
{
    struct afar__segment *dropped;
    afar__raw *shut = NULL;

    afar__channels_lock();
    if (listed)
        wire->due = false;
    flush_locked(wire);
    if (!wire->flushing) {
        shut = wire->shut;
        wire->shut = NULL;
    }
    dropped = wire->dropped;
    wire->dropped = NULL;
    /* Offers that are not held up any more may have been paired, also with those of this wire. */
    afar__channels_unlock_later();
    drop_segments(dropped);
    if (shut)
        afar__raw_close(shut, released);
}

void
afar__wire_idle(afar__wire *wire)
{
    afar__channels_lock();
    wire->waiting = false;
    afar__channels_let_go();
    afar__wire_flush(wire, false);
}
