/* Failing threads: what threads.h says.  The linker sends pthread_create of our own
 * objects here (CMakeLists.txt). */

#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

int
__real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                      void *arg);

int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                      void *arg);

static atomic_int left = -1;
static atomic_bool all, failed;

static bool
fails(void)
{
    int now = atomic_load(&left);

    if (atomic_load(&all))
        return true;
    while (now >= 0)
        if (atomic_compare_exchange_weak(&left, &now, now - 1))
            return now == 0;
    return false;
}

int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                      void *arg)
{
    if (!fails())
        return __real_pthread_create(thread, attributes, run, arg);
    atomic_store(&failed, true);
    return EAGAIN;
}

void
threads_fail_after(int n)
{
    atomic_store(&failed, false);
    atomic_store(&left, n);
}

void
threads_fail_all(void)
{
    atomic_store(&failed, false);
    atomic_store(&all, true);
}

bool
threads_have_failed(void)
{
    return atomic_load(&failed);
}

bool
threads_stop(void)
{
    atomic_store(&left, -1);
    atomic_store(&all, false);
    return threads_have_failed();
}
