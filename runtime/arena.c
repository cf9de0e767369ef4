/* Arenas: memory for things that end together, such as a message or a call.
 *
 * A piece is cut from the end of what was cut before it.  When a piece does not
 * fit, a new chunk is begun; chunks double in size up to LARGEST, so that an
 * arena that grows large makes few calls to malloc and one that stays small
 * wastes little.  A piece so large that little of a new chunk would be left gets
 * a block of its own, and cutting goes on where it was.
 *
 * Invariants: `at` and `end` are multiples of 16; every block in `blocks` came
 * from malloc; the first chunk is not among them, since it is part of the arena.
 *
 * What is to be done at the end is a list of pieces.  It is done before any memory is
 * given back, for those pieces and what they speak of are among it.
 *
 * An overrun inside a chunk is invisible to the allocator's checks.  So under
 * AddressSanitizer everything that is not handed out is poisoned, and pieces have
 * 16 poisoned bytes between them.
 *
 * Runs on the thread that owns the arena.
 */

#include "runtime/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/spare.h"

#if defined(__SANITIZE_ADDRESS__)
#define AFAR__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AFAR__ASAN 1
#endif
#endif

#ifdef AFAR__ASAN
#include <sanitizer/asan_interface.h>
#define REDZONE ((size_t)16)
#else
#define ASAN_POISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#define REDZONE ((size_t)0)
#endif

#define ALIGNMENT ((size_t)16)
#define SMALLEST ((size_t)1024)
#define LARGEST ((size_t)256 * 1024)

/* Sizes above this are refused before anything is added to them. */
#define TOO_LARGE (SIZE_MAX / 4)

/* What is done at the end; a piece of the arena. */
typedef struct ending {
    struct ending *next;
    void (*fn)(void *arg);
    void *arg;
} ending;

struct afar__arena {
    char *at;            /* the next piece begins here */
    char *end;           /* of the chunk that pieces are cut from */
    afar__block *blocks; /* newest first */
    ending *endings;     /* newest first */
    size_t first_size;   /* of the first chunk */
    size_t next_size;    /* of the chunk to come */
    alignas(16) char first[];
};

typedef struct chunk {
    afar__block block;
    alignas(16) char bytes[];
} chunk;

static size_t
round_up(size_t n)
{
    return (n + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

/* What a piece takes; a piece of 0 bytes has an address of its own as well. */
static size_t
piece_size(size_t n)
{
    return round_up(n > 0 ? n : 1) + REDZONE;
}

/* Where a fresh arena and one that was reset begin. */
static void
start_over(afar__arena *arena)
{
    arena->at = arena->first;
    arena->end = arena->first + arena->first_size;
    arena->blocks = NULL;
    arena->endings = NULL;
    arena->next_size = arena->first_size > SMALLEST ? arena->first_size : SMALLEST;
    if (arena->next_size > LARGEST)
        arena->next_size = LARGEST;
    ASAN_POISON_MEMORY_REGION(arena->first, arena->first_size);
}

afar__arena *
afar__arena_new(size_t first)
{
    afar__arena *arena;

    if (first > TOO_LARGE)
        return NULL;
    first = piece_size(first);
    arena = afar__spare_alloc(sizeof *arena + first);
    if (!arena)
        return NULL;
    arena->first_size = first;
    start_over(arena);
    return arena;
}

static chunk *
add_chunk(afar__arena *arena, size_t size)
{
    chunk *fresh = malloc(sizeof *fresh + size);

    if (!fresh)
        return NULL;
    ASAN_POISON_MEMORY_REGION(fresh->bytes, size);
    afar__arena_adopt(arena, &fresh->block);
    return fresh;
}

/* A piece that does not fit in the chunk at hand. */
static char *
alloc_in_new_chunk(afar__arena *arena, size_t size)
{
    bool alone = size > arena->next_size / 4;
    chunk *fresh = add_chunk(arena, alone ? size : arena->next_size);

    if (!fresh)
        return NULL;
    if (alone)
        return fresh->bytes;
    arena->at = fresh->bytes + size;
    arena->end = fresh->bytes + arena->next_size;
    if (arena->next_size < LARGEST)
        arena->next_size *= 2;
    return fresh->bytes;
}

void *
afar__arena_alloc(afar__arena *arena, size_t n)
{
    size_t size = piece_size(n);
    char *piece = arena->at;

    if (n > TOO_LARGE)
        return NULL;
    if (size <= (size_t)(arena->end - piece))
        arena->at += size;
    else
        piece = alloc_in_new_chunk(arena, size);
    if (piece)
        ASAN_UNPOISON_MEMORY_REGION(piece, n);
    return piece;
}

void *
afar__arena_zalloc(afar__arena *arena, size_t n)
{
    void *piece = afar__arena_alloc(arena, n);

    return piece ? memset(piece, 0, n) : NULL;
}

char *
afar__arena_strdup(afar__arena *arena, const char *string)
{
    return afar__arena_memdup(arena, string, strlen(string));
}

void *
afar__arena_memdup(afar__arena *arena, const void *data, size_t n)
{
    char *copy = n < TOO_LARGE ? afar__arena_alloc(arena, n + 1) : NULL;

    if (!copy)
        return NULL;
    if (n > 0)
        memcpy(copy, data, n);
    copy[n] = 0;
    return copy;
}

void
afar__arena_adopt(afar__arena *arena, afar__block *block)
{
    block->next = arena->blocks;
    arena->blocks = block;
}

bool
afar__arena_at_end(afar__arena *arena, void (*fn)(void *arg), void *arg)
{
    ending *made = afar__arena_alloc(arena, sizeof *made);

    if (!made)
        return false;
    *made = (ending){ arena->endings, fn, arg };
    arena->endings = made;
    return true;
}

static void
end_all(afar__arena *arena)
{
    while (arena->endings) {
        ending *newest = arena->endings;

        arena->endings = newest->next;
        newest->fn(newest->arg);
    }
}

static void
free_blocks(afar__arena *arena)
{
    while (arena->blocks) {
        afar__block *block = arena->blocks;

        arena->blocks = block->next;
        free(block);
    }
}

void
afar__arena_reset(afar__arena *arena)
{
    end_all(arena);
    free_blocks(arena);
    start_over(arena);
}

void
afar__arena_free(afar__arena *arena)
{
    if (!arena)
        return;
    end_all(arena);
    free_blocks(arena);
    afar__spare_free(arena, sizeof *arena + arena->first_size);
}
