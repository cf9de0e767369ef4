/* Streams from the caller's side: what is sent arrives in order, how they end, and
 * metadata.
 *
 * Labels: concurrent */

#include <string.h>

#include "packets.h"

#define MANY 5000

TEST(a_server_stream_comes_in_order_and_ends)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        test_probe_list_stream *stream = start_list(probe, MANY, 10);
        receive_numbers(stream, 0, MANY);
        receive_end(stream);
        test_probe_list_close(stream);
        stream = start_list(probe, 0, 0);
        receive_end(stream);
        test_probe_list_close(stream);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

TEST(a_client_stream_is_summed_up)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        test_probe_gather_stream *stream = NULL;
        Test__Packet *reply = NULL;
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        CHECK_OK(test_probe_gather(probe, AFAR_FOREVER, NULL, &stream, &err));
        for (int64_t i = 0; i < MANY; i++) {
            Test__Packet packet = packet_of(i, 10);
            CHECK_OK(test_probe_gather_send(stream, &packet, soon(), &err));
        }
        CHECK_OK(test_probe_gather_finish(stream, soon(), &reply, &err));
        CHECK_INT(reply->number, (int64_t)MANY * (MANY - 1) / 2);
        afar_message_free(reply);
        test_probe_gather_close(stream);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

TEST(a_talk_in_step)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        Test__Packet *reply = NULL;
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        test_probe_talk_stream *stream = start_talk(probe);
        for (int64_t i = 0; i < 1000; i++) {
            Test__Packet packet = packet_of(i, 0);
            CHECK_OK(test_probe_talk_send(stream, &packet, soon(), &err));
            CHECK_OK(test_probe_talk_receive(stream, soon(), &reply, &err));
            CHECK_INT(reply->number, i + 1);
            afar_message_free(reply);
        }
        CHECK_OK(test_probe_talk_finish(stream, &err));
        CHECK_OK(test_probe_talk_finish(stream, &err));
        CHECK_FAILS(test_probe_talk_receive(stream, soon(), &reply, &err), AFAR_ENDED);
        test_probe_talk_close(stream);
        afar_error_clear(&err);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

static void
send_many(void *arg)
{
    afar_error err = AFAR_ERROR_INIT;

    for (int64_t i = 0; i < MANY; i++) {
        Test__Packet packet = packet_of(i, 100);
        CHECK_OK(test_probe_talk_send(arg, &packet, soon(), &err));
    }
    CHECK_OK(test_probe_talk_finish(arg, &err));
}

TEST(one_thread_sends_while_another_receives)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        Test__Packet *reply = NULL;
        struct worker sender;
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        test_probe_talk_stream *stream = start_talk(probe);
        worker_start(&sender, send_many, stream);
        for (int64_t i = 0; i < MANY; i++) {
            CHECK_OK(test_probe_talk_receive(stream, soon(), &reply, &err));
            CHECK_INT(reply->number, i + 1);
            afar_message_free(reply);
        }
        CHECK_FAILS(test_probe_talk_receive(stream, soon(), &reply, &err), AFAR_ENDED);
        worker_join(&sender);
        test_probe_talk_close(stream);
        afar_error_clear(&err);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

/* ---- waiting for what does not come ---- */

TEST(receiving_gives_up_and_nothing_is_lost)
{
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *reply = NULL;
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    test_probe_talk_stream *stream = start_talk(probe);
    for (int64_t i = 0; i < 100; i++) {
        Test__Packet packet = packet_of(i, 0);

        CHECK_FAILS(test_probe_talk_receive(stream, afar_after_ms(i % 3), &reply, &err),
                    AFAR_DEADLINE_EXCEEDED);
        CHECK_OK(test_probe_talk_send(stream, &packet, soon(), &err));
        while (test_probe_talk_receive(stream, afar_after_ms(0), &reply, &err))
            CHECK_INT(err.code, AFAR_DEADLINE_EXCEEDED);
        CHECK_INT(reply->number, i + 1);
        afar_message_free(reply);
    }
    test_probe_talk_close(stream);
    afar_error_clear(&err);
    test_probe_close(probe);
    pair_close(&pair);
}

/* ---- ends ---- */

static afar_code
fail_after_three(void *self, const Test__Packet *request, test_probe_list_server_stream *stream,
                 afar_call *call)
{
    Test__Broken detail = TEST__BROKEN__INIT;
    Test__Packet packet = *request;
    afar_error err = AFAR_ERROR_INIT;

    (void)self;
    for (packet.number = 0; packet.number < 3; packet.number++)
        CHECK_OK(test_probe_list_server_send(stream, &packet, soon(), &err));
    detail.number = 3;
    CHECK_OK(afar_call_add_trailing_metadata(call, "seen", "3", 1, &err));
    return test_broken_fail(call, AFAR_DATA_LOSS, &detail, "after %d", 3);
}

TEST(an_error_comes_after_what_was_sent)
{
    static const test_probe_methods methods = { .list = fail_after_three };
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *packet = NULL;
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &methods, NULL, AFAR_SERIAL);
    test_probe_list_stream *stream = start_list(probe, 0, 0);
    receive_numbers(stream, 0, 3);
    for (int i = 0; i < 2; i++) {
        CHECK_FAILS(test_probe_list_receive(stream, soon(), &packet, &err), AFAR_DATA_LOSS);
        CHECK(err.remote && strstr(err.message, "after 3") && test_broken_of(&err));
        CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED);
        CHECK_INT(test_broken_of(&err)->number, 3);
    }
    const afar_metadata *trailing =
        afar_stream_trailing_metadata(test_probe_list_stream_base(stream));
    CHECK_STR(afar_metadata_find(trailing, "seen", NULL), "3");
    test_probe_list_close(stream);
    afar_error_clear(&err);
    test_probe_close(probe);
    pair_close(&pair);
}

static afar_code
end_at_once(void *self, test_probe_talk_server_stream *stream, afar_call *call)
{
    (void)stream;
    (void)call;
    return *(afar_code *)self;
}

/* Sends until it is told that the call has ended. */
TEST(sending_tells_how_the_call_ended)
{
    static const test_probe_methods methods = { .talk = end_at_once };
    static const afar_code codes[] = { AFAR_OK, AFAR_OUT_OF_RANGE };

    for (size_t i = 0; i < 2; i++) {
        afar_error err = AFAR_ERROR_INIT;
        afar_code code = codes[i];
        Test__Packet packet = packet_of(0, KIB), *reply = NULL;
        struct pair pair;

        pair_open(&pair, TCP);
        test_probe *probe = pair_probe(&pair, "", &methods, &code, AFAR_SERIAL);
        test_probe_talk_stream *stream = start_talk(probe);
        afar_code expected = code ? code : AFAR_ENDED;
        CHECK_FAILS(test_probe_talk_receive(stream, soon(), &reply, &err), expected);
        CHECK_FAILS(test_probe_talk_send(stream, &packet, soon(), &err), expected);
        test_probe_talk_close(stream);
        afar_error_clear(&err);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

/* ---- metadata ---- */

static afar_code
talk_with_metadata(void *self, test_probe_talk_server_stream *stream, afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_call_add_initial_metadata(call, "first", "1", 1, &err));
    CHECK_OK(afar_call_add_trailing_metadata(call, "last", "2", 1, &err));
    afar_code code = echo_methods.talk(self, stream, call);
    CHECK_FAILS(afar_call_add_initial_metadata(call, "late", "1", 1, &err),
                AFAR_FAILED_PRECONDITION);
    afar_error_clear(&err);
    return code;
}

TEST(metadata_of_a_stream)
{
    static const test_probe_methods methods = { .talk = talk_with_metadata };

    for (const char *const *transport = transports; *transport; transport++) {
        Test__Packet packet = packet_of(1, 0), *reply = NULL;
        const afar_metadata *initial = NULL;
        afar_error err = AFAR_ERROR_INIT;
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, NULL, AFAR_SERIAL);
        test_probe_talk_stream *stream = start_talk(probe);
        afar_stream *base = test_probe_talk_stream_base(stream);
        CHECK_FAILS(afar_stream_initial_metadata(base, afar_after_ms(10), &initial, &err),
                    AFAR_DEADLINE_EXCEEDED);
        CHECK_OK(test_probe_talk_send(stream, &packet, soon(), &err));
        CHECK_OK(afar_stream_initial_metadata(base, soon(), &initial, &err));
        CHECK_STR(afar_metadata_find(initial, "first", NULL), "1");
        CHECK_OK(test_probe_talk_receive(stream, soon(), &reply, &err));
        afar_message_free(reply);
        CHECK_INT(afar_stream_trailing_metadata(base)->count, 0);
        CHECK_OK(test_probe_talk_finish(stream, &err));
        CHECK_FAILS(test_probe_talk_receive(stream, soon(), &reply, &err), AFAR_ENDED);
        const afar_metadata *trailing = afar_stream_trailing_metadata(base);
        CHECK_STR(afar_metadata_find(trailing, "last", NULL), "2");
        test_probe_talk_close(stream);
        afar_error_clear(&err);
        test_probe_close(probe);
        pair_close(&pair);
    }
}
