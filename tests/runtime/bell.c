/* Things to wait for, and threads: for tests of the engine. */

#include "bell.h"

#include <sched.h>

#include "check.h"
#include "runtime/clock.h"
#include "runtime/lead.h"

void
ring(struct bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    bell->count++;
    afar__waiters_wake(&bell->waiters);
    pthread_mutex_unlock(&bell->lock);
}

afar__wait_result
hear(struct bell *bell, int count, int64_t deadline)
{
    afar__wait_result result = AFAR__WAIT_WOKEN;

    pthread_mutex_lock(&bell->lock);
    while (bell->count < count && result == AFAR__WAIT_WOKEN) {
        afar__waiter waiter;

        afar__waiters_add(&bell->waiters, &waiter);
        pthread_mutex_unlock(&bell->lock);
        result = afar__wait(&waiter, deadline);
        pthread_mutex_lock(&bell->lock);
        afar__waiters_remove(&waiter);
    }
    if (bell->count >= count)
        result = AFAR__WAIT_WOKEN;
    pthread_mutex_unlock(&bell->lock);
    return result;
}

void
must_hear(struct bell *bell, int count)
{
    CHECK_INT(hear(bell, count, afar__now() + PATIENCE), AFAR__WAIT_WOKEN);
}

void
gate_pass(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->entered++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

void
gate_enter(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->entered++;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

void
gate_wait_entered(struct gate *gate, int count)
{
    struct timespec end = { afar__now() / AFAR__SECOND + PATIENCE / AFAR__SECOND, 0 };

    pthread_mutex_lock(&gate->lock);
    while (gate->entered < count)
        CHECK_INT(pthread_cond_clockwait(&gate->changed, &gate->lock, CLOCK_MONOTONIC, &end), 0);
    pthread_mutex_unlock(&gate->lock);
}

void
gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

void
hold(void)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar__engine_hold(&err));
}

void
begin_background(void)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar__engine_background(&err));
}

void
wait_for_poller(void)
{
    int64_t end = afar__now() + PATIENCE;

    while (!afar__lead_in_library()) {
        CHECK(afar__now() < end);
        sched_yield();
    }
}

pthread_t
start(void *(*run)(void *arg), void *arg)
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, run, arg), 0);
    return thread;
}

void
join(pthread_t thread)
{
    CHECK_INT(pthread_join(thread, NULL), 0);
}
