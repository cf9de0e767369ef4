/* What the home of a proxy says.  It may say anything: what breaks a rule is refused, and the
 * owner then says that the proxy is lost. */

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <afar/error.h>

#include "runtime/channel/parts.h"

static afar__ticket *
find_offer(const afar__proxy *proxy, uint64_t number)
{
    afar__numbered *entry = afar__numbers_find(&proxy->by_number, number);

    return entry ? (afar__ticket *)((char *)entry - offsetof(afar__ticket, by_number)) : NULL;
}

/* An offer that a home may decide about now, on that side. */
static afar__ticket *
find_decided(const afar__proxy *proxy, uint64_t number, afar__direction direction)
{
    afar__ticket *ticket = find_offer(proxy, number);

    if (!ticket || proxy->direction != direction)
        return NULL;
    return ticket->exclusive || ticket->state == AFAR__TICKET_HELD ? ticket : NULL;
}

static afar_code
refuse(afar_error *err, const char *what, uint64_t number)
{
    return afar_fail(err, AFAR_INVALID_ARGUMENT,
                     "the home says %s of %" PRIu64 ", which it may not", what, number);
}

static afar_code
word_taken(afar__proxy *proxy, const afar__step *step, afar_error *err)
{
    if (step->count == 0)
        return refuse(err, "Taken", step->number);
    for (uint64_t i = 0; i < step->count; i++) {
        afar__ticket *ticket = find_decided(proxy, step->number + i, AFAR__SENDS);

        if (!ticket)
            return refuse(err, "Taken", step->number + i);
        afar__ticket_happened(ticket, AFAR_OK, NULL, NULL);
    }
    return AFAR_OK;
}

static afar_code
word_message(afar__proxy *proxy, afar__step *step, afar_error *err)
{
    afar__ticket *ticket = find_decided(proxy, step->number, AFAR__RECEIVES);
    afar__parcel *parcel = step->parcel;

    if (!ticket)
        return refuse(err, "Message", step->number);
    if (step->ack) {
        afar__step ack = { .kind = AFAR__STEP_ACK, .count = 1 };

        proxy->board->ops->act(proxy->board->arg, proxy, &ack);
    }
    step->parcel = NULL;
    afar__ticket_happened(ticket, AFAR_OK, NULL, parcel);
    return AFAR_OK;
}

/* A default case with one channel: the home has still to let go of the offer. */
static afar_code
word_waiting(afar__proxy *proxy, const afar__step *step, afar_error *err)
{
    afar__ticket *ticket = find_offer(proxy, step->number);

    if (!ticket || !ticket->tell || ticket->state != AFAR__TICKET_OPEN)
        return refuse(err, "Waiting", step->number);
    ticket->tell = false;
    if (!ticket->guard)
        return AFAR_OK;
    if (ticket->exclusive) {
        ticket->guard->select->stopping = true;
        afar__ticket_withdraw(ticket);
    } else {
        afar__guard_unsure(ticket->guard, false);
    }
    return AFAR_OK;
}

static afar_code
word_claim(afar__proxy *proxy, const afar__step *step, afar_error *err)
{
    afar__ticket *ticket = find_offer(proxy, step->offer);
    afar__guard *guard;

    if (!ticket || ticket->exclusive || ticket->state != AFAR__TICKET_OPEN)
        return refuse(err, "Claim", step->offer);
    guard = ticket->guard;
    ticket->by_claim.number = ++proxy->claims;
    ticket->tell = false;
    if (!guard) {
        afar__ticket_deny(ticket);
        return AFAR_OK;
    }
    afar__guard_unsure(guard, false);
    switch (afar__select_answer(guard)) {
    case AFAR__NOW:
        afar__ticket_grant(ticket);
        break;
    case AFAR__LATER:
        ticket->state = AFAR__TICKET_ASKED;
        afar__select_want(guard, false);
        break;
    case AFAR__NEVER:
        afar__ticket_miss(ticket);
        afar__select_list(guard);
        break;
    }
    return AFAR_OK;
}

static afar_code
word_release(afar__proxy *proxy, const afar__step *step, afar_error *err)
{
    afar__numbered *entry = afar__numbers_find(&proxy->by_claim, step->number);
    afar__ticket *ticket;

    if (!entry)
        return refuse(err, "Release", step->number);
    ticket = (afar__ticket *)((char *)entry - offsetof(afar__ticket, by_claim));
    afar__numbers_remove(&proxy->by_claim, entry);
    ticket->state = AFAR__TICKET_OPEN;
    afar__select_reopen(ticket->guard->select);
    return AFAR_OK;
}

static afar_code
word_withdrawn(afar__proxy *proxy, const afar__step *step, afar_error *err)
{
    afar__ticket *ticket = find_offer(proxy, step->number);
    afar__guard *guard;

    if (!ticket || !ticket->withdrawing)
        return refuse(err, "Withdrawn", step->number);
    guard = ticket->guard;
    afar__ticket_free(ticket);
    if (guard) {
        afar__select_list(guard);
        afar__select_reopen(guard->select);
    }
    return AFAR_OK;
}

static afar_code
word_unknown(afar__proxy *proxy, const afar__step *step, afar_error *err)
{
    afar__ticket *ticket = find_decided(proxy, step->number, AFAR__SENDS);

    if (!ticket)
        return refuse(err, "Unknown", step->number);
    afar__ticket_happened(ticket, AFAR_UNKNOWN,
                          "the receiver was lost when the message had been sent to it", NULL);
    return AFAR_OK;
}

static afar_code
word_ended(afar__proxy *proxy, const afar__step *step, afar_error *err)
{
    const char *text = step->text ? step->text : "";

    if (step->code != AFAR_ENDED && step->code != AFAR_POISONED && step->code != AFAR_LOST)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "the home says Ended with the code %d",
                         (int)step->code);
    if (strnlen(text, AFAR__CHANNEL_REASON + 1) > AFAR__CHANNEL_REASON)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "the home says Ended with more than %u bytes",
                         AFAR__CHANNEL_REASON);
    proxy->ended = true;
    proxy->code = step->code;
    free(proxy->text);
    proxy->text = strdup(text);
    afar__proxy_over(proxy, false);
    return AFAR_OK;
}

static afar_code
word(afar__proxy *proxy, afar__step *step, afar_error *err)
{
    if (proxy->ended || !proxy->attached)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "the home speaks behind its last word");
    switch (step->kind) {
    case AFAR__STEP_TAKEN:
        return word_taken(proxy, step, err);
    case AFAR__STEP_MESSAGE:
        return word_message(proxy, step, err);
    case AFAR__STEP_WAITING:
        return word_waiting(proxy, step, err);
    case AFAR__STEP_CLAIM:
        return word_claim(proxy, step, err);
    case AFAR__STEP_RELEASE:
        return word_release(proxy, step, err);
    case AFAR__STEP_WITHDRAWN:
        return word_withdrawn(proxy, step, err);
    case AFAR__STEP_UNKNOWN:
        return word_unknown(proxy, step, err);
    case AFAR__STEP_ENDED:
        return word_ended(proxy, step, err);
    default:
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "%d is not a word", (int)step->kind);
    }
}

afar_code
afar__proxy_word(afar__proxy *proxy, afar__step *step, afar_error *err)
{
    const afar__board *board = proxy->board;
    afar_code code = word(proxy, step, err);

    if (step->parcel)
        board->ops->drop(board->arg, step->parcel);
    step->parcel = NULL;
    afar__board_work(proxy->board);
    return code;
}
