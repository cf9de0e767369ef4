/* Rules that a peer breaks, and what it can make a session hold: one core against frames that are
 * written here. */

#include <stdlib.h>
#include <string.h>

#include "runtime/session/frame.h"

#include "check.h"
#include "core.h"

/* A session that has had the Hello of a peer that is written here. */
static afar__session *
open_against(const afar__session_limits *limits)
{
    afar__session *session = core_open(limits, 1), *other = core_open(NULL, 2);
    uint8_t *data;
    size_t length;

    CHECK(core_carry(other, session));
    core_expect(session, AFAR__SESSION_OPENED);
    core_expect_none(session);
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
    free(core_in_flight);
    core_in_flight = malloc(batch.length);
    CHECK(core_in_flight);
    while (afar__batch_next(&batch, &place, &piece)) {
        memcpy(core_in_flight + at, piece.data, piece.length);
        at += piece.length;
    }
    afar__session_receive(session, core_in_flight, batch.length, 0);
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
    core_expect_none(session);
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
    core_expect_none(session);
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
    free(core_in_flight);
    core_in_flight = NULL;
}

TEST(a_frame_before_hello_is_a_fault)
{
    afar__session *session = core_open(NULL, 1);
    afar__frame frame = { .kind = AFAR__FRAME_PING, .ping = 1 };
    uint8_t *data;
    size_t length;

    CHECK(afar__session_take(session, 0, &data, &length));
    free(data);
    feed(session, &frame);
    expect_fault(session, "Ping before Hello");
}

TEST(a_session_that_was_not_opened_is_not_closed_in_order)
{
    afar__session *session = core_open(NULL, 1);
    afar__frame frame = { .kind = AFAR__FRAME_GOODBYE };
    uint8_t *data;
    size_t length;

    CHECK(afar__session_take(session, 0, &data, &length));
    free(data);
    feed(session, &frame);
    expect_fault(session, "Goodbye before Hello");
}

TEST(an_id_in_use_is_a_fault)
{
    afar__session *session = open_against(NULL);
    afar__frame frame = call_frame(1);

    feed_method(session);
    feed(session, &frame);
    core_expect(session, AFAR__SESSION_CALLED);
    core_expect_none(session);
    feed(session, &frame);
    expect_fault(session, "Call 1 is in use");
}

TEST(an_id_is_in_use_until_its_return_was_taken)
{
    afar__session *session = open_against(NULL);
    afar__frame frame = call_frame(1);

    feed_method(session);
    feed(session, &frame);
    core_reply(session, core_expect(session, AFAR__SESSION_CALLED).call, AFAR_OK);
    core_expect_none(session);
    CHECK_INT(afar__session_count(session).answers, 1);
    feed(session, &frame);
    CHECK_INT(core_expect(session, AFAR__SESSION_OVER).reason, AFAR__SESSION_PROTOCOL);
    afar__session_free(session);
    free(core_in_flight);
    core_in_flight = NULL;
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

/* A session that made call 1, and has had an Item of its answer. */
static afar__session *
open_with_an_item(const afar__list *initial)
{
    afar__session *session = open_against(NULL);
    afar__frame frame = { .kind = AFAR__FRAME_ITEM, .item = { .call = 1, .to_caller = true } };
    afar__session_request request = core_request("");
    uint8_t *data;
    size_t length;

    core_call(session, &request);
    CHECK(afar__session_take(session, 0, &data, &length));
    free(data);
    frame.item.initial = *initial;
    feed(session, &frame);
    CHECK_INT(core_expect(session, AFAR__SESSION_ITEM).metadata_count, initial->count);
    core_expect_none(session);
    return session;
}

TEST(initial_metadata_behind_an_item_is_a_fault)
{
    const afar__pair pair = { .key = { (const uint8_t *)"key", 3 } };
    const afar__list some = { .count = 1, .items = &pair }, none = { .count = 0 };
    afar__frame item = { .kind = AFAR__FRAME_ITEM, .item = { .call = 1, .to_caller = true } };
    afar__frame returned = { .kind = AFAR__FRAME_RETURN, .returned = { .call = 1 } };
    afar__session *session = open_with_an_item(&some);

    item.item.initial = some;
    returned.returned.initial = some;
    feed(session, &item);
    expect_fault(session, "initial metadata behind an Item of call 1");
    session = open_with_an_item(&none);
    feed(session, &item);
    expect_fault(session, "initial metadata behind an Item of call 1");
    session = open_with_an_item(&none);
    feed(session, &returned);
    expect_fault(session, "initial metadata behind an Item of call 1");
}

TEST(a_call_without_credit_is_a_fault)
{
    afar__session *session = open_against(&(afar__session_limits){ .session_bytes = 1 });
    afar__frame frame = call_frame(1);

    feed_method(session);
    feed(session, &frame);
    core_expect(session, AFAR__SESSION_CALLED);
    core_expect_none(session);
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
    core_expect_none(session);
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
    core_expect(session, AFAR__SESSION_CALLED);
    core_expect_none(session);
    frame = (afar__frame){ .kind = AFAR__FRAME_FINISH, .finish = 1 };
    feed(session, &frame);
    expect_fault(session, "Finish for call 1, which is not kept");
}

TEST(versions_that_do_not_meet_end_the_session)
{
    static const uint8_t instance[16] = { 1 };
    afar__session *session = core_open(NULL, 1);
    afar__frame frame = { .kind = AFAR__FRAME_HELLO };
    afar__session_event event;

    frame.hello.lowest = 2;
    frame.hello.highest = 3;
    frame.hello.instance = (afar__bytes){ instance, sizeof instance };
    feed(session, &frame);
    event = core_expect(session, AFAR__SESSION_OVER);
    CHECK_INT(event.reason, AFAR__SESSION_VERSION);
    CHECK_STR((const char *)event.text.data, "no version in common: here 1 to 1, there 2 to 3");
    afar__session_free(session);
    free(core_in_flight);
    core_in_flight = NULL;
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
        core_expect_none(session);
    }
    frame = call_frame(1);
    frame.call.keep = true;
    feed(session, &frame);
    core_expect(session, AFAR__SESSION_CALLED);
    core_expect_none(session);
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
    CHECK_INT(core_expect(session, AFAR__SESSION_OVER).reason, AFAR__SESSION_PROTOCOL);
    CHECK_INT(afar__session_count(session).held, 0);
    afar__session_free(session);
    free(core_in_flight);
    core_in_flight = NULL;
}

TEST(an_idle_session_is_small)
{
    struct duo duo = duo_open(NULL, NULL);

    CHECK(afar__session_held_bytes(duo.a) <= 2048);
    duo_close(duo);
}

TEST(a_call_has_a_place_below_the_limit_of_the_peer)
{
    struct duo duo = duo_open(NULL, &(afar__session_limits){ .calls = 2 });
    afar__session *closed = core_open(NULL, 3);
    afar__session_request request = core_request("");
    afar__session_id kept, other, first;

    CHECK(!afar__session_can_call(closed)); /* not open yet */
    afar__session_free(closed);
    CHECK(afar__session_can_call(duo.a));
    request.keep = true;
    kept = core_call(duo.a, &request);
    CHECK(afar__session_can_call(duo.a));
    other = core_call(duo.a, &request);
    CHECK(!afar__session_can_call(duo.a));
    CHECK_INT(afar__session_call(duo.a, &request, &first, NULL), AFAR_RESOURCE_EXHAUSTED);
    core_carry(duo.a, duo.b);
    first = core_expect(duo.b, AFAR__SESSION_CALLED).call;
    core_reply(duo.b, first, AFAR_OK);
    core_reply(duo.b, core_expect(duo.b, AFAR__SESSION_CALLED).call, AFAR_ABORTED);
    core_expect_none(duo.b);
    core_carry(duo.b, duo.a);
    CHECK(core_expect(duo.a, AFAR__SESSION_RETURNED).call == kept);
    CHECK(!afar__session_can_call(duo.a)); /* it is kept, and the other not answered yet */
    CHECK(core_expect(duo.a, AFAR__SESSION_RETURNED).call == other);
    core_expect_none(duo.a);
    CHECK(!afar__session_can_call(duo.a)); /* its Finish was not sent */
    CHECK(core_carry(duo.a, duo.b));
    CHECK(afar__session_can_call(duo.a));
    afar__session_close(duo.a);
    CHECK(!afar__session_can_call(duo.a));
    duo_close(duo);
}

TEST(a_method_that_no_peer_takes_is_refused)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_id call = 0;

    request.method = "";
    CHECK_INT(afar__session_call(duo.a, &request, &call, NULL), AFAR_INVALID_ARGUMENT);
    request.method = "/a.B/\xff";
    CHECK_INT(afar__session_call(duo.a, &request, &call, NULL), AFAR_INVALID_ARGUMENT);
    CHECK(!afar__session_wants_write(duo.a));
    duo_close(duo);
}
