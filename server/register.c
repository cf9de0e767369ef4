/* Registering the names of a server: opening, what is asked for from outside, and the
 * thread.
 *
 *     open -> start -> (thread: wait for work, work) -> stop -> free
 *
 * There is one thread for each server with the option `names`.  It sleeps until the next
 * thing is to be done, or until something changes; what it does is in register_work.c.
 *
 * `lock` guards the table of names and what stands below it; nothing waits or talks while
 * it is held. */

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/call.h"
#include "runtime/clock.h"
#include "runtime/host.h"
#include "server/register_parts.h"

#define STOP_TIME (1 * AFAR__SECOND)

/* ---- life ---- */

static afar_code
no_memory(afar_error *err)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory to register names");
}

static void
init_changed(pthread_cond_t *changed)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

afar_code
afar__register_open(afar_node *node, const afar_server_options *options,
                    afar__register **ret_register, afar_error *err)
{
    afar__register *made = calloc(1, sizeof *made);
    afar_code code;

    if (!made)
        return no_memory(err);
    pthread_mutex_init(&made->lock, NULL);
    init_changed(&made->changed);
    made->names = afar__wanted_new(options->take_over);
    code = afar__talk_init(&made->talk, node, options->names, &made->claim, err);
    if (!code)
        code = afar__claim_init(&made->claim, options, afar_node_instance(node), err);
    if (!code && !made->names)
        code = no_memory(err);
    if (code)
        afar__register_free(made);
    else
        *ret_register = made;
    return code;
}

void
afar__register_free(afar__register *registration)
{
    if (!registration)
        return;
    afar__talk_clear(&registration->talk);
    afar__claim_clear(&registration->claim);
    afar__wanted_free(registration->names);
    afar_error_clear(&registration->why);
    pthread_mutex_destroy(&registration->lock);
    pthread_cond_destroy(&registration->changed);
    free(registration);
}

afar_code
afar__register_listeners(afar__register *registration, const afar__listener *listeners,
                         size_t count, afar_error *err)
{
    return afar__claim_listeners(&registration->claim, listeners, count, err);
}

/* ---- what others ask for ---- */

/* A change is worth a try at once, but a flood of them is not worth a flood of tries. */
static void
wake_locked(afar__register *registration)
{
    int64_t soon = registration->failed + AFAR__FIRST_BACKOFF;

    if (registration->trouble && registration->retry > soon)
        registration->retry = soon;
    pthread_cond_broadcast(&registration->changed);
}

void
afar__register_tell_locked(afar__register *registration)
{
    if (afar__wanted_waiting(registration->names) == 0 || registration->stopping)
        afar__waiters_wake(&registration->waiters);
}

afar_code
afar__register_add(afar__register *registration, const char *name, const char *interface,
                   afar_error *err)
{
    afar_code code;

    pthread_mutex_lock(&registration->lock);
    code = afar__wanted_add(registration->names, name, interface, err);
    wake_locked(registration);
    pthread_mutex_unlock(&registration->lock);
    return code;
}

void
afar__register_remove(afar__register *registration, const char *name, const char *interface)
{
    pthread_mutex_lock(&registration->lock);
    afar__wanted_remove(registration->names, name, interface);
    afar__register_tell_locked(registration);
    wake_locked(registration);
    pthread_mutex_unlock(&registration->lock);
}

/* What the first name waits for. */
static afar_code
waiting_locked(const afar__register *registration, afar_error *err)
{
    const afar__name *name = afar__wanted_first_waiting(registration->names);
    const char *why = name->why ? name->why : "the name server has not answered yet";

    if (registration->trouble)
        why = registration->why.message;
    return afar_fail(err, AFAR_DEADLINE_EXCEEDED, "%.100s is not registered: %s", name->name, why);
}

static afar_code
wait_locked(afar__register *registration, int64_t deadline, afar_error *err)
{
    afar__wait_result result = AFAR__WAIT_WOKEN;
    afar__waiter waiter;

    while (afar__wanted_waiting(registration->names) > 0 && !registration->stopping &&
           result == AFAR__WAIT_WOKEN) {
        afar__waiters_add(&registration->waiters, &waiter);
        pthread_mutex_unlock(&registration->lock);
        result = afar__wait(&waiter, deadline);
        pthread_mutex_lock(&registration->lock);
        afar__waiters_remove(&waiter);
    }
    if (registration->stopping)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "the server was stopped");
    if (afar__wanted_waiting(registration->names) == 0)
        return AFAR_OK;
    return result == AFAR__WAIT_REFUSED ? afar__wait_refused(err)
                                        : waiting_locked(registration, err);
}

afar_code
afar__register_wait(afar__register *registration, afar_deadline deadline, afar_error *err)
{
    afar_code code;

    afar__host_wait(afar_call_current());
    pthread_mutex_lock(&registration->lock);
    code = wait_locked(registration, deadline.ns, err);
    pthread_mutex_unlock(&registration->lock);
    afar__host_go_on(afar_call_current());
    return code;
}

/* ---- the thread ---- */

/* When there is something to do; 0: now. */
static int64_t
next_locked(const afar__register *registration)
{
    const afar__talk *talk = &registration->talk;
    int64_t next;

    if (registration->stopping)
        return 0;
    if (registration->trouble)
        return registration->retry;
    next = afar__wanted_wake(registration->names, afar__now());
    if (afar__wanted_peek(registration->names, AFAR__NAME_DUE) ||
        afar__wanted_peek(registration->names, AFAR__NAME_LOST) ||
        afar__wanted_peek(registration->names, AFAR__NAME_UNWANTED))
        return 0;
    return talk->has_lease && talk->renew < next ? talk->renew : next;
}

/* False when it is to stop. */
static bool
wait_for_work(afar__register *registration)
{
    bool stopping;
    int64_t next;

    pthread_mutex_lock(&registration->lock);
    while ((next = next_locked(registration)) > afar__now()) {
        struct timespec until = { next / AFAR__SECOND, next % AFAR__SECOND };

        if (next == AFAR__NEVER)
            pthread_cond_wait(&registration->changed, &registration->lock);
        else
            pthread_cond_timedwait(&registration->changed, &registration->lock, &until);
    }
    stopping = registration->stopping;
    pthread_mutex_unlock(&registration->lock);
    return !stopping;
}

static void *
run(void *argument)
{
    afar__register *registration = argument;

    while (wait_for_work(registration))
        afar__register_work(registration);
    afar__register_leave(registration);
    pthread_mutex_lock(&registration->lock);
    registration->over = true;
    pthread_cond_broadcast(&registration->changed);
    pthread_mutex_unlock(&registration->lock);
    return NULL;
}

/* With all signals blocked: they are the program's. */
afar_code
afar__register_start(afar__register *registration, afar_error *err)
{
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&registration->thread, NULL, run, registration);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no thread to register names with: %s",
                         strerror(failed));
    registration->running = true;
    return AFAR_OK;
}

/* First by asking; what hangs in a call then is cut off. */
void
afar__register_stop(afar__register *registration)
{
    int64_t until = afar__now() + STOP_TIME;
    struct timespec when = { until / AFAR__SECOND, until % AFAR__SECOND };
    bool over;

    afar__talk_hurry(&registration->talk, until);
    pthread_mutex_lock(&registration->lock);
    registration->stopping = true;
    afar__register_tell_locked(registration);
    pthread_cond_broadcast(&registration->changed);
    while (registration->running && !registration->over &&
           pthread_cond_timedwait(&registration->changed, &registration->lock, &when) == 0)
        continue;
    over = registration->over;
    pthread_mutex_unlock(&registration->lock);
    if (!registration->running)
        return;
    if (!over)
        afar__talk_cut(&registration->talk);
    pthread_join(registration->thread, NULL);
    registration->running = false;
}
