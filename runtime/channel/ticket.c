/* Tickets: offers that were made to a home elsewhere.  A ticket lives from the act that makes the offer
 * to the word that answers it, also when its guard has gone meanwhile.
 *
 * An exclusive offer holds its select: the home may have decided already. */

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/channel/parts.h"

afar__ticket *
afar__ticket_new(afar__proxy *proxy, afar__guard *guard, size_t cost)
{
    afar__ticket *ticket = calloc(1, sizeof(*ticket));

    if (!ticket)
        return NULL;
    ticket->proxy = proxy;
    ticket->guard = guard;
    ticket->cost = cost;
    ticket->next = proxy->tickets;
    ticket->link = &proxy->tickets;
    if (ticket->next)
        ticket->next->link = &ticket->next;
    proxy->tickets = ticket;
    afar__numbers_add(&proxy->by_number, &ticket->by_number, ++proxy->offers);
    proxy->open++;
    proxy->used += cost;
    proxy->unguarded += !guard;
    if (guard)
        guard->ticket = ticket;
    return ticket;
}

void
afar__ticket_free(afar__ticket *ticket)
{
    afar__proxy *proxy = ticket->proxy;

    afar__numbers_remove(&proxy->by_number, &ticket->by_number);
    afar__numbers_remove(&proxy->by_claim, &ticket->by_claim);
    *ticket->link = ticket->next;
    if (ticket->next)
        ticket->next->link = ticket->link;
    proxy->open--;
    proxy->used -= ticket->cost;
    if (ticket->guard) {
        ticket->guard->ticket = NULL;
        afar__guard_unsure(ticket->guard, false);
    } else {
        proxy->unguarded--;
    }
    if (ticket->post && --proxy->posts.open == 0)
        proxy->posts_went = true;
    afar__proxy_is_due(proxy);
    free(ticket);
}

void
afar__ticket_happened(afar__ticket *ticket, afar_code code, const char *text, afar__parcel *parcel)
{
    const afar__board *board = ticket->proxy->board;
    afar__guard *guard = ticket->guard;

    if (ticket->post && code != AFAR_OK)
        ticket->proxy->posts.unknown++;
    afar__ticket_free(ticket);
    if (guard) {
        guard->select->parcel = parcel;
        afar__select_done(guard->select, guard, code, text);
    } else if (parcel) {
        board->ops->drop(board->arg, parcel);
    }
}

bool
afar__proxy_has_room(const afar__proxy *proxy, size_t cost)
{
    if (proxy->open >= proxy->max_open)
        return false;
    return proxy->used == 0 || (cost <= proxy->window && proxy->used <= proxy->window - cost);
}

/* ---- making offers ---- */

static bool
is_exclusive(const afar__guard *guard)
{
    return guard->select->channels == 1;
}

static void
say_offer(afar__ticket *ticket, afar__parcel *parcel)
{
    const afar__board *board = ticket->proxy->board;
    afar__select *select = ticket->guard->select;
    afar__step step = { .kind = AFAR__STEP_OFFER, .parcel = parcel };

    step.number = ticket->by_number.number;
    step.bytes = parcel ? board->ops->bytes(board->arg, parcel) : 0;
    if (ticket->exclusive) {
        select->state = AFAR__SELECT_HELD;
        select->held_by_far = ticket;
        step.tell = select->polling;
    } else {
        step.select = afar__select_number(select);
        step.tell = select->polling || select->by_priority || ticket->guard->missed;
        step.patient = step.tell && !select->by_priority;
    }
    ticket->tell = step.tell;
    afar__guard_unsure(ticket->guard, step.tell);
    board->ops->act(board->arg, ticket->proxy, &step);
}

static void
end_exhausted(afar__guard *guard)
{
    afar__guard_unsure(guard, false);
    if (afar__select_answer(guard) == AFAR__NOW)
        afar__select_done(guard->select, guard, AFAR_RESOURCE_EXHAUSTED,
                          "no memory for the message or its offer");
    else
        afar__select_want(guard, true);
}

static void
unpack(afar__guard *guard, afar__parcel *parcel)
{
    const afar__board *board = guard->proxy->board;

    if (parcel && board->ops->unpack)
        board->ops->unpack(board->arg, guard, parcel);
    else if (parcel)
        board->ops->drop(board->arg, parcel);
}

/* False if there is no room for it. */
static bool
send_offer(afar__guard *guard)
{
    afar__proxy *proxy = guard->proxy;
    const afar__board *board = proxy->board;
    bool has_message = is_exclusive(guard) && proxy->direction == AFAR__SENDS;
    afar__parcel *parcel = NULL;
    afar__ticket *ticket = NULL;

    if (!afar__proxy_has_room(proxy, guard->cost))
        return false;
    if (has_message) {
        parcel = board->ops->pack(board->arg, guard);
        if (!parcel) {
            end_exhausted(guard);
            return true;
        }
        guard->cost = board->ops->bytes(board->arg, parcel) + AFAR__CHANNEL_OFFER_COST;
    }
    if (!afar__proxy_has_room(proxy, guard->cost)) {
        unpack(guard, parcel);
        return false;
    }
    ticket = afar__ticket_new(proxy, guard, guard->cost);
    if (ticket) {
        ticket->exclusive = is_exclusive(guard);
        say_offer(ticket, parcel);
        return true;
    }
    if (parcel)
        board->ops->drop(board->arg, parcel);
    end_exhausted(guard);
    return true;
}

void
afar__proxy_offer(afar__guard *guard)
{
    afar__proxy *proxy = guard->proxy;

    guard->cost = 0;
    if (is_exclusive(guard))
        guard->missed = false;
    if (proxy->attached && !proxy->unsent.first && send_offer(guard))
        return;
    guard->missed = false;
    afar__offer_enter(&guard->offer, AFAR__OFFER_UNSENT);
    if (!proxy->attached)
        afar__guard_unsure(guard, true);
}

static void
send_unsent(afar__proxy *proxy)
{
    afar__offer *offer;

    while (proxy->attached && (offer = proxy->unsent.first)) {
        afar__guard *guard = offer->guard;

        afar__offer_leave(offer);
        if (afar__select_answer(guard) == AFAR__NEVER) {
            afar__guard_unsure(guard, false);
            afar__select_list(guard);
        } else if (!send_offer(guard)) {
            offer->state = AFAR__OFFER_UNSENT;
            afar__offers_insert(&proxy->unsent, &proxy->unsent.first, offer);
            return;
        }
    }
}

void
afar__proxy_settle(afar__proxy *proxy)
{
    send_unsent(proxy);
    if (proxy->refused_post && proxy->attached && !proxy->unsent.first &&
        afar__proxy_has_room(proxy, AFAR__CHANNEL_OFFER_COST))
        proxy->posts_went = true;
    if (!proxy->posts_went)
        return;
    proxy->posts_went = proxy->refused_post = false;
    proxy->board->ops->posted(proxy->board->arg, proxy);
}

/* ---- answering claims, and taking offers back ---- */

static void
say(afar__proxy *proxy, afar__step_kind kind, uint64_t number)
{
    afar__step step = { .kind = kind, .number = number };

    proxy->board->ops->act(proxy->board->arg, proxy, &step);
}

void
afar__ticket_grant(afar__ticket *ticket)
{
    afar__proxy *proxy = ticket->proxy;
    const afar__board *board = proxy->board;
    afar__guard *guard = ticket->guard;
    afar__step step = { .kind = AFAR__STEP_GRANT, .number = ticket->by_claim.number };

    if (proxy->direction == AFAR__SENDS) {
        step.parcel = board->ops->pack(board->arg, guard);
        if (!step.parcel) {
            afar__ticket_deny(ticket);
            afar__select_done(guard->select, guard, AFAR_RESOURCE_EXHAUSTED,
                              "no memory for the message");
            return;
        }
        step.bytes = board->ops->bytes(board->arg, step.parcel);
    }
    ticket->state = AFAR__TICKET_HELD;
    afar__numbers_add(&proxy->by_claim, &ticket->by_claim, ticket->by_claim.number);
    guard->select->state = AFAR__SELECT_HELD;
    guard->select->held_by_far = ticket;
    board->ops->act(board->arg, proxy, &step);
}

void
afar__ticket_deny(afar__ticket *ticket)
{
    say(ticket->proxy, AFAR__STEP_DENY, ticket->by_claim.number);
    afar__ticket_free(ticket);
}

void
afar__ticket_miss(afar__ticket *ticket)
{
    afar__guard *guard = ticket->guard;

    afar__ticket_deny(ticket);
    guard->missed = !guard->select->by_priority;
}

void
afar__ticket_withdraw(afar__ticket *ticket)
{
    if (ticket->withdrawing)
        return;
    ticket->withdrawing = true;
    say(ticket->proxy, AFAR__STEP_WITHDRAW, ticket->by_number.number);
}

/* ---- what could not be sent ---- */

/* Nobody waits for it any more. */
static void
leave_unsent(afar__ticket *ticket, afar_code code, const char *text)
{
    afar__proxy *proxy = ticket->proxy;
    afar__guard *guard = ticket->guard;

    ticket->exclusive = ticket->tell = false;
    if (guard) {
        ticket->guard = NULL;
        guard->ticket = NULL;
        proxy->unguarded++;
        afar__guard_unsure(guard, false);
        afar__select_done(guard->select, guard, code, text);
    }
    if (!ticket->post)
        return;
    ticket->post = false;
    proxy->posts.unsent++;
    proxy->posts.code = code;
    free(proxy->unsent_text);
    proxy->unsent_text = strdup(text);
    proxy->posts.text = proxy->unsent_text;
    if (--proxy->posts.open == 0)
        proxy->posts_went = true;
    afar__proxy_is_due(proxy);
}

/* An offer keeps its number: one that would have to be claimed goes instead, and is withdrawn. */
static void
offer_nothing(afar__proxy *proxy, afar__ticket *ticket, afar__step *step, afar_code code,
              const char *text)
{
    step->select = ++proxy->board->selects;
    step->tell = step->patient = false;
    if (!ticket)
        return;
    leave_unsent(ticket, code, text);
    afar__ticket_withdraw(ticket);
}

void
afar__proxy_unsent(afar__proxy *proxy, afar__step *step, afar_code code, const char *text)
{
    bool grants = step->kind == AFAR__STEP_GRANT;
    afar__numbered *entry =
        afar__numbers_find(grants ? &proxy->by_claim : &proxy->by_number, step->number);
    size_t place = grants ? offsetof(afar__ticket, by_claim) : offsetof(afar__ticket, by_number);
    afar__ticket *ticket = entry ? (afar__ticket *)((char *)entry - place) : NULL;

    step->bytes = 0;
    if (grants) {
        step->kind = AFAR__STEP_DENY;
        if (ticket)
            afar__ticket_happened(ticket, code, text, NULL);
    } else {
        offer_nothing(proxy, ticket, step, code, text);
    }
    afar__board_work(proxy->board);
}
