/* x.pb-c.h: the types of messages and enums, their initial values, the functions
 * on them.
 *
 * Names, members and their order are protobuf-c's ABI, so that code written for
 * its compiler builds unchanged, and the table that x.pb-c.c holds fits.  The
 * order of a struct: its fields as in the .proto file without those in a oneof,
 * then for each oneof its case and its union.  Last, in an afar.Ref alone, what is
 * not on the wire and in no table: the object it stands for.  One thread. */

#include "idl/cname.h"
#include "idl/emit.h"
#include "idl/signature.h"

static void
write_typedef(idl_writer *writer, const idl_message *message)
{
    write_pair(writer, pool_format(writer->pool, "typedef struct %s", message->c_type),
               message->c_type, 4, ";\n");
}

static void
write_enum(idl_writer *writer, const idl_enumeration *enumeration)
{
    write_text(writer, "\n");
    emit_comment(writer, 0, "", both_comments(writer->pool, &enumeration->comments));
    write_format(writer, "typedef enum _%s {\n", enumeration->c_type);
    for (size_t i = 0; i < enumeration->value_count; i++) {
        const enum_value *value = &enumeration->values[i];
        idl_writer line = writer_make(writer->pool);

        emit_comment(writer, 4, "", value->comments.leading);
        write_format(&line, "    %s = ", value->c_name);
        write_format(&line, value->number == INT32_MIN ? "INT32_MIN" : "%d", value->number);
        write_text(&line, i + 1 < enumeration->value_count ? "," : "");
        if (!emit_line_end(&line, value->comments.trailing))
            emit_comment(writer, 4, "", value->comments.trailing);
        write_text(writer, line.text);
    }
    write_format(writer, "    PROTOBUF_C__FORCE_ENUM_TO_BE_INT_SIZE(%s)\n} %s;\n",
                 enumeration->upper, enumeration->c_type);
}

static void
write_oneof_case(idl_writer *writer, const idl_oneof *oneof)
{
    idl_pool *pool = writer->pool;

    write_format(writer, "typedef enum {\n    %s__NOT_SET = 0,\n", oneof->upper);
    for (size_t i = 0; i < oneof->field_count; i++)
        write_format(writer, "    %s_%s = %d%s\n", oneof->upper,
                     cname_upper(pool, oneof->fields[i]->name), oneof->fields[i]->number,
                     i + 1 < oneof->field_count ? "," : "");
    write_format(writer, "    PROTOBUF_C__FORCE_ENUM_TO_BE_INT_SIZE(%s__CASE)\n} %s;\n\n",
                 oneof->upper, oneof->c_type);
}

/* The comment in front and the member that goes with the field's; then the
 * field's own, with the comment behind. */
static void
write_member(idl_writer *writer, size_t indent, const idl_field *field)
{
    const char *mark = field->deprecated ? " PROTOBUF_C__DEPRECATED" : "";
    idl_writer line = writer_make(writer->pool);
    const char *type = value_type(writer->pool, field);

    emit_comment(writer, indent, "", field->comments.leading);
    if (field->label == LABEL_REPEATED)
        write_format(&line, "%*ssize_t n_%s%s;\n", (int)indent, "", field->member, mark);
    else if (field_has_flag(field))
        write_format(&line, "%*sprotobuf_c_boolean has_%s%s;\n", (int)indent, "", field->member,
                     mark);
    write_format(&line, "%*s%s%s%s%s;", (int)indent, "", type,
                 field->label == LABEL_REPEATED ? "*" : "", field->member, mark);
    if (!emit_line_end(&line, field->comments.trailing))
        emit_comment(writer, indent, "", field->comments.trailing);
    write_text(writer, line.text);
}

static void
write_union(idl_writer *writer, const idl_oneof *oneof)
{
    emit_comment(writer, 4, "", both_comments(writer->pool, &oneof->comments));
    write_format(writer, "    %s %s_case;\n    union {\n", oneof->c_type, oneof->member);
    for (size_t i = 0; i < oneof->field_count; i++)
        write_member(writer, 8, oneof->fields[i]);
    write_text(writer, "    };\n");
}

static void
write_struct(idl_writer *writer, const idl_message *message)
{
    write_format(writer, "struct %s {\n    ProtobufCMessage %s;\n", message->c_type, message->base);
    for (size_t i = 0; i < message->field_count; i++)
        if (!message->fields[i].oneof)
            write_member(writer, 4, &message->fields[i]);
    for (size_t i = 0; i < message->oneof_count; i++)
        write_union(writer, &message->oneofs[i]);
    if (message->is_reference)
        write_text(writer,
                   "    struct afar_object *handle; /* what it stands for; never travels */\n");
    write_text(writer, "};\n\n");
}

static void
write_defaults(idl_writer *writer, const idl_message *message)
{
    bool any = false;

    for (size_t i = 0; i < message->field_count; i++) {
        const idl_field *field = &message->fields[i];

        if (!value_has_default(field) || !(field_is_bytes(field) || field_is_string(field)))
            continue;
        write_format(writer,
                     field_is_bytes(field) ? "extern uint8_t %s_data[];\n" : "extern char %s[];\n",
                     field->c_default);
        any = true;
    }
    if (any)
        write_text(writer, "\n");
}

/* What makes the first member of a union, and so all of it, zero. */
static const char *
zero_union(idl_pool *pool, const idl_oneof *oneof)
{
    const idl_field *first = oneof->fields[0];

    if (field_is_bytes(first))
        return "{ { 0, NULL } }";
    return first->enum_type ? pool_format(pool, "{ (%s)0 }", first->enum_type->c_type) : "{ 0 }";
}

static void
write_init(idl_writer *writer, const idl_message *message)
{
    idl_pool *pool = writer->pool;
    idl_list values = list_make(pool);

    list_add(&values, "PROTOBUF_C_MESSAGE_INIT(&%s__descriptor)", message->lower);
    for (size_t i = 0; i < message->field_count; i++) {
        const idl_field *field = &message->fields[i];

        if (field->oneof)
            continue;
        if (field->label == LABEL_REPEATED || field_has_flag(field))
            list_add(&values, "0");
        list_add(&values, "%s", value_initial(pool, field));
    }
    for (size_t i = 0; i < message->oneof_count; i++) {
        list_add(&values, "%s__NOT_SET", message->oneofs[i].upper);
        list_add(&values, "%s", zero_union(pool, &message->oneofs[i]));
    }
    if (message->is_reference)
        list_add(&values, "NULL");
    write_format(writer, "#define %s__INIT \\\n    { ", message->upper);
    write_macro_list(writer, &values, 6, " }\n\n");
}

static void
write_functions(idl_writer *writer, const idl_message *message)
{
    write_format(writer, "extern const ProtobufCMessageDescriptor %s__descriptor;\n",
                 message->lower);
    for (message_function function = 0; function < MESSAGE_FUNCTION_COUNT; function++) {
        idl_signature signature = message_signature(writer->pool, message, function);

        if (!message_has_function(message, function))
            continue;
        write_text(writer, "\n");
        write_signature(writer, &signature, ");\n");
    }
}

static void
write_message(idl_writer *writer, const idl_message *message)
{
    write_text(writer, "\n");
    emit_section(writer, message->full_name, both_comments(writer->pool, &message->comments));
    write_text(writer, "\n");
    for (size_t i = 0; i < message->oneof_count; i++)
        write_oneof_case(writer, &message->oneofs[i]);
    write_struct(writer, message);
    write_defaults(writer, message);
    write_init(writer, message);
    write_functions(writer, message);
}

static void
write_enum_descriptor(idl_writer *writer, const idl_enumeration *enumeration)
{
    write_format(writer, "extern const ProtobufCEnumDescriptor %s__descriptor;\n",
                 enumeration->lower);
}

static bool
message_needs_math(const idl_message *message)
{
    for (size_t i = 0; i < message->field_count; i++)
        if (!message->fields[i].oneof && value_needs_math(&message->fields[i]))
            return true;
    return false;
}

static bool
has_enum(const idl_message *message)
{
    return message->enum_count > 0;
}

static void
write_includes(idl_writer *writer, const idl_file *file)
{
    bool any = false;

    if (any_message(file, message_needs_math))
        write_text(writer, "#include <math.h>\n\n");
    write_text(writer, "#include <protobuf-c/protobuf-c.h>\n\n");
    for (size_t i = 0; i < file->import_count; i++) {
        if (!needs_include(file, i))
            continue;
        emit_include(writer, file->imports[i], "pb-c.h");
        any = true;
    }
    write_text(writer, any ? "\n" : "");
    write_text(writer, "#if PROTOBUF_C_VERSION_NUMBER < 1003000\n"
                       "#error \"this header needs protobuf-c 1.3 or newer\"\n"
                       "#endif\n\n");
}

void
emit_message_header(idl_writer *writer, const idl_file *file)
{
    const char *guard = cname_guard(writer->pool, file->name);

    emit_head(writer, file);
    write_format(writer, "#ifndef PROTOBUF_C_%s__INCLUDED\n#define PROTOBUF_C_%s__INCLUDED\n\n",
                 guard, guard);
    if (file->comment) {
        emit_comment(writer, 0, "", file->comment);
        write_text(writer, "\n");
    }
    write_includes(writer, file);
    write_text(writer, "PROTOBUF_C__BEGIN_DECLS\n");
    if (file->message_count)
        write_text(writer, "\n");
    each_message(file, write_typedef, writer);
    each_enum(file, write_enum, writer);
    if (file->enum_count || any_message(file, has_enum))
        write_text(writer, "\n");
    each_enum(file, write_enum_descriptor, writer);
    each_message(file, write_message, writer);
    write_text(writer, "\nPROTOBUF_C__END_DECLS\n\n#endif\n");
}
