#ifndef AFAR_RUNTIME_FAR_SERVED_H
#define AFAR_RUNTIME_FAR_SERVED_H

/* Calls of the peer, as the hosts of this process see them (call.h): served.c, and what streams
 * have beyond unary calls, served_stream.c. */

#include "runtime/call.h"
#include "runtime/far/parts.h"

/* A message of a stream that was read and waits to be received. */
typedef struct afar__served_item afar__served_item;
struct afar__served_item {
    afar__served_item *next;
    afar__arena *arena; /* has this, too */
    const ProtobufCMessage *message;
    uint32_t cost;
};

struct afar__served {
    afar_call base;
    afar__connection *connection; /* with a reference */
    afar__session_id id;
    afar_metadata metadata;
    bool keep;                         /* the peer may call what the result refers to */
    bool begun;                        /* its handler, which alone reads this */
    const afar__session_pair *initial; /* of its first message; the same */

    /* guarded by the connection's lock */
    uint32_t cost; /* to be given back when its handler begins */
    bool answered;
    bool ended; /* the caller sends no more */
    afar__served *next, **link;
    afar__served_item *items, **last_item;
    afar_error bad; /* an item could not be read */
    afar__waiters waiters;

    bool closes;       /* its raw stream was told that the connection closes */
    afar__raw *raw;    /* what comes goes there, until it is answered; with a reference; or NULL */
    afar__arena *item; /* of the message that was received last */
};

afar__served *
afar__served_of(afar_call *call);

/* Whether a call came over a session, so that it is one of these. */
bool
afar__is_served(const afar_call *call);

/* Its raw stream, with a reference; or NULL. */
afar__raw *
afar__served_raw(afar__served *served);

/* Pairs that came, in an arena. */
afar_code
afar__far_metadata(const afar__session_pair *pairs, size_t count, afar__arena *arena,
                   afar_metadata *ret_metadata);

/* Pairs that go, in an arena; they borrow the list's keys and values.  NULL without memory. */
afar__session_pair *
afar__far_pairs(const afar__metadata_list *list, afar__arena *arena);

/* What a promise stands for: the object at `path` in the kept result, with a reference; one of
 * this process. */
afar_code
afar__served_promised(afar__served *kept, const afar__session_target *target,
                      afar_object **ret_object, afar_error *err);

/* ---- streams ---- */

afar_code
afar__served_send(afar_call *call, const ProtobufCMessage *message, int64_t deadline,
                  afar_error *err);

afar_code
afar__served_receive(afar_call *call, int64_t deadline, const ProtobufCMessage **ret_message,
                     afar_error *err);

/* A message came. */
void
afar__served_item_came(afar__served *served, const afar__session_event *event);

void
afar__served_drop_items(afar__served *served);

#endif
