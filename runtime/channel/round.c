/* Rounds of selects.
 *
 * A guard without an offer is in the list of those to look at.  A guard that could happen asks
 * afar__select_answer: now, if the select is open and, by priority, all in front of it have been
 * answered; later, if it is held or not sure: it is then among those that want to happen, which
 * are served when it opens or is sure; never, if it is between two rounds.  Opening again always goes
 * over the work list: until then nobody may have the select, so that what happened otherwise
 * meanwhile (stop, fire) comes first. */

#include "runtime/channel/parts.h"

static void
insert_before(afar__guards *guards, afar__guard **where, afar__guard *guard)
{
    guard->next = *where;
    guard->link = where;
    *where = guard;
    if (guard->next)
        guard->next->link = &guard->next;
    else
        guards->last = &guard->next;
}

/* First in, first out, but for one that missed its turn; by priority in the order of the array. */
static void
insert(afar__select *select, afar__guards *guards, afar__guard *guard)
{
    afar__guard **where = guard->missed ? &guards->first : guards->last;

    if (select->by_priority && guards->first) {
        where = &guards->first;
        while (*where && *where < guard)
            where = &(*where)->next;
    }
    insert_before(guards, where, guard);
}

void
afar__select_list(afar__guard *guard)
{
    if (guard->list != AFAR__LIST_NONE)
        return;
    guard->list = AFAR__LIST_LOOK;
    insert(guard->select, &guard->select->look, guard);
}

void
afar__select_want(afar__guard *guard, bool failed)
{
    afar__select *select = guard->select;

    afar__select_unlist(guard);
    guard->failed = failed;
    guard->list = AFAR__LIST_WANTS;
    insert(select, &select->wants, guard);
}

void
afar__select_unlist(afar__guard *guard)
{
    afar__select *select = guard->select;
    afar__guards *guards = guard->list == AFAR__LIST_LOOK ? &select->look : &select->wants;

    if (guard->list == AFAR__LIST_NONE)
        return;
    *guard->link = guard->next;
    if (guard->next)
        guard->next->link = guard->link;
    else
        guards->last = guard->link;
    guard->list = AFAR__LIST_NONE;
    guard->failed = false;
}

/* By priority: whether a home elsewhere may still have something for a guard in front of it. */
static bool
is_behind(const afar__guard *guard)
{
    const afar__select *select = guard->select;

    if (!select->by_priority || select->unsure == 0)
        return false;
    for (const afar__guard *other = select->guards; other < guard; other++)
        if (other->unsure && other->proxy)
            return true;
    return false;
}

afar__answer
afar__select_answer(const afar__guard *guard)
{
    const afar__select *select = guard->select;

    if (select->state != AFAR__SELECT_OPEN && select->state != AFAR__SELECT_HELD)
        return AFAR__NEVER;
    if (select->state == AFAR__SELECT_HELD || select->due || is_behind(guard))
        return AFAR__LATER;
    return AFAR__NOW;
}

void
afar__guard_unsure(afar__guard *guard, bool unsure)
{
    afar__select *select = guard->select;

    if (guard->unsure == unsure)
        return;
    guard->unsure = unsure;
    if (unsure) {
        select->unsure++;
        select->missed += guard->missed;
        return;
    }
    select->unsure--;
    select->missed -= guard->missed;
    if (select->state == AFAR__SELECT_OPEN &&
        (select->by_priority || select->polling || guard->missed))
        afar__select_is_due(select);
    guard->missed = false;
}

uint64_t
afar__select_number(afar__select *select)
{
    if (select->number == 0)
        select->number = ++select->board->selects;
    return select->number;
}

void
afar__select_reopen(afar__select *select)
{
    select->state = AFAR__SELECT_OPEN;
    select->held_by = NULL;
    select->held_by_far = NULL;
    afar__select_is_due(select);
}

void
afar__select_done(afar__select *select, afar__guard *guard, afar_code code, const char *text)
{
    select->state = AFAR__SELECT_DONE;
    select->happened = guard;
    select->code = code;
    select->text = text;
    select->held_by = NULL;
    select->held_by_far = NULL;
    select->fired = NULL;
    select->stopping = select->giving_up = false;
    select->polling = false;
    if (guard) {
        guard->missed = false;
        afar__select_unlist(guard);
        afar__select_list(guard);
    }
    if (select->wants.first)
        afar__select_is_due(select);
    if (select->board->current != select)
        select->board->ops->done(select->board->arg, select);
}

static afar_code
state_of(const afar__guard *guard, const char **ret_text)
{
    if (guard->home)
        return afar__home_state(guard->home, guard->direction, ret_text);
    return afar__proxy_state(guard->proxy, ret_text);
}

void
afar__select_failed(afar__guard *guard)
{
    const char *text = NULL;
    afar_code code = state_of(guard, &text);

    switch (afar__select_answer(guard)) {
    case AFAR__NOW:
        afar__select_done(guard->select, guard, code, text);
        break;
    case AFAR__LATER:
        afar__select_want(guard, true);
        break;
    case AFAR__NEVER:
        afar__select_list(guard);
        break;
    }
}

void
afar__select_look(afar__guard *guard)
{
    afar__select *select = guard->select;
    const char *text;

    if (guard->off)
        return;
    if (!guard->home && !guard->proxy) {
        if (guard->fired == select->round)
            afar__select_done(select, guard, AFAR_OK, NULL);
    } else if (state_of(guard, &text) != AFAR_OK) {
        afar__select_failed(guard);
    } else if (guard->home) {
        afar__place(&guard->offer, false);
    } else {
        afar__proxy_offer(guard);
    }
}

/* The select is open and sure enough. */
static void
serve(afar__guard *guard)
{
    bool failed = guard->failed;

    afar__select_unlist(guard);
    if (failed)
        afar__select_look(guard);
    else if (guard->home)
        afar__deal_granted(&guard->offer);
    else
        afar__ticket_grant(guard->ticket);
}

static void
deny(afar__guard *guard)
{
    bool failed = guard->failed;

    afar__select_unlist(guard);
    if (!failed && guard->home)
        afar__offer_gone(&guard->offer);
    else if (!failed)
        afar__ticket_miss(guard->ticket);
    afar__select_list(guard);
}

/* What ends the round, or holds the select, next: NULL if nothing does. */
static afar__guard *
next_want(afar__select *select)
{
    afar__guard *want = select->wants.first; /* by priority, the first is the first in the array */

    if (select->stopping)
        return select->fired;
    if (want && is_behind(want))
        want = NULL;
    if (select->fired && (!want || !select->by_priority || select->fired < want))
        want = select->fired;
    return want;
}

void
afar__select_settle(afar__select *select)
{
    afar__guard *guard;

    if (select->state == AFAR__SELECT_DONE || select->state == AFAR__SELECT_IDLE)
        while (select->wants.first)
            deny(select->wants.first);
    /* If it is due again, those that come now would only wait for that. */
    while (select->state == AFAR__SELECT_OPEN && !select->due && (guard = next_want(select))) {
        if (guard == select->fired)
            afar__select_done(select, guard, AFAR_OK, NULL);
        else
            serve(guard);
    }
    if (select->state == AFAR__SELECT_OPEN && select->stopping)
        afar__select_done(select, NULL, AFAR_OK, NULL);
    while (select->state == AFAR__SELECT_OPEN && !select->due && select->missed == 0 &&
           (guard = select->look.first)) {
        afar__select_unlist(guard);
        afar__select_look(guard);
    }
    if (select->state == AFAR__SELECT_OPEN && !select->due && select->polling &&
        select->unsure == 0 && !select->wants.first && !select->look.first)
        afar__select_done(select, NULL, AFAR_OK, NULL);
}
