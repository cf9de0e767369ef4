#ifndef AFAR_RUNTIME_GRPC_PIPE_H
#define AFAR_RUNTIME_GRPC_PIPE_H

/* Messages both ways over one call of the core, the same at its two ends.
 *
 * Sending: one message is with the core at a time, the others queue, up to
 * AFAR__PIPE_LIMIT bytes; then the sender waits.  Receiving: the next message is
 * asked for before it is wanted, up to the same limit.  Who owns the pipe tells
 * it when the call has ended. */

#include <pthread.h>

#include "runtime/engine.h"
#include "runtime/grpc_common.h"

#define AFAR__PIPE_LIMIT ((size_t)64 << 10)

typedef struct afar__parcel afar__parcel;

typedef struct afar__pipe {
    pthread_mutex_t lock; /* guards everything here */
    grpc_call *call;
    void (*unref)(struct afar__pipe *pipe); /* a tag came back: the owner counts them */
    void (*ref)(struct afar__pipe *pipe);
    afar__waiters waiters;

    afar__tag send_tag;
    afar__parcel *sending;       /* with the core */
    afar__parcel *first, **last; /* behind it */
    size_t queued_bytes;
    bool finish; /* no more is sent after what is queued */
    bool finish_sent;
    void (*drained)(struct afar__pipe *pipe); /* with the lock: all was sent */

    grpc_op opening[2]; /* what goes before the first message */
    size_t opening_count;

    afar__tag receive_tag;
    bool receiving;
    grpc_byte_buffer *incoming;
    afar__parcel *arrived, **arrived_last;
    size_t arrived_bytes;
    unsigned glances_off; /* so many receives wait without a glance first (grpc_pipe.c) */
    unsigned glances_missed;
    bool eof;     /* nothing more comes */
    bool broken;  /* and that is not how the peer meant it */
    bool starved; /* there was no memory for what came */

    bool ended; /* the call is over: nothing can be sent */
} afar__pipe;

void
afar__pipe_init(afar__pipe *pipe, grpc_call *call);

/* What is left is freed; no tag is under way any more. */
void
afar__pipe_clear(afar__pipe *pipe);

/* Room for another message?  Waits without the lock. */
typedef enum afar__pipe_result {
    AFAR__PIPE_OK,
    AFAR__PIPE_TIMEOUT,
    AFAR__PIPE_OVER,     /* sending: the call is over; receiving: end of stream */
    AFAR__PIPE_FINISHED, /* sending: it was said that no more would be sent */
    AFAR__PIPE_REFUSED,
    AFAR__PIPE_NO_MEMORY
} afar__pipe_result;

/* Called without the lock around a wait that is really going to happen. */
typedef struct afar__pipe_pause {
    void (*before)(void *arg);
    void (*after)(void *arg);
    void *arg;
} afar__pipe_pause;

/* Packs and sends a message, in order. */
afar__pipe_result
afar__pipe_send(afar__pipe *pipe, const ProtobufCMessage *message, int64_t deadline,
                const afar__pipe_pause *pause);

/* No more will be sent. */
void
afar__pipe_finish(afar__pipe *pipe);

/* Asks for the first message. */
void
afar__pipe_open(afar__pipe *pipe);

/* The next message, as a buffer that is the caller's. */
afar__pipe_result
afar__pipe_receive(afar__pipe *pipe, int64_t deadline, const afar__pipe_pause *pause,
                   grpc_byte_buffer **ret_buffer);

/* After the end of the stream: whether the call failed before the peer had finished. */
bool
afar__pipe_broken(afar__pipe *pipe);

/* The call is over: what waits to be sent is dropped, who waits is woken. */
void
afar__pipe_end(afar__pipe *pipe);

#endif
