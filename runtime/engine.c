/* The engine: library threads and the queue of user code; waiting is in wait.c.
 *
 * Threads.  A library thread does one of three things: it runs user code, it
 * holds the poller role (lead.c) and takes events from the core, or it idles.
 * What an event asks of user code runs on the thread that took the event, if
 * that is a library thread, while the role stands open: a call is then served
 * without a switch of threads.  A caller that holds the role while it waits
 * never runs user code; it queues it and an idle library thread takes it.
 *
 * One event may ask for many tasks.  Its thread keeps them (kept.c) and runs one after the
 * other, which is quick while they are short.  When one of them lasts, those behind it go to
 * the run queue.
 *
 * One of the idle threads is the watcher.  It wakes every now and then while there is traffic
 * or tasks wait behind others.  It takes the role if that stood open for a whole tick: its
 * holder is in user code for long, or left it vacant and no caller is likely to come back for it
 * soon (wait.c).  And it takes away what waited for a whole tick behind the same task.  When
 * nothing moves the watcher sleeps like the others, and costs nothing, also beside a task
 * that lasts alone.
 *
 * To the run queue one thread at a time is summoned; when it takes a task and leaves others
 * it summons the next.  So there are as many as the tasks keep busy, and not one for each.
 *
 * Before a thread goes into user code, or waits there, it makes sure that
 * another one idles, and starts it if not.  So handlers may block, on each other
 * too: there is always a thread to run the next one, up to AFAR__MAX_THREADS.  The
 * wait that would take the last thread is refused.
 *
 * `engine.lock` guards the lists and counts in `engine` that are not atomic.  It is
 * never held while user code or the core runs.
 *
 * Life: the first hold opens the core, the last release joins the threads and
 * closes it.  A release on a library thread cannot join itself, and one inside the
 * core cannot close it: a thread made for that does it. */

#include "runtime/engine.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "runtime/clock.h"
#include "runtime/core.h"
#include "runtime/engine_parts.h"
#include "runtime/fork.h"
#include "runtime/futex.h"
#include "runtime/kept.h"
#include "runtime/lead.h"
#include "runtime/log.h"
#include "runtime/misuse.h"
#include "runtime/ticks.h"

#define SPARE_THREADS 2               /* idle ones that stay */
#define SPARE_TIME (5 * AFAR__SECOND) /* after which the others go */

/* What an idle thread parks on. */
enum {
    ASLEEP,
    NUDGED, /* to look whether somebody must watch; still in the list of the idle ones */
    CALLED, /* to leave that list, and look for work */
};

struct thread {
    pthread_t id;
    bool dispatching; /* takes events: keeps their tasks for itself */
    bool waiting;     /* in afar__wait, in the middle of a task */
    afar__kept kept;
    atomic_uint woken; /* changed under engine.lock */

    /* Guarded by engine.lock. */
    bool summoned; /* to look at the queue, and has not yet */
    struct thread *next, *next_idle, *next_dead;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t gone; /* a thread ended, or the core was closed */
    unsigned holds;
    bool open;
    bool closing;      /* between the last release and the core's end */
    unsigned blocked;  /* library threads that wait in user code */
    unsigned summoned; /* threads on their way to the queue */
    struct thread *all;
    struct thread *idle;
    struct thread *dead;       /* ended, to be joined */
    afar__task *first, **last; /* the run queue */
    afar__ticks ticks;         /* of the watcher */

    atomic_uint threads; /* changed under the lock; the last two stay */
    atomic_bool stopping;
    atomic_bool wanted;          /* a caller waits for a library thread to let go */
    atomic_bool library_blocked; /* the leader is a library thread and blocks */
    atomic_bool watching;
    atomic_uint idle_count;
    atomic_uint queued;
    atomic_uint background;
} engine = { .lock = PTHREAD_MUTEX_INITIALIZER,
             .gone = PTHREAD_COND_INITIALIZER,
             .ticks = AFAR__TICKS_INIT };

static _Thread_local struct thread *this_thread;
static _Thread_local _Alignas(8) char this_caller;
static _Thread_local unsigned in_events;

static void *
library_thread(void *argument);

bool
afar__engine_is_library_thread(void)
{
    return this_thread != NULL;
}

afar__leader
afar__engine_self(void)
{
    return this_thread ? (afar__leader)this_thread : (afar__leader)&this_caller;
}

bool
afar__engine_may_wait(void)
{
    return !this_thread && in_events == 0 && !afar__lead_is_ours(afar__engine_self());
}

void
afar__engine_event_begin(void)
{
    in_events++;
}

void
afar__engine_event_end(void)
{
    in_events--;
}

/* ---- threads ---- */

/* NULL if there is none to be had. */
static struct thread *
spawn_locked(void)
{
    struct thread *thread;
    int failed;

    if (engine.threads >= AFAR__MAX_THREADS || !engine.open)
        return NULL;
    thread = calloc(1, sizeof *thread);
    if (!thread)
        return NULL;
    failed = afar__thread_make(&thread->id, library_thread, thread);
    if (failed) {
        afar__log(AFAR_LOG_ERROR, "no thread: error %d, with %u running", failed,
                  atomic_load(&engine.threads));
        free(thread);
        return NULL;
    }
    thread->summoned = true;
    engine.summoned++;
    thread->next = engine.all;
    engine.all = thread;
    engine.threads++;
    return thread;
}

static struct thread *
wake_idle_locked(void)
{
    struct thread *thread = engine.idle;

    engine.idle = thread->next_idle;
    atomic_fetch_sub(&engine.idle_count, 1);
    atomic_store(&thread->woken, CALLED);
    afar__futex_wake(&thread->woken);
    return thread;
}

/* Wakes an idle thread, or makes one; NULL if there is none to be had. */
static struct thread *
summon_locked(void)
{
    return engine.idle ? wake_idle_locked() : spawn_locked();
}

static void
ensure_spare(void)
{
    if (atomic_load(&engine.idle_count) > 0)
        return;
    pthread_mutex_lock(&engine.lock);
    if (!engine.idle && engine.summoned == 0)
        (void)spawn_locked();
    pthread_mutex_unlock(&engine.lock);
}

static void
leave_idle_locked(struct thread *thread)
{
    struct thread **link = &engine.idle;

    while (*link && *link != thread)
        link = &(*link)->next_idle;
    if (!*link)
        return;
    *link = thread->next_idle;
    atomic_fetch_sub(&engine.idle_count, 1);
}

/* ---- the run queue ---- */

/* One at a time is on its way: it calls the next one if it leaves tasks behind.  So many short
 * tasks do not get a thread each. */
static void
summon_for_queue_locked(void)
{
    if (!engine.first || engine.summoned > 0)
        return;
    if (!engine.idle) {
        (void)spawn_locked();
        return;
    }
    wake_idle_locked()->summoned = true;
    engine.summoned++;
}

/* It has come. */
static void
summoned_locked(struct thread *thread)
{
    if (thread->summoned)
        engine.summoned--;
    thread->summoned = false;
}

/* All that are linked by `next`; may be NULL. */
static void
queue_locked(afar__task *task)
{
    while (task) {
        afar__task *next = task->next;

        if (!engine.first)
            engine.last = &engine.first;
        task->next = NULL;
        *engine.last = task;
        engine.last = &task->next;
        atomic_fetch_add(&engine.queued, 1);
        task = next;
    }
    summon_for_queue_locked();
}

static afar__task *
next_task(struct thread *thread)
{
    afar__task *task;

    if (atomic_load(&engine.queued) == 0)
        return NULL;
    pthread_mutex_lock(&engine.lock);
    summoned_locked(thread);
    task = engine.first;
    if (task) {
        engine.first = task->next;
        atomic_fetch_sub(&engine.queued, 1);
        summon_for_queue_locked();
    }
    pthread_mutex_unlock(&engine.lock);
    return task;
}

/* ---- who must be watched ---- */

/* Whether a library thread should take the role that stands open. */
static bool
should_lead(void)
{
    return atomic_load(&engine.background) > 0 && afar__lead_open();
}

static bool
some_laden_locked(void)
{
    for (struct thread *thread = engine.all; thread; thread = thread->next)
        if (afar__kept_laden(&thread->kept))
            return true;
    return false;
}

static bool
needs_watching_locked(void)
{
    return should_lead() || some_laden_locked();
}

/* The watcher does so at each tick. */
static void
relieve_locked(void)
{
    for (struct thread *thread = engine.all; thread; thread = thread->next) {
        afar__task *late = afar__kept_take_late(&thread->kept);

        if (late)
            afar__ticks_lasted(&engine.ticks);
        queue_locked(late);
    }
}

static void
nudge_locked(void)
{
    struct thread *thread = engine.idle;

    if (!thread || atomic_load(&thread->woken) == NUDGED)
        return;
    atomic_store(&thread->woken, NUDGED);
    afar__futex_wake(&thread->woken);
}

static void
call_watcher_locked(void)
{
    if (atomic_load(&engine.watching))
        return;
    if (engine.idle)
        nudge_locked();
    else if (engine.summoned == 0)
        (void)spawn_locked();
}

/* Tasks wait behind the one that this thread runs, or is about to. */
static void
laden(void)
{
    if (atomic_load(&engine.watching))
        return;
    pthread_mutex_lock(&engine.lock);
    call_watcher_locked();
    pthread_mutex_unlock(&engine.lock);
}

void
afar__engine_lead_opened(void)
{
    if (afar__wake_parked() || atomic_load(&engine.watching) ||
        atomic_load(&engine.background) == 0 || atomic_load(&engine.idle_count) == 0)
        return;
    pthread_mutex_lock(&engine.lock);
    call_watcher_locked();
    pthread_mutex_unlock(&engine.lock);
}

/* ---- tasks ---- */

/* A library thread that waits in a task does not get to what it keeps. */
static bool
keeps(struct thread *thread)
{
    return thread && !thread->waiting;
}

void
afar__engine_run_next(afar__task *task)
{
    struct thread *thread = this_thread;

    if (!keeps(thread)) {
        afar__engine_run(task);
        return;
    }
    afar__kept_add(&thread->kept, task);
    if (afar__kept_laden(&thread->kept))
        laden();
}

void
afar__engine_run_last(afar__task *task)
{
    struct thread *thread = this_thread;

    if (!keeps(thread)) {
        afar__engine_run(task);
        return;
    }
    afar__kept_add_last(&thread->kept, task);
    if (afar__kept_laden(&thread->kept))
        laden();
}

void
afar__engine_run(afar__task *task)
{
    struct thread *thread = this_thread;

    if (thread && thread->dispatching) {
        afar__kept_add(&thread->kept, task);
        return;
    }
    task->next = NULL;
    pthread_mutex_lock(&engine.lock);
    queue_locked(task);
    pthread_mutex_unlock(&engine.lock);
}

afar_code
afar__engine_background(afar_error *err)
{
    unsigned threads;

    if ((atomic_fetch_add(&engine.background, 1) > 0 || atomic_load(&engine.watching)) &&
        atomic_load(&engine.threads) > 0)
        return AFAR_OK;
    pthread_mutex_lock(&engine.lock);
    (void)summon_locked();
    threads = atomic_load(&engine.threads);
    pthread_mutex_unlock(&engine.lock);
    if (threads > 0)
        return AFAR_OK;
    atomic_fetch_sub(&engine.background, 1);
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no thread can be made to work in");
}

void
afar__engine_background_end(void)
{
    atomic_fetch_sub(&engine.background, 1);
}

/* ---- library threads ---- */

/* Runs what the last event asked for, as the leader.  False if somebody took the
 * role meanwhile. */
static bool
run_user(struct thread *thread)
{
    if (!afar__kept_any(&thread->kept))
        return true;
    ensure_spare();
    afar__lead_enter_user((afar__leader)thread);
    afar__engine_lead_opened();
    do
        afar__kept_run(&thread->kept, laden);
    while (afar__kept_run_last(&thread->kept, laden));
    return afar__lead_leave_user((afar__leader)thread);
}

static bool
library_stop(void *arg)
{
    (void)arg;
    return atomic_load(&engine.wanted) ||
           atomic_load_explicit(&engine.stopping, memory_order_relaxed);
}

static void
library_block(void *arg, bool blocked)
{
    (void)arg;
    atomic_store(&engine.library_blocked, blocked);
}

static void
lead_loop(struct thread *thread)
{
    bool ours = true;

    while (ours && !library_stop(NULL)) {
        thread->dispatching = true;
        afar__lead_poll(AFAR__NEVER, library_stop, NULL, library_block);
        thread->dispatching = false;
        ours = run_user(thread);
    }
    if (!ours)
        return;
    atomic_store(&engine.wanted, false);
    afar__lead_release((afar__leader)thread);
    afar__engine_lead_opened();
}

/* Whether the watcher may sleep.  `watching` is false when it looks: who leaves something to be
 * watched looks at that afterwards. */
static bool
unwatch_locked(void)
{
    atomic_store(&engine.watching, false);
    if (!needs_watching_locked())
        return true;
    atomic_store(&engine.watching, true);
    return false;
}

/* Ticks while the role moves, or tasks wait behind others.  True when the role stood open for a
 * whole tick, or for as long as callers are waited for; false when there is nothing to watch. */
static bool
watch_locked(struct thread *thread)
{
    unsigned moves = 0;
    int64_t stood = 0;

    atomic_store(&engine.watching, true);
    for (;;) {
        unsigned epoch = afar__lead_epoch();
        int64_t tick = afar__ticks_next(&engine.ticks, moves, stood);

        pthread_mutex_unlock(&engine.lock);
        afar__futex_wait(&thread->woken, ASLEEP, afar__now() + tick);
        pthread_mutex_lock(&engine.lock);
        if (atomic_load(&thread->woken) == CALLED)
            break;
        relieve_locked();
        moves = afar__lead_epoch() - epoch;
        stood = moves == 0 ? stood + tick : 0;
        if (moves > 0)
            afar__ticks_moved(&engine.ticks, moves);
        else if (should_lead() && afar__ticks_over(&engine.ticks, stood))
            break;
        /* One move is the end of what it was called for, or of what was under way. */
        if (moves <= 1 && unwatch_locked())
            return false;
    }
    atomic_store(&engine.watching, false);
    return atomic_load(&thread->woken) != CALLED;
}

/* Sleeps, or watches if nobody does and somebody must.  True if it is to take the role. */
static bool
idle_once_locked(struct thread *thread, bool *ret_stay)
{
    bool spare;
    int64_t until;

    if (atomic_load(&thread->woken) == NUDGED)
        atomic_store(&thread->woken, ASLEEP);
    if (!atomic_load(&engine.watching) && needs_watching_locked())
        return watch_locked(thread);
    spare = atomic_load(&engine.idle_count) > SPARE_THREADS;
    until = spare ? afar__now() + SPARE_TIME : AFAR__NEVER;
    pthread_mutex_unlock(&engine.lock);
    afar__futex_wait(&thread->woken, ASLEEP, until);
    pthread_mutex_lock(&engine.lock);
    *ret_stay = !spare || atomic_load(&thread->woken) || afar__now() < until ||
                atomic_load(&engine.idle_count) <= SPARE_THREADS;
    return false;
}

/* Idles until there is something to do.  False if the thread should end;
 * otherwise *ret_lead says whether it is to take the role. */
static bool
idle(struct thread *thread, bool *ret_lead)
{
    bool stay = true;

    *ret_lead = false;
    pthread_mutex_lock(&engine.lock);
    summoned_locked(thread);
    if (engine.first || atomic_load(&engine.stopping)) {
        stay = engine.first != NULL;
        pthread_mutex_unlock(&engine.lock);
        return stay;
    }
    atomic_store(&thread->woken, ASLEEP);
    thread->next_idle = engine.idle;
    engine.idle = thread;
    atomic_fetch_add(&engine.idle_count, 1);
    while (atomic_load(&thread->woken) != CALLED && stay && !*ret_lead)
        *ret_lead = idle_once_locked(thread, &stay);
    leave_idle_locked(thread);
    /* It may have watched, or been asked to, and does something else now, perhaps for long. */
    if (*ret_lead ? some_laden_locked() : needs_watching_locked())
        call_watcher_locked();
    pthread_mutex_unlock(&engine.lock);
    return stay;
}

/* Each thread that ends joins the ones that ended before it; closing joins the
 * last. */
static void
join_dead(struct thread *dead)
{
    while (dead) {
        struct thread *next = dead->next_dead;

        pthread_join(dead->id, NULL);
        free(dead);
        dead = next;
    }
}

static void
leave_all_locked(struct thread *thread)
{
    struct thread **link = &engine.all;

    while (*link != thread)
        link = &(*link)->next;
    *link = thread->next;
}

static void
end_thread(struct thread *thread)
{
    struct thread *before;

    pthread_mutex_lock(&engine.lock);
    before = engine.dead;
    engine.dead = NULL;
    pthread_mutex_unlock(&engine.lock);
    join_dead(before);
    pthread_mutex_lock(&engine.lock);
    engine.threads--;
    leave_all_locked(thread);
    thread->next_dead = engine.dead;
    engine.dead = thread;
    pthread_cond_broadcast(&engine.gone);
    pthread_mutex_unlock(&engine.lock);
}

static void *
library_thread(void *argument)
{
    struct thread *thread = argument;
    bool lead = false;
    afar__task *task;

    this_thread = thread;
    pthread_setname_np(pthread_self(), "afar");
    do {
        do
            while ((task = next_task(thread)) != NULL) {
                ensure_spare();
                afar__kept_add(&thread->kept, task);
                afar__kept_run(&thread->kept, laden);
            }
        while (afar__kept_run_last(&thread->kept, laden));
        if (lead && should_lead() && !atomic_load(&engine.stopping) &&
            afar__lead_take((afar__leader)thread, true))
            lead_loop(thread);
    } while (idle(thread, &lead));
    end_thread(thread);
    return NULL;
}

/* ---- for those who wait ---- */

bool
afar__engine_lead_sleeps(void)
{
    return atomic_load(&engine.library_blocked) && afar__lead_in_library();
}

/* Asks a library thread that has the role to let go. */
void
afar__engine_ask_for_lead(void)
{
    if (!afar__lead_in_library())
        return;
    atomic_store(&engine.wanted, true);
    if (atomic_load(&engine.library_blocked))
        afar__core_kick();
}

void
afar__engine_lead_taken(void)
{
    if (atomic_load(&engine.wanted))
        atomic_store(&engine.wanted, false);
}

/* A library thread that waits in user code is replaced, and what it kept for
 * later goes to the others. */
bool
afar__engine_block(void)
{
    struct thread *thread = this_thread;
    bool room;

    if (!thread) {
        /* A thread that could not be made when its task came may be had now. */
        if (atomic_load(&engine.queued) > 0)
            ensure_spare();
        return true;
    }

    pthread_mutex_lock(&engine.lock);
    room = engine.blocked + 1 < AFAR__MAX_THREADS;
    if (room) {
        engine.blocked++;
        thread->waiting = true;
        queue_locked(afar__kept_take_all(&thread->kept));
        if (!engine.idle)
            (void)spawn_locked();
    }
    pthread_mutex_unlock(&engine.lock);
    return room;
}

void
afar__engine_unblock(void)
{
    if (!this_thread)
        return;
    this_thread->waiting = false;
    pthread_mutex_lock(&engine.lock);
    engine.blocked--;
    pthread_mutex_unlock(&engine.lock);
}

/* ---- life ---- */

afar_code
afar__engine_hold(afar_error *err)
{
    afar_code code = afar__engine_check(err);

    if (code)
        return code;
    pthread_mutex_lock(&engine.lock);
    while (engine.closing && !this_thread)
        pthread_cond_wait(&engine.gone, &engine.lock);
    if (engine.closing) {
        pthread_mutex_unlock(&engine.lock);
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "the last node is being closed; a handler cannot open another now");
    }
    engine.holds++;
    if (!engine.open) {
        afar__fork_in_use(true);
        afar__core_open();
        engine.open = true;
    }
    pthread_mutex_unlock(&engine.lock);
    return AFAR_OK;
}

/* Joins the threads and closes the core.  Not on a library thread. */
static void *
shut_down(void *argument)
{
    struct thread *dead;

    pthread_mutex_lock(&engine.lock);
    atomic_store(&engine.stopping, true);
    engine.open = false;
    afar__fork_in_use(false);
    while (engine.threads > 0) {
        while (engine.idle)
            (void)wake_idle_locked();
        if (atomic_load(&engine.library_blocked))
            afar__core_kick();
        struct timespec soon;
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec += AFAR__MILLISECOND;
        soon.tv_sec += soon.tv_nsec / AFAR__SECOND;
        soon.tv_nsec %= AFAR__SECOND;
        pthread_cond_timedwait(&engine.gone, &engine.lock, &soon);
    }
    dead = engine.dead;
    engine.dead = NULL;
    pthread_mutex_unlock(&engine.lock);
    join_dead(dead);
    while (!afar__lead_take(afar__engine_self(), false))
        sched_yield();
    afar__core_close();
    afar__lead_release(afar__engine_self());
    pthread_mutex_lock(&engine.lock);
    atomic_store(&engine.stopping, false);
    engine.closing = false;
    pthread_cond_broadcast(&engine.gone);
    pthread_mutex_unlock(&engine.lock);
    return argument;
}

void
afar__engine_release(void)
{
    bool last;

    if (afar__engine_forked())
        return;
    pthread_mutex_lock(&engine.lock);
    last = --engine.holds == 0;
    engine.closing = last;
    pthread_mutex_unlock(&engine.lock);
    if (!last)
        return;
    if (afar__engine_aside(shut_down, NULL))
        return;
    /* It stays open, for whoever holds it next. */
    pthread_mutex_lock(&engine.lock);
    engine.closing = false;
    pthread_cond_broadcast(&engine.gone);
    pthread_mutex_unlock(&engine.lock);
}
