#ifndef AFAR_RUNTIME_CHANNEL_LOOK_H
#define AFAR_RUNTIME_CHANNEL_LOOK_H

/* A thread looks, before it sleeps, for what another thread of this process is about to do: who answers does so
 * at once, or is not running.
 *
 * How long it looks is learned from what looking has brought, as adaptive mutexes do: too long takes the
 * processor away from the one it waits for.  What is learned is the thread's own. */

#include <stdbool.h>
#include <stdint.h>

#include "runtime/clock.h"

enum {
    AFAR__LOOK_MISSED = 8, /* doublings of the pause at most */
    AFAR__LOOK_FEWEST = 20
};

#define AFAR__LOOK_LONG (40 * AFAR__MICROSECOND)

typedef struct afar__learned {
    int looks;              /* so many were needed of late */
    unsigned missed, pause; /* long ones that found nothing; waits until the next */
    int processors;         /* that this thread may run on; 0: not known yet */
} afar__learned;

extern _Thread_local afar__learned afar__looks_learned; /* look.c */

typedef bool (*afar__look_fn)(const void *arg);

/* More than one that this thread may run on. */
bool
afar__look_has_processors(void);

static inline void
afar__look_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline bool
afar__look_short(afar__look_fn has_come, const void *arg, int most)
{
    afar__learned *learned = &afar__looks_learned;
    int i = 0;

    while (i < most && !has_come(arg)) {
        afar__look_relax();
        i++;
    }
    learned->looks += i < most ? (i - learned->looks) / 8 : -learned->looks / 8;
    return i < most || has_come(arg);
}

/* Once both sides sleep, each is too slow for the other's short look, and would stay so: the time that it takes
 * to wake a thread is what a long look outlasts.  Where these find nothing they become rare. */
static inline bool
afar__look_long(afar__look_fn has_come, const void *arg)
{
    afar__learned *learned = &afar__looks_learned;
    int64_t until = afar__now() + AFAR__LOOK_LONG;
    bool found = false;

    do
        for (int i = 0; i < 16 && !(found = has_come(arg)); i++)
            afar__look_relax();
    while (!found && afar__now() < until);
    if (found)
        learned->missed = 0;
    else if (learned->missed < AFAR__LOOK_MISSED)
        learned->missed++;
    learned->pause = 1u << learned->missed;
    return found;
}

/* While others run on this processor, one of them may be who is waited for, and to be back in line costs less than
 * to sleep and be woken, which is on another processor as often as not.  Only a few threads do so at a time:
 * those that are woken wait behind them. */
bool
afar__look_yield(afar__look_fn has_come, const void *arg);

/* True: it has come. */
static inline bool
afar__look(afar__look_fn has_come, const void *arg)
{
    afar__learned *learned = &afar__looks_learned;

    if (afar__look_has_processors()) {
        if (afar__look_short(has_come, arg, 2 * learned->looks + AFAR__LOOK_FEWEST))
            return true;
        if (learned->pause > 0)
            learned->pause--;
        else if (afar__look_long(has_come, arg))
            return true;
    }
    return afar__look_yield(has_come, arg);
}

#endif
