#ifndef AFAR_RUNTIME_SEEK_H
#define AFAR_RUNTIME_SEEK_H

/* Calls that are made again at another place, whatever carries them.  finder.h says when
 * that happens; this is how.
 *
 * A goal is where a reference that was opened by name goes: the place that is known now, and
 * the finder.  A seek is a call on it, from its first attempt to its end, or a
 * thread that is about to start a stream.  Whoever carries calls embeds a seek in his own:
 *
 *     afar__seek_init                         the call is made
 *     goal->bad?  afar__seek_wait_locked      its first attempt has to wait for a place
 *     afar__seek_go_locked                    an attempt is made at the place it gives
 *     it succeeds                             over
 *     it fails: its error into seek->error
 *         afar__seek_failed is true           afar__seek_wait_locked, if it still may
 *         afar__seek_failed is false          over: afar__seek_conclude
 *     seek->tell runs
 *         AFAR__VERDICT_GO                    the next attempt: afar__seek_go_locked
 *         AFAR__VERDICT_FAIL                  over, as seek->error says: afar__seek_conclude
 *     time over, cancelled, client closed, the call it is made in has ended
 *         afar__seek_leave_locked is true     over: afar__seek_give_up, afar__seek_conclude
 *         it is false                         it was told before, or does not wait
 *     afar__seek_clear
 *
 * While a seek waits, it belongs to its goal: the lock of that guards it, error included.
 * Else it belongs to its carrier.  The carrier keeps the flag that says "cancelled", and looks
 * at it under the lock of the goal before it waits and before it goes: then no cancel is
 * overlooked.  It also sees to deadlines.  While something waits a library thread has to
 * be there: the carrier brackets it with afar__engine_background and its end.
 *
 * A lock of a link may be taken under that of a goal, and whatever `tell` takes; so none of
 * these may be held when that of the goal is taken. */

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/engine.h"
#include "runtime/finder.h"
#include "runtime/object.h"

/* ---- goals ---- */

typedef struct afar__seek afar__seek;

typedef struct afar__goal {
    atomic_uint refs;
    afar__finder *finder;
    afar__task task;
    pthread_mutex_t lock; /* guards what follows, but not the name */
    afar__place place;
    uint64_t number; /* of the place, from 1 */
    bool bad;        /* somebody failed there: nobody goes there any more */
    bool looking;    /* the task runs */
    afar__seek *waiting;
    afar__waiters waiters; /* the task while it pauses; threads */
    char name[];           /* of the object */
} afar__goal;

/* NULL if memory is out.  Takes the finder, also then, and a reference of its own to the
 * place's link. */
afar__goal *
afar__goal_new(const afar__place *place, const char *name, afar__finder *finder);

afar__goal *
afar__goal_ref(afar__goal *goal);

/* NULL is allowed. */
void
afar__goal_unref(afar__goal *goal);

/* Before a stream starts: waits for a place, within the request's deadline, if the one there is
 * bad or is not connected. */
afar_code
afar__goal_ready(afar__goal *goal, const afar__request *request, afar_error *err);

/* Something that is not repeated has failed at the place with that number, which may turn
 * out to be bad. */
void
afar__goal_note(afar__goal *goal, uint64_t number, const afar_error *why);

/* ---- seeks ---- */

typedef enum afar__verdict {
    AFAR__VERDICT_NONE, /* not yet */
    AFAR__VERDICT_GO,   /* there is a place */
    AFAR__VERDICT_FAIL  /* there is none, as `error` says */
} afar__verdict;

struct afar__seek {
    /* The carrier's: there is a verdict, and the seek does not wait any more.  Under the lock
     * of the goal, on any thread: it only notes that, and wakes somebody or starts
     * something that comes back later. */
    void (*tell)(afar__seek *seek);

    afar__goal *goal; /* with a reference */
    const afar_method *method;
    uint64_t number;  /* of the place where it was made at last */
    unsigned tries;   /* how often it waited, and was in vain */
    bool patient;     /* waits for readiness: tries until its deadline */
    bool unsure;      /* an attempt may have arrived */
    afar_error error; /* why the last attempt failed, or all did */

    /* guarded by the lock of the goal */
    afar__seek *next, **link; /* among those who wait; link is NULL: does not */
    afar__verdict verdict;
};

/* A call is made: everything but `tell`. */
void
afar__seek_init(afar__seek *seek, afar__goal *goal, const afar__request *request);

/* Not while it waits. */
void
afar__seek_clear(afar__seek *seek);

/* An attempt is made: at that place, which stays so until the lock is let go. */
const afar__place *
afar__seek_go_locked(afar__seek *seek);

/* An attempt failed, as seek->error says.  True if the call may be made once more: it surely
 * did nothing, or may be done twice, and has not been made too often.  `dropped`: it was
 * the peer that cancelled it, if it was cancelled. */
bool
afar__seek_failed(afar__seek *seek, bool dropped);

/* Waits for another place than the one it was made at last, which is bad then. */
void
afar__seek_wait_locked(afar__seek *seek);

/* Does not wait any more: true, and it will not be told.  False: it did not wait. */
bool
afar__seek_leave_locked(afar__seek *seek);

/* Fills its error: nobody found a place before its deadline (`late`), with what was wrong at
 * last, or before it was cancelled. */
void
afar__seek_give_up(afar__seek *seek, bool late);

/* It has failed for good: its error tells the outcome of all attempts. */
void
afar__seek_conclude(afar__seek *seek);

#endif
