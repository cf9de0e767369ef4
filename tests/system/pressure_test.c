/* Streams whose other side does not keep up, or goes: who sends waits, and who waits
 * is woken when the stream closes.
 *
 * Labels: concurrent waits */

#include "packets.h"

#define MOST                                                                                       \
    (32 * 1024 * KIB) /* on its way: buffers of both sides, the windows of HTTP/2, the kernel */

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
    struct event event, received;
    afar_code code;
};

static afar_code
note_how_it_ends(void *self, test_probe_talk_server_stream *stream, afar_call *call)
{
    const Test__Packet *packet = NULL;
    struct told *told = self;

    while (!(told->code = test_probe_talk_server_receive(stream, AFAR_FOREVER, &packet, NULL)))
        event_raise(&told->received);
    CHECK(told->code == AFAR_ENDED || afar_call_cancelled(call));
    event_raise(&told->event);
    return AFAR_OK;
}

TEST(a_handler_that_receives_is_told_of_the_close)
{
    static const test_probe_methods methods = { .talk = note_how_it_ends };

    for (const char *const *transport = transports; *transport; transport++) {
        struct told told = { .event = EVENT_INIT, .received = EVENT_INIT };
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
        event_wait(&told.received, 1); /* else the handler might never begin */
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
