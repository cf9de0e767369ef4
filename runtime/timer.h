#ifndef AFAR_RUNTIME_TIMER_H
#define AFAR_RUNTIME_TIMER_H

/* Timers of the library.  Whoever polls the core looks at them as well, so they ring while
 * somebody polls: as long as the engine has background work (engine.h) or a caller waits.  None
 * rings early; one may ring late by a millisecond or two, since that is how the core sleeps.
 *
 * Who has a timer set holds the engine, and clears it before that ends. */

#include <stdbool.h>
#include <stdint.h>

typedef struct afar__timer afar__timer;
struct afar__timer {
    /* Runs on the thread that polls, which holds no lock; never user code.  The timer is unset
     * then, and may be set again from inside. */
    void (*ring)(afar__timer *timer);
    int64_t when; /* ns, by afar__now(); this and what follows is guarded by the timers' lock */
    afar__timer *child, *next, **link; /* a pairing heap; link is NULL while it is not set */
};

/* Sets it, or moves it; INT64_MAX: it never rings.  Any thread, with any lock held: the ring runs
 * later.  Does not fail. */
void
afar__timer_set(afar__timer *timer, int64_t when);

/* Unsets it.  False if it was not set: then it has rung, rings now, or was never set; who
 * frees the memory of a timer must know which. */
bool
afar__timer_clear(afar__timer *timer);

/* When the first one rings; INT64_MAX: none.  Cheap: one atomic load. */
int64_t
afar__timer_next(void);

/* Rings what is due, the earliest first.  What a ring sets waits for the next run, even if it is
 * due.  The leader only (lead.h). */
void
afar__timer_run(int64_t now);

#endif
