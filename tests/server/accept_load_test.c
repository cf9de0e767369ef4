/* Many connections at once, and stopping in the midst of them.  Labels: concurrent. */

#include "server/accept.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accepting.h"
#include "check.h"

/* ---- thousands ---- */

enum { CLIENTS = 2, CONNECTIONS = 1500 }; /* for each client */

struct client {
    pthread_t thread;
    struct accepting *accepting;
    unsigned seed;
    unsigned spoke; /* the number of its connections that are to be handed on */
};

static void
reset(int fd)
{
    const struct linger now = { .l_onoff = 1, .l_linger = 0 };

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

/* One connection.  What is behind the preface tells its owner who ends it: 'o' the
 * owner, 'p' its peer. */
static void
come_and_go(struct client *client, unsigned kind)
{
    const struct accepting *accepting = client->accepting;
    int fd = client_open(&accepting->listeners[kind % accepting->listener_count]);
    char text[512];

    switch (kind / 8 % 6) {
    case 0:
        client_say(fd, PREFACE "o", strlen(PREFACE) + 1);
        client_see_end(fd);
        client->spoke++;
        break;
    case 1:
        client_say(fd, PREFACE "p", strlen(PREFACE) + 1);
        client->spoke++;
        break;
    case 2:
        client_say(fd, PREFACE, kind % 24);
        break;
    case 3:
        client_say(fd, "GET / HTTP/1.1\r\n\r\n", 18);
        client_hear_all(fd, text, sizeof text);
        break;
    case 4:
        client_say(fd, "\x16\x03\x01", 3);
        break;
    default:
        client_say(fd, PREFACE, kind % 24);
        reset(fd);
        return;
    }
    close(fd);
}

static void *
run_client(void *arg)
{
    struct client *client = arg;

    for (unsigned i = 0; i < CONNECTIONS; i++) {
        client->seed = client->seed * 1103515245u + 12345u;
        come_and_go(client, client->seed >> 16);
    }
    return NULL;
}

/* Ends a connection that was handed on, as its client asks for. */
static void
own(int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    char text[64];

    for (size_t have = 0; have <= strlen(PREFACE);) {
        CHECK_INT(poll(&wait, 1, 10000), 1);
        ssize_t n = recv(fd, text + have, sizeof text - have, 0);
        CHECK(n > 0);
        have += (size_t)n;
    }
    if (text[strlen(PREFACE)] == 'p') {
        CHECK_INT(poll(&wait, 1, 10000), 1);
        CHECK_INT(recv(fd, text, sizeof text, 0), 0);
    }
    owner_end(fd);
}

struct owner {
    struct accepting *accepting;
    atomic_uint owned;
    atomic_bool done;
};

static void *
run_owner(void *arg)
{
    struct owner *owner = arg;
    afar__peer_info peer;

    while (!atomic_load(&owner->done) || accepting_waiting(owner->accepting) > 0) {
        if (accepting_waiting(owner->accepting) == 0) {
            poll(NULL, 0, 1);
            continue;
        }
        int fd = accepting_take(owner->accepting);
        CHECK(afar__acceptor_peer(owner->accepting->acceptor, fd, &peer));
        CHECK(peer.address[0] != '\0');
        own(fd);
        atomic_fetch_add(&owner->owned, 1);
    }
    return NULL;
}

TEST(thousands_come_and_go)
{
    static struct accepting accepting;
    struct client clients[CLIENTS];
    struct owner owner = { .accepting = &accepting };
    pthread_t owner_thread;
    unsigned spoke = 0;

    lines_gather();
    accepting_open(&accepting, "127.0.0.1:0 [::1]:0 unix", 1000, 100000);
    int before = descriptor_count();
    CHECK_INT(pthread_create(&owner_thread, NULL, run_owner, &owner), 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){ .accepting = &accepting, .seed = i + 1 };
        CHECK_INT(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        CHECK_INT(pthread_join(clients[i].thread, NULL), 0);
        spoke += clients[i].spoke;
    }
    accepting_wait_count(&accepting, 0);
    atomic_store(&owner.done, true);
    CHECK_INT(pthread_join(owner_thread, NULL), 0);
    CHECK_INT(atomic_load(&owner.owned), spoke);
    CHECK(spoke > CLIENTS * CONNECTIONS / 10);
    CHECK_INT(lines_count("the limit"), 0);
    CHECK_INT(descriptor_count(), before);
    accepting_close(&accepting);
}

/* ---- stopping ---- */

struct crowd {
    const afar__listener *listener;
    atomic_bool enough;
};

/* Begins to connect, or -1 while the backlog is full.  Nobody accepts after a stop, and
 * who then waited for a place in a full backlog would wait for ever. */
static int
knock(const afar__listener *listener)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t length = sizeof address;

    CHECK_INT(getsockname(listener->fd, (struct sockaddr *)&address, &length), 0);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, length) == 0 || errno == EINPROGRESS)
        return fd;
    CHECK_INT(errno, EAGAIN);
    close(fd);
    return -1;
}

static void *
run_crowd(void *arg)
{
    struct crowd *crowd = arg;
    int held[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };

    for (unsigned i = 0; !atomic_load(&crowd->enough); i++) {
        int *fd = &held[i % 8];

        if (*fd >= 0)
            close(*fd);
        *fd = knock(crowd->listener);
        /* The stop may have closed it before it spoke, or it may not be through yet. */
        if (*fd >= 0 && send(*fd, PREFACE, i % 3 ? strlen(PREFACE) : 3, MSG_NOSIGNAL) < 0)
            CHECK(errno == EPIPE || errno == ECONNRESET || errno == EAGAIN);
    }
    for (size_t i = 0; i < 8; i++)
        if (held[i] >= 0)
            close(held[i]);
    return NULL;
}

/* A connection that was handed on before still works. */
static void
check_alive(int client, int fd)
{
    char text[64];

    client_say(fd, "still here", 10);
    CHECK_INT(recv(client, text, 10, MSG_WAITALL), 10);
}

static void
stop_among(const char *address)
{
    static struct accepting accepting;
    struct crowd crowd;
    pthread_t threads[2];

    accepting_open(&accepting, address, 10000, 100000);
    crowd.listener = &accepting.listeners[0];
    atomic_init(&crowd.enough, false);
    int client = client_open(crowd.listener);
    client_say(client, PREFACE, strlen(PREFACE));
    int fd = accepting_take(&accepting);
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, run_crowd, &crowd), 0);
    for (int i = 0; i < 10; i++)
        owner_end(accepting_take(&accepting));
    afar__acceptor_stop(accepting.acceptor);
    pthread_mutex_lock(&accepting.lock);
    accepting.shut = true;
    pthread_mutex_unlock(&accepting.lock);
    check_alive(client, fd);
    atomic_store(&crowd.enough, true);
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    check_alive(client, fd);
    while (accepting_waiting(&accepting) > 0)
        owner_end(accepting_take(&accepting));
    accepting_wait_count(&accepting, 1);
    owner_end(fd);
    accepting_wait_count(&accepting, 0);
    close(client);
    accepting_close(&accepting);
}

TEST(nothing_is_handed_on_after_a_stop)
{
    int before = descriptor_count();

    for (int i = 0; i < 20; i++)
        stop_among(i % 2 ? "unix" : "127.0.0.1:0");
    CHECK_INT(descriptor_count(), before);
}

TEST(stop_closes_what_has_not_spoken)
{
    static struct accepting accepting;

    accepting_open(&accepting, "127.0.0.1:0 unix", 100, 100000);
    int silent = client_open(&accepting.listeners[0]);
    int begun = client_open(&accepting.listeners[1]);
    client_say(begun, PREFACE, 10);
    accepting_wait_count(&accepting, 2);
    afar__acceptor_stop(accepting.acceptor);
    CHECK_INT(afar__acceptor_connections(accepting.acceptor), 0);
    client_see_end(silent);
    client_see_end(begun);
    afar__acceptor_stop(accepting.acceptor);
    close(silent);
    close(begun);
    accepting_close(&accepting);
}

/* After that the owner is the only one who holds it: its end is the end. */
TEST(close_leaves_what_was_handed_on_to_its_owner)
{
    static struct accepting accepting;

    accepting_open(&accepting, "127.0.0.1:0", 100, 100000);
    int client = client_open(&accepting.listeners[0]);
    client_say(client, PREFACE, strlen(PREFACE));
    int fd = accepting_take(&accepting);
    accepting_close(&accepting);
    check_alive(client, fd);
    close(fd);
    client_see_end(client);
    close(client);
}

TEST(acceptor_that_never_started_can_be_stopped_and_closed)
{
    const afar__accept_options options = { 10, 10000, NULL, NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar__acceptor *acceptor = NULL;
    int before = descriptor_count(), pair[2];

    CHECK_OK(afar__acceptor_open(NULL, 0, &options, &acceptor, &err));
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_OK(afar__acceptor_adopt(acceptor, pair[0], &err));
    afar__acceptor_stop(acceptor);
    client_see_end(pair[1]);
    afar__acceptor_close(acceptor);
    close(pair[1]);

    CHECK_OK(afar__acceptor_open(NULL, 0, &options, &acceptor, &err));
    afar__acceptor_close(acceptor);
    afar__acceptor_close(NULL);
    CHECK_INT(descriptor_count(), before);
}

/* ---- asking meanwhile ---- */

struct asking {
    struct accepting *accepting;
    atomic_bool enough;
};

static void *
run_asking(void *arg)
{
    struct asking *asking = arg;
    afar__acceptor *acceptor = asking->accepting->acceptor;
    afar_error err = AFAR_ERROR_INIT;
    afar__peer_info peer;
    int pair[2];

    for (int i = 0; !atomic_load(&asking->enough); i++) {
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        /* The thread may be so far behind that the limit is reached. */
        if (afar__acceptor_adopt(acceptor, pair[0], &err) != AFAR_OK) {
            CHECK_INT(err.code, AFAR_RESOURCE_EXHAUSTED);
            afar_error_clear(&err);
            close(pair[0]);
        }
        afar__acceptor_peer(acceptor, i % 64, &peer);
        CHECK(afar__acceptor_connections(acceptor) <= 1000);
        if (i % 16 == 0)
            afar__acceptor_shutdown_all(acceptor);
        close(pair[1]);
    }
    return NULL;
}

TEST(others_may_ask_adopt_and_end_meanwhile)
{
    static struct accepting accepting;
    struct asking asking = { .accepting = &accepting };
    pthread_t threads[2];
    char text[64];

    accepting_open(&accepting, "unix", 1000, 100000);
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, run_asking, &asking), 0);
    for (int i = 0; i < 100; i++) {
        int client = client_open(&accepting.listeners[0]);

        if (send(client, PREFACE, strlen(PREFACE), MSG_NOSIGNAL) < 0)
            CHECK_INT(errno, EPIPE);
        while (accepting_waiting(&accepting) > 0)
            owner_end(accepting_take(&accepting));
        /* If it is handed on only now, one of those who ask ends it. */
        shutdown(client, SHUT_WR);
        client_hear_all(client, text, sizeof text);
        close(client);
    }
    atomic_store(&asking.enough, true);
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    while (accepting_waiting(&accepting) > 0)
        owner_end(accepting_take(&accepting));
    accepting_wait_count(&accepting, 0);
    accepting_close(&accepting);
}
