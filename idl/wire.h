#ifndef IDL_WIRE_H
#define IDL_WIRE_H

/* Protobuf bytes, read field by field, for what protobuf-c does not tell: the
 * exact bytes of a file's descriptor, options that are extensions, and whether
 * bytes are nested so deeply that reading them would overrun the stack. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

typedef struct wire_reader {
    const uint8_t *next;
    const uint8_t *end;
    bool bad; /* the bytes made no sense; reading stopped there */
} wire_reader;

typedef struct wire_field {
    uint32_t number;
    unsigned type;        /* a ProtobufCWireType */
    uint64_t value;       /* of a varint */
    const uint8_t *start; /* the whole field, its tag first */
    const uint8_t *data;  /* what stands in a length-delimited field */
    size_t length;        /* ... and how much of it */
} wire_field;

/* Reads the next field; false at the end and after bytes that make no sense. */
bool
wire_next(wire_reader *reader, wire_field *ret_field);

/* Reads what stands behind a tag; the field's type says what. */
bool
wire_value(wire_reader *reader, wire_field *field);

/* Follows a path through messages within messages: field number and index, field
 * number and index, and so on, ending with a number or an index.  False when
 * there is nothing at its end. */
bool
wire_find(const uint8_t *data, size_t length, const int32_t *steps, size_t count,
          wire_field *ret_field);

/* Whether the bytes can be read as a message of that type by a parser that
 * recurses: well formed, and at most `depth` messages deep. */
bool
wire_is_safe(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
             unsigned depth);

#endif
