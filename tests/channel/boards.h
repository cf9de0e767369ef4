#ifndef TESTS_CHANNEL_BOARDS_H
#define TESTS_CHANNEL_BOARDS_H

/* Processes in one: boards, with lines between them that carry steps in order when the test says so.
 *
 *     process     a board, and its owner
 *     line        an end that is used in one process, of a home in another: a proxy and a seat, and what
 *                 is on its way between them
 *     waiter      a select with its guards
 *
 * Messages are numbers.  All memory is counted by the sanitizer, and all messages here. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/channel/board.h"

struct afar__parcel {
    int value;
    size_t bytes;
};

typedef struct line line;

typedef struct process {
    afar__board board;
    line *lines; /* of its proxies */
    bool pack_fails;
    size_t bytes; /* of the messages that are packed from now on; 0: 4 */
} process;

struct line {
    line *next; /* of the process */
    process *user, *maker;
    afar__direction direction;
    afar__proxy *proxy;
    afar__seat *seat;                      /* NULL: the call is over */
    struct on_its_way *acts, **last_act;   /* to the seat */
    struct on_its_way *words, **last_word; /* to the proxy */
    char said[2048];                       /* see line_said */
    int posted;
};

typedef struct waiter {
    afar__select select;
    afar__guard guards[8];
    size_t count;
    int done;  /* how often that was told */
    int value; /* received */
} waiter;

/* A line whose act is refused for want of memory is cut, instead of failing the test. */
extern bool memory_may_be_out;

/* Messages that exist, everywhere. */
extern int parcels_live;

afar__parcel *
parcel_new(int value);

/* `id` orders processes. */
void
process_init(process *p, uint8_t id);

/* Frees all lines; nothing may be on its way that a waiter waits for. */
void
process_clear(process *p);

/* ---- lines ---- */

/* Attached, and Welcome has come. */
line *
line_new(process *user, process *maker, afar__home *home, afar__direction direction);

/* The same with a proxy that is not attached. */
line *
line_unattached(process *user, process *maker, afar__home *home, afar__direction direction);

/* Delivers the next act, or word; false if there is none. */
bool
line_act(line *l);
bool
line_word(line *l);

/* The next one, which has a message, could not be sent: what is said instead takes its place. */
void
line_act_unsent(line *l, afar_code code, const char *text);
void
line_word_unsent(line *l, afar_code code, const char *text);

/* Whether the next one has a message that could not be sent; not if it is from a buffer. */
bool
line_act_brings_message(const line *l);
bool
line_word_brings_message(const line *l);

/* The same for steps of the test's own: INVALID_ARGUMENT and so on. */
afar_code
line_act_is(line *l, afar__step step);
afar_code
line_word_is(line *l, afar__step step);

/* Both sides notice that the call is over: first the seat, then the proxy; what was on its way is lost. */
void
line_cut(line *l);
void
line_cut_seat(line *l);
void
line_cut_proxy(line *l);

/* A new call, after it was cut. */
void
line_again(line *l, afar__home *home);

/* What was said since this was called last, in the order in which it was said: "O1 c1 G1 t1".  A letter
 * and a number: acts O(ffer) W(ithdraw) G(rant) D(eny) A(ck) P(oison); words t(aken) m(essage) w(aiting)
 * c(laim) r(elease) x: withdrawn, u(nknown) e(nded).  The number is the offer's or claim's own, how many
 * are acknowledged, or the code of the end. */
const char *
line_said(line *l);

/* Delivers until all lines of these processes are empty. */
void
run(process *a, process *b, process *c);

/* ---- waiters ---- */

void
waiter_init(waiter *w);

/* A guard; `value` is what it sends. */
size_t
waiter_on(waiter *w, afar__home *home, afar__direction direction, int value);
size_t
waiter_far(waiter *w, line *l, int value);
size_t
waiter_other(waiter *w);

void
waiter_open(waiter *w, process *p, bool by_priority);

/* With one guard, opened. */
void
waiter_one(waiter *w, process *p, afar__home *home, afar__direction direction, int value);
void
waiter_one_far(waiter *w, process *p, line *l, int value);

/* Begins a round: whether it is done already; the message is in `value` then. */
bool
waiter_begin(waiter *w);
bool
waiter_poll(waiter *w);

/* The round was stopped, and its answer does not come: what holds it is cut on this side, and it is done. */
void
waiter_give_up(waiter *w);

/* Which guard happened, and with what: the round must be done.  -1: none. */
int
waiter_result(waiter *w, afar_code *ret_code);

/* The round must have ended by that guard, or by none (-1), with that code; the next one may begin. */
void
check_result(const char *file, int line_number, waiter *w, int guard, afar_code code);
#define CHECK_RESULT(w, guard, code) check_result(__FILE__, __LINE__, w, guard, code)

/* Of a select that is idle. */
void
waiter_close(waiter *w);

#endif
