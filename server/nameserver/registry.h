#ifndef AFAR_NAMESERVER_REGISTRY_H
#define AFAR_NAMESERVER_REGISTRY_H

/* The names, their leases, and the one thread that changes them.
 *
 * Reading (lookup, list) and renewing happen on the caller's thread under a lock that
 * is never held while anything waits.  Changes are queued; the writer takes what is
 * there, decides on it in order, commits it to the store as one group, makes it visible,
 * and only then answers.  Leases that are over are removed by the writer too, but
 * are invisible from the moment they end.
 *
 * Time is that of CLOCK_BOOTTIME, through `now_ns`, which tests may set. */

#include <afar/deadline.h>

#include "server/nameserver/store.h"

typedef struct afar__registry afar__registry;

typedef struct afar__registry_options {
    size_t max_names;         /* 0: 100,000 */
    size_t max_names_per_key; /* 0: 20,000 */
    int64_t (*now_ns)(void);  /* NULL: CLOCK_BOOTTIME */
} afar__registry_options;

/* Loads the store, which it takes (also when it fails), and starts the writer. */
afar_code
afar__registry_open(afar__store *store, const afar__registry_options *options,
                    afar__registry **ret_registry, afar_error *err);

/* Answers what is queued, and closes the store. */
void
afar__registry_close(afar__registry *registry);

/* What Challenge answers. */
#define AFAR__NONCE_BYTES 24
typedef struct afar__challenge {
    uint8_t nonce[AFAR__NONCE_BYTES];
    uint8_t epoch[AFAR__EPOCH_BYTES];
    uint64_t revision;
} afar__challenge;

void
afar__registry_challenge(afar__registry *registry, afar__challenge *ret_challenge);

/* ---- changes: `done` runs once, on the writer or before this returns ---- */

typedef struct afar__registered {
    uint64_t revision;
    uint8_t lease[AFAR__LEASE_BYTES];
    uint32_t term_ms;
    uint32_t count; /* of names removed */
} afar__registered;

typedef struct afar__registry_request afar__registry_request;
struct afar__registry_request {
    /* err is filled unless code is AFAR_OK; for Held and Stale it has the detail. */
    void (*done)(afar__registry_request *request, afar_code code, const afar__registered *result,
                 const afar_error *err);
    afar__registry_request *next; /* the registry's from here on */
    const afar__signed *signed_record;
    ProtobufCMessage *message; /* that was signed */
    int kind;
};

/* The signed bytes must live until `done`. */
void
afar__registry_register(afar__registry *registry, afar__registry_request *request,
                        const afar__signed *signed_record);
void
afar__registry_unregister(afar__registry *registry, afar__registry_request *request,
                          const afar__signed *signed_record);

/* ---- at once ---- */

/* `lost` gets each name that the lease lost since its last renewal. */
afar_code
afar__registry_renew(afar__registry *registry, const afar__signed *signed_record,
                     void (*lost)(void *arg, const char *name), void *arg, uint32_t *ret_term_ms,
                     afar_error *err);

/* What is known of a name; the record is shared, and lives until it is let go. */
typedef struct afar__entry {
    struct afar__kept *kept; /* the registry's: record with a count */
    const afar__signed *record;
    const char *name;
    uint64_t revision;
    uint32_t left_ms;
    uint8_t lease[AFAR__LEASE_BYTES];
    uint64_t sequence;
} afar__entry;

/* Makes an entry that the caller keeps of one that was lent. */
void
afar__entry_share(const afar__entry *entry, afar__entry *ret_entry);

void
afar__entry_clear(afar__entry *entry);

/* Whether its metadata has that pair. */
bool
afar__entry_has(const afar__entry *entry, const char *key, const char *value);

/* NOT_FOUND. */
afar_code
afar__registry_lookup(afar__registry *registry, const char *name, afar__entry *ret_entry,
                      afar_error *err);

/* Calls `each` for the names that begin with `prefix` and are greater than `after`, in
 * order, until it says false, and returns the revision.  `each` runs under the lock, and
 * the entry is lent: it shares what it wants and returns. */
uint64_t
afar__registry_list(afar__registry *registry, const char *prefix, const char *after,
                    bool (*each)(void *arg, const afar__entry *entry), void *arg);

const uint8_t *
afar__registry_epoch(const afar__registry *registry);

#endif
