#ifndef AFAR_DEADLINE_H
#define AFAR_DEADLINE_H

/* A deadline is the moment at which a wait gives up.  It is absolute, so it can
 * be made once and handed down through many calls.  Values; any thread.  On the
 * wire it travels as the time that is left (gRPC's grpc-timeout). */

#include <stdbool.h>
#include <stdint.h>

#include <afar/api.h>

AFAR_BEGIN

typedef struct afar_deadline {
    int64_t ns;                    /* on CLOCK_MONOTONIC */
} afar_deadline;

/* Never gives up: the wait ends only by success or by a close. */
#define AFAR_FOREVER (afar_deadline_at(INT64_MAX))

/* The moment `ns` on CLOCK_MONOTONIC. */
static inline afar_deadline
afar_deadline_at(int64_t ns)
{
    afar_deadline deadline = { ns };
    return deadline;
}

/* The moment `ms` milliseconds from now; 0 or less tries once, without waiting.
 * What does not fit is AFAR_FOREVER. */
AFAR_API afar_deadline
afar_after_ms(int64_t ms);

/* The nanoseconds left, never below 0; INT64_MAX for AFAR_FOREVER. */
AFAR_API int64_t
afar_deadline_left_ns(afar_deadline deadline);

/* The earlier of two. */
static inline afar_deadline
afar_deadline_min(afar_deadline a, afar_deadline b)
{
    return a.ns < b.ns ? a : b;
}

AFAR_END

#endif
