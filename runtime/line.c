/* Lines for people: error messages and log lines.  Any thread.
 */

#include "runtime/line.h"

#include <stdbool.h>
#include <stdio.h>

static bool
is_tail(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* The length of `line` without the character that its end cuts in two: the last
 * lead byte is at most three bytes back, and says how many tails it wants. */
static size_t
whole_characters(const char *line, size_t length)
{
    size_t at = length;
    size_t tails = 0, wanted;
    unsigned char lead;

    while (at > 0 && tails < 3 && is_tail(line[at - 1])) {
        at--;
        tails++;
    }
    if (at == 0)
        return length;
    lead = (unsigned char)line[at - 1];
    wanted = lead < 0xc0 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    return tails < wanted ? at - 1 : length;
}

void
afar__line_format(char *line, size_t size, const char *format, va_list arguments)
{
    int length;

    if (size == 0)
        return;
    length = vsnprintf(line, size, format, arguments);
    if (length < 0)
        line[0] = 0;
    else if ((size_t)length >= size)
        line[whole_characters(line, size - 1)] = 0;
    for (char *at = line; *at; at++)
        if (*at == '\n' || *at == '\r')
            *at = ' ';
}
