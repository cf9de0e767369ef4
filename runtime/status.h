#ifndef AFAR_RUNTIME_STATUS_H
#define AFAR_RUNTIME_STATUS_H

/* Typed details on the wire: google.rpc.Status, which gRPC carries in the trailer
 * `grpc-status-details-bin`.  Written and read by hand: three fields and one
 * nested message need no generated code.  Each detail is a google.protobuf.Any
 * whose type_url is "type.googleapis.com/" and the full name; when reading,
 * everything up to the last '/' is cut. */

#include <stddef.h>
#include <stdint.h>

#include <afar/error.h>

#include "runtime/arena.h"

/* Encodes code, message and details of `err` into arena memory. */
AFAR_MUST_USE afar_code
afar__status_encode(const afar_error *err, afar__arena *arena, uint8_t **ret_data,
                    size_t *ret_length);

/* Adds the details of a received google.rpc.Status to `err`, which has its code
 * and message already.  At most 64 details and 8 KiB; what is malformed or over
 * that is left out, with a line in the log. */
void
afar__status_decode(const uint8_t *data, size_t length, afar_error *err);

#endif
