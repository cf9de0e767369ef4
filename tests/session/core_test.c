/* What a session does with calls, references, promises and streams: two cores over a wire that a
 * test drives by hand. */

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core.h"

#define MS INT64_C(1000000)

static int object_a, object_b;

TEST(a_call_is_answered)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("alice");
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
    id = core_call(duo.a, &request);
    CHECK(core_carry(duo.a, duo.b));
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    CHECK_INT(event.method.length, strlen("/bank.Account/Deposit"));
    CHECK(memcmp(event.method.data, "/bank.Account/Deposit", event.method.length) == 0);
    CHECK(event.target.kind == AFAR__SESSION_NAMED && event.target.name.length == 5);
    CHECK_INT(event.deadline, 5 * MS);
    CHECK_INT(event.chain_length, 2);
    CHECK_INT(event.chain[1], 8);
    CHECK_INT(event.metadata_count, 1);
    CHECK(memcmp(event.metadata[0].value.data, "value", 5) == 0);
    CHECK(memcmp(event.payload.data, "hello", 5) == 0);
    core_reply(duo.b, event.call, AFAR_OK);
    core_expect_none(duo.b);
    CHECK(core_carry(duo.b, duo.a));
    event = core_expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK(event.call == id && event.user == &object_a);
    CHECK(event.code == AFAR_OK && event.outcome == AFAR_OUTCOME_ANSWERED && event.remote);
    CHECK(memcmp(event.payload.data, "world", 5) == 0);
    core_expect_none(duo.a);
    core_check_empty(duo.a);
    core_check_empty(duo.b);
    duo_close(duo);
}

TEST(a_call_before_the_peers_hello_is_refused)
{
    afar__session *session = core_open(NULL, 1);
    afar__session_request request = core_request("");
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id id;

    CHECK_FAILS(afar__session_call(session, &request, &id, &err), AFAR_UNAVAILABLE);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    afar__session_free(session);
}

TEST(a_cancelled_call_that_was_not_sent_is_not_sent)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_a };
    afar__session_event event;
    afar__session_id id;

    request.references = &reference;
    request.reference_count = 1;
    id = core_call(duo.a, &request);
    CHECK_INT(afar__session_exported(duo.a, &object_a), 1);
    afar__session_cancel(duo.a, id);
    event = core_expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK_INT(event.code, AFAR_CANCELLED);
    CHECK_INT(event.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(core_expect(duo.a, AFAR__SESSION_RELEASED).object == &object_a);
    core_expect_none(duo.a);
    CHECK(core_carry(duo.a, duo.b)); /* the method's number */
    core_expect_none(duo.b);
    core_check_empty(duo.a);
    duo_close(duo);
}

TEST(a_cancel_is_told_and_the_answer_comes_all_the_same)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_id id = core_call(duo.a, &request);
    afar__session_event event;

    core_carry(duo.a, duo.b);
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    core_expect_none(duo.b);
    afar__session_cancel(duo.a, id);
    afar__session_cancel(duo.a, id);
    CHECK(core_carry(duo.a, duo.b));
    CHECK(core_expect(duo.b, AFAR__SESSION_CANCELLED).call == event.call);
    core_expect_none(duo.b);
    core_reply(duo.b, event.call, AFAR_CANCELLED);
    core_carry(duo.b, duo.a);
    CHECK_INT(core_expect(duo.a, AFAR__SESSION_RETURNED).code, AFAR_CANCELLED);
    afar__session_cancel(duo.a, id); /* of a handle that is over */
    CHECK(!afar__session_wants_write(duo.a));
    core_check_empty(duo.a);
    core_check_empty(duo.b);
    duo_close(duo);
}

TEST(an_object_has_one_id_and_its_references_are_counted)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference references[2] = { { .kind = AFAR__SESSION_OURS, .object = &object_a },
                                              { .kind = AFAR__SESSION_OURS, .object = &object_a } };
    afar__session_event event;
    uint32_t import;

    request.references = references;
    request.reference_count = 2;
    core_call(duo.a, &request);
    CHECK_INT(afar__session_exported(duo.a, &object_a), 2);
    CHECK_INT(afar__session_count(duo.a).exports, 1);
    core_carry(duo.a, duo.b);
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    CHECK_INT(event.reference_count, 2);
    import = event.references[0].import;
    CHECK_INT(event.references[1].import, import);
    core_reply(duo.b, event.call, AFAR_OK);
    core_expect_none(duo.b);
    afar__session_release(duo.b, import, 1);
    core_carry(duo.b, duo.a);
    core_expect(duo.a, AFAR__SESSION_RETURNED);
    core_expect_none(duo.a);
    CHECK_INT(afar__session_exported(duo.a, &object_a), 1);
    afar__session_release(duo.b, import, 1);
    CHECK(core_carry(duo.b, duo.a));
    CHECK(core_expect(duo.a, AFAR__SESSION_RELEASED).object == &object_a);
    core_expect_none(duo.a);
    core_check_empty(duo.a);
    core_check_empty(duo.b);
    duo_close(duo);
}

TEST(an_object_that_could_not_be_sent_is_not_told_as_released)
{
    afar__session_limits limits = { .references = 1 };
    struct duo duo = duo_open(NULL, &limits);
    afar__session_request request = core_request("");
    afar__session_reference references[2] = { { .kind = AFAR__SESSION_OURS, .object = &object_a },
                                              { .kind = AFAR__SESSION_OURS, .object = &object_b } };
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id id;

    request.references = references;
    request.reference_count = 2;
    CHECK_FAILS(afar__session_call(duo.a, &request, &id, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK_STR(err.message, "the peer takes 1 references");
    core_expect_none(duo.a);
    CHECK_INT(afar__session_count(duo.a).exports, 0);
    CHECK_INT(afar__session_count(duo.a).exported, 0);
    duo_close(duo);
}

TEST(a_release_that_crosses_a_new_reference_does_not_end_the_object)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_a };
    uint32_t import;

    request.references = &reference;
    request.reference_count = 1;
    core_call(duo.a, &request);
    core_carry(duo.a, duo.b);
    import = core_expect(duo.b, AFAR__SESSION_CALLED).references[0].import;
    core_expect_none(duo.b);
    afar__session_release(duo.b, import, 1);
    core_call(duo.a, &request);
    CHECK(core_carry(duo.b, duo.a));
    core_expect_none(duo.a);
    CHECK_INT(afar__session_exported(duo.a, &object_a), 1);
    core_carry(duo.a, duo.b);
    CHECK_INT(core_expect(duo.b, AFAR__SESSION_CALLED).references[0].import, import);
    duo_close(duo);
}

TEST(a_release_waits_for_a_call_that_names_the_import)
{
    afar__session_limits small = { .session_bytes = 1 };
    struct duo duo = duo_open(NULL, &small);
    afar__session_request request = core_request("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_b };
    afar__session_event event;

    /* B gives A an object, and A spends all its credit. */
    request.references = &reference;
    request.reference_count = 1;
    core_call(duo.b, &request);
    core_carry(duo.b, duo.a);
    CHECK_INT(core_expect(duo.a, AFAR__SESSION_CALLED).references[0].import, 1);
    core_expect_none(duo.a);
    request = core_request("");
    core_call(duo.a, &request);
    CHECK(core_carry(duo.a, duo.b));
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    core_expect_none(duo.b);

    request.target = (afar__session_target){ .kind = AFAR__SESSION_OBJECT, .import = 1 };
    core_call(duo.a, &request);
    afar__session_release(duo.a, 1, 1);
    CHECK(!afar__session_wants_write(duo.a));
    afar__session_taken(duo.b, event.call, event.cost, false);
    CHECK(core_carry(duo.b, duo.a));
    core_expect_none(duo.a);
    CHECK(core_carry(duo.a, duo.b));
    CHECK(core_expect(duo.b, AFAR__SESSION_CALLED).target.object == &object_b);
    core_expect_none(duo.b);
    CHECK(core_carry(duo.a, duo.b));
    CHECK(core_expect(duo.b, AFAR__SESSION_RELEASED).object == &object_b);
    duo_close(duo);
}

/* ---- promises ---- */

static afar__session_request
request_to_promise(afar__session_id promiser, const uint32_t *path)
{
    afar__session_request request = core_request("");

    request.target = (afar__session_target){
        .kind = AFAR__SESSION_PROMISED, .call = promiser, .path = path, .path_length = 1
    };
    return request;
}

TEST(calls_to_a_promise_wait_in_order_for_its_result)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_request next;
    afar__session_event event;
    afar__session_id promiser, answer = 0;
    uint32_t path = 3;

    request.keep = true;
    promiser = core_call(duo.a, &request);
    next = request_to_promise(promiser, &path);
    next.payload = SPAN("1");
    core_call(duo.a, &next);
    next.payload = SPAN("2");
    core_call(duo.a, &next);
    afar__session_finish(duo.a, promiser);
    while (core_carry(duo.a, duo.b))
        if (afar__session_next(duo.b, &event)) {
            CHECK_INT(event.kind, AFAR__SESSION_CALLED);
            answer = event.call;
            afar__session_set_user(duo.b, answer, &object_b);
            core_expect_none(duo.b);
        }
    CHECK_INT(afar__session_count(duo.b).held, 2);
    core_reply(duo.b, answer, AFAR_OK);
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    CHECK(event.target.kind == AFAR__SESSION_PROMISED && event.target_user == &object_b);
    CHECK_INT(event.target.path[0], 3);
    CHECK(memcmp(event.payload.data, "1", 1) == 0);
    core_reply(duo.b, event.call, AFAR_OK);
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    CHECK(memcmp(event.payload.data, "2", 1) == 0);
    core_reply(duo.b, event.call, AFAR_OK);
    CHECK(core_expect(duo.b, AFAR__SESSION_FINISHED).call == answer);
    core_expect_none(duo.b);
    core_carry(duo.b, duo.a);
    core_expect(duo.a, AFAR__SESSION_RETURNED);
    core_expect(duo.a, AFAR__SESSION_RETURNED);
    core_expect(duo.a, AFAR__SESSION_RETURNED);
    core_expect_none(duo.a);
    core_check_empty(duo.a);
    core_check_empty(duo.b);
    duo_close(duo);
}

TEST(the_pointer_of_an_import_does_not_outlive_what_the_owner_knows)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_a };
    afar__session_event event;
    afar__session_id promiser;
    uint32_t path = 1;

    request.keep = true;
    request.references = &reference;
    request.reference_count = 1;
    promiser = core_call(duo.a, &request);
    request = request_to_promise(promiser, &path);
    request.references = &reference;
    request.reference_count = 1;
    core_call(duo.a, &request);
    core_carry(duo.a, duo.b);
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    afar__session_set_import_user(duo.b, 1, &object_b);
    core_expect_none(duo.b);
    afar__session_release(duo.b, 1, 1); /* the second one is still held */
    CHECK(afar__session_import_user(duo.b, 1) == NULL);
    core_reply(duo.b, event.call, AFAR_OK);
    CHECK_INT(core_expect(duo.b, AFAR__SESSION_CALLED).references[0].import, 1);
    CHECK(core_carry(duo.b, duo.a));
    core_expect(duo.a, AFAR__SESSION_RETURNED);
    core_expect_none(duo.a);
    CHECK_INT(afar__session_exported(duo.a, &object_a), 1);
    duo_close(duo);
}

/* Who holds an object from the first reference to RELEASED must not hold it twice. */
TEST(an_object_that_goes_out_again_before_it_was_released_is_the_same_export)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_a };
    afar__session_id first;

    request.references = &reference;
    request.reference_count = 1;
    CHECK(!afar__session_exports(duo.a, &object_a));
    first = core_call(duo.a, &request);
    CHECK(afar__session_exports(duo.a, &object_a));
    afar__session_cancel(duo.a, first); /* not sent: it comes back */
    CHECK_INT(afar__session_exported(duo.a, &object_a), 0);
    CHECK(afar__session_exports(duo.a, &object_a));
    first = core_call(duo.a, &request);
    core_expect(duo.a, AFAR__SESSION_RETURNED);
    core_expect_none(duo.a);
    afar__session_cancel(duo.a, first);
    core_expect(duo.a, AFAR__SESSION_RETURNED);
    core_expect(duo.a, AFAR__SESSION_RELEASED);
    core_expect_none(duo.a);
    CHECK(!afar__session_exports(duo.a, &object_a));
    duo_close(duo);
}

TEST(calls_to_a_promise_fail_as_it_does)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_a };
    afar__session_id promiser, second;
    afar__session_event event;
    uint32_t path = 3;

    request.keep = true;
    promiser = core_call(duo.a, &request);
    request = request_to_promise(promiser, &path);
    request.keep = true;
    request.references = &reference;
    request.reference_count = 1;
    second = core_call(duo.a, &request);
    request = request_to_promise(second, &path);
    core_call(duo.a, &request);
    core_carry(duo.a, duo.b);
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    core_expect_none(duo.b);
    CHECK_INT(afar__session_count(duo.b).held, 2);
    core_reply(duo.b, event.call, AFAR_NOT_FOUND);
    core_expect_none(duo.b);
    while (core_carry(duo.b, duo.a))
        while (afar__session_next(duo.a, &event)) {
            if (event.kind == AFAR__SESSION_RELEASED)
                continue;
            CHECK_INT(event.kind, AFAR__SESSION_RETURNED);
            CHECK_INT(event.code, AFAR_NOT_FOUND);
            CHECK_INT(event.not_begun, event.call != promiser);
        }
    CHECK(core_carry(duo.a, duo.b)); /* Finish, of itself */
    core_expect_none(duo.b);
    core_check_empty(duo.a);
    core_check_empty(duo.b);
    duo_close(duo);
}

TEST(a_cancelled_call_that_waits_for_a_promise_has_not_begun)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_id promiser, second;
    afar__session_event event;
    uint32_t path = 3;

    request.keep = true;
    promiser = core_call(duo.a, &request);
    request = request_to_promise(promiser, &path);
    second = core_call(duo.a, &request);
    core_carry(duo.a, duo.b);
    core_expect(duo.b, AFAR__SESSION_CALLED);
    core_expect_none(duo.b);
    afar__session_cancel(duo.a, second);
    CHECK(core_carry(duo.a, duo.b));
    core_expect_none(duo.b);
    CHECK(core_carry(duo.b, duo.a));
    event = core_expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK(event.call == second && event.not_begun);
    CHECK_INT(event.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK_INT(afar__session_count(duo.b).held, 0);
    duo_close(duo);
}

TEST(a_kept_call_can_be_cancelled_before_it_is_finished)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_id promiser, second;
    uint32_t path = 3;

    request.keep = true;
    promiser = core_call(duo.a, &request);
    request = request_to_promise(promiser, &path);
    second = core_call(duo.a, &request);
    afar__session_cancel(duo.a, promiser); /* it goes all the same: another waits behind it */
    core_expect_none(duo.a);
    afar__session_cancel(duo.a, second);
    CHECK(core_expect(duo.a, AFAR__SESSION_RETURNED).call == second);
    afar__session_finish(duo.a, promiser);
    CHECK(core_expect(duo.a, AFAR__SESSION_RETURNED).call == promiser);
    core_expect_none(duo.a);
    CHECK(core_carry(duo.a, duo.b)); /* the method's number */
    core_expect_none(duo.b);
    core_check_empty(duo.a);
    duo_close(duo);
}

/* ---- streams ---- */

TEST(items_wait_for_credit_and_others_overtake_them)
{
    afar__session_limits small = { .window_bytes = 1 };
    struct duo duo = duo_open(NULL, &small);
    afar__session_request request = core_request("");
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id stream;
    afar__session_event event;

    request.payload.length = 0;
    stream = core_call(duo.a, &request);
    CHECK_OK(core_item(duo.a, stream, "one", &err));
    CHECK_OK(core_item(duo.a, stream, "two", &err));
    afar__session_end(duo.a, stream);
    CHECK(afar__session_stalled(duo.a, stream));
    core_call(duo.a, &request);
    core_carry(duo.a, duo.b);
    core_expect(duo.b, AFAR__SESSION_CALLED);
    core_expect(duo.b, AFAR__SESSION_CALLED);
    event = core_expect(duo.b, AFAR__SESSION_ITEM);
    CHECK(memcmp(event.payload.data, "one", 3) == 0);
    core_expect_none(duo.b);
    CHECK(!afar__session_wants_write(duo.a));
    afar__session_taken(duo.b, event.call, event.cost, true);
    CHECK(core_carry(duo.b, duo.a));
    core_expect_none(duo.a);
    CHECK(core_carry(duo.a, duo.b));
    CHECK(core_expect(duo.a, AFAR__SESSION_WRITABLE).call == stream);
    event = core_expect(duo.b, AFAR__SESSION_ITEM);
    CHECK(memcmp(event.payload.data, "two", 3) == 0);
    core_expect(duo.b, AFAR__SESSION_ENDED);
    CHECK_FAILS(core_item(duo.a, stream, "x", &err), AFAR_FAILED_PRECONDITION);
    duo_close(duo);
}

TEST(a_return_comes_behind_its_items_unless_it_was_cancelled)
{
    /* It went well, it failed, it was cancelled. */
    for (int how = 0; how < 3; how++) {
        bool dropped = how == 2;
        afar__session_limits small = { .window_bytes = 1 };
        struct duo duo = duo_open(&small, NULL);
        afar__session_request request = core_request("");
        afar_error err = AFAR_ERROR_INIT;
        afar__session_event event;
        afar__session_id answer, question = core_call(duo.a, &request);

        core_carry(duo.a, duo.b);
        answer = core_expect(duo.b, AFAR__SESSION_CALLED).call;
        core_expect_none(duo.b);
        CHECK_OK(core_item(duo.b, answer, "one", &err));
        CHECK_OK(core_item(duo.b, answer, "two", &err));
        CHECK(core_carry(duo.b, duo.a));
        event = core_expect(duo.a, AFAR__SESSION_ITEM);
        core_expect_none(duo.a);
        if (dropped) {
            afar__session_cancel(duo.a, question);
            CHECK(core_carry(duo.a, duo.b));
            core_expect(duo.b, AFAR__SESSION_CANCELLED);
            core_expect_none(duo.b);
        }
        core_reply(duo.b, answer, how == 0 ? AFAR_OK : AFAR_ABORTED);
        CHECK_INT(afar__session_wants_write(duo.b), dropped);
        if (!dropped) {
            afar__session_taken(duo.a, question, event.cost, true);
            CHECK(core_carry(duo.a, duo.b));
            core_expect_none(duo.b);
        }
        CHECK(core_carry(duo.b, duo.a));
        if (!dropped)
            core_expect(duo.a, AFAR__SESSION_ITEM);
        core_expect(duo.a, AFAR__SESSION_RETURNED);
        core_expect_none(duo.a);
        core_check_empty(duo.a);
        core_check_empty(duo.b);
        duo_close(duo);
    }
}

/* How many pairs come with the next event, which is of that kind. */
static size_t
initial_pairs(afar__session *session, afar__session_event_kind kind)
{
    return core_expect(session, kind).metadata_count;
}

TEST(initial_metadata_comes_with_the_first_that_is_said)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_pair pair = { SPAN("key"), SPAN("value") };
    afar__session_message message = { .initial = &pair, .initial_count = 1 };
    afar__session_reply reply = { .initial = &pair, .initial_count = 1 };
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id answer;

    core_call(duo.a, &request);
    core_carry(duo.a, duo.b);
    answer = core_expect(duo.b, AFAR__SESSION_CALLED).call;
    core_expect_none(duo.b);
    CHECK_OK(afar__session_item(duo.b, answer, &message, &err));
    CHECK_OK(afar__session_item(duo.b, answer, &message, &err));
    CHECK(core_carry(duo.b, duo.a));
    CHECK_INT(initial_pairs(duo.a, AFAR__SESSION_ITEM), 1);
    CHECK_INT(initial_pairs(duo.a, AFAR__SESSION_ITEM), 0);
    core_expect_none(duo.a);
    CHECK_OK(afar__session_return(duo.b, answer, &reply, &err));
    CHECK(core_carry(duo.b, duo.a));
    CHECK_INT(initial_pairs(duo.a, AFAR__SESSION_RETURNED), 0);
    core_expect_none(duo.a);
    duo_close(duo);
}

TEST(initial_metadata_of_items_that_were_dropped_comes_with_the_return)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_pair pair = { SPAN("key"), SPAN("value") };
    afar__session_message message = { .initial = &pair, .initial_count = 1 };
    afar__session_reply reply = { .initial = &pair, .initial_count = 1 };
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id answer, question = core_call(duo.a, &request);

    core_carry(duo.a, duo.b);
    answer = core_expect(duo.b, AFAR__SESSION_CALLED).call;
    core_expect_none(duo.b);
    CHECK_OK(afar__session_item(duo.b, answer, &message, &err));
    afar__session_cancel(duo.a, question);
    CHECK(core_carry(duo.a, duo.b));
    core_expect(duo.b, AFAR__SESSION_CANCELLED);
    core_expect_none(duo.b);
    CHECK_OK(afar__session_return(duo.b, answer, &reply, &err));
    CHECK(core_carry(duo.b, duo.a));
    CHECK_INT(initial_pairs(duo.a, AFAR__SESSION_RETURNED), 1);
    core_expect_none(duo.a);
    duo_close(duo);
}

TEST(a_caller_that_has_ended_its_stream_still_gives_credit_for_the_other)
{
    afar__session_limits small = { .window_bytes = 1 };
    struct duo duo = duo_open(&small, NULL);
    afar__session_request request = core_request("");
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id answer, question = core_call(duo.a, &request);
    afar__session_event event;

    afar__session_end(duo.a, question);
    core_carry(duo.a, duo.b);
    answer = core_expect(duo.b, AFAR__SESSION_CALLED).call;
    core_expect(duo.b, AFAR__SESSION_ENDED);
    core_expect_none(duo.b);
    CHECK_OK(core_item(duo.b, answer, "one", &err));
    CHECK_OK(core_item(duo.b, answer, "two", &err));
    CHECK(core_carry(duo.b, duo.a));
    event = core_expect(duo.a, AFAR__SESSION_ITEM);
    core_expect_none(duo.a);
    afar__session_taken(duo.a, question, event.cost, true);
    CHECK(core_carry(duo.a, duo.b));
    core_expect_none(duo.b);
    CHECK(core_carry(duo.b, duo.a));
    core_expect(duo.a, AFAR__SESSION_ITEM);
    duo_close(duo);
}

TEST(a_stream_goes_on_when_its_result_was_finished_with)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id stream;
    uint32_t path = 1;

    request.keep = true;
    stream = core_call(duo.a, &request);
    request = request_to_promise(stream, &path);
    core_call(duo.a, &request);
    core_carry(duo.a, duo.b);
    core_expect(duo.b, AFAR__SESSION_CALLED);
    core_expect_none(duo.b);
    CHECK_OK(core_item(duo.a, stream, "one", &err));
    afar__session_finish(duo.a, stream);
    afar__session_end(duo.a, stream);
    core_carry(duo.a, duo.b);
    core_expect(duo.b, AFAR__SESSION_ITEM);
    core_expect(duo.b, AFAR__SESSION_ENDED);
    core_expect_none(duo.b);
    duo_close(duo);
}

TEST(items_that_cross_the_return_are_ignored_and_their_references_released)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_a };
    afar__session_message message = { SPAN("x"), &reference, 1, NULL, 0 };
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id stream = core_call(duo.a, &request);

    core_carry(duo.a, duo.b);
    core_reply(duo.b, core_expect(duo.b, AFAR__SESSION_CALLED).call, AFAR_OK);
    core_expect_none(duo.b);
    CHECK_OK(afar__session_item(duo.a, stream, &message, &err));
    {
        uint8_t *returned;
        size_t length;

        CHECK(afar__session_take(duo.b, 0, &returned, &length));
        CHECK(core_carry(duo.a, duo.b));
        core_expect_none(duo.b);
        afar__session_receive(duo.a, returned, length, 0);
        core_expect(duo.a, AFAR__SESSION_RETURNED);
        core_expect_none(duo.a);
        free(returned);
    }
    CHECK(core_carry(duo.b, duo.a));
    CHECK(core_expect(duo.a, AFAR__SESSION_RELEASED).object == &object_a);
    core_expect_none(duo.a);
    core_check_empty(duo.a);
    core_check_empty(duo.b);
    duo_close(duo);
}

/* ---- ends ---- */

TEST(a_session_that_closes_finishes_what_was_begun)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar_error err = AFAR_ERROR_INIT;
    afar__session_event event;
    afar__session_id answer, late;

    core_call(duo.a, &request);
    core_carry(duo.a, duo.b);
    answer = core_expect(duo.b, AFAR__SESSION_CALLED).call;
    core_expect_none(duo.b);
    afar__session_close(duo.b);
    late = core_call(duo.a, &request);
    {
        uint8_t *crossing;
        size_t length;

        CHECK(afar__session_take(duo.a, 0, &crossing, &length));
        CHECK(core_carry(duo.b, duo.a)); /* Goodbye, which crosses the second call */
        core_expect(duo.a, AFAR__SESSION_CLOSING);
        free(core_in_flight);
        core_in_flight = crossing;
        afar__session_receive(duo.b, crossing, length, 0);
    }
    core_expect_none(duo.b);
    event = core_expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK(event.call == late);
    CHECK_INT(event.outcome, AFAR_OUTCOME_NOT_SENT);
    core_expect_none(duo.a);
    CHECK_FAILS(afar__session_call(duo.a, &request, &late, &err), AFAR_UNAVAILABLE);
    CHECK_FAILS(afar__session_call(duo.b, &request, &late, &err), AFAR_UNAVAILABLE);
    core_reply(duo.b, answer, AFAR_OK);
    CHECK(core_carry(duo.b, duo.a));
    CHECK_INT(core_expect(duo.b, AFAR__SESSION_OVER).reason, AFAR__SESSION_NONE);
    CHECK_INT(core_expect(duo.a, AFAR__SESSION_RETURNED).code, AFAR_OK);
    event = core_expect(duo.a, AFAR__SESSION_OVER);
    CHECK(event.reason == AFAR__SESSION_NONE && event.remote);
    core_expect_none(duo.a);
    core_check_empty(duo.a);
    core_check_empty(duo.b);
    duo_close(duo);
}

TEST(a_break_ends_everything_with_the_right_outcome)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference reference = { .kind = AFAR__SESSION_OURS, .object = &object_a };
    afar__session_id sent, unsent, answer;
    afar__session_event event;

    request.references = &reference;
    request.reference_count = 1;
    sent = core_call(duo.a, &request);
    core_carry(duo.a, duo.b);
    answer = core_expect(duo.b, AFAR__SESSION_CALLED).call;
    core_expect_none(duo.b);
    unsent = core_call(duo.a, &request);
    afar__session_broken(duo.a, "the wire was cut");
    event = core_expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK(event.call == sent && event.outcome == AFAR_OUTCOME_UNKNOWN);
    CHECK_INT(event.code, AFAR_UNAVAILABLE);
    event = core_expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK(event.call == unsent && event.outcome == AFAR_OUTCOME_NOT_SENT);
    CHECK(core_expect(duo.a, AFAR__SESSION_RELEASED).object == &object_a);
    event = core_expect(duo.a, AFAR__SESSION_OVER);
    CHECK_INT(event.reason, AFAR__SESSION_BROKEN);
    core_expect_none(duo.a);
    CHECK(!afar__session_wants_write(duo.a));
    core_check_empty(duo.a);

    afar__session_broken(duo.b, "the wire was cut");
    CHECK(core_expect(duo.b, AFAR__SESSION_CANCELLED).call == answer);
    core_expect(duo.b, AFAR__SESSION_OVER);
    core_expect_none(duo.b);
    core_reply(duo.b, answer, AFAR_OK);
    core_expect_none(duo.b);
    core_check_empty(duo.b);
    duo_close(duo);
}

TEST(silence_is_asked_about_and_then_the_end)
{
    afar__session_limits limits = { .idle_ms = 10, .dead_ms = 30 };
    struct duo duo = duo_open(&limits, NULL);
    afar__session_event event;

    CHECK_INT(afar__session_tick(duo.a, 5 * MS), 10 * MS);
    CHECK(!afar__session_wants_write(duo.a));
    CHECK_INT(afar__session_tick(duo.a, 10 * MS), 30 * MS);
    CHECK(core_carry(duo.a, duo.b));
    core_expect_none(duo.b);
    CHECK_INT(afar__session_tick(duo.a, 12 * MS), 30 * MS);
    CHECK(!afar__session_wants_write(duo.a));
    CHECK(core_carry(duo.b, duo.a));
    core_expect_none(duo.a);
    CHECK_INT(afar__session_tick(duo.a, 30 * MS), INT64_MAX);
    event = core_expect(duo.a, AFAR__SESSION_OVER);
    CHECK_INT(event.reason, AFAR__SESSION_SILENCE);
    CHECK(core_carry(duo.a, duo.b));
    event = core_expect(duo.b, AFAR__SESSION_OVER);
    CHECK(event.reason == AFAR__SESSION_SILENCE && event.remote);
    duo_close(duo);
}
