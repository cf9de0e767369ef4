/* Turns, without a transport: calls that ask, leave, pause, wait and come back, in the
 * orders that a busy object sees.
 *
 * A call's handler is its task: the tests say when it ends.
 *
 * Labels: concurrent */

#include "runtime/turn.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "check.h"
#include "runtime/clock.h"

#define PATIENCE (15 * AFAR__SECOND)
#define CALLERS 4
#define ROUNDS 500

/* ---- calls ---- */

struct fake {
    afar_call call;
    atomic_int runs;    /* its task was run: it has the turn */
    atomic_int refused; /* with that code */
    char why[sizeof(((afar_error *)0)->message)];
};

static void
run_fake(afar__task *task)
{
    struct fake *fake = (struct fake *)((char *)task - offsetof(struct fake, call.task));

    atomic_fetch_add(&fake->runs, 1);
}

/* Only fakes are refused. */
static void
finish(afar_call *call)
{
    struct fake *fake = (struct fake *)call;

    memcpy(fake->why, call->error.message, sizeof fake->why);
    atomic_store(&fake->refused, (int)call->error.code);
}

static void
free_call(afar_call *call)
{
    afar__call_clear(call);
}

static const afar__call_ops ops = { .finish = finish, .free = free_call };
static const afar_method method = { .name = "Ask", .path = "/test.Fake/Ask" };
static const afar_method join = { .name = "Join", .path = "/test.Fake/Join" };

/* A call that descends from `parent`, if that is not NULL. */
static void
make(struct fake *fake, afar_call *parent)
{
    memset(fake, 0, sizeof *fake);
    afar__call_init(&fake->call);
    fake->call.ops = &ops;
    fake->call.method = &method;
    fake->call.task.run = run_fake;
    if (parent)
        fake->call.chain[fake->call.chain_length++] = afar__call_id(parent);
}

static void
drop(struct fake *fake)
{
    afar__call_unref(&fake->call);
}

static void
wait_for_run(struct fake *fake)
{
    int64_t end = afar__now() + PATIENCE;

    while (atomic_load(&fake->runs) == 0) {
        CHECK(afar__now() < end);
        sched_yield();
    }
    CHECK_INT(atomic_load(&fake->runs), 1);
}

static void
hold(void)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar__engine_hold(&err));
}

/* ---- the queue ---- */

TEST(calls_of_a_serial_object_come_in_order)
{
    struct fake calls[4];
    afar__turns turns;

    hold();
    afar__turns_init(&turns, AFAR_SERIAL, 3);
    for (int i = 0; i < 4; i++) {
        make(&calls[i], NULL);
        CHECK_INT(afar__turn_ask(&turns, &calls[i].call),
                  i == 0 ? AFAR__TURN_NOW : AFAR__TURN_LATER);
    }
    for (int i = 0; i < 3; i++) {
        CHECK(turns.holder == &calls[i].call);
        afar__turn_leave(&turns, &calls[i].call, false);
        wait_for_run(&calls[i + 1]);
        for (int j = i + 2; j < 4; j++)
            CHECK_INT(atomic_load(&calls[j].runs), 0);
    }
    afar__turn_leave(&turns, &calls[3].call, false);
    afar__turn_leave(&turns, &calls[3].call, false); /* it has none any more */
    CHECK(!turns.holder);
    CHECK_INT(turns.queued, 0);
    for (int i = 0; i < 4; i++)
        drop(&calls[i]);
    afar__turns_clear(&turns);
    afar__engine_release();
}

TEST(one_more_than_may_queue)
{
    struct fake calls[4];
    afar__turns turns;

    hold();
    afar__turns_init(&turns, AFAR_SERIAL, 2);
    for (int i = 0; i < 4; i++)
        make(&calls[i], NULL);
    CHECK_INT(afar__turn_ask(&turns, &calls[0].call), AFAR__TURN_NOW);
    CHECK_INT(afar__turn_ask(&turns, &calls[1].call), AFAR__TURN_LATER);
    CHECK_INT(afar__turn_ask(&turns, &calls[2].call), AFAR__TURN_LATER);
    CHECK_INT(afar__turn_ask(&turns, &calls[3].call), AFAR__TURN_FULL);
    afar__turn_leave(&turns, &calls[0].call, false);
    wait_for_run(&calls[1]);
    CHECK_INT(afar__turn_ask(&turns, &calls[3].call), AFAR__TURN_LATER);
    afar__turn_leave(&turns, &calls[1].call, false);
    afar__turn_leave(&turns, &calls[2].call, false);
    afar__turn_leave(&turns, &calls[3].call, false);
    CHECK(!turns.holder);
    wait_for_run(&calls[3]);
    for (int i = 0; i < 4; i++)
        drop(&calls[i]);
    afar__turns_clear(&turns);
    afar__engine_release();
}

TEST(a_concurrent_object_has_no_turns)
{
    struct fake calls[2];
    afar__turns turns;

    afar__turns_init(&turns, AFAR_CONCURRENT, 1);
    for (int i = 0; i < 2; i++) {
        make(&calls[i], i ? &calls[0].call : NULL);
        afar__turn_wait(&turns, &calls[0].call);
        CHECK_INT(afar__turn_ask(&turns, &calls[i].call), AFAR__TURN_NOW);
        afar__turn_go_on(&turns, &calls[0].call);
        afar__turn_pause(&turns, &calls[i].call);
        afar__turn_resume(&turns, &calls[i].call);
    }
    for (int i = 0; i < 2; i++) {
        afar__turn_leave(&turns, &calls[i].call, true);
        drop(&calls[i]);
    }
    afar__turns_clear(&turns);
}

/* ---- calls that descend from others ---- */

TEST(a_serial_object_refuses_what_its_call_waits_for)
{
    struct fake outer, inner, other;
    afar__turns turns;

    hold();
    afar__turns_init(&turns, AFAR_SERIAL, 10);
    make(&outer, NULL);
    make(&inner, &outer.call);
    make(&other, NULL);
    CHECK_INT(afar__turn_ask(&turns, &outer.call), AFAR__TURN_NOW);
    afar__turn_wait(&turns, &outer.call);
    CHECK_INT(afar__turn_ask(&turns, &other.call), AFAR__TURN_LATER); /* a stranger */
    CHECK_INT(afar__turn_ask(&turns, &inner.call), AFAR__TURN_DEADLOCK);
    afar__turn_go_on(&turns, &outer.call);
    CHECK_INT(afar__turn_ask(&turns, &inner.call), AFAR__TURN_LATER); /* nobody waits for it yet */
    CHECK_INT(atomic_load(&inner.refused), 0);
    afar__turn_wait(&turns, &outer.call);
    CHECK_INT(atomic_load(&inner.refused), AFAR_DEADLOCK);
    CHECK_INT(turns.queued, 1);
    afar__turn_go_on(&turns, &outer.call);
    afar__turn_leave(&turns, &outer.call, false);
    wait_for_run(&other);
    afar__turn_leave(&turns, &other.call, false);
    drop(&outer);
    drop(&other);
    afar__turns_clear(&turns);
    afar__engine_release();
}

/* What a refused call is told: which call waits, of which object, and how far up it is. */
TEST(a_deadlock_names_the_call_that_waits)
{
    struct fake outer, middle, inner, late;
    afar__turns turns;

    hold();
    afar__turns_init(&turns, AFAR_SERIAL, 10);
    make(&outer, NULL);
    outer.call.method = &join;
    make(&middle, &outer.call);
    make(&inner, &outer.call);
    inner.call.chain[inner.call.chain_length++] = afar__call_id(&middle.call);
    make(&late, &outer.call);
    CHECK_INT(afar__turn_ask(&turns, &outer.call), AFAR__TURN_NOW);
    CHECK_INT(afar__turn_ask(&turns, &late.call), AFAR__TURN_LATER);
    afar__turn_wait(&turns, &outer.call);
    CHECK_INT(atomic_load(&late.refused), AFAR_DEADLOCK);
    CHECK_STR(late.why, "/test.Fake/Ask: deadlock: this call descends from /test.Fake/Join (1 call "
                        "up), which waits in the same object; make the object AFAR_REENTRANT");
    outer.call.object_name = "lobby";
    CHECK_INT(afar__turn_ask(&turns, &inner.call), AFAR__TURN_DEADLOCK);
    CHECK_INT(inner.call.error.code, AFAR_DEADLOCK);
    CHECK_STR(inner.call.error.message,
              "/test.Fake/Ask: deadlock: this call descends from /test.Fake/Join of \"lobby\" (2 "
              "calls up), which waits in the same object; make the object AFAR_REENTRANT");
    afar__turn_go_on(&turns, &outer.call);
    afar__turn_leave(&turns, &outer.call, false);
    drop(&outer);
    drop(&middle);
    drop(&inner);
    afar__turns_clear(&turns);
    afar__engine_release();
}

/* The chain is full, and the call that waits is the oldest in it. */
TEST(a_deadlock_at_the_far_end_of_a_chain)
{
    struct fake outer, inner;
    afar__turns turns;

    hold();
    afar__turns_init(&turns, AFAR_SERIAL, 10);
    make(&outer, NULL);
    make(&inner, &outer.call);
    while (inner.call.chain_length < AFAR__CHAIN)
        inner.call.chain[inner.call.chain_length++] = 1;
    CHECK_INT(afar__turn_ask(&turns, &outer.call), AFAR__TURN_NOW);
    afar__turn_wait(&turns, &outer.call);
    CHECK_INT(afar__turn_ask(&turns, &inner.call), AFAR__TURN_DEADLOCK);
    CHECK(strstr(inner.call.error.message, "/test.Fake/Ask (16 calls up)"));
    afar__turn_go_on(&turns, &outer.call);
    afar__turn_leave(&turns, &outer.call, false);
    drop(&outer);
    drop(&inner);
    afar__turns_clear(&turns);
    afar__engine_release();
}

TEST(a_reentrant_object_lets_it_in)
{
    struct fake outer, early, late, deeper, other;
    afar__turns turns;

    hold();
    afar__turns_init(&turns, AFAR_REENTRANT, 10);
    make(&outer, NULL);
    make(&other, NULL);
    make(&early, &outer.call);
    make(&late, &outer.call);
    make(&deeper, &early.call);
    CHECK_INT(afar__turn_ask(&turns, &outer.call), AFAR__TURN_NOW);
    CHECK_INT(afar__turn_ask(&turns, &other.call), AFAR__TURN_LATER);
    CHECK_INT(afar__turn_ask(&turns, &early.call), AFAR__TURN_LATER);
    afar__turn_wait(&turns, &outer.call); /* now it may enter, before who came earlier */
    wait_for_run(&early);
    CHECK_INT(afar__turn_ask(&turns, &late.call), AFAR__TURN_LATER); /* one at a time */
    afar__turn_wait(&turns, &early.call);
    CHECK_INT(afar__turn_ask(&turns, &deeper.call), AFAR__TURN_NOW);
    CHECK_INT(atomic_load(&late.runs), 0);
    afar__turn_leave(&turns, &deeper.call, false);
    afar__turn_go_on(&turns, &early.call);
    afar__turn_leave(&turns, &early.call, false);
    wait_for_run(&late);
    afar__turn_leave(&turns, &late.call, false);
    CHECK(turns.holder == &outer.call);
    afar__turn_go_on(&turns, &outer.call);
    CHECK_INT(atomic_load(&other.runs), 0);
    afar__turn_leave(&turns, &outer.call, false);
    wait_for_run(&other);
    afar__turn_leave(&turns, &other.call, false);
    CHECK(!turns.holder);
    drop(&outer);
    drop(&other);
    drop(&early);
    drop(&late);
    drop(&deeper);
    afar__turns_clear(&turns);
    afar__engine_release();
}

/* The outer call is answered while the inner one is inside: that one keeps the turn. */
TEST(an_outer_call_that_leaves_first)
{
    struct fake outer, inner, other;
    afar__turns turns;

    hold();
    afar__turns_init(&turns, AFAR_REENTRANT, 10);
    make(&outer, NULL);
    make(&inner, &outer.call);
    make(&other, NULL);
    CHECK_INT(afar__turn_ask(&turns, &outer.call), AFAR__TURN_NOW);
    afar__turn_wait(&turns, &outer.call);
    CHECK_INT(afar__turn_ask(&turns, &inner.call), AFAR__TURN_NOW);
    CHECK_INT(afar__turn_ask(&turns, &other.call), AFAR__TURN_LATER);
    afar__turn_leave(&turns, &outer.call, false);
    CHECK(turns.holder == &inner.call && !inner.call.outer);
    afar__turn_go_on(&turns, &outer.call); /* without a turn it does not wait */
    CHECK_INT(atomic_load(&other.runs), 0);
    afar__turn_leave(&turns, &inner.call, false);
    wait_for_run(&other);
    afar__turn_leave(&turns, &other.call, false);
    drop(&outer);
    drop(&inner);
    drop(&other);
    afar__turns_clear(&turns);
    afar__engine_release();
}

/* ---- coming back ---- */

struct coming_back {
    afar__turns *turns;
    struct fake *fake;
    void (*back)(afar__turns *turns, afar_call *call);
    atomic_bool is_back;
    pthread_t thread;
};

static void *
come_back(void *arg)
{
    struct coming_back *coming = arg;

    coming->back(coming->turns, &coming->fake->call);
    atomic_store(&coming->is_back, true);
    return NULL;
}

static void
start_back(struct coming_back *coming, afar__turns *turns, struct fake *fake,
           void (*back)(afar__turns *turns, afar_call *call))
{
    coming->turns = turns;
    coming->fake = fake;
    coming->back = back;
    atomic_init(&coming->is_back, false);
    CHECK_INT(pthread_create(&coming->thread, NULL, come_back, coming), 0);
}

/* Until that many queue, which says that the thread is on its way into its wait. */
static void
wait_for_queue(afar__turns *turns, unsigned count)
{
    int64_t end = afar__now() + PATIENCE;
    unsigned queued;

    do {
        CHECK(afar__now() < end);
        sched_yield();
        pthread_mutex_lock(&turns->lock);
        queued = turns->queued;
        pthread_mutex_unlock(&turns->lock);
    } while (queued < count);
}

static void
wait_back(struct coming_back *coming)
{
    int64_t end = afar__now() + PATIENCE;

    while (!atomic_load(&coming->is_back)) {
        CHECK(afar__now() < end);
        sched_yield();
    }
    CHECK_INT(pthread_join(coming->thread, NULL), 0);
}

TEST(who_paused_comes_back_before_the_queue)
{
    struct fake paused, holder, queued;
    struct coming_back coming;
    afar__turns turns;

    hold();
    afar__turns_init(&turns, AFAR_SERIAL, 10);
    make(&paused, NULL);
    make(&holder, NULL);
    make(&queued, NULL);
    CHECK_INT(afar__turn_ask(&turns, &paused.call), AFAR__TURN_NOW);
    afar__turn_pause(&turns, &paused.call);
    CHECK_INT(afar__turn_ask(&turns, &holder.call), AFAR__TURN_NOW);
    CHECK_INT(afar__turn_ask(&turns, &queued.call), AFAR__TURN_LATER);
    start_back(&coming, &turns, &paused, afar__turn_resume);
    wait_for_queue(&turns, 2);
    CHECK(!atomic_load(&coming.is_back));
    afar__turn_leave(&turns, &holder.call, false);
    wait_back(&coming);
    CHECK(turns.holder == &paused.call);
    CHECK_INT(atomic_load(&queued.runs) + atomic_load(&paused.runs), 0);
    afar__turn_leave(&turns, &paused.call, false);
    wait_for_run(&queued);
    afar__turn_leave(&turns, &queued.call, false);
    drop(&paused);
    drop(&holder);
    drop(&queued);
    afar__turns_clear(&turns);
    afar__engine_release();
}

/* A handler talks to its own object over a stream: the handler at the other end paused,
 * and is what the first one waits for. */
TEST(who_is_waited_for_comes_back_to_a_reentrant_object)
{
    struct fake outer, paused;
    struct coming_back coming;
    afar__turns turns;

    hold();
    afar__turns_init(&turns, AFAR_REENTRANT, 10);
    make(&outer, NULL);
    make(&paused, &outer.call);
    CHECK_INT(afar__turn_ask(&turns, &outer.call), AFAR__TURN_NOW);
    afar__turn_wait(&turns, &outer.call);
    CHECK_INT(afar__turn_ask(&turns, &paused.call), AFAR__TURN_NOW);
    afar__turn_pause(&turns, &paused.call);
    start_back(&coming, &turns, &paused, afar__turn_resume);
    wait_back(&coming);
    CHECK(turns.holder == &paused.call && paused.call.outer == &outer.call);
    afar__turn_leave(&turns, &paused.call, false);
    afar__turn_go_on(&turns, &outer.call);
    afar__turn_leave(&turns, &outer.call, false);
    CHECK(!turns.holder);
    drop(&outer);
    drop(&paused);
    afar__turns_clear(&turns);
    afar__engine_release();
}

/* The same, but it comes back before the first one waits. */
TEST(who_came_back_too_early_is_let_in)
{
    struct fake outer, paused;
    struct coming_back coming;
    afar__turns turns;

    hold();
    afar__turns_init(&turns, AFAR_REENTRANT, 10);
    make(&outer, NULL);
    make(&paused, &outer.call);
    CHECK_INT(afar__turn_ask(&turns, &outer.call), AFAR__TURN_NOW);
    afar__turn_wait(&turns, &outer.call);
    CHECK_INT(afar__turn_ask(&turns, &paused.call), AFAR__TURN_NOW);
    afar__turn_pause(&turns, &paused.call);
    afar__turn_go_on(&turns, &outer.call);
    start_back(&coming, &turns, &paused, afar__turn_resume);
    wait_for_queue(&turns, 1);
    afar__turn_wait(&turns, &outer.call);
    wait_back(&coming);
    afar__turn_leave(&turns, &paused.call, false);
    afar__turn_go_on(&turns, &outer.call);
    afar__turn_leave(&turns, &outer.call, false);
    drop(&outer);
    drop(&paused);
    afar__turns_clear(&turns);
    afar__engine_release();
}

/* Whose wait is over does not go on while another is inside. */
TEST(who_waited_goes_on_when_the_inner_call_has_left)
{
    struct fake outer, inner;
    struct coming_back coming;
    afar__turns turns;

    hold();
    afar__turns_init(&turns, AFAR_REENTRANT, 10);
    make(&outer, NULL);
    make(&inner, &outer.call);
    CHECK_INT(afar__turn_ask(&turns, &outer.call), AFAR__TURN_NOW);
    afar__turn_wait(&turns, &outer.call);
    CHECK_INT(afar__turn_ask(&turns, &inner.call), AFAR__TURN_NOW);
    start_back(&coming, &turns, &outer, afar__turn_go_on);
    for (int i = 0; i < 100; i++)
        sched_yield();
    CHECK(!atomic_load(&coming.is_back));
    afar__turn_leave(&turns, &inner.call, false);
    wait_back(&coming);
    CHECK(turns.holder == &outer.call);
    afar__turn_leave(&turns, &outer.call, false);
    drop(&outer);
    drop(&inner);
    afar__turns_clear(&turns);
    afar__engine_release();
}

/* ---- all at once ---- */

struct crowd {
    afar__turns turns;
    int64_t plain; /* the turn guards it */
    atomic_int inside;
};

struct caller {
    afar_call call;
    struct crowd *crowd;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool mine; /* guarded by lock */
};

static void
give(afar__task *task)
{
    struct caller *caller = (struct caller *)((char *)task - offsetof(struct caller, call.task));

    pthread_mutex_lock(&caller->lock);
    caller->mine = true;
    pthread_cond_signal(&caller->changed);
    pthread_mutex_unlock(&caller->lock);
}

static void
work(struct crowd *crowd)
{
    CHECK_INT(atomic_fetch_add(&crowd->inside, 1), 0);
    crowd->plain++;
    CHECK_INT(atomic_fetch_sub(&crowd->inside, 1), 1);
}

static void
serve_once(struct crowd *crowd, int pauses)
{
    struct caller caller = { .crowd = crowd,
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .changed = PTHREAD_COND_INITIALIZER };

    afar__call_init(&caller.call);
    caller.call.ops = &ops;
    caller.call.method = &method;
    caller.call.task.run = give;
    if (afar__turn_ask(&crowd->turns, &caller.call) == AFAR__TURN_LATER) {
        pthread_mutex_lock(&caller.lock);
        while (!caller.mine)
            pthread_cond_wait(&caller.changed, &caller.lock);
        pthread_mutex_unlock(&caller.lock);
    }
    work(crowd);
    for (int i = 0; i < pauses; i++) {
        afar__turn_pause(&crowd->turns, &caller.call);
        afar__turn_resume(&crowd->turns, &caller.call);
        work(crowd);
        afar__turn_wait(&crowd->turns, &caller.call);
        afar__turn_go_on(&crowd->turns, &caller.call);
        work(crowd);
    }
    afar__turn_leave(&crowd->turns, &caller.call, false);
    afar__call_unref(&caller.call);
}

static void *
serve_many(void *arg)
{
    for (int i = 0; i < ROUNDS; i++)
        serve_once(arg, i % 3);
    return NULL;
}

static void
serve_a_crowd(afar_mode mode)
{
    struct crowd crowd = { .plain = 0 };
    pthread_t threads[CALLERS];

    hold();
    afar__turns_init(&crowd.turns, mode, 1000);
    for (int i = 0; i < CALLERS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, serve_many, &crowd), 0);
    for (int i = 0; i < CALLERS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK(!crowd.turns.holder);
    CHECK_INT(crowd.turns.queued, 0);
    CHECK(crowd.plain >= CALLERS * ROUNDS);
    afar__turns_clear(&crowd.turns);
    afar__engine_release();
}

TEST(a_crowd_in_a_serial_object)
{
    serve_a_crowd(AFAR_SERIAL);
}

TEST(a_crowd_in_a_reentrant_object)
{
    serve_a_crowd(AFAR_REENTRANT);
}
