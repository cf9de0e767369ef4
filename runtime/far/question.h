#ifndef AFAR_RUNTIME_FAR_QUESTION_H
#define AFAR_RUNTIME_FAR_QUESTION_H

/* A question: a call of ours over a connection, of whatever kind.  The future or stream that it is
 * for embeds it.
 *
 *     made -> waiting -> sent -> over
 *
 * It waits while the session is not open yet, or has as many calls as the peer allows.  `done`
 * says once how it ended: by the peer's answer, by the connection, or by its deadline.  What was
 * surely not done may then be asked again, of another connection. */

#include <protobuf-c/protobuf-c.h>

#include "runtime/call.h"
#include "runtime/far/far.h"
#include "runtime/far/packed.h"
#include "runtime/far/parts.h"
#include "runtime/far/sending.h"
#include "runtime/object.h"

typedef struct afar__question_ops {
    /* How it ended: the peer's answer (RETURNED), or, if that is NULL, `err`.  Any thread, no
     * lock held. */
    void (*done)(afar__question *question, const afar__session_event *answer,
                 const afar_error *err);
    /* A message of the stream came; or an item of ours does not wait for credit any more.  NULL for
     * calls without a stream. */
    void (*item)(afar__question *question, const afar__session_event *event);
    void (*writable)(afar__question *question);
    /* It was sent, so items may be. */
    void (*sent)(afar__question *question);
    /* It is cancelled, whether or not a connection has it.  May be NULL. */
    void (*cancel)(afar__question *question);
    /* Whoever must keep it does, and lets it go. */
    void (*ref)(afar__question *question);
    void (*unref)(afar__question *question);
} afar__question_ops;

typedef enum afar__question_state {
    AFAR__QUESTION_MADE,
    AFAR__QUESTION_WAITING,
    AFAR__QUESTION_SENT,
    AFAR__QUESTION_FAILED /* not sent; to be told */
} afar__question_state;

struct afar__question {
    const afar__question_ops *ops;
    const afar_method *method;
    afar_object *target; /* what it keeps alive, with a reference; or NULL */
    const char *name;    /* of whom it is for, as long as the question; NULL: the import */
    uint32_t import;
    int64_t deadline;
    afar__sending sending; /* what goes beside its message */
    afar__arena *arena;    /* of the metadata; NULL: none */
    afar__session_pair *metadata;
    size_t metadata_count;
    unsigned chain_length;
    bool oneway;
    bool expects; /* that process, and no other */
    uint8_t instance[16];
    afar_call *parent; /* it belongs to that; with a reference once it was adopted */
    bool adopted;
    afar__child child;
    afar__task cancel_task;
    atomic_bool cancelling; /* the task is queued, or has run */

    pthread_mutex_t lock; /* guards these; the connection's may be taken under it, not over it */
    afar__connection *connection; /* that has it, or had it last; with a reference */
    bool cancelled;

    atomic_bool ending; /* its answer comes soon: a client that closes waits for it */

    /* guarded by the lock of that connection */
    afar__question_state state;
    afar__session_id id;
    bool told;                                    /* done has run, or is about to */
    bool late;                                    /* it had when the answer came */
    afar__question *next, **link;                 /* of all */
    afar__question *next_waiting, **link_waiting; /* of those that wait, and of those that failed */

    /* what does not begin as zeros: the first two are not under a lock */
    afar__packed packed;
    uint64_t chain[AFAR__CHAIN];
    afar_error error;
};

/* Prepares a question: packs the message, takes the references, inherits from the current call.
 * The object is what the references are about to be told of in errors. */
afar_code
afar__question_init(afar__question *question, const afar__question_ops *ops, afar_node *node,
                    const afar__request *request, afar_error *err);

/* Frees what it holds, at the end of its life; also one that was never asked. */
void
afar__question_clear(afar__question *question);

/* To whom, if it is not a route's, and what it keeps alive. */
void
afar__question_to(afar__question *question, afar_object *keep, const afar__way *way);

/* It belongs to the current call from now on: ends with it.  Asking does that as well. */
void
afar__question_belongs(afar__question *question);

/* Sends it over a connection, now or when that is open.  `done` comes from there, perhaps from
 * inside this. */
void
afar__question_ask(afar__question *question, afar__connection *connection);

/* It is over for good: lets go of what was sent, and does not belong to a call any more. */
void
afar__question_end(afar__question *question);

/* The answer is not wanted any more; `done` still comes, if a connection has it. */
void
afar__question_cancel(afar__question *question);

void
afar__questions_cancel_locked(afar__connection *connection);

/* Fills the error of one that the peer answered with a failure; its code. */
afar_code
afar__question_error(const afar__question *question, const afar__session_event *answer,
                     afar_error *err);

#endif
