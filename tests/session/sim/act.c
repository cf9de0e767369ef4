/* What a node does by chance: calls, items, answers, cancels, releases; and how it finishes
 * what it has begun.  Acts are noted in the model before anyone can see them. */

#include <stdio.h>
#include <string.h>

#include "world.h"

static const char *const paths[SIM_METHODS] = { "/sim.Thing/Ask",  "/sim.Thing/Gather",
                                                "/sim.Thing/List", "/sim.Thing/Talk",
                                                "/sim.Other/Tell", "/sim.Other/AskToo" };

const char *
sim_method_path(unsigned method)
{
    return paths[method];
}

bool
sim_sends_stream(const struct sim_call *call, int direction)
{
    return call->method < 4 && (call->method >> direction & 1) != 0;
}

/* A call for which `fits` is true, from a random place on. */
static struct sim_call *
find(struct sim_node *node, bool (*fits)(const struct sim_node *, const struct sim_call *))
{
    struct sim_world *world = node->world;
    uint32_t first = world->call_count ? sim_below(world, world->call_count) : 0;

    for (uint32_t i = 0; i < world->call_count; i++) {
        struct sim_call *call = &world->calls[(first + i) % world->call_count];

        if (fits(node, call))
            return call;
    }
    return NULL;
}

static bool
is_ours(const struct sim_node *node, const struct sim_call *call)
{
    return call->caller == node->index;
}

static bool
is_open(const struct sim_node *node, const struct sim_call *call)
{
    return is_ours(node, call) && !call->returned;
}

static bool
takes_items(const struct sim_node *node, const struct sim_call *call)
{
    if (is_ours(node, call))
        return !call->returned && !call->ended && sim_sends_stream(call, 0);
    return call->begun && !call->replied && sim_sends_stream(call, 1);
}

static bool
may_end(const struct sim_node *node, const struct sim_call *call)
{
    return is_open(node, call) && !call->ended && sim_sends_stream(call, 0);
}

static bool
may_promise(const struct sim_node *node, const struct sim_call *call)
{
    return is_ours(node, call) && call->keep && !call->finished && !call->cancelled &&
           (!call->returned || call->code == AFAR_OK);
}

/* Before it has returned, or after success. */
static bool
may_finish(const struct sim_node *node, const struct sim_call *call)
{
    return is_ours(node, call) && call->keep && !call->finished &&
           (!call->returned || call->code == AFAR_OK);
}

static bool
must_finish(const struct sim_node *node, const struct sim_call *call)
{
    return may_finish(node, call) && call->returned && !node->over;
}

static bool
may_begin(const struct sim_node *node, const struct sim_call *call)
{
    return !is_ours(node, call) && call->called && !call->begun && !call->replied && !node->over;
}

static bool
must_reply(const struct sim_node *node, const struct sim_call *call)
{
    return !is_ours(node, call) && call->called && !call->replied;
}

uint32_t
sim_some_import(struct sim_node *node)
{
    uint32_t first = sim_below(node->world, SIM_IMPORTS);

    for (uint32_t i = 0; i < SIM_IMPORTS; i++)
        if (node->imports[(first + i) % SIM_IMPORTS].count > 0)
            return (first + i) % SIM_IMPORTS;
    return 0;
}

/* ---- calls ---- */

static bool
choose_target(struct sim_node *node, struct sim_call *call)
{
    struct sim_world *world = node->world;
    afar__session_target *target = &call->target;

    target->kind = (afar__session_target_kind)sim_below(world, 3);
    switch (target->kind) {
    case AFAR__SESSION_OBJECT:
        target->import = sim_some_import(node);
        if (target->import == 0)
            return false;
        call->object = node->imports[target->import].object;
        return true;
    case AFAR__SESSION_PROMISED:
        call->promising = find(node, may_promise);
        if (!call->promising)
            return false;
        call->path[0] = 1 + sim_below(world, 2);
        target->call = call->promising->question;
        target->path = call->path;
        target->path_length = 1;
        return true;
    default:
        snprintf(call->name, sizeof call->name, "%s", sim_chance(world, 3) ? "" : "n1");
        target->name = (afar__session_span){ call->name, strlen(call->name) };
        return true;
    }
}

static void
check_refusal(struct sim_node *node, const char *act, afar_code code)
{
    bool expected = code == AFAR_RESOURCE_EXHAUSTED ||
                    (code == AFAR_UNAVAILABLE && (!node->opened || !node->world->healthy));

    if (!expected)
        sim_wrong(node->world, "%s fails with %d", act, (int)code);
}

/* Says which call it is, at its begin and with its first answer. */
static afar__session_pair
metadata_of(const struct sim_call *call)
{
    return (afar__session_pair){ { "n", 1 }, { &call->number, sizeof call->number } };
}

static void
make_call(struct sim_node *node)
{
    struct sim_world *world = node->world;
    struct sim_call *call = &world->calls[world->call_count];
    struct sim_payload payload;
    uint64_t chain;
    afar__session_pair pair = metadata_of(call);
    afar__session_request request = { .user = call };
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;
    bool had_place;

    if (world->call_count == SIM_CALLS)
        return;
    memset(call, 0, sizeof *call);
    call->number = world->call_count + 1;
    call->caller = node->index;
    call->method = sim_below(world, SIM_METHODS);
    call->oneway = call->method == 4;
    call->keep = !call->oneway && sim_chance(world, 3);
    call->made = world->now;
    call->deadline = sim_chance(world, 2) ? INT64_MAX : world->now + 1 + sim_below(world, 1 << 30);
    if (!choose_target(node, call))
        return;
    sim_payload_make(node, call, 'c', 0, &payload);
    chain = call->number;
    request.target = call->target;
    request.method = paths[call->method];
    request.deadline = call->deadline;
    request.chain = &chain;
    request.chain_length = 1;
    request.metadata = &pair;
    request.metadata_count = 1;
    request.payload = (afar__session_span){ payload.bytes, payload.length };
    request.references = payload.references;
    request.reference_count = payload.reference_count;
    request.keep = call->keep;
    request.oneway = call->oneway;
    had_place = afar__session_can_call(node->session);
    code = afar__session_call(node->session, &request, &call->question, &err);
    if (code == AFAR_OK && !had_place)
        sim_wrong(world, "call %u is made where it has no place", call->number);
    if (code == AFAR_OK) {
        world->call_count++;
        sim_payload_went(node, &payload);
    } else {
        check_refusal(node, "a call", code);
    }
    afar_error_clear(&err);
}

static void
send_item(struct sim_node *node)
{
    struct sim_call *call = find(node, takes_items);
    int direction;
    struct sim_payload payload;
    afar__session_pair pair;
    afar__session_message message = { .initial = &pair, .initial_count = 1 };
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;
    bool ours;

    if (!call)
        return;
    pair = metadata_of(call);
    ours = is_ours(node, call);
    direction = ours ? 0 : 1;
    if (!sim_chance(node->world, 8) &&
        afar__session_stalled(node->session, ours ? call->question : call->answer))
        return;
    sim_payload_make(node, call, ours ? 'i' : 'o', call->sent[direction], &payload);
    message.payload = (afar__session_span){ payload.bytes, payload.length };
    message.references = payload.references;
    message.reference_count = payload.reference_count;
    code = afar__session_item(node->session, ours ? call->question : call->answer, &message, &err);
    if (code == AFAR_OK) {
        call->sent[direction]++;
        sim_payload_went(node, &payload);
    } else if (code != AFAR_CANCELLED ||
               (node->world->healthy && !call->cancelled && !call->finished)) {
        check_refusal(node, "an item", code);
    }
    afar_error_clear(&err);
}

static void
end_stream(struct sim_node *node)
{
    struct sim_call *call = find(node, may_end);

    if (!call)
        return;
    call->ended = true;
    afar__session_end(node->session, call->question);
}

/* The handle of a call that is over is that of the next one: a planted mistake. */
static void
cancel_another(struct sim_node *node, const struct sim_call *call)
{
    const struct sim_call *other = call->returned ? find(node, is_open) : NULL;

    if (other && plant_reuses_handle(&node->plant))
        afar__session_cancel(node->session, other->question);
}

/* Now and then of one that is over, which does nothing. */
static void
cancel(struct sim_node *node)
{
    struct sim_call *call = find(node, sim_chance(node->world, 4) ? is_ours : is_open);

    if (!call)
        return;
    cancel_another(node, call);
    call->cancelled = true;
    afar__session_cancel(node->session, call->question);
}

static void
finish_call(struct sim_node *node, struct sim_call *call)
{
    call->finished = true;
    afar__session_finish(node->session, call->question);
}

static void
finish(struct sim_node *node)
{
    struct sim_call *call = find(node, may_finish);

    if (call)
        finish_call(node, call);
}

/* ---- answers ---- */

static void
begin_call(struct sim_node *node, struct sim_call *call)
{
    if (call->returned && call->outcome == AFAR_OUTCOME_NOT_SENT)
        sim_wrong(node->world, "call %u begins after it was not sent", call->number);
    call->begun = true;
}

static void
begin(struct sim_node *node)
{
    struct sim_call *call = find(node, may_begin);

    if (call)
        begin_call(node, call);
}

static void
reply_to(struct sim_node *node, struct sim_call *call)
{
    struct sim_payload payload = { .length = 0 };
    afar__session_pair pair = metadata_of(call);
    afar__session_reply reply = { .code = AFAR_OK, .initial = &pair, .initial_count = 1 };
    afar_error err = AFAR_ERROR_INIT;

    if (!call->begun && !call->told_cancelled && !node->over && !sim_chance(node->world, 4))
        begin_call(node, call);
    if (!call->begun || sim_chance(node->world, 4)) {
        reply.code = call->told_cancelled ? AFAR_CANCELLED : AFAR_FAILED_PRECONDITION;
        reply.text = (afar__session_span){ "not today", 9 };
        reply.not_begun = !call->begun;
    } else if (!call->oneway) {
        sim_payload_make(node, call, 'r', 0, &payload);
        reply.payload = (afar__session_span){ payload.bytes, payload.length };
        reply.references = payload.references;
        reply.reference_count = payload.reference_count;
    }
    call->replied = true;
    call->reply_lost = node->over;
    call->reply_code = reply.code;
    if (afar__session_return(node->session, call->answer, &reply, &err) != reply.code &&
        err.code != AFAR_OK)
        call->reply_code = err.code;
    sim_payload_went(node, &payload);
    afar_error_clear(&err);
}

static void
answer(struct sim_node *node)
{
    struct sim_call *call = find(node, must_reply);

    if (call)
        reply_to(node, call);
}

/* ---- credit and references ---- */

static void
take_one(struct sim_node *node, unsigned which)
{
    struct sim_withheld taken = node->withheld[which];

    node->withheld[which] = node->withheld[--node->withheld_count];
    afar__session_taken(node->session, taken.call, taken.cost, taken.item);
}

static void
take(struct sim_node *node)
{
    if (node->withheld_count > 0)
        take_one(node, sim_below(node->world, node->withheld_count));
}

static void
release_some(struct sim_node *node, uint32_t import, uint32_t count)
{
    node->imports[import].count -= count;
    afar__session_release(node->session, import, count);
    if (node->imports[import].count == 0 &&
        afar__session_import_user(node->session, import) != NULL)
        sim_wrong(node->world, "import %u was released, and has a pointer", import);
}

static void
release(struct sim_node *node)
{
    uint32_t import = sim_some_import(node);
    uint32_t count = node->imports[import].count;

    if (import > 0)
        release_some(node, import,
                     sim_chance(node->world, 2) ? count : 1 + sim_below(node->world, count));
}

static void
sleep_for_a_while(struct sim_node *node)
{
    if (sim_chance(node->world, 4))
        node->asleep_until = node->world->now + 1000 * (int64_t)sim_below(node->world, 20000);
}

void
sim_act(struct sim_node *node)
{
    static void (*const acts[])(struct sim_node *) = {
        make_call,
        make_call,
        make_call,
        make_call,
        send_item,
        send_item,
        send_item,
        send_item,
        send_item,
        begin,
        begin,
        answer,
        answer,
        take,
        take,
        take,
        take,
        release,
        release,
        cancel,
        end_stream,
        finish,
        sleep_for_a_while,
    };

    acts[sim_below(node->world, sizeof acts / sizeof acts[0])](node);
}

bool
sim_finish(struct sim_node *node)
{
    struct sim_call *call;
    bool did = node->withheld_count > 0;

    while (node->withheld_count > 0)
        take(node);
    for (; (call = find(node, must_reply)) != NULL; did = true)
        reply_to(node, call);
    for (; (call = find(node, may_end)) != NULL; did = true) {
        call->ended = true;
        afar__session_end(node->session, call->question);
    }
    if (!node->world->giving_up)
        return did;
    for (; (call = find(node, must_finish)) != NULL; did = true)
        finish_call(node, call);
    for (uint32_t i = 1; i < SIM_IMPORTS; i++)
        if (node->imports[i].count > 0) {
            release_some(node, i, node->imports[i].count);
            did = true;
        }
    return did;
}
