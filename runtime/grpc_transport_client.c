/* The end of a transport that opened it: an outgoing call on a link.
 *
 * It is in the link's list from its start until its user was told that it is over, so
 * shutting the link ends it, and waits for that.
 *
 * The initial metadata travels with the first batch.  A user who means to send one does so at
 * once, so an event is posted at the start: if nothing was sent by then, it goes alone. */

#include <stdlib.h>
#include <string.h>

#include "runtime/engine.h"
#include "runtime/grpc_link.h"
#include "runtime/grpc_outgoing.h"
#include "runtime/grpc_transport.h"
#include "runtime/node.h"

struct outbound {
    afar__carrier carrier;
    afar__outgoing out;
    afar__tag open_tag, initial_tag;
};

static const afar_method open_method = { .name = "Open",
                                         .path = AFAR__SESSION_PATH,
                                         .kind = AFAR_BIDI_STREAM };

static struct outbound *
outbound_of(afar__carrier *carrier)
{
    return (struct outbound *)carrier;
}

static void
open_sent(afar__tag *tag, bool ok)
{
    struct outbound *outbound =
        (struct outbound *)((char *)tag - offsetof(struct outbound, open_tag));

    (void)ok;
    afar__carrier_settle(&outbound->carrier);
}

static void
open_alone(afar__tag *tag, bool ok)
{
    struct outbound *outbound =
        (struct outbound *)((char *)tag - offsetof(struct outbound, open_tag));
    afar__carrier *carrier = &outbound->carrier;

    (void)ok;
    tag->done = open_sent;
    pthread_mutex_lock(&carrier->lock);
    afar__carrier_open_locked(carrier, tag);
    pthread_mutex_unlock(&carrier->lock);
    afar__carrier_settle(carrier);
}

static void
initial_came(afar__tag *tag, bool ok)
{
    struct outbound *outbound =
        (struct outbound *)((char *)tag - offsetof(struct outbound, initial_tag));

    (void)ok;
    afar__carrier_settle(&outbound->carrier);
}

static void
start_locked(afar__carrier *carrier)
{
    struct outbound *outbound = outbound_of(carrier);
    grpc_op op;

    if (afar__link_call(outbound->out.link, &outbound->out, &carrier->why)) {
        afar__core_post(&carrier->end_tag, false);
        return;
    }
    carrier->call = outbound->out.call;
    op = afar__outgoing_receive_status(&outbound->out);
    afar__grpc_start(carrier->call, &op, 1, &carrier->end_tag);
    op = afar__outgoing_receive_metadata(&outbound->out);
    afar__carrier_batch_locked(carrier, &op, 1, &outbound->initial_tag);
    carrier->under_way++;
    afar__core_post(&outbound->open_tag, true);
}

static grpc_op
last_op(afar__carrier *carrier)
{
    grpc_op op;

    (void)carrier;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    return op;
}

/* Its status comes by itself. */
static void
drained_locked(afar__carrier *carrier)
{
    (void)carrier;
}

/* The core tells of a stream that the peer gave up with a code that means us; and with the
 * same one when the link was shut. */
static void
result(afar__carrier *carrier, afar_error *ret_why)
{
    afar__outgoing *out = &outbound_of(carrier)->out;

    if (afar__outgoing_result(out, ret_why) != AFAR_CANCELLED)
        return;
    if (afar__link_is_shut(out->link))
        afar__outgoing_fail(out, ret_why, AFAR_CANCELLED, AFAR_OUTCOME_UNKNOWN,
                            "the client was closed");
    else
        afar__outgoing_fail(out, ret_why, AFAR_UNAVAILABLE, AFAR_OUTCOME_UNKNOWN,
                            "the peer gave the session up");
}

static void
leave(afar__carrier *carrier)
{
    afar__outgoing_ended(&outbound_of(carrier)->out);
    afar__engine_background_end();
}

static void
free_outbound(afar__carrier *carrier)
{
    struct outbound *outbound = outbound_of(carrier);

    afar__carrier_clear(carrier);
    if (outbound->out.call)
        afar__outgoing_close(&outbound->out);
    else
        afar__link_unref(outbound->out.link);
    free(outbound);
}

static const afar__carrier_side side = { start_locked, last_op, drained_locked,
                                         result,       leave,   free_outbound };

afar_code
afar__link_transport(afar__link *link, afar__transport **ret_transport, afar_error *err)
{
    const afar_message_limits *limits = &afar__link_node(link)->limits;
    struct outbound *outbound = calloc(1, sizeof *outbound);
    afar_code code;

    if (!outbound)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a session",
                         afar__link_address(link));
    code = afar__engine_background(err);
    if (code) {
        free(outbound);
        return code;
    }
    afar__carrier_init(&outbound->carrier, &side, AFAR__TRANSPORT_MOST(limits->max_bytes));
    outbound->carrier.base.peer.address = afar__link_address(link);
    outbound->out.link = afar__link_ref(link);
    outbound->out.method = &open_method;
    outbound->out.deadline = AFAR_FOREVER.ns;
    outbound->out.text = grpc_empty_slice();
    grpc_metadata_array_init(&outbound->out.initial);
    grpc_metadata_array_init(&outbound->out.trailing);
    outbound->open_tag.done = open_alone;
    outbound->initial_tag.done = initial_came;
    *ret_transport = &outbound->carrier.base;
    return AFAR_OK;
}
