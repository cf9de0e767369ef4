/* Values of fields in C: types, what an __INIT says, defaults.
 *
 * A default arrives as text: decimal numbers, "inf", "nan", the name of an enum
 * value, a string as it is, bytes with C escapes.  Numbers are written so that
 * they keep their value and the compiler has nothing to say: INT64_MIN by name,
 * wide ones with their macro, floating ones with enough digits.  One thread. */

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "idl/emit.h"

/* Shorter names for the types of fields; all have the same prefix. */
#define TYPE(name) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_##name

const char *
value_type(idl_pool *pool, const idl_field *field)
{
    if (field->message_type)
        return pool_format(pool, "%s *", field->message_type->c_type);
    if (field->enum_type)
        return pool_format(pool, "%s ", field->enum_type->c_type);
    if (field_is_bytes(field))
        return "ProtobufCBinaryData ";
    if (field_is_string(field))
        return field->owner->file->const_strings ? "const char *" : "char *";
    switch (field->type) {
    case TYPE(DOUBLE):
        return "double ";
    case TYPE(FLOAT):
        return "float ";
    case TYPE(BOOL):
        return "protobuf_c_boolean ";
    case TYPE(INT64):
    case TYPE(SINT64):
    case TYPE(SFIXED64):
        return "int64_t ";
    case TYPE(UINT64):
    case TYPE(FIXED64):
        return "uint64_t ";
    case TYPE(UINT32):
    case TYPE(FIXED32):
        return "uint32_t ";
    default:
        return "int32_t ";
    }
}

static bool
is_unset(const idl_field *field)
{
    return !field->default_text || field->label == LABEL_REPEATED;
}

bool
value_has_default(const idl_field *field)
{
    return !is_unset(field) && !field_is_message(field);
}

static const char *
signed_value(idl_pool *pool, const char *text)
{
    int64_t value = strtoll(text, NULL, 10);

    if (value == INT64_MIN)
        return "INT64_MIN";
    if (value == INT32_MIN)
        return "INT32_MIN";
    if (value < INT32_MIN || value > INT32_MAX)
        return pool_format(pool, "INT64_C(%" PRId64 ")", value);
    return pool_format(pool, "%" PRId64, value);
}

static const char *
unsigned_value(idl_pool *pool, const char *text)
{
    uint64_t value = strtoull(text, NULL, 10);

    if (value == UINT64_MAX)
        return "UINT64_MAX";
    if (value > UINT32_MAX)
        return pool_format(pool, "UINT64_C(%" PRIu64 ")", value);
    return pool_format(pool, value > INT32_MAX ? "%" PRIu64 "u" : "%" PRIu64, value);
}

/* The fewest digits that read back as the same value. */
static const char *
floating_value(idl_pool *pool, const char *text, bool is_float)
{
    double value = is_float ? (double)strtof(text, NULL) : strtod(text, NULL);
    char digits[64];

    if (isnan(value))
        return "NAN";
    if (isinf(value))
        return value < 0 ? "-INFINITY" : "INFINITY";
    for (int precision = 1; precision <= DBL_DECIMAL_DIG; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (is_float ? strtof(digits, NULL) == (float)value : strtod(digits, NULL) == value)
            break;
    }
    return pool_format(pool, "%s%s%s", digits, strpbrk(digits, ".e") ? "" : ".0",
                       is_float ? "f" : "");
}

static const char *
enum_value_name(const idl_field *field)
{
    const idl_enumeration *enumeration = field->enum_type;

    for (size_t i = 0; !is_unset(field) && i < enumeration->value_count; i++)
        if (!strcmp(enumeration->values[i].name, field->default_text))
            return enumeration->values[i].c_name;
    return enumeration->values[0].c_name;
}

const char *
value_default(idl_pool *pool, const idl_field *field)
{
    const char *text = field->default_text;

    if (field->enum_type)
        return enum_value_name(field);
    switch (field->type) {
    case TYPE(DOUBLE):
        return floating_value(pool, text, false);
    case TYPE(FLOAT):
        return floating_value(pool, text, true);
    case TYPE(BOOL):
        return strcmp(text, "true") ? "0" : "1";
    case TYPE(UINT64):
    case TYPE(FIXED64):
    case TYPE(UINT32):
    case TYPE(FIXED32):
        return unsigned_value(pool, text);
    default:
        return signed_value(pool, text);
    }
}

static const char *
initial_string(idl_pool *pool, const idl_field *field)
{
    const char *constant = field->owner->file->const_strings ? "const " : "";

    if (!is_unset(field))
        return field->c_default;
    if (field->label != LABEL_NONE)
        return "NULL";
    return pool_format(pool, "(%schar *)protobuf_c_empty_string", constant);
}

const char *
value_initial(idl_pool *pool, const idl_field *field)
{
    size_t length;

    if (field->label == LABEL_REPEATED || field_is_message(field))
        return "NULL";
    if (field_is_bytes(field) && is_unset(field))
        return "{ 0, NULL }";
    if (field_is_bytes(field)) {
        value_default_bytes(pool, field, &length);
        return pool_format(pool, "{ %zu, %s_data }", length, field->c_default);
    }
    if (field_is_string(field))
        return initial_string(pool, field);
    if (field->enum_type)
        return enum_value_name(field);
    return is_unset(field) ? "0" : value_default(pool, field);
}

static unsigned char
octal(const char **text)
{
    unsigned value = 0;

    for (int i = 0; i < 3 && **text >= '0' && **text <= '7'; i++)
        value = 8 * value + (unsigned)(*(*text)++ - '0');
    return (unsigned char)value;
}

/* One escape; `text` stands behind the backslash.  protoc writes no others. */
static char
unescape(const char **text)
{
    static const char names[] = "n\nr\rt\t";
    char c = **text;

    if (c >= '0' && c <= '7')
        return (char)octal(text);
    (*text)++;
    for (const char *name = names; *name; name += 2)
        if (*name == c)
            return name[1];
    return c;
}

const char *
value_default_bytes(idl_pool *pool, const idl_field *field, size_t *ret_length)
{
    const char *text = field->default_text;
    char *bytes = pool_alloc(pool, strlen(text) + 1);
    size_t n = 0;

    if (field->type == TYPE(STRING)) {
        *ret_length = field->default_length;
        return text;
    }
    while (*text) {
        char c = *text++;

        bytes[n++] = c == '\\' && *text ? unescape(&text) : c;
    }
    *ret_length = n;
    return bytes;
}

bool
value_needs_math(const idl_field *field)
{
    if ((field->type != TYPE(DOUBLE) && field->type != TYPE(FLOAT)) || is_unset(field))
        return false;
    return !isfinite(field->type == TYPE(FLOAT) ? (double)strtof(field->default_text, NULL)
                                                : strtod(field->default_text, NULL));
}
