#ifndef AFAR_NAMESERVER_STATE_H
#define AFAR_NAMESERVER_STATE_H

/* The names as they are, and the leases they are under; no rules and no threads.
 *
 * The registry's lock guards a state, with these exceptions: owners and counts are the
 * writer's alone, and what never changes in a struct may be read by whoever keeps it
 * from going away. */

#include <stdatomic.h>

#include "server/nameserver/registry.h"
#include "server/nameserver/tree.h"

typedef struct afar__kept afar__kept;

/* A key that has names or leases, or is about to. */
typedef struct afar__owner {
    afar__tree_item item;
    uint8_t key[AFAR__PUBLIC_BYTES];
    size_t names, leases; /* with those that the running group adds */
} afar__owner;

/* A name that a lease has lost and not been told of. */
typedef struct afar__lost afar__lost;
struct afar__lost {
    afar__lost *next;
    char name[];
};

typedef struct afar__lease {
    afar__tree_item by_id, by_end;
    uint8_t end_key[8 + AFAR__LEASE_BYTES]; /* its end, the highest byte first, and its id */
    uint8_t id[AFAR__LEASE_BYTES];
    uint8_t instance[AFAR__INSTANCE_BYTES];
    bool has_instance;
    uint32_t term_ms;
    afar__owner *owner;
    int64_t end_ns;
    bool ending;       /* it is being removed since its end has come; no renewal any more */
    uint64_t sequence; /* the last one */
    afar__kept *names;
    afar__lost *lost, *last_lost;
    size_t lost_count;
    uint64_t joined, changed; /* the writer's: the last group that put names under it, and
                                 that removes names of it */
} afar__lease;

/* A name with its record.  What is above the line never changes. */
struct afar__kept {
    atomic_uint refs;
    afar__signed *record;
    uint64_t generation;
    size_t metadata_count; /* pairs */
    const char *metadata;  /* key, 0, value, 0, ... */
    const char *name;

    afar__tree_item item;
    uint64_t revision;
    int64_t since_ns; /* it was put there; of no meaning for one that was loaded */
    bool loaded;
    afar__lease *lease;
    afar__kept *next, *previous; /* of the lease */
    uint64_t changed;            /* the writer's: the last group that changes or removes it */
};

typedef struct afar__state {
    afar__tree names, leases, ends, owners;
    size_t name_count, lease_count; /* with those that the running group adds */
    size_t lost_count;              /* of all leases */
    size_t most_lost, most_lost_of_lease;
    uint64_t revision;
} afar__state;

/* ---- names ---- */

/* Copies a record.  NULL when memory is out.  It has one reference. */
afar__kept *
afar__kept_new(const afar__signed *signed_record, const afar__record *record);

void
afar__kept_unref(afar__kept *kept);

/* Who signed it. */
const uint8_t *
afar__kept_key(const afar__kept *kept);

/* NULL when there is none, or none that would be found. */
afar__kept *
afar__state_find(const afar__state *state, const char *name);

/* Puts a name under a lease, both of which are in the state or about to be. */
void
afar__state_put(afar__state *state, afar__kept *kept, afar__lease *lease);

/* The opposite; the reference goes to the caller. */
void
afar__state_take(afar__state *state, afar__kept *kept);

/* ---- leases ---- */

/* Zeroed but for its random id; free() releases it.  NULL when memory is out. */
afar__lease *
afar__lease_new(void);

/* Also what it has not been told of. */
void
afar__lease_free(afar__lease *lease);

afar__lease *
afar__state_find_lease(const afar__state *state, const void *id, size_t length);

void
afar__state_add_lease(afar__state *state, afar__lease *lease, int64_t now_ns);

/* Gives it a whole term from now on. */
void
afar__state_extend(afar__state *state, afar__lease *lease, int64_t now_ns);

void
afar__state_take_lease(afar__state *state, afar__lease *lease);

/* The lease that ends first, or NULL; and the one that ends after that. */
afar__lease *
afar__state_first_end(const afar__state *state);
afar__lease *
afar__state_next_end(const afar__lease *lease);

static inline bool
afar__lease_is_over(const afar__lease *lease, int64_t now_ns)
{
    return lease->ending || lease->end_ns <= now_ns;
}

/* Milliseconds until its end, rounded up. */
uint32_t
afar__lease_left_ms(const afar__lease *lease, int64_t now_ns);

/* NULL when memory is out; free() releases it. */
afar__lost *
afar__lost_new(const char *name);

/* Notes what the lease is to be told of, and takes it; false if too much is noted already,
 * for this lease or for all. */
bool
afar__state_lose(afar__state *state, afar__lease *lease, afar__lost *lost);

/* The next thing that the lease is to be told of, which is the caller's then; or NULL. */
afar__lost *
afar__state_take_lost(afar__state *state, afar__lease *lease);

/* ---- owners ---- */

/* Found or made; NULL when memory is out. */
afar__owner *
afar__state_owner(afar__state *state, const uint8_t key[AFAR__PUBLIC_BYTES]);

/* Releases it if it has nothing. */
void
afar__state_forget_owner(afar__state *state, afar__owner *owner);

/* Releases everything. */
void
afar__state_clear(afar__state *state);

#endif
