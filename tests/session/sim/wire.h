#ifndef SIM_WIRE_H
#define SIM_WIRE_H

/* One direction between two sessions.  Frames arrive in order and late, in other
 * batches than they were sent in, and not at all after a cut. */

#include "tests/runtime/random.h"
#include "plant.h"
#include "tap.h"

struct wire_frame;

struct wire {
    struct random *random;
    struct tap *tap;
    struct plant *plant; /* of the side that sends; may be NULL */
    int from;
    int64_t slowest_us; /* the longest delay */
    int64_t stalled_us; /* nothing arrives before */
    bool cut;           /* nothing that is put will arrive */
    struct wire_frame *first;
    struct wire_frame *last;
};

/* Takes one packed Batch; false if it is none, or longer than it has to be (costs are counted
 * in bytes of the wire, so both sides must see the same). */
bool
wire_put(struct wire *wire, const uint8_t *data, size_t length, int64_t now_us);

/* Gives a packed Batch of some of what has arrived, for the caller to free; NULL if nothing
 * has. */
uint8_t *
wire_take(struct wire *wire, int64_t now_us, size_t *ret_length);

/* When the next frame arrives; INT64_MAX if none is on its way. */
int64_t
wire_next(const struct wire *wire);

/* Loses what is on its way, but for the first `kept` frames, and all that will come. */
void
wire_cut(struct wire *wire, unsigned kept);

void
wire_close(struct wire *wire);

#endif
