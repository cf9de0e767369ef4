/* Proxies: an end of a channel whose home is elsewhere.  Its life, and what is sent ahead. */

#include <stdlib.h>
#include <string.h>

#include "runtime/channel/parts.h"

afar__proxy *
afar__proxy_new(afar__board *board, afar__direction direction, void *user)
{
    afar__proxy *proxy = calloc(1, sizeof(*proxy));

    if (!proxy)
        return NULL;
    proxy->board = board;
    proxy->direction = direction;
    proxy->user = user;
    afar__offers_init(&proxy->unsent);
    afar__numbers_init(&proxy->by_number);
    afar__numbers_init(&proxy->by_claim);
    return proxy;
}

void
afar__proxy_free(afar__proxy *proxy)
{
    afar__numbers_clear(&proxy->by_number);
    afar__numbers_clear(&proxy->by_claim);
    free(proxy->text);
    free(proxy->poison);
    free(proxy->unsent_text);
    free(proxy);
}

void *
afar__proxy_user(const afar__proxy *proxy)
{
    return proxy->user;
}

afar_code
afar__proxy_state(const afar__proxy *proxy, const char **ret_text)
{
    if (proxy->code != AFAR_OK)
        *ret_text = proxy->text ? proxy->text : "";
    return proxy->code;
}

static void
say_poison(afar__proxy *proxy, const char *reason)
{
    afar__step step = { .kind = AFAR__STEP_POISON, .text = reason };

    proxy->board->ops->act(proxy->board->arg, proxy, &step);
}

void
afar__proxy_attached(afar__proxy *proxy)
{
    if (proxy->ended)
        return;
    proxy->attached = true;
    proxy->code = AFAR_OK;
    proxy->offers = proxy->claims = 0;
    proxy->max_open = AFAR__CHANNEL_LEAST_OFFERS;
    proxy->window = AFAR__CHANNEL_LEAST_WINDOW;
    if (proxy->poison)
        say_poison(proxy, proxy->poison);
    free(proxy->poison);
    proxy->poison = NULL;
    afar__proxy_settle(proxy);
    /* Those without room cannot happen now. */
    for (afar__offer *offer = proxy->unsent.first; offer; offer = offer->next)
        afar__guard_unsure(offer->guard, false);
    afar__board_work(proxy->board);
}

void
afar__proxy_limits(afar__proxy *proxy, uint32_t offers, uint32_t window_bytes)
{
    if (offers > proxy->max_open)
        proxy->max_open = offers;
    if (window_bytes > proxy->window)
        proxy->window = window_bytes;
    afar__proxy_is_due(proxy);
    afar__board_work(proxy->board);
}

/* The end of one offer, when all end. */
static void
end_ticket(afar__ticket *ticket, bool lost)
{
    afar__proxy *proxy = ticket->proxy;
    afar__guard *guard = ticket->guard;
    bool happening = ticket->exclusive || ticket->state == AFAR__TICKET_HELD;

    if (lost && happening && proxy->direction == AFAR__SENDS) {
        afar__ticket_happened(ticket, AFAR_UNKNOWN, proxy->text, NULL);
        return;
    }
    proxy->posts.refused += ticket->post;
    if (lost && guard && happening && guard->select->giving_up) {
        afar__ticket_happened(ticket, AFAR_LOST, proxy->text, NULL);
        return;
    }
    if (guard && happening)
        afar__select_reopen(guard->select);
    if (guard)
        afar__select_unlist(guard);
    afar__ticket_free(ticket);
    if (guard)
        afar__select_failed(guard);
}

void
afar__proxy_over(afar__proxy *proxy, bool lost)
{
    afar__offer *offer;

    while (proxy->tickets)
        end_ticket(proxy->tickets, lost);
    while ((offer = proxy->unsent.first)) {
        afar__offer_leave(offer);
        afar__guard_unsure(offer->guard, false);
        afar__select_failed(offer->guard);
    }
    proxy->posts_went = true;
    afar__proxy_is_due(proxy);
}

void
afar__proxy_lost(afar__proxy *proxy, afar_code code, const char *text)
{
    proxy->attached = false;
    if (proxy->ended)
        return;
    proxy->code = code;
    free(proxy->text);
    proxy->text = text ? strdup(text) : NULL;
    afar__proxy_over(proxy, code == AFAR_LOST);
    afar__board_work(proxy->board);
}

void
afar__proxy_poison(afar__proxy *proxy, const char *reason)
{
    if (proxy->attached && !proxy->ended)
        say_poison(proxy, reason);
    else if (!proxy->ended && !proxy->poison)
        proxy->poison = strdup(reason);
}

bool
afar__proxy_post(afar__proxy *proxy, afar__parcel *parcel)
{
    const afar__board *board = proxy->board;
    size_t bytes = board->ops->bytes(board->arg, parcel);
    size_t cost = bytes + AFAR__CHANNEL_OFFER_COST;
    afar__step step = { .kind = AFAR__STEP_OFFER, .parcel = parcel, .bytes = bytes };
    afar__ticket *ticket = NULL;

    if (proxy->code != AFAR_OK)
        return false;
    if (proxy->attached && !proxy->unsent.first && afar__proxy_has_room(proxy, cost))
        ticket = afar__ticket_new(proxy, NULL, cost);
    if (!ticket) {
        proxy->refused_post = true;
        return false;
    }
    ticket->exclusive = ticket->post = true;
    proxy->posts.open++;
    step.number = ticket->by_number.number;
    board->ops->act(board->arg, proxy, &step);
    return true;
}

afar__posts
afar__proxy_posts(const afar__proxy *proxy)
{
    return proxy->posts;
}

bool
afar__proxy_busy(const afar__proxy *proxy)
{
    return proxy->unguarded > 0;
}
