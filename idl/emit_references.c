/* The parts of x.afar.h and x.afar.c about references in messages.
 *
 * Of a message that has references, or messages with references, there is a plan: a row
 * for each such field, by its place in the table of fields, which is in the order of
 * their numbers.  A plan names the plans of the messages inside, in other files too,
 * and itself in a message that may have itself inside.
 *
 * For each reference, and for each end of a channel, there are three helpers, which only add
 * types: what they do is done by libafar.  An end is an afar.Sender or afar.Receiver, a message
 * with a reference inside; its plan stands with the message that the channel carries
 * (emit_channels.c).  One thread. */

#include <stdlib.h>
#include <string.h>

#include "idl/cname.h"
#include "idl/emit.h"
#include "idl/signature.h"

static bool
is_reference(const idl_field *field)
{
    return field->message_type && field->message_type->is_reference;
}

static bool
is_end(const idl_field *field)
{
    return field->message_type && field->message_type->end;
}

const char *
references_name(idl_pool *pool, const idl_message *message)
{
    return message->has_references ? pool_format(pool, "&%s_refs", message->stub) : "NULL";
}

/* ---- includes ---- */

typedef struct file_list {
    const idl_file **files;
    size_t count;
} file_list;

static void
add_file(file_list *list, const idl_file *file)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->files[i] == file)
            return;
    list->files[list->count++] = file;
}

static size_t
count_fields(const idl_message *messages, size_t count)
{
    size_t fields = 0;

    for (size_t i = 0; i < count; i++)
        fields +=
            messages[i].field_count + count_fields(messages[i].messages, messages[i].message_count);
    return fields;
}

/* The files of the interfaces, of what goes through channels, and of the messages inside. */
static void
add_files_of(file_list *list, const idl_message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < messages[i].field_count && messages[i].has_references; j++) {
            const idl_field *field = &messages[i].fields[j];

            if (is_reference(field))
                add_file(list, field->interface->file);
            else if (is_end(field))
                add_file(list, field->carries->file);
            else if (field->message_type && field->message_type->has_references)
                add_file(list, field->message_type->file);
        }
        add_files_of(list, messages[i].messages, messages[i].message_count);
    }
}

static void
add_files_of_methods(file_list *list, const idl_service *service)
{
    for (size_t i = 0; i < service->method_count; i++) {
        const idl_method *method = &service->methods[i];

        if (method->request->has_references)
            add_file(list, method->request->file);
        if (method->reply->has_references)
            add_file(list, method->reply->file);
    }
}

static size_t
count_methods(const idl_file *file)
{
    size_t methods = 0;

    for (size_t i = 0; i < file->service_count; i++)
        methods += file->services[i].method_count;
    return methods;
}

void
emit_references_includes(idl_writer *writer, const idl_file *file)
{
    size_t most = 1 + count_fields(file->messages, file->message_count) + 2 * count_methods(file);
    file_list list = { pool_array(writer->pool, most, sizeof *list.files), 0 };

    add_file(&list, file);
    add_files_of(&list, file->messages, file->message_count);
    for (size_t i = 0; i < file->service_count; i++)
        add_files_of_methods(&list, &file->services[i]);
    for (size_t i = 1; i < list.count; i++)
        emit_include(writer, list.files[i], "afar.h");
    write_text(writer, list.count > 1 ? "\n" : "");
}

/* ---- helpers ---- */

/* What a field is about. */
typedef struct field_words {
    const char *library;  /* start of the names of the untyped helpers: "afar_ref" */
    const char *room;     /* "Afar__Ref" */
    const char *type;     /* "bank_account" */
    const char *variable; /* of that type: "object" */
    const char *untyped; /* the variable as what the library takes: "bank_account_object(object)" */
} field_words;

static field_words
words_of(idl_pool *pool, const idl_field *field)
{
    const char *end = field->message_type->end;
    field_words words = { "afar_ref", "Afar__Ref", NULL, "object", NULL };

    if (!end) {
        words.type = field->interface->c_type;
        words.untyped = pool_format(pool, "%s_object(object)", field->interface->stub);
        return words;
    }
    words.library = pool_format(pool, "afar_%s", end);
    words.room = pool_format(pool, "afar_%s_room", end);
    words.type = pool_format(pool, "%s_%s", field->carries->stub, end);
    words.variable = end;
    words.untyped = pool_format(pool, "%s_base(%s)", words.type, end);
    return words;
}

/* "put", and what stands behind the message and in front of the object. */
static idl_signature
helper_signature(idl_pool *pool, const char *returns, const char *verb, const idl_field *field)
{
    const idl_message *message = field->owner;
    idl_signature signature = signature_make(
        pool, returns, pool_format(pool, "%s_%s_%s", message->stub, verb, field->member));

    list_add(&signature.parameters, "%s%s *message", strcmp(verb, "take") ? "" : "const ",
             message->c_type);
    if (field->label == LABEL_REPEATED)
        list_add(&signature.parameters, "size_t index");
    return signature;
}

static const char *
member_of(idl_pool *pool, const idl_field *field)
{
    return pool_format(pool, "message->%s%s", field->member,
                       field->label == LABEL_REPEATED ? "[index]" : "");
}

/* The value that the case of its oneof has when the field is set. */
static const char *
case_of(idl_pool *pool, const idl_field *field)
{
    return pool_format(pool, "%s_%s", field->oneof->upper, cname_upper(pool, field->name));
}

/* A helper of a deprecated field is deprecated, and mentions the field all the same. */
static const char *
attribute_of(const idl_field *field)
{
    return field->deprecated ? "AFAR_DEPRECATED " : "";
}

static void
write_put(idl_writer *writer, const idl_field *field)
{
    idl_pool *pool = writer->pool;
    field_words words = words_of(pool, field);
    idl_signature put = helper_signature(
        pool, pool_format(pool, "%sstatic inline void", attribute_of(field)), "put", field);

    list_add(&put.parameters, "%s *room", words.room);
    list_add(&put.parameters, "%s *%s", words.type, words.variable);
    write_signature(writer, &put, ")\n{\n");
    if (field->oneof)
        write_pair(writer, pool_format(pool, "    message->%s_case =", field->oneof->member),
                   case_of(pool, field), 8, ";\n");
    write_pair(writer, pool_format(pool, "    %s =", member_of(pool, field)),
               pool_format(pool, "%s_put(room, %s)", words.library, words.untyped), 8, ";\n}\n\n");
}

static void
write_give(idl_writer *writer, const idl_field *field)
{
    idl_pool *pool = writer->pool;
    field_words words = words_of(pool, field);
    idl_list arguments = list_make(pool);
    idl_signature give = helper_signature(
        pool, pool_format(pool, "%sAFAR_MUST_USE static inline afar_code", attribute_of(field)),
        "give", field);

    list_add(&give.parameters, "afar_call *call");
    list_add(&give.parameters, "%s *%s", words.type, words.variable);
    write_signature(writer, &give, ")\n{\n");
    write_format(writer, "    %s %s_give(", field->oneof ? "afar_code code =" : "return",
                 words.library);
    list_add(&arguments, "call");
    list_add(&arguments, "%s", words.untyped);
    list_add(&arguments, "&%s", member_of(pool, field));
    write_list(writer, &arguments, 8, ");\n");
    if (field->oneof) {
        write_text(writer, "    if (code == AFAR_OK)\n");
        write_pair(writer, pool_format(pool, "        message->%s_case =", field->oneof->member),
                   case_of(pool, field), 12, ";\n    return code;\n");
    }
    write_text(writer, "}\n\n");
}

static void
write_take(idl_writer *writer, const idl_field *field)
{
    idl_pool *pool = writer->pool;
    const char *type = field->interface->c_type;
    idl_list arguments = list_make(pool);
    idl_signature take = helper_signature(
        pool, pool_format(pool, "%sstatic inline %s *", attribute_of(field), type), "take", field);

    write_signature(writer, &take, ")\n{\n");
    if (field->oneof)
        write_pair(writer, pool_format(pool, "    if (message->%s_case !=", field->oneof->member),
                   case_of(pool, field), 8, ")\n        return NULL;\n");
    if (field->label == LABEL_REPEATED)
        write_format(writer,
                     "    if (index >= message->n_%s)\n"
                     "        return NULL;\n",
                     field->member);
    write_format(writer, "    return (%s *)afar_ref_take(", type);
    list_add(&arguments, "%s", member_of(pool, field));
    write_list(writer, &arguments, 8, ");\n}\n\n");
}

/* What must hold for the field to be there, or NULL. */
static const char *
guard_of(idl_pool *pool, const idl_field *field)
{
    if (field->label == LABEL_REPEATED)
        return pool_format(pool, "index < message->n_%s", field->member);
    if (field->oneof)
        return pool_format(pool, "message->%s_case == %s", field->oneof->member,
                           case_of(pool, field));
    return NULL;
}

static void
write_take_end(idl_writer *writer, const idl_field *field)
{
    idl_pool *pool = writer->pool;
    field_words words = words_of(pool, field);
    const char *guard = guard_of(pool, field);
    idl_list arguments = list_make(pool);
    idl_signature take = helper_signature(
        pool, pool_format(pool, "%sAFAR_MUST_USE static inline afar_code", attribute_of(field)),
        "take", field);

    list_add(&take.parameters, "%s **ret_%s", words.type, words.variable);
    list_add(&take.parameters, "afar_error *err");
    write_signature(writer, &take, ")\n{\n");
    write_format(writer, "    %s *%s = NULL;\n    afar_code code = ", words.library,
                 words.variable);
    if (guard)
        write_format(writer, "AFAR_OK;\n\n    if (%s)\n        code = ", guard);
    write_format(writer, "%s_take(", words.library);
    list_add(&arguments, "%s", member_of(pool, field));
    list_add(&arguments, "&%s_channel_type", field->carries->stub);
    list_add(&arguments, "&%s", words.variable);
    list_add(&arguments, "err");
    write_list(writer, &arguments, guard ? 12 : 8, ");\n");
    write_format(writer, "%s    if (code == AFAR_OK)\n", guard ? "" : "\n");
    write_pair(writer, pool_format(pool, "        *ret_%s =", words.variable),
               pool_format(pool, "(%s *)%s", words.type, words.variable), 12,
               ";\n    return code;\n}\n\n");
}

/* ---- the header ---- */

static void
write_declaration(idl_writer *writer, const idl_message *message)
{
    if (message->has_references)
        write_format(writer, "extern const afar_refs %s_refs;\n", message->stub);
}

static void
write_field_helpers(idl_writer *writer, const idl_field *field)
{
    emit_comment(writer, 0, field->name, both_comments(writer->pool, &field->comments));
    if (field->deprecated)
        write_text(writer, "#pragma GCC diagnostic push\n"
                           "#pragma GCC diagnostic ignored \"-Wdeprecated-declarations\"\n");
    write_put(writer, field);
    write_give(writer, field);
    if (is_end(field))
        write_take_end(writer, field);
    else
        write_take(writer, field);
    if (field->deprecated)
        write_text(writer, "#pragma GCC diagnostic pop\n\n");
}

static void
write_helpers(idl_writer *writer, const idl_message *message)
{
    bool any = false;

    for (size_t i = 0; i < message->field_count && message->has_references; i++) {
        if (!is_reference(&message->fields[i]) && !is_end(&message->fields[i]))
            continue;
        if (!any)
            write_format(writer, "/* ---- %s ---- */\n\n", message->full_name);
        write_field_helpers(writer, &message->fields[i]);
        any = true;
    }
}

void
emit_references_header(idl_writer *writer, const idl_file *file)
{
    if (!any_message(file, has_references))
        return;
    emit_section(writer,
                 any_message(file, has_ends) ? "references in messages (afar/ref.h, afar/channel.h)"
                                             : "references in messages (afar/ref.h)",
                 NULL);
    write_text(writer, "\n");
    each_message(file, write_declaration, writer);
    write_text(writer, "\n");
    each_message(file, write_helpers, writer);
}

/* ---- the source ---- */

/* The place of a field in the table of its message's fields. */
static size_t
place_of(const idl_field *field)
{
    const idl_message *message = field->owner;
    size_t place = 0;

    for (size_t i = 0; i < message->field_count; i++)
        place += message->fields[i].number < field->number;
    return place;
}

static int
compare_places(const void *a, const void *b)
{
    const idl_field *const *x = a;
    const idl_field *const *y = b;

    return (*x)->number < (*y)->number ? -1 : (*x)->number > (*y)->number;
}

static const char *
row_of(idl_pool *pool, const idl_field *field)
{
    if (is_reference(field))
        return pool_format(pool, "{ %zu, &%s_interface, NULL }", place_of(field),
                           field->interface->stub);
    if (is_end(field))
        return pool_format(pool, "{ %zu, NULL, &%s_%s_refs }", place_of(field),
                           field->carries->stub, field->message_type->end);
    return pool_format(pool, "{ %zu, NULL, %s }", place_of(field),
                       references_name(pool, field->message_type));
}

static void
write_plan(idl_writer *writer, const idl_message *message)
{
    const idl_field **fields;
    size_t count = 0;

    if (!message->has_references)
        return;
    fields = pool_array(writer->pool, message->field_count, sizeof *fields);
    for (size_t i = 0; i < message->field_count; i++) {
        const idl_message *type = message->fields[i].message_type;

        if (type && (type->is_reference || type->end || type->has_references))
            fields[count++] = &message->fields[i];
    }
    qsort(fields, count, sizeof *fields, compare_places);
    write_format(writer, "static const afar_ref_field %s_ref_fields[] = {\n", message->stub);
    for (size_t i = 0; i < count; i++)
        write_format(writer, "    %s%s\n", row_of(writer->pool, fields[i]),
                     i + 1 < count ? "," : "");
    write_format(writer, "};\n\nconst afar_refs %s_refs = {\n    ", message->stub);
    write_pair(writer, pool_format(writer->pool, "&%s__descriptor, %zu,", message->lower, count),
               pool_format(writer->pool, "%s_ref_fields", message->stub), 4, "\n};\n\n");
}

void
emit_references_source(idl_writer *writer, const idl_file *file)
{
    if (!any_message(file, has_references))
        return;
    write_text(writer, "/* ---- where references are ---- */\n\n");
    each_message(file, write_plan, writer);
}
