/* Descriptors without names: what nameless.h says. */

#include "nameless.h"

#include <stdlib.h>

static void *
copy(const void *data, size_t length, afar__arena *arena)
{
    void *piece = afar__arena_memdup(arena, data, length);

    if (!piece)
        abort();
    return piece;
}

static const ProtobufCEnumDescriptor *
nameless_enum(const ProtobufCEnumDescriptor *type, afar__arena *arena)
{
    ProtobufCEnumDescriptor *bare = copy(type, sizeof *type, arena);
    ProtobufCEnumValue *values = copy(type->values, type->n_values * sizeof *values, arena);

    for (unsigned i = 0; i < type->n_values; i++)
        values[i].name = values[i].c_name = NULL;
    bare->name = bare->short_name = bare->c_name = bare->package_name = NULL;
    bare->values = values;
    return bare;
}

const ProtobufCMessageDescriptor *
nameless(const ProtobufCMessageDescriptor *type, afar__arena *arena)
{
    ProtobufCMessageDescriptor *bare = copy(type, sizeof *type, arena);
    ProtobufCFieldDescriptor *fields = copy(type->fields, type->n_fields * sizeof *fields, arena);

    for (unsigned i = 0; i < type->n_fields; i++) {
        fields[i].name = NULL;
        if (fields[i].descriptor == type)
            fields[i].descriptor = bare;
        else if (fields[i].type == PROTOBUF_C_TYPE_ENUM)
            fields[i].descriptor = nameless_enum(fields[i].descriptor, arena);
    }
    bare->name = bare->short_name = bare->c_name = bare->package_name = NULL;
    bare->fields = fields;
    bare->fields_sorted_by_name = NULL;
    return bare;
}
