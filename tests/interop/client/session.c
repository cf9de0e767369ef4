/* Opening, closing and watching: what session.h says.  Runs on the thread of the
 * test only. */

#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

afar_deadline
soon(void)
{
    return afar_after_ms(15000);
}

int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *
session_name(const char *name)
{
    static char text[256];
    const char *address = getenv("ECHO_ADDRESS");

    CHECK(address);
    snprintf(text, sizeof text, "%s%s%s", address, name[0] ? "/" : "", name);
    return text;
}

void
session_open(struct session *session)
{
    afar_error err = AFAR_ERROR_INIT;

    *session = (struct session){ .before = AFAR__TEST__SEEN__INIT };
    CHECK_OK(afar_client_open(NULL, NULL, &session->client, &err));
    CHECK_OK(afar_test_echo_open(session->client, session_name(""), soon(), &session->echo, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &session->watching, &err));
    CHECK_OK(afar_test_monitor_open(session->watching, session_name(""), soon(), &session->monitor,
                                    &err));
    session->before = session_look(session, 0, 0, 0);
}

void
session_close(struct session *session)
{
    afar_test_echo_close(session->echo);
    afar_test_monitor_close(session->monitor);
    afar_client_close(session->client);
    afar_client_close(session->watching);
}

Afar__Test__Seen
session_look(struct session *session, uint32_t started, uint32_t held, uint32_t cancelled)
{
    Afar__Test__LookRequest condition = AFAR__TEST__LOOK_REQUEST__INIT;
    Afar__Test__Seen *reply = NULL, seen;
    afar_error err = AFAR_ERROR_INIT;

    condition.started = started ? session->before.started + started : 0;
    condition.held = held ? session->before.held + held : 0;
    condition.cancelled = cancelled ? session->before.cancelled + cancelled : 0;
    CHECK_OK(afar_test_monitor_look(session->monitor, &condition, soon(), &reply, &err));
    seen = *reply;
    afar_message_free(reply);
    return seen;
}

void
session_resume(struct session *session)
{
    Afar__Test__Nothing nothing = AFAR__TEST__NOTHING__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_test_monitor_resume(session->monitor, &nothing, soon(), &reply, &err));
    afar_message_free(reply);
}

afar_future *
session_hold(struct session *session, afar_deadline deadline)
{
    Afar__Test__Request request = AFAR__TEST__REQUEST__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;

    request.hold = true;
    CHECK_OK(afar_test_echo_unary_start(session->echo, &request, deadline, NULL, &future, &err));
    session_look(session, 0, 1, 0);
    return future;
}
