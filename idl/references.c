/* Which fields are references and to what, and which messages have some inside.
 *
 * An interface, or the message that a channel carries, is looked for where a type would be: in
 * the file, in its imports, and in what these import publicly.  The option of a map stands on
 * the map, its reference is the value of an entry; so the entry's value gets what the map says.
 *
 * An afar.Sender or afar.Receiver counts as a reference of the message it is in.  By itself it has
 * none: what its one afar.Ref refers to is known by the field that it is the value of.  One
 * thread. */

#include "idl/references.h"

#include <string.h>

const idl_service *
service_anywhere(const idl_model *model, const char *full_name)
{
    for (size_t i = 0; i < model->file_count; i++) {
        const idl_file *file = &model->files[i];

        for (size_t j = 0; j < file->service_count; j++)
            if (!strcmp(file->services[j].full_name, full_name))
                return &file->services[j];
    }
    return NULL;
}

static const idl_message *
message_among(const idl_message *messages, size_t count, const char *full_name)
{
    const idl_message *found = NULL;

    for (size_t i = 0; i < count && !found; i++)
        found = strcmp(messages[i].full_name, full_name)
                    ? message_among(messages[i].messages, messages[i].message_count, full_name)
                    : &messages[i];
    return found;
}

const idl_message *
message_anywhere(const idl_model *model, const char *full_name)
{
    const idl_message *found = NULL;

    for (size_t i = 0; i < model->file_count && !found; i++)
        found = message_among(model->files[i].messages, model->files[i].message_count, full_name);
    return found;
}

/* Whether `from` is that file or hands it on; `seen` has the files that do not. */
static bool
hands_on(const idl_model *model, const idl_file *from, const idl_file *file, bool *seen)
{
    if (from == file)
        return true;
    if (seen[from - model->files])
        return false;
    seen[from - model->files] = true;
    for (size_t i = 0; i < from->import_count; i++)
        if (from->is_public[i] && hands_on(model, from->imports[i], file, seen))
            return true;
    return false;
}

static bool
is_visible(const idl_model *model, const idl_file *file, const idl_file *from)
{
    bool *seen = pool_array(model->pool, model->file_count, sizeof *seen);

    if (file == from)
        return true;
    for (size_t i = 0; i < from->import_count; i++)
        if (hands_on(model, from->imports[i], file, seen))
            return true;
    return false;
}

static const idl_service *
find_interface(const idl_model *model, const idl_file *from, const char *full_name)
{
    const idl_service *found = service_anywhere(model, full_name);

    return found && is_visible(model, found->file, from) ? found : NULL;
}

static const idl_message *
find_carried(const idl_model *model, const idl_file *from, const char *full_name)
{
    const idl_message *found = message_anywhere(model, full_name);

    return found && is_visible(model, found->file, from) ? found : NULL;
}

/* The value of a map's entries; NULL for what is no map. */
static idl_field *
value_of_map(const idl_field *field)
{
    const idl_message *entry = field->message_type;

    return entry && entry->is_map_entry && entry->field_count == 2 ? &entry->fields[1] : NULL;
}

const idl_message *
type_or_value_type(const idl_field *field)
{
    const idl_field *value = value_of_map(field);

    return value ? value->message_type : field->message_type;
}

bool
is_reference_field(const idl_field *field)
{
    const idl_message *type = type_or_value_type(field);

    return type && type->is_reference;
}

bool
is_end_field(const idl_field *field)
{
    const idl_message *type = type_or_value_type(field);

    return type && type->end;
}

static void
find_named(const idl_model *model, idl_message *message)
{
    for (size_t i = 0; i < message->field_count; i++) {
        idl_field *field = &message->fields[i];
        idl_field *value = value_of_map(field);

        if (field->interface_name && is_reference_field(field))
            field->interface = find_interface(model, message->file, field->interface_name);
        if (field->carries_name && is_end_field(field))
            field->carries = find_carried(model, message->file, field->carries_name);
        if (!value)
            continue;
        value->is_map_value = true;
        if (!field->interface && !field->carries)
            continue;
        value->interface = field->interface;
        value->carries = field->carries;
        value->position = field->position;
    }
    for (size_t i = 0; i < message->message_count; i++)
        find_named(model, &message->messages[i]);
}

/* Of what an entry has only the map is checked, so there must be one, and a key that is no message. */
static void
need_maps(const idl_message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const idl_message *entry = &messages[i];

        if (entry->is_map_entry && (entry->field_count != 2 || entry->fields[0].message_type ||
                                    !entry->fields[1].is_map_value))
            die("the request has the map entry %s, but not as that of a map", entry->full_name);
        need_maps(entry->messages, entry->message_count);
    }
}

/* Whether a message has references, by what is known of those it has inside. */
static bool
leads_to_reference(const idl_message *message)
{
    for (size_t i = 0; i < message->field_count; i++) {
        const idl_message *type = message->fields[i].message_type;

        if (type && (type->is_reference || type->end || type->has_references))
            return true;
    }
    return false;
}

/* Returns whether any message was found to have references that did not before. */
static bool
mark_messages(idl_message *messages, size_t count)
{
    bool any = false;

    for (size_t i = count; i-- > 0;) {
        idl_message *message = &messages[i];

        any |= mark_messages(message->messages, message->message_count);
        if (message->has_references || message->end || !leads_to_reference(message))
            continue;
        message->has_references = true;
        any = true;
    }
    return any;
}

void
find_references(idl_model *model)
{
    for (size_t i = 0; i < model->file_count; i++) {
        idl_file *file = &model->files[i];

        for (size_t j = 0; j < file->message_count; j++)
            find_named(model, &file->messages[j]);
    }
    for (size_t i = 0; i < model->file_count; i++) {
        idl_file *file = &model->files[i];

        need_maps(file->messages, file->message_count);
        while (mark_messages(file->messages, file->message_count))
            ;
    }
}
