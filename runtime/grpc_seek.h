#ifndef AFAR_RUNTIME_GRPC_SEEK_H
#define AFAR_RUNTIME_GRPC_SEEK_H

/* The place of a reference with a finder, from the inside: what grpc_seek.c, which
 * finds, and grpc_again.c, whose calls wait, share. */

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/grpc_again.h"

struct afar__again {
    atomic_uint refs;
    afar__finder *finder;
    _Atomic(int64_t) used; /* when a call was last made */
    afar__task task;
    pthread_mutex_t lock; /* guards what follows, but not the name */
    afar__place place;
    grpc_slice instance;
    uint64_t number; /* of the place, from 1 */
    bool bad;        /* somebody failed there */
    bool looking;    /* the task runs */
    afar__seek *waiting;
    afar__waiters waiters; /* the task while it pauses; threads */
    char name[];           /* of the object */
};

afar__again *
afar__again_ref(afar__again *again);

/* Waits for another place than the one it was made at last, which is bad then. */
void
afar__seek_wait_locked(afar__seek *seek);

/* Does not wait any more; before there is a verdict. */
void
afar__seek_leave_locked(afar__seek *seek);

/* ---- errors ---- */

/* What is known of a call that is not with a peer now. */
afar_outcome
afar__seek_outcome(const afar__seek *seek);

/* Fills its error: "/bank.Account/Deposit bank/accounts/alice: " and a text. */
void
afar__seek_fail(afar__seek *seek, afar_code code, const char *text);

/* Its time is over before a place was found; what was wrong before is the reason. */
void
afar__seek_fail_late(afar__seek *seek);

#endif
