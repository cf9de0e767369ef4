/* Streams from the caller's side: order, ends, back-pressure, and closing while
 * somebody waits.
 *
 * Labels: concurrent */

#include <string.h>

#include "pair.h"

#define MANY 5000
#define KIB 1024
#define MOST                                                                                       \
    (32 * 1024 * KIB) /* on its way: buffers of both sides, the windows of HTTP/2, the kernel */

static Test__Packet
packet_of(int64_t number, size_t size)
{
    static uint8_t zeros[64 * KIB];
    Test__Packet packet = TEST__PACKET__INIT;

    packet.number = number;
    packet.data = (ProtobufCBinaryData){ size, zeros };
    return packet;
}

static test_probe_list_stream *
start_list(test_probe *probe, int64_t count, size_t size)
{
    Test__Packet request = packet_of(count, size);
    test_probe_list_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(test_probe_list(probe, &request, AFAR_FOREVER, NULL, &stream, &err));
    return stream;
}

static test_probe_talk_stream *
start_talk(test_probe *probe)
{
    test_probe_talk_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(test_probe_talk(probe, AFAR_FOREVER, NULL, &stream, &err));
    return stream;
}

static void
receive_numbers(test_probe_list_stream *stream, int64_t from, int64_t to)
{
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *packet = NULL;

    for (int64_t i = from; i < to; i++) {
        CHECK_OK(test_probe_list_receive(stream, soon(), &packet, &err));
        CHECK_INT(packet->number, i);
        afar_message_free(packet);
    }
}

static void
receive_end(test_probe_list_stream *stream)
{
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *packet = NULL;

    for (int i = 0; i < 2; i++)
        CHECK_FAILS(test_probe_list_receive(stream, soon(), &packet, &err), AFAR_ENDED);
    afar_error_clear(&err);
}

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

/* ---- back-pressure ---- */

struct late_reader {
    struct gate gate;
    int64_t received;
    struct event done;
};

/* Reads only when the gate is open; then everything, in order. */
static afar_code
read_late(void *self, test_probe_talk_server_stream *stream, afar_call *call)
{
    struct late_reader *reader = self;
    const Test__Packet *packet = NULL;
    afar_error err = AFAR_ERROR_INIT;

    (void)call;
    if (gate_pass(&reader->gate, NULL))
        return AFAR_CANCELLED;
    while (!test_probe_talk_server_receive(stream, soon(), &packet, &err))
        CHECK_INT(packet->number, reader->received++);
    CHECK_INT(err.code, AFAR_ENDED);
    afar_error_clear(&err);
    event_raise(&reader->done);
    return AFAR_OK;
}

static const test_probe_methods late_methods = { .talk = read_late };

/* Sends packets of 1 KiB, numbered from `number`, until one is not taken for half a
 * second; returns its number. */
static int64_t
fill(test_probe_talk_stream *stream, int64_t number)
{
    afar_error err = AFAR_ERROR_INIT;

    for (;; number++) {
        Test__Packet packet = packet_of(number, KIB);

        if (test_probe_talk_send(stream, &packet, afar_after_ms(500), &err))
            break;
        CHECK(number * KIB < MOST);
    }
    CHECK_INT(err.code, AFAR_DEADLINE_EXCEEDED);
    afar_error_clear(&err);
    return number;
}

TEST(a_sender_waits_for_a_reader_that_does_not_read)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct late_reader reader = { .done = EVENT_INIT };
        afar_error err = AFAR_ERROR_INIT;
        struct pair pair;

        gate_init(&reader.gate);
        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &late_methods, &reader, AFAR_SERIAL);
        test_probe_talk_stream *stream = start_talk(probe);
        int64_t number = fill(stream, 0);
        CHECK(number * KIB >= 48 * KIB);
        gate_open(&reader.gate);
        for (int64_t end = number + 1000; number < end; number++) {
            Test__Packet packet = packet_of(number, KIB);
            CHECK_OK(test_probe_talk_send(stream, &packet, soon(), &err));
        }
        CHECK_OK(test_probe_talk_finish(stream, &err));
        event_wait(&reader.done, 1);
        CHECK_INT(reader.received, number);
        test_probe_talk_close(stream);
        test_probe_close(probe);
        pair_close(&pair);
        gate_close(&reader.gate);
    }
}

struct flood {
    struct event full, done;
    int64_t refused; /* the packet that was not taken at first */
};

/* Sends until the caller's side is full, says so, and goes on to twice as many. */
static afar_code
list_until_full(void *self, const Test__Packet *request, test_probe_list_server_stream *stream,
                afar_call *call)
{
    struct flood *flood = self;
    Test__Packet packet = packet_of(0, KIB);
    afar_error err = AFAR_ERROR_INIT;

    (void)request;
    (void)call;
    while (!test_probe_list_server_send(stream, &packet, afar_after_ms(500), &err))
        CHECK(packet.number++ * KIB < MOST);
    CHECK_INT(err.code, AFAR_DEADLINE_EXCEEDED);
    afar_error_clear(&err);
    flood->refused = packet.number;
    event_raise(&flood->full);
    for (; packet.number < 2 * flood->refused; packet.number++)
        CHECK_OK(test_probe_list_server_send(stream, &packet, soon(), &err));
    event_raise(&flood->done);
    return AFAR_OK;
}

TEST(a_handler_waits_for_a_caller_that_does_not_read)
{
    static const test_probe_methods methods = { .list = list_until_full };

    for (const char *const *transport = transports; *transport; transport++) {
        struct flood flood = { .full = EVENT_INIT, .done = EVENT_INIT };
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, &flood, AFAR_SERIAL);
        test_probe_list_stream *stream = start_list(probe, 0, 0);
        event_wait(&flood.full, 1);
        CHECK(flood.refused * KIB >= 48 * KIB);
        receive_numbers(stream, 0, 2 * flood.refused);
        receive_end(stream);
        event_wait(&flood.done, 1);
        test_probe_list_close(stream);
        test_probe_close(probe);
        pair_close(&pair);
    }
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

/* ---- closing ---- */

static void
receive_forever(void *arg)
{
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *reply = NULL;

    CHECK_FAILS(test_probe_talk_receive(arg, AFAR_FOREVER, &reply, &err), AFAR_CANCELLED);
    afar_error_clear(&err);
}

static void
send_forever(void *arg)
{
    Test__Packet packet = packet_of(0, KIB);
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(test_probe_talk_send(arg, &packet, AFAR_FOREVER, &err), AFAR_CANCELLED);
    afar_error_clear(&err);
}

TEST(closing_wakes_who_waits)
{
    struct late_reader reader = { .done = EVENT_INIT };
    struct worker receiver, sender;
    struct pair pair;

    gate_init(&reader.gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &late_methods, &reader, AFAR_SERIAL);
    test_probe_talk_stream *stream = start_talk(probe);
    fill(stream, 0);
    worker_start(&receiver, receive_forever, stream);
    worker_start(&sender, send_forever, stream);
    worker_wait_asleep(&receiver);
    worker_wait_asleep(&sender);
    test_probe_talk_close(stream);
    worker_join(&receiver);
    worker_join(&sender);
    event_wait(&reader.gate.left, 1);
    test_probe_close(probe);
    pair_close(&pair);
    gate_close(&reader.gate);
}

struct told {
    struct event event;
    afar_code code;
};

static afar_code
note_how_it_ends(void *self, test_probe_talk_server_stream *stream, afar_call *call)
{
    const Test__Packet *packet = NULL;
    struct told *told = self;

    do
        told->code = test_probe_talk_server_receive(stream, AFAR_FOREVER, &packet, NULL);
    while (!told->code);
    CHECK(told->code == AFAR_ENDED || afar_call_cancelled(call));
    event_raise(&told->event);
    return AFAR_OK;
}

TEST(a_handler_that_receives_is_told_of_the_close)
{
    static const test_probe_methods methods = { .talk = note_how_it_ends };

    for (const char *const *transport = transports; *transport; transport++) {
        struct told told = { .event = EVENT_INIT };
        afar_error err = AFAR_ERROR_INIT;
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, &told, AFAR_SERIAL);
        test_probe_talk_stream *stream = start_talk(probe);
        CHECK_OK(test_probe_talk_finish(stream, &err));
        event_wait(&told.event, 1);
        CHECK_INT(told.code, AFAR_ENDED);
        test_probe_talk_close(stream);

        stream = start_talk(probe);
        Test__Packet packet = packet_of(1, 0);
        CHECK_OK(test_probe_talk_send(stream, &packet, soon(), &err));
        test_probe_talk_close(stream);
        event_wait(&told.event, 2);
        CHECK_INT(told.code, AFAR_CANCELLED);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

TEST(a_handler_that_sends_is_told_of_the_close)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        test_probe_list_stream *stream = start_list(probe, INT64_MAX, KIB);
        receive_numbers(stream, 0, 10);
        test_probe_list_close(stream);
        pair_close(&pair); /* waits for the handler, which would never end by itself */
        test_probe_close(probe);
    }
}

TEST(closing_what_nobody_ever_used)
{
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    for (int i = 0; i < 100; i++) {
        test_probe_talk_close(start_talk(probe));
        test_probe_list_close(start_list(probe, 1000, KIB));
    }
    test_probe_talk_close(NULL);
    CHECK_INT(asked(probe, 1), 2);
    test_probe_close(probe);
    pair_close(&pair);
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
