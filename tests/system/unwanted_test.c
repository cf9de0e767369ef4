/* Replies that nobody wants: NULL in their place is allowed, nothing leaks, and the code is what it would
 * have been.  The objects in them are let go of, too: far/factory_test.c.
 *
 * Labels: concurrent */

#include <stdio.h>
#include <string.h>

#include "pair.h"

/* Asks with bytes that come back, so that the reply has memory of its own. */
static void
call_it(test_probe *probe)
{
    Test__Packet request = TEST__PACKET__INIT;
    afar_error err = AFAR_ERROR_INIT;
    uint8_t bytes[5000] = { 0 };

    request.text = (char *)"nobody reads this";
    request.data = (ProtobufCBinaryData){ sizeof bytes, bytes };
    CHECK_OK(test_probe_ask(probe, &request, soon(), NULL, &err));
    CHECK_OK(test_probe_ask(probe, &request, soon(), NULL, NULL));
}

/* It counts as taken. */
static void
await_it(test_probe *probe)
{
    afar_future *future = start_ask(probe, 1, soon());
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *reply = NULL;

    CHECK_OK(test_probe_ask_await(future, soon(), NULL, &err));
    CHECK_FAILS(test_probe_ask_await(future, soon(), NULL, &err), AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(test_probe_ask_await(future, soon(), &reply, &err), AFAR_FAILED_PRECONDITION);
    CHECK(!reply);
    afar_error_clear(&err);
    afar_future_close(future);
}

static void
gather_it(test_probe *probe)
{
    Test__Packet packet = TEST__PACKET__INIT;
    test_probe_gather_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(test_probe_gather(probe, soon(), NULL, &stream, &err));
    CHECK_OK(test_probe_gather_send(stream, &packet, soon(), &err));
    CHECK_OK(test_probe_gather_finish(stream, soon(), NULL, &err));
    test_probe_gather_close(stream);
}

static void
leave_all(test_probe *probe)
{
    call_it(probe);
    await_it(probe);
    gather_it(probe);
    CHECK_INT(asked(probe, 4), 5);
}

TEST(of_a_local_object)
{
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);

    leave_all(probe);
    test_probe_close(probe);
}

/* Plain gRPC over TCP; what the other two have is found out by the client. */
TEST(over_each_transport)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        leave_all(probe);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

TEST(over_a_session)
{
    afar_error err = AFAR_ERROR_INIT;
    test_probe *probe = NULL;
    char name[300];
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *near = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    export_probe(pair.server, "it", near);
    test_probe_close(near);
    snprintf(name, sizeof name, "afar://%s/it", afar_server_address(pair.server));
    CHECK_OK(test_probe_open(pair.client, name, soon(), &probe, &err));
    leave_all(probe);
    test_probe_close(probe);
    pair_close(&pair);
}

/* ---- what fails ---- */

static afar_code
refuse_ask(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)self;
    (void)request;
    (void)reply;
    return afar_call_fail(call, AFAR_NOT_FOUND, "no such packet");
}

static afar_code
refuse_gather(void *self, test_probe_gather_server_stream *stream, Test__Packet *reply,
              afar_call *call)
{
    (void)self;
    (void)stream;
    (void)reply;
    return afar_call_fail(call, AFAR_NOT_FOUND, "no such packet");
}

static void
see_the_error(test_probe *probe)
{
    Test__Packet request = TEST__PACKET__INIT;
    test_probe_gather_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = start_ask(probe, 1, soon());

    CHECK_FAILS(test_probe_ask(probe, &request, soon(), NULL, &err), AFAR_NOT_FOUND);
    CHECK(strstr(err.message, "no such packet"));
    CHECK_FAILS(test_probe_ask_await(future, soon(), NULL, &err), AFAR_NOT_FOUND);
    CHECK(strstr(err.message, "no such packet"));
    afar_future_close(future);
    CHECK_OK(test_probe_gather(probe, soon(), NULL, &stream, &err));
    CHECK_FAILS(test_probe_gather_finish(stream, soon(), NULL, &err), AFAR_NOT_FOUND);
    CHECK(strstr(err.message, "no such packet"));
    test_probe_gather_close(stream);
    afar_error_clear(&err);
}

TEST(an_error_is_told_all_the_same)
{
    static const test_probe_methods methods = { .ask = refuse_ask, .gather = refuse_gather };

    for (const char *const *transport = transports; *transport; transport++) {
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, NULL, AFAR_SERIAL);
        see_the_error(probe);
        test_probe_close(probe);
        pair_close(&pair);
    }
}
