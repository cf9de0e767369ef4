/* The ends of channels, and what can be done with one: send, post, receive, finish, poison, pass on.
 *
 * An end is the user's until it is closed, which must not be while a thread is in here with it.  Its stream has
 * a reference of its own. */

#include <stdlib.h>
#include <string.h>

#include "runtime/call.h"
#include "runtime/channel/live.h"
#include "runtime/clock.h"
#include "runtime/far/route.h"
#include "runtime/host.h"
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

/* What the user gives; NULL is a mistake of the program's. */
static afar__end *
given(void *end, const char *function)
{
    afar__need(end, function, "end");
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

/* ---- one case ---- */

void
afar__end_guard(const afar__end *end, afar__guard *guard)
{
    guard->direction = end->direction;
    guard->home = end->channel ? afar__channel_home(end->channel) : NULL;
    guard->proxy = end->proxy;
}

static afar_code
has_finished(const afar__end *end, afar_error *err)
{
    if (afar__engine_check(err))
        return AFAR_FAILED_PRECONDITION;
    return afar_fail(err, AFAR_FAILED_PRECONDITION, "this end of a channel of %s has finished",
                     end->type->message->name);
}

static afar_code
late(const afar__end *end, const char *what, afar_error *err)
{
    return afar_fail(err, AFAR_DEADLINE_EXCEEDED, "a channel of %s: %s", end->type->message->name,
                     what);
}

static afar__parcel *
take_parcel(afar__guard *guard)
{
    afar__parcel *parcel = guard->user;

    guard->user = NULL;
    return parcel;
}

static void
put_back(afar__guard *guard, afar__parcel *parcel)
{
    guard->user = parcel;
}

/* `parcel`: to be sent; it is used up then. */
static bool
at_once_locked(const afar__end *end, afar__parcel *parcel, afar__happened *ret_happened)
{
    afar__home *home = afar__channel_home(end->channel);

    *ret_happened = (afar__happened){ .code = AFAR_OK };
    if (end->direction == AFAR__SENDS)
        return afar__home_send_at_once(home, parcel);
    return afar__home_receive_at_once(home, &ret_happened->parcel);
}

static bool
meet(const afar__end *end, afar__parcel *parcel, afar__happened *ret_happened, bool *ret_looked)
{
    afar__meet *place = afar__channel_meet(end->channel);

    *ret_happened = (afar__happened){ .code = AFAR_OK };
    if (end->direction == AFAR__SENDS)
        return afar__meet_send(place, parcel, ret_looked);
    return afar__meet_receive(place, &ret_happened->parcel, ret_looked);
}

static afar_code
select_one_unlock(const afar__end *end, bool looked, afar__parcel *parcel, int64_t deadline,
                  afar__happened *ret_happened, afar_error *err)
{
    _Alignas(AFAR__LINE) afar__guard guard = { .user = parcel };
    _Alignas(AFAR__LINE) afar__rest rest = {
        .only = end->channel,
        .elsewhere = true,
        .looked = looked,
        .pack = take_parcel,
        .unpack = put_back,
    };
    afar_code code;

    afar__end_guard(end, &guard);
    afar__rest_open(&rest, &guard, 1, false);
    code = afar__rest_round_unlock(&rest, false, deadline, ret_happened, err);
    afar__rest_close(&rest);
    if (guard.user)
        afar__parcel_free(guard.user);
    return code ? code : ret_happened->code;
}

/* Does what a select with one case does.  `parcel`: to be sent; it is used up. */
static afar_code
one_case(const afar__end *end, afar__parcel *parcel, int64_t deadline, afar__happened *ret_happened,
         afar_error *err)
{
    bool looked = false;

    if (end->channel && meet(end, parcel, ret_happened, &looked))
        return AFAR_OK;
    afar__channels_lock();
    if (!end->channel || !at_once_locked(end, parcel, ret_happened))
        return select_one_unlock(end, looked, parcel, deadline, ret_happened, err);
    afar__channels_unlock();
    return AFAR_OK;
}

afar_code
afar_sender_send(afar_sender *sender, const ProtobufCMessage *message, afar_deadline deadline,
                 afar_error *err)
{
    afar__end *end = given(sender, __func__);
    afar__parcel *parcel = NULL;
    afar__happened happened;
    afar_code code;

    afar__need(message, __func__, "message");
    if (end->finished || afar__engine_forked())
        return has_finished(end, err);
    code = afar__parcel_pack(message, end->type, &parcel, err);
    if (code)
        return code;
    afar__end_attach(end);
    code = one_case(end, parcel, deadline.ns, &happened, err);
    if (!code && happened.late)
        code = late(end, "nobody took the message in time", err);
    return code;
}

afar_code
afar_receiver_receive(afar_receiver *receiver, afar_deadline deadline,
                      ProtobufCMessage **ret_message, afar_error *err)
{
    afar__end *end = given(receiver, __func__);
    afar__happened happened;
    afar_code code = afar__engine_check(err);

    afar__need(ret_message, __func__, "ret_message");
    if (code)
        return code;
    afar__end_attach(end);
    code = one_case(end, NULL, deadline.ns, &happened, err);
    if (code)
        return code;
    if (happened.late)
        return late(end, "no message came in time", err);
    return afar__parcel_open(happened.parcel, end->type, ret_message, err);
}

/* ---- sending ahead ---- */

typedef bool (*ready_fn)(afar__end *end);

static bool
posts_are_taken(afar__end *end)
{
    return afar__proxy_posts(end->proxy).open == 0;
}

/* Waits until something about the posts or the stream has changed, or time is up. */
static bool
wait_for_posts_locked(afar__end *end, int64_t deadline, bool *ret_refused)
{
    afar_call *call = afar_call_current();
    afar__wait_result result;
    afar__waiter waiter;

    afar__waiters_add(&end->waiters, &waiter);
    afar__channels_unlock();
    afar__host_wait(call);
    result = afar__wait(&waiter, deadline);
    afar__channels_lock();
    afar__waiters_remove(&waiter);
    if (call) {
        afar__channels_let_go();
        afar__host_go_on(call);
        afar__channels_lock();
    }
    *ret_refused = result == AFAR__WAIT_REFUSED;
    return result == AFAR__WAIT_WOKEN;
}

static afar_code
state_of(const afar__end *end, afar_error *err)
{
    const char *text = NULL;
    afar_code code = afar__proxy_state(end->proxy, &text);

    if (code)
        afar_fail(err, code, "%s", text ? text : "the channel is over");
    return code;
}

/* The parcel is used up, also on failure. */
static afar_code
post_away(afar__end *end, afar__parcel *parcel, int64_t deadline, afar_error *err)
{
    bool refused = false, waited = true, posted;
    afar_code code = AFAR_OK;

    afar__channels_lock();
    while (!(posted = afar__proxy_post(end->proxy, parcel)) && waited && !code) {
        code = state_of(end, err);
        if (!code)
            waited = wait_for_posts_locked(end, deadline, &refused);
    }
    afar__channels_unlock();
    if (posted)
        return AFAR_OK;
    afar__parcel_free(parcel);
    if (refused)
        return afar__wait_refused(err);
    return code ? code : late(end, "there was no room for the message in time", err);
}

afar_code
afar__end_reach(afar__end *end, int64_t deadline, afar_error *err)
{
    bool refused = false, waited = true;
    afar_code code;

    if (end->channel)
        return AFAR_OK;
    afar__end_attach(end);
    afar__channels_lock();
    while (end->attached && !end->welcomed && waited)
        waited = wait_for_posts_locked(end, deadline, &refused);
    code = state_of(end, err);
    if (!code && refused)
        code = afar__wait_refused(err);
    else if (!code && !end->welcomed)
        code = late(end, "its home has not answered in time", err);
    afar__channels_unlock();
    return code;
}

static afar_code
post_here(const afar__end *end, afar__parcel *parcel, int64_t deadline, afar_error *err)
{
    afar__happened happened;
    afar_code code = one_case(end, parcel, deadline, &happened, err);

    if (!code && happened.late)
        code = late(end, "there was no room for the message in time", err);
    return code;
}

afar_code
afar_sender_post(afar_sender *sender, const ProtobufCMessage *message, afar_deadline deadline,
                 afar_error *err)
{
    afar__end *end = given(sender, __func__);
    afar__parcel *parcel = NULL;
    afar_code code;

    afar__need(message, __func__, "message");
    if (end->finished || afar__engine_forked())
        return has_finished(end, err);
    code = afar__parcel_pack(message, end->type, &parcel, err);
    if (code)
        return code;
    if (end->channel)
        return post_here(end, parcel, deadline.ns, err);
    afar__end_attach(end);
    return post_away(end, parcel, deadline.ns, err);
}

/* What became of the posts since the user was last told. */
static afar_code
tell_locked(afar__end *end, afar_error *err)
{
    afar__posts posts = afar__proxy_posts(end->proxy), told = end->told;
    const char *text = NULL;
    afar_code state = afar__proxy_state(end->proxy, &text);

    end->told = posts;
    if (posts.unknown > told.unknown)
        return afar_fail(err, AFAR_UNKNOWN, "%llu messages may have been taken or not: %s",
                         (unsigned long long)(posts.unknown - told.unknown), text ? text : "");
    if (posts.unsent > told.unsent)
        return afar_fail(err, posts.code, "%llu messages could not be sent: %s",
                         (unsigned long long)(posts.unsent - told.unsent),
                         posts.text ? posts.text : "");
    if (posts.refused > told.refused)
        return afar_fail(err, state ? state : AFAR_LOST, "%llu messages were not taken: %s",
                         (unsigned long long)(posts.refused - told.refused), text ? text : "");
    return AFAR_OK;
}

afar_code
afar_sender_flush(afar_sender *sender, afar_deadline deadline, afar_error *err)
{
    afar__end *end = given(sender, __func__);
    bool refused = false, waited = true;
    afar_code code = afar__engine_check(err);

    if (code || end->channel)
        return code;
    afar__channels_lock();
    while (!posts_are_taken(end) && waited)
        waited = wait_for_posts_locked(end, deadline.ns, &refused);
    if (posts_are_taken(end))
        code = tell_locked(end, err);
    else if (refused)
        code = afar__wait_refused(err);
    else
        code = late(end, "not all that was posted is taken", err);
    afar__channels_unlock();
    return code;
}

void
afar__end_finish(afar__end *end, int64_t deadline)
{
    bool refused, waited = true;

    afar__end_let_go(end);
    afar__channels_lock();
    while (end->attached && waited)
        waited = wait_for_posts_locked(end, deadline, &refused);
    afar__channels_unlock();
}

afar_code
afar_sender_finish(afar_sender *sender, afar_deadline deadline, afar_error *err)
{
    afar__end *end = given(sender, __func__);
    afar_code code = afar_sender_flush(sender, deadline, err);

    if (afar__engine_forked())
        return code;
    afar__end_finish(end, deadline.ns);
    return code;
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
    poison(given(sender, __func__), reason, __func__);
}

void
afar_receiver_poison(afar_receiver *receiver, const char *reason)
{
    poison(given(receiver, __func__), reason, __func__);
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
    return object_of(given(sender, __func__));
}

afar_object *
afar_receiver_object(afar_receiver *receiver)
{
    return object_of(given(receiver, __func__));
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
        return has_finished(end, err);
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
        code = has_finished(end, err);
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
        return has_finished(end, err);
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
    afar_code code = share(given(sender, __func__), &end, err);

    if (!code)
        *ret_sender = (afar_sender *)end;
    return code;
}

afar_code
afar_receiver_share(afar_receiver *receiver, afar_receiver **ret_receiver, afar_error *err)
{
    afar__end *end = NULL;
    afar_code code = share(given(receiver, __func__), &end, err);

    if (!code)
        *ret_receiver = (afar_receiver *)end;
    return code;
}
