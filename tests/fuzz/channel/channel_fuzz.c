/* Throws bytes at the reader of acts and words.  It must neither crash nor read beyond them, and what it
 * refuses it must refuse with a text.  What it accepts
 *
 *     - keeps the limits of channel.proto;
 *     - lies within the input;
 *     - is just what is written of it, read once more.
 *
 * An input is the byte 'h' and a ToHome, or any other byte and a ToEnd.  Built with AFAR_LIBFUZZER it is a
 * target of libFuzzer; without, replay.h says what it does.
 *
 * One thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/channel/code.h"
#include "runtime/utf8.h"
#include "tests/fuzz/replay/replay.h"

/* ---- what is accepted ---- */

static void
require_text(const char *text, size_t most)
{
    size_t length = strlen(text);

    require(length <= most, "accepted a long text");
    require(afar__utf8_span((const uint8_t *)text, length) == length, "accepted no UTF-8");
}

static void
require_step(const afar__channel_said *said, bool words)
{
    const afar__step *step = &said->step;

    require((step->kind >= AFAR__STEP_TAKEN) == words, "an act among words, or a word among acts");
    require(step->kind <= AFAR__STEP_ENDED, "an odd kind");
    require(step->parcel == NULL && step->bytes == said->payload.length, "an odd payload");
    if (step->kind == AFAR__STEP_TAKEN)
        require(step->count > 0, "accepted a count of 0");
    if (step->kind == AFAR__STEP_ENDED)
        require(step->code == AFAR_ENDED || step->code == AFAR_POISONED || step->code == AFAR_LOST,
                "accepted an odd code");
    if (step->kind == AFAR__STEP_ENDED || step->kind == AFAR__STEP_POISON)
        require_text(step->text, AFAR__CHANNEL_REASON);
}

static void
require_good(const afar__channel_said *said, bool words, const uint8_t *data, size_t length)
{
    if (said->kind == AFAR__CHANNEL_HELLO) {
        require(!words, "a Hello among words");
        require_text(said->hello.carries, AFAR__CHANNEL_CARRIES);
    } else if (said->kind == AFAR__CHANNEL_WELCOME) {
        require(words, "a Welcome among acts");
    } else {
        require_step(said, words);
    }
    if (said->payload.length > 0)
        require(said->payload.data >= data && said->payload.length <= length &&
                    said->payload.data + said->payload.length <= data + length,
                "a payload that is not in the input");
}

static bool
add(afar__channel_buffer *buffer, const afar__channel_said *said)
{
    if (said->kind == AFAR__CHANNEL_HELLO)
        return afar__channel_add_hello(buffer, &said->hello);
    if (said->kind == AFAR__CHANNEL_WELCOME)
        return afar__channel_add_welcome(buffer, &said->welcome);
    return afar__channel_add(buffer, &said->step, said->payload);
}

static void
require_round(const afar__channel_said *said, bool words)
{
    afar__channel_buffer once = { .data = NULL }, twice = { .data = NULL };
    afar__channel_reader reader;
    afar__channel_said again;

    require(add(&once, said), "out of memory");
    afar__channel_reader_init(&reader, words, once.data, once.length);
    require(afar__channel_read(&reader, &again, NULL) == AFAR_OK, "written, and not to be read");
    require(again.kind == said->kind, "another kind than was written");
    require(add(&twice, &again), "out of memory");
    require(once.length == twice.length && memcmp(once.data, twice.data, once.length) == 0,
            "two writings");
    require(afar__channel_read(&reader, &again, NULL) == AFAR_ENDED, "more than was written");
    afar__channel_buffer_free(&once);
    afar__channel_buffer_free(&twice);
}

/* All that was said in one buffer, where some of it becomes one. */
static void
require_whole(const afar__channel_buffer *all, bool words, size_t count)
{
    afar__channel_reader reader;
    afar__channel_said said;
    afar_code code;
    size_t n = 0;

    afar__channel_reader_init(&reader, words, all->data, all->length);
    while (!(code = afar__channel_read(&reader, &said, NULL)))
        n++;
    require(code == AFAR_ENDED, "all of it is refused");
    require(n <= count, "more than was added");
}

static void
read_all(bool words, const uint8_t *data, size_t length)
{
    afar__channel_buffer all = { .data = NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar__channel_reader reader;
    afar__channel_said said;
    size_t count = 0;
    afar_code code;

    afar__channel_reader_init(&reader, words, data, length);
    while (!(code = afar__channel_read(&reader, &said, &err))) {
        require_good(&said, words, data, length);
        require_round(&said, words);
        require(add(&all, &said), "out of memory");
        count++;
    }
    require(code == AFAR_ENDED || (code == AFAR_INVALID_ARGUMENT && err.message[0]),
            "an odd refusal");
    require(afar__channel_read(&reader, &said, NULL) == AFAR_ENDED, "read on after the end");
    require_whole(&all, words, count);
    afar__channel_buffer_free(&all);
    afar_error_clear(&err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    if (length > 0)
        read_all(data[0] != 'h', data + 1, length - 1);
    return 0;
}

const replay replay_how = { .name = "channel_fuzz", .changes = 10000 };
