/* Filling text into lines of PAGE_WIDTH columns.  The texts are ASCII. */

#include "command/paragraphs.h"

#include <string.h>

bool
next_paragraph(const char **text, const char **ret_start, int *ret_length)
{
    if (!**text)
        return false;
    *ret_start = *text;
    *ret_length = (int)strcspn(*text, "\n");
    *text += *ret_length;
    if (**text)
        (*text)++;
    return true;
}

static void
print_indent(FILE *out, int indent)
{
    fprintf(out, "%*s", indent, "");
}

void
print_filled(FILE *out, const char *start, int length, int column, int indent)
{
    bool first = true; /* of a line */

    if (column > indent) {
        fputc('\n', out);
        column = 0;
    }
    print_indent(out, indent - column);
    column = indent;
    while (length > 0) {
        int word = 0;

        while (word < length && start[word] != ' ')
            word++;
        if (!first && column + 1 + word > PAGE_WIDTH) {
            fputc('\n', out);
            print_indent(out, indent);
            column = indent;
            first = true;
        }
        column += fprintf(out, "%s%.*s", first ? "" : " ", word, start);
        first = false;
        start += word;
        length -= word;
        while (length > 0 && *start == ' ') {
            start++;
            length--;
        }
    }
    fputc('\n', out);
}

void
print_paragraphs(FILE *out, const char *text, int indent)
{
    const char *start;
    int length;

    for (bool first = true; next_paragraph(&text, &start, &length); first = false) {
        if (!first)
            fputc('\n', out);
        print_filled(out, start, length, 0, indent);
    }
}
