/* Streams from the calling side: a pipe over a call of the core, and the call's
 * status.
 *
 * The status is asked for when the call starts, under a tag of its own, so that
 * the end is known at once.  The core hands it out after the last message has
 * been read.
 *
 * References: one of the caller until close, one of each tag under way, one of each
 * thread inside.  What is marked so is guarded by the pipe's lock. */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include <afar/message.h>

#include "runtime/abroad.h"
#include "runtime/clock.h"
#include "runtime/fail.h"
#include "runtime/grpc_outgoing.h"
#include "runtime/grpc_pipe.h"
#include "runtime/node.h"
#include "runtime/stream.h"

struct stream {
    afar_stream base;
    atomic_uint refs;
    afar__pipe pipe;
    afar__outgoing out;
    afar__tag open_tag, initial_tag, status_tag, finish_tag;
    grpc_byte_buffer request; /* of a server stream */
    bool has_request;
    bool has_initial; /* pipe.lock */
    bool over;        /* pipe.lock: the status is here */
    afar_error bad;   /* pipe.lock: a message could not be read, which ended it for us */
};

static struct stream *
stream_of(afar_stream *stream)
{
    return (struct stream *)stream;
}

static struct stream *
stream_of_pipe(afar__pipe *pipe)
{
    return (struct stream *)((char *)pipe - offsetof(struct stream, pipe));
}

static void
ref(afar__pipe *pipe)
{
    atomic_fetch_add_explicit(&stream_of_pipe(pipe)->refs, 1, memory_order_relaxed);
}

/* For a tag: it has to be fetched, whether or not anybody waits for it.  There is a
 * thread for that since the stream was started. */
static void
ref_tag(afar__pipe *pipe)
{
    ref(pipe);
    (void)!afar__engine_background(NULL);
}

static void
unref(afar__pipe *pipe)
{
    struct stream *stream = stream_of_pipe(pipe);

    if (atomic_fetch_sub_explicit(&stream->refs, 1, memory_order_acq_rel) != 1)
        return;
    afar__pipe_clear(pipe);
    afar_error_clear(&stream->bad);
    if (stream->has_request)
        afar__grpc_packed_clear(&stream->request);
    afar__outgoing_close(&stream->out);
    free(stream);
}

static void
unref_tag(afar__pipe *pipe)
{
    afar__engine_background_end();
    unref(pipe);
}

/* ---- events ---- */

static void
opened(afar__tag *tag, bool ok)
{
    (void)ok;
    unref_tag(&((struct stream *)((char *)tag - offsetof(struct stream, open_tag)))->pipe);
}

static void
finished(afar__tag *tag, bool ok)
{
    (void)ok;
    unref_tag(&((struct stream *)((char *)tag - offsetof(struct stream, finish_tag)))->pipe);
}

static void
initial_came(afar__tag *tag, bool ok)
{
    struct stream *stream = (struct stream *)((char *)tag - offsetof(struct stream, initial_tag));

    (void)ok;
    pthread_mutex_lock(&stream->pipe.lock);
    stream->has_initial = true;
    afar__waiters_wake(&stream->pipe.waiters);
    pthread_mutex_unlock(&stream->pipe.lock);
    unref_tag(&stream->pipe);
}

static void
status_came(afar__tag *tag, bool ok)
{
    struct stream *stream = (struct stream *)((char *)tag - offsetof(struct stream, status_tag));

    pthread_mutex_lock(&stream->pipe.lock);
    if (!ok && stream->out.status == GRPC_STATUS_OK)
        stream->out.status = GRPC_STATUS_INTERNAL;
    stream->over = true;
    pthread_mutex_unlock(&stream->pipe.lock);
    afar__pipe_end(&stream->pipe);
    afar__outgoing_ended(&stream->out);
    unref_tag(&stream->pipe);
}

static void
drained(afar__pipe *pipe)
{
    struct stream *stream = stream_of_pipe(pipe);
    grpc_op op;

    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ref_tag(pipe);
    afar__grpc_start(pipe->call, &op, 1, &stream->finish_tag);
}

/* ---- waiting for what is not a message ---- */

static afar_code
wait_until(struct stream *stream, const bool *flag, int64_t deadline, afar_error *err)
{
    afar__wait_result result = AFAR__WAIT_WOKEN;
    bool is_set;

    pthread_mutex_lock(&stream->pipe.lock);
    while (!*flag && result == AFAR__WAIT_WOKEN) {
        afar__waiter waiter;

        afar__waiters_add(&stream->pipe.waiters, &waiter);
        pthread_mutex_unlock(&stream->pipe.lock);
        result = afar__wait(&waiter, deadline);
        pthread_mutex_lock(&stream->pipe.lock);
        afar__waiters_remove(&waiter);
    }
    is_set = *flag;
    pthread_mutex_unlock(&stream->pipe.lock);
    if (is_set)
        return AFAR_OK;
    if (result == AFAR__WAIT_REFUSED)
        return afar__wait_refused(err);
    return afar__outgoing_fail(&stream->out, err, AFAR_DEADLINE_EXCEEDED, AFAR_OUTCOME_UNKNOWN,
                               "nothing came in time");
}

/* After a message that could not be read every answer is that error. */
static afar_code
failed_before(struct stream *stream, afar_error *err)
{
    afar_code code;

    pthread_mutex_lock(&stream->pipe.lock);
    code = stream->bad.code;
    if (code && err)
        afar_error_copy(err, &stream->bad);
    pthread_mutex_unlock(&stream->pipe.lock);
    return code;
}

/* How the call ended: never AFAR_OK. */
static afar_code
end_of(struct stream *stream, int64_t deadline, afar_error *err)
{
    afar_code code = wait_until(stream, &stream->over, deadline, err);

    if (!code)
        code = failed_before(stream, err);
    if (!code)
        code = afar__outgoing_result(&stream->out, err);
    if (!code)
        code = afar__fail_outcome(err, AFAR_ENDED, AFAR_OUTCOME_ANSWERED, true,
                                  "%s: the stream has ended", stream->base.method->path);
    return code;
}

static afar_code
pipe_error(struct stream *stream, afar__pipe_result result, const char *what, afar_error *err)
{
    if (result == AFAR__PIPE_REFUSED)
        return afar__wait_refused(err);
    if (result == AFAR__PIPE_NO_MEMORY)
        return afar__outgoing_fail(&stream->out, err, AFAR_RESOURCE_EXHAUSTED, AFAR_OUTCOME_UNKNOWN,
                                   "no memory for a message");
    return afar__outgoing_fail(&stream->out, err, AFAR_DEADLINE_EXCEEDED, AFAR_OUTCOME_NOT_SENT,
                               "%s", what);
}

/* ---- what the caller does ---- */

static afar_code
send_message(afar_stream *base, const ProtobufCMessage *message, int64_t deadline, afar_error *err)
{
    struct stream *stream = stream_of(base);
    afar__abroad abroad = { NULL };
    afar__pipe_result result = AFAR__PIPE_OK;
    afar_code code = afar__outgoing_write(stream->out.link, base->method, message, &abroad, err);

    ref(&stream->pipe);
    if (!code)
        result = afar__pipe_send(&stream->pipe, message, deadline, NULL);
    afar__abroad_undo(&abroad);
    if (result == AFAR__PIPE_FINISHED)
        code = afar__outgoing_fail(&stream->out, err, AFAR_FAILED_PRECONDITION,
                                   AFAR_OUTCOME_NOT_SENT, "sent after the stream was finished");
    else if (result == AFAR__PIPE_OVER)
        code = end_of(stream, deadline, err);
    else if (result != AFAR__PIPE_OK)
        code = pipe_error(stream, result, "the peer does not take what was sent", err);
    unref(&stream->pipe);
    return code;
}

static afar_code
decode(struct stream *stream, grpc_byte_buffer *buffer, ProtobufCMessage **ret_message,
       afar_error *err)
{
    size_t most = afar__link_node(stream->out.link)->limits.max_bytes;
    afar_error bad = AFAR_ERROR_INIT;
    grpc_slice bytes;
    afar_code code = afar__grpc_flat(buffer, most, &bytes, &bad);

    if (!code) {
        code = afar__outgoing_decode(&stream->out, bytes, ret_message, &bad);
        grpc_slice_unref(bytes);
    }
    grpc_byte_buffer_destroy(buffer);
    if (!code)
        return AFAR_OK;
    bad.outcome = AFAR_OUTCOME_ANSWERED;
    pthread_mutex_lock(&stream->pipe.lock);
    afar_error_move(&stream->bad, &bad);
    pthread_mutex_unlock(&stream->pipe.lock);
    grpc_call_cancel(stream->out.call, NULL);
    return failed_before(stream, err);
}

static afar_code
receive(afar_stream *base, int64_t deadline, ProtobufCMessage **ret_message, afar_error *err)
{
    struct stream *stream = stream_of(base);
    grpc_byte_buffer *buffer = NULL;
    afar__pipe_result result;
    afar_code code;

    code = failed_before(stream, err);
    if (code)
        return code;
    ref(&stream->pipe);
    result = afar__pipe_receive(&stream->pipe, deadline, NULL, &buffer);
    if (result == AFAR__PIPE_OK)
        code = decode(stream, buffer, ret_message, err);
    else if (result == AFAR__PIPE_OVER)
        code = end_of(stream, deadline, err);
    else
        code = pipe_error(stream, result, "nothing came in time", err);
    unref(&stream->pipe);
    return code;
}

static afar_code
finish(afar_stream *base, afar_error *err)
{
    (void)err;
    afar__pipe_finish(&stream_of(base)->pipe);
    return AFAR_OK;
}

static afar_code
initial(afar_stream *base, int64_t deadline, const afar_metadata **ret_metadata, afar_error *err)
{
    struct stream *stream = stream_of(base);
    afar_code code = wait_until(stream, &stream->has_initial, deadline, err);

    if (!code)
        *ret_metadata = afar__outgoing_initial(&stream->out);
    return code;
}

static const afar_metadata *
trailing(afar_stream *base)
{
    static const afar_metadata nothing = { NULL, 0 };
    struct stream *stream = stream_of(base);
    bool over;

    pthread_mutex_lock(&stream->pipe.lock);
    over = stream->over;
    pthread_mutex_unlock(&stream->pipe.lock);
    return over ? afar__outgoing_trailing(&stream->out) : &nothing;
}

static void
close_stream(afar_stream *base)
{
    struct stream *stream = stream_of(base);
    bool over;

    pthread_mutex_lock(&stream->pipe.lock);
    over = stream->over;
    pthread_mutex_unlock(&stream->pipe.lock);
    if (!over)
        grpc_call_cancel(stream->out.call, NULL);
    unref(&stream->pipe);
}

static const afar__stream_ops ops = {
    send_message, receive, finish, initial, trailing, close_stream
};

/* ---- starting ---- */

static void
start_batches(struct stream *stream)
{
    grpc_call *call = stream->out.call;
    grpc_op batch[3];
    size_t count = 1;

    memset(batch, 0, sizeof batch);
    batch[0] = afar__outgoing_send_metadata(&stream->out);
    if (stream->has_request) {
        batch[1].op = GRPC_OP_SEND_MESSAGE;
        batch[1].data.send_message.send_message = &stream->request;
        batch[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
        count = 3;
    }
    for (int tags = 0; tags < 3; tags++)
        ref_tag(&stream->pipe);
    afar__grpc_start(call, batch, count, &stream->open_tag);
    batch[0] = afar__outgoing_receive_status(&stream->out);
    afar__grpc_start(call, batch, 1, &stream->status_tag);
    batch[0] = afar__outgoing_receive_metadata(&stream->out);
    afar__grpc_start(call, batch, 1, &stream->initial_tag);
    afar__pipe_open(&stream->pipe);
}

/* The one request of a server stream. */
static afar_code
pack_request(struct stream *stream, const afar__remote *remote, const afar__request *request,
             afar_error *err)
{
    afar__abroad abroad = { NULL };
    afar_code code;

    if (!request->message)
        return AFAR_OK;
    code = afar__outgoing_write(remote->link, request->method, request->message, &abroad, err);
    if (!code)
        afar__grpc_pack(request->message, &stream->request);
    afar__abroad_undo(&abroad);
    stream->has_request = !code;
    return code;
}

static void
set_up(struct stream *stream, const afar_method *method)
{
    stream->base.ops = &ops;
    stream->base.method = method;
    atomic_init(&stream->refs, 1);
    stream->open_tag.done = opened;
    stream->initial_tag.done = initial_came;
    stream->status_tag.done = status_came;
    stream->finish_tag.done = finished;
    afar__pipe_init(&stream->pipe, stream->out.call);
    stream->pipe.ref = ref_tag;
    stream->pipe.unref = unref_tag;
    stream->pipe.drained = drained;
    if (stream->has_request)
        stream->pipe.finish = stream->pipe.finish_sent = true;
}

afar_code
afar__stream_start(afar_object *object, const afar__request *request, afar_stream **ret_stream,
                   afar_error *err)
{
    struct stream *stream = calloc(1, sizeof *stream);
    afar__remote *remote = (afar__remote *)object;
    afar_code code;

    if (!stream)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a call",
                         request->method->path);
    code = afar__engine_background(err);
    if (code) {
        free(stream);
        return code;
    }
    code = pack_request(stream, remote, request, err);
    if (!code)
        code = afar__outgoing_open(&stream->out, remote, request, err);
    if (!code) {
        set_up(stream, request->method);
        start_batches(stream);
        *ret_stream = &stream->base;
    } else {
        if (stream->has_request)
            afar__grpc_packed_clear(&stream->request);
        free(stream);
    }
    afar__engine_background_end(); /* from now on each tag has it */
    return code;
}
