/* Transports over gRPC: a bidirectional call that carries bytes.
 *
 *     made -> started -> closing -> ended -> over
 *
 * One message is sent and one received at a time.  Each tag under way is counted.  The
 * core says once how the call ended, by `end_tag`, and from then on nothing is started;
 * when all tags have come back the user is told.
 *
 * A call of the core is closed by its server for both directions at once, and by its client
 * for one.  A transport is the same at its two ends, so the server answers the client's
 * end with its own: whoever closes first ends it, when what it has sent has been read.
 * Who is closing reads on, and drops what comes: the core does not say how a call
 * ended before it has been read to the end, and two peers that both wait to be read would
 * wait for ever.
 *
 * All user functions are called by the thread that polls, in the middle of an event; there
 * is one such thread at a time, which puts them in order.  Everything else may be done by
 * any thread: batches are started under the lock, which never calls back. */

#include "runtime/grpc_transport.h"

#include <stdlib.h>
#include <string.h>

#define OF_TAG(tag, member)                                                                        \
    ((afar__carrier *)(void *)((char *)(tag)-offsetof(afar__carrier, member)))

int
afar__grpc_most(size_t max_bytes)
{
    if (max_bytes > INT32_MAX - AFAR__TRANSPORT_MOST(0))
        return -1;
    return (int)AFAR__TRANSPORT_MOST(max_bytes);
}

/* ---- life ---- */

static void
unref(afar__carrier *carrier)
{
    if (atomic_fetch_sub_explicit(&carrier->refs, 1, memory_order_acq_rel) == 1)
        carrier->side->free(carrier);
}

void
afar__carrier_clear(afar__carrier *carrier)
{
    afar_error_clear(&carrier->why);
    pthread_mutex_destroy(&carrier->lock);
}

static void
tell_over(afar__carrier *carrier)
{
    carrier->base.user->over(carrier->base.arg, &carrier->why);
    carrier->side->leave(carrier);
    unref(carrier);
}

void
afar__carrier_settle(afar__carrier *carrier)
{
    bool over;

    pthread_mutex_lock(&carrier->lock);
    over = --carrier->under_way == 0 && carrier->ended;
    pthread_mutex_unlock(&carrier->lock);
    if (over)
        tell_over(carrier);
}

/* ---- batches ---- */

void
afar__carrier_batch_locked(afar__carrier *carrier, const grpc_op *ops, size_t count, afar__tag *tag)
{
    carrier->under_way++;
    afar__grpc_start(carrier->call, ops, count, tag);
}

static bool
usable_locked(const afar__carrier *carrier)
{
    return carrier->call && !carrier->ended;
}

/* The initial metadata, if it has not been sent. */
static size_t
opening_locked(afar__carrier *carrier, grpc_op *ops)
{
    if (carrier->opened)
        return 0;
    carrier->opened = true;
    memset(ops, 0, sizeof *ops);
    ops->op = GRPC_OP_SEND_INITIAL_METADATA;
    return 1;
}

static void
receive_locked(afar__carrier *carrier)
{
    grpc_op op;

    if (!usable_locked(carrier) || carrier->receiving || carrier->drained)
        return;
    carrier->receiving = true;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &carrier->in;
    afar__carrier_batch_locked(carrier, &op, 1, &carrier->receive_tag);
}

static void
finish_locked(afar__carrier *carrier)
{
    grpc_op ops[2];
    size_t count;

    if (!usable_locked(carrier) || carrier->sending || carrier->finished)
        return;
    carrier->finished = true;
    count = opening_locked(carrier, ops);
    ops[count++] = carrier->side->last_op(carrier);
    afar__carrier_batch_locked(carrier, ops, count, &carrier->last_tag);
}

void
afar__carrier_open_locked(afar__carrier *carrier, afar__tag *tag)
{
    grpc_op op;

    if (usable_locked(carrier) && opening_locked(carrier, &op) > 0)
        afar__carrier_batch_locked(carrier, &op, 1, tag);
}

void
afar__carrier_close_locked(afar__carrier *carrier)
{
    carrier->closing = true;
    finish_locked(carrier);
    receive_locked(carrier);
}

/* ---- events ---- */

static void
sent(afar__tag *tag, bool ok)
{
    afar__carrier *carrier = OF_TAG(tag, send_tag);
    bool tell;

    pthread_mutex_lock(&carrier->lock);
    afar__grpc_packed_clear(&carrier->out);
    carrier->sending = false;
    tell = ok && !carrier->closing;
    if (carrier->closing)
        finish_locked(carrier);
    pthread_mutex_unlock(&carrier->lock);
    if (tell)
        carrier->base.user->sent(carrier->base.arg);
    afar__carrier_settle(carrier);
}

/* Hands a batch to the user; one that cannot be read is the end. */
static void
deliver(afar__carrier *carrier, grpc_byte_buffer *buffer)
{
    afar_error bad = AFAR_ERROR_INIT;
    grpc_slice bytes;

    if (!afar__grpc_flat(buffer, carrier->most, &bytes, &bad)) {
        carrier->base.user->received(carrier->base.arg, GRPC_SLICE_START_PTR(bytes),
                                     GRPC_SLICE_LENGTH(bytes));
        grpc_slice_unref(bytes);
        return;
    }
    pthread_mutex_lock(&carrier->lock);
    afar_error_move(&carrier->why, &bad);
    carrier->closing = true;
    if (usable_locked(carrier))
        grpc_call_cancel(carrier->call, NULL);
    pthread_mutex_unlock(&carrier->lock);
}

static void
received(afar__tag *tag, bool ok)
{
    afar__carrier *carrier = OF_TAG(tag, receive_tag);
    grpc_byte_buffer *buffer;
    bool tell;

    pthread_mutex_lock(&carrier->lock);
    buffer = carrier->in;
    carrier->in = NULL;
    carrier->receiving = false;
    tell = buffer && !carrier->closing;
    if (!buffer) {
        carrier->drained = true;
        if (ok && !carrier->ended && !grpc_call_failed_before_recv_message(carrier->call))
            carrier->side->drained_locked(carrier);
    } else if (carrier->closing) {
        receive_locked(carrier);
    }
    pthread_mutex_unlock(&carrier->lock);
    if (tell)
        deliver(carrier, buffer);
    if (buffer)
        grpc_byte_buffer_destroy(buffer);
    afar__carrier_settle(carrier);
}

static void
last_sent(afar__tag *tag, bool ok)
{
    (void)ok;
    afar__carrier_settle(OF_TAG(tag, last_tag));
}

static void
ended(afar__tag *tag, bool ok)
{
    afar__carrier *carrier = OF_TAG(tag, end_tag);

    (void)ok;
    pthread_mutex_lock(&carrier->lock);
    carrier->ended = true;
    if (carrier->aborted)
        (void)!afar_fail(&carrier->why, AFAR_CANCELLED, "%s: the session was closed here",
                         carrier->base.peer.address);
    else if (!carrier->why.code)
        carrier->side->result(carrier, &carrier->why);
    pthread_mutex_unlock(&carrier->lock);
    afar__carrier_settle(carrier);
}

/* ---- what the user does ---- */

static afar__carrier *
carrier_of(afar__transport *transport)
{
    return (afar__carrier *)transport;
}

static void
start(afar__transport *transport)
{
    afar__carrier *carrier = carrier_of(transport);

    atomic_fetch_add_explicit(&carrier->refs, 1, memory_order_relaxed);
    pthread_mutex_lock(&carrier->lock);
    carrier->started = true;
    carrier->under_way++;
    carrier->side->start_locked(carrier);
    pthread_mutex_unlock(&carrier->lock);
}

static void
receive(afar__transport *transport)
{
    afar__carrier *carrier = carrier_of(transport);

    pthread_mutex_lock(&carrier->lock);
    receive_locked(carrier);
    pthread_mutex_unlock(&carrier->lock);
}

/* Without copying. */
static void
fill(grpc_byte_buffer *buffer, uint8_t *data, size_t length)
{
    grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;

    memset(buffer, 0, sizeof *buffer);
    buffer->type = GRPC_BB_RAW;
    buffer->data.raw.compression = GRPC_COMPRESS_NONE;
    grpc_slice_buffer_init(slices);
    if (length > 0)
        grpc_slice_buffer_add(slices, grpc_slice_new(data, length, free));
    else
        free(data);
}

static void
send_batch(afar__transport *transport, uint8_t *data, size_t length)
{
    afar__carrier *carrier = carrier_of(transport);
    grpc_op ops[2];
    size_t count;
    bool usable;

    pthread_mutex_lock(&carrier->lock);
    usable = usable_locked(carrier) && !carrier->closing;
    if (usable) {
        fill(&carrier->out, data, length);
        carrier->sending = true;
        count = opening_locked(carrier, ops);
        memset(&ops[count], 0, sizeof *ops);
        ops[count].op = GRPC_OP_SEND_MESSAGE;
        ops[count++].data.send_message.send_message = &carrier->out;
        afar__carrier_batch_locked(carrier, ops, count, &carrier->send_tag);
    }
    pthread_mutex_unlock(&carrier->lock);
    if (!usable)
        free(data);
}

static void
close_transport(afar__transport *transport, bool abort)
{
    afar__carrier *carrier = carrier_of(transport);

    pthread_mutex_lock(&carrier->lock);
    if (abort && !carrier->aborted && !carrier->ended) {
        carrier->aborted = carrier->closing = true;
        if (carrier->call)
            grpc_call_cancel(carrier->call, NULL);
    } else if (!carrier->closing) {
        afar__carrier_close_locked(carrier);
    }
    pthread_mutex_unlock(&carrier->lock);
}

static void
free_transport(afar__transport *transport)
{
    afar__carrier *carrier = carrier_of(transport);

    if (!carrier->started)
        carrier->side->leave(carrier);
    unref(carrier);
}

static const afar__transport_ops ops = { start, receive, send_batch, close_transport,
                                         free_transport };

void
afar__carrier_init(afar__carrier *carrier, const afar__carrier_side *side, size_t most)
{
    carrier->base.ops = &ops;
    carrier->base.peer = (afar_peer){ "unknown", -1, -1 };
    carrier->side = side;
    carrier->most = most;
    atomic_init(&carrier->refs, 1);
    pthread_mutex_init(&carrier->lock, NULL);
    grpc_slice_buffer_init(&carrier->out.data.raw.slice_buffer);
    carrier->send_tag.done = sent;
    carrier->receive_tag.done = received;
    carrier->last_tag.done = last_sent;
    carrier->end_tag.done = ended;
}
