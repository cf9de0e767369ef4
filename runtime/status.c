/* google.rpc.Status, by hand:
 *
 *     message Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
 *     message Any    { string type_url = 1; bytes value = 2; }
 *
 * Writing goes over the fields twice, once to measure and once to write, with the
 * same code: `at` is NULL while measuring.  Strings must be UTF-8 or other readers
 * refuse the whole status, so what is not becomes '?'.
 *
 * Any thread; an error belongs to one at a time.
 */

#include "runtime/status.h"

#include <string.h>

#include "runtime/details.h"
#include "runtime/log.h"
#include "runtime/utf8.h"
#include "runtime/wire.h"

#define TYPE_PREFIX "type.googleapis.com/"
#define MOST_DETAILS 64
#define MOST_BYTES 8192

enum { STATUS_CODE = 1, STATUS_MESSAGE = 2, STATUS_DETAILS = 3 };
enum { ANY_TYPE_URL = 1, ANY_VALUE = 2 };

/* ---- writing ---- */

struct writer {
    uint8_t *at; /* NULL: only measure */
    size_t length;
};

static void
put(struct writer *writer, const void *data, size_t length)
{
    if (writer->at && length > 0) {
        memcpy(writer->at, data, length);
        writer->at += length;
    }
    writer->length += length;
}

static void
put_varint(struct writer *writer, uint64_t value)
{
    uint8_t bytes[AFAR__WIRE_VARINT_MAX];
    size_t length = 0;

    do {
        bytes[length] = (uint8_t)(value & 0x7f);
        value >>= 7;
        if (value)
            bytes[length] |= 0x80;
        length++;
    } while (value);
    put(writer, bytes, length);
}

static void
put_head(struct writer *writer, uint32_t number, size_t length)
{
    put_varint(writer, number << 3 | AFAR__WIRE_LENGTH);
    put_varint(writer, length);
}

static void
put_bytes(struct writer *writer, uint32_t number, const void *data, size_t length)
{
    put_head(writer, number, length);
    put(writer, data, length);
}

static void
put_string(struct writer *writer, uint32_t number, const char *string)
{
    const uint8_t *at = (const uint8_t *)string;
    size_t left = strlen(string);

    put_head(writer, number, left);
    while (left > 0) {
        size_t good = afar__utf8_span(at, left);

        put(writer, at, good);
        if (good < left) {
            put(writer, "?", 1);
            good++;
        }
        at += good;
        left -= good;
    }
}

static void
put_any(struct writer *writer, const afar_detail *detail)
{
    size_t type_length = strlen(detail->type);

    put_head(writer, ANY_TYPE_URL, sizeof TYPE_PREFIX - 1 + type_length);
    put(writer, TYPE_PREFIX, sizeof TYPE_PREFIX - 1);
    put(writer, detail->type, type_length);
    put_bytes(writer, ANY_VALUE, detail->data, detail->length);
}

static void
put_status(struct writer *writer, const afar_error *err)
{
    size_t count = afar_error_detail_count(err);

    put_varint(writer, STATUS_CODE << 3 | AFAR__WIRE_VARINT);
    put_varint(writer, afar_code_status(err->code));
    put_string(writer, STATUS_MESSAGE, err->message);
    for (size_t i = 0; i < count; i++) {
        afar_detail detail = afar_error_detail(err, i);
        struct writer measure = { NULL, 0 };

        put_any(&measure, &detail);
        put_head(writer, STATUS_DETAILS, measure.length);
        put_any(writer, &detail);
    }
}

afar_code
afar__status_encode(const afar_error *err, afar__arena *arena, uint8_t **ret_data,
                    size_t *ret_length)
{
    struct writer writer = { NULL, 0 };
    uint8_t *data;

    put_status(&writer, err);
    data = afar__arena_alloc(arena, writer.length);
    if (!data)
        return AFAR_RESOURCE_EXHAUSTED;
    writer = (struct writer){ data, 0 };
    put_status(&writer, err);
    *ret_data = data;
    *ret_length = writer.length;
    return AFAR_OK;
}

/* ---- reading ---- */

/* Reads one Any; returns what is wrong with it, or NULL. */
static const char *
read_any(const uint8_t *at, const uint8_t *end, afar_error *err)
{
    afar__wire_field url = { .data = at }, value = { .data = at }, field;
    const uint8_t *type;

    while (at < end) {
        const char *wrong = afar__wire_read(&at, end, &field);

        if (wrong)
            return wrong;
        if (field.type == AFAR__WIRE_LENGTH && field.number == ANY_TYPE_URL)
            url = field;
        if (field.type == AFAR__WIRE_LENGTH && field.number == ANY_VALUE)
            value = field;
    }
    if (afar__utf8_span(url.data, url.length) < url.length)
        return "its type is not UTF-8";
    type = memrchr(url.data, '/', url.length);
    type = type ? type + 1 : url.data;
    if (type == url.data + url.length)
        return "it has no type";
    if (afar__details_add(err, (const char *)type, (size_t)(url.data + url.length - type),
                          value.data, value.length, MOST_BYTES))
        return "there are more than 8 KiB of details";
    return NULL;
}

/* Reads what is well formed, up to the first mistake in Status itself. */
static const char *
read_status(const uint8_t *at, const uint8_t *end, afar_error *err)
{
    const char *fault = NULL;
    size_t count = 0;

    while (at < end) {
        afar__wire_field field;
        const char *wrong = afar__wire_read(&at, end, &field);

        if (wrong)
            return wrong;
        if (field.number != STATUS_DETAILS || field.type != AFAR__WIRE_LENGTH)
            continue;
        if (count++ == MOST_DETAILS)
            return "there are more than 64 details";
        wrong = read_any(field.data, field.data + field.length, err);
        fault = fault ? fault : wrong;
    }
    return fault;
}

void
afar__status_decode(const uint8_t *data, size_t length, afar_error *err)
{
    const char *fault = length > 0 ? read_status(data, data + length, err) : NULL;

    if (fault)
        afar__log(AFAR_LOG_WARNING, "details of the error \"%s\" were left out: %s", err->message,
                  fault);
}
