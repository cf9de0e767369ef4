/* Makes messages with random contents from their descriptors alone.
 *
 * The same seed gives the same message on both sides, as long as their tables
 * agree.  Values favour the edges: zero, the extremes, the places where a varint
 * grows.  Strings are UTF-8 without zero bytes; bytes are UTF-8 with zero bytes, as
 * they may be a `string` of the .proto file that is kept as bytes in C.  Required
 * fields are always there.  Sub-messages are drawn from a purse, so that recursive
 * and wide types come to an end.  Everything lies on the heap in the way that
 * protobuf_c_message_free_unpacked expects. */

#include <math.h>
#include <string.h>

#include "twin.h"

/* Sub-messages, other than required ones, in one message. */
#define PURSE 40

/* How deep they may nest. */
#define DEEPEST 8

struct random {
    uint64_t state;
    int purse;
    int depth;
};

static ProtobufCMessage *
fill_message(struct random *random, const ProtobufCMessageDescriptor *descriptor);

/* SplitMix64: every seed is as good as any other. */
static uint64_t
draw(struct random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t
draw_below(struct random *random, uint64_t bound)
{
    return draw(random) % bound;
}

/* ---- values ---- */

static uint64_t
draw_integer(struct random *random)
{
    switch (draw_below(random, 8)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return UINT64_C(1) << 63;
    case 3:
        return INT64_MAX;
    case 4: /* where a varint grows by a byte, less one */
        return (UINT64_C(1) << 7 * (1 + draw_below(random, 9))) - draw_below(random, 2);
    case 5: /* the extremes of 32 bits */
        return (UINT64_C(1) << 31) - draw_below(random, 2);
    default:
        return draw(random) >> draw_below(random, 64);
    }
}

/* Never -0.0: generators disagree on whether that is a zero to leave out. */
static double
draw_real(struct random *random)
{
    switch (draw_below(random, 6)) {
    case 0:
        return 0;
    case 1:
        return (double)INFINITY;
    case 2:
        return (double)-INFINITY;
    case 3:
        return (double)NAN;
    default:
        return ldexp((double)(int64_t)draw(random), (int)draw_below(random, 120) - 100) + 0.5;
    }
}

/* Writes UTF-8 to `out`, which has room for 4 bytes; gives their number. */
static size_t
draw_character(struct random *random, char *out, int with_zero)
{
    static const char *const characters[] = { "a",
                                              "Z",
                                              "0",
                                              "\"",
                                              "\\",
                                              "\n",
                                              "\x7f",
                                              "\xc3\xbc",
                                              "\xdf\xbf",
                                              "\xe2\x82\xac",
                                              "\xf0\x9f\x98\x80" };
    size_t n = sizeof characters / sizeof characters[0];
    size_t i = draw_below(random, n + (with_zero ? 2 : 0));

    if (i >= n) {
        *out = '\0';
        return 1;
    }
    memcpy(out, characters[i], strlen(characters[i]));
    return strlen(characters[i]);
}

static size_t
draw_text(struct random *random, char **ret_text, int with_zero)
{
    size_t count = draw_below(random, 8) ? draw_below(random, 12) : 150;
    char *text = must_alloc(4 * count + 1);
    size_t len = 0;

    for (size_t i = 0; i < count; i++)
        len += draw_character(random, text + len, with_zero);
    text[len] = '\0';
    *ret_text = text;
    return len;
}

static void
fill_binary(struct random *random, ProtobufCBinaryData *binary)
{
    char *text;

    binary->len = draw_text(random, &text, 1);
    binary->data = (uint8_t *)text;
}

static void
fill_enum(struct random *random, const ProtobufCEnumDescriptor *descriptor, void *member)
{
    int value = descriptor->values[draw_below(random, descriptor->n_values)].value;

    memcpy(member, &value, sizeof value);
}

static void
fill_real(struct random *random, ProtobufCType type, void *member)
{
    double real = draw_real(random);
    float single = (float)real;

    if (type == PROTOBUF_C_TYPE_FLOAT)
        memcpy(member, &single, sizeof single);
    else
        memcpy(member, &real, sizeof real);
}

static void
fill_integer(struct random *random, ProtobufCType type, void *member)
{
    uint64_t wide = draw_integer(random);
    uint32_t narrow = (uint32_t)(draw_below(random, 2) ? wide : wide >> 32);

    if (size_of_type(type) == sizeof wide)
        memcpy(member, &wide, sizeof wide);
    else
        memcpy(member, &narrow, sizeof narrow);
}

/* Fills one value at `member`. */
static void
fill_value(struct random *random, const ProtobufCFieldDescriptor *field, void *member)
{
    protobuf_c_boolean flag;

    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)member = fill_message(random, field->descriptor);
        break;
    case PROTOBUF_C_TYPE_STRING:
        draw_text(random, member, 0);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        fill_binary(random, member);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        fill_enum(random, field->descriptor, member);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        flag = (protobuf_c_boolean)draw_below(random, 2);
        memcpy(member, &flag, sizeof flag);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        fill_real(random, field->type, member);
        break;
    default:
        fill_integer(random, field->type, member);
    }
}

/* ---- fields ---- */

/* Whether there is still room for another sub-message of that field. */
static int
may_have(struct random *random, const ProtobufCFieldDescriptor *field)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return 1;
    return random->depth < DEEPEST && random->purse-- > 0;
}

static void
fill_repeated(struct random *random, const ProtobufCFieldDescriptor *field, char *message)
{
    size_t wanted = draw_below(random, 2) ? 0 : 1 + draw_below(random, 4);
    size_t size = size_of_type(field->type);
    size_t count = 0;

    if (!wanted)
        return;
    char *array = must_alloc(wanted * size);
    while (count < wanted && may_have(random, field))
        fill_value(random, field, array + size * count++);
    *(size_t *)(void *)(message + field->quantifier_offset) = count;
    *(void **)(void *)(message + field->offset) = array;
}

/* Sets one member of the oneof that begins with field `first`, or none. */
static void
fill_oneof(struct random *random, const ProtobufCMessageDescriptor *descriptor, unsigned first,
           char *message)
{
    const ProtobufCFieldDescriptor *chosen = NULL;
    uint64_t seen = 1; /* "none" is one of the choices */

    for (unsigned i = first; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
            field->quantifier_offset != descriptor->fields[first].quantifier_offset)
            continue;
        if (draw_below(random, ++seen) == 0)
            chosen = field;
    }
    if (!chosen || !may_have(random, chosen))
        return;
    memcpy(message + chosen->quantifier_offset, &chosen->id, sizeof chosen->id);
    fill_value(random, chosen, message + chosen->offset);
}

static int
is_first_of_oneof(const ProtobufCMessageDescriptor *descriptor, unsigned index)
{
    for (unsigned i = 0; i < index; i++)
        if ((descriptor->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            descriptor->fields[i].quantifier_offset == descriptor->fields[index].quantifier_offset)
            return 0;
    return 1;
}

static void
fill_single(struct random *random, const ProtobufCFieldDescriptor *field, char *message)
{
    const protobuf_c_boolean yes = 1;

    if (field->label != PROTOBUF_C_LABEL_REQUIRED &&
        (draw_below(random, 3) == 0 || !may_have(random, field)))
        return;
    if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->quantifier_offset)
        memcpy(message + field->quantifier_offset, &yes, sizeof yes);
    fill_value(random, field, message + field->offset);
}

/* A message with nothing in it.  protobuf_c_message_init does not work for types
 * that were made without an init function, so theirs is done here. */
static ProtobufCMessage *
new_message(const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = must_alloc(descriptor->sizeof_message);

    if (descriptor->message_init) {
        protobuf_c_message_init(descriptor, message);
        return message;
    }
    memset(message, 0, descriptor->sizeof_message);
    message->descriptor = descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        char *member = (char *)message + field->offset;
        if (field->default_value && field->type == PROTOBUF_C_TYPE_STRING &&
            field->label != PROTOBUF_C_LABEL_REPEATED &&
            !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
            memcpy(member, &field->default_value, sizeof field->default_value);
    }
    return message;
}

static ProtobufCMessage *
fill_message(struct random *random, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = new_message(descriptor);

    random->depth++;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            if (is_first_of_oneof(descriptor, i))
                fill_oneof(random, descriptor, i, (char *)message);
        } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            fill_repeated(random, field, (char *)message);
        } else {
            fill_single(random, field, (char *)message);
        }
    }
    random->depth--;
    return message;
}

ProtobufCMessage *
random_message(const ProtobufCMessageDescriptor *descriptor, uint64_t seed)
{
    struct random random = { seed, PURSE, 0 };

    return fill_message(&random, descriptor);
}
