#ifndef AFAR_RUNTIME_SESSION_PARTS_H
#define AFAR_RUNTIME_SESSION_PARTS_H

/* What the files of the session's core share.
 *
 *   session.c   life, reading, the queue of events
 *   memory.c   limits, and what is held
 *   calls.c   questions and answers, as the owner acts on them
 *   answer.c   the same, as frames of the peer change them
 *   refs.c   exports and imports
 *   flow.c   credit, and the frames that wait
 *   take.c   the batches that are sent
 *   pack.c   making a frame that waits, from what the owner gives
 *   unpack.c   making an event from a frame
 *   methods.c   numbers of methods
 *
 * All of it runs under the owner's lock. */

#include "runtime/session/frame.h"
#include "runtime/session/session.h"

enum {
    AFAR__SESSION_VERSION_1 = 1,
    AFAR__SESSION_MAX_ID = (1 << 24) - 1, /* of a call, so that a handle has room for it */
    AFAR__SESSION_COST = 64,              /* of a Call or an Item, beside its length */
    AFAR__SESSION_MAX_UNKNOWN = 32,       /* that wait to be sent */
    AFAR__SESSION_TEXT = 160
};

/* ---- frames that wait to be sent ---- */

/* One piece of spare memory, with all that the frame points to behind it. */
typedef struct afar__waiting {
    struct afar__waiting *next;
    struct afar__call *call; /* whose it is, or NULL */
    uint64_t order;          /* among all that could be sent now */
    size_t size;             /* of the batch that has it, about: for waiting_bytes */
    size_t length;           /* of its message, as credit counts it; 0: not known yet */
    int64_t deadline;        /* of a Call */
    size_t memory;           /* of all of it */
    afar__frame frame;       /* a Call's target.promised.call and a `yours` count as uses */
} afar__waiting;

typedef struct afar__queue {
    afar__waiting *first, **last;
} afar__queue;

/* ---- calls ---- */

/* What the owner has still to be told of a call; told in this order. */
enum {
    AFAR__TELL_CALLED = 1,   /* its target is there */
    AFAR__TELL_RETURNED = 2, /* as `code` and `outcome` say, with the session's text */
    AFAR__TELL_CANCELLED = 4,
    AFAR__TELL_WRITABLE = 8,
    AFAR__TELL_FINISHED = 16
};

/* What `take` has still to send for a call, beside frames that wait. */
enum { AFAR__SEND_CREDIT = 1, AFAR__SEND_CANCEL = 2, AFAR__SEND_FINISH = 4 };

/* A question or an answer.  Made once for an id and used again with it. */
typedef struct afar__call {
    uint32_t id;
    bool ours;           /* a question */
    bool used;           /* else all below is stale, but for the generation */
    uint64_t generation; /* counts the uses of the id */
    void *user;
    bool keep, oneway;
    bool sent;      /* question: the Call was taken; answer: the Return was */
    bool returned;  /* question: the Return came; answer: the owner answered */
    bool cancelled; /* by the caller */
    bool finished;  /* by the caller: the result is not needed */
    bool ended;     /* by the caller: no more items */
    bool told;      /* answer: the owner knows it */
    bool begun;     /* an Item to the caller was sent (answer) or came (question) */
    uint8_t tell, send;
    bool in_tell, in_send; /* the lists below */
    struct afar__call *next_tell, *next_send;
    afar_code code; /* answer: of the Return; question: of a failure found here */
    afar_outcome outcome;
    uint64_t number; /* question: the how manieth Call that was sent */
    uint32_t uses;   /* question: calls to its result that were not sent */

    /* What we send. */
    afar__queue queue; /* Items, then End or Return */
    uint32_t waiting;  /* frames of the call, wherever they wait */
    size_t item_bytes; /* of the Items among them */
    int64_t credit;
    bool busy;    /* the Call, or an Item, is among the paid: what follows waits */
    bool stalled; /* the owner is to be told when all Items were sent */

    /* What we receive. */
    int64_t allowed; /* what the peer may still send */
    uint32_t owed;   /* taken, and not given back */

    /* An answer: the calls that wait for its result, in order, and how many of them the owner has
     * not been told of. */
    struct afar__call *first_held, *last_held, *next_held;
    uint32_t n_held;
    /* Of such a call: whom it waits for; its frames as a batch, from `held_at` on not told. */
    struct afar__call *waits_for;
    uint8_t *held;
    size_t held_length, held_at;
    int64_t held_deadline;
} afar__call;

/* Index id - 1; grows to `most`. */
typedef struct afar__calls {
    afar__call **slots;
    uint32_t capacity, made, most;
    uint32_t used;
    uint32_t *free_ids; /* questions only: a stack */
    uint32_t n_free, free_room;
} afar__calls;

/* ---- references ---- */

typedef struct afar__export {
    void *object;   /* NULL: the id is free */
    uint32_t count; /* references that the peer has */
    uint32_t pins;  /* references to it in calls that are held here */
    uint32_t next;  /* the next free id, or the next to be looked at; 0: none */
    bool listed;    /* it is to be looked at: its counts may have come to 0 */
} afar__export;

typedef struct afar__import {
    void *user;
    uint32_t count; /* told to the owner and not released */
    uint32_t owed;  /* released, and the peer does not know */
    uint32_t uses;  /* in frames that wait */
    uint32_t next;  /* the next one with `owed`; 0: none, or not in the list */
} afar__import;

typedef struct afar__refs {
    afar__export *exports; /* index id - 1 */
    uint32_t export_capacity, export_made, export_used;
    uint32_t export_free, export_look;
    uint32_t *by_object;         /* open hash: ids, 0 is empty */
    uint32_t by_object_capacity; /* a power of 2, or 0 */
    size_t exported;

    afar__import *imports; /* index id - 1 */
    uint32_t import_capacity, import_used;
    uint32_t owing; /* first of the list */
} afar__refs;

/* ---- methods ---- */

typedef struct afar__method_name {
    char *path;
    uint32_t length;
    uint32_t hash;
} afar__method_name;

typedef struct afar__methods {
    afar__method_name *theirs; /* index number - 1 */
    uint32_t n_theirs, their_capacity;
    afar__method_name *ours;
    uint32_t n_ours, our_capacity;
    uint32_t *by_path; /* open hash over `ours`: numbers, 0 is empty */
    uint32_t by_path_capacity;
    uint32_t last; /* the number that was asked for last, or 0 */
} afar__methods;

/* ---- a session ---- */

struct afar__session {
    afar__session_limits limits, peer;
    uint8_t instance[16], host[16], peer_instance[16], peer_host[16];
    bool has_host, peer_has_host;
    int64_t now, heard, pinged;

    bool opened; /* the peer's Hello came */
    bool hello_sent;
    bool closing; /* a Goodbye with NONE, from either side */
    bool goodbye_due, goodbye_sent;
    bool over, over_told;
    bool over_remote;
    bool ping_open, ping_due, pong_due;
    uint64_t ping, pong;
    afar__session_reason reason;
    char text[AFAR__SESSION_TEXT];
    uint64_t calls_read, calls_sent;
    uint64_t last_call; /* the peer's Goodbye: UINT64_MAX while there is none */

    afar__calls questions, answers;
    uint32_t open_questions, open_answers; /* that have no answer; none that was sent */
    uint32_t held;
    afar__refs refs;
    afar__methods methods;

    afar__call *first_tell, *last_tell;
    afar__call *first_send, *last_send;
    uint32_t over_export; /* how far the exports have been told of the end */

    afar__queue free_of_charge; /* frames that can be sent */
    afar__queue paid;           /* those that need credit of the session */
    uint64_t order;
    size_t waiting_bytes;
    int64_t credit, allowed;
    uint32_t owed;
    uint32_t unknown[AFAR__SESSION_MAX_UNKNOWN];
    uint32_t n_unknown;

    afar__frame_reader reader;
    afar__frame frame;
    uint8_t *told; /* what the last event pointed to: freed by the next `next` */
    size_t told_length;
    void *lists; /* of the last event: pairs and references; the same */
    size_t lists_length;
    size_t held_bytes;
};

/* ---- session.c ---- */

/* Ends the session, if it has not ended: the peer broke a rule.  Returns false, so that
 * whoever reads a frame can `return afar__session_fault(...)`. */
AFAR_PRINTF(2, 3)
bool
afar__session_fault(afar__session *session, const char *format, ...);

/* The same, for memory that is out. */
bool
afar__session_exhausted(afar__session *session);

/* Notes what is to be told, and what is to be sent, of a call. */
void
afar__session_tell(afar__session *session, afar__call *call, unsigned what);

void
afar__session_send(afar__session *session, afar__call *call, unsigned what);

/* Ends a session that closes in order when nothing is left. */
void
afar__session_settle(afar__session *session);

/* ---- memory.c ---- */

/* With the protocol's values for what is 0; no larger than the tables can be. */
afar__session_limits
afar__limits_complete(const afar__session_limits *limits);

/* malloc and free of what a peer makes us hold. */
void *
afar__session_alloc(afar__session *session, size_t size);

void
afar__session_drop(afar__session *session, void *data, size_t size);

/* Grows an array to hold `need` elements, at most `most`, which is at least `need`; new
 * ones are zeroes.  `counted`: a peer makes us hold it. */
bool
afar__session_grow(afar__session *session, void *array, uint32_t *capacity, uint32_t need,
                   uint32_t most, size_t element, bool counted);

/* ---- calls.c ---- */

afar__session_id
afar__call_handle(const afar__call *call);

/* NULL if it is over. */
afar__call *
afar__call_of(const afar__session *session, afar__session_id handle);

/* The call in use with that id, or NULL. */
afar__call *
afar__calls_find(const afar__calls *calls, uint32_t id);

/* Takes an id into use; NULL without memory. */
afar__call *
afar__calls_use(afar__session *session, afar__calls *calls, uint32_t id);

/* Frees the id if nothing is left to do with it. */
void
afar__call_settle(afar__session *session, afar__call *call);

/* Ends a question here: RETURNED is told. */
void
afar__question_fail(afar__session *session, afar__call *call, afar_code code, afar_outcome outcome);

/* Ends the questions that will have no answer: those that the peer will not read, or all. */
void
afar__questions_fail(afar__session *session, bool all);

void
afar__answers_end(afar__session *session);

void
afar__calls_clear(afar__session *session, afar__calls *calls);

/* Answers a call that the owner does not know: it has not begun. */
void
afar__answer_refuse(afar__session *session, afar__call *call, afar_code code, const char *text);

/* The caller gives a call up. */
void
afar__answer_cancel(afar__session *session, afar__call *call);

/* ---- answer.c ----
 *
 * What a frame does, the session's `frame`.  True: `event` is filled and to be told.  A broken
 * rule ends the session. */

bool
afar__read_call(afar__session *session, afar__session_event *event);

bool
afar__read_return(afar__session *session, afar__session_event *event);

bool
afar__read_item(afar__session *session, afar__session_event *event);

bool
afar__read_end(afar__session *session, uint32_t id, afar__session_event *event);

void
afar__read_cancel(afar__session *session, uint32_t id);

void
afar__read_finish(afar__session *session, uint32_t id);

/* What the result of an answer lets happen: calls that were held go on or fail. */
void
afar__answer_resolved(afar__session *session, afar__call *promiser);

/* Tells the next of what was held of a call; asks to be called again if there is more. */
bool
afar__held_tell(afar__session *session, afar__call *call, afar__session_event *event);

/* Forgets what is held of a call, and gives back what came with it. */
void
afar__held_drop(afar__session *session, afar__call *call);

/* ---- refs.c ---- */

/* One more reference for the peer. */
AFAR_MUST_USE afar_code
afar__export_give(afar__session *session, void *object, uint32_t *ret_id, afar_error *err);

/* The last `give` was for nothing: as if it had not been. */
void
afar__export_undo(afar__session *session, uint32_t id);

/* One that was not sent after all. */
void
afar__export_take_back(afar__session *session, uint32_t id);

/* The object with that id, or NULL.  One that was just released has it until that is told. */
void *
afar__export_object(const afar__session *session, uint32_t id);

bool
afar__export_known(const afar__session *session, uint32_t id);

void
afar__export_pin(afar__session *session, uint32_t id, bool pin);

/* The next object that the peer has no reference to any more, or NULL. */
void *
afar__export_next_released(afar__session *session);

void
afar__read_release(afar__session *session, const afar__frame_release *release);

/* Whether the owner has a reference to it. */
bool
afar__import_known(const afar__session *session, uint32_t id);

void
afar__import_use(afar__session *session, uint32_t id, bool use);

/* Counts what a frame gives, and checks what comes home; `held`: it waits here. */
bool
afar__refs_receive(afar__session *session, const afar__list *references, bool held);

/* What was held is told: it is counted now, and not pinned any more. */
bool
afar__refs_told(afar__session *session, const afar__list *references);

/* Gives back what a frame gave that nobody gets. */
void
afar__refs_ignore(afar__session *session, const afar__list *references, bool held);

/* Adds the Releases that can be sent; false without memory. */
bool
afar__refs_take(afar__session *session, afar__batch *batch);

bool
afar__refs_owe(const afar__session *session);

void
afar__refs_clear(afar__session *session);

/* ---- flow.c ---- */

void
afar__queue_init(afar__queue *queue);

void
afar__queue_push(afar__queue *queue, afar__waiting *waiting);

afar__waiting *
afar__queue_pop(afar__queue *queue);

/* Lets a frame go that needs no credit, or the session's. */
void
afar__flow_push(afar__session *session, afar__waiting *waiting);

/* Lets go what can go of a call. */
void
afar__flow_advance(afar__session *session, afar__call *call);

/* It waits no more: it is taken off what is counted. */
void
afar__flow_forget(afar__session *session, afar__waiting *waiting);

/* Puts one behind what waits in its call. */
void
afar__flow_append(afar__session *session, afar__call *call, afar__waiting *waiting);

/* Forgets what waits in a call, and frees it. */
void
afar__flow_drop(afar__session *session, afar__call *call);

/* The same for all frames of the session. */
void
afar__flow_clear(afar__session *session);

/* Frees a frame; `sent`: its references went out with it. */
void
afar__waiting_free(afar__session *session, afar__waiting *waiting, bool sent);

/* The credit of an Item or Call that came: false if there was none. */
bool
afar__flow_charge(afar__session *session, afar__call *call, uint32_t cost);

void
afar__flow_give_back(afar__session *session, afar__call *call, uint32_t cost);

void
afar__read_credit(afar__session *session, const afar__frame_credit *credit);

/* ---- pack.c ---- */

/* A frame of `kind` without anything that is to be copied. */
afar__waiting *
afar__pack_plain(afar__call *call, afar__frame_kind kind);

AFAR_MUST_USE afar_code
afar__pack_call(afar__session *session, const afar__session_request *request, uint32_t id,
                afar__waiting **ret_waiting, afar_error *err);

AFAR_MUST_USE afar_code
afar__pack_return(afar__session *session, const afar__session_reply *reply, afar__call *call,
                  afar__waiting **ret_waiting, afar_error *err);

AFAR_MUST_USE afar_code
afar__pack_item(afar__session *session, afar__call *call, const afar__session_message *message,
                afar__waiting **ret_waiting, afar_error *err);

/* ---- unpack.c: false without memory ---- */

bool
afar__unpack(afar__session *session, const afar__list *first, const afar__list *second,
             const afar__list *references, afar__session_event *event);

void
afar__unpack_done(afar__session *session);

/* ---- methods.c ---- */

void
afar__read_method(afar__session *session, const afar__frame_method *method);

afar__session_span
afar__method_path(const afar__session *session, uint32_t number);

/* The number of a path; a new one is sent before whatever comes next. */
AFAR_MUST_USE afar_code
afar__method_number(afar__session *session, const char *path, uint32_t *ret_number,
                    afar_error *err);

void
afar__methods_clear(afar__session *session);

#endif
