#ifndef AFAR_RUNTIME_STRANGER_H
#define AFAR_RUNTIME_STRANGER_H

/* Strangers: objects of which nothing is known but the address that somebody sent.  Nothing is
 * opened before the first call, so whoever sends addresses makes us connect nowhere. */

#include "runtime/abroad.h"

/* The address can be read, and is not inproc:. */
AFAR_MUST_USE afar_code
afar__stranger_new(afar_node *node, const afar__spot *spot, const afar_interface *interface,
                   afar_object **ret_object, afar_error *err);

/* False if it is none. */
bool
afar__stranger_spot(const afar_object *object, afar__spot *ret_spot);

#endif
