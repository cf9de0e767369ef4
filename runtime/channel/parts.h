#ifndef AFAR_RUNTIME_CHANNEL_PARTS_H
#define AFAR_RUNTIME_CHANNEL_PARTS_H

/* What the files of the board share.
 *
 *   board.c     the board, and its work list
 *   home.c      channels: life, ends, poison
 *   quick.c     what needs no select
 *   place.c     where an offer goes: to another, into the buffer, into the queue
 *   deal.c      pairs: claims in order, the message, and how a pair falls apart
 *   seat.c      processes that are attached: life
 *   acts.c      what they say
 *   select.c    selects: what their owners do
 *   round.c     selects: who may have one, and what ends a round
 *   proxy.c     ends elsewhere: life, posts
 *   ticket.c    the offers made there
 *   words.c     what their homes say
 *   numbers.c   finding things by their numbers
 *
 * A chain of consequences can be long: a select that is done denies claims, so pairs fall apart, so
 * offers are placed anew, which ends other selects.  So nothing here recurs: such things
 * are put on the work list of the board, and every function of board.h that may
 * cause them ends with afar__board_work. */

#include "runtime/channel/board.h"

/* ---- numbers ---- */

/* A part of what has a number. */
typedef struct afar__numbered {
    struct afar__numbered *next;
    uint64_t number;
} afar__numbered;

enum { AFAR__NUMBERS_LEAST = 8 };

typedef struct afar__numbers {
    afar__numbered **slots; /* a power of 2 of lists */
    size_t capacity, count;
    afar__numbered *least[AFAR__NUMBERS_LEAST];
} afar__numbers;

void
afar__numbers_init(afar__numbers *numbers);

/* Frees the table, not what was in it; it is empty then. */
void
afar__numbers_clear(afar__numbers *numbers);

/* Cannot fail: without memory for a larger table it gets slower. */
void
afar__numbers_add(afar__numbers *numbers, afar__numbered *entry, uint64_t number);

afar__numbered *
afar__numbers_find(const afar__numbers *numbers, uint64_t number);

/* Nothing happens if it is not in. */
void
afar__numbers_remove(afar__numbers *numbers, afar__numbered *entry);

/* ---- offers at a home ---- */

enum {
    AFAR__OFFER_NONE,   /* in no queue */
    AFAR__OFFER_QUEUED, /* its home's: it waits for another */
    AFAR__OFFER_PARKED, /* its seat's: that is stalled, or was crowded */
    AFAR__OFFER_LOOSE,  /* the board's: its pair fell apart, and it is to be placed */
    AFAR__OFFER_PAIRED, /* its home's deals, as the next two: not asked yet */
    AFAR__OFFER_ASKED,  /* a claim was said, or waits for the select; `pair` may have gone */
    AFAR__OFFER_HELD,   /* its select is held for it, or it is exclusive */
    AFAR__OFFER_SENT,   /* the receiver's process has the message and did not say so yet; one to
                           send is among the deals, one to receive among its seat's unacknowledged */
    AFAR__OFFER_UNSENT  /* a guard's, in the queue of its proxy */
};

/* An offer of a seat. */
typedef struct afar__bid {
    afar__offer offer;
    struct afar__bid *next, **link; /* all of the seat */
    afar__numbered by_number, by_claim;
    uint64_t select; /* 0: it is exclusive */
    afar__parcel *parcel;
    size_t bytes; /* of the parcel */
    size_t cost;  /* what it takes of the window */
    bool tell, patient;
    bool counts;    /* among the paired of its seat */
    bool back;      /* queued again, after it was parked since its seat was crowded */
    bool withdrawn; /* while it is claimed: that will be denied; or after its message was sent */
} afar__bid;

/* What a thread touches that hands a message to another comes first. */
struct afar__home {
    afar__offers queues[2];    /* by direction: those that wait */
    unsigned capacity;         /* of the buffer; 0: there is none */
    afar_code code[2];         /* what it has come to for that side */
    bool finished[2], lost[2]; /* that side has no ends any more */
    bool gave_up;              /* a pair may have been missed; see afar__home_oldest */

    size_t standing[2]; /* all offers, wherever they are */
    bool still;         /* and its user was told so */
    void *user;
    uint64_t arrivals; /* offers that came so far */
    afar__board *board;
    bool due;
    afar__home *next_due;
    afar__offers deals;
    afar__seat *seats;
    char *reason;

    /* The buffer: a ring that grows. */
    afar__parcel **ring;
    size_t room, head, count;
    size_t reserved[2]; /* SENDS: room; RECEIVES: messages */
};

struct afar__seat {
    afar__home *home;
    afar__seat *next, **link; /* the home's */
    afar__direction direction;
    uint8_t process[16];
    void *user;
    bool stalled;
    uint64_t stalled_at; /* arrivals at its home by then */
    bool ending;         /* ENDED is to be said once `busy` is 0 */
    bool over;
    uint64_t offers, claims; /* so far */
    size_t open;             /* offers */
    size_t used;             /* of the window */
    size_t busy;             /* offers whose message was sent and not acknowledged */
    size_t paired;           /* offers to send that must be claimed, until their deals are over */
    size_t back;             /* offers that are */
    afar__bid *bids;
    afar__numbers by_number, by_claim;
    afar__offers parked, unacknowledged;
    afar__offer *parked_last; /* the one that was parked last, if it still is */
    bool due;
    afar__seat *next_due;
};

/* ---- offers elsewhere ---- */

enum {
    AFAR__TICKET_OPEN,
    AFAR__TICKET_ASKED, /* a claim came and waits for the select */
    AFAR__TICKET_HELD   /* the claim was granted */
};

typedef struct afar__ticket {
    struct afar__ticket *next, **link; /* all of the proxy */
    afar__numbered by_number, by_claim;
    afar__proxy *proxy;
    afar__guard *guard; /* NULL: a post, or the guard has gone */
    size_t cost;        /* what it takes of the window */
    uint8_t state;
    bool exclusive, tell, post;
    bool withdrawing; /* Withdraw was said */
} afar__ticket;

struct afar__proxy {
    afar__board *board;
    afar__direction direction;
    void *user;
    bool attached;
    bool ended;     /* ENDED came */
    afar_code code; /* what it has come to */
    char *text;
    char *poison; /* to be said once it is attached; NULL: not poisoned */
    size_t max_open, window;
    uint64_t offers, claims; /* so far */
    size_t open, used;
    size_t unguarded; /* tickets without guards */
    afar__ticket *tickets;
    afar__numbers by_number, by_claim;
    afar__offers unsent; /* of guards that wait for room, or for the call */
    afar__posts posts;
    char *unsent_text;
    bool refused_post; /* its owner waits for room */
    bool posts_went;   /* its owner is to be told */
    bool due;
    afar__proxy *next_due;
};

/* ---- selects ---- */

enum { AFAR__SELECT_IDLE, AFAR__SELECT_OPEN, AFAR__SELECT_HELD, AFAR__SELECT_DONE };

/* The lists of a select that a guard may be in. */
enum { AFAR__LIST_NONE, AFAR__LIST_LOOK, AFAR__LIST_WANTS };

/* What becomes of a guard that wants to happen. */
typedef enum afar__answer { AFAR__NOW, AFAR__LATER, AFAR__NEVER } afar__answer;

/* NOW: nothing holds the select, and it may be held or ended. */
afar__answer
afar__select_answer(const afar__guard *guard);

/* The guard waits for its select; `failed`: to say what its channel has come to. */
void
afar__select_want(afar__guard *guard, bool failed);

/* It is in neither list from now on. */
void
afar__select_unlist(afar__guard *guard);

/* It has no offer, and is to be looked at. */
void
afar__select_list(afar__guard *guard);

/* What is held is not needed: the round goes on. */
void
afar__select_reopen(afar__select *select);

/* Its channel is over: ends the round, now or later, or waits for the next one. */
void
afar__select_failed(afar__guard *guard);

/* Ends the round; `guard` NULL: nothing happened. */
void
afar__select_done(afar__select *select, afar__guard *guard, afar_code code, const char *text);

/* Makes an offer for a guard that is in no list, or finds out that it happens at once. */
void
afar__select_look(afar__guard *guard);

void
afar__guard_unsure(afar__guard *guard, bool unsure);

/* Its number, which it gets with the first need. */
uint64_t
afar__select_number(afar__select *select);

void
afar__select_settle(afar__select *select);

/* ---- the board's work ---- */

void
afar__select_is_due(afar__select *select);
void
afar__seat_is_due(afar__seat *seat);
void
afar__home_is_due(afar__home *home);
void
afar__proxy_is_due(afar__proxy *proxy);

void
afar__board_work(afar__board *board);

/* ---- queues ---- */

static inline void
afar__offers_init(afar__offers *offers)
{
    offers->first = NULL;
    offers->last = &offers->first;
    offers->count = 0;
}

static inline void
afar__offers_append(afar__offers *offers, afar__offer *offer)
{
    offer->next = NULL;
    offer->link = offers->last;
    *offers->last = offer;
    offers->last = &offer->next;
    offers->count++;
}

/* In front of *where, which is NULL at the end. */
static inline void
afar__offers_insert(afar__offers *offers, afar__offer **where, afar__offer *offer)
{
    offer->next = *where;
    offer->link = where;
    *where = offer;
    if (offer->next)
        offer->next->link = &offer->next;
    else
        offers->last = &offer->next;
    offers->count++;
}

static inline void
afar__offers_remove(afar__offers *offers, afar__offer *offer)
{
    *offer->link = offer->next;
    if (offer->next)
        offer->next->link = offer->link;
    else
        offers->last = offer->link;
    offers->count--;
}

static inline afar__bid *
afar__bid_of(afar__offer *offer)
{
    return (afar__bid *)offer; /* its first member */
}

/* Whose it is; 16 bytes. */
static inline const uint8_t *
afar__offer_process(const afar__offer *offer)
{
    return offer->seat ? offer->seat->process : offer->home->board->process;
}

/* Exclusive offers are granted in advance. */
static inline bool
afar__offer_is_exclusive(const afar__offer *offer)
{
    return offer->seat && ((const afar__bid *)offer)->select == 0;
}

/* Whether it is one of those of which a seat has a few paired at most: their messages come with the grants. */
static inline bool
afar__offer_brings_later(const afar__offer *offer)
{
    return offer->seat && offer->direction == AFAR__SENDS &&
           ((const afar__bid *)offer)->select != 0;
}

/* ---- homes ---- */

/* Into the queue of that state, and out of the one it is in. */
void
afar__offer_enter(afar__offer *offer, uint8_t state);
void
afar__offer_leave(afar__offer *offer);

/* Finds a pair for an offer that is in no queue, or lets it wait: behind all others, or if it waited
 * before (`again`) where it was. */
void
afar__place(afar__offer *offer, bool again);

/* The same for those of a seat that is not stalled any more which were found or came meanwhile. */
void
afar__place_stalled(afar__seat *seat);

/* The same for those that were found while the seat was crowded, as far as it is not any more: on the work
 * list. */
void
afar__place_crowded(afar__seat *seat);

/* The oldest of a side that can be paired, and is not of the select of `than`, if not NULL.  Gives up behind
 * AFAR__CHANNEL_CASES of that select: one search costs no more, however many a peer has made.  What
 * it missed is looked for again when an offer has gone. */
afar__offer *
afar__home_oldest(afar__home *home, afar__direction side, const afar__offer *than);

/* Looks for a pair that was missed: on the work list. */
void
afar__place_missed(afar__home *home);

/* Whether two offers are of one select. */
bool
afar__offer_is_same(const afar__offer *a, const afar__offer *b);

/* What the work list does for a home: the buffer, a pair that was missed, and the end. */
void
afar__home_settle(afar__home *home);

/* Something came, or went. */
void
afar__home_stir(afar__home *home);
void
afar__home_calm(afar__home *home);

const char *
afar__home_text(const afar__home *home, afar_code code, afar__direction side);

bool
afar__buffer_has(afar__home *home, afar__direction side);
void
afar__buffer_push(afar__home *home, afar__parcel *parcel);
afar__parcel *
afar__buffer_pop(afar__home *home);

/* ---- deals ---- */

/* Pairs an offer with another, or with the buffer (itself), and goes on as far as possible.  Both are
 * in no queue. */
void
afar__deal(afar__offer *offer, afar__offer *pair);

/* An offer that is in a deal was granted, or its message arrived. */
void
afar__deal_granted(afar__offer *offer);
void
afar__deal_arrived(afar__offer *receives);
/* The receiver was lost before that. */
void
afar__deal_unknown(afar__offer *receives);
/* The message was not sent after all. */
void
afar__deal_unsent(afar__offer *receives, afar_code code, const char *text);

/* Its deal falls apart, and nothing stands for it any more. */
void
afar__offer_gone(afar__offer *offer);

/* Its deal falls apart; it goes on waiting for another. */
void
afar__offer_loosen(afar__offer *offer);

/* ---- seats ---- */

void
afar__seat_end(afar__seat *seat);

/* Says the rest, if `busy` came to 0. */
void
afar__seat_rest(afar__seat *seat);

/* Gone, and freed. */
void
afar__bid_free(afar__bid *bid);

/* A word without more than a number. */
void
afar__seat_say(afar__seat *seat, afar__step_kind kind, uint64_t number);

/* It is in a deal from now on, or not any more. */
void
afar__bid_paired(afar__bid *bid);
void
afar__bid_parted(afar__bid *bid);

/* Nothing is to be had for an offer that asked for it. */
void
afar__bid_waits(afar__bid *bid);

/* ---- tickets ---- */

/* Makes an offer for a guard, or lets it wait for room. */
void
afar__proxy_offer(afar__guard *guard);

/* Sends what waits, as far as there is room. */
void
afar__proxy_settle(afar__proxy *proxy);

/* NULL without memory. */
afar__ticket *
afar__ticket_new(afar__proxy *proxy, afar__guard *guard, size_t cost);

/* Answered, or lost. */
void
afar__ticket_free(afar__ticket *ticket);

bool
afar__proxy_has_room(const afar__proxy *proxy, size_t cost);

/* It happened, or nobody knows.  Takes the parcel. */
void
afar__ticket_happened(afar__ticket *ticket, afar_code code, const char *text, afar__parcel *parcel);

/* Answers the claim of a guard whose select is open, or is not. */
void
afar__ticket_grant(afar__ticket *ticket);
void
afar__ticket_deny(afar__ticket *ticket);

/* The same, for a select that was not there for it; its guard remembers that. */
void
afar__ticket_miss(afar__ticket *ticket);

/* Says Withdraw, once. */
void
afar__ticket_withdraw(afar__ticket *ticket);

/* Between rounds: nothing stands for the guard any more. */
void
afar__guard_withdraw(afar__guard *guard);

/* All that stands at a proxy comes to its end: what was not answered has not happened, unless `lost`. */
void
afar__proxy_over(afar__proxy *proxy, bool lost);

#endif
