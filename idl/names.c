/* A table from names to things: open addressing, at most half full.  Names and
 * things are borrowed; nothing is ever taken out.  One thread. */

#include "idl/names.h"

#include <stdint.h>
#include <string.h>

typedef struct idl_slot {
    const char *name; /* NULL: free */
    void *thing;
} idl_slot;

struct idl_names {
    idl_pool *pool;
    idl_slot *slots;
    size_t room; /* a power of two */
    size_t count;
};

idl_names *
names_new(idl_pool *pool)
{
    idl_names *names = pool_alloc(pool, sizeof *names);

    names->pool = pool;
    names->room = 64;
    names->slots = pool_array(pool, names->room, sizeof *names->slots);
    return names;
}

/* FNV-1a. */
static size_t
hash(const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
    return (size_t)(hash ^ hash >> 32);
}

static idl_slot *
slot_of(const idl_names *names, const char *name)
{
    size_t i = hash(name) & (names->room - 1);

    while (names->slots[i].name && strcmp(names->slots[i].name, name))
        i = (i + 1) & (names->room - 1);
    return &names->slots[i];
}

void *
names_find(const idl_names *names, const char *name)
{
    return slot_of(names, name)->thing;
}

static void
grow(idl_names *names)
{
    idl_slot *old = names->slots;
    size_t room = names->room;

    names->room *= 2;
    names->slots = pool_array(names->pool, names->room, sizeof *names->slots);
    for (size_t i = 0; i < room; i++)
        if (old[i].name)
            *slot_of(names, old[i].name) = old[i];
}

void
names_add(idl_names *names, const char *name, void *thing)
{
    if (2 * (names->count + 1) > names->room)
        grow(names);
    *slot_of(names, name) = (idl_slot){ name, thing };
    names->count++;
}
