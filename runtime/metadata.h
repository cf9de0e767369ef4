#ifndef AFAR_RUNTIME_METADATA_H
#define AFAR_RUNTIME_METADATA_H

/* Metadata that grows in an arena. */

#include <stddef.h>

#include <afar/metadata.h>

#include "runtime/arena.h"

typedef struct afar__metadata_list {
    afar_metadata_entry *entries;
    size_t count, capacity;
} afar__metadata_list;

/* Adds a copy of a pair; the value gets a 0 byte behind it.  Not checked: that is
 * afar_metadata_check's.  RESOURCE_EXHAUSTED when out of memory. */
AFAR_MUST_USE afar_code
afar__metadata_add(afar__metadata_list *list, afar__arena *arena, const char *key,
                   const void *value, size_t length);

#endif
