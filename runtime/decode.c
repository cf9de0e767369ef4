/* Decoding: the scan, then protobuf_c_message_unpack with an allocator over an
 * arena, so that the message is released in one go.
 *
 * The scan says how much memory a message takes, so the arena of a message of its
 * own is one malloc: the arena, a head, the message, and what it points to.
 *
 *     [ arena | head | message | pieces ... ]
 *
 * The head is how afar_message_free finds the arena.  It holds a mark made from a
 * constant and the message's own address; a pointer that did not come from here,
 * or that was released before, does not have it.
 *
 * While protobuf-c reads a message of more than 16 fields it keeps notes, 32 bytes
 * a field, in blocks whose sizes are powers of two from 1024 on.  In the arena they
 * would stay as long as the message, and take more than it does.  So in a message
 * with that many fields what has such a size is a malloc of its own ("loose"), which
 * protobuf-c's free gives back.  A piece of the message that happens to have
 * such a size becomes loose too and is given to the arena in the end.  Pieces of
 * the arena are aligned to 16; loose ones are 8 off, which tells them apart.
 *
 * Runs on the thread that receives.
 */

#include "runtime/decode.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "runtime/misuse.h"
#include "runtime/scan.h"

#define DEFAULT_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define DEFAULT_MAX_DEPTH 100
#define MEMORY_BASE ((size_t)1024 * 1024) /* the default of max_memory, plus */
#define MEMORY_FACTOR 16                  /* so many times the size on the wire */

#define NOTES_ON_STACK 16 /* fields of a message */
#define NOTE_SIZE 32      /* of one field */
#define NOTES_SMALLEST ((size_t)2 * NOTES_ON_STACK * NOTE_SIZE)

#define MARK UINT64_C(0xafa2b0de5ca7ed17)

struct head {
    uint64_t mark; /* MARK and the address of the message */
    alignas(8) afar__arena *arena;
};

/* A malloc of its own.  What is handed out follows it. */
struct loose {
    afar__block block; /* block.next: the next one */
    struct loose *previous;
    size_t size;
};

static_assert(sizeof(struct head) % 16 == 0, "the message behind it is aligned to 16");
static_assert(sizeof(struct loose) % 16 == 8, "tells loose pieces from others");

struct reader {
    const ProtobufCMessageDescriptor *type;
    const uint8_t *data;
    size_t length;
    ProtobufCAllocator allocator;
    afar__arena *arena;
    void *first;         /* the place of the message, until protobuf-c asks for it */
    size_t left;         /* of what the arena may give */
    size_t loose_left;   /* of what may be loose at a time */
    size_t most_notes;   /* no block of notes is larger; 0: there are none */
    struct loose *loose; /* newest first */
    bool over_limit;
    bool out_of_memory;
};

/* ---- the allocator ---- */

static bool
is_loose(const void *piece)
{
    return ((uintptr_t)piece & 8) != 0;
}

static bool
may_be_notes(const struct reader *reader, size_t n)
{
    return n >= NOTES_SMALLEST && n <= reader->most_notes && (n & (n - 1)) == 0;
}

static void *
alloc_loose(struct reader *reader, size_t n)
{
    struct loose *piece;

    if (n > reader->loose_left) {
        reader->over_limit = true;
        return NULL;
    }
    piece = malloc(sizeof *piece + n);
    if (!piece) {
        reader->out_of_memory = true;
        return NULL;
    }
    reader->loose_left -= n;
    piece->size = n;
    piece->previous = NULL;
    piece->block.next = (afar__block *)reader->loose;
    if (reader->loose)
        reader->loose->previous = piece;
    reader->loose = piece;
    return piece + 1;
}

static void
free_loose(struct reader *reader, struct loose *piece)
{
    struct loose *next = (struct loose *)piece->block.next;

    if (next)
        next->previous = piece->previous;
    if (piece->previous)
        piece->previous->block.next = piece->block.next;
    else
        reader->loose = next;
    reader->loose_left += piece->size;
    free(piece);
}

static void *
alloc_in_arena(struct reader *reader, size_t n)
{
    size_t size = (n + 15) & ~(size_t)15;
    void *piece;

    if (size < n || size > reader->left) {
        reader->over_limit = true;
        return NULL;
    }
    reader->left -= size;
    piece = afar__arena_alloc(reader->arena, n);
    if (!piece)
        reader->out_of_memory = true;
    return piece;
}

static void *
reader_alloc(void *data, size_t n)
{
    struct reader *reader = data;
    void *first = reader->first;

    if (first) {
        reader->first = NULL;
        return first;
    }
    return may_be_notes(reader, n) ? alloc_loose(reader, n) : alloc_in_arena(reader, n);
}

static void
reader_free(void *data, void *piece)
{
    if (is_loose(piece))
        free_loose(data, (struct loose *)piece - 1);
}

/* ---- limits and errors ---- */

static afar_message_limits
effective_limits(const afar_message_limits *given, size_t length)
{
    afar_message_limits limits = AFAR_MESSAGE_LIMITS_INIT;

    if (given)
        limits = *given;
    if (limits.max_bytes == 0)
        limits.max_bytes = DEFAULT_MAX_BYTES;
    if (limits.max_depth == 0 || limits.max_depth > DEFAULT_MAX_DEPTH)
        limits.max_depth = DEFAULT_MAX_DEPTH;
    if (limits.max_memory == 0 && length < (SIZE_MAX - MEMORY_BASE) / MEMORY_FACTOR)
        limits.max_memory = MEMORY_BASE + MEMORY_FACTOR * length;
    else if (limits.max_memory == 0)
        limits.max_memory = SIZE_MAX;
    return limits;
}

static const char *
type_name(const ProtobufCMessageDescriptor *type)
{
    return type->name && *type->name ? type->name : "a message";
}

static afar_code
fail_memory(const ProtobufCMessageDescriptor *type, afar_error *err)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: out of memory", type_name(type));
}

/* Says why protobuf-c returned NULL. */
static afar_code
explain(const struct reader *reader, afar_error *err)
{
    if (reader->out_of_memory)
        return fail_memory(reader->type, err);
    if (reader->over_limit)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "%s: its fields take too much memory while they are read (max_memory)",
                         type_name(reader->type));
    return afar__scan_explain(reader->type, reader->data, reader->length, err);
}

/* ---- reading ---- */

/* Scans what is to be read and makes ready to read it.  Notes may take twice what
 * the message may, which under the default of max_memory is always enough. */
static afar_code
prepare(struct reader *reader, const afar_message_limits *given, size_t *ret_memory,
        afar_error *err)
{
    afar_message_limits limits = effective_limits(given, reader->length);
    afar__scan_cost cost;
    afar_code code;

    if (reader->length == 0)
        reader->data = (const uint8_t *)"";
    code = afar__scan(reader->type, reader->data, reader->length, &limits, &cost, err);
    if (code)
        return code;
    reader->left = limits.max_memory;
    reader->loose_left = limits.max_memory < SIZE_MAX / 2 ? 2 * limits.max_memory : SIZE_MAX;
    if (cost.fields > NOTES_ON_STACK)
        reader->most_notes = (cost.fields + NOTES_ON_STACK) * NOTE_SIZE;
    *ret_memory = cost.memory;
    return AFAR_OK;
}

/* Reads into the arena; reader->first is the place of the message in it. */
static afar_code
unpack(struct reader *reader, ProtobufCMessage **ret_message, afar_error *err)
{
    ProtobufCMessage *message;

    reader->allocator = (ProtobufCAllocator){ reader_alloc, reader_free, reader };
    message =
        protobuf_c_message_unpack(reader->type, &reader->allocator, reader->length, reader->data);
    while (reader->loose) {
        afar__block *block = &reader->loose->block;

        reader->loose = (struct loose *)block->next;
        afar__arena_adopt(reader->arena, block);
    }
    if (!message)
        return explain(reader, err);
    *ret_message = message;
    return AFAR_OK;
}

/* Reads into an arena of the message's own, with its head in front. */
static afar_code
unpack_own(struct reader *reader, size_t memory, ProtobufCMessage **ret_message, afar_error *err)
{
    afar__arena *arena = afar__arena_new(sizeof(struct head) + memory);
    struct head *head;
    afar_code code;

    if (!arena)
        return fail_memory(reader->type, err);
    head = afar__arena_alloc(arena, sizeof *head + reader->type->sizeof_message);
    head->mark = MARK ^ (uintptr_t)(head + 1);
    head->arena = arena;
    reader->arena = arena;
    reader->first = head + 1;
    code = unpack(reader, ret_message, err);
    if (code)
        afar__arena_free(arena);
    return code;
}

afar_code
afar__decode(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
             const afar_message_limits *limits, afar__arena *arena, ProtobufCMessage **ret_message,
             afar_error *err)
{
    struct reader reader = { .type = type, .data = data, .length = length, .arena = arena };
    size_t memory;
    afar_code code = prepare(&reader, limits, &memory, err);

    if (code)
        return code;
    reader.first = afar__arena_alloc(arena, type->sizeof_message);
    if (!reader.first)
        return fail_memory(type, err);
    return unpack(&reader, ret_message, err);
}

afar_code
afar__decode_message(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
                     const afar_message_limits *limits, ProtobufCMessage **ret_message,
                     afar_error *err)
{
    struct reader reader = { .type = type, .data = data, .length = length };
    size_t memory;
    afar_code code = prepare(&reader, limits, &memory, err);

    return code ? code : unpack_own(&reader, memory, ret_message, err);
}

afar_code
afar__decode_trusted(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
                     ProtobufCMessage **ret_message, afar_error *err)
{
    struct reader reader = {
        .type = type,
        .data = data,
        .length = length,
        .left = SIZE_MAX,
        .loose_left = SIZE_MAX,
        .most_notes = SIZE_MAX,
    };

    return unpack_own(&reader, type->sizeof_message + length, ret_message, err);
}

ProtobufCMessage *
afar__message_init(const ProtobufCMessageDescriptor *type, afar__arena *arena)
{
    ProtobufCMessage *message = afar__arena_alloc(arena, type->sizeof_message);

    if (message)
        protobuf_c_message_init(type, message);
    return message;
}

static struct head *
head_of(void *message, const char *who)
{
    struct head *head = message; /* moved in front of it below */

    head--;
    if ((uintptr_t)message % alignof(max_align_t) != 0 || head->mark != (MARK ^ (uintptr_t)message))
        afar__misuse("%s: %p did not come out of Afar, or was released before", who, message);
    return head;
}

afar__arena *
afar__message_arena(ProtobufCMessage *message)
{
    return head_of(message, "afar__message_arena")->arena;
}

void
afar_message_free(void *message)
{
    struct head *head;
    afar__arena *arena;

    if (!message)
        return;
    head = head_of(message, "afar_message_free");
    arena = head->arena;
    *(volatile uint64_t *)&head->mark = 0;
    afar__arena_free(arena);
}
