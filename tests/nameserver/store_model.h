#ifndef STORE_MODEL_H
#define STORE_MODEL_H

/* What a store must hold.  Commit number k changes some leases and names; which, and to
 * what, follows from k alone.  So any store can be compared with what k commits make, and
 * the revision that a store tells says what k is. */

#include "server/nameserver/store.h"

#define MODEL_NAMES 1000
#define MODEL_LEASES 100
#define MODEL_CHANGES 32

/* Numbers of the commits that made what is there now; 0: not there. */
struct model {
    size_t names, leases; /* how many there may be */
    uint64_t first;       /* the revision that the store began with */
    uint32_t step;        /* the last commit */
    uint32_t name[MODEL_NAMES];
    uint32_t lease[MODEL_LEASES];
};

void
model_init(struct model *model, uint64_t first, size_t names, size_t leases);

/* Makes the model what it is after commit `step`. */
void
model_go_to(struct model *model, uint32_t step);

/* Makes the next commit, in the store and then in the model. */
afar_code
model_commit(struct model *model, afar__store *store, afar_error *err);

/* One commit that puts all leases and names there. */
afar_code
model_fill(struct model *model, afar__store *store, afar_error *err);

/* Loads the store.  `ret_difference` is NULL when it holds just what the model does, and
 * what is wrong otherwise. */
afar_code
model_compare(const struct model *model, afar__store *store, const char **ret_difference,
              afar_error *err);

/* The revision of a store, and nothing else of it; the second form cannot fail. */
afar_code
model_read_revision(afar__store *store, uint64_t *ret_revision, afar_error *err);
uint64_t
model_revision(afar__store *store);

/* ---- files ---- */

struct place {
    char folder[32];
    char path[64]; /* of a store */
};

void
place_make(struct place *place);

/* With all files in it. */
void
place_remove(const struct place *place);

#endif
