/* Accepting.
 *
 * Running out of descriptors or memory is an episode, not an error.  A connection is
 * accepted only when the descriptor for its `watch` is held already, the spare: none
 * is taken from a backlog that cannot be served.  When nothing can be accepted the
 * doors are closed, since a door with somebody before it would wake the thread at
 * once again; they are tried again when a connection has ended or the back-off is over.
 * The episode is over when nobody waits at any door; it is logged once.
 *
 *     open -> closed     back_off
 *     closed -> open     afar__doors_retry
 *
 * The acceptor's thread runs this, or whoever opens and closes the acceptor.
 */

#include "server/doors.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/log.h"

#define BACK_OFF (50 * AFAR__MILLISECOND)
#define BURST 64 /* accepted before others get their turn */

static bool
set_door(afar__doors *doors, int operation, size_t door, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = &doors->fds[door] };

    return epoll_ctl(doors->epoll, operation, doors->fds[door], &event) == 0;
}

/* ---- being unable to accept ---- */

static void
back_off(afar__doors *doors, int error)
{
    if (!doors->exhausted)
        afar__log(AFAR_LOG_WARNING, "new connections have to wait: %s", strerror(error));
    doors->exhausted = true;
    doors->closed = true;
    doors->retry = afar__now() + BACK_OFF;
    for (size_t i = 0; i < doors->count; i++)
        set_door(doors, EPOLL_CTL_MOD, i, 0);
}

/* Accepting fails for lack of a descriptor also when there is nothing to accept. */
static bool
somebody_waits(const afar__doors *doors)
{
    for (size_t i = 0; i < doors->count; i++) {
        struct pollfd door = { .fd = doors->fds[i], .events = POLLIN };

        if (poll(&door, 1, 0) > 0)
            return true;
    }
    return false;
}

static void
recover(afar__doors *doors)
{
    afar__log(AFAR_LOG_INFO, "new connections are accepted again");
    doors->exhausted = false;
}

int64_t
afar__doors_due(const afar__doors *doors)
{
    return doors->closed ? doors->retry : AFAR__NEVER;
}

void
afar__doors_hurry(afar__doors *doors)
{
    doors->retry = 0;
}

/* ---- accepting ---- */

/* Any descriptor will do: it is replaced by a copy of what is accepted. */
static bool
have_spare(afar__doors *doors)
{
    if (doors->spare < 0)
        doors->spare = fcntl(doors->epoll, F_DUPFD_CLOEXEC, 0);
    return doors->spare >= 0;
}

/* Errors that belong to the connection that was to be accepted, not to the door:
 * accept(2) lists them. */
static bool
is_of_connection(int error)
{
    static const int errors[] = { EINTR,      ECONNABORTED, EPROTO,     EPERM,
                                  ENETDOWN,   ENOPROTOOPT,  EHOSTDOWN,  ENONET,
                                  EOPNOTSUPP, EHOSTUNREACH, ENETUNREACH };

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i] == error)
            return true;
    return false;
}

/* Both descriptors become the connection's, or are closed. */
static void
add(afar__doors *doors, int fd, int watch, const char *address)
{
    afar__peer_info peer = { .uid = -1, .pid = -1 };

    afar__peer_learn(fd, address, &peer);
    switch (afar__connections_add(doors->connections, fd, watch, &peer, doors->silent_ms)) {
    case AFAR__CONNECTIONS_ADDED:
        return;
    case AFAR__CONNECTIONS_FULL:
        afar__rare_warn(&doors->full, "%s: closed: there are %u connections already, the limit",
                        address, doors->connections->limit);
        break;
    case AFAR__CONNECTIONS_EXHAUSTED:
        back_off(doors, errno);
        break;
    }
    close(fd);
    close(watch);
}

static void
welcome(afar__doors *doors, int fd, const struct sockaddr_storage *from)
{
    char address[AFAR__PEER_ADDRESS] = "unix";
    const int on = 1;
    int watch = doors->spare;

    if (from->ss_family != AF_UNIX) {
        afar__listen_print(from, address, sizeof address);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (dup3(fd, watch, O_CLOEXEC) < 0) {
        back_off(doors, errno);
        close(fd);
        return;
    }
    doors->spare = -1;
    add(doors, fd, watch, address);
}

/* Returns 0 if there may be more, or an errno. */
static int
accept_one(afar__doors *doors, int door)
{
    struct sockaddr_storage from = { .ss_family = AF_UNIX };
    socklen_t length = sizeof from;

    if (!have_spare(doors))
        return errno;
    int fd = accept4(door, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return is_of_connection(errno) ? 0 : errno;
    welcome(doors, fd, &from);
    return 0;
}

static void
accept_some(afar__doors *doors, int door)
{
    int error = 0;

    for (int i = 0; !error && !doors->closed && i < BURST; i++)
        error = accept_one(doors, door);
    if (error && error != EAGAIN && somebody_waits(doors))
        back_off(doors, error);
    else if (error && doors->exhausted && !somebody_waits(doors))
        recover(doors);
}

/* Accepting is tried first: it shows whether the episode is over, also when nobody
 * waits any more. */
void
afar__doors_retry(afar__doors *doors)
{
    doors->closed = false;
    for (size_t i = 0; i < doors->count; i++)
        accept_some(doors, doors->fds[i]);
    for (size_t i = 0; i < doors->count && !doors->closed; i++)
        set_door(doors, EPOLL_CTL_MOD, i, EPOLLIN);
}

bool
afar__doors_take(afar__doors *doors, const struct epoll_event *event)
{
    for (size_t i = 0; i < doors->count; i++)
        if (event->data.ptr == &doors->fds[i]) {
            accept_some(doors, doors->fds[i]);
            return true;
        }
    return false;
}

/* ---- their life ---- */

bool
afar__doors_open(afar__doors *doors, const afar__listener *listeners, size_t count, int epoll,
                 afar__connections *connections, int64_t silent_ms)
{
    *doors = (afar__doors){
        .connections = connections, .silent_ms = silent_ms, .epoll = epoll, .spare = -1
    };
    doors->fds = calloc(count + 1, sizeof doors->fds[0]);
    if (!doors->fds || !have_spare(doors))
        return false;
    for (size_t i = 0; i < count; i++) {
        doors->fds[i] = listeners[i].fd;
        if (!set_door(doors, EPOLL_CTL_ADD, i, EPOLLIN))
            return false;
        doors->count++;
    }
    return true;
}

void
afar__doors_withdraw(afar__doors *doors)
{
    for (size_t i = 0; i < doors->count; i++)
        set_door(doors, EPOLL_CTL_DEL, i, 0);
    doors->count = 0;
}

void
afar__doors_close(afar__doors *doors)
{
    afar__doors_withdraw(doors);
    if (doors->spare >= 0)
        close(doors->spare);
    free(doors->fds);
}
