/* Unary calls of the C client against whatever server ECHO_ADDRESS names: what
 * goes out comes back, and each way to fail is told from the others. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

#define MIB (1 << 20)
#define LIMIT (4 * MIB) /* for one message, on both sides */
#define CALLS 1000

static const char *const unicode = "Zo\xc3\xab \xe2\x86\x92 \xe6\x9d\xb1\xe4\xba\xac 100% \"it\"\\";

TEST(unary)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    Afar__Test__Reply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    uint8_t bytes[] = { 0, 1, 255 };
    struct session session;

    session_open(&session);
    request.text = (char *)unicode;
    request.payload = (ProtobufCBinaryData){ sizeof bytes, bytes };
    CHECK_OK(afar_test_echo_unary(session.echo, &request, soon(), &reply, &err));
    CHECK_STR(reply->text, unicode);
    CHECK_INT(reply->payload.len, sizeof bytes);
    CHECK(memcmp(reply->payload.data, bytes, sizeof bytes) == 0);
    afar_message_free(reply);
    session_close(&session);
}

TEST(the_name_of_the_object_goes_along)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    Afar__Test__Reply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_test_echo *alice = NULL;
    struct session session;

    session_open(&session);
    CHECK_OK(afar_test_echo_open(session.client, session_name("alice"), soon(), &alice, &err));
    CHECK_OK(afar_test_echo_unary(alice, &request, soon(), &reply, &err));
    CHECK_STR(reply->object, "alice");
    afar_message_free(reply);
    CHECK_OK(afar_test_echo_unary(session.echo, &request, soon(), &reply, &err));
    CHECK_STR(reply->object, "");
    afar_message_free(reply);
    afar_test_echo_close(alice);
    session_close(&session);
}

/* ---- metadata ---- */

static void
check_pair(const afar_metadata *metadata, size_t index, const afar_metadata_entry *sent)
{
    size_t seen = 0;

    for (size_t i = 0; i < metadata->count; i++) {
        const afar_metadata_entry *entry = &metadata->entries[i];

        if (strcmp(entry->key, sent->key) != 0 || seen++ != index)
            continue;
        CHECK_INT(entry->length, sent->length);
        CHECK(memcmp(entry->value, sent->value, sent->length) == 0);
        CHECK_INT(((const char *)entry->value)[entry->length], 0);
        return;
    }
    check_fail(__FILE__, __LINE__, "pair %zu of %s did not come back", index, sent->key);
}

TEST(metadata_comes_back)
{
    afar_metadata_entry entries[] = {
        { "x-initial", "one", 3 },          { "x-initial", "two", 3 },
        { "x-initial-bin", "\0\1\xfe", 3 }, { "x-trailing", "three", 5 },
        { "x-trailing-bin", "\n", 1 },      { "x-trailing-bin", "", 0 },
    };
    afar_metadata metadata = { entries, 6 };
    afar_call_options options = AFAR_CALL_OPTIONS_INIT;
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;
    struct session session;

    session_open(&session);
    options.metadata = &metadata;
    CHECK_OK(afar_test_echo_unary_start(session.echo, &request, soon(), &options, &future, &err));
    CHECK_OK(afar_future_wait(future, soon(), &err));
    const afar_metadata *initial = afar_future_initial_metadata(future);
    const afar_metadata *trailing = afar_future_trailing_metadata(future);
    check_pair(initial, 0, &entries[0]);
    check_pair(initial, 1, &entries[1]);
    check_pair(initial, 0, &entries[2]);
    check_pair(trailing, 0, &entries[3]);
    check_pair(trailing, 0, &entries[4]);
    check_pair(trailing, 1, &entries[5]);
    CHECK(!afar_metadata_find(initial, "x-trailing", NULL));
    CHECK(!afar_metadata_find(trailing, "x-initial", NULL));
    afar_future_close(future);
    session_close(&session);
}

/* ---- errors ---- */

static afar_code
provoke(struct session *session, uint32_t code, const char *message, const char *reason,
        afar_error *err)
{
    Afar__Test__Failure failure = AFAR__TEST__FAILURE__INIT;
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    Afar__Test__Reply *reply = NULL;

    failure.code = code;
    failure.message = (char *)message;
    failure.reason = (char *)reason;
    request.fail = &failure;
    afar_code got = afar_test_echo_unary(session->echo, &request, soon(), &reply, err);
    afar_message_free(reply);
    return got;
}

/* The core words a lost connection as an answer of the server: of these codes only
 * our own servers can make sure that they are one. */
static bool
is_ambiguous(uint32_t code)
{
    return code == AFAR_CANCELLED || code == AFAR_DEADLINE_EXCEEDED || code == AFAR_INTERNAL ||
           code == AFAR_UNAVAILABLE;
}

TEST(every_code_and_its_message)
{
    afar_error err = AFAR_ERROR_INIT;
    struct session session;

    session_open(&session);
    for (uint32_t code = 1; code <= 16; code++) {
        CHECK_FAILS(provoke(&session, code, unicode, "", &err), (afar_code)code);
        CHECK_INT(err.code, code);
        CHECK(strstr(err.message, unicode) || err.outcome == AFAR_OUTCOME_UNKNOWN);
        CHECK_INT(err.remote, err.outcome == AFAR_OUTCOME_ANSWERED);
        CHECK(err.outcome == AFAR_OUTCOME_ANSWERED ||
              (is_ambiguous(code) && err.outcome == AFAR_OUTCOME_UNKNOWN));
        CHECK_INT(afar_error_detail_count(&err), 0);
    }
    CHECK_OK(provoke(&session, 0, "", "", &err));
    afar_error_clear(&err);
    session_close(&session);
}

TEST(a_long_message_is_cut)
{
    afar_error err = AFAR_ERROR_INIT;
    struct session session;
    char message[2000];

    session_open(&session);
    for (size_t i = 0; i + 3 < sizeof message; i += 3)
        memcpy(message + i, "\xe6\x9d\xb1", 4);
    CHECK_FAILS(provoke(&session, 3, message, "", &err), AFAR_INVALID_ARGUMENT);
    CHECK(strlen(err.message) > 200);
    afar_error_clear(&err);
    session_close(&session);
}

TEST(typed_details)
{
    afar_error err = AFAR_ERROR_INIT;
    struct session session;

    session_open(&session);
    CHECK_FAILS(provoke(&session, 9, "refused", unicode, &err), AFAR_FAILED_PRECONDITION);
    CHECK_INT(afar_error_detail_count(&err), 1);
    CHECK_STR(afar_error_detail(&err, 0).type, "afar.test.Refused");
    const Afar__Test__Refused *why = afar_test_refused_of(&err);
    CHECK(why);
    CHECK_STR(why->reason, unicode);
    CHECK_INT(why->limit, 42);
    afar_error_clear(&err);
    session_close(&session);
}

TEST(a_method_that_nobody_serves)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    Afar__Test__Reply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_test_absent *absent = NULL;
    struct session session;

    session_open(&session);
    CHECK_FAILS(afar_test_echo_missing(session.echo, &request, soon(), &reply, &err),
                AFAR_UNIMPLEMENTED);
    CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED);
    CHECK_OK(afar_test_absent_open(session.client, session_name(""), soon(), &absent, &err));
    CHECK_FAILS(afar_test_absent_unary(absent, &request, soon(), &reply, &err), AFAR_UNIMPLEMENTED);
    CHECK(!reply);
    afar_test_absent_close(absent);
    afar_error_clear(&err);
    session_close(&session);
}

/* ---- giving up ---- */

TEST(deadline)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    Afar__Test__Reply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct session session;

    session_open(&session);
    request.hold = true;
    int64_t start = now_ms();
    CHECK_FAILS(afar_test_echo_unary(session.echo, &request, afar_after_ms(200), &reply, &err),
                AFAR_DEADLINE_EXCEEDED);
    CHECK(now_ms() - start >= 199);
    CHECK(now_ms() - start < 5000);
    session_look(&session, 0, 0, 1);
    afar_error_clear(&err);
    session_close(&session);
}

TEST(a_deadline_in_the_past)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    Afar__Test__Reply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct session session;

    session_open(&session);
    request.hold = true;
    CHECK_FAILS(afar_test_echo_unary(session.echo, &request, afar_after_ms(-1), &reply, &err),
                AFAR_DEADLINE_EXCEEDED);
    afar_error_clear(&err);
    session_close(&session);
}

TEST(closing_a_future_cancels)
{
    struct session session;

    session_open(&session);
    afar_future *future = session_hold(&session, AFAR_FOREVER);
    CHECK(!afar_future_done(future));
    afar_future_close(future);
    Afar__Test__Seen seen = session_look(&session, 0, 0, 1);
    CHECK_INT(seen.held, session.before.held);
    session_close(&session);
}

/* ---- loads ---- */

/* One message of just so many bytes on the wire; `size` is of the reply's payload. */
static afar_code
send_sized(struct session *session, size_t wire, uint32_t size, size_t *ret_length, afar_error *err)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    Afar__Test__Reply *reply = NULL;

    request.size = size;
    request.payload.len = wire;
    request.payload.data = calloc(1, wire);
    CHECK(request.payload.data);
    request.payload.len = 2 * wire - protobuf_c_message_get_packed_size(&request.base);
    CHECK_INT(protobuf_c_message_get_packed_size(&request.base), wire);
    afar_code code = afar_test_echo_unary(session->echo, &request, soon(), &reply, err);
    if (!code)
        *ret_length = reply->payload.len;
    afar_message_free(reply);
    free(request.payload.data);
    return code;
}

TEST(large_messages)
{
    afar_error err = AFAR_ERROR_INIT;
    struct session session;
    size_t length = 0;

    session_open(&session);
    CHECK_OK(send_sized(&session, MIB, MIB, &length, &err));
    CHECK_INT(length, MIB);
    CHECK_OK(send_sized(&session, LIMIT, 1, &length, &err));
    CHECK_FAILS(send_sized(&session, LIMIT + 1, 1, &length, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK_OK(send_sized(&session, 100, LIMIT - 5, &length, &err));
    CHECK_INT(length, LIMIT - 5);
    CHECK_FAILS(send_sized(&session, 100, LIMIT - 4, &length, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK_OK(send_sized(&session, 100, 1, &length, &err));
    afar_error_clear(&err);
    session_close(&session);
}

TEST(a_thousand_calls_at_a_time)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    static afar_future *futures[CALLS];
    afar_error err = AFAR_ERROR_INIT;
    struct session session;
    char text[16];

    session_open(&session);
    request.hold = true;
    request.text = text;
    for (int i = 0; i < CALLS; i++) {
        snprintf(text, sizeof text, "%d", i);
        CHECK_OK(
            afar_test_echo_unary_start(session.echo, &request, soon(), NULL, &futures[i], &err));
    }
    session_look(&session, 0, CALLS, 0);
    session_resume(&session);
    for (int i = 0; i < CALLS; i++) {
        Afar__Test__Reply *reply = NULL;

        CHECK_OK(afar_test_echo_unary_await(futures[i], soon(), &reply, &err));
        CHECK_INT(atoi(reply->text), i);
        afar_message_free(reply);
        afar_future_close(futures[i]);
    }
    session_close(&session);
}
