/* Single rules of a session's core: two cores over a wire that a test drives by hand, or one core
 * against frames that are written here. */

#include <stdlib.h>
#include <string.h>

#include "runtime/frame.h"
#include "runtime/session.h"

#include "check.h"

#define MS INT64_C(1000000)
#define SPAN(text) ((afar__session_span){ text, sizeof(text) - 1 })

static int object_a, object_b;

static afar__session *
open_core(const afar__session_limits *limits, uint8_t instance)
{
    afar__session_options options = { .instance = { instance }, .now = 0 };
    afar__session *session;

    if (limits)
        options.limits = *limits;
    session = afar__session_open(&options);
    CHECK(session);
    return session;
}

/* The next event is of that kind. */
static afar__session_event
expect(afar__session *session, afar__session_event_kind kind)
{
    afar__session_event event;

    CHECK(afar__session_next(session, &event));
    if (event.kind != kind)
        check_fail(__FILE__, __LINE__, "the event is %d, expected %d: %.*s", (int)event.kind,
                   (int)kind, (int)event.text.length, (const char *)event.text.data);
    return event;
}

static void
expect_none(afar__session *session)
{
    afar__session_event event;

    if (afar__session_next(session, &event))
        check_fail(__FILE__, __LINE__, "an event: %d", (int)event.kind);
}

/* The batch that is being read: it must stay while events point into it. */
static uint8_t *in_flight;

/* Carries one batch over, if there is one. */
static bool
carry(afar__session *from, afar__session *to)
{
    uint8_t *data;
    size_t length;

    if (!afar__session_take(from, 0, &data, &length))
        return false;
    free(in_flight);
    in_flight = data;
    afar__session_receive(to, data, length, 0);
    return true;
}

/* Two sessions that know each other. */
struct duo {
    afar__session *a, *b;
};

static struct duo
open_duo(const afar__session_limits *a, const afar__session_limits *b)
{
    struct duo duo = { open_core(a, 1), open_core(b, 2) };

    CHECK(carry(duo.a, duo.b));
    CHECK_INT(expect(duo.b, AFAR__SESSION_OPENED).cost, 0);
    expect_none(duo.b);
    CHECK(carry(duo.b, duo.a));
    expect(duo.a, AFAR__SESSION_OPENED);
    expect_none(duo.a);
    return duo;
}

static void
close_duo(struct duo duo)
{
    afar__session_free(duo.a);
    afar__session_free(duo.b);
    free(in_flight);
    in_flight = NULL;
}

static afar__session_request
request_to(const char *name)
{
    return (afar__session_request){
        .target = { .kind = AFAR__SESSION_NAMED, .name = { name, strlen(name) } },
        .method = "/bank.Account/Deposit",
        .deadline = INT64_MAX,
        .payload = SPAN("hello"),
    };
}

static afar__session_id
call(afar__session *session, const afar__session_request *request)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id id = 0;

    CHECK_OK(afar__session_call(session, request, &id, &err));
    CHECK(id != 0);
    return id;
}

static void
reply(afar__session *session, afar__session_id id, afar_code code)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__session_reply answer = { .code = code };

    if (code == AFAR_OK)
        answer.payload = SPAN("world");
    else
        answer.text = SPAN("no");
    CHECK_OK(afar__session_return(session, id, &answer, &err));
}

static void
check_empty(const afar__session *session)
{
    afar__session_counts counts = afar__session_count(session);

    CHECK_INT(counts.questions, 0);
    CHECK_INT(counts.answers, 0);
    CHECK_INT(counts.exports, 0);
    CHECK_INT(counts.imports, 0);
    CHECK_INT(counts.exported, 0);
    CHECK_INT(counts.held, 0);
    CHECK_INT(afar__session_waiting_bytes(session), 0);
}

TEST(a_call_is_answered)
{
    struct duo duo = open_duo(NULL, NULL);
    afar__session_request request = request_to("alice");
    afar__session_pair pair = { SPAN("key"), SPAN("value") };
    uint64_t chain[2] = { 7, 8 };
    afar__session_event event;
    afar__session_id id;

    request.user = &object_a;
    request.deadline = 5 * MS;
    request.metadata = &pair;
    request.metadata_count = 1;
    request.chain = chain;
    request.chain_length = 2;
    id = call(duo.a, &request);
    CHECK(carry(duo.a, duo.b));
    event = expect(duo.b, AFAR__SESSION_CALLED);
    CHECK_INT(event.method.length, strlen("/bank.Account/Deposit"));
    CHECK(memcmp(event.method.data, "/bank.Account/Deposit", event.method.length) == 0);
    CHECK(event.target.kind == AFAR__SESSION_NAMED && event.target.name.length == 5);
    CHECK_INT(event.deadline, 5 * MS);
    CHECK_INT(event.chain_length, 2);
    CHECK_INT(event.chain[1], 8);
    CHECK_INT(event.metadata_count, 1);
    CHECK(memcmp(event.metadata[0].value.data, "value", 5) == 0);
    CHECK(memcmp(event.payload.data, "hello", 5) == 0);
    reply(duo.b, event.call, AFAR_OK);
    expect_none(duo.b);
    CHECK(carry(duo.b, duo.a));
    event = expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK(event.call == id && event.user == &object_a);
    CHECK(event.code == AFAR_OK && event.outcome == AFAR_OUTCOME_ANSWERED && event.remote);
    CHECK(memcmp(event.payload.data, "world", 5) == 0);
    expect_none(duo.a);
    check_empty(duo.a);
    check_empty(duo.b);
    close_duo(duo);
}

TEST(a_call_before_the_peers_hello_is_refused)
{
    afar__session *session = open_core(NULL, 1);
    afar__session_request request = request_to("");
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id id;

    CHECK_FAILS(afar__session_call(session, &request, &id, &err), AFAR_UNAVAILABLE);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    afar__session_free(session);
}

TEST(a_cancelled_call_that_was_not_sent_is_not_sent)
{
    struct duo duo = open_duo(NULL, NULL);
    afar__session_request request = request_to("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_a };
    afar__session_event event;
    afar__session_id id;

    request.references = &reference;
    request.reference_count = 1;
    id = call(duo.a, &request);
    CHECK_INT(afar__session_exported(duo.a, &object_a), 1);
    afar__session_cancel(duo.a, id);
    event = expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK_INT(event.code, AFAR_CANCELLED);
    CHECK_INT(event.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(expect(duo.a, AFAR__SESSION_RELEASED).object == &object_a);
    expect_none(duo.a);
    CHECK(carry(duo.a, duo.b)); /* the method's number */
    expect_none(duo.b);
    check_empty(duo.a);
    close_duo(duo);
}

TEST(a_cancel_is_told_and_the_answer_comes_all_the_same)
{
    struct duo duo = open_duo(NULL, NULL);
    afar__session_request request = request_to("");
    afar__session_id id = call(duo.a, &request);
    afar__session_event event;

    carry(duo.a, duo.b);
    event = expect(duo.b, AFAR__SESSION_CALLED);
    expect_none(duo.b);
    afar__session_cancel(duo.a, id);
    afar__session_cancel(duo.a, id);
    CHECK(carry(duo.a, duo.b));
    CHECK(expect(duo.b, AFAR__SESSION_CANCELLED).call == event.call);
    expect_none(duo.b);
    reply(duo.b, event.call, AFAR_CANCELLED);
    carry(duo.b, duo.a);
    CHECK_INT(expect(duo.a, AFAR__SESSION_RETURNED).code, AFAR_CANCELLED);
    afar__session_cancel(duo.a, id); /* of a handle that is over */
    CHECK(!afar__session_wants_write(duo.a));
    check_empty(duo.a);
    check_empty(duo.b);
    close_duo(duo);
}

TEST(an_object_has_one_id_and_its_references_are_counted)
{
    struct duo duo = open_duo(NULL, NULL);
    afar__session_request request = request_to("");
    afar__session_reference references[2] = { { .kind = AFAR__SESSION_OURS, .object = &object_a },
                                              { .kind = AFAR__SESSION_OURS, .object = &object_a } };
    afar__session_event event;
    uint32_t import;

    request.references = references;
    request.reference_count = 2;
    call(duo.a, &request);
    CHECK_INT(afar__session_exported(duo.a, &object_a), 2);
    CHECK_INT(afar__session_count(duo.a).exports, 1);
    carry(duo.a, duo.b);
    event = expect(duo.b, AFAR__SESSION_CALLED);
    CHECK_INT(event.reference_count, 2);
    import = event.references[0].import;
    CHECK_INT(event.references[1].import, import);
    reply(duo.b, event.call, AFAR_OK);
    expect_none(duo.b);
    afar__session_release(duo.b, import, 1);
    carry(duo.b, duo.a);
    expect(duo.a, AFAR__SESSION_RETURNED);
    expect_none(duo.a);
    CHECK_INT(afar__session_exported(duo.a, &object_a), 1);
    afar__session_release(duo.b, import, 1);
    CHECK(carry(duo.b, duo.a));
    CHECK(expect(duo.a, AFAR__SESSION_RELEASED).object == &object_a);
    expect_none(duo.a);
    check_empty(duo.a);
    check_empty(duo.b);
    close_duo(duo);
}

TEST(a_release_that_crosses_a_new_reference_does_not_end_the_object)
{
    struct duo duo = open_duo(NULL, NULL);
    afar__session_request request = request_to("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_a };
    uint32_t import;

    request.references = &reference;
    request.reference_count = 1;
    call(duo.a, &request);
    carry(duo.a, duo.b);
    import = expect(duo.b, AFAR__SESSION_CALLED).references[0].import;
    expect_none(duo.b);
    afar__session_release(duo.b, import, 1);
    call(duo.a, &request);
    CHECK(carry(duo.b, duo.a));
    expect_none(duo.a);
    CHECK_INT(afar__session_exported(duo.a, &object_a), 1);
    carry(duo.a, duo.b);
    CHECK_INT(expect(duo.b, AFAR__SESSION_CALLED).references[0].import, import);
    close_duo(duo);
}

TEST(a_release_waits_for_a_call_that_names_the_import)
{
    afar__session_limits small = { .session_bytes = 1 };
    struct duo duo = open_duo(NULL, &small);
    afar__session_request request = request_to("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_b };
    afar__session_event event;

    /* B gives A an object, and A spends all its credit. */
    request.references = &reference;
    request.reference_count = 1;
    call(duo.b, &request);
    carry(duo.b, duo.a);
    CHECK_INT(expect(duo.a, AFAR__SESSION_CALLED).references[0].import, 1);
    expect_none(duo.a);
    request = request_to("");
    call(duo.a, &request);
    CHECK(carry(duo.a, duo.b));
    event = expect(duo.b, AFAR__SESSION_CALLED);
    expect_none(duo.b);

    request.target = (afar__session_target){ .kind = AFAR__SESSION_OBJECT, .import = 1 };
    call(duo.a, &request);
    afar__session_release(duo.a, 1, 1);
    CHECK(!afar__session_wants_write(duo.a));
    afar__session_taken(duo.b, event.call, event.cost, false);
    CHECK(carry(duo.b, duo.a));
    expect_none(duo.a);
    CHECK(carry(duo.a, duo.b));
    CHECK(expect(duo.b, AFAR__SESSION_CALLED).target.object == &object_b);
    expect_none(duo.b);
    CHECK(carry(duo.a, duo.b));
    CHECK(expect(duo.b, AFAR__SESSION_RELEASED).object == &object_b);
    close_duo(duo);
}

/* ---- promises ---- */

static afar__session_request
request_to_promise(afar__session_id promiser, const uint32_t *path)
{
    afar__session_request request = request_to("");

    request.target = (afar__session_target){
        .kind = AFAR__SESSION_PROMISED, .call = promiser, .path = path, .path_length = 1
    };
    return request;
}

TEST(calls_to_a_promise_wait_in_order_for_its_result)
{
    struct duo duo = open_duo(NULL, NULL);
    afar__session_request request = request_to("");
    afar__session_request next;
    afar__session_event event;
    afar__session_id promiser, answer = 0;
    uint32_t path = 3;

    request.keep = true;
    promiser = call(duo.a, &request);
    next = request_to_promise(promiser, &path);
    next.payload = SPAN("1");
    call(duo.a, &next);
    next.payload = SPAN("2");
    call(duo.a, &next);
    afar__session_finish(duo.a, promiser);
    while (carry(duo.a, duo.b))
        if (afar__session_next(duo.b, &event)) {
            CHECK_INT(event.kind, AFAR__SESSION_CALLED);
            answer = event.call;
            afar__session_set_user(duo.b, answer, &object_b);
            expect_none(duo.b);
        }
    CHECK_INT(afar__session_count(duo.b).held, 2);
    reply(duo.b, answer, AFAR_OK);
    event = expect(duo.b, AFAR__SESSION_CALLED);
    CHECK(event.target.kind == AFAR__SESSION_PROMISED && event.target_user == &object_b);
    CHECK_INT(event.target.path[0], 3);
    CHECK(memcmp(event.payload.data, "1", 1) == 0);
    reply(duo.b, event.call, AFAR_OK);
    event = expect(duo.b, AFAR__SESSION_CALLED);
    CHECK(memcmp(event.payload.data, "2", 1) == 0);
    reply(duo.b, event.call, AFAR_OK);
    CHECK(expect(duo.b, AFAR__SESSION_FINISHED).call == answer);
    expect_none(duo.b);
    carry(duo.b, duo.a);
    expect(duo.a, AFAR__SESSION_RETURNED);
    expect(duo.a, AFAR__SESSION_RETURNED);
    expect(duo.a, AFAR__SESSION_RETURNED);
    expect_none(duo.a);
    check_empty(duo.a);
    check_empty(duo.b);
    close_duo(duo);
}

TEST(calls_to_a_promise_fail_as_it_does)
{
    struct duo duo = open_duo(NULL, NULL);
    afar__session_request request = request_to("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_a };
    afar__session_id promiser, second;
    afar__session_event event;
    uint32_t path = 3;

    request.keep = true;
    promiser = call(duo.a, &request);
    request = request_to_promise(promiser, &path);
    request.keep = true;
    request.references = &reference;
    request.reference_count = 1;
    second = call(duo.a, &request);
    request = request_to_promise(second, &path);
    call(duo.a, &request);
    carry(duo.a, duo.b);
    event = expect(duo.b, AFAR__SESSION_CALLED);
    expect_none(duo.b);
    CHECK_INT(afar__session_count(duo.b).held, 2);
    reply(duo.b, event.call, AFAR_NOT_FOUND);
    expect_none(duo.b);
    while (carry(duo.b, duo.a))
        while (afar__session_next(duo.a, &event)) {
            if (event.kind == AFAR__SESSION_RELEASED)
                continue;
            CHECK_INT(event.kind, AFAR__SESSION_RETURNED);
            CHECK_INT(event.code, AFAR_NOT_FOUND);
            CHECK_INT(event.not_begun, event.call != promiser);
        }
    CHECK(carry(duo.a, duo.b)); /* Finish, of itself */
    expect_none(duo.b);
    check_empty(duo.a);
    check_empty(duo.b);
    close_duo(duo);
}

TEST(a_cancelled_call_that_waits_for_a_promise_has_not_begun)
{
    struct duo duo = open_duo(NULL, NULL);
    afar__session_request request = request_to("");
    afar__session_id promiser, second;
    afar__session_event event;
    uint32_t path = 3;

    request.keep = true;
    promiser = call(duo.a, &request);
    request = request_to_promise(promiser, &path);
    second = call(duo.a, &request);
    carry(duo.a, duo.b);
    expect(duo.b, AFAR__SESSION_CALLED);
    expect_none(duo.b);
    afar__session_cancel(duo.a, second);
    CHECK(carry(duo.a, duo.b));
    expect_none(duo.b);
    CHECK(carry(duo.b, duo.a));
    event = expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK(event.call == second && event.not_begun);
    CHECK_INT(event.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK_INT(afar__session_count(duo.b).held, 0);
    close_duo(duo);
}

TEST(a_kept_call_can_be_cancelled_before_it_is_finished)
{
    struct duo duo = open_duo(NULL, NULL);
    afar__session_request request = request_to("");
    afar__session_id promiser, second;
    uint32_t path = 3;

    request.keep = true;
    promiser = call(duo.a, &request);
    request = request_to_promise(promiser, &path);
    second = call(duo.a, &request);
    afar__session_cancel(duo.a, promiser); /* it goes all the same: another waits behind it */
    expect_none(duo.a);
    afar__session_cancel(duo.a, second);
    CHECK(expect(duo.a, AFAR__SESSION_RETURNED).call == second);
    afar__session_finish(duo.a, promiser);
    CHECK(expect(duo.a, AFAR__SESSION_RETURNED).call == promiser);
    expect_none(duo.a);
    CHECK(carry(duo.a, duo.b)); /* the method's number */
    expect_none(duo.b);
    check_empty(duo.a);
    close_duo(duo);
}

/* ---- streams ---- */

TEST(items_wait_for_credit_and_others_overtake_them)
{
    afar__session_limits small = { .window_bytes = 1 };
    struct duo duo = open_duo(NULL, &small);
    afar__session_request request = request_to("");
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id stream;
    afar__session_event event;

    request.payload.length = 0;
    stream = call(duo.a, &request);
    CHECK_OK(afar__session_item(duo.a, stream, SPAN("one"), NULL, 0, &err));
    CHECK_OK(afar__session_item(duo.a, stream, SPAN("two"), NULL, 0, &err));
    afar__session_end(duo.a, stream);
    CHECK(afar__session_stalled(duo.a, stream));
    call(duo.a, &request);
    carry(duo.a, duo.b);
    expect(duo.b, AFAR__SESSION_CALLED);
    expect(duo.b, AFAR__SESSION_CALLED);
    event = expect(duo.b, AFAR__SESSION_ITEM);
    CHECK(memcmp(event.payload.data, "one", 3) == 0);
    expect_none(duo.b);
    CHECK(!afar__session_wants_write(duo.a));
    afar__session_taken(duo.b, event.call, event.cost, true);
    CHECK(carry(duo.b, duo.a));
    expect_none(duo.a);
    CHECK(carry(duo.a, duo.b));
    CHECK(expect(duo.a, AFAR__SESSION_WRITABLE).call == stream);
    event = expect(duo.b, AFAR__SESSION_ITEM);
    CHECK(memcmp(event.payload.data, "two", 3) == 0);
    expect(duo.b, AFAR__SESSION_ENDED);
    CHECK_FAILS(afar__session_item(duo.a, stream, SPAN("x"), NULL, 0, &err),
                AFAR_FAILED_PRECONDITION);
    close_duo(duo);
}

TEST(a_return_comes_behind_its_items_and_a_failure_at_once)
{
    for (int fails = 0; fails < 2; fails++) {
        afar__session_limits small = { .window_bytes = 1 };
        struct duo duo = open_duo(&small, NULL);
        afar__session_request request = request_to("");
        afar_error err = AFAR_ERROR_INIT;
        afar__session_event event;
        afar__session_id answer, question = call(duo.a, &request);

        carry(duo.a, duo.b);
        answer = expect(duo.b, AFAR__SESSION_CALLED).call;
        expect_none(duo.b);
        CHECK_OK(afar__session_item(duo.b, answer, SPAN("one"), NULL, 0, &err));
        CHECK_OK(afar__session_item(duo.b, answer, SPAN("two"), NULL, 0, &err));
        CHECK(carry(duo.b, duo.a));
        event = expect(duo.a, AFAR__SESSION_ITEM);
        expect_none(duo.a);
        reply(duo.b, answer, fails ? AFAR_ABORTED : AFAR_OK);
        CHECK_INT(afar__session_wants_write(duo.b), fails);
        if (!fails) {
            afar__session_taken(duo.a, question, event.cost, true);
            CHECK(carry(duo.a, duo.b));
            expect_none(duo.b);
        }
        CHECK(carry(duo.b, duo.a));
        if (!fails)
            expect(duo.a, AFAR__SESSION_ITEM);
        expect(duo.a, AFAR__SESSION_RETURNED);
        expect_none(duo.a);
        check_empty(duo.a);
        check_empty(duo.b);
        close_duo(duo);
    }
}

TEST(a_caller_that_has_ended_its_stream_still_gives_credit_for_the_other)
{
    afar__session_limits small = { .window_bytes = 1 };
    struct duo duo = open_duo(&small, NULL);
    afar__session_request request = request_to("");
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id answer, question = call(duo.a, &request);
    afar__session_event event;

    afar__session_end(duo.a, question);
    carry(duo.a, duo.b);
    answer = expect(duo.b, AFAR__SESSION_CALLED).call;
    expect(duo.b, AFAR__SESSION_ENDED);
    expect_none(duo.b);
    CHECK_OK(afar__session_item(duo.b, answer, SPAN("one"), NULL, 0, &err));
    CHECK_OK(afar__session_item(duo.b, answer, SPAN("two"), NULL, 0, &err));
    CHECK(carry(duo.b, duo.a));
    event = expect(duo.a, AFAR__SESSION_ITEM);
    expect_none(duo.a);
    afar__session_taken(duo.a, question, event.cost, true);
    CHECK(carry(duo.a, duo.b));
    expect_none(duo.b);
    CHECK(carry(duo.b, duo.a));
    expect(duo.a, AFAR__SESSION_ITEM);
    close_duo(duo);
}

TEST(items_that_cross_the_return_are_ignored_and_their_references_released)
{
    struct duo duo = open_duo(NULL, NULL);
    afar__session_request request = request_to("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_a };
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id stream = call(duo.a, &request);

    carry(duo.a, duo.b);
    reply(duo.b, expect(duo.b, AFAR__SESSION_CALLED).call, AFAR_OK);
    expect_none(duo.b);
    CHECK_OK(afar__session_item(duo.a, stream, SPAN("x"), &reference, 1, &err));
    {
        uint8_t *returned;
        size_t length;

        CHECK(afar__session_take(duo.b, 0, &returned, &length));
        CHECK(carry(duo.a, duo.b));
        expect_none(duo.b);
        afar__session_receive(duo.a, returned, length, 0);
        expect(duo.a, AFAR__SESSION_RETURNED);
        expect_none(duo.a);
        free(returned);
    }
    CHECK(carry(duo.b, duo.a));
    CHECK(expect(duo.a, AFAR__SESSION_RELEASED).object == &object_a);
    expect_none(duo.a);
    check_empty(duo.a);
    check_empty(duo.b);
    close_duo(duo);
}

/* ---- ends ---- */

TEST(a_session_that_closes_finishes_what_was_begun)
{
    struct duo duo = open_duo(NULL, NULL);
    afar__session_request request = request_to("");
    afar_error err = AFAR_ERROR_INIT;
    afar__session_event event;
    afar__session_id answer, late;

    call(duo.a, &request);
    carry(duo.a, duo.b);
    answer = expect(duo.b, AFAR__SESSION_CALLED).call;
    expect_none(duo.b);
    afar__session_close(duo.b);
    late = call(duo.a, &request);
    {
        uint8_t *crossing;
        size_t length;

        CHECK(afar__session_take(duo.a, 0, &crossing, &length));
        CHECK(carry(duo.b, duo.a)); /* Goodbye, which crosses the second call */
        expect(duo.a, AFAR__SESSION_CLOSING);
        free(in_flight);
        in_flight = crossing;
        afar__session_receive(duo.b, crossing, length, 0);
    }
    expect_none(duo.b);
    event = expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK(event.call == late);
    CHECK_INT(event.outcome, AFAR_OUTCOME_NOT_SENT);
    expect_none(duo.a);
    CHECK_FAILS(afar__session_call(duo.a, &request, &late, &err), AFAR_UNAVAILABLE);
    CHECK_FAILS(afar__session_call(duo.b, &request, &late, &err), AFAR_UNAVAILABLE);
    reply(duo.b, answer, AFAR_OK);
    CHECK(carry(duo.b, duo.a));
    CHECK_INT(expect(duo.b, AFAR__SESSION_OVER).reason, AFAR__SESSION_NONE);
    CHECK_INT(expect(duo.a, AFAR__SESSION_RETURNED).code, AFAR_OK);
    event = expect(duo.a, AFAR__SESSION_OVER);
    CHECK(event.reason == AFAR__SESSION_NONE && event.remote);
    expect_none(duo.a);
    check_empty(duo.a);
    check_empty(duo.b);
    close_duo(duo);
}

TEST(a_break_ends_everything_with_the_right_outcome)
{
    struct duo duo = open_duo(NULL, NULL);
    afar__session_request request = request_to("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_a };
    afar__session_id sent, unsent, answer;
    afar__session_event event;

    request.references = &reference;
    request.reference_count = 1;
    sent = call(duo.a, &request);
    carry(duo.a, duo.b);
    answer = expect(duo.b, AFAR__SESSION_CALLED).call;
    expect_none(duo.b);
    unsent = call(duo.a, &request);
    afar__session_broken(duo.a, "the wire was cut");
    event = expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK(event.call == sent && event.outcome == AFAR_OUTCOME_UNKNOWN);
    CHECK_INT(event.code, AFAR_UNAVAILABLE);
    event = expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK(event.call == unsent && event.outcome == AFAR_OUTCOME_NOT_SENT);
    CHECK(expect(duo.a, AFAR__SESSION_RELEASED).object == &object_a);
    event = expect(duo.a, AFAR__SESSION_OVER);
    CHECK_INT(event.reason, AFAR__SESSION_BROKEN);
    expect_none(duo.a);
    CHECK(!afar__session_wants_write(duo.a));
    check_empty(duo.a);

    afar__session_broken(duo.b, "the wire was cut");
    CHECK(expect(duo.b, AFAR__SESSION_CANCELLED).call == answer);
    expect(duo.b, AFAR__SESSION_OVER);
    expect_none(duo.b);
    reply(duo.b, answer, AFAR_OK);
    expect_none(duo.b);
    check_empty(duo.b);
    close_duo(duo);
}

TEST(silence_is_asked_about_and_then_the_end)
{
    afar__session_limits limits = { .idle_ms = 10, .dead_ms = 30 };
    struct duo duo = open_duo(&limits, NULL);
    afar__session_event event;

    CHECK_INT(afar__session_tick(duo.a, 5 * MS), 10 * MS);
    CHECK(!afar__session_wants_write(duo.a));
    CHECK_INT(afar__session_tick(duo.a, 10 * MS), 30 * MS);
    CHECK(carry(duo.a, duo.b));
    expect_none(duo.b);
    CHECK_INT(afar__session_tick(duo.a, 12 * MS), 30 * MS);
    CHECK(!afar__session_wants_write(duo.a));
    CHECK(carry(duo.b, duo.a));
    expect_none(duo.a);
    CHECK_INT(afar__session_tick(duo.a, 30 * MS), INT64_MAX);
    event = expect(duo.a, AFAR__SESSION_OVER);
    CHECK_INT(event.reason, AFAR__SESSION_SILENCE);
    CHECK(carry(duo.a, duo.b));
    event = expect(duo.b, AFAR__SESSION_OVER);
    CHECK(event.reason == AFAR__SESSION_SILENCE && event.remote);
    close_duo(duo);
}

/* ---- rules that a peer breaks ---- */

/* A session that has had the Hello of a peer that is written here. */
static afar__session *
open_against(const afar__session_limits *limits)
{
    afar__session *session = open_core(limits, 1), *other = open_core(NULL, 2);
    uint8_t *data;
    size_t length;

    CHECK(carry(other, session));
    expect(session, AFAR__SESSION_OPENED);
    expect_none(session);
    CHECK(afar__session_take(session, 0, &data, &length));
    free(data);
    afar__session_free(other);
    return session;
}

static void
feed(afar__session *session, const afar__frame *frame)
{
    afar__batch batch = { 0 };
    afar__batch_place place = { 0 };
    afar__bytes piece;
    size_t at = 0;

    CHECK(afar__batch_add(&batch, frame));
    free(in_flight);
    in_flight = malloc(batch.length);
    CHECK(in_flight);
    while (afar__batch_next(&batch, &place, &piece)) {
        memcpy(in_flight + at, piece.data, piece.length);
        at += piece.length;
    }
    afar__session_receive(session, in_flight, batch.length, 0);
    afar__batch_free(&batch);
}

static afar__frame
call_frame(uint32_t id)
{
    afar__frame frame = { .kind = AFAR__FRAME_CALL };

    frame.call.id = id;
    frame.call.method = 1;
    frame.call.target.kind = AFAR__CALLEE_NAME;
    return frame;
}

static void
feed_method(afar__session *session)
{
    afar__frame frame = { .kind = AFAR__FRAME_METHOD };

    frame.method.number = 1;
    frame.method.path = (afar__bytes){ (const uint8_t *)"/a.B/C", 6 };
    feed(session, &frame);
    expect_none(session);
}

/* The session ends with a Goodbye that names the rule. */
static void
expect_fault(afar__session *session, const char *text)
{
    afar__frame_reader reader;
    afar_error err = AFAR_ERROR_INIT;
    afar__session_event event;
    afar__frame frame;
    uint8_t *data;
    size_t length;

    do
        CHECK(afar__session_next(session, &event));
    while (event.kind != AFAR__SESSION_OVER);
    CHECK_INT(event.reason, AFAR__SESSION_PROTOCOL);
    CHECK(!event.remote);
    expect_none(session);
    CHECK(afar__session_take(session, 0, &data, &length));
    afar__frame_reader_init(&reader, data, length);
    CHECK_OK(afar__frame_read(&reader, &frame, &err));
    CHECK_INT(frame.kind, AFAR__FRAME_GOODBYE);
    CHECK_INT(frame.goodbye.reason, AFAR__GOODBYE_PROTOCOL);
    if (frame.goodbye.text.length != strlen(text) ||
        memcmp(frame.goodbye.text.data, text, strlen(text)) != 0)
        check_fail(__FILE__, __LINE__, "the Goodbye says \"%.*s\", expected \"%s\"",
                   (int)frame.goodbye.text.length, (const char *)frame.goodbye.text.data, text);
    free(data);
    CHECK(!afar__session_wants_write(session));
    afar__session_free(session);
    free(in_flight);
    in_flight = NULL;
}

TEST(a_frame_before_hello_is_a_fault)
{
    afar__session *session = open_core(NULL, 1);
    afar__frame frame = { .kind = AFAR__FRAME_PING, .ping = 1 };
    uint8_t *data;
    size_t length;

    CHECK(afar__session_take(session, 0, &data, &length));
    free(data);
    feed(session, &frame);
    expect_fault(session, "Ping before Hello");
}

TEST(an_id_in_use_is_a_fault)
{
    afar__session *session = open_against(NULL);
    afar__frame frame = call_frame(1);

    feed_method(session);
    feed(session, &frame);
    expect(session, AFAR__SESSION_CALLED);
    expect_none(session);
    feed(session, &frame);
    expect_fault(session, "Call 1 is in use");
}

TEST(an_id_is_in_use_until_its_return_was_taken)
{
    afar__session *session = open_against(NULL);
    afar__frame frame = call_frame(1);

    feed_method(session);
    feed(session, &frame);
    reply(session, expect(session, AFAR__SESSION_CALLED).call, AFAR_OK);
    expect_none(session);
    CHECK_INT(afar__session_count(session).answers, 1);
    feed(session, &frame);
    CHECK_INT(expect(session, AFAR__SESSION_OVER).reason, AFAR__SESSION_PROTOCOL);
    afar__session_free(session);
    free(in_flight);
    in_flight = NULL;
}

TEST(more_calls_than_the_limit_are_a_fault)
{
    afar__session *session = open_against(&(afar__session_limits){ .calls = 3 });
    afar__frame frame = call_frame(4);

    feed_method(session);
    feed(session, &frame);
    expect_fault(session, "Call 4, over 3");
}

TEST(a_call_to_an_export_that_is_none_is_a_fault)
{
    afar__session *session = open_against(NULL);
    afar__frame frame = call_frame(1);

    frame.call.target = (afar__callee){ .kind = AFAR__CALLEE_EXPORT, .export = 9 };
    feed_method(session);
    feed(session, &frame);
    expect_fault(session, "Call to export 9, which is none");
}

TEST(a_release_of_more_than_was_given_is_a_fault)
{
    afar__session *session = open_against(NULL);
    afar__frame frame = { .kind = AFAR__FRAME_RELEASE, .release = { .export = 1, .count = 1 } };

    feed(session, &frame);
    expect_fault(session, "Release of 1 of 0 references to export 1");
}

TEST(a_return_without_a_call_is_a_fault)
{
    afar__session *session = open_against(NULL);
    afar__frame frame = { .kind = AFAR__FRAME_RETURN, .returned = { .call = 1 } };

    feed(session, &frame);
    expect_fault(session, "Return for call 1, which is not open");
}

TEST(a_call_without_credit_is_a_fault)
{
    afar__session *session = open_against(&(afar__session_limits){ .session_bytes = 1 });
    afar__frame frame = call_frame(1);

    feed_method(session);
    feed(session, &frame);
    expect(session, AFAR__SESSION_CALLED);
    expect_none(session);
    frame.call.id = 2;
    feed(session, &frame);
    expect_fault(session, "no credit is left on the session");
}

TEST(credit_of_2_to_the_31_is_a_fault)
{
    afar__session *session = open_against(NULL);
    afar__frame frame = { .kind = AFAR__FRAME_CREDIT, .credit = { .bytes = INT32_MAX } };

    feed(session, &frame);
    expect_fault(session, "credit of 2^31 or more");
}

TEST(a_second_ping_before_the_pong_is_a_fault)
{
    afar__session *session = open_against(NULL);
    afar__frame frame = { .kind = AFAR__FRAME_PING, .ping = 1 };

    feed(session, &frame);
    expect_none(session);
    feed(session, &frame);
    expect_fault(session, "a Ping before the Pong for the one before");
}

TEST(methods_are_numbered_without_gaps)
{
    afar__session *session = open_against(NULL);
    afar__frame frame = { .kind = AFAR__FRAME_METHOD };

    frame.method.number = 2;
    frame.method.path = (afar__bytes){ (const uint8_t *)"/a.B/C", 6 };
    feed(session, &frame);
    expect_fault(session, "Method has the number 2, not 1");
}

TEST(a_finish_for_a_call_that_is_not_kept_is_a_fault)
{
    afar__session *session = open_against(NULL);
    afar__frame frame = call_frame(1);

    feed_method(session);
    feed(session, &frame);
    expect(session, AFAR__SESSION_CALLED);
    expect_none(session);
    frame = (afar__frame){ .kind = AFAR__FRAME_FINISH, .finish = 1 };
    feed(session, &frame);
    expect_fault(session, "Finish for call 1, which is not kept");
}

TEST(versions_that_do_not_meet_end_the_session)
{
    static const uint8_t instance[16] = { 1 };
    afar__session *session = open_core(NULL, 1);
    afar__frame frame = { .kind = AFAR__FRAME_HELLO };
    afar__session_event event;

    frame.hello.lowest = 2;
    frame.hello.highest = 3;
    frame.hello.instance = (afar__bytes){ instance, sizeof instance };
    feed(session, &frame);
    event = expect(session, AFAR__SESSION_OVER);
    CHECK_INT(event.reason, AFAR__SESSION_VERSION);
    CHECK_STR((const char *)event.text.data, "no version in common: here 1 to 1, there 2 to 3");
    afar__session_free(session);
    free(in_flight);
    in_flight = NULL;
}

/* ---- memory ---- */

TEST(a_peer_that_fills_everything_stays_within_the_formula)
{
    afar__session_limits limits = { .calls = 50,
                                    .references = 500,
                                    .message_bytes = 5000,
                                    .window_bytes = 4000,
                                    .session_bytes = 20000,
                                    .methods = 40 };
    afar__session *session = open_against(&limits);
    char path[AFAR__FRAME_MAX_METHOD];
    uint8_t payload[5000] = { 0 };
    afar__frame frame;
    afar__session_event event;
    size_t most = afar__session_most_bytes(&limits), held = 0;

    memset(path, 'm', sizeof path);
    for (uint32_t number = 1; number <= limits.methods; number++) {
        frame = (afar__frame){ .kind = AFAR__FRAME_METHOD };
        frame.method.number = number;
        frame.method.path = (afar__bytes){ (const uint8_t *)path, sizeof path };
        feed(session, &frame);
        expect_none(session);
    }
    frame = call_frame(1);
    frame.call.keep = true;
    feed(session, &frame);
    expect(session, AFAR__SESSION_CALLED);
    expect_none(session);
    for (uint32_t id = 2; id <= limits.calls; id++) {
        afar__reference reference = { .kind = AFAR__REFERENCE_HOSTED, .hosted.id = 502 - id };

        frame = call_frame(id);
        frame.call.target = (afar__callee){ .kind = AFAR__CALLEE_PROMISED, .promised.call = 1 };
        frame.call.payload = (afar__bytes){ payload, id % 2 ? sizeof payload : 1 };
        frame.call.references = (afar__list){ .count = 1, .items = &reference };
        feed(session, &frame);
        if (afar__session_next(session, &event))
            break;
        held = afar__session_held_bytes(session);
        CHECK(held <= most);
    }
    CHECK(held > 20000);
    CHECK_INT(event.kind, AFAR__SESSION_CANCELLED);
    CHECK_INT(expect(session, AFAR__SESSION_OVER).reason, AFAR__SESSION_PROTOCOL);
    CHECK_INT(afar__session_count(session).held, 0);
    afar__session_free(session);
    free(in_flight);
    in_flight = NULL;
}

TEST(an_idle_session_is_small)
{
    struct duo duo = open_duo(NULL, NULL);

    CHECK(afar__session_held_bytes(duo.a) <= 2048);
    close_duo(duo);
}
