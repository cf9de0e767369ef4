/* Tasks that one event asks for: they run one after the other, unless one of them lasts; and
 * those that run last.
 *
 * An event is a timer that rings: the thread that polls dispatches it like any other.  Tasks that
 * last wait for each other outside of the engine, so a test hangs, and fails, when those
 * behind them are not taken elsewhere.
 *
 * Labels: concurrent */

#include "runtime/engine.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "bell.h"
#include "check.h"
#include "runtime/clock.h"
#include "runtime/kept.h"
#include "runtime/lead.h"
#include "runtime/timer.h"

#define MANY 40
#define ROUNDS 30

/* ---- an event ---- */

struct job {
    afar__task task;
    struct event *event;
    int number;
    struct gate *waits; /* as long as it is not open */
};

struct event {
    afar__timer timer;
    int serial;
    struct job jobs[MANY];
    struct job last;
    bool has_last;
    pthread_t kept_by;
    struct gate happened;
    struct gate ran; /* entered by each job that ran, before it waits */
    struct bell done;
};

static _Thread_local int ran_for;    /* this thread ran a job of that event, */
static _Thread_local int ran_number; /* this one the last time */

/* Some thread may have taken jobs away, but each goes through them in their order. */
static void
run_job(afar__task *task)
{
    struct job *job = (struct job *)task;
    struct event *event = job->event;

    CHECK(afar__engine_is_library_thread());
    CHECK(ran_for != event->serial || ran_number < job->number);
    ran_for = event->serial;
    ran_number = job->number;
    if (job->waits)
        gate_pass(job->waits);
    gate_enter(&event->ran);
    ring(&event->done);
}

/* Only a library thread keeps tasks.  A caller may poll still: it is asked again later. */
static void
ring_event(afar__timer *timer)
{
    struct event *event = (struct event *)timer;

    if (!afar__engine_is_library_thread()) {
        afar__timer_set(timer, afar__now() + AFAR__MILLISECOND);
        return;
    }
    event->kept_by = pthread_self();
    if (event->has_last)
        afar__engine_run_last(&event->last.task);
    for (int i = 0; i < MANY; i++)
        afar__engine_run(&event->jobs[i].task);
    gate_enter(&event->happened);
}

static void
make(struct event *event, afar__task *last)
{
    static int serial;

    serial++;
    *event = (struct event){ .timer = { .ring = ring_event },
                             .serial = serial,
                             .happened = GATE_INIT,
                             .ran = GATE_INIT,
                             .done = BELL_INIT,
                             .has_last = last != NULL };
    for (int i = 0; i < MANY; i++)
        event->jobs[i] = (struct job){ { run_job, NULL }, event, i, NULL };
    if (last)
        event->last = (struct job){ *last, event, MANY, NULL };
}

static void
happen(struct event *event)
{
    afar__timer_set(&event->timer, afar__now());
    gate_wait_entered(&event->happened, 1);
}

/* ---- what waits behind a task that lasts ---- */

TEST(the_tasks_of_an_event_all_run)
{
    hold();
    begin_background();
    for (int round = 0; round < 200; round++) {
        struct event event;

        make(&event, NULL);
        happen(&event);
        if (round % 2)
            gate_wait_entered(&event.ran, MANY);
        must_hear(&event.done, MANY);
    }
    afar__engine_background_end();
    afar__engine_release();
}

TEST(a_task_that_lasts_does_not_hold_up_the_others)
{
    hold();
    begin_background();
    for (int round = 0; round < ROUNDS; round++) {
        struct gate gate = GATE_INIT;
        struct event event;

        make(&event, NULL);
        event.jobs[round % MANY].waits = &gate;
        happen(&event);
        gate_wait_entered(&event.ran, MANY - 1);
        gate_wait_entered(&gate, 1);
        gate_open(&gate);
        must_hear(&event.done, MANY);
    }
    afar__engine_background_end();
    afar__engine_release();
}

/* So nobody takes the role from a thread that is in user code; still somebody watches it. */
TEST(nor_while_a_caller_polls)
{
    hold();
    begin_background();
    for (int round = 0; round < ROUNDS; round++) {
        struct gate gate = GATE_INIT;
        struct event event;

        make(&event, NULL);
        event.jobs[0].waits = &gate;
        happen(&event);
        gate_wait_entered(&gate, 1);
        must_hear(&event.done, MANY - 1);
        gate_open(&gate);
        must_hear(&event.done, MANY);
    }
    afar__engine_background_end();
    afar__engine_release();
}

TEST(nor_when_nothing_else_is_to_be_watched)
{
    hold();
    for (int round = 0; round < ROUNDS; round++) {
        struct gate first = GATE_INIT, second = GATE_INIT;
        struct event event;

        begin_background();
        make(&event, NULL);
        event.jobs[0].waits = &first;
        event.jobs[1].waits = &second;
        happen(&event);
        gate_wait_entered(&first, 1);
        afar__engine_background_end();
        gate_wait_entered(&event.ran, MANY - 2);
        gate_open(&first);
        gate_open(&second);
        must_hear(&event.done, MANY);
    }
    afar__engine_release();
}

/* Each that is taken away lasts as well. */
TEST(nor_do_many_that_last)
{
    hold();
    begin_background();
    for (int round = 0; round < 5; round++) {
        struct gate gate = GATE_INIT;
        struct event event;

        make(&event, NULL);
        for (int i = 0; i < MANY - 1; i++)
            event.jobs[i].waits = &gate;
        happen(&event);
        gate_wait_entered(&event.ran, 1);
        gate_wait_entered(&gate, MANY - 1);
        gate_open(&gate);
        must_hear(&event.done, MANY);
    }
    afar__engine_background_end();
    afar__engine_release();
}

/* Who watches ticks some thousand times a second.  Once nobody waits behind the task, it may
 * last: what is counted here are a few at most, even if the machine is busy. */
TEST(a_task_that_lasts_alone_costs_nothing)
{
    struct bell never = BELL_INIT;
    struct gate gate = GATE_INIT;
    struct rusage before, after;
    struct event event;

    hold();
    begin_background();
    make(&event, NULL);
    event.jobs[0].waits = &gate;
    happen(&event);
    gate_wait_entered(&event.ran, MANY - 1);
    for (int i = 0; i < 50; i++) /* until all is quiet */
        CHECK_INT(hear(&never, 1, afar__now() + AFAR__MILLISECOND), AFAR__WAIT_TIMEOUT);
    CHECK_INT(getrusage(RUSAGE_SELF, &before), 0);
    CHECK_INT(hear(&never, 1, afar__now() + 300 * AFAR__MILLISECOND), AFAR__WAIT_TIMEOUT);
    CHECK_INT(getrusage(RUSAGE_SELF, &after), 0);
    CHECK(after.ru_nvcsw - before.ru_nvcsw < 100);
    gate_open(&gate);
    must_hear(&event.done, MANY);
    afar__engine_background_end();
    afar__engine_release();
}

/* ---- the last ones ---- */

/* On a busy machine a task may seem to last, and what is behind it is taken elsewhere.  So what is
 * counted is how often all went together. */
static int went_together;

static void
run_behind(afar__task *task)
{
    struct event *event = ((struct job *)task)->event;

    pthread_mutex_lock(&event->done.lock);
    if (pthread_equal(event->kept_by, pthread_self()) && event->done.count == MANY)
        went_together++;
    pthread_mutex_unlock(&event->done.lock);
    ring(&event->done);
}

TEST(the_last_one_runs_behind_all)
{
    hold();
    begin_background();
    for (int round = 0; round < 200; round++) {
        struct event event;

        make(&event, &(afar__task){ run_behind, NULL });
        happen(&event);
        must_hear(&event.done, MANY + 1);
    }
    CHECK(went_together > 20);
    afar__engine_background_end();
    afar__engine_release();
}

TEST(the_last_one_is_not_held_up_by_one_that_lasts)
{
    hold();
    begin_background();
    for (int round = 0; round < ROUNDS; round++) {
        struct gate gate = GATE_INIT;
        struct event event;

        make(&event, &(afar__task){ run_behind, NULL });
        event.jobs[MANY - 1].waits = &gate; /* nothing but the last one is behind it */
        happen(&event);
        gate_wait_entered(&gate, 1);
        must_hear(&event.done, MANY);
        gate_open(&gate);
        must_hear(&event.done, MANY + 1);
    }
    afar__engine_background_end();
    afar__engine_release();
}

struct chain {
    afar__task task, last;
    atomic_bool *over;
    atomic_int links;
    int most;
    struct bell *done;
    pthread_t by;
};

static void
run_chain(afar__task *task)
{
    struct chain *chain = (struct chain *)task;

    if (atomic_fetch_add(&chain->links, 1) == 0) {
        chain->by = pthread_self();
        afar__engine_run_last(&chain->last);
    }
    if (chain->most > 0 ? chain->links < chain->most : !atomic_load(chain->over))
        afar__engine_run_next(task);
    else
        ring(chain->done);
}

static void
end_chain(afar__task *task)
{
    struct chain *chain = (struct chain *)((char *)task - offsetof(struct chain, last));

    if (pthread_equal(chain->by, pthread_self()) && chain->links == chain->most)
        went_together++;
    atomic_store(chain->over, true);
    ring(chain->done);
}

/* Those that are handed on come first. */
TEST(the_last_one_runs_behind_what_is_handed_on)
{
    hold();
    for (int round = 0; round < 200; round++) {
        struct bell done = BELL_INIT;
        atomic_bool over = false;
        struct chain chain = { { run_chain, NULL }, { end_chain, NULL }, &over, 0, 100, &done, 0 };

        afar__engine_run(&chain.task);
        must_hear(&done, 2);
    }
    CHECK(went_together > 20);
    afar__engine_release();
}

/* The chain of short tasks would go on for ever. */
TEST(the_last_one_does_not_wait_for_ever)
{
    hold();
    for (int round = 0; round < ROUNDS; round++) {
        struct bell done = BELL_INIT;
        atomic_bool over = false;
        struct chain chain = { { run_chain, NULL }, { end_chain, NULL }, &over, 0, 0, &done, 0 };

        afar__engine_run(&chain.task);
        must_hear(&done, 2);
    }
    afar__engine_release();
}

struct asker {
    afar__task task, last;
    afar__timer timer;
    bool in_engine;
    struct gate ran;
    struct bell done;
};

static void
run_asked(afar__task *task)
{
    struct asker *asker = (struct asker *)((char *)task - offsetof(struct asker, last));

    gate_enter(&asker->ran);
    ring(&asker->done);
}

static void
ask(afar__timer *timer)
{
    struct asker *asker = (struct asker *)((char *)timer - offsetof(struct asker, timer));

    afar__engine_run_last(&asker->last);
}

/* Lasts until what it asked for has run.  If it waits in the engine, it is this thread that
 * polls, and an event asks for it. */
static void
run_asker(afar__task *task)
{
    struct asker *asker = (struct asker *)task;

    if (asker->in_engine) {
        afar__timer_set(&asker->timer, afar__now());
        must_hear(&asker->done, 1);
    } else {
        ask(&asker->timer);
        gate_wait_entered(&asker->ran, 1);
    }
    ring(&asker->done);
}

TEST(the_last_one_does_not_wait_for_who_asked_for_it)
{
    hold();
    for (int round = 0; round < 2 * ROUNDS; round++) {
        struct asker asker = { .task = { run_asker, NULL },
                               .last = { run_asked, NULL },
                               .timer = { .ring = ask },
                               .in_engine = round % 2,
                               .ran = GATE_INIT,
                               .done = BELL_INIT };

        afar__engine_run_last(&asker.task); /* not a library thread: any will do */
        gate_wait_entered(&asker.ran, 1);
        must_hear(&asker.done, 2);
    }
    afar__engine_release();
}

/* ---- the list itself ---- */

static int laden_count;

static void
count_laden(void)
{
    laden_count++;
}

struct item {
    afar__task task;
    atomic_int runs;
};

static void
run_item(afar__task *task)
{
    atomic_fetch_add(&((struct item *)task)->runs, 1);
}

#define ITEMS 8

TEST(kept_tasks_are_taken_away_in_their_order)
{
    struct item items[ITEMS] = { 0 };
    static afar__kept kept;
    afar__task *taken;

    CHECK(!afar__kept_any(&kept) && !afar__kept_take_all(&kept));
    for (int i = 0; i < ITEMS; i++) {
        items[i].task.run = run_item;
        if (i < ITEMS / 2)
            afar__kept_add_last(&kept, &items[ITEMS / 2 + i].task);
        else
            afar__kept_add(&kept, &items[i - ITEMS / 2].task);
    }
    CHECK(afar__kept_any(&kept) && !afar__kept_laden(&kept));
    taken = afar__kept_take_all(&kept);
    for (int i = 0; i < ITEMS; i++, taken = taken->next)
        CHECK(taken == &items[i].task);
    CHECK(!taken && !afar__kept_any(&kept));
}

static afar__kept *watched;
static int taken_count;

/* Looks twice while it runs. */
static void
look_twice(afar__task *task)
{
    (void)task;
    CHECK(afar__kept_laden(watched));
    CHECK(!afar__kept_take_late(watched));
    for (afar__task *late = afar__kept_take_late(watched); late; late = late->next)
        taken_count++;
    CHECK(!afar__kept_laden(watched));
}

TEST(kept_tasks_are_late_at_the_second_look)
{
    struct item before = { .task = { run_item, NULL } }, behind = before, last = before;
    afar__task looks = { look_twice, NULL };
    static afar__kept kept;

    watched = &kept;
    afar__kept_add_last(&kept, &last.task);
    afar__kept_add(&kept, &before.task);
    afar__kept_add(&kept, &looks);
    afar__kept_add(&kept, &behind.task);
    afar__kept_run(&kept, count_laden);
    CHECK(before.runs == 1 && behind.runs == 0 && last.runs == 0);
    CHECK_INT(taken_count, 2);
    CHECK_INT(laden_count, 2);
    CHECK(!afar__kept_run_last(&kept, count_laden));
}

TEST(the_last_one_is_late_though_others_run)
{
    struct item items[2] = { { .task = { run_item, NULL } }, { .task = { run_item, NULL } } };
    struct item last = items[0];
    static afar__kept kept;

    afar__kept_add_last(&kept, &last.task);
    afar__kept_add(&kept, &items[0].task);
    CHECK(!afar__kept_take_late(&kept));
    afar__kept_run(&kept, count_laden);
    CHECK(afar__kept_run_last(&kept, count_laden)); /* another one, as far as one can see */
    afar__kept_add_last(&kept, &last.task);
    CHECK(!afar__kept_take_late(&kept));
    afar__kept_add(&kept, &items[1].task);
    afar__kept_run(&kept, count_laden);
    CHECK(afar__kept_take_late(&kept) == &last.task);
    CHECK(!afar__kept_any(&kept));
    CHECK(items[0].runs == 1 && items[1].runs == 1 && last.runs == 1);
}

struct stolen {
    afar__kept kept;
    atomic_bool over;
    int count;
};

static void *
take_away(void *arg)
{
    struct stolen *stolen = arg;
    bool over = false;

    while (!over) {
        over = atomic_load(&stolen->over);
        afar__task *task = stolen->count % 2 ? afar__kept_take_late(&stolen->kept)
                                             : afar__kept_take_all(&stolen->kept);
        while (task) {
            afar__task *next = task->next;

            task->run(task);
            stolen->count++;
            task = next;
        }
    }
    return NULL;
}

#define STOLEN 60000

/* Each task runs once, here or there. */
TEST(kept_tasks_are_taken_away_while_they_run)
{
    static struct item items[STOLEN];
    static struct stolen stolen;
    pthread_t thief = start(take_away, &stolen);

    for (int i = 0; i < STOLEN; i++) {
        items[i].task.run = run_item;
        if (i % 7 == 3)
            afar__kept_add_last(&stolen.kept, &items[i].task);
        else
            afar__kept_add(&stolen.kept, &items[i].task);
        if (i % 10 == 9)
            do
                afar__kept_run(&stolen.kept, count_laden);
            while (afar__kept_run_last(&stolen.kept, count_laden));
        if (i % 1000 == 0)
            sched_yield();
    }
    atomic_store(&stolen.over, true);
    join(thief);
    for (int i = 0; i < STOLEN; i++)
        CHECK_INT(items[i].runs, 1);
}
