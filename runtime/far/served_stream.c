/* Streams of calls that are served: what the handler sends and receives.
 *
 * A message is read when it comes, on the thread that pumps, and queues here until the handler
 * receives it; only then does the peer get its credit back, so what queues is bounded by the
 * window.  What the handler sends waits in the core for the peer's credit; the handler waits before
 * the next one. */

#include <stdlib.h>

#include "runtime/decode.h"
#include "runtime/fail.h"
#include "runtime/far/objects.h"
#include "runtime/far/raw_parts.h"
#include "runtime/far/served.h"
#include "runtime/host.h"

#define FIRST_CHUNK 512

/* ---- what comes ---- */

static afar_code
read_item(afar__served *served, const afar__session_event *event, afar__served_item **ret_item,
          afar_error *err)
{
    const afar_method *method = served->base.method;
    afar__arena *arena = afar__arena_new(FIRST_CHUNK);
    afar__served_item *item = arena ? afar__arena_zalloc(arena, sizeof *item) : NULL;
    ProtobufCMessage *message = NULL;
    afar_code code;

    if (!item) {
        afar__arena_free(arena);
        afar__refs_refuse(served->connection, event);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a message", method->path);
    }
    code = afar__decode(method->request, event->payload.data, event->payload.length,
                        &served->connection->node->limits, arena, &message, err);
    if (code)
        afar__refs_refuse(served->connection, event);
    else
        code =
            afar__refs_accept(served->connection, method->request_refs, message, event, arena, err);
    if (code) {
        afar__arena_free(arena);
        return code;
    }
    item->arena = arena;
    item->message = message;
    item->cost = event->cost;
    *ret_item = item;
    return AFAR_OK;
}

static void
taken_locked(afar__served *served, uint32_t cost)
{
    afar__connection *connection = served->connection;

    afar__session_taken(connection->session, served->id, cost, true);
    connection->again = true;
}

void
afar__served_item_came(afar__served *served, const afar__session_event *event)
{
    afar__connection *connection = served->connection;
    uint32_t kind = served->base.method ? served->base.method->kind : AFAR_UNARY;
    bool streams = kind == AFAR_CLIENT_STREAM || kind == AFAR_BIDI_STREAM;
    afar__served_item *item = NULL;
    afar_error err = AFAR_ERROR_INIT;

    if (afar__raw_event(served, event))
        return;
    if (streams && !served->bad.code)
        (void)read_item(served, event, &item, &err);
    else
        afar__refs_refuse(connection, event);
    pthread_mutex_lock(&connection->lock);
    if (item && !served->answered) {
        *served->last_item = item;
        served->last_item = &item->next;
        item = NULL;
    } else {
        taken_locked(served, event->cost);
        if (err.code && !served->bad.code)
            afar_error_move(&served->bad, &err);
    }
    afar__waiters_wake(&served->waiters);
    pthread_mutex_unlock(&connection->lock);
    if (item)
        afar__arena_free(item->arena);
    afar_error_clear(&err);
}

/* Nobody receives them any more; their credit went back when the call was answered. */
void
afar__served_drop_items(afar__served *served)
{
    afar__served_item *next;

    for (afar__served_item *item = served->items; item; item = next) {
        next = item->next;
        afar__arena_free(item->arena);
    }
    served->items = NULL;
    served->last_item = &served->items;
    afar_error_clear(&served->bad);
}

/* ---- waiting ---- */

typedef bool (*ready_fn)(afar__served *served);

static bool
given_up(afar__served *served)
{
    return atomic_load(&served->base.cancelled) || served->answered;
}

/* Waits until it is ready, or the call is given up; false if neither came in time.  The object's
 * turn is others' meanwhile. */
static bool
wait_locked(afar__served *served, ready_fn ready, int64_t deadline, afar__wait_result *ret_result)
{
    afar__connection *connection = served->connection;
    bool paused = false;

    *ret_result = AFAR__WAIT_WOKEN;
    while (!ready(served) && !given_up(served) && *ret_result == AFAR__WAIT_WOKEN) {
        afar__waiter waiter;

        afar__waiters_add(&served->waiters, &waiter);
        pthread_mutex_unlock(&connection->lock);
        if (!paused)
            afar__host_pause(&served->base);
        paused = true;
        *ret_result = afar__wait(&waiter, deadline);
        pthread_mutex_lock(&connection->lock);
        afar__waiters_remove(&waiter);
    }
    if (paused) {
        pthread_mutex_unlock(&connection->lock);
        afar__host_resume(&served->base);
        pthread_mutex_lock(&connection->lock);
    }
    return ready(served);
}

static afar_code
caller_gone(const afar__served *served, afar_error *err)
{
    return afar_fail(err, AFAR_CANCELLED, "%s: the caller has gone", served->base.method->path);
}

static afar_code
wait_error(afar__served *served, afar__wait_result result, const char *what, afar_error *err)
{
    if (result == AFAR__WAIT_REFUSED)
        return afar__wait_refused(err);
    if (given_up(served))
        return caller_gone(served, err);
    return afar_fail(err, AFAR_DEADLINE_EXCEEDED, "%s: %s", served->base.method->path, what);
}

/* ---- receiving ---- */

static bool
has_item(afar__served *served)
{
    return served->items || served->bad.code || served->ended;
}

static afar__served_item *
take_item_locked(afar__served *served)
{
    afar__served_item *item = served->items;

    if (!item)
        return NULL;
    served->items = item->next;
    if (!served->items)
        served->last_item = &served->items;
    taken_locked(served, item->cost);
    afar__connection_pump_locked(served->connection);
    return item;
}

static afar_code
no_item_locked(afar__served *served, afar__wait_result result, afar_error *err)
{
    if (served->bad.code) {
        if (err)
            afar_error_copy(err, &served->bad);
        return served->bad.code;
    }
    if (served->ended && !given_up(served))
        return afar_fail(err, AFAR_ENDED, "%s: the caller has sent all", served->base.method->path);
    return wait_error(served, result, "nothing came in time", err);
}

afar_code
afar__served_receive(afar_call *call, int64_t deadline, const ProtobufCMessage **ret_message,
                     afar_error *err)
{
    afar__served *served = afar__served_of(call);
    afar__arena *last = served->item;
    afar__wait_result result;
    afar__served_item *item;
    afar_code code = AFAR_OK;

    if (call->method->kind != AFAR_CLIENT_STREAM && call->method->kind != AFAR_BIDI_STREAM)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "%s receives no stream",
                         call->method->path);
    pthread_mutex_lock(&served->connection->lock);
    (void)wait_locked(served, has_item, deadline, &result);
    item = take_item_locked(served);
    if (!item)
        code = no_item_locked(served, result, err);
    pthread_mutex_unlock(&served->connection->lock);
    if (code)
        return code;
    served->item = item->arena;
    afar__arena_free(last);
    *ret_message = item->message;
    return AFAR_OK;
}

/* ---- sending ---- */

static bool
may_send(afar__served *served)
{
    return !afar__session_stalled(served->connection->session, served->id);
}

static afar_code
send_locked(afar__served *served, afar__session_span payload, afar__sending *sending,
            int64_t deadline, afar_error *err)
{
    afar__connection *connection = served->connection;
    afar__session_message message = {
        .payload = payload,
        .reference_count = sending->list->count,
        .initial = served->initial,
        .initial_count = served->initial ? served->base.initial.count : 0,
    };
    afar__wait_result result;
    afar_code code;

    if (!wait_locked(served, may_send, deadline, &result) || given_up(served))
        return wait_error(served, result, "the caller does not take what was sent", err);
    afar__sending_fill_locked(sending);
    message.references = sending->references;
    code = afar__session_item(connection->session, served->id, &message, err);
    if (!code)
        afar__sending_sent_locked(sending);
    else if (code == AFAR_CANCELLED) /* the core knows, and has not told yet */
        code = caller_gone(served, err);
    afar__connection_pump_locked(connection);
    return code;
}

/* The initial metadata is what it is now: it goes with the first message that is sent. */
static afar_code
fix_initial(afar__served *served, afar_error *err)
{
    afar_call *call = &served->base;

    if (!call->initial_sent && call->initial.count > 0) {
        served->initial = afar__far_pairs(&call->initial, call->arena);
        if (!served->initial)
            return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for metadata",
                             call->method->path);
    }
    call->initial_sent = true;
    return AFAR_OK;
}

afar_code
afar__served_send(afar_call *call, const ProtobufCMessage *message, int64_t deadline,
                  afar_error *err)
{
    afar__served *served = afar__served_of(call);
    afar__connection *connection = served->connection;
    afar__packed packed;
    afar__sending sending;
    afar_code code;

    if (call->method->kind != AFAR_SERVER_STREAM && call->method->kind != AFAR_BIDI_STREAM)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "%s sends no stream", call->method->path);
    code = fix_initial(served, err);
    if (code)
        return code;
    afar__packed_init(&packed);
    code = afar__packed_fill(&packed, message, call->method->reply_refs, err);
    if (!code)
        code = afar__refs_prepare(connection, &packed.refs, err);
    if (!code)
        code = afar__sending_open(&sending, connection, &packed.refs, err);
    if (!code) {
        pthread_mutex_lock(&connection->lock);
        code = send_locked(served, (afar__session_span){ packed.data, packed.length }, &sending,
                           deadline, err);
        pthread_mutex_unlock(&connection->lock);
        afar__sending_close(&sending);
    }
    afar__packed_clear(&packed);
    return code;
}
