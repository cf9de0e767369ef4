#ifndef AFAR_RUNTIME_CHANNEL_BYTES_H
#define AFAR_RUNTIME_CHANNEL_BYTES_H

/* Ends for who passes messages on and knows them as bytes only, whatever their type is: a type of
 * channel whose messages are the bytes of others.  An end elsewhere that is opened with it says in Hello
 * that it takes any type, which the home allows if there are no references in its messages.
 *
 * All of afar/channel.h and afar/select.h works with it.  The bytes are not looked at: who receives them
 * as a message finds out whether they are one. */

#include <afar/channel.h>

typedef struct afar__bytes {
    ProtobufCMessage base;
    ProtobufCBinaryData packed;
} afar__bytes;

#define AFAR__BYTES_INIT                                                                           \
    {                                                                                              \
        PROTOBUF_C_MESSAGE_INIT(&afar__bytes_descriptor),                                          \
        {                                                                                          \
            0, NULL                                                                                \
        }                                                                                          \
    }

extern const ProtobufCMessageDescriptor afar__bytes_descriptor;
extern const afar_channel_type afar__bytes_channel_type;

#endif
