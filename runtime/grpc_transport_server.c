/* The end of a transport that it was opened to: a call that came in through a port.
 *
 * The port counts it until its user was told that it is over, or has freed it without
 * having started it; stopping the port cancels its call in the end. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fail.h"
#include "runtime/grpc_transport.h"
#include "runtime/node.h"

struct inbound {
    afar__carrier carrier;
    afar__port *port; /* until it has left that */
    int cancelled;    /* the core's answer to RECV_CLOSE */
    char address[128];
};

static struct inbound *
inbound_of(afar__carrier *carrier)
{
    return (struct inbound *)carrier;
}

static void
start_locked(afar__carrier *carrier)
{
    grpc_op op;

    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &inbound_of(carrier)->cancelled;
    afar__grpc_start(carrier->call, &op, 1, &carrier->end_tag);
}

static grpc_op
last_op(afar__carrier *carrier)
{
    grpc_op op;

    (void)carrier;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    op.data.send_status_from_server.status = GRPC_STATUS_OK;
    return op;
}

/* The client waits for our status now. */
static void
drained_locked(afar__carrier *carrier)
{
    afar__carrier_close_locked(carrier);
}

static void
result(afar__carrier *carrier, afar_error *ret_why)
{
    if (!carrier->finished || inbound_of(carrier)->cancelled)
        afar__fail_outcome(ret_why, AFAR_UNAVAILABLE, AFAR_OUTCOME_UNKNOWN, false,
                           "the connection broke, or the peer gave the session up");
}

/* A call whose end was not asked for is cancelled by this. */
static void
leave(afar__carrier *carrier)
{
    struct inbound *inbound = inbound_of(carrier);
    afar__port *port = inbound->port;
    grpc_call *call;

    pthread_mutex_lock(&carrier->lock);
    call = carrier->call;
    carrier->call = NULL;
    pthread_mutex_unlock(&carrier->lock);
    grpc_call_unref(call);
    afar__port_leave(port);
}

static void
free_inbound(afar__carrier *carrier)
{
    afar__carrier_clear(carrier);
    free(inbound_of(carrier));
}

static const afar__carrier_side side = { start_locked, last_op, drained_locked,
                                         result,       leave,   free_inbound };

bool
afar__carrier_accept(afar__port *port, grpc_call *call)
{
    const afar__port_options *options = &port->options;
    struct inbound *inbound = calloc(1, sizeof *inbound);
    afar_peer *peer;

    if (!inbound)
        return false;
    afar__carrier_init(&inbound->carrier, &side,
                       AFAR__TRANSPORT_MOST(port->node->limits.max_bytes));
    peer = &inbound->carrier.base.peer;
    *peer = afar__port_peer(port, call);
    snprintf(inbound->address, sizeof inbound->address, "%s", peer->address);
    peer->address = inbound->address;
    inbound->carrier.call = call;
    inbound->port = port;
    afar__port_enter(port);
    options->session(options->session_arg, &inbound->carrier.base);
    return true;
}
