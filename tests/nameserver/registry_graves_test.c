/* What is remembered of names that are gone, and that it has bounds. */

#include "check.h"
#include "server/nameserver/graves.h"
#include "server/nameserver/nonce.h"

static const uint8_t mine[AFAR__PUBLIC_BYTES] = { 1 }, theirs[AFAR__PUBLIC_BYTES] = { 2 };

static void
bury(afar__graves *graves, const char *name, const uint8_t *key, uint64_t generation, int64_t now)
{
    afar__grave *grave = afar__grave_new(name, key, generation);

    CHECK(grave);
    afar__graves_add(graves, grave, now);
}

static uint64_t
generation_of(const afar__graves *graves, const char *name, const uint8_t *key)
{
    const afar__grave *grave = afar__graves_find(graves, name, key);

    CHECK(grave);
    return afar__grave_generation(grave);
}

TEST(graves_are_by_name_and_key)
{
    afar__graves graves = { .most = 10 };

    bury(&graves, "a", mine, 7, 0);
    bury(&graves, "a", theirs, 0, 0);
    bury(&graves, "ab", mine, 9, 0);
    CHECK_INT(generation_of(&graves, "a", mine), 7);
    CHECK_INT(generation_of(&graves, "a", theirs), 0);
    CHECK_INT(generation_of(&graves, "ab", mine), 9);
    CHECK(!afar__graves_find(&graves, "ab", theirs));
    CHECK(!afar__graves_find(&graves, "", mine));
    afar__graves_clear(&graves);
    CHECK(!afar__graves_find(&graves, "a", mine));
}

TEST(a_grave_stays_as_long_as_a_nonce_lives)
{
    afar__graves graves = { .most = 10 };

    bury(&graves, "a", mine, 7, 1000);
    bury(&graves, "b", mine, 7, 2000);
    /* Again: the higher generation stays, and its time starts anew. */
    bury(&graves, "a", mine, 5, 3000);
    afar__graves_expire(&graves, 1000 + AFAR__NONCE_LIFE_MS + 1);
    CHECK_INT(generation_of(&graves, "a", mine), 7);
    afar__graves_expire(&graves, 2000 + AFAR__NONCE_LIFE_MS);
    CHECK(afar__graves_find(&graves, "b", mine));
    afar__graves_expire(&graves, 2000 + AFAR__NONCE_LIFE_MS + 1);
    CHECK(!afar__graves_find(&graves, "b", mine));
    CHECK_INT(generation_of(&graves, "a", mine), 7);
    afar__graves_expire(&graves, 3000 + AFAR__NONCE_LIFE_MS + 1);
    CHECK_INT(graves.count, 0);
}

/* Then no nonce from before is good any more, which says as much and takes no room. */
TEST(too_many_graves_are_one_moment)
{
    afar__graves graves = { .most = 3, .floor_ms = INT64_MIN };

    bury(&graves, "a", mine, 1, 1000);
    bury(&graves, "b", mine, 1, 1000);
    bury(&graves, "c", mine, 1, 1000);
    bury(&graves, "c", mine, 2, 1500);
    CHECK_INT(graves.count, 3);
    CHECK(graves.floor_ms == INT64_MIN);
    bury(&graves, "d", mine, 1, 2000);
    CHECK_INT(graves.count, 0);
    CHECK_INT(graves.floor_ms, 2001);
    bury(&graves, "e", mine, 1, 3000);
    CHECK_INT(graves.count, 1);
    CHECK_INT(graves.floor_ms, 2001);
    afar__graves_clear(&graves);
}
