/* Rounds whose time is up while an answer is under way that does not come: what holds them, and what becomes of
 * all that take part when it is broken off. */

#include "check.h"
#include "three.h"

static bool
can_give_up(waiter *w)
{
    afar__proxy *proxy;
    afar__seat *seat;

    return afar__select_give_up(&w->select, &proxy, &seat);
}

/* The seat hears that the call is over, and the end attaches anew. */
static void
attach_again(line *l)
{
    line_cut_seat(l);
    line_again(l, home);
}

/* ---- a home that does not answer ---- */

TEST(a_sender_and_its_home)
{
    waiter sends;

    start_with_lines(0);
    waiter_one_far(&sends, &low, from, 1);
    CHECK(!can_give_up(&sends));
    CHECK(!waiter_begin(&sends));
    go();
    CHECK(!afar__select_stop(&sends.select));
    CHECK_STR(line_said(from), "O1 W1");
    waiter_give_up(&sends);
    CHECK_RESULT(&sends, 0, AFAR_UNKNOWN);

    attach_again(from);
    CHECK(!waiter_begin(&sends));
    go();
    CHECK(!afar__select_stop(&sends.select));
    go();
    CHECK_RESULT(&sends, -1, AFAR_OK);
    waiter_close(&sends);
    finish();
}

/* The answer was under way: who received it keeps it, and the sender does not know. */
TEST(a_sender_whose_message_was_taken)
{
    waiter sends, receives;

    start_with_lines(0);
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    waiter_one_far(&sends, &low, from, 1);
    CHECK(!waiter_begin(&sends));
    CHECK(line_act(from));
    CHECK_INT(receives.done, 1);
    CHECK(!afar__select_stop(&sends.select));
    waiter_give_up(&sends);
    CHECK_RESULT(&sends, 0, AFAR_UNKNOWN);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 1);
    waiter_close(&receives);
    waiter_close(&sends);
    finish();
}

/* The message that was under way to it is lost. */
TEST(a_receiver_and_its_home)
{
    waiter sends, receives;

    start_with_lines(0);
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(line_act(to));
    waiter_one(&sends, &middle, home, AFAR__SENDS, 1);
    CHECK(!waiter_begin(&sends));
    CHECK(!afar__select_stop(&receives.select));
    waiter_give_up(&receives);
    CHECK_STR(receives.select.text, "the line was cut");
    CHECK_RESULT(&receives, 0, AFAR_LOST);
    CHECK_INT(sends.done, 0);
    attach_again(to);
    CHECK_RESULT(&sends, 0, AFAR_UNKNOWN);

    CHECK(!waiter_begin(&receives));
    go();
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    waiter_close(&receives);
    waiter_close(&sends);
    finish();
}

/* As nothing of it left, it is known that nothing happened. */
TEST(what_never_left)
{
    waiter sends, receives;

    start_with_lines(0);
    waiter_one_far(&sends, &low, from, 1);
    CHECK(!waiter_begin(&sends));
    CHECK(!can_give_up(&sends)); /* time is not up */
    CHECK(!afar__select_stop(&sends.select));
    CHECK(can_give_up(&sends));
    afar__proxy_lost(from->proxy, AFAR_UNAVAILABLE, "nothing went");
    CHECK_INT(sends.done, 1);
    CHECK_RESULT(&sends, -1, AFAR_OK);
    waiter_close(&sends);

    waiter_one_far(&receives, &high, to, 1);
    CHECK(!waiter_begin(&receives));
    CHECK(!afar__select_stop(&receives.select));
    CHECK(can_give_up(&receives));
    afar__proxy_lost(to->proxy, AFAR_UNAVAILABLE, "nothing went");
    CHECK_RESULT(&receives, -1, AFAR_OK);
    waiter_close(&receives);
    finish();
}

/* Others that use the end lose it, too. */
TEST(another_thread_with_that_end)
{
    waiter sends, receives[2];

    start_with_lines(0);
    for (int i = 0; i < 2; i++) {
        waiter_one_far(&receives[i], &high, to, 0);
        CHECK(!waiter_begin(&receives[i]));
    }
    waiter_one_far(&sends, &low, from, 1);
    CHECK(!waiter_begin(&sends));
    CHECK(!afar__select_stop(&receives[0].select));
    waiter_give_up(&receives[0]);
    CHECK_RESULT(&receives[0], 0, AFAR_LOST);
    CHECK_RESULT(&receives[1], 0, AFAR_LOST);
    CHECK_INT(sends.done, 0);
    CHECK(!can_give_up(&receives[1]));
    CHECK(!afar__select_stop(&sends.select));
    go();
    CHECK_RESULT(&sends, -1, AFAR_OK);
    waiter_close(&receives[0]);
    waiter_close(&receives[1]);
    waiter_close(&sends);
    finish();
}

/* Out of a buffer nobody else hears of the loss. */
TEST(a_receiver_and_its_buffer)
{
    waiter sends, receives;

    start_with_lines(2);
    waiter_one(&sends, &middle, home, AFAR__SENDS, 1);
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_OK);
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(line_act(to));
    CHECK_INT(afar__home_buffer_count(home), 0);
    CHECK(!afar__select_stop(&receives.select));
    waiter_give_up(&receives);
    CHECK_RESULT(&receives, 0, AFAR_LOST);
    waiter_close(&receives);
    waiter_close(&sends);
    finish();
}

/* It will fire again; that something was lost is told once. */
TEST(what_was_fired_meanwhile)
{
    waiter receives, sends;

    start_with_lines(0);
    waiter_init(&receives);
    waiter_far(&receives, to, 0);
    waiter_other(&receives);
    waiter_open(&receives, &high, false);
    CHECK(!waiter_begin(&receives));
    CHECK(!afar__select_fire(&receives.select, &receives.guards[1]));
    CHECK(!afar__select_stop(&receives.select));
    waiter_give_up(&receives);
    CHECK_RESULT(&receives, 0, AFAR_LOST);
    waiter_close(&receives);

    waiter_init(&sends);
    waiter_far(&sends, from, 1);
    waiter_other(&sends);
    waiter_open(&sends, &low, false);
    CHECK(!waiter_begin(&sends));
    CHECK(!afar__select_fire(&sends.select, &sends.guards[1]));
    CHECK(!afar__select_stop(&sends.select));
    waiter_give_up(&sends);
    CHECK_RESULT(&sends, 0, AFAR_UNKNOWN);
    waiter_close(&sends);
    finish();
}

TEST(a_poll)
{
    waiter polls;
    line *b;

    start_with_lines(0);
    waiter_one_far(&polls, &high, to, 0);
    CHECK(!waiter_poll(&polls));
    CHECK(line_act(to));
    CHECK(line_word(to)); /* Waiting: it withdraws, and hears no more */
    CHECK(!afar__select_stop(&polls.select));
    CHECK_STR(line_said(to), "O1 w1 W1");
    waiter_give_up(&polls);
    CHECK_RESULT(&polls, 0, AFAR_LOST);
    waiter_close(&polls);

    /* What its own process decides waits for nobody. */
    attach_again(to);
    b = line_new(&high, &middle, other, AFAR__RECEIVES);
    open_two(&polls, &high, to, b, false);
    CHECK(!waiter_poll(&polls));
    CHECK(!can_give_up(&polls));
    CHECK(afar__select_stop(&polls.select));
    CHECK_RESULT(&polls, -1, AFAR_OK);
    waiter_close(&polls);
    finish();
}

/* ---- a claim that was granted ---- */

/* The home waits for a third process: with the message, nobody knows. */
TEST(a_sender_that_was_granted)
{
    waiter alt, third;
    line *b, *c;

    start_with_lines(0);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    c = line_new(&high, &middle, other, AFAR__RECEIVES);
    open_two(&third, &high, to, c, false);
    CHECK(!waiter_begin(&third));
    go();
    open_two(&alt, &low, from, b, false);
    CHECK(!waiter_begin(&alt));
    CHECK(line_act(from));
    CHECK(line_word(from)); /* a claim, which is granted */
    CHECK(line_act(from));  /* and then high is asked, and does not answer */
    CHECK_STR(line_said(to), "O1 c1");
    CHECK(!afar__select_stop(&alt.select));
    waiter_give_up(&alt);
    CHECK_RESULT(&alt, 0, AFAR_UNKNOWN);

    /* The pair falls apart: the third is released, should it answer, and takes the other's message. */
    line_cut_seat(from);
    CHECK(waiter_begin(&alt));
    CHECK_RESULT(&alt, 0, AFAR_LOST);
    afar__select_switch(&alt.guards[0], false);
    CHECK(line_word(to)); /* the claim */
    CHECK(line_act(to));
    CHECK(line_word(to));
    CHECK_INT(third.done, 0);
    CHECK_STR(line_said(to), "G1 r1");
    CHECK(!waiter_begin(&alt));
    go();
    CHECK_RESULT(&alt, 1, AFAR_OK);
    CHECK_RESULT(&third, 1, AFAR_OK);
    CHECK_INT(third.value, 11);
    waiter_close(&alt);
    waiter_close(&third);
    finish();
}

TEST(a_receiver_that_was_granted)
{
    waiter alt, sends;
    line *b;

    start_with_lines(0);
    b = line_new(&high, &middle, other, AFAR__RECEIVES);
    open_two(&alt, &high, to, b, false);
    CHECK(!waiter_begin(&alt));
    go();
    waiter_one(&sends, &middle, home, AFAR__SENDS, 1);
    CHECK(!waiter_begin(&sends));
    CHECK(line_word(to));
    CHECK_STR(line_said(to), "O1 c1 G1");
    CHECK(!afar__select_stop(&alt.select));
    waiter_give_up(&alt);
    CHECK_RESULT(&alt, 0, AFAR_LOST);
    line_cut_seat(to);
    CHECK_INT(sends.done, 0); /* it was not said, and waits for another */
    CHECK(afar__select_stop(&sends.select));
    CHECK_RESULT(&sends, -1, AFAR_OK);
    waiter_close(&sends);
    waiter_close(&alt);
    finish();
}

/* ---- at the home ---- */

/* A claim that is not answered holds nobody there. */
TEST(a_pair_whose_other_does_not_answer)
{
    waiter alt, sends;
    line *b;

    start_with_lines(0);
    b = line_new(&high, &middle, other, AFAR__RECEIVES);
    open_two(&alt, &high, to, b, false);
    CHECK(!waiter_begin(&alt));
    go();
    waiter_one(&sends, &middle, home, AFAR__SENDS, 1);
    CHECK(!waiter_begin(&sends));
    CHECK_STR(line_said(to), "O1 c1");
    CHECK(afar__select_stop(&sends.select));
    CHECK_RESULT(&sends, -1, AFAR_OK);
    CHECK(afar__select_stop(&alt.select));
    CHECK_RESULT(&alt, -1, AFAR_OK);
    waiter_close(&sends);
    waiter_close(&alt);
    finish();
}

TEST(a_message_that_is_not_acknowledged)
{
    waiter receives, sends, another;

    start_with_lines(0);
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(line_act(to));
    waiter_one(&sends, &middle, home, AFAR__SENDS, 1);
    CHECK(!waiter_begin(&sends));
    CHECK_STR(line_said(to), "O1 m1");
    CHECK(!afar__select_stop(&sends.select));
    waiter_give_up(&sends);
    CHECK_STR(sends.select.text, "the receiver was lost when the message had been sent to it");
    CHECK_RESULT(&sends, 0, AFAR_UNKNOWN);

    /* Others go on. */
    waiter_one(&another, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&another));
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&another, 0, AFAR_OK);
    line_cut_proxy(to);
    CHECK_RESULT(&receives, 0, AFAR_LOST);
    waiter_close(&another);
    waiter_close(&receives);
    waiter_close(&sends);
    finish();
}

/* A sender elsewhere breaks off its own end; the home tells those who send here nothing. */
TEST(a_message_from_elsewhere_that_is_not_acknowledged)
{
    waiter receives, sends, here;

    start_with_lines(0);
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(line_act(to));
    waiter_one_far(&sends, &low, from, 1);
    CHECK(!waiter_begin(&sends));
    CHECK(line_act(from));
    waiter_one(&here, &middle, home, AFAR__SENDS, 2);
    CHECK(!waiter_begin(&here));
    CHECK(!afar__select_stop(&sends.select));
    CHECK(line_act(from)); /* Withdraw: not answered before the message is */
    CHECK_STR(line_said(from), "O1 W1");
    waiter_give_up(&sends);
    CHECK_RESULT(&sends, 0, AFAR_UNKNOWN);
    line_cut_seat(from);

    /* The receiver answers at last. */
    go();
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 1);
    CHECK(!waiter_begin(&receives));
    go();
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 2);
    CHECK_RESULT(&here, 0, AFAR_OK);
    waiter_close(&here);
    waiter_close(&receives);
    waiter_close(&sends);
    finish();
}
