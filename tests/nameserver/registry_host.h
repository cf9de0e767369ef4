#ifndef REGISTRY_HOST_H
#define REGISTRY_HOST_H

/* A registry for tests, with a clock that stands until it is told to go on, a store that
 * fails when it is told to, and owners who ask it for things.  What fails here ends the
 * test, but the answers to what is asked are the test's. */

#include <afar/key.h>

#include "check.h"
#include "server/nameserver/registry.h"

/* ---- the registry ---- */

/* Nanoseconds; the same for all registries.  Starts at an hour. */
int64_t
clock_now(void);
void
clock_advance_ms(int64_t ms);

/* Opens with that clock over a store in memory, or `store`. */
afar__registry *
host_open(const char *store);
afar__registry *
host_open_with(const char *store, const afar__registry_options *options);

/* Over a store in memory whose commits wait while it is held, and fail while it is broken. */
afar__registry *
host_open_gated(void);
void
gate_hold(void);
void
gate_release(void);
void
gate_break(bool broken);
/* Runs `fn` on the writer with each commit. */
void
gate_at_commit(void (*fn)(void));
/* Waits until a commit waits at the gate. */
void
gate_wait(void);
/* Commits so far, and what the last one had. */
int
gate_commits(void);
int
gate_changes(afar__change_kind kind);

/* ---- owners ---- */

/* The same key for the same number, in every run. */
const afar_key *
key_number(unsigned number);

/* A key as it is in replies. */
const uint8_t *
key_bytes(unsigned number);

/* What somebody wants to register. */
struct wish {
    const char *name;
    unsigned key;
    const uint8_t *lease;    /* NULL: a new one */
    const uint8_t *instance; /* NULL: none */
    const uint8_t *nonce;    /* NULL: a fresh one */
    uint64_t generation;     /* 0: one that is higher than all before */
    uint32_t lease_ms;       /* 0: 10,000 */
    bool take_over;
    const char *metadata[5]; /* key, value, key, value, NULL */
};

/* The record of a wish, signed; afar__record_free. */
afar__signed *
sign_wish(afar__registry *registry, const struct wish *wish);

/* A change that is on its way. */
struct change;

struct change *
start_register(afar__registry *registry, afar__signed *record);
struct change *
start_unregister(afar__registry *registry, afar__signed *removal);
/* Waits for the answer, and releases change and record. */
afar_code
finish_change(struct change *change, afar__registered *ret_result, afar_error *err);

/* The same at once. */
afar_code
ask_register(afar__registry *registry, const struct wish *wish, afar__registered *ret_result,
             afar_error *err);
/* One that must be granted. */
afar__registered
registered(afar__registry *registry, const struct wish *wish);

/* names ends with NULL; NULL: all. */
afar__signed *
sign_removal(afar__registry *registry, unsigned key, const uint8_t *lease, uint64_t sequence,
             const char *const *names);
afar_code
ask_unregister(afar__registry *registry, unsigned key, const uint8_t *lease, uint64_t sequence,
               const char *const *names, afar__registered *ret_result, afar_error *err);

afar__signed *
sign_renewal(afar__registry *registry, unsigned key, const uint8_t *lease, uint64_t sequence);
/* `lost` gets the names, with a space behind each; it may be NULL. */
afar_code
ask_renew(afar__registry *registry, unsigned key, const uint8_t *lease, uint64_t sequence,
          char lost[200], afar_error *err);

/* Adds a word and a space to a text in `size` bytes. */
void
add_word(char *text, size_t size, const char *word);

/* ---- reading ---- */

bool
has_name(afar__registry *registry, const char *name);

/* The revision of a name that is there. */
uint64_t
revision_of(afar__registry *registry, const char *name);

/* How many names begin with that. */
int
count_names(afar__registry *registry, const char *prefix);

uint64_t
last_revision(afar__registry *registry);

/* Waits until the revision is at least that, with a bound. */
void
wait_revision(afar__registry *registry, uint64_t revision);

#endif
