/* One run.  First chaos: both nodes do as they like, while the wires delay.  Then an end, of
 * one of five kinds.  A healthy one goes on until nothing is left to do, gives all back,
 * and looks whether both sides are even and empty; then one side closes.  The others close
 * in the middle, or break something; then only what is told must be true. */

#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 20000 /* of one drain; a stall for ever takes all of them */

enum ending { END_HEALTHY, END_CLOSE, END_CUT, END_SILENT, END_TRUNCATED };

void
sim_wrong(struct sim_world *world, const char *format, ...)
{
    va_list list;

    if (world->wrong[0])
        return;
    va_start(list, format);
    vsnprintf(world->wrong, sizeof world->wrong, format, list);
    va_end(list);
}

unsigned
sim_below(struct sim_world *world, unsigned limit)
{
    return limit ? (unsigned)random_below(&world->random, limit) : 0;
}

bool
sim_chance(struct sim_world *world, unsigned one_in)
{
    return sim_below(world, one_in) == 0;
}

static bool
is_wrong(struct sim_world *world)
{
    if (world->tap.wrong[0] && (world->healthy || world->ending_in_order))
        sim_wrong(world, "%s", world->tap.wrong);
    return world->wrong[0] != '\0';
}

/* ---- one node and its wires ---- */

static void
drain_events(struct sim_node *node)
{
    afar__session_event event;

    while (afar__session_next(node->session, &event))
        if (!node->world->wrong[0])
            sim_event(node, &event);
    if (afar__session_held_bytes(node->session) > afar__session_most_bytes(&node->limits))
        sim_wrong(node->world, "side %d holds %zu bytes, and says at most %zu", node->index,
                  afar__session_held_bytes(node->session), afar__session_most_bytes(&node->limits));
}

/* Half a batch comes, and nothing more. */
static size_t
truncate(struct sim_node *node, size_t length)
{
    struct sim_world *world = node->world;

    if (!world->truncating || length < 2)
        return length;
    world->truncating = false;
    wire_cut(&world->nodes[0].wire, 0);
    wire_cut(&world->nodes[1].wire, 0);
    return 1 + sim_below(world, (unsigned)length - 1);
}

static bool
read_some(struct sim_node *node)
{
    struct sim_world *world = node->world;
    struct wire *wire = &world->nodes[1 - node->index].wire;
    size_t length = 0;
    uint8_t *data;

    if (world->now < node->asleep_until)
        return false;
    data = wire_take(wire, world->now / 1000, &length);
    if (!data)
        return false;
    afar__session_receive(node->session, data, truncate(node, length), world->now);
    drain_events(node);
    free(data);
    return true;
}

static bool
write_some(struct sim_node *node)
{
    uint8_t *data = NULL;
    size_t length = 0;

    if (!afar__session_wants_write(node->session))
        return false;
    if (!afar__session_take(node->session, node->world->now, &data, &length)) {
        sim_wrong(node->world, "a session that wants to write gives nothing");
        return false;
    }
    if (!wire_put(&node->wire, data, length, node->world->now / 1000))
        sim_wrong(node->world, "side %d writes what is no Batch, or not the shortest", node->index);
    free(data);
    return true;
}

static int64_t
tick(struct sim_node *node)
{
    int64_t next = afar__session_tick(node->session, node->world->now);

    drain_events(node);
    return next;
}

/* The stream ends for who reads when the other side is over and has written all. */
static bool
see_end(struct sim_node *node)
{
    struct sim_node *peer = &node->world->nodes[1 - node->index];

    if (node->over || !peer->over || peer->wire.first || afar__session_wants_write(peer->session))
        return false;
    afar__session_broken(node->session, "the stream ended");
    drain_events(node);
    return true;
}

/* ---- phases ---- */

static void
pass_time(struct sim_world *world, int64_t latest)
{
    int64_t next = latest;

    for (int i = 0; i < 2; i++) {
        struct sim_node *node = &world->nodes[i];
        int64_t arrives = wire_next(&world->nodes[1 - i].wire);

        if (arrives != INT64_MAX && arrives * 1000 < next)
            next = arrives * 1000;
        if (arrives != INT64_MAX && next < node->asleep_until && node->asleep_until < latest)
            next = node->asleep_until;
    }
    if (next != INT64_MAX && next > world->now)
        world->now = next;
}

static void
chaos(struct sim_world *world)
{
    unsigned steps = 20 + sim_below(world, sim_chance(world, 4) ? 2000 : 400);

    while (steps-- > 0 && !is_wrong(world)) {
        struct sim_node *node = &world->nodes[sim_below(world, 2)];

        switch (sim_below(world, 3 + world->pace)) {
        case 0:
            write_some(node);
            break;
        case 1:
            read_some(node);
            break;
        case 2:
            world->now += 1000 * (int64_t)sim_below(world, sim_chance(world, 16) ? 100000 : 2000);
            tick(node);
            break;
        default:
            if (node->opened)
                sim_act(node);
        }
        drain_events(node);
    }
}

/* All is finished that was begun, however long it takes; true if that comes to an end. */
static bool
drain(struct sim_world *world)
{
    for (unsigned round = 0; round < ROUNDS_MAX && !is_wrong(world); round++) {
        bool did = false;

        for (int i = 0; i < 2; i++) {
            struct sim_node *node = &world->nodes[i];

            did |= read_some(node);
            did |= sim_finish(node);
            drain_events(node);
            did |= write_some(node);
            did |= see_end(node);
        }
        if (did)
            continue;
        if (!world->nodes[0].wire.first && !world->nodes[1].wire.first)
            return true;
        pass_time(world, INT64_MAX);
    }
    return false;
}

/* Until the last event of both, as far as time alone leads there. */
static void
wait_for_over(struct sim_world *world)
{
    for (unsigned round = 0; round < 64 && !is_wrong(world); round++) {
        int64_t next = INT64_MAX;

        drain(world);
        for (int i = 0; i < 2; i++) {
            int64_t due = tick(&world->nodes[i]);

            if (due < next)
                next = due;
        }
        if (world->nodes[0].over && world->nodes[1].over) {
            drain(world);
            return;
        }
        if (next != INT64_MAX && next > world->now)
            world->now = next;
    }
    for (int i = 0; i < 2; i++)
        if (!world->nodes[i].over)
            sim_wrong(world, "side %d is not over", i);
}

/* ---- what must hold at the end ---- */

static void
check_returned(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->call_count; i++) {
        struct sim_call *call = &world->calls[i];

        if (!call->returned)
            sim_wrong(world, "call %u never returned", call->number);
        if (call->outcome == AFAR_OUTCOME_UNKNOWN && world->ending_in_order)
            sim_wrong(world, "call %u is unknown, and all ended in order", call->number);
        if (call->begun && call->outcome == AFAR_OUTCOME_NOT_SENT && call->code != AFAR_OK)
            sim_wrong(world, "call %u was not sent, and ran", call->number);
        if (call->called && !call->replied)
            sim_wrong(world, "call %u was called and not answered", call->number);
    }
}

/* Both ends have the same count of references, and so has the wire. */
static void
check_references(struct sim_world *world)
{
    for (int i = 0; i < 2; i++) {
        struct sim_node *owner = &world->nodes[i];
        struct sim_node *holder = &world->nodes[1 - i];
        uint64_t counts[SIM_OBJECTS] = { 0 };
        uint64_t all = 0;

        for (unsigned j = 1; j < SIM_IMPORTS; j++)
            if (holder->imports[j].count > 0) {
                counts[holder->imports[j].object->number] += holder->imports[j].count;
                all += holder->imports[j].count;
            }
        for (unsigned j = 0; j < SIM_OBJECTS; j++) {
            if (afar__session_exported(owner->session, &owner->objects[j]) != counts[j])
                sim_wrong(world, "object %u of side %d: the owner counts %u, the peer has %llu", j,
                          i, afar__session_exported(owner->session, &owner->objects[j]),
                          (unsigned long long)counts[j]);
            if (owner->objects[j].out != (counts[j] > 0))
                sim_wrong(world, "object %u of side %d: nobody said that it was released", j, i);
        }
        if (afar__session_count(owner->session).exported != all ||
            tap_references(&world->tap, i) != all)
            sim_wrong(world, "side %d: %zu references by its count, %llu by the wire's, %llu held",
                      i, afar__session_count(owner->session).exported,
                      (unsigned long long)tap_references(&world->tap, i), (unsigned long long)all);
    }
}

static void
check_empty(struct sim_world *world)
{
    for (int i = 0; i < 2; i++) {
        struct sim_node *node = &world->nodes[i];
        afar__session_counts counts = afar__session_count(node->session);

        if (counts.questions || counts.answers || counts.exports || counts.imports ||
            counts.exported || counts.held)
            sim_wrong(world,
                      "side %d is left with %zu questions, %zu answers, %zu exports, %zu imports, "
                      "%zu references, %zu held calls",
                      i, counts.questions, counts.answers, counts.exports, counts.imports,
                      counts.exported, counts.held);
        if (afar__session_waiting_bytes(node->session) > 0)
            sim_wrong(world, "side %d still has something to send", i);
        if (world->tap.sides[i].open > 0)
            sim_wrong(world, "side %d: ids of %u calls are not free", i, world->tap.sides[i].open);
    }
}

/* What was taken was given back, so that at most half a window is missing. */
static void
check_credit(struct sim_world *world)
{
    for (int i = 0; i < 2; i++) {
        const struct tap_side *side = &world->tap.sides[i];
        int64_t whole = world->tap.sides[1 - i].limits.session_bytes;

        if (world->nodes[i].opened && (side->credit > whole || side->credit < whole / 2))
            sim_wrong(world, "side %d has %lld of %lld bytes of credit, and all was taken", i,
                      (long long)side->credit, (long long)whole);
    }
}

/* Nothing happens for a while: both sides ask whether the other is there, and hear that it is. */
static void
idle(struct sim_world *world)
{
    for (unsigned round = 0; round < 6 && !is_wrong(world); round++) {
        int64_t next = INT64_MAX;

        for (int i = 0; i < 2; i++) {
            int64_t due = tick(&world->nodes[i]);

            next = due < next ? due : next;
        }
        drain(world);
        if (next != INT64_MAX && next > world->now)
            world->now = next;
    }
    drain(world);
    for (int i = 0; i < 2; i++)
        if (world->tap.sides[i].ping_open)
            sim_wrong(world, "side %d: a Ping that nobody answers", i);
}

static void
end_healthy(struct sim_world *world)
{
    if (!drain(world))
        sim_wrong(world, "it stalls for ever");
    check_returned(world);
    check_references(world);
    check_credit(world);
    idle(world);
    world->giving_up = true;
    if (!drain(world))
        sim_wrong(world, "it stalls for ever, giving back");
    check_references(world);
    check_empty(world);
}

static void
end(struct sim_world *world, enum ending ending)
{
    struct sim_node *node = &world->nodes[sim_below(world, 2)];

    if (ending == END_HEALTHY)
        end_healthy(world);
    if (is_wrong(world))
        return;
    world->healthy = false;
    world->giving_up = true;
    world->ending_in_order = ending == END_HEALTHY || ending == END_CLOSE;
    switch (ending) {
    case END_TRUNCATED:
        world->truncating = true;
        break;
    case END_CUT:
    case END_SILENT:
        wire_cut(&world->nodes[0].wire, sim_below(world, 8));
        wire_cut(&world->nodes[1].wire, sim_below(world, 8));
        if (ending == END_CUT)
            afar__session_broken(node->session, "cut");
        break;
    default:
        afar__session_close(node->session);
        if (sim_chance(world, 4))
            afar__session_close(world->nodes[1 - node->index].session);
    }
    drain_events(node);
    if (ending != END_HEALTHY && sim_chance(world, 2))
        chaos(world);
    wait_for_over(world);
    check_returned(world);
}

/* ---- one run ---- */

/* Small more often than not: limits are where mistakes show. */
static uint32_t
limit(struct sim_world *world, uint32_t least, uint32_t most)
{
    return sim_chance(world, 4) ? 0 : least + sim_below(world, most - least);
}

static void
open_node(struct sim_world *world, int index, enum plant_kind plant)
{
    struct sim_node *node = &world->nodes[index];
    afar__session_options options = { .now = world->now };

    node->world = world;
    node->index = index;
    options.limits.calls = limit(world, 1, 12);
    options.limits.references = limit(world, 2, 12);
    options.limits.message_bytes = 64 + sim_below(world, 2000);
    options.limits.window_bytes = limit(world, 1, 400);
    options.limits.session_bytes = limit(world, 1, 3000);
    options.limits.methods = limit(world, 1, SIM_METHODS + 1);
    options.limits.idle_ms = limit(world, 20, 100);
    node->limits = options.limits;
    options.instance[0] = (uint8_t)(index + 1);
    node->plant.kind = plant;
    node->plant.random = &world->random;
    node->wire = (struct wire){
        .random = &world->random, .tap = &world->tap, .plant = &node->plant, .from = index
    };
    node->wire.slowest_us = sim_chance(world, 3) ? 0 : 1 + sim_below(world, 4000);
    for (unsigned i = 0; i < SIM_OBJECTS; i++)
        node->objects[i] = (struct sim_object){ index, i, false };
    node->session = afar__session_open(&options);
    if (!node->session)
        abort();
}

bool
sim_run(uint64_t seed, enum plant_kind plant, char ret_wrong[320])
{
    static const enum ending endings[] = { END_HEALTHY, END_HEALTHY, END_HEALTHY,
                                           END_HEALTHY, END_CLOSE,   END_CLOSE,
                                           END_CUT,     END_SILENT,  END_TRUNCATED };
    struct sim_world *world = calloc(1, sizeof *world);
    bool held;

    if (!world)
        abort();
    world->seed = seed;
    world->random.state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (int i = 0; i < 8; i++)
        random_next(&world->random);
    world->now = 1000000000;
    world->healthy = true;
    world->pace = 1 + sim_below(world, 12);
    tap_open(&world->tap);
    open_node(world, 0, plant);
    open_node(world, 1, plant);
    chaos(world);
    end(world, endings[sim_below(world, sizeof endings / sizeof endings[0])]);
    held = !is_wrong(world);
    for (int i = 0; i < 2; i++) {
        afar__session_free(world->nodes[i].session);
        wire_close(&world->nodes[i].wire);
    }
    tap_close(&world->tap);
    memcpy(ret_wrong, world->wrong, sizeof world->wrong);
    free(world);
    return held;
}
