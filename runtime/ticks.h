#ifndef AFAR_RUNTIME_TICKS_H
#define AFAR_RUNTIME_TICKS_H

/* How often the watcher looks, and when it takes the role.  See ticks.c. */

#include <stdbool.h>
#include <stdint.h>

#include "runtime/clock.h"

/* Guarded by whoever has it. */
typedef struct afar__ticks {
    int64_t length; /* ns */
    unsigned calm;  /* ticks since something lasted; it does not count far */
} afar__ticks;

#define AFAR__TICKS_INIT                                                                           \
    {                                                                                              \
        200 * AFAR__MICROSECOND, 0                                                                 \
    }

/* How long the next tick is, after one in which the role moved so often; it has stood open for so
 * long by now. */
int64_t
afar__ticks_next(const afar__ticks *ticks, unsigned moves, int64_t stood);

/* The role moved, so often in the last tick. */
void
afar__ticks_moved(afar__ticks *ticks, unsigned moves);

/* A task lasted: others were taken from behind it. */
void
afar__ticks_lasted(afar__ticks *ticks);

/* The role stands open, without a move for so long.  True if that is too long. */
bool
afar__ticks_over(afar__ticks *ticks, int64_t stood);

#endif
