#ifndef IDL_PLACES_H
#define IDL_PLACES_H

/* Where things stand in a .proto file, and the comments beside them.  protoc
 * tells both by the path of a thing in the file's descriptor: field number and
 * index, field number and index, and so on. */

#include "google/protobuf/descriptor.pb-c.h"

#include "idl/model.h"

enum { PATH_MOST = 256 }; /* more than the nesting that main.c lets in */

typedef struct idl_path {
    int32_t steps[PATH_MOST];
    size_t count;
} idl_path;

typedef struct idl_places idl_places;

idl_places *
places_new(idl_pool *pool, const Google__Protobuf__SourceCodeInfo *info);

/* The path with one more step, or with two. */
idl_path
path_step(const idl_path *parent, int32_t number);

idl_path
path_item(const idl_path *parent, int32_t number, size_t index);

/* Where the thing begins. */
idl_position
places_position(const idl_places *places, const idl_path *path);

/* Where the part `number` of the thing begins, or, if unknown, the thing. */
idl_position
places_part(const idl_places *places, const idl_path *path, int32_t number);

/* Where the name of the thing begins. */
idl_position
places_name(const idl_places *places, const idl_path *path);

idl_comments
places_comments(const idl_places *places, const idl_path *path);

#endif
