/* Metadata: what may be sent, and lists in an arena. */

#include "runtime/metadata.h"

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "faults.h"

static afar_code
check_pair(const char *key, const void *value, size_t length, afar_error *err)
{
    afar_metadata_entry entry = { key, value, length };
    afar_metadata metadata = { &entry, 1 };

    return afar_metadata_check(&metadata, err);
}

TEST(what_may_be_sent)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(check_pair("trace", "7f", 2, &err));
    CHECK_OK(check_pair("a-key_with.all-9", " ~", 2, &err));
    CHECK_OK(check_pair("empty", NULL, 0, &err));
    CHECK_OK(check_pair("any-bin", "\0\n\xff", 3, &err));
    CHECK_OK(check_pair("grpc", "", 0, &err));
    CHECK_OK(check_pair("afar", "", 0, &err));
    CHECK_OK(check_pair("teapot", "", 0, &err));
    CHECK_OK(afar_metadata_check(&(afar_metadata){ NULL, 0 }, &err));
    CHECK_OK(afar_metadata_check(NULL, &err));
}

TEST(keys_that_may_not)
{
    static const struct {
        const char *key, *why;
    } wrong[] = {
        { "", "the key is empty" },
        { "Trace", "a key has lower case letters, digits and - _ . only" },
        { "a b", "a key has lower case letters, digits and - _ . only" },
        { "a:b", "a key has lower case letters, digits and - _ . only" },
        { "\xc3\xa4", "a key has lower case letters, digits and - _ . only" },
        { ":path", "keys with : belong to HTTP/2" },
        { "grpc-timeout", "keys with grpc- belong to gRPC" },
        { "grpc-x-bin", "keys with grpc- belong to gRPC" },
        { "afar-object", "keys with afar- belong to Afar" },
        { "te", "the key belongs to HTTP/2" },
        { "content-type", "the key belongs to HTTP/2" },
        { "user-agent", "the key belongs to HTTP/2" },
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        afar_error err = AFAR_ERROR_INIT;
        char message[256];

        CHECK_FAILS(check_pair(wrong[i].key, "x", 1, &err), AFAR_INVALID_ARGUMENT);
        snprintf(message, sizeof message, "metadata \"%s\": %s", wrong[i].key, wrong[i].why);
        CHECK_STR(err.message, message);
    }
}

TEST(values_that_may_not)
{
    static const char *const values[] = { "a\n", "\t", "\x7f", "\x80", "\xc3\xa4" };
    afar_error err = AFAR_ERROR_INIT;

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        CHECK_FAILS(check_pair("key", values[i], strlen(values[i]), &err), AFAR_INVALID_ARGUMENT);
        CHECK_STR(err.message, "metadata \"key\": the value has bytes that are not printable "
                               "ASCII; such a key ends in -bin");
    }
    CHECK_FAILS(check_pair("key", "\0", 1, &err), AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(check_pair("-bin", "\0", 1, &err), AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(check_pair("key-bin", NULL, 1, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "metadata \"key-bin\": the value is NULL and has a length");
    CHECK_FAILS(check_pair(NULL, "", 0, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "metadata: pair 0 has no key");
}

TEST(any_pair_may_be_the_wrong_one)
{
    afar_metadata_entry entries[] = { { "one", "1", 1 }, { "two", "2", 1 }, { "Three", "3", 1 } };
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_metadata_check(&(afar_metadata){ entries, 2 }, &err));
    CHECK_FAILS(afar_metadata_check(&(afar_metadata){ entries, 3 }, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "\"Three\"") != NULL);
}

TEST(all_must_fit_8_kib)
{
    static char value[8192];
    afar_metadata_entry entries[200];
    afar_error err = AFAR_ERROR_INIT;

    memset(value, 'x', sizeof value);
    CHECK_OK(check_pair("key", value, 8192 - 32 - 3, &err));
    CHECK_FAILS(check_pair("key", value, 8192 - 32 - 2, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "metadata \"key\": with it all metadata takes more than 8192 bytes");
    CHECK_OK(check_pair("k-bin", value, 6116, &err)); /* 8155 as base64 */
    CHECK_FAILS(check_pair("k-bin", value, 6117, &err), AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(check_pair("k-bin", value, SIZE_MAX, &err), AFAR_INVALID_ARGUMENT);
    for (size_t i = 0; i < 200; i++)
        entries[i] = (afar_metadata_entry){ "12345678", value, 24 }; /* 64 each */
    CHECK_OK(afar_metadata_check(&(afar_metadata){ entries, 128 }, &err));
    CHECK_FAILS(afar_metadata_check(&(afar_metadata){ entries, 129 }, &err), AFAR_INVALID_ARGUMENT);
}

TEST(find_takes_the_first)
{
    afar_metadata_entry entries[] = {
        { "a", "1", 1 }, { "b", "23", 2 }, { "a", "4", 1 }, { "none", NULL, 0 }
    };
    afar_metadata metadata = { entries, 4 };
    size_t length = 99;

    CHECK(afar_metadata_find(&metadata, "a", NULL) == entries[0].value);
    CHECK(afar_metadata_find(&metadata, "b", &length) == entries[1].value);
    CHECK_INT(length, 2);
    CHECK(afar_metadata_find(&metadata, "c", &length) == NULL);
    CHECK_INT(length, 2);
    CHECK_STR(afar_metadata_find(&metadata, "none", &length), "");
    CHECK_INT(length, 0);
    CHECK(afar_metadata_find(NULL, "a", NULL) == NULL);
}

TEST(list_copies_and_keeps_the_order)
{
    afar__arena *arena = afar__arena_new(0);
    afar__metadata_list list = { NULL, 0, 0 };
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < 1000; i++) {
        char key[16], value[16];

        snprintf(key, sizeof key, "key-%d", i % 10);
        snprintf(value, sizeof value, "%d", i);
        CHECK_OK(afar__metadata_add(&list, arena, key, value, strlen(value)));
    }
    CHECK_OK(afar__metadata_add(&list, arena, "empty", NULL, 0));
    CHECK_INT(list.count, 1001);
    for (int i = 0; i < 1000; i++) {
        char value[16];

        snprintf(value, sizeof value, "%d", i);
        CHECK_STR(list.entries[i].value, value);
        CHECK_INT(list.entries[i].length, strlen(value));
        CHECK_INT(list.entries[i].key[4], '0' + i % 10);
    }
    CHECK_STR(list.entries[1000].value, "");
    afar__arena_free(arena);
}

TEST(list_without_memory)
{
    bool failed = faults_can();

    for (long n = 0; failed; n++) {
        afar__arena *arena = afar__arena_new(0);
        afar__metadata_list list = { NULL, 0, 0 };
        char value[2000] = "";
        size_t added = 0;

        faults_after(n);
        for (int i = 0; i < 20; i++)
            if (afar__metadata_add(&list, arena, "key", value, sizeof value) == AFAR_OK)
                added++;
        failed = faults_happened();
        faults_after(-1);
        CHECK_INT(list.count, added);
        CHECK_INT(added, failed ? 19 : 20);
        afar__arena_free(arena);
    }
}
