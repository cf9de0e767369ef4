#ifndef AFAR_MESSAGE_H
#define AFAR_MESSAGE_H

/* Messages are protobuf-c structs (protobuf-c 1.4, <protobuf-c/protobuf-c.h>).
 * What comes out of Afar is one arena: the message and all it points to are
 * released together by afar_message_free, and by nothing else; never call
 * `..._free_unpacked` on such a message.  Functions of this header may be called
 * from any thread; a message belongs to one thread at a time.
 *
 * Bytes from a peer are checked before protobuf-c sees them: nesting, UTF-8 and
 * NUL in strings, and the memory the message would take. */

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include <afar/api.h>
#include <afar/error.h>

AFAR_BEGIN

/* What a received message may cost.  0 in a member means its default. */
typedef struct afar_message_limits {
    size_t max_bytes;              /* on the wire; default 4 MiB, as gRPC's */
    size_t max_memory;             /* in memory; default 1 MiB + 16 times the wire size */
    unsigned max_depth;            /* messages within messages; default and most 100 */
} afar_message_limits;

#define AFAR_MESSAGE_LIMITS_INIT { 0, 0, 0 }

/* Releases a message that came out of Afar, with everything in it; NULL is
 * allowed.  A pointer that did not come out of Afar stops the program. */
AFAR_API void
afar_message_free(void *message);

/* Reads a message from its protobuf bytes.  limits may be NULL.
 * INTERNAL for bytes that are not such a message, RESOURCE_EXHAUSTED over a
 * limit; the error names the message type and, where known, the byte offset. */
AFAR_API AFAR_MUST_USE afar_code
afar_message_unpack(const ProtobufCMessageDescriptor *type,
                    const void *data, size_t length,
                    const afar_message_limits *limits,
                    ProtobufCMessage **ret_message, afar_error *err);

/* A deep copy; any protobuf-c message may be copied. */
AFAR_API AFAR_MUST_USE afar_code
afar_message_copy(const ProtobufCMessage *message,
                  ProtobufCMessage **ret_copy, afar_error *err);

/* Writes a message as text for a person, in protobuf's text format, one field a
 * line, into `text`, cut to `size` and terminated (if size > 0).  Returns the length the
 * whole text has, as snprintf does, so that 0 for size measures.  Fields that
 * are unset, or have proto3's default, are left out. */
AFAR_API size_t
afar_message_print(const ProtobufCMessage *message, char *text, size_t size);

/* The detail of that type (full name) in an error, read as a message, or NULL if
 * the error has none or it cannot be read.  Owned by the error; lives until the
 * error changes. */
AFAR_API const ProtobufCMessage *
afar_error_find(const afar_error *err, const char *name,
                const ProtobufCMessageDescriptor *type);

AFAR_END

#endif
