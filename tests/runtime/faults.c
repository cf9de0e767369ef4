/* Counting and failing allocations: what faults.h says.  A program's own malloc
 * stands in front of the C library's, for the libraries too. */

#include "faults.h"

#include <errno.h>
#include <stdlib.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

#ifdef SANITIZED

bool
faults_can(void)
{
    return false;
}

void
faults_after(long n)
{
    (void)n;
}

bool
faults_happened(void)
{
    return false;
}

size_t
faults_allocations(void)
{
    return 0;
}

#else

void *
__libc_malloc(size_t size);

void *
__libc_calloc(size_t nmemb, size_t size);

void *
__libc_realloc(void *ptr, size_t size);

static _Thread_local long left = -1;
static _Thread_local bool happened;
static _Thread_local size_t allocations;

static bool
fails(void)
{
    allocations++;
    if (left < 0 || left-- > 0)
        return false;
    happened = true;
    errno = ENOMEM;
    return true;
}

void *
malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t nmemb, size_t size)
{
    return fails() ? NULL : __libc_calloc(nmemb, size);
}

void *
realloc(void *ptr, size_t size)
{
    return fails() ? NULL : __libc_realloc(ptr, size);
}

static bool can;

/* Valgrind puts its own malloc in place of ours.  The compiler knows malloc, and that it
 * changes no variable of a program; so it must not know that it is called.  Before main,
 * since the piece would be among what a test counts. */
__attribute__((constructor)) static void
find_out(void)
{
    void *(*volatile take)(size_t size) = malloc;
    size_t before = allocations;

    free(take(1));
    can = allocations != before;
}

bool
faults_can(void)
{
    return can;
}

void
faults_after(long n)
{
    left = n;
    happened = false;
}

bool
faults_happened(void)
{
    return happened;
}

size_t
faults_allocations(void)
{
    return allocations;
}

#endif
