#ifndef AFAR_RUNTIME_SESSION_SESSION_H
#define AFAR_RUNTIME_SESSION_SESSION_H

/* One side of a session, as idl/afar/session.proto has it: bytes in, events out; acts in, bytes
 * out.  No input or output, no thread, no clock and no callback: a session is a struct that its
 * owner drives under the owner's lock.  Not one function here waits or calls back, so nothing
 * can re-enter; what there is to tell stands in a queue that the owner empties:
 *
 *     lock
 *     afar__session_receive / _tick / _broken, or any act (_call, _return, ...)
 *     while (afar__session_next(session, &event))  act on it; acts are allowed here
 *     bytes = afar__session_take(...) if no write is in flight
 *     unlock
 *
 * A frame is read when `next` comes to it, so events are always about the session as it is now.
 * What an event points to lives until the next `next`; the bytes given to `receive` must live
 * until `next` has said false.
 *
 * Calls have handles.  A handle is never used twice in a session, and an act on one whose call
 * is over does nothing: acts that cross an answer are harmless, whoever is first.
 *
 * Who is told what:
 *   - a call of ours that `call` took: RETURNED, once, always (also when the session breaks);
 *   - a call of the peer: CALLED; then it must be given to `return` once, always (also when it
 *     was CANCELLED, also after OVER); FINISHED, once, if it was kept and the answer was OK;
 *   - an object of ours: RELEASED, each time when the peer has no reference left;
 *   - OVER, once, as the last event.
 *
 * A Cancel for a call that waits for a promised object is answered here, with not_begun.  Any other
 * was told to the owner before, who alone knows whether its handler has begun: the owner
 * hears CANCELLED and answers (with not_begun if it has not).
 *
 * Memory.  What a peer can make a session hold is bounded by our own limits:
 *
 *     calls * C + references * 24 + methods * (513 + 16)
 *     + session_bytes + the largest frame (message_bytes and 1 MiB), for calls that wait for
 *       promised objects
 *     + the lists of one event as it is read (4,096 references, 512 pairs)
 *     + the session itself, under 2 KiB: an idle one takes no more
 *
 * where C is what a call in the tables takes, under 300.  afar__session_most_bytes computes it;
 * afar__session_held_bytes says what is held now.  On top come what this side sends on its own
 * account (questions, exports, calls and items that wait for credit) and replies that were not
 * taken yet, at most `calls` of them: an owner that wants a bound for these stops reading
 * while afar__session_waiting_bytes is large.
 *
 * Out of memory: an act of ours fails with RESOURCE_EXHAUSTED and changed nothing; what the
 * peer sent and cannot be kept ends the session with LIMIT. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <afar/error.h>

typedef struct afar__session afar__session;

/* A call, of ours or of the peer; 0 is none. */
typedef uint64_t afar__session_id;

/* What a side can take: the message Limits.  0 is the protocol's value. */
typedef struct afar__session_limits {
    uint32_t calls;
    uint32_t references;
    uint32_t message_bytes;
    uint32_t window_bytes;
    uint32_t session_bytes;
    uint32_t methods;
    uint32_t idle_ms;
    uint32_t dead_ms;
} afar__session_limits;

/* Bytes or text that belong to someone else; text has no 0 byte at its end. */
typedef struct afar__session_span {
    const void *data;
    size_t length;
} afar__session_span;

typedef struct afar__session_pair {
    afar__session_span key, value;
} afar__session_pair;

typedef enum afar__session_reference_kind {
    AFAR__SESSION_OURS,   /* an object of this side: `object` */
    AFAR__SESSION_THEIRS, /* an object of the peer: `import` */
    AFAR__SESSION_THIRD   /* an object of a third process: the address and so on */
} afar__session_reference_kind;

/* A reference in a payload, sent or received.  OURS that is sent gives the peer one counted
 * reference; THEIRS that is received is one that must be given back with `release`.  Both may say
 * where a third process can open the object: then `address` is not empty. */
typedef struct afar__session_reference {
    afar__session_reference_kind kind;
    void *object;    /* the owner's pointer of an object, not NULL */
    uint32_t import; /* from 1 */
    afar__session_span interface;
    afar__session_span address, name, instance, key; /* of THIRD; of OURS sent, THEIRS received */
} afar__session_reference;

typedef enum afar__session_target_kind {
    AFAR__SESSION_OBJECT,   /* sent: `import`, one of the peer's; received: `object`, one of ours */
    AFAR__SESSION_PROMISED, /* in the result of `call`, at `path` */
    AFAR__SESSION_NAMED     /* what the receiver has under `name` */
} afar__session_target_kind;

typedef struct afar__session_target {
    afar__session_target_kind kind;
    void *object;
    uint32_t import;
    afar__session_id call; /* sent: a question with keep; received: an answer that was kept */
    const uint32_t *path;
    unsigned path_length; /* at most 16 */
    afar__session_span name;
} afar__session_target;

/* ---- life ---- */

typedef struct afar__session_options {
    afar__session_limits limits; /* what this side can take */
    uint8_t instance[16];
    uint8_t host[16];
    bool has_host;
    int64_t now; /* nanoseconds, of any clock that does not go back; as everywhere here */
} afar__session_options;

/* Begins a session; Hello is the first that `take` gives.  NULL if memory is out. */
afar__session *
afar__session_open(const afar__session_options *options);

/* Frees all.  Anything may be open: no event comes of it.  NULL is allowed. */
void
afar__session_free(afar__session *session);

/* Closes in order: no new calls in either direction; those that were begun are still answered.
 * OVER comes when none is left.  A second one does nothing. */
void
afar__session_close(afar__session *session);

/* The stream is gone, or is to be: all that is open ends now.  `text` says why. */
void
afar__session_broken(afar__session *session, const char *text);

/* ---- bytes and time ---- */

/* Gives a batch to read, all of it; what it leads to comes from `next`.  The last batch must
 * have been read: `next` has said false.  After OVER it is ignored. */
void
afar__session_receive(afar__session *session, const uint8_t *data, size_t length, int64_t now);

/* Looks at the clock: sends a ping, or finds that the peer is dead.  Returns when to be called
 * next at the latest; INT64_MAX after OVER.  Calling it earlier or later is harmless. */
int64_t
afar__session_tick(afar__session *session, int64_t now);

/* Whether `take` would give something. */
bool
afar__session_wants_write(const afar__session *session);

/* Gives the next batch to be written, at most 1 MiB unless one frame alone is larger.  Frames come
 * in the order of the acts that made them, but for those that wait for credit, which others
 * overtake; calls do not overtake calls, and nothing overtakes within one call.  False:
 * there is nothing.  `*ret_data` is from malloc and the caller's to free.  When memory is out
 * the session is over (the stream can only be closed), and false. */
bool
afar__session_take(afar__session *session, int64_t now, uint8_t **ret_data, size_t *ret_length);

/* Bytes of frames that were not taken yet. */
size_t
afar__session_waiting_bytes(const afar__session *session);

/* ---- calls of ours ---- */

typedef struct afar__session_request {
    void *user; /* comes with every event about this call */
    afar__session_target target;
    const char *method; /* "/package.Service/Method" */
    int64_t deadline;   /* INT64_MAX: none.  It is only passed on: keeping it is the owner's */
    const uint64_t *chain;
    unsigned chain_length; /* at most 16 */
    const afar__session_pair *metadata;
    size_t metadata_count;
    afar__session_span payload;
    const afar__session_reference *references;
    size_t reference_count;
    bool keep, oneway;
} afar__session_request;

/* Makes a call.  Everything is copied.  On failure nothing was sent and no event comes:
 * UNAVAILABLE before OPENED, while closing and after OVER; RESOURCE_EXHAUSTED at a limit of
 * the peer (named in the message) or without memory; INVALID_ARGUMENT for what no peer may be
 * sent (metadata over 8 KiB, a path over 512 bytes ...); NOT_FOUND for an import or a promise that
 * this session does not have. */
AFAR_MUST_USE afar_code
afar__session_call(afar__session *session, const afar__session_request *request,
                   afar__session_id *ret_call, afar_error *err);

/* Whether there is a place for one more call: the session is opened and does not close, and the
 * peer takes another.  Who queues calls asks again after each `take` and when `next` has said
 * false. */
bool
afar__session_can_call(const afar__session *session);

/* The answer is not wanted any more.  RETURNED comes all the same; at once, with CANCELLED and
 * NOT_SENT, if the call was not taken yet and no call to its result waits behind it. */
void
afar__session_cancel(afar__session *session, afar__session_id handle);

/* The kept result is not needed any more; once for each call with `keep` whose RETURNED had the
 * code 0.  Before RETURNED it cancels as well, unless calls were made to the result: those still
 * reach it, so its stream may go on. */
void
afar__session_finish(afar__session *session, afar__session_id handle);

/* ---- calls of the peer ---- */

/* Sets the pointer that comes with later events about a call. */
void
afar__session_set_user(afar__session *session, afar__session_id handle, void *user);

typedef struct afar__session_reply {
    afar_code code;
    afar__session_span text;    /* of a failure */
    afar__session_span details; /* google.rpc.Status */
    const afar__session_pair *initial, *trailing;
    size_t initial_count, trailing_count;
    afar__session_span payload;
    const afar__session_reference *references;
    size_t reference_count;
    bool not_begun;
} afar__session_reply;

/* Answers a call of the peer: once for each CALLED.  Everything is copied.  Items of it that wait
 * for credit go first, unless the call was cancelled: then they are dropped.  `initial` goes along
 * unless an item has it.
 * A reply that cannot be sent is replaced by a failure that says why, with the code that is
 * returned; the call is answered in any case. */
afar_code
afar__session_return(afar__session *session, afar__session_id handle,
                     const afar__session_reply *reply, afar_error *err);

/* ---- streams, of either side ---- */

typedef struct afar__session_message {
    afar__session_span payload;
    const afar__session_reference *references;
    size_t reference_count;
    const afar__session_pair *initial; /* of an answer: goes with its first item, else ignored */
    size_t initial_count;
} afar__session_message;

/* Sends a message on a call: from the caller until `end`, from the other side until `return`.  It
 * is copied and waits here for credit.  AFAR_CANCELLED: the call is over or was cancelled;
 * FAILED_PRECONDITION: after `end`; RESOURCE_EXHAUSTED and INVALID_ARGUMENT as with `call`. */
AFAR_MUST_USE afar_code
afar__session_item(afar__session *session, afar__session_id handle,
                   const afar__session_message *message, afar_error *err);

/* Whether an item of this call waits for credit.  If one does, WRITABLE comes when none does any
 * more; whoever sends much asks before each. */
bool
afar__session_stalled(const afar__session *session, afar__session_id handle);

/* No more items from us, the caller. */
void
afar__session_end(afar__session *session, afar__session_id handle);

/* The payload of a CALLED or an ITEM was taken by whoever it was for: gives `event.cost` of
 * credit back to the peer.  Once for each of these events, also when the call is over. */
void
afar__session_taken(afar__session *session, afar__session_id handle, uint32_t cost, bool item);

/* The same in two steps, for an ITEM that its owner keeps a while: `taken` without `item` gives the
 * session's credit back, so that only its own stream is held up; then this gives that of the stream.
 * The costs of several items may go together. */
void
afar__session_passed(afar__session *session, afar__session_id handle, uint32_t cost);

/* ---- references ---- */

/* Gives `count` of the references received for an import back.  Calls and references that
 * were sent before still arrive: the Release is behind them. */
void
afar__session_release(afar__session *session, uint32_t id, uint32_t count);

/* The owner's pointer for an import: NULL until it is set, and again when the last reference
 * was released. */
void *
afar__session_import_user(const afar__session *session, uint32_t id);

void
afar__session_set_import_user(afar__session *session, uint32_t id, void *user);

/* The object that was exported under an id; NULL if there is none. */
void *
afar__session_export_object(const afar__session *session, uint32_t id);

/* How many references the peer has to an object of ours. */
uint32_t
afar__session_exported(const afar__session *session, const void *object);

/* Whether RELEASED is still to come for an object of ours: also when the peer has no reference any
 * more, but that was not told yet. */
bool
afar__session_exports(const afar__session *session, const void *object);

/* ---- events ---- */

typedef enum afar__session_event_kind {
    AFAR__SESSION_OPENED,    /* the peer's Hello came: calls can be made */
    AFAR__SESSION_CALLED,    /* a call: call, target, method ... references, cost */
    AFAR__SESSION_ITEM,      /* a message on `call`: payload, references, metadata, cost */
    AFAR__SESSION_ENDED,     /* the caller sends no more on `call` */
    AFAR__SESSION_CANCELLED, /* the caller gave `call` up (or is gone): return it soon */
    AFAR__SESSION_FINISHED,  /* the kept result of `call` is not needed any more; the handle ends */
    AFAR__SESSION_RETURNED,  /* a call of ours: code, outcome, text ... references.  The handle ends
                                here, unless the call was kept and the code is 0 */
    AFAR__SESSION_WRITABLE,  /* `call` stalled, and does not any more */
    AFAR__SESSION_RELEASED,  /* the peer has no reference to `object` any more */
    AFAR__SESSION_CLOSING,   /* the peer closes in order: no new calls */
    AFAR__SESSION_OVER       /* the session ended: reason, text, remote.  The stream is to be closed
                                when all was taken and written */
} afar__session_event_kind;

/* Why a session ended: Goodbye's numbers, and one that no Goodbye has. */
typedef enum afar__session_reason {
    AFAR__SESSION_NONE = 0,
    AFAR__SESSION_PROTOCOL = 1,
    AFAR__SESSION_VERSION = 2,
    AFAR__SESSION_LIMIT = 3,
    AFAR__SESSION_SILENCE = 4,
    AFAR__SESSION_BROKEN = 100 /* the stream broke, or its owner said so */
} afar__session_reason;

typedef struct afar__session_event {
    afar__session_event_kind kind;
    afar__session_id call;
    void *user;    /* of the call: the request's, or what set_user set */
    bool ours;     /* ITEM, WRITABLE: `call` is one that we made */
    uint32_t cost; /* CALLED, ITEM: for `taken` */

    afar__session_target target; /* CALLED */
    void *target_user;           /* CALLED, PROMISED: the user pointer of target.call */
    afar__session_span method;   /* CALLED */
    int64_t deadline;            /* CALLED: by the owner's clock; INT64_MAX: none */
    const uint64_t *chain;       /* CALLED */
    unsigned chain_length;
    bool keep, oneway; /* CALLED, RETURNED: as the call had them */

    afar_code code; /* RETURNED; an unknown number is AFAR_UNKNOWN */
    afar_outcome outcome;
    bool remote;             /* RETURNED: the peer's answer; OVER: the peer said Goodbye */
    bool not_begun;          /* RETURNED */
    afar__session_span text; /* RETURNED, OVER */
    afar__session_span details;

    /* CALLED: metadata; ITEM: initial, with the first; RETURNED: initial, if there was no ITEM, and
     * trailing. */
    const afar__session_pair *metadata, *trailing;
    size_t metadata_count, trailing_count;

    afar__session_span payload; /* CALLED, ITEM, RETURNED */
    const afar__session_reference *references;
    size_t reference_count;

    void *object;                /* RELEASED */
    afar__session_reason reason; /* OVER, RELEASED: why the session ended, if it has */
} afar__session_event;

/* Reads on until there is something to tell; false when there is nothing. */
bool
afar__session_next(afar__session *session, afar__session_event *ret_event);

/* ---- looking ---- */

typedef struct afar__session_counts {
    size_t questions; /* calls of ours that have no answer, or whose result is kept */
    size_t answers;   /* calls of the peer, the same */
    size_t exports, imports;
    size_t exported; /* references that the peer has, all exports together */
    size_t held;     /* calls that wait for a promised object */
} afar__session_counts;

afar__session_counts
afar__session_count(const afar__session *session);

/* What the peer can take, after OPENED; zeros before. */
const afar__session_limits *
afar__session_peer_limits(const afar__session *session);

/* The peer's instance (16 bytes), after OPENED; and its host, NULL if it said none. */
const uint8_t *
afar__session_peer_instance(const afar__session *session);

const uint8_t *
afar__session_peer_host(const afar__session *session);

/* The most that a peer can make a session with these limits hold, and what is held now. */
size_t
afar__session_most_bytes(const afar__session_limits *limits);

size_t
afar__session_held_bytes(const afar__session *session);

#endif
