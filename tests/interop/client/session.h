#ifndef SESSION_H
#define SESSION_H

/* What every test of the C client starts with: references to the services of the
 * server that the environment's ECHO_ADDRESS names.  A failure ends the test. */

#include "check.h"
#include "test.afar.h"

struct session {
    afar_client *client;
    afar_test_echo *echo;
    afar_client *watching; /* a second connection: the first may be full of calls */
    afar_test_monitor *monitor;
    Afar__Test__Seen before; /* the counters when the session began */
};

void
session_open(struct session *session);

void
session_close(struct session *session);

/* The name of the server's default objects, or of the object `name`; static
 * storage. */
const char *
session_name(const char *name);

/* Waits until so many more were started, are held, were cancelled than when the
 * session began. */
Afar__Test__Seen
session_look(struct session *session, uint32_t started, uint32_t held, uint32_t cancelled);

/* Lets go of all held calls. */
void
session_resume(struct session *session);

/* Starts a call that the server holds, and waits until it does. */
afar_future *
session_hold(struct session *session, afar_deadline deadline);

/* More than any of the calls here takes, less than the runner's patience. */
afar_deadline
soon(void);

int64_t
now_ms(void);

#endif
