#ifndef AFAR_RUNTIME_SCAN_H
#define AFAR_RUNTIME_SCAN_H

/* The look at a message before protobuf-c reads it. */

#include <stddef.h>
#include <stdint.h>

#include <afar/message.h>

/* What reading a message will take. */
typedef struct afar__scan_cost {
    size_t memory; /* for the message: at least the sum of its pieces, each rounded up to 16 */
    size_t fields; /* in that message, of those within it, which has most on the wire */
} afar__scan_cost;

/* Passes or refuses a message.  INTERNAL for bytes that cannot be read as one,
 * RESOURCE_EXHAUSTED over a limit; the error names type, field and byte.  Every
 * member of `limits` is above 0 here. */
AFAR_MUST_USE afar_code
afar__scan(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
           const afar_message_limits *limits, afar__scan_cost *ret_cost, afar_error *err);

/* For a message that passed and that protobuf-c refuses all the same: fails with
 * INTERNAL and names the required field that is missing. */
afar_code
afar__scan_explain(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
                   afar_error *err);

#endif
