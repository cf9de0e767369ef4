/* The acceptor's limits: time, number, descriptors.  Labels: concurrent waits. */

#include "server/accept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accepting.h"
#include "check.h"

/* ---- time ---- */

TEST(silent_connections_are_closed_in_time)
{
    static struct accepting accepting;
    int clients[9];

    lines_gather();
    accepting_open(&accepting, "127.0.0.1:0 [::1]:0 unix", 100, 500);
    int64_t start = now_ms();
    for (int i = 0; i < 9; i++) {
        clients[i] = client_open(&accepting.listeners[i % 3]);
        client_say(clients[i], PREFACE, (size_t)i % 3 * 8);
    }
    for (int i = 0; i < 9; i++) {
        client_see_end(clients[i]);
        CHECK(now_ms() - start >= 499);
        close(clients[i]);
    }
    CHECK(now_ms() - start < 5000);
    accepting_wait_count(&accepting, 0);
    CHECK_INT(lines_count("closed: it said too little in 500 ms"), 1);
    accepting_close(&accepting);
}

/* A byte now and then buys no time. */
TEST(slow_speakers_are_closed_in_time)
{
    static struct accepting accepting;
    size_t said = 0;

    accepting_open(&accepting, "127.0.0.1:0", 100, 100);
    int client = client_open(&accepting.listeners[0]);
    struct pollfd end = { .fd = client, .events = POLLIN };
    while (poll(&end, 1, 100) == 0 && said < strlen(PREFACE) - 1)
        client_say(client, &PREFACE[said++], 1);
    client_see_end(client);
    CHECK(said < strlen(PREFACE) - 1);
    close(client);
    accepting_close(&accepting);
}

TEST(connections_that_spoke_are_not_timed)
{
    static struct accepting accepting;

    accepting_open(&accepting, "unix", 100, 500);
    int client = client_open(&accepting.listeners[0]);
    client_say(client, PREFACE, strlen(PREFACE));
    int fd = accepting_take(&accepting);
    int silent = client_open(&accepting.listeners[0]);
    client_see_end(silent);
    close(silent);
    accepting_wait_count(&accepting, 1);
    owner_end(fd);
    client_see_end(client);
    close(client);
    accepting_close(&accepting);
}

/* One that has its answer must go; it has no more time than the others. */
TEST(answered_connections_are_closed_in_time)
{
    static struct accepting accepting;

    accepting_open(&accepting, "127.0.0.1:0", 100, 500);
    int client = client_open(&accepting.listeners[0]);
    client_say(client, "GET / HTTP/1.1\r\n", 16);
    accepting_wait_count(&accepting, 1);
    accepting_wait_count(&accepting, 0);
    close(client);
    accepting_close(&accepting);
}

/* ---- idleness ---- */

/* The status file of the acceptor's thread. */
static int
open_status(void)
{
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    int found = -1;

    CHECK(folder != NULL);
    while (found < 0 && (entry = readdir(folder))) {
        char path[300], text[64] = "";

        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        int fd = entry->d_name[0] == '.' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 && strstr(text, "\tafar-accept\n"))
            found = fd;
        else if (fd >= 0)
            close(fd);
    }
    closedir(folder);
    CHECK(found >= 0);
    return found;
}

/* How often the thread has gone to sleep so far. */
static int
count_sleeps(int status)
{
    static const char label[] = "\nvoluntary_ctxt_switches:";
    char text[4096];
    ssize_t length = pread(status, text, sizeof text - 1, 0);

    CHECK(length > 0);
    text[length] = '\0';
    const char *line = strstr(text, label);
    CHECK(line != NULL);
    return atoi(line + strlen(label));
}

/* What happens on connections that were handed on is their owners' business.  This
 * test is about time in which nothing happens to the acceptor, so it lets some pass. */
TEST(acceptor_sleeps_while_others_work)
{
    static struct accepting accepting;
    char text[64];
    int fds[2];

    accepting_open(&accepting, "127.0.0.1:0 unix", 100, 60000);
    int silent = client_open(&accepting.listeners[0]);
    int served = client_open(&accepting.listeners[1]);
    client_say(served, PREFACE, strlen(PREFACE));
    fds[0] = accepting_take(&accepting);
    int half = client_open(&accepting.listeners[1]);
    client_say(half, PREFACE, strlen(PREFACE));
    fds[1] = accepting_take(&accepting);
    CHECK_INT(shutdown(half, SHUT_WR), 0);
    accepting_wait_count(&accepting, 3);
    int status = open_status(), before = count_sleeps(status);
    for (int i = 0; i < 100; i++) {
        struct pollfd wait = { .fd = fds[0], .events = POLLIN };

        client_say(served, "word", 4);
        CHECK_INT(poll(&wait, 1, 10000), 1);
        CHECK(recv(fds[0], text, sizeof text, 0) > 0);
        client_say(fds[0], "word", 4);
        CHECK_INT(recv(served, text, 4, MSG_WAITALL), 4);
        poll(NULL, 0, 2);
    }
    CHECK(count_sleeps(status) - before <= 10);
    close(status);
    close(silent);
    close(served);
    close(half);
    owner_end(fds[0]);
    owner_end(fds[1]);
    accepting_close(&accepting);
}

/* ---- number ---- */

TEST(one_too_many_is_closed_and_there_is_room_after_an_end)
{
    enum { LIMIT = 5 };
    static struct accepting accepting;
    int clients[LIMIT], fds[LIMIT];

    lines_gather();
    accepting_open(&accepting, "127.0.0.1:0 unix", LIMIT, 100000);
    for (int i = 0; i < LIMIT - 1; i++) {
        clients[i] = client_open(&accepting.listeners[i % 2]);
        client_say(clients[i], PREFACE, strlen(PREFACE));
        fds[i] = accepting_take(&accepting);
    }
    clients[LIMIT - 1] = client_open(&accepting.listeners[0]); /* silent: counts as well */
    accepting_wait_count(&accepting, LIMIT);
    for (int i = 0; i < 20; i++) {
        int more = client_open(&accepting.listeners[i % 2]);

        client_see_end(more);
        close(more);
    }
    CHECK_INT(afar__acceptor_connections(accepting.acceptor), LIMIT);
    CHECK_INT(lines_count("closed: there are 5 connections already, the limit"), 1);

    owner_end(fds[0]);
    client_see_end(clients[0]);
    close(clients[0]);
    accepting_wait_count(&accepting, LIMIT - 1);
    clients[0] = client_open(&accepting.listeners[0]);
    client_say(clients[0], PREFACE, strlen(PREFACE));
    fds[0] = accepting_take(&accepting);
    CHECK_INT(afar__acceptor_connections(accepting.acceptor), LIMIT);

    for (int i = 0; i < LIMIT; i++)
        close(clients[i]);
    for (int i = 0; i < LIMIT - 1; i++)
        owner_end(fds[i]);
    accepting_wait_count(&accepting, 0);
    accepting_close(&accepting);
}

/* ---- descriptors ---- */

static rlim_t descriptors_before;

/* Leaves room for so many descriptors more; -1: as many as there were. */
static void
limit_descriptors(int more)
{
    struct rlimit limit;
    int first_free = open("/dev/null", O_RDONLY | O_CLOEXEC);

    CHECK(first_free >= 0 || more < 0);
    if (first_free >= 0)
        close(first_free);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (descriptors_before == 0)
        descriptors_before = limit.rlim_cur;
    limit.rlim_cur = more < 0 ? descriptors_before : (rlim_t)(first_free + more);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Sockets that are not connected yet, made while there are descriptors. */
static void
make_clients(int *ret_clients, int count)
{
    for (int i = 0; i < count; i++) {
        ret_clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(ret_clients[i] >= 0);
    }
}

static void
connect_and_speak(const struct accepting *accepting, const int *clients, int count)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    CHECK_INT(getsockname(accepting->listeners[0].fd, (struct sockaddr *)&address, &length), 0);
    for (int i = 0; i < count; i++) {
        CHECK_INT(connect(clients[i], (struct sockaddr *)&address, length), 0);
        client_say(clients[i], PREFACE, strlen(PREFACE));
    }
}

static bool
is_logged(void *text)
{
    return lines_count(text) > 0;
}

/* Connections that end make room for those that wait; none is lost. */
TEST(without_descriptors_connections_wait_for_others_to_end)
{
    enum { CLIENTS = 30, ROOM = 9 };
    static struct accepting accepting;
    int clients[CLIENTS], before;

    lines_gather();
    accepting_open(&accepting, "unix", 1000, 100000);
    make_clients(clients, CLIENTS);
    before = descriptor_count();
    limit_descriptors(ROOM);
    connect_and_speak(&accepting, clients, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        owner_end(accepting_take(&accepting));
        CHECK(afar__acceptor_connections(accepting.acceptor) <= ROOM + 1);
    }
    accepting_wait_count(&accepting, 0);
    wait_until(is_logged, (void *)"new connections are accepted again", "it recovers");
    CHECK(lines_count("new connections have to wait: Too many open files") >= 1);
    limit_descriptors(-1);
    CHECK(descriptor_count() <= before); /* the spare one may still be missing */
    for (int i = 0; i < CLIENTS; i++) {
        client_see_end(clients[i]);
        close(clients[i]);
    }
    accepting_close(&accepting);
}

/* Not after the back-off, which would be two seconds in all. */
TEST(without_descriptors_an_end_lets_the_next_one_in)
{
    enum { CLIENTS = 40 };
    static struct accepting accepting;
    int clients[CLIENTS];

    accepting_open(&accepting, "unix", 1000, 100000);
    make_clients(clients, CLIENTS);
    limit_descriptors(2);
    connect_and_speak(&accepting, clients, CLIENTS);
    int64_t start = now_ms();
    for (int i = 0; i < CLIENTS; i++)
        owner_end(accepting_take(&accepting));
    CHECK(now_ms() - start < 1500);
    accepting_wait_count(&accepting, 0);
    limit_descriptors(-1);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    accepting_close(&accepting);
}

/* The first client takes the last descriptor, and the second one has to wait; when
 * it is in nobody waits, though there is no descriptor again. */
TEST(without_descriptors_it_has_recovered_when_nobody_waits)
{
    static struct accepting accepting;
    int clients[2], fds[2];

    lines_gather();
    accepting_open(&accepting, "unix 127.0.0.1:0", 1000, 100000);
    make_clients(clients, 2);
    limit_descriptors(2);
    connect_and_speak(&accepting, clients, 1);
    fds[0] = accepting_take(&accepting);
    poll(NULL, 0, 100);
    CHECK_INT(lines_count("new connections have to wait"), 0);
    connect_and_speak(&accepting, clients + 1, 1);
    wait_until(is_logged, (void *)"new connections have to wait", "it gives up");
    owner_end(fds[0]);
    fds[1] = accepting_take(&accepting);
    wait_until(is_logged, (void *)"new connections are accepted again", "it recovers");
    CHECK_INT(lines_count("new connections have to wait"), 1);
    owner_end(fds[1]);
    limit_descriptors(-1);
    for (int i = 0; i < 2; i++)
        close(clients[i]);
    accepting_close(&accepting);
}

/* Nothing ends here: it is the back-off that finds the descriptors, and an episode
 * is one line however often it was tried. */
TEST(without_descriptors_it_tries_again_by_itself)
{
    enum { CLIENTS = 10 };
    static struct accepting accepting;
    int clients[CLIENTS], fds[CLIENTS];

    lines_gather();
    accepting_open(&accepting, "unix 127.0.0.1:0", 1000, 100000);
    make_clients(clients, CLIENTS);
    limit_descriptors(4);
    connect_and_speak(&accepting, clients, CLIENTS);
    fds[0] = accepting_take(&accepting);
    fds[1] = accepting_take(&accepting);
    wait_until(is_logged, (void *)"new connections have to wait", "it gives up");
    poll(NULL, 0, 200); /* several back-offs */
    CHECK_INT(accepting_waiting(&accepting), 0);
    CHECK_INT(lines_count("new connections have to wait"), 1);
    CHECK_INT(lines_count("accepted again"), 0);

    limit_descriptors(-1);
    for (int i = 2; i < CLIENTS; i++)
        fds[i] = accepting_take(&accepting);
    wait_until(is_logged, (void *)"new connections are accepted again", "it recovers");
    CHECK_INT(lines_count("new connections have to wait"), 1);
    for (int i = 0; i < CLIENTS; i++) {
        owner_end(fds[i]);
        client_see_end(clients[i]);
        close(clients[i]);
    }
    accepting_wait_count(&accepting, 0);
    accepting_close(&accepting);
}

/* Waiting for descriptors must not cost the processor: 20 tries a second. */
TEST(without_descriptors_it_sleeps)
{
    enum { CLIENTS = 10 };
    static struct accepting accepting;
    int clients[CLIENTS];

    lines_gather();
    accepting_open(&accepting, "unix", 1000, 100000);
    make_clients(clients, CLIENTS);
    int status = open_status();
    limit_descriptors(6);
    connect_and_speak(&accepting, clients, CLIENTS);
    wait_until(is_logged, (void *)"new connections have to wait", "it gives up");
    int64_t start = now_ms();
    int before = count_sleeps(status);
    poll(NULL, 0, 300);
    int slept = count_sleeps(status) - before;
    CHECK(slept >= 2);
    CHECK(slept <= (now_ms() - start) / 50 * 2 + 5);
    limit_descriptors(-1);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    close(status);
    accepting_close(&accepting);
}

TEST(adopting_without_descriptors_fails_and_harms_nothing)
{
    static struct accepting accepting;
    afar_error err = AFAR_ERROR_INIT;
    int pair[2];

    accepting_open(&accepting, "", 10, 10000);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    limit_descriptors(0);
    CHECK_FAILS(afar__acceptor_adopt(accepting.acceptor, pair[0], &err), AFAR_RESOURCE_EXHAUSTED);
    limit_descriptors(-1);
    CHECK_OK(afar__acceptor_adopt(accepting.acceptor, pair[0], &err));
    client_say(pair[1], PREFACE, strlen(PREFACE));
    owner_end(accepting_take(&accepting));
    close(pair[1]);
    afar_error_clear(&err);
    accepting_close(&accepting);
}

/* With any number of descriptors, opening works or fails cleanly. */
TEST(opening_without_descriptors_fails_cleanly)
{
    const afar__accept_options options = { 10, 10000, NULL, NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar__acceptor *acceptor = NULL;
    int before = descriptor_count(), needed = 0;

    for (;; needed++) {
        limit_descriptors(needed);
        afar_code code = afar__acceptor_open(NULL, 0, &options, &acceptor, &err);
        limit_descriptors(-1);
        if (code == AFAR_OK)
            break;
        CHECK_INT(code, AFAR_RESOURCE_EXHAUSTED);
        CHECK(strstr(err.message, "Too many open files") != NULL);
        CHECK(acceptor == NULL);
        CHECK_INT(descriptor_count(), before);
        CHECK(needed < 100);
    }
    CHECK_INT(needed, 3);
    afar__acceptor_close(acceptor);
    CHECK_INT(descriptor_count(), before);
    afar_error_clear(&err);
}
