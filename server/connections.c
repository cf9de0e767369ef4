/* The table of connections.
 *
 *     WAITING   afar__connections_add     its first bytes are looked at, not consumed
 *     LEAVING   afar__connections_leave   it got an answer, and is let finish speaking
 *     SERVED    afar__connections_serve   handed on
 *     ENDED     afar__connections_end     from each of the others
 *
 * A connection has two descriptors of one socket: `fd`, which is handed on, and
 * `watch`, which is in the epoll set and stays ours.  They are two because the owner
 * of `fd` closes it when it likes, and epoll silently forgets what is closed.  From
 * that follows:
 *
 * - The end of a served connection is EPOLLHUP: both directions are shut.  A reset
 *   brings it, and so does the shutdown(2) of the owner.  A peer that only stopped
 *   writing does not: an answer may be on its way.
 * - A registration lives as long as the socket, not as long as the descriptor: it is
 *   taken out before `watch` is closed.
 * - A number of `fd` comes back only after its owner has closed it.  So the last
 *   connection with a number is the one that the number means, though the end of an
 *   earlier one may not have been seen yet; and who is at its other end is remembered
 *   until the number comes back.
 *
 * All connections get the same time to speak.  So the order in which they come is
 * the order in which they are due, and `unserved` needs no sorting.
 *
 * Threads: only the acceptor's thread ends connections or changes their state; any
 * other may add one and ask.  The lock guards lists, numbers, count, and states
 * against those who ask; the thread reads states without it.
 */

#include "server/connections.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <afar/deadline.h>

#define FIRST_NUMBERS 64

/* ---- peers ---- */

void
afar__peer_learn(int fd, const char *address, afar__peer_info *ret_peer)
{
    struct ucred credentials = { 0, (uid_t)-1, (gid_t)-1 };
    socklen_t length = sizeof credentials;

    /* On other sockets this changes nothing, or sets what is set already. */
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
    snprintf(ret_peer->address, sizeof ret_peer->address, "%s", address);
    ret_peer->uid = credentials.uid == (uid_t)-1 ? -1 : (int64_t)credentials.uid;
    ret_peer->pid = credentials.pid <= 0 ? -1 : credentials.pid;
}

/* ---- lists ---- */

static void
list_append(afar__connection_list *list, afar__connection *connection)
{
    connection->previous = list->last;
    connection->next = NULL;
    *(list->last ? &list->last->next : &list->first) = connection;
    list->last = connection;
}

static void
list_remove(afar__connection_list *list, afar__connection *connection)
{
    afar__connection *previous = connection->previous, *next = connection->next;

    *(previous ? &previous->next : &list->first) = next;
    *(next ? &next->previous : &list->last) = previous;
}

/* ---- numbers ---- */

static bool
reserve_number_locked(afar__connections *all, int fd)
{
    size_t count = all->number_count ? all->number_count : FIRST_NUMBERS;

    while (count <= (size_t)fd)
        count *= 2;
    if (count == all->number_count)
        return true;
    afar__connection **numbers = realloc(all->numbers, count * sizeof numbers[0]);
    if (!numbers)
        return false;
    memset(numbers + all->number_count, 0, (count - all->number_count) * sizeof numbers[0]);
    all->numbers = numbers;
    all->number_count = count;
    return true;
}

/* Another connection with this number has ended, or its end is about to be seen. */
static void
take_number_locked(afar__connections *all, afar__connection *connection)
{
    afar__connection *before = all->numbers[connection->fd];

    if (before && before->state == AFAR__CONNECTION_ENDED)
        free(before);
    all->numbers[connection->fd] = connection;
}

/* ---- changes ---- */

static bool
watch(const afar__connections *all, int operation, afar__connection *connection, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = connection };

    return epoll_ctl(all->epoll, operation, connection->watch, &event) == 0;
}

static afar__connections_result
add_locked(afar__connections *all, int fd, int watch_fd, const afar__peer_info *peer,
           int64_t wait_ms)
{
    if (all->count >= all->limit)
        return AFAR__CONNECTIONS_FULL;
    afar__connection *connection = calloc(1, sizeof *connection);
    if (!connection || !reserve_number_locked(all, fd))
        goto failed;
    connection->state = AFAR__CONNECTION_WAITING;
    connection->fd = fd;
    connection->watch = watch_fd;
    connection->due = afar_after_ms(wait_ms).ns;
    connection->peer = *peer;
    if (!watch(all, EPOLL_CTL_ADD, connection, EPOLLIN | EPOLLRDHUP | EPOLLET))
        goto failed;
    take_number_locked(all, connection);
    list_append(&all->unserved, connection);
    all->count++;
    return AFAR__CONNECTIONS_ADDED;

failed:
    free(connection);
    return AFAR__CONNECTIONS_EXHAUSTED;
}

afar__connections_result
afar__connections_add(afar__connections *all, int fd, int watch_fd, const afar__peer_info *peer,
                      int64_t wait_ms)
{
    afar__connections_result result;

    pthread_mutex_lock(&all->lock);
    result = add_locked(all, fd, watch_fd, peer, wait_ms);
    pthread_mutex_unlock(&all->lock);
    return result;
}

void
afar__connections_serve(afar__connections *all, afar__connection *connection)
{
    pthread_mutex_lock(&all->lock);
    list_remove(&all->unserved, connection);
    list_append(&all->served, connection);
    connection->state = AFAR__CONNECTION_SERVED;
    pthread_mutex_unlock(&all->lock);
    /* EPOLLHUP is always reported, and once more if it has come before this call. */
    watch(all, EPOLL_CTL_MOD, connection, EPOLLET);
}

void
afar__connections_leave(afar__connections *all, afar__connection *connection)
{
    pthread_mutex_lock(&all->lock);
    connection->state = AFAR__CONNECTION_LEAVING;
    pthread_mutex_unlock(&all->lock);
}

/* Ends a connection that is in no list any more. */
static void
end_locked(afar__connections *all, afar__connection *connection)
{
    watch(all, EPOLL_CTL_DEL, connection, 0);
    close(connection->watch);
    if (connection->state != AFAR__CONNECTION_SERVED)
        close(connection->fd);
    connection->state = AFAR__CONNECTION_ENDED;
    all->count--;
    if (all->numbers[connection->fd] != connection)
        free(connection);
}

void
afar__connections_end(afar__connections *all, afar__connection *connection)
{
    bool served = connection->state == AFAR__CONNECTION_SERVED;

    pthread_mutex_lock(&all->lock);
    list_remove(served ? &all->served : &all->unserved, connection);
    end_locked(all, connection);
    pthread_mutex_unlock(&all->lock);
}

static void
end_list_locked(afar__connections *all, afar__connection_list *list)
{
    afar__connection *next, *connection = list->first;

    *list = (afar__connection_list){ NULL, NULL };
    for (; connection; connection = next) {
        next = connection->next;
        end_locked(all, connection);
    }
}

void
afar__connections_end_unserved(afar__connections *all)
{
    pthread_mutex_lock(&all->lock);
    end_list_locked(all, &all->unserved);
    pthread_mutex_unlock(&all->lock);
}

/* ---- questions ---- */

afar__connection *
afar__connections_first_due(afar__connections *all)
{
    pthread_mutex_lock(&all->lock);
    afar__connection *first = all->unserved.first;
    pthread_mutex_unlock(&all->lock);
    return first;
}

unsigned
afar__connections_count(afar__connections *all)
{
    pthread_mutex_lock(&all->lock);
    unsigned count = all->count;
    pthread_mutex_unlock(&all->lock);
    return count;
}

bool
afar__connections_peer(afar__connections *all, int fd, afar__peer_info *ret_peer)
{
    bool known = false;

    pthread_mutex_lock(&all->lock);
    if (fd >= 0 && (size_t)fd < all->number_count && all->numbers[fd]) {
        *ret_peer = all->numbers[fd]->peer;
        known = true;
    }
    pthread_mutex_unlock(&all->lock);
    return known;
}

static void
shutdown_list(const afar__connection_list *list)
{
    for (const afar__connection *connection = list->first; connection;
         connection = connection->next)
        shutdown(connection->watch, SHUT_RDWR);
}

void
afar__connections_shutdown(afar__connections *all)
{
    pthread_mutex_lock(&all->lock);
    shutdown_list(&all->unserved);
    shutdown_list(&all->served);
    pthread_mutex_unlock(&all->lock);
}

/* ---- the table ---- */

void
afar__connections_init(afar__connections *all, int epoll, unsigned limit)
{
    *all = (afar__connections){ .epoll = epoll, .limit = limit };
    pthread_mutex_init(&all->lock, NULL);
}

void
afar__connections_clear(afar__connections *all)
{
    pthread_mutex_lock(&all->lock);
    end_list_locked(all, &all->unserved);
    end_list_locked(all, &all->served);
    pthread_mutex_unlock(&all->lock);
    for (size_t i = 0; i < all->number_count; i++)
        free(all->numbers[i]);
    free(all->numbers);
    pthread_mutex_destroy(&all->lock);
}
