#ifndef EVENT_H
#define EVENT_H

/* Something that happens on one thread and is waited for on another, counted.
 * Every wait has a bound; a wait in vain ends the test. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct event {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count; /* guarded by lock */
};

#define EVENT_INIT                                                                                 \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                                     \
    }

void
event_raise(struct event *event);

/* Waits until it has been raised so many times in all. */
void
event_wait(struct event *event, int count);

int
event_count(struct event *event);

/* ---- threads ---- */

/* A thread of the test, known to the kernel by `id` once it runs. */
struct worker {
    pthread_t thread;
    void (*run)(void *arg);
    void *arg;
    struct event started;
    int id;
};

void
worker_start(struct worker *worker, void (*run)(void *arg), void *arg);

void
worker_join(struct worker *worker);

/* Waits until the thread sleeps in the kernel.  For a thread that said before that
 * its next act is a wait, this is how others know that it is inside. */
void
worker_wait_asleep(struct worker *worker);

/* The number of threads that this process has now. */
int
thread_count(void);

int64_t
now_ms(void);

#endif
