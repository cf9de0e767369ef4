#ifndef IDL_WRITER_H
#define IDL_WRITER_H

/* A growing text: the C that is written. */

#include <stddef.h>

#include "idl/pool.h"

enum { LINE_WIDTH = 99 }; /* the longest line, where names allow */

typedef struct idl_writer {
    idl_pool *pool;
    char *text; /* ends with NUL */
    size_t length;
    size_t room;
    size_t column; /* where the next character goes, from 0 */
} idl_writer;

/* A name that a template may use as $key$; a list of them ends with a NULL key. */
typedef struct word {
    const char *key;
    const char *value;
} word;

idl_writer
writer_make(idl_pool *pool);

void
write_bytes(idl_writer *writer, const char *text, size_t n);

void
write_text(idl_writer *writer, const char *text);

__attribute__((format(printf, 2, 3))) void
write_format(idl_writer *writer, const char *format, ...);

/* Writes a text in which each $key$ is replaced by that word's value. */
void
write_template(idl_writer *writer, const word *words, const char *template);

/* Writes both, on one line if they and `tail` fit, else the second on a line of
 * its own, `indent` columns in. */
void
write_pair(idl_writer *writer, const char *first, const char *second, size_t indent,
           const char *tail);

/* Parts of one list, such as the parameters of a function. */
typedef struct idl_list {
    idl_pool *pool;
    const char **items;
    size_t count;
    size_t room;
} idl_list;

idl_list
list_make(idl_pool *pool);

__attribute__((format(printf, 2, 3))) void
list_add(idl_list *list, const char *format, ...);

/* Writes the items with commas between them, as many on a line as fit with
 * `tail` behind the last one; further lines begin at the column where the first
 * item stands, or `indent` columns in when a name is too long for that. */
void
write_list(idl_writer *writer, const idl_list *list, size_t indent, const char *tail);

/* The same within a macro: each line but the last ends with a backslash. */
void
write_macro_list(idl_writer *writer, const idl_list *list, size_t indent, const char *tail);

/* Writes a string as C literals, one a line from the second on, each beginning
 * at the column of the first. */
void
write_string(idl_writer *writer, const char *bytes, size_t n);

/* Writes the characters of a string and the zero at its end, one by one, four
 * columns in: for a string that is longer than compilers promise to take. */
void
write_characters(idl_writer *writer, const char *bytes, size_t n);

/* Writes bytes as numbers, 14 a line, four columns in. */
void
write_numbers(idl_writer *writer, const unsigned char *bytes, size_t n);

#endif
