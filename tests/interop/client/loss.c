/* The server dies in the middle of a call, or this client does.  The driver sees
 * "held" on standard output and kills one of the two.  Without a driver that does
 * so a test only waits, so these are a program of their own. */

#include <stdio.h>
#include <stdlib.h>

#include "session.h"

TEST(lose_the_server)
{
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Reply *reply = NULL;
    struct session session;

    session_open(&session);
    afar_future *future = session_hold(&session, AFAR_FOREVER);
    printf("held\n");
    CHECK_FAILS(afar_test_echo_unary_await(future, soon(), &reply, &err), AFAR_UNAVAILABLE);
    CHECK_INT(err.outcome, AFAR_OUTCOME_UNKNOWN);
    CHECK(!err.remote);
    CHECK(err.message[0]);
    afar_future_close(future);

    /* Nobody is there any more: the next call says so, and that it never left. */
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    CHECK_FAILS(afar_test_echo_unary(session.echo, &request, soon(), &reply, &err),
                AFAR_UNAVAILABLE);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    afar_error_clear(&err);
    session_close(&session);
}

TEST(lose_the_server_of_a_stream)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    afar_test_echo_both_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Test__Reply *reply = NULL;
    struct session session;

    session_open(&session);
    CHECK_OK(afar_test_echo_both(session.echo, AFAR_FOREVER, NULL, &stream, &err));
    CHECK_OK(afar_test_echo_both_send(stream, &request, soon(), &err));
    CHECK_OK(afar_test_echo_both_receive(stream, soon(), &reply, &err));
    afar_message_free(reply);
    printf("held\n");
    CHECK_FAILS(afar_test_echo_both_receive(stream, soon(), &reply, &err), AFAR_UNAVAILABLE);
    CHECK_INT(err.outcome, AFAR_OUTCOME_UNKNOWN);
    CHECK_FAILS(afar_test_echo_both_send(stream, &request, soon(), &err), AFAR_UNAVAILABLE);
    afar_test_echo_both_close(stream);
    afar_error_clear(&err);
    session_close(&session);
}

/* Stays in the call until the driver kills this process. */
TEST(be_lost)
{
    afar_error err = AFAR_ERROR_INIT;
    struct session session;

    session_open(&session);
    afar_future *future = session_hold(&session, AFAR_FOREVER);
    printf("held\n");
    CHECK_OK(afar_future_wait(future, soon(), &err));
    afar_future_close(future);
    session_close(&session);
}
