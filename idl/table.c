/* Sorted tables, for protobuf-c's binary searches.  One thread. */

#include "idl/table.h"

#include <stdlib.h>
#include <string.h>

static int
compare_numbers(const void *a, const void *b)
{
    const idl_entry *x = a;
    const idl_entry *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int
compare_names(const void *a, const void *b)
{
    const idl_entry *x = a;
    const idl_entry *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : compare_numbers(a, b);
}

void
sort_by_number(idl_entry *entries, size_t count)
{
    if (count)
        qsort(entries, count, sizeof *entries, compare_numbers);
}

void
sort_by_name(idl_entry *entries, size_t count)
{
    if (count)
        qsort(entries, count, sizeof *entries, compare_names);
}

const char *
table_string(idl_pool *pool, const idl_file *file, const char *text)
{
    return file->code_size ? "NULL" : pool_format(pool, "\"%s\"", text);
}

size_t
write_ranges(idl_writer *writer, const char *lower, const idl_entry *entries, size_t count)
{
    idl_list ranges = list_make(writer->pool);

    for (size_t i = 0; i < count; i++) {
        if (i && (int64_t)entries[i - 1].number + 1 == entries[i].number)
            continue;
        if (entries[i].number == INT32_MIN)
            list_add(&ranges, "{ INT32_MIN, %zu }", i);
        else
            list_add(&ranges, "{ %d, %zu }", entries[i].number, i);
    }
    list_add(&ranges, "{ 0, %zu }", count);
    write_format(writer, "static const ProtobufCIntRange %s__ranges[] = {\n    ", lower);
    write_list(writer, &ranges, 4, "\n};\n\n");
    return ranges.count - 1;
}
