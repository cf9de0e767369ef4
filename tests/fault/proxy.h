#ifndef PROXY_H
#define PROXY_H

/* Two processes that speak, a client and a server, and this one between them: it carries their
 * bytes, and does harm after so many of them.  It is a plain program without threads: nothing of
 * the library is opened here, so it may fork. */

#include <sys/types.h>

#include "desk.h"

enum harm {
    HARM_NONE,
    HARM_FIN,         /* the connection is closed, and nobody is there any more */
    HARM_RST,         /* the same, as after a crash of the machine between */
    HARM_KILL_SERVER, /* kill -9 */
    HARM_KILL_CLIENT,
    HARM_STOP_SERVER, /* kill -STOP; goes on when the client has left */
    HARM_STOP_CLIENT, /* goes on when the server has noticed */
    HARM_SILENCE_UP,  /* the client's bytes go nowhere; nobody is told */
    HARM_SILENCE_DOWN,
    HARM_SILENCE
};

struct harm_plan {
    enum harm harm;
    bool up;      /* counts what the client sends; else what the server sends */
    size_t after; /* so many bytes */
    struct desk_options options;
};

/* Lets a client visit a server, does the harm, waits until both have ended as they should, and
 * judges what they say.  What is wrong ends the test.  `ret_bytes` (may be NULL) is what went up
 * and down in all. */
void
proxy_run(const struct harm_plan *plan, size_t ret_bytes[2]);

#endif
