#ifndef AFAR_SERVER_PUBLISH_H
#define AFAR_SERVER_PUBLISH_H

/* What a server does for references that travel as addresses: it knows its own addresses, lends
 * what has no name, and finds what calls are for. */

#include <afar/server.h>

#include "runtime/abroad.h"
#include "runtime/port.h"
#include "server/exports.h"
#include "server/lend.h"
#include "server/listen.h"

typedef struct afar__publish afar__publish;

/* The exports stay the caller's.  `lease` (ns) and `limit` are of what is lent (lend.h). */
afar_code
afar__publish_new(afar_node *node, afar__exports *exports, int64_t lease, unsigned limit,
                  afar__publish **ret_publish, afar_error *err);

/* What a port asks. */
afar__publisher *
afar__publish_publisher(afar__publish *publish);

/* The address that is told, whatever the server listens on.  Before the start. */
afar_code
afar__publish_endpoint(afar__publish *publish, const char *endpoint, afar_error *err);

/* From now on the node's references may be lent here.  The listeners are looked at now only. */
afar_code
afar__publish_start(afar__publish *publish, const afar__listener *listeners, size_t count,
                    afar_error *err);

/* Something that only who has its address finds here, until it is forgotten. */
typedef struct afar__kept {
    afar__lend *lend; /* NULL: nothing is kept */
    char name[AFAR__LENT_NAME + 1];
} afar__kept;

/* Keeps an object for processes on this machine.  The address, as clients open it, is at a unix socket
 * if there is one.  FAILED_PRECONDITION if the server has not started, has stopped or listens on nothing
 * that others can connect to; RESOURCE_EXHAUSTED. */
afar_code
afar__publish_keep(afar__publish *publish, afar_object *object, char *ret_address, size_t size,
                   afar__kept *ret_kept, afar_error *err);

/* It is found as long as others keep it (afar__lend_loosen).  The server may be gone, here and below. */
void
afar__kept_loosen(const afar__kept *kept);

void
afar__kept_forget(afar__kept *kept);

/* Of a server (server.c); NULL until it has started. */
afar__publish *
afar__server_publish(afar_server *server);

/* Nobody is sent here any more, but by replies of the server's own calls. */
void
afar__publish_withdraw(afar__publish *publish);

/* No call is left: lets go of what is lent. */
void
afar__publish_stop(afar__publish *publish);

/* NULL is allowed. */
void
afar__publish_free(afar__publish *publish);

/* What a call is for (port.h): something lent, or exported. */
afar_code
afar__publish_find(afar__publish *publish, const char *path, const char *name,
                   afar__target *ret_target, afar_error *err);

#endif
