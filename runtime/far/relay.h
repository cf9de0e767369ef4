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

/* What is lent to another process counts as that one's: who lent it is told when it has done with it. */
typedef struct afar__loan {
    /* All streams that were opened through it have ended, each finished by its caller.  At most once; on a
     * library thread. */
    void (*left)(void *arg);
    /* It is gone; the last. */
    void (*released)(void *arg);
    void *arg;
} afar__loan;

/* A relay that is lent.  Streams that end otherwise are lost; then `left` is not called any more. */
afar_code
afar__relay_lend(afar_object *far, const afar__loan *loan, afar_object **ret_relay,
                 afar_error *err);

/* The object that a relay leads to, as long as the relay; NULL if it is none. */
afar_object *
afar__relay_far(afar_object *object);

#endif
