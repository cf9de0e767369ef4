/* Selects, as their owners use them: a round begins, is stopped, ends; guards are switched. */

#include "runtime/channel/parts.h"

void
afar__select_open(afar__select *select, afar__board *board, afar__guard *guards, size_t count,
                  bool by_priority, void *user)
{
    *select = (afar__select){
        .board = board,
        .guards = guards,
        .count = count,
        .by_priority = by_priority,
        .user = user,
    };
    select->look.last = &select->look.first;
    select->wants.last = &select->wants.first;
    for (size_t i = 0; i < count; i++) {
        afar__guard *guard = &guards[i];

        guard->select = select;
        guard->list = AFAR__LIST_NONE;
        guard->failed = guard->unsure = guard->missed = false;
        guard->cost = 0;
        guard->ticket = NULL;
        guard->fired = 0;
        guard->offer.home = guard->home;
        guard->offer.seat = NULL;
        guard->offer.guard = guard;
        guard->offer.pair = NULL;
        guard->offer.direction = (uint8_t)guard->direction;
        guard->offer.state = AFAR__OFFER_NONE;
        if (!guard->off)
            select->channels += guard->home || guard->proxy;
        afar__select_list(guard);
    }
}

/* Whether the round is over, after what was done in it. */
static bool
is_done(afar__select *select)
{
    afar__board_work(select->board);
    select->board->current = NULL;
    return select->state == AFAR__SELECT_DONE;
}

/* Lets go of what holds the select, if that is here and not being committed.  Otherwise an answer has
 * to come first, which is asked for if need be. */
static void
let_go(afar__select *select)
{
    afar__offer *offer = select->held_by;

    if (offer && offer->state != AFAR__OFFER_SENT) {
        afar__offer_gone(offer);
        afar__select_list(offer->guard);
        afar__select_reopen(select);
    } else if (select->held_by_far && select->held_by_far->exclusive) {
        afar__ticket_withdraw(select->held_by_far);
    }
}

/* What was fired between the rounds and is still in the list: the select was held before its turn. */
static void
fire_early(afar__select *select)
{
    select->early = false;
    if (select->state != AFAR__SELECT_HELD && select->state != AFAR__SELECT_OPEN)
        return;
    for (afar__guard *guard = select->look.first; guard; guard = guard->next) {
        if (guard->fired == select->round && !guard->off) {
            select->fired = guard;
            if (select->state == AFAR__SELECT_HELD)
                let_go(select);
            else
                afar__select_is_due(select);
            return;
        }
    }
}

bool
afar__select_begin(afar__select *select, bool poll)
{
    select->state = AFAR__SELECT_OPEN;
    select->happened = NULL;
    select->code = AFAR_OK;
    select->text = NULL;
    select->parcel = NULL;
    select->polling = poll;
    select->round++;
    select->board->current = select;
    afar__select_settle(select);
    if (select->early)
        fire_early(select);
    return is_done(select);
}

bool
afar__select_stop(afar__select *select)
{
    if (select->state == AFAR__SELECT_IDLE || select->state == AFAR__SELECT_DONE)
        return true;
    select->board->current = select;
    select->stopping = true;
    if (select->state == AFAR__SELECT_HELD)
        let_go(select);
    else
        afar__select_is_due(select);
    return is_done(select);
}

/* What holds it otherwise was let go of when it was stopped. */
bool
afar__select_give_up(afar__select *select, afar__proxy **ret_proxy, afar__seat **ret_seat)
{
    const afar__offer *pair = select->held_by ? select->held_by->pair : NULL;

    *ret_proxy = NULL;
    *ret_seat = NULL;
    if (select->state != AFAR__SELECT_HELD || !select->stopping)
        return false;
    if (select->held_by_far)
        *ret_proxy = select->held_by_far->proxy;
    else if (pair)
        *ret_seat = pair->seat;
    select->giving_up = *ret_proxy || *ret_seat;
    return select->giving_up;
}

bool
afar__select_fire(afar__select *select, afar__guard *guard)
{
    if (guard->off || select->state == AFAR__SELECT_DONE)
        return false;
    if (select->state == AFAR__SELECT_IDLE) {
        guard->fired = select->round + 1;
        afar__select_list(guard);
        select->early = true;
        return false;
    }
    if (!select->fired || (select->by_priority && guard < select->fired))
        select->fired = guard;
    select->board->current = select;
    if (select->state == AFAR__SELECT_HELD)
        let_go(select);
    else
        afar__select_is_due(select);
    return is_done(select);
}

void
afar__select_next(afar__select *select)
{
    select->state = AFAR__SELECT_IDLE;
    select->parcel = NULL;
    if (select->happened)
        afar__select_list(select->happened);
}

void
afar__guard_withdraw(afar__guard *guard)
{
    afar__ticket *ticket = guard->ticket;

    if (guard->offer.state == AFAR__OFFER_UNSENT) {
        afar__offer_leave(&guard->offer);
    } else if (guard->home) {
        if (guard->list == AFAR__LIST_NONE)
            afar__offer_gone(&guard->offer);
    } else if (ticket) {
        guard->ticket = NULL;
        ticket->guard = NULL;
        ticket->proxy->unguarded++;
        afar__ticket_withdraw(ticket);
    }
    afar__guard_unsure(guard, false);
    guard->missed = false;
    afar__select_unlist(guard);
}

void
afar__select_switch(afar__guard *guard, bool on)
{
    afar__select *select = guard->select;

    if (guard->off != on)
        return;
    guard->off = !on;
    if (guard->home || guard->proxy)
        select->channels += on ? 1 : (size_t)-1;
    if (on) {
        afar__select_list(guard);
    } else {
        afar__guard_withdraw(guard);
        afar__board_work(select->board);
    }
}

void
afar__select_close(afar__select *select)
{
    for (size_t i = 0; i < select->count; i++)
        afar__guard_withdraw(&select->guards[i]);
    select->count = 0;
    afar__board_work(select->board);
}
