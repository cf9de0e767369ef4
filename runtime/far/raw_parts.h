#ifndef AFAR_RUNTIME_FAR_RAW_PARTS_H
#define AFAR_RUNTIME_FAR_RAW_PARTS_H

/* Raw streams from the inside: what those of both sides have in common (raw.c), the ones that are ours
 * (raw_open.c) and the ones that are served (raw_serve.c). */

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/far/packed.h"
#include "runtime/far/parts.h"
#include "runtime/far/raw.h"
#include "runtime/far/served.h"

/* A message that came: the event lives as long. */
struct afar__raw_item {
    afar__connection *connection;
    const afar__session_event *event;
    bool accepted; /* its references are somebody's */
    bool held;     /* the stream's credit for it is given back later */
};

/* What is still to be told. */
enum {
    AFAR__RAW_ENDED = 1,
    AFAR__RAW_WRITABLE = 2,
    AFAR__RAW_IDLE = 4,
    AFAR__RAW_CLOSING = 8,
    AFAR__RAW_OVER = 16
};

typedef struct afar__raw_side {
    /* It has no connection yet: what is sent waits.  NULL if there always is one. */
    afar_code (*queue_locked)(afar__raw *raw, const void *data, size_t length,
                              const afar__ref_list *list, afar_error *err);
    void (*finish)(afar__raw *raw, const afar_error *err);
    /* It is not over and nobody wants it any more. */
    void (*cancel)(afar__raw *raw);
    void (*free)(afar__raw *raw);
} afar__raw_side;

struct afar__raw {
    const afar__raw_side *side;
    const afar__raw_ops *ops;
    void *arg;
    atomic_uint refs;
    const afar_node *node;

    pthread_mutex_t lock;         /* guards these; none is taken under it */
    afar__connection *connection; /* what is sent goes there; with a reference; NULL: not yet */
    afar__connection *source; /* what came is from there, which the side keeps; NULL: nothing did */
    afar__session_id id;
    bool telling;    /* a callback runs, or nobody listens yet */
    bool closed;     /* no callback begins any more */
    bool over;       /* all that comes after this is nobody's */
    bool wants_idle; /* while there is no connection */
    bool queued;     /* something is sent when there is one */
    unsigned due;
    struct afar__raw_kept *kept, **last_kept; /* items that came while it was telling */
    afar_error why;                           /* of OVER */
    void (*released)(void *arg);

    /* guarded by the connection's lock */
    bool listed;
    afar__raw *next_idler;
};

void
afar__raw_init(afar__raw *raw, const afar__raw_side *side, const afar_node *node);

/* Undoes it, when no reference is left. */
void
afar__raw_clear(afar__raw *raw);

/* ---- telling: whoever does has a reference, and no lock ---- */

/* An item came, on the thread that pumps. */
void
afar__raw_item_came(afar__raw *raw, afar__connection *connection, const afar__session_event *event);

/* Tells what is due besides, now or after what is told now. */
void
afar__raw_tell(afar__raw *raw, unsigned due);

/* The last one; those that follow are ignored. */
void
afar__raw_tell_over(afar__raw *raw, const afar_error *why);

/* ---- sending ---- */

/* Over that connection, which is its own or is about to be. */
afar_code
afar__raw_send_on(afar__raw *raw, afar__connection *connection, afar__session_id id,
                  const void *data, size_t length, afar__ref_list *list, afar_error *err);

/* Under the connection's lock: it is told when nothing is written any more. */
void
afar__raw_enlist_locked(afar__raw *raw, afar__connection *connection);

/* Who pumps: tells those, if nothing is written.  Lets the lock go in between. */
void
afar__raws_idle_locked(afar__connection *connection);

/* ---- served ones ---- */

/* A call came whose messages are not to be read: keeps what comes until it is served. */
AFAR_MUST_USE afar_code
afar__raw_expect(afar__served *served, afar_error *err);

/* Something came on a call.  False: it has no raw stream. */
bool
afar__raw_event(afar__served *served, const afar__session_event *event);

/* It was answered. */
void
afar__raw_answered(afar__served *served);

#endif
