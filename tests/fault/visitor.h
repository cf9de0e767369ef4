#ifndef VISITOR_H
#define VISITOR_H

/* The client of the fault tests of sessions: a visit is a scenario with a bit of all that a session
 * can do.  It goes on until a call fails, since the session may end at any time. */

#include <afar/client.h>

#include "desk.h"

/* The numbers of its calls, and of the calls back. */
#define VISITOR_FIRST 0
#define VISITOR_BACK 100
#define VISITOR_END 103

/* How many of its own calls there are when all goes well. */
#define VISITOR_CALLS 35

/* What a child does that visits the desk at `address`: all, then it leaves, and ends the process
 * when all of its own is gone.  It says on the board that it `visited` when its last call has
 * ended, and that it `left` when the client was closed. */
void
visitor_visit(struct board *board, const char *address, const struct desk_options *options);

#endif
