#ifndef AFAR_RUNTIME_GRPC_OUTGOING_H
#define AFAR_RUNTIME_GRPC_OUTGOING_H

/* What unary calls and streams share on the calling side: the call in the core,
 * the metadata that goes out, the status that comes in. */

#include "runtime/abroad.h"
#include "runtime/call.h"
#include "runtime/grpc_common.h"
#include "runtime/link.h"
#include "runtime/object.h"

/* A reference to an object at the other end of a link. */
typedef struct afar__remote {
    afar_object object;
    afar__link *link;
    grpc_slice name;   /* empty: the default object */
    afar_object *keep; /* what calls keep alive; NULL: nothing (link.h) */
} afar__remote;

typedef struct afar__outgoing afar__outgoing;
struct afar__outgoing {
    afar__link *link;
    const afar_method *method;
    afar_object *keep;
    grpc_call *call;
    int64_t deadline;
    afar__outgoing *next, **place; /* among the link's calls; guarded by its lock */
    afar_call *parent;             /* whose end is its own, with a reference; or NULL */
    afar__child child;

    grpc_metadata *metadata; /* what is sent: `few`, or allocated */
    size_t metadata_count;
    grpc_metadata few[4];
    uint32_t flags; /* of SEND_INITIAL_METADATA */

    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice text;
    const char *error_string;
    afar__arena *arena; /* of the views; made when first asked for */
    bool viewed[2];
    afar_metadata view[2]; /* initial, trailing */
};

/* Prepares a call on a remote object, inheriting from the current call.  Unless it is
 * detached, it is cancelled with that one, and when that one ends. */
afar_code
afar__outgoing_open(afar__outgoing *out, afar__remote *remote, const afar__request *request,
                    afar_error *err);

/* Any time, any thread: gives a unary call up. */
void
afar__outgoing_cancel(afar__outgoing *out);

/* ---- messages ---- */

/* Before a message is packed: its references get addresses, until afar__abroad_undo. */
afar_code
afar__outgoing_write(afar__link *link, const afar_method *method, const ProtobufCMessage *message,
                     afar__abroad *abroad, afar_error *err);

/* A reply or item, with what its references stand for; the bytes stay the caller's. */
afar_code
afar__outgoing_decode(const afar__outgoing *out, grpc_slice bytes, ProtobufCMessage **ret_message,
                      afar_error *err);

/* ---- on its way ---- */

/* The ops every call begins and ends with. */
grpc_op
afar__outgoing_send_metadata(afar__outgoing *out);
grpc_op
afar__outgoing_receive_metadata(afar__outgoing *out);
grpc_op
afar__outgoing_receive_status(afar__outgoing *out);

/* After the status came: AFAR_OK, or fills err. */
afar_code
afar__outgoing_result(afar__outgoing *out, afar_error *err);

/* After the status came: whether the peer, or the connection to it, had a part in it. */
bool
afar__outgoing_heard(const afar__outgoing *out);

/* The metadata, each after it came; empty if memory is out.  One thread at a time. */
const afar_metadata *
afar__outgoing_initial(afar__outgoing *out);
const afar_metadata *
afar__outgoing_trailing(afar__outgoing *out);

/* The call has ended: it does not count on its link any more, nor belong to another call. */
void
afar__outgoing_ended(afar__outgoing *out);

/* Lets go of everything. */
void
afar__outgoing_close(afar__outgoing *out);

/* "/bank.Account/Deposit at 127.0.0.1:7000: " in front of a local error. */
AFAR_PRINTF(5, 6)
afar_code
afar__outgoing_fail(const afar__outgoing *out, afar_error *err, afar_code code,
                    afar_outcome outcome, const char *format, ...);

/* ---- of the link, for outgoing calls ---- */

/* A call failed because the connection broke. */
void
afar__link_note_loss(afar__link *link);

bool
afar__link_broken(const afar__link *link);

afar_code
afar__link_call(afar__link *link, afar__outgoing *out, afar_error *err);

/* ---- the two kinds of call (object.h) ---- */

afar_code
afar__unary_start(afar_object *object, const afar__request *request, afar_future **ret_future,
                  afar_error *err);

afar_code
afar__stream_start(afar_object *object, const afar__request *request, afar_stream **ret_stream,
                   afar_error *err);

#endif
