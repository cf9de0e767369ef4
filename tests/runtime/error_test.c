/* Errors: the struct, its message, codes and details. */

#include <afar/error.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "runtime/fail.h"

#include "check.h"
#include "death.h"
#include "faults.h"
#include "values.pb-c.h"

/* ---- filling ---- */

TEST(fail_fills_and_returns_the_code)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_INT(afar_fail(&err, AFAR_NOT_FOUND, "no %s, %d", "such thing", 7), AFAR_NOT_FOUND);
    CHECK_INT(err.code, AFAR_NOT_FOUND);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(!err.remote);
    CHECK_STR(err.message, "no such thing, 7");
    CHECK_INT(afar__fail_outcome(&err, AFAR_LOST, AFAR_OUTCOME_UNKNOWN, true, "gone"), AFAR_LOST);
    CHECK_INT(err.code, AFAR_LOST);
    CHECK_INT(err.outcome, AFAR_OUTCOME_UNKNOWN);
    CHECK(err.remote);
    CHECK_STR(err.message, "gone");
    CHECK_INT(afar_fail(&err, AFAR_INTERNAL, "again"), AFAR_INTERNAL);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(!err.remote);
}

TEST(fail_without_a_struct_returns_the_code)
{
    CHECK_INT(afar_fail(NULL, AFAR_ABORTED, "%s", "nobody reads this"), AFAR_ABORTED);
}

TEST(message_may_quote_the_one_before)
{
    afar_error err = AFAR_ERROR_INIT;

    afar_fail(&err, AFAR_INTERNAL, "inner");
    CHECK_OK(afar_error_add_detail(&err, "leaf.Detail", "x", 1));
    afar_fail(&err, AFAR_UNAVAILABLE, "outer: %s, %s", err.message,
              afar_error_detail(&err, 0).type);
    CHECK_STR(err.message, "outer: inner, leaf.Detail");
    CHECK_INT(afar_error_detail_count(&err), 0);
}

TEST(long_message_is_cut_at_a_character)
{
    static const char *const characters[] = { "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x88" };

    for (size_t kind = 0; kind < 4; kind++) {
        size_t width = strlen(characters[kind]);

        for (size_t before = 240; before <= 256; before++) {
            afar_error err = AFAR_ERROR_INIT;
            char text[400] = "", *at = text + before;

            memset(text, 'x', before);
            for (int i = 0; i < 10; i++)
                at = stpcpy(at, characters[kind]);
            afar_fail(&err, AFAR_INTERNAL, "%s", text);
            size_t length = before > 255 ? 255 : before + (255 - before) / width * width;
            if (strlen(text) <= 255)
                length = strlen(text);
            CHECK_INT(strlen(err.message), length);
            CHECK(memcmp(err.message, text, length) == 0);
        }
    }
}

TEST(message_is_one_line)
{
    afar_error err = AFAR_ERROR_INIT;

    afar_fail(&err, AFAR_INTERNAL, "one\ntwo\r\nthree\tfour");
    CHECK_STR(err.message, "one two  three\tfour");
}

TEST(text_that_is_not_utf8_survives)
{
    afar_error err = AFAR_ERROR_INIT;
    char text[300];

    memset(text, 0x80, sizeof text - 1);
    text[sizeof text - 1] = 0;
    afar_fail(&err, AFAR_INTERNAL, "%s", text);
    CHECK_INT(strlen(err.message), 255);
}

static void
fail_with_ok(void *arg)
{
    afar_fail(arg, AFAR_OK, "this is no failure");
}

TEST(error_that_says_ok_stops_the_program)
{
    afar_error err = AFAR_ERROR_INIT;

    check_dies(fail_with_ok, &err,
               "afar: an error was to be made with the code OK: \"this is no failure\"");
}

/* ---- codes ---- */

TEST(codes_have_names)
{
    CHECK_STR(afar_code_name(AFAR_OK), "OK");
    CHECK_STR(afar_code_name(AFAR_DEADLINE_EXCEEDED), "DEADLINE_EXCEEDED");
    CHECK_STR(afar_code_name(AFAR_UNAUTHENTICATED), "UNAUTHENTICATED");
    CHECK_STR(afar_code_name(AFAR_DEADLOCK), "DEADLOCK");
    CHECK_STR(afar_code_name(AFAR_LOST), "LOST");
    for (int i = 0; i <= 16; i++)
        CHECK(i == AFAR_UNKNOWN || strcmp(afar_code_name((afar_code)i), "UNKNOWN") != 0);
    for (int i = 100; i <= 104; i++)
        CHECK(strcmp(afar_code_name((afar_code)i), "UNKNOWN") != 0);
    CHECK_STR(afar_code_name((afar_code)17), "UNKNOWN");
    CHECK_STR(afar_code_name((afar_code)99), "UNKNOWN");
    CHECK_STR(afar_code_name((afar_code)105), "UNKNOWN");
    CHECK_STR(afar_code_name((afar_code)-1), "UNKNOWN");
}

TEST(codes_travel_as_statuses)
{
    for (int i = 0; i <= 16; i++)
        CHECK_INT(afar_code_status((afar_code)i), i);
    CHECK_INT(afar_code_status(AFAR_DEADLOCK), AFAR_ABORTED);
    CHECK_INT(afar_code_status(AFAR_ENDED), AFAR_OUT_OF_RANGE);
    CHECK_INT(afar_code_status(AFAR_POISONED), AFAR_ABORTED);
    CHECK_INT(afar_code_status(AFAR_LOST), AFAR_UNAVAILABLE);
    CHECK_INT(afar_code_status(AFAR_MOVED), AFAR_UNAVAILABLE);
    CHECK_INT(afar_code_status((afar_code)17), AFAR_UNKNOWN);
    CHECK_INT(afar_code_status((afar_code)105), AFAR_UNKNOWN);
    CHECK_INT(afar_code_status((afar_code)-1), AFAR_UNKNOWN);
}

/* ---- copying ---- */

static void
fill(afar_error *err)
{
    afar__fail_outcome(err, AFAR_ABORTED, AFAR_OUTCOME_ANSWERED, true, "why not");
    CHECK_INT(afar_error_add_detail(err, "leaf.One", "1\0x", 3), AFAR_OK);
    CHECK_INT(afar_error_add_detail(err, "leaf.Two", NULL, 0), AFAR_OK);
}

static void
check_filled(const afar_error *err)
{
    CHECK_INT(err->code, AFAR_ABORTED);
    CHECK_INT(err->outcome, AFAR_OUTCOME_ANSWERED);
    CHECK(err->remote);
    CHECK_STR(err->message, "why not");
    CHECK_INT(afar_error_detail_count(err), 2);
    CHECK_STR(afar_error_detail(err, 0).type, "leaf.One");
    CHECK_INT(afar_error_detail(err, 0).length, 3);
    CHECK(memcmp(afar_error_detail(err, 0).data, "1\0x", 3) == 0);
    CHECK_STR(afar_error_detail(err, 1).type, "leaf.Two");
    CHECK_INT(afar_error_detail(err, 1).length, 0);
}

static void
check_clear(const afar_error *err)
{
    static const afar_error clear = AFAR_ERROR_INIT;

    CHECK_INT(err->code, AFAR_OK);
    CHECK_STR(err->message, "");
    CHECK(err->details == NULL);
    CHECK(!err->remote && err->outcome == clear.outcome);
}

TEST(copy_stands_alone)
{
    afar_error from = AFAR_ERROR_INIT, to = AFAR_ERROR_INIT;

    fill(&to); /* is released */
    fill(&from);
    afar_error_copy(&to, &from);
    afar_error_copy(&to, &to);
    check_filled(&from);
    afar_error_clear(&from);
    check_filled(&to);
    afar_error_clear(&to);
    check_clear(&to);
    afar_error_clear(NULL);
}

TEST(move_leaves_nothing)
{
    afar_error from = AFAR_ERROR_INIT, to = AFAR_ERROR_INIT;

    fill(&to);
    fill(&from);
    afar_error_move(&to, &from);
    check_clear(&from);
    check_filled(&to);
    afar_error_move(&to, &to);
    check_filled(&to);
    afar_error_move(NULL, &to);
    check_clear(&to);
}

/* ---- details ---- */

TEST(detail_that_is_not_there)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_INT(afar_error_detail_count(&err), 0);
    CHECK_INT(afar_error_detail_count(NULL), 0);
    CHECK(afar_error_detail(&err, 0).type == NULL);
    fill(&err);
    CHECK(afar_error_detail(&err, 2).type == NULL);
    CHECK(afar_error_detail(NULL, 0).type == NULL);
    CHECK_INT(afar_error_add_detail(NULL, "leaf.One", "", 0), AFAR_OK);
    afar_error_clear(&err);
}

TEST(details_have_a_limit)
{
    static const uint8_t data[6144];
    afar_error err = AFAR_ERROR_INIT;

    afar_fail(&err, AFAR_ABORTED, "too much");
    CHECK_FAILS(afar_error_add_detail(&err, "t", data, 6144), AFAR_RESOURCE_EXHAUSTED);
    CHECK_FAILS(afar_error_add_detail(&err, "t", data, SIZE_MAX), AFAR_RESOURCE_EXHAUSTED);
    CHECK_OK(afar_error_add_detail(&err, "t", data, 6143));
    CHECK_FAILS(afar_error_add_detail(&err, "t", data, 0), AFAR_RESOURCE_EXHAUSTED);
    CHECK_INT(afar_error_detail_count(&err), 1);
    afar_error_clear(&err);
    afar_fail(&err, AFAR_ABORTED, "many");
    for (int i = 0; i < 1024; i++)
        CHECK_OK(afar_error_add_detail(&err, "12345", data, 1));
    CHECK_FAILS(afar_error_add_detail(&err, "1", data, 0), AFAR_RESOURCE_EXHAUSTED);
    CHECK_INT(afar_error_detail_count(&err), 1024);
    afar_error_clear(&err);
}

TEST(find_reads_a_detail_once)
{
    afar_error err = AFAR_ERROR_INIT;
    const uint8_t seven[] = { 0x08, 7 };
    const ProtobufCMessageDescriptor *type = &leaf__tree__descriptor;
    const ProtobufCMessage *found, *found_otherwise;

    afar_fail(&err, AFAR_ABORTED, "with details");
    CHECK_OK(afar_error_add_detail(&err, "leaf.Other", "\xff", 1));
    CHECK_OK(afar_error_add_detail(&err, "leaf.Tree", seven, sizeof seven));
    found = afar_error_find(&err, "leaf.Tree", type);
    CHECK(found != NULL);
    CHECK_INT(((const Leaf__Tree *)found)->value, 7);
    CHECK(afar_error_find(&err, "leaf.Tree", type) == found);
    found_otherwise = afar_error_find(&err, "leaf.Tree", &leaf__choice__descriptor);
    CHECK(found_otherwise->descriptor == &leaf__choice__descriptor);
    CHECK(afar_error_find(&err, "leaf.Tree", type) == found);
    CHECK(afar_error_find(&err, "leaf.Other", type) == NULL);
    CHECK(afar_error_find(&err, "leaf.None", type) == NULL);
    CHECK(afar_error_find(NULL, "leaf.Tree", type) == NULL);
    afar_error_clear(&err);
    CHECK(afar_error_find(&err, "leaf.Tree", type) == NULL);
}

/* ---- no memory ---- */

TEST(out_of_memory_leaves_details_out)
{
    const uint8_t seven[] = { 0x08, 7 };
    afar_error err = AFAR_ERROR_INIT, to = AFAR_ERROR_INIT;
    bool failed = faults_can();

    for (long n = 0; failed; n++) {
        fill(&err);
        CHECK_OK(afar_error_add_detail(&err, "leaf.Tree", seven, sizeof seven));
        faults_after(n);
        afar_error_copy(&to, &err);
        failed = faults_happened();
        faults_after(-1);
        CHECK_STR(to.message, "why not");
        CHECK_INT(afar_error_detail_count(&to), failed ? 0 : 3);
        faults_after(n);
        CHECK(!afar_error_find(&err, "leaf.Tree", &leaf__tree__descriptor) == faults_happened());
        faults_after(n);
        if (afar_error_add_detail(&to, "leaf.More", "", 0))
            CHECK(faults_happened());
        faults_after(-1);
    }
    afar_error_clear(&err);
    afar_error_clear(&to);
}
