/* Spare memory: it is used again, by its thread, and not without end.  Labels: concurrent */

#include "runtime/spare.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "faults.h"

#define MANY 200

/* All sizes, also those that are never kept; pieces overlap nowhere. */
TEST(pieces_are_apart)
{
    void *pieces[MANY];

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++) {
            size_t size = 1 + i * 13;

            pieces[i] = afar__spare_alloc(size);
            CHECK(pieces[i] != NULL);
            CHECK_INT((uintptr_t)pieces[i] % 16, 0);
            memset(pieces[i], (int)i, size);
        }
        for (size_t i = 0; i < MANY; i++) {
            const uint8_t *bytes = pieces[i];
            size_t size = 1 + i * 13;

            for (size_t at = 0; at < size; at++)
                CHECK_INT(bytes[at], i);
            afar__spare_free(pieces[i], size);
        }
    }
}

TEST(nothing_may_be_freed)
{
    afar__spare_free(NULL, 0);
    afar__spare_free(NULL, 100);
    afar__spare_free(afar__spare_alloc(0), 0);
}

TEST(what_was_freed_is_used_again)
{
    void *pieces[20];
    size_t before;

    for (int round = 0; round < 3; round++) {
        before = faults_allocations();
        for (size_t i = 0; i < 20; i++)
            pieces[i] = afar__spare_alloc(1500);
        if (faults_can())
            CHECK_INT(faults_allocations() - before, round == 0 ? 20 : 0);
        for (size_t i = 0; i < 20; i++)
            afar__spare_free(pieces[i], 1500);
    }
}

TEST(no_more_than_64_kib_are_kept)
{
    void *pieces[MANY];
    size_t before;

    for (size_t i = 0; i < MANY; i++)
        pieces[i] = afar__spare_alloc(2048);
    for (size_t i = 0; i < MANY; i++)
        afar__spare_free(pieces[i], 2048);
    before = faults_allocations();
    for (size_t i = 0; i < MANY; i++)
        pieces[i] = afar__spare_alloc(2048);
    if (faults_can())
        CHECK_INT(faults_allocations() - before, MANY - (64 << 10) / 2048);
    for (size_t i = 0; i < MANY; i++)
        afar__spare_free(pieces[i], 2048);
}

static void *
use(void *arg)
{
    void **handed = arg;

    for (size_t i = 0; i < MANY; i++)
        afar__spare_free(handed[i], 1 + i * 7);
    for (size_t i = 0; i < MANY; i++) {
        handed[i] = afar__spare_alloc(1 + i * 7);
        memset(handed[i], 1, 1 + i * 7);
    }
    return NULL;
}

/* What one thread made another may free, also one that ends. */
TEST(pieces_go_from_thread_to_thread)
{
    void *handed[MANY];

    for (size_t i = 0; i < MANY; i++)
        handed[i] = afar__spare_alloc(1 + i * 7);
    for (int round = 0; round < 10; round++) {
        pthread_t thread;

        CHECK_INT(pthread_create(&thread, NULL, use, handed), 0);
        pthread_join(thread, NULL);
    }
    for (size_t i = 0; i < MANY; i++)
        afar__spare_free(handed[i], 1 + i * 7);
}
