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

/* Somebody who wants to hear that it is done, without waiting. */
typedef struct afar__future_watch afar__future_watch;
struct afar__future_watch {
    void (*fn)(afar__future_watch *watch); /* once, under the future's lock */
    afar__future_watch *next, **link;      /* NULL: not in the list */
};

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
    afar__future_watch *watches;
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

/* Calls `fn` when it is done, from inside this if it is so already. */
void
afar__future_watch_it(afar_future *future, afar__future_watch *watch);

/* When this returns, `fn` does not run and never will. */
void
afar__future_unwatch(afar_future *future, afar__future_watch *watch);

/* Nothing was started: forgets a future that nobody has seen. */
void
afar__future_abandon(afar_future *future);

#endif
