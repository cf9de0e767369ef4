/* Streams over connections, from the calling side.
 *
 * A message is read when it comes, on the thread that pumps, and queues here until the caller receives it;
 * only then does the peer get its credit back.  The answer of a client stream queues as its one
 * message.  What is sent waits in the core for the peer's credit; the sender waits before
 * the next one.
 *
 * Everything here is guarded by the connection's lock: a stream has one from its beginning, and
 * keeps it.  References: one of the caller until close, one of each thread inside, and those that
 * the question is kept by. */

#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "runtime/decode.h"
#include "runtime/fail.h"
#include "runtime/far/far.h"
#include "runtime/far/objects.h"
#include "runtime/far/question.h"
#include "runtime/far/route.h"
#include "runtime/far/served.h"
#include "runtime/stream.h"

struct item {
    struct item *next;
    ProtobufCMessage *message;
    uint32_t cost;
};

struct stream {
    afar_stream base;
    atomic_uint refs;
    afar__connection *connection;
    afar__route *route; /* NULL: none; with a reference */
    uint64_t place;     /* of the route, where it was started */
    bool sent, finished, over, dropped;
    bool begun; /* the first message came, and `initial` with it */
    struct item *items, **last_item;
    afar_error error; /* how it ended; ENDED if well */
    afar__arena *arena;
    afar_metadata initial, trailing;
    afar__waiters waiters;
    afar__question question;
};

static struct stream *
stream_of(afar__question *question)
{
    return (struct stream *)((char *)question - offsetof(struct stream, question));
}

/* ---- life ---- */

static void
ref(struct stream *stream)
{
    atomic_fetch_add_explicit(&stream->refs, 1, memory_order_relaxed);
}

static void
drop_items(struct item *items)
{
    for (struct item *next, *item = items; item; item = next) {
        next = item->next;
        afar_message_free(item->message);
        free(item);
    }
}

static void
unref(struct stream *stream)
{
    if (atomic_fetch_sub_explicit(&stream->refs, 1, memory_order_acq_rel) != 1)
        return;
    afar__question_clear(&stream->question);
    drop_items(stream->items);
    afar_error_clear(&stream->error);
    afar__arena_free(stream->arena);
    afar__route_unref(stream->route);
    afar__connection_unref(stream->connection);
    free(stream);
}

static void
ref_question(afar__question *question)
{
    ref(stream_of(question));
}

static void
unref_question(afar__question *question)
{
    unref(stream_of(question));
}

/* ---- what comes ---- */

static afar_code
read_message(struct stream *stream, const afar__session_event *event, struct item **ret_item,
             afar_error *err)
{
    const afar_method *method = stream->base.method;
    afar__connection *connection = stream->connection;
    struct item *item = calloc(1, sizeof *item);
    afar_code code;

    if (!item) {
        afar__refs_refuse(connection, event);
        return afar__fail_outcome(err, AFAR_RESOURCE_EXHAUSTED, AFAR_OUTCOME_ANSWERED, false,
                                  "%s: no memory for a message", method->path);
    }
    code = afar__decode_message(method->reply, event->payload.data, event->payload.length,
                                &connection->node->limits, &item->message, err);
    if (code)
        afar__refs_refuse(connection, event);
    else
        code = afar__refs_accept(connection, method->reply_refs, item->message, event,
                                 afar__message_arena(item->message), err);
    if (code) {
        afar_message_free(item->message);
        free(item);
        if (err)
            err->outcome = AFAR_OUTCOME_ANSWERED;
        return code;
    }
    item->cost = event->cost;
    *ret_item = item;
    return AFAR_OK;
}

static void
give_back_locked(struct stream *stream, uint32_t cost)
{
    afar__connection *connection = stream->connection;

    if (cost > 0)
        afar__session_taken(connection->session, stream->question.id, cost, true);
    connection->again = true;
}

static void
add_locked(struct stream *stream, struct item *item)
{
    *stream->last_item = item;
    stream->last_item = &item->next;
    afar__waiters_wake(&stream->waiters);
}

/* It ends here, whatever the peer still sends. */
static void
end_locked(struct stream *stream, afar_error *err)
{
    if (!stream->over)
        afar_error_move(&stream->error, err);
    stream->over = true;
    afar__waiters_wake(&stream->waiters);
}

static afar_code
read_pairs(struct stream *stream, const afar__session_pair *pairs, size_t count,
           afar_metadata *ret_metadata, afar_error *err)
{
    if (count == 0)
        return AFAR_OK;
    if (!stream->arena)
        stream->arena = afar__arena_new(512);
    if (stream->arena && !afar__far_metadata(pairs, count, stream->arena, ret_metadata))
        return AFAR_OK;
    return afar__fail_outcome(err, AFAR_RESOURCE_EXHAUSTED, AFAR_OUTCOME_ANSWERED, false,
                              "%s: no memory for metadata", stream->base.method->path);
}

/* It has its initial metadata, with the first that comes. */
static void
begin_locked(struct stream *stream, afar_metadata initial)
{
    if (!stream->begun && !stream->over)
        stream->initial = initial;
    stream->begun = true;
    afar__waiters_wake(&stream->waiters);
}

static void
item_came(afar__question *question, const afar__session_event *event)
{
    struct stream *stream = stream_of(question);
    afar__connection *connection = stream->connection;
    struct item *item = NULL;
    afar_metadata initial = { NULL, 0 };
    afar_error err = AFAR_ERROR_INIT;
    bool streams = stream->base.method->kind != AFAR_CLIENT_STREAM;

    if (streams)
        (void)!read_message(stream, event, &item, &err);
    else
        afar__refs_refuse(connection, event);
    if (!err.code)
        (void)!read_pairs(stream, event->metadata, event->metadata_count, &initial, &err);
    pthread_mutex_lock(&connection->lock);
    begin_locked(stream, initial);
    if (item && !stream->dropped && !stream->over) {
        add_locked(stream, item);
        item = NULL;
    } else {
        give_back_locked(stream, event->cost);
    }
    if (err.code) {
        end_locked(stream, &err);
        afar__session_cancel(connection->session, question->id);
    }
    pthread_mutex_unlock(&connection->lock);
    drop_items(item);
    afar_error_clear(&err);
}

static void
writable(afar__question *question)
{
    struct stream *stream = stream_of(question);

    pthread_mutex_lock(&stream->connection->lock);
    afar__waiters_wake(&stream->waiters);
    pthread_mutex_unlock(&stream->connection->lock);
}

/* Under the lock. */
static void
sent(afar__question *question)
{
    struct stream *stream = stream_of(question);

    stream->sent = true;
    if (stream->finished && stream->base.method->kind != AFAR_SERVER_STREAM)
        afar__session_end(stream->connection->session, question->id);
    afar__waiters_wake(&stream->waiters);
}

/* The answer of the peer, read and not told yet. */
struct answer {
    struct item *item;
    afar_metadata initial, trailing;
};

static void
read_answer(struct stream *stream, const afar__session_event *answer, struct answer *ret_answer,
            afar_error *err)
{
    const char *path = stream->base.method->path;
    bool has_reply = stream->base.method->kind == AFAR_CLIENT_STREAM && !answer->code;

    if (has_reply)
        (void)!read_message(stream, answer, &ret_answer->item, err);
    else
        afar__refs_refuse(stream->connection, answer);
    if (!err->code)
        (void)!read_pairs(stream, answer->metadata, answer->metadata_count, &ret_answer->initial,
                          err);
    if (!err->code)
        (void)!read_pairs(stream, answer->trailing, answer->trailing_count, &ret_answer->trailing,
                          err);
    if (!err->code && answer->code)
        afar__question_error(&stream->question, answer, err);
    if (!err->code)
        afar__fail_outcome(err, AFAR_ENDED, AFAR_OUTCOME_ANSWERED, true, "%s: the stream has ended",
                           path);
}

static void
done(afar__question *question, const afar__session_event *answer, const afar_error *err)
{
    struct stream *stream = stream_of(question);
    afar_error how = AFAR_ERROR_INIT;
    struct answer came = { .item = NULL };

    if (answer)
        read_answer(stream, answer, &came, &how);
    else
        afar_error_copy(&how, err);
    if (stream->route)
        afar__route_note(stream->route, stream->place, &how);
    afar__question_end(question);
    pthread_mutex_lock(&stream->connection->lock);
    begin_locked(stream, came.initial);
    if (!stream->over)
        stream->trailing = came.trailing;
    if (came.item && !stream->dropped && !stream->over) {
        came.item->cost = 0;
        add_locked(stream, came.item);
        came.item = NULL;
    }
    end_locked(stream, &how);
    pthread_mutex_unlock(&stream->connection->lock);
    drop_items(came.item);
    afar_error_clear(&how);
}

static const afar__question_ops question_ops = {
    .done = done,
    .item = item_came,
    .writable = writable,
    .sent = sent,
    .ref = ref_question,
    .unref = unref_question,
};

/* ---- waiting ---- */

typedef bool (*ready_fn)(struct stream *stream);

static afar__wait_result
wait_locked(struct stream *stream, ready_fn ready, int64_t deadline)
{
    afar__wait_result result = AFAR__WAIT_WOKEN;

    while (!ready(stream) && result == AFAR__WAIT_WOKEN) {
        afar__waiter waiter;

        afar__waiters_add(&stream->waiters, &waiter);
        pthread_mutex_unlock(&stream->connection->lock);
        result = afar__wait(&waiter, deadline);
        pthread_mutex_lock(&stream->connection->lock);
        afar__waiters_remove(&waiter);
    }
    return ready(stream) ? AFAR__WAIT_WOKEN : result;
}

static afar_code
late(struct stream *stream, afar__wait_result result, afar_outcome outcome, const char *what,
     afar_error *err)
{
    if (result == AFAR__WAIT_REFUSED)
        return afar__wait_refused(err);
    return afar__fail_outcome(err, AFAR_DEADLINE_EXCEEDED, outcome, false, "%s at %s: %s",
                              stream->base.method->path, stream->connection->address, what);
}

static afar_code
end_of_locked(struct stream *stream, afar_error *err)
{
    if (err)
        afar_error_copy(err, &stream->error);
    return stream->error.code;
}

/* ---- what the caller does ---- */

static bool
may_send(struct stream *stream)
{
    return stream->over || (stream->sent && !afar__session_stalled(stream->connection->session,
                                                                   stream->question.id));
}

static bool
is_over(struct stream *stream)
{
    return stream->over;
}

/* The core takes no more messages.  It knows of the end before this stream does, whose messages
 * come first; and the peer still owes its answer to a call that was cancelled. */
static afar_code
await_end_locked(struct stream *stream, int64_t deadline, afar_error *err)
{
    afar__wait_result result = wait_locked(stream, is_over, deadline);

    if (result != AFAR__WAIT_WOKEN)
        return late(stream, result, AFAR_OUTCOME_NOT_SENT, "the call ends, and nobody said how",
                    err);
    return end_of_locked(stream, err);
}

static afar_code
send_locked(struct stream *stream, afar__session_span payload, afar__sending *sending,
            int64_t deadline, afar_error *err)
{
    afar__connection *connection = stream->connection;
    afar__session_message message = { .payload = payload, .reference_count = sending->list->count };
    afar__wait_result result = wait_locked(stream, may_send, deadline);
    afar_code code;

    if (result != AFAR__WAIT_WOKEN)
        return late(stream, result, AFAR_OUTCOME_NOT_SENT, "the peer does not take what was sent",
                    err);
    if (stream->over)
        return end_of_locked(stream, err);
    if (stream->finished)
        return afar__fail_outcome(err, AFAR_FAILED_PRECONDITION, AFAR_OUTCOME_NOT_SENT, false,
                                  "%s at %s: sent after the stream was finished",
                                  stream->base.method->path, connection->address);
    afar__sending_fill_locked(sending);
    message.references = sending->references;
    code = afar__session_item(connection->session, stream->question.id, &message, err);
    if (!code)
        afar__sending_sent_locked(sending);
    afar__connection_pump_locked(connection);
    return code == AFAR_CANCELLED ? await_end_locked(stream, deadline, err) : code;
}

static afar_code
send_message(afar_stream *base, const ProtobufCMessage *message, int64_t deadline, afar_error *err)
{
    struct stream *stream = (struct stream *)base;
    afar__connection *connection = stream->connection;
    afar__packed packed;
    afar__sending sending;
    afar_code code;

    afar__packed_init(&packed);
    code = afar__packed_fill(&packed, message, base->method->request_refs, err);
    if (!code)
        code = afar__refs_prepare(connection, &packed.refs, err);
    if (!code)
        code = afar__sending_open(&sending, connection, &packed.refs, err);
    if (!code) {
        ref(stream);
        pthread_mutex_lock(&connection->lock);
        code = send_locked(stream, (afar__session_span){ packed.data, packed.length }, &sending,
                           deadline, err);
        pthread_mutex_unlock(&connection->lock);
        unref(stream);
        afar__sending_close(&sending);
    }
    afar__packed_clear(&packed);
    return code;
}

static bool
may_receive(struct stream *stream)
{
    return stream->items || stream->over;
}

static struct item *
take_locked(struct stream *stream)
{
    struct item *item = stream->items;

    if (!item)
        return NULL;
    stream->items = item->next;
    if (!stream->items)
        stream->last_item = &stream->items;
    give_back_locked(stream, item->cost);
    afar__connection_pump_locked(stream->connection);
    return item;
}

static afar_code
receive(afar_stream *base, int64_t deadline, ProtobufCMessage **ret_message, afar_error *err)
{
    struct stream *stream = (struct stream *)base;
    afar__wait_result result;
    afar_code code = AFAR_OK;
    struct item *item;

    ref(stream);
    pthread_mutex_lock(&stream->connection->lock);
    result = wait_locked(stream, may_receive, deadline);
    item = take_locked(stream);
    if (!item && stream->over)
        code = end_of_locked(stream, err);
    else if (!item)
        code = late(stream, result, AFAR_OUTCOME_UNKNOWN, "nothing came in time", err);
    pthread_mutex_unlock(&stream->connection->lock);
    if (item)
        *ret_message = item->message;
    free(item);
    unref(stream);
    return code;
}

static afar_code
finish(afar_stream *base, afar_error *err)
{
    struct stream *stream = (struct stream *)base;
    afar__connection *connection = stream->connection;

    (void)err;
    pthread_mutex_lock(&connection->lock);
    if (!stream->finished && stream->sent && !stream->over &&
        base->method->kind != AFAR_SERVER_STREAM)
        afar__session_end(connection->session, stream->question.id);
    stream->finished = true;
    afar__connection_pump_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    return AFAR_OK;
}

static bool
has_initial(struct stream *stream)
{
    return stream->begun || stream->over;
}

/* It comes with the first message, or with the end. */
static afar_code
initial(afar_stream *base, int64_t deadline, const afar_metadata **ret_metadata, afar_error *err)
{
    struct stream *stream = (struct stream *)base;
    afar__wait_result result;

    pthread_mutex_lock(&stream->connection->lock);
    result = wait_locked(stream, has_initial, deadline);
    pthread_mutex_unlock(&stream->connection->lock);
    if (result != AFAR__WAIT_WOKEN)
        return late(stream, result, AFAR_OUTCOME_UNKNOWN, "nothing came in time", err);
    *ret_metadata = &stream->initial;
    return AFAR_OK;
}

static const afar_metadata *
trailing(afar_stream *base)
{
    static const afar_metadata nothing = { NULL, 0 };
    struct stream *stream = (struct stream *)base;
    bool over;

    pthread_mutex_lock(&stream->connection->lock);
    over = stream->over;
    pthread_mutex_unlock(&stream->connection->lock);
    return over ? &stream->trailing : &nothing;
}

static void
close_stream(afar_stream *base)
{
    struct stream *stream = (struct stream *)base;
    afar_error err = AFAR_ERROR_INIT;
    struct item *items;
    bool over;

    afar__fail_outcome(&err, AFAR_CANCELLED, AFAR_OUTCOME_UNKNOWN, false,
                       "%s: the stream was closed", base->method->path);
    pthread_mutex_lock(&stream->connection->lock);
    over = stream->over;
    end_locked(stream, &err);
    stream->dropped = true;
    items = stream->items;
    stream->items = NULL;
    stream->last_item = &stream->items;
    for (const struct item *item = items; item; item = item->next)
        give_back_locked(stream, item->cost);
    if (items)
        afar__connection_pump_locked(stream->connection);
    pthread_mutex_unlock(&stream->connection->lock);
    afar_error_clear(&err);
    drop_items(items);
    if (!over)
        afar__question_cancel(&stream->question);
    unref(stream);
}

static const afar__stream_ops ops = {
    send_message, receive, finish, initial, trailing, close_stream
};

/* ---- starting ---- */

static void
set_up(struct stream *stream, const afar_method *method)
{
    stream->base.ops = &ops;
    stream->base.method = method;
    atomic_init(&stream->refs, 1);
    stream->last_item = &stream->items;
    afar__error_init(&stream->error);
    stream->finished = method->kind == AFAR_SERVER_STREAM;
}

afar_code
afar__far_stream(afar_object *object, const afar__way *way, const afar__request *request,
                 afar_stream **ret_stream, afar_error *err)
{
    struct stream *stream = calloc(1, sizeof *stream);
    afar_code code;

    if (!stream)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a call",
                         request->method->path);
    code = afar__question_init(&stream->question, &question_ops, afar__way_node(way), request, err);
    if (code) {
        free(stream);
        return code;
    }
    set_up(stream, request->method);
    code =
        afar__way_ready(way, request, &stream->question, &stream->connection, &stream->place, err);
    if (code) {
        afar__question_clear(&stream->question);
        free(stream);
        return code;
    }
    if (way->route) {
        stream->route = afar__route_ref(way->route);
    } else {
        afar__question_to(&stream->question, way->keep ? way->keep : object, way);
    }
    afar__question_ask(&stream->question, stream->connection);
    *ret_stream = &stream->base;
    return AFAR_OK;
}
