#ifndef AFAR_RUNTIME_HOST_H
#define AFAR_RUNTIME_HOST_H

/* Local objects: whose turn it is. */

#include <afar/object.h>

#include "runtime/call.h"

/* The host of a local object, or NULL for a remote one. */
afar__host *
afar__host_of(afar_object *object);

afar_object *
afar__host_object(afar__host *host);

/* A session of that node broke that had references to a local object.  Takes one, and closes it when
 * the object's grace is over.  Any thread; does not wait. */
void
afar__host_lost(afar_object *object, const afar_node *node);

/* A local object whose calls all go to one function, without a turn of their own beyond that.  `self`
 * is given to it, and to the finalizer. */
AFAR_MUST_USE afar_code
afar__host_new(const afar_interface *interface, afar_code (*serve)(void *self, afar_call *call),
               void *self, void (*finalizer)(void *self), afar_object **ret_object,
               afar_error *err);

/* Before its first call: those that come over sessions are for afar__raw_serve (far/raw.h), so their
 * messages are not read. */
void
afar__host_take_raw(afar_object *object);

bool
afar__host_takes_raw(const afar__host *host);

/* Has `lost` called, under no lock, each time when a session breaks that held references to it. */
void
afar__host_when_lost(afar_object *object, void (*lost)(void *self));

/* What `serve` is given, if the object was made so with that function; else NULL. */
void *
afar__host_self(afar_object *object, afar_code (*serve)(void *self, afar_call *call));

/* A call whose request is here: it gets its turn now or later. */
void
afar__host_deliver(afar_call *call);

/* The handler is about to wait for the peer, and is back: in between, others may
 * have the turn. */
void
afar__host_pause(afar_call *call);
void
afar__host_resume(afar_call *call);

/* The handler of `call` (NULL: no handler) is about to wait for a call of its own,
 * and is back. */
void
afar__host_wait(afar_call *call);

void
afar__host_go_on(afar_call *call);

/* The turn ends, if the call still has it; `returned` says that the handler has, so
 * that its thread can run the next one. */
void
afar__host_leave(afar_call *call, bool returned);

#endif
