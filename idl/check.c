/* The rules that a .proto file must keep, and the report of all that were broken.
 *
 * Some are broken by what model_fill.c sees while it reads options, some by names
 * (clash.c); the others are here.  Only files that are to be compiled are
 * reported: an import may be somebody else's.  One thread. */

#include "idl/check.h"

#include <stdlib.h>
#include <string.h>

#include "idl/clash.h"
#include "idl/cname.h"
#include "idl/references.h"
#include "idl/writer.h"

static void
check_interface(idl_model *model, const idl_file *file, const idl_field *field)
{
    const idl_service *elsewhere;

    if (field->interface)
        return;
    elsewhere = service_anywhere(model, field->interface_name);
    if (elsewhere)
        complain(model, file, field->option_position,
                 "(afar.interface) of field %s is %s in %s, which is not imported", field->name,
                 field->interface_name, elsewhere->file->name);
    else
        complain(model, file, field->option_position,
                 "(afar.interface) of field %s is \"%s\", and no service has that full name",
                 field->name, field->interface_name);
}

static void
check_carried(idl_model *model, const idl_file *file, const idl_field *field)
{
    const idl_message *elsewhere = message_anywhere(model, field->carries_name);

    if (field->carries && field->carries->is_channel)
        return;
    if (field->carries)
        complain(model, file, field->carries_position,
                 "(afar.carries) of field %s is %s, which is not marked with option (afar.channel)",
                 field->name, field->carries_name);
    else if (elsewhere)
        complain(model, file, field->carries_position,
                 "(afar.carries) of field %s is %s in %s, which is not imported", field->name,
                 field->carries_name, elsewhere->file->name);
    else
        complain(model, file, field->carries_position,
                 "(afar.carries) of field %s is \"%s\", and no message has that full name",
                 field->name, field->carries_name);
}

static void
check_end(idl_model *model, const idl_file *file, const idl_field *field)
{
    if (is_end_field(field) && field->carries_name)
        check_carried(model, file, field);
    else if (is_end_field(field))
        complain(model, file, field->type_position,
                 "field %s is an %s, so it needs (afar.carries), the message that goes through "
                 "its channel",
                 field->name, type_or_value_type(field)->full_name);
    else if (field->carries_name)
        complain(model, file, field->carries_position,
                 "(afar.carries) says what goes through the channel of an afar.Sender or an "
                 "afar.Receiver; field %s is neither",
                 field->name);
}

/* The references among the entries of a map are told at the map. */
static void
check_field(idl_model *model, const idl_file *file, const idl_field *field)
{
    if (field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_GROUP)
        complain(model, file, field->position,
                 "field %s is a group, which protobuf-c cannot read; make it a message",
                 field->name);
    check_end(model, file, field);
    if (is_reference_field(field) && field->interface_name)
        check_interface(model, file, field);
    else if (is_reference_field(field) && !field->owner->end)
        complain(model, file, field->type_position,
                 "field %s is an afar.Ref, so it needs the (afar.interface) of what it refers to",
                 field->name);
    else if (field->interface_name)
        complain(model, file, field->option_position,
                 "(afar.interface) says what an afar.Ref refers to; field %s is none", field->name);
}

static void
check_c_name(idl_model *model, const idl_file *file, idl_position position, const char *what,
             const char *name, const char *c_name)
{
    if (!*c_name || (*c_name >= '0' && *c_name <= '9'))
        complain(model, file, position, "%s %s would be \"%s\" in C, which is no name", what, name,
                 c_name);
}

static void
check_enum(idl_model *model, const idl_enumeration *enumeration)
{
    check_c_name(model, enumeration->file, enumeration->position, "enum", enumeration->full_name,
                 enumeration->c_type);
}

static void
check_message(idl_model *model, const idl_message *message)
{
    check_c_name(model, message->file, message->position, "message", message->full_name,
                 message->c_type);
    if (!cname_is_valid(message->base) || cname_is_reserved(message->base))
        complain(model, message->file, message->position,
                 "\"%s\" cannot be the (pb_c_msg).base_field_name of message %s", message->base,
                 message->full_name);
    if (message->is_error && message->has_references)
        complain(model, message->file, message->position,
                 "message %s is an (afar.error), and references do not travel in errors",
                 message->full_name);
    for (size_t i = 0; i < message->field_count && !message->is_map_entry; i++)
        check_field(model, message->file, &message->fields[i]);
    for (size_t i = 0; i < message->message_count; i++)
        check_message(model, &message->messages[i]);
    for (size_t i = 0; i < message->enum_count; i++)
        check_enum(model, &message->enums[i]);
}

static void
check_types(idl_model *model, const idl_file *file, const idl_method *method)
{
    if (method->request->end || method->reply->end)
        complain(model, file, method->position,
                 "method %s has an %s as request or reply; it must be a field of a message, with "
                 "the (afar.carries) of its channel",
                 method->name,
                 method->request->end ? method->request->full_name : method->reply->full_name);
    if (method->request->is_reference || method->reply->is_reference)
        complain(model, file, method->position,
                 "method %s has an afar.Ref as request or reply; it must be a field of a message, "
                 "with the (afar.interface) of what it refers to",
                 method->name);
}

static void
check_method(idl_model *model, const idl_method *method)
{
    const idl_file *file = method->service->file;

    check_types(model, file, method);
    if (!method->oneway)
        return;
    if (method->client_streams || method->server_streams)
        complain(model, file, method->option_position,
                 "method %s is oneway, so it cannot be a stream", method->name);
    if (strcmp(method->reply->full_name, "google.protobuf.Empty"))
        complain(model, file, method->option_position,
                 "method %s is oneway, so it must return google.protobuf.Empty", method->name);
}

static void
check_package(idl_model *model, const idl_file *file)
{
    const char *package = file->c_package;

    while (*package) {
        size_t n = strcspn(package, ".");

        if (!cname_is_valid(pool_copy(model->pool, package, n)) ||
            (package[n] && !package[n + 1])) {
            complain(model, file, file->c_package_position,
                     "\"%s\" cannot be the (pb_c_file).c_package", file->c_package);
            return;
        }
        package += n + (package[n] == '.');
    }
}

static void
check_file(idl_model *model, const idl_file *file)
{
    check_package(model, file);
    for (size_t i = 0; i < file->message_count; i++)
        check_message(model, &file->messages[i]);
    for (size_t i = 0; i < file->enum_count; i++)
        check_enum(model, &file->enums[i]);
    for (size_t i = 0; i < file->service_count; i++)
        for (size_t j = 0; j < file->services[i].method_count; j++)
            check_method(model, &file->services[i].methods[j]);
}

/* Two files that would be written to one. */
static void
check_outputs(idl_model *model)
{
    for (size_t i = 0; i < model->file_count; i++)
        for (size_t j = 0; j < i; j++) {
            const idl_file *file = &model->files[i];
            const idl_file *other = &model->files[j];

            if (file->generate && other->generate &&
                !strcmp(cname_stem(model->pool, file->name), cname_stem(model->pool, other->name)))
                complain(model, file, (idl_position){ 1, 1 },
                         "%s and %s would be written to the same files", file->name, other->name);
        }
}

/* Files are in one array, so their order is that of their addresses. */
static int
compare(const void *a, const void *b)
{
    const idl_complaint *x = a;
    const idl_complaint *y = b;

    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->position.line != y->position.line)
        return x->position.line < y->position.line ? -1 : 1;
    if (x->position.column != y->position.column)
        return x->position.column < y->position.column ? -1 : 1;
    return strcmp(x->text, y->text);
}

static char *
report(idl_model *model)
{
    idl_complaints *all = &model->complaints;
    idl_writer text = writer_make(model->pool);

    if (all->count)
        qsort(all->items, all->count, sizeof *all->items, compare);
    for (size_t i = 0; i < all->count; i++) {
        const idl_complaint *complaint = &all->items[i];

        if (!complaint->file->generate || (i && !compare(complaint - 1, complaint)))
            continue;
        write_text(&text, text.length ? "\n" : "");
        write_text(&text, complaint->file->name);
        if (complaint->position.line)
            write_format(&text, ":%d:%d", complaint->position.line, complaint->position.column);
        write_format(&text, ": %s", complaint->text);
    }
    return text.length ? text.text : NULL;
}

char *
check_model(idl_model *model)
{
    for (size_t i = 0; i < model->file_count; i++)
        if (model->files[i].generate)
            check_file(model, &model->files[i]);
    check_outputs(model);
    check_names(model);
    return report(model);
}
