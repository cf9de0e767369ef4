/* References in messages: put in, taken out, found, and kept as long as the message.
 *
 * An afar.Ref in memory has one member that never travels, `handle`: the object it stands
 * for.  It comes from nowhere but here, so bytes of a peer cannot make one.
 *
 *     afar_ref_put       borrows: the sender's object, as long as it sends
 *     afar_ref_give      owns: closed by the arena of a call
 *     afar__ref_attach   owns: closed by the arena of what was received
 *     afar__refs_copy    owns: closed by the arena of a copy
 *
 * Only what was put in is not closed with its message.
 *
 * afar__refs_each follows the plans that the compiler wrote and so looks at nothing but
 * the way to references.  A copy has no plan: it is followed through the descriptors.
 *
 * Runs on the thread that has the message.
 */

#include "runtime/refs.h"

#include <stdlib.h>

#include "runtime/call.h"

#define MOST_DEPTH 100u /* of messages within messages, as in afar/message.h */

/* ---- one reference ---- */

Afar__Ref *
afar_ref_put(Afar__Ref *room, afar_object *object)
{
    if (!object)
        return NULL;
    afar__ref__init(room);
    room->handle = object;
    return room;
}

static void
close_object(void *object)
{
    afar_object_close(object);
}

afar_code
afar__ref_attach(Afar__Ref *ref, afar_object *object, afar__arena *arena, afar_error *err)
{
    if (!afar__arena_at_end(arena, close_object, object)) {
        afar_object_close(object);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "out of memory for a reference");
    }
    ref->handle = object;
    return AFAR_OK;
}

afar_code
afar_ref_give(afar_call *call, afar_object *object, Afar__Ref **ret_ref)
{
    Afar__Ref *ref;

    if (!object) {
        *ret_ref = NULL;
        return AFAR_OK;
    }
    ref = afar_call_alloc(call, sizeof *ref);
    if (!ref)
        afar_object_close(object);
    else
        afar__ref__init(ref);
    if (!ref || afar__ref_attach(ref, object, call->arena, NULL))
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "%s: out of memory for a reference",
                              call->method->path);
    *ret_ref = ref;
    return AFAR_OK;
}

afar_object *
afar_ref_take(const Afar__Ref *ref)
{
    return ref && ref->handle ? afar_object_share(ref->handle) : NULL;
}

/* ---- those of a message ---- */

/* The messages of a field; NULL for one that is not set. */
static ProtobufCMessage *const *
messages_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
            size_t *ret_count)
{
    const void *member = (const char *)message + field->offset;
    const void *quantifier = (const char *)message + field->quantifier_offset;
    ProtobufCMessage *const *messages = member;

    *ret_count = 1;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        messages = *(ProtobufCMessage *const *const *)member;
        *ret_count = messages ? *(const size_t *)quantifier : 0;
    } else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        *ret_count = *(const uint32_t *)quantifier == field->id;
    }
    return messages;
}

struct walk {
    afar__ref_fn fn;
    void *arg;
    afar_error *err;
};

static afar_code
walk_message(const struct walk *walk, const afar_refs *refs, const ProtobufCMessage *message,
             unsigned depth);

static afar_code
walk_field(const struct walk *walk, const afar_ref_field *row,
           const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message, unsigned depth)
{
    size_t count;
    ProtobufCMessage *const *messages = messages_of(message, field, &count);
    afar_code code = AFAR_OK;

    for (size_t i = 0; i < count && !code; i++) {
        /* Only a sender can have left a gap in a list; protobuf-c would not survive it. */
        if (!messages[i] && field->label == PROTOBUF_C_LABEL_REPEATED)
            code = afar_fail(walk->err, AFAR_INVALID_ARGUMENT, "%s: element %zu of %s is NULL",
                             message->descriptor->name ? message->descriptor->name : "a message", i,
                             field->name ? field->name : "a list");
        else if (!messages[i])
            continue;
        else if (row->inside)
            code = walk_message(walk, row->inside, messages[i], depth + 1);
        else
            code = walk->fn(walk->arg, (Afar__Ref *)messages[i], row->interface, walk->err);
    }
    return code;
}

static afar_code
walk_message(const struct walk *walk, const afar_refs *refs, const ProtobufCMessage *message,
             unsigned depth)
{
    afar_code code = AFAR_OK;

    if (depth > MOST_DEPTH)
        return afar_fail(walk->err, AFAR_RESOURCE_EXHAUSTED,
                         "%s: more than %u messages within messages",
                         refs->type->name ? refs->type->name : "a message", MOST_DEPTH);
    for (uint32_t i = 0; i < refs->count && !code; i++) {
        const afar_ref_field *row = &refs->fields[i];

        code = walk_field(walk, row, &refs->type->fields[row->field], message, depth);
    }
    return code;
}

afar_code
afar__refs_each(const afar_refs *refs, const ProtobufCMessage *message, afar__ref_fn fn, void *arg,
                afar_error *err)
{
    struct walk walk = { fn, arg, err };

    return refs ? walk_message(&walk, refs, message, 0) : AFAR_OK;
}

/* ---- copies ---- */

static afar_code
copy_reference(const Afar__Ref *from, Afar__Ref *to, afar__arena *arena, afar_error *err)
{
    return from->handle ? afar__ref_attach(to, afar_object_share(from->handle), arena, err)
                        : AFAR_OK;
}

/* A copy has the same shape: what differs could not have been packed. */
static afar_code
copy_field(const ProtobufCMessage *message, ProtobufCMessage *copy,
           const ProtobufCFieldDescriptor *field, afar__arena *arena, afar_error *err)
{
    size_t count, copied;
    ProtobufCMessage *const *from = messages_of(message, field, &count);
    ProtobufCMessage *const *to = messages_of(copy, field, &copied);
    afar_code code = AFAR_OK;

    for (size_t i = 0; i < count && i < copied && !code; i++)
        if (from[i] && to[i])
            code = afar__refs_copy(from[i], to[i], arena, err);
    return code;
}

afar_code
afar__refs_copy(const ProtobufCMessage *message, ProtobufCMessage *copy, afar__arena *arena,
                afar_error *err)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    afar_code code = AFAR_OK;

    if (type == &afar__ref__descriptor)
        return copy_reference((const Afar__Ref *)message, (Afar__Ref *)copy, arena, err);
    for (unsigned i = 0; i < type->n_fields && !code; i++)
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            code = copy_field(message, copy, &type->fields[i], arena, err);
    return code;
}

/* ---- those of a plan ---- */

/* Pointers, each of them once. */
struct set {
    const void **all;
    size_t count, room;
};

static bool
add_once(struct set *set, const void *pointer)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->all[i] == pointer)
            return true;
    if (set->count == set->room) {
        size_t room = set->room * 2 + 4;
        const void **all = realloc(set->all, room * sizeof *all);

        if (!all)
            return false;
        set->all = all;
        set->room = room;
    }
    set->all[set->count++] = pointer;
    return true;
}

/* Plans lead to plans, also to themselves: `plans` grows while it is gone through. */
static bool
collect(struct set *plans, struct set *interfaces)
{
    for (size_t i = 0; i < plans->count; i++) {
        const afar_refs *plan = plans->all[i];

        for (uint32_t j = 0; j < plan->count; j++) {
            const afar_ref_field *field = &plan->fields[j];
            bool well = field->inside ? add_once(plans, field->inside)
                                      : add_once(interfaces, field->interface);

            if (!well)
                return false;
        }
    }
    return true;
}

afar_code
afar__refs_know(afar__refs_known *known, const afar_refs *plan, afar_error *err)
{
    struct set plans = { NULL, 0, 0 }, interfaces = { NULL, 0, 0 };
    bool well = !plan || (add_once(&plans, plan) && collect(&plans, &interfaces));

    free(plans.all);
    if (!well) {
        free(interfaces.all);
        interfaces = (struct set){ NULL, 0, 0 };
    }
    known->interfaces = interfaces.all;
    known->count = interfaces.count;
    return well ? AFAR_OK
                : afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for the references of %s",
                            plan->type->name);
}

void
afar__refs_forget(afar__refs_known *known)
{
    free(known->interfaces);
    *known = (afar__refs_known){ NULL, 0 };
}
