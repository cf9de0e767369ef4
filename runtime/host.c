/* Local objects: running their handlers, and their end.
 *
 * Whose turn it is in the object is turn.c's matter.  A call that waits for its turn
 * holds no thread; a turn ends when the handler returns or defers.
 *
 * The object is finalized when no reference and no call is left: on a library
 * thread, as all user code, and whoever let go of the last reference waits for that,
 * where it may wait. */

#include "runtime/host.h"

#include <stdlib.h>

#include "runtime/clock.h"
#include "runtime/far/far.h"
#include "runtime/grace.h"
#include "runtime/loop.h"
#include "runtime/misuse.h"
#include "runtime/object.h"
#include "runtime/turn.h"

#define DEFAULT_QUEUE_LIMIT 10000

struct afar__host {
    afar_object object;
    const void *methods;
    afar_code (*serve)(void *self, afar_call *call); /* instead of the methods' own; or NULL */
    bool takes_raw;
    void *self;
    void (*finalizer)(void *self);
    void (*lost)(void *self); /* or NULL */
    afar__turns turns;
    afar__loop_entry loop; /* its place among the local objects */
    afar__grace grace;

    afar__task finalize;
    pthread_mutex_t lock;  /* guards what follows */
    afar__waiters waiters; /* for the finalizer */
    bool finalized;
    bool waited_for;
};

/* ---- turns ---- */

static void
run_handler(afar__task *task)
{
    afar_call *call = (afar_call *)((char *)task - offsetof(afar_call, task));
    afar__host *host = call->host;
    afar_code code;

    if (atomic_load(&call->watched) && afar_call_cancelled(call)) {
        afar_call_fail(call, AFAR_CANCELLED, "%s: the caller gave up before its turn came",
                       call->method->path);
        afar__call_refuse(call);
        return;
    }
    afar__call_ref(call);
    afar_call_enter(call);
    if (call->ops->begin)
        call->ops->begin(call);
    code = host->serve ? host->serve(host->self, call)
                       : call->method->serve(host->methods, host->self, call);
    afar_call_leave(call);
    afar__call_returned(call, code);
    afar__call_unref(call);
}

void
afar__host_deliver(afar_call *call)
{
    afar__host *host = call->host;

    call->task.run = run_handler;
    afar__call_ref(call);
    switch (afar__turn_ask(&host->turns, call)) {
    case AFAR__TURN_NOW:
        afar__engine_run(&call->task);
        break;
    case AFAR__TURN_LATER:
        /* The caller may give up while the call waits. */
        if (!atomic_load(&call->watched))
            call->ops->watch(call);
        break;
    case AFAR__TURN_FULL:
        afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "%s: %u calls wait for this object already",
                       call->method->path, host->turns.limit);
        afar__call_refuse(call);
        break;
    case AFAR__TURN_DEADLOCK:
        afar__call_refuse(call);
        break;
    }
    afar__call_unref(call);
}

void
afar__host_leave(afar_call *call, bool returned)
{
    if (call->host)
        afar__turn_leave(&call->host->turns, call, returned);
}

void
afar__host_pause(afar_call *call)
{
    afar__turn_pause(&call->host->turns, call);
}

void
afar__host_resume(afar_call *call)
{
    afar__turn_resume(&call->host->turns, call);
}

void
afar__host_wait(afar_call *call)
{
    if (call)
        afar__turn_wait(&call->host->turns, call);
}

void
afar__host_go_on(afar_call *call)
{
    if (call)
        afar__turn_go_on(&call->host->turns, call);
}

/* ---- life ---- */

static void
release(afar__host *host)
{
    afar__turns_clear(&host->turns);
    pthread_mutex_destroy(&host->lock);
    free(host);
}

static void
run_finalizer(afar__task *task)
{
    afar__host *host = (afar__host *)((char *)task - offsetof(afar__host, finalize));
    bool waited_for;

    host->finalizer(host->self);
    pthread_mutex_lock(&host->lock);
    waited_for = host->waited_for;
    host->finalized = true;
    afar__waiters_wake(&host->waiters);
    pthread_mutex_unlock(&host->lock);
    if (!waited_for) {
        release(host);
        afar__engine_release();
    }
}

static void
wait_for_finalizer(afar__host *host)
{
    afar__waiter waiter;

    pthread_mutex_lock(&host->lock);
    while (!host->finalized) {
        afar__waiters_add(&host->waiters, &waiter);
        pthread_mutex_unlock(&host->lock);
        /* In rounds: the library may have had no thread for it, and tries again. */
        (void)afar__wait(&waiter, afar__now() + AFAR__SECOND);
        pthread_mutex_lock(&host->lock);
        afar__waiters_remove(&waiter);
    }
    pthread_mutex_unlock(&host->lock);
}

static void
free_host(afar_object *object)
{
    afar__host *host = (afar__host *)object;

    afar__loop_remove(&host->loop);
    if (host->finalizer) {
        host->finalize.run = run_finalizer;
        host->waited_for = afar__engine_may_wait();
        bool wait = host->waited_for;
        afar__engine_run(&host->finalize);
        if (!wait)
            return;
        wait_for_finalizer(host);
    }
    release(host);
    afar__engine_release();
}

void
afar__host_lost(afar_object *object, const afar_node *node)
{
    afar__host *host = afar__host_of(object);

    if (host->lost)
        host->lost(host->self);
    afar__grace_begin(&host->grace, node);
}

void
afar__host_when_lost(afar_object *object, void (*lost)(void *self))
{
    afar__host_of(object)->lost = lost;
}

/* ---- calls from this process ---- */

static afar_code
start(afar_object *object, const afar__request *request, afar_future **ret_future, afar_error *err)
{
    afar__host *host = (afar__host *)object;

    return afar__loop_start(&host->loop, object, request, ret_future, err);
}

static afar_code
stream(afar_object *object, const afar__request *request, afar_stream **ret_stream, afar_error *err)
{
    afar__host *host = (afar__host *)object;

    return afar__loop_stream(&host->loop, object, request, ret_stream, err);
}

static afar_code
way_of(afar_object *object, afar__way *ret_way, afar_error *err)
{
    return afar__loop_way(&((afar__host *)object)->loop, object, ret_way, err);
}

static const afar__object_ops ops = { start, stream, way_of, free_host };

afar__host *
afar__host_of(afar_object *object)
{
    return object->ops == &ops ? (afar__host *)object : NULL;
}

afar_object *
afar__host_object(afar__host *host)
{
    return &host->object;
}

static afar_code
check_new(const afar_interface *interface, const afar_object_options *options, afar_error *err)
{
    if (interface->abi != AFAR_ABI)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "%s was generated for version %u of the tables, this library has %u",
                         interface->name, interface->abi, AFAR_ABI);
    if (options->size != sizeof *options)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%s: afar_object_options was not made with AFAR_OBJECT_OPTIONS_INIT",
                         interface->name);
    return AFAR_OK;
}

/* All but what serves.  NULL: as *ret_code says. */
static afar__host *
make_host(const afar_interface *interface, void *self, const afar_object_options *options,
          afar_code *ret_code, afar_error *err)
{
    afar__host *host;

    *ret_code = check_new(interface, options, err);
    if (!*ret_code)
        *ret_code = afar__engine_hold(err);
    if (*ret_code)
        return NULL;
    host = calloc(1, sizeof *host);
    if (!host) {
        afar__engine_release();
        *ret_code = afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a %s", interface->name);
        return NULL;
    }
    afar__object_init(&host->object, &ops, interface);
    host->self = self;
    host->finalizer = options->finalizer;
    afar__grace_init(&host->grace, &host->object, options->grace_ms);
    afar__turns_init(&host->turns, options->mode,
                     options->queue_limit ? options->queue_limit : DEFAULT_QUEUE_LIMIT);
    pthread_mutex_init(&host->lock, NULL);
    return host;
}

afar_code
afar_object_new(const afar_interface *interface, const void *methods, void *self,
                const afar_object_options *options, afar_object **ret_object, afar_error *err)
{
    static const afar_object_options defaults = AFAR_OBJECT_OPTIONS_INIT;
    afar__host *host;
    afar_code code;

    if (!methods)
        afar__misuse("afar_object_new: a %s without methods", interface->name);
    host = make_host(interface, self, options ? options : &defaults, &code, err);
    if (!host)
        return code;
    host->methods = methods;
    *ret_object = &host->object;
    return AFAR_OK;
}

afar_code
afar__host_new(const afar_interface *interface, afar_code (*serve)(void *self, afar_call *call),
               void *self, void (*finalizer)(void *self), afar_object **ret_object, afar_error *err)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar__host *host;
    afar_code code;

    options.finalizer = finalizer;
    host = make_host(interface, self, &options, &code, err);
    if (!host)
        return code;
    host->serve = serve;
    *ret_object = &host->object;
    return AFAR_OK;
}

void
afar__host_take_raw(afar_object *object)
{
    afar__host_of(object)->takes_raw = true;
}

bool
afar__host_takes_raw(const afar__host *host)
{
    return host->takes_raw;
}

void *
afar__host_self(afar_object *object, afar_code (*serve)(void *self, afar_call *call))
{
    const afar__host *host = afar__host_of(object);

    return host && host->serve == serve ? host->self : NULL;
}
