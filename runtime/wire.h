#ifndef AFAR_RUNTIME_WIRE_H
#define AFAR_RUNTIME_WIRE_H

/* The protobuf wire format, one field at a time.  Nothing is trusted: reading
 * stays within the bytes given, whatever they say. */

#include <stddef.h>
#include <stdint.h>

#include <afar/api.h>

enum { AFAR__WIRE_VARINT = 0, AFAR__WIRE_64 = 1, AFAR__WIRE_LENGTH = 2, AFAR__WIRE_32 = 5 };

#define AFAR__WIRE_VARINT_MAX 10 /* bytes of a value */
#define AFAR__WIRE_TAG_MAX 5     /* bytes of a tag or a length, as protobuf-c has it */

typedef struct afar__wire_field {
    uint32_t number;
    uint32_t type;       /* one of the four above */
    uint64_t value;      /* of a varint */
    const uint8_t *data; /* the bytes behind the tag; for LENGTH those behind the length */
    size_t length;       /* of data */
} afar__wire_field;

/* Reads a varint; returns what is behind it, or NULL if it does not end within
 * `end` and 10 bytes.  Bits above the 64th are dropped, as others do. */
static inline const uint8_t *
afar__wire_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; at < end && shift < 7 * AFAR__WIRE_VARINT_MAX; shift += 7) {
        uint8_t byte = *at++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}

/* Finds the bytes of a field whose tag ends at `data`: sets `data`, `length` and
 * `value`.  Returns NULL, or what is wrong. */
static inline const char *
afar__wire_body(const uint8_t *data, const uint8_t *end, afar__wire_field *field)
{
    const uint8_t *behind;
    uint64_t length = 0;

    switch (field->type) {
    case AFAR__WIRE_VARINT:
        behind = afar__wire_varint(data, end, &field->value);
        if (!behind)
            return "a varint without end";
        length = (uint64_t)(behind - data);
        break;
    case AFAR__WIRE_LENGTH:
        behind = afar__wire_varint(data, end, &length);
        if (!behind || behind - data > AFAR__WIRE_TAG_MAX)
            return "a length without end";
        data = behind;
        break;
    case AFAR__WIRE_64:
        length = 8;
        break;
    case AFAR__WIRE_32:
        length = 4;
        break;
    default:
        return field->type < 5 ? "a group, which cannot be read" : "a wire type that is none";
    }
    if (length > (uint64_t)(end - data))
        return "goes beyond the end";
    field->data = data;
    field->length = (size_t)length;
    return NULL;
}

/* Reads the field at `*at`, which is before `end`, and moves `*at` behind it.
 * Returns NULL, or what is wrong with it; then the number is 0 if not known. */
static inline const char *
afar__wire_read(const uint8_t **at, const uint8_t *end, afar__wire_field *ret_field)
{
    uint64_t tag = 0;
    const uint8_t *data = afar__wire_varint(*at, end, &tag);
    const char *wrong;

    ret_field->number = 0;
    if (!data || data - *at > AFAR__WIRE_TAG_MAX || tag > UINT32_MAX)
        return "a tag without end";
    if (tag >> 3 == 0)
        return "field number 0";
    ret_field->number = (uint32_t)tag >> 3;
    ret_field->type = (uint32_t)tag & 7;
    wrong = afar__wire_body(data, end, ret_field);
    if (!wrong)
        *at = ret_field->data + ret_field->length;
    return wrong;
}

#endif
