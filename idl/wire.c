/* Reads protobuf bytes field by field.
 *
 * A reader never leaves its bytes: each length is compared with what is left
 * before it is used.  Groups are not read; they count as bytes that make no
 * sense, since protobuf-c does not read them either.  One thread. */

#include "idl/wire.h"

static bool
read_varint(wire_reader *reader, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && reader->next < reader->end; shift += 7) {
        uint8_t byte = *reader->next++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool
skip(wire_reader *reader, uint64_t length)
{
    if (length > (uint64_t)(reader->end - reader->next))
        return false;
    reader->next += length;
    return true;
}

bool
wire_value(wire_reader *reader, wire_field *field)
{
    uint64_t length = 0;

    switch (field->type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return read_varint(reader, &field->value);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return skip(reader, 8);
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return skip(reader, 4);
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!read_varint(reader, &length))
            return false;
        field->data = reader->next;
        field->length = (size_t)length;
        return skip(reader, length);
    default:
        return false;
    }
}

bool
wire_next(wire_reader *reader, wire_field *ret_field)
{
    uint64_t tag = 0;

    if (reader->bad || reader->next == reader->end)
        return false;
    *ret_field = (wire_field){ .start = reader->next };
    if (read_varint(reader, &tag) && tag <= UINT32_MAX) {
        ret_field->number = (uint32_t)(tag >> 3);
        ret_field->type = (unsigned)(tag & 7);
        if (ret_field->number && wire_value(reader, ret_field))
            return true;
    }
    reader->bad = true;
    return false;
}

bool
wire_find(const uint8_t *data, size_t length, const int32_t *steps, size_t count,
          wire_field *ret_field)
{
    wire_field field = { .data = data, .length = length };

    for (size_t i = 0; i < count; i += 2) {
        wire_reader reader = { field.data, field.data + field.length, false };
        int32_t before = i + 1 < count ? steps[i + 1] : 0;

        if (!field.data)
            return false;
        do {
            if (!wire_next(&reader, &field))
                return false;
        } while (field.number != (uint32_t)steps[i] || before-- > 0);
    }
    *ret_field = field;
    return true;
}

bool
wire_is_safe(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
             unsigned depth)
{
    wire_reader reader = { data, data + length, false };
    wire_field field;

    while (wire_next(&reader, &field)) {
        const ProtobufCFieldDescriptor *known =
            protobuf_c_message_descriptor_get_field(type, field.number);

        if (!known || known->type != PROTOBUF_C_TYPE_MESSAGE ||
            field.type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
            continue;
        if (!depth || !wire_is_safe(known->descriptor, field.data, field.length, depth - 1))
            return false;
    }
    return !reader.bad;
}
