/* Random messages: what random.h says.  Values come from the edges more often
 * than chance would have it. */

#include "random.h"

#include <stdlib.h>
#include <string.h>

uint64_t
random_next(struct random *random)
{
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return random->state;
}

size_t
random_below(struct random *random, size_t limit)
{
    return (size_t)((random_next(random) >> 16) % limit);
}

static void *
alloc(afar__arena *arena, size_t n)
{
    void *piece = afar__arena_zalloc(arena, n);

    if (!piece)
        abort();
    return piece;
}

static uint64_t
number(struct random *random)
{
    static const uint64_t edges[] = { 1,         127,        128,       16384,
                                      INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX };

    if (random_below(random, 2))
        return edges[random_below(random, sizeof edges / sizeof edges[0])];
    return random_next(random) >> random_below(random, 64);
}

static size_t
length(struct random *random)
{
    return random_below(random, 8) ? random_below(random, 12) : random_below(random, 2000);
}

static char *
string(struct random *random, afar__arena *arena)
{
    static const char *const characters[] = { "a",
                                              "\x7f",
                                              "\xc2\x80",
                                              "\xdf\xbf",
                                              "\xe0\xa0\x80",
                                              "\xed\x9f\xbf",
                                              "\xef\xbf\xbf",
                                              "\xf0\x90\x80\x80",
                                              "\xf4\x8f\xbf\xbf",
                                              "\"",
                                              "\\",
                                              "\n",
                                              "\x01" };
    size_t count = length(random);
    char *text = alloc(arena, 4 * count + 1);
    char *at = text;

    for (size_t i = 0; i < count; i++)
        if (random->plain || random_below(random, 4))
            *at++ = (char)(' ' + random_below(random, 95));
        else
            at = stpcpy(at, characters[random_below(random, 13)]);
    return text;
}

static void
fill_bytes(struct random *random, ProtobufCBinaryData *bytes, afar__arena *arena)
{
    bytes->len = length(random);
    bytes->data = bytes->len > 0 ? alloc(arena, bytes->len) : NULL;
    for (size_t i = 0; i < bytes->len; i++)
        bytes->data[i] = (uint8_t)random_next(random);
}

static size_t
value_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return 8;
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

static void
fill_value(struct random *random, const ProtobufCFieldDescriptor *field, void *member,
           unsigned depth, afar__arena *arena)
{
    uint64_t bits = number(random);

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)member = string(random, arena);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        fill_bytes(random, member, arena);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)member = random_message(random, field->descriptor, depth - 1, arena);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)member = bits & 1;
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        *(float *)member = random->plain ? (float)(int16_t)bits / 8 : (float)(int32_t)bits / 7;
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)member = random->plain ? (int32_t)bits / 8.0 : (double)(int64_t)bits / 7;
        break;
    default:
        memcpy(member, &bits, value_size(field->type));
    }
}

static void
fill_repeated(struct random *random, ProtobufCMessage *message,
              const ProtobufCFieldDescriptor *field, unsigned depth, afar__arena *arena)
{
    size_t most = field->type == PROTOBUF_C_TYPE_MESSAGE ? 4 : 40;
    size_t count = random_below(random, most);
    size_t size = value_size(field->type);
    char *array = alloc(arena, count * size);

    if (field->type == PROTOBUF_C_TYPE_MESSAGE && depth == 0)
        count = 0;
    for (size_t i = 0; i < count; i++)
        fill_value(random, field, array + i * size, depth, arena);
    *(size_t *)(void *)((char *)message + field->quantifier_offset) = count;
    *(void **)(void *)((char *)message + field->offset) = count > 0 ? array : NULL;
}

/* Two fields of one oneof may be tried; the later one has it. */
static void
fill_singular(struct random *random, ProtobufCMessage *message,
              const ProtobufCFieldDescriptor *field, unsigned depth, afar__arena *arena)
{
    char *member = (char *)message + field->offset;
    char *quantifier = (char *)message + field->quantifier_offset;

    if (field->label != PROTOBUF_C_LABEL_REQUIRED && random_below(random, 3) == 0)
        return;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE && depth == 0)
        return;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        memset(member, 0, value_size(field->type));
        memcpy(quantifier, &(uint32_t){ field->id }, sizeof(uint32_t));
    } else if (field->quantifier_offset != 0) {
        memcpy(quantifier, &(protobuf_c_boolean){ 1 }, sizeof(protobuf_c_boolean));
    }
    fill_value(random, field, member, depth, arena);
}

ProtobufCMessage *
random_message(struct random *random, const ProtobufCMessageDescriptor *type, unsigned depth,
               afar__arena *arena)
{
    ProtobufCMessage *message = alloc(arena, type->sizeof_message);

    protobuf_c_message_init(type, message);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];

        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            fill_repeated(random, message, field, depth, arena);
        else
            fill_singular(random, message, field, depth, arena);
    }
    return message;
}
