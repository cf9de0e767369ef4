#ifndef COMMAND_PARAGRAPHS_H
#define COMMAND_PARAGRAPHS_H

/* Texts of the table, taken apart and filled into lines. */

#include <stdbool.h>
#include <stdio.h>

enum { PAGE_WIDTH = 79 };

/* The next paragraph of a text: up to the next line break.  False at the end. */
bool
next_paragraph(const char **text, const char **ret_start, int *ret_length);

/* Prints one paragraph, `indent` columns in; the first line begins at `column`, where
 * the cursor is.  Ends with a line break. */
void
print_filled(FILE *out, const char *start, int length, int column, int indent);

/* Prints all paragraphs of a text with an empty line between. */
void
print_paragraphs(FILE *out, const char *text, int indent);

#endif
