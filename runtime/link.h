#ifndef AFAR_RUNTIME_LINK_H
#define AFAR_RUNTIME_LINK_H

/* A link: the way from here to one address, over gRPC.  Kept by the client that
 * opened it and by the references that go over it. */

#include <pthread.h>

#include <afar/deadline.h>
#include <afar/error.h>
#include <afar/node.h>
#include <afar/object.h>

#include "runtime/address.h"
#include "runtime/engine.h"
#include "runtime/transport.h"

typedef struct afar__link afar__link;

/* Makes a link to an address that is not a NAME; connects to nothing yet. */
afar_code
afar__link_open(afar_node *node, const afar__address *address, afar__link **ret_link,
                afar_error *err);

/* A link over a connected stream socket, which it takes, also when it fails. */
afar_code
afar__link_adopt(afar_node *node, const char *peer, int fd, afar__link **ret_link, afar_error *err);

/* Connects, if it is not, and waits until it is. */
afar_code
afar__link_connect(afar__link *link, afar_deadline deadline, afar_error *err);

/* Whether a broken connection can be made again. */
bool
afar__link_heals(const afar__link *link);

/* Whether it is connected now, as far as it is known here. */
bool
afar__link_connected(const afar__link *link);

/* Whether somebody has it besides the caller. */
bool
afar__link_shared(const afar__link *link);

/* A reference to the object with that name at the other end. */
afar_code
afar__link_object(afar__link *link, const afar_interface *interface, const char *name,
                  afar_object **ret_object, afar_error *err);

/* Calls on that remote reference keep `keep` alive; the reference itself does not. */
void
afar__link_keep(afar_object *object, afar_object *keep);

/* Room for the session of a link (far/route.h). */
typedef struct afar__link_slot {
    pthread_mutex_t lock;
    bool shut;
    struct afar__connection *connection; /* with a reference */
    struct afar__attempts *waiting; /* calls whose object is looked for, since they failed here */
    unsigned going;                 /* those that have just been woken */
    afar__waiters waiters;          /* for none to be left */
} afar__link_slot;

afar__link_slot *
afar__link_slot_of(afar__link *link);

const char *
afar__link_address(const afar__link *link);

const afar_node *
afar__link_node(const afar__link *link);

/* A session's transport to the other end, which keeps the link alive.  It is over with
 * UNAVAILABLE and the outcome NOT_SENT if there is no connection, and UNIMPLEMENTED if a plain
 * gRPC server is there.  RESOURCE_EXHAUSTED without memory, or a thread to be told by. */
afar_code
afar__link_transport(afar__link *link, afar__transport **ret_transport, afar_error *err);

afar__link *
afar__link_ref(afar__link *link);
void
afar__link_unref(afar__link *link);

/* Whether it was shut: its client was closed. */
bool
afar__link_is_shut(afar__link *link);

/* Cancels the calls and transports on it and refuses new ones; waits until none is left, unless
 * on a library thread. */
void
afar__link_shut(afar__link *link);

#endif
