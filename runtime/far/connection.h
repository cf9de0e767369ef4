#ifndef AFAR_RUNTIME_FAR_CONNECTION_H
#define AFAR_RUNTIME_FAR_CONNECTION_H

/* A connection: a session that lives.  It has the session's core, the transport that carries it,
 * a lock and a clock.
 *
 *     opening -> open -> closing -> over
 *
 * Calls of ours are questions (question.h), calls of the peer are served (served.h); references
 * that came are far objects (objects.h). */

#include <afar/call.h>

#include "runtime/node.h"
#include "runtime/port.h"
#include "runtime/session/session.h"
#include "runtime/transport.h"

typedef struct afar__connection afar__connection;

typedef struct afar__connection_options {
    afar_node *node;
    afar__transport *transport;
    const char *address; /* of the peer, as people write it; copied */
    afar__find_fn find;  /* what the peer can call by name; NULL: nothing */
    void *find_arg;
    bool names_are_ours; /* handlers do not see them */
    /* Told once, when it is over and no call is served any more; may drop references, and must
     * not wait. */
    void (*over)(void *arg, afar__connection *connection);
    void *over_arg;
    const afar__session_limits *limits; /* NULL: the usual ones */
} afar__connection_options;

/* Begins a session over a transport, which it takes, also when it fails.  One reference. */
afar_code
afar__connection_open(const afar__connection_options *options, afar__connection **ret_connection,
                      afar_error *err);

/* The two are ends of one session in this process: a reference that goes over it is the object
 * itself.  Before the first call. */
void
afar__connection_join(afar__connection *a, afar__connection *b);

afar__connection *
afar__connection_ref(afar__connection *connection);

/* NULL is allowed.  Does not close it. */
void
afar__connection_unref(afar__connection *connection);

/* Closes in order: no new calls, those that were begun may finish until `deadline` (ns), when it
 * breaks off.  Does not wait. */
void
afar__connection_close(afar__connection *connection, int64_t deadline);

/* Gives all our calls up and closes, since who made them goes.  Does not wait. */
void
afar__connection_cancel(afar__connection *connection);

/* Waits until it is over and no handler runs for it: where waiting is allowed. */
void
afar__connection_wait_over(afar__connection *connection);

/* Waits until it is open.  Its error, if it cannot be. */
afar_code
afar__connection_ready(afar__connection *connection, int64_t deadline, afar_error *err);

/* Whether calls can still be made on it, as far as it is known. */
bool
afar__connection_usable(afar__connection *connection);

afar_node *
afar__connection_node(const afar__connection *connection);

#endif
