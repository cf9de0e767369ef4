/* The store that keeps nothing: the registry's own memory is all there is, and names are
 * gone with the name server.  Its revisions still grow over restarts, since they start
 * with the wall clock. */

#include "server/nameserver/store.h"

#include <stdlib.h>

static afar_code
load(afar__store *store, const afar__store_reader *reader, uint64_t *ret_revision, afar_error *err)
{
    (void)store;
    (void)reader;
    (void)err;
    *ret_revision = afar__store_first_revision();
    return AFAR_OK;
}

static afar_code
commit(afar__store *store, const afar__change *changes, size_t count, uint64_t revision,
       afar_error *err)
{
    (void)store;
    (void)changes;
    (void)count;
    (void)revision;
    (void)err;
    return AFAR_OK;
}

static void
close_store(afar__store *store)
{
    free(store);
}

static const afar__store_ops memory_ops = {
    .load = load,
    .commit = commit,
    .close = close_store,
};

afar_code
afar__store_open_memory(afar__store **ret_store, afar_error *err)
{
    afar__store *store = malloc(sizeof *store);

    if (!store)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a store");
    store->ops = &memory_ops;
    *ret_store = store;
    return AFAR_OK;
}
