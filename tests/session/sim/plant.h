#ifndef SIM_PLANT_H
#define SIM_PLANT_H

/* Mistakes to plant.  Each changes what one session sends, as the mistake in its
 * code would; the watchers must see it. */

#include <stdbool.h>

#include "tests/runtime/random.h"
#include "tap.h"

enum plant_kind {
    PLANT_NONE,
    PLANT_RELEASE_TOO_FEW,
    PLANT_RELEASE_TOO_MANY,
    PLANT_ID_REUSED_EARLY,
    PLANT_RETURN_LOST,
    PLANT_RETURN_DOUBLED,
    PLANT_RETURN_FORGETS_REFERENCES,
    PLANT_CREDIT_LOST,
    PLANT_CREDIT_TWICE,
    PLANT_ITEM_DROPPED,
    PLANT_ITEMS_SWAPPED,
    PLANT_CANCEL_EATS_RETURN,
    PLANT_LAST_CALL_TOO_LOW,
    PLANT_LAST_CALL_TOO_HIGH,
    PLANT_PROMISED_OVERTAKES,
    PLANT_NOT_BEGUN_FALSELY,
    PLANT_CALL_RUNS_TWICE,
    PLANT_END_EARLY,
    PLANT_PONG_LOST,
    PLANT_KINDS
};

struct plant {
    enum plant_kind kind;
    struct random *random;
    uint32_t cancelled[64]; /* ids whose Return is to be eaten; 0 is an empty slot */
    sim_frame *held;        /* waits to be overtaken */
    unsigned planted;       /* how often */
};

/* "return_lost" */
const char *
plant_name(enum plant_kind kind);

/* Gives what goes on the wire in place of `frame`, which is the function's from
 * then on: 0 to 2 frames. */
unsigned
plant_change(struct plant *plant, const struct tap *tap, int from, sim_frame *frame,
             sim_frame *ret_frames[2]);

void
plant_clear(struct plant *plant);

#endif
