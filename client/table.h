#ifndef AFAR_CLIENT_TABLE_H
#define AFAR_CLIENT_TABLE_H

/* A table of rows found by name, which also knows in what order they were used.
 * A row is embedded at the start of what it is about, and belongs to whoever added
 * it.  The owner of the table has a lock. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct afar__row afar__row;
struct afar__row {
    const char *name; /* lives as long as the row */
    uint64_t hash;
    afar__row *chain;
    afar__row *older, *newer; /* in the order of use */
};

/* Begins as { 0 }. */
typedef struct afar__table {
    afar__row **slots; /* a power of two of them */
    size_t room, count;
    afar__row *oldest, *newest;
} afar__table;

/* The row of that name, or NULL. */
afar__row *
afar__table_find(const afar__table *table, const char *name);

/* Adds a row whose name is in no other one, as the newest.  False: no memory. */
bool
afar__table_add(afar__table *table, afar__row *row);

/* Makes a row the newest. */
void
afar__table_use(afar__table *table, afar__row *row);

void
afar__table_remove(afar__table *table, afar__row *row);

/* Lets go of its own memory; the rows are gone already. */
void
afar__table_clear(afar__table *table);

#endif
