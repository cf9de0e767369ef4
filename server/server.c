/* Servers: listeners with an accept loop in front, a port behind, and the table of
 * exports between.
 *
 *     open -> started -> stopping -> stopped -> closed
 *
 * Stopping is done once, by whoever comes first: run, close, or close from a
 * handler, which leaves it to a thread of its own.  First the names are unregistered,
 * then nothing more is accepted, then the port drains, then what is left of the
 * connections is ended.
 *
 * afar_server_stop may be called in a signal handler, so it does nothing but write
 * to an eventfd, on which afar_server_run waits together with the signals. */

#include <afar/server.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/inproc.h"
#include "runtime/log.h"
#include "runtime/misuse.h"
#include "runtime/node.h"
#include "runtime/far/inbound.h"
#include "runtime/port.h"
#include "server/accept.h"
#include "server/exports.h"
#include "server/identity.h"
#include "server/publish.h"
#include "server/register.h"

#define MAX_LISTENERS 16
#define DEFAULT_CONNECTIONS 10000
#define DEFAULT_STREAMS 1000
#define DEFAULT_SILENT_MS 10000
#define DEFAULT_GRACE_MS 5000
#define DEFAULT_LEND_MS 60000
#define DEFAULT_LENT 10000

enum state { OPEN, STARTED, STOPPING, STOPPED };

struct afar_server {
    afar_node *node;
    afar_server_options options;
    afar__exports *exports;
    afar__publish *publish;
    pthread_mutex_t export_lock;  /* so that names are registered in the order of exports */
    afar__register *registration; /* NULL: without the option `names` */
    afar_object *identity;
    afar__port *port;
    afar__inbound *inbound;
    afar__acceptor *acceptor;
    afar__listener listeners[MAX_LISTENERS];
    size_t listener_count;
    char inproc[108];                /* "" if it has no such address */
    _Atomic(afar__acceptor *) takes; /* what comes in by that name; NULL: not started */
    char address[128];               /* the first */
    int stop_event;                  /* an eventfd: stop was asked for */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    enum state state;
    unsigned running; /* threads in afar_server_run; they leave before it is freed */
};

/* ---- opening ---- */

static void
take_options(afar_server *server, const afar_server_options *options)
{
    static const afar_server_options defaults = AFAR_SERVER_OPTIONS_INIT;

    server->options = options ? *options : defaults;
    if (server->options.max_connections == 0)
        server->options.max_connections = DEFAULT_CONNECTIONS;
    if (server->options.max_streams == 0)
        server->options.max_streams = DEFAULT_STREAMS;
    if (server->options.silent_ms == 0)
        server->options.silent_ms = DEFAULT_SILENT_MS;
    if (server->options.grace_ms == 0)
        server->options.grace_ms = DEFAULT_GRACE_MS;
    if (server->options.lend_ms == 0)
        server->options.lend_ms = DEFAULT_LEND_MS;
    if (server->options.max_lent == 0)
        server->options.max_lent = DEFAULT_LENT;
}

/* Two descriptors go with every connection; the soft limit is often 1,024. */
static void
raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        afar__log(AFAR_LOG_WARNING, "cannot raise the limit of descriptors: %s", strerror(errno));
}

static void
hand_on(void *arg, int fd, afar__sniff_kind kind)
{
    afar_server *server = arg;

    (void)kind;
    afar__port_add(server->port, fd);
}

static afar_code
adopt(void *arg, int fd, afar_error *err)
{
    afar_server *server = arg;
    afar__acceptor *acceptor = atomic_load(&server->takes);

    if (!acceptor)
        return afar_fail(err, AFAR_UNAVAILABLE, "inproc:%s: the server has not started",
                         server->inproc);
    return afar__acceptor_adopt(acceptor, fd, err);
}

/* The handler's thread asks, about a connection of a call it holds. */
static afar_peer
peer(void *arg, int fd)
{
    static _Thread_local afar__peer_info info;
    afar_server *server = arg;
    afar_peer found = { "unknown", -1, -1 };

    if (!afar__acceptor_peer(server->acceptor, fd, &info))
        return found;
    found.address = info.address;
    found.uid = info.uid;
    found.pid = info.pid;
    return found;
}

/* What the port finds, with the server as its argument. */
static afar_code
find(void *arg, const char *path, const char *name, afar__target *ret_target, afar_error *err)
{
    afar_server *server = arg;

    if (afar__identity_find(server->identity, path, ret_target))
        return AFAR_OK;
    return afar__publish_find(server->publish, path, name, ret_target, err);
}

static afar_code
open_publish(afar_server *server, afar_error *err)
{
    const afar_server_options *options = &server->options;

    return afar__publish_new(server->node, server->exports, options->lend_ms * AFAR__MILLISECOND,
                             options->max_lent, &server->publish, err);
}

/* After the options of registering were checked, which say more about a wrong endpoint. */
static afar_code
set_endpoint(afar_server *server, afar_error *err)
{
    const char *const *endpoints = server->options.endpoints;

    return endpoints && *endpoints ? afar__publish_endpoint(server->publish, *endpoints, err)
                                   : AFAR_OK;
}

static afar_code
open_parts(afar_server *server, const char *address, afar_error *err)
{
    afar__port_options port = {
        .max_streams = server->options.max_streams,
        .find = find,
        .peer = peer,
        .arg = server,
        .session = afar__inbound_take,
    };
    afar_code code;

    server->stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->stop_event < 0)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no descriptor: %s", address,
                         strerror(errno));
    code = afar_server_listen(server, address, err);
    if (!code)
        code = afar__identity_new(server->node, &server->identity, err);
    if (!code) {
        server->inbound =
            afar__inbound_new(server->node, server->options.max_streams, find, server);
        port.session_arg = server->inbound;
        if (!server->inbound)
            code = afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a server", address);
    }
    if (!code)
        code = open_publish(server, err);
    if (!code)
        port.publisher = afar__publish_publisher(server->publish);
    if (!code)
        code = afar__port_open(server->node, &port, &server->port, err);
    if (!code && server->options.names && *server->options.names)
        code = afar__register_open(server->node, &server->options, &server->registration, err);
    return code ? code : set_endpoint(server, err);
}

/* They were the caller's, and copied by those who need them. */
static void
forget_texts(afar_server_options *options)
{
    options->names = options->key_file = NULL;
    options->endpoints = options->metadata = NULL;
}

static void
free_server(afar_server *server)
{
    if (server->inproc[0])
        afar__inproc_unlisten(server->inproc, server);
    if (server->port)
        afar__port_close(server->port);
    afar__inbound_free(server->inbound);
    afar__acceptor_close(server->acceptor);
    for (size_t i = 0; i < server->listener_count; i++)
        afar__listen_close(&server->listeners[i]);
    afar__register_free(server->registration);
    afar__publish_free(server->publish);
    afar__exports_free(server->exports);
    afar_object_close(server->identity);
    if (server->stop_event >= 0)
        close(server->stop_event);
    if (server->node)
        afar_node_close(server->node);
    pthread_mutex_destroy(&server->export_lock);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    free(server);
}

afar_code
afar_server_open(afar_node *node, const char *address, const afar_server_options *options,
                 afar_server **ret_server, afar_error *err)
{
    afar_server *server;
    afar_code code;

    if (options && options->size != sizeof *options)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "afar_server_options was not made with AFAR_SERVER_OPTIONS_INIT");
    server = calloc(1, sizeof *server);
    if (!server)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a server", address);
    server->stop_event = -1;
    pthread_mutex_init(&server->export_lock, NULL);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    take_options(server, options);
    server->exports = afar__exports_new();
    code = server->exports
               ? afar__node_of(node, &server->node, err)
               : afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a server", address);
    if (!code)
        code = open_parts(server, address, err);
    if (code) {
        free_server(server);
        return code;
    }
    forget_texts(&server->options);
    raise_descriptor_limit();
    *ret_server = server;
    return AFAR_OK;
}

static bool
is_open(afar_server *server)
{
    bool open;

    pthread_mutex_lock(&server->lock);
    open = server->state == OPEN;
    pthread_mutex_unlock(&server->lock);
    return open;
}

static afar_code
listen_inproc(afar_server *server, const char *name, afar_error *err)
{
    afar_code code;

    if (server->inproc[0])
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "inproc:%s: the server is inproc:%s already",
                         name, server->inproc);
    code = afar__inproc_listen(name, adopt, server, err);
    if (code)
        return code;
    snprintf(server->inproc, sizeof server->inproc, "%s", name);
    if (!server->address[0])
        snprintf(server->address, sizeof server->address, "inproc:%s", name);
    return AFAR_OK;
}

afar_code
afar_server_listen(afar_server *server, const char *text, afar_error *err)
{
    afar__listener *listener = &server->listeners[server->listener_count];
    afar__address address;
    afar_code code = afar__address_parse_listen(text, &address, err);

    if (code)
        return code;
    if (!is_open(server))
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "%s: the server has started", text);
    if (address.kind == AFAR__ADDRESS_INPROC)
        return listen_inproc(server, address.path, err);
    if (server->listener_count == MAX_LISTENERS)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: a server has at most %d addresses",
                         text, MAX_LISTENERS);
    code = afar__listen_open(&address, server->options.insecure, listener, err);
    if (code)
        return code;
    if (!server->address[0])
        snprintf(server->address, sizeof server->address, "%s", listener->address);
    server->listener_count++;
    return AFAR_OK;
}

const char *
afar_server_address(const afar_server *server)
{
    return server->address;
}

/* ---- exporting ---- */

static afar_code
export_locked(afar_server *server, const char *name, afar_object *object, afar_error *err)
{
    const afar_interface *interface = afar_object_interface(object);
    afar_code code = afar__exports_add(server->exports, name, object, err);

    if (code || !*name || !server->registration)
        return code;
    code = afar__register_add(server->registration, name, interface->name, err);
    if (code)
        (void)!afar__exports_remove(server->exports, name, interface, NULL);
    return code;
}

afar_code
afar_server_export(afar_server *server, const char *name, afar_object *object, afar_error *err)
{
    afar_code code = afar__engine_check(err);

    if (!object || !name)
        afar__misuse("afar_server_export: a NULL %s", object ? "name" : "object");
    if (code)
        return code;
    pthread_mutex_lock(&server->export_lock);
    code = export_locked(server, name, object, err);
    pthread_mutex_unlock(&server->export_lock);
    return code;
}

afar_code
afar_server_unexport(afar_server *server, const char *name, const afar_interface *interface,
                     afar_error *err)
{
    afar_code code = afar__engine_check(err);

    if (code)
        return code;
    pthread_mutex_lock(&server->export_lock);
    code = afar__exports_remove(server->exports, name, interface, err);
    if (!code && *name && server->registration)
        afar__register_remove(server->registration, name, interface->name);
    pthread_mutex_unlock(&server->export_lock);
    return code;
}

afar_code
afar_server_registered(afar_server *server, afar_deadline deadline, afar_error *err)
{
    afar_code code = afar__engine_check(err);

    if (code)
        return code;
    if (!server->registration)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "%s: the server was opened without the option `names`", server->address);
    if (is_open(server))
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "%s: the server has not started",
                         server->address);
    return afar__register_wait(server->registration, deadline, err);
}

/* ---- starting ---- */

static afar_code
start_parts(afar_server *server, afar_error *err)
{
    afar__accept_options options = { server->options.max_connections, server->options.silent_ms,
                                     hand_on, server };
    afar_code code = AFAR_OK;

    if (server->registration)
        code = afar__register_listeners(server->registration, server->listeners,
                                        server->listener_count, err);
    if (!code)
        code = afar__acceptor_open(server->listeners, server->listener_count, &options,
                                   &server->acceptor, err);
    if (!code)
        code = afar__port_start(server->port, err);
    if (!code)
        code = afar__publish_start(server->publish, server->listeners, server->listener_count, err);
    if (!code)
        code = afar__acceptor_start(server->acceptor, err);
    if (!code && server->registration)
        code = afar__register_start(server->registration, err);
    if (code)
        return code;
    atomic_store(&server->takes, server->acceptor);
    afar__log(AFAR_LOG_INFO, "serving at %s", server->address);
    return AFAR_OK;
}

afar_code
afar_server_start(afar_server *server, afar_error *err)
{
    afar_code code = afar__engine_check(err);
    bool first;

    if (code)
        return code;
    pthread_mutex_lock(&server->lock);
    first = server->state == OPEN;
    if (first)
        server->state = STARTED;
    pthread_mutex_unlock(&server->lock);
    if (!first)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "%s: the server was started before",
                         server->address);
    return start_parts(server, err);
}

afar__publish *
afar__server_publish(afar_server *server)
{
    return is_open(server) ? NULL : server->publish;
}

/* ---- stopping ---- */

static void
stop_parts(afar_server *server)
{
    int64_t grace = server->options.grace_ms < 0 ? 0 : server->options.grace_ms;
    int64_t deadline;

    /* First, so that nobody is sent here who will be refused. */
    if (server->registration)
        afar__register_stop(server->registration);
    afar__publish_withdraw(server->publish);
    if (server->inproc[0])
        afar__inproc_unlisten(server->inproc, server);
    atomic_store(&server->takes, NULL);
    if (server->acceptor)
        afar__acceptor_stop(server->acceptor);
    /* At once, so that a successor can have the addresses while we drain. */
    for (size_t i = 0; i < server->listener_count; i++)
        afar__listen_close(&server->listeners[i]);
    deadline = afar__now() + grace * AFAR__MILLISECOND;
    afar__inbound_close(server->inbound, deadline);
    afar__port_stop(server->port, deadline);
    afar__publish_stop(server->publish);
    if (server->acceptor)
        afar__acceptor_shutdown_all(server->acceptor);
    afar__log(AFAR_LOG_INFO, "stopped serving at %s", server->address);
}

/* Stops once; whoever comes later waits for it. */
static void
stop_server(afar_server *server)
{
    bool first;

    pthread_mutex_lock(&server->lock);
    first = server->state == OPEN || server->state == STARTED;
    if (first)
        server->state = STOPPING;
    while (!first && server->state != STOPPED)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
    if (!first)
        return;
    stop_parts(server);
    pthread_mutex_lock(&server->lock);
    server->state = STOPPED;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

void
afar_server_stop(afar_server *server)
{
    uint64_t one = 1;
    int before = errno;

    /* It can fail only when it was asked for 2^64 times before. */
    (void)!write(server->stop_event, &one, sizeof one);
    errno = before;
}

static void *
close_server(void *argument)
{
    afar_server *server = argument;

    stop_server(server);
    afar_server_stop(server);
    pthread_mutex_lock(&server->lock);
    while (server->running > 0)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
    free_server(server);
    return NULL;
}

void
afar_server_close(afar_server *server)
{
    if (!server || afar__engine_forked())
        return;
    (void)afar__engine_aside(close_server, server);
}

/* ---- running ---- */

/* The signals that end a run write to this; one run at a time has them. */
static atomic_int signal_event = -1;

static void
on_signal(int number)
{
    uint64_t one = 1;
    int before = errno;
    int event = atomic_load(&signal_event);

    (void)number;
    if (event >= 0)
        (void)!write(event, &one, sizeof one);
    errno = before;
}

static void
wait_for_stop(afar_server *server)
{
    struct pollfd wanted = { server->stop_event, POLLIN, 0 };

    while (poll(&wanted, 1, -1) < 0 && errno == EINTR)
        continue;
}

/* After the last one the server may be gone. */
static void
count_running(afar_server *server, int more)
{
    pthread_mutex_lock(&server->lock);
    server->running += (unsigned)more;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

afar_code
afar_server_run(afar_server *server, afar_error *err)
{
    struct sigaction catch = { .sa_handler = on_signal }, old_term, old_int;
    int free_event = -1;
    afar_code code = AFAR_OK;
    bool signals;

    if (!afar__engine_may_wait())
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "a server cannot be run from a handler");
    if (afar__engine_check(err))
        return AFAR_FAILED_PRECONDITION;
    count_running(server, 1);
    signals = atomic_compare_exchange_strong(&signal_event, &free_event, server->stop_event);
    if (signals) {
        sigemptyset(&catch.sa_mask);
        sigaction(SIGTERM, &catch, &old_term);
        sigaction(SIGINT, &catch, &old_int);
    }
    if (is_open(server))
        code = afar_server_start(server, err);
    if (!code)
        wait_for_stop(server);
    stop_server(server);
    if (signals) {
        sigaction(SIGTERM, &old_term, NULL);
        sigaction(SIGINT, &old_int, NULL);
        atomic_store(&signal_event, -1);
    }
    count_running(server, -1);
    return code;
}
