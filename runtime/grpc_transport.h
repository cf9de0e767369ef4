#ifndef AFAR_RUNTIME_GRPC_TRANSPORT_H
#define AFAR_RUNTIME_GRPC_TRANSPORT_H

/* A transport over one call of the core: what its two ends share.  Each message of the
 * call is one batch.  See grpc_transport.c. */

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/grpc_common.h"
#include "runtime/grpc_port.h"
#include "runtime/transport.h"

#define AFAR__SESSION_PATH "/afar.session.v1.Session/Open"

/* What MAX_RECEIVE_MESSAGE_LENGTH is for a node with that limit of plain messages. */
int
afar__grpc_most(size_t max_bytes);

typedef struct afar__carrier afar__carrier;

/* How the two ends differ. */
typedef struct afar__carrier_side {
    /* With the lock.  Gets the call going; `end_tag` comes back when it has ended, and is
     * counted by now. */
    void (*start_locked)(afar__carrier *carrier);
    /* With the lock.  Says that no more is sent. */
    grpc_op (*last_op)(afar__carrier *carrier);
    /* With the lock.  The peer has sent all. */
    void (*drained_locked)(afar__carrier *carrier);
    /* How the call ended, if nothing went wrong here; fills *ret_why unless it ended well. */
    void (*result)(afar__carrier *carrier, afar_error *ret_why);
    /* It is over, or never started: nobody waits for its end any more. */
    void (*leave)(afar__carrier *carrier);
    void (*free)(afar__carrier *carrier);
} afar__carrier_side;

struct afar__carrier {
    afar__transport base;
    const afar__carrier_side *side;
    atomic_uint refs; /* the user's until `free`; from the start until over another one */
    size_t most;      /* bytes of a batch */

    pthread_mutex_t lock; /* guards what follows */
    grpc_call *call;      /* NULL: there is none to be used */
    unsigned under_way;   /* tags */
    bool started;
    bool opened; /* the initial metadata was sent, or is on its way */
    bool sending, receiving;
    bool closing;  /* nothing more is told than the end */
    bool aborted;  /* by our user */
    bool finished; /* the last op was started */
    bool drained;  /* the peer has sent all */
    bool ended;    /* the end tag came */
    grpc_byte_buffer out;
    grpc_byte_buffer *in;
    afar_error why;

    afar__tag send_tag, receive_tag, last_tag, end_tag;
};

/* With one reference.  The call is added by `start_locked` at the latest. */
void
afar__carrier_init(afar__carrier *carrier, const afar__carrier_side *side, size_t most);

/* With the lock.  Starts a batch under that tag, and counts it. */
void
afar__carrier_batch_locked(afar__carrier *carrier, const grpc_op *ops, size_t count,
                           afar__tag *tag);

/* With the lock.  Sends the initial metadata under that tag, unless a batch took it along. */
void
afar__carrier_open_locked(afar__carrier *carrier, afar__tag *tag);

/* With the lock.  Sends no more after what is on its way, and tells no more. */
void
afar__carrier_close_locked(afar__carrier *carrier);

/* A tag of the side's own came back. */
void
afar__carrier_settle(afar__carrier *carrier);

/* After the side is through with everything of its own. */
void
afar__carrier_clear(afar__carrier *carrier);

/* Hands a call that came in to the session function of its port, which it takes.  False
 * without memory: then the call is still the caller's. */
bool
afar__carrier_accept(afar__port *port, grpc_call *call);

#endif
