/* Failing allocations: what allocations.h says.  The linker sends the calls of our
 * own objects here (CMakeLists.txt). */

#include "allocations.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

void *
__real_malloc(size_t size);

void *
__real_calloc(size_t count, size_t size);

void *
__real_realloc(void *piece, size_t size);

char *
__real_strdup(const char *text);

void
__real_free(void *piece);

void *
__wrap_malloc(size_t size);

void *
__wrap_calloc(size_t number, size_t size);

void *
__wrap_realloc(void *piece, size_t size);

char *
__wrap_strdup(const char *text);

void
__wrap_free(void *piece);

void *
__wrap_afar__spare_alloc(size_t size);

void
__wrap_afar__spare_free(void *memory, size_t size);

static atomic_long left = -1, count;
static atomic_bool failed;

static bool
fails(void)
{
    long now = atomic_load(&left);

    while (now >= 0)
        if (atomic_compare_exchange_weak(&left, &now, now - 1)) {
            if (now > 0)
                return false;
            atomic_store(&failed, true);
            errno = ENOMEM;
            return true;
        }
    return false;
}

static void *
counted(void *piece)
{
    if (piece)
        atomic_fetch_add(&count, 1);
    return piece;
}

void *
__wrap_malloc(size_t size)
{
    return fails() ? NULL : counted(__real_malloc(size));
}

void *
__wrap_calloc(size_t number, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(number, size));
}

void *
__wrap_realloc(void *piece, size_t size)
{
    if (fails())
        return NULL;
    return piece ? __real_realloc(piece, size) : counted(__real_malloc(size));
}

char *
__wrap_strdup(const char *text)
{
    return fails() ? NULL : counted(__real_strdup(text));
}

void
__wrap_free(void *piece)
{
    if (piece)
        atomic_fetch_sub(&count, 1);
    __real_free(piece);
}

/* Spare memory as well: none is kept. */
void *
__wrap_afar__spare_alloc(size_t size)
{
    return __wrap_malloc(size);
}

void
__wrap_afar__spare_free(void *memory, size_t size)
{
    (void)size;
    __wrap_free(memory);
}

void
allocations_fail_after(long n)
{
    atomic_store(&failed, false);
    atomic_store(&left, n);
}

bool
allocations_stop(void)
{
    atomic_store(&left, -1);
    return atomic_load(&failed);
}

long
allocations_count(void)
{
    return atomic_load(&count);
}
