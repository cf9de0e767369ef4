/* Decoding: what comes out, what it costs, and hostile messages. */

#include "runtime/decode.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/scan.h"

#include "bytes.h"
#include "check.h"
#include "death.h"
#include "faults.h"
#include "legacy.pb-c.h"
#include "random.h"
#include "values.pb-c.h"
#include "wide.pb-c.h"

#define LISTS (&leaf__lists__descriptor)
#define TREE (&leaf__tree__descriptor)

static afar_code
decode(const ProtobufCMessageDescriptor *type, const struct bytes *bytes,
       const afar_message_limits *limits, void *ret_message, afar_error *err)
{
    ProtobufCMessage *message;
    afar_code code = afar__decode_message(type, bytes->data, bytes->length, limits, &message, err);

    if (code == AFAR_OK)
        memcpy(ret_message, &message, sizeof message);
    return code;
}

static int64_t
cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what comes out ---- */

TEST(message_and_all_in_it)
{
    struct bytes bytes = BYTES_INIT, left = BYTES_INIT;
    afar_error err = AFAR_ERROR_INIT;
    Leaf__Tree *tree;

    bytes_number(&left, 1, (uint64_t)-5);
    bytes_number(&bytes, 1, 7);
    bytes_string(&bytes, 2, "root");
    bytes_message(&bytes, 3, &left);
    bytes_message(&bytes, 5, &left);
    bytes_message(&bytes, 5, &(struct bytes)BYTES_INIT);
    CHECK_OK(decode(TREE, &bytes, NULL, &tree, &err));
    CHECK_INT((uintptr_t)tree % 16, 0);
    CHECK_INT(tree->value, 7);
    CHECK_STR(tree->name, "root");
    CHECK_INT(tree->left->value, -5);
    CHECK(tree->right == NULL);
    CHECK_INT(tree->n_children, 2);
    CHECK_INT(tree->children[0]->value, -5);
    CHECK_STR(tree->children[1]->name, "");
    afar_message_free(tree);
    bytes_clear(&left);
    bytes_clear(&bytes);
}

TEST(no_bytes_are_an_empty_message)
{
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *message;

    CHECK_OK(afar__decode_message(TREE, NULL, 0, NULL, &message, &err));
    CHECK_STR(((Leaf__Tree *)message)->name, "");
    afar_message_free(message);
    afar_message_free(NULL);
}

TEST(failure_writes_no_result)
{
    ProtobufCMessage *message = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(afar__decode_message(TREE, (const uint8_t *)"\x08", 1, NULL, &message, &err),
                AFAR_INTERNAL);
    CHECK_STR(err.message, "leaf.Tree.value at byte 0: a varint without end");
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(message == NULL);
    CHECK_INT(afar__decode_message(TREE, (const uint8_t *)"\x08", 1, NULL, &message, NULL),
              AFAR_INTERNAL);
}

TEST(missing_required_field)
{
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *message;

    CHECK_FAILS(afar__decode_message(&leaf__legacy__descriptor, NULL, 0, NULL, &message, &err),
                AFAR_INTERNAL);
    CHECK_STR(err.message, "leaf.Legacy: the required field number (1) is missing");
}

TEST(message_in_an_arena)
{
    afar__arena *arena = afar__arena_new(1000);
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *first, *second;

    CHECK_OK(
        afar__decode(TREE, (const uint8_t *)"\x08\x01\x12\x01x", 5, NULL, arena, &first, &err));
    CHECK_OK(afar__decode(TREE, (const uint8_t *)"\x08\x02", 2, NULL, arena, &second, &err));
    CHECK_INT(((Leaf__Tree *)first)->value, 1);
    CHECK_STR(((Leaf__Tree *)first)->name, "x");
    CHECK_INT(((Leaf__Tree *)second)->value, 2);
    CHECK_FAILS(afar__decode(TREE, (const uint8_t *)"\x08", 1, NULL, arena, &second, &err),
                AFAR_INTERNAL);
    afar__arena_free(arena);
}

TEST(fresh_message)
{
    afar__arena *arena = afar__arena_new(0);
    Leaf__Legacy *fresh = (Leaf__Legacy *)afar__message_init(&leaf__legacy__descriptor, arena);

    CHECK(fresh->base.descriptor == &leaf__legacy__descriptor);
    CHECK_STR(fresh->word, "word");
    CHECK_INT(fresh->answer, 42);
    CHECK(!fresh->has_answer);
    afar__arena_free(arena);
}

/* ---- what it costs ---- */

/* Or none: a small message may lie in spare memory. */
TEST(one_malloc_for_a_message)
{
    static uint8_t blob[1 << 20];
    struct random random = { .state = 5 };
    afar__arena *arena = afar__arena_new(0);
    afar_error err = AFAR_ERROR_INIT;

    for (int round = 0; round < 200; round++) {
        Leaf__Scalars *message =
            (Leaf__Scalars *)random_message(&random, &leaf__scalars__descriptor, 0, arena);
        struct bytes bytes = BYTES_INIT;
        Leaf__Scalars *copy;
        size_t before;

        if (round % 50 == 0)
            message->a_bytes = (ProtobufCBinaryData){ sizeof blob, blob };
        bytes.data = malloc(protobuf_c_message_get_packed_size(&message->base) + 1);
        bytes.length = protobuf_c_message_pack(&message->base, bytes.data);
        before = faults_allocations();
        CHECK_OK(decode(&leaf__scalars__descriptor, &bytes, NULL, &copy, &err));
        if (faults_can())
            CHECK(faults_allocations() - before <= 1);
        afar_message_free(copy);
        bytes_clear(&bytes);
    }
    afar__arena_free(arena);
}

/* protobuf-c has a note of the required fields it saw, a piece more in wide types. */
TEST(one_malloc_for_a_wide_message)
{
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *message;
    size_t before = faults_allocations();

    CHECK_OK(afar__decode_message(&leaf__wide__descriptor, (const uint8_t *)"\x0a\x02\x08\x07", 4,
                                  NULL, &message, &err));
    if (faults_can())
        CHECK_INT(faults_allocations() - before, 1);
    CHECK_INT(((Leaf__Wide *)message)->field_1->value, 7);
    afar_message_free(message);
}

static size_t
bytes_in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* protobuf-c's notes about 100,000 fields are 3 MB and more. */
TEST(notes_do_not_stay)
{
    struct bytes bytes = BYTES_INIT;
    afar_error err = AFAR_ERROR_INIT;
    Leaf__Legacy *message;
    size_t before;

    bytes_number(&bytes, 1, 1);
    for (int i = 0; i < 100000; i++)
        bytes_number(&bytes, 4, (uint64_t)i);
    before = bytes_in_use();
    CHECK_OK(decode(&leaf__legacy__descriptor, &bytes, NULL, &message, &err));
    if (faults_can())
        CHECK(bytes_in_use() - before < 500000);
    CHECK_INT(message->n_loose, 100000);
    for (int i = 0; i < 100000; i++)
        CHECK_INT(message->loose[i], i);
    afar_message_free(message);
    if (faults_can())
        CHECK_INT(bytes_in_use(), before);
    bytes_clear(&bytes);
}

/* Pieces of the message that have the sizes of notes. */
TEST(pieces_that_look_like_notes)
{
    static uint8_t blob[65536];
    struct bytes bytes = BYTES_INIT;
    afar_error err = AFAR_ERROR_INIT;
    Leaf__Lists *lists;
    size_t before = bytes_in_use();

    for (int i = 0; i < 2000; i++) {
        memset(blob, i, sizeof blob);
        bytes_block(&bytes, 16, blob, (size_t)1024 << i % 4);
        bytes_number(&bytes, 1, (uint64_t)i);
    }
    CHECK_OK(decode(LISTS, &bytes, &(afar_message_limits){ .max_bytes = 1 << 24 }, &lists, &err));
    bytes_clear(&bytes);
    CHECK_INT(lists->n_blobs, 2000);
    for (int i = 0; i < 2000; i++) {
        memset(blob, i, sizeof blob);
        CHECK_INT(lists->blobs[i].len, 1024 << i % 4);
        CHECK(memcmp(lists->blobs[i].data, blob, lists->blobs[i].len) == 0);
        CHECK_INT(lists->int32s[i], i);
    }
    afar_message_free(lists);
    if (faults_can())
        CHECK_INT(bytes_in_use(), before);
}

/* ---- limits ---- */

TEST(default_limits)
{
    static uint8_t blob[4 * 1024 * 1024];
    struct bytes bytes = BYTES_INIT;
    afar_error err = AFAR_ERROR_INIT;
    Leaf__Scalars *message;

    bytes_block(&bytes, 16, blob, sizeof blob - 6);
    CHECK_INT(bytes.length, 4 * 1024 * 1024);
    CHECK_OK(decode(&leaf__scalars__descriptor, &bytes, NULL, &message, &err));
    afar_message_free(message);
    bytes_clear(&bytes);
    bytes_block(&bytes, 16, blob, sizeof blob - 5);
    CHECK_FAILS(decode(&leaf__scalars__descriptor, &bytes, NULL, &message, &err),
                AFAR_RESOURCE_EXHAUSTED);
    CHECK_STR(err.message, "leaf.Scalars has 4194305 bytes, more than 4194304 (max_bytes)");
    bytes_clear(&bytes);
}

TEST(memory_limit_by_one)
{
    struct bytes bytes = BYTES_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_message_limits limits = { 1 << 20, 1 << 20, 100 };
    afar__scan_cost cost;
    Leaf__Lists *lists;

    for (int i = 0; i < 1000; i++)
        bytes_block(&bytes, 17, "", 0);
    CHECK_OK(afar__scan(LISTS, bytes.data, bytes.length, &limits, &cost, &err));
    limits.max_memory = cost.memory;
    CHECK_OK(decode(LISTS, &bytes, &limits, &lists, &err));
    afar_message_free(lists);
    limits.max_memory--;
    CHECK_FAILS(decode(LISTS, &bytes, &limits, &lists, &err), AFAR_RESOURCE_EXHAUSTED);
    bytes_clear(&bytes);
}

/* A message that is small in the end, and large while protobuf-c reads it. */
TEST(notes_have_a_limit)
{
    struct bytes bytes = BYTES_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_message_limits limits = { 0, 0, 0 };
    Leaf__Tree *tree;

    for (int i = 0; i < 100000; i++)
        bytes_number(&bytes, 1, 1);
    CHECK_OK(decode(TREE, &bytes, &limits, &tree, &err));
    afar_message_free(tree);
    limits.max_memory = 100000;
    CHECK_FAILS(decode(TREE, &bytes, &limits, &tree, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK_STR(err.message,
              "leaf.Tree: its fields take too much memory while they are read (max_memory)");
    bytes_clear(&bytes);
}

/* What one message within gave back, the next may take. */
TEST(notes_are_counted_while_they_are_there)
{
    struct bytes item = BYTES_INIT, bytes = BYTES_INIT;
    afar_message_limits limits = { 1 << 20, 1 << 20, 100 };
    afar_error err = AFAR_ERROR_INIT;
    Leaf__LegacyList *list;
    afar__scan_cost cost;

    for (int i = 0; i < 20; i++)
        bytes_number(&item, 1, 1);
    for (int i = 0; i < 1000; i++)
        bytes_message(&bytes, 1, &item);
    CHECK_OK(
        afar__scan(&leaf__legacy_list__descriptor, bytes.data, bytes.length, &limits, &cost, &err));
    limits.max_memory = cost.memory;
    CHECK(1000 * 1024 > 2 * limits.max_memory); /* all notes, which are 1024 an item */
    CHECK_OK(decode(&leaf__legacy_list__descriptor, &bytes, &limits, &list, &err));
    CHECK_INT(list->n_items, 1000);
    afar_message_free(list);
    bytes_clear(&item);
    bytes_clear(&bytes);
}

TEST(depth_above_100_is_100)
{
    afar_message_limits limits = { 0, 0, 1000 };
    afar_error err = AFAR_ERROR_INIT;
    Leaf__Tree *tree;

    for (unsigned depth = 100; depth <= 101; depth++) {
        struct bytes bytes = BYTES_INIT;

        for (unsigned i = 0; i < depth; i++) {
            struct bytes outer = BYTES_INIT;

            bytes_message(&outer, 3, &bytes);
            bytes_clear(&bytes);
            bytes = outer;
        }
        if (depth == 100) {
            CHECK_OK(decode(TREE, &bytes, &limits, &tree, &err));
            afar_message_free(tree);
        } else {
            CHECK_FAILS(decode(TREE, &bytes, &limits, &tree, &err), AFAR_RESOURCE_EXHAUSTED);
            CHECK_FAILS(decode(TREE, &bytes, NULL, &tree, &err), AFAR_RESOURCE_EXHAUSTED);
        }
        bytes_clear(&bytes);
    }
}

/* ---- attacks: refused at once, without taking memory ---- */

static void
check_refused(const ProtobufCMessageDescriptor *type, struct bytes *bytes, afar_code code)
{
    int64_t start = cpu_ms();
    size_t before = faults_allocations();
    afar_error err = AFAR_ERROR_INIT;
    void *message;

    CHECK_FAILS(decode(type, bytes, NULL, &message, &err), code);
    CHECK_INT(faults_allocations() - before, 0);
    CHECK(cpu_ms() - start < 1000);
    bytes_clear(bytes);
}

/* Without the scan: a stack of 8 MB is not enough. */
TEST(deep_message)
{
    struct bytes bytes = BYTES_INIT, heads = BYTES_INIT;
    uint8_t reversed[8];

    /* The tags and lengths of 100,000 levels, from the inside, then reversed. */
    for (size_t i = 0, inner = 0; i < 100000; i++) {
        struct bytes head = BYTES_INIT;

        bytes_tag(&head, 3, 2);
        bytes_varint(&head, inner);
        inner += head.length;
        for (size_t at = 0; at < head.length; at++)
            reversed[at] = head.data[head.length - 1 - at];
        bytes_raw(&heads, reversed, head.length);
        bytes_clear(&head);
    }
    for (size_t at = heads.length; at > 0; at--)
        bytes_raw(&bytes, &heads.data[at - 1], 1);
    bytes_clear(&heads);
    check_refused(TREE, &bytes, AFAR_RESOURCE_EXHAUSTED);
}

/* Without the scan: 38 seconds. */
TEST(message_that_is_merged_again_and_again)
{
    struct bytes bytes = BYTES_INIT;

    while (bytes.length < 1280000)
        bytes_raw(&bytes, "\x0a\x03\x0a\x01\x05", 5);
    check_refused(&leaf__holder__descriptor, &bytes, AFAR_INTERNAL);
}

/* Without the scan: 60 MB. */
TEST(message_that_grows_in_memory)
{
    struct bytes bytes = BYTES_INIT;

    while (bytes.length < 1000000)
        bytes_block(&bytes, 17, "", 0);
    check_refused(LISTS, &bytes, AFAR_RESOURCE_EXHAUSTED);
}

/* The most values that a message can have: two bytes each, or one when packed. */
TEST(messages_of_many_values)
{
    for (unsigned i = 0; i < LISTS->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &LISTS->fields[i];
        struct bytes bytes = BYTES_INIT, block = BYTES_INIT;
        afar_error err = AFAR_ERROR_INIT;
        int64_t start;
        Leaf__Lists *lists;

        while (block.length < 1000000 && field->type < PROTOBUF_C_TYPE_STRING)
            bytes_raw(&block, "\x01\x00\x01\x00\x01\x00\x01\x00", 8);
        bytes_message(&bytes, field->id, &block);
        while (bytes.length < 2000000)
            if (field->type < PROTOBUF_C_TYPE_STRING)
                bytes_number(&bytes, 1, 1);
            else
                bytes_block(&bytes, field->id, "", 0);
        start = cpu_ms();
        if (decode(LISTS, &bytes, NULL, &lists, &err) == AFAR_OK)
            afar_message_free(lists);
        CHECK(cpu_ms() - start < 1000);
        bytes_clear(&block);
        bytes_clear(&bytes);
    }
}

/* ---- broken bytes ---- */

TEST(cut_at_every_byte)
{
    struct random random = { .state = 3 };
    afar__arena *arena = afar__arena_new(0);
    ProtobufCMessage *message = random_message(&random, &leaf__everything__descriptor, 2, arena);
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(length);
    size_t whole = 0;

    CHECK(bytes != NULL && length > 1000 && length < 100000);
    protobuf_c_message_pack(message, bytes);
    for (size_t cut = 0; cut <= length; cut++) {
        uint8_t *part = malloc(cut > 0 ? cut : 1); /* so that reading on is seen */
        afar_error err = AFAR_ERROR_INIT;
        ProtobufCMessage *read;
        afar_code code;

        CHECK(part != NULL);
        memcpy(part, bytes, cut);
        code = afar__decode_message(message->descriptor, part, cut, NULL, &read, &err);
        if (code == AFAR_OK) {
            whole++;
            afar_message_free(read);
        } else {
            CHECK_INT(code, AFAR_INTERNAL);
            CHECK(err.message[0] != 0);
        }
        free(part);
    }
    CHECK(whole >= 2 && whole <= 20); /* cut between two fields of the outermost */
    free(bytes);
    afar__arena_free(arena);
}

/* ---- no memory ---- */

TEST(out_of_memory)
{
    struct bytes bytes = BYTES_INIT;
    afar_error err = AFAR_ERROR_INIT;
    size_t before;
    bool failed = faults_can();
    long n = 0;

    bytes_number(&bytes, 1, 1);
    for (int i = 0; i < 1000; i++)
        bytes_number(&bytes, 4, 1);
    before = bytes_in_use();
    for (; failed; n++) {
        Leaf__Legacy *message = NULL;
        afar_code code;

        faults_after(n);
        code = decode(&leaf__legacy__descriptor, &bytes, NULL, &message, &err);
        failed = faults_happened();
        faults_after(-1);
        CHECK_INT(code, failed ? AFAR_RESOURCE_EXHAUSTED : AFAR_OK);
        if (failed)
            CHECK_STR(err.message, "leaf.Legacy: out of memory");
        else
            afar_message_free(message);
        CHECK_INT(bytes_in_use(), before);
    }
    CHECK(!faults_can() || n > 3);
    bytes_clear(&bytes);
}

/* ---- misuse ---- */

static void
free_it(void *message)
{
    afar_message_free(message);
}

static void
ask_for_arena(void *message)
{
    (void)afar__message_arena(message);
}

static void
free_twice(void *arg)
{
    ProtobufCMessage *message;

    (void)arg;
    if (afar__decode_message(TREE, NULL, 0, NULL, &message, NULL) == AFAR_OK) {
        afar_message_free(message);
        afar_message_free(message);
    }
}

TEST(releasing_what_is_not_ours_stops_the_program)
{
    _Alignas(16) uint8_t foreign[64] = "";
    afar__arena *arena = afar__arena_new(1000);

    check_dies(free_it, foreign + 32, "afar: afar_message_free: 0x");
    check_dies(free_it, foreign + 33, "did not come out of Afar, or was released before");
    check_dies(ask_for_arena, foreign + 32, "afar: afar__message_arena: 0x");
    afar__arena_zalloc(arena, 64);
    if (faults_can()) {
        check_dies(free_it, afar__message_init(TREE, arena), "did not come out of Afar");
        check_dies(free_twice, NULL, "was released before");
    }
    afar__arena_free(arena);
}
