#ifndef IDL_REFERENCES_H
#define IDL_REFERENCES_H

/* References in messages: fields of type afar.Ref, each with the interface of what it refers
 * to, and of type afar.Sender or afar.Receiver, each with the message that its channel carries. */

#include "idl/model.h"

/* Fills in what fields and messages of the model say about references, once all of its
 * services are there. */
void
find_references(idl_model *model);

/* Whether a field is an afar.Ref, one or many, or a map with such values. */
bool
is_reference_field(const idl_field *field);

/* The same for afar.Sender and afar.Receiver. */
bool
is_end_field(const idl_field *field);

/* The message type of a field, or of the values of a map; NULL for none. */
const idl_message *
type_or_value_type(const idl_field *field);

/* The service, or the message, of that full name in any file of the run; NULL for none. */
const idl_service *
service_anywhere(const idl_model *model, const char *full_name);

const idl_message *
message_anywhere(const idl_model *model, const char *full_name);

#endif
