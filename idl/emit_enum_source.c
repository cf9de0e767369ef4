/* The part of x.pb-c.c that is about an enum: its values by number, each number
 * once, and all of its names.  One thread. */

#include "idl/emit.h"
#include "idl/table.h"

/* The values by number, of those that share one only the first; what is left out
 * is told where it would stand. */
static size_t
sort_values(const idl_enumeration *enumeration, idl_entry *by_number, idl_entry *by_name)
{
    size_t count = enumeration->value_count;
    size_t distinct = 0;

    for (size_t i = 0; i < count; i++)
        by_name[i] = (idl_entry){ enumeration->values[i].name, enumeration->values[i].number, i,
                                  &enumeration->values[i] };
    sort_by_number(by_name, count);
    for (size_t i = 0; i < count; i++) {
        if (!i || by_name[i - 1].number != by_name[i].number)
            by_number[distinct++] = by_name[i];
        by_name[i].index = distinct - 1;
    }
    sort_by_name(by_name, count);
    return distinct;
}

static void
write_enum_values(idl_writer *writer, const idl_enumeration *enumeration,
                  const idl_entry *by_number, size_t distinct)
{
    idl_pool *pool = writer->pool;
    const idl_file *file = enumeration->file;

    write_format(writer, "static const ProtobufCEnumValue %s__values[] = {\n", enumeration->lower);
    for (size_t i = 0; i < distinct; i++) {
        const enum_value *value = by_number[i].thing;

        write_format(writer, "    { %s, %s, ", table_string(pool, file, value->name),
                     table_string(pool, file, value->c_name));
        write_format(writer, value->number == INT32_MIN ? "INT32_MIN },\n" : "%d },\n",
                     value->number);
    }
    write_text(writer, "};\n\n");
}

/* Returns what the descriptor says of them: their number, and the table. */
static const char *
write_enum_names(idl_writer *writer, const idl_enumeration *enumeration, const idl_entry *by_name)
{
    if (enumeration->file->code_size)
        return "0, NULL";
    write_format(writer, "static const ProtobufCEnumValueIndex %s__values_by_name[] = {\n",
                 enumeration->lower);
    for (size_t i = 0; i < enumeration->value_count; i++)
        write_format(writer, "    { \"%s\", %zu },\n", by_name[i].name, by_name[i].index);
    write_text(writer, "};\n\n");
    return pool_format(writer->pool, "%zu, %s__values_by_name", enumeration->value_count,
                       enumeration->lower);
}

static void
write_enum_descriptor(idl_writer *writer, const idl_enumeration *enumeration, size_t distinct,
                      const char *names, size_t ranges)
{
    idl_pool *pool = writer->pool;
    const idl_file *file = enumeration->file;
    const word words[] = { { "lower", enumeration->lower },
                           { "full", table_string(pool, file, enumeration->full_name) },
                           { "name", table_string(pool, file, enumeration->name) },
                           { "type", table_string(pool, file, enumeration->c_type) },
                           { "package", table_string(pool, file, file->package) },
                           { "distinct", pool_format(pool, "%zu", distinct) },
                           { "names", names },
                           { "ranges", pool_format(pool, "%zu", ranges) },
                           { NULL, NULL } };

    write_template(writer, words,
                   "const ProtobufCEnumDescriptor $lower$__descriptor = {\n"
                   "    PROTOBUF_C__ENUM_DESCRIPTOR_MAGIC,\n"
                   "    $full$, $name$,\n"
                   "    $type$, $package$,\n"
                   "    $distinct$, $lower$__values,\n"
                   "    $names$,\n"
                   "    $ranges$, $lower$__ranges,\n"
                   "    NULL, NULL, NULL, NULL\n"
                   "};\n");
}

void
emit_enum_source(idl_writer *writer, const idl_enumeration *enumeration)
{
    idl_pool *pool = writer->pool;
    idl_entry *by_number = pool_array(pool, enumeration->value_count, sizeof *by_number);
    idl_entry *by_name = pool_array(pool, enumeration->value_count, sizeof *by_name);
    size_t distinct = sort_values(enumeration, by_number, by_name);

    write_text(writer, "\n");
    emit_section(writer, enumeration->full_name, NULL);
    write_text(writer, "\n");
    write_enum_values(writer, enumeration, by_number, distinct);
    const char *names = write_enum_names(writer, enumeration, by_name);
    size_t ranges = write_ranges(writer, enumeration->lower, by_number, distinct);
    write_enum_descriptor(writer, enumeration, distinct, names, ranges);
}
