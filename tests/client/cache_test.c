/* What a client remembers of records. */

#include "client/cache.h"

#include <stdio.h>
#include <string.h>

#include <afar/message.h>

#include "check.h"
#include "runtime/decode.h"

#define FAR_AWAY INT64_MAX

/* A sighting of a record with that name, key and generation.  Its signature is none: nobody
 * looks at it here. */
static afar__sighting *
see(const char *name, int key, uint64_t generation)
{
    static uint8_t keys[2][AFAR__PUBLIC_BYTES] = { { 1 }, { 2 } };
    static uint8_t signature[AFAR__SIGNATURE_BYTES], packed[AFAR__MAX_RECORD];
    const afar_message_limits limits = AFAR_MESSAGE_LIMITS_INIT;
    afar__record record = AFAR__NAMES__V1__RECORD__INIT;
    afar__signed made = AFAR__NAMES__V1__SIGNED_RECORD__INIT;
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *message = NULL;
    afar__sighting *sighting = NULL;

    record.name = (char *)name;
    record.generation = generation;
    made.record = (ProtobufCBinaryData){ protobuf_c_message_pack(&record.base, packed), packed };
    made.key = (ProtobufCBinaryData){ sizeof keys[key], keys[key] };
    made.signature = (ProtobufCBinaryData){ sizeof signature, signature };
    CHECK_OK(afar__decode_message(record.base.descriptor, packed, made.record.len, &limits,
                                  &message, &err));
    CHECK_OK(afar__sighting_new(&made, (afar__record *)message, &sighting, &err));
    return sighting;
}

static afar__cache *
open_cache(void)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__cache *cache = NULL;

    CHECK_OK(afar__cache_new(&cache, &err));
    return cache;
}

static bool
is_fresh(afar__cache *cache, const char *name)
{
    int64_t lease_end = 0;
    afar__sighting *sighting = afar__cache_fresh(cache, name, &lease_end);

    afar__sighting_unref(sighting);
    return sighting != NULL;
}

TEST(a_record_is_fresh_for_its_time)
{
    afar__cache *cache = open_cache();
    afar__sighting *sighting = see("a", 0, 1);
    int64_t now = afar__now(), lease_end = 0;

    CHECK(!is_fresh(cache, "a"));
    afar__cache_put(cache, sighting, now, FAR_AWAY);
    CHECK(afar__cache_fresh(cache, "a", &lease_end) == sighting);
    CHECK_INT(lease_end, FAR_AWAY);
    afar__sighting_unref(sighting);
    CHECK(!is_fresh(cache, "b"));
    afar__cache_put(cache, sighting, now - AFAR__FRESH, FAR_AWAY); /* 10 s ago */
    CHECK(!is_fresh(cache, "a"));
    afar__cache_put(cache, sighting, now, now); /* its lease is over */
    CHECK(!is_fresh(cache, "a"));
    afar__cache_put(cache, sighting, now, FAR_AWAY);
    CHECK(is_fresh(cache, "a"));
    afar__cache_drop(cache, "a");
    CHECK(!is_fresh(cache, "a"));
    afar__cache_drop(cache, "b");
    afar__sighting_unref(sighting);
    afar__cache_free(cache);
}

TEST(an_older_record_does_not_replace_a_newer_one_of_its_owner)
{
    afar__cache *cache = open_cache();
    afar__sighting *first = see("a", 0, 1), *second = see("a", 0, 2), *other = see("a", 1, 1);
    int64_t lease_end = 0;

    afar__cache_put(cache, second, afar__now(), FAR_AWAY);
    afar__cache_put(cache, first, afar__now(), FAR_AWAY);
    CHECK(afar__cache_fresh(cache, "a", &lease_end) == second);
    afar__sighting_unref(second);
    afar__cache_put(cache, other, afar__now(), FAR_AWAY);
    CHECK(afar__cache_fresh(cache, "a", &lease_end) == other);
    afar__sighting_unref(other);
    afar__sighting_unref(first);
    afar__sighting_unref(second);
    afar__sighting_unref(other);
    afar__cache_free(cache);
}

TEST(the_same_bytes_are_recognized)
{
    afar__cache *cache = open_cache();
    afar__sighting *sighting = see("a", 0, 1), *next = see("a", 0, 2), *found;

    afar__cache_put(cache, sighting, 0, 0);
    found = afar__cache_same(cache, "a", sighting->bytes);
    CHECK(found == sighting);
    afar__sighting_unref(found);
    CHECK(afar__cache_same(cache, "a", next->bytes) == NULL);
    CHECK(afar__cache_same(cache, "b", sighting->bytes) == NULL);
    afar__cache_put(cache, next, 0, 0);
    CHECK(afar__cache_same(cache, "a", sighting->bytes) == NULL);
    sighting->bytes->signature.data[0] ^= 1;
    CHECK(afar__cache_same(cache, "a", sighting->bytes) == NULL);
    afar__sighting_unref(sighting);
    afar__sighting_unref(next);
    afar__cache_free(cache);
}

static afar_code
count(afar__cache *cache, const char *name, int key, uint64_t generation, afar_error *err)
{
    afar__sighting *sighting = see(name, key, generation);
    afar_code code = afar__cache_count(cache, sighting, err);

    afar__sighting_unref(sighting);
    return code;
}

TEST(generations_never_fall)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__cache *cache = open_cache();

    CHECK_OK(count(cache, "a", 0, 5, &err));
    CHECK_OK(count(cache, "a", 0, 5, &err));
    CHECK_FAILS(count(cache, "a", 0, 4, &err), AFAR_FAILED_PRECONDITION);
    CHECK_STR(err.message, "a: an older record than was seen before: generation 4, after 5");
    CHECK_OK(count(cache, "a", 1, 1, &err)); /* each owner counts for itself */
    CHECK_OK(count(cache, "b", 0, 1, &err)); /* and for each name */
    CHECK_OK(count(cache, "a", 0, UINT64_MAX, &err));
    CHECK_FAILS(count(cache, "a", 0, UINT64_MAX - 1, &err), AFAR_FAILED_PRECONDITION);
    CHECK_OK(count(cache, "a", 1, 2, &err));
    afar_error_clear(&err);
    afar__cache_free(cache);
}

/* Those that were used last are remembered. */
TEST(generations_of_many_names)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__cache *cache = open_cache();
    char name[20];

    CHECK_OK(count(cache, "first", 0, 9, &err));
    CHECK_OK(count(cache, "second", 0, 9, &err));
    for (int i = 0; i < AFAR__MAX_GENERATIONS - 2; i++) {
        snprintf(name, sizeof name, "n/%d", i);
        CHECK_OK(count(cache, name, 0, 9, &err));
    }
    CHECK_OK(count(cache, "first", 0, 9, &err));
    CHECK_OK(count(cache, "last", 0, 9, &err));
    CHECK_FAILS(count(cache, "first", 0, 8, &err), AFAR_FAILED_PRECONDITION);
    CHECK_OK(count(cache, "second", 0, 8, &err)); /* forgotten */
    afar_error_clear(&err);
    afar__cache_free(cache);
}
