/* Selects over several processes: priority, default cases, and taking turns.  boards.h says how what is
 * said is written. */

#include "check.h"
#include "three.h"

/* ---- by priority ---- */

/* The second's claim comes first, and waits for what the first home says. */
TEST(by_priority_a_claim_waits_for_those_in_front)
{
    waiter alt, first, second;
    line *a, *b;

    for (int i = 0; i < 2; i++) {
        start(0);
        a = line_new(&low, &middle, home, AFAR__RECEIVES);
        b = line_new(&low, &middle, other, AFAR__RECEIVES);
        open_two(&alt, &low, a, b, true);
        waiter_one(&first, &middle, home, AFAR__SENDS, 1);
        waiter_one(&second, &middle, other, AFAR__SENDS, 2);
        CHECK(!waiter_begin(&second));
        if (i == 0)
            CHECK(!waiter_begin(&first));
        CHECK(!waiter_begin(&alt));
        CHECK(line_act(b));
        CHECK(line_word(b));
        CHECK_STR(line_said(b), "O1 c1");
        go();
        CHECK_STR(line_said(a), i == 0 ? "O1 c1 G1 m1 A1" : "O1 w1");
        CHECK_STR(line_said(b), i == 0 ? "D1" : "G1 m1 A1");
        CHECK_RESULT(&alt, i, AFAR_OK);
        CHECK_RESULT(i == 0 ? &first : &second, 0, AFAR_OK);
        waiter_close(&alt);
        if (i == 0) {
            CHECK(afar__select_stop(&second.select));
            CHECK_RESULT(&second, -1, AFAR_OK);
        }
        waiter_close(&first);
        waiter_close(&second);
        finish();
    }
}

/* A guard here waits for those in front of it that are elsewhere; one that was fired does not. */
TEST(by_priority_those_here_wait_too)
{
    waiter alt, near;
    afar__home *here;
    line *a;

    start(0);
    here = afar__home_new(&low.board, 0);
    a = line_new(&low, &middle, home, AFAR__RECEIVES);
    waiter_one(&near, &low, here, AFAR__SENDS, 2);
    CHECK(!waiter_begin(&near));
    waiter_init(&alt);
    waiter_far(&alt, a, 0);
    waiter_on(&alt, here, AFAR__RECEIVES, 0);
    waiter_other(&alt);
    waiter_open(&alt, &low, true);
    CHECK(!waiter_begin(&alt));
    CHECK(afar__select_fire(&alt.select, &alt.guards[2]));
    CHECK_RESULT(&alt, 2, AFAR_OK);
    CHECK(!waiter_begin(&alt));
    go();
    CHECK_RESULT(&alt, 1, AFAR_OK);
    CHECK_RESULT(&near, 0, AFAR_OK);
    waiter_close(&alt);
    waiter_close(&near);
    afar__home_free(here);
    finish();
}

/* What stands in front was answered long ago. */
/* The first can happen without asking anybody, while a claim for the last waits for the second. */
TEST(by_priority_a_hand_over_at_once_answers_who_waits)
{
    afar__parcel *parcel;
    afar__home *here;
    waiter alt, first, last;
    line *a, *b;

    start(0);
    here = afar__home_new(&low.board, 0);
    a = line_new(&low, &middle, home, AFAR__RECEIVES);
    b = line_new(&low, &middle, other, AFAR__RECEIVES);
    waiter_init(&alt);
    waiter_on(&alt, here, AFAR__RECEIVES, 0);
    waiter_far(&alt, a, 0);
    waiter_far(&alt, b, 0);
    waiter_open(&alt, &low, true);
    waiter_one(&last, &middle, other, AFAR__SENDS, 2);
    CHECK(!waiter_begin(&last));
    CHECK(!waiter_begin(&alt));
    CHECK(line_act(b));
    CHECK(line_word(b));
    parcel = parcel_new(7);
    waiter_one(&first, &low, here, AFAR__SENDS, 7);
    if (!afar__home_send_at_once(here, parcel)) {
        low.board.ops->drop(low.board.arg, parcel);
        CHECK(waiter_begin(&first));
    }
    go();
    CHECK_RESULT(&alt, 0, AFAR_OK);
    CHECK_STR(line_said(b), "O1 c1 D1");
    waiter_close(&alt);
    waiter_close(&first);
    CHECK(afar__select_stop(&last.select));
    waiter_close(&last);
    go();
    afar__home_free(here);
    finish();
}

TEST(by_priority_again_and_again)
{
    waiter alt, second;
    line *a, *b;

    start(0);
    a = line_new(&low, &middle, home, AFAR__RECEIVES);
    b = line_new(&low, &middle, other, AFAR__RECEIVES);
    open_two(&alt, &low, a, b, true);
    for (int i = 0; i < 3; i++) {
        waiter_one(&second, &middle, other, AFAR__SENDS, i);
        CHECK(!waiter_begin(&alt));
        go();
        CHECK(!waiter_begin(&second));
        go();
        CHECK_RESULT(&alt, 1, AFAR_OK);
        CHECK_RESULT(&second, 0, AFAR_OK);
        waiter_close(&second);
    }
    CHECK_STR(line_said(a), "O1 w1");
    waiter_close(&alt);
    finish();
}

/* ---- default cases ---- */

TEST(a_poll_of_one_home_elsewhere)
{
    waiter receives, sends;
    line *l;

    start(0);
    l = line_new(&low, &middle, home, AFAR__RECEIVES);
    waiter_one_far(&receives, &low, l, 0);
    CHECK(!waiter_poll(&receives));
    go();
    CHECK_RESULT(&receives, -1, AFAR_OK);
    CHECK_STR(line_said(l), "O1 w1 W1 x1");
    waiter_one(&sends, &middle, home, AFAR__SENDS, 3);
    CHECK(!waiter_begin(&sends));
    CHECK(!waiter_poll(&receives));
    go();
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 3);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    waiter_close(&receives);
    waiter_close(&sends);
    finish();
}

TEST(a_poll_of_several)
{
    waiter alt;
    line *a, *b;

    start(0);
    a = line_new(&low, &middle, home, AFAR__RECEIVES);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    open_two(&alt, &low, a, b, false);
    CHECK(!waiter_poll(&alt));
    CHECK(line_act(a));
    CHECK(line_word(a));
    CHECK_INT(alt.done, 0);
    go();
    CHECK_RESULT(&alt, -1, AFAR_OK);
    CHECK(waiter_poll(&alt)); /* they stand, and nothing came */
    CHECK_RESULT(&alt, -1, AFAR_OK);
    CHECK_STR(line_said(a), "O1 w1");
    waiter_close(&alt);
    finish();
}

/* Of a pair of which the other must be claimed first: a poll has the time for that, so that it does
 * not miss it for ever; one by priority has not, since claims wait for the answer. */
TEST(a_poll_waits_for_a_claim_of_another)
{
    for (int i = 0; i < 2; i++) {
        waiter alt, sends;
        line *a, *b, *c, *d;

        start(0);
        a = line_new(&high, &middle, home, AFAR__RECEIVES);
        b = line_new(&high, &middle, other, AFAR__RECEIVES);
        c = line_new(&low, &middle, home, AFAR__SENDS);
        d = line_new(&low, &middle, other, AFAR__RECEIVES);
        open_two(&sends, &low, c, d, false);
        CHECK(!waiter_begin(&sends));
        go();
        open_two(&alt, &high, a, b, i == 1);
        CHECK(!waiter_poll(&alt));
        CHECK(line_act(a));
        CHECK(line_act(b));
        CHECK_STR(line_said(a), i == 0 ? "O1" : "O1 w1");
        CHECK_STR(line_said(c), "O1 c1");
        while (line_word(a) || line_word(b))
            ;
        CHECK_INT(alt.done, i);
        go();
        if (i == 0) {
            CHECK_RESULT(&alt, 0, AFAR_OK);
            CHECK_RESULT(&sends, 0, AFAR_OK);
        } else {
            CHECK_RESULT(&alt, -1, AFAR_OK);
            CHECK_INT(sends.done, 0);
            CHECK(afar__select_stop(&sends.select));
            CHECK_RESULT(&sends, -1, AFAR_OK);
        }
        waiter_close(&alt);
        waiter_close(&sends);
        finish();
    }
}

/* The same when nothing comes of it. */
TEST(a_poll_is_answered_when_a_claim_was_denied)
{
    waiter alt, sends;
    line *a, *b, *c, *d;

    start(0);
    a = line_new(&high, &middle, home, AFAR__RECEIVES);
    b = line_new(&high, &middle, other, AFAR__RECEIVES);
    c = line_new(&low, &middle, home, AFAR__SENDS);
    d = line_new(&low, &middle, other, AFAR__RECEIVES);
    open_two(&sends, &low, c, d, false);
    CHECK(!waiter_begin(&sends));
    go();
    CHECK(afar__select_stop(&sends.select));
    CHECK_RESULT(&sends, -1, AFAR_OK);
    open_two(&alt, &high, a, b, false);
    CHECK(!waiter_poll(&alt));
    go();
    CHECK_RESULT(&alt, -1, AFAR_OK);
    CHECK_STR(line_said(a), "O1 w1");
    CHECK_STR(line_said(c), "O1 c1 D1");
    waiter_close(&alt);
    waiter_close(&sends);
    finish();
}

/* A poll here, of a channel here: likewise. */
TEST(a_poll_here_waits_for_a_claim)
{
    for (int i = 0; i < 2; i++) {
        waiter near, sends;
        line *c, *d;

        start(0);
        c = line_new(&low, &middle, home, AFAR__SENDS);
        d = line_new(&low, &middle, other, AFAR__RECEIVES);
        open_two(&sends, &low, c, d, false);
        CHECK(!waiter_begin(&sends));
        go();
        if (i == 1) {
            CHECK(afar__select_stop(&sends.select));
            CHECK_RESULT(&sends, -1, AFAR_OK);
        }
        waiter_one(&near, &middle, home, AFAR__RECEIVES, 0);
        CHECK(!waiter_poll(&near));
        go();
        CHECK_RESULT(&near, i == 0 ? 0 : -1, AFAR_OK);
        if (i == 0)
            CHECK_RESULT(&sends, 0, AFAR_OK);
        waiter_close(&near);
        waiter_close(&sends);
        finish();
    }
}

/* ---- fairness ---- */

/* One here and one elsewhere, both always ready: each has its turn. */
TEST(a_guard_elsewhere_has_its_turn)
{
    waiter alt, near, far;
    afar__home *here;
    line *a;
    int taken[2] = { 0, 0 };

    start(0);
    here = afar__home_new(&low.board, 0);
    a = line_new(&low, &middle, home, AFAR__RECEIVES);
    waiter_one(&near, &low, here, AFAR__SENDS, 0);
    waiter_one(&far, &middle, home, AFAR__SENDS, 1);
    CHECK(!waiter_begin(&near));
    CHECK(!waiter_begin(&far));
    waiter_init(&alt);
    waiter_on(&alt, here, AFAR__RECEIVES, 0);
    waiter_far(&alt, a, 0);
    waiter_open(&alt, &low, false);
    for (int i = 0; i < 300; i++) {
        afar_code code;
        int which;

        if (!waiter_begin(&alt))
            go();
        which = waiter_result(&alt, &code);
        CHECK_INT(code, AFAR_OK);
        taken[which]++;
        go();
        CHECK_RESULT(which == 0 ? &near : &far, 0, AFAR_OK);
        CHECK(!waiter_begin(which == 0 ? &near : &far));
        go();
    }
    CHECK(taken[0] >= 100 && taken[1] >= 100);
    waiter_close(&alt);
    CHECK(afar__select_stop(&near.select));
    CHECK(afar__select_stop(&far.select));
    waiter_close(&near);
    waiter_close(&far);
    afar__home_free(here);
    finish();
}

/* While it waits for that answer, time-outs and what was fired end the round at once. */
TEST(a_turn_that_is_waited_for_may_be_given_up)
{
    for (int i = 0; i < 4; i++) {
        waiter alt, near, far;
        afar__home *here;
        line *a;

        start(0);
        here = afar__home_new(&low.board, 0);
        a = line_new(&low, &middle, home, AFAR__RECEIVES);
        waiter_one(&near, &low, here, AFAR__SENDS, 0);
        waiter_one(&far, &middle, home, AFAR__SENDS, 1);
        waiter_init(&alt);
        waiter_far(&alt, a, 0);
        waiter_on(&alt, here, AFAR__RECEIVES, 0);
        waiter_other(&alt);
        waiter_open(&alt, &low, false);
        CHECK(!waiter_begin(&alt));
        CHECK(afar__select_stop(&alt.select));
        CHECK_RESULT(&alt, -1, AFAR_OK);
        CHECK(!waiter_begin(&far));
        go();
        CHECK_STR(line_said(a), "O1 c1 D1");
        CHECK(afar__select_stop(&far.select));
        CHECK_RESULT(&far, -1, AFAR_OK);
        CHECK(!waiter_begin(&near)); /* finds the guard idle, which then is behind the other */
        if (i == 1)
            CHECK(!afar__select_fire(&alt.select, &alt.guards[2]));
        CHECK_INT(waiter_begin(&alt), i == 1);
        if (i == 0)
            CHECK(afar__select_stop(&alt.select));
        if (i == 2)
            CHECK(afar__select_fire(&alt.select, &alt.guards[2]));
        go();
        CHECK_RESULT(&alt, i == 0 ? -1 : i == 3 ? 1 : 2, AFAR_OK);
        CHECK_STR(line_said(a), "O2 w2");
        if (i < 3)
            CHECK(afar__select_stop(&near.select));
        CHECK_RESULT(&near, i == 3 ? 0 : -1, AFAR_OK);
        waiter_close(&alt);
        waiter_close(&near);
        waiter_close(&far);
        afar__home_free(here);
        finish();
    }
}
