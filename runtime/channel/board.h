#ifndef AFAR_RUNTIME_CHANNEL_BOARD_H
#define AFAR_RUNTIME_CHANNEL_BOARD_H

/* Channels and selects of one process, as idl/afar/channel.proto has them: what happened in,
 * what to say out.  No input or output, no thread, no lock, no clock: a board is driven under its
 * owner's lock, for real (one a process), in the simulation (many), and against the model.
 *
 *     board   all of a process
 *     home    a channel that was made here: pairs offers
 *     seat    at a home: a process elsewhere that is attached to one of its ends
 *     proxy   here: one end of a channel whose home is elsewhere
 *     select  one thread's wait, again and again if it likes
 *     guard   one case of a select: on a home, on a proxy, or on something else ("other")
 *
 * Functions here change state and call the owner's `ops`, which only note what is to be done (bytes to be
 * sent, threads to be woken) and call nothing here.  A select whose homes are all here is decided at
 * once, without claims: everything that it takes is in this process and under the one lock.
 *
 * A select has rounds.  Between two rounds it is idle, but its offers stand: so the cost of a
 * round goes with the guards on which something happened, not with their number.
 *
 *     idle -> begin -> open <-> held -> done -> (result was read) idle
 *
 * Whoever finds an offer of an idle select takes it out of the home's queue (a claim is denied); the guard
 * is then on the select's list of those to look at, and the next round begins with that list.  A guard that
 * is not on the list has an offer that stands.  At first all are on it.
 *
 * Fairness: a home pairs the oldest offers first; the list is first in, first out, and a guard that
 * happened goes to its end.  A guard on a proxy that missed its turn, since its claim came when the
 * select was not there for it, asks in the next round, and those behind it in the list wait for the
 * answer: else guards here, which are so much faster, would always be first.  By priority: of the
 * guards that could happen when the round begins, the first in the array; a guard on a proxy counts as
 * one that could not once the home has said Waiting or withdrew, and until all in front of it
 * have, a claim for a later one waits.  Time-outs, and what is fired, wait for none of that.
 *
 * Parcels are messages; they are the owner's, and one at a time has each.
 *
 * Memory.  What a peer can make a home hold: its offers, at most `offers` a seat, 128 bytes each or
 * so, payloads within its window, and one message for each claim that it granted and whose
 * receiver, which is claimed behind it or has to acknowledge it, has not answered yet.  Of these there are at
 * most AFAR__CHANNEL_CLAIMS a seat: when so many of its offers are paired, its others that must be claimed are
 * not, as if it were stalled.  They hold nothing, so none of those can be waiting for them.  What
 * has its payload in the window already goes on.  A seat that receives has no payloads, and no
 * such limit.  Out of memory for what a peer wants: its seat fails with RESOURCE_EXHAUSTED.  A guard at a home here takes none beyond itself; an offer at a proxy does, since it
 * may outlive its select, and without it the guard ends the round with RESOURCE_EXHAUSTED. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <afar/error.h>

#define AFAR__CHANNEL_OFFERS 65536u        /* open at a time, of one seat */
#define AFAR__CHANNEL_WINDOW (256u * 1024) /* bytes of open exclusive offers, of one seat */
#define AFAR__CHANNEL_OFFER_COST 64u       /* what each counts beside its payload */
#define AFAR__CHANNEL_REASON 1000u         /* bytes of text in POISON and ENDED */
#define AFAR__CHANNEL_CLAIMS 64u           /* open at a time, of one seat that sends */
#define AFAR__CHANNEL_CASES 1024u          /* of one select, that a search passes over */
#define AFAR__CHANNEL_LEAST_OFFERS 1024u   /* what a home has at least */
#define AFAR__CHANNEL_LEAST_WINDOW (64u * 1024)

typedef struct afar__board afar__board;
typedef struct afar__home afar__home;
typedef struct afar__seat afar__seat;
typedef struct afar__proxy afar__proxy;
typedef struct afar__select afar__select;
typedef struct afar__guard afar__guard;
typedef struct afar__offer afar__offer;
typedef struct afar__parcel afar__parcel; /* the owner's */

typedef enum afar__direction { AFAR__SENDS, AFAR__RECEIVES } afar__direction;

/* ---- what is said: the acts and words of channel.proto, but Hello and Welcome ---- */

typedef enum afar__step_kind {
    AFAR__STEP_OFFER, /* acts */
    AFAR__STEP_WITHDRAW,
    AFAR__STEP_GRANT,
    AFAR__STEP_DENY,
    AFAR__STEP_ACK,
    AFAR__STEP_POISON,
    AFAR__STEP_TAKEN, /* words */
    AFAR__STEP_MESSAGE,
    AFAR__STEP_WAITING,
    AFAR__STEP_CLAIM,
    AFAR__STEP_RELEASE,
    AFAR__STEP_WITHDRAWN,
    AFAR__STEP_UNKNOWN,
    AFAR__STEP_ENDED
} afar__step_kind;

typedef struct afar__step {
    afar__step_kind kind;
    uint64_t
        number;     /* of the offer; of the claim in GRANT, DENY, RELEASE.  OFFER, CLAIM as they are
                             sent: their own, which is not on the wire; as they are received: 0 */
    uint64_t count; /* TAKEN, ACK */
    uint64_t select;      /* OFFER */
    uint64_t offer;       /* CLAIM: that it is about */
    bool tell, patient;   /* OFFER */
    bool ack;             /* MESSAGE */
    afar_code code;       /* ENDED */
    const char *text;     /* POISON, ENDED; lives for the call */
    afar__parcel *parcel; /* OFFER, GRANT, MESSAGE: goes over to who takes the step; or NULL, which
                             where a message belongs is one of no bytes */
    size_t bytes;         /* of the parcel, as it counts in a window */
} afar__step;

/* ---- the owner's ---- */

typedef struct afar__board_ops {
    /* To be sent, in order: an act to the home of a proxy, a word to the process of a seat. */
    void (*act)(void *arg, afar__proxy *proxy, afar__step *step);
    void (*word)(void *arg, afar__seat *seat, afar__step *step);
    /* The round is done; `begin`, `stop` and `fire` say that by their result and do not call this. */
    void (*done)(void *arg, afar__select *select);
    /* The message of a guard that sends is needed now.  NULL: it cannot be had, and the guard ends
     * the round with RESOURCE_EXHAUSTED. */
    afar__parcel *(*pack)(void *arg, afar__guard *guard);
    /* There is no room for that message yet: it will be asked for again.  NULL: it is dropped. */
    void (*unpack)(void *arg, afar__guard *guard, afar__parcel *parcel);
    size_t (*bytes)(void *arg, const afar__parcel *parcel);
    void (*drop)(void *arg, afar__parcel *parcel);
    /* Something about the posts of a proxy changed: there is room again, all are taken, or they
     * never will be. */
    void (*posted)(void *arg, afar__proxy *proxy);
    /* A home that has a user is still from now on, or is not any more; or NULL. */
    void (*still)(void *arg, afar__home *home, bool still);
} afar__board_ops;

/* Private: a queue of offers. */
typedef struct afar__offers {
    afar__offer *first, **last;
    size_t count;
} afar__offers;

struct afar__board {
    const afar__board_ops *ops;
    void *arg;
    uint8_t process[16];

    /* private */
    uint64_t selects;          /* numbers given so far */
    afar__select *current;     /* whose begin, stop or fire is running */
    afar__select *selects_due; /* the work list: all are empty between two calls */
    afar__seat *seats_due;
    afar__home *homes_due;
    afar__proxy *proxies_due;
    afar__offers loose;
};

void
afar__board_init(afar__board *board, const afar__board_ops *ops, void *arg,
                 const uint8_t process[16]);

/* ---- homes ---- */

/* A channel; `capacity` 0: rendezvous, else buffered, with room for so many.  NULL without memory. */
afar__home *
afar__home_new(afar__board *board, unsigned capacity);

/* A rendezvous channel is still while the board knows of nothing there: nobody waits, nobody is attached, and
 * neither side has finished.  Threads may meet there without the board then, until `still` is told
 * otherwise, which is before the board looks for others to pair.  The user is told first from within this. */
void
afar__home_set_user(afar__home *home, void *user);

void *
afar__home_user(const afar__home *home);

/* Nothing refers to it any more: no guard, no seat; what is buffered is dropped. */
void
afar__home_free(afar__home *home);

bool
afar__home_buffered(const afar__home *home);

/* One side has no ends any more, here and elsewhere; `lost`: one of those that went was lost.  Offers that
 * were made still happen. */
void
afar__home_finish(afar__home *home, afar__direction side, bool lost);

/* Ends it for all, at once; a pair that is being committed happens all the same. */
void
afar__home_poison(afar__home *home, const char *reason);

/* OK, or what it has come to: ENDED, LOST, POISONED with the text.  Once everybody on that side would be
 * told so. */
afar_code
afar__home_state(const afar__home *home, afar__direction side, const char **ret_text);

/* A message into a buffered channel that has room; false if it has none, or is over (see state). */
bool
afar__home_post(afar__home *home, afar__parcel *parcel);

/* Hands a message over at once, without a select: to one that waits here, or into the buffer; from one, or out of
 * it.  False if it is not as simple as that: nothing has happened, and a select may do it. */
bool
afar__home_send_at_once(afar__home *home, afar__parcel *parcel);
bool
afar__home_receive_at_once(afar__home *home, afar__parcel **ret_parcel);

/* How many are buffered, and how many offers stand on a side. */
size_t
afar__home_buffer_count(const afar__home *home);
size_t
afar__home_offer_count(const afar__home *home, afar__direction side);

/* ---- seats: what comes from a process that is attached ---- */

/* `process` orders its claims.  Its offers are to send or to receive.  ENDED may be said at once.  NULL
 * without memory. */
afar__seat *
afar__seat_new(afar__home *home, afar__direction direction, const uint8_t process[16], void *user);

void *
afar__seat_user(const afar__seat *seat);

/* An act came.  Takes its parcel in any case.  INVALID_ARGUMENT if it breaks a rule,
 * RESOURCE_EXHAUSTED without memory: then the owner calls `leave` and ends the call. */
AFAR_MUST_USE afar_code
afar__seat_act(afar__seat *seat, afar__step *step, afar_error *err);

/* A MESSAGE for it could not be sent, and nothing of it was.  Its sender's send fails, and the receiver's offer
 * goes on waiting.  True: it was from the buffer, and a message that cannot be read goes instead, for the
 * sender was told OK.  The sender is told the code and the text, or, if it is elsewhere, Unknown. */
bool
afar__seat_unsent(afar__seat *seat, const afar__step *step, afar_code code, const char *text);

/* The owner cannot send as fast as words come: none of its offers are paired until it can again. */
void
afar__seat_stall(afar__seat *seat, bool stalled);

/* Nothing more comes from it: what would have to be granted or acknowledged is gone.  Returns how many
 * offers are left, exclusive ones to send, which happen all the same; again, once some of them did. */
size_t
afar__seat_hush(afar__seat *seat);

/* The call is over, in whatever way: its offers are gone, claims count as denied, and a message that was
 * sent and not acknowledged makes its sender's outcome unknown.  The seat is freed. */
void
afar__seat_leave(afar__seat *seat);

/* Whether ENDED was said: the owner ends the call. */
bool
afar__seat_is_over(const afar__seat *seat);

/* ---- proxies: an end whose home is elsewhere ---- */

afar__proxy *
afar__proxy_new(afar__board *board, afar__direction direction, void *user);

/* No guard refers to it any more; `lost` was called if it could be used. */
void
afar__proxy_free(afar__proxy *proxy);

void *
afar__proxy_user(const afar__proxy *proxy);

/* Offers are sent from now on; until then guards wait (the call is not there yet).  Also again, after it
 * was lost: all begins anew, with number 1.  Welcome need not have come. */
void
afar__proxy_attached(afar__proxy *proxy);

/* Welcome came.  Before, the least that a home may have counts. */
void
afar__proxy_limits(afar__proxy *proxy, uint32_t offers, uint32_t window_bytes);

/* A word came.  As with seats, but that the owner calls `lost`. */
AFAR_MUST_USE afar_code
afar__proxy_word(afar__proxy *proxy, afar__step *step, afar_error *err);

/* An OFFER or GRANT with a message could not be sent, and nothing of it was.  That send fails with the code and
 * the text, and nothing else does; the step becomes what is said instead. */
void
afar__proxy_unsent(afar__proxy *proxy, afar__step *step, afar_code code, const char *text);

/* The call broke: with LOST those in doubt get UNKNOWN.  Any other code says that the home never took part,
 * as it could not be reached or refused: nothing has happened.  Guards get the code and the text.  If it ended
 * by ENDED, nothing changes. */
void
afar__proxy_lost(afar__proxy *proxy, afar_code code, const char *text);

afar_code
afar__proxy_state(const afar__proxy *proxy, const char **ret_text);

void
afar__proxy_poison(afar__proxy *proxy, const char *reason);

/* Sends ahead: an exclusive offer that nobody waits for.  False if the window is full or it is over. */
bool
afar__proxy_post(afar__proxy *proxy, afar__parcel *parcel);

/* Those that were not taken yet; how many were surely not taken (the channel ended), may have been (it was
 * lost), and could not be sent, since it was made; why the last of these could not. */
typedef struct afar__posts {
    uint64_t open, refused, unknown, unsent;
    afar_code code;
    const char *text; /* lives until the next change of the board */
} afar__posts;

afar__posts
afar__proxy_posts(const afar__proxy *proxy);

/* What else the proxy has under way that must be answered before the call is ended: offers of selects that
 * went, or posts. */
bool
afar__proxy_busy(const afar__proxy *proxy);

/* ---- selects ---- */

/* Private to the board, but embedded by users, so that a wait takes no memory. */
struct afar__offer {
    afar__offer *next, **link; /* in the queue that belongs to its state */
    afar__guard *guard;        /* NULL: a seat's */
    uint8_t direction, state;
    afar__home *home;
    afar__seat *seat;  /* whose it is; NULL: a guard's */
    afar__offer *pair; /* it is being paired with; itself: with the buffer */
    uint64_t order;    /* when it came */
};

/* What a thread touches that hands another one a message comes first, here and in a select: each line of memory
 * that it needs has to come from the other's processor. */
struct afar__guard {
    bool off; /* not now; see afar__select_switch */

    /* private */
    uint8_t list; /* of the select's two lists, the one it is in */
    bool failed;  /* it wants to say what its channel has come to */
    bool unsure;  /* its home was asked, and has not answered */
    bool missed;  /* a claim of its home was denied: that is asked first next time */

    /* public */
    afar__select *select;
    void *user;
    afar__home *home; /* one of these two, or neither: "other" */

    afar__offer offer; /* private: at a home here; at a proxy: while it waits to be sent */

    /* public */
    afar__proxy *proxy;
    afar__direction direction;

    /* private */
    afar__guard *next, **link;   /* in its list */
    size_t cost;                 /* at a proxy: of its message, if known */
    struct afar__ticket *ticket; /* at a proxy: the offer that stands */
    uint64_t fired;              /* "other": the round that it ends */
};

/* Private. */
typedef struct afar__guards {
    afar__guard *first, **last;
} afar__guards;

struct afar__select {
    void *user;
    afar__board *board;

    /* the result, once done */
    afar__guard *happened;
    const char *text;     /* of a failure; lives until the next change of the board */
    afar__parcel *parcel; /* what was received: the reader's */
    afar_code
        code; /* OK, ENDED, LOST, POISONED, UNKNOWN, RESOURCE_EXHAUSTED, or that of `unsent` */

    /* private */
    uint8_t state;
    bool polling, stopping, giving_up, due;
    size_t unsure; /* guards whose home has not answered */

    bool by_priority; /* public */

    /* private */
    bool early;                       /* something was fired between the rounds */
    afar__guards look;                /* guards that have no offer: to be looked at */
    afar__guards wants;               /* guards that could happen, once it is open and sure */
    afar__guard *fired;               /* what happened otherwise meanwhile */
    afar__offer *held_by;             /* at most one of these two */
    struct afar__ticket *held_by_far; /* an exclusive offer, or a claim that was granted */
    afar__select *next_due;
    afar__guard *guards;
    size_t count;
    uint64_t number; /* 0: none was needed yet */
    uint64_t round;
    size_t channels; /* guards on homes and proxies that are not off */
    size_t missed;   /* those among the unsure that are asked first */
};

/* Takes over an array of guards whose public members are set.  It stays until `close`. */
void
afar__select_open(afar__select *select, afar__board *board, afar__guard *guards, size_t count,
                  bool by_priority, void *user);

/* A round begins.  True: it is done already, see the result.  With `poll`, it is done in any case as
 * soon as all homes have said that there is nothing to be had: then `happened` is NULL, and code OK;
 * that may be at once. */
bool
afar__select_begin(afar__select *select, bool poll);

/* Time is up.  True: the round is over, and nothing happened (`happened` is NULL) or something did.  False: an
 * answer is under way, and `done` will be told. */
bool
afar__select_stop(afar__select *select);

/* The round was stopped, is not done, and its owner will not wait for the answer any longer.  Says what holds it:
 * a proxy, whose home did not answer, or a seat, whose process has a message and did not say that it arrived.  The
 * owner breaks that off next, as if it were lost: by afar__proxy_lost or afar__seat_leave, which end the round, and
 * `done` is told.  A message of its own that may have been received: UNKNOWN.  A receive: LOST, since a message may
 * have been on its way, of which only the home knew.  To all others it is a loss like any, so the promises hold.  False:
 * nothing holds it. */
bool
afar__select_give_up(afar__select *select, afar__proxy **ret_proxy, afar__seat **ret_seat);

/* Something that is not a channel happened to an "other" guard.  True: that is what ends the round.
 * False: the round is held or not open; if it opens again it ends by this.  Between two rounds: the next
 * one comes to it in its turn.  It counts for one round: what did not end that is forgotten. */
bool
afar__select_fire(afar__select *select, afar__guard *guard);

/* The result was read: idle. */
void
afar__select_next(afar__select *select);

/* Switches a guard on or off, between rounds. */
void
afar__select_switch(afar__guard *guard, bool on);

/* Between rounds: all offers are withdrawn, and nothing refers to it any more. */
void
afar__select_close(afar__select *select);

#endif
