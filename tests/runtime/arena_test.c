/* Arenas: alignment, growth, reset, and that what is not handed out is poisoned. */

#include "runtime/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "faults.h"

#if defined(__SANITIZE_ADDRESS__)
#define POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONS 1
#endif
#endif

#ifdef POISONS
#include <sanitizer/asan_interface.h>

static bool
is_poisoned(const void *address)
{
    return __asan_address_is_poisoned(address) != 0;
}

#endif

TEST(pieces_are_aligned_and_apart)
{
    afar__arena *arena = afar__arena_new(100);
    uint8_t *pieces[2000];

    for (size_t i = 0; i < 2000; i++) {
        pieces[i] = afar__arena_alloc(arena, i);
        CHECK(pieces[i] != NULL);
        CHECK_INT((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < 2000; i++)
        for (size_t at = 0; at < i; at++)
            CHECK_INT(pieces[i][at], i & 0xff);
    afar__arena_free(arena);
}

TEST(empty_pieces_have_addresses_of_their_own)
{
    afar__arena *arena = afar__arena_new(0);
    void *first = afar__arena_alloc(arena, 0);
    void *second = afar__arena_alloc(arena, 0);

    CHECK(first != NULL && second != NULL && first != second);
    afar__arena_free(arena);
}

TEST(one_malloc_is_enough_for_a_good_guess)
{
    size_t before = faults_allocations();
    afar__arena *arena = afar__arena_new(1000);

    CHECK(afar__arena_alloc(arena, 1000) != NULL);
    if (faults_can())
        CHECK_INT(faults_allocations() - before, 1);
    afar__arena_free(arena);
}

TEST(chunks_grow_so_that_mallocs_are_few)
{
    size_t before = faults_allocations();
    afar__arena *arena = afar__arena_new(16);

    for (size_t i = 0; i < 1000000 / 16; i++)
        CHECK(afar__arena_alloc(arena, 16) != NULL);
    if (faults_can())
        CHECK(faults_allocations() - before < 16);
    afar__arena_free(arena);
}

TEST(large_piece_leaves_the_chunk_in_use)
{
    afar__arena *arena = afar__arena_new(4096);
    char *first = afar__arena_alloc(arena, 16);
    char *large = afar__arena_alloc(arena, 1000000);
    char *second = afar__arena_alloc(arena, 16);

    CHECK(large != NULL);
    memset(large, 1, 1000000);
    CHECK(second > first && second - first <= 64);
    afar__arena_free(arena);
}

TEST(zeroed_piece_is_zero_after_reset)
{
    afar__arena *arena = afar__arena_new(64);
    const char zeros[64] = "";
    char *piece = afar__arena_alloc(arena, 64);

    memset(piece, 0xff, 64);
    afar__arena_reset(arena);
    piece = afar__arena_zalloc(arena, 64);
    CHECK(memcmp(piece, zeros, 64) == 0);
    afar__arena_free(arena);
}

TEST(copies)
{
    afar__arena *arena = afar__arena_new(64);
    const char data[] = { 1, 0, 2 };
    char *string = afar__arena_strdup(arena, "text");
    char *copy = afar__arena_memdup(arena, data, 3);
    char *empty = afar__arena_memdup(arena, NULL, 0);

    CHECK_STR(string, "text");
    CHECK(memcmp(copy, data, 3) == 0);
    CHECK_INT(copy[3], 0);
    CHECK_STR(empty, "");
    CHECK_STR(afar__arena_strdup(arena, ""), "");
    afar__arena_free(arena);
}

TEST(reset_uses_the_first_chunk_again)
{
    afar__arena *arena = afar__arena_new(256);
    void *first = afar__arena_alloc(arena, 200);

    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 100; i++)
            CHECK(afar__arena_alloc(arena, 1000) != NULL);
        afar__arena_reset(arena);
        CHECK(afar__arena_alloc(arena, 200) == first);
    }
    afar__arena_free(arena);
}

TEST(adopted_blocks_end_with_the_arena)
{
    afar__arena *arena = afar__arena_new(0);

    for (int i = 0; i < 3; i++) {
        afar__arena_adopt(arena, malloc(sizeof(afar__block) + 100));
        if (i == 1)
            afar__arena_reset(arena); /* a leak would be reported at the end */
    }
    afar__arena_free(arena);
}

TEST(sizes_that_cannot_be_had)
{
    afar__arena *arena = afar__arena_new(0);
    const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 16, SIZE_MAX / 2 };

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHECK(afar__arena_new(sizes[i]) == NULL);
        CHECK(afar__arena_alloc(arena, sizes[i]) == NULL);
        CHECK(afar__arena_zalloc(arena, sizes[i]) == NULL);
        CHECK(afar__arena_memdup(arena, "", sizes[i]) == NULL);
    }
    CHECK(afar__arena_alloc(arena, 16) != NULL);
    afar__arena_free(arena);
    afar__arena_free(NULL);
}

TEST(out_of_memory)
{
    afar__arena *arena;

    if (!faults_can())
        return;
    faults_after(0);
    CHECK(afar__arena_new(10) == NULL);
    arena = afar__arena_new(10);
    faults_after(0);
    CHECK(afar__arena_alloc(arena, 1000) == NULL);
    faults_after(0);
    CHECK(afar__arena_strdup(arena, "a string that has no room in the first chunk") == NULL);
    CHECK(afar__arena_alloc(arena, 1000) != NULL);
    afar__arena_free(arena);
}

/* ---- at the end ---- */

struct ending {
    int *next; /* counts what has ended */
    int ended; /* when this one did, from 1 */
};

static void
end(void *arg)
{
    struct ending *ending = arg;

    ending->ended = ++*ending->next;
}

static struct ending *
add_ending(afar__arena *arena, int *next)
{
    struct ending *ending = malloc(sizeof *ending);

    CHECK(ending != NULL);
    *ending = (struct ending){ next, 0 };
    CHECK(afar__arena_at_end(arena, end, ending));
    return ending;
}

TEST(the_newest_ends_first)
{
    afar__arena *arena = afar__arena_new(0);
    struct ending *endings[100];
    int next = 0;

    for (size_t i = 0; i < 100; i++)
        endings[i] = add_ending(arena, &next);
    CHECK_INT(next, 0);
    afar__arena_free(arena);
    CHECK_INT(next, 100);
    for (size_t i = 0; i < 100; i++) {
        CHECK_INT(endings[i]->ended, 100 - i);
        free(endings[i]);
    }
}

TEST(a_reset_ends_once)
{
    afar__arena *arena = afar__arena_new(0);
    int next = 0;
    struct ending *first = add_ending(arena, &next), *second;

    afar__arena_reset(arena);
    CHECK_INT(next, 1);
    afar__arena_reset(arena);
    CHECK_INT(next, 1);
    second = add_ending(arena, &next);
    afar__arena_free(arena);
    CHECK_INT(next, 2);
    CHECK_INT(first->ended, 1);
    CHECK_INT(second->ended, 2);
    free(first);
    free(second);
}

/* What is to end may be a piece, in any chunk. */
TEST(pieces_are_there_until_the_end)
{
    afar__arena *arena = afar__arena_new(0);
    int next = 0;

    for (int i = 0; i < 1000; i++) {
        struct ending *ending = afar__arena_alloc(arena, sizeof *ending);

        CHECK(ending != NULL);
        *ending = (struct ending){ &next, 0 };
        CHECK(afar__arena_at_end(arena, end, ending));
    }
    afar__arena_free(arena);
    CHECK_INT(next, 1000);
}

TEST(what_could_not_be_noted_does_not_end)
{
    afar__arena *arena;
    struct ending ending = { NULL, 0 }; /* would crash */

    if (!faults_can())
        return;
    arena = afar__arena_new(16);
    faults_after(0);
    CHECK(!afar__arena_at_end(arena, end, &ending));
    afar__arena_free(arena);
}

#ifdef POISONS

TEST(what_is_not_handed_out_is_poisoned)
{
    afar__arena *arena = afar__arena_new(1000);
    char *first = afar__arena_alloc(arena, 100);
    char *second = afar__arena_alloc(arena, 16);

    CHECK(!is_poisoned(first) && !is_poisoned(first + 99));
    CHECK(is_poisoned(first + 100));
    CHECK(!is_poisoned(second + 15));
    CHECK(is_poisoned(second + 16));
    CHECK(is_poisoned(second - 1));
    afar__arena_reset(arena);
    CHECK(is_poisoned(first) && is_poisoned(second));
    CHECK(afar__arena_alloc(arena, 1) == first);
    CHECK(!is_poisoned(first) && is_poisoned(first + 1));
    afar__arena_free(arena);
}

#endif
