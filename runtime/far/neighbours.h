#ifndef AFAR_RUNTIME_FAR_NEIGHBOURS_H
#define AFAR_RUNTIME_FAR_NEIGHBOURS_H

/* Neighbours: processes that a node connects to because of a reference it was given.  A node has one
 * link to each address, as long as a reference needs it. */

#include "runtime/link.h"

typedef struct afar__neighbour afar__neighbour;

/* "afar://host:port", "host:port" or "unix:path". */
afar_code
afar__neighbour_enter(afar_node *node, const char *address, afar__neighbour **ret_neighbour,
                      afar_error *err);

/* NULL is allowed.  Any thread; the last one closes the link, and does not wait for that. */
void
afar__neighbour_leave(afar__neighbour *neighbour);

afar__link *
afar__neighbour_link(const afar__neighbour *neighbour);

#endif
