#ifndef AFAR_SERVER_IDENTITY_H
#define AFAR_SERVER_IDENTITY_H

/* Who a server is: the object that answers afar.node.v1.Node/Identify.  It is there
 * whatever is exported, and whichever name a call gives: there is one for a process. */

#include <afar/object.h>

#include "runtime/port.h"

/* The node must outlive the object. */
afar_code
afar__identity_new(afar_node *node, afar_object **ret_object, afar_error *err);

/* True if the path is that of Identify: the target is the object then. */
bool
afar__identity_find(afar_object *object, const char *path, afar__target *ret_target);

#endif
