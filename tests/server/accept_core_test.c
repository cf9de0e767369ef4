/* The acceptor in front of gRPC's own core: that the core ends its connections in
 * the way that the acceptor sees, and keeps a descriptor as long as a call lives.
 * This is the one test that uses the core by itself; the server's adapter to it has
 * tests of its own.
 *
 * Two threads serve: one the server's queue, one the acceptor.  The test's thread is
 * the clients. */

#include "server/accept.h"

#include <fcntl.h>
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accepting.h"
#include "check.h"

/* An empty SETTINGS frame. */
#define SETTINGS "\0\0\0\4\0\0\0\0\0"

/* ---- a server that is nothing but the core ---- */

struct incoming {
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    int cancelled;
    bool refused; /* its answer is on the way */
};

struct core {
    struct accepting accepting;
    grpc_server *server;
    grpc_completion_queue *queue;
    grpc_server_credentials *credentials;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct incoming *held; /* guarded by lock: a call that came and is not answered */
    bool hold;             /* guarded by lock: calls are held */
};

/* Instead of what accepting.c does with a descriptor. */
static void
hand_to_core(void *arg, int fd, afar__sniff_kind kind)
{
    struct core *core = arg;

    CHECK_INT(kind, AFAR__SNIFF_HTTP2);
    grpc_server_add_channel_from_fd(core->server, fd, core->credentials);
}

static void
request_call(struct core *core)
{
    struct incoming *incoming = calloc(1, sizeof *incoming);

    CHECK(incoming != NULL);
    grpc_call_details_init(&incoming->details);
    grpc_metadata_array_init(&incoming->metadata);
    CHECK_INT(grpc_server_request_call(core->server, &incoming->call, &incoming->details,
                                       &incoming->metadata, core->queue, core->queue, incoming),
              GRPC_CALL_OK);
}

/* Ends in an event whose tag says that it is a call's. */
static void
refuse(struct incoming *incoming)
{
    grpc_slice text = grpc_slice_from_static_string("not here");
    grpc_op ops[3] = { { .op = GRPC_OP_SEND_INITIAL_METADATA },
                       { .op = GRPC_OP_SEND_STATUS_FROM_SERVER },
                       { .op = GRPC_OP_RECV_CLOSE_ON_SERVER } };

    ops[1].data.send_status_from_server.status = GRPC_STATUS_UNIMPLEMENTED;
    ops[1].data.send_status_from_server.status_details = &text;
    ops[2].data.recv_close_on_server.cancelled = &incoming->cancelled;
    incoming->refused = true;
    CHECK_INT(grpc_call_start_batch(incoming->call, ops, 3, incoming, NULL), GRPC_CALL_OK);
}

static void
forget(struct incoming *incoming)
{
    if (incoming->call)
        grpc_call_unref(incoming->call);
    grpc_call_details_destroy(&incoming->details);
    grpc_metadata_array_destroy(&incoming->metadata);
    free(incoming);
}

static void
take_call(struct core *core, struct incoming *incoming)
{
    request_call(core);
    pthread_mutex_lock(&core->lock);
    bool hold = core->hold;
    if (hold) {
        core->held = incoming;
        pthread_cond_broadcast(&core->changed);
    }
    pthread_mutex_unlock(&core->lock);
    if (!hold)
        refuse(incoming);
}

static void *
run_core(void *arg)
{
    struct core *core = arg;

    for (;;) {
        grpc_event event =
            grpc_completion_queue_next(core->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);

        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (event.tag == core)
            grpc_completion_queue_shutdown(core->queue);
        else if (event.success && !((struct incoming *)event.tag)->refused)
            take_call(core, event.tag);
        else
            forget(event.tag);
    }
}

static void
core_open(struct core *core, const char *addresses)
{
    const afar__accept_options options = { 1000, 100000, hand_to_core, core };

    memset(core, 0, sizeof *core);
    pthread_mutex_init(&core->lock, NULL);
    pthread_cond_init(&core->changed, NULL);
    grpc_init();
    core->server = grpc_server_create(NULL, NULL);
    core->queue = grpc_completion_queue_create_for_next(NULL);
    core->credentials = grpc_insecure_server_credentials_create();
    grpc_server_register_completion_queue(core->server, core->queue, NULL);
    grpc_server_start(core->server);
    request_call(core);
    CHECK_INT(pthread_create(&core->thread, NULL, run_core, core), 0);
    accepting_open_for(&core->accepting, addresses, &options);
}

static void
core_shutdown(struct core *core)
{
    afar__acceptor_stop(core->accepting.acceptor);
    grpc_server_shutdown_and_notify(core->server, core->queue, core);
    grpc_server_cancel_all_calls(core->server);
    CHECK_INT(pthread_join(core->thread, NULL), 0);
    grpc_server_destroy(core->server);
    core->server = NULL;
}

static void
core_close(struct core *core)
{
    if (core->server)
        core_shutdown(core);
    accepting_wait_count(&core->accepting, 0);
    accepting_close(&core->accepting);
    grpc_completion_queue_destroy(core->queue);
    grpc_server_credentials_release(core->credentials);
    grpc_shutdown_blocking();
    pthread_cond_destroy(&core->changed);
    pthread_mutex_destroy(&core->lock);
}

/* ---- a client of the core's ---- */

struct caller {
    grpc_channel *channel;
    grpc_completion_queue *queue;
    grpc_call *call;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice details;
};

/* A connection of its own, which starts with a call. */
static void
caller_open(struct caller *caller, const afar__listener *listener)
{
    grpc_arg alone = { .type = GRPC_ARG_INTEGER,
                       .key = (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL,
                       .value.integer = 1 };
    grpc_channel_args args = { 1, &alone };
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_slice host = grpc_slice_from_static_string("localhost");
    grpc_op ops[4] = { { .op = GRPC_OP_SEND_INITIAL_METADATA },
                       { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
                       { .op = GRPC_OP_RECV_STATUS_ON_CLIENT },
                       { .op = GRPC_OP_RECV_INITIAL_METADATA } };

    memset(caller, 0, sizeof *caller);
    caller->channel = grpc_channel_create(listener->address, credentials, &args);
    grpc_channel_credentials_release(credentials);
    caller->queue = grpc_completion_queue_create_for_next(NULL);
    caller->call = grpc_channel_create_call(caller->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                            caller->queue, grpc_slice_from_static_string("/a.B/C"),
                                            &host, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    grpc_metadata_array_init(&caller->trailing);
    grpc_metadata_array_init(&caller->initial);
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &caller->initial;
    ops[2].data.recv_status_on_client.trailing_metadata = &caller->trailing;
    ops[2].data.recv_status_on_client.status = &caller->status;
    ops[2].data.recv_status_on_client.status_details = &caller->details;
    CHECK_INT(grpc_call_start_batch(caller->call, ops, 4, caller, NULL), GRPC_CALL_OK);
}

static grpc_status_code
caller_wait(struct caller *caller)
{
    gpr_timespec end =
        gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(15, GPR_TIMESPAN));
    grpc_event event = grpc_completion_queue_next(caller->queue, end, NULL);

    CHECK_INT(event.type, GRPC_OP_COMPLETE);
    return caller->status;
}

static void
caller_close(struct caller *caller)
{
    grpc_call_unref(caller->call);
    grpc_slice_unref(caller->details);
    grpc_metadata_array_destroy(&caller->initial);
    grpc_metadata_array_destroy(&caller->trailing);
    grpc_channel_destroy(caller->channel);
    grpc_completion_queue_shutdown(caller->queue);
    while (
        grpc_completion_queue_next(caller->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
        GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(caller->queue);
}

/* ---- tests ---- */

TEST(callers_of_the_core_come_and_go)
{
    static struct core core;
    struct caller callers[8];
    int before = 0;

    core_open(&core, "127.0.0.1:0 unix");
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 8; i++)
            caller_open(&callers[i], &core.accepting.listeners[i % 2]);
        for (int i = 0; i < 8; i++)
            CHECK_INT(caller_wait(&callers[i]), GRPC_STATUS_UNIMPLEMENTED);
        CHECK(afar__acceptor_connections(core.accepting.acceptor) >= 8);
        for (int i = 0; i < 8; i++)
            caller_close(&callers[i]);
        accepting_wait_count(&core.accepting, 0);
        if (round == 0)
            before = descriptor_count();
    }
    CHECK(descriptor_count() <= before + 4); /* the core closes its own somewhat later */
    core_close(&core);
}

/* Raw clients that misbehave behind a good preface. */
TEST(core_ends_broken_connections_in_both_directions)
{
    static struct core core;
    char text[512];

    core_open(&core, "127.0.0.1:0 unix");
    for (int i = 0; i < 40; i++) {
        int client = client_open(&core.accepting.listeners[i % 2]);

        client_say(client, PREFACE SETTINGS, strlen(PREFACE) + 9);
        switch (i / 2 % 4) {
        case 0: /* not a frame */
            client_say(client, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10);
            client_hear_all(client, text, sizeof text);
            break;
        case 1: /* says nothing more, and still listens */
            CHECK_INT(shutdown(client, SHUT_WR), 0);
            client_hear_all(client, text, sizeof text);
            break;
        case 2: { /* resets */
            const struct linger now = { .l_onoff = 1, .l_linger = 0 };

            setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
            break;
        }
        default: /* leaves */
            break;
        }
        close(client);
        accepting_wait_count(&core.accepting, 0);
    }
    core_close(&core);
}

static bool
is_held(void *arg)
{
    struct core *core = arg;

    pthread_mutex_lock(&core->lock);
    bool held = core->held != NULL;
    pthread_mutex_unlock(&core->lock);
    return held;
}

/* What the core says of a call's peer, and what that number means to the acceptor. */
static int
check_peer(struct core *core, const char *address)
{
    char *name = grpc_call_get_peer(core->held->call);
    afar__peer_info peer;
    int fd = -1;

    CHECK_INT(sscanf(name, "fd:%d", &fd), 1);
    gpr_free(name);
    CHECK(afar__acceptor_peer(core->accepting.acceptor, fd, &peer));
    if (address)
        CHECK_STR(peer.address, address);
    CHECK(strncmp(peer.address, "127.0.0.1:", 10) == 0);
    return fd;
}

/* The number of a descriptor names the peer of a call as long as the call lives,
 * though the peer is gone and others came: the core does not give it back before. */
TEST(peer_of_a_call_is_known_after_it_has_gone)
{
    static struct core core;
    afar__peer_info peer;
    struct caller caller;

    core_open(&core, "127.0.0.1:0 unix");
    core.hold = true;
    caller_open(&caller, &core.accepting.listeners[0]);
    wait_until(is_held, &core, "the call comes");
    int fd = check_peer(&core, NULL);
    CHECK(afar__acceptor_peer(core.accepting.acceptor, fd, &peer));
    caller_close(&caller);
    accepting_wait_count(&core.accepting, 0);
    for (int i = 0; i < 20; i++) {
        int other = client_open(&core.accepting.listeners[1]);

        client_say(other, PREFACE SETTINGS, strlen(PREFACE) + 9);
        accepting_wait_count(&core.accepting, 1);
        close(other);
        accepting_wait_count(&core.accepting, 0);
    }
    CHECK_INT(check_peer(&core, peer.address), fd);
    forget(core.held);
    core_close(&core);
}

TEST(all_of_the_cores_connections_can_be_ended)
{
    static struct core core;
    struct caller callers[4];

    core_open(&core, "127.0.0.1:0 unix");
    core.hold = false;
    for (int i = 0; i < 4; i++)
        caller_open(&callers[i], &core.accepting.listeners[i % 2]);
    for (int i = 0; i < 4; i++)
        CHECK_INT(caller_wait(&callers[i]), GRPC_STATUS_UNIMPLEMENTED);
    afar__acceptor_stop(core.accepting.acceptor);
    afar__acceptor_shutdown_all(core.accepting.acceptor);
    accepting_wait_count(&core.accepting, 0);
    for (int i = 0; i < 4; i++)
        caller_close(&callers[i]);
    core_close(&core);
}

TEST(shutdown_of_the_core_ends_its_connections)
{
    static struct core core;
    struct caller callers[4];

    core_open(&core, "127.0.0.1:0 unix");
    for (int i = 0; i < 4; i++)
        caller_open(&callers[i], &core.accepting.listeners[i % 2]);
    for (int i = 0; i < 4; i++)
        CHECK_INT(caller_wait(&callers[i]), GRPC_STATUS_UNIMPLEMENTED);
    core_shutdown(&core);
    accepting_wait_count(&core.accepting, 0);
    for (int i = 0; i < 4; i++)
        caller_close(&callers[i]);
    core_close(&core);
}
