#ifndef AFAR_CLIENT_CACHE_H
#define AFAR_CLIENT_CACHE_H

/* What a client remembers of records: the ones it saw last, and how far each owner has
 * counted.  Any thread.
 *
 * A record is fresh for 10 seconds, and while its lease lasts; it then still serves to
 * recognize the same bytes.  The least recently used names are forgotten. */

#include <stdatomic.h>

#include "runtime/clock.h"
#include "runtime/record.h"

#define AFAR__FRESH (10 * AFAR__SECOND)
#define AFAR__MAX_CACHED 256
#define AFAR__MAX_GENERATIONS 4096

/* A record that was verified.  Constant, and counted. */
typedef struct afar__sighting {
    atomic_uint refs;
    afar__signed *bytes;
    afar__record *record;
} afar__sighting;

/* Takes the record, unless it fails; copies the bytes. */
afar_code
afar__sighting_new(const afar__signed *bytes, afar__record *record, afar__sighting **ret_sighting,
                   afar_error *err);
afar__sighting *
afar__sighting_ref(afar__sighting *sighting);
void
afar__sighting_unref(afar__sighting *sighting);

typedef struct afar__cache afar__cache;

afar_code
afar__cache_new(afar__cache **ret_cache, afar_error *err);
void
afar__cache_free(afar__cache *cache);

/* The fresh record of a name and when its lease ends (ns), or NULL.  With a reference. */
afar__sighting *
afar__cache_fresh(afar__cache *cache, const char *name, int64_t *ret_lease_end);

/* The record of a name, fresh or not, if it is just these bytes; or NULL.  With a
 * reference. */
afar__sighting *
afar__cache_same(afar__cache *cache, const char *name, const afar__signed *bytes);

/* Remembers a record that was looked up at `since`, with a reference of its own.  It is not
 * remembered when memory is out, and when a newer one of its owner is: another thread asked
 * after us and was answered before. */
void
afar__cache_put(afar__cache *cache, afar__sighting *sighting, int64_t since, int64_t lease_end);

/* It was of no use: not fresh any more. */
void
afar__cache_drop(afar__cache *cache, const char *name);

/* Counts a record.  FAILED_PRECONDITION when a newer one of its name and key was seen. */
afar_code
afar__cache_count(afar__cache *cache, const afar__sighting *sighting, afar_error *err);

#endif
