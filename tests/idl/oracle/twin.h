#ifndef TWIN_H
#define TWIN_H

/* What the sources of the `twin` program share (see twin.c): one message type
 * as two code generators made it, and what can be done with it without knowing
 * its C type. */

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/* ---- twin.c ---- */

/* A shared object that holds one generator's code for a file and its imports. */
struct side {
    const char *generator;
    void *library;
};

/* A message type on one side: its descriptor, and those of its own functions
 * that the generator made; the others are NULL. */
struct codec {
    const ProtobufCMessageDescriptor *descriptor;
    void (*init)(ProtobufCMessage *message);
    size_t (*get_packed_size)(const ProtobufCMessage *message);
    size_t (*pack)(const ProtobufCMessage *message, uint8_t *out);
    size_t (*pack_to_buffer)(const ProtobufCMessage *message, ProtobufCBuffer *buffer);
    ProtobufCMessage *(*unpack)(ProtobufCAllocator *allocator, size_t len, const uint8_t *data);
    void (*free_unpacked)(ProtobufCMessage *message, ProtobufCAllocator *allocator);
};

/* The address of a symbol, or NULL. */
const void *
side_symbol(const struct side *side, const char *name);

/* `name` is the C name in lower case, without `__descriptor`. */
struct codec
side_codec(const struct side *side, const char *name);

/* The name of the symbol at just that address; "NULL" for NULL, and a mark that
 * equals no symbol's name for an address that has none. */
const char *
symbol_at(const void *address);

/* Says that the two sides differ, as `where: what`, and notes it for the exit code. */
__attribute__((format(printf, 2, 3))) void
differ(const char *where, const char *format, ...);

/* malloc that ends the program instead of failing. */
void *
must_alloc(size_t size);

/* ---- twin_compare.c ---- */

void
compare_message_descriptors(const ProtobufCMessageDescriptor *should,
                            const ProtobufCMessageDescriptor *is, const char *symbol);

void
compare_enum_descriptors(const ProtobufCEnumDescriptor *should, const ProtobufCEnumDescriptor *is,
                         const char *symbol);

/* Compares two fresh messages of one layout, field by field; `what` names the second. */
void
compare_fresh_messages(const ProtobufCMessage *should, const ProtobufCMessage *is,
                       const char *symbol, const char *what);

/* ---- twin_random.c ---- */

/* A message with random contents, on the heap; the same for the same seed. */
ProtobufCMessage *
random_message(const ProtobufCMessageDescriptor *descriptor, uint64_t seed);

/* ---- twin_text.c ---- */

/* Prints what the message holds, in a form wire.py can make too. */
void
print_message(const ProtobufCMessage *message);

/* Prints a line for each field: `name number label type` and the default, if it has one. */
void
print_fields(const ProtobufCMessageDescriptor *descriptor);

/* The size of one value of that type in a message. */
size_t
size_of_type(ProtobufCType type);

#endif
