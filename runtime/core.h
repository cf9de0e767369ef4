#ifndef AFAR_RUNTIME_CORE_H
#define AFAR_RUNTIME_CORE_H

/* What the engine needs of the core of gRPC, without its types.  One thread at a
 * time may be in afar__core_next; the engine sees to that. */

#include <stdbool.h>
#include <stdint.h>

/* What an event is for.  It is embedded in what waits for the event. */
typedef struct afar__tag afar__tag;
struct afar__tag {
    void (*done)(afar__tag *tag, bool ok);
    afar__tag *next_posted; /* guarded by the core's lock */
    bool posted_ok;         /* the same */
};

/* One event: what was started with `tag` is done. */
typedef struct afar__event {
    afar__tag *tag;
    bool ok;
} afar__event;

void
afar__core_open(void);

/* Nothing may be under way any more. */
void
afar__core_close(void);

/* Takes one event; false if none came until `deadline` (0: does not wait). */
bool
afar__core_next(int64_t deadline, afar__event *ret_event);

/* Does what the event asks for.  Never runs user code. */
void
afar__core_dispatch(afar__event event);

/* Makes a thread that waits in afar__core_next return soon.  Any thread. */
void
afar__core_kick(void);

/* Makes a tag come back though nothing was started with it; in the order of the posts.  Any
 * thread, also within an event. */
void
afar__core_post(afar__tag *tag, bool ok);

#endif
