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
    PLANT_RELEASE_EARLY,
    PLANT_EXPORT_FREED_EARLY,
    PLANT_ID_REUSED_EARLY,
    PLANT_RETURN_LOST,
    PLANT_RETURN_DOUBLED,
    PLANT_RETURN_MIXES_REFERENCES,
    PLANT_CREDIT_LOST,
    PLANT_CREDIT_TWICE,
    PLANT_ITEM_DROPPED,
    PLANT_ITEMS_SWAPPED,
    PLANT_INITIAL_LOST,
    PLANT_CANCEL_EATS_RETURN,
    PLANT_CANCELLED_ANSWERS_TWICE,
    PLANT_FINISH_LOST,
    PLANT_LAST_CALL_TOO_LOW,
    PLANT_LAST_CALL_TOO_HIGH,
    PLANT_PROMISED_OVERTAKES,
    PLANT_NOT_BEGUN_FALSELY,
    PLANT_CALL_RUNS_TWICE,
    PLANT_END_EARLY,
    PLANT_PONG_LOST,
    PLANT_HANDLE_REUSED,
    PLANT_KINDS
};

struct plant {
    enum plant_kind kind;
    struct random *random;
    sim_frame *held;  /* waits to be overtaken */
    unsigned planted; /* how often */
};

/* "return_lost" */
const char *
plant_name(enum plant_kind kind);

/* Gives what goes on the wire in place of `frame`, which is the function's from
 * then on: 0 to 2 frames. */
unsigned
plant_change(struct plant *plant, struct tap *tap, int from, sim_frame *frame,
             sim_frame *ret_frames[2]);

/* Whether a node that has no right to act on a call is to do so now: PLANT_HANDLE_REUSED. */
bool
plant_reuses_handle(struct plant *plant);

void
plant_clear(struct plant *plant);

#endif
