/* x.afar.c: the table of an interface, the functions behind the stubs, and what
 * takes a call to its handler.
 *
 * A stub only adds types: what it does is done by libafar.  A reply comes back
 * through a local variable, because a Reply ** must not be used as a
 * ProtobufCMessage **.  One thread. */

#include <string.h>

#include "idl/cname.h"
#include "idl/stub.h"

/* A call of `function`, standing behind what was written to the line so far. */
static void
write_call(idl_writer *writer, const char *function, const idl_list *arguments, const char *tail)
{
    write_format(writer, "%s(", function);
    write_list(writer, arguments, 8, tail);
}

/* The arguments of a call, from their text with commas between them. */
__attribute__((format(printf, 2, 3))) static idl_list
arguments_make(idl_pool *pool, const char *format, ...)
{
    idl_list arguments = list_make(pool);
    va_list values;

    va_start(values, format);
    char *text = pool_format_list(pool, format, values);
    va_end(values);
    for (char *comma; (comma = strstr(text, ", ")); text = comma + 2) {
        *comma = '\0';
        list_add(&arguments, "%s", text);
    }
    list_add(&arguments, "%s", text);
    return arguments;
}

static void
begin_function(idl_writer *writer, idl_signature signature)
{
    write_signature(writer, &signature, ")\n{\n");
}

/* A function that calls one of libafar, which hands something out through a
 * variable, and passes it on with its own type. */
static void
write_typed(idl_writer *writer, const char *untyped, const char *variable, const char *type,
            const char *function, idl_list arguments)
{
    write_format(writer, "    %s *%s = NULL;\n    afar_code code = ", untyped, variable);
    write_call(writer, function, &arguments, ");\n");
    write_format(writer,
                 "    if (code == AFAR_OK)\n        *ret_%s = (%s *)%s;\n    return code;\n}\n\n",
                 variable, type, variable);
}

/* The same for a reply, which may be unwanted: then libafar gets NULL as well. */
static void
write_reply(idl_writer *writer, const idl_method *method, const char *function, const char *others)
{
    idl_list arguments =
        arguments_make(writer->pool, "%s, deadline, ret_reply ? &reply : NULL, err", others);

    write_text(writer, "    ProtobufCMessage *reply = NULL;\n    afar_code code = ");
    write_call(writer, function, &arguments, ");\n");
    write_format(writer,
                 "    if (ret_reply && code == AFAR_OK)\n        *ret_reply = (%s *)reply;\n"
                 "    return code;\n}\n\n",
                 method->reply->c_type);
}

static void
write_returned(idl_writer *writer, const char *function, idl_list arguments)
{
    write_text(writer, "    return ");
    write_call(writer, function, &arguments, ");\n}\n\n");
}

/* ---- serving ---- */

static void
write_serve(idl_writer *writer, const idl_method *method)
{
    idl_pool *pool = writer->pool;
    const char *type = pool_format(pool, "const %s_methods *", method->service->stub);
    idl_list arguments = list_make(pool);

    begin_function(writer, signature_serve(pool, method));
    write_pair(writer, pool_format(pool, "    %stable =", type),
               pool_format(pool, "(%s)methods", type), 8, ";\n\n");
    write_format(writer,
                 "    if (!table->%s)\n"
                 "        return afar_call_unimplemented(call);\n"
                 "    return table->%s(",
                 method->c_name, method->c_name);
    list_add(&arguments, "self");
    if (!method->client_streams)
        list_add(&arguments, "(const %s *)afar_call_request(call)", method->request->c_type);
    if (is_stream(method))
        list_add(&arguments, "(%s_server_stream *)call", method->part);
    if (!method->server_streams && !method->oneway)
        list_add(&arguments, "(%s *)afar_call_reply(call)", method->reply->c_type);
    list_add(&arguments, "call");
    write_list(writer, &arguments, 8, ");\n}\n\n");
}

/* ---- the tables ---- */

static const char *
flags_of(idl_pool *pool, const idl_method *method)
{
    const char *text = pool_format(pool, "%s%s%s", method->oneway ? " | AFAR_METHOD_ONEWAY" : "",
                                   method->idempotent ? " | AFAR_METHOD_IDEMPOTENT" : "",
                                   method->deprecated ? " | AFAR_METHOD_DEPRECATED" : "");

    return *text ? text + 3 : "0";
}

static void
write_method_entry(idl_writer *writer, const idl_method *method)
{
    static const char *const kinds[] = { [STUB_UNARY] = "AFAR_UNARY",
                                         [STUB_ONEWAY] = "AFAR_UNARY",
                                         [STUB_SERVER_STREAM] = "AFAR_SERVER_STREAM",
                                         [STUB_CLIENT_STREAM] = "AFAR_CLIENT_STREAM",
                                         [STUB_BIDI_STREAM] = "AFAR_BIDI_STREAM" };
    idl_list types = list_make(writer->pool);

    write_format(writer, "    { \"%s\", \"/%s/%s\",\n      ", method->name,
                 method->service->full_name, method->name);
    list_add(&types, "&%s__descriptor", method->request->lower);
    list_add(&types, "&%s__descriptor", method->reply->lower);
    write_list(writer, &types, 6, ",\n      ");
    idl_list rest = list_make(writer->pool);
    list_add(&rest, "serve_%s", method->stub);
    list_add(&rest, "%s", kinds[kind_of(method)]);
    list_add(&rest, "%s", flags_of(writer->pool, method));
    list_add(&rest, "%s", references_name(writer->pool, method->request));
    list_add(&rest, "%s", references_name(writer->pool, method->reply));
    write_list(writer, &rest, 6, " },\n");
}

static void
write_tables(idl_writer *writer, const idl_service *service)
{
    const char *stub = service->stub;

    if (service->method_count) {
        write_format(writer, "static const afar_method %s_method[] = {\n", stub);
        for (size_t i = 0; i < service->method_count; i++)
            write_method_entry(writer, &service->methods[i]);
        write_text(writer, "};\n\n");
    }
    write_format(writer,
                 "const afar_interface %s_interface = {\n"
                 "    AFAR_ABI, sizeof(afar_interface), \"%s\",\n",
                 stub, service->full_name);
    if (service->method_count)
        write_format(writer, "    %s_method, %zu, sizeof(afar_method),\n", stub,
                     service->method_count);
    else
        write_text(writer, "    NULL, 0, sizeof(afar_method),\n");
    write_format(writer, "    &afar_file_%s,\n    NULL\n};\n\n", service->file->symbol);
}

/* ---- unary calls ---- */

static void
write_unary(idl_writer *writer, const idl_method *method)
{
    idl_pool *pool = writer->pool;
    const char *stub = method->service->stub;
    const char *call = pool_format(pool, "%s_object(object), &%s_method[%zu], &request->%s", stub,
                                   stub, method->index, method->request->base);

    begin_function(writer, signature_call(pool, method));
    write_reply(writer, method, "afar_object_call", call);
    begin_function(writer, signature_start(pool, method));
    write_returned(writer, "afar_object_start",
                   arguments_make(pool, "%s, deadline, options, ret_future, err", call));
    begin_function(writer, signature_await(pool, method));
    write_reply(writer, method, "afar_future_await",
                pool_format(pool, "future, &%s_method[%zu]", stub, method->index));
}

static void
write_oneway(idl_writer *writer, const idl_method *method)
{
    idl_pool *pool = writer->pool;
    const char *stub = method->service->stub;

    begin_function(writer, signature_call(pool, method));
    write_returned(writer, "afar_object_send",
                   arguments_make(pool,
                                  "%s_object(object), &%s_method[%zu], &request->%s, deadline, err",
                                  stub, stub, method->index, method->request->base));
}

/* ---- streams, the caller's end ---- */

static void
write_open_stream(idl_writer *writer, const idl_method *method)
{
    idl_pool *pool = writer->pool;
    const char *stub = method->service->stub;
    const char *request =
        method->client_streams ? "NULL" : pool_format(pool, "&request->%s", method->request->base);

    begin_function(writer, signature_call(pool, method));
    write_typed(writer, "afar_stream", "stream", pool_format(pool, "%s_stream", method->part),
                "afar_object_stream",
                arguments_make(pool,
                               "%s_object(object), &%s_method[%zu], %s, deadline, options, "
                               "&stream, err",
                               stub, stub, method->index, request));
}

static void
write_finish(idl_writer *writer, const idl_method *method, const char *base)
{
    idl_pool *pool = writer->pool;

    begin_function(writer, signature_finish(pool, method));
    if (method->server_streams)
        write_returned(writer, "afar_stream_finish", arguments_make(pool, "%s, err", base));
    else
        write_reply(writer, method, "afar_stream_await", base);
}

static void
write_stream(idl_writer *writer, const idl_method *method)
{
    idl_pool *pool = writer->pool;
    const char *base = pool_format(pool, "%s_stream_base(stream)", method->part);

    write_open_stream(writer, method);
    if (method->client_streams) {
        begin_function(writer, signature_send(pool, method));
        write_returned(
            writer, "afar_stream_send",
            arguments_make(pool, "%s, &message->%s, deadline, err", base, method->request->base));
    }
    if (method->server_streams) {
        begin_function(writer, signature_receive(pool, method));
        write_typed(writer, "ProtobufCMessage", "message", method->reply->c_type,
                    "afar_stream_receive",
                    arguments_make(pool, "%s, deadline, &message, err", base));
    }
    if (method->client_streams)
        write_finish(writer, method, base);
    begin_function(writer, signature_close(pool, method));
    write_format(writer, "    afar_stream_close(%s);\n}\n\n", base);
}

/* ---- streams, the handler's end ---- */

static void
write_server_end(idl_writer *writer, const idl_method *method)
{
    idl_pool *pool = writer->pool;

    if (method->server_streams) {
        begin_function(writer, signature_server_send(pool, method));
        write_returned(writer, "afar_call_send",
                       arguments_make(pool, "(afar_call *)stream, &message->%s, deadline, err",
                                      method->reply->base));
    }
    if (method->client_streams) {
        begin_function(writer, signature_server_receive(pool, method));
        write_typed(writer, "const ProtobufCMessage", "message",
                    pool_format(pool, "const %s", method->request->c_type), "afar_call_receive",
                    arguments_make(pool, "(afar_call *)stream, deadline, &message, err"));
    }
}

/* ---- services and errors ---- */

static void
write_method(idl_writer *writer, const idl_method *method)
{
    if (is_stream(method)) {
        write_stream(writer, method);
        write_server_end(writer, method);
    } else if (method->oneway) {
        write_oneway(writer, method);
    } else {
        write_unary(writer, method);
    }
}

static void
write_service(idl_writer *writer, const idl_service *service)
{
    idl_pool *pool = writer->pool;

    write_format(writer, "/* ---- %s ---- */\n\n", service->full_name);
    for (size_t i = 0; i < service->method_count; i++)
        write_serve(writer, &service->methods[i]);
    write_tables(writer, service);
    begin_function(writer, signature_new(pool, service));
    write_typed(
        writer, "afar_object", "object", service->c_type, "afar_object_new",
        arguments_make(pool, "&%s_interface, methods, self, options, &object, err", service->stub));
    for (size_t i = 0; i < service->method_count; i++)
        write_method(writer, &service->methods[i]);
}

static void
write_error(idl_writer *writer, const idl_message *message)
{
    idl_pool *pool = writer->pool;
    idl_list arguments;

    write_format(writer, "/* ---- the error %s ---- */\n\n", message->full_name);
    begin_function(writer, signature_of(pool, message));
    write_format(writer, "    return (const %s *)", message->c_type);
    arguments =
        arguments_make(pool, "err, \"%s\", &%s__descriptor", message->full_name, message->lower);
    write_call(writer, "afar_error_find", &arguments, ");\n}\n\n");
    begin_function(writer, signature_fail(pool, message));
    write_text(writer, "    va_list arguments;\n\n"
                       "    va_start(arguments, format);\n"
                       "    code = ");
    arguments = arguments_make(pool, "call, code, \"%s\", &detail->%s, format, arguments",
                               message->full_name, message->base);
    write_call(writer, "afar_call_fail_detail", &arguments, ");\n");
    write_text(writer, "    va_end(arguments);\n    return code;\n}\n\n");
}

void
emit_stub_source(idl_writer *writer, const idl_file *file)
{
    emit_head(writer, file);
    write_format(writer, "#include \"%s.afar.h\"\n\n", cname_stem(writer->pool, file->name));
    if (has_errors(file))
        write_text(writer, "#include <stdarg.h>\n\n#include <afar/message.h>\n\n");
    emit_references_source(writer, file);
    emit_channels_source(writer, file);
    for (size_t i = 0; i < file->service_count; i++)
        write_service(writer, &file->services[i]);
    each_error(file, write_error, writer);
    emit_file_table(writer, file);
}
