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

#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "runtime/decode.h"

#define MOST_BYTES 6144 /* added by a program; they travel as metadata, which gets 8 KiB */

/* One malloc: the struct, the data, the type with its 0. */
struct item {
    struct item *next;
    struct afar_detail detail;
};

/* A detail that was read as a message. */
struct found {
    struct found *next;
    const struct item *item;
    ProtobufCMessage *message;
};

struct afar_details {
    struct item *first, **behind; /* the place where the next one goes */
    size_t count;
    size_t bytes;
    struct found *found;
};

static afar_details *
new_details(void)
{
    afar_details *details = calloc(1, sizeof *details);

    if (details)
        details->behind = &details->first;
    return details;
}

static afar_code
append(afar_details *details, const char *type, size_t type_length, const void *data, size_t length)
{
    struct item *item = malloc(sizeof *item + length + type_length + 1);
    uint8_t *bytes = (uint8_t *)(item + 1);
    char *name;

    if (!item)
        return AFAR_RESOURCE_EXHAUSTED;
    name = (char *)bytes + length;
    if (length > 0)
        memcpy(bytes, data, length);
    memcpy(name, type, type_length);
    name[type_length] = 0;
    item->next = NULL;
    item->detail = (afar_detail){ name, bytes, length };
    *details->behind = item;
    details->behind = &item->next;
    details->count++;
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
        err->details = new_details();
    if (!err->details)
        return AFAR_RESOURCE_EXHAUSTED;
    return append(err->details, type, type_length, data, length);
}

afar_details *
afar__details_copy(const afar_details *details)
{
    afar_details *copy = details ? new_details() : NULL;

    if (!copy)
        return NULL;
    for (const struct item *item = details->first; item; item = item->next) {
        const afar_detail *detail = &item->detail;

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
    while (details->first) {
        struct item *item = details->first;

        details->first = item->next;
        free(item);
    }
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
    const struct item *item = err && err->details ? err->details->first : NULL;

    while (item && index-- > 0)
        item = item->next;
    return item ? item->detail : (afar_detail){ NULL, NULL, 0 };
}

/* Reads a detail and keeps the message. */
static const ProtobufCMessage *
read_item(afar_details *details, const struct item *item, const ProtobufCMessageDescriptor *type)
{
    struct found *found = malloc(sizeof *found);

    if (!found)
        return NULL;
    if (afar__decode_message(type, item->detail.data, item->detail.length, NULL, &found->message,
                             NULL)) {
        free(found);
        return NULL;
    }
    found->item = item;
    found->next = details->found;
    details->found = found;
    return found->message;
}

const ProtobufCMessage *
afar_error_find(const afar_error *err, const char *name, const ProtobufCMessageDescriptor *type)
{
    afar_details *details = err ? err->details : NULL;
    const struct item *item = details ? details->first : NULL;

    while (item && strcmp(item->detail.type, name) != 0)
        item = item->next;
    if (!item)
        return NULL;
    for (const struct found *found = details->found; found; found = found->next)
        if (found->item == item && found->message->descriptor == type)
            return found->message;
    return read_item(details, item, type);
}
