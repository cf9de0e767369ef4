#ifndef AFAR_CLIENT_FIND_H
#define AFAR_CLIENT_FIND_H

/* Finding objects by name, at first and again. */

#include "client/names.h"
#include "runtime/finder.h"

/* Finds the place of a name, and makes a finder for a reference that goes there; the
 * finder has a reference to `names` of its own.  The errors are those of
 * afar_object_open. */
afar_code
afar__find(afar__names *names, const afar__wanted *wanted, afar_deadline deadline,
           afar__place *ret_place, afar__finder **ret_finder, afar_error *err);

#endif
