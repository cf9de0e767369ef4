/* The board, and what it has still to do before a function of its owner's returns: selects first, so
 * that what they deny is placed anew; then offers whose pairs fell apart; then those of seats that were crowded;
 * then homes whose buffer or end may have changed, and proxies that may have room. */

#include <string.h>

#include "runtime/channel/parts.h"

void
afar__board_init(afar__board *board, const afar__board_ops *ops, void *arg,
                 const uint8_t process[16])
{
    *board = (afar__board){ .ops = ops, .arg = arg };
    memcpy(board->process, process, sizeof(board->process));
    afar__offers_init(&board->loose);
}

void
afar__select_is_due(afar__select *select)
{
    if (select->due)
        return;
    select->due = true;
    select->next_due = select->board->selects_due;
    select->board->selects_due = select;
}

/* A seat that leaves is over before, and so in no list. */
void
afar__seat_is_due(afar__seat *seat)
{
    afar__board *board = seat->home->board;

    if (seat->due || seat->over || seat->stalled || !seat->parked.first)
        return;
    seat->due = true;
    seat->next_due = board->seats_due;
    board->seats_due = seat;
}

void
afar__home_is_due(afar__home *home)
{
    if (home->due)
        return;
    home->due = true;
    home->next_due = home->board->homes_due;
    home->board->homes_due = home;
}

void
afar__proxy_is_due(afar__proxy *proxy)
{
    if (proxy->due)
        return;
    proxy->due = true;
    proxy->next_due = proxy->board->proxies_due;
    proxy->board->proxies_due = proxy;
}

static void
settle_select(afar__board *board)
{
    afar__select *select = board->selects_due;

    board->selects_due = select->next_due;
    select->due = false;
    afar__select_settle(select);
}

/* Its select may not want it any more. */
static void
place_loose(afar__board *board)
{
    afar__offer *offer = board->loose.first;
    afar__guard *guard = offer->guard;

    if (guard && guard->select->state != AFAR__SELECT_OPEN &&
        guard->select->state != AFAR__SELECT_HELD) {
        afar__offer_gone(offer);
        afar__select_list(guard);
        return;
    }
    afar__offer_leave(offer);
    afar__place(offer, true);
}

static void
settle_seat(afar__board *board)
{
    afar__seat *seat = board->seats_due;

    board->seats_due = seat->next_due;
    seat->due = false;
    afar__place_crowded(seat);
}

static void
settle_home(afar__board *board)
{
    afar__home *home = board->homes_due;

    board->homes_due = home->next_due;
    home->due = false;
    afar__home_settle(home);
}

static void
settle_proxy(afar__board *board)
{
    afar__proxy *proxy = board->proxies_due;

    board->proxies_due = proxy->next_due;
    proxy->due = false;
    afar__proxy_settle(proxy);
}

void
afar__board_work(afar__board *board)
{
    for (;;) {
        if (board->selects_due)
            settle_select(board);
        else if (board->loose.first)
            place_loose(board);
        else if (board->seats_due)
            settle_seat(board);
        else if (board->homes_due)
            settle_home(board);
        else if (board->proxies_due)
            settle_proxy(board);
        else
            return;
    }
}
