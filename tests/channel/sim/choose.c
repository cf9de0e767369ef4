/* What a select chooses.  One thread has a lasting select over some channels; each of them has a
 * thread at its other side, which is ready or not.  The network is quiet when a round begins, so
 * the select has to choose among those that are ready: by priority the first of them, else
 * each in its turn; and a poll finds nothing only if none is. */

#include "world.h"

#define CHANNELS 4
#define ROUNDS 60       /* by priority */
#define FAIR_ROUNDS 300 /* where chance has a say */

struct scene {
    struct sim_world *world;
    afar__direction side; /* of the one that selects */
    unsigned count;
    bool by_priority;
    struct sim_thread *chooser;
    struct sim_thread *others[CHANNELS];
    unsigned all_ready, chosen[CHANNELS]; /* rounds in which all were */
};

static struct sim_thread *
still_thread(struct sim_world *world)
{
    struct sim_thread *thread = sim_thread_new(&world->nodes[sim_below(world, world->node_count)]);

    thread->still = true;
    return thread;
}

static void
set_up(struct scene *scene)
{
    struct sim_world *world = scene->world;
    afar__direction other = scene->side == AFAR__SENDS ? AFAR__RECEIVES : AFAR__SENDS;
    struct sim_wait *wait;

    world->node_count = 1 + sim_below(world, SIM_NODES);
    for (unsigned i = 0; i < world->node_count; i++)
        sim_node_start(world, i);
    scene->chooser = still_thread(world);
    wait = &scene->chooser->waits[0];
    for (unsigned i = 0; i < scene->count; i++) {
        struct sim_channel *channel =
            sim_channel_new(world, &world->nodes[sim_below(world, world->node_count)],
                            sim_chance(world, 2) ? 0 : 1 + sim_below(world, 3));

        scene->others[i] = still_thread(world);
        sim_thread_take(scene->others[i], channel, other);
        sim_thread_take(scene->chooser, channel, scene->side);
        wait->cases[i].hold = &scene->chooser->holds[i];
        wait->guards[i].off = false;
    }
    wait->count = scene->count;
    sim_wait_open(wait,
                  plant_now(&world->plant, PLANT_UNFAIR, 1) ||
                      (scene->by_priority && !plant_now(&world->plant, PLANT_PRIORITY_IGNORED, 1)));
}

/* The other side of a channel offers, if it does not yet. */
static void
offer(struct sim_thread *thread)
{
    struct sim_wait *wait = &thread->waits[1];
    afar_code code;

    if (thread->state == SIM_WAITING && wait->done) {
        sim_wait_read(wait, &code);
        sim_wait_close(wait);
        thread->state = SIM_READY;
    }
    if (thread->state == SIM_WAITING)
        return;
    wait->count = 1;
    wait->cases[0].hold = &thread->holds[0];
    wait->guards[0].off = false;
    sim_wait_open(wait, false);
    sim_wait_begin(wait, false);
}

static bool
is_ready(const struct scene *scene, unsigned index)
{
    const struct sim_thread *other = scene->others[index];
    const struct sim_channel *channel = other->holds[0].end->channel;

    if (channel->capacity == 0)
        return other->state == SIM_WAITING && !other->wait->done;
    if (scene->side == AFAR__RECEIVES)
        return afar__home_buffer_count(channel->home) > 0;
    return afar__home_buffer_count(channel->home) < channel->capacity;
}

static void
check_choice(struct scene *scene, const bool ready[CHANNELS], unsigned ready_count, int index)
{
    unsigned first = 0;

    while (first < scene->count && !ready[first])
        first++;
    if (index < 0 && ready_count > 0)
        sim_wrong(scene->world, "%u channels are ready, and a poll found nothing", ready_count);
    if (index >= 0 && !ready[index])
        sim_wrong(scene->world, "channel %d was chosen, and was not ready", index);
    if (index >= 0 && scene->by_priority && (unsigned)index != first)
        sim_wrong(scene->world, "channel %d was chosen, and %u was ready", index, first);
    if (index >= 0 && ready_count == scene->count) {
        scene->all_ready++;
        scene->chosen[index]++;
    }
}

static void
choose(struct scene *scene)
{
    struct sim_world *world = scene->world;
    struct sim_wait *wait = &scene->chooser->waits[0];
    bool ready[CHANNELS] = { false };
    unsigned ready_count = 0;
    afar_code code;

    for (unsigned i = 0; i < scene->count; i++)
        if (!scene->by_priority || sim_chance(world, 2))
            offer(scene->others[i]);
    sim_settle(world);
    for (unsigned i = 0; i < scene->count; i++)
        ready_count += ready[i] = is_ready(scene, i);
    sim_wait_begin(wait, ready_count == 0 || sim_chance(world, 2));
    sim_settle(world);
    if (!wait->done) {
        sim_wrong(world, "%u channels are ready, and none is chosen", ready_count);
        return;
    }
    check_choice(scene, ready, ready_count, sim_wait_read(wait, &code));
    scene->chooser->state = SIM_READY;
}

/* In a long run, neither of two that are always ready is chosen less than a third of the time; of
 * more, none less than half of its share. */
static void
check_turns(const struct scene *scene)
{
    unsigned part = scene->count == 2 ? 3 : 2 * scene->count;

    if (scene->by_priority || scene->all_ready < FAIR_ROUNDS)
        return;
    for (unsigned i = 0; i < scene->count; i++)
        if (scene->chosen[i] * part < scene->all_ready)
            sim_wrong(scene->world, "channel %u was chosen %u times of %u, among %u", i,
                      scene->chosen[i], scene->all_ready, scene->count);
}

bool
sim_choose(uint64_t seed, enum plant_kind plant, FILE *log, struct sim_counts *counts,
           char ret_wrong[SIM_TEXT])
{
    struct sim_world *world = sim_world_new(seed, plant, log);
    struct scene scene = { .world = world };

    scene.by_priority = sim_chance(world, 2);
    scene.side = sim_chance(world, 2) ? AFAR__RECEIVES : AFAR__SENDS;
    scene.count = 2 + sim_below(world, CHANNELS - 1);
    set_up(&scene);
    for (unsigned round = 0; round < (scene.by_priority ? ROUNDS : FAIR_ROUNDS) && !world->wrong[0];
         round++)
        choose(&scene);
    check_turns(&scene);
    for (unsigned i = 0; i < SIM_THREADS; i++)
        world->threads[i].still = false;
    return sim_world_end(world, counts, ret_wrong);
}
