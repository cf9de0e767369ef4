/* What each is told when the process at the other end, or the way to it, is lost, at each
 * moment.  A line's seat and its proxy notice each in its own time. */

#include "check.h"
#include "three.h"

/* ---- the home is lost ---- */

TEST(the_home_with_a_plain_sender)
{
    waiter sends;

    start_with_lines(0);
    waiter_one_far(&sends, &low, from, 1);
    CHECK(!waiter_begin(&sends));
    line_cut_proxy(from);
    CHECK_STR(sends.select.text, "the line was cut");
    CHECK_RESULT(&sends, 0, AFAR_UNKNOWN);
    CHECK(waiter_begin(&sends)); /* was not said at all */
    CHECK_RESULT(&sends, 0, AFAR_LOST);
    waiter_close(&sends);
    finish();
}

TEST(the_home_with_a_plain_receiver)
{
    waiter receives;
    const char *text;

    start_with_lines(0);
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    line_cut_proxy(to);
    CHECK_RESULT(&receives, 0, AFAR_LOST);
    CHECK_INT(afar__proxy_state(to->proxy, &text), AFAR_LOST);
    CHECK_STR(text, "the line was cut");
    waiter_close(&receives);
    finish();
}

/* Nothing was held: it is known that nothing happened, also for one that sends. */
TEST(the_home_with_an_open_select)
{
    waiter alt;
    line *b;

    start_with_lines(0);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    open_two(&alt, &low, from, b, false);
    CHECK(!waiter_begin(&alt));
    go();
    line_cut_proxy(from);
    CHECK_RESULT(&alt, 0, AFAR_LOST);
    afar__select_switch(&alt.guards[0], false); /* the other one goes on */
    CHECK(!waiter_begin(&alt));
    CHECK_INT(alt.done, 0);
    CHECK(afar__select_stop(&alt.select));
    CHECK_RESULT(&alt, -1, AFAR_OK);
    waiter_close(&alt);
    finish();
}

TEST(the_home_while_it_holds_a_sender)
{
    waiter alt, receives;
    line *b;

    start_with_lines(0);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    open_two(&alt, &low, from, b, false);
    CHECK(!waiter_begin(&alt));
    go();
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(line_word(from));
    CHECK(!afar__select_stop(&alt.select));
    line_cut_proxy(from);
    CHECK_RESULT(&alt, 0, AFAR_UNKNOWN); /* and never the other guard */
    line_cut_seat(from);
    CHECK_INT(receives.done, 0);
    CHECK(afar__select_stop(&receives.select));
    CHECK_RESULT(&receives, -1, AFAR_OK);
    waiter_close(&receives);
    waiter_close(&alt);
    finish();
}

/* Its payload had not come: open again, and the claim that waited is granted. */
TEST(the_home_while_it_holds_a_receiver)
{
    waiter alt, sends[2];
    line *b;

    for (int i = 0; i < 2; i++) {
        start_with_lines(0);
        b = line_new(&high, &middle, other, AFAR__RECEIVES);
        open_two(&alt, &high, to, b, false);
        CHECK(!waiter_begin(&alt));
        go();
        waiter_one(&sends[0], &middle, home, AFAR__SENDS, 1);
        waiter_one(&sends[1], &middle, other, AFAR__SENDS, 2);
        CHECK(!waiter_begin(&sends[0]));
        CHECK(line_word(to));
        CHECK_STR(line_said(to), "O1 c1 G1");
        if (i == 1) {
            CHECK(!waiter_begin(&sends[1]));
            CHECK(line_word(b));
        }
        line_cut(to);
        go();
        CHECK_RESULT(&alt, i, i == 0 ? AFAR_LOST : AFAR_OK);
        CHECK(afar__select_stop(&sends[0].select)); /* its offer has stayed */
        CHECK_RESULT(&sends[0], -1, AFAR_OK);
        if (i == 1)
            CHECK_RESULT(&sends[1], 0, AFAR_OK);
        waiter_close(&alt);
        waiter_close(&sends[0]);
        waiter_close(&sends[1]);
        finish();
    }
}

/* Time was up already: then that is what the round ends by. */
TEST(the_home_that_was_asked_to_let_go)
{
    waiter receives;

    start_with_lines(0);
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(!afar__select_stop(&receives.select));
    line_cut_proxy(to);
    CHECK_INT(receives.done, 1);
    CHECK_RESULT(&receives, -1, AFAR_OK);
    waiter_close(&receives);
    finish();
}

/* ---- the receiver is lost ---- */

TEST(the_receiver_before_the_message)
{
    waiter receives, near, sends;

    start_with_lines(0);
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    go();
    line_cut_seat(to);
    waiter_one_far(&sends, &low, from, 1);
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_INT(sends.done, 0);
    waiter_one(&near, &middle, home, AFAR__RECEIVES, 0);
    CHECK(waiter_begin(&near)); /* the next receiver has it */
    CHECK_RESULT(&near, 0, AFAR_OK);
    go();
    CHECK_RESULT(&sends, 0, AFAR_OK);
    line_cut_proxy(to);
    CHECK_RESULT(&receives, 0, AFAR_LOST);
    waiter_close(&receives);
    waiter_close(&near);
    waiter_close(&sends);
    finish();
}

/* While the claim of the sender is under way: that is released when it is granted. */
TEST(the_receiver_while_the_sender_is_claimed)
{
    waiter receives, alt;
    line *b;

    start_with_lines(0);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    open_two(&alt, &low, from, b, false);
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(!waiter_begin(&alt));
    while (line_act(from) || line_act(to))
        ;
    CHECK_STR(line_said(from), "O1 c1");
    line_cut(to);
    CHECK_RESULT(&receives, 0, AFAR_LOST);
    go();
    CHECK_STR(line_said(from), "G1 r1");
    CHECK_INT(alt.done, 0);
    CHECK(afar__select_stop(&alt.select));
    CHECK_RESULT(&alt, -1, AFAR_OK);
    waiter_close(&receives);
    waiter_close(&alt);
    finish();
}

/* It may have it, or not. */
static void
lose_receiver(bool acknowledged, bool near)
{
    waiter receives, sends;

    start_with_lines(0);
    waiter_one_far(&receives, &high, to, 0);
    if (near)
        waiter_one(&sends, &middle, home, AFAR__SENDS, 1);
    else
        waiter_one_far(&sends, &low, from, 1);
    CHECK(!waiter_begin(&receives));
    CHECK(!waiter_begin(&sends));
    while (line_act(from) || line_act(to))
        ;
    CHECK_INT(sends.done, 0);
    if (acknowledged) {
        CHECK(line_word(to));
        CHECK(line_act(to));
    }
    line_cut(to);
    go();
    CHECK_RESULT(&sends, 0, acknowledged ? AFAR_OK : AFAR_UNKNOWN);
    if (!near)
        CHECK_STR(line_said(from), acknowledged ? "O1 t1" : "O1 u1");
    CHECK_RESULT(&receives, 0, acknowledged ? AFAR_OK : AFAR_LOST);
    waiter_close(&receives);
    waiter_close(&sends);
    finish();
}

TEST(the_receiver_after_the_message)
{
    lose_receiver(false, false);
    lose_receiver(false, true);
}

TEST(the_receiver_after_it_said_that_it_has_it)
{
    lose_receiver(true, false);
    lose_receiver(true, true);
}

/* ---- the sender is lost: a message or nothing, never twice ---- */

TEST(the_sender_at_each_moment)
{
    for (int i = 0; i < 4; i++) {
        waiter receives, sends;

        start_with_lines(0);
        waiter_one_far(&sends, &low, from, 9);
        waiter_one_far(&receives, &high, to, 0);
        CHECK(!waiter_begin(&sends));
        CHECK(!waiter_begin(&receives));
        if (i == 0)
            line_cut(from);
        CHECK_INT(line_act(from), i > 0);
        if (i == 1)
            line_cut(from);
        CHECK(line_act(to));
        if (i == 2)
            line_cut(from);
        CHECK_INT(line_word(to), i >= 2);
        CHECK_INT(line_act(to), i >= 2);
        if (i == 3)
            line_cut(from);
        CHECK_RESULT(&sends, 0, AFAR_UNKNOWN);
        CHECK_INT(receives.done, i >= 2);
        if (i < 2) {
            CHECK(!afar__select_stop(&receives.select));
            go();
        }
        CHECK_RESULT(&receives, i < 2 ? -1 : 0, AFAR_OK);
        CHECK_INT(receives.value, i < 2 ? 0 : 9);
        waiter_close(&receives);
        waiter_close(&sends);
        finish();
    }
}

/* The receiver's claim is under way when a claimed sender goes, and the other way round. */
TEST(a_claimed_one_at_each_moment)
{
    for (int i = 0; i < 3; i++) {
        waiter alts[2];
        line *b, *c;

        start_with_lines(0);
        b = line_new(&low, &middle, other, AFAR__SENDS);
        c = line_new(&high, &middle, other, AFAR__SENDS);
        open_two(&alts[0], &low, from, b, false);
        open_two(&alts[1], &high, to, c, false);
        CHECK(!waiter_begin(&alts[0]));
        CHECK(!waiter_begin(&alts[1]));
        while (line_act(from) || line_act(to) || line_act(b) || line_act(c))
            ;
        CHECK_STR(line_said(from), "O1 c1");
        CHECK_STR(line_said(to), "O1");
        if (i == 0)
            line_cut_seat(to);
        CHECK(line_word(from));
        CHECK(line_act(from));
        CHECK_STR(line_said(from), i == 0 ? "G1 r1" : "G1");
        if (i == 1)
            line_cut_seat(from);
        if (i == 2)
            line_cut_seat(to);
        CHECK_STR(line_said(to), i == 0 ? "" : "c1");
        CHECK_STR(line_said(from), i == 2 ? "r1" : "");
        go();
        CHECK_STR(line_said(to), i == 0 ? "" : i == 1 ? "G1 r1" : "G1");
        line_cut_proxy(i == 1 ? from : to);
        go();
        CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), i == 1 ? 0 : 1);
        CHECK_INT(afar__home_offer_count(home, AFAR__RECEIVES), i == 1 ? 1 : 0);
        for (int j = 0; j < 2; j++) {
            bool gone = j == (i == 1 ? 0 : 1);

            if (!gone)
                CHECK(afar__select_stop(&alts[j].select));
            CHECK_RESULT(&alts[j], gone ? 0 : -1,
                         !gone    ? AFAR_OK
                         : j == 0 ? AFAR_UNKNOWN
                                  : AFAR_LOST);
            waiter_close(&alts[j]);
        }
        finish();
    }
}

TEST(an_end_may_be_attached_again)
{
    waiter sends, receives;

    start_with_lines(0);
    waiter_one_far(&sends, &low, from, 1);
    CHECK(!waiter_begin(&sends));
    line_cut(from);
    CHECK_RESULT(&sends, 0, AFAR_UNKNOWN);
    line_said(from);
    line_again(from, home);
    CHECK(!waiter_begin(&sends));
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    go();
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_STR(line_said(from), "O1 t1");
    waiter_close(&sends);
    waiter_close(&receives);
    finish();
}
