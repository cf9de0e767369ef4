/* Payloads that say what they are: whose, which of them, and which references come with
 * them.  What arrives is held against what must arrive, byte for byte. */

#include <stdio.h>
#include <string.h>

#include "world.h"

/* Bytes 0 to 3: the call; 4 to 7: the sequence; 8: the part; 9: how many references; from 10 on:
 * which. */
#define REFERENCES 10
#define HEAD (REFERENCES + SIM_REFERENCES)

static uint8_t
filling(const struct sim_call *call, uint32_t sequence, size_t at)
{
    return (uint8_t)(call->number * 31 + sequence * 7 + at);
}

static void
put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

static uint32_t
get32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

/* Which object it is: a byte that both sides understand.  Owner 2 is a third process. */
static uint8_t
label(const struct sim_object *object)
{
    return (uint8_t)(object ? object->owner * SIM_OBJECTS + (int)object->number : 2 * SIM_OBJECTS);
}

/* Whether its owner says where a third process can open it. */
static bool
opens_elsewhere(const struct sim_object *object)
{
    return object && object->number % 3 == 0;
}

/* Some reference that the node has: of its own objects, of an import, of a third process. */
static bool
make_reference(struct sim_node *node, struct sim_payload *payload)
{
    struct sim_world *world = node->world;
    afar__session_reference *reference = &payload->references[payload->reference_count];
    char *interface = payload->interfaces[payload->reference_count];
    struct sim_object *object = &node->objects[sim_below(world, SIM_OBJECTS)];

    memset(reference, 0, sizeof *reference);
    reference->kind = (afar__session_reference_kind)sim_below(world, 3);
    if (reference->kind == AFAR__SESSION_THEIRS) {
        reference->import = sim_some_import(node);
        if (reference->import == 0)
            return false;
        object = node->imports[reference->import].object;
    }
    if (reference->kind == AFAR__SESSION_OURS)
        reference->object = object;
    if (reference->kind == AFAR__SESSION_THIRD || opens_elsewhere(object)) {
        reference->address = (afar__session_span){ "grpc://third:1", 14 };
        reference->name = (afar__session_span){ "thing", 5 };
    }
    if (reference->kind == AFAR__SESSION_THIRD) {
        snprintf(interface, 8, "third");
        object = NULL;
    } else {
        snprintf(interface, 8, "o%d.%u", object->owner, object->number);
    }
    reference->interface = (afar__session_span){ interface, strlen(interface) };
    payload->bytes[REFERENCES + payload->reference_count++] = label(object);
    return true;
}

void
sim_payload_make(struct sim_node *node, const struct sim_call *call, char part, uint32_t sequence,
                 struct sim_payload *ret_payload)
{
    struct sim_world *world = node->world;
    size_t room = node->world->nodes[1 - node->index].limits.message_bytes;
    size_t most = room < sizeof ret_payload->bytes ? room : sizeof ret_payload->bytes;

    ret_payload->reference_count = 0;
    ret_payload->length = 0;
    if (part == 'c' && sim_sends_stream(call, 0))
        return;
    memset(ret_payload->bytes + REFERENCES, 0, SIM_REFERENCES);
    while (sim_chance(world, 2) && ret_payload->reference_count < SIM_REFERENCES)
        if (!make_reference(node, ret_payload))
            break;
    ret_payload->length =
        HEAD + sim_below(world, sim_chance(world, 8) ? (unsigned)most - HEAD : 30);
    put32(ret_payload->bytes, call->number);
    put32(ret_payload->bytes + 4, sequence);
    ret_payload->bytes[8] = (uint8_t)part;
    ret_payload->bytes[9] = (uint8_t)ret_payload->reference_count;
    for (size_t i = HEAD; i < ret_payload->length; i++)
        ret_payload->bytes[i] = filling(call, sequence, i);
}

void
sim_payload_went(struct sim_node *node, const struct sim_payload *payload)
{
    for (unsigned i = 0; i < payload->reference_count; i++) {
        struct sim_object *object = payload->references[i].object;

        if (object && afar__session_exported(node->session, object) > 0)
            object->out = true; /* false again when that is told */
    }
}

/* One more reference to an object of the peer. */
static void
import_arrived(struct sim_node *node, const afar__session_reference *reference,
               struct sim_object *object)
{
    struct sim_world *world = node->world;
    struct sim_import *import = &node->imports[reference->import % SIM_IMPORTS];

    if (reference->import == 0 || reference->import >= SIM_IMPORTS ||
        (import->count > 0 && import->object != object)) {
        sim_wrong(world, "object %u of the peer arrives as import %u, which is another",
                  object->number, reference->import);
        return;
    }
    if (afar__session_import_user(node->session, reference->import) !=
        (import->count > 0 ? object : NULL))
        sim_wrong(world, "import %u has a stranger's pointer", reference->import);
    afar__session_set_import_user(node->session, reference->import, object);
    import->object = object;
    import->count++;
}

/* Is it the object that the sender meant? */
static void
reference_arrived(struct sim_node *node, const afar__session_reference *reference, uint8_t meant)
{
    struct sim_world *world = node->world;
    unsigned owner = meant / SIM_OBJECTS, number = meant % SIM_OBJECTS;
    afar__session_reference_kind kind = owner == 2                       ? AFAR__SESSION_THIRD
                                        : owner == (unsigned)node->index ? AFAR__SESSION_OURS
                                                                         : AFAR__SESSION_THEIRS;
    char interface[8] = "third";
    bool elsewhere;
    struct sim_object *object = owner < 2 ? &world->nodes[owner].objects[number] : NULL;

    if (object)
        snprintf(interface, sizeof interface, "o%u.%u", owner, number);
    if (owner > 2 || reference->kind != kind || reference->interface.length != strlen(interface) ||
        memcmp(reference->interface.data, interface, strlen(interface)) != 0) {
        sim_wrong(world, "object %s arrives as kind %d of %.*s", interface, (int)reference->kind,
                  (int)reference->interface.length, (const char *)reference->interface.data);
        return;
    }
    elsewhere =
        kind == AFAR__SESSION_THIRD || (kind == AFAR__SESSION_THEIRS && opens_elsewhere(object));
    if (reference->address.length != (elsewhere ? 14 : 0) ||
        reference->name.length != (elsewhere ? 5 : 0))
        sim_wrong(world, "object %s has another address", interface);
    if (kind == AFAR__SESSION_OURS && reference->object != object)
        sim_wrong(world, "object %s came home as another", interface);
    if (kind == AFAR__SESSION_THEIRS && object)
        import_arrived(node, reference, object);
}

void
sim_payload_arrived(struct sim_node *node, const struct sim_call *call, char part,
                    uint32_t sequence, const afar__session_event *event)
{
    const uint8_t *bytes = event->payload.data;
    size_t length = event->payload.length;
    bool empty = part == 'c' && sim_sends_stream(call, 0);

    if (empty && length == 0 && event->reference_count == 0)
        return;
    if (empty || length < HEAD || get32(bytes) != call->number || get32(bytes + 4) != sequence ||
        bytes[8] != (uint8_t)part || bytes[9] != event->reference_count) {
        sim_wrong(node->world, "call %u: %zu bytes arrive as part %c %u, which they are not",
                  call->number, length, part, sequence);
        return;
    }
    for (size_t i = 0; i < event->reference_count; i++)
        reference_arrived(node, &event->references[i], bytes[REFERENCES + i]);
    for (size_t i = HEAD; i < length; i++)
        if (bytes[i] != filling(call, sequence, i)) {
            sim_wrong(node->world, "call %u: byte %zu of part %c changed", call->number, i, part);
            return;
        }
}
