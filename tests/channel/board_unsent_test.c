/* Messages that could not be sent: what their owners are told, and what is said instead. */

#include "check.h"
#include "three.h"

#define WHY "too much for a session"

/* ---- to a home elsewhere ---- */

/* Its number stays its own, and nothing stays behind. */
TEST(an_exclusive_offer)
{
    waiter sends, receives;

    start_with_lines(0);
    waiter_one_far(&sends, &low, from, 5);
    CHECK(!waiter_begin(&sends));
    line_act_unsent(from, AFAR_RESOURCE_EXHAUSTED, WHY);
    CHECK_INT(sends.done, 1);
    CHECK_STR(sends.select.text, WHY);
    CHECK_RESULT(&sends, 0, AFAR_RESOURCE_EXHAUSTED);
    CHECK(afar__proxy_busy(from->proxy));
    go();
    CHECK_STR(line_said(from), "O1 W1 x1");
    CHECK(!afar__proxy_busy(from->proxy));
    CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), 0);

    /* The next one is received. */
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 5);
    waiter_close(&sends);
    waiter_close(&receives);
    finish();
}

/* A receiver that waits claims what is left of it, in vain. */
TEST(an_exclusive_offer_that_is_claimed)
{
    waiter sends, receives;

    start_with_lines(0);
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    waiter_one_far(&sends, &low, from, 5);
    CHECK(!waiter_begin(&sends));
    line_act_unsent(from, AFAR_RESOURCE_EXHAUSTED, WHY);
    CHECK_RESULT(&sends, 0, AFAR_RESOURCE_EXHAUSTED);
    go();
    CHECK_STR(line_said(from), "O1 W1 c1 D1");
    CHECK_INT(receives.done, 0);
    CHECK(!afar__proxy_busy(from->proxy));
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    waiter_close(&sends);
    waiter_close(&receives);
    finish();
}

/* Its time was up already, or it has a default case. */
TEST(an_exclusive_offer_that_was_withdrawn)
{
    for (int polls = 0; polls < 2; polls++) {
        waiter sends;

        start_with_lines(0);
        waiter_one_far(&sends, &low, from, 5);
        CHECK(!(polls ? waiter_poll(&sends) : waiter_begin(&sends)));
        if (!polls)
            CHECK(!afar__select_stop(&sends.select));
        line_act_unsent(from, AFAR_RESOURCE_EXHAUSTED, WHY);
        CHECK_RESULT(&sends, 0, AFAR_RESOURCE_EXHAUSTED);
        go();
        CHECK_STR(line_said(from), "O1 W1 x1");
        waiter_close(&sends);
        finish();
    }
}

TEST(posts)
{
    afar__posts told;
    waiter receives;

    start_with_lines(0);
    for (int i = 1; i <= 3; i++)
        CHECK(afar__proxy_post(from->proxy, parcel_new(i)));
    CHECK(line_act(from));
    line_act_unsent(from, AFAR_INVALID_ARGUMENT, WHY);
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(waiter_begin(&receives));
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 1);
    CHECK(!waiter_begin(&receives));
    go();
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 3);
    told = afar__proxy_posts(from->proxy);
    CHECK_INT(told.open, 0);
    CHECK_INT(told.refused + told.unknown, 0);
    CHECK_INT(told.unsent, 1);
    CHECK_INT(told.code, AFAR_INVALID_ARGUMENT);
    CHECK_STR(told.text, WHY);
    CHECK(from->posted > 0);
    waiter_close(&receives);
    finish();
}

/* The claim is denied; its select is done, and another one is given the receiver. */
TEST(a_grant)
{
    waiter sends, receives, late;
    line *second;

    start_with_lines(0);
    second = line_new(&low, &middle, other, AFAR__SENDS);
    waiter_init(&sends);
    waiter_far(&sends, from, 5);
    waiter_far(&sends, second, 6);
    waiter_open(&sends, &low, false);
    CHECK(!waiter_begin(&sends));
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    while (line_act(from) || line_word(from))
        if (sends.select.held_by_far)
            break;
    CHECK(sends.select.held_by_far);
    line_act_unsent(from, AFAR_RESOURCE_EXHAUSTED, WHY);
    CHECK_STR(sends.select.text, WHY);
    CHECK_RESULT(&sends, 0, AFAR_RESOURCE_EXHAUSTED);
    go();
    CHECK_STR(line_said(from), "O1 c1 G1");
    CHECK_INT(receives.done, 0);
    waiter_one_far(&late, &low, from, 7);
    CHECK(!waiter_begin(&late));
    go();
    CHECK_RESULT(&late, 0, AFAR_OK);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 7);
    waiter_close(&late);
    waiter_close(&sends);
    go();
    waiter_close(&receives);
    finish();
}

/* ---- to a receiver elsewhere ---- */

/* The receiver waits on, where it was. */
TEST(a_message_from_here)
{
    waiter sends, receives;

    start_with_lines(0);
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    go();
    waiter_one(&sends, &middle, home, AFAR__SENDS, 3);
    CHECK(!waiter_begin(&sends));
    line_word_unsent(to, AFAR_RESOURCE_EXHAUSTED, WHY);
    CHECK_INT(sends.done, 1);
    CHECK_STR(sends.select.text, WHY);
    CHECK_RESULT(&sends, 0, AFAR_RESOURCE_EXHAUSTED);
    go();
    CHECK_INT(receives.done, 0);
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_STR(line_said(to), "O1 m1 m1 A1");
    waiter_close(&sends);
    waiter_close(&receives);
    finish();
}

/* The sender is elsewhere, too; there is no word for more than that. */
TEST(a_message_from_elsewhere)
{
    waiter sends, receives;

    start_with_lines(0);
    waiter_one_far(&receives, &high, to, 0);
    waiter_one_far(&sends, &low, from, 3);
    CHECK(!waiter_begin(&receives));
    CHECK(!waiter_begin(&sends));
    while (line_act(from) || line_act(to))
        ;
    line_word_unsent(to, AFAR_RESOURCE_EXHAUSTED, WHY);
    go();
    CHECK_STR(line_said(from), "O1 u1");
    CHECK_RESULT(&sends, 0, AFAR_UNKNOWN);
    CHECK_INT(receives.done, 0);
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    waiter_close(&sends);
    waiter_close(&receives);
    finish();
}

/* What it was withdrawn behind is not told it any more: Withdrawn is the answer then. */
TEST(a_message_to_one_that_withdrew)
{
    waiter sends, receives;

    start_with_lines(0);
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    go();
    waiter_one(&sends, &middle, home, AFAR__SENDS, 3);
    CHECK(!waiter_begin(&sends));
    CHECK(!afar__select_stop(&receives.select));
    CHECK(line_act(to));
    line_word_unsent(to, AFAR_RESOURCE_EXHAUSTED, WHY);
    CHECK_RESULT(&sends, 0, AFAR_RESOURCE_EXHAUSTED);
    go();
    CHECK_RESULT(&receives, -1, AFAR_OK);
    CHECK_STR(line_said(to), "O1 m1 W1 x1");
    CHECK_INT(afar__home_offer_count(home, AFAR__RECEIVES), 0);
    waiter_close(&sends);
    waiter_close(&receives);
    finish();
}

/* A select that granted a claim is let go, and what it waits for otherwise can happen. */
TEST(a_message_to_a_select)
{
    waiter sends, receives;
    line *second;

    start_with_lines(0);
    second = line_new(&high, &middle, other, AFAR__RECEIVES);
    waiter_init(&receives);
    waiter_far(&receives, to, 0);
    waiter_far(&receives, second, 0);
    waiter_open(&receives, &high, false);
    CHECK(!waiter_begin(&receives));
    go();
    waiter_one(&sends, &middle, home, AFAR__SENDS, 3);
    CHECK(!waiter_begin(&sends));
    CHECK(line_word(to)); /* the claim */
    CHECK(line_act(to));  /* and its grant */
    line_word_unsent(to, AFAR_RESOURCE_EXHAUSTED, WHY);
    CHECK_RESULT(&sends, 0, AFAR_RESOURCE_EXHAUSTED);
    waiter_close(&sends);
    go();
    CHECK_STR(line_said(to), "O1 c1 G1 m1 r1");
    waiter_one(&sends, &middle, other, AFAR__SENDS, 4);
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&receives, 1, AFAR_OK);
    CHECK_INT(receives.value, 4);
    waiter_close(&sends);
    waiter_close(&receives);
    go();
    finish();
}

/* The channel ended meanwhile: that is said now. */
TEST(a_message_at_the_end)
{
    waiter sends, receives;

    start_with_lines(0);
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    go();
    waiter_one(&sends, &middle, home, AFAR__SENDS, 3);
    CHECK(!waiter_begin(&sends));
    afar__home_poison(home, "enough");
    line_word_unsent(to, AFAR_RESOURCE_EXHAUSTED, WHY);
    CHECK_RESULT(&sends, 0, AFAR_RESOURCE_EXHAUSTED);
    CHECK(afar__seat_is_over(to->seat));
    go();
    CHECK_STR(line_said(to), "O1 m1 e102");
    CHECK_RESULT(&receives, 0, AFAR_POISONED);
    waiter_close(&sends);
    waiter_close(&receives);
    finish();
}

/* Its sender heard OK long ago: the message goes all the same, as one that cannot be read. */
TEST(a_message_from_a_buffer)
{
    waiter receives;
    afar__step step = { .kind = AFAR__STEP_MESSAGE, .number = 1 };

    start_with_lines(2);
    CHECK(afar__home_post(home, parcel_new(3)));
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(line_act(to));
    CHECK(afar__seat_unsent(to->seat, &step, AFAR_RESOURCE_EXHAUSTED, WHY));
    go();
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_STR(line_said(to), "O1 m1");
    waiter_close(&receives);
    finish();
}
