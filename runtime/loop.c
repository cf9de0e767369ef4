/* Calls on objects of this process: a port that only we are connected to.
 *
 * The loop exists while an object that was called over it does.  Objects are found
 * by number, in a list under `lock`; a number that is not there any more belongs
 * to an object that has been finalized. */

#include "runtime/loop.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/engine.h"
#include "runtime/host.h"
#include "runtime/interface.h"
#include "runtime/link.h"
#include "runtime/object.h"
#include "runtime/port.h"

#define BUCKETS 256
#define MAX_STREAMS 100000

struct loop {
    afar_node *node;
    afar__port *port;
    afar__link *link;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop *loop;
static afar__loop_entry *buckets[BUCKETS];
static uint64_t count, last_id;

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
    uint64_t id = name ? strtoull(name, NULL, 10) : 0;
    afar__loop_entry *entry;
    afar_object *object = NULL;

    (void)arg;
    pthread_mutex_lock(&lock);
    for (entry = buckets[id % BUCKETS]; entry && entry->id != id; entry = entry->next)
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

static afar_peer
peer(void *arg, int fd)
{
    afar_peer local = { "local", -1, -1 };

    (void)arg;
    (void)fd;
    return local;
}

static void *
close_loop(void *argument)
{
    struct loop *old = argument;

    if (old->link) {
        afar__link_shut(old->link);
        afar__link_unref(old->link);
    }
    if (old->port) {
        afar__port_stop(old->port, 0);
        afar__port_close(old->port);
    }
    afar_node_close(old->node);
    free(old);
    return NULL;
}

static afar_code
connect_loop(struct loop *made, afar_error *err)
{
    afar__port_options options = {
        .max_streams = MAX_STREAMS, .names_are_ours = true, .find = find, .peer = peer
    };
    int ends[2];
    afar_code code;

    code = afar_node_open(NULL, &made->node, err);
    if (code)
        return code;
    code = afar__port_open(made->node, &options, &made->port, err);
    if (code)
        return code;
    code = afar__port_start(made->port, err);
    if (code)
        return code;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends))
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no socket pair for calls on local objects");
    afar__port_add(made->port, ends[1]);
    return afar__link_adopt(made->node, "local", ends[0], &made->link, err);
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
        close_loop(made);
        return code;
    }
    loop = made;
    return AFAR_OK;
}

static afar_code
add_locked(afar__loop_entry *entry, afar_object *object, afar_error *err)
{
    char name[24];
    afar_code code = open_locked(err);

    if (code)
        return code;
    entry->id = ++last_id;
    snprintf(name, sizeof name, "%" PRIu64, entry->id);
    code = afar__link_object(loop->link, object->interface, name, &entry->near, err);
    if (code)
        return code;
    afar__link_keep(entry->near, object);
    entry->object = object;
    entry->next = buckets[entry->id % BUCKETS];
    buckets[entry->id % BUCKETS] = entry;
    count++;
    return AFAR_OK;
}

static struct loop *
take_unused_locked(void)
{
    struct loop *unused = loop;

    loop = NULL;
    return unused;
}

afar_code
afar__loop_object(afar__loop_entry *entry, afar_object *object, afar_object **ret_near,
                  afar_error *err)
{
    struct loop *unused = NULL;
    afar_code code = AFAR_OK;

    pthread_mutex_lock(&lock);
    if (!entry->near)
        code = add_locked(entry, object, err);
    if (!code)
        *ret_near = entry->near;
    else if (count == 0)
        unused = take_unused_locked();
    pthread_mutex_unlock(&lock);
    if (unused)
        (void)afar__engine_aside(close_loop, unused);
    return code;
}

void
afar__loop_remove(afar__loop_entry *entry)
{
    struct loop *unused = NULL;
    afar__loop_entry **place;

    if (!entry->near)
        return;
    pthread_mutex_lock(&lock);
    place = &buckets[entry->id % BUCKETS];
    while (*place != entry)
        place = &(*place)->next;
    *place = entry->next;
    if (--count == 0)
        unused = take_unused_locked();
    pthread_mutex_unlock(&lock);
    afar_object_close(entry->near);
    if (unused)
        (void)afar__engine_aside(close_loop, unused);
}
