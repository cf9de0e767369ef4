/* Messages on their way through a channel.
 *
 * They are bytes from the sender to the receiver: packed once, and read once, by the thread that receives.
 * In the bytes a reference is a number; what the numbers stand for goes beside them, as objects that the
 * parcel has a reference to, or as they came over a connection.  A process that passes a message with references
 * on reads it, since what it sends is numbered anew.  What is bytes for its user too (bytes.h) is neither
 * packed nor read. */

#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "runtime/channel/bytes.h"
#include "runtime/channel/live.h"
#include "runtime/decode.h"
#include "runtime/refs.h"

static afar__parcel *
new_parcel(size_t length)
{
    afar__parcel *parcel = malloc(sizeof *parcel + length);

    if (parcel) {
        parcel->length = length;
        parcel->refs = NULL;
        parcel->kept = NULL;
        parcel->packed = NULL;
    }
    return parcel;
}

static afar_code
no_memory(const afar_channel_type *type, afar_error *err)
{
    afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a %s", type->message->name);
    return AFAR_RESOURCE_EXHAUSTED;
}

static void
free_refs(afar__ref_list *refs)
{
    if (!refs)
        return;
    afar__ref_list_clear(refs);
    free(refs);
}

static afar_code
pack_message(const ProtobufCMessage *message, const afar_channel_type *type,
             afar__parcel **ret_parcel, afar_error *err)
{
    afar__parcel *parcel = new_parcel(protobuf_c_message_get_packed_size(message));

    if (!parcel)
        return no_memory(type, err);
    protobuf_c_message_pack(message, parcel->data);
    parcel->packed = message->descriptor;
    *ret_parcel = parcel;
    return AFAR_OK;
}

/* What may be wrong with its references wherever it goes is found here. */
static afar_code
pack_with_refs(const ProtobufCMessage *message, const afar_channel_type *type,
               afar__parcel **ret_parcel, afar_error *err)
{
    afar__ref_list *refs = malloc(sizeof *refs);
    afar_code code;

    if (!refs)
        return no_memory(type, err);
    afar__ref_list_init(refs);
    code = afar__refs_number(message, type->refs, refs, err);
    if (!code)
        code = pack_message(message, type, ret_parcel, err);
    afar__refs_forget_numbers(message, type->refs);
    if (code || refs->count == 0)
        free_refs(refs);
    else
        (*ret_parcel)->refs = refs;
    return code;
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
    parcel->packed = type->message;
    *ret_parcel = parcel;
    return AFAR_OK;
}

afar_code
afar__parcel_pack(const ProtobufCMessage *message, const afar_channel_type *type,
                  afar__parcel **ret_parcel, afar_error *err)
{
    if (message->descriptor != type->message)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "a %s into a channel that carries %s",
                         message->descriptor->name, type->message->name);
    if (type->message == &afar__bytes_descriptor)
        return pack_bytes(message, type, ret_parcel, err);
    if (!protobuf_c_message_check(message))
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%s cannot be sent: a pointer in it that may not be NULL is",
                         type->message->name);
    if (type->refs)
        return pack_with_refs(message, type, ret_parcel, err);
    return pack_message(message, type, ret_parcel, err);
}

afar_code
afar__parcel_read(const uint8_t *data, size_t length, const afar_channel_type *type,
                  afar__raw_item *item, afar__parcel **ret_parcel, afar_error *err)
{
    afar__parcel *parcel = new_parcel(length);
    afar_code code = AFAR_OK;

    if (!parcel)
        return no_memory(type, err);
    parcel->limits = *afar__raw_limits(item);
    if (length > 0)
        memcpy(parcel->data, data, length);
    if (type->refs)
        code = afar__raw_keep(item, &parcel->kept, err);
    if (code)
        afar__parcel_free(parcel);
    else
        *ret_parcel = parcel;
    return code;
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

/* A message that cannot be read is found to be so by who receives it. */
static afar_code
open_foreign(afar__parcel *parcel, const afar_channel_type *type, ProtobufCMessage **ret_message,
             afar_error *err)
{
    afar__raw_kept *kept = parcel->kept;
    ProtobufCMessage *message = NULL;
    afar_code code = afar__decode_message(type->message, parcel->data, parcel->length,
                                          &parcel->limits, &message, err);

    if (!code && type->refs) {
        parcel->kept = NULL;
        code = afar__raw_accept(kept, type->refs, message, afar__message_arena(message), err);
    }
    if (!code)
        *ret_message = message;
    else if (message)
        afar_message_free(message);
    if (code && code != AFAR_RESOURCE_EXHAUSTED)
        code = AFAR_INVALID_ARGUMENT;
    if (code && err)
        err->code = code;
    return code;
}

struct given {
    const afar__ref_list *refs;
    afar__arena *arena;
};

static afar_code
give(void *arg, Afar__Ref *ref, const afar_interface *interface, afar_error *err)
{
    const struct given *given = arg;
    uint32_t index = ref->index;

    (void)interface;
    ref->index = 0;
    if (index == 0)
        return AFAR_OK;
    return afar__ref_attach(ref, afar_object_share(given->refs->objects[index - 1]), given->arena,
                            err);
}

/* What was packed here.  By another description of the same message, as two shared objects have it, it need not be one
 * of this. */
static afar_code
read_ours(const afar__parcel *parcel, const afar_channel_type *type, ProtobufCMessage **ret_message,
          afar_error *err)
{
    if (parcel->packed == type->message)
        return afar__decode_trusted(type->message, parcel->data, parcel->length, ret_message, err);
    return afar__decode_message(type->message, parcel->data, parcel->length, NULL, ret_message,
                                err);
}

static afar_code
open_ours(const afar__parcel *parcel, const afar_channel_type *type, ProtobufCMessage **ret_message,
          afar_error *err)
{
    struct given given = { .refs = parcel->refs };
    ProtobufCMessage *message = NULL;
    afar_code code = read_ours(parcel, type, &message, err);

    if (code)
        return code;
    given.arena = afar__message_arena(message);
    if (parcel->refs)
        code = afar__refs_each(type->refs, message, give, &given, err);
    if (code)
        afar_message_free(message);
    else
        *ret_message = message;
    return code;
}

afar_code
afar__parcel_open(afar__parcel *parcel, const afar_channel_type *type,
                  ProtobufCMessage **ret_message, afar_error *err)
{
    afar_code code;

    if (type->message == &afar__bytes_descriptor)
        code = open_bytes(parcel, type, ret_message, err);
    else if (parcel->packed)
        code = open_ours(parcel, type, ret_message, err);
    else
        code = open_foreign(parcel, type, ret_message, err);
    afar__parcel_free(parcel);
    return code;
}

afar_code
afar__parcel_renumber(afar__parcel **parcel, const afar_channel_type *type, afar_error *err)
{
    ProtobufCMessage *message = NULL;
    afar__parcel *old = *parcel;
    afar_code code;

    if (!old->kept)
        return AFAR_OK;
    *parcel = NULL;
    code = afar__parcel_open(old, type, &message, err);
    if (code)
        return code;
    code = afar__parcel_pack(message, type, parcel, err);
    afar_message_free(message);
    return code;
}

void
afar__parcel_free(afar__parcel *parcel)
{
    if (!parcel)
        return;
    free_refs(parcel->refs);
    afar__raw_give_back(parcel->kept);
    free(parcel);
}

void
afar__parcel_drop_locked(afar__parcel *parcel)
{
    if (parcel && (parcel->refs || parcel->kept))
        afar__channels_dead_locked(parcel);
    else
        free(parcel);
}

size_t
afar__parcel_bytes(const afar__parcel *parcel)
{
    return parcel->length;
}
