/* The records that a client saw last, and the highest generation of each owner.
 *
 * Invariants:
 * - A row of `records` has one reference to its sighting, and there are 256 at most.
 * - A row of `generations` is named KEY@NAME; there are 4,096 at most.  Older ones are
 *   forgotten, and with them what protects a name from being rolled back; so a client
 *   that opens more names than that is only protected for the latest.
 * - `lock` guards both tables; nothing waits while it is held.
 *
 * Any thread. */

#include "client/cache.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "client/table.h"

struct seen {
    afar__row row; /* named by the record */
    afar__sighting *sighting;
    int64_t fresh_until, lease_end;
};

struct generation {
    afar__row row;
    uint64_t highest;
    char name[];
};

struct afar__cache {
    pthread_mutex_t lock; /* guards what follows */
    afar__table records, generations;
};

/* ---- sightings ---- */

afar_code
afar__sighting_new(const afar__signed *bytes, afar__record *record, afar__sighting **ret_sighting,
                   afar_error *err)
{
    afar__sighting *sighting = malloc(sizeof *sighting);
    afar__signed *copy = sighting ? afar__record_copy(bytes) : NULL;

    if (!copy) {
        free(sighting);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a record");
    }
    atomic_init(&sighting->refs, 1);
    sighting->bytes = copy;
    sighting->record = record;
    *ret_sighting = sighting;
    return AFAR_OK;
}

afar__sighting *
afar__sighting_ref(afar__sighting *sighting)
{
    atomic_fetch_add_explicit(&sighting->refs, 1, memory_order_relaxed);
    return sighting;
}

void
afar__sighting_unref(afar__sighting *sighting)
{
    if (!sighting || atomic_fetch_sub_explicit(&sighting->refs, 1, memory_order_acq_rel) != 1)
        return;
    afar_message_free(sighting->record);
    afar__record_free(sighting->bytes);
    free(sighting);
}

/* ---- life ---- */

afar_code
afar__cache_new(afar__cache **ret_cache, afar_error *err)
{
    afar__cache *cache = calloc(1, sizeof *cache);

    if (!cache)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a cache of names");
    pthread_mutex_init(&cache->lock, NULL);
    *ret_cache = cache;
    return AFAR_OK;
}

static void
remove_record_locked(afar__cache *cache, struct seen *seen)
{
    afar__table_remove(&cache->records, &seen->row);
    afar__sighting_unref(seen->sighting);
    free(seen);
}

static void
remove_generation_locked(afar__cache *cache, struct generation *generation)
{
    afar__table_remove(&cache->generations, &generation->row);
    free(generation);
}

void
afar__cache_free(afar__cache *cache)
{
    if (!cache)
        return;
    while (cache->records.oldest)
        remove_record_locked(cache, (struct seen *)cache->records.oldest);
    while (cache->generations.oldest)
        remove_generation_locked(cache, (struct generation *)cache->generations.oldest);
    afar__table_clear(&cache->records);
    afar__table_clear(&cache->generations);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* ---- records ---- */

static struct seen *
find_record_locked(afar__cache *cache, const char *name)
{
    return (struct seen *)afar__table_find(&cache->records, name);
}

afar__sighting *
afar__cache_fresh(afar__cache *cache, const char *name, int64_t *ret_lease_end)
{
    afar__sighting *sighting = NULL;
    struct seen *seen;

    pthread_mutex_lock(&cache->lock);
    seen = find_record_locked(cache, name);
    if (seen && afar__now() < seen->fresh_until) {
        afar__table_use(&cache->records, &seen->row);
        sighting = afar__sighting_ref(seen->sighting);
        *ret_lease_end = seen->lease_end;
    }
    pthread_mutex_unlock(&cache->lock);
    return sighting;
}

afar__sighting *
afar__cache_same(afar__cache *cache, const char *name, const afar__signed *bytes)
{
    afar__sighting *sighting = NULL;
    struct seen *seen;

    pthread_mutex_lock(&cache->lock);
    seen = find_record_locked(cache, name);
    if (seen && afar__record_equal(seen->sighting->bytes, bytes))
        sighting = afar__sighting_ref(seen->sighting);
    pthread_mutex_unlock(&cache->lock);
    return sighting;
}

static struct seen *
new_record_locked(afar__cache *cache, afar__sighting *sighting)
{
    struct seen *seen = calloc(1, sizeof *seen);

    if (!seen)
        return NULL;
    seen->row.name = sighting->record->name;
    if (!afar__table_add(&cache->records, &seen->row)) {
        free(seen);
        return NULL;
    }
    seen->sighting = afar__sighting_ref(sighting);
    return seen;
}

/* Whether `a` is of the same owner as `b`, and newer. */
static bool
is_newer(const afar__sighting *a, const afar__sighting *b)
{
    return a->record->generation > b->record->generation &&
           memcmp(afar__record_key(a->bytes), afar__record_key(b->bytes), AFAR__PUBLIC_BYTES) == 0;
}

void
afar__cache_put(afar__cache *cache, afar__sighting *sighting, int64_t since, int64_t lease_end)
{
    struct seen *seen;

    pthread_mutex_lock(&cache->lock);
    seen = find_record_locked(cache, sighting->record->name);
    if (seen && is_newer(seen->sighting, sighting)) {
        pthread_mutex_unlock(&cache->lock);
        return;
    }
    if (seen && seen->sighting != sighting) {
        remove_record_locked(cache, seen);
        seen = NULL;
    }
    if (!seen && cache->records.count == AFAR__MAX_CACHED)
        remove_record_locked(cache, (struct seen *)cache->records.oldest);
    if (!seen)
        seen = new_record_locked(cache, sighting);
    if (seen) {
        afar__table_use(&cache->records, &seen->row);
        seen->lease_end = lease_end;
        seen->fresh_until = since + AFAR__FRESH < lease_end ? since + AFAR__FRESH : lease_end;
    }
    pthread_mutex_unlock(&cache->lock);
}

void
afar__cache_drop(afar__cache *cache, const char *name)
{
    struct seen *seen;

    pthread_mutex_lock(&cache->lock);
    seen = find_record_locked(cache, name);
    if (seen)
        seen->fresh_until = 0;
    pthread_mutex_unlock(&cache->lock);
}

/* ---- generations ---- */

static struct generation *
new_generation_locked(afar__cache *cache, const char *name)
{
    size_t length = strlen(name);
    struct generation *generation = malloc(sizeof *generation + length + 1);

    if (!generation)
        return NULL;
    memcpy(generation->name, name, length + 1);
    generation->row.name = generation->name;
    generation->highest = 0;
    if (cache->generations.count == AFAR__MAX_GENERATIONS)
        remove_generation_locked(cache, (struct generation *)cache->generations.oldest);
    if (afar__table_add(&cache->generations, &generation->row))
        return generation;
    free(generation);
    return NULL;
}

afar_code
afar__cache_count(afar__cache *cache, const afar__sighting *sighting, afar_error *err)
{
    const afar__record *record = sighting->record;
    struct generation *generation;
    char key[AFAR__KEY_TEXT], name[AFAR__KEY_TEXT + 256];
    uint64_t highest = 0;
    bool counted = false;

    afar__key_print(afar__record_key(sighting->bytes), key);
    snprintf(name, sizeof name, "%s@%s", key, record->name);
    pthread_mutex_lock(&cache->lock);
    generation = (struct generation *)afar__table_find(&cache->generations, name);
    if (!generation)
        generation = new_generation_locked(cache, name);
    if (generation) {
        afar__table_use(&cache->generations, &generation->row);
        if (record->generation > generation->highest)
            generation->highest = record->generation;
        highest = generation->highest;
        counted = true;
    }
    pthread_mutex_unlock(&cache->lock);
    if (!counted)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%.200s: no memory", record->name);
    if (record->generation < highest)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "%.120s: an older record than was seen before: generation %" PRIu64
                         ", after %" PRIu64,
                         record->name, record->generation, highest);
    return AFAR_OK;
}
