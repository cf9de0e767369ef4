/* Prints messages as text, found by number and not by name, so that it works for
 * descriptors without names too:
 *
 *     {1=-5;2=x616263;3=[1,0];4={1=d3ff8000000000000;};}
 *
 * Strings and bytes are `x` and hexadecimal, reals `f` or `d` and their bits, all
 * else decimal.  A field is there if it would be sent: absent ones, and zeros
 * without presence, are not.  wire.py prints the same for the same message. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "twin.h"

size_t
size_of_type(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(double);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(char *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(ProtobufCMessage *);
    default:
        return sizeof(uint32_t);
    }
}

static void
print_hex(const void *data, size_t len)
{
    const uint8_t *bytes = data;

    putchar('x');
    for (size_t i = 0; i < len; i++)
        printf("%02x", bytes[i]);
}

static void
print_number(ProtobufCType type, const void *member)
{
    uint32_t narrow = 0;
    uint64_t wide = 0;

    if (size_of_type(type) == sizeof wide)
        memcpy(&wide, member, sizeof wide);
    else
        memcpy(&narrow, member, sizeof narrow);
    switch (type) {
    case PROTOBUF_C_TYPE_FLOAT:
        printf("f%08" PRIx32, narrow);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        printf("d%016" PRIx64, wide);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        printf("%" PRIu64, wide);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        printf("%" PRId64, (int64_t)wide);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        printf("%" PRIu32, narrow);
        break;
    default:
        printf("%" PRId32, (int32_t)narrow);
    }
}

static void
print_value(ProtobufCType type, const void *member)
{
    const ProtobufCBinaryData *binary = member;
    char *const *text = member;

    if (type == PROTOBUF_C_TYPE_MESSAGE)
        print_message(*(ProtobufCMessage *const *)member);
    else if (type == PROTOBUF_C_TYPE_STRING)
        print_hex(*text, strlen(*text));
    else if (type == PROTOBUF_C_TYPE_BYTES)
        print_hex(binary->data, binary->len);
    else
        print_number(type, member);
}

static int
is_zero(ProtobufCType type, const void *member)
{
    static const char zeros[sizeof(uint64_t)];
    char *const *text = member;

    if (type == PROTOBUF_C_TYPE_STRING)
        return !*text || !**text;
    if (type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)member)->len == 0;
    return memcmp(member, zeros, size_of_type(type)) == 0;
}

static int
is_there(const ProtobufCFieldDescriptor *field, const char *message)
{
    const void *member = message + field->offset;
    uint32_t quantifier = 0;

    if (field->quantifier_offset)
        memcpy(&quantifier, message + field->quantifier_offset, sizeof quantifier);
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return quantifier == field->id;
    if (field->label == PROTOBUF_C_LABEL_REQUIRED)
        return 1;
    if (field->label == PROTOBUF_C_LABEL_NONE)
        return !is_zero(field->type, member);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_STRING)
        return *(void *const *)member && *(void *const *)member != field->default_value;
    return quantifier != 0;
}

static void
print_repeated(const ProtobufCFieldDescriptor *field, const char *message)
{
    size_t count = *(const size_t *)(const void *)(message + field->quantifier_offset);
    const char *array = *(char *const *)(const void *)(message + field->offset);
    size_t size = size_of_type(field->type);

    if (!count)
        return;
    printf("%" PRIu32 "=[", field->id);
    for (size_t i = 0; i < count; i++) {
        if (i)
            putchar(',');
        print_value(field->type, array + i * size);
    }
    fputs("];", stdout);
}

void
print_message(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;

    putchar('{');
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            print_repeated(field, (const char *)message);
        } else if (is_there(field, (const char *)message)) {
            printf("%" PRIu32 "=", field->id);
            print_value(field->type, (const char *)message + field->offset);
            putchar(';');
        }
    }
    putchar('}');
}

void
print_fields(const ProtobufCMessageDescriptor *descriptor)
{
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const void *value = field->default_value;

        printf("%s %" PRIu32 " %d %d %" PRIu32 " ", field->name ? field->name : "-", field->id,
               (int)field->label, (int)field->type, field->flags);
        if (!value)
            putchar('-');
        else if (field->type == PROTOBUF_C_TYPE_STRING)
            print_hex(value, strlen(value));
        else
            print_value(field->type, value);
        putchar('\n');
    }
}
