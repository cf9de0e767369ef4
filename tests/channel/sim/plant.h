#ifndef SIM_PLANT_H
#define SIM_PLANT_H

/* Mistakes to plant.  Each changes what one side says, or what the owner of a board does, as
 * the mistake in its code would; whoever watches must see it. */

#include <stdbool.h>
#include <stdint.h>

#include "runtime/channel/board.h"
#include "tests/runtime/random.h"

#include "tap.h"

enum plant_kind {
    PLANT_NONE,
    PLANT_CLAIMS_UNORDERED, /* the home claims the higher select first */
    PLANT_TAKEN_EARLY,      /* the sender hears before the receiver has it */
    PLANT_IN_DOUBT_AGAIN,   /* a sender in doubt sends again */
    PLANT_DONE_GRANTS,      /* a select that is done grants */
    PLANT_MESSAGE_AGAIN,    /* a receiver gets what another one had */
    PLANT_POSTS_SWAPPED,
    PLANT_TAKEN_AS_WITHDRAWN,
    PLANT_UNKNOWN_AS_TAKEN,
    PLANT_LOST_AS_ENDED,
    PLANT_LOSS_FORGOTTEN, /* a sender that was lost counts as one that finished */
    PLANT_END_FORGOTTEN,  /* one that is left does not count */
    PLANT_POISON_TEXT,
    PLANT_POISON_LOST,
    PLANT_CAPACITY,
    PLANT_WAITING_FALSE,
    PLANT_OFFER_LOST,
    PLANT_CLAIM_LOST,
    PLANT_DENY_LOST,
    PLANT_RELEASE_LOST,
    PLANT_WITHDRAWN_LOST,
    PLANT_TAKEN_LOST,
    PLANT_ACK_LOST,
    PLANT_ACK_TOO_MANY,
    PLANT_CUT_UNNOTICED,
    PLANT_GIVEN_UP_FALSE,   /* who breaks off what holds it believes that nothing happened */
    PLANT_UNFAIR,           /* a select that should be fair goes by priority */
    PLANT_PRIORITY_IGNORED, /* and the other way round */
    PLANT_KINDS
};

#define PLANT_STEPS 3

struct plant {
    enum plant_kind kind;
    struct random *random;
    bool holding; /* an offer waits to be overtaken on that link */
    unsigned link;
    afar__step held;
    struct afar__parcel *parcel;
    uint32_t last_message;
    bool ack_back; /* the home believes that it hears an Ack */
    unsigned planted;
};

/* "claims_unordered" */
const char *
plant_name(enum plant_kind kind);

bool
plant_is_on(const struct plant *plant);

/* Whether the mistake is made now, if it is this one. */
bool
plant_now(struct plant *plant, enum plant_kind kind, unsigned one_in);

/* Gives what is said on a link in place of `step`: 0 to PLANT_STEPS steps.  Parcels may be
 * the same in several, and stay whose they are. */
unsigned
plant_change(struct plant *plant, const struct tap *tap, unsigned link, const afar__step *step,
             afar__step ret_steps[PLANT_STEPS]);

/* How many a buffer holds that should have room for `capacity`. */
unsigned
plant_capacity(struct plant *plant, unsigned capacity);

/* How a home orders that process. */
void
plant_process(struct plant *plant, unsigned channel, uint8_t process[16]);

void
plant_clear(struct plant *plant);

#endif
