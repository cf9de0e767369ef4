#ifndef AFAR_STREAM_H
#define AFAR_STREAM_H

/* The caller's end of a streaming call.  The generated code gives every
 * streaming method a type of its own and functions with the method's messages;
 * these are what they are made of, and what works on all of them (a typed stream
 * becomes an afar_stream by `..._stream_base`).  `_send`, `_receive` and `_close` are
 * called so there, too.  `_finish` is afar_stream_await for a client stream, and
 * afar_stream_finish for one in both directions.
 *
 * A stream ends once: with AFAR_ENDED when the server ended it well, with the
 * server's error otherwise.  One thread may send while another receives; two
 * senders, or two receivers, need a lock of their own. */

#include <afar/deadline.h>
#include <afar/interface.h>
#include <afar/metadata.h>

AFAR_BEGIN

typedef struct afar_stream afar_stream;

/* Sends one message.  Returns when it is on its way; waits while the peer is slow
 * and 64 KiB of messages are buffered here (what HTTP/2 has on its way comes on top),
 * until `deadline`: DEADLINE_EXCEEDED means it was not sent and may be sent again.
 * When the call has ended the error is how it ended, AFAR_ENDED if well. */
AFAR_API AFAR_MUST_USE afar_code
afar_stream_send(afar_stream *stream, const ProtobufCMessage *message,
                 afar_deadline deadline, afar_error *err);

/* Receives one message, which is the caller's (afar_message_free).  AFAR_ENDED
 * after the last one; the server's error if it ended badly; DEADLINE_EXCEEDED
 * with nothing lost when `deadline` passed first. */
AFAR_API AFAR_MUST_USE afar_code
afar_stream_receive(afar_stream *stream, afar_deadline deadline,
                    ProtobufCMessage **ret_message, afar_error *err);

/* No more will be sent.  Does not wait.  Once is enough, more is allowed. */
AFAR_API AFAR_MUST_USE afar_code
afar_stream_finish(afar_stream *stream, afar_error *err);

/* For client streams: finishes and waits for the one reply, which is the caller's;
 * with NULL for ret_reply it is released. */
AFAR_API AFAR_MUST_USE afar_code
afar_stream_await(afar_stream *stream, afar_deadline deadline,
                  ProtobufCMessage **ret_reply, afar_error *err);

/* Waits for the metadata that the server sends before its first message. */
AFAR_API AFAR_MUST_USE afar_code
afar_stream_initial_metadata(afar_stream *stream, afar_deadline deadline,
                             const afar_metadata **ret_metadata, afar_error *err);

/* The metadata that came with the end; empty before it.  Lives as long as the
 * stream. */
AFAR_API const afar_metadata *
afar_stream_trailing_metadata(const afar_stream *stream);

/* Cancels the call if it still runs, wakes who waits in it with CANCELLED, and
 * forgets it; NULL is allowed. */
AFAR_API void
afar_stream_close(afar_stream *stream);

AFAR_END

#endif
