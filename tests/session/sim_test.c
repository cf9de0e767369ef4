/* Two sessions in one process, and a world between them that delays, cuts and forgets.  Each
 * seed is a run of its own and always the same one:
 *
 *     AFAR_SEED=1234 bin/session_sim_test worlds_hold     runs that seed alone
 *     AFAR_SEEDS=1000000 CHECK_TIMEOUT=36000 bin/session_sim_test worlds_hold
 *
 * sim/hostile.h says what the other run is, of one session with a peer that breaks the rules,
 * sim/world.h what a world is, sim/plant.h which mistakes are planted to see that the model
 * sees them. */

#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "sim/hostile.h"
#include "sim/world.h"

#define SEEDS 1000

static uint64_t
from_environment(const char *name, uint64_t usual)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : usual;
}

/* Runs all seeds that are asked for. */
static void
run_seeds(const char *test, bool (*run)(uint64_t seed, char ret_wrong[320]))
{
    uint64_t first = from_environment("AFAR_SEED", 0);
    uint64_t count = getenv("AFAR_SEED") ? 1 : from_environment("AFAR_SEEDS", SEEDS);
    char wrong[320];

    for (uint64_t seed = first; seed < first + count; seed++)
        if (!run(seed, wrong))
            check_fail(__FILE__, __LINE__, "seed %llu: %s (AFAR_SEED=%llu session_sim_test %s)",
                       (unsigned long long)seed, wrong, (unsigned long long)seed, test);
}

static bool
run_world(uint64_t seed, char ret_wrong[320])
{
    return sim_run(seed, PLANT_NONE, ret_wrong);
}

TEST(worlds_hold)
{
    run_seeds("worlds_hold", run_world);
}

TEST(hostile_peers_do_no_harm)
{
    run_seeds("hostile_peers_do_no_harm", hostile_run);
}

/* Each mistake is seen within the seeds of the quick tier. */
TEST(planted_mistakes_are_seen)
{
    char wrong[320];

    for (int kind = PLANT_NONE + 1; kind < PLANT_KINDS; kind++) {
        uint64_t seed = 0;

        while (seed < SEEDS && sim_run(seed, (enum plant_kind)kind, wrong))
            seed++;
        if (seed == SEEDS)
            check_fail(__FILE__, __LINE__, "nobody sees %s", plant_name((enum plant_kind)kind));
        printf("%s: seed %llu: %s\n", plant_name((enum plant_kind)kind), (unsigned long long)seed,
               wrong);
    }
}
