/* Ports: a server of the core without listeners, to which connected sockets are
 * given.
 *
 * All calls come in through generic requests, some of which are always posted.
 *
 *     opened -> started -> stopping -> stopped -> closed
 *
 * Stopping returns the posted requests, lets running calls go on until the
 * deadline, and connections without calls for a moment; cancels what is left, and ends
 * when no call exists any more. */

#include "runtime/grpc_transport.h"

#include <stdlib.h>
#include <string.h>

#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>

#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/node.h"

/* The core passes over every tag that waits when it looks for one (its assertions are
 * on in distributions), so more would slow every event down: 1,024 cost a third of
 * the messages a second.  Calls beyond them queue in the core, which may then hand a
 * newer call out before them (afar/object.h). */
#define POSTED 64
#define MIN_PING_MS 10000

/* A peer that is gone without a word is noticed after both together. */
#define KEEPALIVE_MS 60000
#define KEEPALIVE_ANSWER_MS 20000

/* What connections without calls get to hear that we go. */
#define FAREWELL (200 * AFAR__MILLISECOND)

static void
stopped(afar__tag *tag, bool ok)
{
    afar__port *port = (afar__port *)((char *)tag - offsetof(afar__port, stopped_tag));

    (void)ok;
    pthread_mutex_lock(&port->lock);
    port->stopped = true;
    afar__waiters_wake(&port->waiters);
    pthread_mutex_unlock(&port->lock);
}

static grpc_server *
make_server(const afar_node *node, const afar__port_options *options)
{
    struct {
        const char *key;
        int value;
    } settings[] = {
        { GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, afar__grpc_most(node->limits.max_bytes) },
        { GRPC_ARG_MAX_CONCURRENT_STREAMS, (int)options->max_streams },
        { GRPC_ARG_MAX_METADATA_SIZE, AFAR__MAX_METADATA },
        { GRPC_ARG_ENABLE_CHANNELZ, 0 },
        { GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0 }, /* inflate.c does it */
        { GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, MIN_PING_MS },
        { GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1 },
        { GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS },
        { GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_ANSWER_MS },
        { GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0 },
    };
    grpc_arg list[sizeof settings / sizeof *settings];
    grpc_channel_args args = { sizeof list / sizeof *list, list };

    for (size_t i = 0; i < args.num_args; i++) {
        list[i].type = GRPC_ARG_INTEGER;
        list[i].key = (char *)settings[i].key;
        list[i].value.integer = settings[i].value;
    }
    return grpc_server_create(&args, NULL);
}

afar_code
afar__port_open(afar_node *node, const afar__port_options *options, afar__port **ret_port,
                afar_error *err)
{
    afar__port *port = calloc(1, sizeof *port);

    if (!port)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a server");
    pthread_mutex_init(&port->lock, NULL);
    port->options = *options;
    port->node = afar__node_ref(node);
    port->stopped_tag.done = stopped;
    port->server = make_server(node, options);
    port->credentials = grpc_insecure_server_credentials_create();
    grpc_server_register_completion_queue(port->server, afar__grpc_queue(), NULL);
    *ret_port = port;
    return AFAR_OK;
}

afar_code
afar__port_start(afar__port *port, afar_error *err)
{
    afar_code code = afar__engine_background(err);

    if (code)
        return code;
    port->started = true;
    grpc_server_start(port->server);
    for (int i = 0; i < POSTED; i++)
        afar__incoming_request(port);
    return AFAR_OK;
}

void
afar__port_add(afar__port *port, int fd)
{
    grpc_server_add_channel_from_fd(port->server, fd, port->credentials);
}

void
afar__port_enter(afar__port *port)
{
    pthread_mutex_lock(&port->lock);
    port->live++;
    pthread_mutex_unlock(&port->lock);
}

void
afar__port_leave(afar__port *port)
{
    pthread_mutex_lock(&port->lock);
    if (--port->live == 0)
        afar__waiters_wake(&port->waiters);
    pthread_mutex_unlock(&port->lock);
}

/* The core names a connection by the number of the descriptor it was given. */
int
afar__port_fd(grpc_call *call)
{
    char *name = grpc_call_get_peer(call);
    int fd = strncmp(name, "fd:", 3) == 0 ? atoi(name + 3) : -1;

    gpr_free(name);
    return fd;
}

afar_peer
afar__port_peer(afar__port *port, grpc_call *call)
{
    afar_peer unknown = { "unknown", -1, -1 };
    int fd = afar__port_fd(call);

    return fd >= 0 ? port->options.peer(port->options.arg, fd) : unknown;
}

enum goal {
    STOPPED,          /* the core says so */
    STOPPED_OR_IDLE,  /* or no call is left */
    STOPPED_AND_IDLE, /* both */
};

static bool
reached_locked(const afar__port *port, enum goal goal)
{
    bool idle = port->live == 0;

    return goal == STOPPED_OR_IDLE ? port->stopped || idle
                                   : port->stopped && (idle || goal == STOPPED);
}

/* False when the deadline comes first. */
static bool
wait_until(afar__port *port, enum goal goal, int64_t deadline)
{
    afar__wait_result result = AFAR__WAIT_WOKEN;
    bool over;

    pthread_mutex_lock(&port->lock);
    while (!(over = reached_locked(port, goal)) && result == AFAR__WAIT_WOKEN) {
        afar__waiter waiter;

        afar__waiters_add(&port->waiters, &waiter);
        pthread_mutex_unlock(&port->lock);
        result = afar__wait(&waiter, deadline);
        pthread_mutex_lock(&port->lock);
        afar__waiters_remove(&waiter);
    }
    pthread_mutex_unlock(&port->lock);
    return over;
}

/* Lets running calls finish, and then the connections: the core asks each peer whether it
 * has heard that we go, and one that is not listening just now does not answer. */
static bool
drain(afar__port *port, int64_t deadline)
{
    int64_t farewell;

    if (!wait_until(port, STOPPED_OR_IDLE, deadline))
        return false;
    farewell = afar__now() + FAREWELL;
    return wait_until(port, STOPPED, farewell < deadline ? farewell : deadline);
}

void
afar__port_stop(afar__port *port, int64_t deadline)
{
    bool first;

    pthread_mutex_lock(&port->lock);
    first = port->started && !port->stopping;
    port->stopping = true;
    pthread_mutex_unlock(&port->lock);
    if (!first)
        return;
    afar__grpc_publish(&port->stopped_tag);
    grpc_server_shutdown_and_notify(port->server, afar__grpc_queue(), &port->stopped_tag);
    if (!drain(port, deadline))
        grpc_server_cancel_all_calls(port->server);
    (void)wait_until(port, STOPPED_AND_IDLE, AFAR__NEVER);
    afar__engine_background_end();
}

void
afar__port_close(afar__port *port)
{
    grpc_server_destroy(port->server);
    grpc_server_credentials_release(port->credentials);
    while (port->spare) {
        afar__incoming *incoming = port->spare;

        port->spare = incoming->next_spare;
        afar__incoming_destroy(incoming);
    }
    pthread_mutex_destroy(&port->lock);
    afar_node_close(port->node);
    free(port);
}
