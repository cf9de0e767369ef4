/* What is true, and whether what is told agrees with it: the promises of channel.proto. */

#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- messages ---- */

struct sim_message *
sim_message_new(struct sim_world *world, struct sim_channel *channel)
{
    struct sim_message *message = &world->messages[world->message_count];

    if (world->message_count == SIM_MESSAGES)
        abort();
    *message = (struct sim_message){ .number = ++world->message_count,
                                     .size = 4 + sim_below(world, 60),
                                     .channel = channel };
    if (sim_chance(world, world->profile.big))
        message->size = 4 + sim_below(world, sim_chance(world, 8) ? 300000 : 60000);
    return message;
}

/* One sender and one receiver: in order.  A receiver is one guard: if another of the same thread
 * stands as well, the oldest message may wait for that one's answer. */
static void
check_order(struct sim_world *world, struct sim_message *message)
{
    const struct sim_channel *channel = message->channel;

    if (message->stream == 0 || channel->takers > 1 || channel->ways > 1 || channel->mixed ||
        channel->hostile)
        return;
    if (message->number < world->streams[message->stream])
        sim_wrong(world, "message %u was received after message %u", message->number,
                  world->streams[message->stream]);
    world->streams[message->stream] = message->number;
}

static void
count_received(struct sim_world *world, struct sim_message *message)
{
    if (++message->received > 1)
        sim_wrong(world, "message %u was received twice", message->number);
    if (message->outcome == SIM_NOT_TAKEN)
        sim_wrong(world, "message %u was received, and its sender knows that it never will be",
                  message->number);
    if (message->ledger)
        world->ledgers[message->ledger].received++;
}

void
sim_truth_received(struct sim_message *message, struct sim_thread *thread)
{
    struct sim_world *world = thread->node->world;

    message->receiver = thread->number;
    count_received(world, message);
    check_order(world, message);
}

void
sim_truth_leaked(struct sim_world *world, const afar__parcel *parcel)
{
    if (parcel && parcel->message)
        count_received(world, &world->messages[parcel->message - 1]);
}

void
sim_truth_told(struct sim_world *world, struct sim_message *message, enum sim_outcome outcome)
{
    if (outcome == SIM_NOT_TAKEN && message->received)
        sim_wrong(world, "message %u was received, and its sender is told that it was not",
                  message->number);
    message->outcome = outcome;
}

/* ---- ends of channels ---- */

/* The other side finished; a receiver has had all. */
static void
check_ended(struct sim_world *world, const struct sim_end *end)
{
    const struct sim_channel *channel = end->channel;
    afar__direction other = end->side == AFAR__SENDS ? AFAR__RECEIVES : AFAR__SENDS;

    if (channel->ends[other] > 0 || !channel->finished[other])
        sim_wrong(world, "channel %u: end %u is told that it ended, and it did not",
                  channel->number, end->number);
    if (channel->gone[other])
        sim_wrong(world, "channel %u: end %u is told that it ended, and somebody was lost",
                  channel->number, end->number);
    if (end->side == AFAR__RECEIVES && channel->home && afar__home_buffer_count(channel->home) > 0)
        sim_wrong(world, "channel %u: ended before all was taken", channel->number);
}

/* Whether it was told of that channel, or of one that had its name before: what was said to a
 * proxy that was not attached is said when it is. */
static bool
is_name_of(const struct sim_channel *before, const struct sim_channel *channel)
{
    while (before && before != channel)
        before = before->heir;
    return before != NULL;
}

static void
check_poisoned(struct sim_world *world, const struct sim_end *end, const char *text)
{
    unsigned number, channel;

    if (end->channel->strangers)
        return;
    if (!text || sscanf(text, "poison %u of channel %u", &number, &channel) != 2 ||
        channel >= world->channel_count || number >= world->channels[channel].poisons ||
        !is_name_of(&world->channels[channel], end->channel))
        sim_wrong(world, "end %u: poisoned with \"%s\", and nobody did", end->number,
                  text ? text : "");
}

void
sim_truth_over(struct sim_world *world, struct sim_end *end, afar_code code, const char *text)
{
    const struct sim_channel *channel = end->channel;
    afar__direction other = end->side == AFAR__SENDS ? AFAR__RECEIVES : AFAR__SENDS;

    if (channel->hostile)
        return;
    switch ((int)code) {
    case AFAR_ENDED:
        check_ended(world, end);
        break;
    case AFAR_POISONED:
        check_poisoned(world, end, text);
        break;
    case AFAR_LOST:
        if (!end->broken && !channel->gone[other])
            sim_wrong(world, "end %u: lost, and nothing was", end->number);
        break;
    case AFAR_UNKNOWN:
        if (!channel->cut || end->side != AFAR__SENDS)
            sim_wrong(world, "end %u: unknown, and nothing was cut", end->number);
        break;
    case AFAR_UNAVAILABLE:
        if (!end->unreached)
            sim_wrong(world, "end %u: not reached, and it was", end->number);
        break;
    default:
        sim_wrong(world, "end %u: ended with code %d", end->number, (int)code);
    }
}

/* ---- at any time ---- */

void
sim_truth_always(struct sim_world *world)
{
    for (unsigned i = 0; i < world->channel_count; i++) {
        const struct sim_channel *channel = &world->channels[i];

        if (channel->home && afar__home_buffer_count(channel->home) > channel->capacity)
            sim_wrong(world, "channel %u holds %zu, and has room for %u", channel->number,
                      afar__home_buffer_count(channel->home), channel->capacity);
    }
}

/* ---- when nothing moves ---- */

/* Who waits on one channel. */
struct waiting {
    const struct sim_thread *threads[2][SIM_THREADS];
    unsigned count[2];
    bool posts;
};

static void
look_at_guard(struct sim_world *world, const struct sim_wait *wait, unsigned index,
              struct waiting *waiting)
{
    const struct sim_thread *thread = wait->thread;
    const struct sim_end *end = wait->cases[index].hold->end;
    struct waiting *at = &waiting[end->channel->number];
    afar_code code = sim_end_state(end);
    afar__direction other = end->side == AFAR__SENDS ? AFAR__RECEIVES : AFAR__SENDS;

    if (code != AFAR_OK || (end->proxy && !end->link))
        sim_wrong(world, "thread %u waits on channel %u, which is over (code %d)", thread->number,
                  end->channel->number, (int)code);
    else if (end->channel->poisoned || (end->channel->poisons > 0 && !end->channel->cut))
        sim_wrong(world, "thread %u waits on channel %u, which is poisoned", thread->number,
                  end->channel->number);
    else if (end->channel->finished[other] &&
             (end->side == AFAR__SENDS || afar__home_buffer_count(end->channel->home) == 0))
        sim_wrong(world, "thread %u waits on channel %u, where nobody else is", thread->number,
                  end->channel->number);
    if (at->count[end->side] == 0 || at->threads[end->side][at->count[end->side] - 1] != thread)
        at->threads[end->side][at->count[end->side]++] = thread;
}

static void
look_at_thread(struct sim_world *world, const struct sim_thread *thread, struct waiting *waiting)
{
    const struct sim_wait *wait = thread->wait;

    if (thread->state != SIM_WAITING || wait->done)
        return;
    if (wait->stopping)
        sim_wrong(world, "thread %u: time is up, and it still waits", thread->number);
    if (wait->polling)
        sim_wrong(world, "thread %u polls for ever", thread->number);
    for (unsigned i = 0; i < wait->count; i++) {
        if (!wait->cases[i].hold && wait->cases[i].fired && !wait->guards[i].off)
            sim_wrong(world, "thread %u: a guard fired, and it still waits", thread->number);
        if (wait->cases[i].hold && !wait->guards[i].off)
            look_at_guard(world, wait, i, waiting);
    }
}

static bool
could_pair(const struct waiting *at)
{
    if (at->count[0] == 0 || at->count[1] == 0)
        return false;
    return at->count[0] > 1 || at->count[1] > 1 || at->threads[0][0] != at->threads[1][0];
}

static void
look_at_channel(struct sim_world *world, const struct sim_channel *channel,
                const struct waiting *at)
{
    bool senders = at->count[AFAR__SENDS] > 0 || at->posts;
    bool receivers = at->count[AFAR__RECEIVES] > 0;
    size_t count;

    if (!channel->home || channel->hostile)
        return;
    count = afar__home_buffer_count(channel->home);
    if (channel->capacity == 0 && (could_pair(at) || (at->posts && receivers)))
        sim_wrong(world, "channel %u: one sends, one receives, and nothing happens",
                  channel->number);
    if (channel->capacity > 0 && receivers && count > 0)
        sim_wrong(world, "channel %u: one receives, %zu are there, and nothing happens",
                  channel->number, count);
    if (channel->capacity > 0 && senders && count < channel->capacity &&
        !channel->finished[AFAR__RECEIVES])
        sim_wrong(world, "channel %u: one sends, %zu of %u are there, and nothing happens",
                  channel->number, count, channel->capacity);
}

static void
look_at_posts(struct sim_world *world, struct waiting *waiting)
{
    for (unsigned i = 0; i < world->end_count; i++) {
        const struct sim_end *end = &world->ends[i];

        if (end->gone || !end->proxy || afar__proxy_posts(end->proxy).open == 0)
            continue;
        if (sim_end_state(end) != AFAR_OK)
            sim_wrong(world, "end %u is over and has open posts", end->number);
        waiting[end->channel->number].posts = true;
    }
    for (unsigned i = 0; i < SIM_THREADS; i++) {
        const struct sim_thread *thread = &world->threads[i];
        const struct sim_end *end = thread->poster ? thread->poster->end : NULL;

        if (end && thread->state == SIM_WANTS_ROOM &&
            (!end->link || end->link->tap.open_exclusive == 0))
            sim_wrong(world, "thread %u waits for room, and nobody says that there is",
                      thread->number);
    }
}

void
sim_truth_quiet(struct sim_world *world)
{
    struct waiting *waiting = calloc(SIM_CHANNELS, sizeof *waiting);

    if (!waiting)
        abort();
    for (unsigned i = 0; i < SIM_THREADS; i++)
        look_at_thread(world, &world->threads[i], waiting);
    look_at_posts(world, waiting);
    for (unsigned i = 0; i < world->channel_count; i++)
        look_at_channel(world, &world->channels[i], &waiting[i]);
    free(waiting);
}

/* ---- at the end ---- */

/* Nothing of it can have gone astray. */
static bool
is_whole(const struct sim_channel *channel)
{
    return channel->takers > 0 && !channel->cut && !channel->dropped && channel->poisons == 0 &&
           !channel->poisoned && !channel->hostile && !channel->strangers;
}

static void
check_message(struct sim_world *world, const struct sim_message *message)
{
    if (message->channel->hostile)
        return;
    if (message->outcome == SIM_TAKEN && message->received == 0 &&
        (message->channel->capacity == 0 || is_whole(message->channel)))
        sim_wrong(world, "message %u was taken, and never received", message->number);
    if (message->outcome == SIM_UNKNOWN && !message->channel->cut)
        sim_wrong(world, "message %u is unknown, and nothing was cut", message->number);
}

static void
check_ledger(struct sim_world *world, unsigned number)
{
    const struct sim_ledger *ledger = &world->ledgers[number];

    if (!ledger->closed || ledger->posted == 0 || ledger->channel->hostile)
        return;
    if (ledger->received > ledger->taken + ledger->unknown)
        sim_wrong(world, "end %u: %llu posts were received, %llu taken and %llu unknown",
                  number - 1, (unsigned long long)ledger->received,
                  (unsigned long long)ledger->taken, (unsigned long long)ledger->unknown);
    if (ledger->received < ledger->taken &&
        (ledger->channel->capacity == 0 || is_whole(ledger->channel)))
        sim_wrong(world, "end %u: %llu posts were taken, %llu received", number - 1,
                  (unsigned long long)ledger->taken, (unsigned long long)ledger->received);
    if (ledger->unknown > 0 && !ledger->channel->cut)
        sim_wrong(world, "end %u: posts are unknown, and nothing was cut", number - 1);
}

void
sim_truth_end(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->message_count; i++)
        check_message(world, &world->messages[i]);
    for (unsigned i = 0; i <= world->end_count; i++)
        check_ledger(world, i);
    for (unsigned i = 0; i < world->channel_count; i++) {
        const struct sim_channel *channel = &world->channels[i];

        if (!channel->home)
            continue;
        if (channel->ends[0] > 0 || channel->ends[1] > 0)
            sim_wrong(world, "channel %u still has ends", channel->number);
        if (afar__home_offer_count(channel->home, AFAR__SENDS) > 0 ||
            afar__home_offer_count(channel->home, AFAR__RECEIVES) > 0)
            sim_wrong(world, "channel %u still has offers", channel->number);
    }
    for (unsigned i = 0; i < world->end_count; i++)
        if (!world->ends[i].gone)
            sim_wrong(world, "end %u is still there", i);
}
