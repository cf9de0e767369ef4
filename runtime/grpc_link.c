/* Links: one channel of the core for each address, and the calls that run on it.
 *
 * The core connects when the first call or afar__link_connect asks for it, and again
 * when the connection breaks.  A link over a socket that was given to us lives as
 * long as that socket.
 *
 * `lock` guards the list of calls, `shut`, and the table of registered methods.  A
 * call is in the list from its creation to its end; shutting a link cancels what
 * is in the list and waits until it is empty. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>

#include "runtime/abroad.h"
#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/fail.h"
#include "runtime/far/route.h"
#include "runtime/finder.h"
#include "runtime/grpc_link.h"
#include "runtime/grpc_outgoing.h"
#include "runtime/grpc_transport.h"
#include "runtime/inproc.h"
#include "runtime/node.h"

#define INPROC "inproc:"
#define FIRST_BACKOFF_MS 100
#define MAX_BACKOFF_MS 5000

struct method_handle {
    const afar_method *method;
    void *handle;
};

struct afar__link {
    atomic_uint refs;
    afar_node *node;
    grpc_channel *channel;
    bool heals;
    atomic_bool broken; /* and it does not heal */
    uint64_t server;    /* of this process, at the other end (inproc.h); 0: none */
    char address[300];  /* as people write it */

    afar__link_slot slot;

    pthread_mutex_t lock;
    bool shut;
    afar__outgoing *calls;
    afar__waiters waiters;         /* for `calls` to become empty */
    struct method_handle *handles; /* hashed by method; a power of two of them */
    size_t handle_count, handle_room;
};

afar__link_slot *
afar__link_slot_of(afar__link *link)
{
    return &link->slot;
}

const char *
afar__link_address(const afar__link *link)
{
    return link->address;
}

const afar_node *
afar__link_node(const afar__link *link)
{
    return link->node;
}

grpc_channel *
afar__link_channel(const afar__link *link)
{
    return link->channel;
}

bool
afar__link_heals(const afar__link *link)
{
    return link->heals;
}

bool
afar__link_connected(const afar__link *link)
{
    if (!link->heals)
        return !afar__link_broken(link);
    return grpc_channel_check_connectivity_state(link->channel, 0) == GRPC_CHANNEL_READY;
}

bool
afar__link_shared(const afar__link *link)
{
    return atomic_load_explicit(&((afar__link *)link)->refs, memory_order_acquire) > 1;
}

bool
afar__link_is_shut(afar__link *link)
{
    bool shut;

    pthread_mutex_lock(&link->lock);
    shut = link->shut;
    pthread_mutex_unlock(&link->lock);
    return shut;
}

void
afar__link_note_loss(afar__link *link)
{
    if (!link->heals)
        atomic_store(&link->broken, true);
}

bool
afar__link_broken(const afar__link *link)
{
    return atomic_load(&((afar__link *)link)->broken) ||
           (link->server != 0 &&
            !afar__inproc_serves(link->address + strlen(INPROC), link->server));
}

/* ---- life ---- */

static grpc_arg
integer_arg(const char *key, int value)
{
    grpc_arg arg;

    arg.type = GRPC_ARG_INTEGER;
    arg.key = (char *)key;
    arg.value.integer = value;
    return arg;
}

static grpc_channel *
make_channel(const afar_node *node, const char *target, int fd)
{
    grpc_arg authority = { .type = GRPC_ARG_STRING,
                           .key = (char *)GRPC_ARG_DEFAULT_AUTHORITY,
                           .value.string = (char *)"localhost" };
    grpc_arg list[] = {
        integer_arg(GRPC_ARG_ENABLE_RETRIES, 0),
        integer_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, afar__grpc_most(node->limits.max_bytes)),
        integer_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, FIRST_BACKOFF_MS),
        integer_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, MAX_BACKOFF_MS),
        integer_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, MAX_BACKOFF_MS),
        integer_arg(GRPC_ARG_MAX_METADATA_SIZE, AFAR__MAX_METADATA),
        integer_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
        integer_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0), /* inflate.c does it */
        authority,
    };
    bool tcp = fd < 0 && strncmp(target, "unix:", 5) != 0;
    grpc_channel_args args = { sizeof list / sizeof *list - (tcp ? 1 : 0), list };
    grpc_channel_credentials *insecure = grpc_insecure_credentials_create();
    grpc_channel *channel = fd >= 0 ? grpc_channel_create_from_fd(target, fd, insecure, &args)
                                    : grpc_channel_create(target, insecure, &args);

    grpc_channel_credentials_release(insecure);
    return channel;
}

grpc_channel *
afar__link_fresh_channel(const afar__link *link)
{
    bool is_unix = strncmp(link->address, "unix:", 5) == 0;
    char target[sizeof link->address + 8];

    snprintf(target, sizeof target, "%s%s", is_unix ? "" : "dns:///", link->address);
    return make_channel(link->node, target, -1);
}

static afar_code
make_link(afar_node *node, const char *address, const char *target, int fd, afar__link **ret_link,
          afar_error *err)
{
    afar__link *link = calloc(1, sizeof *link);

    if (!link) {
        if (fd >= 0)
            close(fd);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a link", address);
    }
    atomic_init(&link->refs, 1);
    pthread_mutex_init(&link->lock, NULL);
    pthread_mutex_init(&link->slot.lock, NULL);
    snprintf(link->address, sizeof link->address, "%s", address);
    link->heals = fd < 0;
    link->node = afar__node_ref(node);
    link->channel = make_channel(node, target, fd);
    *ret_link = link;
    return AFAR_OK;
}

afar_code
afar__link_adopt(afar_node *node, const char *peer, int fd, afar__link **ret_link, afar_error *err)
{
    return make_link(node, peer, peer, fd, ret_link, err);
}

static afar_code
open_inproc(afar_node *node, const char *name, afar__link **ret_link, afar_error *err)
{
    char address[128];
    uint64_t server;
    int fd;
    afar_code code = afar__inproc_connect(name, &fd, &server, err);

    if (code)
        return code;
    snprintf(address, sizeof address, INPROC "%s", name);
    code = afar__link_adopt(node, address, fd, ret_link, err);
    if (!code)
        (*ret_link)->server = server;
    return code;
}

afar_code
afar__link_open(afar_node *node, const afar__address *address, afar__link **ret_link,
                afar_error *err)
{
    char text[300], target[320];

    if (address->kind == AFAR__ADDRESS_INPROC)
        return open_inproc(node, address->path, ret_link, err);
    if (address->kind == AFAR__ADDRESS_UNIX) {
        snprintf(text, sizeof text, "unix:%s", address->path);
        snprintf(target, sizeof target, "%s", text);
    } else {
        snprintf(text, sizeof text, address->ipv6 ? "[%s]:%u" : "%s:%u", address->host,
                 (unsigned)address->port);
        snprintf(target, sizeof target, "dns:///%s", text);
    }
    return make_link(node, text, target, -1, ret_link, err);
}

afar__link *
afar__link_ref(afar__link *link)
{
    atomic_fetch_add_explicit(&link->refs, 1, memory_order_relaxed);
    return link;
}

void
afar__link_unref(afar__link *link)
{
    if (!link || atomic_fetch_sub_explicit(&link->refs, 1, memory_order_acq_rel) != 1)
        return;
    grpc_channel_destroy(link->channel);
    pthread_mutex_destroy(&link->slot.lock);
    pthread_mutex_destroy(&link->lock);
    free(link->handles);
    afar_node_close(link->node);
    free(link);
}

/* ---- calls ---- */

static size_t
slot_of(const afar__link *link, const afar_method *method)
{
    size_t slot = ((uintptr_t)method / sizeof *method) & (link->handle_room - 1);

    while (link->handles[slot].method && link->handles[slot].method != method)
        slot = (slot + 1) & (link->handle_room - 1);
    return slot;
}

static bool
grow_handles_locked(afar__link *link)
{
    struct method_handle *old = link->handles;
    size_t old_room = link->handle_room;
    size_t room = old_room ? old_room * 2 : 16;

    if (link->handle_count * 2 < old_room)
        return true;
    link->handles = calloc(room, sizeof *link->handles);
    if (!link->handles) {
        link->handles = old;
        return false;
    }
    link->handle_room = room;
    for (size_t i = 0; i < old_room; i++)
        if (old[i].method)
            link->handles[slot_of(link, old[i].method)] = old[i];
    free(old);
    return true;
}

/* The core prepares what every call of a method shares, once for each link. */
static void *
handle_of_locked(afar__link *link, const afar_method *method)
{
    struct method_handle *slot;

    if (!grow_handles_locked(link))
        return NULL;
    slot = &link->handles[slot_of(link, method)];
    if (!slot->method) {
        slot->method = method;
        slot->handle = grpc_channel_register_call(link->channel, method->path, NULL, NULL);
        link->handle_count++;
    }
    return slot->handle;
}

afar_code
afar__link_call(afar__link *link, afar__outgoing *out, afar_error *err)
{
    void *handle = NULL;
    bool shut;

    pthread_mutex_lock(&link->lock);
    shut = link->shut;
    if (!shut)
        handle = handle_of_locked(link, out->method);
    if (handle) {
        out->call = grpc_channel_create_registered_call(
            link->channel, NULL, GRPC_PROPAGATE_DEFAULTS, afar__grpc_queue(), handle,
            afar__grpc_deadline(out->deadline), NULL);
        out->next = link->calls;
        out->place = &link->calls;
        if (out->next)
            out->next->place = &out->next;
        link->calls = out;
    }
    pthread_mutex_unlock(&link->lock);
    if (shut)
        return afar__outgoing_fail(out, err, AFAR_FAILED_PRECONDITION, AFAR_OUTCOME_NOT_SENT,
                                   "the client was closed");
    if (!handle)
        return afar__outgoing_fail(out, err, AFAR_RESOURCE_EXHAUSTED, AFAR_OUTCOME_NOT_SENT,
                                   "no memory");
    return AFAR_OK;
}

void
afar__outgoing_ended(afar__outgoing *out)
{
    afar__link *link = out->link;

    if (out->parent) {
        afar__call_disown(out->parent, &out->child);
        afar__call_unref(out->parent);
        out->parent = NULL;
    }
    pthread_mutex_lock(&link->lock);
    if (out->place) {
        *out->place = out->next;
        if (out->next)
            out->next->place = out->place;
        if (!link->calls)
            afar__waiters_wake(&link->waiters);
    }
    pthread_mutex_unlock(&link->lock);
}

void
afar__link_shut(afar__link *link)
{
    afar__wait_result result = AFAR__WAIT_WOKEN;
    afar__waiter waiter;

    afar__link_session_shut(link);
    pthread_mutex_lock(&link->lock);
    link->shut = true;
    for (afar__outgoing *out = link->calls; out; out = out->next)
        grpc_call_cancel(out->call, NULL);
    while (link->calls && result == AFAR__WAIT_WOKEN && afar__engine_may_wait()) {
        afar__waiters_add(&link->waiters, &waiter);
        pthread_mutex_unlock(&link->lock);
        result = afar__wait(&waiter, AFAR__NEVER);
        pthread_mutex_lock(&link->lock);
        afar__waiters_remove(&waiter);
    }
    pthread_mutex_unlock(&link->lock);
}

/* ---- references ---- */

static void
free_remote(afar_object *object)
{
    afar__remote *remote = (afar__remote *)object;

    grpc_slice_unref(remote->name);
    afar__link_unref(remote->link);
    free(remote);
}

static const afar__object_ops remote_ops = { afar__unary_start, afar__stream_start, NULL,
                                             free_remote };

static afar__remote *
make_remote(const afar_interface *interface, const char *name)
{
    afar__remote *remote = malloc(sizeof *remote);

    if (!remote)
        return NULL;
    afar__object_init(&remote->object, &remote_ops, interface);
    remote->link = NULL;
    remote->name = grpc_slice_from_copied_string(name);
    remote->keep = NULL;
    return remote;
}

static afar_code
fail_without_memory(const afar__link *link, afar_error *err)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a reference", link->address);
}

afar_code
afar__link_object(afar__link *link, const afar_interface *interface, const char *name,
                  afar_object **ret_object, afar_error *err)
{
    afar__remote *remote = make_remote(interface, name);

    if (!remote)
        return fail_without_memory(link, err);
    remote->link = afar__link_ref(link);
    *ret_object = &remote->object;
    return AFAR_OK;
}

/* A link that does not heal leads into this process, or over a socket that was given to us. */
bool
afar__remote_spot(const afar_object *object, afar__spot *ret_spot)
{
    const afar__remote *remote = (const afar__remote *)object;
    char name[sizeof ret_spot->name];
    size_t length;

    if (object->ops != &remote_ops || !remote->link->heals)
        return false;
    length = GRPC_SLICE_LENGTH(remote->name);
    if (length >= sizeof name)
        return false;
    memcpy(name, GRPC_SLICE_START_PTR(remote->name), length);
    name[length] = '\0';
    return afar__spot_set(ret_spot, remote->link->address, name);
}

void
afar__link_keep(afar_object *object, afar_object *keep)
{
    ((afar__remote *)object)->keep = keep;
}
