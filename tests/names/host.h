#ifndef HOST_H
#define HOST_H

/* A name server in the process of the test, and what owners ask of it, in their words.  It
 * is called as it is, not over a connection; what owners sign comes from claim.h. */

#include <stdatomic.h>

#include "claim.h"
#include "server/nameserver/registry.h"

/* The clock of all of them (ns); tests set it forward. */
extern _Atomic int64_t host_now;

struct host {
    afar__registry *registry;
    afar_names_v1_names *names;
};

/* `where`: "memory", or the path of a file. */
void
host_open(struct host *host, const char *where);

void
host_close(struct host *host);

/* What is put into a claim. */
struct challenge {
    uint8_t nonce[NONCE_BYTES];
    uint8_t epoch[AFAR__EPOCH_BYTES];
};

struct challenge
host_challenge(const struct host *host);

/* `held` gets lease and epoch; it may be NULL. */
AFAR_MUST_USE afar_code
host_register(const struct host *host, afar__signed *record, struct held *held, afar_error *err);

AFAR_MUST_USE afar_code
host_renew(const struct host *host, afar__signed *renewal, afar_error *err);

AFAR_MUST_USE afar_code
host_unregister(const struct host *host, afar__signed *removal, afar_error *err);

/* The generation of the record that the name has, or 0 if nobody has it.  The record must
 * be its owner's. */
uint64_t
host_generation(const struct host *host, const char *name, const afar_key *owner);

#endif
