#ifndef AFAR_RUNTIME_REFS_H
#define AFAR_RUNTIME_REFS_H

/* The references in a message: finding them.  A message belongs to one thread at a time. */

#include <afar/ref.h>

#include "runtime/arena.h"

/* Called for one reference of a message; `interface` is that of its field. */
typedef afar_code (*afar__ref_fn)(void *arg, Afar__Ref *ref, const afar_interface *interface,
                                  afar_error *err);

/* Calls `fn` for each reference that is set, in the order of the fields, from the outside in
 * and depth first, until it fails.  `refs` may be NULL: then there are none.  Messages
 * within messages beyond what a peer would read are RESOURCE_EXHAUSTED. */
AFAR_MUST_USE afar_code
afar__refs_each(const afar_refs *refs, const ProtobufCMessage *message, afar__ref_fn fn, void *arg,
                afar_error *err);

/* Shares the objects that a message's references stand for with its copy, whose arena
 * closes them; RESOURCE_EXHAUSTED without memory.  Goes as deep as the message does. */
AFAR_MUST_USE afar_code
afar__refs_copy(const ProtobufCMessage *message, ProtobufCMessage *copy, afar__arena *arena,
                afar_error *err);

/* The interfaces that references in a message may be of, wherever they are in it. */
typedef struct afar__refs_known {
    const void **interfaces; /* an afar_interface each */
    size_t count;
} afar__refs_known;

/* Of a plan, which may be NULL.  RESOURCE_EXHAUSTED, and there are none. */
AFAR_MUST_USE afar_code
afar__refs_know(afar__refs_known *known, const afar_refs *plan, afar_error *err);

void
afar__refs_forget(afar__refs_known *known);

/* Gives a received reference its object, which the arena closes when it is reset or freed,
 * also when this fails: RESOURCE_EXHAUSTED without memory. */
AFAR_MUST_USE afar_code
afar__ref_attach(Afar__Ref *ref, afar_object *object, afar__arena *arena, afar_error *err);

#endif
