#ifndef AFAR_RUNTIME_TRANSPORT_H
#define AFAR_RUNTIME_TRANSPORT_H

/* What carries a session: batches of bytes, whole and in order, both ways.
 *
 * A transport embeds an afar__transport at its start.  Its user sets `user` and starts it;
 * from then on the transport tells the user what happens.  It tells one thing at a time, on
 * the thread that polls or on one that is in `start`, `send`, `receive` or `close`, and holds
 * no lock of its own then; so all of these may be called from inside.
 *
 * Nobody hears more than was asked for: one `received` for each `receive`, one `sent` for
 * each `send`.  Who does not ask holds the peer up.
 *
 *     made -> started -> closing -> over
 *
 * Over is told once, and last.  Before it every buffer that was given has been let go of. */

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
    /* Nothing more comes, and nothing can be sent.  `why` says how it ended: AFAR_OK when
     * both sides closed in order; UNIMPLEMENTED when the peer has no sessions. */
    void (*over)(void *arg, const afar_error *why);
} afar__transport_user;

typedef struct afar__transport_ops {
    /* Connects if need be, and makes it ready.  Called once. */
    void (*start)(afar__transport *transport);
    /* Asks for the next batch. */
    void (*receive)(afar__transport *transport);
    /* Sends a batch: `data` is from malloc, and the transport's from here on.  Not while another
     * one is on its way.  After the end it is dropped. */
    void (*send)(afar__transport *transport, uint8_t *data, size_t length);
    /* Ends it.  In order: what was given to `send` still goes out, and the peer is told; `over`
     * comes when the peer has closed as well, so the user gives that a limit.  At once
     * (`abort`): whatever is under way is dropped.  May be called more than once. */
    void (*close)(afar__transport *transport, bool abort);
    /* After `over`, or if it was never started. */
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
