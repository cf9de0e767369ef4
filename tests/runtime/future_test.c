/* Futures without a transport: who waits, who takes, who is called back, and what the
 * close does to each of them.
 *
 * Labels: concurrent waits */

#include "runtime/future.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "check.h"
#include "death.h"
#include "runtime/clock.h"

#define PATIENCE (15 * AFAR__SECOND)
#define THREADS 4
#define ROUNDS 300

/* ---- a transport that does nothing by itself ---- */

struct fake {
    afar_future future;
    afar_code code; /* how the call ends */
    bool cancel_ends_it;
    atomic_int cancels, takes, views;
    atomic_bool inside; /* in take or in metadata: one thread at a time */
    atomic_int *freed;
};

static const afar_method method = { .name = "Ask", .path = "/test.Fake/Ask" };
static const afar_metadata some = { NULL, 7 };

static void
enter(struct fake *fake)
{
    CHECK(!atomic_exchange(&fake->inside, true));
    sched_yield();
}

static void
leave(struct fake *fake)
{
    atomic_store(&fake->inside, false);
}

static afar_code
take(afar_future *future, ProtobufCMessage **ret_reply, afar_error *err)
{
    struct fake *fake = (struct fake *)future;
    afar_code code = fake->code;

    enter(fake);
    atomic_fetch_add(&fake->takes, 1);
    if (code)
        afar_fail(err, code, "it failed");
    else
        *ret_reply = (ProtobufCMessage *)&method; /* any address */
    leave(fake);
    return code;
}

static void
cancel(afar_future *future)
{
    struct fake *fake = (struct fake *)future;

    atomic_fetch_add(&fake->cancels, 1);
    if (fake->cancel_ends_it) {
        fake->code = AFAR_CANCELLED;
        afar__future_fulfil(future);
    }
}

static const afar_metadata *
metadata(afar_future *future, bool trailing)
{
    struct fake *fake = (struct fake *)future;

    (void)trailing;
    enter(fake);
    atomic_fetch_add(&fake->views, 1);
    leave(fake);
    return &some;
}

static void
free_fake(afar_future *future)
{
    struct fake *fake = (struct fake *)future;

    atomic_fetch_add(fake->freed, 1);
    free(fake);
}

static const afar__future_ops ops = { take, cancel, metadata, free_fake };

static struct fake *
make(atomic_int *freed)
{
    struct fake *fake = calloc(1, sizeof *fake);

    CHECK(fake);
    atomic_init(freed, 0);
    fake->freed = freed;
    afar__future_init(&fake->future, &ops, &method);
    return fake;
}

static void
hold(void)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar__engine_hold(&err));
}

static afar_deadline
soon(void)
{
    return (afar_deadline){ afar__now() + PATIENCE };
}

static void
wait_for(atomic_int *number, int value)
{
    int64_t end = afar__now() + PATIENCE;

    while (atomic_load(number) < value) {
        CHECK(afar__now() < end);
        sched_yield();
    }
    CHECK_INT(atomic_load(number), value);
}

/* ---- waiting and taking ---- */

TEST(waiting_ends_with_the_deadline)
{
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *reply = NULL;
    atomic_int freed;

    hold();
    struct fake *fake = make(&freed);
    CHECK(!afar_future_done(&fake->future));
    CHECK_FAILS(afar_future_wait(&fake->future, (afar_deadline){ 0 }, &err),
                AFAR_DEADLINE_EXCEEDED);
    CHECK_STR(err.message, "/test.Fake/Ask: no answer yet");
    CHECK_FAILS(afar_future_await(&fake->future, &method, afar_after_ms(10), &reply, &err),
                AFAR_DEADLINE_EXCEEDED);
    CHECK_INT((intmax_t)afar_future_initial_metadata(&fake->future)->count, 0);
    CHECK_INT((intmax_t)afar_future_trailing_metadata(&fake->future)->count, 0);
    CHECK(!reply);
    afar__future_fulfil(&fake->future);
    CHECK(afar_future_done(&fake->future));
    CHECK_OK(afar_future_wait(&fake->future, (afar_deadline){ 0 }, &err));
    CHECK_OK(afar_future_await(&fake->future, &method, (afar_deadline){ 0 }, &reply, &err));
    CHECK(reply);
    CHECK_INT((intmax_t)afar_future_trailing_metadata(&fake->future)->count, 7);
    CHECK_INT(atomic_load(&fake->cancels), 0);
    afar_future_close(&fake->future);
    CHECK_INT(atomic_load(&freed), 1);
    afar_error_clear(&err);
    afar__engine_release();
}

struct taker {
    pthread_t thread;
    struct fake *fake;
    afar_code code;
};

static void *
take_it(void *arg)
{
    struct taker *taker = arg;
    ProtobufCMessage *reply = NULL;

    taker->code = afar_future_await(&taker->fake->future, &method, soon(), &reply, NULL);
    CHECK((reply != NULL) == (taker->code == AFAR_OK));
    CHECK_INT((intmax_t)afar_future_initial_metadata(&taker->fake->future)->count, 7);
    return NULL;
}

static void
take_at_once(afar_code ends, afar_code others)
{
    struct taker takers[THREADS];
    atomic_int freed;
    int first = 0;

    for (int round = 0; round < ROUNDS; round++) {
        struct fake *fake = make(&freed);

        fake->code = ends;
        for (int i = 0; i < THREADS; i++) {
            takers[i].fake = fake;
            CHECK_INT(pthread_create(&takers[i].thread, NULL, take_it, &takers[i]), 0);
        }
        afar__future_fulfil(&fake->future);
        first = 0;
        for (int i = 0; i < THREADS; i++) {
            CHECK_INT(pthread_join(takers[i].thread, NULL), 0);
            first += takers[i].code == ends;
            CHECK(takers[i].code == ends || takers[i].code == others);
        }
        CHECK_INT(first, ends == others ? THREADS : 1);
        CHECK_INT(atomic_load(&fake->takes), first);
        afar_future_close(&fake->future);
        CHECK_INT(atomic_load(&freed), 1);
    }
}

TEST(one_of_several_takes_the_reply)
{
    hold();
    take_at_once(AFAR_OK, AFAR_FAILED_PRECONDITION);
    afar__engine_release();
}

TEST(all_of_several_get_the_error)
{
    hold();
    take_at_once(AFAR_NOT_FOUND, AFAR_NOT_FOUND);
    afar__engine_release();
}

static void *
wait_until_closed(void *arg)
{
    struct taker *taker = arg;
    ProtobufCMessage *reply = NULL;

    taker->code = afar_future_await(&taker->fake->future, &method, soon(), &reply, NULL);
    return NULL;
}

static unsigned
references(struct fake *fake)
{
    return atomic_load(&fake->future.refs);
}

/* Those who wait are told that the call was cancelled, and do not touch what is gone. */
TEST(closed_while_others_wait)
{
    struct taker takers[THREADS];
    atomic_int freed;

    hold();
    for (int round = 0; round < ROUNDS; round++) {
        struct fake *fake = make(&freed);

        fake->cancel_ends_it = true;
        for (int i = 0; i < THREADS; i++) {
            takers[i].fake = fake;
            CHECK_INT(pthread_create(&takers[i].thread, NULL, wait_until_closed, &takers[i]), 0);
        }
        while (references(fake) < 2 + THREADS)
            sched_yield();
        afar_future_close(&fake->future);
        for (int i = 0; i < THREADS; i++) {
            CHECK_INT(pthread_join(takers[i].thread, NULL), 0);
            CHECK_INT(takers[i].code, AFAR_CANCELLED);
        }
        CHECK_INT(atomic_load(&freed), 1);
    }
    afar__engine_release();
}

/* ---- closing ---- */

TEST(closing_cancels_what_runs)
{
    atomic_int freed;

    hold();
    struct fake *fake = make(&freed);
    afar_future_close(&fake->future);
    CHECK_INT(atomic_load(&fake->cancels), 1);
    CHECK_INT(atomic_load(&freed), 0); /* the transport is not done with it */
    afar__future_fulfil(&fake->future);
    CHECK_INT(atomic_load(&freed), 1);
    fake = make(&freed);
    fake->cancel_ends_it = true;
    afar_future_close(&fake->future);
    CHECK_INT(atomic_load(&freed), 1);
    fake = make(&freed);
    afar__future_abandon(&fake->future);
    CHECK_INT(atomic_load(&freed), 1);
    afar__engine_release();
}

/* ---- the callback ---- */

struct told {
    atomic_int count, inside;
    atomic_bool go;
    bool close;
};

static void
tell(afar_future *future, void *arg)
{
    struct told *told = arg;
    int64_t end = afar__now() + PATIENCE;

    CHECK(afar_future_done(future));
    CHECK(afar__engine_is_library_thread());
    atomic_fetch_add(&told->inside, 1);
    while (!atomic_load(&told->go)) {
        CHECK(afar__now() < end);
        sched_yield();
    }
    if (told->close)
        afar_future_close(future);
    atomic_fetch_add(&told->count, 1);
}

TEST(told_before_and_after_the_end)
{
    hold();
    for (int i = 0; i < 4; i++) {
        struct told told = { .go = true, .close = i / 2 };
        atomic_int freed;
        struct fake *fake = make(&freed);

        if (i % 2)
            afar__future_fulfil(&fake->future);
        afar_future_on_done(&fake->future, tell, &told);
        if (!(i % 2)) {
            CHECK_INT(atomic_load(&told.inside), 0);
            afar__future_fulfil(&fake->future);
        }
        wait_for(&told.count, 1);
        if (!told.close)
            afar_future_close(&fake->future);
        wait_for(&freed, 1);
    }
    afar__engine_release();
}

/* The end that the close brings about is not told. */
TEST(closing_is_not_told)
{
    hold();
    for (int i = 0; i < ROUNDS; i++) {
        struct told told = { .go = true };
        atomic_int freed;
        struct fake *fake = make(&freed);

        fake->cancel_ends_it = true;
        afar_future_on_done(&fake->future, tell, &told);
        afar_future_close(&fake->future);
        CHECK_INT(atomic_load(&freed), 1);
        CHECK_INT(atomic_load(&told.inside), 0);
    }
    afar__engine_release();
}

static void *
close_it(void *arg)
{
    struct taker *taker = arg;

    afar_future_close(&taker->fake->future);
    return NULL;
}

TEST(closing_waits_for_the_callback_that_runs)
{
    struct told told = { .go = false };
    struct taker closer;
    atomic_int freed;

    hold();
    closer.fake = make(&freed);
    afar_future_on_done(&closer.fake->future, tell, &told);
    afar__future_fulfil(&closer.fake->future);
    wait_for(&told.inside, 1);
    CHECK_INT(pthread_create(&closer.thread, NULL, close_it, &closer), 0);
    for (int i = 0; i < 100; i++)
        sched_yield();
    CHECK_INT(atomic_load(&freed), 0);
    atomic_store(&told.go, true);
    CHECK_INT(pthread_join(closer.thread, NULL), 0);
    CHECK_INT(atomic_load(&told.count), 1);
    wait_for(&freed, 1);
    afar__engine_release();
}

/* One thread ends the call while another closes the future: it is told once or never,
 * and never after the close has returned. */
TEST(the_end_meets_the_close)
{
    hold();
    for (int i = 0; i < ROUNDS; i++) {
        struct told told = { .go = true };
        struct taker closer;
        atomic_int freed;

        closer.fake = make(&freed);
        afar_future_on_done(&closer.fake->future, tell, &told);
        CHECK_INT(pthread_create(&closer.thread, NULL, close_it, &closer), 0);
        afar__future_fulfil(&closer.fake->future);
        CHECK_INT(pthread_join(closer.thread, NULL), 0);
        int count = atomic_load(&told.count);
        CHECK_INT(atomic_load(&told.inside), count);
        wait_for(&freed, 1);
        CHECK_INT(atomic_load(&told.inside), count);
    }
    afar__engine_release();
}

/* ---- misuse ---- */

static void
await_as_another(void *arg)
{
    static const afar_method other = { .name = "Tell", .path = "/test.Fake/Tell" };
    ProtobufCMessage *reply = NULL;
    struct fake *fake = arg;

    (void)!afar_future_await(&fake->future, &other, soon(), &reply, NULL);
}

static void
set_two_callbacks(void *arg)
{
    struct fake *fake = arg;

    afar_future_on_done(&fake->future, tell, NULL);
    afar_future_on_done(&fake->future, tell, NULL);
}

static void
close_twice(void *arg)
{
    struct fake *fake = arg;

    afar_future_close(&fake->future); /* the transport's reference keeps it */
    afar_future_close(&fake->future);
}

TEST(misuse_stops_the_program)
{
    atomic_int freed;
    struct fake *fake = make(&freed);

    check_dies(
        await_as_another, fake,
        "afar_future_await: a future of /test.Fake/Ask is awaited as one of /test.Fake/Tell");
    check_dies(set_two_callbacks, fake,
               "afar_future_on_done: the future of /test.Fake/Ask has a callback already");
    check_dies(close_twice, fake,
               "afar_future_close: the future of /test.Fake/Ask is closed twice");
    afar__future_abandon(&fake->future);
}
