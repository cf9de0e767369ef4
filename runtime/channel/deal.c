/* Deals: an offer to send and one to receive, on their way to a message that is handed over.
 *
 *     paired -> asked -> held    each of the two; the one of the lower select first, the other when
 *                                that is held
 *     both held: the message goes to the receiver.  In this process that is all.  In another, the
 *     receiver must say that it arrived before the sender is told: sent -> gone
 *
 * Exclusive offers are held from the start.  In a buffered channel an offer is paired with itself, and a room or
 * a message is reserved while it is asked.  Until a message is sent a deal falls apart when
 * one of both goes: the other is loose, and is placed anew. */

#include <string.h>

#include "runtime/channel/parts.h"

static void
drop_parcel(afar__bid *bid)
{
    const afar__board *board = bid->offer.home->board;

    if (bid->parcel)
        board->ops->drop(board->arg, bid->parcel);
    bid->parcel = NULL;
}

/* ---- falling apart ---- */

static void
loosen(afar__offer *offer)
{
    afar__guard *guard = offer->guard;
    afar__bid *bid = afar__bid_of(offer);

    if (offer->state == AFAR__OFFER_ASKED) {
        if (!guard)
            return; /* its answer will come */
        afar__select_unlist(guard);
    } else if (offer->state == AFAR__OFFER_HELD && guard) {
        afar__select_reopen(guard->select);
    } else if (offer->state == AFAR__OFFER_HELD && bid->select != 0) {
        drop_parcel(bid);
        afar__seat_say(offer->seat, AFAR__STEP_RELEASE, bid->by_claim.number);
    }
    if (!guard)
        afar__bid_parted(bid);
    if (offer->state != AFAR__OFFER_NONE)
        afar__offer_leave(offer);
    afar__offer_enter(offer, AFAR__OFFER_LOOSE);
}

static void
part(afar__offer *offer)
{
    afar__offer *pair = offer->pair;

    offer->pair = NULL;
    if (pair == offer) {
        offer->home->reserved[offer->direction]--;
        afar__home_is_due(offer->home);
    } else if (pair) {
        pair->pair = NULL;
        if (pair->state != AFAR__OFFER_SENT)
            loosen(pair);
    }
}

void
afar__offer_gone(afar__offer *offer)
{
    part(offer);
    if (offer->state != AFAR__OFFER_NONE)
        afar__offer_leave(offer);
    if (offer->guard)
        afar__guard_unsure(offer->guard, false);
}

void
afar__offer_loosen(afar__offer *offer)
{
    part(offer);
    loosen(offer);
}

/* ---- the message ---- */

/* The message of an offer to send: false if it cannot be had, which ends the round of its select. */
static bool
take_message(afar__offer *sends, afar__parcel **ret_parcel)
{
    const afar__board *board = sends->home->board;
    afar__guard *guard = sends->guard;

    if (!guard) {
        *ret_parcel = afar__bid_of(sends)->parcel;
        afar__bid_of(sends)->parcel = NULL;
        return true;
    }
    *ret_parcel = board->ops->pack(board->arg, guard);
    if (*ret_parcel)
        return true;
    if (sends->state == AFAR__OFFER_NONE)
        part(sends);
    else
        afar__offer_gone(sends);
    afar__select_done(guard->select, guard, AFAR_RESOURCE_EXHAUSTED, "no memory for the message");
    return false;
}

/* Its offer happened: the sender is told. */
static void
taken(afar__offer *sends)
{
    afar__guard *guard = sends->guard;

    sends->pair = NULL;
    if (!guard) {
        afar__step step = { .kind = AFAR__STEP_TAKEN, .count = 1 };

        step.number = afar__bid_of(sends)->by_number.number;
        sends->home->board->ops->word(sends->home->board->arg, sends->seat, &step);
        afar__bid_free(afar__bid_of(sends));
        return;
    }
    if (sends->state != AFAR__OFFER_NONE)
        afar__offer_leave(sends);
    afar__guard_unsure(guard, false);
    afar__select_done(guard->select, guard, AFAR_OK, NULL);
}

static void
say_message(afar__offer *receives, afar__parcel *parcel, bool ack)
{
    const afar__board *board = receives->home->board;
    afar__step step = { .kind = AFAR__STEP_MESSAGE, .ack = ack, .parcel = parcel };

    step.number = afar__bid_of(receives)->by_number.number;
    step.bytes = parcel ? board->ops->bytes(board->arg, parcel) : 0;
    board->ops->word(board->arg, receives->seat, &step);
}

static void
receive_here(afar__offer *receives, afar__parcel *parcel)
{
    afar__guard *guard = receives->guard;

    receives->pair = NULL;
    if (receives->state != AFAR__OFFER_NONE)
        afar__offer_leave(receives);
    afar__guard_unsure(guard, false);
    guard->select->parcel = parcel;
    afar__select_done(guard->select, guard, AFAR_OK, NULL);
}

static void
await_arrival(afar__offer *offer)
{
    if (offer->state != AFAR__OFFER_NONE)
        afar__offer_leave(offer);
    afar__offer_enter(offer, AFAR__OFFER_SENT);
    if (offer->seat) {
        offer->seat->busy++;
    } else {
        offer->guard->select->state = AFAR__SELECT_HELD;
        offer->guard->select->held_by = offer;
    }
}

/* Both are held, or can be. */
static void
commit(afar__offer *sends, afar__offer *receives)
{
    afar__parcel *parcel;

    sends->pair = receives;
    receives->pair = sends;
    if (!take_message(sends, &parcel))
        return;
    if (receives->guard) {
        receive_here(receives, parcel);
        taken(sends);
        return;
    }
    say_message(receives, parcel, true);
    await_arrival(receives);
    await_arrival(sends);
}

/* The same for an offer that the buffer serves. */
static void
commit_with_buffer(afar__offer *offer)
{
    afar__home *home = offer->home;
    afar__parcel *parcel;

    if (offer->direction == AFAR__SENDS) {
        if (!take_message(offer, &parcel))
            return;
        afar__buffer_push(home, parcel);
    } else {
        parcel = afar__buffer_pop(home);
    }
    if (offer->pair)
        home->reserved[offer->direction]--;
    offer->pair = NULL;
    if (home->queues[!offer->direction].first || home->finished[AFAR__SENDS])
        afar__home_is_due(home);
    if (offer->direction == AFAR__SENDS) {
        taken(offer);
    } else if (offer->guard) {
        receive_here(offer, parcel);
    } else {
        say_message(offer, parcel, false);
        afar__bid_free(afar__bid_of(offer));
    }
}

/* ---- claims ---- */

static uint64_t
number_of(afar__offer *offer)
{
    return offer->guard ? afar__select_number(offer->guard->select) : afar__bid_of(offer)->select;
}

static bool
is_lower(afar__offer *a, afar__offer *b)
{
    int order = memcmp(afar__offer_process(a), afar__offer_process(b), 16);

    return order < 0 || (order == 0 && number_of(a) < number_of(b));
}

/* Which of a pair is claimed first: one that is granted in advance, or the lower. */
static afar__offer *
first_of(afar__offer *offer)
{
    if (afar__offer_is_exclusive(offer->pair))
        return offer->pair;
    if (afar__offer_is_exclusive(offer) || is_lower(offer, offer->pair))
        return offer;
    return offer->pair;
}

static void
claim(afar__bid *bid)
{
    afar__seat *seat = bid->offer.seat;
    afar__step step = { .kind = AFAR__STEP_CLAIM, .offer = bid->by_number.number };

    step.number = ++seat->claims;
    afar__numbers_add(&seat->by_claim, &bid->by_claim, step.number);
    bid->offer.state = AFAR__OFFER_ASKED;
    bid->tell = false;
    seat->home->board->ops->word(seat->home->board->arg, seat, &step);
}

/* Whether the offer is held; if not, an answer will come, or it has gone. */
static bool
ask(afar__offer *offer)
{
    afar__guard *guard = offer->guard;

    if (offer->state != AFAR__OFFER_PAIRED)
        return offer->state == AFAR__OFFER_HELD;
    if (!guard) {
        if (!afar__offer_is_exclusive(offer)) {
            claim(afar__bid_of(offer));
            return false;
        }
        offer->state = AFAR__OFFER_HELD;
        return true;
    }
    switch (afar__select_answer(guard)) {
    case AFAR__NOW:
        offer->state = AFAR__OFFER_HELD;
        guard->select->state = AFAR__SELECT_HELD;
        guard->select->held_by = offer;
        return true;
    case AFAR__LATER:
        offer->state = AFAR__OFFER_ASKED;
        afar__select_want(guard, false);
        return false;
    default:
        afar__offer_gone(offer);
        afar__select_list(guard);
        return false;
    }
}

static void
go_on(afar__offer *offer)
{
    afar__offer *first, *second;

    if (offer->pair == offer) {
        if (ask(offer))
            commit_with_buffer(offer);
        return;
    }
    first = first_of(offer);
    second = first->pair;
    if (!ask(first) || !ask(second))
        return;
    if (first->direction == AFAR__SENDS)
        commit(first, second);
    else
        commit(second, first);
}

static bool
is_free(const afar__offer *offer)
{
    if (offer->guard)
        return afar__select_answer(offer->guard) == AFAR__NOW;
    return afar__offer_is_exclusive(offer);
}

static void
enter(afar__offer *offer)
{
    afar__offer_enter(offer, AFAR__OFFER_PAIRED);
    if (offer->guard)
        afar__guard_unsure(offer->guard, true);
    else
        afar__bid_paired(afar__bid_of(offer));
}

/* What asked to be told at once is, if the other of the pair is claimed first. */
static void
tell(afar__offer *offer)
{
    afar__bid *bid = afar__bid_of(offer);

    if (offer->state == AFAR__OFFER_PAIRED && !bid->patient)
        afar__bid_waits(bid);
}

void
afar__deal(afar__offer *offer, afar__offer *pair)
{
    afar__offer *sends = offer->direction == AFAR__SENDS ? offer : pair;
    bool asks, pair_asks;

    if (is_free(offer) && (pair == offer || is_free(pair))) {
        if (pair == offer)
            commit_with_buffer(offer);
        else
            commit(sends, sends == offer ? pair : offer);
        return;
    }
    /* What must be claimed does not go before it was. */
    asks = offer->seat && !afar__offer_is_exclusive(offer);
    pair_asks = pair->seat && !afar__offer_is_exclusive(pair);
    offer->pair = pair;
    pair->pair = offer;
    enter(offer);
    if (pair == offer)
        offer->home->reserved[offer->direction]++;
    else
        enter(pair);
    go_on(offer);
    if (asks)
        tell(offer);
    if (pair_asks)
        tell(pair);
}

void
afar__deal_granted(afar__offer *offer)
{
    offer->state = AFAR__OFFER_HELD;
    if (offer->guard) {
        offer->guard->select->state = AFAR__SELECT_HELD;
        offer->guard->select->held_by = offer;
    }
    if (offer->pair)
        go_on(offer);
    else
        loosen(offer);
}

/* ---- after the message was sent ---- */

static afar__offer *
close_deal(afar__offer *receives)
{
    afar__offer *sends = receives->pair;

    receives->pair = NULL;
    if (sends)
        sends->pair = NULL;
    afar__bid_free(afar__bid_of(receives));
    return sends;
}

void
afar__deal_arrived(afar__offer *receives)
{
    afar__offer *sends = close_deal(receives);

    if (sends)
        taken(sends);
}

static void
tell_sender(afar__offer *sends, afar_code code, const char *text)
{
    if (sends->guard) {
        afar__offer_leave(sends);
        afar__select_done(sends->guard->select, sends->guard, code, text);
    } else {
        afar__seat_say(sends->seat, AFAR__STEP_UNKNOWN, afar__bid_of(sends)->by_number.number);
        afar__bid_free(afar__bid_of(sends));
    }
}

void
afar__deal_unknown(afar__offer *receives)
{
    afar__offer *sends = close_deal(receives);

    if (sends)
        tell_sender(sends, AFAR_UNKNOWN,
                    "the receiver was lost when the message had been sent to it");
}

/* As if it had only been claimed. */
static void
take_back(afar__bid *bid)
{
    afar__seat *seat = bid->offer.seat;

    if (bid->select != 0)
        afar__seat_say(seat, AFAR__STEP_RELEASE, bid->by_claim.number);
    afar__offer_leave(&bid->offer);
    afar__offer_enter(&bid->offer, AFAR__OFFER_LOOSE);
    seat->busy--;
    afar__seat_rest(seat);
}

void
afar__deal_unsent(afar__offer *receives, afar_code code, const char *text)
{
    afar__bid *bid = afar__bid_of(receives);
    afar__offer *sends = receives->pair;

    receives->pair = NULL;
    if (sends)
        sends->pair = NULL;
    if (bid->withdrawn) {
        afar__seat_say(receives->seat, AFAR__STEP_WITHDRAWN, bid->by_number.number);
        afar__bid_free(bid);
    } else {
        take_back(bid);
    }
    if (sends)
        tell_sender(sends, code, text);
}
