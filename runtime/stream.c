/* The caller's end of a stream: what holds for every transport.  All state is the
 * transport's.  A handler that sends or receives on a stream it has opened waits for
 * a call of its own, as far as turns go (turn.c). */

#include "runtime/stream.h"

#include <afar/call.h>
#include <afar/message.h>

#include "runtime/engine.h"
#include "runtime/host.h"

afar_code
afar_stream_send(afar_stream *stream, const ProtobufCMessage *message, afar_deadline deadline,
                 afar_error *err)
{
    afar_code code = afar__engine_check(err);

    if (code)
        return code;
    afar__host_wait(afar_call_current());
    code = stream->ops->send(stream, message, deadline.ns, err);
    afar__host_go_on(afar_call_current());
    return code;
}

afar_code
afar_stream_receive(afar_stream *stream, afar_deadline deadline, ProtobufCMessage **ret_message,
                    afar_error *err)
{
    afar_code code = afar__engine_check(err);

    if (code)
        return code;
    afar__host_wait(afar_call_current());
    code = stream->ops->receive(stream, deadline.ns, ret_message, err);
    afar__host_go_on(afar_call_current());
    return code;
}

afar_code
afar_stream_finish(afar_stream *stream, afar_error *err)
{
    afar_code code = afar__engine_check(err);

    return code ? code : stream->ops->finish(stream, err);
}

/* The reply counts only if the call ended well, and if nothing came behind it. */
static afar_code
await_end(afar_stream *stream, afar_deadline deadline, afar_error *err)
{
    afar_error end = AFAR_ERROR_INIT;
    ProtobufCMessage *second = NULL;
    afar_code code = afar_stream_receive(stream, deadline, &second, &end);

    if (code == AFAR_OK) {
        afar_message_free(second);
        return afar_fail(err, AFAR_INTERNAL, "%s: more than one reply came", stream->method->path);
    }
    if (code != AFAR_ENDED && err)
        afar_error_move(err, &end);
    afar_error_clear(&end);
    return code == AFAR_ENDED ? AFAR_OK : code;
}

afar_code
afar_stream_await(afar_stream *stream, afar_deadline deadline, ProtobufCMessage **ret_reply,
                  afar_error *err)
{
    afar_code code = AFAR_OK;

    /* If the call has failed already, receiving says how. */
    (void)!afar_stream_finish(stream, NULL);
    if (!stream->reply)
        code = afar_stream_receive(stream, deadline, &stream->reply, err);
    if (code == AFAR_ENDED)
        return afar_fail(err, AFAR_INTERNAL, "%s: the call ended without a reply",
                         stream->method->path);
    if (!code)
        code = await_end(stream, deadline, err);
    if (code == AFAR_DEADLINE_EXCEEDED)
        return code; /* it is kept for the next try */
    if (code == AFAR_OK && ret_reply)
        *ret_reply = stream->reply;
    else
        afar_message_free(stream->reply);
    stream->reply = NULL;
    return code;
}

afar_code
afar_stream_initial_metadata(afar_stream *stream, afar_deadline deadline,
                             const afar_metadata **ret_metadata, afar_error *err)
{
    afar_code code = afar__engine_check(err);

    if (code)
        return code;
    afar__host_wait(afar_call_current());
    code = stream->ops->initial(stream, deadline.ns, ret_metadata, err);
    afar__host_go_on(afar_call_current());
    return code;
}

const afar_metadata *
afar_stream_trailing_metadata(const afar_stream *stream)
{
    return stream->ops->trailing((afar_stream *)stream);
}

void
afar_stream_close(afar_stream *stream)
{
    if (!stream || afar__engine_forked())
        return;
    afar_message_free(stream->reply);
    stream->ops->close(stream);
}
