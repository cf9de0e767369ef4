#ifndef AFAR_RUNTIME_LOOP_H
#define AFAR_RUNTIME_LOOP_H

/* Calls on objects of this very process.  They go over a port and a link of their
 * own, over a socket pair, so that a call is the same wherever it comes from. */

#include <stdint.h>

#include <afar/object.h>

/* A local object's place among those that were called from here.  Zeroed: none. */
typedef struct afar__loop_entry {
    struct afar__loop_entry *next;
    uint64_t id;
    afar_object *object;
    afar_object *near; /* calls it over the loop */
} afar__loop_entry;

/* A remote reference to a local object, owned by the entry. */
afar_code
afar__loop_object(afar__loop_entry *entry, afar_object *object, afar_object **ret_near,
                  afar_error *err);

/* The object is gone. */
void
afar__loop_remove(afar__loop_entry *entry);

#endif
