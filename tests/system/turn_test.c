/* Whose turn it is in a serial object: handlers that defer, that wait in a stream,
 * and calls that come back to where they came from.
 *
 * Labels: concurrent */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "pair.h"
#include "runtime/call.h"

/* ---- deferring ---- */

struct deferring {
    afar_call *calls[20]; /* guarded by the object's turn */
    int count;
    struct event entered;
};

static afar_code
defer(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct deferring *deferring = self;

    reply->number = request->number;
    deferring->calls[deferring->count++] = call;
    afar_call_defer(call); /* from here on others may be inside */
    event_raise(&deferring->entered);
    return AFAR_OK;
}

TEST(deferring_ends_the_turn)
{
    static const test_probe_methods methods = { .ask = defer };
    struct deferring deferring = { .entered = EVENT_INIT };
    afar_future *futures[20];
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &methods, &deferring, AFAR_SERIAL);
    for (int i = 0; i < 20; i++)
        futures[i] = start_ask(probe, i, soon());
    event_wait(&deferring.entered, 20);
    for (int i = 19; i >= 0; i--)
        afar_call_finish(deferring.calls[i], AFAR_OK);
    for (int i = 0; i < 20; i++)
        CHECK_INT(finish_ask(futures[i]), i);
    test_probe_close(probe);
    pair_close(&pair);
}

/* A stream handler and a unary one of the same object; each marks when it is inside,
 * the first between its waits. */
struct shared {
    struct gate gate;
    struct event talked;
    atomic_int inside;
    atomic_bool overlapped;
    int64_t plain; /* no lock, no atomic: the object's turn guards it */
};

static void
enter(struct shared *shared)
{
    if (atomic_fetch_add(&shared->inside, 1) > 0)
        shared->overlapped = true;
    shared->plain++;
}

static void
leave(struct shared *shared)
{
    atomic_fetch_sub(&shared->inside, 1);
}

static afar_code
talk_and_mark(void *self, test_probe_talk_server_stream *stream, afar_call *call)
{
    struct shared *shared = self;
    const Test__Packet *packet = NULL;
    afar_code code;

    (void)call;
    while (!(code = test_probe_talk_server_receive(stream, soon(), &packet, NULL))) {
        enter(shared);
        leave(shared);
        event_raise(&shared->talked);
    }
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static afar_code
pass_and_mark(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct shared *shared = self;

    (void)request;
    (void)reply;
    (void)call;
    enter(shared);
    afar_code code = gate_pass(&shared->gate, NULL);
    leave(shared);
    return code;
}

static const test_probe_methods sharing = { .ask = pass_and_mark, .talk = talk_and_mark };

/* While the unary handler is inside, even waiting for another object, a message for
 * the stream handler does not let that one in. */
TEST(a_stream_handler_takes_its_turn_back)
{
    struct shared shared = { .talked = EVENT_INIT };
    Test__Packet packet = TEST__PACKET__INIT;
    test_probe_talk_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair;

    gate_init(&shared.gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &sharing, &shared, AFAR_SERIAL);
    test_probe *other = pair_probe(&pair, "other", &echo_methods, NULL, AFAR_SERIAL);
    CHECK_OK(test_probe_talk(probe, soon(), NULL, &stream, &err));
    CHECK_OK(test_probe_talk_send(stream, &packet, soon(), &err));
    event_wait(&shared.talked, 1);

    afar_future *future = start_ask(probe, 1, soon());
    event_wait(&shared.gate.entered, 1);
    CHECK_OK(test_probe_talk_send(stream, &packet, soon(), &err));
    for (int i = 0; i < 50; i++) /* the packet has arrived before these */
        CHECK_INT(asked(other, i), i + 1);
    CHECK_INT(event_count(&shared.talked), 1);
    gate_open(&shared.gate);
    CHECK_INT(finish_ask(future), 0);
    event_wait(&shared.talked, 2);
    test_probe_talk_close(stream);
    test_probe_close(probe);
    test_probe_close(other);
    pair_close(&pair);
    CHECK(!shared.overlapped);
    CHECK_INT(shared.plain, 3);
    gate_close(&shared.gate);
}

TEST(a_slow_reader_does_not_lock_the_object)
{
    for (const char *const *transport = transports; *transport; transport++) {
        Test__Packet request = TEST__PACKET__INIT;
        test_probe_list_stream *streams[4] = { NULL };
        static uint8_t data[8192];
        afar_error err = AFAR_ERROR_INIT;
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        request.number = INT64_MAX;
        request.data = (ProtobufCBinaryData){ sizeof data, data };
        for (int i = 0; i < 4; i++)
            CHECK_OK(test_probe_list(probe, &request, AFAR_FOREVER, NULL, &streams[i], &err));
        for (int i = 0; i < 100; i++)
            CHECK_INT(asked(probe, i), i + 1);
        for (int i = 0; i < 4; i++)
            test_probe_list_close(streams[i]);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

TEST(a_silent_sender_does_not_lock_the_object)
{
    test_probe_talk_stream *streams[20] = { NULL };
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    for (int i = 0; i < 20; i++)
        CHECK_OK(test_probe_talk(probe, AFAR_FOREVER, NULL, &streams[i], &err));
    for (int i = 0; i < 100; i++)
        CHECK_INT(asked(probe, i), i + 1);
    for (int i = 0; i < 20; i++)
        test_probe_talk_close(streams[i]);
    test_probe_close(probe);
    pair_close(&pair);
}

/* ---- calls that come back ---- */

/* Two objects: one asks the other with the number less 1 until that is 0. */
struct player {
    test_probe *other;
};

static afar_code
pass_the_ball(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct player *player = self;
    afar_error err = AFAR_ERROR_INIT;

    if (request->number == 0)
        return AFAR_OK;
    afar_code code = ask(player->other, request->number - 1, &reply->number, &err);
    if (code)
        afar_call_fail_error(call, &err);
    afar_error_clear(&err);
    reply->number++;
    return code;
}

static const test_probe_methods playing = { .ask = pass_the_ball };

TEST(a_call_may_come_back_to_a_reentrant_object)
{
    struct player left = { NULL }, right = { NULL };
    test_probe *first = make_probe(&playing, &left, AFAR_REENTRANT);
    test_probe *second = make_probe(&playing, &right, AFAR_REENTRANT);

    left.other = second;
    right.other = first;
    CHECK_INT(asked(first, 10), 10);
    test_probe_close(first);
    test_probe_close(second);
}

/* Two calls away from where it started, which may be reached in any way. */
static void
come_back(test_probe *first)
{
    static const char why[] = "/test.Probe/Ask: deadlock: this call descends from /test.Probe/Ask";
    Test__Packet request = TEST__PACKET__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    request.number = 2;
    CHECK_FAILS(test_probe_ask(first, &request, soon(), &reply, &err), AFAR_DEADLOCK);
    if (!strstr(err.message, why) || !strstr(err.message, "(2 calls up)"))
        CHECK_STR(err.message, why);
    CHECK_INT(asked(first, 1), 1); /* both are free again */
    afar_error_clear(&err);
}

TEST(a_call_that_comes_back_to_a_serial_object_ends)
{
    struct player left = { NULL }, right = { NULL };
    test_probe *first = make_probe(&playing, &left, AFAR_SERIAL);
    test_probe *second = make_probe(&playing, &right, AFAR_SERIAL);

    left.other = second;
    right.other = first;
    come_back(first);
    test_probe_close(first);
    test_probe_close(second);
}

/* The same, where the second object knows the first by an address. */
static void
come_back_over(const char *transport, const char *scheme)
{
    struct player left = { NULL }, right = { NULL };
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair;
    char name[400];

    pair_open(&pair, transport);
    test_probe *first = make_probe(&playing, &left, AFAR_SERIAL);
    test_probe *second = make_probe(&playing, &right, AFAR_SERIAL);
    export_probe(pair.server, "first", first);
    snprintf(name, sizeof name, "%s%s/first", scheme, afar_server_address(pair.server));
    left.other = second;
    CHECK_OK(test_probe_open(pair.client, name, soon(), &right.other, &err));
    come_back(right.other);
    test_probe_close(right.other);
    test_probe_close(first);
    test_probe_close(second);
    pair_close(&pair);
}

TEST(a_call_that_comes_back_over_a_session_ends)
{
    come_back_over(TCP, "afar://");
    come_back_over(UNIX, "");
    come_back_over(INPROC, "");
}

TEST(a_call_that_comes_back_over_grpc_ends)
{
    come_back_over(TCP, "grpc://");
}

/* ---- what nobody waits for ---- */

struct teller {
    test_probe *other;
    struct event told;
    unsigned asked_chain, told_chain; /* of the calls that came */
};

static afar_code
ask_and_tell(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct teller *teller = self;
    afar_error err = AFAR_ERROR_INIT;

    if (request->number == 0) {
        teller->asked_chain = call->chain_length;
        return AFAR_OK;
    }
    afar_code code = ask(teller->other, 0, &reply->number, &err);
    if (!code)
        code = test_probe_tell(teller->other, request, soon(), &err);
    if (code)
        afar_call_fail_error(call, &err);
    afar_error_clear(&err);
    return code;
}

static afar_code
be_told(void *self, const Test__Packet *request, afar_call *call)
{
    struct teller *teller = self;

    (void)request;
    teller->told_chain = call->chain_length;
    event_raise(&teller->told);
    return AFAR_OK;
}

static const test_probe_methods telling = { .ask = ask_and_tell, .tell = be_told };

/* The handler that made it does not wait for it: what comes back of it waits its turn. */
static void
tell_over(const char *transport, const char *scheme)
{
    struct teller near = { .told = EVENT_INIT }, far = { .told = EVENT_INIT };
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair;
    char name[400];

    pair_open(&pair, transport);
    test_probe *first = make_probe(&telling, &near, AFAR_SERIAL);
    test_probe *second = make_probe(&telling, &far, AFAR_SERIAL);
    export_probe(pair.server, "second", second);
    snprintf(name, sizeof name, "%s%s/second", scheme, afar_server_address(pair.server));
    CHECK_OK(test_probe_open(pair.client, name, soon(), &near.other, &err));
    (void)asked(first, 1);
    event_wait(&far.told, 1);
    CHECK_INT(far.asked_chain, 1);
    CHECK_INT(far.told_chain, 0);
    test_probe_close(near.other);
    test_probe_close(first);
    test_probe_close(second);
    pair_close(&pair);
}

TEST(a_call_that_nobody_waits_for_descends_from_none)
{
    tell_over(TCP, "afar://");
    tell_over(TCP, "grpc://");
    tell_over(INPROC, "");
}
