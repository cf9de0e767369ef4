/* What graves.h says: a list in the order of burial, and a tree by name and key.  All
 * graves are kept for the same time, so the list is also in the order of their ends.
 * The writer's own, without a lock.
 */

#include "server/nameserver/graves.h"

#include <stdlib.h>
#include <string.h>

#include "server/nameserver/nonce.h"

#define NAME_BYTES 255
#define KEY_LENGTH(name_length) ((name_length) + 1 + AFAR__PUBLIC_BYTES)

struct afar__grave {
    afar__tree_item item;
    afar__grave *next, *previous;
    int64_t end_ms;
    uint64_t generation;
    size_t length;
    uint8_t bytes[]; /* name, 0 byte, key */
};

static void
write_key(uint8_t *bytes, const char *name, size_t length, const uint8_t *key)
{
    memcpy(bytes, name, length + 1);
    memcpy(bytes + length + 1, key, AFAR__PUBLIC_BYTES);
}

afar__grave *
afar__grave_new(const char *name, const uint8_t key[AFAR__PUBLIC_BYTES], uint64_t generation)
{
    size_t length = strlen(name);
    afar__grave *grave = calloc(1, sizeof *grave + KEY_LENGTH(length));

    if (!grave)
        return NULL;
    grave->generation = generation;
    grave->length = KEY_LENGTH(length);
    write_key(grave->bytes, name, length, key);
    return grave;
}

static afar__grave *
find(const afar__graves *graves, const uint8_t *bytes, size_t length)
{
    afar__tree_item *item = afar__tree_find(&graves->by_name, bytes, length);

    return item ? AFAR__TREE_OF(item, afar__grave, item) : NULL;
}

static void
open_grave(afar__graves *graves, afar__grave *grave)
{
    afar__tree_remove(&graves->by_name, &grave->item);
    *(grave->previous ? &grave->previous->next : &graves->first) = grave->next;
    *(grave->next ? &grave->next->previous : &graves->last) = grave->previous;
    graves->count--;
    free(grave);
}

void
afar__graves_add(afar__graves *graves, afar__grave *grave, int64_t now_ms)
{
    afar__grave *same = find(graves, grave->bytes, grave->length);

    if (same) {
        if (same->generation > grave->generation)
            grave->generation = same->generation;
        open_grave(graves, same);
    }
    if (graves->count >= graves->most) {
        afar__graves_clear(graves);
        graves->floor_ms = now_ms + 1;
        free(grave);
        return;
    }
    grave->end_ms = now_ms + AFAR__NONCE_LIFE_MS + 1;
    grave->next = NULL;
    grave->previous = graves->last;
    *(graves->last ? &graves->last->next : &graves->first) = grave;
    graves->last = grave;
    graves->count++;
    afar__tree_add(&graves->by_name, &grave->item, grave->bytes, grave->length);
}

const afar__grave *
afar__graves_find(const afar__graves *graves, const char *name,
                  const uint8_t key[AFAR__PUBLIC_BYTES])
{
    uint8_t bytes[KEY_LENGTH(NAME_BYTES)];
    size_t length = strlen(name);

    if (length > NAME_BYTES)
        return NULL;
    write_key(bytes, name, length, key);
    return find(graves, bytes, KEY_LENGTH(length));
}

uint64_t
afar__grave_generation(const afar__grave *grave)
{
    return grave->generation;
}

void
afar__graves_expire(afar__graves *graves, int64_t now_ms)
{
    while (graves->first && graves->first->end_ms <= now_ms)
        open_grave(graves, graves->first);
}

void
afar__graves_clear(afar__graves *graves)
{
    while (graves->first)
        open_grave(graves, graves->first);
}
