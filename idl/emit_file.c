/* The end of x.afar.c: the .proto file itself, as bytes, and the tables of the
 * files it imports, so that a server can tell what it serves.
 *
 * Files that are imported for their options have no table, nor have those that
 * say `no_generate`: nobody runs the compiler over them.  One thread. */

#include <string.h>

#include "idl/emit.h"

static bool
has_table(const idl_file *file)
{
    return !is_about_options(file) && !file->no_generate;
}

static void
write_imports(idl_writer *writer, const idl_file *file)
{
    idl_list items = list_make(writer->pool);

    for (size_t i = 0; i < file->import_count; i++) {
        if (!has_table(file->imports[i]))
            continue;
        write_format(writer, "extern const afar_file afar_file_%s;\n", file->imports[i]->symbol);
        list_add(&items, "&afar_file_%s", file->imports[i]->symbol);
    }
    write_text(writer, items.count ? "\n" : "");
    list_add(&items, "NULL");
    write_format(writer, "static const afar_file *const %s_imports[] = {", file->symbol);
    if (items.count == 1) {
        write_text(writer, " NULL };\n\n");
        return;
    }
    write_text(writer, "\n    ");
    write_list(writer, &items, 4, "\n};\n\n");
}

void
emit_file_table(idl_writer *writer, const idl_file *file)
{
    write_format(writer,
                 "/* ---- the file, for reflection ---- */\n\n"
                 "static const uint8_t %s_descriptor[] = {\n",
                 file->symbol);
    write_numbers(writer, file->descriptor, file->descriptor_length);
    write_text(writer, "};\n\n");
    write_imports(writer, file);
    write_format(writer, "const afar_file afar_file_%s = {\n    AFAR_ABI, sizeof(afar_file), ",
                 file->symbol);
    write_string(writer, file->name, strlen(file->name));
    write_format(writer, ",\n    %s_descriptor, sizeof %s_descriptor,\n    %s_imports\n};\n",
                 file->symbol, file->symbol, file->symbol);
}
