/* Messages both ways over one call of the core.
 *
 * A message on its way is a parcel: its byte buffer and its place in a queue.
 * While more are queued behind the one that is given to the core, that one
 * carries the hint that the core may gather them into one write.
 *
 * Tags come back on whichever thread polls; user threads send and receive; all
 * of it is under `lock`, also the start of batches, which never calls back. */

#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include "runtime/grpc_pipe.h"

#define MOST_GLANCES_OFF 63

struct afar__parcel {
    afar__parcel *next;
    size_t bytes;
    grpc_byte_buffer *received;
    grpc_byte_buffer packed;
};

static void
free_parcels(afar__parcel *parcel, bool packed)
{
    while (parcel) {
        afar__parcel *next = parcel->next;

        if (packed)
            afar__grpc_packed_clear(&parcel->packed);
        else
            grpc_byte_buffer_destroy(parcel->received);
        free(parcel);
        parcel = next;
    }
}

/* ---- asking for messages ---- */

static void
start_receive_locked(afar__pipe *pipe)
{
    grpc_op op;

    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &pipe->incoming;
    pipe->receiving = true;
    pipe->ref(pipe);
    afar__grpc_start(pipe->call, &op, 1, &pipe->receive_tag);
}

/* The core says how a call ended when all its messages have been read.  So when nothing
 * can be sent any more the rest is taken in, whatever the limit: it is no more than
 * HTTP/2 lets the peer send unasked. */
static void
receive_more_locked(afar__pipe *pipe)
{
    bool paused = pipe->arrived && !pipe->receiving && !pipe->eof;

    if (paused && (pipe->arrived_bytes < AFAR__PIPE_LIMIT || pipe->ended))
        start_receive_locked(pipe);
}

/* ---- sending ---- */

static void
start_send_locked(afar__pipe *pipe)
{
    afar__parcel *parcel = pipe->first;
    grpc_op ops[4];
    size_t count = pipe->opening_count;

    pipe->first = parcel->next;
    if (!pipe->first)
        pipe->last = &pipe->first;
    pipe->sending = parcel;
    memcpy(ops, pipe->opening, count * sizeof *ops);
    pipe->opening_count = 0;
    memset(&ops[count], 0, sizeof *ops);
    ops[count].op = GRPC_OP_SEND_MESSAGE;
    ops[count].flags = pipe->first ? GRPC_WRITE_BUFFER_HINT : 0;
    ops[count].data.send_message.send_message = &parcel->packed;
    count++;
    pipe->ref(pipe);
    afar__grpc_start(pipe->call, ops, count, &pipe->send_tag);
}

static void
drained_locked(afar__pipe *pipe)
{
    if (pipe->finish && !pipe->finish_sent && !pipe->sending && !pipe->first) {
        pipe->finish_sent = true;
        pipe->drained(pipe);
    }
}

static void
sent(afar__tag *tag, bool ok)
{
    afar__pipe *pipe = (afar__pipe *)((char *)tag - offsetof(afar__pipe, send_tag));

    pthread_mutex_lock(&pipe->lock);
    pipe->queued_bytes -= pipe->sending->bytes;
    pipe->sending->next = NULL;
    free_parcels(pipe->sending, true);
    pipe->sending = NULL;
    if (!ok)
        pipe->ended = true;
    if (pipe->ended) {
        free_parcels(pipe->first, true);
        pipe->first = NULL;
        pipe->last = &pipe->first;
        pipe->queued_bytes = 0;
        receive_more_locked(pipe);
    }
    if (pipe->first)
        start_send_locked(pipe);
    if (pipe->waiters.first && (pipe->ended || pipe->queued_bytes <= AFAR__PIPE_LIMIT / 2))
        afar__waiters_wake(&pipe->waiters);
    drained_locked(pipe);
    pthread_mutex_unlock(&pipe->lock);
    pipe->unref(pipe);
}

/* Waits for a change, without the lock. */
static afar__wait_result
wait_locked(afar__pipe *pipe, int64_t deadline, const afar__pipe_pause *pause, bool *paused)
{
    afar__waiter waiter;
    afar__wait_result result;

    afar__waiters_add(&pipe->waiters, &waiter);
    pthread_mutex_unlock(&pipe->lock);
    if (pause && !*paused) {
        *paused = true;
        pause->before(pause->arg);
    }
    result = afar__wait(&waiter, deadline);
    pthread_mutex_lock(&pipe->lock);
    afar__waiters_remove(&waiter);
    return result;
}

static afar__pipe_result
result_of(afar__wait_result result)
{
    return result == AFAR__WAIT_REFUSED ? AFAR__PIPE_REFUSED : AFAR__PIPE_TIMEOUT;
}

afar__pipe_result
afar__pipe_send(afar__pipe *pipe, const ProtobufCMessage *message, int64_t deadline,
                const afar__pipe_pause *pause)
{
    afar__parcel *parcel = malloc(sizeof *parcel);
    afar__wait_result waited = AFAR__WAIT_WOKEN;
    afar__pipe_result result;
    bool paused = false;

    if (!parcel)
        return AFAR__PIPE_NO_MEMORY;
    parcel->next = NULL;
    afar__grpc_pack(message, &parcel->packed);
    parcel->bytes = sizeof *parcel + grpc_byte_buffer_length(&parcel->packed);
    pthread_mutex_lock(&pipe->lock);
    while (!pipe->ended && !pipe->finish && waited == AFAR__WAIT_WOKEN &&
           pipe->queued_bytes >= AFAR__PIPE_LIMIT)
        waited = wait_locked(pipe, deadline, pause, &paused);
    if (pipe->ended || pipe->finish) {
        result = pipe->finish ? AFAR__PIPE_FINISHED : AFAR__PIPE_OVER;
    } else if (pipe->queued_bytes >= AFAR__PIPE_LIMIT) {
        result = result_of(waited);
    } else {
        result = AFAR__PIPE_OK;
        *pipe->last = parcel;
        pipe->last = &parcel->next;
        pipe->queued_bytes += parcel->bytes;
        if (!pipe->sending)
            start_send_locked(pipe);
    }
    pthread_mutex_unlock(&pipe->lock);
    if (result != AFAR__PIPE_OK)
        free_parcels(parcel, true);
    if (paused)
        pause->after(pause->arg);
    return result;
}

void
afar__pipe_finish(afar__pipe *pipe)
{
    pthread_mutex_lock(&pipe->lock);
    pipe->finish = true;
    drained_locked(pipe);
    pthread_mutex_unlock(&pipe->lock);
}

/* ---- receiving ---- */

/* A message came and there is no room for it: so the stream ends here, and not well. */
static void
lose_locked(afar__pipe *pipe)
{
    pipe->starved = true;
    grpc_call_cancel_with_status(pipe->call, GRPC_STATUS_RESOURCE_EXHAUSTED,
                                 "no memory for a message", NULL);
}

static void
received(afar__tag *tag, bool ok)
{
    afar__pipe *pipe = (afar__pipe *)((char *)tag - offsetof(afar__pipe, receive_tag));
    afar__parcel *parcel = NULL;

    pthread_mutex_lock(&pipe->lock);
    pipe->receiving = false;
    if (ok && pipe->incoming) {
        parcel = malloc(sizeof *parcel);
        if (!parcel)
            lose_locked(pipe);
    }
    if (parcel) {
        parcel->next = NULL;
        parcel->received = pipe->incoming;
        parcel->bytes = sizeof *parcel + grpc_byte_buffer_length(pipe->incoming);
        *pipe->arrived_last = parcel;
        pipe->arrived_last = &parcel->next;
        pipe->arrived_bytes += parcel->bytes;
        receive_more_locked(pipe);
    } else {
        if (pipe->incoming)
            grpc_byte_buffer_destroy(pipe->incoming);
        pipe->incoming = NULL;
        pipe->eof = true;
        pipe->broken = !ok || grpc_call_failed_before_recv_message(pipe->call);
    }
    afar__waiters_wake(&pipe->waiters);
    pthread_mutex_unlock(&pipe->lock);
    pipe->unref(pipe);
}

void
afar__pipe_open(afar__pipe *pipe)
{
    pthread_mutex_lock(&pipe->lock);
    start_receive_locked(pipe);
    pthread_mutex_unlock(&pipe->lock);
}

static grpc_byte_buffer *
pop_locked(afar__pipe *pipe)
{
    afar__parcel *parcel = pipe->arrived;
    grpc_byte_buffer *buffer = parcel->received;

    pipe->arrived = parcel->next;
    if (!pipe->arrived)
        pipe->arrived_last = &pipe->arrived;
    pipe->arrived_bytes -= parcel->bytes;
    free(parcel);
    if (!pipe->receiving && !pipe->eof && pipe->arrived_bytes < AFAR__PIPE_LIMIT)
        start_receive_locked(pipe);
    return buffer;
}

/* In a busy stream the next message is in the core already when it is asked for: one
 * look costs less than giving the turn up and waiting.  Where looks find nothing
 * they become rare. */
static void
glance_locked(afar__pipe *pipe)
{
    bool found;

    if (pipe->glances_off > 0) {
        pipe->glances_off--;
        return;
    }
    pthread_mutex_unlock(&pipe->lock);
    found = afar__glance();
    pthread_mutex_lock(&pipe->lock);
    pipe->glances_missed = found ? 0 : pipe->glances_missed * 2 + 1;
    if (pipe->glances_missed > MOST_GLANCES_OFF)
        pipe->glances_missed = MOST_GLANCES_OFF;
    pipe->glances_off = pipe->glances_missed;
}

afar__pipe_result
afar__pipe_receive(afar__pipe *pipe, int64_t deadline, const afar__pipe_pause *pause,
                   grpc_byte_buffer **ret_buffer)
{
    afar__wait_result waited = AFAR__WAIT_WOKEN;
    afar__pipe_result result;
    bool paused = false;

    pthread_mutex_lock(&pipe->lock);
    if (!pipe->arrived && !pipe->eof)
        glance_locked(pipe);
    while (!pipe->arrived && !pipe->eof && waited == AFAR__WAIT_WOKEN)
        waited = wait_locked(pipe, deadline, pause, &paused);
    if (pipe->arrived) {
        *ret_buffer = pop_locked(pipe);
        result = AFAR__PIPE_OK;
    } else if (pipe->starved) {
        result = AFAR__PIPE_NO_MEMORY;
    } else {
        result = pipe->eof ? AFAR__PIPE_OVER : result_of(waited);
    }
    pthread_mutex_unlock(&pipe->lock);
    if (paused)
        pause->after(pause->arg);
    return result;
}

bool
afar__pipe_broken(afar__pipe *pipe)
{
    bool broken;

    pthread_mutex_lock(&pipe->lock);
    broken = pipe->broken;
    pthread_mutex_unlock(&pipe->lock);
    return broken;
}

/* ---- life ---- */

void
afar__pipe_init(afar__pipe *pipe, grpc_call *call)
{
    memset(pipe, 0, sizeof *pipe);
    pthread_mutex_init(&pipe->lock, NULL);
    pipe->call = call;
    pipe->last = &pipe->first;
    pipe->arrived_last = &pipe->arrived;
    pipe->send_tag.done = sent;
    pipe->receive_tag.done = received;
}

void
afar__pipe_end(afar__pipe *pipe)
{
    pthread_mutex_lock(&pipe->lock);
    pipe->ended = true;
    afar__waiters_wake(&pipe->waiters);
    pthread_mutex_unlock(&pipe->lock);
}

void
afar__pipe_clear(afar__pipe *pipe)
{
    free_parcels(pipe->first, true);
    free_parcels(pipe->arrived, false);
    pthread_mutex_destroy(&pipe->lock);
}
