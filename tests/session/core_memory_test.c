/* Memory that is out, at every place: two sessions do a little of everything, again and again, and
 * each time another allocation fails, alone or with all that follow.  Whatever fails, nobody
 * crashes, what was taken on is answered, what was given out is released, and nothing leaks. */

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core.h"

#define OBJECTS 20
#define CALLS 20 /* of one side, in a loop: tables grow */
#define MOST_CALLS 64
#define LARGE 3000 /* a payload that a batch does not copy */

/* ---- memory ---- */

static long asked;    /* allocations since the last start */
static long failing;  /* the number of the one that fails; 0: none does */
static bool and_more; /* all behind it fail too */
static long failed;
static long live; /* pieces that were not freed */

void *
__real_malloc(size_t size);
void *
__real_calloc(size_t count, size_t size);
void *
__real_realloc(void *piece, size_t size);
void
__real_free(void *piece);
void *
__wrap_malloc(size_t size);
void *
__wrap_calloc(size_t count, size_t size);
void *
__wrap_realloc(void *piece, size_t size);
void
__wrap_free(void *piece);
char *
__wrap_strdup(const char *text);
void *
__wrap_afar__spare_alloc(size_t size);
void
__wrap_afar__spare_free(void *memory, size_t size);

static bool
fails(void)
{
    asked++;
    if (!failing || asked < failing || (asked > failing && !and_more))
        return false;
    failed++;
    return true;
}

static void *
count(void *piece)
{
    live += piece != NULL;
    return piece;
}

void *
__wrap_malloc(size_t size)
{
    return fails() ? NULL : count(__real_malloc(size));
}

void *
__wrap_calloc(size_t count_of, size_t size)
{
    return fails() ? NULL : count(__real_calloc(count_of, size));
}

void *
__wrap_realloc(void *piece, size_t size)
{
    void *grown = fails() ? NULL : __real_realloc(piece, size);

    live += !piece && grown;
    return grown;
}

void
__wrap_free(void *piece)
{
    live -= piece != NULL;
    __real_free(piece);
}

char *
__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);

    return copy ? memcpy(copy, text, size) : NULL;
}

/* Spare memory as well: none is kept. */
void *
__wrap_afar__spare_alloc(size_t size)
{
    return __wrap_malloc(size);
}

void
__wrap_afar__spare_free(void *memory, size_t size)
{
    (void)size;
    __wrap_free(memory);
}

/* ---- two sides ---- */

struct side {
    afar__session *session;
    struct side *peer;
    bool opened, over;
    unsigned calls, returned; /* that were taken on, and came back */
    afar__session_id made[MOST_CALLS];
    int objects[OBJECTS];
    bool out[OBJECTS];
    afar__session_id open[MOST_CALLS]; /* calls of the peer */
    unsigned open_count;
    uint32_t import; /* the last one that came; 0: none */
};

static const uint8_t large[LARGE];

/* For want of memory, or since that has ended the session before. */
static void
check_refused(afar_code code)
{
    if (failed == 0)
        check_fail(__FILE__, __LINE__, "an act fails with %d, and memory was not out", (int)code);
    CHECK(code == AFAR_RESOURCE_EXHAUSTED || code == AFAR_NOT_FOUND || code == AFAR_UNAVAILABLE);
}

/* The objects that the peer has, whatever became of the act that gave them. */
static void
note_out(struct side *side)
{
    for (unsigned i = 0; i < OBJECTS; i++)
        if (afar__session_exported(side->session, &side->objects[i]) > 0)
            side->out[i] = true;
}

static afar__session_id
call(struct side *side, afar__session_request request, unsigned object)
{
    static const char *const methods[] = { "/a.B/C", "/a.B/D", "/a.B/E", "/a.B/F", "/a.B/G",
                                           "/a.B/H", "/a.B/I", "/a.B/J", "/a.B/K", "/a.B/L" };
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS,
                                          .object = &side->objects[object % OBJECTS],
                                          .address = SPAN("grpc://here:1") };
    afar__session_pair pair = { SPAN("key"), SPAN("value") };
    afar__session_counts before = afar__session_count(side->session), after;
    afar__session_id id = 0;
    afar_code code;

    request.user = side;
    request.method = methods[object % 10];
    request.deadline = INT64_MAX;
    request.metadata = &pair;
    request.metadata_count = 1;
    request.references = &reference;
    request.reference_count = 1;
    code = afar__session_call(side->session, &request, &id, NULL);
    note_out(side);
    if (code == AFAR_OK) {
        CHECK(side->calls < MOST_CALLS);
        side->made[side->calls++] = id;
        return id;
    }
    check_refused(code);
    after = afar__session_count(side->session);
    CHECK_INT(after.questions, before.questions);
    CHECK_INT(after.exported, before.exported);
    CHECK_INT(after.exports, before.exports);
    return 0;
}

static void
item(struct side *side, afar__session_id id, size_t length)
{
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &side->objects[0] };
    afar__session_pair pair = { SPAN("key"), SPAN("value") };
    afar__session_message message = { { large, length }, &reference, 1, &pair, 1 };
    afar_code code = afar__session_item(side->session, id, &message, NULL);

    note_out(side);
    if (code != AFAR_OK && code != AFAR_CANCELLED)
        check_refused(code);
}

/* Every third fails. */
static void
reply(struct side *side, unsigned which)
{
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS,
                                          .object = &side->objects[which % OBJECTS] };
    afar__session_reply answer = {
        .code = AFAR_OK, .payload = { large, LARGE }, .references = &reference, .reference_count = 1
    };
    afar_code code;

    if (which % 3 == 2)
        answer = (afar__session_reply){ .code = AFAR_ABORTED, .text = SPAN("no") };
    item(side, side->open[which], 10);
    code = afar__session_return(side->session, side->open[which], &answer, NULL);
    note_out(side);
    if (code != answer.code && code != AFAR_OK)
        check_refused(code);
    CHECK_INT(afar__session_return(side->session, side->open[which], &answer, NULL),
              AFAR_FAILED_PRECONDITION);
}

static void
reply_to_all(struct side *side)
{
    for (unsigned i = 0; i < side->open_count; i++)
        reply(side, i);
    side->open_count = 0;
}

static void
on_event(struct side *side, const afar__session_event *event)
{
    CHECK(!side->over);
    for (size_t i = 0; i < event->reference_count; i++)
        if (event->references[i].kind == AFAR__SESSION_THEIRS) {
            if (side->import == event->references[i].import)
                afar__session_release(side->session, side->import, 1);
            side->import = event->references[i].import;
        }
    if (event->kind == AFAR__SESSION_CALLED || event->kind == AFAR__SESSION_ITEM)
        afar__session_taken(side->session, event->call, event->cost,
                            event->kind == AFAR__SESSION_ITEM);
    if (event->kind == AFAR__SESSION_OPENED)
        side->opened = true;
    if (event->kind == AFAR__SESSION_CALLED) {
        CHECK(side->open_count < MOST_CALLS);
        side->open[side->open_count++] = event->call;
    }
    if (event->kind == AFAR__SESSION_RETURNED)
        side->returned++;
    if (event->kind == AFAR__SESSION_RELEASED) {
        CHECK(side->out[(int *)event->object - side->objects]);
        side->out[(int *)event->object - side->objects] = false;
    }
    if (event->kind != AFAR__SESSION_OVER)
        return;
    side->over = true;
    CHECK_INT(side->returned, side->calls);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK(!side->out[i]);
}

static void
drain(struct side *side)
{
    afar__session_event event;

    while (afar__session_next(side->session, &event))
        on_event(side, &event);
}

/* One batch; false if there is none. */
static bool
carry(struct side *from)
{
    uint8_t *data;
    size_t length;
    bool taken = afar__session_take(from->session, 0, &data, &length);

    drain(from);
    if (!taken)
        return false;
    afar__session_receive(from->peer->session, data, length, 0);
    drain(from->peer);
    free(data);
    return true;
}

static void
settle(struct side *a, struct side *b)
{
    while (carry(a) || carry(b))
        ;
}

/* ---- what they do ---- */

static afar__session_request
request_to(afar__session_target target)
{
    return (afar__session_request){ .target = target, .payload = { large, 100 } };
}

/* Calls with streams, to names and to promises, of which some are cancelled. */
static void
make_calls(struct side *side)
{
    afar__session_request named =
        request_to((afar__session_target){ .kind = AFAR__SESSION_NAMED, .name = SPAN("name") });
    afar__session_request promised =
        request_to((afar__session_target){ .kind = AFAR__SESSION_PROMISED });

    for (unsigned i = 0; i < CALLS; i++) {
        afar__session_id id, behind;

        named.keep = i % 2 == 0;
        named.payload.length = i % 4 == 0 ? LARGE : 10;
        id = call(side, named, i);
        item(side, id, i % 4 == 1 ? LARGE : 10);
        afar__session_end(side->session, id);
        if (i % 5 == 4)
            afar__session_cancel(side->session, id);
        if (!named.keep || i % 5 == 4)
            continue;
        promised.target.call = id;
        promised.keep = i % 4 == 0;
        behind = call(side, promised, i + 1);
        item(side, behind, 10);
        afar__session_end(side->session, behind);
        if (i == 6 || i == 8)
            afar__session_cancel(side->session, behind);
    }
}

static void
call_back(struct side *side)
{
    afar__session_target target = { .kind = AFAR__SESSION_OBJECT, .import = side->import };

    if (!side->over && side->import)
        call(side, request_to(target), 3);
}

static void
finish_all(struct side *side)
{
    for (unsigned i = 0; i < side->calls; i++)
        afar__session_finish(side->session, side->made[i]);
}

static void
open_both(struct side *a, struct side *b)
{
    static const afar__session_limits narrow = { .window_bytes = 2000, .session_bytes = 20000 };

    memset(a, 0, sizeof *a);
    memset(b, 0, sizeof *b);
    a->peer = b;
    b->peer = a;
    a->session = afar__session_open(&(afar__session_options){ .instance = { 1 } });
    b->session =
        afar__session_open(&(afar__session_options){ .instance = { 2 }, .limits = narrow });
}

static void
run(void)
{
    struct side a, b;

    open_both(&a, &b);
    if (a.session && b.session) {
        settle(&a, &b);
        make_calls(&a);
        settle(&a, &b);
        call_back(&b);
        for (unsigned round = 0; round < 4; round++) {
            reply_to_all(&b);
            settle(&a, &b);
            reply_to_all(&a);
            finish_all(&a);
            settle(&a, &b);
        }
        CHECK(failed || (a.returned == a.calls && b.returned == b.calls));
        afar__session_close(a.session);
        settle(&a, &b);
        afar__session_broken(a.session, "the stream is gone");
        afar__session_broken(b.session, "the stream is gone");
        drain(&a);
        drain(&b);
        CHECK(a.over && b.over);
        reply_to_all(&a);
        reply_to_all(&b);
        settle(&a, &b);
    }
    afar__session_free(a.session);
    afar__session_free(b.session);
}

/* Each allocation of the run in turn, until there is none left to fail. */
static void
run_with_failures(bool all_behind)
{
    long count_of;

    failing = asked = failed = 0;
    run();
    count_of = asked;
    CHECK(count_of > 300);
    and_more = all_behind;
    for (long at = 1; at <= count_of; at++) {
        long before = live;

        failing = at;
        asked = failed = 0;
        run();
        CHECK(failed > 0);
        if (live != before)
            check_fail(__FILE__, __LINE__, "%ld pieces leak when allocation %ld fails",
                       live - before, at);
    }
    failing = 0;
}

TEST(one_allocation_fails)
{
    run_with_failures(false);
}

TEST(all_allocations_fail_from_one_on)
{
    run_with_failures(true);
}
