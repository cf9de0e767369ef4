/* Metadata that came over a connection, or goes. */

#include <string.h>

#include "runtime/far/served.h"
#include "runtime/metadata.h"

afar_code
afar__far_metadata(const afar__session_pair *pairs, size_t count, afar__arena *arena,
                   afar_metadata *ret_metadata)
{
    afar__metadata_list list = { NULL, 0, 0 };

    for (size_t i = 0; i < count; i++) {
        const afar__session_pair *pair = &pairs[i];
        char *key = afar__arena_memdup(arena, pair->key.data, pair->key.length);
        afar_code code =
            key ? afar__metadata_add(&list, arena, key, pair->value.data, pair->value.length)
                : AFAR_RESOURCE_EXHAUSTED;

        if (code)
            return code;
    }
    ret_metadata->entries = list.entries;
    ret_metadata->count = list.count;
    return AFAR_OK;
}

afar__session_pair *
afar__far_pairs(const afar__metadata_list *list, afar__arena *arena)
{
    afar__session_pair *pairs = afar__arena_alloc(arena, list->count * sizeof *pairs);

    for (size_t i = 0; pairs && i < list->count; i++) {
        const afar_metadata_entry *entry = &list->entries[i];

        pairs[i].key = (afar__session_span){ entry->key, strlen(entry->key) };
        pairs[i].value = (afar__session_span){ entry->value, entry->length };
    }
    return pairs;
}
