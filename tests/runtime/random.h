#ifndef RANDOM_H
#define RANDOM_H

/* Random messages that are valid, and the same ones for the same seed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "runtime/arena.h"

struct random {
    uint64_t state; /* the seed; not 0 */
    bool plain;     /* strings are ASCII, fractions short */
};

uint64_t
random_next(struct random *random);

/* Below `limit`, which is above 0. */
size_t
random_below(struct random *random, size_t limit);

/* A message in the arena; `depth` is how far messages go on within it. */
ProtobufCMessage *
random_message(struct random *random, const ProtobufCMessageDescriptor *type, unsigned depth,
               afar__arena *arena);

#endif
