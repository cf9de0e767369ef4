/* How transports over gRPC end when a connection, a link, a port or a process does.
 * Labels: concurrent */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "pairs.h"
#include "runtime/clock.h"

/* An end on a link of its own. */
struct far {
    afar_node *node;
    afar__link *link;
    struct end end;
};

static void
far_open(struct far *far, const char *address)
{
    afar__transport *transport = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_node_open(NULL, &far->node, &err));
    far->link = place_link(far->node, address);
    end_init(&far->end);
    CHECK_OK(afar__link_transport(far->link, &transport, &err));
    end_attach(&far->end, transport);
}

static void
far_close(struct far *far, afar_code why)
{
    end_finish(&far->end, why);
    afar__link_unref(far->link);
    afar_node_close(far->node);
}

/* ---- nobody there ---- */

/* An address at which nobody listens. */
static void
dead_address(char address[128])
{
    struct place place;

    memset(&place, 0, sizeof place);
    place_open(&place, "tcp", NULL);
    memcpy(address, place.address, sizeof place.address);
    place_close(&place);
}

TEST(an_address_where_nobody_listens)
{
    char address[128];
    struct far far;

    dead_address(address);
    far_open(&far, address);
    end_start(&far.end);
    end_send(&far.end, "hello", 5);
    end_receive(&far.end);
    end_wait_over(&far.end);
    CHECK_INT(far.end.why.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(strstr(far.end.why.message, address));
    far_close(&far, AFAR_UNAVAILABLE);
}

TEST(a_port_without_sessions)
{
    struct place place;
    struct far far;

    memset(&place, 0, sizeof place);
    place.plain = true;
    place_open(&place, "tcp", NULL);
    far_open(&far, place.address);
    end_start(&far.end);
    end_send(&far.end, "hello", 5);
    end_receive(&far.end);
    far_close(&far, AFAR_UNIMPLEMENTED);
    place_close(&place);
}

TEST(never_started)
{
    struct place place;
    struct far far;

    memset(&place, 0, sizeof place);
    place_open(&place, "tcp", NULL);
    far_open(&far, place.address);
    end_free(&far.end);
    afar__link_shut(far.link);
    afar__link_unref(far.link);
    afar_node_close(far.node);
    place_close(&place);
}

/* ---- links and ports that end ---- */

TEST(shutting_a_link_ends_it)
{
    struct pair pair;

    pair_open(&pair, TCP);
    end_receive(&pair.ends[0]);
    afar__link_shut(pair.link);
    CHECK(end_is_over(&pair.ends[0]));
    CHECK_STR(strrchr(pair.ends[0].why.message, ':'), ": the client was closed");
    end_finish(&pair.ends[0], AFAR_CANCELLED);
    end_finish(&pair.ends[1], AFAR_UNAVAILABLE);
    pair_close(&pair);
}

TEST(a_link_that_was_shut_opens_none)
{
    struct place place;
    struct far far;

    memset(&place, 0, sizeof place);
    place_open(&place, "tcp", NULL);
    far_open(&far, place.address);
    afar__link_shut(far.link);
    end_start(&far.end);
    end_send(&far.end, "hello", 5);
    end_close(&far.end, false);
    end_wait_over(&far.end);
    CHECK_INT(far.end.why.outcome, AFAR_OUTCOME_NOT_SENT);
    far_close(&far, AFAR_FAILED_PRECONDITION);
    place_close(&place);
}

TEST(stopping_a_port_ends_it)
{
    struct pair pair;

    pair_open(&pair, TCP);
    end_receive(&pair.ends[0]);
    end_receive(&pair.ends[1]);
    afar__port_stop(pair.place.port, afar__now() + 50 * AFAR__MILLISECOND);
    CHECK(end_is_over(&pair.ends[1]));
    end_finish(&pair.ends[1], AFAR_UNAVAILABLE);
    end_finish(&pair.ends[0], AFAR_UNAVAILABLE);
    pair_close(&pair);
}

static void
close_end(struct end *end, const uint8_t *data, size_t length)
{
    (void)data;
    (void)length;
    end_close(end, false);
}

/* One that ends before the deadline is not cut off. */
TEST(a_port_that_stops_lets_it_end)
{
    struct pair pair;

    pair_open(&pair, TCP);
    pair.ends[1].received = close_end;
    end_receive(&pair.ends[0]);
    end_receive(&pair.ends[1]);
    end_send(&pair.ends[1], "last", 4);
    end_send(&pair.ends[0], "go", 2);
    afar__port_stop(pair.place.port, afar__now() + 15 * AFAR__SECOND);
    end_finish(&pair.ends[1], AFAR_OK);
    end_wait_over(&pair.ends[0]);
    CHECK_INT(pair.ends[0].got, 1);
    end_finish(&pair.ends[0], AFAR_OK);
    pair_close(&pair);
}

/* More than a port has requests posted: a session gives its place free at once. */
TEST(two_hundred_sessions_on_two_connections)
{
    enum { LINKS = 2, EACH = 100 };
    static struct end ends[LINKS * EACH], others[LINKS * EACH];
    afar__link *links[LINKS];
    struct place place;
    afar_node *node = keep_core();

    memset(&place, 0, sizeof place);
    place_open(&place, "tcp", NULL);
    for (int i = 0; i < LINKS; i++)
        links[i] = place_link(node, place.address);
    for (int i = 0; i < LINKS * EACH; i++) {
        afar__transport *transport = NULL;
        afar_error err = AFAR_ERROR_INIT;

        end_init(&ends[i]);
        end_init(&others[i]);
        place.next = &others[i];
        CHECK_OK(afar__link_transport(links[i % LINKS], &transport, &err));
        end_attach(&ends[i], transport);
        end_start(&ends[i]);
        end_receive(&ends[i]);
        end_wait_attached(&others[i]);
        end_send(&others[i], "welcome", 7);
        end_wait_got(&ends[i], 1);
    }
    for (int i = 0; i < LINKS * EACH; i++) {
        end_close(&ends[i], true);
        end_finish(&ends[i], AFAR_CANCELLED);
        end_finish(&others[i], AFAR_UNAVAILABLE);
    }
    for (int i = 0; i < LINKS; i++)
        afar__link_unref(links[i]);
    place_close(&place);
    afar_node_close(node);
}

/* ---- a peer that is gone, or silent ---- */

/* A process with a port, which says its address and then only serves. */
static pid_t
fork_place(char address[128], int *ret_pipe)
{
    int fds[2];
    pid_t child;

    CHECK_INT(pipe(fds), 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct place place;
        struct end end;

        memset(&place, 0, sizeof place);
        end_init(&end);
        place_open(&place, "tcp", &end);
        CHECK_INT(write(fds[1], place.address, sizeof place.address), sizeof place.address);
        for (;;)
            pause();
    }
    close(fds[1]);
    CHECK_INT(read(fds[0], address, 128), 128);
    *ret_pipe = fds[0];
    return child;
}

TEST(the_process_of_the_peer_is_killed)
{
    static const uint8_t block[65536];
    char address[128];
    struct far far;
    int pipe_end, status;
    pid_t child = fork_place(address, &pipe_end);

    far_open(&far, address);
    end_start(&far.end);
    end_receive(&far.end);
    end_send(&far.end, block, sizeof block);
    end_wait_sent(&far.end, 1);
    CHECK_INT(kill(child, SIGKILL), 0);
    CHECK_INT(waitpid(child, &status, 0), child);
    end_wait_over(&far.end);
    CHECK_INT(far.end.why.outcome, AFAR_OUTCOME_UNKNOWN);
    far_close(&far, AFAR_UNAVAILABLE);
    close(pipe_end);
}

/* Passes on what comes from either side, until it is told to be silent. */
struct relay {
    int fds[2]; /* its own ends */
    int quit[2];
    atomic_bool silent;
    pthread_t thread;
};

static void
pass_on(int from, int to)
{
    static _Thread_local uint8_t data[65536];
    ssize_t n = read(from, data, sizeof data);

    for (ssize_t done = 0; done < n;) {
        ssize_t m = send(to, data + done, (size_t)(n - done), MSG_NOSIGNAL);

        if (m < 0 && errno != EAGAIN)
            return;
        if (m > 0)
            done += m;
    }
}

static void *
relay_run(void *arg)
{
    struct relay *relay = arg;
    struct pollfd polled[3] = { { relay->fds[0], POLLIN, 0 },
                                { relay->fds[1], POLLIN, 0 },
                                { relay->quit[0], POLLIN, 0 } };

    while (poll(polled, 3, -1) > 0 && !polled[2].revents)
        for (int i = 0; i < 2; i++) {
            if (atomic_load(&relay->silent))
                polled[i].fd = -1;
            else if (polled[i].revents)
                pass_on(relay->fds[i], relay->fds[1 - i]);
        }
    return NULL;
}

static void
relay_open(struct relay *relay, int ret_fds[2])
{
    atomic_init(&relay->silent, false);
    for (int i = 0; i < 2; i++) {
        int fds[2];

        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        relay->fds[i] = fds[0];
        ret_fds[i] = fds[1];
    }
    CHECK_INT(pipe(relay->quit), 0);
    CHECK_INT(pthread_create(&relay->thread, NULL, relay_run, relay), 0);
}

static void
relay_close(struct relay *relay)
{
    CHECK_INT(write(relay->quit[1], "", 1), 1);
    CHECK_INT(pthread_join(relay->thread, NULL), 0);
    for (int i = 0; i < 2; i++) {
        close(relay->fds[i]);
        close(relay->quit[i]);
    }
}

static void
pair_open_over_relay(struct pair *pair, struct relay *relay)
{
    int fds[2];

    memset(pair, 0, sizeof *pair);
    end_init(&pair->ends[0]);
    end_init(&pair->ends[1]);
    relay_open(relay, fds);
    pair_connect_over(pair, fds);
    pair_meet(pair);
    end_receive(&pair->ends[0]);
    end_receive(&pair->ends[1]);
    end_send(&pair->ends[0], "hello", 5);
    end_wait_got(&pair->ends[1], 1);
}

/* The socket stays and nothing answers: each end is over only when its own user says so. */
TEST(a_peer_that_falls_silent)
{
    struct relay relay;
    struct pair pair;

    pair_open_over_relay(&pair, &relay);
    atomic_store(&relay.silent, true);
    end_close(&pair.ends[0], false);
    CHECK_INT(poll(NULL, 0, 300), 0);
    CHECK(!end_is_over(&pair.ends[0]));
    CHECK(!end_is_over(&pair.ends[1]));
    for (int i = 0; i < 2; i++) {
        end_close(&pair.ends[i], true);
        end_finish(&pair.ends[i], AFAR_CANCELLED);
    }
    relay_close(&relay);
    pair_close(&pair);
}

TEST(a_connection_that_breaks)
{
    struct relay relay;
    struct pair pair;

    pair_open_over_relay(&pair, &relay);
    relay_close(&relay);
    end_finish(&pair.ends[0], AFAR_UNAVAILABLE);
    end_finish(&pair.ends[1], AFAR_UNAVAILABLE);
    pair_close(&pair);
}
