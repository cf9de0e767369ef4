#ifndef ACCEPTING_H
#define ACCEPTING_H

/* What the tests of the acceptor share: an acceptor with its listeners, the
 * connections it hands on, clients to it, and the lines it logs.  Every wait has a
 * bound, and ends the test when it is in vain. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/accept.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#define MAX_TAKEN 20000

struct accepting {
    afar__acceptor *acceptor;
    afar__listener listeners[3];
    size_t listener_count;
    char folder[100]; /* for unix sockets; "" if there is none */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Guarded by lock: what was handed on, in order. */
    int taken[MAX_TAKEN];
    size_t taken_count;
    size_t given; /* how many accepting_take has returned */
    bool shut;    /* nothing may be handed on any more */
};

/* Opens and starts an acceptor on addresses ("127.0.0.1:0", "unix"), separated by
 * spaces. */
void
accepting_open(struct accepting *accepting, const char *addresses, unsigned max_connections,
               int64_t silent_ms);

/* The same with another hand_on. */
void
accepting_open_for(struct accepting *accepting, const char *addresses,
                   const afar__accept_options *options);

/* Closes it, and the descriptors handed on that nobody took. */
void
accepting_close(struct accepting *accepting);

/* The next descriptor that is handed on. */
int
accepting_take(struct accepting *accepting);

/* The number of descriptors that were handed on and not taken. */
size_t
accepting_waiting(struct accepting *accepting);

/* Waits until there are so many connections. */
void
accepting_wait_count(struct accepting *accepting, unsigned count);

/* What whoever takes a descriptor does at the end: shutdown, then close. */
void
owner_end(int fd);

/* A blocking socket, connected to a listener. */
int
client_open(const afar__listener *listener);

/* The same, or -1 if the listener refuses. */
int
client_try_open(const afar__listener *listener);

void
client_say(int fd, const char *text, size_t length);

/* Everything that comes until the end of the stream or a reset, terminated. */
size_t
client_hear_all(int fd, char *ret_text, size_t size);

/* Waits until the other end has closed, or reset, the connection. */
void
client_see_end(int fd);

/* Waits until the condition holds. */
void
wait_until(bool (*holds)(void *arg), void *arg, const char *what);

/* The number of open descriptors of this process. */
int
descriptor_count(void);

int64_t
now_ms(void);

/* ---- the log ---- */

/* Gathers the library's lines from here on, at the level INFO and above. */
void
lines_gather(void);

/* How many of them contain a text. */
unsigned
lines_count(const char *text);

#endif
