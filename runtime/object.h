#ifndef AFAR_RUNTIME_OBJECT_H
#define AFAR_RUNTIME_OBJECT_H

/* A reference from the inside.  Where the object lives decides the kind: a local
 * one is a host (host.h), a remote one is made by a link (link.h).  Each embeds an
 * afar_object at its start. */

#include <stdatomic.h>

#include <afar/object.h>

/* How a unary call is started. */
typedef enum afar__start {
    AFAR__START_BLOCKING, /* the caller is about to wait: nobody else has to poll for it */
    AFAR__START_FUTURE,
    AFAR__START_DETACHED /* nobody waits: the end of the call it is made in is not its own */
} afar__start;

typedef struct afar__object_ops {
    /* Starts a unary call. */
    afar_code (*start)(afar_object *object, const afar_method *method,
                       const ProtobufCMessage *request, afar_deadline deadline,
                       const afar_call_options *options, afar__start how, afar_future **ret_future,
                       afar_error *err);
    afar_code (*stream)(afar_object *object, const afar_method *method,
                        const ProtobufCMessage *request, afar_deadline deadline,
                        const afar_call_options *options, afar_stream **ret_stream,
                        afar_error *err);
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
