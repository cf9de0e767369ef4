/* Tables of names: chained hashing, and a list in the order of use.
 *
 * Invariants:
 * - There are at least as many slots as rows, unless memory for more was refused once.
 * - Every row is in the chain of its hash and in the list from oldest to newest.
 *
 * One thread at a time. */

#include "client/table.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 16

/* FNV-1a: short texts, and nobody gains by making them meet, since what a peer sends
 * is looked up and never added. */
static uint64_t
hash_of(const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (const char *c = name; *c; c++)
        hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
    return hash;
}

static afar__row **
slot_of(const afar__table *table, uint64_t hash)
{
    return &table->slots[(hash ^ hash >> 32) & (table->room - 1)];
}

afar__row *
afar__table_find(const afar__table *table, const char *name)
{
    uint64_t hash = hash_of(name);
    afar__row *row = table->room ? *slot_of(table, hash) : NULL;

    while (row && (row->hash != hash || strcmp(row->name, name) != 0))
        row = row->chain;
    return row;
}

static void
link_newest(afar__table *table, afar__row *row)
{
    row->newer = NULL;
    row->older = table->newest;
    if (row->older)
        row->older->newer = row;
    else
        table->oldest = row;
    table->newest = row;
}

static void
unlink_used(afar__table *table, afar__row *row)
{
    if (row->older)
        row->older->newer = row->newer;
    else
        table->oldest = row->newer;
    if (row->newer)
        row->newer->older = row->older;
    else
        table->newest = row->older;
}

static void
put_in_chain(afar__table *table, afar__row *row)
{
    afar__row **slot = slot_of(table, row->hash);

    row->chain = *slot;
    *slot = row;
}

static bool
grow(afar__table *table)
{
    size_t room = table->room ? table->room * 2 : FIRST_ROOM;
    afar__row **slots = calloc(room, sizeof *slots);

    if (!slots)
        return table->room > 0;
    free(table->slots);
    table->slots = slots;
    table->room = room;
    for (afar__row *row = table->oldest; row; row = row->newer)
        put_in_chain(table, row);
    return true;
}

bool
afar__table_add(afar__table *table, afar__row *row)
{
    if (table->count >= table->room && !grow(table))
        return false;
    row->hash = hash_of(row->name);
    put_in_chain(table, row);
    link_newest(table, row);
    table->count++;
    return true;
}

void
afar__table_use(afar__table *table, afar__row *row)
{
    if (row == table->newest)
        return;
    unlink_used(table, row);
    link_newest(table, row);
}

void
afar__table_remove(afar__table *table, afar__row *row)
{
    afar__row **place = slot_of(table, row->hash);

    while (*place != row)
        place = &(*place)->chain;
    *place = row->chain;
    unlink_used(table, row);
    table->count--;
}

void
afar__table_clear(afar__table *table)
{
    free(table->slots);
    *table = (afar__table){ 0 };
}
