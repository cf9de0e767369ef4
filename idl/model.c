/* Makes the model of a request.
 *
 * Files come in such an order that each one's imports stand before it.  Of each
 * file all messages and enums are declared first, for a field may name one that
 * stands below it; then fields, services and options are filled in.  Types are
 * found by full name, with a dot in front, over all files so far.
 *
 * protoc has checked what it sends: names exist and are identifiers, types
 * resolve.  Input that breaks such a promise does not come from protoc and ends
 * the program with one line.  What a .proto file may well say, and we may not
 * accept, is noted by complain and reported later, with its position.  One
 * thread. */

#include "idl/model_build.h"

#include <string.h>

#include "idl/cname.h"
#include "idl/options.h"
#include "idl/references.h"
#include "idl/wire.h"

void
complain(idl_model *model, const idl_file *file, idl_position position, const char *format, ...)
{
    idl_complaints *all = &model->complaints;
    va_list arguments;

    if (all->count == all->room) {
        size_t room = all->room ? 2 * all->room : 16;
        idl_complaint *items = pool_array(model->pool, room, sizeof *items);

        if (all->count)
            memcpy(items, all->items, all->count * sizeof *items);
        all->items = items;
        all->room = room;
    }
    va_start(arguments, format);
    const char *text = pool_format_list(model->pool, format, arguments);
    va_end(arguments);
    all->items[all->count++] = (idl_complaint){ file, position, text };
}

bool
field_is_bytes(const idl_field *field)
{
    return field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES ||
           field->string_as_bytes;
}

bool
field_is_string(const idl_field *field)
{
    return field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING &&
           !field->string_as_bytes;
}

bool
field_is_message(const idl_field *field)
{
    return field->message_type != NULL;
}

bool
field_has_flag(const idl_field *field)
{
    return field->label == LABEL_OPTIONAL && !field->oneof && !field_is_string(field) &&
           !field_is_message(field);
}

const char *
need_name(const char *name, const char *what)
{
    if (!name || !cname_is_valid(name))
        die("the request has a %s without a proper name", what);
    return name;
}

const char *
join_names(idl_pool *pool, const char *scope, const char *name)
{
    return *scope ? pool_format(pool, "%s.%s", scope, name) : name;
}

static void
declare_type(idl_builder *builder, const char *full_name, idl_type type)
{
    idl_type *copy = pool_alloc(builder->model->pool, sizeof *copy);
    const char *name = pool_format(builder->model->pool, ".%s", full_name);

    *copy = type;
    if (names_find(builder->types, name))
        die("the request defines %s twice", full_name);
    names_add(builder->types, name, copy);
}

static void
declare_enum(idl_builder *builder, const Google__Protobuf__EnumDescriptorProto *source,
             const idl_scope *scope, idl_enumeration *made)
{
    idl_pool *pool = builder->model->pool;

    made->name = need_name(source->name, "enum");
    made->full_name = join_names(pool, scope->full_name, made->name);
    const char *c_name = join_names(pool, scope->c_full_name, made->name);
    made->c_type = cname_type(pool, c_name);
    made->lower = cname_lower(pool, c_name);
    made->upper = cname_upper(pool, c_name);
    made->file = builder->file;
    made->comments = places_comments(builder->places, &scope->path);
    made->position = places_name(builder->places, &scope->path);
    made->values = pool_array(pool, source->n_value, sizeof *made->values);
    made->value_count = source->n_value;
    if (!source->n_value)
        die("the request has the enum %s without values", made->full_name);
    for (size_t i = 0; i < source->n_value; i++) {
        idl_path path = path_item(&scope->path, 2, i);
        enum_value *value = &made->values[i];

        value->name = need_name(source->value[i]->name, "enum value");
        value->c_name = pool_format(pool, "%s__%s", made->upper, value->name);
        value->number = source->value[i]->number;
        value->comments = places_comments(builder->places, &path);
        value->position = places_name(builder->places, &path);
    }
    declare_type(builder, made->full_name, (idl_type){ NULL, made });
}

static void
read_message_options(const Google__Protobuf__DescriptorProto *source, const idl_scope *scope,
                     idl_builder *builder, idl_message *made)
{
    const ProtobufCMessage *options = source->options ? &source->options->base : NULL;

    made->base = "base";
    option_pb_c_string(builder->model->pool, options, 3, &made->base);
    made->has_pack = scope->has_pack;
    option_pb_c_bool(options, 1, &made->has_pack);
    made->has_init = scope->has_init;
    option_pb_c_bool(options, 2, &made->has_init);
    made->is_map_entry = source->options && source->options->map_entry;
}

static void
declare_message(idl_builder *builder, const Google__Protobuf__DescriptorProto *source,
                const idl_scope *outer, idl_message *made);

static void
declare_nested(idl_builder *builder, const Google__Protobuf__DescriptorProto *source,
               const idl_scope *outer, idl_message *made)
{
    idl_pool *pool = builder->model->pool;
    idl_scope inner = { .full_name = made->full_name,
                        .c_full_name = join_names(pool, outer->c_full_name, made->name),
                        .has_init = made->has_init,
                        .has_pack = made->has_pack };

    /* What a message at the top gets by default its nested ones do not get. */
    if (outer->is_top && !builder->pack_is_set &&
        !option_pb_c_bool(source->options ? &source->options->base : NULL, 1, &inner.has_pack))
        inner.has_pack = false;
    made->messages = pool_array(pool, source->n_nested_type, sizeof *made->messages);
    made->message_count = source->n_nested_type;
    for (size_t i = 0; i < source->n_nested_type; i++) {
        inner.path = path_item(&outer->path, 3, i);
        declare_message(builder, source->nested_type[i], &inner, &made->messages[i]);
    }
    made->enums = pool_array(pool, source->n_enum_type, sizeof *made->enums);
    made->enum_count = source->n_enum_type;
    for (size_t i = 0; i < source->n_enum_type; i++) {
        inner.path = path_item(&outer->path, 4, i);
        declare_enum(builder, source->enum_type[i], &inner, &made->enums[i]);
    }
}

/* The scope is that of the message's parent; its path is the message's own. */
static void
declare_message(idl_builder *builder, const Google__Protobuf__DescriptorProto *source,
                const idl_scope *outer, idl_message *made)
{
    idl_pool *pool = builder->model->pool;

    made->name = need_name(source->name, "message");
    made->full_name = join_names(pool, outer->full_name, made->name);
    const char *c_name = join_names(pool, outer->c_full_name, made->name);
    made->c_type = cname_type(pool, c_name);
    made->lower = cname_lower(pool, c_name);
    made->upper = cname_upper(pool, c_name);
    made->stub = cname_stub(pool, c_name);
    made->file = builder->file;
    made->comments = places_comments(builder->places, &outer->path);
    made->position = places_name(builder->places, &outer->path);
    read_message_options(source, outer, builder, made);
    made->is_reference = !strcmp(made->full_name, "afar.Ref");
    if (!strcmp(made->full_name, "afar.Sender"))
        made->end = "sender";
    if (!strcmp(made->full_name, "afar.Receiver"))
        made->end = "receiver";
    declare_type(builder, made->full_name, (idl_type){ made, NULL });
    declare_nested(builder, source, outer, made);
}

static void
declare_file(idl_builder *builder, const Google__Protobuf__FileDescriptorProto *source)
{
    idl_file *file = builder->file;
    idl_pool *pool = builder->model->pool;
    const ProtobufCMessage *options = source->options ? &source->options->base : NULL;
    idl_scope scope = { .full_name = file->package,
                        .c_full_name = file->c_package,
                        .has_init = true,
                        .has_pack = true,
                        .is_top = true };

    option_pb_c_bool(options, 3, &scope.has_init);
    builder->pack_is_set = option_pb_c_bool(options, 2, &scope.has_pack);
    file->messages = pool_array(pool, source->n_message_type, sizeof *file->messages);
    file->message_count = source->n_message_type;
    for (size_t i = 0; i < source->n_message_type; i++) {
        scope.path = path_item(&(idl_path){ { 0 }, 0 }, 4, i);
        declare_message(builder, source->message_type[i], &scope, &file->messages[i]);
    }
    file->enums = pool_array(pool, source->n_enum_type, sizeof *file->enums);
    file->enum_count = source->n_enum_type;
    for (size_t i = 0; i < source->n_enum_type; i++) {
        scope.path = path_item(&(idl_path){ { 0 }, 0 }, 5, i);
        declare_enum(builder, source->enum_type[i], &scope, &file->enums[i]);
    }
}

/* The bytes of the file's descriptor, all but field 9, source_code_info. */
static void
copy_descriptor(idl_pool *pool, idl_file *file, const uint8_t *data, size_t length)
{
    wire_reader reader = { data, data + length, false };
    wire_field field;
    uint8_t *copy = pool_alloc(pool, length);

    file->descriptor = copy;
    while (wire_next(&reader, &field)) {
        size_t n = (size_t)(reader.next - field.start);

        if (field.number == 9)
            continue;
        memcpy(copy + file->descriptor_length, field.start, n);
        file->descriptor_length += n;
    }
}

static void
find_imports(idl_builder *builder, const Google__Protobuf__FileDescriptorProto *source)
{
    idl_file *file = builder->file;

    file->imports = pool_array(builder->model->pool, source->n_dependency, sizeof *file->imports);
    file->import_count = source->n_dependency;
    file->is_public = pool_array(builder->model->pool, source->n_dependency, sizeof(bool));
    for (size_t i = 0; i < source->n_public_dependency; i++)
        if ((size_t)source->public_dependency[i] < source->n_dependency)
            file->is_public[source->public_dependency[i]] = true;
    for (size_t i = 0; i < source->n_dependency; i++) {
        file->imports[i] = names_find(builder->files, source->dependency[i]);
        if (!file->imports[i])
            die("the request has %s without %s, which it imports", file->name,
                source->dependency[i]);
    }
}

static void
read_file_head(idl_builder *builder, const Google__Protobuf__FileDescriptorProto *source)
{
    idl_file *file = builder->file;
    idl_pool *pool = builder->model->pool;
    const ProtobufCMessage *options = source->options ? &source->options->base : NULL;
    const idl_path syntax = { { 12 }, 1 };
    const idl_path c_package = { { 8, OPTION_PB_C, 6 }, 3 };

    if (!source->name || !*source->name)
        die("the request has a file without a name");
    file->name = source->name;
    file->package = source->package ? source->package : "";
    file->c_package = file->package;
    file->symbol = cname_file(pool, file->name);
    file->proto3 = source->syntax && !strcmp(source->syntax, "proto3");
    file->comment = places_comments(builder->places, &syntax).leading;
    file->code_size =
        source->options &&
        source->options->optimize_for == GOOGLE__PROTOBUF__FILE_OPTIONS__OPTIMIZE_MODE__CODE_SIZE;
    option_pb_c_bool(options, 1, &file->no_generate);
    option_pb_c_bool(options, 4, &file->const_strings);
    option_pb_c_bool(options, 5, &file->use_oneof_field_name);
    option_pb_c_string(pool, options, 6, &file->c_package);
    file->c_package_position = places_position(builder->places, &c_package);
    if (names_find(builder->files, file->name))
        die("the request has %s twice", file->name);
    names_add(builder->files, file->name, file);
    find_imports(builder, source);
}

static void
mark_files(idl_builder *builder, const Google__Protobuf__Compiler__CodeGeneratorRequest *request)
{
    for (size_t i = 0; i < request->n_file_to_generate; i++) {
        idl_file *file = names_find(builder->files, request->file_to_generate[i]);

        if (!file)
            die("the request does not have %s, which it asks for", request->file_to_generate[i]);
        file->generate = true;
    }
}

idl_model *
model_new(idl_pool *pool, const Google__Protobuf__Compiler__CodeGeneratorRequest *request,
          const uint8_t *bytes, size_t length)
{
    wire_reader reader = { bytes, bytes + length, false };
    wire_field field = { 0 };
    idl_model *model = pool_alloc(pool, sizeof *model);
    idl_builder builder = { .model = model, .types = names_new(pool), .files = names_new(pool) };

    model->pool = pool;
    model->files = pool_array(pool, request->n_proto_file, sizeof *model->files);
    model->file_count = request->n_proto_file;
    for (size_t i = 0; i < request->n_proto_file; i++) {
        const Google__Protobuf__FileDescriptorProto *source = request->proto_file[i];

        while (wire_next(&reader, &field) && field.number != 15)
            ;
        builder.file = &model->files[i];
        builder.places = places_new(pool, source->source_code_info);
        builder.bytes = field.data;
        builder.length = field.length;
        copy_descriptor(pool, builder.file, field.data, field.length);
        read_file_head(&builder, source);
        declare_file(&builder, source);
        fill_file(&builder, source);
    }
    mark_files(&builder, request);
    find_references(model);
    return model;
}
