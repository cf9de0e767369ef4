/* x.pb-c.c: the tables by which protobuf-c packs and unpacks, and the functions
 * that x.pb-c.h declares.
 *
 * The library searches the tables by halving, so their order matters: fields by
 * number, with an index by name.  One thread. */

#include <string.h>

#include "idl/cname.h"
#include "idl/emit.h"
#include "idl/signature.h"
#include "idl/table.h"

#define TYPE(name) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_##name

/* C11 promises string literals of 4,095 characters, and compilers warn at more. */
enum { LITERAL_MOST = 4000 };

static void
write_default_bytes(idl_writer *writer, const idl_field *field)
{
    size_t length;
    const char *bytes = value_default_bytes(writer->pool, field, &length);
    bool is_string = field_is_string(field);

    write_format(writer, is_string ? "char %s[] =" : "uint8_t %s_data[] =", field->c_default);
    if (length > LITERAL_MOST) {
        write_text(writer, " {\n");
        if (is_string)
            write_characters(writer, bytes, length);
        else
            write_numbers(writer, (const unsigned char *)bytes, length);
        write_text(writer, "};\n");
    } else {
        write_text(writer, writer->column + length + 4 > LINE_WIDTH ? "\n    " : " ");
        write_string(writer, bytes, length);
        write_text(writer, ";\n");
    }
    if (!is_string)
        write_format(writer, "static const ProtobufCBinaryData %s = {\n    %zu, %s_data\n};\n",
                     field->c_default, length, field->c_default);
}

static void
write_default(idl_writer *writer, const idl_field *field)
{
    idl_pool *pool = writer->pool;

    if (field_is_bytes(field) || field_is_string(field))
        write_default_bytes(writer, field);
    else
        write_pair(
            writer,
            pool_format(pool, "static const %s%s =", value_type(pool, field), field->c_default),
            value_default(pool, field), 4, ";\n");
}

static void
write_defaults(idl_writer *writer, const idl_message *message)
{
    bool any = false;

    for (size_t i = 0; i < message->field_count; i++) {
        if (!value_has_default(&message->fields[i]))
            continue;
        write_default(writer, &message->fields[i]);
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

/* Three lines: what it is, where it is, and the rest. */
static void
write_field(idl_writer *writer, const idl_field *field)
{
    idl_pool *pool = writer->pool;
    idl_list offsets = list_make(pool);
    idl_list rest = list_make(pool);

    write_format(writer, "    { %s, %d, PROTOBUF_C_LABEL_%s, PROTOBUF_C_TYPE_%s,\n      ",
                 table_string(pool, field->owner->file, table_name(field)), field->number,
                 label_name(field), type_name(field));
    list_add(&offsets, "%s", quantifier(pool, field));
    list_add(&offsets, "offsetof(%s, %s)", field->owner->c_type, field->member);
    write_list(writer, &offsets, 6, ",\n      ");
    list_add(&rest, "%s", descriptor_address(pool, field));
    list_add(&rest, "%s", default_address(pool, field));
    list_add(&rest, "%s", flags(pool, field));
    list_add(&rest, "0, NULL, NULL");
    write_list(writer, &rest, 6, " },\n");
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
    sort_by_number(by_number, count);
    for (size_t i = 0; i < count; i++)
        by_number[i].index = i;
    memcpy(by_name, by_number, count * sizeof *by_name);
    sort_by_name(by_name, count);
    write_format(writer, "static const ProtobufCFieldDescriptor %s__fields[] = {\n",
                 message->lower);
    for (size_t i = 0; i < count; i++)
        write_field(writer, by_number[i].thing);
    write_text(writer, "};\n\n");
    if (!message->file->code_size)
        write_fields_by_name(writer, message, by_name);
    return write_ranges(writer, message->lower, by_number, count);
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
write_init_body(idl_writer *writer, const idl_message *message)
{
    idl_pool *pool = writer->pool;

    write_pair(writer, pool_format(pool, "    static const %s initial =", message->c_type),
               pool_format(pool, "%s__INIT", message->upper), 8, ";\n\n    *message = initial;\n");
}

/* Without an init function the library fills a fresh message from the tables, and
 * what it does for a oneof with defaults crashes when the message is read. */
static void
write_private_init(idl_writer *writer, const idl_message *message)
{
    idl_signature signature = message_signature(writer->pool, message, MESSAGE_INIT);

    signature.returns = "static void";
    write_signature(writer, &signature, ")\n{\n");
    write_init_body(writer, message);
    write_text(writer, "}\n\n");
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

                           { NULL, NULL } };

    write_template(writer, words,
                   "const ProtobufCMessageDescriptor $lower$__descriptor = {\n"
                   "    PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,\n"
                   "    $full$, $name$,\n"
                   "    $c_name$, $package$,\n"
                   "    sizeof($type$),\n"
                   "    $fields$,\n"
                   "    (ProtobufCMessageInit)$lower$__init,\n"
                   "    NULL, NULL, NULL\n"
                   "};\n");
}

/* What stands in the other functions, with a word for each name. */
static const char *const bodies[] = {
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
                           { "type", message->c_type },
                           { "base", message->base },
                           { NULL, NULL } };

    for (message_function function = 0; function < MESSAGE_FUNCTION_COUNT; function++) {
        idl_signature signature = message_signature(writer->pool, message, function);

        if (!message_has_function(message, function))
            continue;
        write_text(writer, "\n");
        write_signature(writer, &signature, ")\n{\n");
        if (function == MESSAGE_INIT)
            write_init_body(writer, message);
        else
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
    if (!message->has_init)
        write_private_init(writer, message);
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
    each_enum(file, emit_enum_source, writer);
    each_message(file, write_message, writer);
}
