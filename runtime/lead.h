#ifndef AFAR_RUNTIME_LEAD_H
#define AFAR_RUNTIME_LEAD_H

/* The poller role: who may be in the core.  See lead.c. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/engine.h"

/* Says who asks: any address that is this thread's alone, at least 4-aligned. */
typedef uintptr_t afar__leader;

/* Takes the role if it is vacant, or if its holder is in user code. */
bool
afar__lead_take(afar__leader self, bool library);

/* Lets go of it, if it still is ours. */
void
afar__lead_release(afar__leader self);

/* The holder goes into user code; meanwhile anybody may take the role. */
void
afar__lead_enter_user(afar__leader self);

/* Comes back; false if somebody took it. */
bool
afar__lead_leave_user(afar__leader self);

/* Whether this thread has it. */
bool
afar__lead_is_ours(afar__leader self);

/* Whether the role could be taken now. */
bool
afar__lead_open(void);

/* Whether nobody has it. */
bool
afar__lead_vacant(void);

/* Whether a library thread has it and is not in user code. */
bool
afar__lead_in_library(void);

/* Changes whenever the role does. */
unsigned
afar__lead_epoch(void);

typedef enum afar__polled {
    AFAR__POLLED_EVENT,   /* one event was dispatched, or timers rang, or idle tasks ran */
    AFAR__POLLED_NOTHING, /* nothing came until the deadline, or the poll was broken off */
} afar__polled;

/* Takes and dispatches one event, as the leader, and rings the timers that are due: polls and
 * yields for a while, then blocks until `deadline` or the first timer.  `stop` is looked at
 * between polls and ends the wait; once the leader blocks, afar__core_kick does. `blocked`
 * is set while it does, so that others know when to kick. */
afar__polled
afar__lead_poll(int64_t deadline, bool (*stop)(void *arg), void *arg,
                void (*block)(void *arg, bool blocked));

/* Says, as the leader, how long it was away: after long it blocks at once. */
void
afar__lead_rare(int64_t gap);

/* Has the leader run a task when it finds nothing in the core, before it waits for long: never user
 * code.  False if it sleeps there now: then it is not queued. */
bool
afar__lead_when_idle(afar__task *task);

/* Rings the timers that are due, as the leader.  False if none was. */
bool
afar__lead_ring(void);

/* The first timer rings at `when` now: a leader that would sleep longer is kicked.  Any
 * thread; the engine is held. */
void
afar__lead_hurry(int64_t when);

#endif
