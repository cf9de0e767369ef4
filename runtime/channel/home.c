/* Homes: a channel's life, its buffer, and how it ends.
 *
 * A side has come to its end when the other has no ends any more and nothing of that is left: no
 * offer, no message in the buffer.  That is found out on the work list, whenever an offer goes.
 * By poison both come to it at once. */

#include <stdlib.h>
#include <string.h>

#include "runtime/channel/parts.h"

enum { FIRST_ROOM = 16 };

afar__home *
afar__home_new(afar__board *board, unsigned capacity)
{
    afar__home *home = calloc(1, sizeof(*home));

    if (!home)
        return NULL;
    home->board = board;
    home->capacity = capacity;
    home->room = capacity < FIRST_ROOM ? capacity : FIRST_ROOM;
    afar__offers_init(&home->queues[AFAR__SENDS]);
    afar__offers_init(&home->queues[AFAR__RECEIVES]);
    afar__offers_init(&home->deals);
    if (capacity > 0) {
        home->ring = calloc(home->room, sizeof(afar__parcel *));
        if (!home->ring) {
            free(home);
            return NULL;
        }
    }
    return home;
}

/* ---- whether it is still ---- */

static bool
is_still(const afar__home *home)
{
    return home->capacity == 0 && home->standing[AFAR__SENDS] == 0 &&
           home->standing[AFAR__RECEIVES] == 0 && !home->seats && !home->finished[AFAR__SENDS] &&
           !home->finished[AFAR__RECEIVES] && home->code[AFAR__SENDS] == AFAR_OK &&
           home->code[AFAR__RECEIVES] == AFAR_OK;
}

void
afar__home_stir(afar__home *home)
{
    if (!home->still)
        return;
    home->still = false;
    home->board->ops->still(home->board->arg, home, false);
}

void
afar__home_calm(afar__home *home)
{
    if (home->still || !home->user || !home->board->ops->still || !is_still(home))
        return;
    home->still = true;
    home->board->ops->still(home->board->arg, home, true);
}

void
afar__home_set_user(afar__home *home, void *user)
{
    home->user = user;
    afar__home_calm(home);
}

void *
afar__home_user(const afar__home *home)
{
    return home->user;
}

/* ---- the buffer ---- */

/* False without memory: then there is no room beyond what is there. */
static bool
grow(afar__home *home)
{
    size_t room = home->room * 2 < home->capacity ? home->room * 2 : home->capacity;
    afar__parcel **ring = calloc(room, sizeof(afar__parcel *));

    if (!ring)
        return false;
    for (size_t i = 0; i < home->count; i++)
        ring[i] = home->ring[(home->head + i) % home->room];
    free(home->ring);
    home->ring = ring;
    home->head = 0;
    home->room = room;
    return true;
}

bool
afar__buffer_has(afar__home *home, afar__direction side)
{
    if (side == AFAR__RECEIVES)
        return home->count > home->reserved[AFAR__RECEIVES];
    if (home->count + home->reserved[AFAR__SENDS] < home->room)
        return true;
    return home->room < home->capacity && grow(home);
}

void
afar__buffer_push(afar__home *home, afar__parcel *parcel)
{
    size_t at = home->head + home->count++;

    home->ring[at < home->room ? at : at - home->room] = parcel;
}

afar__parcel *
afar__buffer_pop(afar__home *home)
{
    afar__parcel *parcel = home->ring[home->head];

    home->count--;
    if (++home->head == home->room)
        home->head = 0;
    return parcel;
}

static void
drop_buffer(afar__home *home)
{
    const afar__board *board = home->board;

    while (home->count > 0) {
        afar__parcel *parcel = afar__buffer_pop(home);

        if (parcel)
            board->ops->drop(board->arg, parcel);
    }
}

void
afar__home_free(afar__home *home)
{
    drop_buffer(home);
    free(home->ring);
    free(home->reason);
    free(home);
}

bool
afar__home_buffered(const afar__home *home)
{
    return home->capacity > 0;
}

bool
afar__home_post(afar__home *home, afar__parcel *parcel)
{
    if (home->capacity == 0 || home->code[AFAR__SENDS] != AFAR_OK ||
        home->code[AFAR__RECEIVES] != AFAR_OK || !afar__buffer_has(home, AFAR__SENDS))
        return false;
    afar__buffer_push(home, parcel);
    if (home->queues[AFAR__RECEIVES].first) {
        afar__home_is_due(home);
        afar__board_work(home->board);
    }
    return true;
}

size_t
afar__home_buffer_count(const afar__home *home)
{
    return home->count;
}

size_t
afar__home_offer_count(const afar__home *home, afar__direction side)
{
    return home->standing[side];
}

/* ---- the end ---- */

const char *
afar__home_text(const afar__home *home, afar_code code, afar__direction side)
{
    switch (code) {
    case AFAR_POISONED:
        return home->reason ? home->reason : "";
    case AFAR_LOST:
        return side == AFAR__SENDS ? "no receiver is left, and one was lost"
                                   : "no sender is left, and one was lost";
    case AFAR_ENDED:
        return side == AFAR__SENDS ? "no receiver is left" : "all senders have finished";
    default:
        return NULL;
    }
}

afar_code
afar__home_state(const afar__home *home, afar__direction side, const char **ret_text)
{
    afar_code code = home->code[side];

    if (code != AFAR_OK)
        *ret_text = afar__home_text(home, code, side);
    return code;
}

/* What is not committed falls apart. */
static void
dissolve_deals(afar__home *home)
{
    afar__offer *next;

    for (afar__offer *offer = home->deals.first; offer; offer = next) {
        next = offer->next;
        if (offer->state == AFAR__OFFER_SENT)
            continue;
        if (next && next == offer->pair)
            next = next->next;
        afar__offer_loosen(offer);
    }
}

/* Tells all on one side. */
static void
end_side(afar__home *home, afar__direction side, afar_code code)
{
    afar__offer *next;

    home->code[side] = code;
    for (afar__offer *offer = home->queues[side].first; offer; offer = next) {
        next = offer->next;
        if (!offer->guard)
            continue;
        afar__offer_leave(offer);
        afar__select_failed(offer->guard);
    }
    for (afar__seat *seat = home->seats; seat; seat = seat->next)
        if (seat->direction == side)
            afar__seat_end(seat);
}

static void
end_if_nothing_is_left(afar__home *home)
{
    afar__direction side;

    for (side = AFAR__SENDS; side <= AFAR__RECEIVES; side++) {
        afar__direction other = !side;

        if (home->code[side] != AFAR_OK || !home->finished[other] || home->standing[other] > 0)
            continue;
        if (side == AFAR__RECEIVES && home->count > 0)
            continue;
        if (side == AFAR__SENDS)
            drop_buffer(home);
        dissolve_deals(home);
        end_side(home, side, home->lost[other] ? AFAR_LOST : AFAR_ENDED);
    }
}

static void
serve_from_buffer(afar__home *home)
{
    static const afar__direction sides[] = { AFAR__RECEIVES, AFAR__SENDS };
    afar__offer *offer;

    for (size_t i = 0; i < 2; i++) {
        while (afar__buffer_has(home, sides[i]) &&
               (offer = afar__home_oldest(home, sides[i], NULL))) {
            afar__offer_leave(offer);
            afar__deal(offer, offer);
        }
    }
}

void
afar__home_settle(afar__home *home)
{
    if (home->capacity > 0 && home->code[AFAR__SENDS] == AFAR_OK &&
        home->code[AFAR__RECEIVES] == AFAR_OK)
        serve_from_buffer(home);
    else if (home->capacity == 0)
        afar__place_missed(home);
    end_if_nothing_is_left(home);
}

/* Offers of selects that are between two rounds will not be made again. */
static void
drop_idle(afar__home *home, afar__direction side)
{
    afar__offer *next;

    for (afar__offer *offer = home->queues[side].first; offer; offer = next) {
        afar__guard *guard = offer->guard;

        next = offer->next;
        if (!guard || guard->select->state == AFAR__SELECT_OPEN ||
            guard->select->state == AFAR__SELECT_HELD)
            continue;
        afar__offer_leave(offer);
        afar__select_list(guard);
    }
}

void
afar__home_finish(afar__home *home, afar__direction side, bool lost)
{
    if (home->finished[side])
        return;
    home->finished[side] = true;
    home->lost[side] = lost;
    afar__home_stir(home);
    drop_idle(home, side);
    afar__home_is_due(home);
    afar__board_work(home->board);
}

/* The first bytes of a text, at most so many as a reason may have, cut at a character. */
static char *
copy_reason(const char *reason)
{
    size_t length = strnlen(reason, AFAR__CHANNEL_REASON + 1);

    if (length > AFAR__CHANNEL_REASON) {
        length = AFAR__CHANNEL_REASON;
        while (length > 0 && ((unsigned char)reason[length] & 0xC0u) == 0x80u)
            length--;
    }
    return strndup(reason, length);
}

void
afar__home_poison(afar__home *home, const char *reason)
{
    bool open[2] = { home->code[AFAR__SENDS] == AFAR_OK, home->code[AFAR__RECEIVES] == AFAR_OK };

    if (!open[AFAR__SENDS] && !open[AFAR__RECEIVES])
        return;
    home->reason = copy_reason(reason);
    for (size_t side = 0; side < 2; side++)
        if (open[side])
            home->code[side] = AFAR_POISONED;
    afar__home_stir(home);
    dissolve_deals(home);
    drop_buffer(home);
    if (open[AFAR__SENDS])
        end_side(home, AFAR__SENDS, AFAR_POISONED);
    if (open[AFAR__RECEIVES])
        end_side(home, AFAR__RECEIVES, AFAR_POISONED);
    afar__board_work(home->board);
}
