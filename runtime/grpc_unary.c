/* Unary calls from the calling side: a future over one batch of the core.
 *
 * The batch holds the whole call, so there is one event: the answer.  It is noted
 * by whoever polls; the reply is decoded by the thread that takes it. */

#include <stdlib.h>
#include <string.h>

#include "runtime/abroad.h"
#include "runtime/fail.h"
#include "runtime/future.h"
#include "runtime/grpc_outgoing.h"
#include "runtime/node.h"

struct unary {
    afar_future future;
    afar__tag tag;
    afar__outgoing out;
    grpc_byte_buffer request;
    grpc_byte_buffer *reply;
};

static struct unary *
unary_of(afar_future *future)
{
    return (struct unary *)future;
}

static void
answered(afar__tag *tag, bool ok)
{
    struct unary *unary = (struct unary *)((char *)tag - offsetof(struct unary, tag));

    /* Without a status (the batch was refused) the call failed here. */
    if (!ok && unary->out.status == GRPC_STATUS_OK)
        unary->out.status = GRPC_STATUS_INTERNAL;
    afar__outgoing_ended(&unary->out);
    afar__future_fulfil(&unary->future);
}

static afar_code
take(afar_future *future, ProtobufCMessage **ret_reply, afar_error *err)
{
    struct unary *unary = unary_of(future);
    afar_code code = afar__outgoing_result(&unary->out, err);
    size_t most = afar__link_node(unary->out.link)->limits.max_bytes;
    grpc_slice bytes;

    if (code)
        return code;
    if (!unary->reply)
        return afar__outgoing_fail(&unary->out, err, AFAR_INTERNAL, AFAR_OUTCOME_ANSWERED,
                                   "the call ended well, but without a reply");
    code = afar__grpc_flat(unary->reply, most, &bytes, err);
    if (!code) {
        code = afar__outgoing_decode(&unary->out, bytes, ret_reply, err);
        grpc_slice_unref(bytes);
    }
    if (code && err)
        err->outcome = AFAR_OUTCOME_ANSWERED;
    return code;
}

static void
cancel(afar_future *future)
{
    afar__outgoing_cancel(&unary_of(future)->out);
}

static const afar_metadata *
metadata(afar_future *future, bool trailing)
{
    afar__outgoing *out = &unary_of(future)->out;

    return trailing ? afar__outgoing_trailing(out) : afar__outgoing_initial(out);
}

static void
free_unary(afar_future *future)
{
    struct unary *unary = unary_of(future);

    afar__grpc_packed_clear(&unary->request);
    if (unary->reply)
        grpc_byte_buffer_destroy(unary->reply);
    afar__outgoing_close(&unary->out);
    free(unary);
}

static const afar__future_ops ops = { take, cancel, metadata, free_unary };

static afar_code
pack(struct unary *unary, const afar__remote *remote, const afar__request *request, afar_error *err)
{
    afar__abroad abroad = { NULL };
    afar_code code =
        afar__outgoing_write(remote->link, request->method, request->message, &abroad, err);

    if (!code)
        afar__grpc_pack(request->message, &unary->request);
    afar__abroad_undo(&abroad);
    return code;
}

static afar_code
open_unary(struct unary *unary, afar__remote *remote, const afar__request *request, afar_error *err)
{
    afar_code code = pack(unary, remote, request, err);

    if (code)
        return code;
    code = afar__outgoing_open(&unary->out, remote, request, err);
    if (code)
        afar__grpc_packed_clear(&unary->request);
    return code;
}

static void
start_batch(struct unary *unary)
{
    grpc_op batch[6];

    memset(batch, 0, sizeof batch);
    batch[0] = afar__outgoing_send_metadata(&unary->out);
    batch[1].op = GRPC_OP_SEND_MESSAGE;
    batch[1].data.send_message.send_message = &unary->request;
    batch[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    batch[3] = afar__outgoing_receive_metadata(&unary->out);
    batch[4].op = GRPC_OP_RECV_MESSAGE;
    batch[4].data.recv_message.recv_message = &unary->reply;
    batch[5] = afar__outgoing_receive_status(&unary->out);
    afar__grpc_start(unary->out.call, batch, 6, &unary->tag);
}

afar_code
afar__unary_start(afar_object *object, const afar__request *request, afar_future **ret_future,
                  afar_error *err)
{
    struct unary *unary = malloc(sizeof *unary);
    bool background = request->how != AFAR__START_BLOCKING;
    afar_code code = AFAR_OK;

    if (!unary)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a call",
                         request->method->path);
    if (background)
        code = afar__engine_background(err);
    if (code) {
        free(unary);
        return code;
    }
    code = open_unary(unary, (afar__remote *)object, request, err);
    if (code) {
        if (background)
            afar__engine_background_end();
        free(unary);
        return code;
    }
    afar__future_init(&unary->future, &ops, request->method);
    unary->tag.done = answered;
    unary->reply = NULL;
    unary->future.background = background;
    start_batch(unary);
    *ret_future = &unary->future;
    return AFAR_OK;
}
