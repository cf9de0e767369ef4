#ifndef AWAY_H
#define AWAY_H

/* A channel whose home is a server, and ends of it that were opened from a client: they go over a
 * connection, also when both are in this process. */

#include <afar/client.h>
#include <afar/server.h>

#include "items.h"

/* Where they may meet; ends with NULL. */
extern const char *const places[4];

struct away {
    struct ends home; /* on the server's side */
    struct ends far;  /* opened from the client */
    afar_server *server;
    afar_client *client;
};

/* Capacity 0: rendezvous. */
void
away_open(struct away *away, const char *place, unsigned capacity);

void
away_close(struct away *away);

/* The client's name for what the server exports. */
char *
away_name(const struct away *away, const char *name, char text[300]);

#endif
