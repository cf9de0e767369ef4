#ifndef AFAR_RUNTIME_FAR_FAR_H
#define AFAR_RUNTIME_FAR_FAR_H

/* Calls on objects in other processes, over connections: unary ones (unary.c) and streams
 * (stream.c), whatever the way to the object is. */

#include "runtime/far/connection.h"
#include "runtime/object.h"

typedef struct afar__route afar__route;

/* The way to an object: an import of a connection, or a route (route.h), which finds a connection for
 * each call. */
typedef struct afar__way {
    afar__connection *connection; /* NULL: the route's */
    uint32_t import;
    const char *name;  /* instead of an import; lives as long as `keep` */
    afar_object *keep; /* what a call keeps alive; NULL: the object that is called */
    afar__route *route;
} afar__way;

/* Starts a unary call; *ret_future is NULL for one that nobody waits for. */
afar_code
afar__far_start(afar_object *object, const afar__way *way, const afar__request *request,
                afar_future **ret_future, afar_error *err);

afar_code
afar__far_stream(afar_object *object, const afar__way *way, const afar__request *request,
                 afar_stream **ret_stream, afar_error *err);

/* Where an object can be opened, for whoever has no connection to its process. */
typedef struct afar__where {
    char *address; /* NULL: nowhere */
    char *name;
    bool has_instance, has_key;
    uint8_t instance[16], key[32];
} afar__where;

void
afar__where_clear(afar__where *where);

#endif
