/* Messages of their own: read from bytes, and copied.  Releasing them is in
 * decode.c, beside what makes them.  Any thread.
 */

#include <afar/message.h>

#include <stdlib.h>

#include "runtime/decode.h"
#include "runtime/refs.h"

afar_code
afar_message_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t length,
                    const afar_message_limits *limits, ProtobufCMessage **ret_message,
                    afar_error *err)
{
    return afar__decode_message(type, data, length, limits, ret_message, err);
}

/* Packing does what reading undoes, so a copy is both in turn.  It trusts the
 * message as it is: no limits.  References go along beside it, for the objects they
 * stand for are not in the bytes. */
afar_code
afar_message_copy(const ProtobufCMessage *message, ProtobufCMessage **ret_copy, afar_error *err)
{
    size_t length;
    uint8_t *bytes;
    ProtobufCMessage *copy = NULL;
    afar_code code;

    if (!protobuf_c_message_check(message))
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%s cannot be copied: a pointer in it that may not be NULL is",
                         message && message->descriptor && message->descriptor->name
                             ? message->descriptor->name
                             : "a message");
    length = protobuf_c_message_get_packed_size(message);
    bytes = length <= INT32_MAX ? malloc(length > 0 ? length : 1) : NULL;
    if (!bytes)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "out of memory for a copy of %zu bytes",
                         length);
    protobuf_c_message_pack(message, bytes);
    code = afar__decode_trusted(message->descriptor, bytes, length, &copy, err);
    free(bytes);
    if (code)
        return code;
    code = afar__refs_copy(message, copy, afar__message_arena(copy), err);
    if (code) {
        afar_message_free(copy);
        return code;
    }
    *ret_copy = copy;
    return AFAR_OK;
}
