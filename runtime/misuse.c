/* Local misuse: the program did what a comment in a header forbids, and going on
 * would only move the crash away from its cause.  Any thread.
 */

#include "runtime/misuse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void
afar__misuse(const char *format, ...)
{
    va_list arguments;

    flockfile(stderr);
    fputs("afar: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    funlockfile(stderr);
    abort();
}
