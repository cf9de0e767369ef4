#ifndef AFAR_SELECT_H
#define AFAR_SELECT_H

/* Waiting for one of several things: a message to receive, one to send, the answer of a call, a
 * time.  Exactly one case happens, whatever fails, also when the channels have their homes in
 * different processes.
 *
 *     afar_case cases[] = {
 *         AFAR_CASE_RECEIVE(orders),
 *         AFAR_CASE_SEND(results, &result),
 *         AFAR_CASE_TIMEOUT(afar_after_ms(500)),
 *     };
 *     size_t which;
 *     afar_code code = afar_select(cases, 3, AFAR_FAIR, AFAR_FOREVER, &which, &err);
 *
 * The code is that of the case that happened: what a send or a receive of its own would have
 * said (afar/channel.h).  A channel that is over is a case that happens, each time, with ENDED,
 * POISONED or LOST: switch it off when you have seen it. */

#include <afar/channel.h>

AFAR_BEGIN

typedef enum afar_case_kind {
    AFAR_CASE_KIND_RECEIVE = 1,
    AFAR_CASE_KIND_SEND = 2,
    AFAR_CASE_KIND_FUTURE = 3,     /* the answer is there: the future's await does not wait */
    AFAR_CASE_KIND_TIMEOUT = 4,    /* OK when the time has come */
    AFAR_CASE_KIND_DEFAULT = 5     /* OK when no other case can happen now; homes elsewhere are
                                      asked, which takes a round trip; one that says nothing for
                                      10 seconds counts as having nothing */
} afar_case_kind;

typedef struct afar_case {
    afar_case_kind kind;
    bool off;                      /* as if it were not there */
    afar_receiver *receiver;
    afar_sender *sender;
    const ProtobufCMessage *message; /* to send: stays the caller's, and must stay while waiting */
    ProtobufCMessage *received;    /* set when a RECEIVE happened with OK: the caller's, to be
                                      released with afar_message_free */
    afar_future *future;
    afar_deadline time;
} afar_case;

#define AFAR_CASE_RECEIVE(receiver) { AFAR_CASE_KIND_RECEIVE, false, (receiver), NULL, NULL, NULL, NULL, { 0 } }
#define AFAR_CASE_SEND(sender, message) { AFAR_CASE_KIND_SEND, false, NULL, (sender), (message), NULL, NULL, { 0 } }
#define AFAR_CASE_FUTURE(future) { AFAR_CASE_KIND_FUTURE, false, NULL, NULL, NULL, NULL, (future), { 0 } }
#define AFAR_CASE_TIMEOUT(time) { AFAR_CASE_KIND_TIMEOUT, false, NULL, NULL, NULL, NULL, NULL, (time) }
#define AFAR_CASE_DEFAULT { AFAR_CASE_KIND_DEFAULT, false, NULL, NULL, NULL, NULL, NULL, { 0 } }

typedef enum afar_select_flags {
    AFAR_FAIR = 0,                 /* no case that can happen is passed over for long */
    AFAR_BY_PRIORITY = 1           /* the first in the array of those that can happen now */
} afar_select_flags;

/* Waits until one case happens, and says which.  *ret_case is `count` when none did: DEADLINE_EXCEEDED when
 * time was up, which is found out a little later than `deadline` if another process has to say whether
 * it was faster; INVALID_ARGUMENT for a case or a flag that is none, or a SEND without a message; FAILED_PRECONDITION for an end that has
 * finished, and when no case is on and there is no deadline.  If the other process keeps its answer back,
 * the case that it holds happens 10 seconds after the deadline, or after the time of a TIMEOUT: with UNKNOWN
 * if it sends, with LOST if it receives (afar/channel.h).  Cases of one select may have the same channel,
 * even both ends of it: they are not paired with each other.  With more than 1,024 of them on one end, one on
 * the other end may find those who came later only when there are fewer. */
AFAR_API AFAR_MUST_USE afar_code
afar_select(afar_case *cases, size_t count, unsigned flags, afar_deadline deadline,
            size_t *ret_case, afar_error *err);

/* ---- many cases, again and again ----
 *
 * A select that stays: what it costs goes with the cases that are ready, not with how many there
 * are.  One thread at a time. */

typedef struct afar_selector afar_selector;

/* The cases stay the caller's, and where they are, until close.  Between two selects `message`, `time` and
 * `future` may be changed; the ends may not, and `off` by `switch` only.  A SEND that is on and has no message
 * then fails with INVALID_ARGUMENT when it could happen. */
AFAR_API AFAR_MUST_USE afar_code
afar_selector_open(afar_case *cases, size_t count, unsigned flags,
                   afar_selector **ret_selector, afar_error *err);

/* A round: as afar_select. */
AFAR_API AFAR_MUST_USE afar_code
afar_selector_select(afar_selector *selector, afar_deadline deadline,
                     size_t *ret_case, afar_error *err);

/* From now on the case is looked at, or not. */
AFAR_API void
afar_selector_switch(afar_selector *selector, size_t index, bool on);

/* Withdraws what is offered still; NULL is allowed. */
AFAR_API void
afar_selector_close(afar_selector *selector);

AFAR_END

#endif
