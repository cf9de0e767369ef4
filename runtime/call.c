/* Calls being served: what a handler can do with one.
 *
 *     delivered -> running           the host gives it the turn (host.c)
 *     running   -> finished          the handler returns
 *     running   -> deferred          afar_call_defer
 *     deferred  -> finished          afar_call_finish, any thread, perhaps before the
 *                                    handler has returned
 *
 * References: one until it is finished, one while the handler runs, one of each
 * thing the transport has under way, one of a queued cancel callback.
 *
 * Calls made in a handler are its children, if their transport does not know of that itself:
 * they are cancelled with it and when it is finished.
 *
 * A handler is alone with `error`, the arena and the metadata that goes out; after
 * a defer, whoever finishes is. */

#include "runtime/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <afar/message.h>

#include "runtime/fail.h"
#include "runtime/host.h"
#include "runtime/misuse.h"

#define MAX_NESTED 32

/* ---- life ---- */

void
afar__call_init(afar_call *call)
{
    atomic_init(&call->refs, 1);
    atomic_init(&call->cancelled, false);
    atomic_init(&call->watched, false);
    afar__error_init(&call->error);
    memset(&call->initial, 0, sizeof call->initial);
    memset(&call->trailing, 0, sizeof call->trailing);
    call->initial_sent = false;
    pthread_mutex_init(&call->lock, NULL);
    call->deferred = call->finished = call->told = false;
    call->on_cancelled = NULL;
    call->children = NULL;
    atomic_init(&call->id, 0);
    call->chain_length = 0;
    call->has_turn = call->paused = false;
    call->waits = 0;
    call->outer = NULL;
    call->next_turn = NULL;
    call->turn_waiters.first = NULL;
}

void
afar__call_clear(afar_call *call)
{
    afar_error_clear(&call->error);
    pthread_mutex_destroy(&call->lock);
}

void
afar__call_ref(afar_call *call)
{
    atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
}

void
afar__call_unref(afar_call *call)
{
    if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) == 1)
        call->ops->free(call);
}

/* ---- descent ---- */

uint64_t
afar__call_id(afar_call *call)
{
    uint64_t id = atomic_load(&call->id), made = 0;

    if (id != 0)
        return id;
    /* Random, so that nobody can name a call that has not come to them. */
    if (getrandom(&made, sizeof made, 0) != sizeof made || made == 0)
        made = (uint64_t)(uintptr_t)call;
    return atomic_compare_exchange_strong(&call->id, &id, made) ? made : id;
}

uint64_t
afar__call_id_if_any(const afar_call *call)
{
    return atomic_load(&((afar_call *)call)->id);
}

/* ---- children ---- */

static void
leave_locked(afar__child *child)
{
    *child->link = child->next;
    if (child->next)
        child->next->link = child->link;
    child->link = NULL;
}

/* Under the lock, so that nobody disowns a child in the middle of it.  The child may be
 * gone as soon as the lock is let go. */
static void
cancel_children_locked(afar_call *call)
{
    while (call->children) {
        afar__child *child = call->children;

        leave_locked(child);
        child->cancel(child);
    }
}

bool
afar__call_adopt(afar_call *parent, afar__child *child)
{
    bool adopted;

    if (!atomic_load(&parent->watched))
        parent->ops->watch(parent);
    pthread_mutex_lock(&parent->lock);
    adopted = !parent->finished && !atomic_load(&parent->cancelled);
    if (adopted) {
        child->next = parent->children;
        child->link = &parent->children;
        if (child->next)
            child->next->link = &child->next;
        parent->children = child;
    }
    pthread_mutex_unlock(&parent->lock);
    return adopted;
}

void
afar__call_disown(afar_call *parent, afar__child *child)
{
    pthread_mutex_lock(&parent->lock);
    if (child->link)
        leave_locked(child);
    pthread_mutex_unlock(&parent->lock);
}

/* ---- answering ---- */

afar_code
afar_call_fail(afar_call *call, afar_code code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    afar__vfail(&call->error, code, AFAR_OUTCOME_ANSWERED, false, format, arguments);
    va_end(arguments);
    return code;
}

afar_code
afar_call_fail_error(afar_call *call, const afar_error *err)
{
    afar_error_copy(&call->error, err);
    return err->code;
}

afar_code
afar_call_fail_detail(afar_call *call, afar_code code, const char *type,
                      const ProtobufCMessage *detail, const char *format, va_list arguments)
{
    size_t length = protobuf_c_message_get_packed_size(detail);
    uint8_t *bytes = afar__arena_alloc(call->arena, length);

    afar__vfail(&call->error, code, AFAR_OUTCOME_ANSWERED, false, format, arguments);
    if (bytes) {
        protobuf_c_message_pack(detail, bytes);
        (void)afar_error_add_detail(&call->error, type, bytes, length);
    }
    return code;
}

afar_code
afar_call_unimplemented(afar_call *call)
{
    return afar_call_fail(call, AFAR_UNIMPLEMENTED, "%s is not implemented by this object",
                          call->method->path);
}

void *
afar_call_alloc(afar_call *call, size_t n)
{
    return afar__arena_zalloc(call->arena, n);
}

char *
afar_call_strdup(afar_call *call, const char *string)
{
    return afar__arena_strdup(call->arena, string);
}

static void
end_locked(afar_call *call)
{
    call->finished = true;
    call->told = true;
    cancel_children_locked(call);
}

/* The reply or the error goes out.  Once, by whoever ended the call. */
static void
conclude(afar_call *call, afar_code code, bool returned)
{
    /* A handler that is told to give up does not know why.  The caller may hear of it
     * before its own clock has rung. */
    if (code == AFAR_CANCELLED && afar_deadline_left_ns(call->deadline) == 0)
        code = AFAR_DEADLINE_EXCEEDED;
    if (code == AFAR_OK)
        afar_error_clear(&call->error);
    else if (code == AFAR_ENDED)
        /* The end of the stream it read, passed on by mistake: the caller would take it
         * for the good end of its own. */
        afar_fail(&call->error, AFAR_INTERNAL, "%s: the handler returned ENDED",
                  call->method->path);
    else if (call->error.code != code)
        afar_fail(&call->error, code, "%s failed: %s", call->method->path, afar_code_name(code));
    call->ops->finish(call);
    afar__host_leave(call, returned);
    afar__call_unref(call);
}

void
afar__call_refuse(afar_call *call)
{
    pthread_mutex_lock(&call->lock);
    end_locked(call);
    pthread_mutex_unlock(&call->lock);
    conclude(call, call->error.code, true);
}

void
afar__call_returned(afar_call *call, afar_code code)
{
    bool conclude_now;

    pthread_mutex_lock(&call->lock);
    conclude_now = !call->finished && (!call->deferred || code != AFAR_OK);
    if (conclude_now)
        end_locked(call);
    pthread_mutex_unlock(&call->lock);
    if (conclude_now)
        conclude(call, code, true);
}

void
afar_call_defer(afar_call *call)
{
    pthread_mutex_lock(&call->lock);
    call->deferred = true;
    pthread_mutex_unlock(&call->lock);
    if (!atomic_load(&call->watched))
        call->ops->watch(call);
    /* What the handler still calls inherits metadata; its view is made now, while the
     * arena is this thread's. */
    (void)call->ops->metadata(call);
    afar__host_leave(call, false);
}

void
afar_call_finish(afar_call *call, afar_code code)
{
    pthread_mutex_lock(&call->lock);
    if (!call->deferred || call->finished)
        afar__misuse("afar_call_finish: the call of %s was %s", call->method->path,
                     call->finished ? "finished before" : "not deferred");
    end_locked(call);
    pthread_mutex_unlock(&call->lock);
    conclude(call, code, false);
}

/* ---- giving up ---- */

static void
run_on_cancelled(afar__task *task)
{
    afar_call *call = (afar_call *)((char *)task - offsetof(afar_call, cancel_task));
    bool run;

    pthread_mutex_lock(&call->lock);
    run = !call->told;
    call->told = true;
    pthread_mutex_unlock(&call->lock);
    if (run)
        call->on_cancelled(call, call->on_cancelled_arg);
    afar__call_unref(call);
}

static void
tell_locked(afar_call *call)
{
    call->cancel_task.run = run_on_cancelled;
    afar__call_ref(call);
    afar__engine_run(&call->cancel_task);
}

void
afar__call_cancel(afar_call *call)
{
    pthread_mutex_lock(&call->lock);
    if (!atomic_exchange(&call->cancelled, true) && call->on_cancelled && !call->told)
        tell_locked(call);
    cancel_children_locked(call);
    pthread_mutex_unlock(&call->lock);
}

bool
afar_call_cancelled(afar_call *call)
{
    if (!atomic_load_explicit(&call->watched, memory_order_relaxed))
        call->ops->watch(call);
    return atomic_load_explicit(&call->cancelled, memory_order_acquire) ||
           afar_deadline_left_ns(call->deadline) == 0;
}

void
afar_call_on_cancelled(afar_call *call, void (*fn)(afar_call *call, void *arg), void *arg)
{
    if (!atomic_load(&call->watched))
        call->ops->watch(call);
    pthread_mutex_lock(&call->lock);
    if (call->on_cancelled)
        afar__misuse("afar_call_on_cancelled: the call of %s has a callback already",
                     call->method->path);
    call->on_cancelled = fn;
    call->on_cancelled_arg = arg;
    if (atomic_load(&call->cancelled) && !call->told)
        tell_locked(call);
    pthread_mutex_unlock(&call->lock);
}

/* ---- what is known ---- */

afar_deadline
afar_call_deadline(const afar_call *call)
{
    return call->deadline;
}

const afar_method *
afar_call_method(const afar_call *call)
{
    return call->method;
}

const char *
afar_call_object_name(const afar_call *call)
{
    return call->object_name;
}

const afar_metadata *
afar_call_metadata(const afar_call *call)
{
    return call->ops->metadata((afar_call *)call);
}

afar_peer
afar_call_peer(const afar_call *call)
{
    return call->ops->peer((afar_call *)call);
}

const ProtobufCMessage *
afar_call_request(const afar_call *call)
{
    return call->request;
}

ProtobufCMessage *
afar_call_reply(afar_call *call)
{
    return call->reply;
}

/* ---- metadata to the caller ---- */

static afar_code
add_metadata(afar_call *call, afar__metadata_list *list, const char *key, const void *value,
             size_t length, afar_error *err)
{
    afar_metadata_entry entry = { key, value, length };
    afar_metadata metadata = { &entry, 1 };
    afar_code code = afar_metadata_check(&metadata, err);

    if (!code && afar__metadata_add(list, call->arena, key, value, length))
        code = afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for metadata %s", key);
    return code;
}

afar_code
afar_call_add_initial_metadata(afar_call *call, const char *key, const void *value, size_t length,
                               afar_error *err)
{
    if (call->initial_sent)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "%s: the initial metadata has been sent; %s comes too late",
                         call->method->path, key);
    return add_metadata(call, &call->initial, key, value, length, err);
}

afar_code
afar_call_add_trailing_metadata(afar_call *call, const char *key, const void *value, size_t length,
                                afar_error *err)
{
    return add_metadata(call, &call->trailing, key, value, length, err);
}

/* ---- streams ---- */

afar_code
afar_call_send(afar_call *call, const ProtobufCMessage *message, afar_deadline deadline,
               afar_error *err)
{
    return call->ops->send(call, message, afar_deadline_min(deadline, call->deadline).ns, err);
}

afar_code
afar_call_receive(afar_call *call, afar_deadline deadline, const ProtobufCMessage **ret_message,
                  afar_error *err)
{
    return call->ops->receive(call, afar_deadline_min(deadline, call->deadline).ns, ret_message,
                              err);
}

/* ---- the thread's current call ---- */

static _Thread_local struct {
    afar_call *calls[MAX_NESTED];
    unsigned depth;
} current;

afar_call *
afar_call_current(void)
{
    return current.depth ? current.calls[current.depth - 1] : NULL;
}

void
afar_call_enter(afar_call *call)
{
    if (current.depth == MAX_NESTED)
        afar__misuse("afar_call_enter: %d calls are entered on this thread already", MAX_NESTED);
    current.calls[current.depth++] = call;
}

void
afar_call_leave(afar_call *call)
{
    if (current.depth == 0 || current.calls[current.depth - 1] != call)
        afar__misuse("afar_call_leave: %s is not the call that was entered last",
                     call->method->path);
    current.depth--;
}
