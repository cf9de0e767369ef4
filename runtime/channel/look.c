/* Looking for what another thread is about to do: look.h. */

#include "runtime/channel/look.h"

#include <sched.h>
#include <stdatomic.h>

enum {
    FEW_YIELDS = 3, /* of each, whose time is not taken */
    MOST_YIELDS = 64,
    MOST_YIELDING = 4 /* threads that go on beyond the few */
};

#define OTHERS_RAN AFAR__MICROSECOND /* a yield took so long */

_Thread_local afar__learned afar__looks_learned = { .looks = 50 };

static atomic_int yielding;

bool
afar__look_has_processors(void)
{
    afar__learned *learned = &afar__looks_learned;
    cpu_set_t set;

    if (learned->processors == 0)
        learned->processors = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return learned->processors > 1;
}

static bool
yield_while_others_run(afar__look_fn has_come, const void *arg)
{
    int64_t now = afar__now();
    bool others = true;

    for (int i = FEW_YIELDS; i < MOST_YIELDS && others && !has_come(arg); i++) {
        int64_t before = now;

        sched_yield();
        now = afar__now();
        others = now - before >= OTHERS_RAN;
    }
    return has_come(arg);
}

bool
afar__look_yield(afar__look_fn has_come, const void *arg)
{
    bool found = false;

    for (int i = 0; i < FEW_YIELDS && !(found = has_come(arg)); i++)
        sched_yield();
    if (found || has_come(arg))
        return true;
    if (atomic_fetch_add_explicit(&yielding, 1, memory_order_relaxed) < MOST_YIELDING)
        found = yield_while_others_run(has_come, arg);
    atomic_fetch_sub_explicit(&yielding, 1, memory_order_relaxed);
    return found;
}
