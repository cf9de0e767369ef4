#ifndef SIM_H
#define SIM_H

/* The simulation of channels, seen from outside: a seed in, what is wrong out. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "plant.h"

#define SIM_TEXT 256

#define SIM_KINDS 14 /* of steps */

/* What happened in all runs. */
struct sim_counts {
    uint64_t steps, links, planted;
    uint64_t sent, received, posted, nothing, other; /* how rounds ended, and posts */
    uint64_t ended, poisoned, lost, unknown, refused;
    uint64_t given_up;        /* rounds whose answer did not come */
    uint64_t said[SIM_KINDS]; /* acts and words that were heard */
};

/* "offer" */
const char *
sim_step_name(unsigned kind);

/* Runs one seed, with a mistake planted or none; true if all that must hold holds, else
 * `ret_wrong` gets what does not.  With `log` each event is written there; `counts` may be NULL. */
typedef bool
sim_runner(uint64_t seed, enum plant_kind plant, FILE *log, struct sim_counts *counts,
           char ret_wrong[SIM_TEXT]);

/* A world as world.h has it. */
sim_runner sim_run;

/* With some that break the rules among them: the rest keeps its promises. */
sim_runner sim_run_hostile;

/* One thread selects among channels, and it is known which of them are ready: what it gets by
 * priority, by turns, and when it polls. */
sim_runner sim_choose;

#endif
