/* Graces.
 *
 *     none    -> running    a session broke that held the object
 *     running -> running    another one did: it ends later
 *     running -> none       its time is over, or its node closes
 *
 * Each object has one, however many sessions break: so peers that come, take a reference and
 * break off make nothing grow.  While it runs it has a reference to the object, is in the
 * list of all, and its timer is set or rings.  A grace that ends later leaves its timer as it is;
 * the ring sees that it came too early.  So there is one ring under way at most, and
 * who finds the timer unset leaves the end to it.
 *
 * `lock` guards the list and what the graces in it have; no object is closed under it.  A grace
 * is background work: nobody else may be polling. */

#include "runtime/grace.h"

#include <pthread.h>

#include "runtime/clock.h"
#include "runtime/engine.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static afar__grace *running;

static void
unlink_locked(afar__grace *grace)
{
    *grace->link = grace->next;
    if (grace->next)
        grace->next->link = grace->link;
    grace->link = NULL;
}

/* It is in no list any more: with its reference the object may go, and the grace with it. */
static void
let_go(afar__grace *grace)
{
    afar_object_close(grace->object);
    afar__engine_background_end();
}

static void
ring(afar__timer *timer)
{
    afar__grace *grace = (afar__grace *)((char *)timer - offsetof(afar__grace, timer));
    bool over;

    pthread_mutex_lock(&lock);
    over = afar__now() >= grace->until;
    if (over)
        unlink_locked(grace);
    else
        afar__timer_set(&grace->timer, grace->until);
    pthread_mutex_unlock(&lock);
    if (over)
        let_go(grace);
}

void
afar__grace_init(afar__grace *grace, afar_object *object, unsigned ms)
{
    *grace = (afar__grace){
        .object = object,
        .time = ms * AFAR__MILLISECOND,
        .timer = { .ring = ring },
    };
}

/* False: it ran already, and has its reference. */
static bool
start_locked(afar__grace *grace)
{
    if (grace->link)
        return false;
    grace->next = running;
    grace->link = &running;
    if (grace->next)
        grace->next->link = &grace->next;
    running = grace;
    afar__timer_set(&grace->timer, grace->until);
    return true;
}

void
afar__grace_begin(afar__grace *grace, const afar_node *node)
{
    bool started;

    if (grace->time == 0 || afar__engine_background(NULL)) {
        afar_object_close(grace->object);
        return;
    }
    pthread_mutex_lock(&lock);
    grace->node = node;
    grace->until = afar__now() + grace->time;
    started = start_locked(grace);
    pthread_mutex_unlock(&lock);
    if (!started)
        let_go(grace);
}

/* One that is unlinked, NULL when there is none; those that ring now end by that. */
static afar__grace *
take(const afar_node *node)
{
    afar__grace *found = NULL;

    pthread_mutex_lock(&lock);
    for (afar__grace *grace = running; grace && !found; grace = grace->next) {
        if (grace->node != node)
            continue;
        if (afar__timer_clear(&grace->timer))
            found = grace;
        else
            grace->until = 0;
    }
    if (found)
        unlink_locked(found);
    pthread_mutex_unlock(&lock);
    return found;
}

void
afar__graces_end(const afar_node *node)
{
    afar__grace *grace;

    if (afar__engine_forked())
        return;
    while ((grace = take(node)))
        let_go(grace);
}
