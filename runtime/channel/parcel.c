/* Messages on their way through a channel.
 *
 * Most are bytes from the sender to the receiver, whatever processes lie between: they are packed once
 * and read once.  A message with references stays a message, since the objects that it refers to are
 * not in its bytes; it is read at each process that it comes to.  What is bytes for its user too (bytes.h) is
 * neither packed nor read. */

#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "runtime/channel/bytes.h"
#include "runtime/channel/live.h"
#include "runtime/decode.h"

static afar__parcel *
new_parcel(size_t length)
{
    afar__parcel *parcel = malloc(sizeof *parcel + length);

    if (parcel) {
        parcel->length = length;
        parcel->message = NULL;
        parcel->bad = AFAR_OK;
        parcel->foreign = false;
    }
    return parcel;
}

static afar_code
no_memory(const afar_channel_type *type, afar_error *err)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a %s", type->message->name);
}

static afar_code
pack_copy(const ProtobufCMessage *message, const afar_channel_type *type, afar__parcel **ret_parcel,
          afar_error *err)
{
    afar__parcel *parcel = new_parcel(0);
    afar_code code;

    if (!parcel)
        return no_memory(type, err);
    code = afar_message_copy(message, &parcel->message, err);
    if (code) {
        free(parcel);
        return code;
    }
    parcel->length = protobuf_c_message_get_packed_size(message);
    *ret_parcel = parcel;
    return AFAR_OK;
}

static afar_code
pack_bytes(const ProtobufCMessage *message, const afar_channel_type *type,
           afar__parcel **ret_parcel, afar_error *err)
{
    ProtobufCBinaryData packed = ((const afar__bytes *)message)->packed;
    afar__parcel *parcel = new_parcel(packed.len);

    if (!parcel)
        return no_memory(type, err);
    if (packed.len > 0)
        memcpy(parcel->data, packed.data, packed.len);
    *ret_parcel = parcel;
    return AFAR_OK;
}

afar_code
afar__parcel_pack(const ProtobufCMessage *message, const afar_channel_type *type,
                  afar__parcel **ret_parcel, afar_error *err)
{
    afar__parcel *parcel;

    if (message->descriptor != type->message)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "a %s into a channel that carries %s",
                         message->descriptor->name, type->message->name);
    if (type->refs)
        return pack_copy(message, type, ret_parcel, err);
    if (type->message == &afar__bytes_descriptor)
        return pack_bytes(message, type, ret_parcel, err);
    if (!protobuf_c_message_check(message))
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%s cannot be sent: a pointer in it that may not be NULL is",
                         type->message->name);
    parcel = new_parcel(protobuf_c_message_get_packed_size(message));
    if (!parcel)
        return no_memory(type, err);
    protobuf_c_message_pack(message, parcel->data);
    *ret_parcel = parcel;
    return AFAR_OK;
}

/* A message that cannot be read is found to be so by who receives it. */
static afar_code
read_message(afar__parcel *parcel, const uint8_t *data, size_t length,
             const afar_channel_type *type, afar__raw_item *item)
{
    ProtobufCMessage *message = NULL;
    afar_code code = afar__decode_message(type->message, data, length, NULL, &message, NULL);

    if (code)
        return code;
    code = afar__raw_accept(item, type->refs, message, afar__message_arena(message), NULL);
    if (code) {
        afar_message_free(message);
        return code;
    }
    parcel->message = message;
    parcel->length = length;
    return AFAR_OK;
}

afar__parcel *
afar__parcel_read(const uint8_t *data, size_t length, const afar_channel_type *type,
                  afar__raw_item *item)
{
    afar__parcel *parcel = new_parcel(type->refs ? 0 : length);

    if (!parcel)
        return NULL;
    parcel->foreign = true;
    if (type->refs)
        parcel->bad = read_message(parcel, data, length, type, item);
    else if (length > 0)
        memcpy(parcel->data, data, length);
    return parcel;
}

static afar_code
open_bytes(const afar__parcel *parcel, const afar_channel_type *type,
           ProtobufCMessage **ret_message, afar_error *err)
{
    ProtobufCMessage *message = NULL;
    afar_code code = afar__decode_trusted(type->message, NULL, 0, &message, err);
    ProtobufCBinaryData *packed;

    if (code)
        return code;
    packed = &((afar__bytes *)message)->packed;
    packed->len = parcel->length;
    packed->data = afar__arena_alloc(afar__message_arena(message), parcel->length);
    if (!packed->data) {
        afar_message_free(message);
        return no_memory(type, err);
    }
    memcpy(packed->data, parcel->data, parcel->length);
    *ret_message = message;
    return AFAR_OK;
}

afar_code
afar__parcel_open(afar__parcel *parcel, const afar_channel_type *type,
                  ProtobufCMessage **ret_message, afar_error *err)
{
    afar_code code = AFAR_OK;

    if (parcel->bad) {
        code = afar_fail(err, AFAR_INVALID_ARGUMENT, "a message that is no %s was received",
                         type->message->name);
    } else if (parcel->message) {
        *ret_message = parcel->message;
        parcel->message = NULL;
    } else if (type->message == &afar__bytes_descriptor) {
        code = open_bytes(parcel, type, ret_message, err);
    } else if (parcel->foreign) {
        code = afar__decode_message(type->message, parcel->data, parcel->length, NULL, ret_message,
                                    err);
        if (code && code != AFAR_RESOURCE_EXHAUSTED)
            code = AFAR_INVALID_ARGUMENT;
        if (code && err)
            err->code = code;
    } else {
        code = afar__decode_trusted(type->message, parcel->data, parcel->length, ret_message, err);
    }
    afar__parcel_free(parcel);
    return code;
}

void
afar__parcel_free(afar__parcel *parcel)
{
    if (parcel && parcel->message)
        afar_message_free(parcel->message);
    free(parcel);
}

void
afar__parcel_drop_locked(afar__parcel *parcel)
{
    if (parcel && parcel->message)
        afar__channels_dead_locked(parcel);
    else
        free(parcel);
}

size_t
afar__parcel_bytes(const afar__parcel *parcel)
{
    return parcel->length;
}
