/* What the peer was promised: an object in the result of a call that it made before.  The result
 * was kept; the reference is where a path of field numbers leads in it. */

#include <afar/ref.h>

#include "runtime/far/relay.h"
#include "runtime/far/served.h"
#include "runtime/host.h"

/* The member of a message that is a message, or NULL. */
static const ProtobufCMessage *
member(const ProtobufCMessage *message, uint32_t number)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(message->descriptor, number);
    const char *base = (const char *)message;

    if (!field || field->type != PROTOBUF_C_TYPE_MESSAGE ||
        field->label == PROTOBUF_C_LABEL_REPEATED)
        return NULL;
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
        *(const uint32_t *)(const void *)(base + field->quantifier_offset) != number)
        return NULL;
    return *(ProtobufCMessage *const *)(const void *)(base + field->offset);
}

/* An object elsewhere is called through this process, so that order holds. */
static afar_code
near_object(afar_object *object, afar_object **ret_object, afar_error *err)
{
    if (!afar__host_of(object))
        return afar__relay_new(object, ret_object, err);
    *ret_object = afar_object_share(object);
    return AFAR_OK;
}

afar_code
afar__served_promised(afar__served *kept, const afar__session_target *target,
                      afar_object **ret_object, afar_error *err)
{
    const ProtobufCMessage *message = kept ? kept->base.reply : NULL;
    const Afar__Ref *ref;

    for (unsigned i = 0; message && i < target->path_length; i++)
        message = member(message, target->path[i]);
    if (!message || message->descriptor != &afar__ref__descriptor)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "the result that was promised has no reference at that place");
    ref = (const Afar__Ref *)message;
    if (!ref->handle)
        return afar_fail(err, AFAR_NOT_FOUND, "the reference that was promised stands for nothing");
    return near_object(ref->handle, ret_object, err);
}
