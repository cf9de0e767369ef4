/* Ends in messages: the untyped halves of what is generated for fields of afar.Sender and afar.Receiver.
 *
 * What is put is borrowed and what is given is the reply's; what is taken is a new end on the object that the
 * reference in the field stands for. */

#include <afar/channel.h>

#include "runtime/arena.h"
#include "runtime/call.h"

Afar__Sender *
afar_sender_put(afar_sender_room *room, afar_sender *sender)
{
    if (!sender)
        return NULL;
    afar__sender__init(&room->end);
    room->end.end = afar_ref_put(&room->ref, afar_sender_object(sender));
    return &room->end;
}

Afar__Receiver *
afar_receiver_put(afar_receiver_room *room, afar_receiver *receiver)
{
    if (!receiver)
        return NULL;
    afar__receiver__init(&room->end);
    room->end.end = afar_ref_put(&room->ref, afar_receiver_object(receiver));
    return &room->end;
}

static void
close_sender(void *sender)
{
    afar_sender_close(sender);
}

static void
close_receiver(void *receiver)
{
    afar_receiver_close(receiver);
}

/* Room that lives as long as the reply, and so does the end. */
static afar_code
give(afar_call *call, void *end, void (*close)(void *end), size_t size, void **ret_room)
{
    *ret_room = afar_call_alloc(call, size);
    if (*ret_room && afar__arena_at_end(call->arena, close, end))
        return AFAR_OK;
    close(end);
    afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for an end of a channel",
                   call->method->path);
    return AFAR_RESOURCE_EXHAUSTED;
}

afar_code
afar_sender_give(afar_call *call, afar_sender *sender, Afar__Sender **ret_field)
{
    void *room = NULL;
    afar_code code = give(call, sender, close_sender, sizeof(afar_sender_room), &room);

    if (!code)
        *ret_field = afar_sender_put(room, sender);
    return code;
}

afar_code
afar_receiver_give(afar_call *call, afar_receiver *receiver, Afar__Receiver **ret_field)
{
    void *room = NULL;
    afar_code code = give(call, receiver, close_receiver, sizeof(afar_receiver_room), &room);

    if (!code)
        *ret_field = afar_receiver_put(room, receiver);
    return code;
}

afar_code
afar_sender_take(const Afar__Sender *field, const afar_channel_type *type, afar_sender **ret_sender,
                 afar_error *err)
{
    afar_object *object = field && field->end ? afar_ref_take(field->end) : NULL;
    afar_code code = AFAR_OK;

    *ret_sender = NULL;
    if (object)
        code = afar_sender_on(object, type, ret_sender, err);
    afar_object_close(object);
    return code;
}

afar_code
afar_receiver_take(const Afar__Receiver *field, const afar_channel_type *type,
                   afar_receiver **ret_receiver, afar_error *err)
{
    afar_object *object = field && field->end ? afar_ref_take(field->end) : NULL;
    afar_code code = AFAR_OK;

    *ret_receiver = NULL;
    if (object)
        code = afar_receiver_on(object, type, ret_receiver, err);
    afar_object_close(object);
    return code;
}
