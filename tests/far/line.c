/* What line.h says. */

#include "line.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/host.h"
#include "runtime/interface.h"

const char *const ways[] = { TCP, UNIX, INPROC, LOCAL, END, CHAIN, RELAY, NULL };

const afar_method *
line_method(void)
{
    for (unsigned i = 0; i < far_peer_interface.method_count; i++)
        if (strcmp(afar__interface_method(&far_peer_interface, i)->name, "Talk") == 0)
            return afar__interface_method(&far_peer_interface, i);
    CHECK(false);
    return NULL;
}

/* ---- what an end is told ---- */

static void
enter(struct end *end)
{
    CHECK_INT(atomic_fetch_add(&end->inside, 1), 0);
    CHECK_INT(event_count(&end->over), 0);
}

static void
leave(struct end *end, struct event *event)
{
    CHECK_INT(atomic_fetch_sub(&end->inside, 1), 1);
    event_raise(event);
}

static void
came(void *arg, const uint8_t *data, size_t length, afar__raw_item *item)
{
    struct end *end = arg;
    Far__Bundle *bundle;

    enter(end);
    CHECK_INT(event_count(&end->ended), 0);
    bundle = far__bundle__unpack(NULL, length, data);
    CHECK(bundle);
    if (bundle->number >= 0)
        CHECK_INT(bundle->number, end->next++);
    if (end->react)
        end->react(end, bundle, item);
    far__bundle__free_unpacked(bundle, NULL);
    leave(end, &end->came);
}

static void
ended(void *arg)
{
    struct end *end = arg;

    enter(end);
    leave(end, &end->ended);
}

static void
writable(void *arg)
{
    struct end *end = arg;

    enter(end);
    leave(end, &end->writable);
}

static void
idle(void *arg)
{
    struct end *end = arg;

    enter(end);
    leave(end, &end->idle);
}

static void
over(void *arg, const afar_error *err)
{
    struct end *end = arg;

    enter(end);
    end->code = err->code;
    strncpy(end->text, err->message, sizeof end->text - 1);
    leave(end, &end->over);
}

static void
released(void *arg)
{
    struct end *end = arg;

    CHECK_INT(atomic_load(&end->inside), 0);
    event_raise(&end->released);
}

static const afar__raw_ops ops = { came, ended, writable, idle, over, NULL };

/* ---- what it does ---- */

void
end_init(struct end *end)
{
    static const struct event fresh = EVENT_INIT;

    memset(end, 0, sizeof *end);
    end->came = end->ended = end->writable = end->idle = end->over = end->released = fresh;
}

void
end_open(struct end *end, afar_object *target)
{
    afar_error err = AFAR_ERROR_INIT;

    const afar_interface *interface = afar_object_interface(target);
    const afar_method *method = interface->channel ? interface->methods : line_method();

    CHECK_OK(afar__raw_open(target, method, &ops, end, &end->raw, &err));
}

afar_code
end_try(struct end *end, int64_t number, size_t bytes)
{
    Far__Bundle bundle = FAR__BUNDLE__INIT;
    uint8_t *data, *room = calloc(1, bytes + 1);
    afar_error err = AFAR_ERROR_INIT;
    size_t length;
    afar_code code;

    CHECK(room != NULL);
    bundle.number = number;
    bundle.data.data = room;
    bundle.data.len = bytes;
    length = far__bundle__get_packed_size(&bundle);
    data = malloc(length + 1);
    CHECK(data != NULL);
    far__bundle__pack(&bundle, data);
    code = afar__raw_send(end->raw, data, length, NULL, &err);
    CHECK_INT(code, err.code);
    afar_error_clear(&err);
    free(data);
    free(room);
    return code;
}

void
end_send(struct end *end, int64_t number, size_t bytes)
{
    CHECK_INT(end_try(end, number, bytes), AFAR_OK);
}

void
end_send_with(struct end *end, int64_t number, far_peer *one)
{
    Far__Bundle bundle = FAR__BUNDLE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar__packed packed;
    Afar__Ref room;

    bundle.number = number;
    far_bundle_put_one(&bundle, &room, one);
    afar__packed_init(&packed);
    CHECK_OK(afar__packed_fill(&packed, &bundle.base, line_method()->request_refs, &err));
    CHECK_OK(afar__raw_send(end->raw, packed.data, packed.length, &packed.refs, &err));
    afar__packed_clear(&packed);
}

void
end_close(struct end *end)
{
    afar__raw_close(end->raw, released);
    event_wait(&end->released, 1);
    CHECK_INT(event_count(&end->released), 1);
}

/* ---- the object ---- */

static afar_code
serve(void *self, afar_call *call)
{
    struct lines *lines = self;
    int index = atomic_fetch_add(&lines->count, 1);
    struct end *end = &lines->ends[index];
    afar_error err = AFAR_ERROR_INIT;

    CHECK(index < MOST_ENDS);
    if (lines->wait)
        event_wait(lines->wait, 1);
    end_init(end);
    end->react = lines->react;
    end->arg = lines->arg;
    CHECK_OK(afar__raw_serve(call, &ops, end, &end->raw, &err));
    event_raise(&lines->served);
    return AFAR_OK;
}

void
lines_open(struct lines *lines, const afar_interface *interface)
{
    static const struct event fresh = EVENT_INIT;
    afar_error err = AFAR_ERROR_INIT;

    lines->served = fresh;
    CHECK_OK(afar__host_new(interface, serve, lines, NULL, &lines->host, &err));
    afar__host_take_raw(lines->host);
}

/* ---- ways to it ---- */

static bool
is_end(const afar_object *object)
{
    return afar_object_interface(object)->channel != NULL;
}

/* The reference that a message brings, in the field where it belongs; or NULL. */
static afar_object *
take_any(const Far__Bundle *message)
{
    return afar_ref_take(message->end ? message->end->end : message->one);
}

static void
put_any(Far__Bundle *message, Afar__Sender *end, Afar__Ref *room, afar_object *object)
{
    if (is_end(object)) {
        end->end = afar_ref_put(room, object);
        message->end = end;
    } else {
        message->one = afar_ref_put(room, object);
    }
}

static afar_code
give_any(Far__Bundle *reply, afar_call *call, afar_object *object)
{
    Afar__Sender *end = afar_call_alloc(call, sizeof *end);

    CHECK(end);
    if (!is_end(object))
        return afar_ref_give(call, object, &reply->one);
    afar__sender__init(end);
    reply->end = end;
    return afar_ref_give(call, object, &end->end);
}

static afar_code
keep_or_give(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    afar_object **kept = self, *one = take_any(request);

    if (!one && *kept)
        return give_any(reply, call, afar_object_share(*kept));
    afar_object_close(*kept);
    *kept = one;
    return AFAR_OK;
}

static const far_peer_methods shelving = { .ask = keep_or_give };

/* What the other client gets when that object goes to a server and from there to it. */
static afar_object *
open_hop(struct hop *hop, afar_object *object)
{
    Far__Bundle request = FAR__BUNDLE__INIT, empty = FAR__BUNDLE__INIT, *reply = NULL;
    Afar__Sender end = AFAR__SENDER__INIT;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Ref room;

    pair_open(&hop->pair, TCP);
    CHECK_OK(afar_client_open(NULL, NULL, &hop->other, &err));
    far_peer *shelf = pair_peer(&hop->pair, "", &shelving, &hop->kept, AFAR_SERIAL);
    far_peer *again = reach_peer_at(hop->other, afar_server_address(hop->pair.server), "");
    put_any(&request, &end, &room, object);
    CHECK_OK(far_peer_ask(shelf, &request, soon(), &reply, &err));
    afar_message_free(reply);
    CHECK_OK(far_peer_ask(again, &empty, soon(), &reply, &err));
    hop->target = take_any(reply);
    CHECK(hop->target && hop->target != object);
    afar_message_free(reply);
    far_peer_close(shelf);
    far_peer_close(again);
    return hop->target;
}

static void
close_hop(struct hop *hop)
{
    afar_object_close(hop->target);
    afar_object_close(hop->kept);
    afar_client_close(hop->other);
    pair_close(&hop->pair);
}

static bool
is(const char *kind, const char *one)
{
    return strcmp(kind, one) == 0;
}

void
way_open(struct way *way, const char *kind)
{
    bool relayed = is(kind, RELAY) || is(kind, END) || is(kind, CHAIN);
    afar_error err = AFAR_ERROR_INIT;

    memset(way, 0, sizeof *way);
    lines_open(&way->lines, is(kind, END) || is(kind, CHAIN) ? far_bundle_channel_type.sender
                                                             : &far_peer_interface);
    way->target = way->lines.host;
    if (relayed)
        way->target = open_hop(&way->hops[0], way->target);
    if (is(kind, CHAIN))
        way->target = open_hop(&way->hops[1], way->target);
    if (relayed || is(kind, LOCAL)) {
        afar_object_share(way->target);
        return;
    }
    pair_open(&way->pair, kind);
    CHECK_OK(afar_server_export(way->pair.server, "line", way->lines.host, &err));
    way->target = (afar_object *)reach_peer(&way->pair, "line");
}

void
way_close(struct way *way)
{
    afar_object_close(way->target);
    for (size_t i = 2; i-- > 0;)
        if (way->hops[i].target)
            close_hop(&way->hops[i]);
    if (way->pair.server)
        pair_close(&way->pair);
    afar_object_close(way->lines.host);
}

void
way_call(struct way *way, struct end *end)
{
    end_init(end);
    end_open(end, way->target);
}
