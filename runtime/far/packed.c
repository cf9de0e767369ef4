/* Messages on their way out.
 *
 * In the bytes a reference is its number in the list.  The number is written into the message while it is
 * packed, and taken out again. */

#include "runtime/far/packed.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/refs.h"

/* ---- lists of references ---- */

void
afar__ref_list_init(afar__ref_list *list)
{
    list->objects = list->few;
    list->count = 0;
    list->room = sizeof list->few / sizeof *list->few;
}

void
afar__ref_list_clear(afar__ref_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        afar_object_close(list->objects[i]);
    if (list->objects != list->few)
        free(list->objects);
    afar__ref_list_init(list);
}

static bool
grow(afar__ref_list *list)
{
    size_t room = list->room * 2;
    afar_object **objects = malloc(room * sizeof(*objects));

    if (!objects)
        return false;
    memcpy(objects, list->objects, list->count * sizeof(*objects));
    if (list->objects != list->few)
        free(list->objects);
    list->objects = objects;
    list->room = room;
    return true;
}

bool
afar__ref_list_add(afar__ref_list *list, afar_object *object)
{
    if (list->count == list->room && !grow(list))
        return false;
    list->objects[list->count++] = afar_object_share(object);
    return true;
}

bool
afar__ref_list_copy(afar__ref_list *list, const afar__ref_list *from)
{
    while (list->room < from->count)
        if (!grow(list))
            return false;
    for (size_t i = 0; i < from->count; i++)
        list->objects[i] = afar_object_share(from->objects[i]);
    list->count = from->count;
    return true;
}

/* ---- packing ---- */

static afar_code
number(void *arg, Afar__Ref *ref, const afar_interface *interface, afar_error *err)
{
    afar__ref_list *list = arg;

    ref->index = 0;
    if (!ref->handle)
        return AFAR_OK;
    if (strcmp(afar_object_interface(ref->handle)->name, interface->name) != 0)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "a reference to a %s where one to a %s goes",
                         afar_object_interface(ref->handle)->name, interface->name);
    if (!afar__ref_list_add(list, ref->handle))
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for %zu references", list->count);
    ref->index = (uint32_t)list->count;
    return AFAR_OK;
}

static afar_code
forget_number(void *arg, Afar__Ref *ref, const afar_interface *interface, afar_error *err)
{
    (void)arg;
    (void)interface;
    (void)err;
    ref->index = 0;
    return AFAR_OK;
}

afar_code
afar__refs_number(const ProtobufCMessage *message, const afar_refs *plan, afar__ref_list *list,
                  afar_error *err)
{
    return afar__refs_each(plan, message, number, list, err);
}

void
afar__refs_forget_numbers(const ProtobufCMessage *message, const afar_refs *plan)
{
    (void)!afar__refs_each(plan, message, forget_number, NULL, NULL);
}

void
afar__packed_init(afar__packed *packed)
{
    packed->data = packed->few;
    packed->length = 0;
    afar__ref_list_init(&packed->refs);
}

afar_code
afar__packed_fill(afar__packed *packed, const ProtobufCMessage *message, const afar_refs *plan,
                  afar_error *err)
{
    afar_code code = afar__refs_number(message, plan, &packed->refs, err);
    size_t length = code ? 0 : protobuf_c_message_get_packed_size(message);
    uint8_t *data = length > sizeof packed->few ? malloc(length) : packed->few;

    if (!code && !data) {
        code = AFAR_RESOURCE_EXHAUSTED;
        afar_fail(err, code, "no memory for a message of %zu bytes", length);
    }
    if (!code)
        protobuf_c_message_pack(message, data);
    afar__refs_forget_numbers(message, plan);
    if (code)
        return code;
    packed->data = data;
    packed->length = length;
    return AFAR_OK;
}

void
afar__packed_clear(afar__packed *packed)
{
    if (packed->data != packed->few)
        free(packed->data);
    afar__ref_list_clear(&packed->refs);
    afar__packed_init(packed);
}
