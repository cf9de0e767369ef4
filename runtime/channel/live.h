#ifndef AFAR_RUNTIME_CHANNEL_LIVE_H
#define AFAR_RUNTIME_CHANNEL_LIVE_H

/* Channels that live: the one board of this process under its lock, and what leads there.
 *
 *     live.c      the lock, the board's owner
 *     parcel.c    messages on their way through a channel
 *     bytes.c     the type of those that are bytes for their user
 *     wire.c      acts and words on their way to another process
 *     channel.c   channels whose home is here, and who is attached to them
 *     end.c       ends, here or elsewhere: made, closed, passed on
 *     exchange.c  what goes through one: send, receive, post
 *     attach.c    ends whose home is elsewhere: attaching to it
 *     field.c     ends in messages
 *     meet.c      where two threads meet without the lock
 *     look.c      how long a thread looks before it sleeps
 *     rest.c      a thread's wait for its select
 *     selector.c  afar_select and selectors
 *
 * One lock guards every channel of a process: what a select takes is taken under it, all at once.  It
 * is held for some tens of nanoseconds, and no other lock but those of waiters is taken under it.
 * What has to be done without it is noted and done by `unlock`: wires are flushed, threads woken.
 *
 * Lock order: a future's, then this one; never this one and a connection's. */

#include <stdatomic.h>

#include <afar/channel.h>

#include "runtime/channel/board.h"
#include "runtime/channel/code.h"
#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/far/packed.h"
#include "runtime/far/raw.h"
#include "runtime/misuse.h"
#include "runtime/far/relay.h"

#define AFAR__LINE 64 /* of memory, as processors exchange it */

/* ---- the board (live.c) ---- */

void
afar__channels_lock(void);

/* Does what became due under the lock, after letting it go. */
void
afar__channels_unlock(void);

/* The same for who holds other locks: wires are flushed by a library thread. */
void
afar__channels_unlock_later(void);

/* Lets it go, and leaves what is due to others: for who has added nothing. */
void
afar__channels_let_go(void);

/* Of this process; under the lock. */
afar__board *
afar__channels_board(void);

/* ---- messages (parcel.c) ---- */

/* The bytes, and beside them the references in it. */
struct afar__parcel {
    size_t length;
    afar__parcel *next;   /* of those that are to be freed */
    afar__ref_list *refs; /* what the numbers in it stand for, in their order; or NULL */
    afar__raw_kept *kept; /* the same, as it came; or NULL */
    const ProtobufCMessageDescriptor
        *packed;                /* here, by this; NULL: it came from another process */
    afar_message_limits limits; /* then: the node's that it came to */
    uint8_t data[];
};

AFAR_MUST_USE afar_code
afar__parcel_pack(const ProtobufCMessage *message, const afar_channel_type *type,
                  afar__parcel **ret_parcel, afar_error *err);

/* What came in an item; it is not looked at. */
AFAR_MUST_USE afar_code
afar__parcel_read(const uint8_t *data, size_t length, const afar_channel_type *type,
                  afar__raw_item *item, afar__parcel **ret_parcel, afar_error *err);

/* Takes the parcel in any case. */
AFAR_MUST_USE afar_code
afar__parcel_open(afar__parcel *parcel, const afar_channel_type *type,
                  ProtobufCMessage **ret_message, afar_error *err);

/* Not under the lock.  One that came and is to be sent on gets references of its own; NULL if that fails. */
AFAR_MUST_USE afar_code
afar__parcel_renumber(afar__parcel **parcel, const afar_channel_type *type, afar_error *err);

/* Not under the lock: it may close references. */
void
afar__parcel_free(afar__parcel *parcel);

/* Under the lock: freed there, or by `unlock`. */
void
afar__parcel_drop_locked(afar__parcel *parcel);

size_t
afar__parcel_bytes(const afar__parcel *parcel);

/* ---- to another process (wire.c) ---- */

/* What is written to a stream goes when the connection writes nothing else, all together.  Embedded by
 * who is attached; guarded by the lock of the channels. */
typedef struct afar__wire afar__wire;

typedef struct afar__wire_ops {
    /* Keep it alive. */
    void (*ref)(afar__wire *wire);
    void (*unref)(afar__wire *wire);
    /* The stream that was shut is gone: lets go of the reference that its callbacks had. */
    void (*released)(afar__wire *wire);
    /* A step with a message could not be sent, and nothing of it was.  True: it is now what is said
     * instead; a MESSAGE is one that cannot be read. */
    bool (*unsent_locked)(afar__wire *wire, afar__step *step, const afar_error *err);
    /* It could not be written, for want of memory or since the stream is over.  Without the lock. */
    void (*failed)(afar__wire *wire, const afar_error *err);
    /* More waits to be sent than should, or does not any more; or NULL. */
    void (*stall_locked)(afar__wire *wire, bool stalled);
    /* Something was written; or NULL. */
    void (*rest_locked)(afar__wire *wire);
} afar__wire_ops;

struct afar__wire {
    const afar__wire_ops *ops;
    const afar_channel_type *type;
    afar__raw *raw;  /* NULL: not yet, or not any more */
    afar__raw *shut; /* to be closed */
    struct afar__segment *first, *last, *spare, *dropped;
    bool due;      /* in the list of those to be flushed, with a reference */
    bool flushing; /* a thread does */
    bool again;    /* and has to look once more */
    bool waiting;  /* for the connection to have written */
    bool finish;   /* the stream ends well behind all that was written */
    bool finished; /* it was told so */
    bool sent;     /* something went into the stream */
    bool failed;   /* something could not be written: nothing more goes */
    bool told;     /* its owner was told that */
    bool stalled;
    size_t segments;
    afar__wire *next_due;
};

void
afar__wire_init(afar__wire *wire, const afar__wire_ops *ops, const afar_channel_type *type);

/* Nothing uses it any more. */
void
afar__wire_clear(afar__wire *wire);

/* The stream is there: what was written goes.  Its callbacks have a reference to the wire's owner until
 * afar__wire_shut. */
void
afar__wire_open_locked(afar__wire *wire, afar__raw *raw);

/* Drops what was not sent and closes the stream, if there is one; `released` is called when none of its
 * callbacks can run any more.  Another one may be opened then. */
void
afar__wire_shut_locked(afar__wire *wire);

/* Append; the parcel of a step is used up. */
void
afar__wire_hello_locked(afar__wire *wire);
void
afar__wire_welcome_locked(afar__wire *wire, bool buffered);
void
afar__wire_step_locked(afar__wire *wire, afar__step *step);

/* Ends the stream well once all is sent. */
void
afar__wire_finish_locked(afar__wire *wire);

/* Without the lock: does what there is to do; `listed`: it was taken out of the list. */
void
afar__wire_flush(afar__wire *wire, bool listed);

/* The connection has written (raw.h). */
void
afar__wire_idle(afar__wire *wire);

/* To be flushed by `unlock`. */
void
afar__channels_due_locked(afar__wire *wire);

/* To be freed by `unlock`. */
void
afar__channels_dead_locked(afar__parcel *parcel);

/* To be woken by `unlock`, if a thread sleeps on that. */
void
afar__channels_wake_locked(atomic_uint *sleeper);

/* ---- where two threads meet without the lock (meet.c) ---- */

/* Of each channel here; open while the board knows of nothing that waits there. */
typedef struct afar__meet {
    _Alignas(AFAR__LINE) _Atomic(uintptr_t) state;
    atomic_bool open;
} afar__meet;

void
afar__meet_init(afar__meet *meet);

/* True: the message has gone over.  False: nothing has happened, and the board has to be asked.  A thread that may
 * not wait outside of the core does not wait for another; `ret_waited`: this one has, as long as is worth it. */
bool
afar__meet_send(afar__meet *meet, afar__parcel *parcel, bool *ret_waited);
bool
afar__meet_receive(afar__meet *meet, afar__parcel **ret_parcel, bool *ret_waited);

/* Who waits there when it is closed comes to the board. */
void
afar__meet_open_locked(afar__meet *meet, bool open);

/* ---- channels of this process (channel.c) ---- */

typedef struct afar__channel afar__channel;

AFAR_MUST_USE afar_code
afar__channel_new(const afar_channel_type *type, unsigned capacity, afar__channel **ret_channel,
                  afar_error *err);

/* One end more, which keeps the channel until `unref`; one that counts less. */
void
afar__channel_enter_locked(afar__channel *channel, afar__direction direction);
void
afar__channel_leave(afar__channel *channel, afar__direction direction);
afar__channel *
afar__channel_ref(afar__channel *channel);
void
afar__channel_unref(afar__channel *channel);

afar__home *
afar__channel_home(afar__channel *channel);

afar__meet *
afar__channel_meet(afar__channel *channel);

const afar_channel_type *
afar__channel_type(const afar__channel *channel);

/* Whether processes elsewhere are attached to it, or to any channel of this process, so that what happens may
 * come from there. */
bool
afar__channel_is_visited_locked(const afar__channel *channel);
bool
afar__channels_are_visited_locked(void);

/* Its process keeps back an answer that a thread here has waited for long enough: its call fails.  Under
 * the lock, which it lets go. */
void
afar__channel_expel_unlock(afar__seat *seat);

/* The object that stands for its ends of that kind, with a reference, which counts as an end. */
AFAR_MUST_USE afar_code
afar__channel_object(afar__channel *channel, afar__direction direction, afar_object **ret_object,
                     afar_error *err);

/* An object that is an end by itself, with the only reference: those who attach through it have that end
 * together. */
AFAR_MUST_USE afar_code
afar__channel_lend(afar__channel *channel, afar__direction direction, const afar__loan *loan,
                   afar_object **ret_object, afar_error *err);

/* Who has it was lost, though nothing of it here tells; for an object that is no such end it does nothing. */
void
afar__channel_lose(afar_object *object);

/* The channel whose end that object is, if it is one of this process; with one end more. */
afar__channel *
afar__channel_of(afar_object *object, afar__direction *ret_direction);

/* ---- ends (end.c) ---- */

/* afar_sender and afar_receiver are this. */
typedef struct afar__end afar__end;
struct afar__end {
    /* The user's until it is closed, which is when nobody uses it; one of its stream. */
    atomic_uint refs;
    afar__direction direction;
    const afar_channel_type *type;
    afar__channel *channel; /* here; or NULL */
    afar__proxy *proxy;     /* of a home elsewhere */
    afar_object
        *object; /* that, until it is closed; or for a channel here, once it was asked for */

    /* guarded by the lock of the channels */
    afar__wire wire;
    bool attached;  /* a stream is there, or being opened */
    bool streaming; /* a stream is, or was and has not been released */
    bool postponed; /* attached, and that stream is still the one before */
    bool welcomed;
    bool shown;            /* the user has asked for `object` */
    atomic_bool finished;  /* nothing more is sent; these two are read without the lock, too */
    atomic_bool closed;    /* the user has let go */
    afar__waiters waiters; /* for room, for posts to be taken, and for its stream */
    afar__posts told;      /* of what the user has been told */
};

static inline afar__end *
afar__end_of_sender(const afar_sender *sender)
{
    return (afar__end *)sender;
}

static inline afar__end *
afar__end_of_receiver(const afar_receiver *receiver)
{
    return (afar__end *)receiver;
}

/* Attaches an end to its home, if it is not, or was lost; for a channel here it does nothing.  How that
 * goes is told to its guards. */
void
afar__end_attach(afar__end *end);

/* Attaches it, and waits until its home has let it in; what the channel has come to, if that is known then. */
AFAR_MUST_USE afar_code
afar__end_reach(afar__end *end, int64_t deadline, afar_error *err);

/* Has the end's wire know it. */
void
afar__end_bind(afar__end *end);

/* Its home keeps back an answer that a thread has waited for long enough: the end is lost. */
void
afar__end_give_up_locked(afar__end *end);

/* What the user gives; NULL is a mistake of the program's. */
static inline afar__end *
afar__end_given(void *end, const char *function)
{
    afar__need(end, function, "end");
    return end;
}

/* FAILED_PRECONDITION: nothing more can be done with it. */
afar_code
afar__end_has_finished(const afar__end *end, afar_error *err);

/* The user has let go: its stream ends when nothing of it is under way. */
void
afar__end_detach_locked(afar__end *end);

/* The object that a closed end does not need any more, to be closed without the lock; or NULL. */
afar_object *
afar__end_take_object_locked(afar__end *end);

/* The user has let go, and waits until the home knows that. */
void
afar__end_finish(afar__end *end, int64_t deadline);

/* Of an end that another process is given: an object that is lent to it, and a handle, which poisons the channel and
 * counts as no end.  For a home elsewhere the handle counts until it is let go of: then it poisons no more. */
AFAR_MUST_USE afar_code
afar__end_lend(afar__end *end, const afar__loan *loan, afar__end **ret_handle,
               afar_object **ret_object, afar_error *err);

/* As closing it, but it can be asked for things, which it refuses. */
void
afar__end_let_go(afar__end *end);

afar__end *
afar__end_ref(afar__end *end);
void
afar__end_unref(afar__end *end);

/* Sets up a guard on an end. */
void
afar__end_guard(const afar__end *end, afar__guard *guard);

/* ---- waiting (rest.c) ---- */

/* How long a thread whose deadline has passed waits for an answer that only a process elsewhere can give, before it
 * breaks off what holds it; and the deadline of a default case.  Tests make it shorter. */
#define AFAR__CHANNEL_PATIENCE (10 * AFAR__SECOND)
extern _Atomic int64_t afar__channel_patience;

static inline double
afar__channel_patience_seconds(void)
{
    return (double)afar__channel_patience / (double)AFAR__SECOND;
}

/* A thread and its select; best at the beginning of a line of memory. */
typedef struct afar__rest afar__rest;
struct afar__rest {
    atomic_uint state;
    bool in_core; /* this round: polls for what it waits for */
    bool looked;  /* it has looked for another already, as long as is worth it */
    afar__select select;
    afar__rest *next_done;
    const afar__channel *only; /* of a select with one case on a channel here; or NULL */
    bool elsewhere;            /* what happens may come from outside of this process's channels */
    bool settled;              /* its one offer is gone: nobody knows of it any more */
    char *text;                /* this round: of what it failed with, if that was kept */
    /* The message of a guard is needed, under the lock; NULL: it cannot be had. */
    afar__parcel *(*pack)(afar__guard *guard);
    /* It is not needed yet; NULL: then it is packed anew. */
    void (*unpack)(afar__guard *guard, afar__parcel *parcel);
    afar__waiters waiters;
    afar__waiter waiter;
};

/* What came of a round. */
typedef struct afar__happened {
    afar__guard *guard; /* NULL: nothing did in time, or by a poll */
    afar_code code;
    bool late; /* nothing did in time */
    afar__parcel *parcel;
} afar__happened;

/* After the public members but `select` were set. */
void
afar__rest_open(afar__rest *rest, afar__guard *guards, size_t count, bool by_priority);

/* Under the lock, which it lets go: a round.  What the case failed with is told in `ret_happened` and err;
 * a code other than OK is returned if no thread may wait here any more (afar__wait_refused). */
AFAR_MUST_USE afar_code
afar__rest_round_unlock(afar__rest *rest, bool poll, int64_t deadline, afar__happened *ret_happened,
                        afar_error *err);

void
afar__rest_close(afar__rest *rest);

/* Its round is done, and it failed with a text that may change. */
void
afar__rest_keep_text_locked(afar__rest *rest);

/* Tells the thread: nobody else looks at it from now on. */
void
afar__rest_done_locked(afar__rest *rest);

/* A round is done: its thread is told by whoever lets the lock go (live.c). */
void
afar__channels_done_locked(afar__rest *rest);

#endif
