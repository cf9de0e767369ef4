/* Reading and writing delimited messages.
 *
 * The input is a pipe, most of the time: what has come is used at once, and nobody waits
 * for more than the message that is wanted.  Each message is looked through, field by field: a
 * stream that is written in another way is found out before something else is sent.
 *
 * One thread. */

#include "command/delimited.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/say.h"
#include "runtime/wire.h"

#define FIRST_ROOM (64u * 1024)
#define MOST_LENGTH 5 /* bytes of a length */

/* A descriptor that is closed when the program starts may be a library's before main sees it; such a one
 * is not inherited, and says so.  Neither that nor what can only be written might ever be readable for poll. */
static bool
can_be_read(int input)
{
    return fcntl(input, F_GETFD) == 0 && (fcntl(input, F_GETFL) & O_ACCMODE) != O_WRONLY;
}

bool
delimited_open(delimited_reader *reader, int input, int stop)
{
    *reader = (delimited_reader){ .input = input, .stop = stop };
    if (!can_be_read(input)) {
        complain("the input cannot be read: it is not open");
        return false;
    }
    reader->room = FIRST_ROOM;
    reader->data = must_alloc(reader->room);
    return true;
}

void
delimited_close(delimited_reader *reader)
{
    free(reader->data);
}

/* ---- the input ---- */

/* Waits for input.  False: nobody wants to go on. */
static bool
wait_for_input(const delimited_reader *reader)
{
    struct pollfd both[] = { { .fd = reader->stop, .events = POLLIN },
                             { .fd = reader->input, .events = POLLIN } };

    while (poll(both, 2, -1) < 0 && errno == EINTR)
        ;
    return !both[0].revents;
}

static void
make_room(delimited_reader *reader, size_t wanted)
{
    size_t left = reader->end - reader->at;

    if (reader->at > 0)
        memmove(reader->data, reader->data + reader->at, left);
    reader->at = 0;
    reader->end = left;
    if (wanted <= reader->room)
        return;
    reader->data = must_realloc(reader->data, wanted, 1);
    reader->room = wanted;
}

/* Reads until there are `wanted` bytes, or there is no more input. */
static delimited_result
fill(delimited_reader *reader, size_t wanted)
{
    if (reader->room - reader->at < wanted)
        make_room(reader, wanted);
    while (reader->end - reader->at < wanted && !reader->at_end) {
        ssize_t count;

        if (!wait_for_input(reader))
            return DELIMITED_STOPPED;
        count = read(reader->input, reader->data + reader->end, reader->room - reader->end);
        if (count < 0 && errno != EINTR && errno != EAGAIN) {
            complain("the input cannot be read: %s", strerror(errno));
            return DELIMITED_BAD;
        }
        if (count > 0)
            reader->end += (size_t)count;
        reader->at_end = count == 0;
    }
    return DELIMITED_MESSAGE;
}

/* ---- messages ---- */

static delimited_result
wrong(const delimited_reader *reader, const char *what)
{
    complain("the input at byte %" PRIu64 ": %s", reader->offset, what);
    return DELIMITED_BAD;
}

/* The length in front of a message, and how many bytes it takes. */
static delimited_result
read_length(delimited_reader *reader, size_t *ret_prefix, size_t *ret_length)
{
    const uint8_t *begin, *behind;
    uint64_t length = 0;
    delimited_result result;
    size_t have = 0;

    do {
        result = fill(reader, have + 1);
        if (result != DELIMITED_MESSAGE)
            return result;
        have = reader->end - reader->at;
        begin = reader->data + reader->at;
        behind = afar__wire_varint(begin, begin + have, &length);
    } while (!behind && have < MOST_LENGTH && !reader->at_end);
    if (have == 0)
        return DELIMITED_END;
    if (!behind || behind - begin > MOST_LENGTH)
        return wrong(reader, behind || have >= MOST_LENGTH
                                 ? "the length of a message has more than 5 bytes"
                                 : "the input ends within the length of a message");
    if (length > MOST_MESSAGE) {
        complain("the input at byte %" PRIu64 ": a message of %" PRIu64
                 " bytes; it may have %u at most",
                 reader->offset, length, MOST_MESSAGE);
        return DELIMITED_BAD;
    }
    *ret_prefix = (size_t)(behind - begin);
    *ret_length = (size_t)length;
    return DELIMITED_MESSAGE;
}

/* Whether there are fields and nothing else in the bytes. */
static delimited_result
check(const delimited_reader *reader, const uint8_t *data, size_t length)
{
    const uint8_t *at = data;

    while (at < data + length) {
        afar__wire_field field;
        const uint8_t *begin = at;
        const char *what = afar__wire_next(&at, data + length, &field);

        if (!what)
            continue;
        complain("the input at byte %" PRIu64 " is no message: its field at byte %zu: %s",
                 reader->offset, (size_t)(begin - data), what);
        return DELIMITED_BAD;
    }
    return DELIMITED_MESSAGE;
}

delimited_result
delimited_read(delimited_reader *reader, const uint8_t **ret_data, size_t *ret_length)
{
    size_t prefix, length, have;
    delimited_result result;

    reader->at += reader->taken;
    reader->offset += reader->taken;
    reader->taken = 0;
    result = read_length(reader, &prefix, &length);
    if (result == DELIMITED_MESSAGE)
        result = fill(reader, prefix + length);
    if (result != DELIMITED_MESSAGE)
        return result;
    have = reader->end - reader->at;
    if (have < prefix + length) {
        complain("the input at byte %" PRIu64
                 " ends within a message: %zu of its %zu bytes are there",
                 reader->offset, have - prefix, length);
        return DELIMITED_BAD;
    }
    reader->taken = prefix + length;
    *ret_data = reader->data + reader->at + prefix;
    *ret_length = length;
    return check(reader, *ret_data, length);
}

bool
delimited_print(const uint8_t *data, size_t length)
{
    uint64_t rest = length;

    for (; rest >= 0x80; rest >>= 7)
        putchar((int)(rest & 0x7f) | 0x80);
    putchar((int)rest);
    if (length > 0)
        fwrite(data, 1, length, stdout);
    return fflush(stdout) == 0 && !ferror(stdout);
}
