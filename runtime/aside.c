/* Threads of the library's own, and what is done on one because it waits. */

#include <pthread.h>
#include <signal.h>

#include "runtime/engine.h"
#include "runtime/engine_parts.h"
#include "runtime/log.h"

int
afar__thread_make(pthread_t *ret_id, void *(*fn)(void *arg), void *arg)
{
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(ret_id, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

bool
afar__engine_aside(void *(*fn)(void *arg), void *arg)
{
    pthread_t aside;

    if (afar__engine_may_wait()) {
        fn(arg);
        return true;
    }
    if (afar__thread_make(&aside, fn, arg)) {
        afar__log(AFAR_LOG_ERROR, "no thread to close with: something stays open");
        return false;
    }
    pthread_detach(aside);
    return true;
}
