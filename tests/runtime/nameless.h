#ifndef NAMELESS_H
#define NAMELESS_H

#include <protobuf-c/protobuf-c.h>

#include "runtime/arena.h"

/* A copy of a type without any names in it or its enums, as protoc-gen-c makes them
 * for files with `optimize_for = CODE_SIZE`.  Where the type has fields of its own
 * type, they are of the copy. */
const ProtobufCMessageDescriptor *
nameless(const ProtobufCMessageDescriptor *type, afar__arena *arena);

#endif
