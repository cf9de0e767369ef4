/* The rows of the SQLite store, from values and back.
 *
 * Every row ends with a sum of its values: SQLite's own check sees damage to its pages,
 * not to what is on them.  The sum is against rot, not against people.  The lengths are
 * checked both ways: what is written can be read again, and what is read has the size that
 * everybody relies on.
 *
 * The thread that has the store runs this.
 */

#include "server/nameserver/store_parts.h"

#include <sqlite3.h>
#include <string.h>

#define MAX_NAME 255

/* ---- sums: FNV-1a over all values of a row, each with its length in front ---- */

#define FIRST_SUM UINT64_C(14695981039346656037)

static uint64_t
add_raw(uint64_t sum, const void *data, size_t length)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < length; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(1099511628211);
    return sum;
}

static uint64_t
add_number(uint64_t sum, uint64_t number)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    return add_raw(sum, bytes, sizeof bytes);
}

static uint64_t
add_bytes(uint64_t sum, const void *data, size_t length)
{
    return add_raw(add_number(sum, length), data, length);
}

static uint64_t
sum_of_lease(const afar__stored_lease *lease)
{
    uint64_t sum = add_bytes(FIRST_SUM, lease->id, sizeof lease->id);

    sum = add_bytes(sum, lease->key, sizeof lease->key);
    sum = add_bytes(sum, lease->instance, lease->has_instance ? sizeof lease->instance : 0);
    return add_number(sum, lease->term_ms);
}

static uint64_t
sum_of_name(const afar__stored_name *name)
{
    const afar__signed *record = name->record;
    uint64_t sum = add_bytes(FIRST_SUM, name->name, strlen(name->name));

    sum = add_bytes(sum, name->lease, sizeof name->lease);
    sum = add_number(sum, name->revision);
    sum = add_bytes(sum, record->record.data, record->record.len);
    sum = add_bytes(sum, record->key.data, record->key.len);
    return add_bytes(sum, record->signature.data, record->signature.len);
}

static uint64_t
sum_of_revision(uint64_t revision)
{
    return add_number(FIRST_SUM, revision);
}

/* ---- lengths ---- */

bool
afar__row_lease_fits(const afar__stored_lease *lease)
{
    return lease->term_ms > 0 && lease->term_ms <= AFAR__MAX_LEASE_MS;
}

bool
afar__row_name_fits(const afar__stored_name *name)
{
    const afar__signed *record = name->record;
    size_t length = strlen(name->name);

    return length > 0 && length <= MAX_NAME && name->revision <= INT64_MAX &&
           record->record.len > 0 && record->record.len <= AFAR__MAX_RECORD &&
           record->key.len == AFAR__PUBLIC_BYTES && record->signature.len == AFAR__SIGNATURE_BYTES;
}

/* ---- writing ---- */

/* Fills in the values of a statement one after another; `result` is the first failure.
 * The bytes are borrowed until the statement has run. */
struct values {
    struct sqlite3_stmt *statement;
    int place;
    int result;
};

static void
put_result(struct values *values, int result)
{
    if (values->result == SQLITE_OK)
        values->result = result;
}

static void
put_bytes(struct values *values, const void *data, size_t length)
{
    put_result(values, sqlite3_bind_blob64(values->statement, ++values->place, data, length,
                                           SQLITE_STATIC));
}

static void
put_text(struct values *values, const char *text)
{
    put_result(values,
               sqlite3_bind_text(values->statement, ++values->place, text, -1, SQLITE_STATIC));
}

static void
put_number(struct values *values, uint64_t number)
{
    put_result(values, sqlite3_bind_int64(values->statement, ++values->place, (int64_t)number));
}

int
afar__row_put_lease(struct sqlite3_stmt *statement, const afar__stored_lease *lease)
{
    struct values values = { .statement = statement };

    put_bytes(&values, lease->id, sizeof lease->id);
    put_bytes(&values, lease->key, sizeof lease->key);
    if (lease->has_instance)
        put_bytes(&values, lease->instance, sizeof lease->instance);
    else
        values.place++; /* stays NULL */
    put_number(&values, lease->term_ms);
    put_number(&values, sum_of_lease(lease));
    return values.result;
}

int
afar__row_put_name(struct sqlite3_stmt *statement, const afar__stored_name *name)
{
    struct values values = { .statement = statement };
    const afar__signed *record = name->record;

    put_text(&values, name->name);
    put_bytes(&values, name->lease, sizeof name->lease);
    put_number(&values, name->revision);
    put_bytes(&values, record->record.data, record->record.len);
    put_bytes(&values, record->key.data, record->key.len);
    put_bytes(&values, record->signature.data, record->signature.len);
    put_number(&values, sum_of_name(name));
    return values.result;
}

int
afar__row_put_name_key(struct sqlite3_stmt *statement, const char *name)
{
    struct values values = { .statement = statement };

    put_text(&values, name);
    return values.result;
}

int
afar__row_put_lease_key(struct sqlite3_stmt *statement, const uint8_t id[AFAR__LEASE_BYTES])
{
    struct values values = { .statement = statement };

    put_bytes(&values, id, AFAR__LEASE_BYTES);
    return values.result;
}

int
afar__row_put_revision(struct sqlite3_stmt *statement, uint64_t revision)
{
    struct values values = { .statement = statement };

    put_number(&values, revision);
    put_number(&values, sum_of_revision(revision));
    return values.result;
}

/* ---- reading ---- */

/* The bytes of a column, which live until the next step. */
static ProtobufCBinaryData
bytes_of(struct sqlite3_stmt *statement, int column)
{
    /* In this order: asking for the bytes may change the length. */
    const void *data = sqlite3_column_blob(statement, column);
    int length = sqlite3_column_bytes(statement, column);

    return (ProtobufCBinaryData){ .data = (uint8_t *)(uintptr_t)data, .len = (size_t)length };
}

static bool
copy_bytes(struct sqlite3_stmt *statement, int column, void *to, size_t length)
{
    ProtobufCBinaryData bytes = bytes_of(statement, column);

    if (bytes.len != length)
        return false;
    memcpy(to, bytes.data, length);
    return true;
}

static bool
sum_is(struct sqlite3_stmt *statement, int column, uint64_t sum)
{
    return (uint64_t)sqlite3_column_int64(statement, column) == sum;
}

bool
afar__row_read_lease(struct sqlite3_stmt *row, afar__stored_lease *lease)
{
    int64_t term_ms = sqlite3_column_int64(row, 3);

    memset(lease, 0, sizeof *lease);
    lease->has_instance = sqlite3_column_type(row, 2) != SQLITE_NULL;
    if (!copy_bytes(row, 0, lease->id, sizeof lease->id) ||
        !copy_bytes(row, 1, lease->key, sizeof lease->key) ||
        (lease->has_instance && !copy_bytes(row, 2, lease->instance, sizeof lease->instance)) ||
        term_ms < 0 || term_ms > AFAR__MAX_LEASE_MS)
        return false;
    lease->term_ms = (uint32_t)term_ms;
    return afar__row_lease_fits(lease) && sum_is(row, 4, sum_of_lease(lease));
}

/* `record` is what the name points to; its bytes are the row's. */
bool
afar__row_read_name(struct sqlite3_stmt *row, afar__signed *record, afar__stored_name *name)
{
    afar__signed empty = AFAR__NAMES__V1__SIGNED_RECORD__INIT;
    const char *text = (const char *)sqlite3_column_text(row, 0);

    if (!text || strlen(text) != (size_t)sqlite3_column_bytes(row, 0) ||
        !copy_bytes(row, 1, name->lease, sizeof name->lease))
        return false;
    *record = empty;
    record->record = bytes_of(row, 3);
    record->key = bytes_of(row, 4);
    record->signature = bytes_of(row, 5);
    name->name = text;
    name->revision = (uint64_t)sqlite3_column_int64(row, 2);
    name->record = record;
    return afar__row_name_fits(name) && sum_is(row, 6, sum_of_name(name));
}

bool
afar__row_read_revision(struct sqlite3_stmt *row, uint64_t *ret_revision)
{
    uint64_t revision = (uint64_t)sqlite3_column_int64(row, 0);

    if (revision > INT64_MAX || !sum_is(row, 1, sum_of_revision(revision)))
        return false;
    *ret_revision = revision;
    return true;
}
