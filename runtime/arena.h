#ifndef AFAR_RUNTIME_ARENA_H
#define AFAR_RUNTIME_ARENA_H

/* Memory that is released all at once: a chain of chunks from which pieces are
 * cut one behind the other.  Every piece is aligned to 16 bytes.  An arena
 * belongs to one thread at a time. */

#include <stdbool.h>
#include <stddef.h>

#include <afar/api.h>

typedef struct afar__arena afar__arena;

/* What a block of malloc must begin with to be given to an arena. */
typedef struct afar__block {
    struct afar__block *next; /* private to who has the block */
} afar__block;

/* Makes an arena.  Its first chunk has at least `first` usable bytes and is in the
 * same malloc as the arena itself, so that a well guessed `first` costs one
 * malloc in all.  NULL when out of memory. */
afar__arena *
afar__arena_new(size_t first);

/* `n` bytes, not initialised; 0 bytes are a piece too.  NULL when out of memory. */
void *
afar__arena_alloc(afar__arena *arena, size_t n);

/* The same, zeroed. */
void *
afar__arena_zalloc(afar__arena *arena, size_t n);

/* A copy of a string.  NULL when out of memory. */
char *
afar__arena_strdup(afar__arena *arena, const char *string);

/* A copy of `n` bytes with a 0 byte behind them.  `data` may be NULL if n is 0. */
void *
afar__arena_memdup(afar__arena *arena, const void *data, size_t n);

/* Gives a block that came from malloc to the arena, which frees it with the rest. */
void
afar__arena_adopt(afar__arena *arena, afar__block *block);

/* Has `fn` called when the arena is reset or freed, while its pieces are still there; the
 * newest first.  `fn` must not use the arena.  False when out of memory: then `fn` will
 * not be called. */
bool
afar__arena_at_end(afar__arena *arena, void (*fn)(void *arg), void *arg);

/* Takes every piece back and frees all but the first chunk, which is used again. */
void
afar__arena_reset(afar__arena *arena);

/* Frees the arena and every piece; NULL is allowed. */
void
afar__arena_free(afar__arena *arena);

#endif
