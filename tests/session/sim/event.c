/* What a node is told, held against what is true.  Runs while the session's queue of events
 * is emptied; nothing here acts on the session but for notes (users' pointers). */

#include <string.h>

#include "world.h"

static void
withhold(struct sim_node *node, const afar__session_event *event, bool item)
{
    if (node->withheld_count == SIM_WITHHELD) {
        sim_wrong(node->world, "more payloads than credit allows");
        return;
    }
    node->withheld[node->withheld_count++] =
        (struct sim_withheld){ event->call, event->cost, item };
}

/* Which call the peer means: it says so in the metadata. */
static struct sim_call *
call_meant(struct sim_node *node, const afar__session_event *event)
{
    uint32_t number = 0;

    if (event->metadata_count != 1 || event->metadata[0].key.length != 1 ||
        event->metadata[0].value.length != sizeof number)
        return NULL;
    memcpy(&number, event->metadata[0].value.data, sizeof number);
    if (number == 0 || number > node->world->call_count)
        return NULL;
    return &node->world->calls[number - 1];
}

static bool
same_target(const struct sim_call *one, const struct sim_call *other)
{
    if (one->caller != other->caller || one->target.kind != other->target.kind)
        return false;
    switch (one->target.kind) {
    case AFAR__SESSION_OBJECT:
        return one->object == other->object;
    case AFAR__SESSION_PROMISED:
        return one->promising == other->promising && one->path[0] == other->path[0];
    default:
        return strcmp(one->name, other->name) == 0;
    }
}

/* Initial metadata comes with the first message, or with the answer; what came after a cancel
 * nobody saw. */
static void
check_initial(struct sim_node *node, const struct sim_call *call, const afar__session_event *event)
{
    bool first = call->received[1] == 0;
    bool unsure = event->kind == AFAR__SESSION_RETURNED &&
                  (event->code != AFAR_OK || call->cancelled || call->finished);

    if (event->metadata_count > 0 ? !first || call_meant(node, event) != call : first && !unsure)
        sim_wrong(node->world, "call %u: %zu pairs of initial metadata with %s message",
                  call->number, event->metadata_count, first ? "the first" : "another");
}

/* Calls through one reference arrive in the order in which they were made. */
static void
check_order(struct sim_node *node, const struct sim_call *call)
{
    const struct sim_world *world = node->world;

    for (uint32_t i = call->number; i < world->call_count; i++)
        if (world->calls[i].called && same_target(call, &world->calls[i])) {
            sim_wrong(node->world, "call %u arrives behind call %u, which is younger", call->number,
                      world->calls[i].number);
            return;
        }
}

static void
check_target(struct sim_node *node, const struct sim_call *call, const afar__session_event *event)
{
    const afar__session_target *target = &event->target;
    bool same = target->kind == call->target.kind;

    if (same && target->kind == AFAR__SESSION_OBJECT)
        same = target->object == call->object;
    if (same && target->kind == AFAR__SESSION_PROMISED)
        same = target->call == call->promising->answer && event->target_user == call->promising &&
               target->path_length == 1 && target->path[0] == call->path[0] &&
               call->promising->replied && call->promising->reply_code == AFAR_OK &&
               !call->promising->told_finished;
    if (same && target->kind == AFAR__SESSION_NAMED)
        same = target->name.length == strlen(call->name) &&
               memcmp(target->name.data, call->name, target->name.length) == 0;
    if (!same)
        sim_wrong(node->world, "call %u arrives for another target", call->number);
}

static void
check_call(struct sim_node *node, const struct sim_call *call, const afar__session_event *event)
{
    const char *path = sim_method_path(call->method);
    int64_t late = event->deadline - call->deadline;

    if (call->caller == node->index || call->called)
        sim_wrong(node->world, "call %u arrives %s", call->number,
                  call->called ? "twice" : "at its caller");
    if (call->returned && call->code == AFAR_OK)
        sim_wrong(node->world, "call %u arrives after its success", call->number);
    if (event->method.length != strlen(path) ||
        memcmp(event->method.data, path, event->method.length) != 0)
        sim_wrong(node->world, "call %u arrives as %.*s", call->number, (int)event->method.length,
                  (const char *)event->method.data);
    if (event->keep != call->keep || event->oneway != call->oneway || event->chain_length != 1 ||
        event->chain[0] != call->number)
        sim_wrong(node->world, "call %u lost its chain or marks", call->number);
    if (call->deadline == INT64_MAX ? event->deadline != INT64_MAX
                                    : late < -1000 || late > node->world->now - call->made + 1000)
        sim_wrong(node->world, "call %u: the deadline moves by %lld ns", call->number,
                  (long long)late);
    check_target(node, call, event);
    check_order(node, call);
}

static void
on_called(struct sim_node *node, const afar__session_event *event)
{
    struct sim_call *call = call_meant(node, event);

    if (!call) {
        sim_wrong(node->world, "a call arrives that nobody made");
        return;
    }
    check_call(node, call, event);
    sim_payload_arrived(node, call, 'c', 0, event);
    call->called = true;
    call->answer = event->call;
    afar__session_set_user(node->session, event->call, call);
    withhold(node, event, false);
}

static void
on_item(struct sim_node *node, const afar__session_event *event)
{
    struct sim_call *call = event->user;
    bool to_caller = call->caller == node->index;
    bool over = to_caller ? call->returned || call->cancelled || call->finished
                          : call->replied || call->told_ended || call->told_cancelled;

    withhold(node, event, true);
    if (event->ours != to_caller || over)
        sim_wrong(node->world, "call %u: an item after the end", call->number);
    if (call->received[to_caller] >= call->sent[to_caller])
        sim_wrong(node->world, "call %u: an item that nobody sent", call->number);
    if (to_caller)
        check_initial(node, call, event);
    else if (event->metadata_count > 0)
        sim_wrong(node->world, "call %u: metadata with an item of its caller", call->number);
    sim_payload_arrived(node, call, to_caller ? 'o' : 'i', call->received[to_caller]++, event);
}

static void
on_ended(struct sim_node *node, const afar__session_event *event)
{
    struct sim_call *call = event->user;

    if (!call->ended || call->told_ended || call->replied)
        sim_wrong(node->world, "call %u ends twice, or never did", call->number);
    if (call->received[0] != call->sent[0])
        sim_wrong(node->world, "call %u ends after %u of %u items", call->number, call->received[0],
                  call->sent[0]);
    call->told_ended = true;
}

static void
on_cancelled(struct sim_node *node, const afar__session_event *event)
{
    struct sim_call *call = event->user;

    if (call->told_cancelled || call->replied)
        sim_wrong(node->world, "call %u is cancelled twice, or after its answer", call->number);
    if (node->world->healthy && !call->cancelled && !call->finished)
        sim_wrong(node->world, "call %u is cancelled by nobody", call->number);
    call->told_cancelled = true;
}

static void
on_finished(struct sim_node *node, const afar__session_event *event)
{
    struct sim_call *call = event->user;

    if (!call->keep || !call->replied || call->reply_code != AFAR_OK || call->told_finished)
        sim_wrong(node->world, "call %u is finished twice, or was not kept", call->number);
    if (node->world->healthy && !call->finished)
        sim_wrong(node->world, "call %u is finished by nobody", call->number);
    call->told_finished = true;
}

/* Success is the answer that was given, and all before it. */
static void
check_success(struct sim_node *node, const struct sim_call *call, const afar__session_event *event)
{
    if (!call->replied || call->reply_code != AFAR_OK || call->reply_lost)
        sim_wrong(node->world, "call %u succeeds, and nobody said so", call->number);
    if (event->outcome != AFAR_OUTCOME_ANSWERED || !event->remote)
        sim_wrong(node->world, "call %u succeeds by itself", call->number);
    if (!call->cancelled && !call->finished && call->received[1] != call->sent[1])
        sim_wrong(node->world, "call %u succeeds after %u of %u items", call->number,
                  call->received[1], call->sent[1]);
    if (call->oneway ? event->payload.length > 0 : true) {
        if (call->oneway)
            sim_wrong(node->world, "call %u is oneway, and has a reply", call->number);
        else
            sim_payload_arrived((struct sim_node *)node, call, 'r', 0, event);
    }
}

static void
check_failure(struct sim_node *node, const struct sim_call *call, const afar__session_event *event)
{
    struct sim_world *world = node->world;

    if (event->reference_count > 0 || event->payload.length > 0)
        sim_wrong(world, "call %u fails, and has a reply", call->number);
    if (event->outcome == AFAR_OUTCOME_NOT_SENT && call->begun)
        sim_wrong(world, "call %u was not sent, and ran", call->number);
    if (event->outcome == AFAR_OUTCOME_ANSWERED && call->called &&
        (!call->replied || call->reply_code != event->code || call->reply_lost))
        sim_wrong(world, "call %u is answered with %d, and nobody said so", call->number,
                  (int)event->code);
    if (event->outcome == AFAR_OUTCOME_UNKNOWN && world->healthy)
        sim_wrong(world, "call %u is unknown, and nothing was lost", call->number);
    if (event->outcome == AFAR_OUTCOME_UNKNOWN && event->remote)
        sim_wrong(world, "call %u is unknown, and was answered", call->number);
}

static void
on_returned(struct sim_node *node, const afar__session_event *event)
{
    struct sim_call *call = event->user;

    if (call->caller != node->index || call->question != event->call || call->returned)
        sim_wrong(node->world, "call %u returns twice, or to another", call->number);
    check_initial(node, call, event);
    if (event->code == AFAR_OK)
        check_success(node, call, event);
    else
        check_failure(node, call, event);
    call->returned = true;
    call->code = event->code;
    call->outcome = event->outcome;
}

static void
on_released(struct sim_node *node, const afar__session_event *event)
{
    struct sim_object *object = event->object;

    if (object->owner != node->index || !object->out)
        sim_wrong(node->world, "object %u is released twice", object->number);
    object->out = false;
}

/* All was told before: calls returned, objects released. */
static void
on_over(struct sim_node *node, const afar__session_event *event)
{
    struct sim_world *world = node->world;

    node->over = true;
    node->reason = event->reason;
    for (uint32_t i = 0; i < world->call_count; i++)
        if (world->calls[i].caller == node->index && world->calls[i].question != 0 &&
            !world->calls[i].returned)
            sim_wrong(world, "the session is over, and call %u did not return", i + 1);
    for (unsigned i = 0; i < SIM_OBJECTS; i++)
        if (node->objects[i].out)
            sim_wrong(world, "the session is over, and object %u was not released", i);
    memset(node->imports, 0, sizeof node->imports);
    if (world->healthy)
        sim_wrong(world, "a healthy session ends: reason %d, %.*s", (int)event->reason,
                  (int)event->text.length, (const char *)event->text.data);
}

static void
check_user(struct sim_node *node, const afar__session_event *event)
{
    const struct sim_call *call = event->user;
    bool about_call =
        event->kind == AFAR__SESSION_ITEM || event->kind == AFAR__SESSION_ENDED ||
        event->kind == AFAR__SESSION_CANCELLED || event->kind == AFAR__SESSION_FINISHED ||
        event->kind == AFAR__SESSION_RETURNED || event->kind == AFAR__SESSION_WRITABLE;

    if (about_call &&
        (!call || (call->caller == node->index ? call->question : call->answer) != event->call))
        sim_wrong(node->world, "event %d is about another call", (int)event->kind);
    if (node->over)
        sim_wrong(node->world, "event %d after the last", (int)event->kind);
}

void
sim_event(struct sim_node *node, const afar__session_event *event)
{
    static void (*const handlers[])(struct sim_node *, const afar__session_event *) = {
        [AFAR__SESSION_CALLED] = on_called,     [AFAR__SESSION_ITEM] = on_item,
        [AFAR__SESSION_ENDED] = on_ended,       [AFAR__SESSION_CANCELLED] = on_cancelled,
        [AFAR__SESSION_FINISHED] = on_finished, [AFAR__SESSION_RETURNED] = on_returned,
        [AFAR__SESSION_RELEASED] = on_released, [AFAR__SESSION_OVER] = on_over,
    };

    check_user(node, event);
    if (node->world->wrong[0])
        return;
    if (event->kind == AFAR__SESSION_OPENED) {
        if (node->opened)
            sim_wrong(node->world, "opened twice");
        node->opened = true;
    } else if (event->kind < sizeof handlers / sizeof handlers[0] && handlers[event->kind]) {
        handlers[event->kind](node, event);
    }
}
