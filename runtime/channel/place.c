/* Where offers are, and where they go.
 *
 * A home whose channel goes on has, between two calls, no two offers waiting that could be paired: any one to
 * send is of the same select as any one to receive, or of one that is between two rounds, or its seat is
 * stalled or crowded.  So whoever places an offer need look at the other side only.  There is one exception, a pair behind
 * too many offers of one select, which is found when they are fewer. */

#include <stddef.h>
#include <string.h>

#include "runtime/channel/parts.h"

static afar__offers *
queue_of(afar__offer *offer)
{
    if (offer->guard && offer->state == AFAR__OFFER_UNSENT)
        return &offer->guard->proxy->unsent;
    switch (offer->state) {
    case AFAR__OFFER_QUEUED:
        return &offer->home->queues[offer->direction];
    case AFAR__OFFER_PARKED:
        return &offer->seat->parked;
    case AFAR__OFFER_LOOSE:
        return &offer->home->board->loose;
    case AFAR__OFFER_SENT:
        return offer->direction == AFAR__RECEIVES ? &offer->seat->unacknowledged
                                                  : &offer->home->deals;
    default:
        return &offer->home->deals;
    }
}

void
afar__offer_enter(afar__offer *offer, uint8_t state)
{
    offer->state = state;
    afar__offers_append(queue_of(offer), offer);
    if (!offer->home)
        return;
    offer->home->standing[offer->direction]++;
    afar__home_stir(offer->home);
}

/* What the seat knows of where it was. */
static void
leave_seat(afar__offer *offer)
{
    afar__seat *seat = offer->seat;
    afar__bid *bid = afar__bid_of(offer);

    if (seat->parked_last == offer)
        seat->parked_last = NULL;
    if (!bid->back)
        return;
    bid->back = false;
    seat->back--;
    afar__seat_is_due(seat);
}

void
afar__offer_leave(afar__offer *offer)
{
    afar__home *home = offer->home;

    afar__offers_remove(queue_of(offer), offer);
    if (offer->seat)
        leave_seat(offer);
    offer->state = AFAR__OFFER_NONE;
    if (!home)
        return;
    home->standing[offer->direction]--;
    if (home->finished[AFAR__SENDS] || home->finished[AFAR__RECEIVES] || home->gave_up)
        afar__home_is_due(home);
    afar__home_calm(home);
}

static void
enter_before(afar__offers *queue, afar__offer **where, afar__offer *offer, uint8_t state)
{
    offer->state = state;
    afar__offers_insert(queue, where, offer);
    offer->home->standing[offer->direction]++;
    afar__home_stir(offer->home);
}

static afar__offer *
last_of(const afar__offers *offers)
{
    return (afar__offer *)((char *)offers->last - offsetof(afar__offer, next));
}

/* As many of its seat are paired as may be. */
static bool
is_crowded(const afar__offer *offer)
{
    return afar__offer_brings_later(offer) && offer->seat->paired >= AFAR__CHANNEL_CLAIMS;
}

bool
afar__offer_is_same(const afar__offer *a, const afar__offer *b)
{
    uint64_t numbers[2];

    if (a->guard && b->guard)
        return a->guard->select == b->guard->select;
    numbers[0] = a->guard ? a->guard->select->number : ((const afar__bid *)a)->select;
    numbers[1] = b->guard ? b->guard->select->number : ((const afar__bid *)b)->select;
    return numbers[0] != 0 && numbers[0] == numbers[1] &&
           memcmp(afar__offer_process(a), afar__offer_process(b), 16) == 0;
}

/* In front of those that came later; most are found in their order, one behind the other. */
static void
park(afar__offer *offer)
{
    afar__seat *seat = offer->seat;
    afar__offers *parked = &seat->parked;
    afar__offer **where = &parked->first;

    if (parked->first && last_of(parked)->order < offer->order)
        where = parked->last;
    else if (seat->parked_last && seat->parked_last->order < offer->order)
        where = &seat->parked_last->next;
    while (*where && (*where)->order < offer->order)
        where = &(*where)->next;
    enter_before(parked, where, offer, AFAR__OFFER_PARKED);
    seat->parked_last = offer;
}

/* Takes offers out that nobody can have. */
static bool
is_there(afar__offer *offer)
{
    afar__guard *guard = offer->guard;

    if (!guard) {
        if (!offer->seat->stalled && !is_crowded(offer))
            return true;
        afar__offer_leave(offer);
        park(offer);
        return false;
    }
    if (guard->select->state == AFAR__SELECT_OPEN || guard->select->state == AFAR__SELECT_HELD)
        return true;
    afar__offer_leave(offer);
    afar__select_list(guard);
    return false;
}

afar__offer *
afar__home_oldest(afar__home *home, afar__direction side, const afar__offer *than)
{
    unsigned passed = 0;
    afar__offer *next;

    for (afar__offer *offer = home->queues[side].first; offer; offer = next) {
        next = offer->next;
        if (!is_there(offer))
            continue;
        if (!than || !afar__offer_is_same(offer, than))
            return offer;
        if (offer->seat)
            afar__seat_is_due(offer->seat); /* it may have parked others */
        if (passed++ == AFAR__CHANNEL_CASES) {
            home->gave_up = true;
            return NULL;
        }
    }
    return NULL;
}

/* Another that it can be paired with, or itself for the buffer. */
static afar__offer *
find_pair(afar__offer *offer)
{
    afar__home *home = offer->home;
    afar__offer *other;

    if (home->capacity > 0)
        return afar__buffer_has(home, offer->direction) ? offer : NULL;
    other = home->queues[!offer->direction].first;
    if (!other)
        return NULL;
    /* Where some wait on both sides, all are of one select. */
    if (afar__offer_is_same(offer, other) && afar__home_oldest(home, offer->direction, NULL))
        return NULL;
    return afar__home_oldest(home, !offer->direction, offer);
}

static void
wait_for_another(afar__offer *offer, bool again)
{
    afar__offers *queue = &offer->home->queues[offer->direction];
    afar__offer **where = queue->last;

    if (again && queue->first && last_of(queue)->order > offer->order)
        where = &queue->first;
    while (*where && (*where)->order < offer->order)
        where = &(*where)->next;
    enter_before(queue, where, offer, AFAR__OFFER_QUEUED);
}

/* Whether the offer was paired. */
static bool
pair_up(afar__offer *offer)
{
    const afar__home *home = offer->home;
    afar__offer *pair;

    if (home->code[AFAR__SENDS] != AFAR_OK || home->code[AFAR__RECEIVES] != AFAR_OK)
        return false;
    if (offer->seat && (offer->seat->stalled || is_crowded(offer)))
        return false;
    pair = find_pair(offer);
    if (!pair)
        return false;
    if (pair != offer)
        afar__offer_leave(pair);
    afar__deal(offer, pair);
    return true;
}

void
afar__place(afar__offer *offer, bool again)
{
    if (offer->guard) {
        afar__guard_unsure(offer->guard, false);
        if (offer->home->code[offer->direction] != AFAR_OK) {
            afar__select_failed(offer->guard);
            return;
        }
    }
    if (!again)
        offer->order = ++offer->home->arrivals;
    if (pair_up(offer))
        return;
    /* Who it could be paired with may be waiting. */
    if (offer->seat && (offer->seat->stalled ? again : is_crowded(offer) && find_pair(offer)))
        park(offer);
    else
        wait_for_another(offer, again);
    if (offer->seat)
        afar__bid_waits(afar__bid_of(offer));
}

/* Those that were found meanwhile go back to where they were, which is near the front: what was in front
 * of them had been taken, or was of the select that found them.  If the seat is crowded they stay. */
static void
place_found(afar__seat *seat)
{
    afar__offers *queue = &seat->home->queues[seat->direction];
    afar__offer **where = &queue->first;
    afar__offers rest;
    afar__offer *offer, *next;

    afar__offers_init(&rest);
    for (offer = seat->parked.first; offer; offer = next) {
        next = offer->next;
        if (is_crowded(offer))
            continue;
        afar__offer_leave(offer);
        if (!pair_up(offer))
            afar__offers_append(&rest, offer);
    }
    while ((offer = rest.first)) {
        afar__offers_remove(&rest, offer);
        while (*where && (*where)->order < offer->order)
            where = &(*where)->next;
        enter_before(queue, where, offer, AFAR__OFFER_QUEUED);
    }
}

/* Finds a pair for one that stays where it is if there is none: whether it did. */
static bool
pair_queued(afar__offer *offer)
{
    afar__home *home = offer->home;
    afar__offer *pair;

    if (home->code[AFAR__SENDS] != AFAR_OK || home->code[AFAR__RECEIVES] != AFAR_OK)
        return false;
    if (home->capacity > 0)
        pair = afar__buffer_has(home, offer->direction) ? offer : NULL;
    else
        pair = afar__home_oldest(home, !offer->direction, offer);
    if (!pair)
        return false;
    afar__offer_leave(offer);
    if (is_crowded(offer)) {
        park(offer);
        return false;
    }
    if (pair != offer)
        afar__offer_leave(pair);
    afar__deal(offer, pair);
    return true;
}

/* Those that came meanwhile are in the queue, and nobody has looked for a pair for them.  The newest are first
 * among those of the seat. */
static void
place_new(afar__seat *seat)
{
    afar__bid *bid, *oldest = NULL, *newer;

    for (bid = seat->bids; bid && bid->offer.order > seat->stalled_at; bid = bid->next)
        oldest = bid;
    for (bid = oldest; bid; bid = newer) {
        newer = bid->link == &seat->bids
                    ? NULL
                    : (afar__bid *)((char *)bid->link - offsetof(afar__bid, next));
        if (bid->offer.state == AFAR__OFFER_QUEUED)
            pair_queued(&bid->offer);
    }
}

/* All others could not be paired when the seat stalled, and still cannot: who came later and could have one
 * found it, and so it is parked. */
void
afar__place_stalled(afar__seat *seat)
{
    place_found(seat);
    place_new(seat);
}

/* As many as could be paired now.  If somebody waits for whom these are of the wrong select, it may be one of
 * those behind them. */
static bool
has_room(const afar__seat *seat)
{
    if (seat->stalled || seat->over || seat->paired >= AFAR__CHANNEL_CLAIMS)
        return false;
    return seat->paired + seat->back < AFAR__CHANNEL_CLAIMS ||
           (seat->home->queues[!seat->direction].first && seat->back < AFAR__CHANNEL_CASES);
}

/* Its place is near the front, as above.  Where somebody has made so many of one select that it is not, it counts
 * as one that came now: what comes with its grant has no order among those of its seat. */
static void
wait_again(afar__offer *offer)
{
    afar__offers *queue = &offer->home->queues[offer->direction];
    const afar__offer *before = queue->first;

    for (unsigned i = 0; before && before->order < offer->order && i < AFAR__CHANNEL_CASES; i++)
        before = before->next;
    if (before && before->order < offer->order)
        offer->order = ++offer->home->arrivals;
    wait_for_another(offer, true);
    afar__bid_of(offer)->back = true;
    offer->seat->back++;
}

/* The oldest first, and only as many as there is room for: so each costs little, however many are parked.  What
 * is queued again and goes makes room for another. */
void
afar__place_crowded(afar__seat *seat)
{
    afar__offer *offer;

    while ((offer = seat->parked.first) && has_room(seat)) {
        afar__offer_leave(offer);
        if (!pair_up(offer))
            wait_again(offer);
    }
}

/* Who gave up is of the select that the other side begins with, and its own side does, too. */
static bool
pair_missed(afar__home *home, afar__direction side)
{
    afar__offer *first = afar__home_oldest(home, side, NULL);

    return first && pair_queued(first);
}

void
afar__place_missed(afar__home *home)
{
    if (!home->gave_up)
        return;
    home->gave_up = false;
    if (!home->queues[AFAR__SENDS].first || !home->queues[AFAR__RECEIVES].first)
        return;
    if (pair_missed(home, AFAR__SENDS) || pair_missed(home, AFAR__RECEIVES)) {
        home->gave_up = true; /* there may be more */
        afar__home_is_due(home);
    }
}
