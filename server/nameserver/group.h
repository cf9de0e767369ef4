#ifndef AFAR_NAMESERVER_GROUP_H
#define AFAR_NAMESERVER_GROUP_H

/* A group of changes that have been decided on, and become visible together.
 *
 * A group touches no name twice, so all that is decided in it is decided on what is
 * visible already.  A request that needs to see what an earlier one does waits until
 * that one's group is done. */

#include "server/nameserver/graves.h"
#include "server/nameserver/state.h"

#define AFAR__GROUP_REQUESTS 256

/* One change, with all the memory that it takes to make it visible. */
typedef struct afar__step {
    afar__change_kind kind;
    afar__lease *lease;
    afar__kept *kept;   /* that is put, or removed */
    afar__kept *old;    /* that the put one replaces; may be NULL */
    afar__lost *lost;   /* what the lease of the name that goes will be told; may be NULL */
    afar__grave *grave; /* of a removed name; NULL when it needs none */
    uint64_t revision;
} afar__step;

/* A request that was granted. */
typedef struct afar__grant {
    afar__registry_request *request;
    afar__registered result;
} afar__grant;

typedef struct afar__group {
    uint64_t number;   /* marks what this group touches */
    int64_t now_ns;    /* when it was begun; all is decided as of then */
    uint64_t revision; /* the last one given out, by any group */
    afar__step *steps;
    afar__change *changes;
    size_t count, room;
    afar__tree puts; /* the names that are put */
    afar__grant grants[AFAR__GROUP_REQUESTS];
    size_t granted;
} afar__group;

/* Makes room for that many more steps. */
afar_code
afar__group_reserve(afar__group *group, size_t more, afar_error *err);

/* The steps.  There must be room.  Counts change at once, all else when it is made visible. */
void
afar__group_add_lease(afar__group *group, afar__state *state, afar__lease *lease);
void
afar__group_add_put(afar__group *group, afar__state *state, const afar__step *put);
void
afar__group_add_end(afar__group *group, afar__lease *lease);

/* Takes a name from its lease, which is told of it if `tell`. */
afar_code
afar__group_add_remove(afar__group *group, afar__kept *kept, bool tell, afar_error *err);

/* Undoes the steps from `from` on, the last one first. */
void
afar__group_undo(afar__group *group, afar__state *state, size_t from);

afar_code
afar__group_commit(afar__group *group, afar__store *store, afar_error *err);

/* Makes the steps visible; the lock is held. */
void
afar__group_publish_locked(afar__group *group, afar__state *state, int64_t now_ns);

/* Releases what is not visible any more. */
void
afar__group_finish(afar__group *group, afar__state *state, afar__graves *graves, int64_t now_ns);

void
afar__group_clear(afar__group *group);

#endif
