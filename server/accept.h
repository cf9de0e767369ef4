#ifndef AFAR_SERVER_ACCEPT_H
#define AFAR_SERVER_ACCEPT_H

/* The accept loop in front of every port: it takes connections in, looks at their
 * first bytes, hands on those that speak HTTP/2, and counts them until they end.
 * One thread an acceptor.  Any thread may call, except that stop and close must
 * not be called from hand_on, and close must be the last call. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <afar/error.h>

#include "server/connections.h"
#include "server/listen.h"
#include "server/sniff.h"

typedef struct afar__acceptor afar__acceptor;

typedef struct afar__accept_options {
    unsigned max_connections; /* above 0; one more is closed at once */
    int64_t silent_ms;        /* what a connection gets to say what it speaks */

    /* Takes a connection that speaks `kind` (HTTP2: there is no other yet).  No byte
     * was consumed.  The descriptor is the callee's, who must end it by shutdown(2)
     * of both directions before close(2), as gRPC's core does: the acceptor keeps a
     * copy, which would hold the connection open, and which sees its end that way.
     * On the acceptor's thread, no lock held; must not block. */
    void (*hand_on)(void *arg, int fd, afar__sniff_kind kind);
    void *arg;
} afar__accept_options;

/* Makes an acceptor for `count` listeners, which stay the caller's and must stay
 * open until afar__acceptor_stop has returned; none is fine, see _adopt.  Nothing
 * is accepted before _start.  RESOURCE_EXHAUSTED: descriptors or memory. */
AFAR_MUST_USE afar_code
afar__acceptor_open(const afar__listener *listeners, size_t count,
                    const afar__accept_options *options, afar__acceptor **ret_acceptor,
                    afar_error *err);

/* Starts the thread; once. */
AFAR_MUST_USE afar_code
afar__acceptor_start(afar__acceptor *acceptor, afar_error *err);

/* Takes in a connected socket from elsewhere, which is then looked at, counted and
 * handed on like the others; its peer's address is "local".  The descriptor is the
 * acceptor's on success only.  RESOURCE_EXHAUSTED: one connection too many,
 * descriptors or memory.  FAILED_PRECONDITION: stopped. */
AFAR_MUST_USE afar_code
afar__acceptor_adopt(afar__acceptor *acceptor, int fd, afar_error *err);

/* Who is at the other end of the connection whose descriptor had this number when
 * it was handed on: right from before hand_on is called until the descriptor is
 * closed, also when the connection itself has ended by then.  A call of gRPC's core
 * keeps its connection's descriptor open, so whoever holds a call may ask.  False
 * if there was no such connection. */
bool
afar__acceptor_peer(afar__acceptor *acceptor, int fd, afar__peer_info *ret_peer);

/* The number of live connections: those that are waited on and those handed on. */
unsigned
afar__acceptor_connections(afar__acceptor *acceptor);

/* Ends every live connection, in both directions and at once; their owners see that
 * as they would see the peer go. */
void
afar__acceptor_shutdown_all(afar__acceptor *acceptor);

/* Stops accepting, and closes the connections that have not been handed on.  After
 * it returned hand_on is not called again.  Those handed on live, and are still
 * counted as they end. */
void
afar__acceptor_stop(afar__acceptor *acceptor);

/* Stops, ends the thread, and releases everything; the connections that were handed
 * on are their owners' alone.  NULL is allowed. */
void
afar__acceptor_close(afar__acceptor *acceptor);

#endif
