/* x.afar.h: what one includes to call the services of a file and to be one.
 *
 * For a service: its type, a reference; the caller's functions, method by method;
 * the handler's ends of streams; the struct of handlers; `_new`.  For an error:
 * `_of` and `_fail`.  For channels: emit_channels.c.  For references in messages:
 * emit_references.c.  One thread. */

#include <string.h>

#include "idl/cname.h"
#include "idl/stub.h"

static void
declare(idl_writer *writer, const char *attribute, idl_signature signature)
{
    write_format(writer, "%s ", attribute);
    write_signature(writer, &signature, ");\n\n");
}

static void
define(idl_writer *writer, idl_signature signature, const char *body)
{
    write_signature(writer, &signature, ")\n{\n");
    write_text(writer, body);
    write_text(writer, "}\n\n");
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

static bool
has_reply(const idl_service *service)
{
    for (size_t i = 0; i < service->method_count; i++)
        if (!service->methods[i].server_streams && !service->methods[i].oneway)
            return true;
    return false;
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
    idl_signature close = signature_close(pool, method);

    write_opaque(writer, pool_format(pool, "%s_stream", method->part));
    declare(writer, attribute_of(method), signature_call(pool, method));
    if (method->client_streams)
        declare(writer, "AFAR_MUST_USE", signature_send(pool, method));
    if (method->server_streams)
        declare(writer, "AFAR_MUST_USE", signature_receive(pool, method));
    declare_finish(writer, method);
    write_signature(writer, &close, ");\n\n");
    define(writer, signature_stream_base(pool, method), "    return (afar_stream *)stream;\n");
}

static void
declare_method(idl_writer *writer, const idl_method *method)
{
    emit_comment(writer, 0, method->name, both_comments(writer->pool, &method->comments));
    if (is_stream(method))
        declare_stream(writer, method);
    else
        declare_unary(writer, method);
}

static void
declare_server_end(idl_writer *writer, const idl_method *method)
{
    if (!is_stream(method))
        return;
    write_format(writer, "/* The handler's end of %s. */\n", method->name);
    write_opaque(writer, pool_format(writer->pool, "%s_server_stream", method->part));
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

    emit_comment(writer, 4, "", both_comments(writer->pool, &method->comments));
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
write_open(idl_writer *writer, const idl_service *service)
{
    idl_signature open = signature_open(writer->pool, service);
    idl_list arguments = list_make(writer->pool);

    write_text(writer, "/* Opens the object with that name or address (afar/client.h). */\n");
    write_signature(writer, &open, ")\n{\n");
    write_text(writer, "    afar_object *object = NULL;\n"
                       "    afar_code code = afar_object_open(");
    list_add(&arguments, "client");
    list_add(&arguments, "name");
    list_add(&arguments, "&%s_interface", service->stub);
    list_add(&arguments, "deadline");
    list_add(&arguments, "&object");
    list_add(&arguments, "err");
    write_list(writer, &arguments, 8, ");\n");
    write_format(writer,
                 "    if (code == AFAR_OK)\n"
                 "        *ret_object = (%s *)object;\n"
                 "    return code;\n"
                 "}\n\n",
                 service->c_type);
}

static void
write_reference(idl_writer *writer, const idl_service *service)
{
    idl_pool *pool = writer->pool;
    const char *article = strchr("AEIOUaeiou", *service->full_name) ? "an" : "a";

    write_format(writer, "extern const afar_interface %s_interface;\n\n", service->stub);
    write_format(writer, "/* A reference to %s %s, near or far. */\n", article, service->full_name);
    write_opaque(writer, service->c_type);
    define(writer, signature_object(pool, service), "    return (afar_object *)object;\n");
    write_open(writer, service);
    write_text(writer, "/* Lets go of the reference; NULL is allowed. */\n");
    define(writer, signature_close_object(pool, service),
           pool_format(pool, "    afar_object_close(%s_object(object));\n", service->stub));
}

static void
write_service(idl_writer *writer, const idl_service *service)
{
    emit_section(writer, service->full_name, both_comments(writer->pool, &service->comments));
    write_text(writer, "\n");
    write_reference(writer, service);
    if (service->method_count)
        write_text(writer, "/* ---- calling ---- */\n\n");
    if (has_reply(service))
        write_text(writer,
                   "/* A reply is the caller's: afar_message_free.  With NULL for ret_reply it is\n"
                   " * released at once. */\n\n");
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
                 both_comments(pool, &message->comments));
    write_text(writer, "\n/* The detail of that type in an error, or NULL; lives as long as the "
                       "error. */\n");
    write_signature(writer, &of, ");\n\n");
    write_text(writer, "/* Fails a call with that detail and a message for a person. */\n");
    declare(writer, "AFAR_PRINTF(4, 5)", signature_fail(pool, message));
}

static void
write_includes(idl_writer *writer, const idl_file *file)
{
    bool refers = any_message(file, has_references);
    bool has_channels = any_message(file, is_channel);
    bool opens = file->service_count || has_channels;

    if (file->service_count || has_errors(file))
        write_text(writer, "#include <afar/call.h>\n");
    if (has_channels || any_message(file, has_ends))
        write_text(writer, "#include <afar/channel.h>\n");
    if (opens)
        write_text(writer, "#include <afar/client.h>\n");
    else if (!refers && !has_errors(file))
        write_text(writer, "#include <afar/interface.h>\n");
    if (file->service_count)
        write_text(writer, "#include <afar/object.h>\n");
    write_text(writer, refers ? "#include <afar/ref.h>\n\n" : "\n");
    if (!file->no_generate || opens || has_errors(file))
        write_format(writer, "#include \"%s.pb-c.h\"\n\n", cname_stem(writer->pool, file->name));
    emit_references_includes(writer, file);
}

void
emit_stub_header(idl_writer *writer, const idl_file *file)
{
    const char *symbol = file->symbol;
    const char *guard = cname_stub_guard(writer->pool, file->name);

    emit_head(writer, file);
    write_format(writer, "#ifndef %s\n#define %s\n\n", guard, guard);
    write_includes(writer, file);
    write_format(writer, "AFAR_BEGIN\n\nextern const afar_file afar_file_%s;\n\n", symbol);
    for (size_t i = 0; i < file->service_count; i++)
        write_service(writer, &file->services[i]);
    emit_channels_header(writer, file);
    emit_references_header(writer, file);
    each_error(file, write_error, writer);
    write_text(writer, "AFAR_END\n\n#endif\n");
}
