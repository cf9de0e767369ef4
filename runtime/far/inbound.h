#ifndef AFAR_RUNTIME_FAR_INBOUND_H
#define AFAR_RUNTIME_FAR_INBOUND_H

/* The sessions that peers open with a server: one for each transport that its port hands over. */

#include "runtime/far/connection.h"

typedef struct afar__inbound afar__inbound;

/* A peer can have so many `calls` at a time.  `find` says what the peers can call by name (port.h).
 * NULL if memory is out. */
afar__inbound *
afar__inbound_new(afar_node *node, unsigned calls, afar__find_fn find, void *arg);

/* What a port gives a transport to; `arg` is the afar__inbound. */
void
afar__inbound_take(void *arg, afar__transport *transport);

/* Closes all in order: no new calls, running ones get until `deadline` (ns).  New ones are
 * refused.  Does not wait: stopping the port does. */
void
afar__inbound_close(afar__inbound *inbound, int64_t deadline);

/* After the port was stopped; waits until no handler runs for a session.  NULL is allowed. */
void
afar__inbound_free(afar__inbound *inbound);

#endif
