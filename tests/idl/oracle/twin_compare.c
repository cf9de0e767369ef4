/* Compares what two code generators say about a message or an enum: each member
 * of the descriptors, the tables behind them, the defaults, and the messages that
 * their initialisers make.  Nothing is left to one side: where the tables of the
 * two have different lengths, that is the difference reported, and only what both
 * have is looked into. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "twin.h"

#define NUMBER(where, what, is, should)                                                            \
    compare_numbers(where, what, (intmax_t)(is), (intmax_t)(should))

static int
compare_numbers(const char *where, const char *what, intmax_t is, intmax_t should)
{
    if (is != should)
        differ(where, "%s is %" PRIdMAX ", should be %" PRIdMAX, what, is, should);
    return is == should;
}

static void
compare_strings(const char *where, const char *what, const char *is, const char *should)
{
    if (!is != !should || (is && strcmp(is, should) != 0))
        differ(where, "%s is \"%s\", should be \"%s\"", what, is ? is : "(NULL)",
               should ? should : "(NULL)");
}

static void
compare_symbols(const char *where, const char *what, const void *is, const void *should)
{
    if (strcmp(symbol_at(is), symbol_at(should)) != 0)
        differ(where, "%s is %s, should be %s", what, symbol_at(is), symbol_at(should));
}

/* A null pointer must meet a null pointer. */
static int
compare_presence(const char *where, const char *what, const void *is, const void *should)
{
    if (!is != !should)
        differ(where, "%s is %s, should %sbe NULL", what, is ? "there" : "NULL", is ? "" : "not ");
    return is && should;
}

static void
compare_ranges(const char *where, unsigned n, const ProtobufCIntRange *is,
               const ProtobufCIntRange *should)
{
    char what[64];

    if (!compare_presence(where, "its table of ranges", is, should))
        return;
    /* One more closes the table. */
    for (unsigned i = 0; i <= n; i++) {
        snprintf(what, sizeof what, "start_value of range %u", i);
        NUMBER(where, what, is[i].start_value, should[i].start_value);
        snprintf(what, sizeof what, "orig_index of range %u", i);
        NUMBER(where, what, is[i].orig_index, should[i].orig_index);
    }
}

/* ---- fields ---- */

static void
compare_binary(const char *where, const char *what, const ProtobufCBinaryData *is,
               const ProtobufCBinaryData *should)
{
    if (!NUMBER(where, what, is->len, should->len))
        return;
    if (is->len && (!is->data || !should->data || memcmp(is->data, should->data, is->len) != 0))
        differ(where, "%s has other bytes", what);
}

/* One value of a field of that type; sub-messages are compared by presence. */
static void
compare_values(const char *where, const char *what, ProtobufCType type, const void *is,
               const void *should)
{
    if (type == PROTOBUF_C_TYPE_STRING)
        compare_strings(where, what, *(char *const *)is, *(char *const *)should);
    else if (type == PROTOBUF_C_TYPE_BYTES)
        compare_binary(where, what, is, should);
    else if (type == PROTOBUF_C_TYPE_MESSAGE)
        compare_presence(where, what, *(void *const *)is, *(void *const *)should);
    else if (memcmp(is, should, size_of_type(type)) != 0)
        differ(where, "%s has another value", what);
}

static void
compare_defaults(const char *where, const ProtobufCFieldDescriptor *is,
                 const ProtobufCFieldDescriptor *should)
{
    if (!compare_presence(where, "default_value", is->default_value, should->default_value))
        return;
    if (is->type == PROTOBUF_C_TYPE_STRING) {
        compare_strings(where, "default_value", is->default_value, should->default_value);
        compare_symbols(where, "the symbol of default_value", is->default_value,
                        should->default_value);
    } else {
        compare_values(where, "default_value", is->type, is->default_value, should->default_value);
    }
}

static void
compare_fields(const char *message, const ProtobufCFieldDescriptor *is,
               const ProtobufCFieldDescriptor *should)
{
    char where[1024];

    snprintf(where, sizeof where, "%s field %" PRIu32 " (%s)", message, should->id,
             should->name ? should->name : "no name");
    compare_strings(where, "name", is->name, should->name);
    NUMBER(where, "id", is->id, should->id);
    NUMBER(where, "label", is->label, should->label);
    NUMBER(where, "quantifier_offset", is->quantifier_offset, should->quantifier_offset);
    NUMBER(where, "offset", is->offset, should->offset);
    compare_symbols(where, "descriptor", is->descriptor, should->descriptor);
    NUMBER(where, "flags", is->flags, should->flags);
    NUMBER(where, "reserved_flags", is->reserved_flags, should->reserved_flags);
    compare_presence(where, "reserved2", is->reserved2, should->reserved2);
    compare_presence(where, "reserved3", is->reserved3, should->reserved3);
    if (NUMBER(where, "type", is->type, should->type))
        compare_defaults(where, is, should);
}

/* ---- messages ---- */

static void
compare_field_tables(const char *where, const ProtobufCMessageDescriptor *is,
                     const ProtobufCMessageDescriptor *should)
{
    char what[64];

    if (!NUMBER(where, "n_fields", is->n_fields, should->n_fields))
        return;
    for (unsigned i = 0; i < is->n_fields; i++)
        compare_fields(where, &is->fields[i], &should->fields[i]);
    if (!compare_presence(where, "fields_sorted_by_name", is->fields_sorted_by_name,
                          should->fields_sorted_by_name))
        return;
    for (unsigned i = 0; i < is->n_fields; i++) {
        snprintf(what, sizeof what, "fields_sorted_by_name[%u]", i);
        NUMBER(where, what, is->fields_sorted_by_name[i], should->fields_sorted_by_name[i]);
    }
}

void
compare_message_descriptors(const ProtobufCMessageDescriptor *should,
                            const ProtobufCMessageDescriptor *is, const char *symbol)
{
    compare_strings(symbol, "name", is->name, should->name);
    compare_strings(symbol, "short_name", is->short_name, should->short_name);
    compare_strings(symbol, "c_name", is->c_name, should->c_name);
    compare_strings(symbol, "package_name", is->package_name, should->package_name);
    NUMBER(symbol, "sizeof_message", is->sizeof_message, should->sizeof_message);
    compare_presence(symbol, "fields", is->fields, should->fields);
    compare_field_tables(symbol, is, should);
    if (NUMBER(symbol, "n_field_ranges", is->n_field_ranges, should->n_field_ranges))
        compare_ranges(symbol, is->n_field_ranges, is->field_ranges, should->field_ranges);
    /* Without one libprotobuf-c crashes on some messages: a private one is better. */
    if (should->message_init)
        compare_symbols(symbol, "message_init", (const void *)(uintptr_t)is->message_init,
                        (const void *)(uintptr_t)should->message_init);
    compare_presence(symbol, "reserved1", is->reserved1, should->reserved1);
    compare_presence(symbol, "reserved2", is->reserved2, should->reserved2);
    compare_presence(symbol, "reserved3", is->reserved3, should->reserved3);
}

/* ---- fresh messages ---- */

static size_t
size_of_quantifier(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED ? sizeof(size_t) : sizeof(protobuf_c_boolean);
}

void
compare_fresh_messages(const ProtobufCMessage *should, const ProtobufCMessage *is,
                       const char *symbol, const char *what)
{
    const ProtobufCMessageDescriptor *descriptor = should->descriptor;
    char where[1024];

    snprintf(where, sizeof where, "%s, as made by %s", symbol, what);
    compare_symbols(where, "descriptor", is->descriptor, descriptor);
    NUMBER(where, "n_unknown_fields", is->n_unknown_fields, should->n_unknown_fields);
    compare_presence(where, "unknown_fields", is->unknown_fields, should->unknown_fields);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const char *in_should = (const char *)should + field->offset;
        const char *in_is = (const char *)is + field->offset;
        size_t quantifier = field->quantifier_offset;

        snprintf(where, sizeof where, "%s field %" PRIu32 " (%s), as made by %s", symbol, field->id,
                 field->name ? field->name : "no name", what);
        if (quantifier && memcmp((const char *)should + quantifier, (const char *)is + quantifier,
                                 size_of_quantifier(field)) != 0)
            differ(where, "its quantifier has another value");
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
            continue; /* the union is empty */
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            compare_presence(where, "its array", *(void *const *)in_is, *(void *const *)in_should);
        else
            compare_values(where, "its value", field->type, in_is, in_should);
    }
}

/* ---- enums ---- */

static void
compare_enum_values(const char *symbol, const ProtobufCEnumDescriptor *is,
                    const ProtobufCEnumDescriptor *should)
{
    char where[1024];

    if (!NUMBER(symbol, "n_values", is->n_values, should->n_values))
        return;
    for (unsigned i = 0; i < is->n_values; i++) {
        snprintf(where, sizeof where, "%s value %u", symbol, i);
        compare_strings(where, "name", is->values[i].name, should->values[i].name);
        compare_strings(where, "c_name", is->values[i].c_name, should->values[i].c_name);
        NUMBER(where, "value", is->values[i].value, should->values[i].value);
    }
}

static void
compare_enum_names(const char *symbol, const ProtobufCEnumDescriptor *is,
                   const ProtobufCEnumDescriptor *should)
{
    char where[1024];

    if (!NUMBER(symbol, "n_value_names", is->n_value_names, should->n_value_names) ||
        !compare_presence(symbol, "values_by_name", is->values_by_name, should->values_by_name))
        return;
    for (unsigned i = 0; i < is->n_value_names; i++) {
        snprintf(where, sizeof where, "%s values_by_name[%u]", symbol, i);
        compare_strings(where, "name", is->values_by_name[i].name, should->values_by_name[i].name);
        NUMBER(where, "index", is->values_by_name[i].index, should->values_by_name[i].index);
    }
}

void
compare_enum_descriptors(const ProtobufCEnumDescriptor *should, const ProtobufCEnumDescriptor *is,
                         const char *symbol)
{
    compare_strings(symbol, "name", is->name, should->name);
    compare_strings(symbol, "short_name", is->short_name, should->short_name);
    compare_strings(symbol, "c_name", is->c_name, should->c_name);
    compare_strings(symbol, "package_name", is->package_name, should->package_name);
    compare_enum_values(symbol, is, should);
    compare_enum_names(symbol, is, should);
    if (NUMBER(symbol, "n_value_ranges", is->n_value_ranges, should->n_value_ranges))
        compare_ranges(symbol, is->n_value_ranges, is->value_ranges, should->value_ranges);
    compare_presence(symbol, "reserved1", is->reserved1, should->reserved1);
    compare_presence(symbol, "reserved2", is->reserved2, should->reserved2);
    compare_presence(symbol, "reserved3", is->reserved3, should->reserved3);
    compare_presence(symbol, "reserved4", is->reserved4, should->reserved4);
}
