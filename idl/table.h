#ifndef IDL_TABLE_H
#define IDL_TABLE_H

/* The tables that protobuf-c searches by halving: sorted by number or by name,
 * the numbers told as ranges. */

#include "idl/model.h"
#include "idl/writer.h"

/* One entry: what it is sorted by, and what it is. */
typedef struct idl_entry {
    const char *name;
    int32_t number;
    size_t index; /* among the things as declared, then in the table */
    const void *thing;
} idl_entry;

/* Equal numbers keep the order in which they were declared. */
void
sort_by_number(idl_entry *entries, size_t count);

void
sort_by_name(idl_entry *entries, size_t count);

/* Writes the numbers as ranges, { first number, index of its entry }, closed by
 * { 0, number of entries }, under the name `lower`__ranges.  Returns how many
 * there are without the last one. */
size_t
write_ranges(idl_writer *writer, const char *lower, const idl_entry *entries, size_t count);

/* A string of a table, which `optimize_for = CODE_SIZE` leaves out. */
const char *
table_string(idl_pool *pool, const idl_file *file, const char *text);

#endif
