#ifndef AFAR_RUNTIME_OBJECT_H
#define AFAR_RUNTIME_OBJECT_H

/* A reference from the inside.  Where the object lives decides the kind: a local
 * one is a host (host.h), a remote one is made by a link (link.h).  Each embeds an
 * afar_object at its start. */

#include <stdatomic.h>

#include <afar/object.h>

/* How a call is started. */
typedef enum afar__start {
    AFAR__START_BLOCKING, /* the caller is about to wait: nobody else has to poll for it */
    AFAR__START_FUTURE,
    AFAR__START_DETACHED, /* nobody waits: the end of the call it is made in is not its own */
    AFAR__START_ALONE     /* a stream that has nothing of the call it is made in */
} afar__start;

/* A call to be made. */
typedef struct afar__request {
    const afar_method *method;
    const ProtobufCMessage *message; /* NULL if messages are sent one by one */
    afar_deadline deadline;
    const afar_call_options *options; /* may be NULL */
    afar__start how;                  /* of a unary call; or ALONE */
} afar__request;

struct afar__way; /* far/far.h */

typedef struct afar__object_ops {
    /* Starts a unary call.  *ret_future may be NULL for one that is detached. */
    afar_code (*start)(afar_object *object, const afar__request *request, afar_future **ret_future,
                       afar_error *err);
    /* Starts a stream. */
    afar_code (*stream)(afar_object *object, const afar__request *request, afar_stream **ret_stream,
                        afar_error *err);
    /* How a session leads to it; the connection in it comes with a reference.  NULL: none does. */
    afar_code (*way)(afar_object *object, struct afar__way *ret_way, afar_error *err);
    /* No reference is left. */
    void (*free)(afar_object *object);
} afar__object_ops;

struct afar_object {
    const afar__object_ops *ops;
    const afar_interface *interface;
    atomic_uint refs;
};

void
afar__object_init(afar_object *object, const afar__object_ops *ops,
                  const afar_interface *interface);

/* A reference, unless the last one is gone already. */
bool
afar__object_try_share(afar_object *object);

#endif
