#ifndef AFAR_RUNTIME_FUTEX_H
#define AFAR_RUNTIME_FUTEX_H

/* Parking a thread on a word, and waking it (futex(2)).  A wake-up may be
 * spurious: callers look at the word again. */

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/clock.h"

/* Sleeps while *word is `seen`, until CLOCK_MONOTONIC reaches `deadline`. */
static inline void
afar__futex_wait(atomic_uint *word, unsigned seen, int64_t deadline)
{
    struct timespec until = { deadline / AFAR__SECOND, deadline % AFAR__SECOND };

    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen,
            deadline == AFAR__NEVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
}

static inline void
afar__futex_wake(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

#endif
