#ifndef DESK_H
#define DESK_H

/* The server of the fault tests of sessions, in this process or in a child. */

#include <afar/server.h>

#include "board.h"
#include "desk.afar.h"

/* Makes a desk: its calls are written on the board.  Its objects count there, too. */
desk_desk *
desk_make(struct board *board);

/* Lets go of the listener that Keep has left. */
void
desk_forget(void);

/* A listener of this process. */
desk_listener *
listener_make(struct board *board);

struct desk_options {
    unsigned idle_ms, dead_ms; /* of sessions; 0: the default */
    bool silent; /* the peer may be silent: then nobody says when to close descriptors */
};

/* What a child does that serves: says on the board where, serves until it is told to finish, then
 * waits until nothing is left of whoever was there, and ends the process. */
void
desk_serve(struct board *board, const struct desk_options *options);

/* The address of the desk that serves there, as a session. */
void
desk_name(const char *address, char text[128]);

/* A node for a process of these tests. */
afar_node *
desk_node(const struct desk_options *options);

/* What a call is waited for: whoever waits so long hangs. */
afar_deadline
desk_deadline(void);

#endif
