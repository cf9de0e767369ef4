/* Deadlines: moments on CLOCK_MONOTONIC.  Any thread.
 */

#include <afar/deadline.h>

#include <time.h>

#define NS_PER_S 1000000000
#define NS_PER_MS 1000000

static int64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

afar_deadline
afar_after_ms(int64_t ms)
{
    int64_t now = now_ns();

    if (ms <= 0)
        return afar_deadline_at(now);
    if (ms > (INT64_MAX - now) / NS_PER_MS)
        return AFAR_FOREVER;
    return afar_deadline_at(now + ms * NS_PER_MS);
}

int64_t
afar_deadline_left_ns(afar_deadline deadline)
{
    int64_t now;

    if (deadline.ns == INT64_MAX)
        return INT64_MAX;
    now = now_ns();
    return deadline.ns > now ? deadline.ns - now : 0;
}
