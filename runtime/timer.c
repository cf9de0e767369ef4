/* Timers: a pairing heap of those that are set, under one lock, and the time of the first one
 * beside it, for whoever polls to look at without the lock.
 *
 * The heap is made of the timers themselves.  `child` is the first of those below a timer, which
 * hang together by `next`; `link` is what points to it: the heap's root, its parent's `child`, or
 * the `next` of the one before it.  None below a timer is earlier than it is.
 *
 * What is due is moved from the heap into a list first, and rung from there one by one, without
 * the lock.  So a timer that is set from inside a ring waits for the next run, even if it is due
 * already, and events get their turn in between.  A timer in that list is still set: its `link`
 * works as in the heap, so unlinking one needs not know where it is.
 *
 * Setting one runs on any thread; ringing on the leader, of which there is one at a time.
 *
 * `first` is stored before anybody looks at whether the leader sleeps, and the leader says
 * that it sleeps before it looks at `first` for the last time; both are sequentially consistent.
 * So either the leader sees a new timer, or who set it sees the leader, and kicks it. */

#include "runtime/timer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "runtime/clock.h"
#include "runtime/lead.h"

static struct {
    pthread_mutex_t lock;
    afar__timer *root;      /* the heap; guarded by lock */
    afar__timer *due;       /* to be rung by the run that moved them here; guarded by lock */
    _Atomic(int64_t) first; /* when the root rings; changed under the lock */
} timers = { .lock = PTHREAD_MUTEX_INITIALIZER, .first = AFAR__NEVER };

/* ---- the heap ---- */

static void
hang(afar__timer **link, afar__timer *timer)
{
    *link = timer;
    if (timer)
        timer->link = link;
}

/* Both are roots, or NULL. */
static afar__timer *
meld(afar__timer *one, afar__timer *other)
{
    if (!one || !other)
        return one ? one : other;
    if (other->when < one->when) {
        afar__timer *earlier = other;

        other = one;
        one = earlier;
    }
    hang(&other->next, one->child);
    hang(&one->child, other);
    return one;
}

/* Siblings become one heap: in pairs from the left, then the pairs from the right, which is what
 * makes it logarithmic. */
static afar__timer *
meld_all(afar__timer *siblings)
{
    afar__timer *pairs = NULL, *root = NULL;

    while (siblings) {
        afar__timer *one = siblings, *other = one->next;

        siblings = other ? other->next : NULL;
        one->next = NULL;
        if (other)
            other->next = NULL;
        one = meld(one, other);
        one->next = pairs;
        pairs = one;
    }
    while (pairs) {
        afar__timer *pair = pairs;

        pairs = pair->next;
        pair->next = NULL;
        root = meld(root, pair);
    }
    return root;
}

static void
plant_locked(afar__timer *root)
{
    hang(&timers.root, root);
    atomic_store(&timers.first, root ? root->when : AFAR__NEVER);
}

static void
unlink_locked(afar__timer *timer)
{
    afar__timer *below = meld_all(timer->child);

    hang(timer->link, timer->next);
    timer->link = NULL;
    timer->next = NULL;
    timer->child = NULL;
    plant_locked(meld(timers.root, below));
}

/* ---- setting ---- */

void
afar__timer_set(afar__timer *timer, int64_t when)
{
    bool first;

    pthread_mutex_lock(&timers.lock);
    if (timer->link)
        unlink_locked(timer);
    timer->when = when;
    timer->child = NULL;
    timer->next = NULL;
    plant_locked(meld(timers.root, timer));
    first = timers.root == timer;
    pthread_mutex_unlock(&timers.lock);
    if (first)
        afar__lead_hurry(when);
}

bool
afar__timer_clear(afar__timer *timer)
{
    bool set;

    pthread_mutex_lock(&timers.lock);
    set = timer->link != NULL;
    if (set)
        unlink_locked(timer);
    pthread_mutex_unlock(&timers.lock);
    return set;
}

/* ---- ringing ---- */

int64_t
afar__timer_next(void)
{
    return atomic_load(&timers.first);
}

static void
gather_due_locked(int64_t now)
{
    afar__timer **end = &timers.due;

    while (timers.root && timers.root->when <= now) {
        afar__timer *timer = timers.root;

        unlink_locked(timer);
        hang(end, timer);
        end = &timer->next;
    }
}

void
afar__timer_run(int64_t now)
{
    pthread_mutex_lock(&timers.lock);
    gather_due_locked(now);
    while (timers.due) {
        afar__timer *timer = timers.due;

        unlink_locked(timer);
        pthread_mutex_unlock(&timers.lock);
        timer->ring(timer);
        pthread_mutex_lock(&timers.lock);
    }
    pthread_mutex_unlock(&timers.lock);
}
