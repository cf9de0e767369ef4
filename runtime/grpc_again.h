#ifndef AFAR_RUNTIME_GRPC_AGAIN_H
#define AFAR_RUNTIME_GRPC_AGAIN_H

/* Calls of gRPC on references with a finder: seeks (seek.h) that the core carries. */

#include "runtime/call.h"
#include "runtime/grpc_common.h"
#include "runtime/seek.h"

typedef struct afar__outgoing afar__outgoing;

/* Of such a call. */
typedef struct afar__again {
    afar__seek seek;
    afar__outgoing *out;
    afar_call *parent;                  /* with a reference; NULL: none, or the call is over */
    void (*start)(afar__outgoing *out); /* a unary call's: makes its batch */
    void (*over)(afar__outgoing *out);  /* and what is done at its end */
    afar__tag tag;                      /* while it waits */
    bool cancelled;                     /* guarded by the lock of the goal */
} afar__again;

/* What is sent to a place, with a reference; empty if nothing is expected there. */
grpc_slice
afar__again_instance(const afar__place *place);

/* Gives a call its link and its `again`, and the instance to be sent, with a reference. */
afar_code
afar__again_open(afar__goal *goal, afar__outgoing *out, const afar__request *request,
                 afar_call *parent, grpc_slice *ret_instance, afar_error *err);

/* NULL is allowed. */
void
afar__again_close(afar__again *again);

/* A unary call is about to start: true if it waits for a place first, since the one it
 * has is known to be bad. */
bool
afar__again_hold(afar__outgoing *out);

/* A unary call has its status: true if it is to be made again.  False: it is over, and
 * its seek's error says how, if it failed. */
bool
afar__again_try(afar__outgoing *out);

void
afar__again_cancel(afar__outgoing *out);

/* A stream has its status: the place may turn out to be bad. */
void
afar__again_note(afar__outgoing *out);

#endif
