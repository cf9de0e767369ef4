/* The one board of this process, under its lock, and what the board wants done.
 *
 * Under the lock its wishes are only noted: wires that have something to be sent, threads to be
 * woken.  Whoever unlocks does them then.  A thread is woken by the address of its state: it may be awake and
 * gone already, so nothing of it is touched; a futex that nobody sleeps on is woken in vain. */

#include "runtime/channel/live.h"

#include <pthread.h>

#include "runtime/fork.h"
#include "runtime/futex.h"
#include "runtime/secure.h"

#define MOST_NOTED 32

static struct {
    _Alignas(AFAR__LINE) pthread_mutex_t lock;
    atomic_bool begun;

    /* guarded by the lock */
    bool later_queued;
    unsigned sleeper_count;
    afar__rest *done;
    afar__wire *due;
    afar__parcel *dead;
    afar__board board;
    atomic_uint *sleepers[MOST_NOTED];
    afar__task later;

    pthread_once_t once;
} channels = { .lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP, .once = PTHREAD_ONCE_INIT };

/* ---- what the board wants ---- */

static void
act(void *arg, afar__proxy *proxy, afar__step *step)
{
    afar__end *end = afar__proxy_user(proxy);

    (void)arg;
    afar__wire_step_locked(&end->wire, step);
}

static void
word(void *arg, afar__seat *seat, afar__step *step)
{
    afar__wire *wire = afar__seat_user(seat);
    bool last = step->kind == AFAR__STEP_ENDED;

    (void)arg;
    afar__wire_step_locked(wire, step);
    if (last)
        afar__wire_finish_locked(wire);
}

static void
done(void *arg, afar__select *select)
{
    (void)arg;
    afar__channels_done_locked(select->user);
}

static afar__parcel *
pack(void *arg, afar__guard *guard)
{
    afar__rest *rest = guard->select->user;

    (void)arg;
    return rest->pack(guard);
}

static void
unpack(void *arg, afar__guard *guard, afar__parcel *parcel)
{
    afar__rest *rest = guard->select->user;

    (void)arg;
    if (rest->unpack)
        rest->unpack(guard, parcel);
    else
        afar__parcel_drop_locked(parcel);
}

static size_t
bytes(void *arg, const afar__parcel *parcel)
{
    (void)arg;
    return afar__parcel_bytes(parcel);
}

static void
drop(void *arg, afar__parcel *parcel)
{
    (void)arg;
    afar__parcel_drop_locked(parcel);
}

static void
posted(void *arg, afar__proxy *proxy)
{
    afar__end *end = afar__proxy_user(proxy);

    (void)arg;
    afar__waiters_wake(&end->waiters);
}

static void
still(void *arg, afar__home *home, bool is_still)
{
    (void)arg;
    afar__meet_open_locked(afar__home_user(home), is_still);
}

static void
run_later(afar__task *task);

static void
begin(void)
{
    static const afar__board_ops ops = {
        act, word, done, pack, unpack, bytes, drop, posted, still
    };
    uint8_t process[16];

    afar__fork_has_channels();
    channels.later.run = run_later;
    afar__secure_random(process, sizeof process);
    afar__board_init(&channels.board, &ops, NULL, process);
    atomic_store_explicit(&channels.begun, true, memory_order_release);
}

/* ---- the lock ---- */

void
afar__channels_lock(void)
{
    if (!atomic_load_explicit(&channels.begun, memory_order_acquire))
        pthread_once(&channels.once, begin);
    pthread_mutex_lock(&channels.lock);
}

/* Only now: the board may still look at a select after it has said that it is done. */
static void
tell_done_locked(void)
{
    while (channels.done) {
        afar__rest *rest = channels.done;

        channels.done = rest->next_done;
        afar__rest_done_locked(rest);
    }
}

void
afar__channels_let_go(void)
{
    tell_done_locked();
    pthread_mutex_unlock(&channels.lock);
}

void
afar__channels_done_locked(afar__rest *rest)
{
    afar__rest_keep_text_locked(rest);
    rest->next_done = channels.done;
    channels.done = rest;
}

afar__board *
afar__channels_board(void)
{
    return &channels.board;
}

void
afar__channels_due_locked(afar__wire *wire)
{
    if (wire->due)
        return;
    wire->due = true;
    wire->ops->ref(wire);
    wire->next_due = channels.due;
    channels.due = wire;
}

void
afar__channels_dead_locked(afar__parcel *parcel)
{
    parcel->next = channels.dead;
    channels.dead = parcel;
}

void
afar__channels_wake_locked(atomic_uint *sleeper)
{
    if (channels.sleeper_count == MOST_NOTED)
        afar__futex_wake(sleeper);
    else
        channels.sleepers[channels.sleeper_count++] = sleeper;
}

/* A wire stays marked until its turn comes, so that its place in this list is not used again. */
static void
flush(afar__wire *due)
{
    while (due) {
        afar__wire *wire = due;

        due = wire->next_due;
        afar__wire_flush(wire, true);
        wire->ops->unref(wire);
    }
}

/* What was noted under the lock. */
struct noted {
    afar__wire *due;
    afar__parcel *dead;
    atomic_uint *sleepers[MOST_NOTED];
    unsigned sleeper_count;
};

static void
take_sleepers_locked(struct noted *noted)
{
    tell_done_locked();
    noted->sleeper_count = channels.sleeper_count;
    for (unsigned i = 0; i < noted->sleeper_count; i++)
        noted->sleepers[i] = channels.sleepers[i];
    channels.sleeper_count = 0;
}

static void
take_noted_locked(struct noted *noted)
{
    take_sleepers_locked(noted);
    noted->due = channels.due;
    noted->dead = channels.dead;
    channels.due = NULL;
    channels.dead = NULL;
}

static void
wake(const struct noted *noted)
{
    for (unsigned i = 0; i < noted->sleeper_count; i++)
        afar__futex_wake(noted->sleepers[i]);
}

static void
bury(afar__parcel *dead)
{
    while (dead) {
        afar__parcel *parcel = dead;

        dead = parcel->next;
        afar__parcel_free(parcel);
    }
}

void
afar__channels_unlock(void)
{
    struct noted noted;

    take_noted_locked(&noted);
    pthread_mutex_unlock(&channels.lock);
    wake(&noted);
    flush(noted.due);
    bury(noted.dead);
}

static void
run_later(afar__task *task)
{
    (void)task;
    afar__channels_lock();
    channels.later_queued = false;
    afar__channels_unlock();
}

void
afar__channels_unlock_later(void)
{
    struct noted noted;
    bool queue = (channels.due || channels.dead) && !channels.later_queued;

    take_sleepers_locked(&noted);
    if (queue)
        channels.later_queued = true;
    pthread_mutex_unlock(&channels.lock);
    wake(&noted);
    if (queue)
        afar__engine_run(&channels.later);
}
