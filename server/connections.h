#ifndef AFAR_SERVER_CONNECTIONS_H
#define AFAR_SERVER_CONNECTIONS_H

/* The connections of an acceptor: which there are, in what state, and who is at
 * the other end of each.  Any thread may ask; what changes a connection is called
 * by the acceptor's thread only, or when there is none. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for any IPv6 address with zone and port, in brackets. */
#define AFAR__PEER_ADDRESS 64

/* Who is at the other end, as afar_peer has it. */
typedef struct afar__peer_info {
    char address[AFAR__PEER_ADDRESS];
    int64_t uid; /* -1: not known */
    int64_t pid; /* -1: not known */
} afar__peer_info;

/* Fills in an address, and the credentials if the socket is a unix socket: those of
 * who connected it, or who made the pair. */
void
afar__peer_learn(int fd, const char *address, afar__peer_info *ret_peer);

typedef enum {
    AFAR__CONNECTION_WAITING, /* for what it says first */
    AFAR__CONNECTION_LEAVING, /* answered, not served; what it still says is dropped */
    AFAR__CONNECTION_SERVED,  /* handed on; only its end is waited for */
    AFAR__CONNECTION_ENDED    /* nothing is open */
} afar__connection_state;

typedef struct afar__connection {
    afar__connection_state state; /* written by the acceptor's thread, under the lock */
    int fd;                       /* ours until it is SERVED */
    int watch;                    /* another descriptor of it, ours until it ends */
    int64_t due;                  /* when it is closed if it is not SERVED by then */
    size_t drained;               /* bytes dropped while LEAVING */
    afar__peer_info peer;
    struct afar__connection *previous, *next;
} afar__connection;

typedef struct afar__connection_list {
    afar__connection *first, *last;
} afar__connection_list;

typedef struct afar__connections {
    int epoll; /* where they are registered, each as its `watch` */
    unsigned limit;
    pthread_mutex_t lock;

    /* Guarded by lock. */
    afar__connection_list unserved; /* WAITING and LEAVING, in the order of their `due` */
    afar__connection_list served;
    unsigned count;             /* in both lists */
    afar__connection **numbers; /* the last connection with each number of `fd` */
    size_t number_count;
} afar__connections;

void
afar__connections_init(afar__connections *all, int epoll, unsigned limit);

/* Forgets all of them: unserved ones are closed, served ones are their owners'. */
void
afar__connections_clear(afar__connections *all);

typedef enum {
    AFAR__CONNECTIONS_ADDED,
    AFAR__CONNECTIONS_FULL,     /* the limit is reached */
    AFAR__CONNECTIONS_EXHAUSTED /* memory, or room in the epoll set; errno says */
} afar__connections_result;

/* Adds a connection, WAITING and registered for its first bytes, due in `wait_ms`,
 * which is the same for all.  Both descriptors are the connection's if it is added.
 * Any thread. */
afar__connections_result
afar__connections_add(afar__connections *all, int fd, int watch, const afar__peer_info *peer,
                      int64_t wait_ms);

/* WAITING to SERVED: registered for its end only, and its `fd` is no longer ours. */
void
afar__connections_serve(afar__connections *all, afar__connection *connection);

/* WAITING to LEAVING. */
void
afar__connections_leave(afar__connections *all, afar__connection *connection);

/* Any state to ENDED; the pointer is not valid any more. */
void
afar__connections_end(afar__connections *all, afar__connection *connection);

/* Ends all that are not SERVED. */
void
afar__connections_end_unserved(afar__connections *all);

/* The unserved one that is due first, or NULL. */
afar__connection *
afar__connections_first_due(afar__connections *all);

/* Any thread; see accept.h for what they promise. */
unsigned
afar__connections_count(afar__connections *all);

bool
afar__connections_peer(afar__connections *all, int fd, afar__peer_info *ret_peer);

void
afar__connections_shutdown(afar__connections *all);

#endif
