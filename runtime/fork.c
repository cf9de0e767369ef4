/* A process that is forked while the core is open has the core's memory, but none of its threads:
 * it may not touch it.  What it notes is noted in the child, before fork returns there. */

#include "runtime/fork.h"

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/engine.h"

static atomic_bool used;
static atomic_bool forked;

static void
forked_child(void)
{
    if (atomic_load(&used))
        atomic_store(&forked, true);
}

void
afar__fork_in_use(bool in_use)
{
    static bool registered;

    if (!registered)
        pthread_atfork(NULL, NULL, forked_child);
    registered = true;
    atomic_store(&used, in_use);
}

bool
afar__engine_forked(void)
{
    return atomic_load_explicit(&forked, memory_order_relaxed);
}

afar_code
afar__engine_check(afar_error *err)
{
    if (afar__engine_forked())
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "this process was forked from one that used Afar; fork first, or exec");
    return AFAR_OK;
}
