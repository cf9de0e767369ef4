/* A process that is forked while the core is open, or when channels were used, has their memory, but none of the
 * threads that are in it, and perhaps a lock that one of them had: it may not touch it.  What it notes is noted in
 * the child, before fork returns there. */

#include "runtime/fork.h"

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/engine.h"

static atomic_bool core_used, channels_used;
static atomic_bool forked;

static void
forked_child(void)
{
    if (atomic_load(&core_used) || atomic_load(&channels_used))
        atomic_store(&forked, true);
}

static void
watch(void)
{
    pthread_atfork(NULL, NULL, forked_child);
}

static void
note(atomic_bool *used, bool in_use)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch);
    atomic_store(used, in_use);
}

void
afar__fork_in_use(bool in_use)
{
    note(&core_used, in_use);
}

void
afar__fork_has_channels(void)
{
    note(&channels_used, true);
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
