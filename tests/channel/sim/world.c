/* One run.  Chaos and quiet take turns: in chaos all do as they like, while letters are late, links
 * are cut and processes die; then nobody begins anything, all that is under way arrives, and
 * what can happen must have happened.  At the end either all that was sent is received, or
 * all is given up; then nothing may be left. */

#include "world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define ROUNDS_MAX 20000 /* until all is quiet */

void
sim_wrong(struct sim_world *world, const char *format, ...)
{
    va_list list;

    if (world->wrong[0])
        return;
    va_start(list, format);
    vsnprintf(world->wrong, sizeof world->wrong, format, list);
    va_end(list);
    sim_log(world, "WRONG: %s", world->wrong);
}

void
sim_log(struct sim_world *world, const char *format, ...)
{
    va_list list;

    if (!world->log)
        return;
    va_start(list, format);
    vfprintf(world->log, format, list);
    va_end(list);
    fputc('\n', world->log);
}

unsigned
sim_below(struct sim_world *world, unsigned limit)
{
    return limit ? (unsigned)random_below(&world->random, limit) : 0;
}

bool
sim_chance(struct sim_world *world, unsigned one_in)
{
    return one_in > 0 && sim_below(world, one_in) == 0;
}

/* ---- the beginning ---- */

static struct sim_node *
some_node(struct sim_world *world)
{
    return &world->nodes[sim_below(world, world->node_count)];
}

static void
choose_profile(struct sim_world *world)
{
    struct sim_profile *profile = &world->profile;

    profile->network = 1 + sim_below(world, 20);
    profile->patience = 1 + sim_below(world, 8);
    profile->cuts = sim_chance(world, 3) ? 20 + sim_below(world, 400) : 0;
    profile->deaths = sim_chance(world, 4) ? 100 + sim_below(world, 800) : 0;
    profile->poisons = sim_chance(world, 4) ? 10 + sim_below(world, 200) : 0;
    profile->posts = sim_chance(world, 2) ? 2 + sim_below(world, 8) : 0;
    profile->stalls = sim_chance(world, 4) ? 10 + sim_below(world, 100) : 0;
    profile->refusals = sim_chance(world, 8) ? 20 : 0;
    profile->big = sim_chance(world, 8) ? 4 : 0;
    profile->one_receiver = sim_chance(world, 3);
    profile->mesh = sim_chance(world, 3);
    if (profile->mesh) {
        profile->network = 1 + sim_below(world, 4);
        profile->one_receiver = false;
    }
    profile->gather = sim_chance(world, 2);
    profile->gives_up = sim_chance(world, 3) ? 1 + sim_below(world, 3) : 0;
}

/* Nobody had room for one of its ends. */
static void
finish_unused(struct sim_channel *channel, afar__direction side)
{
    if (channel->ends[side] > 0)
        return;
    channel->ends[side] = 1;
    sim_channel_less(channel, side, false);
}

/* Who has which end at first. */
static void
share_out(struct sim_world *world, struct sim_channel *channel, afar__direction side)
{
    bool one = side == AFAR__RECEIVES && world->profile.one_receiver;
    unsigned count = one ? 1 : 1 + sim_below(world, 3);

    for (unsigned i = 0; i < SIM_THREADS && world->profile.mesh; i++)
        if (world->threads[i].state != SIM_NOBODY)
            sim_thread_take(&world->threads[i], channel, side);
    while (count-- > 0 && !world->profile.mesh) {
        unsigned at = sim_below(world, SIM_THREADS);

        while (world->threads[at].state == SIM_NOBODY)
            at = (at + 1) % SIM_THREADS;
        sim_thread_take(&world->threads[at], channel, side);
    }
    finish_unused(channel, side);
}

static void
start(struct sim_world *world)
{
    unsigned channels, threads;

    choose_profile(world);
    channels = world->profile.mesh ? 2 + sim_below(world, 2) : 1 + sim_below(world, 5);
    threads = 2 + sim_below(world, world->profile.mesh ? 3 : 9);
    world->node_count = 1 + sim_below(world, SIM_NODES);
    for (unsigned i = 0; i < world->node_count; i++)
        sim_node_start(world, i);
    while (threads-- > 0)
        sim_thread_new(some_node(world));
    while (channels-- > 0) {
        struct sim_channel *channel = sim_channel_new(
            world, some_node(world), sim_chance(world, 2) ? 0 : 1 + sim_below(world, 6));

        share_out(world, channel, AFAR__SENDS);
        share_out(world, channel, AFAR__RECEIVES);
    }
}

/* ---- life goes on ---- */

/* A process that died comes back: its channels are others, of the same names. */
static void
revive(struct sim_world *world, unsigned index)
{
    struct sim_node *node = &world->nodes[index];
    struct sim_thread *thread;

    sim_node_start(world, index);
    thread = sim_thread_new(node);
    for (unsigned i = 0; thread && i < world->channel_count; i++) {
        struct sim_channel *channel = &world->channels[i];

        if (channel->home || channel->heir || channel->node != node ||
            world->channel_count == SIM_CHANNELS)
            continue;
        channel->heir = sim_channel_new(world, node, channel->capacity);
        sim_thread_take(thread, channel->heir, AFAR__SENDS);
        sim_thread_take(thread, channel->heir, AFAR__RECEIVES);
        finish_unused(channel->heir, AFAR__SENDS);
        finish_unused(channel->heir, AFAR__RECEIVES);
    }
}

/* Any, or one on which something is on its way to the process. */
static struct sim_link *
some_link(struct sim_world *world, bool busy)
{
    unsigned at = sim_below(world, world->link_count);

    for (unsigned i = 0; busy && i < world->link_count && !world->links[at].to[0].first; i++)
        at = (at + 1) % world->link_count;
    return &world->links[at];
}

static void
harm(struct sim_world *world)
{
    struct sim_link *link;

    if (world->link_count > 0 && sim_chance(world, world->profile.cuts)) {
        link = some_link(world, sim_chance(world, 2));
        if (!link->left || link->end)
            sim_link_cut(link);
    }
    if (sim_chance(world, world->profile.deaths)) {
        struct sim_node *node = some_node(world);

        if (node->alive)
            sim_node_kill(node);
        else
            revive(world, node->index);
    }
    if (world->link_count > 0 && sim_chance(world, world->profile.stalls)) {
        link = some_link(world, false);
        if (link->seat) {
            link->stalled = !link->stalled;
            sim_log(world, "link %u %s", link->number, link->stalled ? "stalls" : "goes on");
            afar__seat_stall(link->seat, link->stalled);
        }
    }
}

/* One thing happens on a link; false if nothing can. */
static bool
move_link(struct sim_world *world, struct sim_link *link)
{
    int to = (int)sim_below(world, 2);

    if (sim_chance(world, 4))
        link->to[0].sealed = link->to[1].sealed = true;
    return sim_link_deliver(link, to) || sim_link_deliver(link, 1 - to) ||
           sim_link_notice(link, to) || sim_link_notice(link, 1 - to) || sim_link_end(link);
}

static void
move_network(struct sim_world *world)
{
    for (unsigned tries = 0; tries < 4 && world->link_count > 0; tries++)
        if (move_link(world, some_link(world, false)))
            return;
}

static void
settle_some_end(struct sim_world *world)
{
    if (world->end_count > 0)
        sim_end_settle(&world->ends[sim_below(world, world->end_count)]);
}

/* One that lives, if there is one. */
static struct sim_thread *
some_thread(struct sim_world *world)
{
    unsigned at = sim_below(world, SIM_THREADS);

    for (unsigned i = 0; i < SIM_THREADS && world->threads[at].state == SIM_NOBODY; i++)
        at = (at + 1) % SIM_THREADS;
    return &world->threads[at];
}

static void
chaos(struct sim_world *world)
{
    unsigned steps = 100 + sim_below(world, sim_chance(world, 8) ? 12000 : 3000);

    while (steps-- > 0 && !world->wrong[0] && world->message_count + 100 < SIM_MESSAGES) {
        struct sim_thread *thread = some_thread(world);
        unsigned what = sim_below(world, 10 + world->profile.network);

        world->counts.steps++;
        if (what >= 10)
            move_network(world);
        else if (what > 1 && thread->state != SIM_NOBODY)
            sim_thread_step(thread);
        else if (what == 1)
            settle_some_end(world);
        else if (thread->state == SIM_WAITING && sim_chance(world, world->profile.patience))
            sim_thread_disturb(thread);
        harm(world);
        if (sim_chance(world, world->profile.hostile))
            sim_hostile_speak(world);
        sim_truth_always(world);
    }
}

/* ---- quiet ---- */

static bool
move_all(struct sim_world *world)
{
    unsigned first = sim_below(world, world->link_count);
    bool moved = false;

    for (unsigned i = 0; i < world->link_count; i++) {
        struct sim_link *link = &world->links[(first + i) % world->link_count];

        if (link->stalled) {
            link->stalled = false;
            sim_log(world, "link %u goes on", link->number);
            if (link->seat)
                afar__seat_stall(link->seat, false);
            moved = true;
        }
        if (!sim_chance(world, 3))
            moved |= move_link(world, link);
        else
            moved |= !sim_link_is_quiet(link);
    }
    for (unsigned i = 0; i < SIM_THREADS; i++)
        if (world->threads[i].state != SIM_NOBODY)
            moved |= sim_thread_step(&world->threads[i]);
    for (unsigned i = 0; i < world->end_count; i++)
        moved |= sim_end_settle(&world->ends[i]);
    return moved;
}

/* Until nothing moves any more. */
static void
settle(struct sim_world *world)
{
    unsigned quiet = 0;

    for (unsigned i = 0; quiet < 8 && !world->wrong[0]; i++) {
        quiet = move_all(world) ? 0 : quiet + 1;
        world->counts.steps++;
        sim_truth_always(world);
        if (i == ROUNDS_MAX)
            sim_wrong(world, "it never gets quiet");
    }
}

void
sim_settle(struct sim_world *world)
{
    world->settling = !world->draining;
    sim_log(world, "---- quiet");
    settle(world);
    if (!world->wrong[0])
        sim_truth_quiet(world);
    world->settling = false;
}

/* ---- the end ---- */

/* Time is up for all who wait, but for those who receive what is left. */
static void
stop_all(struct sim_world *world)
{
    for (unsigned i = 0; i < SIM_THREADS; i++) {
        struct sim_thread *thread = &world->threads[i];

        if (thread->state == SIM_FLUSHES || thread->state == SIM_WANTS_ROOM)
            thread->state = SIM_READY;
        if (thread->state == SIM_WAITING && !thread->wait->done && !thread->wait->stopping &&
            !(thread->wait->drains && world->draining))
            sim_wait_stop(thread->wait);
    }
}

/* Strangers say no more and stay.  Time is up for all, and what is answered by others arrives: nobody is held by
 * those who keep their answers back for longer than he likes. */
static void
outlast_strangers(struct sim_world *world)
{
    sim_log(world, "---- strangers are silent");
    world->settling = true;
    settle(world);
    stop_all(world);
    settle(world);
    for (unsigned i = 0; i < SIM_THREADS && !world->wrong[0]; i++) {
        const struct sim_thread *thread = &world->threads[i];

        if (thread->state == SIM_WAITING && !thread->wait->done)
            sim_wait_give_up(thread->wait);
    }
    world->settling = false;
}

/* Senders finish, receivers get what is left and hear that it ended. */
static void
drain_all(struct sim_world *world)
{
    world->draining = true;
    sim_settle(world);
    for (unsigned round = 0; round < 4 && !world->wrong[0]; round++) {
        stop_all(world);
        sim_settle(world);
    }
    for (unsigned i = 0; i < SIM_THREADS && !world->wrong[0]; i++)
        if (world->threads[i].state == SIM_WAITING)
            sim_wrong(world, "thread %u waits, and all have finished", world->threads[i].number);
}

static void
give_up(struct sim_world *world)
{
    world->draining = false;
    stop_all(world);
    sim_settle(world);
    for (unsigned i = 0; i < SIM_THREADS && !world->wrong[0]; i++)
        sim_thread_end(&world->threads[i]);
    sim_settle(world);
}

/* All memory, whatever happened. */
static void
clear(struct sim_world *world)
{
    for (unsigned i = 0; i < world->node_count; i++)
        if (world->nodes[i].alive)
            sim_node_kill(&world->nodes[i]);
    for (unsigned i = 0; i < world->link_count; i++)
        sim_link_clear(&world->links[i]);
    world->plant.holding = false;
    plant_clear(&world->plant);
    if (world->parcels > 0)
        sim_wrong(world, "%llu parcels were not dropped", (unsigned long long)world->parcels);
    free(world->messages);
    free(world->streams);
}

static void
add_counts(struct sim_counts *counts, const struct sim_counts *more)
{
    uint64_t *to = (uint64_t *)counts;
    const uint64_t *from = (const uint64_t *)more;

    for (size_t i = 0; i < sizeof *counts / sizeof *to; i++)
        to[i] += from[i];
}

struct sim_world *
sim_world_new(uint64_t seed, enum plant_kind plant, FILE *log)
{
    struct sim_world *world = calloc(1, sizeof *world);

    if (!world)
        abort();
    world->seed = seed;
    world->random.state = (seed + 1) * 0x9e3779b97f4a7c15u;
    for (unsigned i = 0; i < 8; i++)
        random_next(&world->random);
    world->messages = malloc(SIM_MESSAGES * sizeof *world->messages);
    world->streams = calloc(SIM_MESSAGES + 1, sizeof *world->streams);
    if (!world->messages || !world->streams)
        abort();
    world->plant = (struct plant){ .kind = plant, .random = &world->random };
    world->log = log;
    return world;
}

bool
sim_world_end(struct sim_world *world, struct sim_counts *counts, char ret_wrong[SIM_TEXT])
{
    bool right;

    if (!world->wrong[0])
        give_up(world);
    if (!world->wrong[0])
        sim_truth_end(world);
    clear(world);
    memcpy(ret_wrong, world->wrong, SIM_TEXT);
    right = !world->wrong[0];
    world->counts.links = world->link_count;
    world->counts.planted = world->plant.planted;
    if (counts)
        add_counts(counts, &world->counts);
    free(world);
    return right;
}

static bool
run(struct sim_world *world, struct sim_counts *counts, char ret_wrong[SIM_TEXT])
{
    unsigned phases = 1 + sim_below(world, 3);

    while (phases-- > 0 && !world->wrong[0]) {
        sim_hostile_add(world);
        chaos(world);
        if (world->profile.hostile && sim_chance(world, 2))
            outlast_strangers(world);
        sim_hostile_cut(world);
        sim_settle(world);
    }
    if (!sim_chance(world, 4) && !world->wrong[0])
        drain_all(world);
    return sim_world_end(world, counts, ret_wrong);
}

bool
sim_run(uint64_t seed, enum plant_kind plant, FILE *log, struct sim_counts *counts,
        char ret_wrong[SIM_TEXT])
{
    struct sim_world *world = sim_world_new(seed, plant, log);

    start(world);
    return run(world, counts, ret_wrong);
}

bool
sim_run_hostile(uint64_t seed, enum plant_kind plant, FILE *log, struct sim_counts *counts,
                char ret_wrong[SIM_TEXT])
{
    struct sim_world *world = sim_world_new(seed, plant, log);

    start(world);
    world->profile.hostile = 1 + sim_below(world, 4);
    return run(world, counts, ret_wrong);
}
