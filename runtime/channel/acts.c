/* What the process of a seat says.  It may say anything: what breaks a rule is refused before it
 * has changed anything, and the owner then ends the call. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <afar/error.h>

#include "runtime/channel/parts.h"

static afar_code
check_offer(const afar__seat *seat, const afar__step *step, afar_error *err)
{
    size_t cost = step->bytes + AFAR__CHANNEL_OFFER_COST;

    if (step->parcel && (step->select != 0 || seat->direction == AFAR__RECEIVES))
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "offer %" PRIu64 " has a payload, and is not an exclusive one to send",
                         seat->offers + 1);
    if (seat->open >= AFAR__CHANNEL_OFFERS)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "more than %u offers are open",
                         AFAR__CHANNEL_OFFERS);
    if (seat->direction == AFAR__SENDS && step->select == 0 && seat->used > 0 &&
        (cost > AFAR__CHANNEL_WINDOW || seat->used > AFAR__CHANNEL_WINDOW - cost))
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "open exclusive offers take more than the window of %u bytes",
                         AFAR__CHANNEL_WINDOW);
    return AFAR_OK;
}

static afar_code
act_offer(afar__seat *seat, afar__step *step, afar_error *err)
{
    afar_code code = check_offer(seat, step, err);
    afar__bid *bid;

    if (code != AFAR_OK)
        return code;
    bid = calloc(1, sizeof(*bid));
    if (!bid)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for an offer");
    bid->offer.home = seat->home;
    bid->offer.seat = seat;
    bid->offer.direction = (uint8_t)seat->direction;
    bid->select = step->select;
    bid->tell = step->tell;
    bid->patient = step->patient || step->select == 0;
    bid->parcel = step->parcel;
    bid->bytes = step->bytes;
    step->parcel = NULL;
    if (seat->direction == AFAR__SENDS && step->select == 0)
        bid->cost = bid->bytes + AFAR__CHANNEL_OFFER_COST;
    seat->used += bid->cost;
    seat->open++;
    bid->next = seat->bids;
    bid->link = &seat->bids;
    if (bid->next)
        bid->next->link = &bid->next;
    seat->bids = bid;
    afar__numbers_add(&seat->by_number, &bid->by_number, ++seat->offers);
    afar__place(&bid->offer, false);
    return AFAR_OK;
}

/* One that is not there any more has been answered: its answer is on its way.  The claim of one that was
 * claimed will be denied, since acts come in order: its pair need not wait for that.  One that was sent
 * or granted has happened, or will be answered. */
static afar_code
act_withdraw(afar__seat *seat, const afar__step *step, afar_error *err)
{
    afar__numbered *entry = afar__numbers_find(&seat->by_number, step->number);
    afar__bid *bid;

    if (step->number == 0 || step->number > seat->offers)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "offer %" PRIu64 " is withdrawn, of %" PRIu64,
                         step->number, seat->offers);
    if (!entry)
        return AFAR_OK;
    bid = (afar__bid *)((char *)entry - offsetof(afar__bid, by_number));
    bid->withdrawn = bid->offer.state == AFAR__OFFER_SENT || bid->offer.state == AFAR__OFFER_ASKED;
    if (bid->offer.state == AFAR__OFFER_SENT ||
        (bid->offer.state == AFAR__OFFER_HELD && bid->select != 0))
        return AFAR_OK;
    if (bid->offer.state == AFAR__OFFER_ASKED) {
        afar__offer_loosen(&bid->offer);
        return AFAR_OK;
    }
    afar__seat_say(seat, AFAR__STEP_WITHDRAWN, step->number);
    afar__bid_free(bid);
    return AFAR_OK;
}

static afar__bid *
take_claim(afar__seat *seat, uint64_t number, afar_error *err)
{
    afar__numbered *entry = afar__numbers_find(&seat->by_claim, number);

    if (!entry) {
        afar_fail(err, AFAR_INVALID_ARGUMENT, "claim %" PRIu64 " is answered, and is not open",
                  number);
        return NULL;
    }
    afar__numbers_remove(&seat->by_claim, entry);
    return (afar__bid *)((char *)entry - offsetof(afar__bid, by_claim));
}

static afar_code
act_grant(afar__seat *seat, afar__step *step, afar_error *err)
{
    afar__bid *bid;

    if (step->parcel && seat->direction == AFAR__RECEIVES)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "the grant of a receiver has a payload");
    bid = take_claim(seat, step->number, err);
    if (!bid)
        return AFAR_INVALID_ARGUMENT;
    if (bid->withdrawn)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "claim %" PRIu64 " is granted behind the withdrawal of its offer",
                         step->number);
    bid->parcel = step->parcel;
    bid->bytes = step->bytes;
    step->parcel = NULL;
    afar__deal_granted(&bid->offer);
    return AFAR_OK;
}

static afar_code
act_deny(afar__seat *seat, const afar__step *step, afar_error *err)
{
    afar__bid *bid = take_claim(seat, step->number, err);

    if (!bid)
        return AFAR_INVALID_ARGUMENT;
    afar__bid_free(bid);
    return AFAR_OK;
}

static afar_code
act_ack(afar__seat *seat, const afar__step *step, afar_error *err)
{
    if (step->count == 0 || step->count > seat->unacknowledged.count)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%" PRIu64 " messages are acknowledged, of %zu", step->count,
                         seat->unacknowledged.count);
    for (uint64_t i = 0; i < step->count; i++)
        afar__deal_arrived(seat->unacknowledged.first);
    return AFAR_OK;
}

static afar_code
act_poison(afar__seat *seat, const afar__step *step, afar_error *err)
{
    const char *text = step->text ? step->text : "";

    if (strnlen(text, AFAR__CHANNEL_REASON + 1) > AFAR__CHANNEL_REASON)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "a reason has more than %u bytes",
                         AFAR__CHANNEL_REASON);
    afar__home_poison(seat->home, text);
    return AFAR_OK;
}

static afar_code
act(afar__seat *seat, afar__step *step, afar_error *err)
{
    switch (step->kind) {
    case AFAR__STEP_OFFER:
        return act_offer(seat, step, err);
    case AFAR__STEP_WITHDRAW:
        return act_withdraw(seat, step, err);
    case AFAR__STEP_GRANT:
        return act_grant(seat, step, err);
    case AFAR__STEP_DENY:
        return act_deny(seat, step, err);
    case AFAR__STEP_ACK:
        return act_ack(seat, step, err);
    case AFAR__STEP_POISON:
        return act_poison(seat, step, err);
    default:
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "%d is not an act", (int)step->kind);
    }
}

/* After ENDED nothing that was on its way matters. */
afar_code
afar__seat_act(afar__seat *seat, afar__step *step, afar_error *err)
{
    afar__board *board = seat->home->board;
    afar_code code = AFAR_OK;

    if (!seat->over)
        code = act(seat, step, err);
    if (step->parcel)
        board->ops->drop(board->arg, step->parcel);
    step->parcel = NULL;
    afar__board_work(board);
    return code;
}
