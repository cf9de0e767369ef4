#ifndef LINE_H
#define LINE_H

/* Raw streams between two ends, whose messages are numbered Bundles of far.proto: what each end is told
 * is checked and counted.  What fails here ends the test. */

#include <stdatomic.h>

#include "peer.h"
#include "runtime/far/raw.h"

/* One end.  Its callbacks must not overlap, and the numbers that come must be in order. */
struct end {
    afar__raw *raw;
    int64_t next; /* the number that comes next; one below 0 is told as it is */
    struct event came, ended, writable, idle, over, released;
    afar_code code; /* of over */
    char text[300];
    atomic_int inside;
    /* Also done with each message, in the callback; may be NULL. */
    void (*react)(struct end *end, const Far__Bundle *bundle, afar__raw_item *item);
    void *arg;
};

void
end_init(struct end *end);

AFAR_MUST_USE afar_code
end_try(struct end *end, int64_t number, size_t bytes);

/* Sends a number, with so many bytes beside it. */
void
end_send(struct end *end, int64_t number, size_t bytes);

/* Sends `one` with a number. */
void
end_send_with(struct end *end, int64_t number, far_peer *one);

/* Closes it and waits until it was released. */
void
end_close(struct end *end);

/* ---- an object that is served by ends ---- */

/* The method that they are calls of, if the object is no end of a channel. */
const afar_method *
line_method(void);

#define MOST_ENDS 64

struct lines {
    afar_object *host;
    struct end ends[MOST_ENDS]; /* of the calls, in their order */
    atomic_int count;
    struct event served; /* the end is there, and has been told what came before */
    void (*react)(struct end *end, const Far__Bundle *bundle, afar__raw_item *item);
    void *arg;
    struct event *wait; /* before a call is taken, until that was raised; or NULL */
};

/* The ways to an object, for tests about all of them; ends with NULL.  `END` is an end of a channel that is relayed, `CHAIN`
 * one that is relayed twice; both as bytes.  `RELAY`, the last one, passes messages on, each as a whole. */
#define LOCAL "local"
#define END "end"
#define CHAIN "chain"
#define RELAY "relay"
extern const char *const ways[];

/* A server that keeps an object, and gives it away; who brings it there, and who gets it. */
struct hop {
    struct pair pair;
    afar_client *other;
    afar_object *kept, *target;
};

struct way {
    struct lines lines;
    struct pair pair;
    struct hop hops[2];
    afar_object *target; /* the object, as it is reached */
};

void
way_open(struct way *way, const char *kind);

void
way_close(struct way *way);

/* Makes the object of `lines`. */
void
lines_open(struct lines *lines, const afar_interface *interface);

/* Starts a stream on the object. */
void
way_call(struct way *way, struct end *end);

void
end_open(struct end *end, afar_object *target);

#endif
