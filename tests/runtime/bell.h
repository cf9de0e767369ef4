#ifndef BELL_H
#define BELL_H

/* Things to wait for, for tests of the engine.  Nothing waits longer than check.h lets a test. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/engine.h"

#define PATIENCE (15 * AFAR__SECOND)

/* Is waited for as the library does. */
struct bell {
    pthread_mutex_t lock;
    afar__waiters waiters;
    int count; /* guarded by lock */
};

#define BELL_INIT                                                                                  \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, { NULL }, 0                                                     \
    }

void
ring(struct bell *bell);

/* Until it has rung so many times in all. */
afar__wait_result
hear(struct bell *bell, int count, int64_t deadline);

void
must_hear(struct bell *bell, int count);

/* Is waited for outside of the engine, as user code does. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int entered;
    bool open;
};

#define GATE_INIT                                                                                  \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false                              \
    }

/* Enters, and waits until it is open. */
void
gate_pass(struct gate *gate);

/* Enters, and does not wait. */
void
gate_enter(struct gate *gate);

void
gate_wait_entered(struct gate *gate, int count);

void
gate_open(struct gate *gate);

/* ---- the engine ---- */

void
hold(void);

void
begin_background(void);

/* Until a library thread is the poller: then whatever happens is seen. */
void
wait_for_poller(void);

pthread_t
start(void *(*run)(void *arg), void *arg);

void
join(pthread_t thread);

#endif
