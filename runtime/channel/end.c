/* The ends of channels, but for what goes through them (exchange.c): made, finished, closed, poisoned, passed on.
 *
 * An end is the user's until it is closed, which must not be while a thread is in here with it.  Its stream has
 * a reference of its own. */

#include <stdlib.h>
#include <string.h>

#include "runtime/channel/live.h"
#include "runtime/far/route.h"
#include "runtime/misuse.h"
#include "runtime/object.h"

/* ---- life ---- */

static afar__end *
new_end(const afar_channel_type *type, afar__direction direction)
{
    afar__end *end = calloc(1, sizeof *end);

    if (end) {
        atomic_init(&end->refs, 1);
        end->type = type;
        end->direction = direction;
        afar__end_bind(end);
    }
    return end;
}

static afar_code
no_memory(const afar_channel_type *type, afar_error *err)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for an end of a channel of %s",
                     type->message->name);
}

afar__end *
afar__end_ref(afar__end *end)
{
    atomic_fetch_add_explicit(&end->refs, 1, memory_order_relaxed);
    return end;
}

void
afar__end_unref(afar__end *end)
{
    if (atomic_fetch_sub_explicit(&end->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (end->proxy) {
        afar__channels_lock();
        afar__proxy_free(end->proxy);
        afar__channels_unlock();
    }
    if (end->channel)
        afar__channel_unref(end->channel);
    afar__wire_clear(&end->wire);
    afar_object_close(end->object);
    free(end);
}

static afar_code
check_use(const afar_channel_type *type, afar_error *err)
{
    if (afar__engine_check(err))
        return AFAR_FAILED_PRECONDITION;
    if (type->abi != AFAR_ABI)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "%s was generated for version %u of the tables, this library has %u",
                         type->message->name, type->abi, AFAR_ABI);
    return AFAR_OK;
}

static void
open_here_locked(afar__end *end, afar__channel *channel)
{
    end->channel = channel;
    afar__channel_enter_locked(channel, end->direction);
}

static afar_code
new_channel(const afar_channel_type *type, unsigned capacity, afar_sender **ret_sender,
            afar_receiver **ret_receiver, afar_error *err)
{
    afar_code code = check_use(type, err);
    afar__end *sender, *receiver;
    afar__channel *channel = NULL;

    if (code)
        return code;
    sender = new_end(type, AFAR__SENDS);
    receiver = new_end(type, AFAR__RECEIVES);
    code = sender && receiver ? afar__channel_new(type, capacity, &channel, err)
                              : no_memory(type, err);
    if (code) {
        free(sender);
        free(receiver);
        return code;
    }
    afar__channels_lock();
    open_here_locked(sender, channel);
    open_here_locked(receiver, channel);
    afar__channels_unlock();
    *ret_sender = (afar_sender *)sender;
    *ret_receiver = (afar_receiver *)receiver;
    return AFAR_OK;
}

afar_code
afar_rendezvous_new(const afar_channel_type *type, afar_sender **ret_sender,
                    afar_receiver **ret_receiver, afar_error *err)
{
    return new_channel(type, 0, ret_sender, ret_receiver, err);
}

afar_code
afar_buffered_new(const afar_channel_type *type, unsigned capacity, afar_sender **ret_sender,
                  afar_receiver **ret_receiver, afar_error *err)
{
    if (capacity == 0)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "a buffered channel of %s needs room for one message at least",
                         type->message->name);
    return new_channel(type, capacity, ret_sender, ret_receiver, err);
}

/* Nothing more from this end.  One elsewhere ends its stream when nothing of it is under way. */
static void
finish_locked(afar__end *end, afar__channel **ret_channel)
{
    end->finished = true;
    end->closed = true;
    *ret_channel = end->channel;
    if (!end->channel)
        afar__end_detach_locked(end);
}

/* Of one elsewhere: it would count, though this end does not any more.  What the user has seen lasts as long as the
 * end. */
afar_object *
afar__end_take_object_locked(afar__end *end)
{
    afar_object *object = end->object;

    if (!end->closed || end->streaming || end->shown)
        return NULL;
    end->object = NULL;
    return object;
}

void
afar__end_let_go(afar__end *end)
{
    afar__channel *channel = NULL;
    afar_object *object;

    afar__channels_lock();
    if (!end->closed)
        finish_locked(end, &channel);
    object = afar__end_take_object_locked(end);
    afar__channels_unlock();
    if (channel)
        afar__channel_leave(channel, end->direction);
    afar_object_close(object);
}

static void
close_end(afar__end *end)
{
    if (!end || afar__engine_forked())
        return;
    afar__end_let_go(end);
    afar__end_unref(end);
}

void
afar_sender_close(afar_sender *sender)
{
    close_end((afar__end *)sender);
}

void
afar_receiver_close(afar_receiver *receiver)
{
    close_end((afar__end *)receiver);
}

/* ---- used ---- */

void
afar__end_guard(const afar__end *end, afar__guard *guard)
{
    guard->direction = end->direction;
    guard->home = end->channel ? afar__channel_home(end->channel) : NULL;
    guard->proxy = end->proxy;
}

afar_code
afar__end_has_finished(const afar__end *end, afar_error *err)
{
    if (afar__engine_check(err))
        return AFAR_FAILED_PRECONDITION;
    return afar_fail(err, AFAR_FAILED_PRECONDITION, "this end of a channel of %s has finished",
                     end->type->message->name);
}

/* ---- poison ---- */

static void
poison(afar__end *end, const char *reason, const char *function)
{
    afar__need(reason, function, "reason");
    if (afar__engine_forked())
        return;
    afar__end_attach(end);
    afar__channels_lock();
    if (end->channel)
        afar__home_poison(afar__channel_home(end->channel), reason);
    else
        afar__proxy_poison(end->proxy, reason);
    afar__channels_unlock();
}

void
afar_sender_poison(afar_sender *sender, const char *reason)
{
    poison(afar__end_given(sender, __func__), reason, __func__);
}

void
afar_receiver_poison(afar_receiver *receiver, const char *reason)
{
    poison(afar__end_given(receiver, __func__), reason, __func__);
}

/* ---- ends as values ---- */

static afar_object *
object_of(afar__end *end)
{
    afar_object *made = NULL, *object;

    if (afar__engine_forked())
        return NULL;
    afar__channels_lock();
    object = end->object;
    end->shown = true;
    afar__channels_let_go();
    if (object || !end->channel || afar__channel_object(end->channel, end->direction, &made, NULL))
        return object;
    afar__channels_lock();
    if (!end->object) {
        end->object = made;
        made = NULL;
    }
    object = end->object;
    afar__channels_let_go();
    afar_object_close(made);
    return object;
}

afar_object *
afar_sender_object(afar_sender *sender)
{
    return object_of(afar__end_given(sender, __func__));
}

afar_object *
afar_receiver_object(afar_receiver *receiver)
{
    return object_of(afar__end_given(receiver, __func__));
}

/* So that its home knows how many have what this process was given. */
static void
attach_if_inherited(afar__end *end)
{
    if (!end->channel && afar__route_is_inherited(end->object))
        afar__end_attach(end);
}

static afar_code
make_proxy(afar__end *end, afar_object *object)
{
    afar__channels_lock();
    end->proxy = afar__proxy_new(afar__channels_board(), end->direction, end);
    afar__channels_unlock();
    if (end->proxy)
        end->object = afar_object_share(object);
    return end->proxy ? AFAR_OK : AFAR_RESOURCE_EXHAUSTED;
}

static afar_code
end_on(afar_object *object, const afar_channel_type *type, afar__direction direction,
       afar__end **ret_end, afar_error *err)
{
    const afar_interface *interface = direction == AFAR__SENDS ? type->sender : type->receiver;
    afar__direction same = direction;
    afar_code code = check_use(type, err);
    const char *is;
    afar__end *end;

    afar__need(object, direction == AFAR__SENDS ? "afar_sender_on" : "afar_receiver_on", "object");
    if (code)
        return code;
    is = afar_object_interface(object)->name;
    if (strcmp(is, interface->name) != 0)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "a reference to a %s is no %s", is,
                         interface->name);
    end = new_end(type, direction);
    if (!end)
        return no_memory(type, err);
    end->channel = afar__channel_of(object, &same);
    if (!end->channel && make_proxy(end, object)) {
        free(end);
        return no_memory(type, err);
    }
    attach_if_inherited(end);
    *ret_end = end;
    return AFAR_OK;
}

afar_code
afar_sender_on(afar_object *object, const afar_channel_type *type, afar_sender **ret_sender,
               afar_error *err)
{
    afar__end *end = NULL;
    afar_code code = end_on(object, type, AFAR__SENDS, &end, err);

    if (!code)
        *ret_sender = (afar_sender *)end;
    return code;
}

afar_code
afar_receiver_on(afar_object *object, const afar_channel_type *type, afar_receiver **ret_receiver,
                 afar_error *err)
{
    afar__end *end = NULL;
    afar_code code = end_on(object, type, AFAR__RECEIVES, &end, err);

    if (!code)
        *ret_receiver = (afar_receiver *)end;
    return code;
}

/* False: it has finished, perhaps just now. */
static bool
share_here(afar__end *made, const afar__end *end)
{
    bool open;

    afar__channels_lock();
    open = !end->closed;
    if (open)
        open_here_locked(made, end->channel);
    afar__channels_let_go();
    return open;
}

/* NULL: it has finished. */
static afar_object *
object_to_share(afar__end *end)
{
    afar_object *object = NULL;

    afar__channels_lock();
    if (!end->closed)
        object = afar_object_share(end->object);
    afar__channels_let_go();
    return object;
}

static afar_code
share_elsewhere(afar__end *end, afar__end *made, afar_error *err)
{
    afar_object *object = object_to_share(end);
    afar_code code = object ? make_proxy(made, object) : AFAR_OK;

    afar_object_close(object);
    if (!object)
        return afar__end_has_finished(end, err);
    if (code)
        return no_memory(end->type, err);
    attach_if_inherited(made);
    return AFAR_OK;
}

static afar_code
share(afar__end *end, afar__end **ret_end, afar_error *err)
{
    afar_code code = check_use(end->type, err);
    afar__end *made;

    if (code)
        return code;
    made = new_end(end->type, end->direction);
    if (!made)
        return no_memory(end->type, err);
    if (end->channel && !share_here(made, end))
        code = afar__end_has_finished(end, err);
    else if (!end->channel)
        code = share_elsewhere(end, made, err);
    if (code)
        free(made);
    else
        *ret_end = made;
    return code;
}

/* ---- given to another process ---- */

static afar_code
lend_here(afar__end *end, const afar__loan *loan, afar__end **ret_handle, afar_object **ret_object,
          afar_error *err)
{
    afar__end *handle = new_end(end->type, end->direction);
    afar_code code = handle
                         ? afar__channel_lend(end->channel, end->direction, loan, ret_object, err)
                         : no_memory(end->type, err);

    if (code) {
        free(handle);
        return code;
    }
    handle->channel = afar__channel_ref(end->channel);
    handle->finished = handle->closed = true;
    *ret_handle = handle;
    return AFAR_OK;
}

afar_code
afar__end_lend(afar__end *end, const afar__loan *loan, afar__end **ret_handle,
               afar_object **ret_object, afar_error *err)
{
    afar_code code;

    if (end->closed)
        return afar__end_has_finished(end, err);
    if (end->channel)
        return lend_here(end, loan, ret_handle, ret_object, err);
    code = share(end, ret_handle, err);
    if (code)
        return code;
    code = afar__relay_lend((*ret_handle)->object, loan, ret_object, err);
    if (code)
        close_end(*ret_handle);
    return code;
}

afar_code
afar_sender_share(afar_sender *sender, afar_sender **ret_sender, afar_error *err)
{
    afar__end *end = NULL;
    afar_code code = share(afar__end_given(sender, __func__), &end, err);

    if (!code)
        *ret_sender = (afar_sender *)end;
    return code;
}

afar_code
afar_receiver_share(afar_receiver *receiver, afar_receiver **ret_receiver, afar_error *err)
{
    afar__end *end = NULL;
    afar_code code = share(afar__end_given(receiver, __func__), &end, err);

    if (!code)
        *ret_receiver = (afar_receiver *)end;
    return code;
}
