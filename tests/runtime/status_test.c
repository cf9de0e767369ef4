/* google.rpc.Status: the bytes, and reading what peers send. */

#include "runtime/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "runtime/utf8.h"

#include "bytes.h"
#include "check.h"
#include "faults.h"

static char logged[600];

static void
keep(void *arg, afar_log_level level, const char *line)
{
    (void)arg;
    CHECK_INT(level, AFAR_LOG_WARNING);
    snprintf(logged, sizeof logged, "%s", line);
}

/* ---- writing ---- */

TEST(bytes_of_a_status)
{
    afar__arena *arena = afar__arena_new(0);
    afar_error err = AFAR_ERROR_INIT;
    uint8_t *data;
    size_t length;

    afar_fail(&err, AFAR_NOT_FOUND, "no one");
    CHECK_OK(afar_error_add_detail(&err, "leaf.A", "\x01\x02", 2));
    CHECK_OK(afar_error_add_detail(&err, "leaf.B", "", 0));
    CHECK_OK(afar__status_encode(&err, arena, &data, &length));
    static const char expected[] = "\x08\x05"
                                   "\x12\x06no one"
                                   "\x1a\x20\x0a\x1atype.googleapis.com/leaf.A\x12\x02\x01\x02"
                                   "\x1a\x1e\x0a\x1atype.googleapis.com/leaf.B\x12\x00";
    CHECK_INT(length, sizeof expected - 1);
    CHECK(memcmp(data, expected, length) == 0);
    afar_error_clear(&err);
    afar__arena_free(arena);
}

TEST(code_of_ours_becomes_one_of_grpc)
{
    afar__arena *arena = afar__arena_new(0);
    afar_error err = AFAR_ERROR_INIT;
    uint8_t *data;
    size_t length;

    afar_fail(&err, AFAR_LOST, "%s", "");
    CHECK_OK(afar__status_encode(&err, arena, &data, &length));
    CHECK_INT(length, 4);
    CHECK(memcmp(data, "\x08\x0e\x12\x00", 4) == 0);
    afar__arena_free(arena);
}

/* A string that is not UTF-8 would make others refuse all of it. */
TEST(message_becomes_utf8)
{
    afar__arena *arena = afar__arena_new(0);
    afar_error err = AFAR_ERROR_INIT;
    uint8_t *data;
    size_t length;

    afar_fail(&err, AFAR_ABORTED, "\xc3\xa4 \xff\xc3 z\xed\xa0\x80");
    CHECK_OK(afar__status_encode(&err, arena, &data, &length));
    CHECK_INT(length, 4 + 10);
    CHECK(memcmp(data, "\x08\x0a\x12\x0a\xc3\xa4 ?? z???", length) == 0);
    afar__arena_free(arena);
}

/* ---- there and back ---- */

TEST(details_come_back)
{
    afar__arena *arena = afar__arena_new(0);
    afar_error err = AFAR_ERROR_INIT, back = AFAR_ERROR_INIT;
    uint8_t blob[3000], *data;
    size_t length;

    memset(blob, 0x5a, sizeof blob);
    afar_fail(&err, AFAR_ABORTED, "why");
    for (int i = 0; i < 60; i++)
        CHECK_OK(afar_error_add_detail(&err, "leaf.Small", &i, sizeof i));
    CHECK_OK(afar_error_add_detail(&err, "leaf.Large", blob, sizeof blob));
    CHECK_OK(afar__status_encode(&err, arena, &data, &length));
    afar_fail(&back, AFAR_ABORTED, "why");
    afar__status_decode(data, length, &back);
    CHECK_STR(back.message, "why");
    CHECK_INT(afar_error_detail_count(&back), 61);
    for (int i = 0; i < 60; i++) {
        CHECK_STR(afar_error_detail(&back, (size_t)i).type, "leaf.Small");
        CHECK(memcmp(afar_error_detail(&back, (size_t)i).data, &i, sizeof i) == 0);
    }
    CHECK_INT(afar_error_detail(&back, 60).length, sizeof blob);
    CHECK(memcmp(afar_error_detail(&back, 60).data, blob, sizeof blob) == 0);
    afar_error_clear(&err);
    afar_error_clear(&back);
    afar__arena_free(arena);
}

/* ---- reading ---- */

/* A detail with that type_url and value. */
static void
add_any(struct bytes *status, const char *type_url, const char *value)
{
    struct bytes any = BYTES_INIT;

    if (type_url)
        bytes_string(&any, 1, type_url);
    if (value)
        bytes_string(&any, 2, value);
    bytes_message(status, 3, &any);
    bytes_clear(&any);
}

/* Reads a status; the log has said `fault`, or nothing for NULL. */
static void
read_status(struct bytes *bytes, afar_error *err, const char *fault)
{
    char expected[256] = "";

    logged[0] = 0;
    afar_log_set(keep, NULL, AFAR_LOG_WARNING);
    afar_fail(err, AFAR_ABORTED, "why");
    afar__status_decode(bytes->data, bytes->length, err);
    if (fault)
        snprintf(expected, sizeof expected, "details of the error \"why\" were left out: %s",
                 fault);
    CHECK_STR(logged, expected);
    CHECK_INT(err->code, AFAR_ABORTED);
    CHECK_STR(err->message, "why");
    bytes_clear(bytes);
}

TEST(type_is_behind_the_last_slash)
{
    struct bytes bytes = BYTES_INIT;
    afar_error err = AFAR_ERROR_INIT;

    add_any(&bytes, "type.googleapis.com/leaf.A", "1");
    add_any(&bytes, "https://example.com/a/b/leaf.B", "2");
    add_any(&bytes, "leaf.C", NULL);
    add_any(&bytes, "/leaf.D", "4");
    read_status(&bytes, &err, NULL);
    CHECK_INT(afar_error_detail_count(&err), 4);
    CHECK_STR(afar_error_detail(&err, 0).type, "leaf.A");
    CHECK_STR(afar_error_detail(&err, 1).type, "leaf.B");
    CHECK_STR(afar_error_detail(&err, 2).type, "leaf.C");
    CHECK_INT(afar_error_detail(&err, 2).length, 0);
    CHECK_STR(afar_error_detail(&err, 3).type, "leaf.D");
    afar_error_clear(&err);
}

TEST(unknown_fields_are_passed_over)
{
    struct bytes bytes = BYTES_INIT, any = BYTES_INIT;
    afar_error err = AFAR_ERROR_INIT;

    bytes_number(&bytes, 1, 5);
    bytes_string(&bytes, 2, "another message");
    bytes_number(&bytes, 3, 5); /* the number of the details, as a varint */
    bytes_number(&bytes, 99, 5);
    bytes_string(&any, 1, "leaf.Old");
    bytes_string(&any, 1, "leaf.A"); /* the last one counts */
    bytes_number(&any, 2, 7);
    bytes_string(&any, 2, "x");
    bytes_string(&any, 7, "y");
    bytes_message(&bytes, 3, &any);
    bytes_clear(&any);
    read_status(&bytes, &err, NULL);
    CHECK_INT(afar_error_detail_count(&err), 1);
    CHECK_STR(afar_error_detail(&err, 0).type, "leaf.A");
    CHECK(memcmp(afar_error_detail(&err, 0).data, "x", 1) == 0);
    afar_error_clear(&err);
}

TEST(bad_details_are_left_out_and_good_ones_kept)
{
    struct bytes bytes = BYTES_INIT;
    afar_error err = AFAR_ERROR_INIT;

    add_any(&bytes, NULL, "no type");
    add_any(&bytes, "type.googleapis.com/", "no type either");
    add_any(&bytes, "leaf.\xff", "not UTF-8");
    bytes_block(&bytes, 3, "\x0a\x05x", 3);
    bytes_block(&bytes, 3,
                "\x0a\x03"
                "a\0b",
                5);
    add_any(&bytes, "leaf.Good", "1");
    read_status(&bytes, &err, "it has no type");
    CHECK_INT(afar_error_detail_count(&err), 1);
    CHECK_STR(afar_error_detail(&err, 0).type, "leaf.Good");
    afar_error_clear(&err);
}

TEST(what_is_no_status)
{
    static const char *const wrong[] = { "\xff", "\x1a\x7f", "\x0b", "\x1a", "\x08" };
    afar_error err = AFAR_ERROR_INIT;
    struct bytes empty = BYTES_INIT;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct bytes bytes = BYTES_INIT;

        add_any(&bytes, "leaf.A", "1");
        bytes_raw(&bytes, wrong[i], strlen(wrong[i]));
        logged[0] = 0;
        afar_log_set(keep, NULL, AFAR_LOG_WARNING);
        afar_fail(&err, AFAR_ABORTED, "why");
        afar__status_decode(bytes.data, bytes.length, &err);
        CHECK_INT(afar_error_detail_count(&err), 1);
        CHECK(logged[0] != 0);
        bytes_clear(&bytes);
    }
    read_status(&empty, &err, NULL);
    CHECK_INT(afar_error_detail_count(&err), 0);
}

TEST(details_are_64_at_most)
{
    for (size_t count = 64; count <= 65; count++) {
        struct bytes bytes = BYTES_INIT;
        afar_error err = AFAR_ERROR_INIT;

        for (size_t i = 0; i < count; i++)
            add_any(&bytes, "leaf.A", "1");
        read_status(&bytes, &err, count == 64 ? NULL : "there are more than 64 details");
        CHECK_INT(afar_error_detail_count(&err), 64);
        afar_error_clear(&err);
    }
}

TEST(details_take_8_kib_at_most)
{
    for (size_t length = 8192 - 6; length <= 8192 - 5; length++) {
        struct bytes bytes = BYTES_INIT;
        afar_error err = AFAR_ERROR_INIT;
        char value[8192];
        bool fits = length == 8192 - 6;

        memset(value, 'v', length);
        value[length] = 0;
        add_any(&bytes, "leaf.A", value);
        add_any(&bytes, "t", "");
        read_status(&bytes, &err, "there are more than 8 KiB of details");
        CHECK_INT(afar_error_detail_count(&err), 1);
        CHECK_STR(afar_error_detail(&err, 0).type, fits ? "leaf.A" : "t");
        afar_error_clear(&err);
    }
}

TEST(cut_and_changed_at_every_byte)
{
    struct bytes whole = BYTES_INIT;

    bytes_number(&whole, 1, 10);
    bytes_string(&whole, 2, "why");
    add_any(&whole, "type.googleapis.com/leaf.A", "value");
    add_any(&whole, "type.googleapis.com/leaf.B", "value");
    for (size_t cut = 0; cut <= whole.length; cut++) {
        uint8_t *part = malloc(cut + 1);
        afar_error err = AFAR_ERROR_INIT;

        CHECK(part != NULL);
        memcpy(part, whole.data, cut);
        afar_fail(&err, AFAR_ABORTED, "why");
        afar__status_decode(part, cut, &err);
        CHECK(afar_error_detail_count(&err) <= 2);
        for (int value = 0; cut > 0 && value < 256; value++) {
            part[cut - 1] = (uint8_t)value;
            afar_fail(&err, AFAR_ABORTED, "why");
            afar__status_decode(part, cut, &err);
            for (size_t i = 0; i < afar_error_detail_count(&err); i++) {
                const char *type = afar_error_detail(&err, i).type;

                CHECK(*type != 0);
                CHECK_INT(afar__utf8_span((const uint8_t *)type, strlen(type)), strlen(type));
            }
        }
        afar_error_clear(&err);
        free(part);
    }
    bytes_clear(&whole);
}

TEST(out_of_memory)
{
    afar__arena *arena = afar__arena_new(0);
    afar_error err = AFAR_ERROR_INIT;
    uint8_t *data = NULL;
    char text[200];
    size_t length = 0;

    if (!faults_can()) {
        afar__arena_free(arena);
        return;
    }
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    afar_fail(&err, AFAR_ABORTED, "%s", text);
    faults_after(0);
    CHECK_FAILS(afar__status_encode(&err, arena, &data, &length), AFAR_RESOURCE_EXHAUSTED);
    CHECK(data == NULL && length == 0);
    CHECK_OK(afar__status_encode(&err, arena, &data, &length));
    for (long n = 0; n < 3; n++) { /* the details, their list, the one */
        struct bytes bytes = BYTES_INIT;

        add_any(&bytes, "leaf.A", "1");
        afar_fail(&err, AFAR_ABORTED, "why");
        faults_after(n);
        afar__status_decode(bytes.data, bytes.length, &err);
        CHECK(faults_happened());
        faults_after(-1);
        CHECK_INT(afar_error_detail_count(&err), 0);
        bytes_clear(&bytes);
    }
    afar_error_clear(&err);
    afar__arena_free(arena);
}
