/* Streaming calls of the C client against whatever server ECHO_ADDRESS names. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

#define MESSAGES 1000
#define MIB (1 << 20)

TEST(server_stream)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    afar_test_echo_down_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Reply *reply = NULL;
    struct session session;

    session_open(&session);
    request.count = MESSAGES;
    CHECK_OK(afar_test_echo_down(session.echo, &request, soon(), NULL, &stream, &err));
    for (uint32_t i = 0; i < MESSAGES; i++) {
        CHECK_OK(afar_test_echo_down_receive(stream, soon(), &reply, &err));
        CHECK_INT(reply->number, i);
        afar_message_free(reply);
    }
    CHECK_FAILS(afar_test_echo_down_receive(stream, soon(), &reply, &err), AFAR_ENDED);
    CHECK_FAILS(afar_test_echo_down_receive(stream, soon(), &reply, &err), AFAR_ENDED);
    afar_test_echo_down_close(stream);
    afar_error_clear(&err);
    session_close(&session);
}

TEST(client_stream)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    afar_test_echo_up_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Summary *summary = NULL;
    struct session session;
    char text[16];

    session_open(&session);
    request.text = text;
    request.payload = (ProtobufCBinaryData){ 3, (uint8_t *)"abc" };
    CHECK_OK(afar_test_echo_up(session.echo, soon(), NULL, &stream, &err));
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(text, sizeof text, "%d", i);
        CHECK_OK(afar_test_echo_up_send(stream, &request, soon(), &err));
    }
    CHECK_OK(afar_test_echo_up_finish(stream, soon(), &summary, &err));
    CHECK_INT(summary->count, MESSAGES);
    CHECK_INT(summary->bytes, 3 * MESSAGES);
    CHECK_STR(summary->last, "999");
    afar_message_free(summary);
    afar_test_echo_up_close(stream);
    session_close(&session);
}

TEST(client_stream_of_nothing)
{
    afar_test_echo_up_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Summary *summary = NULL;
    struct session session;

    session_open(&session);
    CHECK_OK(afar_test_echo_up(session.echo, soon(), NULL, &stream, &err));
    CHECK_OK(afar_test_echo_up_finish(stream, soon(), &summary, &err));
    CHECK_INT(summary->count, 0);
    CHECK_STR(summary->last, "");
    afar_message_free(summary);
    afar_test_echo_up_close(stream);
    session_close(&session);
}

/* Sends one request and receives its reply. */
static void
exchange(afar_test_echo_both_stream *stream, uint32_t number, size_t size)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Reply *reply = NULL;

    request.size = (uint32_t)size;
    CHECK_OK(afar_test_echo_both_send(stream, &request, soon(), &err));
    CHECK_OK(afar_test_echo_both_receive(stream, soon(), &reply, &err));
    CHECK_INT(reply->number, number);
    CHECK_INT(reply->payload.len, size);
    afar_message_free(reply);
}

TEST(bidi_stream_in_step)
{
    afar_test_echo_both_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Reply *reply = NULL;
    struct session session;

    session_open(&session);
    CHECK_OK(afar_test_echo_both(session.echo, soon(), NULL, &stream, &err));
    for (uint32_t i = 0; i < MESSAGES; i++)
        exchange(stream, i, i);
    exchange(stream, MESSAGES, MIB);
    CHECK_OK(afar_test_echo_both_finish(stream, &err));
    CHECK_FAILS(afar_test_echo_both_receive(stream, soon(), &reply, &err), AFAR_ENDED);
    afar_test_echo_both_close(stream);
    afar_error_clear(&err);
    session_close(&session);
}

TEST(metadata_of_a_stream)
{
    afar_metadata_entry entries[] = { { "x-initial-bin", "\0\xff", 2 },
                                      { "x-trailing", "end", 3 } };
    afar_metadata metadata = { entries, 2 };
    afar_call_options options = AFAR_CALL_OPTIONS_INIT;
    afar_test_echo_both_stream *stream = NULL;
    const afar_metadata *initial = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Reply *reply = NULL;
    struct session session;
    size_t length = 0;

    session_open(&session);
    options.metadata = &metadata;
    CHECK_OK(afar_test_echo_both(session.echo, soon(), &options, &stream, &err));
    afar_stream *base = afar_test_echo_both_stream_base(stream);
    exchange(stream, 0, 1);
    CHECK_OK(afar_stream_initial_metadata(base, soon(), &initial, &err));
    const void *value = afar_metadata_find(initial, "x-initial-bin", &length);
    CHECK(value && length == 2 && memcmp(value, "\0\xff", 2) == 0);
    CHECK_INT(afar_stream_trailing_metadata(base)->count, 0);
    CHECK_OK(afar_test_echo_both_finish(stream, &err));
    CHECK_FAILS(afar_test_echo_both_receive(stream, soon(), &reply, &err), AFAR_ENDED);
    CHECK_STR(afar_metadata_find(afar_stream_trailing_metadata(base), "x-trailing", NULL), "end");
    afar_test_echo_both_close(stream);
    afar_error_clear(&err);
    session_close(&session);
}

TEST(a_stream_that_fails_after_three)
{
    Afar__Test__Failure failure = AFAR__TEST__FAILURE__INIT;
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    afar_test_echo_down_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Reply *reply = NULL;
    struct session session;

    session_open(&session);
    failure.code = AFAR_DATA_LOSS;
    failure.message = (char *)"torn";
    failure.reason = (char *)"wet";
    request.count = 3;
    request.fail = &failure;
    CHECK_OK(afar_test_echo_down(session.echo, &request, soon(), NULL, &stream, &err));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(afar_test_echo_down_receive(stream, soon(), &reply, &err));
        afar_message_free(reply);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_FAILS(afar_test_echo_down_receive(stream, soon(), &reply, &err), AFAR_DATA_LOSS);
        CHECK(err.remote);
        CHECK(strstr(err.message, "torn"));
        CHECK(afar_test_refused_of(&err));
        CHECK_STR(afar_test_refused_of(&err)->reason, "wet");
    }
    afar_test_echo_down_close(stream);
    afar_error_clear(&err);
    session_close(&session);
}

TEST(a_client_stream_that_the_server_ends)
{
    Afar__Test__Failure failure = AFAR__TEST__FAILURE__INIT;
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    afar_test_echo_up_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Summary *summary = NULL;
    struct session session;

    session_open(&session);
    failure.code = AFAR_OUT_OF_RANGE;
    request.fail = &failure;
    CHECK_OK(afar_test_echo_up(session.echo, soon(), NULL, &stream, &err));
    while (!afar_test_echo_up_send(stream, &request, soon(), &err))
        continue;
    CHECK_INT(err.code, AFAR_OUT_OF_RANGE);
    CHECK_FAILS(afar_test_echo_up_finish(stream, soon(), &summary, &err), AFAR_OUT_OF_RANGE);
    afar_test_echo_up_close(stream);
    afar_error_clear(&err);
    session_close(&session);
}

TEST(deadline_of_a_stream)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    afar_test_echo_down_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Reply *reply = NULL;
    struct session session;

    session_open(&session);
    request.count = 1;
    request.hold = true;
    CHECK_OK(afar_test_echo_down(session.echo, &request, afar_after_ms(500), NULL, &stream, &err));
    CHECK_OK(afar_test_echo_down_receive(stream, AFAR_FOREVER, &reply, &err));
    afar_message_free(reply);
    CHECK_FAILS(afar_test_echo_down_receive(stream, AFAR_FOREVER, &reply, &err),
                AFAR_DEADLINE_EXCEEDED);
    session_look(&session, 0, 0, 1);
    afar_test_echo_down_close(stream);
    afar_error_clear(&err);
    session_close(&session);
}

TEST(closing_a_stream_in_the_middle_cancels)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    afar_test_echo_down_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Reply *reply = NULL;
    struct session session;

    session_open(&session);
    request.count = 1000000;
    request.size = 1000;
    CHECK_OK(afar_test_echo_down(session.echo, &request, soon(), NULL, &stream, &err));
    for (int i = 0; i < 10; i++) {
        CHECK_OK(afar_test_echo_down_receive(stream, soon(), &reply, &err));
        afar_message_free(reply);
    }
    afar_test_echo_down_close(stream);
    session_look(&session, 0, 0, 1);
    session_close(&session);
}

TEST(closing_a_bidi_stream_in_the_middle_cancels)
{
    afar_test_echo_both_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct session session;

    session_open(&session);
    CHECK_OK(afar_test_echo_both(session.echo, soon(), NULL, &stream, &err));
    exchange(stream, 0, 1);
    afar_test_echo_both_close(stream);
    session_look(&session, 0, 0, 1);
    session_close(&session);
}
