#ifndef AFAR_CLIENT_H
#define AFAR_CLIENT_H

/* Opening objects that live elsewhere.  A client holds the connections: one to
 * each address, shared by all references that were opened through it, made again
 * by themselves when they break.  Any thread.
 *
 * Names of objects:
 *
 *     afar://host:port/name       the object `name` of an Afar server, over a session
 *     afar://host:port            the server's default object of the interface
 *     grpc://host:port[/name]     the same over plain gRPC, on any gRPC server; references
 *                                 in messages travel as addresses
 *     unix:path/name  unix:path   over a unix socket, a session unless the server has none;
 *                                 the path ends at the first component that is not a
 *                                 directory
 *     inproc:server/name          a server of this process (for tests)
 *     inherited:name              what the process that started this one gave it so
 *                                 (afar/spawn.h); NOT_FOUND if that is nothing
 *     name                        asks the name server
 *     KEY@name                    the same, and only that key may own the name
 *
 * A name has letters, digits and . _ - / only, and at most 255 bytes; no / at either
 * end, and no two in a row.
 *
 * What the name server says is not believed: the owner of a name signs where it is,
 * and a client knows the owner's key.  It is given in front of the name, or it is the
 * one that owned the name when it was first opened, which is kept in a file (as SSH
 * keeps known hosts).  Another key is refused with PERMISSION_DENIED.
 *
 * A reference opened by name finds its object again when the server has moved: a
 * call that surely was not done, or whose method is idempotent, is repeated at the new
 * place, within its deadline; any other failure is the caller's to judge, and
 * the next call goes to the new place.  A stream is not repeated once it was started. */

#include <stddef.h>

#include <afar/deadline.h>
#include <afar/interface.h>
#include <afar/node.h>
#include <afar/object.h>

AFAR_BEGIN

typedef struct afar_client afar_client;

typedef struct afar_client_options {
    size_t size;                   /* sizeof(afar_client_options): the INIT sets it */
    const char *names;             /* where the name server is: "host:port", "unix:path".
                                      NULL: what AFAR_NAMES in the environment says, or
                                      else 127.0.0.1:7700 */
    const char *known_names;       /* the file of known names; "": none, they are remembered
                                      as long as the client lives.  NULL: known_names in
                                      the folder that AFAR_HOME names, or else ~/.afar */
} afar_client_options;

#define AFAR_CLIENT_OPTIONS_INIT { sizeof(afar_client_options), NULL, NULL }

/* Opens a client.  node NULL: one of its own.  options may be NULL.  Connects to
 * nothing yet. */
AFAR_API AFAR_MUST_USE afar_code
afar_client_open(afar_node *node, const afar_client_options *options,
                 afar_client **ret_client, afar_error *err);

/* Closes a client; NULL is allowed.  Calls through it end with CANCELLED, and the
 * references opened through it fail with FAILED_PRECONDITION from now on (they are still to be closed).
 * Waits until no call is inside any more, except when it is called from a
 * handler or a callback: there it only starts the close. */
AFAR_API void
afar_client_close(afar_client *client);

/* Opens a reference to an object; the generated `_open` is this with types.
 * Connects if there is no connection yet, so UNAVAILABLE is known here: at once
 * when the address refuses, at `deadline` when it is silent.  Whether the object
 * is there shows with the first call.  INVALID_ARGUMENT for a name that cannot
 * be read, with what is wrong in it.
 *
 * By name also: UNAVAILABLE at once when there is no name server, and when none of the
 * recorded addresses has the process that was registered; NOT_FOUND when nobody has
 * registered the name; PERMISSION_DENIED when its owner is not who it was;
 * UNAUTHENTICATED when the record is forged, FAILED_PRECONDITION when it is older than
 * one that was seen.  A server that has just died may still be recorded, until its
 * lease ends; and what was looked up in the last ten seconds is not looked up again while
 * the process is there. */
AFAR_API AFAR_MUST_USE afar_code
afar_object_open(afar_client *client, const char *name, const afar_interface *interface,
                 afar_deadline deadline, afar_object **ret_object, afar_error *err);

AFAR_END

#endif
