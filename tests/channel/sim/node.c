/* Processes: what a board's owner does.  It notes what is to be said, counts the ends of a
 * channel, and gives everything back, at once when the process dies. */

#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- parcels ---- */

afar__parcel *
sim_parcel_new(struct sim_world *world, uint32_t message, unsigned size)
{
    afar__parcel *parcel = malloc(sizeof *parcel);

    if (!parcel)
        abort();
    *parcel = (afar__parcel){ .world = world, .message = message, .size = size };
    world->parcels++;
    return parcel;
}

void
sim_parcel_drop(afar__parcel *parcel)
{
    if (!parcel)
        return;
    parcel->world->parcels--;
    free(parcel);
}

/* ---- the board's ---- */

static void
put_act(void *arg, afar__proxy *proxy, afar__step *step)
{
    struct sim_node *node = arg;
    struct sim_end *end = afar__proxy_user(proxy);

    if (!end->link && !node->muted)
        sim_wrong(node->world, "end %u says something, and is not attached", end->number);
    if (node->muted || !end->link)
        sim_parcel_drop(step->parcel);
    else
        sim_link_put_act(end->link, step);
    step->parcel = NULL;
}

static void
put_word(void *arg, afar__seat *seat, afar__step *step)
{
    struct sim_node *node = arg;

    if (node->muted)
        sim_parcel_drop(step->parcel);
    else
        sim_link_put_word(afar__seat_user(seat), step);
    step->parcel = NULL;
}

static void
note_done(void *arg, afar__select *select)
{
    struct sim_node *node = arg;

    if (!node->muted)
        sim_wait_done(select->user);
}

static afar__parcel *
pack(void *arg, afar__guard *guard)
{
    struct sim_node *node = arg;

    if (node->muted)
        return NULL;
    return sim_wait_pack(guard->select->user, guard);
}

static size_t
count_bytes(void *arg, const afar__parcel *parcel)
{
    (void)arg;
    return parcel->size;
}

static void
drop(void *arg, afar__parcel *parcel)
{
    (void)arg;
    sim_parcel_drop(parcel);
}

static void
note_posted(void *arg, afar__proxy *proxy)
{
    struct sim_end *end = afar__proxy_user(proxy);

    (void)arg;
    end->room = true;
}

static const afar__board_ops ops = { .act = put_act,
                                     .word = put_word,
                                     .done = note_done,
                                     .pack = pack,
                                     .bytes = count_bytes,
                                     .drop = drop,
                                     .posted = note_posted };

/* ---- channels ---- */

struct sim_channel *
sim_channel_new(struct sim_world *world, struct sim_node *node, unsigned capacity)
{
    struct sim_channel *channel = &world->channels[world->channel_count];

    channel->number = world->channel_count++;
    channel->node = node;
    channel->capacity = capacity;
    channel->home = afar__home_new(&node->board, plant_capacity(&world->plant, capacity));
    if (!channel->home)
        abort();
    sim_log(world, "channel %u at node %u, %s %u", channel->number, node->index,
            capacity ? "buffered" : "rendezvous", capacity);
    return channel;
}

/* The last receiver goes: is there something left for it? */
static bool
drops_something(const struct sim_channel *channel)
{
    return !channel->finished[AFAR__SENDS] || afar__home_buffer_count(channel->home) > 0 ||
           afar__home_offer_count(channel->home, AFAR__SENDS) > 0;
}

void
sim_channel_less(struct sim_channel *channel, afar__direction side, bool lost)
{
    struct sim_world *world = channel->node->world;

    if (channel->ends[side] == 0)
        sim_wrong(world, "channel %u: more ends go than there are", channel->number);
    channel->ends[side]--;
    channel->lost[side] |= lost;
    if (channel->finished[side] ||
        (channel->ends[side] > 0 &&
         (channel->ends[side] > 1 || !plant_now(&world->plant, PLANT_END_FORGOTTEN, 2))))
        return;
    if (side == AFAR__RECEIVES)
        channel->dropped |= drops_something(channel);
    channel->finished[side] = true;
    sim_log(world, "channel %u: no %s any more%s", channel->number,
            side == AFAR__SENDS ? "sender" : "receiver", channel->lost[side] ? ", lost" : "");
    afar__home_finish(channel->home, side, channel->lost[side]);
}

/* ---- ends ---- */

static struct sim_end *
find_end(struct sim_node *node, const struct sim_channel *channel, afar__direction side)
{
    struct sim_world *world = node->world;

    for (unsigned i = 0; i < world->end_count; i++) {
        struct sim_end *end = &world->ends[i];

        if (!end->gone && !end->closing && end->node == node && end->channel == channel &&
            end->side == side && (!end->proxy || end->link))
            return end;
    }
    return NULL;
}

static struct sim_end *
new_end(struct sim_node *node, struct sim_channel *channel, afar__direction side)
{
    struct sim_world *world = node->world;
    struct sim_end *end = &world->ends[world->end_count];

    if ((!channel->home && !channel->hostile) || channel->finished[side] ||
        world->end_count == SIM_ENDS || world->link_count == SIM_LINKS)
        return NULL;
    *end = (struct sim_end){
        .number = world->end_count++, .node = node, .channel = channel, .side = side
    };
    end->ledger = end->number + 1;
    world->ledgers[end->ledger] = (struct sim_ledger){ .channel = channel };
    channel->ends[side]++;
    if (channel->node == node)
        return end;
    end->proxy = afar__proxy_new(&node->board, side, end);
    if (!end->proxy)
        abort();
    sim_link_new(end);
    return end;
}

struct sim_end *
sim_end_get(struct sim_node *node, struct sim_channel *channel, afar__direction side)
{
    struct sim_end *end = find_end(node, channel, side);

    if (!end)
        end = new_end(node, channel, side);
    if (end)
        end->holders++;
    return end;
}

afar_code
sim_end_state(const struct sim_end *end)
{
    const char *text;

    return end->proxy ? afar__proxy_state(end->proxy, &text)
                      : afar__home_state(end->channel->home, end->side, &text);
}

void
sim_end_put(struct sim_end *end)
{
    if (--end->holders == 0)
        end->closing = true;
}

void
sim_end_count_posts(struct sim_end *end)
{
    struct sim_ledger *ledger = &end->node->world->ledgers[end->ledger];
    afar__posts posts = afar__proxy_posts(end->proxy);

    if (posts.open + posts.refused + posts.unknown > ledger->posted)
        sim_wrong(end->node->world, "end %u: more posts than were made", end->number);
    ledger->unknown = posts.unknown;
    ledger->taken = ledger->posted - posts.open - posts.refused - posts.unknown;
}

static void
end_gone(struct sim_end *end)
{
    struct sim_world *world = end->node->world;

    sim_end_count_posts(end);
    world->ledgers[end->ledger].closed = true;
    if (afar__proxy_posts(end->proxy).open > 0)
        sim_wrong(world, "end %u goes with open posts", end->number);
    afar__proxy_free(end->proxy);
    end->proxy = NULL;
    end->gone = true;
}

bool
sim_end_settle(struct sim_end *end)
{
    struct sim_world *world = end->node->world;

    if (end->gone || !end->closing)
        return false;
    if (!end->proxy) {
        end->gone = true;
        sim_log(world, "end %u at the home goes", end->number);
        sim_channel_less(end->channel, end->side, false);
        return true;
    }
    if (afar__proxy_busy(end->proxy))
        return false;
    sim_log(world, "end %u goes", end->number);
    if (end->link) {
        sim_link_half_close(end->link);
        end->link->end = NULL;
        end->link = NULL;
        afar__proxy_lost(end->proxy, AFAR_CANCELLED, "given back");
    }
    end_gone(end);
    return true;
}

/* ---- life and death ---- */

void
sim_node_start(struct sim_world *world, unsigned index)
{
    struct sim_node *node = &world->nodes[index];

    *node = (struct sim_node){ .world = world, .index = index, .alive = true };
    for (unsigned i = 0; i < sizeof node->process; i++)
        node->process[i] = (uint8_t)sim_below(world, sim_chance(world, 2) ? 256 : 2);
    node->process[15] = (uint8_t)++world->processes;
    afar__board_init(&node->board, &ops, node, node->process);
    sim_log(world, "node %u starts", index);
}

static void
drop_wait(struct sim_wait *wait)
{
    struct sim_world *world = wait->thread->node->world;

    if (!wait->open)
        return;
    if (wait->in_round && !wait->done && !afar__select_stop(&wait->select) &&
        wait->select.parcel == NULL && !plant_is_on(&world->plant))
        sim_log(world, "a select of a dying process is not stopped at once");
    sim_parcel_drop(wait->select.parcel);
    wait->select.parcel = NULL;
    afar__select_next(&wait->select);
    afar__select_close(&wait->select);
    wait->open = false;
}

/* What others of this process have at homes elsewhere, and others elsewhere at its homes. */
static void
break_links(struct sim_node *node)
{
    struct sim_world *world = node->world;

    for (unsigned i = 0; i < world->link_count; i++) {
        struct sim_link *link = &world->links[i];

        if (link->nodes[0] != node && link->nodes[1] != node)
            continue;
        sim_link_cut(link);
        link->channel->cut = true;
        if (link->nodes[0] == node) {
            link->noticed[0] = true;
            if (link->end) {
                afar__proxy_lost(link->end->proxy, AFAR_LOST, "dies");
                link->end->link = NULL;
                link->end = NULL;
            }
        }
        if (link->nodes[1] == node) {
            link->noticed[1] = true;
            if (link->seat)
                afar__seat_leave(link->seat);
            link->seat = NULL;
            link->left = true;
        }
    }
}

/* One that heard nothing of a cut, by a planted mistake, has no link any more. */
static void
lose_proxies(struct sim_node *node)
{
    struct sim_world *world = node->world;

    for (unsigned i = 0; i < world->end_count; i++) {
        struct sim_end *end = &world->ends[i];

        if (!end->gone && end->node == node && end->proxy)
            afar__proxy_lost(end->proxy, AFAR_LOST, "dies");
    }
}

static void
drop_threads(struct sim_node *node)
{
    for (unsigned i = 0; i < SIM_THREADS; i++) {
        struct sim_thread *thread = &node->world->threads[i];

        if (thread->state == SIM_NOBODY || thread->node != node)
            continue;
        drop_wait(&thread->waits[0]);
        drop_wait(&thread->waits[1]);
        thread->state = SIM_NOBODY;
    }
}

static void
drop_ends(struct sim_node *node)
{
    struct sim_world *world = node->world;

    for (unsigned i = 0; i < world->end_count; i++) {
        struct sim_end *end = &world->ends[i];

        if (end->gone || end->node != node)
            continue;
        if (end->proxy)
            afar__proxy_free(end->proxy);
        end->proxy = NULL;
        end->gone = true;
    }
    for (unsigned i = 0; i < world->channel_count; i++) {
        struct sim_channel *channel = &world->channels[i];

        if (channel->node != node || !channel->home)
            continue;
        afar__home_free(channel->home);
        channel->home = NULL;
        channel->cut = true;
    }
}

void
sim_node_kill(struct sim_node *node)
{
    sim_log(node->world, "node %u dies", node->index);
    node->muted = true;
    break_links(node);
    lose_proxies(node);
    drop_threads(node);
    drop_ends(node);
    node->alive = false;
}
