#ifndef IDL_STUB_H
#define IDL_STUB_H

/* The functions that stand for methods, as both halves of the stubs need them:
 * the header declares them, the source defines them. */

#include "idl/emit.h"
#include "idl/signature.h"

typedef enum stub_kind {
    STUB_UNARY,
    STUB_ONEWAY,
    STUB_SERVER_STREAM,
    STUB_CLIENT_STREAM,
    STUB_BIDI_STREAM
} stub_kind;

stub_kind
kind_of(const idl_method *method);

/* Whether there is a stream at all. */
bool
is_stream(const idl_method *method);

/* The caller's functions. */
idl_signature
signature_call(idl_pool *pool, const idl_method *method);

idl_signature
signature_start(idl_pool *pool, const idl_method *method);

idl_signature
signature_await(idl_pool *pool, const idl_method *method);

idl_signature
signature_send(idl_pool *pool, const idl_method *method);

idl_signature
signature_receive(idl_pool *pool, const idl_method *method);

idl_signature
signature_finish(idl_pool *pool, const idl_method *method);

idl_signature
signature_close(idl_pool *pool, const idl_method *method);

/* The handler's. */
idl_signature
signature_server_send(idl_pool *pool, const idl_method *method);

idl_signature
signature_server_receive(idl_pool *pool, const idl_method *method);

/* What takes a call to the handler. */
idl_signature
signature_serve(idl_pool *pool, const idl_method *method);

/* What turns a stream of the method into an afar_stream. */
idl_signature
signature_stream_base(idl_pool *pool, const idl_method *method);

/* Of an interface. */
idl_signature
signature_object(idl_pool *pool, const idl_service *service);

idl_signature
signature_open(idl_pool *pool, const idl_service *service);

idl_signature
signature_close_object(idl_pool *pool, const idl_service *service);

idl_signature
signature_new(idl_pool *pool, const idl_service *service);

/* Of an error. */
idl_signature
signature_of(idl_pool *pool, const idl_message *message);

idl_signature
signature_fail(idl_pool *pool, const idl_message *message);

/* "typedef struct name name;" */
void
write_opaque(idl_writer *writer, const char *name);

/* Calls `visit` for the messages of the file that are errors. */
void
each_error(const idl_file *file, void (*visit)(idl_writer *writer, const idl_message *message),
           idl_writer *writer);

#endif
