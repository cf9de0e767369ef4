#ifndef AFAR_RUNTIME_CALL_H
#define AFAR_RUNTIME_CALL_H

/* A call that is being served, whatever carried it here.  A transport embeds an
 * afar_call at the start of its own, fills what is said to be the transport's, and
 * hands it to the object's host (host.h). */

#include <pthread.h>
#include <stdatomic.h>

#include <afar/call.h>

#include "runtime/arena.h"
#include "runtime/engine.h"
#include "runtime/metadata.h"

/* How many calls a call can name that it descends from; the oldest are left out. */
#define AFAR__CHAIN 16

typedef struct afar__host afar__host;

typedef struct afar__call_ops {
    /* Sends the reply, or call->error if its code is not AFAR_OK; the call is over. */
    void (*finish)(afar_call *call);
    afar_code (*send)(afar_call *call, const ProtobufCMessage *message, int64_t deadline,
                      afar_error *err);
    afar_code (*receive)(afar_call *call, int64_t deadline, const ProtobufCMessage **ret_message,
                         afar_error *err);
    /* Its handler begins.  May be NULL. */
    void (*begin)(afar_call *call);
    /* From now on afar__call_cancel is called when the caller gives up. */
    void (*watch)(afar_call *call);
    const afar_metadata *(*metadata)(afar_call *call);
    afar_peer (*peer)(afar_call *call);
    /* No reference is left. */
    void (*free)(afar_call *call);
} afar__call_ops;

/* A call that was made in the handler of another, and is cancelled with that one and when
 * that one ends.  Its maker embeds this, zero at first. */
typedef struct afar__child afar__child;
struct afar__child {
    /* Runs once at most, under the lock of the parent: it calls none of the functions here
     * on that one, and whatever lock it takes must not be held while they are called. */
    void (*cancel)(afar__child *child);
    afar__child *next, **link; /* guarded by the parent's lock; link is NULL: has none */
};

struct afar_call {
    /* the transport's */
    const afar__call_ops *ops;
    const afar_method *method;
    afar__host *host; /* with a reference */
    const char *object_name;
    afar_deadline deadline;
    afar__arena *arena; /* request, reply, and all that lives as long */
    const ProtobufCMessage *request;
    ProtobufCMessage *reply;

    atomic_uint refs;
    atomic_bool cancelled;
    atomic_bool watched;
    afar_error error;
    afar__metadata_list initial, trailing;
    bool initial_sent;

    pthread_mutex_t lock; /* guards what follows */
    bool deferred, finished;
    bool told; /* on_cancelled has run, or never will */
    void (*on_cancelled)(afar_call *call, void *arg);
    void *on_cancelled_arg;
    afar__task cancel_task;
    afar__child *children; /* none once it is cancelled or finished */

    _Atomic(uint64_t) id;        /* 0: none was needed yet */
    uint64_t chain[AFAR__CHAIN]; /* the ids of the calls it descends from, oldest first */
    unsigned chain_length;

    /* the host's, guarded by the lock of its turns */
    afar__task task;
    bool has_turn;
    unsigned waits;   /* its handler waits for calls of its own */
    afar_call *outer; /* has the turn again when this one has left */
    afar_call *next_turn;
    afar__waiters turn_waiters;
    bool paused; /* the handler's own: it had the turn */
};

/* What other calls know this one by; made when first asked for. */
uint64_t
afar__call_id(afar_call *call);

/* The same, 0 if nobody asked yet. */
uint64_t
afar__call_id_if_any(const afar_call *call);

/* Everything but the transport's part; one reference, which finishing gives up. */
void
afar__call_init(afar_call *call);

/* Undoes it, when no reference is left. */
void
afar__call_clear(afar_call *call);

void
afar__call_ref(afar_call *call);
void
afar__call_unref(afar_call *call);

/* The caller gave up.  Cancels the children, too. */
void
afar__call_cancel(afar_call *call);

/* From now on the parent cancels the child, perhaps before this returns.  False if the
 * parent was cancelled or is over: then the maker has to do it at once.  The maker keeps a
 * reference to the parent until it has disowned the child. */
bool
afar__call_adopt(afar_call *parent, afar__child *child);

/* The child has ended: when this returns, `cancel` does not run and never will.  Allowed
 * for a child that was cancelled, that was not adopted, or that was disowned before. */
void
afar__call_disown(afar_call *parent, afar__child *child);

/* The handler returned. */
void
afar__call_returned(afar_call *call, afar_code code);

/* Finishes a call whose handler never ran, as call->error says. */
void
afar__call_refuse(afar_call *call);

#endif
