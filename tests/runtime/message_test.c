/* Messages of their own: reading, and deep copies. */

#include <afar/message.h>

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "faults.h"
#include "legacy.pb-c.h"
#include "random.h"
#include "values.pb-c.h"

TEST(unpack)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_message_limits limits = { .max_bytes = 3 };
    ProtobufCMessage *message = NULL;

    CHECK_OK(afar_message_unpack(&leaf__tree__descriptor, "\x12\x01x", 3, &limits, &message, &err));
    CHECK_STR(((Leaf__Tree *)message)->name, "x");
    afar_message_free(message);
    CHECK_FAILS(
        afar_message_unpack(&leaf__tree__descriptor, "\x12\x02xy", 4, &limits, &message, &err),
        AFAR_RESOURCE_EXHAUSTED);
    CHECK_FAILS(
        afar_message_unpack(&leaf__tree__descriptor, "\x12\x02x", 3, &limits, &message, &err),
        AFAR_INTERNAL);
    CHECK_STR(err.message, "leaf.Tree.name at byte 0: goes beyond the end");
}

static void
check_same(const ProtobufCMessage *left, const ProtobufCMessage *right)
{
    size_t length = protobuf_c_message_get_packed_size(left);
    uint8_t *left_bytes = malloc(length + 1), *right_bytes = malloc(length + 1);

    CHECK(left_bytes != NULL && right_bytes != NULL);
    CHECK_INT(protobuf_c_message_get_packed_size(right), length);
    protobuf_c_message_pack(left, left_bytes);
    protobuf_c_message_pack(right, right_bytes);
    CHECK(memcmp(left_bytes, right_bytes, length) == 0);
    free(left_bytes);
    free(right_bytes);
}

TEST(copy_is_the_same_and_stands_alone)
{
    struct random random = { .state = 30 };
    afar_error err = AFAR_ERROR_INIT;

    for (int round = 0; round < 100; round++) {
        afar__arena *arena = afar__arena_new(0);
        ProtobufCMessage *message =
            random_message(&random, &leaf__everything__descriptor, 2, arena);
        ProtobufCMessage *copy, *copy_of_copy;

        CHECK_OK(afar_message_copy(message, &copy, &err));
        check_same(message, copy);
        afar__arena_free(arena);
        CHECK_OK(afar_message_copy(copy, &copy_of_copy, &err));
        check_same(copy, copy_of_copy);
        afar_message_free(copy);
        afar_message_free(copy_of_copy);
    }
}

/* What was made here is not judged by what peers may send. */
TEST(copy_has_no_limits)
{
    static Leaf__Tree trees[300];
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *copy;

    for (size_t i = 0; i < 300; i++) {
        leaf__tree__init(&trees[i]);
        trees[i].name = (char *)(uintptr_t) "\xff";
        trees[i].left = i < 299 ? &trees[i + 1] : NULL;
    }
    CHECK_OK(afar_message_copy(&trees[0].base, &copy, &err));
    check_same(&trees[0].base, copy);
    afar_message_free(copy);
}

TEST(copy_of_what_is_not_complete)
{
    Leaf__Lists lists = LEAF__LISTS__INIT;
    Leaf__LegacyList legacy = LEAF__LEGACY_LIST__INIT;
    char *strings[] = { NULL };
    Leaf__Legacy *items[] = { NULL };
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *copy = NULL;

    lists.n_strings = 1;
    CHECK_FAILS(afar_message_copy(&lists.base, &copy, &err), AFAR_INVALID_ARGUMENT);
    lists.strings = strings;
    CHECK_FAILS(afar_message_copy(&lists.base, &copy, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "leaf.Lists cannot be copied: a pointer in it that may not be NULL is");
    legacy.n_items = 1;
    legacy.items = items;
    CHECK_FAILS(afar_message_copy(&legacy.base, &copy, &err), AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(afar_message_copy(NULL, &copy, &err), AFAR_INVALID_ARGUMENT);
    CHECK(copy == NULL);
}

TEST(copy_without_memory)
{
    Leaf__Tree tree = LEAF__TREE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    bool failed = faults_can();

    for (long n = 0; failed; n++) {
        ProtobufCMessage *copy = NULL;
        afar_code code;

        faults_after(n);
        code = afar_message_copy(&tree.base, &copy, &err);
        failed = faults_happened();
        faults_after(-1);
        CHECK_INT(code, failed ? AFAR_RESOURCE_EXHAUSTED : AFAR_OK);
        afar_message_free(copy);
    }
}
