/* Seats: a process that is attached to one end of a channel whose home is here.  It has offers (bids), each from
 * the act that made it to the word that answers it. */

#include <stdlib.h>
#include <string.h>

#include "runtime/channel/parts.h"

afar__seat *
afar__seat_new(afar__home *home, afar__direction direction, const uint8_t process[16], void *user)
{
    afar__seat *seat = calloc(1, sizeof(*seat));

    if (!seat)
        return NULL;
    seat->home = home;
    seat->direction = direction;
    seat->user = user;
    memcpy(seat->process, process, sizeof(seat->process));
    afar__offers_init(&seat->parked);
    afar__offers_init(&seat->unacknowledged);
    afar__numbers_init(&seat->by_number);
    afar__numbers_init(&seat->by_claim);
    seat->next = home->seats;
    seat->link = &home->seats;
    if (seat->next)
        seat->next->link = &seat->next;
    home->seats = seat;
    afar__home_stir(home);
    if (home->code[direction] != AFAR_OK)
        afar__seat_end(seat);
    return seat;
}

void *
afar__seat_user(const afar__seat *seat)
{
    return seat->user;
}

bool
afar__seat_is_over(const afar__seat *seat)
{
    return seat->over;
}

void
afar__seat_say(afar__seat *seat, afar__step_kind kind, uint64_t number)
{
    const afar__board *board = seat->home->board;
    afar__step step = { .kind = kind, .number = number };

    board->ops->word(board->arg, seat, &step);
}

void
afar__bid_paired(afar__bid *bid)
{
    if (bid->counts || !afar__offer_brings_later(&bid->offer))
        return;
    bid->counts = true;
    bid->offer.seat->paired++;
}

void
afar__bid_parted(afar__bid *bid)
{
    if (!bid->counts)
        return;
    bid->counts = false;
    bid->offer.seat->paired--;
    afar__seat_is_due(bid->offer.seat);
}

void
afar__bid_waits(afar__bid *bid)
{
    if (!bid->tell)
        return;
    bid->tell = false;
    afar__seat_say(bid->offer.seat, AFAR__STEP_WAITING, bid->by_number.number);
}

void
afar__bid_free(afar__bid *bid)
{
    afar__seat *seat = bid->offer.seat;
    const afar__board *board = seat->home->board;
    bool sent = bid->offer.state == AFAR__OFFER_SENT;

    if (sent && bid->offer.pair) {
        bid->offer.pair->pair = NULL;
        bid->offer.pair = NULL;
    }
    afar__offer_gone(&bid->offer);
    afar__bid_parted(bid);
    afar__numbers_remove(&seat->by_number, &bid->by_number);
    afar__numbers_remove(&seat->by_claim, &bid->by_claim);
    *bid->link = bid->next;
    if (bid->next)
        bid->next->link = bid->link;
    seat->open--;
    seat->used -= bid->cost;
    if (bid->parcel)
        board->ops->drop(board->arg, bid->parcel);
    free(bid);
    if (sent) {
        seat->busy--;
        afar__seat_rest(seat);
    }
}

/* Of a seat that is over. */
static void
free_bids(afar__seat *seat)
{
    afar__bid *next;

    for (afar__bid *bid = seat->bids; bid; bid = next) {
        next = bid->next;
        afar__bid_free(bid);
    }
}

void
afar__seat_rest(afar__seat *seat)
{
    afar__step step = { .kind = AFAR__STEP_ENDED };

    if (!seat->ending || seat->over || seat->busy > 0)
        return;
    seat->over = true;
    step.code = seat->home->code[seat->direction];
    step.text = afar__home_text(seat->home, step.code, seat->direction);
    seat->home->board->ops->word(seat->home->board->arg, seat, &step);
    free_bids(seat);
}

void
afar__seat_end(afar__seat *seat)
{
    seat->ending = true;
    afar__seat_rest(seat);
}

void
afar__seat_stall(afar__seat *seat, bool stalled)
{
    if (seat->stalled == stalled)
        return;
    seat->stalled = stalled;
    if (stalled) {
        seat->stalled_at = seat->home->arrivals;
        return;
    }
    afar__place_stalled(seat);
    afar__board_work(seat->home->board);
}

bool
afar__seat_unsent(afar__seat *seat, const afar__step *step, afar_code code, const char *text)
{
    afar__numbered *entry = afar__numbers_find(&seat->by_number, step->number);

    if (!step->ack)
        return true;
    if (entry)
        afar__deal_unsent(&((afar__bid *)((char *)entry - offsetof(afar__bid, by_number)))->offer,
                          code, text);
    afar__board_work(seat->home->board);
    return false;
}

size_t
afar__seat_hush(afar__seat *seat)
{
    afar__bid *next;

    for (afar__bid *bid = seat->bids; bid; bid = next) {
        next = bid->next;
        if (seat->direction == AFAR__RECEIVES || !afar__offer_is_exclusive(&bid->offer))
            afar__bid_free(bid);
    }
    afar__board_work(seat->home->board);
    return seat->open;
}

void
afar__seat_leave(afar__seat *seat)
{
    afar__home *home = seat->home;
    afar__offer *offer;

    seat->over = true;
    while ((offer = seat->unacknowledged.first))
        afar__deal_unknown(offer);
    free_bids(seat);
    afar__numbers_clear(&seat->by_number);
    afar__numbers_clear(&seat->by_claim);
    *seat->link = seat->next;
    if (seat->next)
        seat->next->link = seat->link;
    free(seat);
    afar__board_work(home->board);
    afar__home_calm(home);
}
