/* Seeks without a transport: what may be repeated, and what is told in the end. */

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "goal.h"

#define MOST_REPEATS 4

/* ---- after an attempt ---- */

TEST(what_may_be_repeated)
{
    enum { NOT_SENT = AFAR_OUTCOME_NOT_SENT, UNSURE = AFAR_OUTCOME_UNKNOWN };
    enum { ANSWERED = AFAR_OUTCOME_ANSWERED };
    static const struct {
        int code, outcome;
        bool dropped, plain, idempotent; /* the last two: may such a method be? */
    } cases[] = {
        { AFAR_UNAVAILABLE, NOT_SENT, false, true, true },
        { AFAR_UNAVAILABLE, UNSURE, false, false, true },
        { AFAR_UNAVAILABLE, ANSWERED, false, false, false },
        { AFAR_LOST, NOT_SENT, false, true, true },
        { AFAR_LOST, UNSURE, false, false, true },
        { AFAR_LOST, ANSWERED, false, false, false },
        { AFAR_MOVED, ANSWERED, false, true, true },
        { AFAR_MOVED, UNSURE, false, false, false },
        { AFAR_CANCELLED, UNSURE, false, false, false },
        { AFAR_CANCELLED, UNSURE, true, false, true },
        { AFAR_CANCELLED, ANSWERED, true, false, false },
        { AFAR_DEADLINE_EXCEEDED, UNSURE, true, false, false },
        { AFAR_RESOURCE_EXHAUSTED, NOT_SENT, false, false, false },
        { AFAR_NOT_FOUND, ANSWERED, false, false, false },
        { AFAR_INTERNAL, UNSURE, false, false, false },
    };
    struct world world;

    world_open(&world);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int second = 0; second < 2; second++) {
            struct seeker call;

            seeker_init(&call, world.goal, second ? &idempotent_method : &plain_method, false);
            seeker_fail(&call, (afar_code)cases[i].code, (afar_outcome)cases[i].outcome,
                        "it failed");
            CHECK_INT(afar__seek_failed(&call.seek, cases[i].dropped),
                      second ? cases[i].idempotent : cases[i].plain);
            CHECK_INT(call.seek.unsure, cases[i].outcome == UNSURE);
            afar__seek_clear(&call.seek);
        }
    world_close(&world);
}

TEST(not_too_often_unless_it_is_patient)
{
    struct world world;
    struct seeker call;

    world_open(&world);
    for (int patient = 0; patient < 2; patient++) {
        seeker_init(&call, world.goal, &plain_method, patient);
        seeker_fail(&call, AFAR_UNAVAILABLE, AFAR_OUTCOME_NOT_SENT, "it failed");
        for (int i = 0; i < MOST_REPEATS; i++) {
            CHECK(afar__seek_failed(&call.seek, false));
            atomic_store(&call.told, 0);
            seeker_wait(&call);
            seeker_is_told(&call, AFAR__VERDICT_GO);
            CHECK_INT(seeker_goes_to(&call), 2);
        }
        CHECK_INT(afar__seek_failed(&call.seek, false), patient);
        afar__seek_clear(&call.seek);
    }
    world_close(&world);
}

/* How a call ends whose first attempt ended in one way and its second in another. */
static afar_outcome
outcome_of(struct world *world, afar_outcome first, afar_code code, afar_outcome second)
{
    afar_outcome outcome;
    struct seeker call;

    seeker_init(&call, world->goal, &idempotent_method, false);
    seeker_fail(&call, AFAR_UNAVAILABLE, first, "it failed");
    CHECK(afar__seek_failed(&call.seek, false));
    seeker_fail(&call, code, second, "it failed again");
    (void)afar__seek_failed(&call.seek, false);
    afar__seek_conclude(&call.seek);
    outcome = call.seek.error.outcome;
    CHECK_INT(call.seek.error.code, code);
    afar__seek_clear(&call.seek);
    return outcome;
}

TEST(the_outcome_of_all_attempts)
{
    const afar_outcome not_sent = AFAR_OUTCOME_NOT_SENT, unknown = AFAR_OUTCOME_UNKNOWN,
                       answered = AFAR_OUTCOME_ANSWERED;
    struct world world;

    world_open(&world);
    CHECK_INT(outcome_of(&world, not_sent, AFAR_UNAVAILABLE, not_sent), not_sent);
    CHECK_INT(outcome_of(&world, not_sent, AFAR_MOVED, answered), answered);
    CHECK_INT(outcome_of(&world, not_sent, AFAR_UNAVAILABLE, unknown), unknown);
    CHECK_INT(outcome_of(&world, unknown, AFAR_UNAVAILABLE, not_sent), unknown);
    CHECK_INT(outcome_of(&world, unknown, AFAR_MOVED, answered), unknown);
    CHECK_INT(outcome_of(&world, unknown, AFAR_NOT_FOUND, answered), answered);
    world_close(&world);
}

/* Whether the place is bad after something has failed there. */
static bool
is_bad_after(struct world *world, uint64_t number, afar_code code, afar_outcome outcome)
{
    afar_error why = AFAR_ERROR_INIT;
    bool bad;

    afar_fail(&why, code, "it failed");
    why.outcome = outcome;
    world->goal->bad = false;
    afar__goal_note(world->goal, number, &why);
    pthread_mutex_lock(&world->goal->lock);
    bad = world->goal->bad;
    pthread_mutex_unlock(&world->goal->lock);
    return bad;
}

TEST(what_shows_that_a_place_is_bad)
{
    struct world world;

    world_open(&world);
    CHECK(is_bad_after(&world, 1, AFAR_MOVED, AFAR_OUTCOME_ANSWERED));
    CHECK(is_bad_after(&world, 1, AFAR_UNAVAILABLE, AFAR_OUTCOME_NOT_SENT));
    CHECK(is_bad_after(&world, 1, AFAR_LOST, AFAR_OUTCOME_NOT_SENT));
    CHECK(!is_bad_after(&world, 2, AFAR_MOVED, AFAR_OUTCOME_ANSWERED)); /* it was elsewhere */
    CHECK(!is_bad_after(&world, 1, AFAR_UNAVAILABLE, AFAR_OUTCOME_ANSWERED));
    CHECK(!is_bad_after(&world, 1, AFAR_NOT_FOUND, AFAR_OUTCOME_ANSWERED));
    world_close(&world);
}

/* ---- giving up ---- */

static void
gives_up(struct world *world, bool late, const char *before, const char *message)
{
    struct seeker call;

    seeker_init(&call, world->goal, &plain_method, false);
    if (before)
        seeker_fail(&call, AFAR_UNAVAILABLE, AFAR_OUTCOME_NOT_SENT, before);
    afar__seek_give_up(&call.seek, late);
    CHECK_INT(call.seek.error.code, late ? AFAR_DEADLINE_EXCEEDED : AFAR_CANCELLED);
    CHECK_INT(call.seek.error.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK_STR(call.seek.error.message, message);
    afar__seek_clear(&call.seek);
}

TEST(why_it_was_given_up)
{
    static const char late[] = "/test.Fake/Ask alice: not found again before the deadline";
    struct world world;
    char text[256];

    world_open(&world);
    gives_up(&world, false, "whatever",
             "/test.Fake/Ask alice: cancelled while its object was looked for");
    gives_up(&world, true, NULL, late);
    snprintf(text, sizeof text, "%s: it broke", late);
    gives_up(&world, true, "it broke", text);
    gives_up(&world, true, "/test.Fake/Ask alice: it broke", text);
    snprintf(text, sizeof text, "%s; last tried at [::1]:7: it broke", late);
    gives_up(&world, true, "/test.Fake/Ask at [::1]:7: it broke", text);
    world_close(&world);
}
