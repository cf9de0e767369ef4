/* A session whose peer sends what it likes, behind a Hello that is good, while the owner acts.  An
 * input is a script, two bytes for each step:
 *
 *     1LLLLLLL LLLLLLLL   the peer sends a batch: the next L bytes
 *     0....AAA A.......   the owner does act number A, with the second byte's rest as what to
 *                         do it with (see `acts`)
 *
 * Whatever it says
 *
 *     - nothing crashes or leaks, and what is held stays within afar__session_most_bytes;
 *     - OVER comes once and last, with a reason that fits;
 *     - each call that was taken on returns once, each object that was out is released;
 *     - what the session sends are batches, as it would read them itself.
 *
 * Built with AFAR_LIBFUZZER it is a
 * target of libFuzzer; without, replay.h says what it does.
 *
 * One thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/session/frame.h"
#include "runtime/session/session.h"
#include "tests/fuzz/replay/replay.h"

#define REFERENCES 8
#define CALLS 8   /* of either side, at a time */
#define MOST 1024 /* questions in one run: steps have two bytes */
#define OBJECTS 3
#define SECOND INT64_C(1000000000)

/* ---- the owner ---- */

static const afar__session_limits limits = { .calls = CALLS,
                                             .references = REFERENCES,
                                             .message_bytes = 4000,
                                             .window_bytes = 500,
                                             .session_bytes = 3000,
                                             .methods = 3,
                                             .idle_ms = 3000,
                                             .dead_ms = 9000 };

struct question {
    afar__session_id id;
    bool returned;
};

struct owner {
    afar__session *session;
    int64_t now;
    bool opened, over, broken;
    struct question questions[MOST];
    unsigned question_count;
    afar__session_id open[CALLS]; /* calls of the peer that wait for an answer */
    unsigned open_count;
    uint32_t imports[REFERENCES + 1]; /* how many references came */
    uint8_t objects[OBJECTS];
    bool out[OBJECTS];
};

static void
note_out(struct owner *owner)
{
    for (unsigned i = 0; i < OBJECTS; i++)
        if (afar__session_exported(owner->session, &owner->objects[i]) > 0)
            owner->out[i] = true;
}

/* One reference, of one of the three kinds; none to an import that is not there. */
static afar__session_reference
reference_of(struct owner *owner, unsigned choice)
{
    uint32_t import = 1 + choice % REFERENCES;

    if (choice % 3 == 0 && owner->imports[import])
        return (afar__session_reference){ .kind = AFAR__SESSION_THEIRS, .import = import };
    if (choice % 3 == 1)
        return (afar__session_reference){ .kind = AFAR__SESSION_THIRD, .address = { "unix:p", 6 } };
    return (afar__session_reference){ .kind = AFAR__SESSION_OURS,
                                      .object = &owner->objects[choice % OBJECTS],
                                      .address = { "grpc://here:1", choice % 2 ? 13 : 0 } };
}

static void
ask(struct owner *owner, afar__session_target target, unsigned choice)
{
    static const char *const methods[] = { "/a.B/C", "/a.B/D", "/a.B/E", "/a.B/F" };
    static const uint8_t payload[2000];
    struct question *question = &owner->questions[owner->question_count];
    afar__session_reference reference = reference_of(owner, choice);
    afar__session_request request = { .user = question,
                                      .target = target,
                                      .method = methods[choice % 4],
                                      .deadline = choice % 2 ? INT64_MAX : owner->now + SECOND,
                                      .payload = { payload, choice % 7 ? 20 : sizeof payload },
                                      .references = &reference,
                                      .reference_count = choice % 2,
                                      .keep = choice % 3 != 0,
                                      .oneway = choice % 11 == 0 };
    bool had_place = afar__session_can_call(owner->session);

    if (owner->question_count == MOST)
        return;
    question->returned = false;
    if (afar__session_call(owner->session, &request, &question->id, NULL) != AFAR_OK)
        return;
    require(had_place, "a call that had no place");
    owner->question_count++;
    note_out(owner);
}

static struct question *
some_question(struct owner *owner, unsigned choice)
{
    return owner->question_count ? &owner->questions[choice % owner->question_count] : NULL;
}

static void
ask_name(struct owner *owner, unsigned choice)
{
    ask(owner, (afar__session_target){ .kind = AFAR__SESSION_NAMED, .name = { "n", 1 } }, choice);
}

static void
ask_import(struct owner *owner, unsigned choice)
{
    ask(owner,
        (afar__session_target){ .kind = AFAR__SESSION_OBJECT, .import = 1 + choice % REFERENCES },
        choice);
}

static void
ask_promised(struct owner *owner, unsigned choice)
{
    static const uint32_t path[] = { 1, 2 };
    const struct question *question = some_question(owner, choice);

    if (question)
        ask(owner,
            (afar__session_target){ .kind = AFAR__SESSION_PROMISED,
                                    .call = question->id,
                                    .path = path,
                                    .path_length = choice % 3 },
            choice);
}

static void
cancel(struct owner *owner, unsigned choice)
{
    const struct question *question = some_question(owner, choice);

    if (question)
        afar__session_cancel(owner->session, question->id);
}

static void
finish(struct owner *owner, unsigned choice)
{
    const struct question *question = some_question(owner, choice);

    if (question)
        afar__session_finish(owner->session, question->id);
}

static void
end(struct owner *owner, unsigned choice)
{
    const struct question *question = some_question(owner, choice);

    if (question)
        afar__session_end(owner->session, question->id);
}

static void
send_item(struct owner *owner, unsigned choice)
{
    const struct question *question = some_question(owner, choice / 2);
    afar__session_reference reference = reference_of(owner, choice);
    afar__session_pair pair = { { "key", 3 }, { "value", 5 } };
    afar__session_message message = { { "item", 4 }, &reference, choice % 3 == 0, &pair, 1 };
    afar__session_id id = question ? question->id : 0;

    if (choice % 2 && owner->open_count)
        id = owner->open[choice / 2 % owner->open_count];
    (void)!afar__session_item(owner->session, id, &message, NULL);
    note_out(owner);
}

static void
reply(struct owner *owner, unsigned choice)
{
    afar__session_reference reference = reference_of(owner, choice);
    afar__session_reply answer = { .code = AFAR_OK,
                                   .payload = { "reply", 5 },
                                   .references = &reference,
                                   .reference_count = choice % 2 };
    unsigned which;

    if (owner->open_count == 0)
        return;
    if (choice % 5 == 4)
        answer = (afar__session_reply){ .code = AFAR_ABORTED,
                                        .text = { "no", 2 },
                                        .not_begun = choice % 2 };
    which = choice % owner->open_count;
    afar__session_return(owner->session, owner->open[which], &answer, NULL);
    owner->open[which] = owner->open[--owner->open_count];
    note_out(owner);
}

static void
release(struct owner *owner, unsigned choice)
{
    uint32_t import = 1 + choice % REFERENCES;
    uint32_t count = owner->imports[import];

    if (owner->over || count == 0)
        return;
    count = choice % 2 ? count : 1;
    owner->imports[import] -= count;
    afar__session_release(owner->session, import, count);
}

/* What is sent are batches, and nothing follows a last Goodbye. */
static void
take(struct owner *owner, unsigned choice)
{
    afar__frame_reader reader;
    afar__frame frame;
    uint8_t *data;
    size_t length;
    afar_code code = AFAR_OK;

    (void)choice;
    if (!afar__session_take(owner->session, owner->now, &data, &length))
        return;
    afar__frame_reader_init(&reader, data, length);
    while (code == AFAR_OK)
        code = afar__frame_read(&reader, &frame, NULL);
    require(code == AFAR_ENDED, "what is sent cannot be read");
    free(data);
}

static void
wait_a_while(struct owner *owner, unsigned choice)
{
    owner->now += choice * SECOND / 16;
    afar__session_tick(owner->session, owner->now);
}

static void
close_it(struct owner *owner, unsigned choice)
{
    if (choice == 0)
        afar__session_close(owner->session);
}

static void
break_it(struct owner *owner, unsigned choice)
{
    if (choice != 0)
        return;
    owner->broken = true;
    afar__session_broken(owner->session, "the stream is gone");
}

static void (*const acts[16])(struct owner *, unsigned) = {
    take,         reply,  ask_name, ask_import, ask_promised, send_item, release, finish,
    wait_a_while, cancel, end,      close_it,   break_it,     take,      reply,   send_item,
};

/* ---- what it is told ---- */

static void
on_references(struct owner *owner, const afar__session_event *event)
{
    for (size_t i = 0; i < event->reference_count; i++) {
        const afar__session_reference *reference = &event->references[i];
        uint8_t *object = reference->object;

        if (reference->kind == AFAR__SESSION_OURS)
            require(object >= owner->objects && object < owner->objects + OBJECTS &&
                        owner->out[object - owner->objects],
                    "an object comes home that was not out");
        if (reference->kind != AFAR__SESSION_THEIRS)
            continue;
        require(reference->import >= 1 && reference->import <= REFERENCES, "an import beyond all");
        owner->imports[reference->import]++;
    }
}

static void
on_over(struct owner *owner, const afar__session_event *event)
{
    afar__session_reason reason = event->reason;

    owner->over = true;
    require(event->remote || owner->broken || reason == AFAR__SESSION_NONE ||
                reason == AFAR__SESSION_PROTOCOL || reason == AFAR__SESSION_LIMIT ||
                reason == AFAR__SESSION_SILENCE,
            "an end without a reason");
    for (unsigned i = 0; i < owner->question_count; i++)
        require(owner->questions[i].returned, "over, and a call did not return");
    for (unsigned i = 0; i < OBJECTS; i++)
        require(!owner->out[i], "over, and an object was not released");
}

static void
on_returned(const afar__session_event *event)
{
    struct question *question = event->user;

    require(question->id == event->call && !question->returned, "a call returns twice");
    require(event->code == AFAR_OK || event->payload.length == 0, "a failure with a reply");
    question->returned = true;
}

static void
on_released(struct owner *owner, const afar__session_event *event)
{
    size_t which = (size_t)((uint8_t *)event->object - owner->objects);

    require(which < OBJECTS && owner->out[which], "an object is released that was not out");
    owner->out[which] = false;
}

static void
on_event(struct owner *owner, const afar__session_event *event)
{
    require(!owner->over, "an event behind the last");
    on_references(owner, event);
    switch (event->kind) {
    case AFAR__SESSION_OPENED:
        require(!owner->opened, "opened twice");
        owner->opened = true;
        break;
    case AFAR__SESSION_CALLED:
        require(owner->open_count < CALLS, "more calls than the limit");
        require(event->method.length > 0, "a call of no method");
        owner->open[owner->open_count++] = event->call;
        afar__session_taken(owner->session, event->call, event->cost, false);
        break;
    case AFAR__SESSION_ITEM:
        afar__session_taken(owner->session, event->call, event->cost, true);
        break;
    case AFAR__SESSION_RETURNED:
        on_returned(event);
        break;
    case AFAR__SESSION_RELEASED:
        on_released(owner, event);
        break;
    case AFAR__SESSION_OVER:
        on_over(owner, event);
        break;
    default:
        break;
    }
}

static void
drain(struct owner *owner)
{
    afar__session_event event;

    while (afar__session_next(owner->session, &event))
        on_event(owner, &event);
    require(afar__session_held_bytes(owner->session) <= afar__session_most_bytes(&limits),
            "more is held than was said");
}

/* ---- a run ---- */

static void
receive(struct owner *owner, const uint8_t *data, size_t length)
{
    uint8_t *exact = malloc(length ? length : 1); /* so that one byte beyond it is seen */

    if (!exact)
        abort();
    if (length)
        memcpy(exact, data, length);
    afar__session_receive(owner->session, exact, length, owner->now);
    drain(owner);
    free(exact);
}

static void
receive_hello(struct owner *owner)
{
    static const uint8_t instance[16] = { 2 };
    afar__frame frame = { .kind = AFAR__FRAME_HELLO };
    afar__batch batch = { .bytes = NULL };

    frame.hello.lowest = frame.hello.highest = 1;
    frame.hello.instance = (afar__bytes){ instance, sizeof instance };
    frame.hello.limits = (afar__limits){ .calls = CALLS,
                                         .references = 2,
                                         .message_bytes = 2000,
                                         .window_bytes = 300,
                                         .session_bytes = 4000,
                                         .methods = 3 };
    require(afar__batch_add(&batch, &frame), "out of memory");
    receive(owner, batch.bytes, batch.length);
    afar__batch_free(&batch);
    require(owner->opened, "a good Hello was refused");
}

static void
play(struct owner *owner, const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 2) {
        unsigned first = at[0], second = at[1];
        size_t length = (first & 0x7f) << 8 | second;

        at += 2;
        if (first < 0x80) {
            acts[(first & 7) << 1 | second >> 7](owner, second & 0x7f);
            drain(owner);
            continue;
        }
        if (length > (size_t)(end - at))
            length = (size_t)(end - at);
        receive(owner, at, length);
        at += length;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    afar__session_options options = { .limits = limits, .instance = { 1 } };
    struct owner owner = { .now = 0 };

    owner.session = afar__session_open(&options);
    require(owner.session != NULL, "out of memory");
    take(&owner, 0);
    receive_hello(&owner);
    play(&owner, data, data + length);
    break_it(&owner, 0);
    drain(&owner);
    require(owner.over, "broken, and not over");
    while (owner.open_count > 0)
        reply(&owner, 0);
    drain(&owner);
    take(&owner, 0);
    afar__session_free(owner.session);
    return 0;
}

const replay replay_how = { .name = "session_fuzz", .changes = 5000 };
