/* UTF-8, as RFC 3629 has it: no surrogates, nothing above U+10FFFF, the shortest
 * form only; and no 0 byte, since strings end at one in C.
 *
 * Most text is ASCII, so blocks and words of it are passed over first.  Any thread.
 */

#include "runtime/utf8.h"

#include <stdbool.h>
#include <string.h>

#define ONES 0x0101010101010101u
#define BLOCK 64
#define HIGHS 0x8080808080808080u

/* 0 if 8 bytes are all between 1 and 0x7f.  Taking 1 from each sets the high bit
 * of a 0 byte, and of no byte from 1 to 0x7f before the first 0. */
static uint64_t
unplain(const uint8_t *data)
{
    uint64_t word;

    memcpy(&word, data, sizeof word);
    return ((word - ONES) | word) & HIGHS;
}

/* 0 if BLOCK bytes are. */
static uint64_t
unplain_block(const uint8_t *data)
{
    uint64_t found = 0;

    for (size_t i = 0; i < BLOCK; i += 8)
        found |= unplain(data + i);
    return found;
}

static bool
is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The length of the well formed character at `data`, 0 if there is none.  The
 * second byte decides what is too short a form, a surrogate or too large. */
static size_t
character(const uint8_t *data, size_t left)
{
    uint8_t lead = data[0];
    uint8_t low = 0x80, high = 0xbf;
    size_t length;

    if (lead < 0x80)
        return lead != 0;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    if (left < length || data[1] < low || data[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (!is_tail(data[i]))
            return 0;
    return length;
}

size_t
afar__utf8_span(const uint8_t *data, size_t length)
{
    size_t at = 0;

    while (at < length) {
        size_t left = length - at;
        size_t step;

        if (data[at] >= 0x80)
            step = character(data + at, left);
        else if (left >= BLOCK && !unplain_block(data + at))
            step = BLOCK;
        else if (left >= 8 && !unplain(data + at))
            step = 8;
        else
            step = character(data + at, left);
        if (step == 0)
            break;
        at += step;
    }
    return at;
}
