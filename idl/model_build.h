#ifndef IDL_MODEL_BUILD_H
#define IDL_MODEL_BUILD_H

/* What the two halves of making the model share: model.c declares what there is,
 * model_fill.c fills in what refers to it. */

#include "idl/model.h"
#include "idl/names.h"
#include "idl/places.h"

/* What a type name stands for: one of the two. */
typedef struct idl_type {
    idl_message *message;
    idl_enumeration *enumeration;
} idl_type;

typedef struct idl_builder {
    idl_model *model;
    idl_names *types;     /* ".bank.Entry" -> type */
    idl_names *files;     /* "bank.proto" -> file */
    idl_file *file;       /* the one at hand */
    idl_places *places;   /* ... and its */
    const uint8_t *bytes; /* ... and its descriptor as it came */
    size_t length;
    bool pack_is_set; /* pb_c_file.gen_pack_helpers is given in it */
} idl_builder;

/* What encloses a declaration. */
typedef struct idl_scope {
    const char *full_name;
    const char *c_full_name;
    idl_path path; /* of the declaration */
    bool has_init;
    bool has_pack;
    bool is_top;
} idl_scope;

/* The name, which must be an identifier. */
const char *
need_name(const char *name, const char *what);

/* "scope.name", or the name alone when the scope is "". */
const char *
join_names(idl_pool *pool, const char *scope, const char *name);

/* Fields, services and options of a file whose types are declared. */
void
fill_file(idl_builder *builder, const Google__Protobuf__FileDescriptorProto *source);

#endif
