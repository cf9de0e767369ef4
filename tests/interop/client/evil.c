/* A server that answers with bytes no honest server sends.  Each is refused soon,
 * with a code that says so, and the client goes on calling.  evil_test.py is the
 * server: it does what the text of a request says, with the payload it carries. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "session.h"

#define SOON_MS 10000 /* the answers take milliseconds, and one to be made a second */

struct evil {
    afar_client *client;
    afar_test_echo *echo;
};

static void
evil_open(struct evil *evil)
{
    afar_error err = AFAR_ERROR_INIT;

    *evil = (struct evil){ NULL, NULL };
    CHECK_OK(afar_client_open(NULL, NULL, &evil->client, &err));
    CHECK_OK(afar_test_echo_open(evil->client, session_name(""), soon(), &evil->echo, &err));
}

static void
evil_close(struct evil *evil)
{
    afar_test_echo_close(evil->echo);
    afar_client_close(evil->client);
}

static afar_code
act_until(struct evil *evil, const char *text, const void *data, size_t length,
          afar_deadline deadline, afar_error *err)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    Afar__Test__Reply *reply = NULL;
    int64_t start = now_ms();

    request.text = (char *)text;
    request.payload = (ProtobufCBinaryData){ length, (uint8_t *)data };
    afar_code code = afar_test_echo_unary(evil->echo, &request, deadline, &reply, err);
    CHECK(!code == !!reply);
    CHECK(now_ms() - start < SOON_MS);
    afar_message_free(reply);
    return code;
}

static afar_code
act(struct evil *evil, const char *text, const void *data, size_t length, afar_error *err)
{
    return act_until(evil, text, data, length, soon(), err);
}

/* The reply is those bytes. */
static void
refuse(struct evil *evil, const void *data, size_t length, afar_code code)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(act(evil, "raw", data, length, &err), code);
    CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED);
    CHECK(strlen(err.message) > 0);
    CHECK_OK(act(evil, "raw", "", 0, &err));
    afar_error_clear(&err);
}

TEST(replies_that_are_no_messages)
{
    static const char *const bad[] = {
        "\x0a\x01\xff", /* text that is not UTF-8 */
        "\x0a\x03"
        "a\0b", /* a NUL in it */
        "\x0a\x7f"
        "too short",                                /* ends too soon */
        "\x08\x05",                                 /* the wrong wire type */
        "\x0f",                                     /* no wire type at all */
        "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff", /* a length without end */
    };
    static const size_t lengths[] = { 3, 5, 11, 2, 1, 10 };
    struct evil evil;

    evil_open(&evil);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuse(&evil, bad[i], lengths[i], AFAR_INTERNAL);
    evil_close(&evil);
}

TEST(a_reply_over_the_limit)
{
    afar_error err = AFAR_ERROR_INIT;
    struct evil evil;

    evil_open(&evil);
    CHECK_FAILS(act(&evil, "large", "", 0, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK_OK(act(&evil, "raw", "", 0, &err));
    afar_error_clear(&err);
    evil_close(&evil);
}

/* As many replies as a unary call has not.  The core says how a call ended when all
 * that came was read; a second reply is never read. */
TEST(no_reply_and_two_replies)
{
    afar_error err = AFAR_ERROR_INIT;
    struct evil evil;

    evil_open(&evil);
    CHECK_FAILS(act(&evil, "none", "", 0, &err), AFAR_INTERNAL);
    CHECK(strlen(err.message) > 0);
    afar_code code = act_until(&evil, "twice", "", 0, afar_after_ms(500), &err);
    CHECK(code == AFAR_INTERNAL || code == AFAR_DEADLINE_EXCEEDED);
    CHECK_OK(act(&evil, "raw", "", 0, &err));
    afar_error_clear(&err);
    evil_close(&evil);
}

TEST(details_that_cannot_be_read)
{
    static const char *const bad[] = { "\xff\xff\xff", "\x1a\x7f", "\x08\x05\x1a\x02\x0a\x7f", "" };
    static const size_t lengths[] = { 3, 2, 6, 0 };
    afar_error err = AFAR_ERROR_INIT;
    struct evil evil;

    evil_open(&evil);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_FAILS(act(&evil, "details", bad[i], lengths[i], &err), AFAR_ABORTED);
        CHECK(strstr(err.message, "with details"));
        CHECK(!afar_test_refused_of(&err));
    }
    afar_error_clear(&err);
    evil_close(&evil);
}

/* The most memory that this process ever had, in KiB. */
static long
peak(void)
{
    struct rusage usage;

    CHECK_INT(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

TEST(compressed_replies)
{
    afar_error err = AFAR_ERROR_INIT;
    struct evil evil;

    evil_open(&evil);
    CHECK_OK(act(&evil, "gzip", "", 0, &err));
    long before = peak();
    CHECK_FAILS(act(&evil, "bomb", "", 0, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK(peak() - before < 48 * 1024);
    CHECK_OK(act(&evil, "gzip", "", 0, &err));
    afar_error_clear(&err);
    evil_close(&evil);
}

TEST(a_stream_with_a_bad_message_in_it)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    afar_test_echo_down_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Reply *reply = NULL;
    struct evil evil;

    evil_open(&evil);
    request.payload = (ProtobufCBinaryData){ 3, (uint8_t *)"\x0a\x01\xff" };
    CHECK_OK(afar_test_echo_down(evil.echo, &request, soon(), NULL, &stream, &err));
    CHECK_OK(afar_test_echo_down_receive(stream, soon(), &reply, &err));
    afar_message_free(reply);
    for (int i = 0; i < 2; i++)
        CHECK_FAILS(afar_test_echo_down_receive(stream, soon(), &reply, &err), AFAR_INTERNAL);
    afar_test_echo_down_close(stream);
    CHECK_OK(act(&evil, "raw", "", 0, &err));
    afar_error_clear(&err);
    evil_close(&evil);
}

static void
call_in_vain(afar_test_echo *echo, afar_error *err)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    Afar__Test__Reply *reply = NULL;

    CHECK_INT(afar_test_echo_unary(echo, &request, soon(), &reply, err), AFAR_UNAVAILABLE);
}

/* Whoever answers at RAW_ADDRESSES is no gRPC server. */
TEST(servers_that_speak_something_else)
{
    const char *list = getenv("RAW_ADDRESSES");
    char name[64];
    int length, seen = 0;

    CHECK(list);
    for (; sscanf(list, "%63s%n", name, &length) == 1; list += length, seen++) {
        afar_error err = AFAR_ERROR_INIT;
        afar_client *client = NULL;
        afar_test_echo *echo = NULL;

        CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
        if (!afar_test_echo_open(client, name, afar_after_ms(1000), &echo, &err))
            call_in_vain(echo, &err); /* it began as a gRPC server would */
        CHECK_INT(err.code, AFAR_UNAVAILABLE);
        afar_test_echo_close(echo);
        afar_client_close(client);
        afar_error_clear(&err);
    }
    CHECK(seen > 3);
}
