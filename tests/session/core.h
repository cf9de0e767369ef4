#ifndef CORE_H
#define CORE_H

/* Cores of sessions, driven by hand.  Each of these ends the test when it does not get what it
 * waits for. */

#include <stdbool.h>

#include "runtime/session/session.h"

#define SPAN(text) ((afar__session_span){ text, sizeof(text) - 1 })

/* A core whose clock stands at 0; `limits` may be NULL. */
afar__session *
core_open(const afar__session_limits *limits, uint8_t instance);

/* The next event is of that kind; or there is none. */
afar__session_event
core_expect(afar__session *session, afar__session_event_kind kind);

void
core_expect_none(afar__session *session);

/* The batch that is being read, from malloc: events point into it. */
extern uint8_t *core_in_flight;

/* Carries one batch over; false if there is none. */
bool
core_carry(afar__session *from, afar__session *to);

/* A call of the default method to a name, with the payload "hello". */
afar__session_request
core_request(const char *name);

afar__session_id
core_call(afar__session *session, const afar__session_request *request);

/* Sends a message without references. */
afar_code
core_item(afar__session *session, afar__session_id id, const char *text, afar_error *err);

/* Answers with the payload "world", or fails. */
void
core_reply(afar__session *session, afar__session_id id, afar_code code);

/* Nothing is left. */
void
core_check_empty(const afar__session *session);

/* Two sessions that have had each other's Hello. */
struct duo {
    afar__session *a, *b;
};

struct duo
duo_open(const afar__session_limits *a, const afar__session_limits *b);

void
duo_close(struct duo duo);

#endif
