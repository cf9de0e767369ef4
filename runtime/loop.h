#ifndef AFAR_RUNTIME_LOOP_H
#define AFAR_RUNTIME_LOOP_H

/* Calls on objects of this very process.  They go over a session with ourselves, whose two ends are
 * here, so that a call is the same wherever it comes from.  A reference in one of their
 * messages arrives as the object itself. */

#include <stdint.h>

#include "runtime/object.h"

/* A local object's place among those that were called from here.  Zeroed: none. */
typedef struct afar__loop_entry {
    struct afar__loop_entry *next;
    afar_object *object;
    char name[24]; /* of the object, in the loop; "": it was not called yet */
} afar__loop_entry;

/* Starts a call on an object with that entry (object.h). */
afar_code
afar__loop_start(afar__loop_entry *entry, afar_object *object, const afar__request *request,
                 afar_future **ret_future, afar_error *err);

afar_code
afar__loop_stream(afar__loop_entry *entry, afar_object *object, const afar__request *request,
                  afar_stream **ret_stream, afar_error *err);

/* How the loop leads to it; the connection comes with a reference. */
struct afar__way;
afar_code
afar__loop_way(afar__loop_entry *entry, afar_object *object, struct afar__way *ret_way,
               afar_error *err);

/* The object is gone. */
void
afar__loop_remove(afar__loop_entry *entry);

#endif
