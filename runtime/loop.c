/* Calls on objects of this process: a session between two connections that only we have.
 *
 * The loop exists while an object that was called over it does.  Objects are found
 * by number, in a list under `lock`; a number that is not there any more belongs
 * to an object that has been finalized.  A session may end though nothing broke: a process that
 * was stopped for long finds its own peer silent.  Then the next call opens another loop.
 *
 * A call keeps its object alive, and so the entry and its name; while one is started the loop
 * cannot go, since the object is counted. */

#include "runtime/loop.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/far/connection.h"
#include "runtime/far/far.h"
#include "runtime/host.h"
#include "runtime/interface.h"
#include "runtime/loop_transport.h"

#define BUCKETS 256

/* Nobody has to be held up: what queues here is this process's own. */
#define MOST_CALLS 1000000
#define MOST_BYTES (UINT32_C(1) << 30)

struct loop {
    afar_node *node;
    afar__connection *near; /* makes the calls */
    afar__connection *home; /* serves them */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop *loop;
static afar__loop_entry *buckets[BUCKETS];
static uint64_t count, last_id;

static afar__loop_entry **
bucket_of(const char *name)
{
    return &buckets[strtoull(name, NULL, 10) % BUCKETS];
}

static const afar_method *
method_of(const afar_interface *interface, const char *path)
{
    for (unsigned i = 0; i < interface->method_count; i++)
        if (strcmp(afar__interface_method(interface, i)->path, path) == 0)
            return afar__interface_method(interface, i);
    return NULL;
}

static afar_code
find(void *arg, const char *path, const char *name, afar__target *ret_target, afar_error *err)
{
    afar__loop_entry *entry;
    afar_object *object = NULL;

    (void)arg;
    pthread_mutex_lock(&lock);
    for (entry = *bucket_of(name); entry && strcmp(entry->name, name) != 0; entry = entry->next)
        continue;
    if (entry && afar__object_try_share(entry->object))
        object = entry->object;
    pthread_mutex_unlock(&lock);
    if (!object)
        return afar_fail(err, AFAR_NOT_FOUND, "%s: the object is gone", path);
    ret_target->host = afar__host_of(object);
    ret_target->method = method_of(afar_object_interface(object), path);
    if (ret_target->method)
        return AFAR_OK;
    afar_object_close(object);
    return afar_fail(err, AFAR_UNIMPLEMENTED, "%s: the object has no such method", path);
}

/* ---- life ---- */

static void *
close_loop(void *argument)
{
    struct loop *old = argument;

    if (old->near)
        afar__connection_cancel(old->near);
    if (old->home)
        afar__connection_close(old->home, afar__now() + AFAR__SECOND);
    if (old->near)
        afar__connection_wait_over(old->near);
    if (old->home)
        afar__connection_wait_over(old->home);
    afar__connection_unref(old->near);
    afar__connection_unref(old->home);
    afar_node_close(old->node);
    free(old);
    return NULL;
}

/* Its session has ended: it goes when the last handler has left it, which nobody waits for. */
static void
abandon_loop(struct loop *old)
{
    if (!old)
        return;
    afar__connection_cancel(old->near);
    afar__connection_close(old->home, afar__now() + AFAR__SECOND);
    afar__connection_unref(old->near);
    afar__connection_unref(old->home);
    afar_node_close(old->node);
    free(old);
}

static afar_code
open_end(struct loop *made, afar__transport *transport, afar__connection **ret_end, afar_error *err)
{
    static const afar__session_limits limits = { .calls = MOST_CALLS, .session_bytes = MOST_BYTES };
    afar__connection_options options = {
        .node = made->node,
        .transport = transport,
        .address = "local",
        .find = find,
        .names_are_ours = true,
        .limits = &limits,
    };

    return afar__connection_open(&options, ret_end, err);
}

static afar_code
connect_loop(struct loop *made, afar_error *err)
{
    afar__transport *pair[2];
    afar_code code = afar_node_open(NULL, &made->node, err);

    if (!code)
        code = afar__loop_transports(made->node, NULL, pair, err);
    if (code)
        return code;
    code = open_end(made, pair[0], &made->near, err);
    if (code)
        pair[1]->ops->free(pair[1]);
    else
        code = open_end(made, pair[1], &made->home, err);
    if (!code)
        afar__connection_join(made->near, made->home);
    return code;
}

static afar_code
open_locked(afar_error *err)
{
    struct loop *made;
    afar_code code;

    if (loop)
        return AFAR_OK;
    made = calloc(1, sizeof *made);
    if (!made)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for calls on local objects");
    code = connect_loop(made, err);
    if (code) {
        (void)afar__engine_aside(close_loop, made);
        return code;
    }
    loop = made;
    return AFAR_OK;
}

static struct loop *
take_loop_locked(void)
{
    struct loop *unused = loop;

    loop = NULL;
    return unused;
}

/* ---- calls ---- */

static void
add_locked(afar__loop_entry *entry, afar_object *object)
{
    entry->object = object;
    snprintf(entry->name, sizeof entry->name, "%" PRIu64, ++last_id);
    entry->next = *bucket_of(entry->name);
    *bucket_of(entry->name) = entry;
    count++;
}

/* The object is counted from its first call on. */
afar_code
afar__loop_way(afar__loop_entry *entry, afar_object *object, afar__way *ret_way, afar_error *err)
{
    struct loop *ended = NULL;
    afar_code code;

    pthread_mutex_lock(&lock);
    if (loop && !afar__connection_usable(loop->near))
        ended = take_loop_locked();
    code = open_locked(err);
    if (!code && !*entry->name)
        add_locked(entry, object);
    if (!code)
        *ret_way = (afar__way){ .connection = afar__connection_ref(loop->near),
                                .name = entry->name,
                                .keep = object };
    pthread_mutex_unlock(&lock);
    abandon_loop(ended);
    return code;
}

afar_code
afar__loop_start(afar__loop_entry *entry, afar_object *object, const afar__request *request,
                 afar_future **ret_future, afar_error *err)
{
    afar__way way;
    afar_code code = afar__loop_way(entry, object, &way, err);

    if (code)
        return code;
    code = afar__far_start(object, &way, request, ret_future, err);
    afar__connection_unref(way.connection);
    return code;
}

afar_code
afar__loop_stream(afar__loop_entry *entry, afar_object *object, const afar__request *request,
                  afar_stream **ret_stream, afar_error *err)
{
    afar__way way;
    afar_code code = afar__loop_way(entry, object, &way, err);

    if (code)
        return code;
    code = afar__far_stream(object, &way, request, ret_stream, err);
    afar__connection_unref(way.connection);
    return code;
}

void
afar__loop_remove(afar__loop_entry *entry)
{
    struct loop *unused = NULL;
    afar__loop_entry **place;

    if (!*entry->name)
        return;
    pthread_mutex_lock(&lock);
    place = bucket_of(entry->name);
    while (*place != entry)
        place = &(*place)->next;
    *place = entry->next;
    if (--count == 0)
        unused = take_loop_locked();
    pthread_mutex_unlock(&lock);
    if (unused)
        (void)afar__engine_aside(close_loop, unused);
}
