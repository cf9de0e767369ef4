/* protoc-gen-afar: the .proto compiler's plugin.
 *
 * protoc runs it, writes a CodeGeneratorRequest to its standard input and reads
 * a CodeGeneratorResponse from its standard output.  The steps are: read, make
 * the model, check it, write four texts for each file, answer.  What is wrong in
 * a .proto file goes into the answer, all of it, and then there are no files;
 * what is wrong with the request itself goes to standard error, and the exit
 * status says so.  One thread. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "idl/check.h"
#include "idl/cname.h"
#include "idl/emit.h"
#include "idl/wire.h"

typedef Google__Protobuf__Compiler__CodeGeneratorRequest idl_request;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse idl_response;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File response_file;

enum { DEPTH_MOST = 100 }; /* of messages within messages, as in protoc */

/* All of standard input. */
static uint8_t *
read_input(idl_pool *pool, size_t *ret_length)
{
    idl_writer input = writer_make(pool);
    char bytes[8192];
    size_t n;

    while ((n = fread(bytes, 1, sizeof bytes, stdin)) > 0)
        write_bytes(&input, bytes, n);
    if (ferror(stdin))
        die("cannot read the request: %s", strerror(errno));
    *ret_length = input.length;
    return (uint8_t *)input.text;
}

static idl_request *
parse(const uint8_t *bytes, size_t length)
{
    const ProtobufCMessageDescriptor *type =
        &google__protobuf__compiler__code_generator_request__descriptor;

    if (!length)
        die("standard input is empty; protoc runs this program: protoc --afar_out=DIR x.proto");
    if (!wire_is_safe(type, bytes, length, DEPTH_MOST))
        die("the request cannot be read: not a CodeGeneratorRequest, over %d messages deep, or "
            "with an option that is a group",
            DEPTH_MOST);
    idl_request *request =
        google__protobuf__compiler__code_generator_request__unpack(NULL, length, bytes);
    if (!request)
        die("the request is not a CodeGeneratorRequest");
    return request;
}

static void
add_file(idl_pool *pool, idl_response *response, const idl_file *source, const char *ending,
         void (*emit)(idl_writer *writer, const idl_file *file))
{
    response_file *made = pool_alloc(pool, sizeof *made);
    idl_writer text = writer_make(pool);

    emit(&text, source);
    google__protobuf__compiler__code_generator_response__file__init(made);
    made->name = pool_format(pool, "%s%s", cname_stem(pool, source->name), ending);
    made->content = text.text;
    response->file[response->n_file++] = made;
}

/* The text of --afar_opt: nothing, or that the messages come from elsewhere. */
static bool
read_parameter(idl_pool *pool, const char *text, idl_response *response, bool *ret_messages)
{
    *ret_messages = true;
    if (!text || !*text)
        return true;
    if (strcmp(text, "messages=none")) {
        response->error = pool_format(pool, "--afar_opt=%s: there is only messages=none", text);
        return false;
    }
    *ret_messages = false;
    return true;
}

static void
add_files(const idl_model *model, bool messages, idl_response *response)
{
    idl_pool *pool = model->pool;

    response->file = pool_array(pool, model->file_count, 4 * sizeof(response_file *));
    for (size_t i = 0; i < model->file_count; i++) {
        const idl_file *file = &model->files[i];

        if (!file->generate)
            continue;
        if (messages && !file->no_generate) {
            add_file(pool, response, file, ".pb-c.h", emit_message_header);
            add_file(pool, response, file, ".pb-c.c", emit_message_source);
        }
        add_file(pool, response, file, ".afar.h", emit_stub_header);
        add_file(pool, response, file, ".afar.c", emit_stub_source);
    }
}

static void
answer(idl_pool *pool, const idl_response *response)
{
    size_t length = protobuf_c_message_get_packed_size(&response->base);
    uint8_t *bytes = pool_alloc(pool, length);

    protobuf_c_message_pack(&response->base, bytes);
    if (fwrite(bytes, 1, length, stdout) != length || fflush(stdout))
        die("cannot write the response: %s", strerror(errno));
}

int
main(void)
{
    idl_pool *pool = pool_new();
    idl_response response = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
    bool messages;
    size_t length;
    uint8_t *bytes = read_input(pool, &length);
    idl_request *request = parse(bytes, length);
    idl_model *model = model_new(pool, request, bytes, length);

    response.has_supported_features = true;
    response.supported_features =
        GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;
    if (read_parameter(pool, request->parameter, &response, &messages) &&
        !(response.error = check_model(model)))
        add_files(model, messages, &response);
    answer(pool, &response);
    google__protobuf__compiler__code_generator_request__free_unpacked(request, NULL);
    pool_free(pool);
    return EXIT_SUCCESS;
}
