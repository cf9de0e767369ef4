#ifndef AFAR_RUNTIME_GRPC_COMMON_H
#define AFAR_RUNTIME_GRPC_COMMON_H

/* What the files of the gRPC adapter share; only runtime/grpc_*.c include it.
 *
 * Every batch is started through afar__grpc_start, so that a batch the core
 * refuses ends like any other: its tag comes back with ok = false.  Between the
 * start of a batch and its tag the core owns what the batch points to. */

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>

#include <protobuf-c/protobuf-c.h>

#include <afar/deadline.h>
#include <afar/error.h>
#include <afar/metadata.h>

#include "runtime/arena.h"
#include "runtime/core.h"

/* The queue of this process. */
grpc_completion_queue *
afar__grpc_queue(void);

/* Starts a batch; the tag comes back in any case. */
void
afar__grpc_start(grpc_call *call, const grpc_op *ops, size_t count, afar__tag *tag);

/* Before and after anything else that returns a tag: what the starting thread
 * wrote is seen by the one that gets the tag.  The core does that, but
 * ThreadSanitizer cannot see into it. */
void
afar__grpc_publish(afar__tag *tag);
void
afar__grpc_observe(afar__tag *tag);

gpr_timespec
afar__grpc_deadline(int64_t ns);

/* ---- messages ---- */

/* Packs a message into a byte buffer that the caller provides room for. */
void
afar__grpc_pack(const ProtobufCMessage *message, grpc_byte_buffer *ret_buffer);
void
afar__grpc_packed_clear(grpc_byte_buffer *buffer);

/* The bytes of a received message in one piece, inflated if need be, to be unreffed.
 * RESOURCE_EXHAUSTED over `limit` bytes. */
afar_code
afar__grpc_flat(grpc_byte_buffer *buffer, size_t limit, grpc_slice *ret_bytes, afar_error *err);

/* ---- metadata ---- */

/* What a call may carry: 8 KiB of the users', and beside that gRPC's own headers. */
#define AFAR__MAX_METADATA 16384

#define AFAR__OBJECT_KEY "afar-object"
#define AFAR__CODE_KEY "afar-code"
#define AFAR__CHAIN_KEY "afar-chain"
#define AFAR__INSTANCE_KEY "afar-instance"
#define AFAR__DETAILS_KEY "grpc-status-details-bin"

/* A view of received metadata in an arena, gRPC's own keys left out. */
afar_code
afar__grpc_view(const grpc_metadata_array *received, afar__arena *arena, afar_metadata *ret_view,
                afar_error *err);

/* The value of a key, or NULL. */
const grpc_slice *
afar__grpc_find(const grpc_metadata_array *metadata, const char *key);

grpc_metadata
afar__grpc_pair(const char *key, const void *value, size_t length);

/* A node's instance as it travels: 32 hexadecimal digits. */
#define AFAR__INSTANCE_DIGITS 32

void
afar__grpc_instance(const uint8_t instance[16], char digits[AFAR__INSTANCE_DIGITS]);

#endif
