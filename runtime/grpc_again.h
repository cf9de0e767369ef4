#ifndef AFAR_RUNTIME_GRPC_AGAIN_H
#define AFAR_RUNTIME_GRPC_AGAIN_H

/* Calls that are made again at another place: what a reference with a finder shares
 * with its calls (finder.h). */

#include "runtime/call.h"
#include "runtime/finder.h"
#include "runtime/grpc_common.h"
#include "runtime/object.h"

/* Of a reference: its place, its finder, and who waits for another place. */
typedef struct afar__again afar__again;

typedef struct afar__outgoing afar__outgoing;

typedef enum afar__verdict {
    AFAR__VERDICT_NONE, /* not yet */
    AFAR__VERDICT_GO,   /* there is a place */
    AFAR__VERDICT_FAIL  /* there is none, as `error` says */
} afar__verdict;

/* Of a call on such a reference, or of a thread that is about to start a stream. */
typedef struct afar__seek afar__seek;
struct afar__seek {
    afar__again *again;
    afar__outgoing *out; /* NULL: a thread waits */
    const afar_method *method;
    afar_call *parent;                  /* with a reference; NULL: none, or the call is over */
    void (*start)(afar__outgoing *out); /* a unary call's: makes its batch */
    void (*over)(afar__outgoing *out);  /* and what is done at its end */

    uint64_t number; /* of the place it was made at last */
    unsigned tries;
    bool patient;     /* waits for readiness */
    bool unsure;      /* an attempt may have arrived */
    afar_error error; /* why the last attempt failed, or all */
    afar__tag tag;    /* while it waits */

    afar__seek *next, **place; /* who waits; these are guarded by the lock of `again` */
    afar__verdict verdict;
    bool cancelled;
};

/* ---- of references ---- */

/* NULL if memory is out.  Takes the finder, also then. */
afar__again *
afar__again_new(const afar__place *place, const char *name, afar__finder *finder);

void
afar__again_unref(afar__again *again);

/* What is sent to a place, with a reference; empty if nothing is expected there. */
grpc_slice
afar__again_instance(const afar__place *place);

/* ---- of calls ---- */

/* Gives a call its link and its seek, and the instance to be sent, with a reference. */
afar_code
afar__again_open(afar__again *again, afar__outgoing *out, const afar__request *request,
                 afar_call *parent, grpc_slice *ret_instance, afar_error *err);

/* NULL is allowed. */
void
afar__again_close(afar__seek *seek);

/* A unary call is about to start: true if it waits for a place first, since the one it
 * has is known to be bad. */
bool
afar__again_hold(afar__outgoing *out);

/* A unary call has its status: true if it is to be made again.  False: it is over, and
 * seek->error says how, if it failed. */
bool
afar__again_try(afar__outgoing *out);

void
afar__again_cancel(afar__outgoing *out);

/* ---- of streams ---- */

/* Waits for a place if the one there is known to be bad or is not connected. */
afar_code
afar__again_ready(afar__again *again, const afar__request *request, afar_error *err);

/* A stream has its status: the place may turn out to be bad. */
void
afar__again_note(afar__outgoing *out);

#endif
