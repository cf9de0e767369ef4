/* Deadlines: moments on CLOCK_MONOTONIC.  Any thread.
 */

#include <afar/deadline.h>

#include "runtime/clock.h"

afar_deadline
afar_after_ms(int64_t ms)
{
    int64_t now = afar__now();

    if (ms <= 0)
        return afar_deadline_at(now);
    if (ms > (INT64_MAX - now) / AFAR__MILLISECOND)
        return AFAR_FOREVER;
    return afar_deadline_at(now + ms * AFAR__MILLISECOND);
}

int64_t
afar_deadline_left_ns(afar_deadline deadline)
{
    int64_t now;

    if (deadline.ns == INT64_MAX)
        return INT64_MAX;
    now = afar__now();
    return deadline.ns > now ? deadline.ns - now : 0;
}
