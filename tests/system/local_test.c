/* Objects without a server: a reference that bank_account_new and its like return
 * is called as any other.
 *
 * Labels: concurrent waits */

#include <stdint.h>
#include <string.h>

#include "pair.h"

TEST(a_unary_call)
{
    Test__Packet request = TEST__PACKET__INIT, *reply = NULL;
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    afar_error err = AFAR_ERROR_INIT;
    uint8_t bytes[] = { 0, 1, 2 };

    request.number = 41;
    request.text = (char *)"text";
    request.data = (ProtobufCBinaryData){ sizeof bytes, bytes };
    CHECK_OK(test_probe_ask(probe, &request, soon(), &reply, &err));
    memset(bytes, 9, sizeof bytes); /* the reply is ours, and no part of the request */
    CHECK_INT(reply->number, 42);
    CHECK_STR(reply->text, "text");
    CHECK(reply->data.len == 3 && memcmp(reply->data.data, "\0\1\2", 3) == 0);
    CHECK(afar_object_interface(test_probe_object(probe)) == &test_probe_interface);
    test_probe_close(probe); /* before what it answered */
    afar_message_free(reply);
}

TEST(futures)
{
    afar_future *futures[100];
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);

    for (int i = 0; i < 100; i++)
        futures[i] = start_ask(probe, i, soon());
    test_probe_close(probe); /* calls that were started go on */
    for (int i = 99; i >= 0; i--)
        CHECK_INT(finish_ask(futures[i]), i + 1);
}

TEST(a_server_stream)
{
    Test__Packet request = TEST__PACKET__INIT, *packet = NULL;
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    test_probe_list_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    request.number = 10000;
    CHECK_OK(test_probe_list(probe, &request, soon(), NULL, &stream, &err));
    for (int64_t i = 0; i < request.number; i++) {
        CHECK_OK(test_probe_list_receive(stream, soon(), &packet, &err));
        CHECK_INT(packet->number, i);
        afar_message_free(packet);
    }
    CHECK_FAILS(test_probe_list_receive(stream, soon(), &packet, &err), AFAR_ENDED);
    test_probe_list_close(stream);
    test_probe_close(probe);
    afar_error_clear(&err);
}

TEST(a_client_stream)
{
    Test__Packet packet = TEST__PACKET__INIT, *reply = NULL;
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    test_probe_gather_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(test_probe_gather(probe, soon(), NULL, &stream, &err));
    for (packet.number = 0; packet.number < 1000; packet.number++)
        CHECK_OK(test_probe_gather_send(stream, &packet, soon(), &err));
    CHECK_OK(test_probe_gather_finish(stream, soon(), &reply, &err));
    CHECK_INT(reply->number, 1000 * 999 / 2);
    afar_message_free(reply);
    test_probe_gather_close(stream);
    test_probe_close(probe);
}

TEST(a_bidi_stream)
{
    Test__Packet packet = TEST__PACKET__INIT, *reply = NULL;
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    test_probe_talk_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(test_probe_talk(probe, soon(), NULL, &stream, &err));
    for (packet.number = 0; packet.number < 1000; packet.number++) {
        CHECK_OK(test_probe_talk_send(stream, &packet, soon(), &err));
        CHECK_OK(test_probe_talk_receive(stream, soon(), &reply, &err));
        CHECK_INT(reply->number, packet.number + 1);
        afar_message_free(reply);
    }
    CHECK_OK(test_probe_talk_finish(stream, &err));
    CHECK_FAILS(test_probe_talk_receive(stream, soon(), &reply, &err), AFAR_ENDED);
    test_probe_talk_close(stream);
    test_probe_close(probe);
    afar_error_clear(&err);
}

TEST(a_bidi_stream_that_nobody_reads)
{
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    Test__Packet packet = TEST__PACKET__INIT;
    test_probe_talk_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    static uint8_t data[1024];
    size_t sent = 0;

    packet.data = (ProtobufCBinaryData){ sizeof data, data };
    CHECK_OK(test_probe_talk(probe, AFAR_FOREVER, NULL, &stream, &err));
    while (!test_probe_talk_send(stream, &packet, afar_after_ms(2000), &err))
        CHECK((sent += sizeof data) < 64 * 1024 * 1024);
    CHECK_INT(err.code, AFAR_DEADLINE_EXCEEDED);
    CHECK(sent >= 2 * 48 * 1024); /* half of it on its way there, half on its way back */
    CHECK_INT(asked(probe, 1), 2);
    test_probe_talk_close(stream);
    test_probe_close(probe);
    afar_error_clear(&err);
}

/* ---- errors and waits ---- */

static afar_code
refuse(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    Test__Broken detail = TEST__BROKEN__INIT;
    afar_peer peer = afar_call_peer(call);

    (void)self;
    (void)reply;
    CHECK_STR(peer.address, "local");
    CHECK_STR(afar_call_object_name(call), "");
    detail.number = request->number;
    return test_broken_fail(call, AFAR_DEADLOCK, &detail, "refused %d", 1);
}

/* A code that gRPC does not have arrives as itself, as nothing travels. */
TEST(an_error)
{
    static const test_probe_methods methods = { .ask = refuse };
    test_probe *probe = make_probe(&methods, NULL, AFAR_SERIAL);
    afar_error err = AFAR_ERROR_INIT;
    int64_t number = 0;

    CHECK_FAILS(ask(probe, 9, &number, &err), AFAR_DEADLOCK);
    CHECK(strstr(err.message, "refused 1") && err.outcome == AFAR_OUTCOME_ANSWERED);
    CHECK_INT(test_broken_of(&err)->number, 9);
    test_probe_close(probe);
    afar_error_clear(&err);
}

static afar_code
wait_at_gate(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)call;
    reply->number = request->number;
    return gate_pass(self, NULL);
}

TEST(deadline_and_cancellation)
{
    static const test_probe_methods methods = { .ask = wait_at_gate };
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *reply = NULL;
    struct gate gate;

    gate_init(&gate);
    test_probe *probe = make_probe(&methods, &gate, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 1, afar_after_ms(1500)); /* time to get in, if busy */
    event_wait(&gate.entered, 1);
    CHECK_FAILS(test_probe_ask_await(future, soon(), &reply, &err), AFAR_DEADLINE_EXCEEDED);
    afar_future_close(future);
    event_wait(&gate.left, 1);
    future = start_ask(probe, 1, AFAR_FOREVER);
    event_wait(&gate.entered, 2);
    afar_future_close(future);
    event_wait(&gate.left, 2);
    test_probe_close(probe);
    afar_error_clear(&err);
    gate_close(&gate);
}

/* ---- threads ---- */

static afar_code
note_thread(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)request;
    (void)reply;
    (void)call;
    *(pthread_t *)self = pthread_self();
    return AFAR_OK;
}

TEST(a_handler_runs_on_a_library_thread)
{
    static const test_probe_methods methods = { .ask = note_thread };
    pthread_t by = pthread_self();
    test_probe *probe = make_probe(&methods, &by, AFAR_SERIAL);

    CHECK_INT(asked(probe, 1), 0);
    CHECK(!pthread_equal(by, pthread_self()));
    test_probe_close(probe);
}
