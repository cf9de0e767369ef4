#ifndef AFAR_RUNTIME_SCAN_H
#define AFAR_RUNTIME_SCAN_H

/* The look at a message before protobuf-c reads it: one pass over the bytes with
 * the descriptors at hand, without allocation.  protobuf-c alone has no limit on
 * nesting, checks no UTF-8 and takes what memory it is asked to. */

#include <stddef.h>
#include <stdint.h>

#include <afar/message.h>

/* What reading the message will cost. */
typedef struct afar__scan_cost {
    size_t memory; /* pieces of 16 bytes, all together; merging may add to it */
    size_t fields; /* in the message, of those within it, that has most */
} afar__scan_cost;

/* Passes or refuses a message.  INTERNAL for malformed bytes, RESOURCE_EXHAUSTED
 * over a limit; the error names type, field and byte.  Every member of `limits` is
 * above 0 here. */
AFAR_MUST_USE afar_code
afar__scan(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
           const afar_message_limits *limits, afar__scan_cost *ret_cost, afar_error *err);

#endif
