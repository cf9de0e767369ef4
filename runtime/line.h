#ifndef AFAR_RUNTIME_LINE_H
#define AFAR_RUNTIME_LINE_H

#include <stdarg.h>
#include <stddef.h>

#include <afar/api.h>

/* Writes one line for a person into `line`, always terminated if size > 0: cut at a
 * character of UTF-8 when it is too long, line breaks replaced by spaces.  The
 * arguments may point into what is to be overwritten with the line, but not into
 * `line`. */
AFAR_PRINTF(3, 0)
void
afar__line_format(char *line, size_t size, const char *format, va_list arguments);

#endif
