#ifndef AFAR_RUNTIME_FAR_RELAY_H
#define AFAR_RUNTIME_FAR_RELAY_H

/* Relays: objects of this process that pass every call on to an object elsewhere, for peers that
 * cannot reach that one. */

#include <afar/call.h>
#include <afar/object.h>

/* A relay to that object, of which it takes a reference of its own. */
afar_code
afar__relay_new(afar_object *far, afar_object **ret_relay, afar_error *err);

/* Passes one call on to an object, from inside its handler, which returns what this does. */
afar_code
afar__relay_pass(afar_object *far, afar_call *call);

/* The object that a relay leads to, as long as the relay; NULL if it is none. */
afar_object *
afar__relay_far(afar_object *object);

#endif
