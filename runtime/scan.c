/* The scan: one pass over the bytes of a message with the descriptors at hand.
 *
 * protobuf-c trusts what it reads.  It recurses as deep as the message says, takes
 * what memory it is asked to, checks no UTF-8, merges a sub-message that comes
 * twice in quadratic time, and says of a message that it refuses only that it is
 * wrong.  So nothing reaches it that has not passed here, and whatever passes it
 * accepts, but for required fields that are missing (afar__scan_explain).
 *
 * The scan allocates nothing, recurses at most max_depth times, and looks at no
 * byte twice, except as said at occurs_before.  It also finds what the message will
 * take in memory, to the piece, so that a message that would grow too large is
 * refused before it does and one malloc is enough for the others.
 *
 * A singular message field that comes twice is legal protobuf and means that the
 * two are merged.  No encoder writes that.  protobuf-c 1.4 gets it wrong: it loses
 * scalars of proto3 and fails when the same oneof is unset in both.  A message that
 * would be read wrongly is refused.
 *
 * It runs for every message received, on the thread that decodes.
 */

#include "runtime/scan.h"

#include <stdbool.h>
#include <string.h>

#include "runtime/utf8.h"
#include "runtime/wire.h"

/* How the values of a ProtobufCType travel, and what one takes in an array. */
static const struct trait {
    uint8_t wire;
    uint8_t size;
} traits[] = {
    [PROTOBUF_C_TYPE_INT32] = { AFAR__WIRE_VARINT, sizeof(int32_t) },
    [PROTOBUF_C_TYPE_SINT32] = { AFAR__WIRE_VARINT, sizeof(int32_t) },
    [PROTOBUF_C_TYPE_SFIXED32] = { AFAR__WIRE_32, sizeof(int32_t) },
    [PROTOBUF_C_TYPE_INT64] = { AFAR__WIRE_VARINT, sizeof(int64_t) },
    [PROTOBUF_C_TYPE_SINT64] = { AFAR__WIRE_VARINT, sizeof(int64_t) },
    [PROTOBUF_C_TYPE_SFIXED64] = { AFAR__WIRE_64, sizeof(int64_t) },
    [PROTOBUF_C_TYPE_UINT32] = { AFAR__WIRE_VARINT, sizeof(uint32_t) },
    [PROTOBUF_C_TYPE_FIXED32] = { AFAR__WIRE_32, sizeof(uint32_t) },
    [PROTOBUF_C_TYPE_UINT64] = { AFAR__WIRE_VARINT, sizeof(uint64_t) },
    [PROTOBUF_C_TYPE_FIXED64] = { AFAR__WIRE_64, sizeof(uint64_t) },
    [PROTOBUF_C_TYPE_FLOAT] = { AFAR__WIRE_32, sizeof(float) },
    [PROTOBUF_C_TYPE_DOUBLE] = { AFAR__WIRE_64, sizeof(double) },
    [PROTOBUF_C_TYPE_BOOL] = { AFAR__WIRE_VARINT, sizeof(protobuf_c_boolean) },
    [PROTOBUF_C_TYPE_ENUM] = { AFAR__WIRE_VARINT, sizeof(int32_t) },
    [PROTOBUF_C_TYPE_STRING] = { AFAR__WIRE_LENGTH, sizeof(char *) },
    [PROTOBUF_C_TYPE_BYTES] = { AFAR__WIRE_LENGTH, sizeof(ProtobufCBinaryData) },
    [PROTOBUF_C_TYPE_MESSAGE] = { AFAR__WIRE_LENGTH, sizeof(void *) },
};

/* protobuf-c keeps this many bits of "required and seen" on its stack. */
#define STACK_BITMAP_FIELDS 128

struct scanner {
    const uint8_t *start; /* of the outermost message: offsets count from here */
    const afar_message_limits *limits;
    afar__scan_cost cost;
    afar_error *err;
};

/* One message of those that lie within each other. */
struct frame {
    const ProtobufCMessageDescriptor *type;
    const uint8_t *begin;
    const uint8_t *here;                   /* the tag of the field at hand */
    const uint8_t *end;                    /* of the message */
    const ProtobufCFieldDescriptor *field; /* the last one found */
    uint64_t seen;                         /* singular messages, by index modulo 64 */
    unsigned depth;                        /* 0 for the outermost */
};

static afar_code
scan_message(struct scanner *scanner, const ProtobufCMessageDescriptor *type, const uint8_t *data,
             size_t length, unsigned depth);

static size_t
round_up(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

/* ---- errors ---- */

static const char *
type_name(const ProtobufCMessageDescriptor *type)
{
    return type->name && *type->name ? type->name : "a message";
}

/* Descriptors have no names when the file says optimize_for = CODE_SIZE. */
static afar_code
refuse(const struct scanner *scanner, const struct frame *frame,
       const ProtobufCFieldDescriptor *field, uint32_t number, const uint8_t *at, const char *what)
{
    const char *type = type_name(frame->type);
    size_t offset = (size_t)(at - scanner->start);

    if (field && field->name)
        return afar_fail(scanner->err, AFAR_INTERNAL, "%s.%s at byte %zu: %s", type, field->name,
                         offset, what);
    if (number != 0)
        return afar_fail(scanner->err, AFAR_INTERNAL, "field %u of %s at byte %zu: %s",
                         (unsigned)number, type, offset, what);
    return afar_fail(scanner->err, AFAR_INTERNAL, "%s at byte %zu: %s", type, offset, what);
}

static afar_code
refuse_field(const struct scanner *scanner, const struct frame *frame, const uint8_t *at,
             const char *what)
{
    return refuse(scanner, frame, frame->field, frame->field->id, at, what);
}

static afar_code
refuse_memory(const struct scanner *scanner, const struct frame *frame)
{
    return afar_fail(scanner->err, AFAR_RESOURCE_EXHAUSTED,
                     "%s at byte %zu: takes more than %zu bytes in memory (max_memory)",
                     type_name(frame->type), (size_t)(frame->here - scanner->start),
                     scanner->limits->max_memory);
}

/* ---- fields ---- */

/* The field with that number, or NULL.  Senders write fields in order, so it is
 * mostly the last one again or the one behind it. */
static const ProtobufCFieldDescriptor *
find_field(const struct frame *frame, uint32_t number)
{
    const ProtobufCMessageDescriptor *type = frame->type;
    const ProtobufCFieldDescriptor *guess = frame->field;

    if (guess && guess->id == number)
        return guess;
    guess = guess ? guess + 1 : type->fields;
    if ((size_t)(guess - type->fields) < type->n_fields && guess->id == number)
        return guess;
    return protobuf_c_message_descriptor_get_field(type, number);
}

/* Whether the field at hand was in this message before.  Slow, so it is asked only
 * when the bit of the field is set already: for a second time, which is refused,
 * or in types of more than 64 fields. */
static bool
occurs_before(const struct frame *frame)
{
    const uint8_t *at = frame->begin;
    afar__wire_field wire;

    while (at < frame->here && !afar__wire_read(&at, frame->end, &wire))
        if (wire.number == frame->field->id)
            return true;
    return false;
}

static afar_code
scan_submessage(struct scanner *scanner, struct frame *frame, const afar__wire_field *wire)
{
    const ProtobufCFieldDescriptor *field = frame->field;

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        uint64_t bit = (uint64_t)1 << ((size_t)(field - frame->type->fields) % 64);

        if (frame->seen & bit && occurs_before(frame))
            return refuse_field(scanner, frame, frame->here,
                                "comes twice, and merging messages is not supported");
        frame->seen |= bit;
    }
    if (frame->depth >= scanner->limits->max_depth)
        return afar_fail(scanner->err, AFAR_RESOURCE_EXHAUSTED,
                         "%s at byte %zu: more than %u messages within messages (max_depth)",
                         type_name(frame->type), (size_t)(frame->here - scanner->start),
                         scanner->limits->max_depth);
    return scan_message(scanner, field->descriptor, wire->data, wire->length, frame->depth + 1);
}

/* Counts packed varints.  Eight bytes at a time while all are whole numbers. */
static afar_code
scan_packed_varints(const struct scanner *scanner, const struct frame *frame,
                    const afar__wire_field *wire, size_t *ret_count)
{
    const uint8_t *at = wire->data, *end = wire->data + wire->length;
    size_t count = 0;

    while (at < end) {
        uint64_t value;
        const uint8_t *behind;

        if (end - at >= 8) {
            memcpy(&value, at, sizeof value);
            if ((value & 0x8080808080808080u) == 0) {
                at += 8;
                count += 8;
                continue;
            }
        }
        behind = afar__wire_varint(at, end, &value);
        if (!behind)
            return refuse_field(scanner, frame, at, "a packed varint without end");
        at = behind;
        count++;
    }
    *ret_count = count;
    return AFAR_OK;
}

/* For packed bools protobuf-c takes room by the byte, although one may have more. */
static afar_code
scan_packed(struct scanner *scanner, const struct frame *frame, const afar__wire_field *wire)
{
    const ProtobufCFieldDescriptor *field = frame->field;
    const struct trait *trait = &traits[field->type];
    size_t count = wire->length / trait->size;
    afar_code code = AFAR_OK;

    if (trait->wire == AFAR__WIRE_VARINT)
        code = scan_packed_varints(scanner, frame, wire, &count);
    else if (wire->length % trait->size != 0)
        code = refuse_field(scanner, frame, frame->here, "a packed length with a rest");
    if (field->type == PROTOBUF_C_TYPE_BOOL)
        count = wire->length;
    scanner->cost.memory += count * trait->size;
    return code;
}

static afar_code
scan_string(struct scanner *scanner, const struct frame *frame, const afar__wire_field *wire)
{
    size_t good = afar__utf8_span(wire->data, wire->length);

    if (good < wire->length)
        return refuse_field(scanner, frame, wire->data + good,
                            wire->data[good] == 0 ? "a 0 byte in a string" : "not UTF-8");
    scanner->cost.memory += round_up(wire->length + 1);
    return AFAR_OK;
}

/* A field that the type has; frame->field is it. */
static afar_code
scan_known(struct scanner *scanner, struct frame *frame, const afar__wire_field *wire)
{
    const ProtobufCFieldDescriptor *field = frame->field;
    const struct trait *trait = &traits[field->type];

    if (wire->type != trait->wire) {
        if (wire->type == AFAR__WIRE_LENGTH && field->label == PROTOBUF_C_LABEL_REPEATED)
            return scan_packed(scanner, frame, wire);
        return refuse_field(scanner, frame, frame->here, "its wire type is that of another type");
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        scanner->cost.memory += trait->size;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return scan_string(scanner, frame, wire);
    case PROTOBUF_C_TYPE_BYTES:
        scanner->cost.memory += round_up(wire->length);
        return AFAR_OK;
    case PROTOBUF_C_TYPE_MESSAGE:
        return scan_submessage(scanner, frame, wire);
    default:
        return AFAR_OK;
    }
}

/* protobuf-c keeps a field that it does not know with its length in front. */
static void
count_unknown(struct scanner *scanner, const afar__wire_field *wire)
{
    scanner->cost.memory += round_up(sizeof(ProtobufCMessageUnknownField));
    scanner->cost.memory += round_up(wire->length + AFAR__WIRE_TAG_MAX);
}

static afar_code
scan_field(struct scanner *scanner, struct frame *frame, const afar__wire_field *wire)
{
    const ProtobufCFieldDescriptor *field = find_field(frame, wire->number);

    if (!field) {
        count_unknown(scanner, wire);
        return AFAR_OK;
    }
    /* An array is one piece; what it is rounded up by counts where a run begins. */
    if (field != frame->field && field->label == PROTOBUF_C_LABEL_REPEATED)
        scanner->cost.memory += 15;
    frame->field = field;
    return scan_known(scanner, frame, wire);
}

static afar_code
scan_message(struct scanner *scanner, const ProtobufCMessageDescriptor *type, const uint8_t *data,
             size_t length, unsigned depth)
{
    struct frame frame = {
        .type = type, .begin = data, .here = data, .end = data + length, .depth = depth
    };
    const uint8_t *at = data;
    size_t fields = 0;

    scanner->cost.memory += round_up(type->sizeof_message);
    if (type->n_fields > STACK_BITMAP_FIELDS)
        scanner->cost.memory += round_up((type->n_fields + 7) / 8);
    if (scanner->cost.memory > scanner->limits->max_memory)
        return refuse_memory(scanner, &frame);
    while (at < frame.end) {
        afar__wire_field wire;
        const char *wrong;
        afar_code code;

        frame.here = at;
        wrong = afar__wire_read(&at, frame.end, &wire);
        if (wrong)
            return refuse(scanner, &frame, wire.number ? find_field(&frame, wire.number) : NULL,
                          wire.number, frame.here, wrong);
        code = scan_field(scanner, &frame, &wire);
        if (code)
            return code;
        if (scanner->cost.memory > scanner->limits->max_memory)
            return refuse_memory(scanner, &frame);
        fields++;
    }
    if (fields > scanner->cost.fields)
        scanner->cost.fields = fields;
    return AFAR_OK;
}

afar_code
afar__scan(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
           const afar_message_limits *limits, afar__scan_cost *ret_cost, afar_error *err)
{
    struct scanner scanner = { .start = data, .limits = limits, .err = err };
    afar_code code;

    if (length > limits->max_bytes || length > INT32_MAX)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "%s has %zu bytes, more than %zu (max_bytes)", type_name(type), length,
                         limits->max_bytes < INT32_MAX ? limits->max_bytes : (size_t)INT32_MAX);
    code = scan_message(&scanner, type, data, length, 0);
    if (code == AFAR_OK)
        *ret_cost = scanner.cost;
    return code;
}

/* ---- what protobuf-c refuses all the same ---- */

static bool
has_field(const uint8_t *at, const uint8_t *end, uint32_t number)
{
    afar__wire_field wire;

    while (at < end && !afar__wire_read(&at, end, &wire))
        if (wire.number == number)
            return true;
    return false;
}

/* Fails for the first required field that is missing, here or further in.  One that
 * has a default may be missing: protobuf-c does not mind. */
static afar_code
explain_missing(const ProtobufCMessageDescriptor *type, const uint8_t *at, const uint8_t *end,
                afar_error *err)
{
    afar__wire_field wire;

    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];

        if (field->label == PROTOBUF_C_LABEL_REQUIRED && !field->default_value &&
            !has_field(at, end, field->id))
            return afar_fail(err, AFAR_INTERNAL, "%s: the required field %s (%u) is missing",
                             type_name(type), field->name ? field->name : "without a name",
                             (unsigned)field->id);
    }
    while (at < end && !afar__wire_read(&at, end, &wire)) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(type, wire.number);
        afar_code code = AFAR_OK;

        if (field && field->type == PROTOBUF_C_TYPE_MESSAGE && wire.type == AFAR__WIRE_LENGTH)
            code = explain_missing(field->descriptor, wire.data, wire.data + wire.length, err);
        if (code)
            return code;
    }
    return AFAR_OK;
}

afar_code
afar__scan_explain(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
                   afar_error *err)
{
    afar_code code = explain_missing(type, data, data + length, err);

    return code ? code : afar_fail(err, AFAR_INTERNAL, "%s cannot be read", type_name(type));
}
