/* UTF-8: against a slow decoder that goes by the code point. */

#include "runtime/utf8.h"

#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "random.h"

/* The length of the character at `data`, or 0. */
static size_t
slow_character(const uint8_t *data, size_t left)
{
    static const uint32_t least[] = { 0, 1, 0x80, 0x800, 0x10000 };
    uint32_t value = data[0];
    size_t length = 1;

    if (value >= 0xf0 && value < 0xf8)
        length = 4;
    else if (value >= 0xe0 && value < 0xf0)
        length = 3;
    else if (value >= 0xc0 && value < 0xe0)
        length = 2;
    else if (value >= 0x80)
        return 0;
    if (length > left)
        return 0;
    if (length > 1)
        value &= (1u << (7 - length)) - 1;
    for (size_t i = 1; i < length; i++) {
        if (data[i] < 0x80 || data[i] > 0xbf)
            return 0;
        value = value << 6 | (data[i] & 0x3fu);
    }
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    return length;
}

static size_t
slow_span(const uint8_t *data, size_t length)
{
    size_t at = 0, step;

    while (at < length && (step = slow_character(data + at, length - at)) > 0)
        at += step;
    return at;
}

/* Every two bytes, and behind them what stands at the ends of ranges. */
TEST(sequences_of_four_bytes)
{
    static const uint8_t tails[] = { 0x00, 0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xff };

    for (uint32_t i = 0; i < 1u << 16; i++)
        for (size_t third = 0; third < sizeof tails; third++)
            for (size_t fourth = 0; fourth < sizeof tails; fourth++) {
                const uint8_t data[] = { (uint8_t)(i >> 8), (uint8_t)i, tails[third],
                                         tails[fourth] };

                CHECK_INT(afar__utf8_span(data, 4), slow_span(data, 4));
            }
}

TEST(every_character)
{
    for (uint32_t value = 1; value <= 0x10ffff; value++) {
        uint8_t data[4] = { (uint8_t)value };
        size_t length = value < 0x80 ? 1 : value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;
        bool is_surrogate = value >= 0xd800 && value <= 0xdfff;

        for (size_t i = length; length > 1 && i > 0; i--)
            data[i - 1] = (uint8_t)(0x80 | (value >> 6 * (length - i) & 0x3f));
        if (length > 1)
            data[0] = (uint8_t)(0xf00 >> length | value >> 6 * (length - 1));
        CHECK_INT(afar__utf8_span(data, length), is_surrogate ? 0 : length);
        CHECK_INT(afar__utf8_span(data, length - 1), 0);
    }
}

TEST(a_bad_byte_is_found_wherever_it_is)
{
    static const uint8_t bad[] = { 0x00, 0x80, 0xc0, 0xff };
    uint8_t data[200];

    for (size_t length = 1; length <= sizeof data; length++)
        for (size_t at = 0; at < length; at++)
            for (size_t i = 0; i < sizeof bad; i++) {
                memset(data, 'a', sizeof data);
                data[at] = bad[i];
                CHECK_INT(afar__utf8_span(data, length), at);
                data[at] = 'a';
                CHECK_INT(afar__utf8_span(data, length), length);
            }
}

TEST(characters_across_the_ends_of_blocks)
{
    uint8_t data[256];

    for (size_t at = 0; at < 200; at++) {
        memset(data, 'a', sizeof data);
        memcpy(data + at, "\xf0\x9f\x98\x88", 4);
        CHECK_INT(afar__utf8_span(data, sizeof data), sizeof data);
        for (size_t cut = 1; cut < 4; cut++)
            CHECK_INT(afar__utf8_span(data, at + cut), at);
    }
}

TEST(random_text)
{
    struct random random = { .state = 8 };
    uint8_t data[300];

    for (int round = 0; round < 20000; round++) {
        size_t length = random_below(&random, sizeof data + 1);

        for (size_t at = 0; at < length;) {
            static const char *const pieces[] = { "plain ", "\xc3\xa4", "\xe2\x82\xac",
                                                  "\xf0\x9f\x98\x88" };
            const char *piece = pieces[random_below(&random, 4)];
            size_t n = strlen(piece) < length - at ? strlen(piece) : length - at;

            memcpy(data + at, piece, n);
            at += n;
        }
        if (length > 0 && random_below(&random, 2))
            data[random_below(&random, length)] = (uint8_t)random_next(&random);
        CHECK_INT(afar__utf8_span(data, length), slow_span(data, length));
    }
}
