/* Functions that are written: how they are declared, and those of messages.
 *
 * The types, the order and even the names of the parameters of a message's
 * functions are protobuf-c's.  One thread. */

#include "idl/signature.h"

idl_signature
signature_make(idl_pool *pool, const char *returns, const char *name)
{
    idl_signature signature = { returns, name, list_make(pool) };

    return signature;
}

void
write_signature(idl_writer *writer, const idl_signature *signature, const char *tail)
{
    write_format(writer, "%s\n%s(", signature->returns, signature->name);
    write_list(writer, &signature->parameters, 4, tail);
}

bool
message_has_function(const idl_message *message, message_function function)
{
    return function == MESSAGE_INIT ? message->has_init : message->has_pack;
}

idl_signature
message_signature(idl_pool *pool, const idl_message *message, message_function function)
{
    static const char *const names[] = { "init",           "get_packed_size", "pack",
                                         "pack_to_buffer", "unpack",          "free_unpacked" };
    const char *name = pool_format(pool, "%s__%s", message->lower, names[function]);
    const char *type = message->c_type;
    idl_signature signature = signature_make(pool, "size_t", name);
    idl_list *parameters = &signature.parameters;
    bool changes = function == MESSAGE_INIT || function == MESSAGE_FREE_UNPACKED;

    if (function == MESSAGE_UNPACK) {
        signature.returns = pool_format(pool, "%s *", type);
        list_add(parameters, "ProtobufCAllocator *allocator");
        list_add(parameters, "size_t len");
        list_add(parameters, "const uint8_t *data");
        return signature;
    }
    if (changes)
        signature.returns = "void";
    list_add(parameters, "%s%s *message", changes ? "" : "const ", type);
    if (function == MESSAGE_PACK)
        list_add(parameters, "uint8_t *out");
    else if (function == MESSAGE_PACK_TO_BUFFER)
        list_add(parameters, "ProtobufCBuffer *buffer");
    else if (function == MESSAGE_FREE_UNPACKED)
        list_add(parameters, "ProtobufCAllocator *allocator");
    return signature;
}
