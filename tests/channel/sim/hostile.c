/* Others that break the rules: processes that are attached to a home, and homes that ends here are
 * attached to.  They say what they like: mostly acts and words with numbers that are in use,
 * so that much of it is taken for good, sometimes others, sometimes bytes.  Whoever hears it
 * goes on or ends the call; between the rest nothing changes. */

#include "world.h"

#include <stdlib.h>
#include <string.h>

/* ---- what they are ---- */

static struct sim_channel *
some_channel(struct sim_world *world)
{
    unsigned at = sim_below(world, world->channel_count);

    for (unsigned i = 0; i < world->channel_count; i++, at = (at + 1) % world->channel_count)
        if (world->channels[at].home)
            return &world->channels[at];
    return NULL;
}

static void
add_process(struct sim_world *world)
{
    struct sim_channel *channel = some_channel(world);
    afar__direction side = sim_chance(world, 2) ? AFAR__SENDS : AFAR__RECEIVES;

    if (channel && !channel->finished[side] && world->link_count < SIM_LINKS)
        sim_link_stranger(world, channel, side);
}

/* A home of theirs: some thread has one of its ends. */
static void
add_home(struct sim_world *world)
{
    struct sim_channel *channel = &world->channels[world->channel_count];
    struct sim_thread *thread = &world->threads[sim_below(world, SIM_THREADS)];

    if (world->channel_count == SIM_CHANNELS || thread->state != SIM_READY)
        return;
    *channel = (struct sim_channel){ .number = world->channel_count++,
                                     .node = &world->nodes[SIM_NODES],
                                     .hostile = true };
    channel->node->world = world;
    sim_log(world, "channel %u is a stranger's", channel->number);
    sim_thread_take(thread, channel, sim_chance(world, 2) ? AFAR__SENDS : AFAR__RECEIVES);
}

void
sim_hostile_add(struct sim_world *world)
{
    for (unsigned i = 0; i < world->profile.hostile; i++)
        if (sim_chance(world, 2))
            add_process(world);
        else
            add_home(world);
}

void
sim_hostile_cut(struct sim_world *world)
{
    for (unsigned i = 0; i < world->link_count; i++)
        if (world->links[i].hostile)
            sim_link_cut(&world->links[i]);
}

/* ---- what they say ---- */

/* One of those in use, more or less; the last ones more often. */
static uint64_t
number_near(struct sim_world *world, uint64_t count)
{
    if (sim_chance(world, 40))
        return random_next(&world->random);
    if (sim_chance(world, 3))
        return 1 + sim_below(world, (unsigned)count + 1);
    return count > 2 ? count - sim_below(world, 3) : count;
}

/* One of the process that it says it is. */
static uint64_t
select_in_use(struct sim_world *world, const struct sim_link *link)
{
    for (unsigned i = 0; i < world->node_count; i++)
        if (memcmp(link->process, world->nodes[i].process, sizeof link->process) == 0)
            return number_near(world, world->nodes[i].board.selects);
    return 1;
}

static afar__step
some_act(struct sim_world *world, const struct sim_link *link)
{
    const struct tap *tap = &link->tap;
    afar__step step = { .kind = AFAR__STEP_OFFER };

    switch (sim_below(world, 12)) {
    case 0:
        step.kind = AFAR__STEP_WITHDRAW;
        step.number = number_near(world, tap->heard);
        break;
    case 1:
    case 2:
    case 3:
        step.kind = AFAR__STEP_GRANT;
        step.number = number_near(world, tap->claim_count);
        break;
    case 4:
        step.kind = AFAR__STEP_DENY;
        step.number = number_near(world, tap->claim_count);
        break;
    case 5:
    case 6:
        step.kind = AFAR__STEP_ACK;
        step.count = sim_chance(world, 8) ? random_next(&world->random) : 1;
        break;
    case 7:
        if (sim_chance(world, 8)) {
            step.kind = AFAR__STEP_POISON;
            step.text = "a stranger's";
            break;
        }
        /* fall through */
    default:
        step.select = sim_chance(world, 2) ? sim_below(world, 4) : select_in_use(world, link);
        step.tell = sim_chance(world, 2);
    }
    return step;
}

static afar__step
some_word(struct sim_world *world, const struct tap *tap)
{
    static const afar__step_kind kinds[] = { AFAR__STEP_TAKEN,     AFAR__STEP_MESSAGE,
                                             AFAR__STEP_WAITING,   AFAR__STEP_CLAIM,
                                             AFAR__STEP_CLAIM,     AFAR__STEP_RELEASE,
                                             AFAR__STEP_WITHDRAWN, AFAR__STEP_UNKNOWN };
    afar__step step = { .kind = kinds[sim_below(world, sizeof kinds / sizeof kinds[0])] };
    bool claims = step.kind == AFAR__STEP_RELEASE;

    if (sim_chance(world, 60)) {
        step.kind = AFAR__STEP_ENDED;
        step.code = AFAR_ENDED + (afar_code)sim_below(world, 3);
        step.text = "a stranger's";
        return step;
    }
    step.number = number_near(world, claims ? tap->claims_heard : tap->offer_count);
    step.offer = number_near(world, tap->offer_count);
    step.count = sim_chance(world, 20) ? random_next(&world->random) : 1;
    step.ack = sim_chance(world, 2);
    return step;
}

static void
speak(struct sim_world *world, struct sim_link *link)
{
    int to = link->end ? 0 : 1;
    afar__step step;
    uint8_t payload[64] = { 0 };

    if (sim_chance(world, 200)) {
        for (unsigned i = 0; i < sizeof payload; i++)
            payload[i] = (uint8_t)sim_below(world, sim_chance(world, 2) ? 256 : 16);
        sim_link_put_bytes(link, to, payload, sim_below(world, sizeof payload));
        return;
    }
    if (sim_chance(world, 100))
        step = to == 1 ? some_word(world, &link->tap) : some_act(world, link);
    else
        step = to == 1 ? some_act(world, link) : some_word(world, &link->tap);
    sim_link_put_step(link, to, &step, payload, sim_below(world, sizeof payload));
}

void
sim_hostile_speak(struct sim_world *world)
{
    unsigned at = sim_below(world, world->link_count);

    for (unsigned i = 0; i < world->link_count; i++, at = (at + 1) % world->link_count) {
        struct sim_link *link = &world->links[at];

        if (!link->hostile || link->cut || (!link->end && link->left))
            continue;
        speak(world, link);
        return;
    }
}
