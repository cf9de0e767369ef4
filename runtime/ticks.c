/* The ticks of the watcher (engine.c).
 *
 * Short ticks find soon what lasts, long ones cost little where traffic is rare: to wake a thread
 * costs more than a short call.  So ticks grow long while the role moves seldom and nothing has
 * lasted for quite a while, and are short again after the first thing that lasts.
 *
 * The role stands open for too long after a tick in which its holder stayed in user code.  If it
 * is vacant it may stay so until the callers' patience is over (wait.c). */

#include "runtime/ticks.h"

#include "runtime/engine_parts.h"
#include "runtime/lead.h"

#define SHORT (200 * AFAR__MICROSECOND)
#define USUAL (500 * AFAR__MICROSECOND)
#define LONG (2 * AFAR__MILLISECOND)
#define FEW 8    /* moves in a tick are little traffic */
#define CALM 256 /* ticks since something lasted are quite a while */

int64_t
afar__ticks_next(const afar__ticks *ticks, unsigned moves, int64_t stood)
{
    int64_t left = afar__callers_patience() - stood;

    if (moves <= FEW && left > 0 && left < ticks->length && afar__lead_vacant())
        return left;
    return ticks->length;
}

void
afar__ticks_moved(afar__ticks *ticks, unsigned moves)
{
    int64_t most = ticks->calm < CALM || moves > FEW ? USUAL : LONG;

    if (ticks->calm < CALM)
        ticks->calm++;
    ticks->length = ticks->length * 2 < most ? ticks->length * 2 : most;
}

void
afar__ticks_lasted(afar__ticks *ticks)
{
    ticks->calm = 0;
    ticks->length = SHORT;
}

bool
afar__ticks_over(afar__ticks *ticks, int64_t stood)
{
    if (afar__lead_vacant())
        return stood >= afar__callers_patience();
    afar__ticks_lasted(ticks);
    return true;
}
