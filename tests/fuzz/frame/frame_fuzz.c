/* Throws bytes at the reader of frames.  It must neither crash nor leak, and what it refuses it
 * must refuse with a message.  What it accepts
 *
 *     - protobuf-c must accept and take for the same frames;
 *     - must be just what is written of it, read once more;
 *     - must keep the limits, as they are counted here again.
 *
 * An input is a batch.  Built with AFAR_LIBFUZZER it is a
 * target of libFuzzer; without, replay.h says what it does.
 *
 * One thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/replay/replay.h"
#include "tests/session/frames/frames.h"

/* ---- limits ---- */

static void
require_metadata(afar__list pairs)
{
    size_t bytes = 0, count = 0;
    afar__pair pair;

    for (size_t expected = pairs.count; afar__list_next_pair(&pairs, &pair); count++) {
        require(count < expected, "more pairs than were counted");
        require(memchr(pair.key.data ? pair.key.data : (const uint8_t *)"", 0, pair.key.length) ==
                    NULL,
                "accepted a zero byte");
        bytes += 32 + pair.key.length + pair.value.length;
    }
    require(pairs.count == 0, "a list that does not end");
    require(bytes <= 8192, "accepted large metadata");
}

static void
require_references(afar__list references)
{
    size_t expected = references.count, count = 0;
    afar__reference reference;

    while (afar__list_next_reference(&references, &reference)) {
        require(reference.kind >= 1 && reference.kind <= 3, "accepted an odd reference");
        count++;
    }
    require(count == expected && count <= 4096, "accepted many references");
}

static void
require_limits(const afar__frame *frame)
{
    switch (frame->kind) {
    case AFAR__FRAME_HELLO:
        require(frame->hello.instance.length == 16 && frame->hello.n_features <= 64,
                "accepted a bad Hello");
        break;
    case AFAR__FRAME_CALL:
        require(frame->call.id > 0 && frame->call.method > 0, "accepted a call without numbers");
        require(frame->call.target.kind >= 1 && frame->call.target.kind <= 3,
                "accepted an odd target");
        require(frame->call.n_chain <= 16, "accepted a long chain");
        require_metadata(frame->call.metadata);
        require_references(frame->call.references);
        break;
    case AFAR__FRAME_RETURN:
        require(frame->returned.code == 0 || frame->returned.payload.length == 0,
                "accepted a failure with a reply");
        require_metadata(frame->returned.initial);
        require_metadata(frame->returned.trailing);
        require_references(frame->returned.references);
        break;
    case AFAR__FRAME_ITEM:
        require_references(frame->item.references);
        break;
    case AFAR__FRAME_METHOD:
        require(frame->method.path.length <= 512, "accepted a long path");
        break;
    default:
        break;
    }
}

/* ---- writing what was read ---- */

static size_t
flatten(const afar__batch *batch, uint8_t *to)
{
    afar__batch_place place = { 0, 0 };
    afar__bytes piece;
    size_t length = 0;

    while (afar__batch_next(batch, &place, &piece)) {
        memcpy(to + length, piece.data, piece.length);
        length += piece.length;
    }
    return length;
}

static uint8_t *
write_frame(const afar__frame *frame, size_t *ret_length)
{
    afar__batch batch = { .bytes = NULL };
    uint8_t *bytes;

    require(afar__batch_add(&batch, frame), "out of memory");
    require(batch.length == afar__frame_size(frame), "another size than was said");
    bytes = malloc(batch.length);
    require(bytes != NULL, "out of memory");
    require(flatten(&batch, bytes) == batch.length, "a batch of another length");
    *ret_length = batch.length;
    afar__batch_free(&batch);
    return bytes;
}

static void
require_round(const afar__frame *frame)
{
    size_t length, again_length;
    uint8_t *bytes = write_frame(frame, &length), *again;
    afar__frame_reader reader;
    afar__frame read;

    require(afar__frame_check(frame, NULL, NULL) == AFAR_OK, "read, and not to be written");
    afar__frame_reader_init(&reader, bytes, length);
    require(afar__frame_read(&reader, &read, NULL) == AFAR_OK, "written, and not to be read");
    require(read.kind == frame->kind && read.length == afar__frame_length(frame),
            "another frame than was written");
    again = write_frame(&read, &again_length);
    require(again_length == length && memcmp(again, bytes, length) == 0, "two writings");
    free(again);
    free(bytes);
}

/* ---- against protobuf-c ---- */

static uint8_t *
pack(const ProtobufCMessage *message, size_t *ret_length)
{
    uint8_t *bytes;

    *ret_length = protobuf_c_message_get_packed_size(message);
    bytes = malloc(*ret_length + 1);
    require(bytes != NULL, "out of memory");
    protobuf_c_message_pack(message, bytes);
    return bytes;
}

static void
require_same(afar__arena *arena, const afar__frame *frame, frames_proto *theirs)
{
    frames_proto *ours = frames_to_proto(arena, frame);
    size_t our_length, their_length;
    uint8_t *a, *b;

    frames_strip(&theirs->base);
    a = pack(&ours->base, &our_length);
    b = pack(&theirs->base, &their_length);
    require(our_length == their_length && memcmp(a, b, our_length) == 0,
            "protobuf-c reads something else");
    free(a);
    free(b);
}

/* Both read all of it; the frames that we accept protobuf-c has as well. */
static void
read_batch(const uint8_t *data, size_t length, afar__arena *arena)
{
    Afar__Session__V1__Batch *theirs = afar__session__v1__batch__unpack(NULL, length, data);
    afar_error err = AFAR_ERROR_INIT;
    afar__frame_reader reader;
    afar__frame frame;
    afar_code code;
    size_t n = 0;

    afar__frame_reader_init(&reader, data, length);
    while (!(code = afar__frame_read(&reader, &frame, &err))) {
        require_limits(&frame);
        if (frame.kind != AFAR__FRAME_NONE)
            require_round(&frame);
        if (theirs) {
            require(n < theirs->n_frames, "more frames than protobuf-c has");
            require_same(arena, &frame, theirs->frames[n]);
        }
        n++;
    }
    if (code == AFAR_ENDED)
        require(theirs && theirs->n_frames == n, "protobuf-c refuses it");
    else
        require(code == AFAR_INTERNAL && err.message[0], "an odd refusal");
    afar_error_clear(&err);
    if (theirs)
        afar__session__v1__batch__free_unpacked(theirs, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    afar__arena *arena = afar__arena_new(4096);

    require(arena != NULL, "out of memory");
    read_batch(data, length, arena);
    afar__arena_free(arena);
    return 0;
}

const replay replay_how = { .name = "frame_fuzz", .changes = 10000 };
