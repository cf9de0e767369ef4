/* Messages as text for a person: protobuf's text format, a field a line.
 *
 * Everything is found through the descriptors, so any protobuf-c message can be
 * printed.  It is for debugging: a message that is only half filled is printed as far
 * as it goes, and a NULL pointer is an empty value.  A reference is printed as what it
 * stands for, and without its secrets.
 *
 * The text is counted as it is written; what does not fit is only counted.
 *
 * Runs on the thread that has the message.
 */

#include <afar/message.h>

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/ref.h>

#include "runtime/utf8.h"
#include "runtime/wire.h"

#define MOST_DEPTH 100 /* a cycle of pointers ends here */

struct printer {
    char *text;
    size_t size;
    size_t length; /* of the whole text, whether or not it fits */
    unsigned depth;
};

static void
print_message(struct printer *printer, const ProtobufCMessage *message);

static void
put(struct printer *printer, const char *data, size_t length)
{
    size_t room = printer->length < printer->size ? printer->size - printer->length : 0;

    if (room > 0)
        memcpy(printer->text + printer->length, data, length < room ? length : room);
    printer->length += length;
}

AFAR_PRINTF(2, 3)
static void
put_format(struct printer *printer, const char *format, ...)
{
    char piece[64];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    if (length > 0)
        put(printer, piece, (size_t)length < sizeof piece ? (size_t)length : sizeof piece - 1);
}

static void
put_string(struct printer *printer, const char *string)
{
    put(printer, string, strlen(string));
}

/* ---- values ---- */

/* How a byte is written between quotes. */
static void
put_escaped(struct printer *printer, uint8_t byte)
{
    static const char plain[] = "\n\r\t\"\'\\", letters[] = "nrt\"\'\\";
    const char *found = byte ? strchr(plain, byte) : NULL;

    if (found)
        put_format(printer, "\\%c", letters[found - plain]);
    else if (byte < 0x20 || byte >= 0x7f)
        put_format(printer, "\\%03o", (unsigned)byte);
    else
        put_format(printer, "%c", byte);
}

/* Characters of UTF-8 stay as they are in a string. */
static void
put_quoted(struct printer *printer, const uint8_t *data, size_t length, bool is_string)
{
    put(printer, "\"", 1);
    for (size_t i = 0; data && i < length;) {
        size_t whole = 1;

        if (is_string && data[i] >= 0x80)
            while (whole < 4 && i + whole < length && (data[i + whole] & 0xc0) == 0x80)
                whole++;
        if (whole > 1 && afar__utf8_span(data + i, whole) == whole) {
            put(printer, (const char *)data + i, whole);
            i += whole;
        } else {
            put_escaped(printer, data[i++]);
        }
    }
    put(printer, "\"", 1);
}

/* The shortest of the usual forms that reads back as the same number.  The locale
 * may have put something else where the point belongs. */
static void
put_number(struct printer *printer, double value, bool is_float)
{
    int digits = is_float ? 6 : 15, most = is_float ? 9 : 17;
    char text[40];
    bool exact = false;

    if (isnan(value) || isinf(value)) {
        put_string(printer, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    for (; !exact && digits <= most; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        exact = is_float ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value;
    }
    for (const char *at = text; *at; at++) {
        if (strchr("0123456789+-e", *at))
            put(printer, at, 1);
        else if (at == text || strchr("0123456789", at[-1]))
            put(printer, ".", 1);
    }
}

static void
put_enum(struct printer *printer, const ProtobufCEnumDescriptor *type, int32_t number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);

    if (value && value->name)
        put_string(printer, value->name);
    else
        put_format(printer, "%" PRId32, number);
}

static void
put_scalar(struct printer *printer, const ProtobufCFieldDescriptor *field, const void *member)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        put_format(printer, "%" PRId32, *(const int32_t *)member);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        put_format(printer, "%" PRId64, *(const int64_t *)member);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        put_format(printer, "%" PRIu32, *(const uint32_t *)member);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        put_format(printer, "%" PRIu64, *(const uint64_t *)member);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        put_number(printer, (double)*(const float *)member, true);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        put_number(printer, *(const double *)member, false);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        put_string(printer, *(const protobuf_c_boolean *)member ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        put_enum(printer, field->descriptor, *(const int32_t *)member);
        break;
    default: /* strings, bytes and messages are not scalars */
        break;
    }
}

/* ---- fields ---- */

static void
put_indent(struct printer *printer)
{
    for (unsigned i = 0; i < printer->depth; i++)
        put(printer, "  ", 2);
}

static void
put_name(struct printer *printer, const ProtobufCFieldDescriptor *field)
{
    put_indent(printer);
    if (field->name)
        put_string(printer, field->name);
    else
        put_format(printer, "%u", (unsigned)field->id);
}

static void
put_submessage(struct printer *printer, const ProtobufCMessage *message)
{
    if (printer->depth == MOST_DEPTH) {
        put_string(printer, " { ... }\n");
        return;
    }
    put_string(printer, " {\n");
    printer->depth++;
    if (message)
        print_message(printer, message);
    printer->depth--;
    put_indent(printer);
    put_string(printer, "}\n");
}

/* One value of a field, with its name. */
static void
print_value(struct printer *printer, const ProtobufCFieldDescriptor *field, const void *member)
{
    put_name(printer, field);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        put_submessage(printer, *(ProtobufCMessage *const *)member);
        return;
    }
    put(printer, ": ", 2);
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *string = *(char *const *)member;

        put_quoted(printer, (const uint8_t *)string, string ? strlen(string) : 0, true);
    } else if (field->type == PROTOBUF_C_TYPE_BYTES) {
        const ProtobufCBinaryData *bytes = member;

        put_quoted(printer, bytes->data, bytes->len, false);
    } else {
        put_scalar(printer, field, member);
    }
    put(printer, "\n", 1);
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
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

static const void *
member_at(const ProtobufCMessage *message, unsigned offset)
{
    return (const char *)message + offset;
}

static bool
is_zero(const void *member, size_t size)
{
    static const char zeros[sizeof(ProtobufCBinaryData)];

    return memcmp(member, zeros, size) == 0;
}

/* Whether a singular field has a value that is worth a line. */
static bool
is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const void *member = member_at(message, field->offset);
    const void *quantifier = member_at(message, field->quantifier_offset);
    bool implicit = field->label == PROTOBUF_C_LABEL_NONE;

    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)quantifier == field->id;
    if (field->label == PROTOBUF_C_LABEL_REQUIRED)
        return true;
    if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const char *pointer = *(char *const *)member;

        if (!pointer || pointer == field->default_value)
            return false;
        return field->type == PROTOBUF_C_TYPE_MESSAGE || !implicit || *pointer;
    }
    if (!implicit && field->quantifier_offset != 0)
        return *(const protobuf_c_boolean *)quantifier;
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)member)->len > 0;
    return !is_zero(member, value_size(field->type));
}

static void
print_repeated(struct printer *printer, const ProtobufCMessage *message,
               const ProtobufCFieldDescriptor *field)
{
    size_t count = *(const size_t *)member_at(message, field->quantifier_offset);
    const char *array = *(char *const *)member_at(message, field->offset);

    for (size_t i = 0; array && i < count; i++)
        print_value(printer, field, array + i * value_size(field->type));
}

/* A field that the descriptor does not know: its number, and its value as far as
 * the wire tells. */
static void
print_unknown(struct printer *printer, const ProtobufCMessageUnknownField *field)
{
    afar__wire_field wire = { .type = field->wire_type };

    if (!field->data || afar__wire_body(field->data, field->data + field->len, &wire))
        return;
    put_indent(printer);
    put_format(printer, "%u: ", (unsigned)field->tag);
    if (wire.type == AFAR__WIRE_VARINT) {
        put_format(printer, "%" PRIu64, wire.value);
    } else if (wire.type == AFAR__WIRE_LENGTH) {
        put_quoted(printer, wire.data, wire.length, false);
    } else {
        put(printer, "0x", 2);
        for (size_t i = wire.length; i > 0; i--)
            put_format(printer, "%02x", wire.data[i - 1]);
    }
    put(printer, "\n", 1);
}

static void
print_text(struct printer *printer, const char *name, const char *text)
{
    put_indent(printer);
    put_string(printer, name);
    put_string(printer, ": ");
    put_quoted(printer, (const uint8_t *)text, strlen(text), true);
    put(printer, "\n", 1);
}

/* What it stands for, and where that is; the token is nobody's to read. */
static void
print_reference(struct printer *printer, const Afar__Ref *ref)
{
    const char *interface = ref->handle ? afar_object_interface(ref->handle)->name : ref->interface;

    if (interface && *interface)
        print_text(printer, "interface", interface);
    if (ref->address && *ref->address) {
        print_text(printer, "address", ref->address);
    } else if (ref->handle || ref->index) {
        put_indent(printer);
        if (ref->handle)
            put_string(printer, "address: here\n");
        else
            put_format(printer, "index: %" PRIu32 "\n", ref->index);
    }
}

static void
print_message(struct printer *printer, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;

    if (type == &afar__ref__descriptor) {
        print_reference(printer, (const Afar__Ref *)message);
        return;
    }
    for (unsigned i = 0; type && i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];

        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            print_repeated(printer, message, field);
        else if (is_set(message, field))
            print_value(printer, field, member_at(message, field->offset));
    }
    for (unsigned i = 0; message->unknown_fields && i < message->n_unknown_fields; i++)
        print_unknown(printer, &message->unknown_fields[i]);
}

size_t
afar_message_print(const ProtobufCMessage *message, char *text, size_t size)
{
    struct printer printer = { text, size, 0, 0 };

    if (message)
        print_message(&printer, message);
    if (size > 0)
        text[printer.length < size ? printer.length : size - 1] = 0;
    return printer.length;
}
