/* Comments of the .proto file in the C that is written.
 *
 * The text is kept line by line.  What could end a C comment, open another or be
 * a trigraph is pulled apart; bytes that a compiler or a reader would not take as
 * text are dropped, among them the marks that turn the direction of writing and
 * would make code look other than it is.  A line that is too long is broken at a
 * space.  One thread. */

#include <string.h>

#include "idl/emit.h"

/* The length of a character that may not be shown: 0 for all others. */
static size_t
hidden_length(const char *text, size_t n)
{
    const unsigned char *c = (const unsigned char *)text;

    if (n && (c[0] == 0x7f || (c[0] < 0x20 && c[0] != '\t')))
        return 1;
    /* U+202A to U+202E and U+2066 to U+2069. */
    if (n >= 3 && c[0] == 0xe2 &&
        ((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) ||
         (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)))
        return 3;
    return 0;
}

static const char *
clean_line(idl_pool *pool, const char *text, size_t n)
{
    char *line = pool_alloc(pool, 2 * n + 1);
    size_t length = 0;

    for (size_t i = 0; i < n; i++) {
        size_t hidden = hidden_length(text + i, n - i);
        char before = length ? line[length - 1] : '\0';

        if (hidden) {
            i += hidden - 1;
            continue;
        }
        if ((before == '*' && text[i] == '/') || (before == '/' && text[i] == '*') ||
            (before == '?' && text[i] == '/'))
            line[length++] = ' ';
        line[length++] = text[i];
    }
    while (length && (line[length - 1] == ' ' || line[length - 1] == '\t'))
        length--;
    line[length] = '\0';
    return line;
}

/* The lines of a comment, without blank ones at both ends, with one where there
 * are several, and without the space that people put behind the comment's mark. */
static idl_list
split_lines(idl_pool *pool, const char *text)
{
    idl_list lines = list_make(pool);

    while (*text) {
        size_t n = strcspn(text, "\n");
        const char *line = clean_line(pool, text, n);

        if (*line || (lines.count && *lines.items[lines.count - 1]))
            list_add(&lines, "%s", *line == ' ' ? line + 1 : line);
        text += n + (text[n] == '\n');
    }
    while (lines.count && !*lines.items[lines.count - 1])
        lines.count--;
    return lines;
}

/* Where to break a line that has `room` columns: its length if it fits. */
static size_t
break_at(const char *line, size_t room)
{
    size_t length = strlen(line);

    if (length <= room)
        return length;
    for (size_t i = room; i > room / 2; i--)
        if (line[i] == ' ')
            return i;
    size_t next = strcspn(line + room, " ");
    return room + next;
}

static void
write_line(idl_writer *writer, size_t indent, const char *line, size_t tail)
{
    while (*line) {
        size_t room =
            LINE_WIDTH - tail > writer->column + 20 ? LINE_WIDTH - tail - writer->column : 20;
        size_t n = break_at(line, room);

        write_bytes(writer, line, n);
        line += n + (line[n] == ' ');
        if (*line)
            write_format(writer, "\n%*s * ", (int)indent, "");
    }
}

static void
write_lines(idl_writer *writer, size_t indent, const idl_list *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        if (i)
            write_format(writer, "\n%*s *%s", (int)indent, "", *lines->items[i] ? " " : "");
        write_line(writer, indent, lines->items[i], i + 1 < lines->count ? 0 : 3);
    }
    write_text(writer, " */\n");
}

const char *
both_comments(idl_pool *pool, const idl_comments *comments)
{
    if (!comments->leading || !comments->trailing)
        return comments->leading ? comments->leading : comments->trailing;
    return pool_format(pool, "%s\n%s", comments->leading, comments->trailing);
}

void
emit_comment(idl_writer *writer, size_t indent, const char *title, const char *text)
{
    idl_list lines = split_lines(writer->pool, text ? text : "");

    if (!lines.count && !*title)
        return;
    if (!lines.count)
        list_add(&lines, "%s", "");
    if (*title)
        lines.items[0] =
            pool_format(writer->pool, "%s%s%s", title, *lines.items[0] ? ": " : "", lines.items[0]);
    write_format(writer, "%*s/* ", (int)indent, "");
    write_lines(writer, indent, &lines);
}

void
emit_section(idl_writer *writer, const char *title, const char *text)
{
    idl_list lines = split_lines(writer->pool, text ? text : "");

    write_format(writer, "/* ==== %s ====", title);
    if (!lines.count) {
        write_text(writer, " */\n");
        return;
    }
    write_text(writer, "\n *\n * ");
    write_lines(writer, 0, &lines);
}

bool
emit_line_end(idl_writer *writer, const char *text)
{
    idl_list lines = split_lines(writer->pool, text ? text : "");
    bool fits = lines.count == 1 && writer->column + strlen(lines.items[0]) + 7 <= LINE_WIDTH;

    if (fits)
        write_format(writer, " /* %s */", lines.items[0]);
    write_text(writer, "\n");
    return fits || !lines.count;
}
