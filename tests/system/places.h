#ifndef PLACES_H
#define PLACES_H

/* Places for references that move: servers of again.proto whose instance is known, and a
 * finder that does what the test says.  What fails here ends the test. */

#include <stdatomic.h>

#include <afar/client.h>
#include <afar/server.h>

#include "again.afar.h"
#include "check.h"
#include "event.h"
#include "pair.h"
#include "runtime/finder.h"

#define NUMBERS 1000

/* What an object counts, in memory that child processes share, if need be. */
struct tally {
    atomic_int calls;              /* that ran, streams and Tell included */
    atomic_int of_number[NUMBERS]; /* the same, for each number in the request */
};

/* A server with one object "count" of Counter, and a way to it. */
struct home {
    afar_node *node;
    afar_server *server;
    test_counter *near;
    struct tally *tally;
    struct gate *gate; /* where Add and Read wait; NULL: nowhere */
    struct event told; /* Tell has run */
    afar__link *link;
    uint8_t instance[16];
};

/* Opens the server of a home that has its tally and its gate.  Add and Read answer with number + 1 and the text, Watch sends the numbers below. */
void
home_serve(struct home *home, const char *address);

/* The same with a tally of its own, and a link from the node `here` if that is not NULL. */
void
home_open(struct home *home, const char *address, afar_node *here);

/* The server goes, and its connections with it; the link stays. */
void
home_stop(struct home *home);

/* All of it goes. */
void
home_close(struct home *home);

/* A link to an address that a server gave. */
afar__link *
open_link(afar_node *here, const char *address);

/* ---- the finder ---- */

struct fake {
    afar__finder finder;
    struct event asked, freed;
    struct event go;     /* asked for to return, if it is stuck */
    bool stuck;          /* waits for `go`, whatever the deadline */
    struct home *home;   /* what it finds */
    afar_code code;      /* or how it fails, for the first `failures` times */
    atomic_int failures; /* -1: always */
    bool inside;         /* one thread at a time */
    bool wrong;          /* it finds another instance */
    pthread_mutex_t lock;
};

void
fake_init(struct fake *fake, struct home *found);

/* A reference to "count" at the home, with that finder if it is not NULL. */
test_counter *
place_counter(struct home *home, struct fake *fake);

/* ---- two homes ---- */

/* Two homes and a reference that goes to the first, with a finder that knows the second. */
struct world {
    afar_node *here;
    struct home first, second;
    struct fake fake;
    test_counter *counter;
};

void
world_open(struct world *world);

/* Waits until the finder has been let go of. */
void
world_close(struct world *world);

/* How many calls have run there. */
int
calls_of(const struct home *home);

/* ---- calls ---- */

AFAR_MUST_USE afar_code
add(test_counter *counter, int64_t number, afar_deadline deadline, int64_t *ret_number,
    afar_error *err);

/* The same that must succeed. */
int64_t
added(test_counter *counter, int64_t number);

afar_future *
start_add(test_counter *counter, int64_t number, afar_deadline deadline);

/* Awaits and closes it. */
AFAR_MUST_USE afar_code
finish_add(afar_future *future, int64_t *ret_number, afar_error *err);

/* Read may be made twice; a patient one waits for readiness. */
afar_future *
start_read(test_counter *counter, int64_t number, bool patient);

AFAR_MUST_USE afar_code
finish_read(afar_future *future, int64_t *ret_number, afar_error *err);

/* Watches and counts what comes. */
AFAR_MUST_USE afar_code
watch(test_counter *counter, int64_t number, afar_deadline deadline, int *ret_count,
      afar_error *err);

#endif
