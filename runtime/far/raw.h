#ifndef AFAR_RUNTIME_FAR_RAW_H
#define AFAR_RUNTIME_FAR_RAW_H

/* Streams of bytes over connections, both ends, for what reads and writes its messages by itself
 * (channels): nobody waits in them, and nothing queues here.
 *
 * Callbacks run on the thread that pumps, or on one that is in a function of this file; one at a time for
 * each stream, never nested, and no lock is held.  So callbacks, of this stream and of others, may run
 * inside `open`, `serve`, `listen`, `send`, `finish` and `close`: whoever calls these holds no lock that its
 * callbacks take.  Credit for what came is given back when `came` has returned, unless it is held: who needs
 * a window has one of its own, or holds.  What is sent waits in the session's core while the peer gives no credit; see
 * `stalled`. */

#include "runtime/arena.h"
#include "runtime/call.h"
#include "runtime/far/packed.h"
#include "runtime/node.h"
#include "runtime/object.h"
#include "runtime/refs.h"

typedef struct afar__raw afar__raw;
typedef struct afar__raw_item afar__raw_item;
typedef struct afar__raw_kept afar__raw_kept;

typedef struct afar__raw_ops {
    /* A message came; the bytes live for the call. */
    void (*came)(void *arg, const uint8_t *data, size_t length, afar__raw_item *item);
    /* Served streams: the caller sends no more. */
    void (*ended)(void *arg);
    /* What waited has gone. */
    void (*writable)(void *arg);
    /* The batch that was being written when `afar__raw_idle` said false is written. */
    void (*idle)(void *arg);
    /* The last callback, once: code ENDED if a stream of ours was answered well; else how it failed. For
     * a served one: CANCELLED, or ENDED after afar__raw_finish. */
    void (*over)(void *arg, const afar_error *err);
    /* Served streams: the connection closes in order, and waits for the call to be answered.  NULL: it is
     * given up. */
    void (*closing)(void *arg);
} afar__raw_ops;

/* Starts a stream on an object elsewhere, whatever the way to it is.  `over` may come from inside this.
 * UNIMPLEMENTED if it can be reached by plain gRPC only.  The stream belongs to no call, has no deadline,
 * and keeps the object.  Until the session is there what is sent waits.
 * `ops` NULL: nobody listens yet.  What comes is kept, as far as there is credit for it, until afar__raw_listen; one that is closed
 * before has no `released`. */
AFAR_MUST_USE afar_code
afar__raw_open(afar_object *object, const afar_method *method, const afar__raw_ops *ops, void *arg,
               afar__raw **ret_raw, afar_error *err);

/* Somebody listens from now on: tells what came before. */
void
afar__raw_listen(afar__raw *raw, const afar__raw_ops *ops, void *arg);

/* Takes a call that is being served, from its handler, which returns OK then: the call is deferred.  What
 * came before is told from inside this or soon after it.  The object's host must take raw streams
 * (afar__host_take_raw).  UNIMPLEMENTED if the call did not come over a session; nothing has
 * changed then. */
AFAR_MUST_USE afar_code
afar__raw_serve(afar_call *call, const afar__raw_ops *ops, void *arg, afar__raw **ret_raw,
                afar_error *err);

/* Sends one message.  Never waits.  `list` has the references in it, in the order of their indexes, as
 * afar__packed_fill made them; or NULL.  It stays the caller's; objects in it may be exchanged for
 * relays to them.  CANCELLED when it is over. */
AFAR_MUST_USE afar_code
afar__raw_send(afar__raw *raw, const void *data, size_t length, afar__ref_list *list,
               afar_error *err);

/* Whether something that was sent waits, for credit or for the session.  If so, `writable` is called when
 * nothing does any more. */
bool
afar__raw_stalled(afar__raw *raw);

/* Whether the connection writes nothing now, so that what is sent goes at once.  If it says false, `idle` is
 * called when the batch was written: who gathers messages sends them then.  Until the session is there
 * it says false. */
bool
afar__raw_idle(afar__raw *raw);

/* Nothing more from us.  Ours: the other direction goes on; a served one is answered: with `err`, or with
 * OK if that is NULL. */
void
afar__raw_finish(afar__raw *raw, const afar_error *err);

/* Keeps its memory: `finish` and `send` do nothing with one that was closed meanwhile. */
afar__raw *
afar__raw_ref(afar__raw *raw);

void
afar__raw_unref(afar__raw *raw);

/* Ends it if it is not over (cancel; a served one fails with CANCELLED) and gives it up: no callback
 * begins after this, but one may be running on another thread, or around this: `released` (or NULL) is
 * called when none can run any more, perhaps from inside this. */
void
afar__raw_close(afar__raw *raw, void (*released)(void *arg));

/* The references that came with an item, for whoever reads its message later: in `came` only; the first
 * message gets them, for others there are none.  NULL in *ret_kept: there are none.  Those that are not kept
 * are given back. */
AFAR_MUST_USE afar_code
afar__raw_keep(afar__raw_item *item, afar__raw_kept **ret_kept, afar_error *err);

/* They become those of the message: afar__refs_accept.  Any thread, without locks; `kept`, which may be
 * NULL, is used up in any case. */
AFAR_MUST_USE afar_code
afar__raw_accept(afar__raw_kept *kept, const afar_refs *plan, ProtobufCMessage *message,
                 afar__arena *arena, afar_error *err);

/* Nobody wants them: they are given back.  Any thread, without locks; NULL is allowed. */
void
afar__raw_give_back(afar__raw_kept *kept);

/* The same for who does not read the message: adds their objects to a list, in their order: afar__refs_pass. */
AFAR_MUST_USE afar_code
afar__raw_pass(afar__raw_item *item, const afar__refs_known *known, afar__ref_list *list,
               afar_error *err);

/* In `came` only: the stream's credit for the item is not given back when that returns, but by
 * afar__raw_credit, together with that of others.  Returns how much it is.  So the sender is held up, and only on this
 * stream. */
uint32_t
afar__raw_hold(afar__raw_item *item);

void
afar__raw_credit(afar__raw *raw, uint32_t credit);

/* How messages in it may be read: the limits of the node that it came to. */
const afar_message_limits *
afar__raw_limits(const afar__raw_item *item);

#endif
