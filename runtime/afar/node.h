#ifndef AFAR_NODE_H
#define AFAR_NODE_H

/* A node is the root of everything that Afar does in a process: clients, servers
 * and hosted objects belong to one.  A client or server that is opened without a
 * node makes its own; a process that both serves and calls passes the same node
 * to both.  Any thread.
 *
 * The threads are shared by all nodes of a process, since the C core of gRPC has
 * one poller a process.  They start when they are needed: a process that makes
 * nothing but blocking calls runs on its own threads alone.  They block all
 * signals.  User code (handlers, completion callbacks, finalizers) runs on them
 * and nowhere else.
 *
 * After a fork the child can use none of it: every call fails with
 * FAILED_PRECONDITION, closing is allowed and does nothing.  Make child
 * processes by fork and exec, or fork before the first node opens and the first channel is made. */

#include <stddef.h>
#include <stdint.h>

#include <afar/api.h>
#include <afar/error.h>
#include <afar/message.h>

AFAR_BEGIN

typedef struct afar_node afar_node;

typedef struct afar_node_options {
    size_t size;                   /* sizeof(afar_node_options): the INIT sets it */
    afar_message_limits limits;    /* for every message received through this node */
    const char *const *travels;    /* keys of metadata that nested calls inherit; ends
                                      with NULL.  NULL: traceparent, tracestate, baggage */
    unsigned session_idle_ms;      /* a peer of a session of which nothing came for so
                                      long is asked whether it is there; 0: a third of
                                      session_dead_ms */
    unsigned session_dead_ms;      /* a session ends when nothing came for so long, and
                                      its calls end with UNAVAILABLE; 0: 30,000 */
} afar_node_options;

#define AFAR_NODE_OPTIONS_INIT \
    { sizeof(afar_node_options), AFAR_MESSAGE_LIMITS_INIT, NULL, 0, 0 }

/* Opens a node.  options may be NULL.  INVALID_ARGUMENT when session_idle_ms is not less
 * than session_dead_ms. */
AFAR_API AFAR_MUST_USE afar_code
afar_node_open(const afar_node_options *options, afar_node **ret_node, afar_error *err);

/* Lets go of the node; NULL is allowed.  Clients, servers and objects made on it
 * keep it until they are closed. */
AFAR_API void
afar_node_close(afar_node *node);

/* The random 16 bytes this node is known by, new with every afar_node_open.
 * They live as long as the node. */
AFAR_API const uint8_t *
afar_node_instance(const afar_node *node);

AFAR_END

#endif
