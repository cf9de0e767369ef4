/* Strangers.
 *
 * The first call opens the way: over plain gRPC for grpc:// and unix:, over a session for afar://.
 * That is a reference of the usual kind, to which all calls are handed; `lock` guards its making.
 * Links are shared by the references of a node that lead to one address (far/neighbours.h).
 *
 * Any thread; the one that makes the first call does not wait for the connection here. */

#include "runtime/stranger.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/far/neighbours.h"
#include "runtime/far/route.h"
#include "runtime/node.h"
#include "runtime/object.h"

struct stranger {
    afar_object object;
    afar_node *node;
    pthread_mutex_t lock;
    afar__neighbour *neighbour; /* what `way` goes over; NULL: it has its own, or is not there */
    afar_object *way;           /* NULL before the first call */
    bool has_key;
    uint8_t key[AFAR__PUBLIC_BYTES];
    const char *name; /* behind the address */
    char address[];
};

/* ---- the way ---- */

static afar__session_span
span_of(const char *text)
{
    return (afar__session_span){ text, strlen(text) };
}

static afar_code
open_session_locked(struct stranger *stranger, afar_error *err)
{
    afar__session_reference reference = {
        .kind = AFAR__SESSION_THIRD,
        .address = span_of(stranger->address),
        .name = span_of(stranger->name),
    };

    if (stranger->has_key)
        reference.key = (afar__session_span){ stranger->key, sizeof stranger->key };
    return afar__route_third(stranger->node, &reference, stranger->object.interface, &stranger->way,
                             err);
}

/* Its calls keep the stranger, and with that the link. */
static afar_code
open_plain_locked(struct stranger *stranger, afar_error *err)
{
    afar_code code =
        afar__neighbour_enter(stranger->node, stranger->address, &stranger->neighbour, err);

    if (code)
        return code;
    code = afar__link_object(afar__neighbour_link(stranger->neighbour), stranger->object.interface,
                             stranger->name, &stranger->way, err);
    if (code) {
        afar__neighbour_leave(stranger->neighbour);
        stranger->neighbour = NULL;
        return code;
    }
    afar__link_keep(stranger->way, &stranger->object);
    return AFAR_OK;
}

static afar_code
find_way(struct stranger *stranger, afar_object **ret_way, afar_error *err)
{
    bool session = strncmp(stranger->address, "afar://", 7) == 0;
    afar_code code = AFAR_OK;

    pthread_mutex_lock(&stranger->lock);
    if (!stranger->way)
        code = session ? open_session_locked(stranger, err) : open_plain_locked(stranger, err);
    *ret_way = stranger->way;
    pthread_mutex_unlock(&stranger->lock);
    return code;
}

/* ---- the object ---- */

static afar_code
start(afar_object *object, const afar__request *request, afar_future **ret_future, afar_error *err)
{
    afar_object *way = NULL;
    afar_code code = find_way((struct stranger *)object, &way, err);

    return code ? code : way->ops->start(way, request, ret_future, err);
}

static afar_code
stream(afar_object *object, const afar__request *request, afar_stream **ret_stream, afar_error *err)
{
    afar_object *way = NULL;
    afar_code code = find_way((struct stranger *)object, &way, err);

    return code ? code : way->ops->stream(way, request, ret_stream, err);
}

static afar_code
way_of(afar_object *object, afar__way *ret_way, afar_error *err)
{
    afar_object *way = NULL;
    afar_code code = find_way((struct stranger *)object, &way, err);

    if (code)
        return code;
    if (way->ops->way)
        return way->ops->way(way, ret_way, err);
    return afar_fail(err, AFAR_UNIMPLEMENTED, "%s: no session leads there",
                     ((struct stranger *)object)->address);
}

static void
free_stranger(afar_object *object)
{
    struct stranger *stranger = (struct stranger *)object;

    afar_object_close(stranger->way);
    afar__neighbour_leave(stranger->neighbour);
    pthread_mutex_destroy(&stranger->lock);
    afar_node_close(stranger->node);
    free(stranger);
}

static const afar__object_ops ops = { start, stream, way_of, free_stranger };

bool
afar__stranger_spot(const afar_object *object, afar__spot *ret_spot)
{
    const struct stranger *stranger = (const struct stranger *)object;

    if (object->ops != &ops)
        return false;
    (void)afar__spot_set(ret_spot, stranger->address, stranger->name);
    ret_spot->has_key = stranger->has_key;
    memcpy(ret_spot->key, stranger->key, sizeof ret_spot->key);
    return true;
}

afar_code
afar__stranger_new(afar_node *node, const afar__spot *spot, const afar_interface *interface,
                   afar_object **ret_object, afar_error *err)
{
    size_t address = strlen(spot->address) + 1, name = strlen(spot->name) + 1;
    struct stranger *stranger = calloc(1, sizeof *stranger + address + name);

    if (!stranger)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a reference to a %s",
                         interface->name);
    afar__object_init(&stranger->object, &ops, interface);
    stranger->node = afar__node_ref(node);
    pthread_mutex_init(&stranger->lock, NULL);
    memcpy(stranger->address, spot->address, address);
    stranger->name = memcpy(stranger->address + address, spot->name, name);
    stranger->has_key = spot->has_key;
    memcpy(stranger->key, spot->key, sizeof stranger->key);
    *ret_object = &stranger->object;
    return AFAR_OK;
}
