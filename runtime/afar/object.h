#ifndef AFAR_OBJECT_H
#define AFAR_OBJECT_H

/* References.  An afar_object stands for an object near or far, with its
 * interface; the generated code gives every interface a type of its own
 * (`bank_account`), which becomes an afar_object by `bank_account_object`.
 * References may be used from any thread.
 *
 * A local object serves one call at a time, in the order of arrival, unless its
 * mode says otherwise: handlers need no locks.  Different objects run in
 * parallel.  Calls over one session arrive in the order in which they were started.  Over
 * plain gRPC a call arrives when gRPC's core hands it out: with more than 64 calls on
 * their way at once, some may change places. */

#include <afar/deadline.h>
#include <afar/future.h>
#include <afar/interface.h>
#include <afar/metadata.h>
#include <afar/node.h>
#include <afar/stream.h>

AFAR_BEGIN

typedef struct afar_object afar_object;

typedef enum afar_mode {
    AFAR_SERIAL = 0,               /* one call at a time, in order of arrival */
    AFAR_REENTRANT = 1,            /* as SERIAL, but a call may enter while one of the
                                      calls it descends from waits in this object */
    AFAR_CONCURRENT = 2            /* calls run side by side; handlers lock for themselves */
} afar_mode;

typedef struct afar_object_options {
    size_t size;                   /* sizeof(afar_object_options): the INIT sets it */
    afar_mode mode;
    unsigned queue_limit;          /* calls that may wait for their turn; one more gets
                                      RESOURCE_EXHAUSTED.  0: 10,000 */
    void (*finalizer)(void *self); /* runs once, on a library thread, when no reference
                                      and no call is left; may be NULL */
    unsigned grace_ms;             /* when a session breaks, the references that the peer
                                      had to this object stay for so long, so that it
                                      is still here for a peer that comes back; 0: they
                                      are gone at once */
} afar_object_options;

#define AFAR_OBJECT_OPTIONS_INIT { sizeof(afar_object_options), AFAR_SERIAL, 0, NULL, 0 }

typedef struct afar_call_options {
    size_t size;                   /* sizeof(afar_call_options): the INIT sets it */
    const afar_metadata *metadata; /* sent with the call; NULL: none */
    bool wait_for_ready;           /* wait for a connection until the deadline instead of
                                      failing at once when there is none; on a reference
                                      that was opened by name, for a successor too */
} afar_call_options;

#define AFAR_CALL_OPTIONS_INIT { sizeof(afar_call_options), NULL, false }

/* Makes a local object of an interface and returns a reference to it; the
 * generated `_new` is this with types.  `methods` and `self` must live until the
 * object is finalized.  options may be NULL. */
AFAR_API AFAR_MUST_USE afar_code
afar_object_new(const afar_interface *interface, const void *methods, void *self,
                const afar_object_options *options,
                afar_object **ret_object, afar_error *err);

/* Another reference to the same object, to be closed like the first.  Somebody must have one. */
AFAR_API afar_object *
afar_object_share(afar_object *object);

/* The interface of the object a reference stands for. */
AFAR_API const afar_interface *
afar_object_interface(const afar_object *object);

/* Lets go of a reference; NULL is allowed.  Calls that were started go on. */
AFAR_API void
afar_object_close(afar_object *object);

/* ---- calling, untyped: what the generated stubs are made of ----
 *
 * Called from within a handler, a call inherits: its deadline is the earlier of
 * its own and the handler's, it is cancelled with the handler's call and when that
 * ends, and metadata that travels goes along (afar/call.h). */

/* Calls a unary method and waits for the reply, which is the caller's; with NULL for
 * ret_reply it is released. */
AFAR_API AFAR_MUST_USE afar_code
afar_object_call(afar_object *object, const afar_method *method,
                 const ProtobufCMessage *request, afar_deadline deadline,
                 ProtobufCMessage **ret_reply, afar_error *err);

/* Starts a unary call.  options may be NULL.  The request is not needed any
 * more when this returns. */
AFAR_API AFAR_MUST_USE afar_code
afar_object_start(afar_object *object, const afar_method *method,
                  const ProtobufCMessage *request, afar_deadline deadline,
                  const afar_call_options *options,
                  afar_future **ret_future, afar_error *err);

/* Starts a unary call whose answer nobody waits for.  AFAR_OK says that it is on
 * its way, not that it arrived; what becomes of it is not told.  This does not wait for a
 * slow peer: the call is kept in memory until it can be sent, or until `deadline`.  It goes on when the handler that started it
 * returns; what it leads to does not descend from that handler's call. */
AFAR_API AFAR_MUST_USE afar_code
afar_object_send(afar_object *object, const afar_method *method,
                 const ProtobufCMessage *request, afar_deadline deadline,
                 afar_error *err);

/* Starts a streaming call.  `request` is the one request of a server stream and
 * NULL for the other kinds.  options may be NULL. */
AFAR_API AFAR_MUST_USE afar_code
afar_object_stream(afar_object *object, const afar_method *method,
                   const ProtobufCMessage *request, afar_deadline deadline,
                   const afar_call_options *options,
                   afar_stream **ret_stream, afar_error *err);

AFAR_END

#endif
