/* Ends whose home is in another process: attaching to it, and what comes from there.
 *
 *     loose -> attached -> loose    each time with a new stream
 *
 * An end attaches when it is first used, and again when it is used after a loss: one that was opened by name
 * finds the home's successor so.  Acts may be written before the stream is there.
 *
 * A sender that is closed stays attached until what it posted was taken, and then ends the stream well, so
 * that the home knows that it has finished. */

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

/* What a failed call means to those who wait: that the home was lost; or, if it never answered, why not. */
static afar_code
code_of(const afar__end *end, const afar_error *err)
{
    if (end->welcomed || err->code == AFAR_ENDED || err->code == AFAR_CANCELLED)
        return AFAR_LOST;
    return err->outcome == AFAR_OUTCOME_UNKNOWN ? AFAR_LOST : err->code;
}

static void
lose_locked(afar__end *end, const afar_error *err)
{
    afar__proxy_lost(end->proxy, code_of(end, err), err->message);
    end->attached = end->welcomed = false;
    afar__wire_shut_locked(&end->wire);
    afar__waiters_wake(&end->waiters);
}

/* The home does not keep to the rules, or there is no memory for what it says. */
static void
give_up(afar__end *end, const afar_error *err)
{
    afar__channels_lock();
    lose_locked(end, err);
    afar__channels_unlock();
}

static void
failed(afar__wire *wire, const afar_error *err)
{
    give_up(end_of(wire), err);
}

static const afar__wire_ops wire_ops = { ref_end, unref_end, failed, NULL };

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
            one->step.parcel =
                afar__parcel_read(one->payload.data, one->payload.length, end->type, item);
            if (!one->step.parcel) {
                *ret_code = afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a %s",
                                      end->type->message->name);
                break;
            }
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
        if (!end->attached)
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
    if (!end->wire.raw)
        end->broken = true;
    lose_locked(end, err);
    afar__channels_unlock();
}

static const afar__raw_ops raw_ops = { came, ended, idle, idle, over };

static void
released(void *arg)
{
    unref_end(arg);
}

/* ---- attaching ---- */

void
afar__end_bind(afar__end *end)
{
    afar__wire_init(&end->wire, &wire_ops, end->type);
}

static bool
begin_locked(afar__end *end)
{
    const char *text;
    afar_code state = afar__proxy_state(end->proxy, &text);

    if (end->attached || end->closed || state == AFAR_ENDED || state == AFAR_POISONED)
        return false;
    end->attached = true;
    end->broken = false;
    afar__wire_hello_locked(&end->wire);
    afar__proxy_attached(end->proxy);
    return true;
}

static void
opened(afar__end *end, afar__raw *raw)
{
    bool broken;

    afar__channels_lock();
    broken = end->broken || !end->attached;
    if (!broken)
        afar__wire_open_locked(&end->wire, raw);
    settle_locked(end);
    afar__channels_unlock();
    if (broken)
        afar__raw_close(raw, released);
}

void
afar__end_attach(afar__end *end)
{
    const afar_interface *interface;
    afar_error err = AFAR_ERROR_INIT;
    afar__raw *raw = NULL;
    bool begun;

    if (end->channel)
        return;
    afar__channels_lock();
    begun = begin_locked(end);
    afar__channels_unlock();
    if (!begun)
        return;
    interface = end->direction == AFAR__SENDS ? end->type->sender : end->type->receiver;
    ref_end(&end->wire);
    if (!afar__raw_open(end->object, interface->methods, &raw_ops, &end->wire, &raw, &err)) {
        opened(end, raw);
    } else {
        give_up(end, &err);
        unref_end(&end->wire);
    }
    afar_error_clear(&err);
}

void
afar__end_detach_locked(afar__end *end)
{
    settle_locked(end);
}
