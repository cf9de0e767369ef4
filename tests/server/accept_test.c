/* What the acceptor does with a connection, by what it says first and how it ends.
 * Labels: concurrent. */

#include "server/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accepting.h"
#include "check.h"

#define EVERYWHERE "127.0.0.1:0 [::1]:0 unix"

/* Reads from a socket that does not block until so many bytes are there. */
static void
read_exactly(int fd, char *ret_text, size_t length)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };

    for (size_t have = 0; have < length;) {
        CHECK_INT(poll(&wait, 1, 10000), 1);
        ssize_t n = recv(fd, ret_text + have, length - have, 0);
        CHECK(n > 0);
        have += (size_t)n;
    }
    ret_text[length] = '\0';
}

/* A client that was served, and the descriptor that was handed on for it. */
static int
open_served(struct accepting *accepting, const afar__listener *listener, int *ret_fd)
{
    int client = client_open(listener);

    client_say(client, PREFACE, strlen(PREFACE));
    *ret_fd = accepting_take(accepting);
    return client;
}

/* ---- what it says ---- */

TEST(preface_is_handed_on_unread)
{
    static struct accepting accepting;
    char text[64];
    int before = descriptor_count();

    accepting_open(&accepting, EVERYWHERE, 10, 10000);
    for (size_t i = 0; i < accepting.listener_count; i++) {
        int client = client_open(&accepting.listeners[i]);

        client_say(client, PREFACE "more", strlen(PREFACE "more"));
        int fd = accepting_take(&accepting);
        CHECK_INT(afar__acceptor_connections(accepting.acceptor), 1);
        CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        read_exactly(fd, text, strlen(PREFACE "more"));
        CHECK_STR(text, PREFACE "more");
        owner_end(fd);
        client_see_end(client);
        close(client);
        accepting_wait_count(&accepting, 0);
    }
    accepting_close(&accepting);
    CHECK_INT(descriptor_count(), before);
}

TEST(bytes_do_not_wait_for_more_on_tcp)
{
    static struct accepting accepting;
    socklen_t length = sizeof(int);
    int fd, on = 0;

    accepting_open(&accepting, "127.0.0.1:0", 10, 10000);
    int client = open_served(&accepting, &accepting.listeners[0], &fd);
    CHECK_INT(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &length), 0);
    CHECK(on);
    owner_end(fd);
    close(client);
    accepting_close(&accepting);
}

/* The acceptor has seen what came before a connection that it hands on. */
static void
let_it_see(struct accepting *accepting, const afar__listener *listener)
{
    int fd, client = open_served(accepting, listener, &fd);

    owner_end(fd);
    close(client);
}

TEST(preface_may_come_byte_by_byte)
{
    static struct accepting accepting;
    char text[64];
    const int on = 1;

    accepting_open(&accepting, EVERYWHERE, 100, 10000);
    for (size_t i = 0; i < accepting.listener_count; i++) {
        int client = client_open(&accepting.listeners[i]);

        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        for (size_t k = 0; k < strlen(PREFACE); k++) {
            let_it_see(&accepting, &accepting.listeners[i]);
            CHECK_INT(accepting_waiting(&accepting), 0);
            client_say(client, &PREFACE[k], 1);
        }
        int fd = accepting_take(&accepting);
        read_exactly(fd, text, strlen(PREFACE));
        CHECK_STR(text, PREFACE);
        owner_end(fd);
        close(client);
    }
    accepting_wait_count(&accepting, 0);
    accepting_close(&accepting);
}

TEST(strangers_are_closed)
{
    static const char *const greetings[] = { "SSH-2.0-OpenSSH_9.2\r\n",
                                             "\x16\x03\x01\x02\x00\x01",
                                             "PRI * HTTP/1.1\r\n\r\n",
                                             "GETX",
                                             "\r\n",
                                             "\xff" };
    static struct accepting accepting;
    int before = descriptor_count();

    lines_gather();
    accepting_open(&accepting, EVERYWHERE, 10, 100000);
    for (size_t i = 0; i < sizeof greetings / sizeof greetings[0]; i++)
        for (size_t k = 0; k < accepting.listener_count; k++) {
            int client = client_open(&accepting.listeners[k]);

            client_say(client, greetings[i], strlen(greetings[i]));
            client_see_end(client);
            close(client);
        }
    accepting_wait_count(&accepting, 0);
    CHECK_INT(accepting_waiting(&accepting), 0);
    CHECK(lines_count("closed: it speaks something that is not HTTP/2") >= 1);
    accepting_close(&accepting);
    CHECK_INT(descriptor_count(), before);
}

TEST(tls_is_named_in_the_log)
{
    static struct accepting accepting;

    lines_gather();
    accepting_open(&accepting, "unix", 10, 100000);
    int client = client_open(&accepting.listeners[0]);
    client_say(client, "\x16\x03\x01\x02\x00\x01", 6);
    client_see_end(client);
    close(client);
    accepting_close(&accepting);
    CHECK_INT(lines_count("unix: closed: it speaks TLS, and this port HTTP/2"), 1);
}

static void
check_http1(const afar__listener *listener, const char *const parts[], size_t count)
{
    int client = client_open(listener);
    char text[512];

    for (size_t i = 0; i < count; i++)
        client_say(client, parts[i], strlen(parts[i]));
    client_hear_all(client, text, sizeof text);
    CHECK_STR(text, afar__sniff_http1_answer);
    close(client);
}

TEST(http1_gets_an_answer)
{
    static const char *const whole[] = { "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" };
    static const char *const parts[] = {
        "P", "O", "ST /bank.Account/Deposit HT", "TP/1.1\r\n", "Host: localhost\r\n", "\r\n"
    };
    static struct accepting accepting;

    lines_gather();
    accepting_open(&accepting, EVERYWHERE, 10, 100000);
    for (size_t i = 0; i < accepting.listener_count; i++) {
        check_http1(&accepting.listeners[i], whole, 1);
        check_http1(&accepting.listeners[i], parts, sizeof parts / sizeof parts[0]);
    }
    accepting_wait_count(&accepting, 0);
    CHECK_INT(accepting_waiting(&accepting), 0);
    CHECK(lines_count("closed: it speaks HTTP/1") >= 1);
    accepting_close(&accepting);
}

/* A body that is on its way must not make the answer fall victim to a reset. */
TEST(http1_with_a_body_gets_its_answer_whole)
{
    enum { BODY = 30000 };
    static const char head[] = "PUT / HTTP/1.1\r\nContent-Length: 30000\r\n\r\n";
    static struct accepting accepting;
    char *request = malloc(sizeof head + BODY);

    CHECK(request != NULL);
    memcpy(request, head, sizeof head);
    memset(request + strlen(head), 'x', BODY);
    request[strlen(head) + BODY] = '\0';
    accepting_open(&accepting, EVERYWHERE, 10, 100000);
    for (size_t i = 0; i < accepting.listener_count; i++) {
        const char *const parts[] = { request };

        check_http1(&accepting.listeners[i], parts, 1);
    }
    accepting_wait_count(&accepting, 0);
    accepting_close(&accepting);
    free(request);
}

TEST(http1_that_never_ends_is_cut_off)
{
    static struct accepting accepting;
    static char body[4096];
    ssize_t n = 1;

    accepting_open(&accepting, "127.0.0.1:0", 10, 100000);
    int client = client_open(&accepting.listeners[0]);
    client_say(client, "POST / HTTP/1.1\r\n", 17);
    for (int i = 0; n > 0 && i < 100000; i++)
        n = send(client, body, sizeof body, MSG_NOSIGNAL);
    CHECK_INT(n, -1);
    CHECK(errno == EPIPE || errno == ECONNRESET);
    close(client);
    accepting_wait_count(&accepting, 0);
    accepting_close(&accepting);
}

TEST(who_leaves_before_it_spoke_is_forgotten)
{
    static struct accepting accepting;
    int before = descriptor_count();

    accepting_open(&accepting, EVERYWHERE, 10, 100000);
    for (size_t i = 0; i < accepting.listener_count; i++)
        for (size_t length = 0; length < strlen(PREFACE); length += 5) {
            int client = client_open(&accepting.listeners[i]);

            client_say(client, PREFACE, length);
            accepting_wait_count(&accepting, 1);
            close(client);
            accepting_wait_count(&accepting, 0);

            client = client_open(&accepting.listeners[i]);
            client_say(client, PREFACE, length);
            CHECK_INT(shutdown(client, SHUT_WR), 0);
            client_see_end(client);
            close(client);
            accepting_wait_count(&accepting, 0);
        }
    CHECK_INT(accepting_waiting(&accepting), 0);
    accepting_close(&accepting);
    CHECK_INT(descriptor_count(), before);
}

/* ---- how it ends ---- */

TEST(end_by_the_owner_is_seen)
{
    static struct accepting accepting;
    int before, fd;

    accepting_open(&accepting, EVERYWHERE, 10, 10000);
    before = descriptor_count();
    for (size_t i = 0; i < accepting.listener_count; i++) {
        int client = open_served(&accepting, &accepting.listeners[i], &fd);

        owner_end(fd);
        client_see_end(client);
        accepting_wait_count(&accepting, 0);
        close(client);
    }
    CHECK_INT(descriptor_count(), before);
    accepting_close(&accepting);
}

static void
reset(int client)
{
    const struct linger now = { .l_onoff = 1, .l_linger = 0 };

    CHECK_INT(setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(client);
}

/* How many descriptors the process has in epoll sets. */
static int
watched_count(void)
{
    int count = 0;

    for (int fd = 0; fd < 100; fd++) {
        char path[64], line[128];

        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
        FILE *file = fopen(path, "re");
        while (file && fgets(line, sizeof line, file))
            count += strncmp(line, "tfd:", 4) == 0;
        if (file)
            fclose(file);
    }
    return count;
}

/* Its owner still has the descriptor; epoll must have forgotten it all the same. */
TEST(reset_by_the_peer_is_seen)
{
    static struct accepting accepting;
    int fd;

    accepting_open(&accepting, "127.0.0.1:0", 10, 10000);
    int before = watched_count();
    reset(open_served(&accepting, &accepting.listeners[0], &fd));
    accepting_wait_count(&accepting, 0);
    CHECK_INT(watched_count(), before);
    owner_end(fd);
    accepting_close(&accepting);
}

/* A peer that has said everything may still be waiting for its answer. */
TEST(half_close_is_not_the_end)
{
    static struct accepting accepting;
    char text[64];
    int fd, probe;

    accepting_open(&accepting, EVERYWHERE, 10, 10000);
    for (size_t i = 0; i < accepting.listener_count; i++) {
        int client = open_served(&accepting, &accepting.listeners[i], &fd);

        CHECK_INT(shutdown(client, SHUT_WR), 0);
        read_exactly(fd, text, strlen(PREFACE));
        struct pollfd end = { .fd = fd, .events = POLLIN };
        CHECK_INT(poll(&end, 1, 10000), 1);
        CHECK_INT(recv(fd, text, sizeof text, 0), 0);
        int other = open_served(&accepting, &accepting.listeners[i], &probe);
        CHECK_INT(afar__acceptor_connections(accepting.acceptor), 2);
        client_say(fd, "answer", 6);
        owner_end(fd);
        CHECK_INT(client_hear_all(client, text, sizeof text), 6);
        CHECK_STR(text, "answer");
        close(client);
        owner_end(probe);
        close(other);
        accepting_wait_count(&accepting, 0);
    }
    accepting_close(&accepting);
}

TEST(all_can_be_ended_at_once)
{
    static struct accepting accepting;
    int clients[20], silent;

    accepting_open(&accepting, EVERYWHERE, 100, 100000);
    for (int i = 0; i < 20; i++) {
        clients[i] = client_open(&accepting.listeners[i % 3]);
        client_say(clients[i], PREFACE, strlen(PREFACE));
    }
    silent = client_open(&accepting.listeners[0]);
    accepting_wait_count(&accepting, 21);
    afar__acceptor_shutdown_all(accepting.acceptor);
    for (int i = 0; i < 20; i++) {
        client_see_end(clients[i]);
        close(clients[i]);
    }
    client_see_end(silent);
    close(silent);
    accepting_wait_count(&accepting, 0);
    accepting_close(&accepting);
}

/* ---- who it is ---- */

TEST(address_of_the_peer_is_its_own)
{
    static struct accepting accepting;
    afar__peer_info peer;
    int fd;

    accepting_open(&accepting, "127.0.0.1:0 [::1]:0", 10, 10000);
    for (size_t i = 0; i < accepting.listener_count; i++) {
        int client = open_served(&accepting, &accepting.listeners[i], &fd);
        struct sockaddr_storage own;
        socklen_t length = sizeof own;
        char expected[64];

        CHECK_INT(getsockname(client, (struct sockaddr *)&own, &length), 0);
        afar__listen_print(&own, expected, sizeof expected);
        CHECK(afar__acceptor_peer(accepting.acceptor, fd, &peer));
        CHECK_STR(peer.address, expected);
        CHECK_INT(peer.uid, -1);
        CHECK_INT(peer.pid, -1);
        owner_end(fd);
        close(client);
    }
    accepting_close(&accepting);
}

TEST(process_behind_a_unix_socket_is_known)
{
    static struct accepting accepting;
    afar__peer_info peer;
    int hold[2], status;

    accepting_open(&accepting, "unix", 10, 10000);
    CHECK_INT(pipe2(hold, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;

        close(hold[1]);
        client_say(client_open(&accepting.listeners[0]), PREFACE, strlen(PREFACE));
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    int fd = accepting_take(&accepting);
    CHECK(afar__acceptor_peer(accepting.acceptor, fd, &peer));
    CHECK_STR(peer.address, "unix");
    CHECK_INT(peer.uid, geteuid());
    CHECK_INT(peer.pid, child);
    close(hold[1]);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    accepting_wait_count(&accepting, 0);
    CHECK(afar__acceptor_peer(accepting.acceptor, fd, &peer));
    CHECK_INT(peer.pid, child);
    owner_end(fd);
    close(hold[0]);
    accepting_close(&accepting);
}

TEST(number_means_the_last_connection_that_had_it)
{
    static struct accepting accepting;
    afar__peer_info peer;
    int reused = 0, last = -1, fd;

    accepting_open(&accepting, "127.0.0.1:0", 10, 10000);
    CHECK(!afar__acceptor_peer(accepting.acceptor, -1, &peer));
    CHECK(!afar__acceptor_peer(accepting.acceptor, 3, &peer));
    CHECK(!afar__acceptor_peer(accepting.acceptor, 1 << 20, &peer));
    for (int i = 0; i < 200; i++) {
        struct sockaddr_storage own;
        socklen_t length = sizeof own;
        char expected[64];
        int client = open_served(&accepting, &accepting.listeners[0], &fd);

        CHECK_INT(getsockname(client, (struct sockaddr *)&own, &length), 0);
        afar__listen_print(&own, expected, sizeof expected);
        CHECK(afar__acceptor_peer(accepting.acceptor, fd, &peer));
        CHECK_STR(peer.address, expected);
        reused += fd == last;
        last = fd;
        owner_end(fd);
        close(client);
    }
    CHECK(reused > 0);
    accepting_wait_count(&accepting, 0);
    accepting_close(&accepting);
}

/* ---- from elsewhere ---- */

TEST(adopted_socket_is_one_like_the_others)
{
    static struct accepting accepting;
    afar_error err = AFAR_ERROR_INIT;
    afar__peer_info peer;
    int pair[2];

    accepting_open(&accepting, "", 10, 10000);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_OK(afar__acceptor_adopt(accepting.acceptor, pair[0], &err));
    CHECK_INT(afar__acceptor_connections(accepting.acceptor), 1);
    client_say(pair[1], PREFACE, strlen(PREFACE));
    CHECK_INT(accepting_take(&accepting), pair[0]);
    CHECK(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(pair[0], F_GETFD) & FD_CLOEXEC);
    CHECK(afar__acceptor_peer(accepting.acceptor, pair[0], &peer));
    CHECK_STR(peer.address, "local");
    CHECK_INT(peer.uid, geteuid());
    CHECK_INT(peer.pid, getpid());
    owner_end(pair[0]);
    client_see_end(pair[1]);
    accepting_wait_count(&accepting, 0);
    close(pair[1]);
    accepting_close(&accepting);
}

/* The thread sleeps without end when a connection is adopted, all but the first time. */
TEST(adopted_socket_that_is_silent_is_closed)
{
    static struct accepting accepting;
    afar_error err = AFAR_ERROR_INIT;
    int pair[2];

    accepting_open(&accepting, "", 10, 20);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        CHECK_OK(afar__acceptor_adopt(accepting.acceptor, pair[0], &err));
        client_see_end(pair[1]);
        accepting_wait_count(&accepting, 0);
        close(pair[1]);
    }
    accepting_close(&accepting);
}

TEST(socket_that_is_not_adopted_stays_its_owners)
{
    static struct accepting accepting;
    afar_error err = AFAR_ERROR_INIT;
    int first[2], second[2];

    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, first), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, second), 0);
    accepting_open(&accepting, "", 1, 10000);
    CHECK_OK(afar__acceptor_adopt(accepting.acceptor, first[0], &err));
    CHECK_FAILS(afar__acceptor_adopt(accepting.acceptor, second[0], &err), AFAR_RESOURCE_EXHAUSTED);
    afar__acceptor_stop(accepting.acceptor);
    client_see_end(first[1]);
    CHECK_FAILS(afar__acceptor_adopt(accepting.acceptor, second[0], &err),
                AFAR_FAILED_PRECONDITION);
    accepting_close(&accepting);
    client_say(second[0], "x", 1);
    close(first[1]);
    close(second[0]);
    close(second[1]);
    afar_error_clear(&err);
}
