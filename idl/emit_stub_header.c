/* x.afar.h: what one includes to call the services of a file and to be one.
 *
 * For a service: its type, a reference; the caller's functions, method by method;
 * the handler's ends of streams; the struct of handlers; `_new`.  For an error:
 * `_of` and `_fail`.  One thread. */

#include "idl/cname.h"
#include "idl/stub.h"

static void
declare(idl_writer *writer, const char *attribute, idl_signature signature)
{
    write_format(writer, "%s ", attribute);
    write_signature(writer, &signature, ");\n\n");
}

static const char *
attribute_of(const idl_method *method)
{
    return method->deprecated ? "AFAR_DEPRECATED AFAR_MUST_USE" : "AFAR_MUST_USE";
}

static void
declare_unary(idl_writer *writer, const idl_method *method)
{
    const char *attribute = attribute_of(method);

    declare(writer, attribute, signature_call(writer->pool, method));
    if (method->oneway)
        return;
    declare(writer, attribute, signature_start(writer->pool, method));
    declare(writer, attribute, signature_await(writer->pool, method));
}

static void
declare_finish(idl_writer *writer, const idl_method *method)
{
    if (!method->client_streams)
        return;
    write_text(writer,
               method->server_streams
                   ? "/* Sends no more; what the other side still sends can be received. */\n"
                   : "/* Sends no more and waits for the reply. */\n");
    declare(writer, "AFAR_MUST_USE", signature_finish(writer->pool, method));
}

static void
declare_stream(idl_writer *writer, const idl_method *method)
{
    idl_pool *pool = writer->pool;
    const word words[] = { { "part", method->part }, { NULL, NULL } };

    write_template(writer, words, "typedef struct $part$_stream $part$_stream;\n\n");
    declare(writer, attribute_of(method), signature_call(pool, method));
    if (method->client_streams)
        declare(writer, "AFAR_MUST_USE", signature_send(pool, method));
    if (method->server_streams)
        declare(writer, "AFAR_MUST_USE", signature_receive(pool, method));
    declare_finish(writer, method);
    idl_signature close = signature_close(pool, method);
    write_signature(writer, &close, ");\n\n");
    write_template(writer, words,
                   "static inline afar_stream *\n"
                   "$part$_stream_base($part$_stream *stream)\n"
                   "{\n"
                   "    return (afar_stream *)stream;\n"
                   "}\n\n");
}

static void
declare_method(idl_writer *writer, const idl_method *method)
{
    emit_comment(writer, 0, method->name, method->comments.leading);
    if (is_stream(method))
        declare_stream(writer, method);
    else
        declare_unary(writer, method);
}

static void
declare_server_end(idl_writer *writer, const idl_method *method)
{
    const word words[] = { { "part", method->part }, { "name", method->name }, { NULL, NULL } };

    if (!is_stream(method))
        return;
    write_template(writer, words,
                   "/* The handler's end of $name$. */\n"
                   "typedef struct $part$_server_stream $part$_server_stream;\n\n");
    if (method->server_streams)
        declare(writer, "AFAR_MUST_USE", signature_server_send(writer->pool, method));
    if (!method->client_streams)
        return;
    write_text(writer, "/* The message lives until the next receive. */\n");
    declare(writer, "AFAR_MUST_USE", signature_server_receive(writer->pool, method));
}

static void
write_handler(idl_writer *writer, const idl_method *method)
{
    idl_list parameters = list_make(writer->pool);

    emit_comment(writer, 4, "", method->comments.leading);
    list_add(&parameters, "void *self");
    if (!method->client_streams)
        list_add(&parameters, "const %s *request", method->request->c_type);
    if (is_stream(method))
        list_add(&parameters, "%s_server_stream *stream", method->part);
    if (!method->server_streams && !method->oneway)
        list_add(&parameters, "%s *reply", method->reply->c_type);
    list_add(&parameters, "afar_call *call");
    write_format(writer, "    afar_code (*%s)(", method->c_name);
    write_list(writer, &parameters, 8, ");\n");
}

static void
write_methods_struct(idl_writer *writer, const idl_service *service)
{
    write_format(writer, "typedef struct %s_methods {\n", service->stub);
    for (size_t i = 0; i < service->method_count; i++) {
        if (i)
            write_text(writer, "\n");
        write_handler(writer, &service->methods[i]);
    }
    if (!service->method_count)
        write_text(writer, "    void *none;                    /* the service has no methods */\n");
    write_format(writer, "} %s_methods;\n\n", service->stub);
}

static void
write_reference(idl_writer *writer, const idl_service *service)
{
    const word words[] = { { "stub", service->stub },
                           { "type", service->c_type },
                           { "full", service->full_name },
                           { NULL, NULL } };

    write_template(writer, words,
                   "extern const afar_interface $stub$_interface;\n\n"
                   "/* A reference to a $full$, near or far. */\n"
                   "typedef struct $type$ $type$;\n\n"
                   "static inline afar_object *\n"
                   "$stub$_object($type$ *object)\n"
                   "{\n"
                   "    return (afar_object *)object;\n"
                   "}\n\n"
                   "/* Opens the object with that name or address (afar/client.h). */\n"
                   "AFAR_MUST_USE static inline afar_code\n"
                   "$stub$_open(");
    idl_list parameters = list_make(writer->pool);
    list_add(&parameters, "afar_client *client");
    list_add(&parameters, "const char *name");
    list_add(&parameters, "afar_deadline deadline");
    list_add(&parameters, "%s **ret_object", service->c_type);
    list_add(&parameters, "afar_error *err");
    write_list(writer, &parameters, 4, ")\n{\n");
    write_text(writer, "    afar_object *object = NULL;\n"
                       "    afar_code code = afar_object_open(");
    idl_list arguments = list_make(writer->pool);
    list_add(&arguments, "client");
    list_add(&arguments, "name");
    list_add(&arguments, "&%s_interface", service->stub);
    list_add(&arguments, "deadline");
    list_add(&arguments, "&object");
    list_add(&arguments, "err");
    write_list(writer, &arguments, 8, ");\n");
    write_template(writer, words,
                   "    if (code == AFAR_OK)\n"
                   "        *ret_object = ($type$ *)object;\n"
                   "    return code;\n"
                   "}\n\n"
                   "/* Lets go of the reference; NULL is allowed. */\n"
                   "static inline void\n"
                   "$stub$_close($type$ *object)\n"
                   "{\n"
                   "    afar_object_close($stub$_object(object));\n"
                   "}\n\n");
}

static void
write_service(idl_writer *writer, const idl_service *service)
{
    emit_section(writer, service->full_name, service->comments.leading);
    write_text(writer, "\n");
    write_reference(writer, service);
    if (service->method_count)
        write_text(writer, "/* ---- calling ---- */\n\n");
    for (size_t i = 0; i < service->method_count; i++)
        declare_method(writer, &service->methods[i]);
    write_text(writer, "/* ---- being one: a method left NULL answers UNIMPLEMENTED ---- */\n\n");
    for (size_t i = 0; i < service->method_count; i++)
        declare_server_end(writer, &service->methods[i]);
    write_methods_struct(writer, service);
    write_text(writer, "/* Makes a local object; `methods` and `self` live until it is finalized.\n"
                       " * options may be NULL. */\n");
    declare(writer, "AFAR_MUST_USE", signature_new(writer->pool, service));
}

static void
write_error(idl_writer *writer, const idl_message *message)
{
    idl_pool *pool = writer->pool;
    idl_signature of = signature_of(pool, message);

    emit_section(writer, pool_format(pool, "the error %s", message->full_name),
                 message->comments.leading);
    write_text(writer, "\n/* The detail of that type in an error, or NULL; lives as long as the "
                       "error. */\n");
    write_signature(writer, &of, ");\n\n");
    write_text(writer, "/* Fails a call with that detail and a message for a person. */\n");
    declare(writer, "AFAR_PRINTF(4, 5)", signature_fail(pool, message));
}

static bool
is_error(const idl_message *message)
{
    return message->is_error;
}

static void
write_includes(idl_writer *writer, const idl_file *file)
{
    bool has_errors = any_message(file, is_error);

    if (file->service_count)
        write_text(writer, "#include <afar/call.h>\n"
                           "#include <afar/client.h>\n"
                           "#include <afar/object.h>\n\n");
    else if (has_errors)
        write_text(writer, "#include <afar/call.h>\n\n");
    else
        write_text(writer, "#include <afar/interface.h>\n\n");
    if (!file->no_generate || file->service_count || has_errors)
        write_format(writer, "#include \"%s.pb-c.h\"\n\n", cname_stem(writer->pool, file->name));
}

void
emit_stub_header(idl_writer *writer, const idl_file *file)
{
    const char *symbol = file->symbol;
    char *guard = pool_format(writer->pool, "AFAR_%s_INCLUDED", symbol);

    for (char *c = guard; *c; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    emit_head(writer, file);
    write_format(writer, "#ifndef %s\n#define %s\n\n", guard, guard);
    write_includes(writer, file);
    write_format(writer, "AFAR_BEGIN\n\nextern const afar_file afar_file_%s;\n\n", symbol);
    for (size_t i = 0; i < file->service_count; i++)
        write_service(writer, &file->services[i]);
    each_error(file, write_error, writer);
    write_text(writer, "AFAR_END\n\n#endif\n");
}
