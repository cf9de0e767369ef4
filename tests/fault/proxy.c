/* The man in the middle: proxy.h. */

#include "proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "visitor.h"

#define MOST_PAIRS 64
#define PATIENCE_MS 50000

/* A connection: the client's end and the server's; -1 when it is closed. */
struct line {
    int ends[2];
};

struct proxy {
    const struct harm_plan *plan;
    struct board *board;
    int listener;
    char address[64];
    struct line lines[MOST_PAIRS];
    int count;
    size_t bytes[2]; /* up, down */
    bool harmed;
    bool woken;           /* who was stopped goes on */
    pid_t server, client; /* 0 when it has ended */
};

/* ---- sockets ---- */

static void
set_nonblocking(int fd)
{
    CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

static void
set_no_delay(int fd)
{
    int on = 1;

    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
}

static void
listen_here(struct proxy *proxy)
{
    struct sockaddr_in name = { .sin_family = AF_INET };
    socklen_t length = sizeof name;

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(proxy->listener >= 0);
    CHECK(bind(proxy->listener, (struct sockaddr *)&name, sizeof name) == 0);
    CHECK(listen(proxy->listener, 16) == 0);
    CHECK(getsockname(proxy->listener, (struct sockaddr *)&name, &length) == 0);
    set_nonblocking(proxy->listener);
    snprintf(proxy->address, sizeof proxy->address, "127.0.0.1:%d", ntohs(name.sin_port));
}

static int
connect_to(const char *address)
{
    struct sockaddr_in name = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1));
    CHECK(fd >= 0);
    if (connect(fd, (struct sockaddr *)&name, sizeof name) == 0)
        return fd;
    close(fd);
    return -1;
}

static void
close_line(struct line *line, bool reset)
{
    struct linger at_once = { 1, 0 };

    for (int i = 0; i < 2; i++) {
        if (line->ends[i] < 0)
            continue;
        if (reset)
            setsockopt(line->ends[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(line->ends[i]);
        line->ends[i] = -1;
    }
}

static void
take_line(struct proxy *proxy)
{
    int fd = accept(proxy->listener, NULL, NULL);
    struct line *line = &proxy->lines[proxy->count];

    if (fd < 0)
        return;
    CHECK(proxy->count < MOST_PAIRS);
    line->ends[0] = fd;
    line->ends[1] = connect_to(proxy->board->address);
    if (line->ends[1] < 0) {
        close_line(line, true);
        return;
    }
    set_no_delay(line->ends[0]);
    set_no_delay(line->ends[1]);
    proxy->count++;
}

/* ---- harm ---- */

static bool
is_silent(const struct proxy *proxy, int from)
{
    enum harm harm = proxy->plan->harm;

    return proxy->harmed && (harm == HARM_SILENCE || (harm == HARM_SILENCE_UP && from == 0) ||
                             (harm == HARM_SILENCE_DOWN && from == 1));
}

static void
signal_child(pid_t child, int number)
{
    if (child > 0)
        CHECK(kill(child, number) == 0);
}

static void
do_harm(struct proxy *proxy)
{
    enum harm harm = proxy->plan->harm;

    proxy->harmed = true;
    if (harm == HARM_FIN || harm == HARM_RST) {
        close(proxy->listener);
        proxy->listener = -1;
        for (int i = 0; i < proxy->count; i++)
            close_line(&proxy->lines[i], harm == HARM_RST);
    } else if (harm == HARM_KILL_SERVER || harm == HARM_STOP_SERVER) {
        signal_child(proxy->server, harm == HARM_KILL_SERVER ? SIGKILL : SIGSTOP);
    } else if (harm == HARM_KILL_CLIENT || harm == HARM_STOP_CLIENT) {
        signal_child(proxy->client, harm == HARM_KILL_CLIENT ? SIGKILL : SIGSTOP);
    }
}

/* ---- carrying ---- */

/* Whoever does not read must not stop us: what it should get waits here. */
static void
write_all(struct line *line, int to, const char *data, size_t length)
{
    while (length > 0 && line->ends[to] >= 0) {
        ssize_t written = send(line->ends[to], data, length, MSG_NOSIGNAL);

        if (written <= 0) {
            close_line(line, false);
            return;
        }
        data += written;
        length -= (size_t)written;
    }
}

/* Carries what one end has sent, up to where the harm is to be done. */
static void
carry(struct proxy *proxy, struct line *line, int from)
{
    const struct harm_plan *plan = proxy->plan;
    bool counts = !proxy->harmed && plan->harm != HARM_NONE && plan->up == (from == 0);
    size_t left = counts ? plan->after - proxy->bytes[from] : SIZE_MAX;
    char data[16384];
    ssize_t got = recv(line->ends[from], data, left < sizeof data ? left : sizeof data, 0);

    if (got <= 0) {
        close_line(line, got < 0);
        return;
    }
    if (is_silent(proxy, from))
        return;
    proxy->bytes[from] += (size_t)got;
    write_all(line, 1 - from, data, (size_t)got);
    if (counts && proxy->bytes[from] >= plan->after)
        do_harm(proxy);
}

static void
carry_some(struct proxy *proxy)
{
    struct pollfd fds[1 + 2 * MOST_PAIRS];
    int count = proxy->count;
    nfds_t watched = 1 + 2 * (nfds_t)count;

    fds[0] = (struct pollfd){ proxy->listener, POLLIN, 0 };
    for (int i = 0; i < 2 * count; i++)
        fds[1 + i] = (struct pollfd){ proxy->lines[i / 2].ends[i % 2], POLLIN, 0 };
    if (poll(fds, watched, 5) <= 0)
        return;
    if (fds[0].revents)
        take_line(proxy);
    for (int i = 0; i < 2 * count; i++)
        if (fds[1 + i].revents && proxy->lines[i / 2].ends[i % 2] >= 0)
            carry(proxy, &proxy->lines[i / 2], i % 2);
}

/* ---- children ---- */

static bool
is_killed(const struct proxy *proxy, bool server)
{
    return proxy->harmed && proxy->plan->harm == (server ? HARM_KILL_SERVER : HARM_KILL_CLIENT);
}

/* Looks whether it has ended, as it should. */
static void
look_after(struct proxy *proxy, pid_t *child, bool server)
{
    const char *name = server ? "server" : "client";
    int status;

    if (*child == 0 || waitpid(*child, &status, WNOHANG) != *child)
        return;
    *child = 0;
    if (is_killed(proxy, server))
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        check_fail(__FILE__, __LINE__, "the %s ended with status %x; harm %d after %zu bytes %s",
                   name, (unsigned)status, (int)proxy->plan->harm, proxy->plan->after,
                   proxy->plan->up ? "up" : "down");
}

static pid_t
start(struct proxy *proxy, bool server)
{
    pid_t child = board_fork();

    if (child > 0)
        return child;
    close(proxy->listener);
    if (server)
        desk_serve(proxy->board, &proxy->plan->options);
    visitor_visit(proxy->board, proxy->address, &proxy->plan->options);
    exit(EXIT_FAILURE);
}

/* Once: a signal more would disturb the leak sanitizer, which stops a process at its end. */
static void
wake_child(struct proxy *proxy, pid_t child)
{
    if (!proxy->woken)
        signal_child(child, SIGCONT);
    proxy->woken = true;
}

/* What is next, when something was reached. */
static void
go_on(struct proxy *proxy)
{
    struct board *board = proxy->board;
    enum harm harm = proxy->plan->harm;
    bool frozen = proxy->harmed && harm == HARM_STOP_CLIENT;

    if (proxy->client == 0 || (frozen && proxy->server > 0))
        atomic_store(&board->finish, true);
    if (proxy->harmed && harm == HARM_STOP_SERVER && atomic_load(&board->left))
        wake_child(proxy, proxy->server);
    if (frozen && proxy->server == 0)
        wake_child(proxy, proxy->client);
}

static void
clean_up(struct proxy *proxy)
{
    if (proxy->listener >= 0)
        close(proxy->listener);
    for (int i = 0; i < proxy->count; i++)
        close_line(&proxy->lines[i], true);
}

void
proxy_run(const struct harm_plan *plan, size_t ret_bytes[2])
{
    static struct proxy proxy;
    int64_t end = now_in_ms() + PATIENCE_MS;
    bool all;

    proxy = (struct proxy){ .plan = plan, .board = board_new() };
    listen_here(&proxy);
    proxy.server = start(&proxy, true);
    wait_until(is_set, &proxy.board->serving, "the server serves");
    proxy.client = start(&proxy, false);
    while (proxy.client || proxy.server) {
        look_after(&proxy, &proxy.client, false);
        look_after(&proxy, &proxy.server, true);
        if (now_in_ms() > end)
            check_fail(__FILE__, __LINE__, "harm %d after %zu bytes %s: %s never ended",
                       (int)plan->harm, plan->after, plan->up ? "up" : "down",
                       proxy.client ? "the client" : "the server");
        carry_some(&proxy);
        go_on(&proxy);
    }
    clean_up(&proxy);
    all = !is_killed(&proxy, false);
    board_judge(proxy.board, VISITOR_FIRST, VISITOR_BACK, all);
    board_judge(proxy.board, VISITOR_BACK, VISITOR_END, !is_killed(&proxy, true));
    if (plan->harm == HARM_NONE)
        CHECK_INT(atomic_load(&proxy.board->calls[VISITOR_CALLS - 1].state), BOARD_ENDED);
    if (ret_bytes)
        memcpy(ret_bytes, proxy.bytes, sizeof proxy.bytes);
    board_free(proxy.board);
}
