/* What can be done at once, without a select: one message from or to a thread of this process that waits for
 * it already, or the buffer.  It is what a select with one guard would do, and nobody can tell the two
 * apart; all that is not so simple is left to that. */

#include "runtime/channel/parts.h"

/* Nothing else waits for it, or is to happen in it. */
static bool
is_free(const afar__guard *guard)
{
    const afar__select *select = guard->select;

    return afar__select_answer(guard) == AFAR__NOW && !select->wants.first && !select->fired &&
           !select->stopping;
}

/* The oldest of a side, if it is a guard here whose select can have it now. */
static afar__guard *
first_ready(const afar__home *home, afar__direction side)
{
    const afar__offer *first = home->queues[side].first;

    if (home->capacity > 0 || !first || !first->guard || home->queues[!side].first ||
        home->code[AFAR__SENDS] != AFAR_OK || home->code[AFAR__RECEIVES] != AFAR_OK)
        return NULL;
    return is_free(first->guard) ? first->guard : NULL;
}

/* The select was open and nothing held it, so there is little to be changed; its guard is listed by
 * afar__select_next. */
static void
happen(afar__home *home, afar__guard *guard)
{
    afar__select *select = guard->select;
    afar__board *board = home->board;

    afar__offers_remove(&home->queues[guard->offer.direction], &guard->offer);
    guard->offer.state = AFAR__OFFER_NONE;
    home->standing[guard->offer.direction]--;
    if (guard->unsure)
        afar__guard_unsure(guard, false);
    select->happened = guard;
    select->state = AFAR__SELECT_DONE;
    board->ops->done(board->arg, select);
    if (home->finished[AFAR__SENDS] || home->finished[AFAR__RECEIVES]) {
        afar__home_is_due(home);
        afar__board_work(board);
    } else {
        afar__home_calm(home);
    }
}

bool
afar__home_send_at_once(afar__home *home, afar__parcel *parcel)
{
    afar__guard *guard;

    if (home->capacity > 0)
        return !home->queues[AFAR__SENDS].first && afar__home_post(home, parcel);
    guard = first_ready(home, AFAR__RECEIVES);
    if (!guard)
        return false;
    guard->select->parcel = parcel;
    happen(home, guard);
    return true;
}

static bool
receive_from_buffer(afar__home *home, afar__parcel **ret_parcel)
{
    if (home->code[AFAR__RECEIVES] != AFAR_OK || home->queues[AFAR__RECEIVES].first ||
        !afar__buffer_has(home, AFAR__RECEIVES))
        return false;
    *ret_parcel = afar__buffer_pop(home);
    if (home->queues[AFAR__SENDS].first || home->finished[AFAR__SENDS]) {
        afar__home_is_due(home);
        afar__board_work(home->board);
    }
    return true;
}

bool
afar__home_receive_at_once(afar__home *home, afar__parcel **ret_parcel)
{
    const afar__board *board = home->board;
    afar__parcel *parcel;
    afar__guard *guard;

    if (home->capacity > 0)
        return receive_from_buffer(home, ret_parcel);
    guard = first_ready(home, AFAR__SENDS);
    parcel = guard ? board->ops->pack(board->arg, guard) : NULL;
    if (!parcel)
        return false;
    *ret_parcel = parcel;
    happen(home, guard);
    return true;
}
