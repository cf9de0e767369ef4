#ifndef AFAR_RUNTIME_ENGINE_H
#define AFAR_RUNTIME_ENGINE_H

/* The engine: the threads of the library, the poller role, and waiting.  There is
 * one a process, since the core of gRPC has one poller a process; nodes share
 * it, and it exists while somebody holds it.
 *
 * Waiting works like this.  Whoever must wait for something puts a waiter into a
 * list of that something, under its lock, lets the lock go, and calls
 * afar__wait.  Whoever makes it happen wakes the list under the same lock.  In
 * between, the waiting thread polls the core itself if nobody else does. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <afar/error.h>

/* ---- life ---- */

/* Holds the engine; the first one starts the core.  FAILED_PRECONDITION in a
 * process that was forked from one that used Afar. */
afar_code
afar__engine_hold(afar_error *err);

/* The last one stops the threads and shuts the core down. */
void
afar__engine_release(void);

/* FAILED_PRECONDITION if this process was forked after the engine started, or after a channel was made. */
afar_code
afar__engine_check(afar_error *err);

/* Whether it was: then nothing of the core may be touched. */
bool
afar__engine_forked(void);

/* ---- user code ---- */

typedef struct afar__task afar__task;
struct afar__task {
    void (*run)(afar__task *task);
    afar__task *next;
};

/* Runs a task on a library thread: soon and on this very thread if it is the one
 * that polls for the library, else on another one.  Order is kept only among
 * tasks that are queued by one library thread; they run one after the other, unless one of them
 * lasts: then the others go on elsewhere. */
void
afar__engine_run(afar__task *task);

/* The same, but on this thread when it is a library thread, after the task that it
 * runs now: for handing an object's turn on. */
void
afar__engine_run_next(afar__task *task);

/* The same, but on this thread after all that it is to run, when it is a library thread: after the
 * tasks that the event brought, and those that they hand on.  For what is cheaper done once for
 * many, as writing what they answered.  It waits for them half a millisecond or so, no
 * longer: then another thread runs it while they go on, so who adds to what it does later
 * queues it again. */
void
afar__engine_run_last(afar__task *task);

/* Has whoever polls the core next run it, once there is nothing to be had there: for what is cheaper
 * done once for many, and is not to wait for long.  Never user code.  False if nobody will look
 * soon: then it is not queued. */
bool
afar__engine_when_idle(afar__task *task);

/* Says that something can happen without anybody waiting for it (a server that
 * listens, a call that was started): a library thread then polls when no caller
 * does.  Counted; undone by afar__engine_background_end.  RESOURCE_EXHAUSTED if there
 * is no such thread, and none can be made. */
afar_code
afar__engine_background(afar_error *err);
void
afar__engine_background_end(void);

/* Whether this thread is one of the library's, that is, runs user code. */
bool
afar__engine_is_library_thread(void);

/* This thread acts on events that it did not take from the core itself: it may not wait for others until
 * it says that it is done.  They nest. */
void
afar__engine_event_begin(void);
void
afar__engine_event_end(void);

/* Whether this thread may wait for others: not on a library thread, and not in
 * the middle of an event. */
bool
afar__engine_may_wait(void);

/* Does something that waits: here if this thread may wait, else on a thread made
 * for it.  False if none could be made: it is not done. */
bool
afar__engine_aside(void *(*fn)(void *arg), void *arg);

/* ---- waiting ---- */

typedef struct afar__waiter afar__waiter;
struct afar__waiter {
    atomic_uint state;
    afar__waiter *next;        /* in its list; guarded by the list's owner */
    afar__waiter **link;       /* what points to it there; NULL: in no list */
    afar__waiter *next_parked; /* guarded by the engine */
    afar__waiter **link_parked;
};

typedef struct afar__waiters {
    afar__waiter *first;
} afar__waiters;

/* Under the owner's lock: starts a round of waiting in that list. */
void
afar__waiters_add(afar__waiters *list, afar__waiter *waiter);

/* Under the owner's lock: leaves the list, woken or not. */
void
afar__waiters_remove(afar__waiter *waiter);

/* Under the owner's lock: wakes all; each leaves the list by itself. */
void
afar__waiters_wake(afar__waiters *list);

typedef enum afar__wait_result {
    AFAR__WAIT_WOKEN,
    AFAR__WAIT_TIMEOUT,
    AFAR__WAIT_REFUSED /* too many handlers wait: nobody would be left to run */
} afar__wait_result;

/* Waits, without any lock, until woken or until `deadline` (ns). */
afar__wait_result
afar__wait(afar__waiter *waiter, int64_t deadline);

/* Takes one event from the core if the role is open and one is there: for what has
 * most likely come already, and is cheaper than a wait.  False if there was none. */
bool
afar__glance(void);

/* The error for a wait that was refused. */
afar_code
afar__wait_refused(afar_error *err);

#endif
