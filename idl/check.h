#ifndef IDL_CHECK_H
#define IDL_CHECK_H

/* Every rule that a .proto file must keep beyond protoc's own. */

#include "idl/model.h"

/* NULL if all is well; else all that is wrong in the files to be compiled, a line
 * each, "file:line:column: message", in the order of the files and lines. */
char *
check_model(idl_model *model);

#endif
