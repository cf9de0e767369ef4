/* Seeks without a transport: who waits, who is told what, and who leaves.
 * Labels: concurrent */

#include <pthread.h>
#include <string.h>

#include "check.h"
#include "goal.h"

#define SEEKERS 4
#define ROUNDS 200

/* ---- verdicts ---- */

TEST(who_waits_goes_where_the_finder_says)
{
    struct seeker first, second;
    struct world world;

    world_open(&world);
    seeker_init(&first, world.goal, &plain_method, false);
    seeker_init(&second, world.goal, &plain_method, false);
    atomic_store(&world.fake.stuck, true);
    seeker_wait(&first);
    CHECK(world.goal->bad);
    wait_for_count(&world.fake.asked, 1);
    seeker_wait(&second);
    atomic_store(&world.fake.stuck, false);
    seeker_is_told(&first, AFAR__VERDICT_GO);
    seeker_is_told(&second, AFAR__VERDICT_GO);
    CHECK_INT(seeker_goes_to(&first), 2);
    CHECK(!world.goal->bad);
    CHECK_INT(atomic_load(&world.fake.asked), 1);
    afar__seek_clear(&first.seek);
    afar__seek_clear(&second.seek);
    world_close(&world);
}

/* Its place is not the one that is known any more, so nothing is to be found. */
TEST(who_comes_late_from_an_old_place_goes_at_once)
{
    struct seeker first, second;
    struct world world;

    world_open(&world);
    seeker_init(&first, world.goal, &plain_method, false);
    seeker_init(&second, world.goal, &plain_method, false);
    seeker_wait(&first);
    seeker_is_told(&first, AFAR__VERDICT_GO);
    seeker_wait(&second);
    seeker_is_told(&second, AFAR__VERDICT_GO);
    CHECK_INT(seeker_goes_to(&second), 2);
    CHECK_INT(atomic_load(&world.fake.asked), 1);
    afar__seek_clear(&first.seek);
    afar__seek_clear(&second.seek);
    world_close(&world);
}

TEST(who_waits_hears_why_there_is_no_place)
{
    struct world world;
    struct seeker call;

    world_open(&world);
    world.fake.code = AFAR_NOT_FOUND;
    atomic_store(&world.fake.failures, -1);
    for (int unsure = 0; unsure < 2; unsure++) {
        seeker_init(&call, world.goal, &plain_method, false);
        call.seek.unsure = unsure;
        seeker_wait(&call);
        seeker_is_told(&call, AFAR__VERDICT_FAIL);
        afar__seek_conclude(&call.seek);
        CHECK_INT(call.seek.error.code, AFAR_NOT_FOUND);
        CHECK_INT(call.seek.error.outcome, unsure ? AFAR_OUTCOME_UNKNOWN : AFAR_OUTCOME_NOT_SENT);
        CHECK_STR(call.seek.error.message, "/test.Fake/Ask alice: nobody is there");
        afar__seek_clear(&call.seek);
    }
    world_close(&world);
}

TEST(who_is_patient_waits_on)
{
    struct world world;
    struct seeker call;

    world_open(&world);
    world.fake.code = AFAR_UNAVAILABLE;
    atomic_store(&world.fake.failures, 3);
    seeker_init(&call, world.goal, &plain_method, true);
    seeker_wait(&call);
    seeker_is_told(&call, AFAR__VERDICT_GO);
    CHECK_INT(atomic_load(&world.fake.asked), 4);
    afar__seek_clear(&call.seek);
    world_close(&world);
}

TEST(who_is_patient_hears_what_is_final)
{
    struct world world;
    struct seeker call;

    world_open(&world);
    world.fake.code = AFAR_PERMISSION_DENIED;
    atomic_store(&world.fake.failures, -1);
    seeker_init(&call, world.goal, &plain_method, true);
    seeker_wait(&call);
    seeker_is_told(&call, AFAR__VERDICT_FAIL);
    CHECK_INT(call.seek.error.code, AFAR_PERMISSION_DENIED);
    afar__seek_clear(&call.seek);
    world_close(&world);
}

TEST(who_leaves_is_not_told)
{
    struct seeker first, second;
    struct world world;

    world_open(&world);
    seeker_init(&first, world.goal, &plain_method, false);
    seeker_init(&second, world.goal, &plain_method, false);
    CHECK(!seeker_leave(&first));
    atomic_store(&world.fake.stuck, true);
    seeker_wait(&first);
    seeker_wait(&second);
    wait_for_count(&world.fake.asked, 1);
    CHECK(seeker_leave(&first));
    CHECK(!seeker_leave(&first));
    atomic_store(&world.fake.stuck, false);
    seeker_is_told(&second, AFAR__VERDICT_GO);
    CHECK_INT(atomic_load(&first.told), 0);
    afar__seek_clear(&first.seek);
    afar__seek_clear(&second.seek);
    world_close(&world);
}

/* The task pauses between its questions; when nobody waits any more it stops. */
TEST(when_all_have_left_nobody_asks)
{
    struct world world;
    struct seeker call;

    world_open(&world);
    world.fake.code = AFAR_UNAVAILABLE;
    atomic_store(&world.fake.failures, -1);
    seeker_init(&call, world.goal, &plain_method, true);
    seeker_wait(&call);
    wait_for_count(&world.fake.asked, 2);
    CHECK(seeker_leave(&call));
    CHECK_INT(atomic_load(&call.told), 0);
    afar__seek_clear(&call.seek);
    world_close(&world);
}

/* ---- threads that are about to start a stream ---- */

static afar_code
ready(struct world *world, afar_deadline deadline, afar_error *err)
{
    afar__request request = { .method = &plain_method, .deadline = deadline };

    return afar__goal_ready(world->goal, &request, err);
}

/* Its link is not connected. */
TEST(a_thread_waits_for_a_place)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;

    world_open(&world);
    CHECK_OK(ready(&world, afar_after_ms(15000), &err));
    CHECK_INT(atomic_load(&world.fake.asked), 1);
    CHECK_INT(world.goal->number, 2);
    world_close(&world);
}

TEST(a_thread_hears_why_there_is_no_place)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;

    world_open(&world);
    world.fake.code = AFAR_NOT_FOUND;
    atomic_store(&world.fake.failures, -1);
    CHECK_FAILS(ready(&world, afar_after_ms(15000), &err), AFAR_NOT_FOUND);
    CHECK_STR(err.message, "/test.Fake/Ask alice: nobody is there");
    CHECK_FAILS(ready(&world, afar_after_ms(15000), NULL), AFAR_NOT_FOUND);
    afar_error_clear(&err);
    world_close(&world);
}

TEST(a_thread_waits_no_longer_than_its_deadline)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;

    world_open(&world);
    atomic_store(&world.fake.stuck, true);
    CHECK_FAILS(ready(&world, afar_after_ms(20), &err), AFAR_DEADLINE_EXCEEDED);
    CHECK_STR(err.message, "/test.Fake/Ask alice: not found again before the deadline");
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    atomic_store(&world.fake.stuck, false);
    afar_error_clear(&err);
    world_close(&world);
}

TEST(a_thread_does_not_wait_for_a_closed_client)
{
    afar_error err = AFAR_ERROR_INIT;
    struct world world;

    world_open(&world);
    atomic_store(&world.fake.stuck, true);
    afar__link_shut(world.links[0]);
    CHECK_FAILS(ready(&world, afar_after_ms(15000), &err), AFAR_FAILED_PRECONDITION);
    CHECK_STR(err.message, "/test.Fake/Ask alice: the client was closed");
    atomic_store(&world.fake.stuck, false);
    afar_error_clear(&err);
    world_close(&world);
}

/* ---- all at once ---- */

struct crowd {
    struct world world;
    atomic_int went, failed, left;
};

/* A call that fails at each place, and leaves now and then before it is told. */
static void
seek_once(struct crowd *crowd, bool leaves)
{
    struct seeker call;
    bool left = false;

    seeker_init(&call, crowd->world.goal, &plain_method, false);
    seeker_wait(&call);
    if (leaves)
        left = seeker_leave(&call);
    if (left) {
        afar__seek_give_up(&call.seek, true);
        CHECK_INT(atomic_load(&call.told), 0);
        atomic_fetch_add(&crowd->left, 1);
    } else {
        wait_for_count(&call.told, 1);
        CHECK(!seeker_leave(&call)); /* the teller has let go of it */
        if (call.verdict == AFAR__VERDICT_FAIL)
            CHECK_STR(call.seek.error.message, "/test.Fake/Ask alice: nobody is there");
        atomic_fetch_add(call.verdict == AFAR__VERDICT_GO ? &crowd->went : &crowd->failed, 1);
    }
    afar__seek_clear(&call.seek);
    memset(&call, 0xff, sizeof call);
}

static void *
seek_often(void *arg)
{
    for (int i = 0; i < ROUNDS; i++)
        seek_once(arg, i % 2);
    return NULL;
}

static void *
be_ready_often(void *arg)
{
    struct crowd *crowd = arg;
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < ROUNDS; i++)
        if (ready(&crowd->world, afar_after_ms(15000), &err))
            CHECK_STR(err.message, "/test.Fake/Ask alice: nobody is there");
    afar_error_clear(&err);
    return NULL;
}

TEST(a_crowd_of_seekers)
{
    struct crowd crowd = { .went = 0 };
    pthread_t threads[SEEKERS + 1];

    world_open(&crowd.world);
    crowd.world.fake.code = AFAR_UNAVAILABLE;
    atomic_store(&crowd.world.fake.failures, 20);
    for (int i = 0; i < SEEKERS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, seek_often, &crowd), 0);
    CHECK_INT(pthread_create(&threads[SEEKERS], NULL, be_ready_often, &crowd), 0);
    for (int i = 0; i <= SEEKERS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(atomic_load(&crowd.went) + atomic_load(&crowd.failed) + atomic_load(&crowd.left),
              SEEKERS * ROUNDS);
    CHECK(!crowd.world.goal->waiting);
    world_close(&crowd.world);
}
