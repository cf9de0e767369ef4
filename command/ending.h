#ifndef COMMAND_ENDING_H
#define COMMAND_ENDING_H

/* What ends a command that goes on until something does: SIGINT, SIGTERM, and for one that writes, that
 * nobody reads any more. */

#include <pthread.h>
#include <signal.h>

#include "runtime/future.h"

typedef struct ending_watch {
    afar_future future; /* done when it ends: a case of a select */
    atomic_bool ended;
    int told; /* becomes readable when it ends */

    /* private */
    int signals, over, output;
    pthread_t thread;
} ending_watch;

/* Starts to look out; signals of this thread, and of those that it starts, are blocked from now on.  `output`:
 * whether standard output is looked at.  The exit code, after having complained. */
int
ending_open(ending_watch *watch, bool output);
void
ending_close(ending_watch *watch);

static inline bool
has_ended(ending_watch *watch)
{
    return atomic_load(&watch->ended);
}

#endif
