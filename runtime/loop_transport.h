#ifndef AFAR_RUNTIME_LOOP_TRANSPORT_H
#define AFAR_RUNTIME_LOOP_TRANSPORT_H

/* Two transports in this process, each the other's peer: for calls on objects that are here, and
 * for tests, which may have faults injected. */

#include <afar/node.h>

#include "runtime/transport.h"

/* What goes wrong on the way, the same for the same seed.  Zeroed: nothing. */
typedef struct afar__loop_faults {
    uint64_t seed;
    int64_t delay;     /* ns; each batch takes up to so long */
    size_t cut_after;  /* bytes, both directions together: then the connection breaks, and what
                          does not fit any more is lost; 0: never */
    unsigned truncate; /* one batch in so many arrives without its end; 0: none */
} afar__loop_faults;

/* The node keeps the engine open; `faults` may be NULL.  RESOURCE_EXHAUSTED without memory, or a
 * thread to be told by. */
afar_code
afar__loop_transports(afar_node *node, const afar__loop_faults *faults,
                      afar__transport *ret_pair[2], afar_error *err);

/* As long as an end of a loop is stalled, what it asks for does not come. */
void
afar__loop_stall(afar__transport *transport, bool stalled);

#endif
