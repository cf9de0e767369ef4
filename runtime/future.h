#ifndef AFAR_RUNTIME_FUTURE_H
#define AFAR_RUNTIME_FUTURE_H

/* A future from the side of who fulfils it.  A transport embeds an afar_future
 * at the start of its own call, and owns one reference until it is done. */

#include <pthread.h>
#include <stdatomic.h>

#include <afar/future.h>

#include "runtime/engine.h"

typedef struct afar__future_ops {
    /* After done: makes the reply, or fills err.  Called once for a reply; an
     * error may be asked for again. */
    afar_code (*take)(afar_future *future, ProtobufCMessage **ret_reply, afar_error *err);
    /* Any time, any thread: gives the call up. */
    void (*cancel)(afar_future *future);
    /* After done. */
    const afar_metadata *(*metadata)(afar_future *future, bool trailing);
    /* Nobody has it any more. */
    void (*free)(afar_future *future);
} afar__future_ops;

typedef enum afar__callback_state {
    AFAR__CALLBACK_NONE,
    AFAR__CALLBACK_SET,
    AFAR__CALLBACK_QUEUED,
    AFAR__CALLBACK_RUNNING,
    AFAR__CALLBACK_OVER
} afar__callback_state;

struct afar_future {
    const afar__future_ops *ops;
    const afar_method *method;
    atomic_bool done;
    atomic_uint refs;
    bool background;      /* holds the engine's background count */
    pthread_mutex_t lock; /* guards what follows */
    bool taken;
    bool closed;
    afar__waiters waiters;
    afar__callback_state callback;
    afar_future_fn fn;
    void *arg;
    pthread_t runner; /* while the callback runs */
    afar__task task;
};

/* Two references: the caller's and the transport's. */
void
afar__future_init(afar_future *future, const afar__future_ops *ops, const afar_method *method);

/* The transport is done with it, and gives its reference up. */
void
afar__future_fulfil(afar_future *future);

/* Another reference of the transport's. */
void
afar__future_ref(afar_future *future);
void
afar__future_unref(afar_future *future);

/* Nothing was started: forgets a future that nobody has seen. */
void
afar__future_abandon(afar_future *future);

#endif
