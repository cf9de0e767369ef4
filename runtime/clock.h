#ifndef AFAR_RUNTIME_CLOCK_H
#define AFAR_RUNTIME_CLOCK_H

/* The one clock: nanoseconds on CLOCK_MONOTONIC. */

#include <stdint.h>
#include <time.h>

#define AFAR__MICROSECOND INT64_C(1000)
#define AFAR__MILLISECOND INT64_C(1000000)
#define AFAR__SECOND INT64_C(1000000000)
#define AFAR__NEVER INT64_MAX

static inline int64_t
afar__now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * AFAR__SECOND + now.tv_nsec;
}

#endif
