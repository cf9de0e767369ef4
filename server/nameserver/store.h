#ifndef AFAR_NAMESERVER_STORE_H
#define AFAR_NAMESERVER_STORE_H

/* Where the names are kept over restarts.  The registry holds all of them in memory
 * and reads from there; a store is read once, at the start, and written in groups of
 * changes, each of them whole or not at all.  One thread at a time. */

#include <stddef.h>
#include <stdint.h>

#include <afar/error.h>

#include "runtime/record.h"

typedef struct afar__store afar__store;

/* A lease as it is kept: its end is not, since it gets a whole term at each start. */
typedef struct afar__stored_lease {
    uint8_t id[AFAR__LEASE_BYTES];
    uint8_t key[AFAR__PUBLIC_BYTES];
    uint8_t instance[AFAR__INSTANCE_BYTES];
    bool has_instance;
    uint32_t term_ms;
} afar__stored_lease;

typedef struct afar__stored_name {
    const char *name;
    uint8_t lease[AFAR__LEASE_BYTES];
    uint64_t revision;
    const afar__signed *record;
} afar__stored_name;

typedef enum afar__change_kind {
    AFAR__CHANGE_LEASE,  /* a new lease */
    AFAR__CHANGE_PUT,    /* a name, new or changed */
    AFAR__CHANGE_REMOVE, /* a name is gone: name.name and name.revision count */
    AFAR__CHANGE_END     /* a lease is over: lease.id counts */
} afar__change_kind;

typedef struct afar__change {
    afar__change_kind kind;
    afar__stored_lease lease;
    afar__stored_name name;
} afar__change;

/* What is in the store, told at the start: leases before names. */
typedef struct afar__store_reader {
    afar_code (*lease)(void *arg, const afar__stored_lease *lease, afar_error *err);
    afar_code (*name)(void *arg, const afar__stored_name *name, afar_error *err);
    void *arg;
} afar__store_reader;

typedef struct afar__store_ops {
    /* Tells everything, and the last revision. */
    afar_code (*load)(afar__store *store, const afar__store_reader *reader, uint64_t *ret_revision,
                      afar_error *err);
    /* All of these or none, on the disk when it returns; `revision` is the last one. */
    afar_code (*commit)(afar__store *store, const afar__change *changes, size_t count,
                        uint64_t revision, afar_error *err);
    void (*close)(afar__store *store);
} afar__store_ops;

struct afar__store {
    const afar__store_ops *ops;
};

/* "memory", or the path of a SQLite database, which is made if it is not there, with mode
 * 0600.  A new store starts with the wall clock's microseconds as its revision, so that
 * revisions grow also when a store was lost.
 *
 * FAILED_PRECONDITION, at once, when another name server has the file open, and when it
 * was made by a newer afar; DATA_LOSS when it is damaged or is something else: it is left
 * as it was; NOT_FOUND and PERMISSION_DENIED for a path that cannot be used.
 *
 * A commit that fails changes nothing, and the store can be used again:
 * RESOURCE_EXHAUSTED when the disk is full, UNAVAILABLE when it does not work. */
afar_code
afar__store_open(const char *where, afar__store **ret_store, afar_error *err);

/* The two kinds. */
afar_code
afar__store_open_memory(afar__store **ret_store, afar_error *err);
afar_code
afar__store_open_sqlite(const char *path, afar__store **ret_store, afar_error *err);

/* The revision that a new store starts with. */
uint64_t
afar__store_first_revision(void);

#endif
