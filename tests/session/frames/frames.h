#ifndef TESTS_SESSION_FRAMES_H
#define TESTS_SESSION_FRAMES_H

/* What the tests of frames have in common: frames of random contents, as protobuf-c's structs
 * and as bytes. */

#include <afar/session.pb-c.h>

#include "runtime/arena.h"
#include "runtime/session/frame.h"
#include "tests/runtime/random.h"

typedef Afar__Session__V1__Frame frames_proto;

typedef struct frames_maker {
    struct random random;
    afar__arena *arena;
} frames_maker;

/* Fills a frame of a kind with what the protocol allows.  What it points to is in the arena. */
void
frames_make(frames_maker *maker, uint32_t kind, afar__frame *ret_frame);

/* The same frame for protobuf-c, from the arena; it borrows nothing.  NONE is a frame without
 * a kind. */
frames_proto *
frames_to_proto(afar__arena *arena, const afar__frame *frame);

/* Takes unknown fields out of a message that protobuf-c has read, and of those in it. */
void
frames_strip(ProtobufCMessage *message);

/* ---- bytes ---- */

struct frames_bytes {
    uint8_t *data; /* from malloc, exactly as long: what is read beyond is seen */
    size_t length;
};

struct frames_bytes
frames_new_bytes(size_t length);

/* The pieces of a batch as one. */
struct frames_bytes
frames_of_batch(const afar__batch *batch);

/* A batch of one frame. */
struct frames_bytes
frames_written(const afar__frame *frame);

/* A batch of one frame, of which these are the bytes of the message that is its kind. */
struct frames_bytes
frames_framed(uint32_t kind, const void *message, size_t length);

/* Reads the only frame of a batch. */
void
frames_read_one(struct frames_bytes batch, afar__frame *ret_frame);

/* Reads a batch whose first frame breaks the rule that `message` names. */
void
frames_refuse(struct frames_bytes batch, const char *message);

#endif
