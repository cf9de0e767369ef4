#ifndef AFAR_RUNTIME_TURN_H
#define AFAR_RUNTIME_TURN_H

/* Turns: which call may run in an object.  See turn.c. */

#include <pthread.h>
#include <stdbool.h>

#include <afar/object.h>

#include "runtime/call.h"

typedef struct afar__turns {
    bool concurrent;
    bool reentrant;
    unsigned limit;       /* of calls that queue */
    pthread_mutex_t lock; /* guards what follows, and the turn of every call */
    afar_call *holder;    /* has the turn; its outer calls wait for it */
    unsigned queued;
    afar_call *first, **last;
} afar__turns;

void
afar__turns_init(afar__turns *turns, afar_mode mode, unsigned limit);

void
afar__turns_clear(afar__turns *turns);

typedef enum afar__turn {
    AFAR__TURN_NOW,     /* run it */
    AFAR__TURN_LATER,   /* it queues: its task is run when its turn comes */
    AFAR__TURN_FULL,    /* too many queue */
    AFAR__TURN_DEADLOCK /* it would wait for a call that waits for it: its error says for which */
} afar__turn;

/* A call that has come asks for its turn. */
afar__turn
afar__turn_ask(afar__turns *turns, afar_call *call);

/* Its turn ends, if it has one; `returned` says that its handler has, so that this
 * thread can run the next one. */
void
afar__turn_leave(afar__turns *turns, afar_call *call, bool returned);

/* The handler waits for the peer of its stream, and is back: in between, others may
 * have the turn. */
void
afar__turn_pause(afar__turns *turns, afar_call *call);

void
afar__turn_resume(afar__turns *turns, afar_call *call);

/* The handler waits for a call of its own, and is back.  It keeps the turn, but
 * calls that descend from it may enter a reentrant object, and end with DEADLOCK
 * in a serial one. */
void
afar__turn_wait(afar__turns *turns, afar_call *call);

void
afar__turn_go_on(afar__turns *turns, afar_call *call);

#endif
