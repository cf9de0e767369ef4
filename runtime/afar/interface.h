#ifndef AFAR_INTERFACE_H
#define AFAR_INTERFACE_H

/* What a service is: the tables that protoc-gen-afar writes and the library
 * reads.  Users never fill them by hand.  They are constant data with static
 * storage, compared by name, and readable from any thread. */

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include <afar/api.h>
#include <afar/error.h>

AFAR_BEGIN

typedef struct afar_call afar_call;

typedef enum afar_kind {
    AFAR_UNARY = 0,
    AFAR_SERVER_STREAM = 1,        /* one request, many replies */
    AFAR_CLIENT_STREAM = 2,        /* many requests, one reply */
    AFAR_BIDI_STREAM = 3           /* many requests, many replies */
} afar_kind;

/* Method flags. */
enum {
    AFAR_METHOD_ONEWAY = 1,        /* no answer is waited for */
    AFAR_METHOD_IDEMPOTENT = 2,    /* may be repeated when the outcome is unknown */
    AFAR_METHOD_DEPRECATED = 4
};

typedef struct afar_method {
    const char *name;              /* "Deposit" */
    const char *path;              /* "/bank.Account/Deposit" */
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *reply;
    /* Calls the user's handler with its own types; `methods` is the user's
     * struct of function pointers.  UNIMPLEMENTED for one that is NULL. */
    afar_code (*serve)(const void *methods, void *self, afar_call *call);
    uint32_t kind;                 /* an afar_kind */
    uint32_t flags;
    /* Where references are in the messages (afar/ref.h); NULL if there are none. */
    const struct afar_refs *request_refs;
    const struct afar_refs *reply_refs;
} afar_method;

typedef struct afar_interface {
    uint32_t abi;                  /* AFAR_ABI */
    uint32_t size;                 /* sizeof(afar_interface) where it was compiled */
    const char *name;              /* "bank.Account" */
    const afar_method *methods;
    uint32_t method_count;
    uint32_t method_size;          /* sizeof(afar_method) where it was compiled */
    /* The .proto file as a serialised google.protobuf.FileDescriptorProto,
     * without comments, for reflection. */
    const struct afar_file *file;
    /* Of an end of a channel: what that carries (afar/channel.h); NULL of all others. */
    const struct afar_channel_type *channel;
} afar_interface;

typedef struct afar_file {
    uint32_t abi;
    uint32_t size;                 /* sizeof(afar_file) where it was compiled */
    const char *name;              /* "bank.proto" */
    const uint8_t *descriptor;
    size_t descriptor_length;
    const struct afar_file *const *imports; /* ends with NULL */
} afar_file;

AFAR_END

#endif
