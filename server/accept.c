/* The accept loop.
 *
 * One thread waits in one epoll set for listeners, for connections, and to be woken.
 * It sleeps unless one of them has something, or the time of a connection or of a
 * back-off has come.  When something is accepted is in doors.c, what a connection is
 * in connections.c; this file reads what connections say first, and says what becomes
 * of them.
 *
 * Only the thread ends connections, and after an event it no longer touches what it
 * ended; epoll reports each at most once a round, and what is overdue is ended
 * between rounds.  So no event can mean a connection that is gone.
 *
 * Stopping is a request: whoever stops waits until the thread, outside of hand_on,
 * has withdrawn from the listeners.  The thread stays until the acceptor is closed,
 * to see the ends of the connections that were handed on.
 *
 * The lock guards the flags between the thread and those who stop it, and keeps
 * connections from being adopted once it is stopping.  hand_on and the log are called
 * without any lock.
 */

#include "server/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "server/doors.h"
#include "server/rare.h"

#define EVENTS 64         /* in one round */
#define MAX_DRAINED 65536 /* what a leaving connection may still say */

struct afar__acceptor {
    afar__accept_options options;
    afar__connections connections;
    int epoll;
    int wake; /* an eventfd */
    pthread_t thread;

    /* The thread's own. */
    afar__doors doors;
    afar__rare silent, stranger;

    pthread_mutex_t lock;
    pthread_cond_t stop_done;
    bool started, stopping, stopped, closing; /* guarded by lock */
};

static void
wake(const afar__acceptor *acceptor)
{
    /* This fails only if the counter is full, and then the thread is awake. */
    (void)!eventfd_write(acceptor->wake, 1);
}

/* ---- what connections say ---- */

static void
end(afar__acceptor *acceptor, afar__connection *connection)
{
    afar__connections_end(&acceptor->connections, connection);
    afar__doors_hurry(&acceptor->doors);
}

static void
serve(afar__acceptor *acceptor, afar__connection *connection, afar__sniff_kind kind)
{
    int fd = connection->fd;

    afar__connections_serve(&acceptor->connections, connection);
    acceptor->options.hand_on(acceptor->options.arg, fd, kind);
}

/* Reads and drops what a leaving peer still says: to close a socket that has unread
 * bytes resets the connection, and the reset overtakes the answer. */
static void
drain(afar__acceptor *acceptor, afar__connection *connection)
{
    char bytes[4096];
    ssize_t n;

    while ((n = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        connection->drained += (size_t)n;
        if (connection->drained > MAX_DRAINED)
            break;
    }
    if (n >= 0 || errno != EAGAIN)
        end(acceptor, connection);
}

/* Nothing was written before, so the answer fits, or nobody is there to read it. */
static void
answer(afar__acceptor *acceptor, afar__connection *connection)
{
    send(connection->fd, afar__sniff_http1_answer, strlen(afar__sniff_http1_answer),
         MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(connection->fd, SHUT_WR);
    afar__connections_leave(&acceptor->connections, connection);
    drain(acceptor, connection);
}

/* Looks at what a waiting connection has said so far. */
static void
look(afar__acceptor *acceptor, afar__connection *connection, bool gone)
{
    char bytes[AFAR__SNIFF_LENGTH];
    ssize_t n = recv(connection->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    afar__sniff_kind kind = afar__sniff(bytes, n > 0 ? (size_t)n : 0);

    if (kind == AFAR__SNIFF_HTTP2) {
        serve(acceptor, connection, kind);
        return;
    }
    if (kind != AFAR__SNIFF_MORE)
        afar__rare_warn(&acceptor->stranger, "%s: closed: it speaks %s, and this port HTTP/2",
                        connection->peer.address, afar__sniff_name(kind));
    if (kind == AFAR__SNIFF_HTTP1)
        answer(acceptor, connection);
    else if (kind != AFAR__SNIFF_MORE || gone)
        end(acceptor, connection);
}

static void
hear(afar__acceptor *acceptor, afar__connection *connection, uint32_t events)
{
    switch (connection->state) {
    case AFAR__CONNECTION_WAITING:
        look(acceptor, connection, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
        break;
    case AFAR__CONNECTION_LEAVING:
        drain(acceptor, connection);
        break;
    case AFAR__CONNECTION_SERVED:
        if (events & EPOLLHUP)
            end(acceptor, connection);
        break;
    case AFAR__CONNECTION_ENDED:
        break;
    }
}

static void
end_overdue(afar__acceptor *acceptor)
{
    afar__connection *first;
    int64_t now = afar__now();

    while ((first = afar__connections_first_due(&acceptor->connections)) && first->due <= now) {
        if (first->state == AFAR__CONNECTION_WAITING)
            afar__rare_warn(&acceptor->silent, "%s: closed: it said too little in %lld ms",
                            first->peer.address, (long long)acceptor->options.silent_ms);
        end(acceptor, first);
    }
}

/* ---- the thread ---- */

static void
take_event(afar__acceptor *acceptor, const struct epoll_event *event)
{
    eventfd_t ignored;

    if (event->data.ptr == &acceptor->wake)
        (void)!eventfd_read(acceptor->wake, &ignored);
    else if (!afar__doors_take(&acceptor->doors, event))
        hear(acceptor, event->data.ptr, event->events);
}

/* How long nothing will be due, rounded up; -1: nothing is. */
static int
quiet_ms(afar__acceptor *acceptor)
{
    const afar__connection *first = afar__connections_first_due(&acceptor->connections);
    int64_t next = afar__doors_due(&acceptor->doors);

    if (first && first->due < next)
        next = first->due;
    if (next == AFAR__NEVER)
        return -1;
    int64_t ns = next - afar__now();
    if (ns <= 0)
        return 0;
    int64_t ms = (ns - 1) / AFAR__MILLISECOND + 1;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void
withdraw_locked(afar__acceptor *acceptor)
{
    afar__doors_withdraw(&acceptor->doors);
    afar__connections_end_unserved(&acceptor->connections);
    acceptor->stopped = true;
    pthread_cond_broadcast(&acceptor->stop_done);
}

/* Does what the flags ask for; false: the thread is to end. */
static bool
obey(afar__acceptor *acceptor)
{
    pthread_mutex_lock(&acceptor->lock);
    if (acceptor->stopping && !acceptor->stopped)
        withdraw_locked(acceptor);
    bool go_on = !acceptor->closing;
    pthread_mutex_unlock(&acceptor->lock);
    return go_on;
}

static void *
run(void *arg)
{
    afar__acceptor *acceptor = arg;
    struct epoll_event events[EVENTS];

    while (obey(acceptor)) {
        int count = epoll_wait(acceptor->epoll, events, EVENTS, quiet_ms(acceptor));

        for (int i = 0; i < count; i++)
            take_event(acceptor, &events[i]);
        end_overdue(acceptor);
        if (afar__doors_due(&acceptor->doors) <= afar__now())
            afar__doors_retry(&acceptor->doors);
    }
    return NULL;
}

/* ---- its life ---- */

static afar_code
fail_exhausted(afar_error *err, int error)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "cannot accept connections: %s",
                     strerror(error));
}

static void
release(afar__acceptor *acceptor)
{
    afar__connections_clear(&acceptor->connections);
    afar__doors_close(&acceptor->doors);
    pthread_cond_destroy(&acceptor->stop_done);
    pthread_mutex_destroy(&acceptor->lock);
    if (acceptor->wake >= 0)
        close(acceptor->wake);
    if (acceptor->epoll >= 0)
        close(acceptor->epoll);
    free(acceptor);
}

afar_code
afar__acceptor_open(const afar__listener *listeners, size_t count,
                    const afar__accept_options *options, afar__acceptor **ret_acceptor,
                    afar_error *err)
{
    afar__acceptor *acceptor = calloc(1, sizeof *acceptor);
    struct epoll_event event = { .events = EPOLLIN };

    if (!acceptor)
        return fail_exhausted(err, ENOMEM);
    acceptor->options = *options;
    acceptor->doors = (afar__doors)AFAR__DOORS_INIT;
    acceptor->epoll = epoll_create1(EPOLL_CLOEXEC);
    acceptor->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&acceptor->lock, NULL);
    pthread_cond_init(&acceptor->stop_done, NULL);
    afar__connections_init(&acceptor->connections, acceptor->epoll, options->max_connections);
    event.data.ptr = &acceptor->wake;
    if (acceptor->epoll < 0 || acceptor->wake < 0 ||
        !afar__doors_open(&acceptor->doors, listeners, count, acceptor->epoll,
                          &acceptor->connections, options->silent_ms) ||
        epoll_ctl(acceptor->epoll, EPOLL_CTL_ADD, acceptor->wake, &event) < 0) {
        afar_code code = fail_exhausted(err, errno);

        release(acceptor);
        return code;
    }
    *ret_acceptor = acceptor;
    return AFAR_OK;
}

/* The thread inherits a mask in which all signals are blocked. */
afar_code
afar__acceptor_start(afar__acceptor *acceptor, afar_error *err)
{
    sigset_t all, before;
    int error = 0;

    sigfillset(&all);
    pthread_mutex_lock(&acceptor->lock);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&acceptor->thread, NULL, run, acceptor);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    acceptor->started = error == 0;
    pthread_mutex_unlock(&acceptor->lock);
    if (error)
        return fail_exhausted(err, error);
    pthread_setname_np(acceptor->thread, "afar-accept");
    return AFAR_OK;
}

static afar_code
adopt_locked(afar__acceptor *acceptor, int fd, int watch, afar_error *err)
{
    afar__peer_info peer = { .uid = -1, .pid = -1 };

    if (acceptor->stopping)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "connections are no longer accepted");
    afar__peer_learn(fd, "local", &peer);
    switch (afar__connections_add(&acceptor->connections, fd, watch, &peer,
                                  acceptor->options.silent_ms)) {
    case AFAR__CONNECTIONS_ADDED:
        return AFAR_OK;
    case AFAR__CONNECTIONS_FULL:
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "there are %u connections already, the limit",
                         acceptor->options.max_connections);
    case AFAR__CONNECTIONS_EXHAUSTED:
        break;
    }
    return fail_exhausted(err, errno);
}

afar_code
afar__acceptor_adopt(afar__acceptor *acceptor, int fd, afar_error *err)
{
    int watch = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (watch < 0)
        return fail_exhausted(err, errno);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    pthread_mutex_lock(&acceptor->lock);
    afar_code code = adopt_locked(acceptor, fd, watch, err);
    pthread_mutex_unlock(&acceptor->lock);
    if (code)
        close(watch);
    else
        wake(acceptor); /* it may mean to sleep longer than this one may be silent */
    return code;
}

bool
afar__acceptor_peer(afar__acceptor *acceptor, int fd, afar__peer_info *ret_peer)
{
    return afar__connections_peer(&acceptor->connections, fd, ret_peer);
}

unsigned
afar__acceptor_connections(afar__acceptor *acceptor)
{
    return afar__connections_count(&acceptor->connections);
}

void
afar__acceptor_shutdown_all(afar__acceptor *acceptor)
{
    afar__connections_shutdown(&acceptor->connections);
}

void
afar__acceptor_stop(afar__acceptor *acceptor)
{
    pthread_mutex_lock(&acceptor->lock);
    acceptor->stopping = true;
    if (!acceptor->started && !acceptor->stopped)
        withdraw_locked(acceptor);
    wake(acceptor);
    while (!acceptor->stopped)
        pthread_cond_wait(&acceptor->stop_done, &acceptor->lock);
    pthread_mutex_unlock(&acceptor->lock);
}

void
afar__acceptor_close(afar__acceptor *acceptor)
{
    if (!acceptor)
        return;
    afar__acceptor_stop(acceptor);
    pthread_mutex_lock(&acceptor->lock);
    acceptor->closing = true;
    bool started = acceptor->started;
    pthread_mutex_unlock(&acceptor->lock);
    wake(acceptor);
    if (started)
        pthread_join(acceptor->thread, NULL);
    release(acceptor);
}
