/* References over a connection.
 *
 * What is sent is one of three kinds.  An object of this process: the core counts what the peer
 * was given, and the first one holds the object until the last was released.  An object of the
 * peer itself: it comes home.  An object of a third process: as its address, if it has one that
 * others can open; else as a relay, an object of this process that passes everything on.
 *
 * A far object is known to the core by its import, as a pointer without a reference.  One whose last
 * reference is just being closed cannot be shared any more; then a new one takes its place. */

#include "runtime/far/objects.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/abroad.h"
#include "runtime/clock.h"
#include "runtime/far/far.h"
#include "runtime/far/relay.h"
#include "runtime/far/route.h"
#include "runtime/host.h"

struct far {
    afar_object object;
    afar__connection *connection;
    uint32_t import;
    uint32_t count;    /* of references received; guarded by the connection's lock */
    afar__where where; /* others can open it there; empty: nowhere */
};

/* ---- calls on far objects ---- */

static afar_code
start(afar_object *object, const afar__request *request, afar_future **ret_future, afar_error *err)
{
    struct far *far = (struct far *)object;
    afar__way way = { .connection = far->connection, .import = far->import };

    return afar__far_start(object, &way, request, ret_future, err);
}

static afar_code
stream(afar_object *object, const afar__request *request, afar_stream **ret_stream, afar_error *err)
{
    struct far *far = (struct far *)object;
    afar__way way = { .connection = far->connection, .import = far->import };

    return afar__far_stream(object, &way, request, ret_stream, err);
}

static afar_code
way_of(afar_object *object, afar__way *ret_way, afar_error *err)
{
    struct far *far = (struct far *)object;

    (void)err;
    *ret_way =
        (afar__way){ .connection = afar__connection_ref(far->connection), .import = far->import };
    return AFAR_OK;
}

static void
free_far(afar_object *object)
{
    struct far *far = (struct far *)object;
    afar__connection *connection = far->connection;

    pthread_mutex_lock(&connection->lock);
    if (afar__session_import_user(connection->session, far->import) == far)
        afar__session_set_import_user(connection->session, far->import, NULL);
    afar__session_release(connection->session, far->import, far->count);
    afar__connection_pump_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    afar__connection_unref(connection);
    afar__where_clear(&far->where);
    free(far);
}

static const afar__object_ops ops = { start, stream, way_of, free_far };

static struct far *
far_of(afar_object *object)
{
    return object->ops == &ops ? (struct far *)object : NULL;
}

/* ---- sending ---- */

static bool
is_theirs(const afar__connection *connection, afar_object *object)
{
    const struct far *far = far_of(object);

    return far && far->connection == connection;
}

const afar__where *
afar__refs_where(afar_object *object)
{
    const struct far *far = far_of(object);

    if (far)
        return far->where.address ? &far->where : NULL;
    return afar__route_where(object);
}

afar_code
afar__refs_prepare(afar__connection *connection, afar__ref_list *list, afar_error *err)
{
    if (atomic_load(&connection->twin))
        return AFAR_OK;
    for (size_t i = 0; i < list->count; i++) {
        afar_object *object = list->objects[i], *relay = NULL;
        afar_code code;

        if (afar__host_of(object) || is_theirs(connection, object) || afar__refs_where(object))
            continue;
        code = afar__relay_new(object, &relay, err);
        if (code)
            return code;
        list->objects[i] = relay;
        afar_object_close(object);
    }
    return AFAR_OK;
}

static void
fill_where(const afar__where *where, afar__session_reference *reference)
{
    reference->address = (afar__session_span){ where->address, strlen(where->address) };
    reference->name = (afar__session_span){ where->name, strlen(where->name) };
    if (where->has_instance)
        reference->instance = (afar__session_span){ where->instance, sizeof where->instance };
    if (where->has_key)
        reference->key = (afar__session_span){ where->key, sizeof where->key };
}

/* An object of ours that was exported under a name can be opened by others as well. */
static void
find_where(const afar__connection *connection, afar_object *object, afar__where *ret_where)
{
    const afar_node *node = connection->node;
    afar__spot spot;

    if (!afar__host_of(object) || !afar__abroad_place(node, object, &spot))
        return;
    ret_where->address = strdup(spot.address);
    ret_where->name = strdup(spot.name);
    ret_where->has_instance = true;
    memcpy(ret_where->instance, node->instance, sizeof ret_where->instance);
    if (!ret_where->address || !ret_where->name)
        afar__where_clear(ret_where);
}

static bool
is_local(const afar__connection *connection)
{
    return atomic_load(&((afar__connection *)connection)->twin) != NULL;
}

afar_code
afar__sending_open(afar__sending *sending, const afar__connection *connection,
                   const afar__ref_list *list, afar_error *err)
{
    memset(sending, 0, sizeof *sending);
    sending->list = list;
    sending->connection = connection;
    if (list->count == 0)
        return AFAR_OK;
    sending->references = calloc(list->count, sizeof *sending->references);
    sending->fresh = calloc(list->count, sizeof *sending->fresh);
    sending->where = calloc(list->count, sizeof *sending->where);
    if (!sending->references || !sending->fresh || !sending->where) {
        afar__sending_close(sending);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for %zu references", list->count);
    }
    for (size_t i = 0; i < list->count && !is_local(connection); i++)
        find_where(connection, list->objects[i], &sending->where[i]);
    return AFAR_OK;
}

void
afar__sending_close(afar__sending *sending)
{
    for (size_t i = 0; sending->where && i < sending->list->count; i++)
        afar__where_clear(&sending->where[i]);
    free(sending->references);
    free(sending->fresh);
    free(sending->where);
    memset(sending, 0, sizeof *sending);
}

static void
describe(const afar__connection *connection, afar_object *object, const afar__where *where,
         afar__session_reference *reference)
{
    const char *interface = afar_object_interface(object)->name;

    reference->interface = (afar__session_span){ interface, strlen(interface) };
    if (is_local(connection) || afar__host_of(object)) {
        reference->kind = AFAR__SESSION_OURS;
        reference->object = object;
        if (where->address)
            fill_where(where, reference);
    } else if (is_theirs(connection, object)) {
        reference->kind = AFAR__SESSION_THEIRS;
        reference->import = far_of(object)->import;
    } else {
        reference->kind = AFAR__SESSION_THIRD;
        fill_where(afar__refs_where(object), reference);
    }
}

void
afar__sending_fill_locked(afar__sending *sending)
{
    const afar__connection *connection = sending->connection;
    const afar__ref_list *list = sending->list;

    for (size_t i = 0; i < list->count; i++) {
        describe(connection, list->objects[i], &sending->where[i], &sending->references[i]);
        sending->fresh[i] = sending->references[i].kind == AFAR__SESSION_OURS &&
                            !afar__session_exports(connection->session, list->objects[i]);
    }
}

/* The same object may be in the list more than once. */
static bool
came_before(const afar__ref_list *list, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (list->objects[i] == list->objects[index])
            return true;
    return false;
}

/* From the first reference until RELEASED the connection has one itself.  What the core took need not
 * have given anything: nobody hears the answer of a oneway call. */
void
afar__sending_sent_locked(const afar__sending *sending)
{
    const afar__ref_list *list = sending->list;

    for (size_t i = 0; i < list->count; i++)
        if (sending->fresh[i] && !came_before(list, i) &&
            afar__session_exports(sending->connection->session, list->objects[i]))
            afar_object_share(list->objects[i]);
}

/* ---- receiving ---- */

struct receive {
    afar__connection *connection;
    const afar__session_reference *references;
    size_t count;
    afar_object **objects; /* made so far, with a reference each */
    afar__arena *arena;
};

static bool
same_text(afar__session_span span, const char *text)
{
    return span.length == strlen(text) && memcmp(span.data, text, span.length) == 0;
}

/* A new far object, or the one that stands for the import already. */
static struct far *
import_locked(afar__connection *connection, const afar__session_reference *reference,
              const afar_interface *interface)
{
    uint32_t import = reference->import;
    struct far *far = afar__session_import_user(connection->session, import);

    if (far && afar__object_try_share(&far->object)) {
        far->count++;
        return far;
    }
    far = calloc(1, sizeof *far);
    if (!far)
        return NULL;
    if (reference->address.length > 0 && !afar__where_fill(&far->where, reference)) {
        free(far);
        return NULL;
    }
    afar__object_init(&far->object, &ops, interface);
    far->connection = afar__connection_ref(connection);
    far->import = import;
    far->count = 1;
    afar__session_set_import_user(connection->session, import, far);
    return far;
}

static void
refuse(afar__connection *connection, const afar__session_reference *reference)
{
    if (reference->kind != AFAR__SESSION_THEIRS)
        return;
    pthread_mutex_lock(&connection->lock);
    afar__session_release(connection->session, reference->import, 1);
    connection->again = true;
    pthread_mutex_unlock(&connection->lock);
}

/* The object itself, from the other end of the session; that end holds it until we release it. */
static afar_code
take_from_twin(afar__connection *connection, const afar__session_reference *reference,
               afar_object **ret_object, afar_error *err)
{
    afar__connection *twin = atomic_load(&connection->twin);
    afar_object *object;

    pthread_mutex_lock(&twin->lock);
    object = afar__session_export_object(twin->session, reference->import);
    if (object)
        afar_object_share(object);
    pthread_mutex_unlock(&twin->lock);
    if (!object)
        return afar_fail(err, AFAR_UNAVAILABLE, "the object was lost on its way");
    refuse(connection, reference);
    *ret_object = object;
    return AFAR_OK;
}

afar_code
afar__refs_bring_home(afar__connection *connection, afar__session_reference *references,
                      size_t count, afar_error *err)
{
    afar_code code = AFAR_OK;

    for (size_t i = 0; i < count && !code && atomic_load(&connection->twin); i++) {
        afar_object *object = NULL;

        if (references[i].kind != AFAR__SESSION_THEIRS)
            continue;
        code = take_from_twin(connection, &references[i], &object, err);
        if (code)
            break;
        references[i].kind = AFAR__SESSION_OURS;
        references[i].object = object;
    }
    return code;
}

static afar_code
make_object(struct receive *receive, const afar__session_reference *reference,
            const afar_interface *interface, afar_object **ret_object, afar_error *err)
{
    afar__connection *connection = receive->connection;
    struct far *far;

    if (reference->kind == AFAR__SESSION_OURS) {
        /* A relay that comes home is what it stands for. */
        afar_object *behind = afar__relay_far(reference->object);

        *ret_object = afar_object_share(behind ? behind : reference->object);
        return AFAR_OK;
    }
    if (reference->kind == AFAR__SESSION_THIRD)
        return afar__route_third(connection->node, reference, interface, ret_object, err);
    if (atomic_load(&connection->twin))
        return take_from_twin(connection, reference, ret_object, err);
    pthread_mutex_lock(&connection->lock);
    far = import_locked(connection, reference, interface);
    pthread_mutex_unlock(&connection->lock);
    if (!far)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a reference to a %s",
                         interface->name);
    *ret_object = &far->object;
    return AFAR_OK;
}

static afar_code
wrong_interface(const char *is, size_t length, const afar_interface *interface, afar_error *err)
{
    return afar_fail(err, AFAR_INVALID_ARGUMENT,
                     "a reference to a %.*s came where one to a %s goes",
                     (int)(length > 100 ? 100 : length), is, interface->name);
}

static afar_code
attach(void *arg, Afar__Ref *ref, const afar_interface *interface, afar_error *err)
{
    struct receive *receive = arg;
    const afar__session_reference *reference;
    afar_object **object;

    if (ref->index == 0)
        return AFAR_OK;
    if (ref->index > receive->count)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "reference %u of a message that came with %zu",
                         ref->index, receive->count);
    reference = &receive->references[ref->index - 1];
    object = &receive->objects[ref->index - 1];
    ref->index = 0;
    if (reference->interface.length > 0 && !same_text(reference->interface, interface->name))
        return wrong_interface(reference->interface.data, reference->interface.length, interface,
                               err);
    if (!*object) {
        afar_code code = make_object(receive, reference, interface, object, err);
        if (code)
            return code;
    }
    if (strcmp((*object)->interface->name, interface->name) != 0)
        return wrong_interface((*object)->interface->name, strlen((*object)->interface->name),
                               interface, err);
    return afar__ref_attach(ref, afar_object_share(*object), receive->arena, err);
}

afar_code
afar__refs_accept(afar__connection *connection, const afar_refs *plan, ProtobufCMessage *message,
                  const afar__session_event *event, afar__arena *arena, afar_error *err)
{
    struct receive receive = { connection, event->references, event->reference_count, NULL, arena };
    afar_code code;

    if (!plan) {
        afar__refs_refuse(connection, event);
        return AFAR_OK;
    }
    receive.objects = afar__arena_zalloc(arena, receive.count * sizeof(afar_object *));
    if (!receive.objects) {
        afar__refs_refuse(connection, event);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for %zu references",
                         receive.count);
    }
    code = afar__refs_each(plan, message, attach, &receive, err);
    for (size_t i = 0; i < receive.count; i++)
        if (receive.objects[i])
            afar_object_close(receive.objects[i]);
        else
            refuse(connection, &receive.references[i]);
    return code;
}

/* ---- passing on ---- */

/* NULL: none.  One that says nothing is what its field says, which is known if there is one only. */
static const afar_interface *
find_interface(const afar__refs_known *known, const afar__session_reference *reference)
{
    if (reference->interface.length == 0)
        return known->count == 1 ? known->interfaces[0] : NULL;
    for (size_t i = 0; i < known->count; i++) {
        const afar_interface *interface = known->interfaces[i];

        if (same_text(reference->interface, interface->name))
            return interface;
    }
    return NULL;
}

/* Adds one to the list.  *ret_made: it is somebody's, also on failure. */
static afar_code
pass_one(struct receive *receive, const afar__session_reference *reference,
         const afar__refs_known *known, afar__ref_list *list, bool *ret_made, afar_error *err)
{
    const afar_interface *interface = find_interface(known, reference);
    afar_object *object = NULL;
    afar_code code;

    *ret_made = false;
    if (!interface)
        return afar_fail(
            err, AFAR_INVALID_ARGUMENT, "a reference to a %.*s, which the message has no place for",
            (int)(reference->interface.length > 100 ? 100 : reference->interface.length),
            (const char *)reference->interface.data);
    code = make_object(receive, reference, interface, &object, err);
    if (!object)
        return code;
    *ret_made = true;
    if (strcmp(object->interface->name, interface->name) != 0)
        code = wrong_interface(object->interface->name, strlen(object->interface->name), interface,
                               err);
    else if (!afar__ref_list_add(list, object))
        code =
            afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for %zu references", receive->count);
    afar_object_close(object);
    return code;
}

afar_code
afar__refs_pass(afar__connection *connection, const afar__session_event *event,
                const afar__refs_known *known, afar__ref_list *list, afar_error *err)
{
    struct receive receive = { connection, event->references, event->reference_count, NULL, NULL };
    afar_code code = AFAR_OK;

    for (size_t i = 0; i < receive.count; i++) {
        bool made = false;

        if (!code)
            code = pass_one(&receive, &receive.references[i], known, list, &made, err);
        if (!made)
            refuse(connection, &receive.references[i]);
    }
    if (code)
        afar__ref_list_clear(list);
    return code;
}

void
afar__refs_refuse(afar__connection *connection, const afar__session_event *event)
{
    for (size_t i = 0; i < event->reference_count; i++)
        refuse(connection, &event->references[i]);
}

/* ---- what the peer gives back ---- */

void
afar__refs_released(afar__connection *connection, const afar__session_event *event)
{
    /* Between two ends in this process any object goes as it is, also one that is elsewhere. */
    if (event->reason == AFAR__SESSION_NONE || !afar__host_of(event->object))
        afar_object_close(event->object);
    else
        afar__host_lost(event->object, connection->node);
}
