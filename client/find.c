/* Finders: a search that is kept with a reference, for the time when its object moves.
 *
 * It needs what the client knows of names, and holds that (names.h is counted), not the
 * client: a reference may outlive it.  When the client was closed its links are shut, and
 * a search ends with FAILED_PRECONDITION.
 *
 * An object is looked for again because somebody found it gone, so nothing that was
 * remembered counts: the name server is asked, and whoever is there says who it is.
 *
 * Who waits may leave in the middle of a search.  It stays as it is then, so that calls with
 * short deadlines get past an endpoint that is silent, each a bit further.  What it knows
 * gets old meanwhile: when it goes on after a while and fails, that says nothing, and it
 * is done once more from its beginning. */

#include "client/find.h"

#include <stdlib.h>
#include <string.h>

#include "client/search.h"

#define WHILE (2 * AFAR__SECOND) /* longer than who waits lets the finder rest */

struct finder {
    afar__finder base;
    afar__search search;
    bool begun;   /* the last find was not over */
    int64_t left; /* when it returned (ns) */
    uint8_t key[AFAR__PUBLIC_BYTES];
    char name[];
};

static afar_code
find(afar__finder *base, const afar__place *old, int64_t deadline, afar__place *ret_place,
     afar_error *err)
{
    struct finder *finder = (struct finder *)base;
    bool resumed = finder->begun && afar__now() - finder->left > WHILE;
    afar_code code;

    (void)old; /* the same place is another one when it was confirmed again */
    if (!finder->begun)
        afar__names_drop(finder->search.names, finder->name);
    code = afar__search_run(&finder->search, afar_deadline_at(deadline), ret_place, err);
    if (resumed && code && code != AFAR_DEADLINE_EXCEEDED) {
        afar__names_drop(finder->search.names, finder->name);
        code = afar__search_run(&finder->search, afar_deadline_at(deadline), ret_place, err);
    }
    finder->begun = code == AFAR_DEADLINE_EXCEEDED;
    finder->left = afar__now();
    return code;
}

static void
free_finder(afar__finder *base)
{
    struct finder *finder = (struct finder *)base;

    afar__search_reset(&finder->search);
    afar__names_unref(finder->search.names);
    free(finder);
}

static const afar__finder_ops ops = { find, free_finder };

static struct finder *
new_finder(afar__names *names, const afar__wanted *wanted)
{
    size_t length = strlen(wanted->name);
    struct finder *finder = calloc(1, sizeof *finder + length + 1);
    afar__wanted copy = { NULL, NULL };

    if (!finder)
        return NULL;
    finder->base.ops = &ops;
    memcpy(finder->name, wanted->name, length + 1);
    copy.name = finder->name;
    if (wanted->key) {
        memcpy(finder->key, wanted->key, sizeof finder->key);
        copy.key = finder->key;
    }
    afar__search_init(&finder->search, afar__names_ref(names), &copy);
    return finder;
}

afar_code
afar__find(afar__names *names, const afar__wanted *wanted, afar_deadline deadline,
           afar__place *ret_place, afar__finder **ret_finder, afar_error *err)
{
    struct finder *finder = new_finder(names, wanted);
    afar_code code;

    if (!finder)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%.200s: no memory for a reference",
                         wanted->name);
    code = afar__search_run(&finder->search, deadline, ret_place, err);
    if (code) {
        free_finder(&finder->base);
        return code;
    }
    finder->search.in_slices = true;
    *ret_finder = &finder->base;
    return AFAR_OK;
}
