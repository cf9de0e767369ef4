/* Threads: programs that do something random, one thing after the other. */

#include "world.h"

#include <stdio.h>
#include <string.h>

static struct sim_world *
world_of(const struct sim_thread *thread)
{
    return thread->node->world;
}

/* ---- what it holds ---- */

struct sim_thread *
sim_thread_new(struct sim_node *node)
{
    struct sim_world *world = node->world;

    for (unsigned i = 0; i < SIM_THREADS; i++) {
        struct sim_thread *thread = &world->threads[i];

        if (thread->state != SIM_NOBODY)
            continue;
        memset(thread, 0, sizeof *thread);
        thread->node = node;
        thread->number = ++world->thread_numbers;
        thread->state = SIM_READY;
        thread->waits[0].thread = thread->waits[1].thread = thread;
        thread->waits[0].lasting = true;
        return thread;
    }
    return NULL;
}

bool
sim_thread_take(struct sim_thread *thread, struct sim_channel *channel, afar__direction side)
{
    struct sim_hold *room = NULL;
    struct sim_end *end;

    for (unsigned i = 0; i < SIM_HOLDS; i++) {
        struct sim_hold *hold = &thread->holds[i];

        if (hold->end && hold->end->channel == channel && hold->end->side == side)
            return false;
        if (!hold->end && !room)
            room = hold;
    }
    end = room ? sim_end_get(thread->node, channel, side) : NULL;
    if (!end)
        return false;
    *room = (struct sim_hold){ .end = end };
    if (side == AFAR__RECEIVES)
        channel->takers++;
    sim_log(world_of(thread), "thread %u at node %u takes end %u: %s of channel %u", thread->number,
            thread->node->index, end->number, side == AFAR__SENDS ? "sender" : "receiver",
            channel->number);
    return true;
}

static bool
is_in_use(const struct sim_thread *thread, const struct sim_hold *hold)
{
    for (unsigned i = 0; i < 2; i++)
        for (unsigned j = 0; thread->waits[i].open && j < thread->waits[i].count; j++)
            if (thread->waits[i].cases[j].hold == hold)
                return true;
    return false;
}

static void
give_back(struct sim_thread *thread, struct sim_hold *hold)
{
    if (is_in_use(thread, hold))
        sim_wait_close(&thread->waits[0]);
    sim_log(world_of(thread), "thread %u gives end %u back", thread->number, hold->end->number);
    sim_end_put(hold->end);
    hold->end = NULL;
}

static struct sim_hold *
some_hold(struct sim_thread *thread)
{
    unsigned at = sim_below(world_of(thread), SIM_HOLDS);

    for (unsigned i = 0; i < SIM_HOLDS; i++, at = (at + 1) % SIM_HOLDS)
        if (thread->holds[at].end)
            return &thread->holds[at];
    return NULL;
}

/* ---- selects ---- */

static void
begin_plain(struct sim_thread *thread, struct sim_hold *hold)
{
    struct sim_wait *wait = &thread->waits[1];

    wait->count = 1;
    wait->cases[0].hold = hold;
    wait->guards[0].off = false;
    wait->drains = world_of(thread)->draining;
    sim_wait_open(wait, sim_chance(world_of(thread), 8));
    sim_wait_begin(wait, sim_chance(world_of(thread), 6));
}

static bool
is_there_twice(const struct sim_wait *wait, unsigned index)
{
    for (unsigned i = 0; i < index; i++)
        if (wait->cases[i].hold == wait->cases[index].hold)
            return true;
    return false;
}

static void
begin_select(struct sim_thread *thread, struct sim_wait *wait)
{
    struct sim_world *world = world_of(thread);

    wait->count = 1 + sim_below(world, sim_chance(world, 4) ? SIM_GUARDS : 4);
    for (unsigned i = 0; i < wait->count; i++) {
        wait->cases[i].hold = sim_chance(world, 6) ? NULL : some_hold(thread);
        if (is_there_twice(wait, i) && !sim_chance(world, 4))
            wait->cases[i].hold = NULL;
        wait->guards[i].off = sim_chance(world, 8);
    }
    wait->drains = false;
    wait->rounds = 1 + sim_below(world, 20);
    sim_wait_open(wait, sim_chance(world, 3));
    sim_wait_begin(wait, sim_chance(world, 6));
}

/* To send on one channel or to receive on another: two of these, at two homes, need both. */
static bool
begin_crossing(struct sim_thread *thread)
{
    struct sim_wait *wait = &thread->waits[1];

    wait->count = 0;
    for (unsigned tries = 0; tries < 16 && wait->count < 2; tries++) {
        struct sim_hold *hold = some_hold(thread);

        if (hold->end->side == (wait->count ? AFAR__RECEIVES : AFAR__SENDS) &&
            (wait->count == 0 || hold->end->channel != wait->cases[0].hold->end->channel)) {
            wait->guards[wait->count].off = false;
            wait->cases[wait->count++].hold = hold;
        }
    }
    if (wait->count < 2)
        return false;
    wait->drains = false;
    sim_wait_open(wait, false);
    sim_wait_begin(wait, false);
    return true;
}

/* Between two rounds. */
static void
switch_guards(struct sim_wait *wait)
{
    struct sim_world *world = world_of(wait->thread);
    unsigned index = sim_below(world, wait->count);

    if (sim_chance(world, 4))
        afar__select_switch(&wait->guards[index], wait->guards[index].off);
    index = sim_below(world, wait->count);
    if (!wait->cases[index].hold && !wait->cases[index].fired_ahead && sim_chance(world, 4))
        sim_wait_fire(wait, index);
}

static void
next_round(struct sim_wait *wait)
{
    struct sim_world *world = world_of(wait->thread);

    if (wait->rounds == 0 || sim_chance(world, 40)) {
        sim_wait_close(wait);
        return;
    }
    wait->rounds--;
    switch_guards(wait);
    sim_wait_begin(wait, sim_chance(world, 8));
}

/* ---- an end whose channel is over ---- */

/* Who has the name now. */
static struct sim_channel *
heir_of(struct sim_channel *channel)
{
    while (!channel->home && channel->heir)
        channel = channel->heir;
    return channel->home ? channel : NULL;
}

/* A proxy that was lost is attached anew. */
static bool
attach_again(struct sim_thread *thread, struct sim_hold *hold)
{
    struct sim_world *world = world_of(thread);
    struct sim_end *end = hold->end;
    struct sim_channel *channel = heir_of(end->channel);

    if (!end->proxy || end->link || end->over || !channel || channel->node == end->node ||
        channel->finished[end->side] || channel->hostile != end->channel->hostile ||
        world->link_count == SIM_LINKS ||
        (sim_end_state(end) != AFAR_LOST && sim_end_state(end) != AFAR_UNAVAILABLE))
        return false;
    sim_log(world, "thread %u attaches end %u again", thread->number, end->number);
    if (end->side == AFAR__RECEIVES)
        channel->takers++;
    end->channel = channel;
    channel->ends[end->side]++;
    return sim_link_new(end);
}

static void
end_is_over(struct sim_thread *thread, struct sim_hold *hold)
{
    if (!hold->end || sim_chance(world_of(thread), 8))
        return;
    if ((hold->doubt || sim_chance(world_of(thread), 2)) && attach_again(thread, hold))
        return;
    give_back(thread, hold);
}

/* ---- reading what came of a wait ---- */

static void
read_result(struct sim_thread *thread)
{
    struct sim_wait *wait = thread->wait;
    afar_code code;
    int index = sim_wait_read(wait, &code);
    struct sim_hold *hold = index < 0 ? NULL : wait->cases[index].hold;

    thread->wait = NULL;
    thread->state = SIM_READY;
    if (!wait->lasting)
        sim_wait_close(wait);
    if (!hold || code == AFAR_OK || code == AFAR_RESOURCE_EXHAUSTED)
        return;
    if (wait->lasting && sim_chance(world_of(thread), 2))
        afar__select_switch(&wait->guards[index], false);
    else if (!world_of(thread)->draining)
        end_is_over(thread, hold);
}

/* ---- posts ---- */

static bool
post_at_home(struct sim_thread *thread, struct sim_hold *hold)
{
    struct sim_world *world = world_of(thread);
    struct sim_channel *channel = hold->end->channel;
    struct sim_message *message;
    afar__parcel *parcel;

    if (channel->capacity == 0)
        return false;
    message = sim_message_new(world, channel);
    parcel = sim_parcel_new(world, message->number, message->size);
    message->outcome = SIM_TAKEN;
    if (afar__home_post(channel->home, parcel)) {
        world->counts.posted++;
        sim_log(world, "thread %u posts message %u at the home", thread->number, message->number);
        return true;
    }
    sim_parcel_drop(parcel);
    message->outcome = SIM_NOT_TAKEN;
    return true;
}

static bool
post(struct sim_thread *thread, struct sim_hold *hold)
{
    struct sim_world *world = world_of(thread);
    struct sim_end *end = hold->end;
    struct sim_message *message;
    afar__parcel *parcel;

    if (end->side != AFAR__SENDS || hold->doubt)
        return false;
    if (!end->proxy)
        return post_at_home(thread, hold);
    message = sim_message_new(world, end->channel);
    message->ledger = end->ledger;
    message->outcome = SIM_POSTED;
    if (!hold->stream || hold->stream_link != (end->link ? end->link->number + 1 : 0)) {
        hold->stream = ++world->stream_count;
        hold->stream_link = end->link ? end->link->number + 1 : 0;
    }
    message->stream = hold->stream;
    parcel = sim_parcel_new(world, message->number, message->size);
    end->room = false;
    if (afar__proxy_post(end->proxy, parcel)) {
        world->ledgers[end->ledger].posted++;
        world->counts.posted++;
        sim_log(world, "thread %u posts message %u", thread->number, message->number);
        return true;
    }
    sim_parcel_drop(parcel);
    message->outcome = SIM_NOT_TAKEN;
    if (sim_end_state(end) != AFAR_OK)
        return true;
    sim_log(world, "thread %u waits for room", thread->number);
    thread->poster = hold;
    thread->state = SIM_WANTS_ROOM;
    return true;
}

/* Whether what a poster waits for has come. */
static bool
has_room(const struct sim_thread *thread)
{
    const struct sim_end *end = thread->poster->end;

    if (thread->state == SIM_FLUSHES)
        return afar__proxy_posts(end->proxy).open == 0;
    return end->room || sim_end_state(end) != AFAR_OK;
}

/* ---- others ---- */

static bool
share(struct sim_thread *thread, const struct sim_hold *hold)
{
    struct sim_world *world = world_of(thread);
    struct sim_thread *to = &world->threads[sim_below(world, SIM_THREADS)];
    struct sim_end *end = hold->end;

    if (to == thread || to->state != SIM_READY || !end->channel->home ||
        (end->proxy && sim_end_state(end) != AFAR_OK) ||
        (world->profile.one_receiver && end->side == AFAR__RECEIVES))
        return false;
    return sim_thread_take(to, end->channel, end->side);
}

static void
poison(struct sim_thread *thread, const struct sim_hold *hold)
{
    struct sim_world *world = world_of(thread);
    struct sim_end *end = hold->end;
    char text[64];

    if (end->proxy && !end->link)
        return;
    snprintf(text, sizeof text, "poison %u of channel %u", end->channel->poisons++,
             end->channel->number);
    sim_log(world, "thread %u says \"%s\"", thread->number, text);
    if (end->proxy) {
        afar__proxy_poison(end->proxy, text);
    } else {
        end->channel->poisoned = true;
        afar__home_poison(end->channel->home, text);
    }
}

/* ---- a step ---- */

/* Sends what is left to others: gives all senders back, and receives until the end. */
static bool
drain(struct sim_thread *thread)
{
    struct sim_hold *receives = NULL;

    if (thread->waits[0].open)
        sim_wait_close(&thread->waits[0]);
    for (unsigned i = 0; i < SIM_HOLDS; i++) {
        struct sim_hold *hold = &thread->holds[i];
        const struct sim_end *end = hold->end;
        bool over = end && sim_end_state(end) != AFAR_OK;

        if (end && (end->side == AFAR__SENDS || over))
            give_back(thread, hold);
        else if (end)
            receives = hold;
    }
    if (!receives) {
        thread->state = SIM_RESTS;
        return true;
    }
    begin_plain(thread, some_hold(thread));
    return true;
}

static bool
act(struct sim_thread *thread)
{
    struct sim_world *world = world_of(thread);
    struct sim_hold *hold = some_hold(thread);
    struct sim_wait *lasting = &thread->waits[0];

    if (!hold)
        return false;
    if (world->profile.mesh && !sim_chance(world, 4))
        return begin_crossing(thread);
    if (lasting->open && !sim_chance(world, 4)) {
        next_round(lasting);
        return true;
    }
    if (hold->end->side == AFAR__SENDS && sim_chance(world, world->profile.posts))
        return post(thread, hold);
    if (sim_chance(world, world->profile.poisons)) {
        poison(thread, hold);
        return true;
    }
    switch (sim_below(world, 16)) {
    case 0:
        return share(thread, hold);
    case 1:
        if (sim_chance(world, 4))
            give_back(thread, hold);
        return true;
    case 2:
        if (!hold->end->proxy || afar__proxy_posts(hold->end->proxy).open == 0)
            return false;
        thread->poster = hold;
        thread->state = SIM_FLUSHES;
        return true;
    case 3:
    case 4:
    case 5:
        if (!lasting->open) {
            begin_select(thread, lasting);
            return true;
        }
        break;
    case 6:
    case 7:
        begin_select(thread, &thread->waits[1]);
        return true;
    default:
        break;
    }
    begin_plain(thread, hold);
    return true;
}

bool
sim_thread_step(struct sim_thread *thread)
{
    struct sim_world *world = world_of(thread);

    if (thread->still)
        return false;
    switch (thread->state) {
    case SIM_WAITING:
        if (!thread->wait->done)
            return false;
        read_result(thread);
        return true;
    case SIM_WANTS_ROOM:
    case SIM_FLUSHES:
        if (!has_room(thread))
            return false;
        thread->state = SIM_READY;
        return true;
    case SIM_READY:
        if (world->settling)
            return false;
        return world->draining ? drain(thread) : act(thread);
    default:
        return false;
    }
}

void
sim_thread_disturb(struct sim_thread *thread)
{
    struct sim_world *world = world_of(thread);
    struct sim_wait *wait = thread->wait;
    unsigned index;

    if (thread->state != SIM_WAITING || wait->done)
        return;
    index = sim_below(world, wait->count);
    if (!wait->cases[index].hold && !wait->guards[index].off && !wait->cases[index].fired &&
        sim_chance(world, 2))
        sim_wait_fire(wait, index);
    else if (!wait->stopping)
        sim_wait_stop(wait);
    else if (sim_chance(world, world->profile.gives_up))
        sim_wait_give_up(wait);
}

void
sim_thread_end(struct sim_thread *thread)
{
    if (thread->state == SIM_WAITING || thread->state == SIM_NOBODY)
        return;
    for (unsigned i = 0; i < 2; i++)
        if (thread->waits[i].open)
            sim_wait_close(&thread->waits[i]);
    for (unsigned i = 0; i < SIM_HOLDS; i++)
        if (thread->holds[i].end)
            give_back(thread, &thread->holds[i]);
    thread->state = SIM_NOBODY;
}
