/* Channels between processes: exclusive offers, claims and their order.  boards.h says how what is
 * said is written. */

#include "check.h"
#include "three.h"

TEST(a_sender_elsewhere)
{
    waiter sends, receives;
    line *l;

    start(0);
    l = line_new(&low, &middle, home, AFAR__SENDS);
    waiter_one_far(&sends, &low, l, 5);
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&sends));
    go();
    CHECK(waiter_begin(&receives));
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 5);
    CHECK_INT(sends.done, 0);
    go();
    CHECK_INT(sends.done, 1);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_STR(line_said(l), "O1 t1");
    waiter_close(&sends);
    waiter_close(&receives);
    CHECK(!afar__proxy_busy(l->proxy));
    finish();
}

/* The sender is told when the message has arrived, not before. */
TEST(a_receiver_elsewhere)
{
    waiter sends, receives;
    line *l;

    start(0);
    l = line_new(&high, &middle, home, AFAR__RECEIVES);
    waiter_one_far(&receives, &high, l, 0);
    waiter_one(&sends, &middle, home, AFAR__SENDS, 6);
    CHECK(!waiter_begin(&receives));
    CHECK(line_act(l));
    CHECK(!waiter_begin(&sends));
    CHECK(!afar__select_stop(&sends.select)); /* too late */
    CHECK(line_word(l));
    CHECK_INT(receives.done, 1);
    CHECK_INT(sends.done, 0);
    CHECK(line_act(l));
    CHECK_INT(sends.done, 1);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 6);
    CHECK_STR(line_said(l), "O1 m1 A1");
    waiter_close(&sends);
    waiter_close(&receives);
    finish();
}

TEST(both_elsewhere)
{
    waiter sends, receives;

    start_with_lines(0);
    waiter_one_far(&sends, &low, from, 7);
    waiter_one_far(&receives, &high, to, 0);
    for (int i = 1; i < 100; i++) {
        if (i % 2 == 0)
            CHECK(!waiter_begin(&receives));
        CHECK(!waiter_begin(&sends));
        go();
        if (i % 2 == 1)
            CHECK(!waiter_begin(&receives));
        go();
        CHECK_RESULT(&sends, 0, AFAR_OK);
        CHECK_RESULT(&receives, 0, AFAR_OK);
        CHECK_INT(receives.value, 7);
    }
    waiter_close(&sends);
    waiter_close(&receives);
    finish();
}

/* An exclusive offer is withdrawn with an answer. */
TEST(a_time_out_asks_the_home)
{
    waiter sends, receives;
    line *l;

    start(0);
    l = line_new(&low, &middle, home, AFAR__SENDS);
    waiter_one_far(&sends, &low, l, 5);
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&sends));
    CHECK(!afar__select_stop(&sends.select));
    CHECK(!afar__select_stop(&sends.select)); /* says Withdraw once */
    go();
    CHECK_INT(sends.done, 1);
    CHECK_RESULT(&sends, -1, AFAR_OK);
    CHECK_STR(line_said(l), "O1 W1 x1");
    CHECK_INT(parcels_live, 0);

    /* The home was faster. */
    CHECK(!waiter_begin(&sends));
    CHECK(line_act(l));
    CHECK(waiter_begin(&receives));
    CHECK(!afar__select_stop(&sends.select));
    go();
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_STR(line_said(l), "O2 t2 W2");
    waiter_close(&sends);
    waiter_close(&receives);
    finish();
}

TEST(a_future_asks_the_home)
{
    waiter receives, sends;
    line *l;

    start(0);
    l = line_new(&low, &middle, home, AFAR__RECEIVES);
    waiter_init(&receives);
    waiter_far(&receives, l, 0);
    waiter_other(&receives);
    waiter_open(&receives, &low, false);
    CHECK(!waiter_begin(&receives));
    CHECK(!afar__select_fire(&receives.select, &receives.guards[1]));
    go();
    CHECK_RESULT(&receives, 1, AFAR_OK);
    CHECK_STR(line_said(l), "O1 W1 x1");

    /* The same, fired before the round: the home is asked all the same. */
    CHECK(!afar__select_fire(&receives.select, &receives.guards[1]));
    CHECK(!waiter_begin(&receives));
    go();
    CHECK_RESULT(&receives, 1, AFAR_OK);
    CHECK_STR(line_said(l), "O2 W2 x2");

    waiter_one(&sends, &middle, home, AFAR__SENDS, 4);
    CHECK(!waiter_begin(&sends));
    CHECK(!afar__select_fire(&receives.select, &receives.guards[1]));
    CHECK(!waiter_begin(&receives));
    go();
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    waiter_close(&sends);
    waiter_close(&receives);
    finish();
}

TEST(a_claim_is_granted)
{
    waiter alt, receives;
    line *a, *b;

    start(0);
    a = line_new(&high, &middle, home, AFAR__SENDS);
    b = line_new(&high, &middle, other, AFAR__RECEIVES);
    open_two(&alt, &high, a, b, false);
    CHECK(!waiter_begin(&alt));
    go();
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    go();
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 10);
    CHECK_RESULT(&alt, 0, AFAR_OK);
    CHECK_STR(line_said(a), "O1 c1 G1 t1");
    CHECK_STR(line_said(b), "O1");
    waiter_close(&receives);
    waiter_close(&alt);
    CHECK(afar__proxy_busy(b->proxy));
    go();
    CHECK(!afar__proxy_busy(b->proxy));
    CHECK_STR(line_said(b), "W1 x1");
    finish();
}

/* The claim meets the withdrawal. */
TEST(a_claim_of_what_was_withdrawn_is_denied)
{
    waiter alt, receives;
    line *a, *b;

    start(0);
    a = line_new(&high, &middle, home, AFAR__SENDS);
    b = line_new(&high, &middle, other, AFAR__RECEIVES);
    open_two(&alt, &high, a, b, false);
    CHECK(!waiter_begin(&alt));
    go();
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(afar__select_stop(&alt.select));
    CHECK_RESULT(&alt, -1, AFAR_OK);
    waiter_close(&alt);
    go();
    CHECK_STR(line_said(a), "O1 c1 W1 D1");
    CHECK_INT(receives.done, 0);
    CHECK_INT(afar__home_offer_count(home, AFAR__RECEIVES), 1);
    CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), 0);
    CHECK(afar__select_stop(&receives.select));
    CHECK_RESULT(&receives, -1, AFAR_OK);
    waiter_close(&receives);
    finish();
}

/* Between rounds: the claim is denied, and the next round begins with that guard. */
TEST(a_claim_between_rounds)
{
    waiter alt, sends;
    line *a, *b;

    start(0);
    a = line_new(&low, &middle, home, AFAR__RECEIVES);
    b = line_new(&low, &middle, other, AFAR__RECEIVES);
    open_two(&alt, &low, a, b, false);
    CHECK(!waiter_begin(&alt));
    go();
    CHECK(afar__select_stop(&alt.select));
    CHECK_RESULT(&alt, -1, AFAR_OK);
    waiter_one(&sends, &middle, home, AFAR__SENDS, 3);
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_STR(line_said(a), "O1 c1 D1");
    CHECK(!waiter_begin(&alt));
    go();
    CHECK_RESULT(&alt, 0, AFAR_OK);
    CHECK_INT(alt.value, 3);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_STR(line_said(a), "O2 c2 G2 m2 A1");
    CHECK_STR(line_said(b), "O1");
    waiter_close(&alt);
    waiter_close(&sends);
    finish();
}

/* Two selects that must both be claimed: the lower first, whoever came first and whichever way. */
static void
claim_in_order(bool low_sends, bool low_first)
{
    waiter alts[2];
    line *a[2], *b[2];
    process *who[2] = { &low, &high };
    int first = low_first ? 0 : 1;

    start(0);
    for (int i = 0; i < 2; i++) {
        a[i] =
            line_new(who[i], &middle, home, (i == 0) == low_sends ? AFAR__SENDS : AFAR__RECEIVES);
        b[i] = line_new(who[i], &middle, other, AFAR__RECEIVES);
        open_two(&alts[i], who[i], a[i], b[i], false);
    }
    CHECK(!waiter_begin(&alts[first]));
    while (line_act(a[first]) || line_act(b[first]))
        ;
    CHECK(!waiter_begin(&alts[!first]));
    while (line_act(a[!first]) || line_act(b[!first]))
        ;
    CHECK_STR(line_said(a[0]), "O1 c1");
    CHECK_STR(line_said(a[1]), "O1");
    CHECK(line_word(a[0]));
    CHECK(line_act(a[0]));
    CHECK_STR(line_said(a[1]), "c1");
    go();
    CHECK_RESULT(&alts[0], 0, AFAR_OK);
    CHECK_RESULT(&alts[1], 0, AFAR_OK);
    CHECK_STR(line_said(a[low_sends ? 0 : 1]), low_sends ? "G1 t1" : "G1 t1");
    CHECK_STR(line_said(a[low_sends ? 1 : 0]), low_sends ? "G1 m1 A1" : "G1 m1 A1");
    waiter_close(&alts[0]);
    waiter_close(&alts[1]);
    finish();
}

TEST(the_lower_is_claimed_first)
{
    for (int i = 0; i < 4; i++)
        claim_in_order(i & 1, i & 2);
}

/* By number within a process, too, and never a select with itself, though it comes by two lines. */
TEST(selects_of_one_process_by_number)
{
    waiter first, second;
    line *s, *r, *s2, *r2;

    start(0);
    s = line_new(&low, &middle, home, AFAR__SENDS);
    r = line_new(&low, &middle, home, AFAR__RECEIVES);
    s2 = line_new(&low, &middle, other, AFAR__SENDS);
    r2 = line_new(&low, &middle, other, AFAR__RECEIVES);
    open_two(&first, &low, r, s, false);
    CHECK(!waiter_begin(&first));
    go();
    CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), 1);
    CHECK_INT(afar__home_offer_count(home, AFAR__RECEIVES), 1);
    CHECK_STR(line_said(r), "O1");
    open_two(&second, &low, r2, s, false);
    CHECK(!waiter_begin(&second));
    CHECK(line_act(s));
    CHECK_STR(line_said(r), "c1"); /* number 1 before number 2 */
    CHECK_STR(line_said(s), "O1 O2");
    go();
    CHECK_RESULT(&first, 0, AFAR_OK);
    CHECK_RESULT(&second, 1, AFAR_OK);
    waiter_close(&first);
    waiter_close(&second);
    (void)s2;
    finish();
}

/* The home's own process is in the order as well: a select here that must be claimed after one
 * elsewhere may do something else meanwhile. */
TEST(a_select_here_is_claimed_in_its_turn)
{
    waiter alt, here, sends;
    line *a, *b;

    start(0);
    a = line_new(&low, &middle, home, AFAR__SENDS);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    open_two(&alt, &low, a, b, false);
    CHECK(!waiter_begin(&alt));
    go();
    waiter_init(&here);
    waiter_on(&here, home, AFAR__RECEIVES, 0);
    waiter_other(&here);
    waiter_open(&here, &middle, false);
    CHECK(!waiter_begin(&here));
    CHECK(afar__select_fire(&here.select, &here.guards[1])); /* is not held yet */
    CHECK_RESULT(&here, 1, AFAR_OK);
    go();
    CHECK_STR(line_said(a), "O1 c1 G1 r1"); /* it was released, and is open again */
    CHECK_INT(alt.done, 0);
    CHECK_INT(parcels_live, 0);
    waiter_one(&sends, &middle, other, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_RESULT(&alt, 1, AFAR_OK);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    waiter_close(&sends);
    waiter_close(&here);
    waiter_close(&alt);
    finish();
}

/* One here that is lower is held while the other is asked; time-outs and futures let go of it at once. */
TEST(a_held_select_here_is_let_go_of)
{
    waiter alt, here;
    line *a, *b;

    for (int i = 0; i < 3; i++) {
        start(0);
        a = line_new(&high, &middle, home, AFAR__SENDS);
        b = line_new(&high, &middle, other, AFAR__SENDS);
        open_two(&alt, &high, a, b, false);
        CHECK(!waiter_begin(&alt));
        go();
        waiter_init(&here);
        waiter_on(&here, home, AFAR__RECEIVES, 0);
        waiter_other(&here);
        waiter_open(&here, &middle, false);
        CHECK(!waiter_begin(&here));
        if (i == 0) {
            CHECK(afar__select_stop(&here.select));
            CHECK_RESULT(&here, -1, AFAR_OK);
        } else if (i == 1) {
            CHECK(afar__select_fire(&here.select, &here.guards[1]));
            CHECK_RESULT(&here, 1, AFAR_OK);
        }
        go();
        CHECK_STR(line_said(a), i < 2 ? "O1 c1 G1 r1" : "O1 c1 G1 t1");
        if (i < 2) {
            CHECK_INT(alt.done, 0);
            CHECK(!waiter_begin(&here));
            go();
            CHECK_STR(line_said(a), "c2 G2 t1");
        }
        CHECK_RESULT(&here, 0, AFAR_OK);
        CHECK_RESULT(&alt, 0, AFAR_OK);
        waiter_close(&here);
        waiter_close(&alt);
        finish();
    }
}

/* A claim of a select that another home holds waits; it is denied or granted when that is decided. */
static void
claim_what_is_held(bool held_one_happens)
{
    waiter alt, sends[2];
    line *a, *b;

    start(0);
    a = line_new(&low, &middle, home, AFAR__RECEIVES);
    b = line_new(&low, &middle, other, AFAR__RECEIVES);
    open_two(&alt, &low, a, b, false);
    CHECK(!waiter_begin(&alt));
    go();
    waiter_one(&sends[0], &middle, home, AFAR__SENDS, 1);
    waiter_one(&sends[1], &middle, other, AFAR__SENDS, 2);
    CHECK(!waiter_begin(&sends[0]));
    CHECK(!waiter_begin(&sends[1]));
    CHECK(line_word(a));
    CHECK(line_word(b));
    CHECK_STR(line_said(a), "O1 c1 G1");
    CHECK_STR(line_said(b), "O1 c1");
    if (!held_one_happens) {
        CHECK(afar__select_stop(&sends[0].select));
        CHECK_RESULT(&sends[0], -1, AFAR_OK);
    }
    go();
    CHECK_STR(line_said(a), held_one_happens ? "m1 A1" : "r1");
    CHECK_STR(line_said(b), held_one_happens ? "D1" : "G1 m1 A1");
    CHECK_RESULT(&alt, held_one_happens ? 0 : 1, AFAR_OK);
    CHECK_RESULT(&sends[held_one_happens ? 0 : 1], 0, AFAR_OK);
    if (held_one_happens) {
        CHECK(afar__select_stop(&sends[1].select));
        CHECK_RESULT(&sends[1], -1, AFAR_OK);
    }
    waiter_close(&alt);
    waiter_close(&sends[0]);
    waiter_close(&sends[1]);
    finish();
}

TEST(a_claim_waits_and_is_denied)
{
    claim_what_is_held(true);
}

TEST(a_claim_waits_and_is_granted)
{
    claim_what_is_held(false);
}

/* Held by a home elsewhere: one here waits for it, in the same queue. */
TEST(a_home_here_waits_for_one_elsewhere)
{
    waiter alt, far, near;
    afar__home *here;
    line *a;

    for (int i = 0; i < 2; i++) {
        start(0);
        here = afar__home_new(&low.board, 0);
        a = line_new(&low, &middle, home, AFAR__RECEIVES);
        waiter_init(&alt);
        waiter_far(&alt, a, 0);
        waiter_on(&alt, here, AFAR__RECEIVES, 0);
        waiter_open(&alt, &low, false);
        CHECK(!waiter_begin(&alt));
        go();
        waiter_one(&far, &middle, home, AFAR__SENDS, 1);
        CHECK(!waiter_begin(&far));
        CHECK(line_word(a)); /* held */
        waiter_one(&near, &low, here, AFAR__SENDS, 2);
        CHECK(!waiter_begin(&near));
        if (i == 1) {
            CHECK(afar__select_stop(&far.select));
            CHECK_RESULT(&far, -1, AFAR_OK);
        }
        go();
        CHECK_RESULT(&alt, i, AFAR_OK);
        CHECK_INT(alt.value, i + 1);
        CHECK_RESULT(i == 0 ? &far : &near, 0, AFAR_OK);
        if (i == 0) {
            CHECK(afar__select_stop(&near.select));
            CHECK_RESULT(&near, -1, AFAR_OK);
        }
        waiter_close(&alt);
        waiter_close(&far);
        waiter_close(&near);
        afar__home_free(here);
        finish();
    }
}

/* ---- buffers ---- */

TEST(a_buffer_with_ends_elsewhere)
{
    waiter sends, receives;

    start_with_lines(2);
    waiter_one_far(&sends, &low, from, 1);
    waiter_one_far(&receives, &high, to, 0);
    for (int i = 0; i < 2; i++) {
        CHECK(!waiter_begin(&sends));
        go();
        CHECK_RESULT(&sends, 0, AFAR_OK);
    }
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_INT(sends.done, 0);
    CHECK(!waiter_begin(&receives));
    go();
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_STR(line_said(to), "O1 m1"); /* nobody waits to hear that it arrived */
    CHECK_STR(line_said(from), "O1 t1 O2 t2 O3 t3");
    waiter_close(&sends);
    waiter_close(&receives);
    finish();
}

/* Room for one, and one message: who is claimed has it until that is answered. */
TEST(a_buffer_reserves_while_it_claims)
{
    waiter alt, next;
    line *a, *b, *c;

    for (int i = 0; i < 2; i++) {
        start(1);
        a = line_new(&low, &middle, home, AFAR__SENDS);
        b = line_new(&low, &middle, other, AFAR__SENDS);
        open_two(&alt, &low, a, b, false);
        CHECK(!waiter_begin(&alt));
        CHECK(line_act(a));
        CHECK(line_act(b));
        CHECK_STR(line_said(a), "O1 c1");
        waiter_one(&next, &middle, home, AFAR__SENDS, 2);
        CHECK(!waiter_begin(&next));
        if (i == 1) {
            CHECK(afar__select_stop(&alt.select));
            CHECK_RESULT(&alt, -1, AFAR_OK);
        }
        go();
        if (i == 0)
            CHECK_RESULT(&alt, 0, AFAR_OK);
        else
            CHECK_RESULT(&next, 0, AFAR_OK);
        CHECK_INT(afar__home_buffer_count(home), 1);
        if (i == 0) {
            CHECK(afar__select_stop(&next.select));
            CHECK_RESULT(&next, -1, AFAR_OK);
        }
        waiter_close(&alt);
        waiter_close(&next);

        c = line_new(&high, &middle, home, AFAR__RECEIVES);
        open_two(&alt, &high, c, line_new(&high, &middle, other, AFAR__RECEIVES), false);
        CHECK(!waiter_begin(&alt));
        CHECK(line_act(c));
        waiter_one(&next, &middle, home, AFAR__RECEIVES, 0);
        CHECK(!waiter_begin(&next));
        if (i == 1) {
            CHECK(afar__select_stop(&alt.select));
            CHECK_RESULT(&alt, -1, AFAR_OK);
        }
        go();
        CHECK_STR(line_said(c), i == 0 ? "O1 c1 G1 m1" : "O1 c1 D1");
        CHECK_INT(afar__home_buffer_count(home), 0);
        if (i == 0) {
            CHECK_RESULT(&alt, 0, AFAR_OK);
            CHECK(afar__select_stop(&next.select));
            CHECK_RESULT(&next, -1, AFAR_OK);
        } else {
            CHECK_RESULT(&next, 0, AFAR_OK);
        }
        waiter_close(&alt);
        waiter_close(&next);
        finish();
    }
}

/* ---- order, and those who cannot be told ---- */

TEST(offers_keep_their_age_when_a_deal_comes_to_nothing)
{
    waiter alt, receives;
    line *a, *b;

    start(0);
    from = line_new(&low, &middle, home, AFAR__SENDS);
    a = line_new(&high, &middle, home, AFAR__RECEIVES);
    b = line_new(&high, &middle, home, AFAR__RECEIVES);
    open_two(&alt, &high, a, b, false); /* two guards on one channel */
    CHECK(!waiter_begin(&alt));
    go();
    CHECK(afar__select_stop(&alt.select));
    CHECK_RESULT(&alt, -1, AFAR_OK);
    for (int i = 6; i < 9; i++)
        CHECK(afar__proxy_post(from->proxy, parcel_new(i)));
    go(); /* both claims are denied */
    CHECK_STR(line_said(a), "O1 c1 D1");
    CHECK_STR(line_said(b), "O1 c1 D1");
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    for (int i = 6; i < 9; i++) {
        CHECK(waiter_begin(&receives));
        CHECK_RESULT(&receives, 0, AFAR_OK);
        CHECK_INT(receives.value, i);
    }
    waiter_close(&receives);
    waiter_close(&alt);
    finish();
}

TEST(a_stalled_seat_is_passed_over)
{
    waiter receives[2], sends;

    start(0);
    to = line_new(&high, &middle, home, AFAR__RECEIVES);
    from = line_new(&low, &middle, home, AFAR__SENDS);
    waiter_one_far(&receives[0], &high, to, 0);
    CHECK(!waiter_begin(&receives[0]));
    go();
    afar__seat_stall(to->seat, true);
    waiter_one(&receives[1], &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives[1]));
    waiter_one_far(&sends, &low, from, 1);
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_RESULT(&receives[1], 0, AFAR_OK);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_INT(receives[0].done, 0);
    afar__seat_stall(to->seat, false);
    go();
    CHECK_RESULT(&receives[0], 0, AFAR_OK);
    CHECK_RESULT(&sends, 0, AFAR_OK);

    /* What comes while it is stalled, in order. */
    afar__seat_stall(from->seat, true);
    for (int i = 1; i <= 5; i++)
        CHECK(afar__proxy_post(from->proxy, parcel_new(i)));
    go();
    CHECK(!waiter_begin(&receives[1]));
    afar__seat_stall(from->seat, false);
    for (int i = 1; i <= 5; i++) {
        if (i > 1)
            CHECK(waiter_begin(&receives[1]));
        CHECK_RESULT(&receives[1], 0, AFAR_OK);
        CHECK_INT(receives[1].value, i);
    }
    for (int i = 0; i < 2; i++)
        waiter_close(&receives[i]);
    waiter_close(&sends);
    finish();
}

/* The pair of an offer that is withdrawn while it is claimed does not wait for the answer. */
TEST(a_withdrawal_sets_the_pair_free)
{
    waiter alt, next;
    line *a, *b;

    start(0);
    from = line_new(&low, &middle, home, AFAR__SENDS);
    a = line_new(&high, &middle, home, AFAR__RECEIVES);
    b = line_new(&high, &middle, other, AFAR__RECEIVES);
    open_two(&alt, &high, a, b, false);
    CHECK(!waiter_begin(&alt));
    go();
    CHECK(afar__proxy_post(from->proxy, parcel_new(5)));
    CHECK(afar__proxy_post(from->proxy, parcel_new(6)));
    CHECK(line_act(from));
    CHECK(afar__select_stop(&alt.select));
    CHECK_RESULT(&alt, -1, AFAR_OK);
    waiter_close(&alt);
    CHECK(line_act(from));
    CHECK(line_act(a)); /* the withdrawal */
    waiter_one(&next, &middle, home, AFAR__RECEIVES, 0);
    for (int i = 5; i < 7; i++) {
        CHECK(waiter_begin(&next));
        CHECK_RESULT(&next, 0, AFAR_OK);
        CHECK_INT(next.value, i);
    }
    go();
    CHECK_STR(line_said(a), "O1 c1 W1 D1");
    CHECK_INT(afar__home_offer_count(home, AFAR__RECEIVES), 0);
    waiter_close(&next);
    finish();
}
