/* Calls of the peer: found, read, handed to their hosts, answered.
 *
 *     called -> delivered -> begun -> answered -> spare
 *
 * A call is read by the thread that pumps, in the order in which calls came, and delivered in that
 * order.  What it cost is given back to the peer when its handler begins, so calls that queue
 * hold their peer up, and those that run do not.
 *
 * References (call.h): one until it is answered, one of each event that is acted on, one while its
 * result is kept for calls that were promised it. */

#include "runtime/far/served.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/decode.h"
#include "runtime/far/objects.h"
#include "runtime/far/raw_parts.h"
#include "runtime/host.h"
#include "runtime/interface.h"
#include "runtime/log.h"
#include "runtime/status.h"

#define FIRST_CHUNK 2048
#define MOST_SPARE 64
#define MOST_KEPT 128 /* results, each with its request and reply */

static const afar__call_ops ops;

afar__served *
afar__served_of(afar_call *call)
{
    return (afar__served *)call;
}

bool
afar__is_served(const afar_call *call)
{
    return call->ops == &ops;
}

afar__raw *
afar__served_raw(afar__served *served)
{
    afar__raw *raw;

    pthread_mutex_lock(&served->connection->lock);
    raw = served->raw ? afar__raw_ref(served->raw) : NULL;
    pthread_mutex_unlock(&served->connection->lock);
    return raw;
}

/* ---- life ---- */

static void
free_served(afar__served *served)
{
    afar__arena_free(served->base.arena);
    free(served);
}

static afar__served *
new_locked(afar__connection *connection)
{
    afar__served *served = connection->spare;

    if (served) {
        connection->spare = served->next;
        connection->spare_count--;
        return served;
    }
    served = calloc(1, sizeof *served);
    if (served)
        served->base.arena = afar__arena_new(FIRST_CHUNK);
    if (served && !served->base.arena) {
        free(served);
        return NULL;
    }
    return served;
}

static void
enter_list_locked(afar__served *served, afar__served **list)
{
    served->next = *list;
    served->link = list;
    if (served->next)
        served->next->link = &served->next;
    *list = served;
}

static void
leave_list_locked(afar__served *served)
{
    *served->link = served->next;
    if (served->next)
        served->next->link = served->link;
    served->link = NULL;
}

static void
set_up_locked(afar__served *served, afar__connection *connection, const afar__session_event *event)
{
    /* The base is large, and most of it is written before it is read. */
    memset((char *)served + sizeof served->base, 0, sizeof *served - sizeof served->base);
    afar__call_init(&served->base);
    served->base.ops = &ops;
    served->base.method = NULL;
    served->base.host = NULL;
    served->base.request = NULL;
    served->base.reply = NULL;
    /* The core tells of every Cancel: there is nothing to ask for. */
    atomic_store(&served->base.watched, true);
    served->base.deadline = afar_deadline_at(event->deadline);
    served->base.object_name = "";
    served->base.chain_length = event->chain_length;
    if (event->chain_length > 0)
        memcpy(served->base.chain, event->chain, event->chain_length * sizeof *event->chain);
    served->connection = afar__connection_ref(connection);
    served->id = event->call;
    served->cost = event->cost;
    served->keep = event->keep;
    served->last_item = &served->items;
    enter_list_locked(served, &connection->served);
    connection->serving++;
    afar__session_set_user(connection->session, served->id, served);
    if (event->deadline != AFAR_FOREVER.ns)
        afar__connection_watch_locked(connection, event->deadline);
}

static void
free_call(afar_call *call)
{
    afar__served *served = afar__served_of(call);
    afar__connection *connection = served->connection;
    afar__host *host = call->host;
    bool keep;

    afar__served_drop_items(served);
    afar__arena_free(served->item);
    afar__call_clear(call);
    afar__arena_reset(call->arena);
    pthread_mutex_lock(&connection->lock);
    keep = connection->spare_count < MOST_SPARE;
    if (keep) {
        served->next = connection->spare;
        connection->spare = served;
        connection->spare_count++;
    }
    afar__connection_served_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    if (!keep)
        free_served(served);
    /* Only now: the last reference to the last object of a loop waits for that to be over. */
    if (host)
        afar_object_close(afar__host_object(host));
    afar__connection_unref(connection);
}

void
afar__served_clear(afar__connection *connection)
{
    while (connection->spare) {
        afar__served *served = connection->spare;

        connection->spare = served->next;
        free_served(served);
    }
}

afar__served *
afar__served_hold_locked(afar__connection *connection, const afar__session_event *event)
{
    afar__served *served;

    switch (event->kind) {
    case AFAR__SESSION_CALLED:
        served = new_locked(connection);
        if (served)
            set_up_locked(served, connection, event);
        return served;
    case AFAR__SESSION_ITEM:
    case AFAR__SESSION_WRITABLE:
        served = event->ours ? NULL : event->user;
        break;
    case AFAR__SESSION_ENDED:
    case AFAR__SESSION_CANCELLED:
    case AFAR__SESSION_FINISHED:
        served = event->user;
        break;
    default:
        served = NULL;
    }
    if (served)
        afar__call_ref(&served->base);
    return served;
}

/* ---- answering ---- */

static void
fill_error(const afar_call *call, afar__session_reply *reply)
{
    const afar_error *error = &call->error;
    uint8_t *details;

    reply->code = error->code;
    reply->text = (afar__session_span){ error->message, strlen(error->message) };
    if (afar_error_detail_count(error) > 0 &&
        !afar__status_encode(error, call->arena, &details, &reply->details.length))
        reply->details.data = details;
}

static void
fill_metadata(const afar_call *call, afar__session_reply *reply)
{
    if (call->initial.count > 0)
        reply->initial = afar__far_pairs(&call->initial, call->arena);
    if (call->trailing.count > 0)
        reply->trailing = afar__far_pairs(&call->trailing, call->arena);
    reply->initial_count = reply->initial ? call->initial.count : 0;
    reply->trailing_count = reply->trailing ? call->trailing.count : 0;
}

/* What was promised of its result is in the reply, which stays until the peer has finished with it, or
 * the session is over.  A reply without references promises nothing. */
static void
keep_locked(afar__served *served)
{
    afar__connection *connection = served->connection;

    if (connection->over || !served->base.method->reply_refs) {
        afar__session_set_user(connection->session, served->id, NULL);
        return;
    }
    afar__call_ref(&served->base);
    enter_list_locked(served, &connection->kept);
    connection->kept_count++;
}

static void
forget_locked(afar__served *served)
{
    leave_list_locked(served);
    served->connection->kept_count--;
}

void
afar__served_drop_kept(afar__connection *connection)
{
    afar__served *served;

    do {
        pthread_mutex_lock(&connection->lock);
        served = connection->kept;
        if (served)
            forget_locked(served);
        pthread_mutex_unlock(&connection->lock);
        if (served)
            afar__call_unref(&served->base);
    } while (served);
}

/* What the peer gave for messages that no handler takes any more: calls that never began, and
 * items that were not received. */
static void
give_back_all_locked(afar__served *served)
{
    afar__session *session = served->connection->session;

    afar__session_taken(session, served->id, served->cost, false);
    served->cost = 0;
    for (afar__served_item *item = served->items; item; item = item->next) {
        afar__session_taken(session, served->id, item->cost, true);
        item->cost = 0;
    }
}

/* The call leaves the connection.  A reply that the core cannot send is replaced by an error
 * there, so the peer has its answer in any case. */
static void
return_locked(afar__served *served, afar__session_reply *reply, afar__sending *sending)
{
    afar__connection *connection = served->connection;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    afar__sending_fill_locked(sending);
    reply->references = sending->references;
    reply->reference_count = sending->list->count;
    give_back_all_locked(served);
    code = afar__session_return(connection->session, served->id, reply, &err);
    if (code)
        afar__log(AFAR_LOG_INFO, "%s: %s",
                  served->base.method ? served->base.method->path : "a call", err.message);
    else
        afar__sending_sent_locked(sending);
    afar_error_clear(&err);
    leave_list_locked(served);
    served->answered = true;
    if (served->keep && !code && !reply->code)
        keep_locked(served);
    afar__waiters_wake(&served->waiters);
}

static void
send_return(afar__served *served, afar__session_reply *reply, afar__ref_list *list)
{
    afar__connection *connection = served->connection;
    afar_error err = AFAR_ERROR_INIT;
    afar__sending sending;
    afar_code code = afar__refs_prepare(connection, list, &err);

    if (!code)
        code = afar__sending_open(&sending, connection, list, &err);
    if (code) {
        *reply =
            (afar__session_reply){ .code = code, .text = { err.message, strlen(err.message) } };
        afar__ref_list_clear(list);
        (void)!afar__sending_open(&sending, connection, list, NULL);
    }
    pthread_mutex_lock(&connection->lock);
    return_locked(served, reply, &sending);
    afar__connection_pump_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    afar__sending_close(&sending);
    afar_error_clear(&err);
}

static void
close_object(void *object)
{
    afar_object_close(object);
}

/* A handler may have lent what is in its reply until that is sent; who calls what was promised comes
 * later. */
static afar_code
hold_objects(afar_call *call, const afar__ref_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        afar_object *object = afar_object_share(list->objects[i]);

        if (afar__arena_at_end(call->arena, close_object, object))
            continue;
        afar_object_close(object);
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "%s: no memory to keep a reply",
                              call->method->path);
    }
    return AFAR_OK;
}

static void
finish(afar_call *call)
{
    afar__served *served = afar__served_of(call);
    afar__session_reply reply = { .code = AFAR_OK, .not_begun = !served->begun };
    afar__packed packed;

    /* As over gRPC: only a process that is not the one that was meant says MOVED. */
    if (call->host && call->error.code == AFAR_MOVED)
        call->error.code = AFAR_UNAVAILABLE;
    afar__packed_init(&packed);
    if (!call->error.code && call->reply &&
        !afar__packed_fill(&packed, call->reply, call->method->reply_refs, &call->error) &&
        (!served->keep || !hold_objects(call, &packed.refs)))
        reply.payload = (afar__session_span){ packed.data, packed.length };
    if (call->error.code)
        fill_error(call, &reply);
    else
        reply.not_begun = false;
    fill_metadata(call, &reply);
    send_return(served, &reply, &packed.refs);
    afar__packed_clear(&packed);
    afar__raw_answered(served);
}

/* ---- the rest of what a host asks of a call ---- */

static void
give_back_cost(afar__served *served)
{
    afar__connection *connection = served->connection;

    if (served->cost == 0)
        return;
    pthread_mutex_lock(&connection->lock);
    afar__session_taken(connection->session, served->id, served->cost, false);
    served->cost = 0;
    afar__connection_pump_locked(connection);
    pthread_mutex_unlock(&connection->lock);
}

static void
begin(afar_call *call)
{
    afar__served *served = afar__served_of(call);

    served->begun = true;
    give_back_cost(served);
}

static void
watch(afar_call *call)
{
    (void)call;
}

static const afar_metadata *
metadata(afar_call *call)
{
    return &afar__served_of(call)->metadata;
}

static afar_peer
peer(afar_call *call)
{
    return afar__served_of(call)->connection->transport->peer;
}

static const afar__call_ops ops = {
    .finish = finish,
    .send = afar__served_send,
    .receive = afar__served_receive,
    .watch = watch,
    .begin = begin,
    .metadata = metadata,
    .peer = peer,
    .free = free_call,
};

/* ---- whom it is for ---- */

static afar_code
find_method(afar__host *host, afar__session_span path, const afar_method **ret_method,
            afar_error *err)
{
    const afar_interface *interface = afar_object_interface(afar__host_object(host));

    for (unsigned i = 0; i < interface->method_count; i++) {
        const afar_method *method = afar__interface_method(interface, i);

        if (strlen(method->path) == path.length &&
            memcmp(method->path, path.data, path.length) == 0) {
            *ret_method = method;
            return AFAR_OK;
        }
    }
    return afar_fail(err, AFAR_UNIMPLEMENTED, "%.*s: the object is a %s, which has no such method",
                     (int)(path.length > 160 ? 160 : path.length), (const char *)path.data,
                     interface->name);
}

static afar_code
find_object(afar__served *served, afar_object *object, afar__session_span path, afar_error *err)
{
    afar__host *host = afar__host_of(object);
    afar_code code = find_method(host, path, &served->base.method, err);

    if (!code) {
        afar_object_share(object);
        served->base.host = host;
    }
    return code;
}

static afar_code
find_named(afar__served *served, const afar__session_event *event, afar_error *err)
{
    afar__connection *connection = served->connection;
    afar__arena *arena = served->base.arena;
    const char *path = afar__arena_memdup(arena, event->method.data, event->method.length);
    const char *name =
        afar__arena_memdup(arena, event->target.name.data, event->target.name.length);
    afar__target target = { NULL, NULL };
    afar_code code;

    if (!path || !name)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a call");
    if (!connection->find)
        return afar_fail(err, AFAR_NOT_FOUND, "%s: this process exports nothing here", path);
    code = connection->find(connection->find_arg, path, *name ? name : NULL, &target, err);
    served->base.host = target.host;
    served->base.method = target.method;
    if (!connection->names_are_ours)
        served->base.object_name = name;
    return code;
}

static afar_code
find_target(afar__served *served, const afar__session_event *event, afar_error *err)
{
    afar_object *promised = NULL;
    afar_code code;

    switch (event->target.kind) {
    case AFAR__SESSION_OBJECT:
        return find_object(served, event->target.object, event->method, err);
    case AFAR__SESSION_NAMED:
        return find_named(served, event, err);
    case AFAR__SESSION_PROMISED:
        break;
    }
    code = afar__served_promised(event->target_user, &event->target, &promised, err);
    if (!code)
        code = find_object(served, promised, event->method, err);
    afar_object_close(promised);
    return code;
}

/* ---- coming in ---- */

static afar_code
read_request(afar__served *served, const afar__session_event *event, afar_error *err)
{
    afar_call *call = &served->base;
    uint32_t kind = call->method->kind;
    ProtobufCMessage *request = NULL;
    afar_code code = AFAR_OK;

    if (kind == AFAR_UNARY || kind == AFAR_CLIENT_STREAM) {
        call->reply = afar__message_init(call->method->reply, call->arena);
        if (!call->reply)
            code = afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a reply",
                             call->method->path);
    }
    if (!code && (kind == AFAR_UNARY || kind == AFAR_SERVER_STREAM))
        code = afar__decode(call->method->request, event->payload.data, event->payload.length,
                            &served->connection->node->limits, call->arena, &request, err);
    if (code || !request)
        afar__refs_refuse(served->connection, event);
    else
        code = afar__refs_accept(served->connection, call->method->request_refs, request, event,
                                 call->arena, err);
    call->request = request;
    if (!code && kind == AFAR_BIDI_STREAM && afar__host_takes_raw(call->host))
        code = afar__raw_expect(served, err);
    return code;
}

/* A peer may ask for results to be kept, and never finish with them. */
static afar_code
check_kept(const afar__served *served, afar_error *err)
{
    bool full;

    if (!served->keep)
        return AFAR_OK;
    pthread_mutex_lock(&served->connection->lock);
    full = served->connection->kept_count >= MOST_KEPT;
    pthread_mutex_unlock(&served->connection->lock);
    return full ? afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                            "%d results are kept for this session already", MOST_KEPT)
                : AFAR_OK;
}

static void
called_in_vain(afar__connection *connection, const afar__session_event *event)
{
    static const char text[] = "no memory for a call";
    afar__session_reply reply = { .code = AFAR_RESOURCE_EXHAUSTED,
                                  .text = { text, sizeof text - 1 },
                                  .not_begun = true };

    afar__refs_refuse(connection, event);
    pthread_mutex_lock(&connection->lock);
    (void)afar__session_return(connection->session, event->call, &reply, NULL);
    afar__session_taken(connection->session, event->call, event->cost, false);
    connection->again = true;
    pthread_mutex_unlock(&connection->lock);
}

static void
called(afar__served *served, afar__connection *connection, const afar__session_event *event)
{
    afar_call *call = &served->base;
    afar_code code;

    code =
        afar__far_metadata(event->metadata, event->metadata_count, call->arena, &served->metadata);
    if (code)
        afar_fail(&call->error, code, "no memory for metadata");
    else
        code = check_kept(served, &call->error);
    if (!code)
        code = find_target(served, event, &call->error);
    if (afar__log_on(AFAR_LOG_DEBUG))
        afar__log(AFAR_LOG_DEBUG, "%.*s %s: %s", (int)event->method.length,
                  (const char *)event->method.data, call->object_name,
                  code ? call->error.message : "served");
    if (code)
        afar__refs_refuse(connection, event);
    else
        code = read_request(served, event, &call->error);
    if (code) {
        give_back_cost(served);
        afar__call_refuse(call);
    } else {
        afar__host_deliver(call);
    }
}

/* The caller gave up, or its time is over. */
static void
cancel_locked(afar__served *served)
{
    afar__call_cancel(&served->base);
    afar__waiters_wake(&served->waiters);
}

/* Nobody will call what its result refers to any more; if it was kept. */
static void
finished(afar__connection *connection, afar__served *served)
{
    bool kept;

    pthread_mutex_lock(&connection->lock);
    kept = served && served->link;
    if (kept)
        forget_locked(served);
    pthread_mutex_unlock(&connection->lock);
    if (kept)
        afar__call_unref(&served->base);
}

void
afar__served_event(afar__connection *connection, const afar__session_event *event,
                   afar__served *served)
{
    switch (event->kind) {
    case AFAR__SESSION_CALLED:
        if (served)
            called(served, connection, event);
        else
            called_in_vain(connection, event);
        return;
    case AFAR__SESSION_ITEM:
        afar__served_item_came(served, event);
        break;
    case AFAR__SESSION_FINISHED:
        finished(connection, served);
        break;
    default:
        pthread_mutex_lock(&connection->lock);
        if (event->kind == AFAR__SESSION_CANCELLED)
            cancel_locked(served);
        else if (event->kind == AFAR__SESSION_ENDED)
            served->ended = true;
        afar__waiters_wake(&served->waiters);
        pthread_mutex_unlock(&connection->lock);
        afar__raw_event(served, event);
    }
    if (served)
        afar__call_unref(&served->base);
}

static afar__raw *
next_raw_locked(afar__connection *connection)
{
    for (afar__served *served = connection->served; served; served = served->next) {
        if (!served->raw || served->closes)
            continue;
        served->closes = true;
        return afar__raw_ref(served->raw);
    }
    return NULL;
}

void
afar__served_raws_close(afar__connection *connection)
{
    afar__raw *raw;

    do {
        pthread_mutex_lock(&connection->lock);
        raw = next_raw_locked(connection);
        pthread_mutex_unlock(&connection->lock);
        if (!raw)
            break;
        afar__raw_tell(raw, AFAR__RAW_CLOSING);
        afar__raw_unref(raw);
    } while (raw);
}

int64_t
afar__served_expire_locked(afar__connection *connection, int64_t now)
{
    int64_t earliest = AFAR_FOREVER.ns;

    for (afar__served *served = connection->served; served; served = served->next) {
        int64_t deadline = served->base.deadline.ns;

        if (deadline <= now)
            cancel_locked(served);
        else if (deadline < earliest)
            earliest = deadline;
    }
    return earliest;
}
