/* The second half of making the model: fields with their types, oneofs, services,
 * and our options with the complaints about them.  The declarations of the file
 * and of its imports are there; model.c says what is promised by protoc.  One
 * thread. */

#include "idl/model_build.h"

#include <string.h>

#include "idl/cname.h"
#include "idl/options.h"
#include "idl/wire.h"

typedef Google__Protobuf__FieldDescriptorProto field_source;
typedef Google__Protobuf__DescriptorProto message_source;

/* The field numbers of `options` in the descriptors. */
enum {
    OPTIONS_OF_ENUM = 3, /* of a value and of a service as well */
    OPTIONS_OF_ONEOF = 2,
    OPTIONS_OF_METHOD = 4,
    OPTIONS_OF_MESSAGE = 7,
    OPTIONS_OF_FIELD = 8, /* of a file as well */
    TYPE_NAME_OF_FIELD = 6,
    DEFAULT_VALUE_OF_FIELD = 7
};

static const uint32_t no_options[2] = { 0 };

/* Where the option stands, or else the thing it is on. */
static idl_position
option_position(idl_builder *builder, const idl_path *path, int32_t options, uint32_t number)
{
    idl_path list = path_step(path, options);
    idl_path option = path_step(&list, (int32_t)number);
    idl_position position = places_position(builder->places, &option);

    return position.line ? position : places_name(builder->places, path);
}

/* Complains about each option in our range but those that may stand here: `allowed` says which, up
 * to two of them. */
static void
check_options(idl_builder *builder, const ProtobufCMessage *options, const idl_path *path,
              int32_t options_step, const uint32_t allowed[2], const char *what)
{
    static const char *const names[] = { "(afar.error)", "(afar.oneway)", "(afar.interface)",
                                         "(afar.channel)", "(afar.carries)" };
    uint32_t number = 0;

    while ((number = option_afar_next(options, number + 1))) {
        idl_position position = option_position(builder, path, options_step, number);
        uint32_t index = number - OPTION_AFAR_FIRST;

        if (number == allowed[0] || number == allowed[1])
            continue;
        if (index < sizeof names / sizeof *names)
            complain(builder->model, builder->file, position,
                     "the option %u, %s, means nothing on %s", number, names[index], what);
        else
            complain(builder->model, builder->file, position,
                     "the option %u is Afar's, and this version does not know it", number);
    }
}

static void
read_bool_option(idl_builder *builder, const ProtobufCMessage *options, const idl_path *path,
                 int32_t options_step, uint32_t number, const char *name, bool *ret_value)
{
    if (option_afar_bool(options, number, ret_value) == OPTION_BAD)
        complain(builder->model, builder->file,
                 option_position(builder, path, options_step, number), "%s is true or false", name);
}

static idl_label
label_of(const idl_builder *builder, const field_source *source)
{
    if (source->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED)
        return LABEL_REPEATED;
    if (source->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REQUIRED)
        return LABEL_REQUIRED;
    return builder->file->proto3 && !source->proto3_optional ? LABEL_NONE : LABEL_OPTIONAL;
}

static bool
can_be_packed(const idl_field *field)
{
    return field->label == LABEL_REPEATED && !field->message_type && !field_is_bytes(field) &&
           !field_is_string(field);
}

static void
find_field_type(idl_builder *builder, const field_source *source, idl_field *made)
{
    bool is_enum = made->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_ENUM;
    bool is_message = made->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE ||
                      made->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_GROUP;
    const idl_type *type = source->type_name ? names_find(builder->types, source->type_name) : NULL;

    if (made->type < GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_DOUBLE ||
        made->type > GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_SINT64)
        die("the request has the field %s of no known type", made->name);
    if (!is_enum && !is_message)
        return;
    if (!type || (is_enum ? !type->enumeration : !type->message))
        die("the request has the field %s of an unknown type", made->name);
    made->message_type = type->message;
    made->enum_type = type->enumeration;
}

static void
read_field_options(idl_builder *builder, const field_source *source, const idl_path *path,
                   idl_field *made)
{
    idl_pool *pool = builder->model->pool;
    const Google__Protobuf__FieldOptions *options = source->options;
    const ProtobufCMessage *base = options ? &options->base : NULL;

    if (made->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING)
        option_pb_c_bool(base, 1, &made->string_as_bytes);
    made->deprecated = options && options->deprecated;
    if (can_be_packed(made))
        made->packed =
            options && options->has_packed ? options->packed != 0 : builder->file->proto3;
    check_options(builder, base, path, OPTIONS_OF_FIELD,
                  (uint32_t[]){ OPTION_AFAR_INTERFACE, OPTION_AFAR_CARRIES }, "a field");
    made->option_position = option_position(builder, path, OPTIONS_OF_FIELD, OPTION_AFAR_INTERFACE);
    if (option_afar_string(pool, base, OPTION_AFAR_INTERFACE, &made->interface_name) == OPTION_BAD)
        complain(builder->model, builder->file, made->option_position,
                 "(afar.interface) is the full name of a service, a string");
    made->carries_position = option_position(builder, path, OPTIONS_OF_FIELD, OPTION_AFAR_CARRIES);
    if (option_afar_string(pool, base, OPTION_AFAR_CARRIES, &made->carries_name) == OPTION_BAD)
        complain(builder->model, builder->file, made->carries_position,
                 "(afar.carries) is the full name of a message, a string");
}

/* A default may hold a zero byte, which protobuf-c's string does not tell. */
static void
read_default(idl_builder *builder, const field_source *source, const idl_path *path,
             idl_field *made)
{
    idl_path value = path_step(path, DEFAULT_VALUE_OF_FIELD);
    wire_field field;

    if (!source->default_value ||
        !wire_find(builder->bytes, builder->length, value.steps, value.count, &field))
        return;
    made->default_text = pool_copy(builder->model->pool, (const char *)field.data, field.length);
    made->default_length = field.length;
}

static void
fill_field(idl_builder *builder, const field_source *source, const idl_path *path,
           idl_message *owner, idl_field *made)
{
    idl_pool *pool = builder->model->pool;

    made->name = need_name(source->name, "field");
    made->member = cname_field(pool, made->name);
    made->c_default =
        pool_format(pool, "%s__%s__default_value", owner->lower, cname_lower(pool, made->name));
    made->number = source->number;
    made->type = source->type;
    made->label = label_of(builder, source);
    read_default(builder, source, path, made);
    made->owner = owner;
    made->comments = places_comments(builder->places, path);
    made->position = places_name(builder->places, path);
    made->type_position = places_part(builder->places, path, TYPE_NAME_OF_FIELD);
    find_field_type(builder, source, made);
    read_field_options(builder, source, path, made);
}

static void
fill_oneof(idl_builder *builder, const message_source *source, const idl_path *path, size_t index,
           idl_message *owner)
{
    idl_pool *pool = builder->model->pool;
    const Google__Protobuf__OneofDescriptorProto *declared = source->oneof_decl[index];
    idl_oneof *made = &owner->oneofs[owner->oneof_count];

    made->name = need_name(declared->name, "oneof");
    made->c_type = pool_format(pool, "%s__%sCase", owner->c_type, cname_camel(pool, made->name));
    made->upper = pool_format(pool, "%s__%s", owner->upper, cname_upper(pool, made->name));
    made->member = cname_lower(pool, made->name);
    made->comments = places_comments(builder->places, path);
    made->position = places_name(builder->places, path);
    made->fields = pool_array(pool, source->n_field, sizeof *made->fields);
    for (size_t i = 0; i < source->n_field; i++) {
        const field_source *field = source->field[i];

        if (!field->has_oneof_index || (size_t)field->oneof_index != index ||
            field->proto3_optional)
            continue;
        owner->fields[i].oneof = made;
        made->fields[made->field_count++] = &owner->fields[i];
    }
    check_options(builder, declared->options ? &declared->options->base : NULL, path,
                  OPTIONS_OF_ONEOF, no_options, "a oneof");
    /* One that stands for `optional` has no other field, and is not one in C. */
    if (made->field_count)
        owner->oneof_count++;
    else
        *made = (idl_oneof){ 0 };
}

static void
fill_enum(idl_builder *builder, const Google__Protobuf__EnumDescriptorProto *source,
          const idl_path *path)
{
    check_options(builder, source->options ? &source->options->base : NULL, path, OPTIONS_OF_ENUM,
                  no_options, "an enum");
    for (size_t i = 0; i < source->n_value; i++) {
        idl_path value = path_item(path, 2, i);
        const Google__Protobuf__EnumValueOptions *options = source->value[i]->options;

        check_options(builder, options ? &options->base : NULL, &value, OPTIONS_OF_ENUM, no_options,
                      "an enum value");
    }
}

static void
fill_message(idl_builder *builder, const message_source *source, const idl_path *path,
             idl_message *made)
{
    idl_pool *pool = builder->model->pool;
    const ProtobufCMessage *options = source->options ? &source->options->base : NULL;

    made->fields = pool_array(pool, source->n_field, sizeof *made->fields);
    made->field_count = source->n_field;
    for (size_t i = 0; i < source->n_field; i++) {
        idl_path field = path_item(path, 2, i);

        fill_field(builder, source->field[i], &field, made, &made->fields[i]);
    }
    made->oneofs = pool_array(pool, source->n_oneof_decl, sizeof *made->oneofs);
    for (size_t i = 0; i < source->n_oneof_decl; i++) {
        idl_path oneof = path_item(path, 8, i);

        fill_oneof(builder, source, &oneof, i, made);
    }
    check_options(builder, options, path, OPTIONS_OF_MESSAGE,
                  (uint32_t[]){ OPTION_AFAR_ERROR, OPTION_AFAR_CHANNEL }, "a message");
    read_bool_option(builder, options, path, OPTIONS_OF_MESSAGE, OPTION_AFAR_ERROR, "(afar.error)",
                     &made->is_error);
    read_bool_option(builder, options, path, OPTIONS_OF_MESSAGE, OPTION_AFAR_CHANNEL,
                     "(afar.channel)", &made->is_channel);
    for (size_t i = 0; i < source->n_nested_type; i++) {
        idl_path nested = path_item(path, 3, i);

        fill_message(builder, source->nested_type[i], &nested, &made->messages[i]);
    }
    for (size_t i = 0; i < source->n_enum_type; i++) {
        idl_path nested = path_item(path, 4, i);

        fill_enum(builder, source->enum_type[i], &nested);
    }
}

static const idl_message *
need_message(idl_builder *builder, const char *name, const idl_method *method)
{
    const idl_type *type = name ? names_find(builder->types, name) : NULL;

    if (!type || !type->message)
        die("the request has the method %s of an unknown type", method->name);
    return type->message;
}

static void
read_method_options(idl_builder *builder, const Google__Protobuf__MethodOptions *options,
                    const idl_path *path, idl_method *made)
{
    const ProtobufCMessage *base = options ? &options->base : NULL;

    made->deprecated = made->service->deprecated || (options && options->deprecated);
    made->idempotent =
        options && options->idempotency_level !=
                       GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__IDEMPOTENCY_UNKNOWN;
    made->option_position = option_position(builder, path, OPTIONS_OF_METHOD, OPTION_AFAR_ONEWAY);
    check_options(builder, base, path, OPTIONS_OF_METHOD, (uint32_t[2]){ OPTION_AFAR_ONEWAY },
                  "a method");
    read_bool_option(builder, base, path, OPTIONS_OF_METHOD, OPTION_AFAR_ONEWAY, "(afar.oneway)",
                     &made->oneway);
}

static void
fill_method(idl_builder *builder, const Google__Protobuf__MethodDescriptorProto *source,
            const idl_path *path, idl_method *made)
{
    idl_pool *pool = builder->model->pool;
    const char *stub = made->service->stub;

    made->name = need_name(source->name, "method");
    made->c_name = cname_method(pool, made->name);
    made->stub = pool_format(pool, "%s_%s", stub, made->c_name);
    made->part = pool_format(pool, "%s_%s", stub, cname_stub(pool, made->name));
    made->request = need_message(builder, source->input_type, made);
    made->reply = need_message(builder, source->output_type, made);
    made->client_streams = source->client_streaming;
    made->server_streams = source->server_streaming;
    made->comments = places_comments(builder->places, path);
    made->position = places_name(builder->places, path);
    read_method_options(builder, source->options, path, made);
}

static void
fill_service(idl_builder *builder, const Google__Protobuf__ServiceDescriptorProto *source,
             const idl_path *path, idl_service *made)
{
    idl_pool *pool = builder->model->pool;

    made->name = need_name(source->name, "service");
    made->full_name = join_names(pool, builder->file->package, made->name);
    const char *c_name = join_names(pool, builder->file->c_package, made->name);
    made->c_type = cname_stub_type(pool, c_name);
    made->stub = cname_stub(pool, c_name);
    made->file = builder->file;
    made->deprecated = source->options && source->options->deprecated;
    made->comments = places_comments(builder->places, path);
    made->position = places_name(builder->places, path);
    check_options(builder, source->options ? &source->options->base : NULL, path, OPTIONS_OF_ENUM,
                  no_options, "a service");
    made->methods = pool_array(pool, source->n_method, sizeof *made->methods);
    made->method_count = source->n_method;
    for (size_t i = 0; i < source->n_method; i++) {
        idl_path method = path_item(path, 2, i);

        made->methods[i].service = made;
        made->methods[i].index = i;
        fill_method(builder, source->method[i], &method, &made->methods[i]);
    }
}

void
fill_file(idl_builder *builder, const Google__Protobuf__FileDescriptorProto *source)
{
    idl_file *file = builder->file;
    const idl_path root = { { 0 }, 0 };

    check_options(builder, source->options ? &source->options->base : NULL, &root, OPTIONS_OF_FIELD,
                  no_options, "a file");
    for (size_t i = 0; i < source->n_message_type; i++) {
        idl_path path = path_item(&root, 4, i);

        fill_message(builder, source->message_type[i], &path, &file->messages[i]);
    }
    for (size_t i = 0; i < source->n_enum_type; i++) {
        idl_path path = path_item(&root, 5, i);

        fill_enum(builder, source->enum_type[i], &path);
    }
    file->services = pool_array(builder->model->pool, source->n_service, sizeof *file->services);
    file->service_count = source->n_service;
    for (size_t i = 0; i < source->n_service; i++) {
        idl_path path = path_item(&root, 6, i);

        fill_service(builder, source->service[i], &path, &file->services[i]);
    }
}
