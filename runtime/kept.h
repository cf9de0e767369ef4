#ifndef AFAR_RUNTIME_KEPT_H
#define AFAR_RUNTIME_KEPT_H

/* The tasks that a thread keeps for itself.  It adds and runs them; another thread that watches
 * takes away what waits for too long behind a task that does not end.  See kept.c. */

#include <stdatomic.h>
#include <stdbool.h>

#include "runtime/engine.h"

typedef struct afar__kept_list {
    _Atomic(afar__task *) first;
    afar__task **end; /* the owner's; means something while there is a first one */
} afar__kept_list;

/* Zeroed it is empty. */
typedef struct afar__kept {
    afar__kept_list soon; /* run one after the other */
    afar__kept_list last; /* and then these */
    atomic_uint steps;    /* grows when a task begins and when it ends: odd while one runs */
    atomic_uint lasts;    /* how many of the last ones have begun */

    /* What the watcher found when it looked before; guarded by who watches. */
    unsigned seen_steps, seen_lasts;
    bool seen_last;
} afar__kept;

/* ---- the owner ---- */

void
afar__kept_add(afar__kept *kept, afar__task *task);

/* To be run after all others, those that are added meanwhile as well. */
void
afar__kept_add_last(afar__kept *kept, afar__task *task);

bool
afar__kept_any(afar__kept *kept);

/* Runs all but the last ones.  `laden` is called before each task that others wait behind. */
void
afar__kept_run(afar__kept *kept, void (*laden)(void));

/* Runs one of the last ones; false if there is none. */
bool
afar__kept_run_last(afar__kept *kept, void (*laden)(void));

/* ---- any thread ---- */

/* Whether a task runs and others wait behind it. */
bool
afar__kept_laden(afar__kept *kept);

/* Takes all away, linked by `next`, the last ones last; NULL if there is none. */
afar__task *
afar__kept_take_all(afar__kept *kept);

/* For who watches, at each look: takes away what has waited since the look before, behind one
 * task or, for the last ones, behind any. */
afar__task *
afar__kept_take_late(afar__kept *kept);

#endif
