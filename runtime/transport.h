#ifndef AFAR_RUNTIME_TRANSPORT_H
#define AFAR_RUNTIME_TRANSPORT_H

/* What carries a session: batches of bytes, whole and in order, both ways.  A batch may be
 * empty.
 *
 * A transport embeds an afar__transport at its start.  Its user sets `user` and starts it;
 * from then on the transport tells the user what happens.  It tells one thing at a time, as
 * an event on the thread that polls: never from inside `start`, `send`, `receive` or `close`,
 * so these may be called with a lock that the user's functions take.  It holds no lock of its own
 * then, so all of these may be called from inside.
 *
 * Nobody hears more than was asked for: at most one `received` for each `receive`, one `sent`
 * for each `send`.  Who does not ask holds the peer up, and may hear that the peer has ended it,
 * in order or not, only after what came before that.
 *
 *     made -> started -> closing -> over
 *
 * Over is told once, and last; it comes in any case.  Each buffer that was given is freed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <afar/call.h>
#include <afar/error.h>

typedef struct afar__transport afar__transport;

typedef struct afar__transport_user {
    /* The batch that was asked for.  The bytes are the transport's, until this returns. */
    void (*received)(void *arg, const uint8_t *data, size_t length);
    /* What was sent last is on its way: the next one may be given. */
    void (*sent)(void *arg);
    /* Nothing more comes, and nothing can be sent.  `why` says how it ended: AFAR_OK when it
     * was closed in order, by either side; CANCELLED when this side aborted it; UNAVAILABLE when
     * the peer did, or the connection broke; UNIMPLEMENTED when the peer has no sessions. */
    void (*over)(void *arg, const afar_error *why);
} afar__transport_user;

typedef struct afar__transport_ops {
    /* Connects if need be, and makes it ready.  Called once. */
    void (*start)(afar__transport *transport);
    /* Asks for the next batch.  Not while that is asked for. */
    void (*receive)(afar__transport *transport);
    /* Sends a batch: `data` is from malloc, and the transport's from here on.  Not while another
     * one is on its way.  After the end it is dropped. */
    void (*send)(afar__transport *transport, uint8_t *data, size_t length);
    /* Ends it, in both directions; nothing is told after this but the end.  In order: what was
     * given to `send` still arrives, and then the peer is told that it is over; what the peer
     * sends meanwhile is dropped.  A peer that does not ask for more holds that up, so the
     * user gives it a limit.  At once (`abort`): whatever is under way is dropped.  May be called
     * more than once, after `start`. */
    void (*close)(afar__transport *transport, bool abort);
    /* From `over` on, or if it was never started. */
    void (*free)(afar__transport *transport);
} afar__transport_ops;

struct afar__transport {
    const afar__transport_ops *ops;
    const afar__transport_user *user;
    void *arg;
    /* Who is at the other end, as far as it is known; the text is the transport's. */
    afar_peer peer;
};

/* No batch is longer than this: with the longest payload of a node's limits and the rest of
 * a frame (idl/afar/session.proto). */
#define AFAR__TRANSPORT_MOST(message_bytes) ((size_t)(message_bytes) + ((size_t)2 << 20))

#endif
