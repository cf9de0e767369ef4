#ifndef AFAR_RUNTIME_WIRE_H
#define AFAR_RUNTIME_WIRE_H

/* The protobuf wire format, one field at a time.  Nothing is trusted: reading
 * stays within the bytes given, whatever they say.  Writing trusts its caller that there is room. */

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

/* The same.  Most fields of small messages have a tag and a value, or a length, of one byte each. */
static inline const char *
afar__wire_next(const uint8_t **at, const uint8_t *end, afar__wire_field *ret_field)
{
    const uint8_t *start = *at;
    uint32_t type = start[0] & 7;

    if (end - start < 2 || start[0] >= 0x80 || start[0] < 8 || start[1] >= 0x80)
        return afar__wire_read(at, end, ret_field);
    ret_field->number = start[0] >> 3;
    ret_field->type = type;
    if (type == AFAR__WIRE_VARINT) {
        ret_field->value = start[1];
        ret_field->data = start + 1;
        ret_field->length = 1;
        *at = start + 2;
        return NULL;
    }
    if (type != AFAR__WIRE_LENGTH || start[1] > end - start - 2)
        return afar__wire_read(at, end, ret_field);
    ret_field->data = start + 2;
    ret_field->length = start[1];
    *at = start + 2 + start[1];
    return NULL;
}

/* ---- writing ---- */

static inline size_t
afar__wire_varint_size(uint64_t value)
{
    return value < 0x80 ? 1 : (size_t)(70 - __builtin_clzll(value)) / 7;
}

/* These return what is behind it. */
static inline uint8_t *
afar__wire_put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* A field whose number is below 16, so that its tag is one byte. */
static inline uint8_t *
afar__wire_put_number(uint8_t *at, uint32_t number, uint64_t value)
{
    *at++ = (uint8_t)(number << 3 | AFAR__WIRE_VARINT);
    return afar__wire_put_varint(at, value);
}

/* The same: what comes before that many bytes. */
static inline uint8_t *
afar__wire_put_length(uint8_t *at, uint32_t number, size_t length)
{
    *at++ = (uint8_t)(number << 3 | AFAR__WIRE_LENGTH);
    return afar__wire_put_varint(at, length);
}

#endif
