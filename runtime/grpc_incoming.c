/* Calls that come in over gRPC.
 *
 *     asked for -> new           the core has a call; its object and method are found
 *     new -> request read        unary calls and server streams: the one request
 *     new -> delivered           the others: messages are read as they are wanted
 *     delivered -> finished      reply and status are on their way (call.c)
 *     finished -> spare          every tag has come back
 *
 * Whether the caller gives up is asked for only when somebody wants to know, since
 * a call that is answered at once gets that answer with its last batch.  The core
 * must give it in any case before the call may be let go of.
 *
 * Each tag under way holds a reference. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/support/time.h>

#include "runtime/abroad.h"
#include "runtime/clock.h"
#include "runtime/decode.h"
#include "runtime/fail.h"
#include "runtime/grpc_port.h"
#include "runtime/grpc_transport.h"
#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/status.h"

#define FIRST_CHUNK 2048
#define MAX_SPARE 256

static const afar__call_ops ops;

static afar__incoming *
incoming_of(afar_call *call)
{
    return (afar__incoming *)call;
}

#define OF_TAG(tag, member)                                                                        \
    ((afar__incoming *)(void *)((char *)(tag)-offsetof(afar__incoming, member)))

/* ---- life ---- */

static void
drop_sent(afar__incoming *incoming)
{
    for (int i = 0; i < 2; i++) {
        for (size_t j = 0; j < incoming->sent_count[i]; j++) {
            grpc_slice_unref(incoming->sent[i][j].key);
            grpc_slice_unref(incoming->sent[i][j].value);
        }
        incoming->sent_count[i] = 0;
    }
}

/* Everything that belongs to one call goes. */
static void
reset(afar__incoming *incoming)
{
    if (incoming->streams)
        afar__pipe_clear(&incoming->pipe);
    if (incoming->payload)
        grpc_byte_buffer_destroy(incoming->payload);
    if (incoming->has_reply)
        afar__grpc_packed_clear(&incoming->reply);
    grpc_slice_unref(incoming->status_text);
    drop_sent(incoming);
    if (incoming->call)
        grpc_call_unref(incoming->call);
    afar__call_clear(&incoming->base);
    afar__arena_free(incoming->item);
}

void
afar__incoming_destroy(afar__incoming *incoming)
{
    grpc_metadata_array_destroy(&incoming->metadata);
    afar__arena_free(incoming->base.arena);
    free(incoming);
}

static void
retire(afar__incoming *incoming)
{
    afar__port *port = incoming->port;
    bool keep;

    grpc_call_details_destroy(&incoming->details);
    if (incoming->base.arena)
        afar__arena_reset(incoming->base.arena);
    pthread_mutex_lock(&port->lock);
    keep = port->spare_count < MAX_SPARE;
    if (keep) {
        incoming->next_spare = port->spare;
        port->spare = incoming;
        port->spare_count++;
    }
    pthread_mutex_unlock(&port->lock);
    if (!keep)
        afar__incoming_destroy(incoming);
    afar__port_leave(port);
}

/* Posts again what could not be posted before. */
static void
repay(afar__port *port)
{
    bool owed;

    pthread_mutex_lock(&port->lock);
    owed = port->owed > 0;
    if (owed)
        port->owed--;
    pthread_mutex_unlock(&port->lock);
    if (owed)
        afar__incoming_request(port);
}

static void
free_call(afar_call *call)
{
    afar__incoming *incoming = incoming_of(call);
    afar__host *host = call->host;

    reset(incoming);
    if (host)
        afar_object_close(afar__host_object(host));
    repay(incoming->port); /* before the port may go */
    retire(incoming);
}

static void
unref(afar__incoming *incoming)
{
    afar__call_unref(&incoming->base);
}

static void
ref_pipe(afar__pipe *pipe)
{
    afar__call_ref(&OF_TAG(pipe, pipe)->base);
}

static void
unref_pipe(afar__pipe *pipe)
{
    afar__call_unref(&OF_TAG(pipe, pipe)->base);
}

/* ---- the end ---- */

/* Metadata to be sent, with room for `extra` more pairs. */
static void
fill_sent(afar__incoming *incoming, unsigned which, const afar__metadata_list *list, size_t extra)
{
    size_t room = list->count + extra;
    grpc_metadata *pairs;

    incoming->sent[which] = pairs =
        afar__arena_alloc(incoming->base.arena, room * sizeof *pairs + 1);
    for (size_t i = 0; pairs && i < list->count; i++)
        pairs[incoming->sent_count[which]++] =
            afar__grpc_pair(list->entries[i].key, list->entries[i].value, list->entries[i].length);
}

static grpc_op
initial_op(afar__incoming *incoming)
{
    grpc_op op;

    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_INITIAL_METADATA;
    if (incoming->base.initial.count > 0)
        fill_sent(incoming, 0, &incoming->base.initial, 0);
    op.data.send_initial_metadata.count = incoming->sent_count[0];
    op.data.send_initial_metadata.metadata = incoming->sent[0];
    incoming->base.initial_sent = true;
    return op;
}

/* What gRPC's status cannot say, or what the core itself says when a connection
 * breaks: then our own code goes along, so that the caller can tell. */
static bool
needs_code(afar_code code)
{
    return code >= 100 || code == AFAR_CANCELLED || code == AFAR_UNAVAILABLE ||
           code == AFAR_DEADLINE_EXCEEDED || code == AFAR_INTERNAL;
}

static void
fill_trailing(afar__incoming *incoming)
{
    const afar_error *error = &incoming->base.error;
    bool details = error->code && afar_error_detail_count(error) > 0;
    bool code = needs_code(error->code);
    grpc_metadata *pairs;
    uint8_t *bytes;
    size_t length;

    if (!details && !code && incoming->base.trailing.count == 0)
        return;
    fill_sent(incoming, 1, &incoming->base.trailing, 2);
    pairs = incoming->sent[1];
    if (!pairs)
        return;
    if (details && !afar__status_encode(error, incoming->base.arena, &bytes, &length))
        pairs[incoming->sent_count[1]++] = afar__grpc_pair(AFAR__DETAILS_KEY, bytes, length);
    if (code) {
        char text[16];
        int n = snprintf(text, sizeof text, "%d", (int)error->code);

        pairs[incoming->sent_count[1]++] = afar__grpc_pair(AFAR__CODE_KEY, text, (size_t)n);
    }
}

static grpc_op
status_op(afar__incoming *incoming)
{
    const afar_error *error = &incoming->base.error;
    grpc_op op;

    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    fill_trailing(incoming);
    op.data.send_status_from_server.trailing_metadata_count = incoming->sent_count[1];
    op.data.send_status_from_server.trailing_metadata = incoming->sent[1];
    op.data.send_status_from_server.status = (grpc_status_code)afar_code_status(error->code);
    if (error->code) {
        incoming->status_text = grpc_slice_from_copied_string(error->message);
        op.data.send_status_from_server.status_details = &incoming->status_text;
    }
    return op;
}

/* Under the pipe's lock for streams: nothing of theirs is under way. */
static void
send_final(afar__incoming *incoming)
{
    afar_call *call = &incoming->base;
    grpc_op batch[4];
    size_t count = 0;

    if (incoming->streams && incoming->pipe.opening_count > 0)
        batch[count++] = incoming->pipe.opening[0]; /* no message took it along */
    else if (!call->initial_sent)
        batch[count++] = initial_op(incoming);
    if (incoming->has_reply) {
        memset(&batch[count], 0, sizeof *batch);
        batch[count].op = GRPC_OP_SEND_MESSAGE;
        batch[count++].data.send_message.send_message = &incoming->reply;
    }
    batch[count++] = status_op(incoming);
    if (!atomic_exchange(&call->watched, true)) {
        memset(&batch[count], 0, sizeof *batch);
        batch[count].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
        batch[count++].data.recv_close_on_server.cancelled = &incoming->cancelled;
    }
    afar__call_ref(call);
    afar__grpc_start(incoming->call, batch, count, &incoming->done_tag);
}

/* The references in what is sent get addresses, for as long as it is packed. */
static afar_code
write_references(afar__incoming *incoming, afar__abroad *abroad, const ProtobufCMessage *message,
                 afar_error *err)
{
    const afar_method *method = incoming->base.method;
    afar__leaving leaving = {
        .what = method->path,
        .node = incoming->port->node,
        .publisher = incoming->port->options.publisher,
    };

    leaving.fd = method->reply_refs ? afar__port_fd(incoming->call) : -1;
    return afar__abroad_write(abroad, method->reply_refs, message, &leaving, err);
}

static void
pack_reply(afar__incoming *incoming)
{
    afar_call *call = &incoming->base;
    afar__abroad abroad = { NULL };

    incoming->has_reply = !write_references(incoming, &abroad, call->reply, &call->error);
    if (incoming->has_reply)
        afar__grpc_pack(call->reply, &incoming->reply);
    afar__abroad_undo(&abroad);
}

static void
finish(afar_call *call)
{
    afar__incoming *incoming = incoming_of(call);

    /* A handler may pass on that somebody it called has moved.  Of itself that is not
     * true, and a caller who believed it would repeat what was done. */
    if (call->host && call->error.code == AFAR_MOVED)
        call->error.code = AFAR_UNAVAILABLE;
    if (call->error.code == AFAR_OK && call->reply)
        pack_reply(incoming);
    if (incoming->streams)
        afar__pipe_finish(&incoming->pipe);
    else
        send_final(incoming);
}

static void
drained(afar__pipe *pipe)
{
    send_final(OF_TAG(pipe, pipe));
}

static void
done(afar__tag *tag, bool ok)
{
    (void)ok;
    unref(OF_TAG(tag, done_tag));
}

/* ---- giving up ---- */

static void
close_came(afar__tag *tag, bool ok)
{
    afar__incoming *incoming = OF_TAG(tag, close_tag);

    if (!ok || incoming->cancelled) {
        afar__call_cancel(&incoming->base);
        if (incoming->streams)
            afar__pipe_end(&incoming->pipe);
    }
    unref(incoming);
}

static void
watch(afar_call *call)
{
    afar__incoming *incoming = incoming_of(call);
    grpc_op op;

    if (atomic_exchange(&call->watched, true))
        return;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &incoming->cancelled;
    afar__call_ref(call);
    afar__grpc_start(incoming->call, &op, 1, &incoming->close_tag);
}

/* ---- streams ---- */

static void
pause_turn(void *call)
{
    afar__host_pause(call);
}

static void
resume_turn(void *call)
{
    afar__host_resume(call);
}

static afar_code
stream_error(afar_call *call, afar__pipe_result result, const char *what, afar_error *err)
{
    if (result == AFAR__PIPE_REFUSED)
        return afar__wait_refused(err);
    if (result == AFAR__PIPE_NO_MEMORY)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a message",
                         call->method->path);
    /* The end of the stream may be seen before the core says why. */
    if (result == AFAR__PIPE_OVER)
        afar__call_cancel(call);
    if (atomic_load(&call->cancelled))
        return afar_fail(err, AFAR_CANCELLED, "%s: the caller has gone", call->method->path);
    return afar_fail(err, AFAR_DEADLINE_EXCEEDED, "%s: %s", call->method->path, what);
}

static afar_code
send_message(afar_call *call, const ProtobufCMessage *message, int64_t deadline, afar_error *err)
{
    afar__incoming *incoming = incoming_of(call);
    afar__pipe_pause pause = { pause_turn, resume_turn, call };
    afar__pipe_result result;
    afar__abroad abroad = { NULL };
    afar_code code;

    if (!incoming->streams || call->method->kind == AFAR_CLIENT_STREAM)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "%s sends no stream", call->method->path);
    if (!call->initial_sent) {
        pthread_mutex_lock(&incoming->pipe.lock);
        incoming->pipe.opening[0] = initial_op(incoming);
        incoming->pipe.opening_count = 1;
        pthread_mutex_unlock(&incoming->pipe.lock);
    }
    code = write_references(incoming, &abroad, message, err);
    result = code ? AFAR__PIPE_OK : afar__pipe_send(&incoming->pipe, message, deadline, &pause);
    afar__abroad_undo(&abroad);
    if (result == AFAR__PIPE_OK)
        return code;
    return stream_error(call, result, "the caller does not take what was sent", err);
}

/* A message's bytes, and the message, with what its references stand for. */
static afar_code
decode(afar__incoming *incoming, grpc_byte_buffer *buffer, afar__arena *arena,
       ProtobufCMessage **ret_message, afar_error *err)
{
    const afar_method *method = incoming->base.method;
    afar_node *node = incoming->port->node;
    const afar_message_limits *limits = &node->limits;
    grpc_slice bytes;
    afar_code code = afar__grpc_flat(buffer, limits->max_bytes, &bytes, err);

    if (code)
        return code;
    code = afar__decode(method->request, GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes),
                        limits, arena, ret_message, err);
    grpc_slice_unref(bytes);
    if (!code)
        code = afar__abroad_read(node, method->request_refs, *ret_message, arena, err);
    return code;
}

static afar_code
decode_item(afar__incoming *incoming, grpc_byte_buffer *buffer,
            const ProtobufCMessage **ret_message, afar_error *err)
{
    ProtobufCMessage *message = NULL;
    afar_code code;

    if (incoming->item)
        afar__arena_reset(incoming->item);
    else
        incoming->item = afar__arena_new(FIRST_CHUNK);
    code = incoming->item ? decode(incoming, buffer, incoming->item, &message, err)
                          : afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a message");
    grpc_byte_buffer_destroy(buffer);
    if (!code)
        *ret_message = message;
    return code;
}

static afar_code
receive(afar_call *call, int64_t deadline, const ProtobufCMessage **ret_message, afar_error *err)
{
    afar__incoming *incoming = incoming_of(call);
    afar__pipe_pause pause = { pause_turn, resume_turn, call };
    grpc_byte_buffer *buffer = NULL;
    afar__pipe_result result;

    if (!incoming->streams || call->method->kind == AFAR_SERVER_STREAM)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "%s receives no stream",
                         call->method->path);
    result = afar__pipe_receive(&incoming->pipe, deadline, &pause, &buffer);
    if (result == AFAR__PIPE_OK)
        return decode_item(incoming, buffer, ret_message, err);
    if (result == AFAR__PIPE_OVER && !afar__pipe_broken(&incoming->pipe))
        return afar_fail(err, AFAR_ENDED, "%s: the caller has sent all", call->method->path);
    return stream_error(call, result, "nothing came in time", err);
}

/* ---- what is known ---- */

static const afar_metadata *
metadata(afar_call *call)
{
    afar__incoming *incoming = incoming_of(call);

    if (!incoming->viewed &&
        !afar__grpc_view(&incoming->metadata, call->arena, &incoming->view, NULL))
        incoming->viewed = true;
    return &incoming->view;
}

static afar_peer
peer(afar_call *call)
{
    afar__incoming *incoming = incoming_of(call);

    if (incoming->peer_known)
        return incoming->peer;
    incoming->peer = afar__port_peer(incoming->port, incoming->call);
    incoming->peer.address = afar__arena_strdup(call->arena, incoming->peer.address);
    if (!incoming->peer.address)
        incoming->peer.address = "unknown";
    incoming->peer_known = true;
    return incoming->peer;
}

static const afar__call_ops ops = {
    .finish = finish,
    .send = send_message,
    .receive = receive,
    .watch = watch,
    .metadata = metadata,
    .peer = peer,
    .free = free_call,
};

/* ---- coming in ---- */

/* The one request is here. */
static void
request_came(afar__tag *tag, bool ok)
{
    afar__incoming *incoming = OF_TAG(tag, request_tag);
    afar_call *call = &incoming->base;
    ProtobufCMessage *request = NULL;
    afar_code code;

    if (ok && incoming->payload)
        code = decode(incoming, incoming->payload, call->arena, &request, &call->error);
    else
        code = afar_call_fail(call, AFAR_INTERNAL, "%s: no request came", call->method->path);
    call->request = request;
    if (code)
        afar__call_refuse(call);
    else
        afar__host_deliver(call);
    unref(incoming);
}

static void
read_request(afar__incoming *incoming)
{
    grpc_op op;

    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &incoming->payload;
    afar__call_ref(&incoming->base);
    afar__grpc_start(incoming->call, &op, 1, &incoming->request_tag);
}

static void
open_pipe(afar__incoming *incoming)
{
    afar__pipe_init(&incoming->pipe, incoming->call);
    incoming->pipe.ref = ref_pipe;
    incoming->pipe.unref = unref_pipe;
    incoming->pipe.drained = drained;
    incoming->streams = true;
    watch(&incoming->base);
}

/* The call's method is known: on to its request. */
static void
proceed(afar__incoming *incoming)
{
    afar_call *call = &incoming->base;
    uint32_t kind = call->method->kind;

    if (kind == AFAR_UNARY || kind == AFAR_CLIENT_STREAM) {
        call->reply = afar__message_init(call->method->reply, call->arena);
        if (!call->reply) {
            afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "no memory for a reply");
            afar__call_refuse(call);
            return;
        }
    }
    if (kind != AFAR_UNARY)
        open_pipe(incoming);
    if (kind == AFAR_UNARY || kind == AFAR_SERVER_STREAM) {
        read_request(incoming);
    } else {
        afar__pipe_open(&incoming->pipe);
        afar__host_deliver(call);
    }
}

static const char *
copy(afar__arena *arena, const grpc_slice *slice)
{
    return slice
               ? afar__arena_memdup(arena, GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice))
               : NULL;
}

static afar_deadline
deadline_of(gpr_timespec time)
{
    gpr_timespec monotonic = gpr_convert_clock_type(time, GPR_CLOCK_MONOTONIC);

    if (gpr_time_cmp(monotonic, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0 ||
        monotonic.tv_sec > INT64_MAX / AFAR__SECOND - 1)
        return AFAR_FOREVER;
    return afar_deadline_at(monotonic.tv_sec * AFAR__SECOND + monotonic.tv_nsec);
}

/* What cannot be read is not a chain of ours, and no harm. */
static void
read_chain(afar__incoming *incoming)
{
    const char *text =
        copy(incoming->base.arena, afar__grpc_find(&incoming->metadata, AFAR__CHAIN_KEY));
    afar_call *call = &incoming->base;
    char *end;

    while (text && call->chain_length < AFAR__CHAIN) {
        uint64_t id = strtoull(text, &end, 16);

        if (end != text + 16 || (*end != ',' && *end != '\0'))
            return;
        call->chain[call->chain_length++] = id;
        text = *end == ',' ? end + 1 : NULL;
    }
}

/* A call may say which process it is meant for: another one may have the address now.
 * What cannot be read is not this one either. */
static afar_code
check_instance(afar__incoming *incoming, afar_error *err)
{
    const grpc_slice *asked = afar__grpc_find(&incoming->metadata, AFAR__INSTANCE_KEY);
    char ours[AFAR__INSTANCE_DIGITS];

    if (!asked)
        return AFAR_OK;
    afar__grpc_instance(incoming->port->node->instance, ours);
    if (GRPC_SLICE_LENGTH(*asked) == sizeof ours &&
        memcmp(GRPC_SLICE_START_PTR(*asked), ours, sizeof ours) == 0)
        return AFAR_OK;
    return afar_fail(err, AFAR_MOVED, "another process is at this address now");
}

static afar_code
find_target(afar__incoming *incoming, const char *name, afar__target *ret_target, afar_error *err)
{
    afar__port *port = incoming->port;
    afar_code code = check_instance(incoming, err);

    if (!code && !incoming->path)
        code = afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory");
    return code ? code
                : port->options.find(port->options.arg, incoming->path, name, ret_target, err);
}

static void
identify(afar__incoming *incoming)
{
    afar_call *call = &incoming->base;
    const char *name = copy(call->arena, afar__grpc_find(&incoming->metadata, AFAR__OBJECT_KEY));
    afar__target target = { NULL, NULL };
    afar_code code;

    incoming->path = copy(call->arena, &incoming->details.method);
    call->deadline = deadline_of(incoming->details.deadline);
    read_chain(incoming);
    call->object_name = name ? name : "";
    code = find_target(incoming, name, &target, &call->error);
    call->host = target.host;
    call->method = target.method;
    if (afar__log_on(AFAR_LOG_DEBUG))
        afar__log(AFAR_LOG_DEBUG, "%s %s: %s", incoming->path ? incoming->path : "?",
                  call->object_name, code ? call->error.message : "served");
    if (code || !call->method)
        afar__call_refuse(call);
    else
        proceed(incoming);
}

static bool
is_session(const afar__incoming *incoming)
{
    return incoming->port->options.session &&
           grpc_slice_str_cmp(incoming->details.method, AFAR__SESSION_PATH) == 0;
}

/* The call goes to the transport of a session, and leaves this empty. */
static void
open_session(afar__incoming *incoming)
{
    if (afar__carrier_accept(incoming->port, incoming->call)) {
        incoming->call = NULL;
        unref(incoming);
        return;
    }
    afar_fail(&incoming->base.error, AFAR_RESOURCE_EXHAUSTED, "no memory for a session");
    afar__call_refuse(&incoming->base);
}

static void
came(afar__tag *tag, bool ok)
{
    afar__incoming *incoming = OF_TAG(tag, new_tag);
    afar__port *port = incoming->port;

    if (!ok) {
        retire(incoming);
        return;
    }
    /* Before anything of this call lets the core read on: a call that waits for a
     * request gets it then, and not one that comes after it. */
    afar__incoming_request(port);
    if (!incoming->base.arena)
        incoming->base.arena = afar__arena_new(FIRST_CHUNK);
    if (is_session(incoming)) {
        open_session(incoming);
    } else if (incoming->base.arena) {
        identify(incoming);
    } else {
        afar_fail(&incoming->base.error, AFAR_RESOURCE_EXHAUSTED, "no memory for a call");
        afar__call_refuse(&incoming->base);
    }
}

static afar__incoming *
make(afar__port *port)
{
    afar__incoming *incoming = calloc(1, sizeof *incoming);

    if (!incoming)
        return NULL;
    incoming->port = port;
    incoming->base.ops = &ops;
    incoming->new_tag.done = came;
    incoming->request_tag.done = request_came;
    incoming->close_tag.done = close_came;
    incoming->done_tag.done = done;
    grpc_metadata_array_init(&incoming->metadata);
    return incoming;
}

/* What one call leaves behind in a spare one. */
static void
renew(afar__incoming *incoming)
{
    afar__call_init(&incoming->base);
    incoming->base.host = NULL;
    incoming->base.method = NULL;
    incoming->base.request = NULL;
    incoming->base.reply = NULL;
    incoming->call = NULL;
    incoming->cancelled = 0;
    incoming->payload = NULL;
    incoming->has_reply = incoming->streams = false;
    incoming->viewed = incoming->peer_known = false;
    incoming->item = NULL;
    incoming->status_text = grpc_empty_slice();
    incoming->metadata.count = 0;
    memset(&incoming->view, 0, sizeof incoming->view);
    memset(incoming->sent, 0, sizeof incoming->sent);
    memset(incoming->sent_count, 0, sizeof incoming->sent_count);
    grpc_call_details_init(&incoming->details);
}

void
afar__incoming_request(afar__port *port)
{
    afar__incoming *incoming;

    pthread_mutex_lock(&port->lock);
    if (port->stopping) {
        pthread_mutex_unlock(&port->lock);
        return;
    }
    incoming = port->spare;
    if (incoming) {
        port->spare = incoming->next_spare;
        port->spare_count--;
    }
    port->live++;
    pthread_mutex_unlock(&port->lock);
    if (!incoming)
        incoming = make(port);
    if (!incoming) {
        afar__log(AFAR_LOG_ERROR, "no memory to take another call");
        pthread_mutex_lock(&port->lock);
        port->live--;
        port->owed++;
        pthread_mutex_unlock(&port->lock);
        return;
    }
    renew(incoming);
    afar__grpc_publish(&incoming->new_tag);
    if (grpc_server_request_call(port->server, &incoming->call, &incoming->details,
                                 &incoming->metadata, afar__grpc_queue(), afar__grpc_queue(),
                                 &incoming->new_tag) != GRPC_CALL_OK)
        retire(incoming);
}
