/* Ends whose home is in another process: attaching to it, and what comes from there.
 *
 *     loose -> attached -> loose    each time with a new stream
 *
 * An end attaches when it is first used, and again when it is used after a loss: one that was opened by name
 * finds the home's successor so.  Acts may be written before the stream is there.  It has one stream at a time: a new
 * one is opened when the one before has been released, so that nothing of that is taken for the new one's.
 *
 * A sender that is closed stays attached until what it posted was taken, and then ends the stream well, so
 * that the home knows that it has finished. */

#include <stdio.h>

#include "runtime/channel/live.h"

#define STEPS 64 /* that are read before the board is told, all at once */

static afar__end *
end_of(afar__wire *wire)
{
    return (afar__end *)((char *)wire - offsetof(afar__end, wire));
}

static void
ref_end(afar__wire *wire)
{
    atomic_fetch_add_explicit(&end_of(wire)->refs, 1, memory_order_relaxed);
}

static void
unref_end(afar__wire *wire)
{
    afar__end_unref(end_of(wire));
}

/* ---- losing it ---- */

/* Whether an answer of that code says that the call was not served. */
static bool
is_refusal(afar_code code)
{
    switch (code) {
    case AFAR_INVALID_ARGUMENT:
    case AFAR_NOT_FOUND:
    case AFAR_PERMISSION_DENIED:
    case AFAR_FAILED_PRECONDITION:
    case AFAR_UNIMPLEMENTED:
    case AFAR_UNAUTHENTICATED:
        return true;
    default:
        return false;
    }
}

/* What a failed call means to those who wait: why, if it never left or was refused; else that the home was lost.  It
 * may have taken what was sent though it did not say Welcome: that may have been lost on its way. */
static afar_code
code_of(const afar__end *end, const afar_error *err)
{
    if (end->welcomed || err->code == AFAR_ENDED || err->code == AFAR_CANCELLED)
        return AFAR_LOST;
    if (err->outcome == AFAR_OUTCOME_NOT_SENT ||
        (err->outcome == AFAR_OUTCOME_ANSWERED && is_refusal(err->code)))
        return err->code;
    return AFAR_LOST;
}

static void
lose_locked(afar__end *end, afar_code code, const char *text)
{
    afar__proxy_lost(end->proxy, code, text);
    end->attached = end->welcomed = end->postponed = false;
    afar__wire_shut_locked(&end->wire);
    afar__waiters_wake(&end->waiters);
}

/* Its stream could not be opened, or is over. */
static void
lose_stream_locked(afar__end *end, const afar_error *err)
{
    afar_code code = code_of(end, err);
    afar_error why = AFAR_ERROR_INIT;

    if (code == AFAR_LOST)
        afar_fail(&why, code, "the home of a channel of %s was lost: %s", end->type->message->name,
                  err->message);
    lose_locked(end, code, code == AFAR_LOST ? why.message : err->message);
    afar_error_clear(&why);
}

/* Whether what comes of a stream is about what the end is attached to. */
static bool
has_stream_locked(const afar__end *end)
{
    return end->attached && !end->postponed;
}

/* The home does not keep to the rules, or there is no memory for what it says, or for what is said to it. */
static void
give_up(afar__end *end, const afar_error *err)
{
    afar__channels_lock();
    if (has_stream_locked(end))
        lose_locked(end, AFAR_LOST, err->message);
    afar__channels_unlock();
}

static void
failed(afar__wire *wire, const afar_error *err)
{
    give_up(end_of(wire), err);
}

/* What never left did not happen. */
void
afar__end_give_up_locked(afar__end *end)
{
    const char *name = end->type->message->name;
    double seconds = afar__channel_patience_seconds();
    char text[600];

    if (end->wire.sent)
        snprintf(text, sizeof text,
                 "the home of a channel of %.400s did not answer within %g s of a deadline", name,
                 seconds);
    else
        snprintf(text, sizeof text,
                 "the home of a channel of %.400s was not reached within %g s of a deadline", name,
                 seconds);
    lose_locked(end, end->wire.sent ? AFAR_LOST : AFAR_UNAVAILABLE, text);
}

static void
released(afar__wire *wire);

/* It fails that one send; to the home it was an offer that was taken back. */
static bool
unsent_locked(afar__wire *wire, afar__step *step, const afar_error *err)
{
    afar__proxy_unsent(end_of(wire)->proxy, step, err->code, err->message);
    return true;
}

static const afar__wire_ops wire_ops = {
    ref_end, unref_end, released, unsent_locked, failed, NULL, NULL,
};

/* ---- what comes ---- */

static bool
brings_message(const afar__channel_said *said)
{
    return said->kind == AFAR__CHANNEL_STEP && said->step.kind == AFAR__STEP_MESSAGE;
}

static size_t
read_some(const afar__end *end, afar__channel_reader *reader, afar__raw_item *item,
          afar__channel_said *said, afar_code *ret_code, afar_error *err)
{
    size_t count = 0;
    bool text = false;

    *ret_code = AFAR_OK;
    while (count < STEPS && !text && !*ret_code) {
        afar__channel_said *one = &said[count];

        *ret_code = afar__channel_read(reader, one, err);
        if (*ret_code)
            break;
        text = one->step.text != NULL;
        if (brings_message(one)) {
            *ret_code = afar__parcel_read(one->payload.data, one->payload.length, end->type, item,
                                          &one->step.parcel, err);
            if (*ret_code)
                break;
        }
        count++;
    }
    return count;
}

static afar_code
take_locked(afar__end *end, afar__channel_said *said, afar_error *err)
{
    if (said->kind == AFAR__CHANNEL_STEP && end->welcomed)
        return afar__proxy_word(end->proxy, &said->step, err);
    if (said->kind == AFAR__CHANNEL_WELCOME && !end->welcomed) {
        end->welcomed = true;
        afar__proxy_limits(end->proxy, said->welcome.offers, said->welcome.window_bytes);
        afar__waiters_wake(&end->waiters);
        return AFAR_OK;
    }
    afar__parcel_drop_locked(said->step.parcel);
    return afar_fail(err, AFAR_INVALID_ARGUMENT, "the home of a channel of %s said %s",
                     end->type->message->name,
                     end->welcomed ? "Welcome twice" : "something before Welcome");
}

/* Nothing of it is under way any more: the stream may end. */
static void
settle_locked(afar__end *end)
{
    if (end->closed && end->attached && !afar__proxy_busy(end->proxy))
        afar__wire_finish_locked(&end->wire);
}

static void
came(void *arg, const uint8_t *data, size_t length, afar__raw_item *item)
{
    afar__end *end = end_of(arg);
    afar__channel_said said[STEPS];
    afar__channel_reader reader;
    afar_error err = AFAR_ERROR_INIT;
    afar_code read, code = AFAR_OK;

    afar__channel_reader_init(&reader, true, data, length);
    do {
        size_t count = read_some(end, &reader, item, said, &read, &err);

        afar__channels_lock();
        if (!has_stream_locked(end))
            code = AFAR_CANCELLED;
        for (size_t i = 0; i < count; i++)
            if (code)
                afar__parcel_drop_locked(brings_message(&said[i]) ? said[i].step.parcel : NULL);
            else
                code = take_locked(end, &said[i], &err);
        settle_locked(end);
        afar__channels_unlock();
    } while (!read && !code);
    if (code != AFAR_CANCELLED && (code || read != AFAR_ENDED))
        give_up(end, &err);
    afar_error_clear(&err);
}

static void
ended(void *arg)
{
    (void)arg;
}

static void
idle(void *arg)
{
    afar__wire_idle(arg);
}

static void
over(void *arg, const afar_error *err)
{
    afar__end *end = end_of(arg);

    afar__channels_lock();
    if (has_stream_locked(end))
        lose_stream_locked(end, err);
    afar__channels_unlock();
}

static const afar__raw_ops raw_ops = { came, ended, idle, idle, over, NULL };

/* ---- attaching ---- */

void
afar__end_bind(afar__end *end)
{
    afar__wire_init(&end->wire, &wire_ops, end->type);
}

/* Whether a stream is to be opened now. */
static bool
begin_locked(afar__end *end)
{
    const char *text;
    afar_code state = afar__proxy_state(end->proxy, &text);

    if (end->attached || end->closed || state == AFAR_ENDED || state == AFAR_POISONED)
        return false;
    end->attached = true;
    end->postponed = end->streaming;
    end->streaming = true;
    afar__wire_hello_locked(&end->wire);
    afar__proxy_attached(end->proxy);
    return !end->postponed;
}

static void
raw_released(void *arg)
{
    released(arg);
}

/* What came of it before may have ended it. */
static void
opened(afar__end *end, afar__raw *raw)
{
    bool there;

    afar__channels_lock();
    there = has_stream_locked(end);
    if (there)
        afar__wire_open_locked(&end->wire, raw);
    settle_locked(end);
    afar__channels_unlock();
    if (!there)
        afar__raw_close(raw, raw_released);
}

static void
not_opened(afar__end *end, const afar_error *err)
{
    afar_object *object;

    afar__channels_lock();
    end->streaming = false;
    lose_stream_locked(end, err);
    object = afar__end_take_object_locked(end);
    afar__channels_unlock();
    afar_object_close(object);
    unref_end(&end->wire);
}

static void
open_stream(afar__end *end)
{
    const afar_interface *interface =
        end->direction == AFAR__SENDS ? end->type->sender : end->type->receiver;
    afar_error err = AFAR_ERROR_INIT;
    afar__raw *raw = NULL;

    ref_end(&end->wire);
    if (!afar__raw_open(end->object, interface->methods, &raw_ops, &end->wire, &raw, &err))
        opened(end, raw);
    else
        not_opened(end, &err);
    afar_error_clear(&err);
}

static void
released(afar__wire *wire)
{
    afar__end *end = end_of(wire);
    afar_object *object;
    bool again;

    afar__channels_lock();
    again = end->postponed;
    end->streaming = again;
    end->postponed = false;
    object = afar__end_take_object_locked(end);
    afar__channels_let_go();
    afar_object_close(object);
    if (again)
        open_stream(end);
    unref_end(wire);
}

void
afar__end_attach(afar__end *end)
{
    bool begun;

    if (end->channel)
        return;
    afar__channels_lock();
    begun = begin_locked(end);
    afar__channels_unlock();
    if (begun)
        open_stream(end);
}

void
afar__end_detach_locked(afar__end *end)
{
    settle_locked(end);
}
