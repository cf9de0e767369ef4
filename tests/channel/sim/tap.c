/* What tap.h says.  Each offer has two states, one for each side: they differ for as long as
 * something about it is on its way. */

#include "tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct tap_offer {
    uint64_t select; /* 0: exclusive */
    size_t cost;
    bool tell;
    bool open;      /* for the process */
    bool withdraws; /* the process said so */
    bool stands;    /* at the home */
    bool withdrawn; /* the home heard it */
    bool waiting;   /* the home said so */
    uint64_t claim; /* that the home made, and that is not settled there */
    bool granted;   /* the home heard it */
    bool held;      /* the process said so, and knows nothing of what came of it */
};

struct tap_claim {
    uint64_t offer;
    bool answered;
};

static void __attribute__((format(printf, 2, 3))) wrong(struct tap *tap, const char *format, ...)
{
    va_list list;

    if (tap->wrong[0])
        return;
    va_start(list, format);
    vsnprintf(tap->wrong, sizeof tap->wrong, format, list);
    va_end(list);
}

static unsigned long long
show(uint64_t number)
{
    return (unsigned long long)number;
}

void
tap_open(struct tap *tap, bool sends)
{
    *tap = (struct tap){ .sends = sends,
                         .most_open = AFAR__CHANNEL_LEAST_OFFERS,
                         .most_window = AFAR__CHANNEL_LEAST_WINDOW };
}

void
tap_welcome(struct tap *tap)
{
    tap->most_open = AFAR__CHANNEL_OFFERS;
    tap->most_window = AFAR__CHANNEL_WINDOW;
}

void
tap_close(struct tap *tap)
{
    free(tap->offers);
    free(tap->claims);
    tap->offers = NULL;
    tap->claims = NULL;
}

static void *
grow(void *array, size_t *room, size_t size)
{
    *room = *room ? 2 * *room : 16;
    array = realloc(array, *room * size);
    if (!array)
        abort();
    return array;
}

/* NULL if there never was such an offer. */
static struct tap_offer *
offer_of(const struct tap *tap, uint64_t number)
{
    return number == 0 || number > tap->offer_count ? NULL : &tap->offers[number - 1];
}

static struct tap_claim *
claim_of(const struct tap *tap, uint64_t number)
{
    return number == 0 || number > tap->claim_count ? NULL : &tap->claims[number - 1];
}

/* The process knows what has become of it. */
static void
closed(struct tap *tap, struct tap_offer *offer)
{
    if (!offer || !offer->open)
        return;
    offer->open = offer->held = false;
    tap->open--;
    if (offer->select == 0) {
        tap->open_exclusive--;
        tap->window -= offer->cost;
    }
}

/* ---- acts ---- */

static void
offer_sent(struct tap *tap, const afar__step *step)
{
    struct tap_offer *offer;

    if (tap->offer_count == tap->offer_room)
        tap->offers = grow(tap->offers, &tap->offer_room, sizeof *tap->offers);
    offer = &tap->offers[tap->offer_count++];
    *offer = (struct tap_offer){ .select = step->select, .tell = step->tell, .open = true };
    if (step->number != tap->offer_count)
        wrong(tap, "offer %llu has the number %llu", show(tap->offer_count), show(step->number));
    if (++tap->open > tap->most_open)
        wrong(tap, "%zu offers are open", tap->open);
    if ((step->parcel != NULL) != (tap->sends && step->select == 0))
        wrong(tap, "offer %llu has the wrong payload", show(step->number));
    if (step->select != 0)
        return;
    offer->cost = step->bytes + AFAR__CHANNEL_OFFER_COST;
    tap->window += offer->cost;
    tap->open_exclusive++;
    if (tap->sends && tap->window > tap->most_window && tap->open_exclusive > 1)
        wrong(tap, "%zu bytes in a window of %u", tap->window, tap->most_window);
}

static void
withdraw_sent(struct tap *tap, uint64_t number)
{
    struct tap_offer *offer = offer_of(tap, number);

    if (!offer || !offer->open || offer->withdraws)
        wrong(tap, "Withdraw of offer %llu, which is not open", show(number));
    else
        offer->withdraws = true;
}

static void
answer_sent(struct tap *tap, const afar__step *step)
{
    struct tap_claim *claim = claim_of(tap, step->number);
    struct tap_offer *offer = claim ? offer_of(tap, claim->offer) : NULL;

    if (!claim || step->number > tap->claims_heard || claim->answered || !offer) {
        wrong(tap, "an answer to claim %llu, which is not open", show(step->number));
        return;
    }
    claim->answered = true;
    if (step->kind == AFAR__STEP_DENY) {
        closed(tap, offer);
        return;
    }
    if ((step->parcel != NULL) != tap->sends)
        wrong(tap, "Grant of claim %llu has the wrong payload", show(step->number));
    offer->held = true;
}

void
tap_act_sent(struct tap *tap, const afar__step *step)
{
    switch (step->kind) {
    case AFAR__STEP_OFFER:
        offer_sent(tap, step);
        break;
    case AFAR__STEP_WITHDRAW:
        withdraw_sent(tap, step->number);
        break;
    case AFAR__STEP_GRANT:
    case AFAR__STEP_DENY:
        answer_sent(tap, step);
        break;
    case AFAR__STEP_ACK:
        tap->acked += step->count;
        if (step->count == 0 || tap->acked > tap->messages)
            wrong(tap, "Ack of %llu Messages, and %llu came", show(tap->acked),
                  show(tap->messages));
        break;
    case AFAR__STEP_POISON:
        break;
    default:
        wrong(tap, "a process says what homes say");
    }
}

void
tap_act_came(struct tap *tap, const afar__step *step)
{
    struct tap_claim *claim;
    struct tap_offer *offer;

    switch (step->kind) {
    case AFAR__STEP_OFFER:
        offer = offer_of(tap, ++tap->heard);
        if (offer)
            offer->stands = true;
        break;
    case AFAR__STEP_WITHDRAW:
        offer = offer_of(tap, step->number);
        if (offer)
            offer->withdrawn = true;
        break;
    case AFAR__STEP_GRANT:
    case AFAR__STEP_DENY:
        claim = claim_of(tap, step->number);
        offer = claim ? offer_of(tap, claim->offer) : NULL;
        if (offer && step->kind == AFAR__STEP_GRANT)
            offer->granted = true;
        else if (offer)
            offer->stands = false;
        break;
    default:
        break;
    }
}

/* ---- words ---- */

/* The home may say what has become of it: nobody else decides any more. */
static struct tap_offer *
decided(struct tap *tap, uint64_t number, const char *word)
{
    struct tap_offer *offer = offer_of(tap, number);

    if (!offer || !offer->stands) {
        wrong(tap, "%s for offer %llu, which is not open", word, show(number));
        return NULL;
    }
    if (offer->select != 0 && !offer->granted)
        wrong(tap, "%s for offer %llu, which was not granted", word, show(number));
    offer->stands = false;
    return offer;
}

static void
claim_sent(struct tap *tap, const afar__step *step)
{
    struct tap_offer *offer = offer_of(tap, step->offer);

    if (tap->claim_count == tap->claim_room)
        tap->claims = grow(tap->claims, &tap->claim_room, sizeof *tap->claims);
    tap->claims[tap->claim_count++] = (struct tap_claim){ .offer = step->offer };
    if (step->number != tap->claim_count)
        wrong(tap, "claim %llu has the number %llu", show(tap->claim_count), show(step->number));
    if (!offer || !offer->stands || offer->select == 0 || offer->claim != 0)
        wrong(tap, "Claim of offer %llu, which is not to be claimed", show(step->offer));
    else
        offer->claim = step->number;
}

static void
release_sent(struct tap *tap, uint64_t number)
{
    struct tap_claim *claim = claim_of(tap, number);
    struct tap_offer *offer = claim ? offer_of(tap, claim->offer) : NULL;

    if (!offer || !offer->stands || !offer->granted || offer->claim != number) {
        wrong(tap, "Release of claim %llu, which was not granted", show(number));
        return;
    }
    offer->claim = 0;
    offer->granted = false;
}

static void
taken_sent(struct tap *tap, const afar__step *step)
{
    if (!tap->sends || step->count == 0)
        wrong(tap, "Taken of %llu offers", show(step->count));
    for (uint64_t i = 0; i < step->count; i++)
        decided(tap, step->number + i, "Taken");
}

static void
about_offer_sent(struct tap *tap, const afar__step *step)
{
    struct tap_offer *offer = offer_of(tap, step->number);

    if (!offer || !offer->stands) {
        wrong(tap, "a word about offer %llu, which is not open", show(step->number));
        return;
    }
    if (step->kind == AFAR__STEP_WAITING) {
        if (!offer->tell || offer->waiting)
            wrong(tap, "Waiting for offer %llu, and nobody asks", show(step->number));
        offer->waiting = true;
        return;
    }
    if (!offer->withdrawn)
        wrong(tap, "Withdrawn of offer %llu, and nobody asked", show(step->number));
    offer->stands = false;
}

void
tap_word_sent(struct tap *tap, const afar__step *step)
{
    if (tap->ended)
        wrong(tap, "a word after Ended");
    switch (step->kind) {
    case AFAR__STEP_TAKEN:
        taken_sent(tap, step);
        break;
    case AFAR__STEP_MESSAGE:
        decided(tap, step->number, "Message");
        tap->told += step->ack;
        if (tap->sends || !step->parcel)
            wrong(tap, "a Message that is none");
        break;
    case AFAR__STEP_UNKNOWN:
        decided(tap, step->number, "Unknown");
        if (!tap->sends)
            wrong(tap, "Unknown for a receiver");
        break;
    case AFAR__STEP_WAITING:
    case AFAR__STEP_WITHDRAWN:
        about_offer_sent(tap, step);
        break;
    case AFAR__STEP_CLAIM:
        claim_sent(tap, step);
        break;
    case AFAR__STEP_RELEASE:
        release_sent(tap, step->number);
        break;
    case AFAR__STEP_ENDED:
        tap->ended = true;
        break;
    default:
        wrong(tap, "a home says what processes say");
    }
}

void
tap_word_came(struct tap *tap, const afar__step *step)
{
    struct tap_claim *claim;
    struct tap_offer *offer;

    switch (step->kind) {
    case AFAR__STEP_TAKEN:
        for (uint64_t i = 0; i < step->count && i < tap->offer_count; i++)
            closed(tap, offer_of(tap, step->number + i));
        break;
    case AFAR__STEP_MESSAGE:
        tap->messages += step->ack;
        closed(tap, offer_of(tap, step->number));
        break;
    case AFAR__STEP_UNKNOWN:
    case AFAR__STEP_WITHDRAWN:
        closed(tap, offer_of(tap, step->number));
        break;
    case AFAR__STEP_CLAIM:
        tap->claims_heard++;
        break;
    case AFAR__STEP_RELEASE:
        claim = claim_of(tap, step->number);
        offer = claim ? offer_of(tap, claim->offer) : NULL;
        if (offer)
            offer->held = false;
        break;
    case AFAR__STEP_ENDED:
        for (size_t i = 0; i < tap->offer_count; i++)
            closed(tap, &tap->offers[i]);
        break;
    default:
        break;
    }
}

/* ---- questions ---- */

uint64_t
tap_claimed(const struct tap *tap, uint64_t claim)
{
    const struct tap_claim *claimed = claim_of(tap, claim);
    const struct tap_offer *offer = claimed ? offer_of(tap, claimed->offer) : NULL;

    return offer ? offer->select : 0;
}

bool
tap_holds(const struct tap *tap, uint64_t select)
{
    for (size_t i = 0; i < tap->offer_count; i++)
        if (tap->offers[i].held && tap->offers[i].select == select)
            return true;
    return false;
}

bool
tap_is_withdrawn(const struct tap *tap, uint64_t number)
{
    const struct tap_offer *offer = offer_of(tap, number);

    return offer && offer->withdrawn;
}

bool
tap_asked(const struct tap *tap, uint64_t number)
{
    const struct tap_offer *offer = offer_of(tap, number);

    return offer && offer->tell && !offer->waiting;
}
