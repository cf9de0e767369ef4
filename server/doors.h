#ifndef AFAR_SERVER_DOORS_H
#define AFAR_SERVER_DOORS_H

/* The listeners of an acceptor, in its epoll set: accepting, and waiting when
 * nothing can be accepted.  The acceptor's thread only, or when there is none. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "server/connections.h"
#include "server/listen.h"
#include "server/rare.h"

typedef struct afar__doors {
    afar__connections *connections; /* where what is accepted goes */
    int64_t silent_ms;
    int epoll;
    int *fds; /* the listeners'; their addresses stand for them in the epoll set */
    size_t count;
    int spare;      /* becomes a connection's `watch`; -1: none could be had */
    bool exhausted; /* an episode has been logged and is not over */
    bool closed;    /* until `retry` */
    int64_t retry;
    afar__rare full;
} afar__doors;

/* What has nothing to close. */
#define AFAR__DOORS_INIT                                                                           \
    {                                                                                              \
        .spare = -1                                                                                \
    }

/* Puts the listeners into the epoll set and finds a spare descriptor.  Returns false
 * with errno if it cannot, and is to be closed all the same. */
bool
afar__doors_open(afar__doors *doors, const afar__listener *listeners, size_t count, int epoll,
                 afar__connections *connections, int64_t silent_ms);

/* Takes the listeners out of the epoll set, for good. */
void
afar__doors_withdraw(afar__doors *doors);

void
afar__doors_close(afar__doors *doors);

/* Accepts some connections if the event is one of the doors'; false if it is not. */
bool
afar__doors_take(afar__doors *doors, const struct epoll_event *event);

/* The moment when doors that are closed are to be tried again; AFAR__NEVER. */
int64_t
afar__doors_due(const afar__doors *doors);

/* Tries to accept at closed doors, and opens them if nothing is in the way. */
void
afar__doors_retry(afar__doors *doors);

/* Makes closed doors due: something has become free. */
void
afar__doors_hurry(afar__doors *doors);

#endif
