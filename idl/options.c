/* Reads options that arrive as unknown fields.
 *
 * One option may be there several times (each `option (pb_c_file).x = ...` of a
 * file is a message of its own with one member); the last value counts, as
 * protobuf has it.  Values only; any thread. */

#include "idl/options.h"

#include "idl/wire.h"

/* protobuf-c keeps the length in front of length-delimited bytes. */
static bool
read_unknown(const ProtobufCMessageUnknownField *unknown, wire_field *ret_field)
{
    wire_reader reader = { unknown->data, unknown->data + unknown->len, false };

    ret_field->number = unknown->tag;
    ret_field->type = (unsigned)unknown->wire_type;
    return wire_value(&reader, ret_field);
}

static bool
find_in_pb_c(const ProtobufCMessage *options, uint32_t number, unsigned type, wire_field *ret_field)
{
    bool found = false;

    for (unsigned i = 0; options && i < options->n_unknown_fields; i++) {
        wire_field outer = { 0 };
        wire_field inner;

        if (options->unknown_fields[i].tag != OPTION_PB_C ||
            !read_unknown(&options->unknown_fields[i], &outer) ||
            outer.type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
            continue;
        wire_reader reader = { outer.data, outer.data + outer.length, false };
        while (wire_next(&reader, &inner)) {
            if (inner.number != number || inner.type != type)
                continue;
            *ret_field = inner;
            found = true;
        }
    }
    return found;
}

bool
option_pb_c_bool(const ProtobufCMessage *options, uint32_t number, bool *ret_value)
{
    wire_field field;

    if (!find_in_pb_c(options, number, PROTOBUF_C_WIRE_TYPE_VARINT, &field))
        return false;
    *ret_value = field.value != 0;
    return true;
}

bool
option_pb_c_string(idl_pool *pool, const ProtobufCMessage *options, uint32_t number,
                   const char **ret_value)
{
    wire_field field;

    if (!find_in_pb_c(options, number, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, &field))
        return false;
    *ret_value = pool_copy(pool, (const char *)field.data, field.length);
    return true;
}

static option_state
find_afar(const ProtobufCMessage *options, uint32_t number, unsigned type, wire_field *ret_field)
{
    option_state state = OPTION_ABSENT;

    for (unsigned i = 0; options && i < options->n_unknown_fields; i++) {
        if (options->unknown_fields[i].tag != number)
            continue;
        if (!read_unknown(&options->unknown_fields[i], ret_field) || ret_field->type != type)
            return OPTION_BAD;
        state = OPTION_PRESENT;
    }
    return state;
}

option_state
option_afar_bool(const ProtobufCMessage *options, uint32_t number, bool *ret_value)
{
    wire_field field = { 0 };
    option_state state = find_afar(options, number, PROTOBUF_C_WIRE_TYPE_VARINT, &field);

    if (state == OPTION_PRESENT && field.value > 1)
        return OPTION_BAD;
    if (state == OPTION_PRESENT)
        *ret_value = field.value;
    return state;
}

option_state
option_afar_string(idl_pool *pool, const ProtobufCMessage *options, uint32_t number,
                   const char **ret_value)
{
    wire_field field = { 0 };
    option_state state = find_afar(options, number, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, &field);

    if (state == OPTION_PRESENT)
        *ret_value = pool_copy(pool, (const char *)field.data, field.length);
    return state;
}

uint32_t
option_afar_next(const ProtobufCMessage *options, uint32_t from)
{
    uint32_t next = 0;

    for (unsigned i = 0; options && i < options->n_unknown_fields; i++) {
        uint32_t number = options->unknown_fields[i].tag;

        if (number >= from && number >= OPTION_AFAR_FIRST && number <= OPTION_AFAR_LAST &&
            (!next || number < next))
            next = number;
    }
    return next;
}
