/* x.pb-c.c: the tables by which protobuf-c packs and unpacks, and the functions
 * that x.pb-c.h declares.
 *
 * The library searches the tables by halving, so their order matters: fields and
 * enum values by number, each with an index by name.  Numbers that follow one
 * another are told as ranges: { first number, index of its entry }, closed by
 * { 0, number of entries }.  One thread. */

#include <stdlib.h>
#include <string.h>

#include "idl/cname.h"
#include "idl/emit.h"
#include "idl/signature.h"

#define TYPE(name) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_##name

/* One entry of a table: what it is sorted by, and what it is. */
typedef struct idl_entry {
    const char *name;
    int32_t number;
    size_t index; /* among the things as declared, then in the table */
    const void *thing;
} idl_entry;

static int
compare_numbers(const void *a, const void *b)
{
    const idl_entry *x = a;
    const idl_entry *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int
compare_names(const void *a, const void *b)
{
    const idl_entry *x = a;
    const idl_entry *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : compare_numbers(a, b);
}

/* A string of a table, which CODE_SIZE leaves out. */
static const char *
table_string(idl_pool *pool, const idl_file *file, const char *text)
{
    return file->code_size ? "NULL" : pool_format(pool, "\"%s\"", text);
}

static size_t
write_ranges(idl_writer *writer, const char *name, const idl_entry *entries, size_t count)
{
    size_t ranges = 0;

    write_format(writer, "static const ProtobufCIntRange %s[] = {\n    ", name);
    for (size_t i = 0; i < count; i++) {
        if (i && (int64_t)entries[i - 1].number + 1 == entries[i].number)
            continue;
        if (writer->column > 72)
            write_text(writer, "\n    ");
        if (entries[i].number == INT32_MIN)
            write_format(writer, "{ INT32_MIN, %zu }, ", i);
        else
            write_format(writer, "{ %d, %zu }, ", entries[i].number, i);
        ranges++;
    }
    write_format(writer, "{ 0, %zu }\n};\n\n", count);
    return ranges;
}

/* ---- enums ---- */

/* The values by number, of those that share one only the first; what is left out
 * is told where it would stand. */
static size_t
sort_values(const idl_enumeration *enumeration, idl_entry *by_number, idl_entry *by_name)
{
    size_t count = enumeration->value_count;
    size_t distinct = 0;

    for (size_t i = 0; i < count; i++)
        by_name[i] = (idl_entry){ enumeration->values[i].name, enumeration->values[i].number, i,
                                  &enumeration->values[i] };
    qsort(by_name, count, sizeof *by_name, compare_numbers);
    for (size_t i = 0; i < count; i++) {
        if (!i || by_name[i - 1].number != by_name[i].number)
            by_number[distinct++] = by_name[i];
        by_name[i].index = distinct - 1;
    }
    qsort(by_name, count, sizeof *by_name, compare_names);
    return distinct;
}

static void
write_enum_values(idl_writer *writer, const idl_enumeration *enumeration,
                  const idl_entry *by_number, size_t distinct)
{
    idl_pool *pool = writer->pool;
    const idl_file *file = enumeration->file;

    write_format(writer, "static const ProtobufCEnumValue %s__values[] = {\n", enumeration->lower);
    for (size_t i = 0; i < distinct; i++) {
        const enum_value *value = by_number[i].thing;

        write_format(writer, "    { %s, %s, ", table_string(pool, file, value->name),
                     table_string(pool, file, value->c_name));
        write_format(writer, value->number == INT32_MIN ? "INT32_MIN },\n" : "%d },\n",
                     value->number);
    }
    write_text(writer, "};\n\n");
}

/* Returns what the descriptor says of them: their number, and the table. */
static const char *
write_enum_names(idl_writer *writer, const idl_enumeration *enumeration, const idl_entry *by_name)
{
    if (enumeration->file->code_size)
        return "0, NULL";
    write_format(writer, "static const ProtobufCEnumValueIndex %s__values_by_name[] = {\n",
                 enumeration->lower);
    for (size_t i = 0; i < enumeration->value_count; i++)
        write_format(writer, "    { \"%s\", %zu },\n", by_name[i].name, by_name[i].index);
    write_text(writer, "};\n\n");
    return pool_format(writer->pool, "%zu, %s__values_by_name", enumeration->value_count,
                       enumeration->lower);
}

static void
write_enum_descriptor(idl_writer *writer, const idl_enumeration *enumeration, size_t distinct,
                      const char *names, size_t ranges)
{
    idl_pool *pool = writer->pool;
    const idl_file *file = enumeration->file;
    const word words[] = { { "lower", enumeration->lower },
                           { "full", table_string(pool, file, enumeration->full_name) },
                           { "name", table_string(pool, file, enumeration->name) },
                           { "type", table_string(pool, file, enumeration->c_type) },
                           { "package", table_string(pool, file, file->package) },
                           { "distinct", pool_format(pool, "%zu", distinct) },
                           { "names", names },
                           { "ranges", pool_format(pool, "%zu", ranges) },
                           { NULL, NULL } };

    write_template(writer, words,
                   "const ProtobufCEnumDescriptor $lower$__descriptor = {\n"
                   "    PROTOBUF_C__ENUM_DESCRIPTOR_MAGIC,\n"
                   "    $full$, $name$,\n"
                   "    $type$, $package$,\n"
                   "    $distinct$, $lower$__values,\n"
                   "    $names$,\n"
                   "    $ranges$, $lower$__ranges,\n"
                   "    NULL, NULL, NULL, NULL\n"
                   "};\n");
}

static void
write_enum(idl_writer *writer, const idl_enumeration *enumeration)
{
    idl_pool *pool = writer->pool;
    idl_entry *by_number = pool_array(pool, enumeration->value_count, sizeof *by_number);
    idl_entry *by_name = pool_array(pool, enumeration->value_count, sizeof *by_name);
    size_t distinct = sort_values(enumeration, by_number, by_name);

    write_text(writer, "\n");
    emit_section(writer, enumeration->full_name, NULL);
    write_text(writer, "\n");
    write_enum_values(writer, enumeration, by_number, distinct);
    const char *names = write_enum_names(writer, enumeration, by_name);
    size_t ranges = write_ranges(writer, pool_format(pool, "%s__ranges", enumeration->lower),
                                 by_number, distinct);
    write_enum_descriptor(writer, enumeration, distinct, names, ranges);
}

/* ---- messages ---- */

static void
write_default_bytes(idl_writer *writer, const idl_field *field)
{
    size_t length;
    const char *bytes = value_default_bytes(writer->pool, field, &length);
    bool is_string = field_is_string(field);

    write_format(writer, is_string ? "char %s[] =" : "uint8_t %s_data[] =", field->c_default);
    write_text(writer, writer->column + length + 4 > LINE_WIDTH ? "\n    " : " ");
    write_string(writer, bytes, length);
    write_text(writer, ";\n");
    if (!is_string)
        write_format(writer, "static const ProtobufCBinaryData %s = {\n    %zu, %s_data\n};\n",
                     field->c_default, length, field->c_default);
}

static void
write_defaults(idl_writer *writer, const idl_message *message)
{
    bool any = false;

    for (size_t i = 0; i < message->field_count; i++) {
        const idl_field *field = &message->fields[i];

        if (!value_has_default(field))
            continue;
        if (field_is_bytes(field) || field_is_string(field))
            write_default_bytes(writer, field);
        else
            write_format(writer, "static const %s%s = %s;\n", value_type(writer->pool, field),
                         field->c_default, value_default(writer->pool, field));
        any = true;
    }
    if (any)
        write_text(writer, "\n");
}

static const char *
type_name(const idl_field *field)
{
    static const char *const names[] = {
        [TYPE(DOUBLE)] = "DOUBLE",     [TYPE(FLOAT)] = "FLOAT",     [TYPE(INT64)] = "INT64",
        [TYPE(UINT64)] = "UINT64",     [TYPE(INT32)] = "INT32",     [TYPE(FIXED64)] = "FIXED64",
        [TYPE(FIXED32)] = "FIXED32",   [TYPE(BOOL)] = "BOOL",       [TYPE(STRING)] = "STRING",
        [TYPE(GROUP)] = "MESSAGE",     [TYPE(MESSAGE)] = "MESSAGE", [TYPE(BYTES)] = "BYTES",
        [TYPE(UINT32)] = "UINT32",     [TYPE(ENUM)] = "ENUM",       [TYPE(SFIXED32)] = "SFIXED32",
        [TYPE(SFIXED64)] = "SFIXED64", [TYPE(SINT32)] = "SINT32",   [TYPE(SINT64)] = "SINT64"
    };

    return field_is_bytes(field) ? "BYTES" : names[field->type];
}

static const char *
label_name(const idl_field *field)
{
    static const char *const names[] = { [LABEL_NONE] = "NONE",
                                         [LABEL_OPTIONAL] = "OPTIONAL",
                                         [LABEL_REQUIRED] = "REQUIRED",
                                         [LABEL_REPEATED] = "REPEATED" };

    return names[field->label];
}

/* Where the library finds whether, or how often, the field is there. */
static const char *
quantifier(idl_pool *pool, const idl_field *field)
{
    const char *type = field->owner->c_type;

    if (field->oneof)
        return pool_format(pool, "offsetof(%s, %s_case)", type, field->oneof->member);
    if (field->label == LABEL_REPEATED)
        return pool_format(pool, "offsetof(%s, n_%s)", type, field->member);
    if (field_has_flag(field))
        return pool_format(pool, "offsetof(%s, has_%s)", type, field->member);
    return "0";
}

static const char *
default_address(idl_pool *pool, const idl_field *field)
{
    if (value_has_default(field))
        return pool_format(pool, "&%s", field->c_default);
    if (field_is_string(field) && field->owner->file->proto3 && field->label != LABEL_OPTIONAL)
        return "&protobuf_c_empty_string";
    return "NULL";
}

static const char *
descriptor_address(idl_pool *pool, const idl_field *field)
{
    if (field->message_type)
        return pool_format(pool, "&%s__descriptor", field->message_type->lower);
    if (field->enum_type)
        return pool_format(pool, "&%s__descriptor", field->enum_type->lower);
    return "NULL";
}

static const char *
flags(idl_pool *pool, const idl_field *field)
{
    const char *text =
        pool_format(pool, "%s%s%s", field->packed ? " | PROTOBUF_C_FIELD_FLAG_PACKED" : "",
                    field->deprecated ? " | PROTOBUF_C_FIELD_FLAG_DEPRECATED" : "",
                    field->oneof ? " | PROTOBUF_C_FIELD_FLAG_ONEOF" : "");

    return *text ? text + 3 : "0";
}

/* The name that the table gives a field. */
static const char *
table_name(const idl_field *field)
{
    return field->oneof && field->owner->file->use_oneof_field_name ? field->oneof->name
                                                                    : field->name;
}

static void
write_field(idl_writer *writer, const idl_field *field)
{
    idl_pool *pool = writer->pool;
    idl_list parts = list_make(pool);

    list_add(&parts, "%s", table_string(pool, field->owner->file, table_name(field)));
    list_add(&parts, "%d", field->number);
    list_add(&parts, "PROTOBUF_C_LABEL_%s", label_name(field));
    list_add(&parts, "PROTOBUF_C_TYPE_%s", type_name(field));
    list_add(&parts, "%s", quantifier(pool, field));
    list_add(&parts, "offsetof(%s, %s)", field->owner->c_type, field->member);
    list_add(&parts, "%s", descriptor_address(pool, field));
    list_add(&parts, "%s", default_address(pool, field));
    list_add(&parts, "%s", flags(pool, field));
    list_add(&parts, "0, NULL, NULL");
    write_text(writer, "    { ");
    write_list(writer, &parts, 6, " },\n");
}

static void
write_fields_by_name(idl_writer *writer, const idl_message *message, const idl_entry *by_name)
{
    idl_list indexes = list_make(writer->pool);

    write_format(writer, "static const unsigned %s__fields_by_name[] = {\n    ", message->lower);
    for (size_t i = 0; i < message->field_count; i++)
        list_add(&indexes, "%zu /* %s */", by_name[i].index, by_name[i].name);
    write_list(writer, &indexes, 4, "\n};\n\n");
}

/* Fields and the ranges of their numbers; returns the number of ranges. */
static size_t
write_field_tables(idl_writer *writer, const idl_message *message)
{
    idl_pool *pool = writer->pool;
    size_t count = message->field_count;
    idl_entry *by_number = pool_array(pool, count, sizeof *by_number);
    idl_entry *by_name = pool_array(pool, count, sizeof *by_name);

    for (size_t i = 0; i < count; i++)
        by_number[i] = (idl_entry){ message->fields[i].name, message->fields[i].number, i,
                                    &message->fields[i] };
    qsort(by_number, count, sizeof *by_number, compare_numbers);
    for (size_t i = 0; i < count; i++)
        by_number[i].index = i;
    memcpy(by_name, by_number, count * sizeof *by_name);
    qsort(by_name, count, sizeof *by_name, compare_names);
    write_format(writer, "static const ProtobufCFieldDescriptor %s__fields[] = {\n",
                 message->lower);
    for (size_t i = 0; i < count; i++)
        write_field(writer, by_number[i].thing);
    write_text(writer, "};\n\n");
    if (!message->file->code_size)
        write_fields_by_name(writer, message, by_name);
    return write_ranges(writer, pool_format(pool, "%s__ranges", message->lower), by_number, count);
}

/* What the descriptor says of the fields: three tables, or none. */
static const char *
write_field_part(idl_writer *writer, const idl_message *message)
{
    const char *lower = message->lower;

    if (!message->field_count)
        return "0, NULL,\n    NULL,\n    0, NULL";
    size_t ranges = write_field_tables(writer, message);
    const char *names =
        message->file->code_size ? "NULL" : pool_format(writer->pool, "%s__fields_by_name", lower);
    return pool_format(writer->pool, "%zu, %s__fields,\n    %s,\n    %zu, %s__ranges",
                       message->field_count, lower, names, ranges, lower);
}

static void
write_message_descriptor(idl_writer *writer, const idl_message *message)
{
    idl_pool *pool = writer->pool;
    const idl_file *file = message->file;
    const word words[] = { { "fields", write_field_part(writer, message) },
                           { "lower", message->lower },
                           { "full", table_string(pool, file, message->full_name) },
                           { "name", table_string(pool, file, cname_camel(pool, message->name)) },
                           { "c_name", table_string(pool, file, message->c_type) },
                           { "type", message->c_type },
                           { "package", table_string(pool, file, file->package) },
                           { "init", message->has_init
                                         ? pool_format(pool, "(ProtobufCMessageInit)%s__init",
                                                       message->lower)
                                         : "NULL" },
                           { NULL, NULL } };

    write_template(writer, words,
                   "const ProtobufCMessageDescriptor $lower$__descriptor = {\n"
                   "    PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,\n"
                   "    $full$, $name$,\n"
                   "    $c_name$, $package$,\n"
                   "    sizeof($type$),\n"
                   "    $fields$,\n"
                   "    $init$,\n"
                   "    NULL, NULL, NULL\n"
                   "};\n");
}

/* What stands in the function, with a word for each name. */
static const char *const bodies[] = {
    [MESSAGE_INIT] = "    static const $type$ initial = $upper$__INIT;\n\n"
                     "    *message = initial;\n",
    [MESSAGE_GET_PACKED_SIZE] =
        "    assert(message->$base$.descriptor == &$lower$__descriptor);\n"
        "    return protobuf_c_message_get_packed_size(&message->$base$);\n",
    [MESSAGE_PACK] = "    assert(message->$base$.descriptor == &$lower$__descriptor);\n"
                     "    return protobuf_c_message_pack(&message->$base$, out);\n",
    [MESSAGE_PACK_TO_BUFFER] =
        "    assert(message->$base$.descriptor == &$lower$__descriptor);\n"
        "    return protobuf_c_message_pack_to_buffer(&message->$base$, buffer);\n",
    [MESSAGE_UNPACK] = "    return ($type$ *)protobuf_c_message_unpack(\n"
                       "        &$lower$__descriptor, allocator, len, data);\n",
    [MESSAGE_FREE_UNPACKED] = "    if (!message)\n"
                              "        return;\n"
                              "    assert(message->$base$.descriptor == &$lower$__descriptor);\n"
                              "    protobuf_c_message_free_unpacked(&message->$base$, allocator);\n"
};

static void
write_functions(idl_writer *writer, const idl_message *message)
{
    const word words[] = { { "lower", message->lower },
                           { "upper", message->upper },
                           { "type", message->c_type },
                           { "base", message->base },
                           { NULL, NULL } };

    for (message_function function = 0; function < MESSAGE_FUNCTION_COUNT; function++) {
        idl_signature signature = message_signature(writer->pool, message, function);

        if (!message_has_function(message, function))
            continue;
        write_text(writer, "\n");
        write_signature(writer, &signature, ")\n{\n");
        write_template(writer, words, bodies[function]);
        write_text(writer, "}\n");
    }
}

static void
write_message(idl_writer *writer, const idl_message *message)
{
    write_text(writer, "\n");
    emit_section(writer, message->full_name, NULL);
    write_text(writer, "\n");
    write_defaults(writer, message);
    write_message_descriptor(writer, message);
    write_functions(writer, message);
}

static bool
has_deprecated(const idl_message *message)
{
    for (size_t i = 0; i < message->field_count; i++)
        if (message->fields[i].deprecated)
            return true;
    return false;
}

void
emit_message_source(idl_writer *writer, const idl_file *file)
{
    emit_head(writer, file);
    if (any_message(file, has_deprecated))
        write_text(writer, "/* The tables mention deprecated members. */\n"
                           "#ifndef PROTOBUF_C__NO_DEPRECATED\n"
                           "#define PROTOBUF_C__NO_DEPRECATED\n"
                           "#endif\n\n");
    write_format(writer, "#include \"%s.pb-c.h\"\n", cname_stem(writer->pool, file->name));
    each_enum(file, write_enum, writer);
    each_message(file, write_message, writer);
}
