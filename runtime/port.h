#ifndef AFAR_RUNTIME_PORT_H
#define AFAR_RUNTIME_PORT_H

/* A port: plain gRPC calls from connected sockets to local objects, and sessions.  Who owns it
 * accepts the connections and says which object a call is for. */

#include <stddef.h>

#include <afar/node.h>

#include "runtime/abroad.h"
#include "runtime/host.h"
#include "runtime/transport.h"

typedef struct afar__port afar__port;

/* The object and method for a path ("/bank.Account/Deposit") and an object's name;
 * NULL if none was given.  The host comes with a reference. */
typedef struct afar__target {
    afar__host *host;
    const afar_method *method;
} afar__target;

typedef afar_code (*afar__find_fn)(void *arg, const char *path, const char *name,
                                   afar__target *ret_target, afar_error *err);

typedef struct afar__port_options {
    unsigned max_streams; /* at a time on one connection */
    afar__find_fn find;
    /* Who is at the other end of the descriptor that was added with that number;
     * the strings are copied. */
    afar_peer (*peer)(void *arg, int fd);
    void *arg;
    /* Takes the transport of a session that a peer opens, on the thread that polls; it may be
     * started, or freed, from inside.  NULL: such a call is one to an unknown object. */
    void (*session)(void *arg, afar__transport *transport);
    void *session_arg;
    /* Lends the objects that replies refer to; NULL: another one of the node's. */
    afar__publisher *publisher;
} afar__port_options;

afar_code
afar__port_open(afar_node *node, const afar__port_options *options, afar__port **ret_port,
                afar_error *err);

/* Before the first socket is added.  RESOURCE_EXHAUSTED without a thread to serve in. */
afar_code
afar__port_start(afar__port *port, afar_error *err);

/* Serves a connected, non-blocking stream socket, which the port takes. */
void
afar__port_add(afar__port *port, int fd);

/* No new calls and sessions; running ones get until `deadline`, then they are cancelled.  Waits
 * until all are over: not on a library thread.  No socket may be added any more. */
void
afar__port_stop(afar__port *port, int64_t deadline);

/* After it was stopped, or if it never was started. */
void
afar__port_close(afar__port *port);

#endif
