/* Selects of threads: what is asked of the board, and what came of it, noted at the moment
 * at which the board says so.  The thread reads it later. */

#include "world.h"

#include <string.h>

/* ---- messages for guards ---- */

/* What goes the same way, from the same hand, arrives in order. */
static unsigned
stream_of(struct sim_world *world, const struct sim_end *end, unsigned *stream, unsigned *way)
{
    unsigned now = end->link ? end->link->number + 1 : 0;

    if (*stream == 0 || *way != now) {
        *stream = ++world->stream_count;
        *way = now;
    }
    return *stream;
}

static struct sim_message *
message_of(struct sim_wait *wait, struct sim_case *at)
{
    struct sim_world *world = wait->thread->node->world;
    struct sim_hold *hold = at->hold;

    if (at->message)
        return at->message;
    if (hold->doubt) {
        at->message = hold->doubt;
        hold->doubt = NULL;
        return at->message;
    }
    at->message = sim_message_new(world, hold->end->channel);
    at->message->stream = wait->lasting
                              ? stream_of(world, hold->end, &at->stream, &at->stream_link)
                              : stream_of(world, hold->end, &hold->stream, &hold->stream_link);
    return at->message;
}

afar__parcel *
sim_wait_pack(struct sim_wait *wait, afar__guard *guard)
{
    struct sim_world *world = wait->thread->node->world;
    struct sim_case *at = &wait->cases[guard - wait->guards];
    struct sim_message *message;

    if (!wait->in_round || wait->done)
        sim_wrong(world, "thread %u: a message is wanted, and there is no round",
                  wait->thread->number);
    if (guard->off || guard->direction != AFAR__SENDS || !at->hold)
        sim_wrong(world, "thread %u: a message is wanted of a guard that has none",
                  wait->thread->number);
    if (!at->hold || sim_chance(world, world->profile.refusals)) {
        at->pack_failed = true;
        return NULL;
    }
    message = message_of(wait, at);
    return sim_parcel_new(world, message->number, message->size);
}

/* ---- what happened ---- */

static void
note_received(struct sim_wait *wait, const struct sim_case *at)
{
    struct sim_world *world = wait->thread->node->world;
    const afar__parcel *parcel = wait->select.parcel;
    struct sim_message *message;

    if (!parcel) {
        sim_wrong(world, "thread %u received nothing", wait->thread->number);
        return;
    }
    if (parcel->message == 0) {
        if (!at->hold->end->channel->hostile && !at->hold->end->channel->strangers)
            sim_wrong(world, "thread %u received what nobody sent", wait->thread->number);
        return;
    }
    message = &world->messages[parcel->message - 1];
    if (message->channel != at->hold->end->channel && !at->hold->end->channel->hostile)
        sim_wrong(world, "message %u came out of another channel", message->number);
    sim_truth_received(message, wait->thread);
}

static void
note_guard(struct sim_wait *wait, struct sim_case *at, const afar__guard *guard)
{
    struct sim_world *world = wait->thread->node->world;
    afar_code code = wait->select.code;

    if (guard->off)
        sim_wrong(world, "thread %u: a guard happened that is off", wait->thread->number);
    if (!at->hold) {
        if (!at->fired || code != AFAR_OK)
            sim_wrong(world, "thread %u: something happened that did not", wait->thread->number);
        return;
    }
    if (code == AFAR_OK && guard->direction == AFAR__RECEIVES)
        note_received(wait, at);
    else if (code == AFAR_OK && !at->message)
        sim_wrong(world, "thread %u sent what was never asked for", wait->thread->number);
    else if (code == AFAR_OK)
        sim_truth_told(world, at->message, SIM_TAKEN);
    else if (code == AFAR_RESOURCE_EXHAUSTED && !at->pack_failed)
        sim_wrong(world, "thread %u: there was enough of everything", wait->thread->number);
    else if (code != AFAR_RESOURCE_EXHAUSTED)
        sim_truth_over(world, at->hold->end, code, wait->select.text);
    if (code == AFAR_UNKNOWN && at->message)
        sim_truth_told(world, at->message, SIM_UNKNOWN);
}

static void
count(struct sim_counts *counts, const struct sim_wait *wait)
{
    const afar__guard *happened = wait->select.happened;

    switch ((int)wait->select.code) {
    case AFAR_ENDED:
        counts->ended++;
        break;
    case AFAR_POISONED:
        counts->poisoned++;
        break;
    case AFAR_LOST:
        counts->lost++;
        break;
    case AFAR_UNKNOWN:
        counts->unknown++;
        break;
    case AFAR_RESOURCE_EXHAUSTED:
        counts->refused++;
        break;
    default:
        if (!happened)
            counts->nothing++;
        else if (!happened->home && !happened->proxy)
            counts->other++;
        else
            *(happened->direction == AFAR__SENDS ? &counts->sent : &counts->received) += 1;
    }
}

/* What did not happen never will. */
static void
note_others(struct sim_wait *wait)
{
    struct sim_world *world = wait->thread->node->world;

    for (unsigned i = 0; i < wait->count; i++) {
        struct sim_message *message = wait->cases[i].message;

        if (message && message->outcome == SIM_OPEN)
            sim_truth_told(world, message, SIM_NOT_TAKEN);
    }
}

void
sim_wait_done(struct sim_wait *wait)
{
    struct sim_world *world = wait->thread->node->world;
    const afar__guard *happened = wait->select.happened;

    if (!wait->in_round || wait->done)
        sim_wrong(world, "thread %u: done, and nothing was begun", wait->thread->number);
    wait->done = true;
    sim_log(world, "thread %u: done, guard %d, code %d, message %u", wait->thread->number,
            happened ? (int)(happened - wait->guards) : -1, (int)wait->select.code,
            wait->select.parcel ? wait->select.parcel->message : 0);
    if (happened)
        note_guard(wait, &wait->cases[happened - wait->guards], happened);
    else if (!wait->polling && !wait->stopping)
        sim_wrong(world, "thread %u: over, and time was not up", wait->thread->number);
    if (wait->select.parcel && (!happened || happened->direction == AFAR__SENDS))
        sim_wrong(world, "thread %u has a message and did not receive", wait->thread->number);
    note_others(wait);
    count(&world->counts, wait);
}

int
sim_wait_read(struct sim_wait *wait, afar_code *ret_code)
{
    struct sim_world *world = wait->thread->node->world;
    const afar__guard *happened = wait->select.happened;
    int index = happened ? (int)(happened - wait->guards) : -1;
    const struct sim_message *message = index < 0 ? NULL : wait->cases[index].message;

    *ret_code = wait->select.code;
    if (message && *ret_code == AFAR_OK && message->channel->capacity == 0 &&
        message->received == 0 && !message->channel->hostile)
        sim_wrong(world, "message %u was taken, and nobody has it", message->number);
    if (message && *ret_code == AFAR_UNKNOWN && plant_now(&world->plant, PLANT_IN_DOUBT_AGAIN, 1))
        wait->cases[index].hold->doubt = wait->cases[index].message;
    sim_parcel_drop(wait->select.parcel);
    wait->select.parcel = NULL;
    afar__select_next(&wait->select);
    wait->in_round = wait->done = wait->stopping = false;
    return index;
}

/* ---- what is asked ---- */

void
sim_wait_open(struct sim_wait *wait, bool by_priority)
{
    struct sim_node *node = wait->thread->node;

    for (unsigned i = 0; i < wait->count; i++) {
        struct sim_hold *hold = wait->cases[i].hold;
        bool off = wait->guards[i].off;

        wait->guards[i] = (afar__guard){ .off = off };
        wait->cases[i] = (struct sim_case){ .hold = hold };
        if (!hold)
            continue;
        wait->guards[i].direction = hold->end->side;
        if (hold->end->proxy)
            wait->guards[i].proxy = hold->end->proxy;
        else
            wait->guards[i].home = hold->end->channel->home;
    }
    memset(&wait->select, 0, sizeof wait->select);
    wait->open = true;
    wait->in_round = wait->done = wait->stopping = wait->polling = false;
    afar__select_open(&wait->select, &node->board, wait->guards, wait->count, by_priority, wait);
}

/* Whether some guard of a select that stands is on that end. */
static bool
stands_for(const struct sim_wait *wait, const struct sim_hold *hold, unsigned but)
{
    for (unsigned i = 0; wait->open && i < wait->count; i++)
        if (i != but && wait->cases[i].hold == hold)
            return true;
    return false;
}

/* The thread receives in two ways from one end: it may choose the later message. */
static void
note_mixed(struct sim_wait *wait, unsigned index)
{
    const struct sim_wait *other = &wait->thread->waits[wait->lasting ? 1 : 0];
    const struct sim_hold *hold = wait->cases[index].hold;

    if (stands_for(other, hold, SIM_GUARDS) || stands_for(wait, hold, index))
        hold->end->channel->mixed = true;
}

void
sim_wait_begin(struct sim_wait *wait, bool poll)
{
    struct sim_world *world = wait->thread->node->world;

    for (unsigned i = 0; i < wait->count; i++) {
        struct sim_case *at = &wait->cases[i];

        if (at->hold)
            note_mixed(wait, i);
        at->message = NULL;
        at->fired = at->fired_ahead;
        at->fired_ahead = at->pack_failed = false;
        sim_log(world, "thread %u at node %u: begins%s%s, guard %u: %s channel %d%s",
                wait->thread->number, wait->thread->node->index, poll ? " poll" : "",
                wait->select.by_priority ? " by priority" : "", i,
                !at->hold                                  ? "other"
                : wait->guards[i].direction == AFAR__SENDS ? "send"
                                                           : "receive",
                at->hold ? (int)at->hold->end->channel->number : -1,
                wait->guards[i].off ? " off" : "");
    }
    wait->in_round = true;
    wait->done = wait->stopping = false;
    wait->polling = poll;
    wait->thread->wait = wait;
    wait->thread->state = SIM_WAITING;
    if (afar__select_begin(&wait->select, poll))
        sim_wait_done(wait);
}

void
sim_wait_stop(struct sim_wait *wait)
{
    sim_log(wait->thread->node->world, "thread %u: time is up", wait->thread->number);
    wait->stopping = true;
    if (afar__select_stop(&wait->select))
        sim_wait_done(wait);
}

static bool
is_unreached(const afar__proxy *proxy)
{
    const char *text;

    return afar__proxy_state(proxy, &text) == AFAR_UNAVAILABLE;
}

void
sim_wait_give_up(struct sim_wait *wait)
{
    struct sim_world *world = wait->thread->node->world;
    afar__proxy *proxy;
    afar__seat *seat;

    sim_log(world, "thread %u gives up", wait->thread->number);
    world->counts.given_up++;
    if (!afar__select_give_up(&wait->select, &proxy, &seat))
        sim_wrong(world, "thread %u: time is up, and nothing holds it", wait->thread->number);
    else if (proxy)
        sim_link_give_up(((struct sim_end *)afar__proxy_user(proxy))->link, 0);
    else
        sim_link_give_up(afar__seat_user(seat), 1);
    if (!wait->done)
        sim_wrong(world, "thread %u gave up, and still waits", wait->thread->number);
    else if (wait->select.code == AFAR_OK && !(proxy && is_unreached(proxy)))
        sim_wrong(world, "thread %u gave up, and hears of no loss", wait->thread->number);
}

void
sim_wait_fire(struct sim_wait *wait, unsigned index)
{
    sim_log(wait->thread->node->world, "thread %u: guard %u fires", wait->thread->number, index);
    if (wait->in_round)
        wait->cases[index].fired = true;
    else
        wait->cases[index].fired_ahead = true;
    if (afar__select_fire(&wait->select, &wait->guards[index]))
        sim_wait_done(wait);
}

void
sim_wait_close(struct sim_wait *wait)
{
    afar__select_close(&wait->select);
    wait->open = false;
}
