/* Metadata that came over a connection. */

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
