/* Futures: waiting for an answer, being told of it, taking it.
 *
 *     running -> done            afar__future_fulfil, by the transport, once
 *     done -> taken              the reply is handed out once; an error each time
 *     any -> closed              the caller forgets it; cancels if it still runs
 *
 * The callback:  none -> set -> queued -> running -> over, skipping `set` when it
 * was done before; closing turns whatever did not run yet into `over`.
 *
 * References: one of the caller, one of the transport until done, one of a queued
 * callback, one of each thread that waits: the caller may close it under them. */

#include "runtime/future.h"

#include <afar/call.h>
#include <afar/message.h>

#include "runtime/host.h"
#include "runtime/misuse.h"

void
afar__future_ref(afar_future *future)
{
    atomic_fetch_add_explicit(&future->refs, 1, memory_order_relaxed);
}

void
afar__future_unref(afar_future *future)
{
    if (atomic_fetch_sub_explicit(&future->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&future->lock);
    future->ops->free(future);
}

void
afar__future_init(afar_future *future, const afar__future_ops *ops, const afar_method *method)
{
    future->ops = ops;
    future->method = method;
    atomic_init(&future->done, false);
    atomic_init(&future->refs, 2);
    future->background = false;
    pthread_mutex_init(&future->lock, NULL);
    future->taken = false;
    future->closed = false;
    future->waiters.first = NULL;
    future->watches = NULL;
    future->callback = AFAR__CALLBACK_NONE;
}

void
afar__future_abandon(afar_future *future)
{
    atomic_store(&future->refs, 1);
    afar__future_unref(future);
}

/* ---- the callback ---- */

static void
run_callback(afar__task *task)
{
    afar_future *future = (afar_future *)((char *)task - offsetof(afar_future, task));
    bool run;

    pthread_mutex_lock(&future->lock);
    run = !future->closed;
    future->callback = run ? AFAR__CALLBACK_RUNNING : AFAR__CALLBACK_OVER;
    future->runner = pthread_self();
    pthread_mutex_unlock(&future->lock);
    if (run) {
        future->fn(future, future->arg);
        pthread_mutex_lock(&future->lock);
        future->callback = AFAR__CALLBACK_OVER;
        afar__waiters_wake(&future->waiters);
        pthread_mutex_unlock(&future->lock);
    }
    afar__future_unref(future);
}

static void
queue_callback_locked(afar_future *future)
{
    future->callback = AFAR__CALLBACK_QUEUED;
    future->task.run = run_callback;
    afar__future_ref(future);
    afar__engine_run(&future->task);
}

void
afar_future_on_done(afar_future *future, afar_future_fn fn, void *arg)
{
    pthread_mutex_lock(&future->lock);
    if (future->callback != AFAR__CALLBACK_NONE)
        afar__misuse("afar_future_on_done: the future of %s has a callback already",
                     future->method->path);
    future->fn = fn;
    future->arg = arg;
    future->callback = AFAR__CALLBACK_SET;
    if (atomic_load(&future->done))
        queue_callback_locked(future);
    pthread_mutex_unlock(&future->lock);
}

void
afar__future_fulfil(afar_future *future)
{
    pthread_mutex_lock(&future->lock);
    atomic_store_explicit(&future->done, true, memory_order_release);
    afar__waiters_wake(&future->waiters);
    for (afar__future_watch *watch = future->watches; watch; watch = watch->next)
        watch->fn(watch);
    if (future->callback == AFAR__CALLBACK_SET && !future->closed)
        queue_callback_locked(future);
    pthread_mutex_unlock(&future->lock);
    if (future->background)
        afar__engine_background_end();
    afar__future_unref(future);
}

/* ---- watching ---- */

void
afar__future_watch_it(afar_future *future, afar__future_watch *watch)
{
    pthread_mutex_lock(&future->lock);
    watch->next = future->watches;
    watch->link = &future->watches;
    if (watch->next)
        watch->next->link = &watch->next;
    future->watches = watch;
    if (atomic_load(&future->done))
        watch->fn(watch);
    pthread_mutex_unlock(&future->lock);
}

void
afar__future_unwatch(afar_future *future, afar__future_watch *watch)
{
    pthread_mutex_lock(&future->lock);
    *watch->link = watch->next;
    if (watch->next)
        watch->next->link = watch->link;
    pthread_mutex_unlock(&future->lock);
}

/* ---- waiting ---- */

bool
afar_future_done(const afar_future *future)
{
    return atomic_load_explicit(&((afar_future *)future)->done, memory_order_acquire);
}

static afar_code
wait_until_done(afar_future *future, afar_deadline deadline, afar_error *err)
{
    afar__wait_result result = AFAR__WAIT_WOKEN;
    afar__waiter waiter;

    if (afar_future_done(future))
        return AFAR_OK;
    if (afar__engine_check(err))
        return AFAR_FAILED_PRECONDITION;
    afar__host_wait(afar_call_current());
    pthread_mutex_lock(&future->lock);
    while (!atomic_load(&future->done) && result == AFAR__WAIT_WOKEN) {
        afar__waiters_add(&future->waiters, &waiter);
        pthread_mutex_unlock(&future->lock);
        result = afar__wait(&waiter, deadline.ns);
        pthread_mutex_lock(&future->lock);
        afar__waiters_remove(&waiter);
    }
    pthread_mutex_unlock(&future->lock);
    afar__host_go_on(afar_call_current());
    if (afar_future_done(future))
        return AFAR_OK;
    if (result == AFAR__WAIT_REFUSED)
        return afar__wait_refused(err);
    return afar_fail(err, AFAR_DEADLINE_EXCEEDED, "%s: no answer yet", future->method->path);
}

afar_code
afar_future_wait(afar_future *future, afar_deadline deadline, afar_error *err)
{
    afar_code code;

    afar__future_ref(future);
    code = wait_until_done(future, deadline, err);
    afar__future_unref(future);
    return code;
}

/* Under the lock: who comes meanwhile gets the same error, or learns that the reply
 * was taken. */
static afar_code
take(afar_future *future, ProtobufCMessage **ret_reply, afar_error *err)
{
    afar_code code;

    pthread_mutex_lock(&future->lock);
    if (future->taken) {
        code = afar_fail(err, AFAR_FAILED_PRECONDITION, "%s: the answer was taken before",
                         future->method->path);
    } else {
        code = future->ops->take(future, ret_reply, err);
        future->taken = code == AFAR_OK;
    }
    pthread_mutex_unlock(&future->lock);
    return code;
}

afar_code
afar_future_await(afar_future *future, const afar_method *method, afar_deadline deadline,
                  ProtobufCMessage **ret_reply, afar_error *err)
{
    ProtobufCMessage *reply = NULL;
    afar_code code;

    if (method != future->method)
        afar__misuse("afar_future_await: a future of %s is awaited as one of %s",
                     future->method->path, method->path);
    afar__future_ref(future);
    code = wait_until_done(future, deadline, err);
    if (!code)
        code = take(future, &reply, err);
    afar__future_unref(future);
    if (!ret_reply)
        afar_message_free(reply);
    else if (!code)
        *ret_reply = reply;
    return code;
}

/* The transport makes it when it is first asked for. */
static const afar_metadata *
metadata(const afar_future *asked, bool trailing)
{
    static const afar_metadata nothing = { NULL, 0 };
    afar_future *future = (afar_future *)asked;
    const afar_metadata *found;

    if (!afar_future_done(future))
        return &nothing;
    pthread_mutex_lock(&future->lock);
    found = future->ops->metadata(future, trailing);
    pthread_mutex_unlock(&future->lock);
    return found;
}

const afar_metadata *
afar_future_initial_metadata(const afar_future *future)
{
    return metadata(future, false);
}

const afar_metadata *
afar_future_trailing_metadata(const afar_future *future)
{
    return metadata(future, true);
}

/* A callback that runs on another thread is waited for. */
static void
close_callback_locked(afar_future *future)
{
    afar__wait_result result = AFAR__WAIT_WOKEN;
    afar__waiter waiter;

    while (future->callback == AFAR__CALLBACK_RUNNING && result != AFAR__WAIT_REFUSED &&
           !pthread_equal(future->runner, pthread_self())) {
        afar__waiters_add(&future->waiters, &waiter);
        pthread_mutex_unlock(&future->lock);
        result = afar__wait(&waiter, INT64_MAX);
        pthread_mutex_lock(&future->lock);
        afar__waiters_remove(&waiter);
    }
}

void
afar_future_close(afar_future *future)
{
    if (!future || afar__engine_forked())
        return;
    pthread_mutex_lock(&future->lock);
    if (future->closed)
        afar__misuse("afar_future_close: the future of %s is closed twice", future->method->path);
    future->closed = true;
    /* Only now: the end that this brings about is not to be told. */
    if (!afar_future_done(future)) {
        pthread_mutex_unlock(&future->lock);
        future->ops->cancel(future);
        pthread_mutex_lock(&future->lock);
    }
    close_callback_locked(future);
    pthread_mutex_unlock(&future->lock);
    afar__future_unref(future);
}
