#ifndef PAIRS_H
#define PAIRS_H

/* Two ends that are connected, over whatever carries sessions. */

#include "end.h"
#include "runtime/link.h"
#include "runtime/port.h"

/* Keeps the core of gRPC open over all pairs of a test: when it is closed soon after a large
 * write it may take 10 s.  To be closed in the end. */
afar_node *
keep_core(void);

/* A port on a socket of its own, which takes connections on a thread. */
struct place {
    afar_node *node;
    afar__port *port;
    int listener; /* -1: none */
    pthread_t thread;
    char address[128]; /* as a client writes it */
    struct end *next;  /* takes the next session; others are freed */
    bool manual;       /* it is not started */
    bool plain;        /* no session is taken */
};

/* `address`: "tcp", "unix", or NULL for none: then sockets are given to it. */
void
place_open(struct place *place, const char *address, struct end *next);

/* Stops and closes it. */
void
place_close(struct place *place);

/* A link to that address. */
afar__link *
place_link(afar_node *node, const char *address);

enum kind { TCP, UNIX, SOCKET_PAIR, LOOP, KINDS };

struct pair {
    enum kind kind;
    afar_node *node;
    afar__link *link; /* NULL for the loop */
    struct place place;
    struct end ends[2];
};

/* Makes both ends; the first is started here, the second when it is made, unless `manual`. */
void
pair_open(struct pair *pair, enum kind kind);

/* With ends that are set up already, so that nothing is missed. */
void
pair_connect(struct pair *pair, enum kind kind);

/* The same over two sockets, which it takes. */
void
pair_connect_over(struct pair *pair, const int fds[2]);

/* Waits for the second end. */
void
pair_meet(struct pair *pair);

/* After both ends have finished. */
void
pair_close(struct pair *pair);

#endif
