#ifndef PEER_H
#define PEER_H

/* Objects of far.proto, and processes to have them in.  What fails here ends the test. */

#include <sys/types.h>

#include "far.afar.h"
#include "pair.h"

/* A local object; `finalizer` may be NULL. */
far_peer *
make_peer(const far_peer_methods *methods, void *self, afar_mode mode, void (*finalizer)(void *));

/* Another reference to the same object. */
far_peer *
share_peer(far_peer *peer);

/* Exports a new object under a name. */
void
serve_peer(afar_server *server, const char *name, const far_peer_methods *methods, void *self,
           afar_mode mode);

/* Opens what has that name, over a session. */
far_peer *
reach_peer(struct pair *pair, const char *name);

/* The same at an address, as afar_server_address says it. */
far_peer *
reach_peer_at(afar_client *client, const char *address, const char *name);

/* Serves and reaches it. */
far_peer *
pair_peer(struct pair *pair, const char *name, const far_peer_methods *methods, void *self,
          afar_mode mode);

/* ---- calling ---- */

/* Asks with a number, perhaps with a reference; the number of the reply. */
AFAR_MUST_USE afar_code
ask_with(far_peer *peer, int64_t number, far_peer *one, int64_t *ret_number, afar_error *err);

/* The same that must succeed, without a reference. */
int64_t
number_of(far_peer *peer, int64_t number);

/* Gives `one` to a peer that keeps it, or does something with it. */
void
give_to(far_peer *peer, far_peer *one);

/* Asks for an object, which the reply has as `one`. */
far_peer *
get_from(far_peer *peer, int64_t number);

afar_future *
start_number(far_peer *peer, int64_t number);

/* Calls a method of each kind; all must succeed.  The peer is one of counting_methods. */
void
use_all_kinds(far_peer *peer);

/* Handlers that answer: Ask with number + 1, List with the numbers below, Gather with the sum,
 * Talk with number + 1 for each; Tell does nothing. */
extern const far_peer_methods counting_methods;

/* A finalizer: `self` is a struct event, which is raised. */
void
raise_event(void *self);

/* ---- processes ---- */

/* A process that was forked from the test before that had a node.  Lines go both ways. */
struct child {
    pid_t pid; /* 0 in the child itself */
    int in, out;
};

/* Runs `run` in a process; what fails there is said, and fails whoever listens to it. */
void
child_start(struct child *child, void (*run)(struct child *self));

/* Both sides. */
void
child_say(struct child *child, const char *line);
void
child_hear(struct child *child, char line[300]);

/* kill -9. */
void
child_kill(struct child *child);

/* The child must end by itself, without a failure, once nobody says anything any more. */
void
child_end(struct child *child);

/* For the child: serves a node's exports until the end of what is said to it. */
void
child_serve(struct child *self, afar_server *server);

#endif
