/* Where references with a finder go: the place, who waits for another one, and the task that
 * asks for it.
 *
 * `lock` guards the place and the list of who waits; a link's lock may be taken under it.  A
 * verdict is brought to a call by cancelling what it waits as (grpc_again.c), to a
 * thread by waking it.
 *
 * One task at a time, on a library thread, asks the finder, without the lock.  It ends when
 * nobody waits; only it changes the place. */

#include "runtime/grpc_seek.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/fail.h"
#include "runtime/grpc_outgoing.h"

#define SLICE AFAR__SECOND /* of the finder's time: who waits may have gone meanwhile */
#define FIRST_PAUSE (20 * AFAR__MILLISECOND)
#define LONGEST_PAUSE AFAR__SECOND

grpc_slice
afar__again_instance(const afar__place *place)
{
    char digits[AFAR__INSTANCE_DIGITS];

    if (!place->has_instance)
        return grpc_empty_slice();
    afar__grpc_instance(place->instance, digits);
    return grpc_slice_from_copied_buffer(digits, sizeof digits);
}

afar__again *
afar__again_new(const afar__place *place, const char *name, afar__finder *finder)
{
    size_t length = strlen(name) + 1;
    afar__again *again = calloc(1, sizeof *again + length);

    if (!again) {
        finder->ops->free(finder);
        return NULL;
    }
    atomic_init(&again->refs, 1);
    pthread_mutex_init(&again->lock, NULL);
    again->finder = finder;
    again->place = *place;
    afar__link_ref(place->link);
    again->instance = afar__again_instance(place);
    again->number = 1;
    memcpy(again->name, name, length);
    return again;
}

afar__again *
afar__again_ref(afar__again *again)
{
    atomic_fetch_add_explicit(&again->refs, 1, memory_order_relaxed);
    return again;
}

void
afar__again_unref(afar__again *again)
{
    if (!again || atomic_fetch_sub_explicit(&again->refs, 1, memory_order_acq_rel) != 1)
        return;
    again->finder->ops->free(again->finder);
    grpc_slice_unref(again->instance);
    afar__link_unref(again->place.link);
    pthread_mutex_destroy(&again->lock);
    free(again);
}

/* ---- errors ---- */

afar_outcome
afar__seek_outcome(const afar__seek *seek)
{
    return seek->unsure ? AFAR_OUTCOME_UNKNOWN : AFAR_OUTCOME_NOT_SENT;
}

/* "/bank.Account/Deposit bank/accounts/alice: " and a text. */
void
afar__seek_fail(afar__seek *seek, afar_code code, const char *text)
{
    const char *name = seek->again->name;

    afar__fail_outcome(&seek->error, code, afar__seek_outcome(seek), false, "%s%s%s: %s",
                       seek->method->path, *name ? " " : "", name, text);
}

/* Its time is over before a place was found; what was wrong before is the reason. */
void
afar__seek_fail_late(afar__seek *seek)
{
    const char *before = seek->error.message, *path = seek->method->path;
    const char *name = seek->again->name, *between = "";
    char text[sizeof seek->error.message + 64];

    if (strncmp(before, path, strlen(path)) == 0)
        before += strlen(path);
    if (*before == ' ' && *name && strncmp(before + 1, name, strlen(name)) == 0)
        before += 1 + strlen(name);
    if (*before)
        between = *before == ':' ? "" : *before == ' ' ? "; last tried" : ": ";
    snprintf(text, sizeof text, "not found again before the deadline%s%s", between, before);
    afar__seek_fail(seek, AFAR_DEADLINE_EXCEEDED, text);
}

/* ---- who waits ---- */

void
afar__seek_leave_locked(afar__seek *seek)
{
    *seek->place = seek->next;
    if (seek->next)
        seek->next->place = seek->place;
    if (!seek->again->waiting)
        afar__waiters_wake(&seek->again->waiters); /* the task: it can stop */
}

static void
tell_locked(afar__seek *seek, afar__verdict verdict)
{
    afar__seek_leave_locked(seek);
    seek->verdict = verdict;
    if (seek->out)
        grpc_call_cancel(seek->out->call, NULL);
    else
        afar__waiters_wake(&seek->again->waiters);
}

static void
look_for_place(afar__task *task);

void
afar__seek_wait_locked(afar__seek *seek)
{
    afar__again *again = seek->again;

    if (seek->number == again->number)
        again->bad = true;
    seek->verdict = AFAR__VERDICT_NONE;
    seek->next = again->waiting;
    seek->place = &again->waiting;
    if (seek->next)
        seek->next->place = &seek->next;
    again->waiting = seek;
    if (again->looking) {
        afar__waiters_wake(&again->waiters); /* no pause for this one */
        return;
    }
    again->looking = true;
    again->task.run = look_for_place;
    afar__again_ref(again);
    afar__engine_run(&again->task);
}

/* ---- the task ---- */

/* Who failed at another place than the one that is known now goes there. */
static void
release_locked(afar__again *again)
{
    afar__seek *next;

    for (afar__seek *seek = again->waiting; seek && !again->bad; seek = next) {
        next = seek->next;
        if (seek->number != again->number)
            tell_locked(seek, AFAR__VERDICT_GO);
    }
}

static void
fail_locked(afar__again *again, const afar_error *err)
{
    bool for_now = err->code == AFAR_UNAVAILABLE || err->code == AFAR_NOT_FOUND;
    afar__seek *next;

    for (afar__seek *seek = again->waiting; seek; seek = next) {
        next = seek->next;
        seek->tries++;
        afar__seek_fail(seek, err->code, err->message);
        if (!seek->patient || !for_now)
            tell_locked(seek, AFAR__VERDICT_FAIL);
    }
}

/* How long to let things be: whoever has tried least decides. */
static int64_t
pause_of_locked(const afar__again *again)
{
    unsigned least = 8;
    int64_t pause;

    for (const afar__seek *seek = again->waiting; seek; seek = seek->next)
        if (seek->tries < least)
            least = seek->tries;
    if (least <= 1)
        return 0;
    pause = FIRST_PAUSE << (least - 2);
    return pause < LONGEST_PAUSE ? pause : LONGEST_PAUSE;
}

/* Until the time is over, somebody new waits, or nobody does. */
static void
pause_locked(afar__again *again, int64_t pause)
{
    int64_t until = afar__now() + pause;
    afar__waiter waiter;
    bool refused;

    afar__waiters_add(&again->waiters, &waiter);
    pthread_mutex_unlock(&again->lock);
    refused = afar__wait(&waiter, until) == AFAR__WAIT_REFUSED;
    pthread_mutex_lock(&again->lock);
    afar__waiters_remove(&waiter);
    if (refused) {
        afar_error err = AFAR_ERROR_INIT;

        (void)afar__wait_refused(&err);
        fail_locked(again, &err);
    }
}

/* Asks the finder, without the lock. */
static void
ask_locked(afar__again *again)
{
    afar__place old = again->place, found = { .link = NULL };
    afar_error err = AFAR_ERROR_INIT;
    int64_t until = afar__now() + SLICE;
    grpc_slice instance = grpc_empty_slice();
    afar_code code;

    pthread_mutex_unlock(&again->lock);
    code = again->finder->ops->find(again->finder, &old, until, &found, &err);
    if (!code)
        instance = afar__again_instance(&found);
    pthread_mutex_lock(&again->lock);
    if (!code) {
        grpc_slice_unref(again->instance);
        again->instance = instance;
        again->place = found;
        again->number++;
        again->bad = false;
        release_locked(again);
        pthread_mutex_unlock(&again->lock);
        afar__link_unref(old.link);
        pthread_mutex_lock(&again->lock);
    } else if (code != AFAR_DEADLINE_EXCEEDED) {
        fail_locked(again, &err);
    } else if (again->waiting && afar__now() < until) {
        pause_locked(again, FIRST_PAUSE);
    }
    afar_error_clear(&err);
}

/* Only this task changes the place, so the link of the one it asks about stays. */
static void
look_for_place(afar__task *task)
{
    afar__again *again = (afar__again *)((char *)task - offsetof(afar__again, task));

    pthread_mutex_lock(&again->lock);
    while (release_locked(again), again->waiting) {
        int64_t pause = pause_of_locked(again);

        if (pause > 0)
            pause_locked(again, pause);
        if (again->waiting)
            ask_locked(again);
    }
    again->looking = false;
    pthread_mutex_unlock(&again->lock);
    afar__again_unref(again);
}
