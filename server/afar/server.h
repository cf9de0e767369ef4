#ifndef AFAR_SERVER_H
#define AFAR_SERVER_H

/* Serving objects to other processes: to Afar programs over sessions, and to any gRPC
 * client over plain gRPC.  Every address takes both.  Any thread.
 *
 * Which object a call goes to: the one that the call's metadata `afar-object`
 * names; without it, the one exported under the name "" (the default); without
 * that, the only object of the interface, if there is just one.
 *
 * A reference that goes out over plain gRPC is an address of this server and a name.  An
 * object without a name gets a random one for as long as it is used (docs/references.md):
 * it is lent.
 *
 * Addresses to listen on:
 *
 *     127.0.0.1:7000  [::1]:7000  localhost:0      TCP; port 0 takes a free one
 *     unix:path                                     a unix socket, mode 0600
 *     inproc:name                                   this process only (for tests)
 *
 * A server listens on loopback only, unless its options say `insecure`.
 *
 * With the option `names` a started server keeps what it exports registered with a name
 * server, from a thread of its own: it registers new exports, renews, tries again when
 * the name server is away or another server has a name, registers anew when the name
 * server has forgotten it, and unregisters when it stops.  What goes wrong is
 * logged (afar/log.h), once for each change; calls are served meanwhile. */

#include <stdbool.h>
#include <stddef.h>

#include <afar/deadline.h>
#include <afar/node.h>
#include <afar/object.h>

AFAR_BEGIN

typedef struct afar_server afar_server;

typedef struct afar_server_options {
    size_t size;                   /* sizeof(afar_server_options): the INIT sets it */
    bool insecure;                 /* allow addresses beyond loopback, without encryption
                                      and without knowing who calls */
    unsigned max_connections;      /* one more is closed at once; 0: 10,000 */
    unsigned max_streams;          /* calls at a time on one connection; 0: 1,000 */
    int64_t silent_ms;             /* a connection whose first bytes do not come in this
                                      time is closed; 0: 10,000 */
    int64_t lend_ms;               /* how long an object without a name stays callable for who
                                      got a reference to it over plain gRPC: after the last
                                      call on it began, or it was sent last.  0: 60,000 */
    unsigned max_lent;             /* such objects at a time; sending one more is
                                      RESOURCE_EXHAUSTED.  0: 10,000 */
    int64_t grace_ms;              /* what running calls get to finish when the server
                                      stops; then they are cancelled.  0: 5,000; -1: none */

    /* ---- the name server ---- */

    const char *names;             /* where it is: "host:port", "unix:path".  NULL or "":
                                      exports are registered nowhere.  A good choice is
                                      getenv("AFAR_NAMES") */
    const char *key_file;          /* the key that owns the names (afar/key.h); NULL: the
                                      default one.  It is made if it is not there */
    const char *const *endpoints;  /* what is recorded, the best first, ends with NULL:
                                      "grpc://host:port".  NULL: the addresses that the
                                      server listens on, but inproc:.  0.0.0.0 and [::]
                                      are nowhere to connect to: INVALID_ARGUMENT when the
                                      server starts without this option.  The first one is
                                      also told in references that go out over plain gRPC
                                      (docs/references.md), with or without `names` */
    const char *const *metadata;   /* recorded with each name: key, value, key, value,
                                      NULL.  NULL: none */
    unsigned lease_ms;             /* how long a name stays when this process is killed,
                                      1,000 to 3,600,000; 0: 15,000 */
    bool take_over;                /* take names from a live server that has the same key;
                                      else they are waited for */
} afar_server_options;

#define AFAR_SERVER_OPTIONS_INIT \
    { sizeof(afar_server_options), false, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 0, false }

/* Opens a server and binds its address; connections wait in the backlog until
 * afar_server_start or _run (those to inproc: are refused until then).  node NULL: one of its own.  options may be NULL.
 * ALREADY_EXISTS when somebody listens there; INVALID_ARGUMENT for an address
 * that cannot be read; PERMISSION_DENIED beyond loopback without `insecure`. */
AFAR_API AFAR_MUST_USE afar_code
afar_server_open(afar_node *node, const char *address, const afar_server_options *options,
                 afar_server **ret_server, afar_error *err);

/* Binds one more address, before the server has started. */
AFAR_API AFAR_MUST_USE afar_code
afar_server_listen(afar_server *server, const char *address, afar_error *err);

/* The first address, with the port that was taken: "127.0.0.1:43017",
 * "unix:/run/bank.sock".  Lives as long as the server. */
AFAR_API const char *
afar_server_address(const afar_server *server);

/* Gives a local object a name on this server; before or after start.  A name
 * has letters, digits and . _ - /, and at most 255 bytes; no / at either end, and no
 * two in a row.  The server keeps a reference of its own: the caller may close theirs.
 * The name "" makes it the default of its interface.  ALREADY_EXISTS when an object of the same
 * interface has that name; one name may stand for objects of several interfaces. */
AFAR_API AFAR_MUST_USE afar_code
afar_server_export(afar_server *server, const char *name, afar_object *object,
                   afar_error *err);

/* Waits until every name exported so far, but "", is registered with the name
 * server; the server must have started.  At `deadline` DEADLINE_EXCEEDED, with what it
 * waits for: the name server cannot be reached, or somebody else has a name.
 * FAILED_PRECONDITION without the option `names`. */
AFAR_API AFAR_MUST_USE afar_code
afar_server_registered(afar_server *server, afar_deadline deadline, afar_error *err);

/* Takes back what was exported; calls that have begun go on.  NOT_FOUND if there
 * was nothing. */
AFAR_API AFAR_MUST_USE afar_code
afar_server_unexport(afar_server *server, const char *name, const afar_interface *interface,
                     afar_error *err);

/* Starts serving and returns. */
AFAR_API AFAR_MUST_USE afar_code
afar_server_start(afar_server *server, afar_error *err);

/* Serves until afar_server_stop, SIGTERM or SIGINT, then stops accepting, lets
 * running calls finish within the grace time, and cancels what is left.  A connection
 * without calls holds that up for a fifth of a second at most.  The
 * signals are caught only while this runs, in one server at a time; one that comes
 * before has its usual effect. */
AFAR_API AFAR_MUST_USE afar_code
afar_server_run(afar_server *server, afar_error *err);

/* Makes afar_server_run return.  Safe in a signal handler and in a method's handler. */
AFAR_API void
afar_server_stop(afar_server *server);

/* Stops as afar_server_run does if that did not happen yet, waits until no handler
 * runs any more, and releases the server and what it exported; NULL is allowed.
 * Called from a handler or a callback it only starts all that. */
AFAR_API void
afar_server_close(afar_server *server);

AFAR_END

#endif
