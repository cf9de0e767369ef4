#ifndef SIM_TAP_H
#define SIM_TAP_H

/* A tap on one link: sees each act and word when it is said and when it is heard, and knows
 * from that alone what either side may say.  Written from channel.proto; shares nothing
 * with the code that it watches. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/channel/board.h"

struct tap_offer;
struct tap_claim;

struct tap {
    bool sends; /* the end is a sender's */
    struct tap_offer *offers;
    size_t offer_count, offer_room;
    struct tap_claim *claims;
    size_t claim_count, claim_room;
    uint64_t heard;                  /* offers that came to the home */
    uint64_t claims_heard;           /* that came to the process */
    size_t open, open_exclusive;     /* as the process sees it */
    size_t window;                   /* what those that are exclusive take */
    unsigned most_open, most_window; /* what the process knows of limits */
    uint64_t told, messages, acked;  /* Messages with ack: said; heard; and acknowledged */
    bool ended;
    char wrong[128]; /* the first broken rule, or "" */
};

void
tap_open(struct tap *tap, bool sends);

/* Welcome came: it says how much may be open. */
void
tap_welcome(struct tap *tap);

void
tap_close(struct tap *tap);

void
tap_act_sent(struct tap *tap, const afar__step *step);

void
tap_act_came(struct tap *tap, const afar__step *step);

void
tap_word_sent(struct tap *tap, const afar__step *step);

void
tap_word_came(struct tap *tap, const afar__step *step);

/* The select that a claim is about; 0 if there is none. */
uint64_t
tap_claimed(const struct tap *tap, uint64_t claim);

/* Whether a grant for that select stands. */
bool
tap_holds(const struct tap *tap, uint64_t select);

/* Whether the home has heard that this offer is withdrawn, and has not answered. */
bool
tap_is_withdrawn(const struct tap *tap, uint64_t offer);

/* Whether the offer asked for Waiting. */
bool
tap_asked(const struct tap *tap, uint64_t offer);

#endif
