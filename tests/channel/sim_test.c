/* Channels in a simulated world: processes, links that are late and are cut, threads with random
 * programs.  Each seed is a run of its own and always the same one:
 *
 *     AFAR_SEED=1234 bin/channel_sim_test worlds_hold     runs that seed alone
 *     AFAR_SEEDS=1000000 CHECK_TIMEOUT=36000 bin/channel_sim_test worlds_hold
 *
 * A seed that fails is run again, and the end of its log is printed; with AFAR_SIM_LOG
 * set to a path all of it is written there.  sim/world.h says what a world is, sim/plant.h
 * which mistakes are planted to see that they are seen. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "sim/sim.h"

#define SEEDS 1000
#define CHOICES 100
#define LAST_LINES 60

static uint64_t
from_environment(const char *name, uint64_t usual)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : usual;
}

/* ---- the log of a run that failed ---- */

static void
print_end(const char *text, size_t length)
{
    unsigned lines = 0;
    const char *at = text + length;

    while (at > text && lines <= LAST_LINES)
        lines += *--at == '\n';
    fwrite(at, 1, (size_t)(text + length - at), stdout);
    fflush(stdout);
}

/* The run is the same one, so it comes to the same end. */
static void
show_run(uint64_t seed, sim_runner *run, enum plant_kind plant)
{
    const char *path = getenv("AFAR_SIM_LOG");
    char wrong[SIM_TEXT];
    char *text = NULL;
    size_t length = 0;
    FILE *log = path ? fopen(path, "w") : open_memstream(&text, &length);

    if (!log)
        return;
    run(seed, plant, log, NULL, wrong);
    fclose(log);
    if (text)
        print_end(text, length);
    free(text);
}

static void
print_count(const char *name, uint64_t count)
{
    printf("%s %llu\n", name, (unsigned long long)count);
}

/* What was simulated. */
static void
print_counts(const struct sim_counts *counts)
{
    print_count("steps", counts->steps);
    print_count("links", counts->links);
    print_count("rounds: sent", counts->sent);
    print_count("rounds: received", counts->received);
    print_count("rounds: nothing", counts->nothing);
    print_count("rounds: other", counts->other);
    print_count("rounds: ended", counts->ended);
    print_count("rounds: poisoned", counts->poisoned);
    print_count("rounds: lost", counts->lost);
    print_count("rounds: unknown", counts->unknown);
    print_count("rounds: out of memory", counts->refused);
    print_count("rounds: given up", counts->given_up);
    print_count("posts", counts->posted);
    for (unsigned i = 0; i < SIM_KINDS; i++)
        print_count(sim_step_name(i), counts->said[i]);
}

/* Runs all seeds that are asked for. */
static void
run_seeds(const char *test, sim_runner *run, uint64_t usual)
{
    uint64_t first = from_environment("AFAR_SEED", 0);
    uint64_t count = getenv("AFAR_SEED") ? 1 : usual;
    struct sim_counts counts = { 0 };
    char wrong[SIM_TEXT];

    for (uint64_t seed = first; seed < first + count; seed++)
        if (!run(seed, PLANT_NONE, NULL, &counts, wrong)) {
            show_run(seed, run, PLANT_NONE);
            check_fail(__FILE__, __LINE__, "seed %llu: %s (AFAR_SEED=%llu channel_sim_test %s)",
                       (unsigned long long)seed, wrong, (unsigned long long)seed, test);
        }
    printf("%s: %llu runs\n", test, (unsigned long long)count);
    print_counts(&counts);
}

TEST(worlds_hold)
{
    run_seeds("worlds_hold", sim_run, from_environment("AFAR_SEEDS", SEEDS));
}

TEST(strangers_do_no_harm)
{
    run_seeds("strangers_do_no_harm", sim_run_hostile, from_environment("AFAR_SEEDS", SEEDS) / 2);
}

TEST(selects_choose_well)
{
    run_seeds("selects_choose_well", sim_choose, from_environment("AFAR_SEEDS", SEEDS) / 10);
}

/* ---- planted mistakes ---- */

static bool
is_seen(enum plant_kind kind, sim_runner *run, uint64_t seeds)
{
    struct sim_counts counts = { 0 };
    char wrong[SIM_TEXT];

    for (uint64_t seed = 0; seed < seeds; seed++)
        if (!run(seed, kind, NULL, &counts, wrong)) {
            printf("%s: seed %llu: %s\n", plant_name(kind), (unsigned long long)seed, wrong);
            return true;
        }
    printf("%s: planted %llu times, and nobody saw it\n", plant_name(kind),
           (unsigned long long)counts.planted);
    return false;
}

/* Each is seen within the seeds of the quick tier. */
TEST(planted_mistakes_are_seen)
{
    unsigned missed = 0;

    for (int kind = PLANT_NONE + 1; kind < PLANT_UNFAIR; kind++)
        missed += !is_seen((enum plant_kind)kind, sim_run, SEEDS);
    CHECK_INT(missed, 0);
}

TEST(planted_mistakes_in_choices_are_seen)
{
    CHECK(is_seen(PLANT_WAITING_FALSE, sim_choose, CHOICES));
    CHECK(is_seen(PLANT_UNFAIR, sim_choose, CHOICES));
    CHECK(is_seen(PLANT_PRIORITY_IGNORED, sim_choose, CHOICES));
}
