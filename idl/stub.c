/* Names and parameters of the functions that are written for a method.
 *
 * Parameters come in one order everywhere: what is called, what goes in, when to
 * give up, options, what comes out, the error.  One thread. */

#include "idl/stub.h"

stub_kind
kind_of(const idl_method *method)
{
    if (method->client_streams)
        return method->server_streams ? STUB_BIDI_STREAM : STUB_CLIENT_STREAM;
    if (method->server_streams)
        return STUB_SERVER_STREAM;
    return method->oneway ? STUB_ONEWAY : STUB_UNARY;
}

bool
is_stream(const idl_method *method)
{
    return method->client_streams || method->server_streams;
}

static idl_signature
begin_part(idl_pool *pool, const char *returns, const idl_method *method, const char *part)
{
    return signature_make(pool, returns, pool_format(pool, "%s_%s", method->part, part));
}

static void
add_stream(idl_signature *signature, const idl_method *method)
{
    list_add(&signature->parameters, "%s_stream *stream", method->part);
}

static void
add_deadline(idl_signature *signature)
{
    list_add(&signature->parameters, "afar_deadline deadline");
}

static void
add_error(idl_signature *signature)
{
    list_add(&signature->parameters, "afar_error *err");
}

idl_signature
signature_call(idl_pool *pool, const idl_method *method)
{
    idl_signature signature = signature_make(pool, "afar_code", method->stub);
    idl_list *parameters = &signature.parameters;

    list_add(parameters, "%s *object", method->service->c_type);
    if (!method->client_streams)
        list_add(parameters, "const %s *request", method->request->c_type);
    add_deadline(&signature);
    if (is_stream(method)) {
        list_add(parameters, "const afar_call_options *options");
        list_add(parameters, "%s_stream **ret_stream", method->part);
    } else if (!method->oneway) {
        list_add(parameters, "%s **ret_reply", method->reply->c_type);
    }
    add_error(&signature);
    return signature;
}

idl_signature
signature_start(idl_pool *pool, const idl_method *method)
{
    idl_signature signature = begin_part(pool, "afar_code", method, "start");
    idl_list *parameters = &signature.parameters;

    list_add(parameters, "%s *object", method->service->c_type);
    list_add(parameters, "const %s *request", method->request->c_type);
    add_deadline(&signature);
    list_add(parameters, "const afar_call_options *options");
    list_add(parameters, "afar_future **ret_future");
    add_error(&signature);
    return signature;
}

idl_signature
signature_await(idl_pool *pool, const idl_method *method)
{
    idl_signature signature = begin_part(pool, "afar_code", method, "await");

    list_add(&signature.parameters, "afar_future *future");
    add_deadline(&signature);
    list_add(&signature.parameters, "%s **ret_reply", method->reply->c_type);
    add_error(&signature);
    return signature;
}

idl_signature
signature_send(idl_pool *pool, const idl_method *method)
{
    idl_signature signature = begin_part(pool, "afar_code", method, "send");

    add_stream(&signature, method);
    list_add(&signature.parameters, "const %s *message", method->request->c_type);
    add_deadline(&signature);
    add_error(&signature);
    return signature;
}

idl_signature
signature_receive(idl_pool *pool, const idl_method *method)
{
    idl_signature signature = begin_part(pool, "afar_code", method, "receive");

    add_stream(&signature, method);
    add_deadline(&signature);
    list_add(&signature.parameters, "%s **ret_message", method->reply->c_type);
    add_error(&signature);
    return signature;
}

idl_signature
signature_finish(idl_pool *pool, const idl_method *method)
{
    idl_signature signature = begin_part(pool, "afar_code", method, "finish");

    add_stream(&signature, method);
    if (!method->server_streams) {
        add_deadline(&signature);
        list_add(&signature.parameters, "%s **ret_reply", method->reply->c_type);
    }
    add_error(&signature);
    return signature;
}

idl_signature
signature_close(idl_pool *pool, const idl_method *method)
{
    idl_signature signature = begin_part(pool, "void", method, "close");

    add_stream(&signature, method);
    return signature;
}

static void
add_server_stream(idl_signature *signature, const idl_method *method)
{
    list_add(&signature->parameters, "%s_server_stream *stream", method->part);
}

idl_signature
signature_server_send(idl_pool *pool, const idl_method *method)
{
    idl_signature signature = begin_part(pool, "afar_code", method, "server_send");

    add_server_stream(&signature, method);
    list_add(&signature.parameters, "const %s *message", method->reply->c_type);
    add_deadline(&signature);
    add_error(&signature);
    return signature;
}

idl_signature
signature_server_receive(idl_pool *pool, const idl_method *method)
{
    idl_signature signature = begin_part(pool, "afar_code", method, "server_receive");

    add_server_stream(&signature, method);
    add_deadline(&signature);
    list_add(&signature.parameters, "const %s **ret_message", method->request->c_type);
    add_error(&signature);
    return signature;
}

idl_signature
signature_stream_base(idl_pool *pool, const idl_method *method)
{
    idl_signature signature =
        begin_part(pool, "static inline afar_stream *", method, "stream_base");

    add_stream(&signature, method);
    return signature;
}

idl_signature
signature_serve(idl_pool *pool, const idl_method *method)
{
    idl_signature signature =
        signature_make(pool, "static afar_code", pool_format(pool, "serve_%s", method->stub));

    list_add(&signature.parameters, "const void *methods");
    list_add(&signature.parameters, "void *self");
    list_add(&signature.parameters, "afar_call *call");
    return signature;
}

idl_signature
signature_object(idl_pool *pool, const idl_service *service)
{
    idl_signature signature = signature_make(pool, "static inline afar_object *",
                                             pool_format(pool, "%s_object", service->stub));

    list_add(&signature.parameters, "%s *object", service->c_type);
    return signature;
}

idl_signature
signature_open(idl_pool *pool, const idl_service *service)
{
    idl_signature signature = signature_make(pool, "AFAR_MUST_USE static inline afar_code",
                                             pool_format(pool, "%s_open", service->stub));

    list_add(&signature.parameters, "afar_client *client");
    list_add(&signature.parameters, "const char *name");
    add_deadline(&signature);
    list_add(&signature.parameters, "%s **ret_object", service->c_type);
    add_error(&signature);
    return signature;
}

idl_signature
signature_close_object(idl_pool *pool, const idl_service *service)
{
    idl_signature signature =
        signature_make(pool, "static inline void", pool_format(pool, "%s_close", service->stub));

    list_add(&signature.parameters, "%s *object", service->c_type);
    return signature;
}

idl_signature
signature_new(idl_pool *pool, const idl_service *service)
{
    idl_signature signature =
        signature_make(pool, "afar_code", pool_format(pool, "%s_new", service->stub));

    list_add(&signature.parameters, "const %s_methods *methods", service->stub);
    list_add(&signature.parameters, "void *self");
    list_add(&signature.parameters, "const afar_object_options *options");
    list_add(&signature.parameters, "%s **ret_object", service->c_type);
    add_error(&signature);
    return signature;
}

idl_signature
signature_of(idl_pool *pool, const idl_message *message)
{
    idl_signature signature = signature_make(pool, pool_format(pool, "const %s *", message->c_type),
                                             pool_format(pool, "%s_of", message->stub));

    list_add(&signature.parameters, "const afar_error *err");
    return signature;
}

idl_signature
signature_fail(idl_pool *pool, const idl_message *message)
{
    idl_signature signature =
        signature_make(pool, "afar_code", pool_format(pool, "%s_fail", message->stub));

    list_add(&signature.parameters, "afar_call *call");
    list_add(&signature.parameters, "afar_code code");
    list_add(&signature.parameters, "const %s *detail", message->c_type);
    list_add(&signature.parameters, "const char *format");
    list_add(&signature.parameters, "...");
    return signature;
}

void
write_opaque(idl_writer *writer, const char *name)
{
    write_pair(writer, pool_format(writer->pool, "typedef struct %s", name), name, 4, ";\n\n");
}

static void
visit_errors(const idl_message *messages, size_t count,
             void (*visit)(idl_writer *writer, const idl_message *message), idl_writer *writer)
{
    for (size_t i = 0; i < count; i++) {
        if (messages[i].is_error)
            visit(writer, &messages[i]);
        visit_errors(messages[i].messages, messages[i].message_count, visit, writer);
    }
}

void
each_error(const idl_file *file, void (*visit)(idl_writer *writer, const idl_message *message),
           idl_writer *writer)
{
    visit_errors(file->messages, file->message_count, visit, writer);
}
