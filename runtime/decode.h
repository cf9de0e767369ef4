#ifndef AFAR_RUNTIME_DECODE_H
#define AFAR_RUNTIME_DECODE_H

/* From bytes to messages.  Nothing that a peer sent reaches protobuf-c before the
 * scan (runtime/scan.h) has passed it.  Any thread; an arena belongs to one at a
 * time. */

#include <stddef.h>
#include <stdint.h>

#include <afar/message.h>

#include "runtime/arena.h"

/* Reads a message into an arena.  `*ret_message` and all it points to are in the
 * arena.  limits may be NULL.  INTERNAL for bytes that are not such a message,
 * RESOURCE_EXHAUSTED over a limit or when memory is out; what was taken from the
 * arena before the failure stays taken. */
AFAR_MUST_USE afar_code
afar__decode(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
             const afar_message_limits *limits, afar__arena *arena, ProtobufCMessage **ret_message,
             afar_error *err);

/* The same as a message of its own, released by afar_message_free. */
AFAR_MUST_USE afar_code
afar__decode_message(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
                     const afar_message_limits *limits, ProtobufCMessage **ret_message,
                     afar_error *err);

/* The same for bytes that this process has packed itself: no scan, no limits. */
AFAR_MUST_USE afar_code
afar__decode_trusted(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
                     ProtobufCMessage **ret_message, afar_error *err);

/* The arena of a message of its own, for what is to end with the message.  Stops the program
 * like afar_message_free. */
afar__arena *
afar__message_arena(ProtobufCMessage *message);

/* A fresh message in an arena, for replies.  NULL when out of memory. */
ProtobufCMessage *
afar__message_init(const ProtobufCMessageDescriptor *type, afar__arena *arena);

#endif
