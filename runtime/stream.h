#ifndef AFAR_RUNTIME_STREAM_H
#define AFAR_RUNTIME_STREAM_H

/* The caller's end of a stream from the side of who carries it.  A transport
 * embeds an afar_stream at the start of its own. */

#include <afar/stream.h>

typedef struct afar__stream_ops {
    afar_code (*send)(afar_stream *stream, const ProtobufCMessage *message, int64_t deadline,
                      afar_error *err);
    afar_code (*receive)(afar_stream *stream, int64_t deadline, ProtobufCMessage **ret_message,
                         afar_error *err);
    afar_code (*finish)(afar_stream *stream, afar_error *err);
    afar_code (*initial)(afar_stream *stream, int64_t deadline, const afar_metadata **ret_metadata,
                         afar_error *err);
    const afar_metadata *(*trailing)(afar_stream *stream);
    void (*close)(afar_stream *stream);
} afar__stream_ops;

struct afar_stream {
    const afar__stream_ops *ops;
    const afar_method *method;
    ProtobufCMessage *reply; /* of a client stream, while its end is not known */
};

#endif
