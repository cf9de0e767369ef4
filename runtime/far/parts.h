#ifndef AFAR_RUNTIME_FAR_PARTS_H
#define AFAR_RUNTIME_FAR_PARTS_H

/* A connection from the inside, for the files of this folder.
 *
 * `lock` guards all that is not constant.  The session's core is touched under it only.  What the
 * core has to tell is taken by one thread at a time, the one that set `pumping`, and acted on
 * without the lock; whoever finds it set leaves its frames to that thread.  So an event's
 * memory stays, events are acted on in order, and no foreign lock is taken under ours.
 *
 * Under the lock: the locks of timers, of the engine, and of a call, to cancel it.  Never: that of
 * another connection or of a future; so no reference is closed under it. */

#include <pthread.h>

#include "runtime/engine.h"
#include "runtime/far/connection.h"
#include "runtime/timer.h"

typedef struct afar__question afar__question;
typedef struct afar__served afar__served;
typedef struct afar__raw afar__raw;

struct afar__connection {
    atomic_uint refs;
    afar_node *node;
    afar__transport *transport;
    char *address;
    afar__find_fn find;
    void *find_arg;
    bool names_are_ours;
    void (*on_over)(void *arg, afar__connection *connection);
    void *over_arg;
    _Atomic(afar__connection *) twin; /* the other end, in this process; with a reference */

    pthread_mutex_t lock;
    pthread_cond_t idle; /* nobody pumps */
    afar__session *session;
    bool opened;         /* the peer's Hello is here */
    atomic_bool closing; /* no new calls; also read without the lock */
    bool over;           /* the session ended */
    bool shut;           /* the transport was told to close */
    bool gone;           /* the transport is over */
    bool settled;        /* and all that came of it was acted on */
    bool pumping;        /* a thread acts on events, or sends */
    bool again;          /* and has to look once more */
    bool writing;        /* a batch is on its way */
    bool corked;         /* `flush` will send */
    bool deferred;       /* `later` will send */
    bool forced;         /* it does */
    bool held;           /* nothing was asked for: too much waits to be sent */
    bool told;           /* its owner was, that it is over */
    bool brought;        /* the batch that is read brought calls */
    afar_error why;      /* it ended, or could not begin */

    afar__question *questions; /* all that were sent or wait to be */
    size_t asking;             /* so many */
    afar__question *waiting, **last_waiting;
    size_t unwatched;                      /* bytes of those that wait and that nobody waits for */
    afar__question *failed, **last_failed; /* could not be sent: to be told */
    afar__served *served;                  /* not answered yet */
    afar__served *kept;                    /* whose results are */
    size_t kept_count;
    size_t serving; /* calls of which something is left */
    afar__served *spare;
    unsigned spare_count;

    afar__raw *idlers, **last_idler; /* want to know when nothing is written */

    afar__timer timer;
    bool timed;       /* it is set, and has a reference */
    int64_t rings;    /* when */
    int64_t earliest; /* of the deadlines of all calls, or before */
    int64_t limit;    /* of closing in order */
    afar__task flush;
    afar__task later;
    afar__task asker;
    afar__waiters waiters; /* for `opened` and `told` */
};

/* Whoever has changed something under the lock: acts on what came of it, and sends.  Lets the
 * lock go in between; it is held again when this returns. */
void
afar__connection_pump_locked(afar__connection *connection);

/* Nothing is left of a call that was served: the last one may end the connection. */
void
afar__connection_served_locked(afar__connection *connection);

/* Looks at the deadlines at that time at the latest. */
void
afar__connection_watch_locked(afar__connection *connection, int64_t deadline);

/* Sends the questions that wait, as far as the peer takes them (question.c). */
void
afar__questions_send_locked(afar__connection *connection);

/* Ends those whose time is over, and returns the earliest deadline of the others. */
int64_t
afar__questions_expire_locked(afar__connection *connection, int64_t now);

/* The same for calls that are served. */
int64_t
afar__served_expire_locked(afar__connection *connection, int64_t now);

/* Tells those calls that last until somebody ends them that the connection closes in order.  Without the
 * lock. */
void
afar__served_raws_close(afar__connection *connection);

/* What the core tells of them; without the lock, by the thread that pumps. */
void
afar__question_event(afar__connection *connection, const afar__session_event *event);
void
afar__served_event(afar__connection *connection, const afar__session_event *event,
                   afar__served *served);

/* Before that, under the lock that the core told of it under.  The answer to a question came, which
 * so leaves the connection. */
void
afar__question_returned_locked(afar__connection *connection, afar__question *question);

/* The served call that an event is about, which stays until that was acted on, also if its handler
 * finishes meanwhile; that of a new call is made.  NULL if the event is about none, and for a
 * new call without memory. */
afar__served *
afar__served_hold_locked(afar__connection *connection, const afar__session_event *event);

/* Tells the questions that could not be sent.  The same. */
void
afar__questions_tell(afar__connection *connection, afar__question *failed);

/* The session is over: no result is kept any more.  Without the lock. */
void
afar__served_drop_kept(afar__connection *connection);

/* The connection goes: spare ones are freed. */
void
afar__served_clear(afar__connection *connection);

#endif
