/* Frames of random contents.  Numbers are often at the edges of varints, and payloads at the
 * edge between what a batch copies and what it borrows. */

#include <stdlib.h>
#include <string.h>

#include "frames.h"

#define MOST_ITEMS 5

static uint32_t
below(frames_maker *maker, uint32_t end)
{
    return (uint32_t)random_below(&maker->random, end);
}

static bool
coin(frames_maker *maker)
{
    return below(maker, 2) == 1;
}

static void *
allocate(frames_maker *maker, size_t n)
{
    void *piece = afar__arena_zalloc(maker->arena, n);

    if (!piece)
        abort();
    return piece;
}

/* Of any number of bits. */
static uint64_t
number64(frames_maker *maker)
{
    uint64_t number = random_next(&maker->random) >> below(maker, 64);

    switch (below(maker, 4)) {
    case 0:
        return 0;
    case 1:
        return UINT64_C(1) << 7 * below(maker, 10);
    case 2:
        return (UINT64_C(1) << 7 * below(maker, 10)) - 1;
    default:
        return number;
    }
}

static uint32_t
number(frames_maker *maker)
{
    return (uint32_t)number64(maker);
}

static uint32_t
from_1(frames_maker *maker)
{
    uint32_t value = number(maker);

    return value > 0 ? value : 1;
}

static afar__bytes
bytes(frames_maker *maker, size_t length)
{
    uint8_t *data = allocate(maker, length);

    for (size_t i = 0; i < length; i++)
        data[i] = (uint8_t)random_next(&maker->random);
    return (afar__bytes){ data, length };
}

/* Empty, or of one length. */
static afar__bytes
empty_or(frames_maker *maker, size_t length)
{
    return bytes(maker, coin(maker) ? length : 0);
}

static afar__bytes
payload(frames_maker *maker)
{
    static const size_t lengths[] = {
        0, 1, 127, 128, AFAR__BATCH_COPY, AFAR__BATCH_COPY + 1, 20000
    };

    return bytes(maker, lengths[below(maker, sizeof lengths / sizeof *lengths)]);
}

static afar__bytes
text(frames_maker *maker)
{
    static const char long_text[] =
        "a text that is long enough for two of the blocks in which UTF-8 is "
        "looked at, and has \xc3\xbc in the second, and some bytes behind";
    static const char *const texts[] = {
        "",        "a", "unix:path", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "/bank.Account/Get",
        long_text,
    };
    const char *chosen = texts[below(maker, sizeof texts / sizeof *texts)];

    return (afar__bytes){ (const uint8_t *)chosen, strlen(chosen) };
}

/* ---- parts ---- */

static afar__list
metadata(frames_maker *maker)
{
    size_t count = below(maker, MOST_ITEMS);
    afar__pair *items = allocate(maker, count * sizeof *items);

    for (size_t i = 0; i < count; i++)
        items[i] = (afar__pair){ text(maker), bytes(maker, below(maker, 200)) };
    return (afar__list){ .count = count, .items = items };
}

static afar__elsewhere
elsewhere(frames_maker *maker)
{
    return (afar__elsewhere){ text(maker), text(maker), empty_or(maker, AFAR__FRAME_INSTANCE),
                              empty_or(maker, AFAR__FRAME_KEY) };
}

static afar__reference
reference(frames_maker *maker)
{
    afar__reference made = { .kind = 1 + below(maker, 3), .interface = text(maker) };

    if (made.kind == AFAR__REFERENCE_HOSTED) {
        made.hosted.id = from_1(maker);
        if (coin(maker))
            made.hosted.where = elsewhere(maker);
    } else if (made.kind == AFAR__REFERENCE_YOURS) {
        made.yours = from_1(maker);
    } else {
        made.address = elsewhere(maker);
    }
    return made;
}

static afar__list
references(frames_maker *maker)
{
    size_t count = below(maker, MOST_ITEMS);
    afar__reference *items = allocate(maker, count * sizeof *items);

    for (size_t i = 0; i < count; i++)
        items[i] = reference(maker);
    return (afar__list){ .count = count, .items = items };
}

static afar__callee
target(frames_maker *maker)
{
    afar__callee made = { .kind = 1 + below(maker, 3) };

    if (made.kind == AFAR__CALLEE_EXPORT) {
        made.export = from_1(maker);
    } else if (made.kind == AFAR__CALLEE_NAME) {
        made.name = text(maker);
    } else {
        made.promised.call = from_1(maker);
        made.promised.n_path = below(maker, AFAR__FRAME_MAX_PATH + 1);
        for (uint32_t i = 0; i < made.promised.n_path; i++)
            made.promised.path[i] = number(maker);
    }
    return made;
}

/* ---- kinds ---- */

static void
make_hello(frames_maker *maker, afar__frame_hello *hello)
{
    hello->lowest = number(maker);
    hello->highest = coin(maker) ? UINT32_MAX : hello->lowest;
    hello->instance = bytes(maker, AFAR__FRAME_INSTANCE);
    hello->host = empty_or(maker, AFAR__FRAME_INSTANCE);
    if (coin(maker))
        hello->limits =
            (afar__limits){ number(maker), number(maker), number(maker), number(maker),
                            number(maker), number(maker), number(maker), number(maker) };
    hello->n_features = coin(maker) ? below(maker, AFAR__FRAME_MAX_FEATURES + 1) : 0;
    for (uint32_t i = 0; i < hello->n_features; i++)
        hello->features[i] = number(maker);
}

static void
make_call(frames_maker *maker, afar__frame_call *call)
{
    call->id = from_1(maker);
    call->method = from_1(maker);
    call->timeout_us = number64(maker);
    call->keep = coin(maker);
    call->oneway = coin(maker);
    call->target = target(maker);
    call->metadata = metadata(maker);
    call->payload = payload(maker);
    call->references = references(maker);
    call->n_chain = below(maker, AFAR__FRAME_MAX_CHAIN + 1);
    for (uint32_t i = 0; i < call->n_chain; i++)
        call->chain[i] = number64(maker);
}

static void
make_return(frames_maker *maker, afar__frame_return *returned)
{
    returned->call = from_1(maker);
    returned->initial = metadata(maker);
    returned->trailing = metadata(maker);
    returned->details = bytes(maker, below(maker, 200));
    if (coin(maker)) {
        returned->payload = payload(maker);
        returned->references = references(maker);
    } else {
        returned->code = from_1(maker);
        returned->text = text(maker);
        returned->not_begun = coin(maker);
    }
}

static void
make_item(frames_maker *maker, afar__frame_item *item)
{
    item->call = from_1(maker);
    item->to_caller = coin(maker);
    item->payload = payload(maker);
    item->references = references(maker);
    if (item->to_caller)
        item->initial = metadata(maker);
}

static void
make_simple(frames_maker *maker, afar__frame *frame)
{
    switch (frame->kind) {
    case AFAR__FRAME_CANCEL:
        frame->cancel = from_1(maker);
        break;
    case AFAR__FRAME_FINISH:
        frame->finish = from_1(maker);
        break;
    case AFAR__FRAME_END:
        frame->end = from_1(maker);
        break;
    case AFAR__FRAME_PING:
        frame->ping = number64(maker);
        break;
    case AFAR__FRAME_PONG:
        frame->pong = number64(maker);
        break;
    default:
        frame->unknown = number(maker);
        break;
    }
}

void
frames_make(frames_maker *maker, uint32_t kind, afar__frame *ret_frame)
{
    memset(ret_frame, 0, sizeof *ret_frame);
    ret_frame->kind = kind;
    ret_frame->may_ignore = below(maker, 8) == 0;
    switch (kind) {
    case AFAR__FRAME_HELLO:
        make_hello(maker, &ret_frame->hello);
        break;
    case AFAR__FRAME_CALL:
        make_call(maker, &ret_frame->call);
        break;
    case AFAR__FRAME_RETURN:
        make_return(maker, &ret_frame->returned);
        break;
    case AFAR__FRAME_ITEM:
        make_item(maker, &ret_frame->item);
        break;
    case AFAR__FRAME_RELEASE:
        ret_frame->release = (afar__frame_release){ from_1(maker), number(maker) };
        break;
    case AFAR__FRAME_CREDIT:
        ret_frame->credit = (afar__frame_credit){ number(maker), number(maker), coin(maker) };
        break;
    case AFAR__FRAME_GOODBYE: /* a negative number of an enum has a form of its own */
        ret_frame->goodbye =
            (afar__frame_goodbye){ number(maker) >> 1, text(maker), number64(maker) };
        break;
    case AFAR__FRAME_METHOD:
        ret_frame->method = (afar__frame_method){ from_1(maker), text(maker) };
        if (ret_frame->method.path.length == 0)
            ret_frame->method.path = (afar__bytes){ (const uint8_t *)"/", 1 };
        break;
    default:
        make_simple(maker, ret_frame);
        break;
    }
}
