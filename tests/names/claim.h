#ifndef CLAIM_H
#define CLAIM_H

/* What owners sign, made by hand, so that every part of it can be wrong. */

#include <afar/names.afar.h>

#include "runtime/key.h"
#include "runtime/record.h"

#define NONCE_BYTES 24

/* What is said of a name.  A pointer that is NULL leaves its part out. */
struct claim {
    const afar_key *key;
    const char *name;
    const char *endpoints[3]; /* end with NULL */
    const uint8_t *instance;
    const uint8_t *nonce;
    const uint8_t *lease; /* to join */
    uint64_t generation;
    bool take_over;
};

/* Keys that are the same in every run; afar_key_close. */
afar_key *
claim_key(uint8_t number);

/* Released by afar__record_free, like what comes next. */
afar__signed *
claim_sign(const struct claim *claim);

/* A lease and how far its owner has counted. */
struct held {
    const afar_key *key;
    uint8_t lease[AFAR__LEASE_BYTES];
    uint8_t epoch[AFAR__EPOCH_BYTES];
    uint64_t sequence;
};

afar__signed *
claim_renewal(const struct held *held);

/* name NULL: all names. */
afar__signed *
claim_removal(const struct held *held, const char *name);

/* Any bytes under a good signature, as a record. */
afar__signed *
claim_bytes(const afar_key *key, const void *bytes, size_t length);

#endif
