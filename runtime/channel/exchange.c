/* What goes through an end: a message is sent or received, or posted, which is to send ahead of who takes it.
 *
 * Send and receive are selects with one case.  What two threads here can do between themselves they do
 * without one: where they meet without the lock (meet.c), or at once under it (quick.c). */

#include "runtime/call.h"
#include "runtime/channel/live.h"
#include "runtime/clock.h"
#include "runtime/host.h"
#include "runtime/misuse.h"

#define NO_ROOM "there was no room for the message in time"

/* ---- one case ---- */

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

static afar_code
pack(const afar__end *end, const ProtobufCMessage *message, const char *function,
     afar__parcel **ret_parcel, afar_error *err)
{
    afar__need(message, function, "message");
    if (end->finished || afar__engine_forked())
        return afar__end_has_finished(end, err);
    return afar__parcel_pack(message, end->type, ret_parcel, err);
}

/* The parcel is used up.  `if_late`: what has not happened in time. */
static afar_code
hand_over(const afar__end *end, afar__parcel *parcel, int64_t deadline, const char *if_late,
          afar_error *err)
{
    afar__happened happened;
    afar_code code = one_case(end, parcel, deadline, &happened, err);

    if (!code && happened.late)
        code = late(end, if_late, err);
    return code;
}

afar_code
afar_sender_send(afar_sender *sender, const ProtobufCMessage *message, afar_deadline deadline,
                 afar_error *err)
{
    afar__end *end = afar__end_given(sender, __func__);
    afar__parcel *parcel = NULL;
    afar_code code = pack(end, message, __func__, &parcel, err);

    if (code)
        return code;
    afar__end_attach(end);
    return hand_over(end, parcel, deadline.ns, "nobody took the message in time", err);
}

afar_code
afar_receiver_receive(afar_receiver *receiver, afar_deadline deadline,
                      ProtobufCMessage **ret_message, afar_error *err)
{
    afar__end *end = afar__end_given(receiver, __func__);
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
    return code ? code : late(end, NO_ROOM, err);
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

afar_code
afar_sender_post(afar_sender *sender, const ProtobufCMessage *message, afar_deadline deadline,
                 afar_error *err)
{
    afar__end *end = afar__end_given(sender, __func__);
    afar__parcel *parcel = NULL;
    afar_code code = pack(end, message, __func__, &parcel, err);

    if (code)
        return code;
    if (end->channel)
        return hand_over(end, parcel, deadline.ns, NO_ROOM, err);
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
    afar__end *end = afar__end_given(sender, __func__);
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
    afar__end *end = afar__end_given(sender, __func__);
    afar_code code = afar_sender_flush(sender, deadline, err);

    if (afar__engine_forked())
        return code;
    afar__end_finish(end, deadline.ns);
    return code;
}
