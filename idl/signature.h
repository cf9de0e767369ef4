#ifndef IDL_SIGNATURE_H
#define IDL_SIGNATURE_H

/* A function that is written: its name and its parameters. */

#include "idl/model.h"
#include "idl/writer.h"

typedef struct idl_signature {
    const char *returns; /* "afar_code" */
    const char *name;
    idl_list parameters;
} idl_signature;

/* Begins one without parameters; list_add to `parameters` gives it some. */
idl_signature
signature_make(idl_pool *pool, const char *returns, const char *name);

/* "returns\nname(parameters" and `tail`. */
void
write_signature(idl_writer *writer, const idl_signature *signature, const char *tail);

/* ---- what protobuf-c has for a message ---- */

typedef enum message_function {
    MESSAGE_INIT,
    MESSAGE_GET_PACKED_SIZE,
    MESSAGE_PACK,
    MESSAGE_PACK_TO_BUFFER,
    MESSAGE_UNPACK,
    MESSAGE_FREE_UNPACKED,
    MESSAGE_FUNCTION_COUNT
} message_function;

/* Whether the message gets that function. */
bool
message_has_function(const idl_message *message, message_function function);

idl_signature
message_signature(idl_pool *pool, const idl_message *message, message_function function);

#endif
