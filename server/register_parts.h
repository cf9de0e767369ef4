#ifndef AFAR_SERVER_REGISTER_PARTS_H
#define AFAR_SERVER_REGISTER_PARTS_H

/* What the files of registering share: register.c opens, closes and has the thread,
 * register_work.c is what the thread does in a round. */

#include <pthread.h>

#include "runtime/engine.h"
#include "server/register.h"
#include "server/register_calls.h"

#define AFAR__FIRST_BACKOFF INT64_C(100000000) /* ns */

typedef enum afar__trouble {
    AFAR__TROUBLE_NONE,
    AFAR__TROUBLE_REFUSED, /* the name server answers, but not as it should */
    AFAR__TROUBLE_AWAY     /* it does not answer: it is asked for a sign of life first */
} afar__trouble;

struct afar__register {
    /* the thread's while it runs; constant: the claim, and the address in `talk` */
    afar__claim claim;
    afar__talk talk;
    unsigned failures; /* since something went well */
    bool is_told;      /* the first of them was logged */
    bool is_news;      /* something was registered since that was logged */
    pthread_t thread;
    bool running; /* belongs to who starts and stops the server */

    pthread_mutex_t lock;   /* guards what follows */
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    afar__waiters waiters;  /* for all names to be registered, or the end */
    afar__wanted *names;
    bool stopping;         /* asked for */
    bool over;             /* the thread has nothing more to do */
    afar__trouble trouble; /* written by the thread only, which reads it without the lock */
    int64_t failed;        /* when there was trouble the last time */
    int64_t retry;         /* nothing is done before, while there is trouble */
    afar_error why;        /* there is, or was */
};

/* After a change of the names: wakes who waits for all of them to be registered. */
void
afar__register_tell_locked(afar__register *registration);

/* Does all that is to be done now. */
void
afar__register_work(afar__register *registration);

/* Gives the lease up, with all its names. */
void
afar__register_leave(afar__register *registration);

#endif
