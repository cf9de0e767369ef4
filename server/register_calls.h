#ifndef AFAR_SERVER_REGISTER_CALLS_H
#define AFAR_SERVER_REGISTER_CALLS_H

/* Talking with the name server: the link, the nonce, the lease, and the numbers that keep
 * what is said from being said again.  One thread; others may only hurry and cut. */

#include <pthread.h>
#include <stdatomic.h>

#include <afar/names.afar.h>

#include "runtime/link.h"
#include "server/register_record.h"

#define AFAR__MAX_NONCE 64

typedef struct afar__talk {
    afar_node *node;
    const afar__claim *claim;
    afar__address where;
    char address[300]; /* for people */

    pthread_mutex_t lock; /* guards link */
    afar__link *link;     /* the last one made, or NULL */
    atomic_bool has_until;
    atomic_int_fast64_t until; /* no call lasts longer */

    afar_names_v1_names *names; /* over the link; NULL: a new link is needed */
    uint8_t nonce[AFAR__MAX_NONCE];
    size_t nonce_length; /* 0: a new one is needed */
    uint64_t revision;   /* when the nonce was given out */
    int64_t challenged;  /* not later than that was */

    bool has_lease;
    unsigned lease_number; /* the how many-th of our leases this is */
    uint8_t lease[AFAR__LEASE_BYTES];
    uint8_t epoch[AFAR__EPOCH_BYTES];
    uint64_t sequence; /* the last one used */
    uint32_t term_ms;
    int64_t began;
    int64_t renew; /* when it is to be renewed */
} afar__talk;

/* Connects to nothing yet.  INVALID_ARGUMENT for an address that cannot be read. */
afar_code
afar__talk_init(afar__talk *talk, afar_node *node, const char *names, const afar__claim *claim,
                afar_error *err);
void
afar__talk_clear(afar__talk *talk);

/* No call is under way: what was left of a link that failed goes. */
void
afar__talk_rest(afar__talk *talk);

/* Any thread: no call that starts from now on lasts longer than until then. */
void
afar__talk_hurry(afar__talk *talk, int64_t until);

/* Any thread: ends the calls that run. */
void
afar__talk_cut(afar__talk *talk);

/* Whether a failure says that the name server cannot be reached, and nothing of what was
 * asked.  The link is given up then: the next call makes a new one. */
bool
afar__talk_is_away(afar_code code);

/* ---- calls; their errors name the name server ---- */

/* A new nonce. */
afar_code
afar__talk_challenge(afar__talk *talk, afar_error *err);

/* The lease gets a new term.  NOT_FOUND: it is over, and there is none any more. */
afar_code
afar__talk_renew(afar__talk *talk, Afar__Names__V1__RenewReply **ret_reply, afar_error *err);

/* Names are removed from the lease; with none, all, and the lease is over.
 * NOT_FOUND as for renewals. */
afar_code
afar__talk_remove(afar__talk *talk, const char *const *names, size_t count, afar_error *err);

/* Started, for several at a time; finished in any order. */
afar_code
afar__talk_register_start(afar__talk *talk, afar__signed *signed_record, afar_future **ret_future,
                          afar_error *err);
/* Takes over the lease that is told if there is none.  NOT_FOUND is the caller's to
 * judge: it may be about a lease of before. */
afar_code
afar__talk_register_finish(afar__talk *talk, afar_future *future, int64_t sent, afar_error *err);

afar_code
afar__talk_lookup_start(afar__talk *talk, const char *name, afar_future **ret_future,
                        afar_error *err);
afar_code
afar__talk_lookup_finish(afar__talk *talk, afar_future *future,
                         Afar__Names__V1__LookupReply **ret_reply, afar_error *err);

/* There is no lease any more. */
void
afar__talk_forget(afar__talk *talk);

/* A number from 0 up to `below`, for spreading what would else happen at once. */
int64_t
afar__talk_jitter(int64_t below);

#endif
