/* Spare memory of each thread.
 *
 * glibc keeps 7 pieces of a size for each thread, none above 1 KiB; but calls come and end by the
 * dozen, and with more under way most of malloc's work was to split and join.
 *
 * Pieces are kept by size, in steps of STEP, the newest first.  They are freed when their thread
 * ends; what is given back afterwards, by others of its destructors, is freed at once.
 *
 * Under the sanitizers nothing is kept: they could not see that a piece is used after its end.
 *
 * Any thread; what it keeps belongs to it alone. */

#include "runtime/spare.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define STEP ((size_t)256)
#define LARGEST ((size_t)2048)

#ifdef SANITIZED
#define MOST ((size_t)0)
#else
#define MOST ((size_t)64 << 10) /* bytes that a thread keeps */
#endif

struct piece {
    struct piece *next;
};

enum state { NEW, KEEPS, ENDED };

static _Thread_local struct {
    enum state state;
    size_t bytes;
    struct piece *pieces[LARGEST / STEP];
} spare;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

/* The thread ends. */
static void
free_all(void *arg)
{
    (void)arg;
    spare.state = ENDED;
    for (size_t i = 0; i < LARGEST / STEP; i++)
        while (spare.pieces[i]) {
            struct piece *piece = spare.pieces[i];

            spare.pieces[i] = piece->next;
            free(piece);
        }
}

static void
make_key(void)
{
    has_key = pthread_key_create(&key, free_all) == 0;
}

/* Without a key the thread could not free what it keeps. */
static void
begin(void)
{
    pthread_once(&once, make_key);
    spare.state = has_key && pthread_setspecific(key, &spare) == 0 ? KEEPS : ENDED;
}

/* Which of the lists is for pieces of that size; one of 0 bytes is a piece as well. */
static inline size_t
list_of(size_t size)
{
    return size > 0 ? (size - 1) / STEP : 0;
}

void *
afar__spare_alloc(size_t size)
{
    size_t list = list_of(size), whole = (list + 1) * STEP;
    struct piece *piece;

    if (MOST == 0 || size > LARGEST)
        return malloc(size > 0 ? size : 1);
    piece = spare.pieces[list];
    if (!piece)
        return malloc(whole);
    spare.pieces[list] = piece->next;
    spare.bytes -= whole;
    return piece;
}

void
afar__spare_free(void *memory, size_t size)
{
    size_t list = list_of(size), whole = (list + 1) * STEP;
    struct piece *piece = memory;

    if (!memory)
        return;
    if (spare.state == NEW)
        begin();
    if (spare.state == ENDED || size > LARGEST || spare.bytes + whole > MOST) {
        free(memory);
        return;
    }
    piece->next = spare.pieces[list];
    spare.pieces[list] = piece;
    spare.bytes += whole;
}
