#ifndef AFAR_RUNTIME_GRPC_INCOMING_H
#define AFAR_RUNTIME_GRPC_INCOMING_H

/* A call that came in over gRPC, for the rest of the adapter. */

#include <grpc/grpc.h>

#include <afar/call.h>

/* The call of the core, as the parent of a nested call: cancelling it cancels
 * the nested one. */
grpc_call *
afar__incoming_parent(afar_call *call);

#endif
