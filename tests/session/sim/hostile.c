/* What hostile.h says.  The peer knows which ids are in use, because a peer that breaks a rule at
 * once sees little of the code: one frame in `rudeness` is chosen without that knowledge. */

#include "hostile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/session.pb-c.h>

#include "runtime/session/session.h"
#include "tests/runtime/random.h"

#define FRAME(kind) AFAR__SESSION__V1__FRAME__KIND_##kind
#define COST(message) ((int64_t)protobuf_c_message_get_packed_size(&(message)->base) + 64)
#define FRAMES 300
#define IDS 8
#define OPEN_MAX 1024 /* calls that the owner has to answer */
#define WAITING_MAX 65536

typedef Afar__Session__V1__Frame frame;

struct hostile {
    struct random random;
    afar__arena *arena; /* of the frame that is made */
    afar__session *session;
    afar__session_limits limits;
    int64_t now;
    unsigned rudeness;

    /* What the peer knows. */
    uint32_t methods;
    bool in_use[IDS + 1]; /* its own calls */
    bool kept[IDS + 1];
    bool asked[IDS + 1];         /* ours, which it may answer */
    bool ended[IDS + 1];         /* its own, to which it sends no more Items */
    bool said[IDS + 1];          /* ours: it sent an Item to the caller */
    int64_t credit;              /* of the session */
    int64_t windows[2][IDS + 1]; /* Items of its calls, and of ours */
    uint64_t ping;
    bool ping_open;

    /* What the owner knows. */
    bool leaving; /* breaks the stream */
    bool passive; /* makes no calls: all memory is the peer's doing */
    afar__session_id open[OPEN_MAX];
    unsigned open_count;
    unsigned questions; /* ours without answer */
    int object;
    bool out, opened, over, remote, goodbye;
    char wrong[320];
};

__attribute__((format(printf, 2, 3))) static void
wrong(struct hostile *hostile, const char *format, ...)
{
    va_list list;

    if (hostile->wrong[0])
        return;
    va_start(list, format);
    vsnprintf(hostile->wrong, sizeof hostile->wrong, format, list);
    va_end(list);
}

static uint32_t
below(struct hostile *hostile, uint32_t limit)
{
    return (uint32_t)random_below(&hostile->random, limit);
}

static bool
is_rude(struct hostile *hostile)
{
    return below(hostile, hostile->rudeness) == 0;
}

static void *
alloc(struct hostile *hostile, size_t size)
{
    void *piece = afar__arena_zalloc(hostile->arena, size);

    if (!piece)
        abort();
    return piece;
}

/* A message of the frame, as protobuf-c begins it. */
#define MAKE(hostile, type, init)                                                                  \
    ((Afar__Session__V1__##type *)memcpy(                                                          \
        alloc(hostile, sizeof(Afar__Session__V1__##type)),                                         \
        &(Afar__Session__V1__##type)AFAR__SESSION__V1__##init##__INIT,                             \
        sizeof(Afar__Session__V1__##type)))

/* An id from 1 on of which `set` has what is wanted. */
static uint32_t
choose(struct hostile *hostile, const bool *set, bool wanted)
{
    uint32_t first = below(hostile, IDS);

    if (is_rude(hostile))
        return below(hostile, 2) ? below(hostile, IDS + 4)
                                 : (uint32_t)random_next(&hostile->random);
    for (uint32_t i = 0; i < IDS; i++)
        if (set[1 + (first + i) % IDS] == wanted)
            return 1 + (first + i) % IDS;
    return 0;
}

static ProtobufCBinaryData
payload(struct hostile *hostile)
{
    uint32_t most = hostile->limits.message_bytes + (is_rude(hostile) ? 1 : 0);
    size_t length = below(hostile, below(hostile, 16) ? 40 : 6000) % (most + 1);

    return (ProtobufCBinaryData){ length, alloc(hostile, length + 1) };
}

static size_t
references(struct hostile *hostile, Afar__Session__V1__Reference ***ret_list)
{
    size_t count = below(hostile, 3) ? 0 : below(hostile, 5);

    *ret_list = alloc(hostile, 5 * sizeof **ret_list);
    for (size_t i = 0; i < count; i++) {
        Afar__Session__V1__Reference *reference = MAKE(hostile, Reference, REFERENCE);

        (*ret_list)[i] = reference;
        if (below(hostile, 4)) {
            reference->kind_case = AFAR__SESSION__V1__REFERENCE__KIND_HOSTED;
            reference->hosted = MAKE(hostile, Hosted, HOSTED);
            reference->hosted->id = (is_rude(hostile) ? 0 : 1) + below(hostile, IDS);
        } else if (hostile->out) {
            reference->kind_case = AFAR__SESSION__V1__REFERENCE__KIND_YOURS;
            reference->yours = 1;
        } else {
            reference->kind_case = AFAR__SESSION__V1__REFERENCE__KIND_ADDRESS;
            reference->address = MAKE(hostile, Address, ADDRESS);
        }
    }
    return count;
}

/* ---- frames ---- */

static bool
make_method(struct hostile *hostile, frame *made)
{
    if (hostile->methods == hostile->limits.methods && !is_rude(hostile))
        return false;
    made->kind_case = FRAME(METHOD);
    made->method = MAKE(hostile, Method, METHOD);
    made->method->number = is_rude(hostile) ? below(hostile, 20) : ++hostile->methods;
    made->method->path = alloc(hostile, 600);
    memset(made->method->path, 'm', is_rude(hostile) ? 599 : 1 + below(hostile, 40));
    return true;
}

static void
make_target(struct hostile *hostile, Afar__Session__V1__Target *target)
{
    if (below(hostile, 3) == 0) {
        target->kind_case = AFAR__SESSION__V1__TARGET__KIND_NAME;
        target->name = alloc(hostile, 2);
    } else if (hostile->out || is_rude(hostile)) {
        target->kind_case = AFAR__SESSION__V1__TARGET__KIND_EXPORT;
        target->export_ = 1;
    } else if (choose(hostile, hostile->kept, true) != 0) {
        target->kind_case = AFAR__SESSION__V1__TARGET__KIND_PROMISED;
        target->promised = MAKE(hostile, Promised, PROMISED);
        target->promised->call = choose(hostile, hostile->kept, true);
        target->promised->n_path = below(hostile, is_rude(hostile) ? 20 : 3);
        target->promised->path = alloc(hostile, 20 * sizeof(uint32_t));
    } else {
        target->kind_case = AFAR__SESSION__V1__TARGET__KIND_NAME;
        target->name = alloc(hostile, 2);
    }
}

static bool
make_call(struct hostile *hostile, frame *made)
{
    Afar__Session__V1__Call *call = MAKE(hostile, Call, CALL);

    if (hostile->methods == 0)
        return make_method(hostile, made);
    if (hostile->credit <= 0 && !is_rude(hostile))
        return false;
    made->kind_case = FRAME(CALL);
    made->call = call;
    call->id = choose(hostile, hostile->in_use, false);
    if (call->id == 0 && !is_rude(hostile))
        return false;
    call->method = is_rude(hostile) ? below(hostile, 20) : 1 + below(hostile, hostile->methods);
    call->timeout_us = below(hostile, 2) ? random_next(&hostile->random) : 0;
    call->n_chain = below(hostile, is_rude(hostile) ? 40 : 4);
    call->chain = alloc(hostile, 40 * sizeof(uint64_t));
    call->target = MAKE(hostile, Target, TARGET);
    make_target(hostile, call->target);
    call->payload = payload(hostile);
    call->n_references = references(hostile, &call->references);
    call->keep = below(hostile, 2) != 0;
    call->oneway = below(hostile, 8) == 0;
    return true;
}

/* Initial metadata, where it may be. */
static size_t
initial(struct hostile *hostile, bool allowed, Afar__Session__V1__Pair ***ret_list)
{
    if (below(hostile, 4) || !(allowed || is_rude(hostile)))
        return 0;
    *ret_list = alloc(hostile, sizeof **ret_list);
    **ret_list = MAKE(hostile, Pair, PAIR);
    return 1;
}

static bool
make_return(struct hostile *hostile, frame *made)
{
    Afar__Session__V1__Return *answer = MAKE(hostile, Return, RETURN);

    answer->call = choose(hostile, hostile->asked, true);
    if (answer->call == 0 && !is_rude(hostile))
        return false;
    made->kind_case = FRAME(RETURN);
    made->return_ = answer;
    answer->code = below(hostile, 3) ? 0 : below(hostile, 120);
    answer->not_begun = answer->code != 0 && below(hostile, 2);
    if (answer->code == 0) {
        answer->payload = payload(hostile);
        answer->n_references = references(hostile, &answer->references);
    }
    answer->n_initial =
        initial(hostile, answer->call >= 1 && answer->call <= IDS && !hostile->said[answer->call],
                &answer->initial);
    if (answer->call >= 1 && answer->call <= IDS)
        hostile->asked[answer->call] = false;
    return true;
}

static bool
make_item(struct hostile *hostile, frame *made)
{
    Afar__Session__V1__Item *item = MAKE(hostile, Item, ITEM);
    bool fits;

    made->kind_case = FRAME(ITEM);
    made->item = item;
    item->to_caller = below(hostile, 2) != 0;
    item->call = choose(hostile, item->to_caller ? hostile->asked : hostile->in_use, true);
    item->payload = payload(hostile);
    item->n_references = references(hostile, &item->references);
    item->n_initial = initial(hostile,
                              item->to_caller && item->call >= 1 && item->call <= IDS &&
                                  !hostile->said[item->call],
                              &item->initial);
    fits = hostile->credit > 0 && item->call >= 1 && item->call <= IDS &&
           hostile->windows[item->to_caller != 0][item->call] > 0 &&
           (item->to_caller || !hostile->ended[item->call]);
    return fits || is_rude(hostile);
}

/* Frames that have little in them. */
static bool
make_small(struct hostile *hostile, frame *made)
{
    uint32_t id = choose(hostile, hostile->in_use, true);

    switch (below(hostile, 7)) {
    case 0:
        made->kind_case = FRAME(CANCEL);
        made->cancel = MAKE(hostile, Cancel, CANCEL);
        made->cancel->call = id;
        return id != 0;
    case 1:
        made->kind_case = FRAME(FINISH);
        made->finish = MAKE(hostile, Finish, FINISH);
        made->finish->call = choose(hostile, hostile->kept, true);
        if (made->finish->call <= IDS)
            hostile->kept[made->finish->call] = false;
        return made->finish->call != 0;
    case 2:
        made->kind_case = FRAME(END);
        made->end = MAKE(hostile, End, END);
        made->end->call = id;
        return id != 0 && below(hostile, 4) == 0 && (id > IDS || !hostile->ended[id]);
    case 3:
        made->kind_case = FRAME(RELEASE);
        made->release = MAKE(hostile, Release, RELEASE);
        made->release->export_ = 1;
        made->release->count = 1;
        return hostile->out || is_rude(hostile);
    case 4:
        made->kind_case = FRAME(CREDIT);
        made->credit = MAKE(hostile, Credit, CREDIT);
        made->credit->call = below(hostile, 2) ? 0 : choose(hostile, hostile->asked, true);
        made->credit->bytes =
            is_rude(hostile) ? (uint32_t)random_next(&hostile->random) : below(hostile, 500);
        return true;
    case 5:
        made->kind_case = FRAME(PING);
        made->ping = MAKE(hostile, Ping, PING);
        made->ping->number = ++hostile->ping;
        return !hostile->ping_open || is_rude(hostile);
    default:
        made->may_ignore = below(hostile, 2) != 0;
        return true;
    }
}

static bool
make_rude(struct hostile *hostile, frame *made)
{
    const frame *any = (const frame *)random_message(
        &hostile->random, &afar__session__v1__frame__descriptor, 4, hostile->arena);

    *made = *any;
    return true;
}

static bool
make_frame(struct hostile *hostile, frame *made)
{
    static bool (*const makers[])(struct hostile *, frame *) = {
        make_call, make_call, make_call,  make_return, make_return, make_item,
        make_item, make_item, make_small, make_small,  make_small,  make_method,
    };

    if (is_rude(hostile) && is_rude(hostile))
        return make_rude(hostile, made);
    return makers[below(hostile, sizeof makers / sizeof makers[0])](hostile, made);
}

/* ---- the owner of the session ---- */

/* The object is out until the session says that it is not. */
static void
note_out(struct hostile *hostile)
{
    if (afar__session_exported(hostile->session, &hostile->object) > 0)
        hostile->out = true;
}

static void
reply_to(struct hostile *hostile, unsigned which)
{
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &hostile->object };
    afar__session_reply reply = { .code = AFAR_OK };

    if (below(hostile, 4) == 0) {
        reply.code = AFAR_ABORTED;
        reply.not_begun = below(hostile, 2) != 0;
    } else if (!hostile->passive) {
        reply.references = &reference;
        reply.reference_count = 1;
    }
    afar__session_return(hostile->session, hostile->open[which], &reply, NULL);
    note_out(hostile);
    hostile->open[which] = hostile->open[--hostile->open_count];
}

static void
ask(struct hostile *hostile)
{
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &hostile->object };
    afar__session_request request = { .method = "/a.B/C", .deadline = INT64_MAX };
    afar__session_message message = { .payload = { "item", 4 } };
    afar__session_id call = 0;

    request.target.kind = AFAR__SESSION_NAMED;
    request.references = &reference;
    request.reference_count = below(hostile, 2);
    request.keep = below(hostile, 2) != 0;
    request.user = hostile;
    if (afar__session_call(hostile->session, &request, &call, NULL) != AFAR_OK)
        return;
    hostile->questions++;
    note_out(hostile);
    if (below(hostile, 4) == 0)
        afar__session_cancel(hostile->session, call);
    if (below(hostile, 2) == 0)
        (void)!afar__session_item(hostile->session, call, &message, NULL);
}

static void
on_returned(struct hostile *hostile, const afar__session_event *event)
{
    if (hostile->questions-- == 0 || event->user != hostile)
        wrong(hostile, "a call returns that is not open");
    if (event->code == AFAR_OK && event->keep && below(hostile, 2))
        afar__session_finish(hostile->session, event->call);
}

/* What a peer does wrong ends in one of these ways. */
static void
on_over(struct hostile *hostile, const afar__session_event *event)
{
    bool fits = event->remote || hostile->leaving || event->reason == AFAR__SESSION_PROTOCOL ||
                event->reason == AFAR__SESSION_LIMIT ||
                (event->reason == AFAR__SESSION_VERSION && !hostile->opened);

    if (!fits || (event->text.length == 0 && !event->remote))
        wrong(hostile, "the session ends with %d: %.*s", (int)event->reason,
              (int)event->text.length, (const char *)event->text.data);
    hostile->over = true;
    hostile->remote = event->remote;
}

static void
act_on(struct hostile *hostile, const afar__session_event *event)
{
    if (hostile->over)
        wrong(hostile, "event %d after the last", (int)event->kind);
    for (size_t i = 0; i < event->reference_count; i++)
        if (event->references[i].kind == AFAR__SESSION_THEIRS && below(hostile, 2))
            afar__session_release(hostile->session, event->references[i].import, 1);
    if (event->kind == AFAR__SESSION_OPENED)
        hostile->opened = true;
    if (event->kind == AFAR__SESSION_CALLED) {
        if (hostile->open_count == OPEN_MAX || hostile->open_count == hostile->limits.calls)
            wrong(hostile, "more calls than the limit");
        else
            hostile->open[hostile->open_count++] = event->call;
    }
    if (event->kind == AFAR__SESSION_CALLED || event->kind == AFAR__SESSION_ITEM)
        afar__session_taken(hostile->session, event->call, event->cost,
                            event->kind == AFAR__SESSION_ITEM);
    if (event->kind == AFAR__SESSION_RETURNED)
        on_returned(hostile, event);
    if (event->kind == AFAR__SESSION_RELEASED) {
        if (event->object != &hostile->object || !hostile->out)
            wrong(hostile, "an object is released that was not out");
        hostile->out = false;
    }
    if (event->kind == AFAR__SESSION_OVER)
        on_over(hostile, event);
}

static void
drain(struct hostile *hostile)
{
    afar__session_event event;

    while (!hostile->wrong[0] && afar__session_next(hostile->session, &event))
        act_on(hostile, &event);
}

/* ---- what the session sends ---- */

static void
learn(struct hostile *hostile, const frame *sent)
{
    if (hostile->goodbye && sent->kind_case != FRAME(GOODBYE) && hostile->over)
        return;
    if (sent->kind_case == FRAME(RETURN)) {
        if (sent->return_->call <= IDS && !hostile->in_use[sent->return_->call])
            wrong(hostile, "a Return for call %u, which is not open", sent->return_->call);
        if (sent->return_->call <= IDS && !hostile->kept[sent->return_->call])
            hostile->in_use[sent->return_->call] = false;
    }
    if (sent->kind_case == FRAME(CALL) && sent->call->id <= IDS) {
        hostile->asked[sent->call->id] = true;
        hostile->said[sent->call->id] = false;
        hostile->windows[1][sent->call->id] = hostile->limits.window_bytes;
    }
    if (sent->kind_case == FRAME(CREDIT) && sent->credit->call == 0)
        hostile->credit += sent->credit->bytes;
    else if (sent->kind_case == FRAME(CREDIT) && sent->credit->call <= IDS)
        hostile->windows[sent->credit->to_caller != 0][sent->credit->call] += sent->credit->bytes;
    if (sent->kind_case == FRAME(PONG))
        hostile->ping_open = false;
    hostile->goodbye |= sent->kind_case == FRAME(GOODBYE);
}

static void
write_all(struct hostile *hostile)
{
    uint8_t *data;
    size_t length;

    while (afar__session_take(hostile->session, hostile->now, &data, &length)) {
        Afar__Session__V1__Batch *batch = afar__session__v1__batch__unpack(NULL, length, data);

        if (!batch)
            wrong(hostile, "the session writes what is no Batch");
        for (size_t i = 0; batch && i < batch->n_frames; i++)
            learn(hostile, batch->frames[i]);
        afar__session__v1__batch__free_unpacked(batch, NULL);
        free(data);
    }
}

/* What a peer notes of a frame that it sends. */
static void
note_sent(struct hostile *hostile, const frame *sent)
{
    if (sent->kind_case == FRAME(CALL)) {
        hostile->credit -= COST(sent->call);
        if (sent->call->id == 0 || sent->call->id > IDS)
            return;
        hostile->in_use[sent->call->id] = true;
        hostile->kept[sent->call->id] = sent->call->keep;
        hostile->ended[sent->call->id] = false;
        hostile->windows[0][sent->call->id] = hostile->limits.window_bytes;
    } else if (sent->kind_case == FRAME(ITEM)) {
        hostile->credit -= COST(sent->item);
        if (sent->item->call <= IDS) {
            hostile->windows[sent->item->to_caller != 0][sent->item->call] -= COST(sent->item);
            hostile->said[sent->item->call] |= sent->item->to_caller != 0;
        }
    } else if (sent->kind_case == FRAME(END) && sent->end->call <= IDS) {
        hostile->ended[sent->end->call] = true;
    } else if (sent->kind_case == FRAME(PING)) {
        hostile->ping_open = true;
    }
}

/* As it is sent, changed or not. */
static void
note_batch(struct hostile *hostile, const uint8_t *data, size_t length)
{
    Afar__Session__V1__Batch *batch = afar__session__v1__batch__unpack(NULL, length, data);

    for (size_t i = 0; batch && i < batch->n_frames; i++)
        note_sent(hostile, batch->frames[i]);
    afar__session__v1__batch__free_unpacked(batch, NULL);
}

static void
send(struct hostile *hostile, frame *made)
{
    frame *frames[1] = { made };
    Afar__Session__V1__Batch batch = AFAR__SESSION__V1__BATCH__INIT;
    size_t length;
    uint8_t *data;

    batch.n_frames = 1;
    batch.frames = frames;
    length = afar__session__v1__batch__get_packed_size(&batch);
    data = malloc(length + 1); /* so that one byte beyond it is seen */
    if (!data)
        abort();
    afar__session__v1__batch__pack(&batch, data);
    if (is_rude(hostile) && is_rude(hostile) && length > 0)
        data[below(hostile, (uint32_t)length)] ^= (uint8_t)(1 << below(hostile, 8));
    note_batch(hostile, data, length);
    afar__session_receive(hostile->session, data, length, hostile->now);
    drain(hostile);
    free(data);
}

static void
say_hello(struct hostile *hostile)
{
    frame made = AFAR__SESSION__V1__FRAME__INIT;

    made.kind_case = FRAME(HELLO);
    made.hello = MAKE(hostile, Hello, HELLO);
    made.hello->lowest = is_rude(hostile) ? below(hostile, 3) : 1;
    made.hello->highest = is_rude(hostile) ? below(hostile, 3) : 1;
    made.hello->instance = (ProtobufCBinaryData){ 16, alloc(hostile, 16) };
    made.hello->limits = MAKE(hostile, Limits, LIMITS);
    made.hello->limits->calls = IDS;
    made.hello->limits->window_bytes = below(hostile, 300);
    made.hello->limits->references = below(hostile, 4);
    send(hostile, &made);
}

static void
check_memory(struct hostile *hostile)
{
    size_t held = afar__session_held_bytes(hostile->session);
    size_t most = afar__session_most_bytes(&hostile->limits);

    if (hostile->passive && afar__session_waiting_bytes(hostile->session) == 0 && held > most)
        wrong(hostile, "the session holds %zu bytes, and says at most %zu", held, most);
}

static void
step(struct hostile *hostile)
{
    frame made = AFAR__SESSION__V1__FRAME__INIT;

    if (make_frame(hostile, &made))
        send(hostile, &made);
    afar__arena_reset(hostile->arena);
    if (!hostile->passive && hostile->opened && below(hostile, 4) == 0)
        ask(hostile);
    if (hostile->open_count > 0 && below(hostile, 2))
        reply_to(hostile, below(hostile, hostile->open_count));
    drain(hostile);
    hostile->now += below(hostile, 1000000);
    afar__session_tick(hostile->session, hostile->now);
    drain(hostile);
    if (below(hostile, 2) || afar__session_waiting_bytes(hostile->session) > WAITING_MAX)
        write_all(hostile);
    check_memory(hostile);
}

static void
finish(struct hostile *hostile)
{
    bool by_itself = hostile->over && !hostile->remote;

    write_all(hostile);
    hostile->leaving = true;
    afar__session_broken(hostile->session, "the peer is gone");
    drain(hostile);
    while (hostile->open_count > 0)
        reply_to(hostile, 0);
    drain(hostile);
    write_all(hostile);
    if (!hostile->over || hostile->questions > 0 || hostile->out)
        wrong(hostile, "not all was told before the end");
    if (by_itself && !hostile->goodbye)
        wrong(hostile, "the session ended without Goodbye");
}

bool
hostile_run(uint64_t seed, char ret_wrong[320])
{
    struct hostile hostile = { .now = 1 };
    afar__session_options options = { .now = 1 };

    hostile.random.state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (int i = 0; i < 8; i++)
        random_next(&hostile.random);
    hostile.arena = afar__arena_new(4096);
    hostile.rudeness = 2u << below(&hostile, 10);
    hostile.passive = below(&hostile, 2) != 0;
    options.limits.calls = IDS;
    options.limits.references = IDS;
    options.limits.message_bytes = 1 + below(&hostile, 8000);
    options.limits.window_bytes = 1 + below(&hostile, 3000);
    options.limits.session_bytes = 1 + below(&hostile, 10000);
    options.limits.methods = 1 + below(&hostile, 20);
    hostile.limits = options.limits;
    hostile.credit = options.limits.session_bytes;
    hostile.session = afar__session_open(&options);
    if (!hostile.arena || !hostile.session)
        abort();
    say_hello(&hostile);
    write_all(&hostile);
    for (unsigned i = 0; i < FRAMES && !hostile.over && !hostile.wrong[0]; i++)
        step(&hostile);
    finish(&hostile);
    afar__session_free(hostile.session);
    afar__arena_free(hostile.arena);
    memcpy(ret_wrong, hostile.wrong, sizeof hostile.wrong);
    return !hostile.wrong[0];
}
