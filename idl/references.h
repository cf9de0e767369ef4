#ifndef IDL_REFERENCES_H
#define IDL_REFERENCES_H

/* References to objects in messages: fields of type afar.Ref, each with the interface of
 * what it refers to. */

#include "idl/model.h"

/* Fills in what fields and messages of the model say about references, once all of its
 * services are there. */
void
find_references(idl_model *model);

/* Whether a field is an afar.Ref, one or many, or a map with such values. */
bool
is_reference_field(const idl_field *field);

/* The service of that full name in any file of the run; NULL for none. */
const idl_service *
service_anywhere(const idl_model *model, const char *full_name);

#endif
