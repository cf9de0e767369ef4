/* Calls whose answer nobody waits for.
 *
 * Labels: concurrent */

#include <string.h>

#include "pair.h"

/* More at once and the core may change their order (afar/object.h). */
#define MANY 64

struct ear {
    struct event told;
    struct gate gate;
    int64_t last;
    int64_t left_ns; /* of the call's time */
    bool in_order;
};

static afar_code
hear(void *self, const Test__Packet *request, afar_call *call)
{
    struct ear *ear = self;

    ear->in_order &= request->number == ear->last + 1;
    ear->last = request->number;
    ear->left_ns = afar_deadline_left_ns(afar_call_deadline(call));
    event_raise(&ear->told);
    return AFAR_INTERNAL; /* nobody will know */
}

static const test_probe_methods hearing = { .tell = hear };

static void
tell(test_probe *probe, int64_t number)
{
    Test__Packet packet = TEST__PACKET__INIT;
    afar_error err = AFAR_ERROR_INIT;

    packet.number = number;
    CHECK_OK(test_probe_tell(probe, &packet, soon(), &err));
}

TEST(what_is_told_arrives_in_order)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct ear ear = { .told = EVENT_INIT, .in_order = true };
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &hearing, &ear, AFAR_SERIAL);
        for (int i = 1; i <= MANY; i++)
            tell(probe, i);
        event_wait(&ear.told, MANY);
        CHECK(ear.in_order);
        CHECK(ear.left_ns > 0 && ear.left_ns < INT64_MAX);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

TEST(telling_a_local_object)
{
    struct ear ear = { .told = EVENT_INIT, .in_order = true };
    test_probe *probe = make_probe(&hearing, &ear, AFAR_SERIAL);

    for (int i = 1; i <= MANY; i++)
        tell(probe, i);
    test_probe_close(probe); /* what was sent goes on */
    event_wait(&ear.told, MANY);
    CHECK(ear.in_order);
}

static afar_code
hear_late(void *self, const Test__Packet *request, afar_call *call)
{
    struct ear *ear = self;

    (void)request;
    (void)call;
    afar_code code = gate_pass(&ear->gate, NULL);
    event_raise(&ear->told);
    return code;
}

/* Who tells does not wait for who hears. */
TEST(telling_does_not_wait)
{
    static const test_probe_methods methods = { .tell = hear_late };
    struct ear ear = { .told = EVENT_INIT };
    struct pair pair;

    gate_init(&ear.gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &methods, &ear, AFAR_SERIAL);
    for (int i = 0; i < 20; i++)
        tell(probe, i);
    CHECK_INT(event_count(&ear.told), 0);
    gate_open(&ear.gate);
    event_wait(&ear.told, 20);
    test_probe_close(probe);
    pair_close(&pair);
    gate_close(&ear.gate);
}

/* A handler may tell and return: its own end does not cancel what it told. */
static afar_code
pass_it_on(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)call;
    reply->number = request->number;
    tell(self, request->number);
    return AFAR_OK;
}

TEST(what_a_handler_told_outlives_it)
{
    static const test_probe_methods methods = { .ask = pass_it_on };
    struct ear ear = { .told = EVENT_INIT, .in_order = true };
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *ears = pair_probe(&pair, "ear", &hearing, &ear, AFAR_SERIAL);
    test_probe *probe = pair_probe(&pair, "", &methods, ears, AFAR_SERIAL);
    for (int i = 1; i <= 200; i++)
        CHECK_INT(asked(probe, i), i);
    event_wait(&ear.told, 200);
    CHECK(ear.in_order);
    test_probe_close(probe);
    test_probe_close(ears);
    pair_close(&pair);
}

TEST(telling_what_cannot_be_sent)
{
    Test__Packet packet = TEST__PACKET__INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct ear ear = { .told = EVENT_INIT };
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &hearing, &ear, AFAR_SERIAL);
    afar_client_close(pair.client);
    pair.client = NULL;
    CHECK_FAILS(test_probe_tell(probe, &packet, soon(), &err), AFAR_FAILED_PRECONDITION);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    test_probe_close(probe);
    afar_error_clear(&err);
    pair_close(&pair);
    CHECK_INT(event_count(&ear.told), 0);
}

/* Holds its caller up until the gate is open. */
static afar_code
hear_behind_gate(void *self, const Test__Packet *request, afar_call *call)
{
    struct ear *ear = self;

    (void)request;
    (void)call;
    if (ear->last++ == 0)
        (void)!gate_pass(&ear->gate, NULL);
    event_raise(&ear->told);
    return AFAR_OK;
}

/* Over a session, which knows what the peer takes; all that was accepted arrives. */
TEST(what_nobody_takes_is_refused_in_the_end)
{
    static const test_probe_methods methods = { .tell = hear_behind_gate };
    static uint8_t data[60000];
    Test__Packet packet = TEST__PACKET__INIT;
    struct ear ear = { .told = EVENT_INIT };
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;
    int accepted = 0;
    struct pair pair;

    gate_init(&ear.gate);
    pair_open(&pair, "inproc:oneway");
    test_probe *probe = pair_probe(&pair, "", &methods, &ear, AFAR_SERIAL);
    packet.data = (ProtobufCBinaryData){ sizeof data, data };
    while (!code && accepted < 10000) {
        code = test_probe_tell(probe, &packet, AFAR_FOREVER, &err);
        accepted += code ? 0 : 1;
    }
    CHECK_INT(code, AFAR_RESOURCE_EXHAUSTED);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(strstr(err.message, "64 MiB"));
    gate_open(&ear.gate);
    event_wait(&ear.told, accepted);
    tell(probe, 0);
    event_wait(&ear.told, accepted + 1);
    test_probe_close(probe);
    pair_close(&pair);
    gate_close(&ear.gate);
    afar_error_clear(&err);
}
