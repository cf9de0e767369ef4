/* The typed details of an error.
 *
 * Details are kept as the bytes they travel as, since the error may pass through
 * code that does not know their types.  afar_error_find reads one as a message; it
 * keeps the message, so that asking again costs nothing and the answer lives as
 * long as the error.
 *
 * Runs on the thread that owns the error.
 */

#include "runtime/details.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "runtime/decode.h"

#define MOST_BYTES 6144 /* added by a program; they travel as metadata, which gets 8 KiB */

/* A detail that was read as a message. */
struct found {
    struct found *next;
    size_t index;
    ProtobufCMessage *message;
};

/* The data of a detail and its type, terminated, are one malloc. */
struct afar_details {
    afar_detail *items;
    size_t count, capacity;
    size_t bytes; /* types and data */
    struct found *found;
};

static bool
make_room(afar_details *details)
{
    size_t capacity = details->capacity > 0 ? details->capacity * 2 : 4;
    afar_detail *items;

    if (details->count < details->capacity)
        return true;
    items = realloc(details->items, capacity * sizeof *items);
    if (!items)
        return false;
    details->items = items;
    details->capacity = capacity;
    return true;
}

static afar_code
append(afar_details *details, const char *type, size_t type_length, const void *data, size_t length)
{
    uint8_t *bytes = make_room(details) ? malloc(length + type_length + 1) : NULL;
    char *name;

    if (!bytes)
        return AFAR_RESOURCE_EXHAUSTED;
    name = (char *)bytes + length;
    if (length > 0)
        memcpy(bytes, data, length);
    memcpy(name, type, type_length);
    name[type_length] = 0;
    details->items[details->count++] = (afar_detail){ name, bytes, length };
    details->bytes += length + type_length;
    return AFAR_OK;
}

afar_code
afar__details_add(afar_error *err, const char *type, size_t type_length, const void *data,
                  size_t length, size_t most)
{
    size_t used = err->details ? err->details->bytes : 0;

    if (used > most || length > most - used || type_length > most - used - length)
        return AFAR_RESOURCE_EXHAUSTED;
    if (!err->details)
        err->details = calloc(1, sizeof *err->details);
    if (!err->details)
        return AFAR_RESOURCE_EXHAUSTED;
    return append(err->details, type, type_length, data, length);
}

afar_details *
afar__details_copy(const afar_details *details)
{
    afar_details *copy = details ? calloc(1, sizeof *copy) : NULL;

    if (!copy)
        return NULL;
    for (size_t i = 0; i < details->count; i++) {
        const afar_detail *detail = &details->items[i];

        if (append(copy, detail->type, strlen(detail->type), detail->data, detail->length)) {
            afar__details_free(copy);
            return NULL;
        }
    }
    return copy;
}

void
afar__details_free(afar_details *details)
{
    if (!details)
        return;
    while (details->found) {
        struct found *found = details->found;

        details->found = found->next;
        afar_message_free(found->message);
        free(found);
    }
    for (size_t i = 0; i < details->count; i++)
        free((void *)(uintptr_t)details->items[i].data);
    free(details->items);
    free(details);
}

/* ---- public ---- */

afar_code
afar_error_add_detail(afar_error *err, const char *type, const void *data, size_t length)
{
    if (!err)
        return AFAR_OK;
    return afar__details_add(err, type, strlen(type), data, length, MOST_BYTES);
}

size_t
afar_error_detail_count(const afar_error *err)
{
    return err && err->details ? err->details->count : 0;
}

afar_detail
afar_error_detail(const afar_error *err, size_t index)
{
    if (index >= afar_error_detail_count(err))
        return (afar_detail){ NULL, NULL, 0 };
    return err->details->items[index];
}

/* Reads a detail and keeps the message. */
static const ProtobufCMessage *
read_detail(afar_details *details, size_t index, const ProtobufCMessageDescriptor *type)
{
    const afar_detail *detail = &details->items[index];
    struct found *found = malloc(sizeof *found);

    if (!found)
        return NULL;
    if (afar__decode_message(type, detail->data, detail->length, NULL, &found->message, NULL)) {
        free(found);
        return NULL;
    }
    found->index = index;
    found->next = details->found;
    details->found = found;
    return found->message;
}

const ProtobufCMessage *
afar_error_find(const afar_error *err, const char *name, const ProtobufCMessageDescriptor *type)
{
    size_t count = afar_error_detail_count(err), index = 0;

    while (index < count && strcmp(err->details->items[index].type, name) != 0)
        index++;
    if (index == count)
        return NULL;
    for (const struct found *found = err->details->found; found; found = found->next)
        if (found->index == index && found->message->descriptor == type)
            return found->message;
    return read_detail(err->details, index, type);
}
