#ifndef PAIR_H
#define PAIR_H

/* A server and a client that is connected to it, with objects of probe.proto.
 * What fails here ends the test. */

#include <afar/client.h>
#include <afar/server.h>

#include "check.h"
#include "event.h"
#include "probe.afar.h"

/* Where a pair may meet; a test that is about all of them runs over `transports`. */
#define TCP "127.0.0.1:0"
#define UNIX "unix:" /* a path is made up */
#define INPROC "inproc:pair"

extern const char *const transports[4]; /* ends with NULL */

struct pair {
    afar_server *server;
    afar_client *client;
};

/* The server listens on `address` and has started; each side has its own node. */
void
pair_open(struct pair *pair, const char *address);

/* The same with the server's options, and with one node for both if it is not NULL. */
void
pair_open_with(struct pair *pair, afar_node *node, const char *address,
               const afar_server_options *options);

/* Closes the client, then the server; either may be closed and NULL already. */
void
pair_close(struct pair *pair);

/* The client's name for the object `name` on the server; `text` has 300 bytes. */
char *
pair_name(const struct pair *pair, const char *name, char text[300]);

/* Makes an object, exports it, and opens it from the other side. */
test_probe *
pair_probe(struct pair *pair, const char *name, const test_probe_methods *methods, void *self,
           afar_mode mode);

/* Opens what was exported under that name. */
test_probe *
pair_reach(struct pair *pair, const char *name);

/* A local object, without a server. */
test_probe *
make_probe(const test_probe_methods *methods, void *self, afar_mode mode);

/* Exports under a name; the reference stays the caller's. */
void
export_probe(afar_server *server, const char *name, test_probe *probe);

/* ---- calling ---- */

/* More than any call here takes, less than the runner's patience. */
afar_deadline
soon(void);

/* Asks with a number and takes the number of the reply. */
AFAR_MUST_USE afar_code
ask(test_probe *probe, int64_t number, int64_t *ret_number, afar_error *err);

/* The same that must succeed. */
int64_t
asked(test_probe *probe, int64_t number);

afar_future *
start_ask(test_probe *probe, int64_t number, afar_deadline deadline);

/* Awaits and closes a future that must succeed; its number. */
int64_t
finish_ask(afar_future *future);

/* Handlers that answer: Ask with number + 1, List with the numbers below, Gather
 * with the sum, Talk with number + 1 for each. */
extern const test_probe_methods echo_methods;

/* ---- an object that lets a call wait ---- */

/* Whoever asks waits until the gate is opened: in a handler that is a wait which
 * the library knows of.  Any number may wait. */
struct gate {
    test_probe *probe;
    struct event entered; /* a call has come */
    struct event left;    /* a caller gave up while it waited */
    bool open;            /* guarded by a lock of pair.c: nobody waits any more */
};

void
gate_init(struct gate *gate);

/* Waits at the gate. */
AFAR_MUST_USE afar_code
gate_pass(struct gate *gate, afar_error *err);

/* Lets all go who wait, and whoever comes. */
void
gate_open(struct gate *gate);

/* Opens it, and lets go of its object. */
void
gate_close(struct gate *gate);

#endif
