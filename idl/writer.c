/* A growing text, and the few layouts that the emitters share: templates, lists
 * that are broken where a line is full, string literals.
 *
 * The column is always known, so that a list can be aligned with whatever stands
 * before it.  One thread. */

#include "idl/writer.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

idl_writer
writer_make(idl_pool *pool)
{
    idl_writer writer = { pool, pool_alloc(pool, 1024), 0, 1024, 0 };

    return writer;
}

static void
make_room(idl_writer *writer, size_t n)
{
    if (n < writer->room - writer->length)
        return;
    writer->room = 2 * (writer->room + n);
    char *text = pool_alloc(writer->pool, writer->room);
    memcpy(text, writer->text, writer->length);
    writer->text = text;
}

void
write_bytes(idl_writer *writer, const char *text, size_t n)
{
    make_room(writer, n);
    for (size_t i = 0; i < n; i++) {
        writer->text[writer->length++] = text[i];
        writer->column = text[i] == '\n' ? 0 : writer->column + 1;
    }
    writer->text[writer->length] = '\0';
}

void
write_text(idl_writer *writer, const char *text)
{
    write_bytes(writer, text, strlen(text));
}

void
write_format(idl_writer *writer, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_text(writer, pool_format_list(writer->pool, format, arguments));
    va_end(arguments);
}

static const char *
find_word(const word *words, const char *key, size_t length)
{
    for (; words->key; words++)
        if (strlen(words->key) == length && !memcmp(words->key, key, length))
            return words->value;
    die("no word $%.*s$ for a template", (int)length, key);
}

void
write_template(idl_writer *writer, const word *words, const char *template)
{
    const char *dollar;

    while ((dollar = strchr(template, '$'))) {
        write_bytes(writer, template, (size_t)(dollar - template));
        const char *key = dollar + 1;
        size_t length = strcspn(key, "$");
        write_text(writer, find_word(words, key, length));
        template = key + length + 1;
    }
    write_text(writer, template);
}

void
write_pair(idl_writer *writer, const char *first, const char *second, size_t indent,
           const char *tail)
{
    write_text(writer, first);
    if (writer->column + 1 + strlen(second) + strcspn(tail, "\n") > LINE_WIDTH)
        write_format(writer, "\n%*s%s%s", (int)indent, "", second, tail);
    else
        write_format(writer, " %s%s", second, tail);
}

idl_list
list_make(idl_pool *pool)
{
    idl_list list = { pool, NULL, 0, 0 };

    return list;
}

void
list_add(idl_list *list, const char *format, ...)
{
    va_list arguments;

    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 8;
        const char **items = pool_array(list->pool, room, sizeof *items);

        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->room = room;
    }
    va_start(arguments, format);
    list->items[list->count++] = pool_format_list(list->pool, format, arguments);
    va_end(arguments);
}

/* Columns that the item with that index takes, with what must follow it. */
static size_t
width_of(const idl_list *list, size_t index, size_t last_tail)
{
    return strlen(list->items[index]) + (index + 1 < list->count ? 1 : last_tail);
}

static bool
all_fit(const idl_list *list, size_t column, size_t last_tail)
{
    for (size_t i = 0; i < list->count; i++)
        if (column + width_of(list, i, last_tail) > LINE_WIDTH)
            return false;
    return true;
}

static void
break_line(idl_writer *writer, const char *line_end, size_t column)
{
    write_format(writer, "%s\n%*s", line_end, (int)column, "");
}

static void
fill(idl_writer *writer, const idl_list *list, size_t indent, const char *tail,
     const char *line_end)
{
    size_t last_tail = strcspn(tail, "\n");
    size_t margin = strlen(line_end);
    size_t start = writer->column;

    if (start > indent && !all_fit(list, start + margin, last_tail)) {
        start = indent;
        break_line(writer, line_end, start);
    }
    for (size_t i = 0; i < list->count; i++) {
        size_t width = width_of(list, i, last_tail);

        if (i && writer->column + 1 + width + (i + 1 < list->count ? margin : 0) > LINE_WIDTH)
            break_line(writer, line_end, start);
        else if (i)
            write_text(writer, " ");
        write_text(writer, list->items[i]);
        if (i + 1 < list->count)
            write_text(writer, ",");
    }
    write_text(writer, tail);
}

void
write_list(idl_writer *writer, const idl_list *list, size_t indent, const char *tail)
{
    fill(writer, list, indent, tail, "");
}

void
write_macro_list(idl_writer *writer, const idl_list *list, size_t indent, const char *tail)
{
    fill(writer, list, indent, tail, " \\");
}

/* One byte of a string literal.  A question mark after another one is escaped
 * lest they begin a trigraph. */
static size_t
escape(char *ret_text, size_t size, unsigned char byte, unsigned char before)
{
    static const char names[] = "\"\"\\\\\nn\rr\tt";

    for (const char *name = names; *name; name += 2)
        if ((unsigned char)*name == byte)
            return (size_t)snprintf(ret_text, size, "\\%c", name[1]);
    if (byte == '?' && before == '?')
        return (size_t)snprintf(ret_text, size, "\\?");
    if (byte < 0x20 || byte >= 0x7f)
        return (size_t)snprintf(ret_text, size, "\\%03o", byte);
    return (size_t)snprintf(ret_text, size, "%c", byte);
}

void
write_string(idl_writer *writer, const char *bytes, size_t n)
{
    size_t start = writer->column;

    write_text(writer, "\"");
    for (size_t i = 0; i < n; i++) {
        char text[8];
        size_t length =
            escape(text, sizeof text, (unsigned char)bytes[i], i ? (unsigned char)bytes[i - 1] : 0);

        if (writer->column + length + 2 > LINE_WIDTH)
            write_format(writer, "\"\n%*s\"", (int)start, "");
        write_bytes(writer, text, length);
    }
    write_text(writer, "\"");
}

void
write_characters(idl_writer *writer, const char *bytes, size_t n)
{
    idl_list characters = list_make(writer->pool);

    for (size_t i = 0; i < n; i++) {
        char text[8];

        escape(text, sizeof text, (unsigned char)bytes[i], 0);
        list_add(&characters, bytes[i] == '\'' ? "'\\%s'" : "'%s'", text);
    }
    list_add(&characters, "0");
    write_text(writer, "    ");
    write_list(writer, &characters, 4, "\n");
}

void
write_numbers(idl_writer *writer, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        write_format(writer, "%s0x%02x,%s", i % 14 ? " " : "    ", bytes[i],
                     i % 14 == 13 || i + 1 == n ? "\n" : "");
}
