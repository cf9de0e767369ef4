/* Frames as bytes: written, read, or put together by hand. */

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "frames.h"

struct frames_bytes
frames_new_bytes(size_t length)
{
    struct frames_bytes made = { malloc(length > 0 ? length : 1), length };

    CHECK(made.data != NULL);
    return made;
}

struct frames_bytes
frames_of_batch(const afar__batch *batch)
{
    struct frames_bytes whole = frames_new_bytes(batch->length);
    afar__batch_place place = { 0, 0 };
    afar__bytes piece;
    size_t at = 0;

    while (afar__batch_next(batch, &place, &piece)) {
        CHECK(piece.length > 0 && piece.length <= whole.length - at);
        memcpy(whole.data + at, piece.data, piece.length);
        at += piece.length;
    }
    CHECK_INT(at, whole.length);
    return whole;
}

struct frames_bytes
frames_written(const afar__frame *frame)
{
    afar__batch batch = { .bytes = NULL };
    struct frames_bytes whole;

    CHECK(afar__batch_add(&batch, frame));
    CHECK_INT(batch.length, afar__frame_size(frame));
    whole = frames_of_batch(&batch);
    afar__batch_free(&batch);
    return whole;
}

/* Reads the only frame of a batch. */
void
frames_read_one(struct frames_bytes batch, afar__frame *ret_frame)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__frame_reader reader;
    afar__frame none;

    afar__frame_reader_init(&reader, batch.data, batch.length);
    CHECK_OK(afar__frame_read(&reader, ret_frame, &err));
    CHECK_FAILS(afar__frame_read(&reader, &none, &err), AFAR_ENDED);
    CHECK_INT(err.code, AFAR_OK);
    CHECK(ret_frame->wire.data == batch.data);
    CHECK_INT(ret_frame->wire.length, batch.length);
}

void
frames_refuse(struct frames_bytes batch, const char *message)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__frame_reader reader;
    afar__frame frame;

    afar__frame_reader_init(&reader, batch.data, batch.length);
    CHECK_FAILS(afar__frame_read(&reader, &frame, &err), AFAR_INTERNAL);
    CHECK_STR(err.message, message);
    CHECK_FAILS(afar__frame_read(&reader, &frame, NULL), AFAR_ENDED);
    afar_error_clear(&err);
}

/* Puts the bytes of a frame's message into a batch. */
struct frames_bytes
frames_framed(uint32_t kind, const void *message, size_t length)
{
    struct frames_bytes batch = frames_new_bytes(length + 32);
    uint8_t *at = batch.data;
    size_t inner = 1 + 3 + length;

    CHECK(inner < 1 << 21);
    *at++ = 0x0a;
    *at++ = (uint8_t)(inner | 0x80);
    *at++ = (uint8_t)(inner >> 7 | 0x80);
    *at++ = (uint8_t)(inner >> 14);
    *at++ = (uint8_t)(kind << 3 | 2);
    *at++ = (uint8_t)(length | 0x80);
    *at++ = (uint8_t)(length >> 7 | 0x80);
    *at++ = (uint8_t)(length >> 14);
    memcpy(at, message, length);
    batch.length = (size_t)(at - batch.data) + length;
    batch.data = realloc(batch.data, batch.length);
    CHECK(batch.data != NULL);
    return batch;
}
