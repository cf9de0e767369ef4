#ifndef IDL_CLASH_H
#define IDL_CLASH_H

#include "idl/model.h"

/* Complains about names that differ in the .proto files and would be the same in
 * C: of all that a file declares, and of the members of each struct. */
void
check_names(idl_model *model);

#endif
