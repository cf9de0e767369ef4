/* What each is told when the process at the other end, or the way to it, is lost, at each moment; and how
 * channels end for those who are elsewhere.  A line's seat and its proxy notice each in its own time. */

#include "boards.h"
#include "check.h"

static process low, middle, high;
static afar__home *home, *other;
static line *from, *to; /* low's sender, high's receiver */

static void
start(unsigned capacity)
{
    process_init(&low, 1);
    process_init(&middle, 2);
    process_init(&high, 3);
    home = afar__home_new(&middle.board, capacity);
    other = afar__home_new(&middle.board, 0);
    from = line_new(&low, &middle, home, AFAR__SENDS);
    to = line_new(&high, &middle, home, AFAR__RECEIVES);
}

static void
finish(void)
{
    process_clear(&low);
    process_clear(&middle);
    process_clear(&high);
    afar__home_free(home);
    afar__home_free(other);
    CHECK_INT(parcels_live, 0);
}

static void
go(void)
{
    run(&low, &middle, &high);
}

static void
open_two(waiter *w, process *p, line *a, line *b)
{
    waiter_init(w);
    waiter_far(w, a, 10);
    waiter_far(w, b, 11);
    waiter_open(w, p, false);
}

/* ---- the home is lost ---- */

TEST(the_home_with_a_plain_sender)
{
    waiter sends;

    start(0);
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

    start(0);
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

    start(0);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    open_two(&alt, &low, from, b);
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

    start(0);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    open_two(&alt, &low, from, b);
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
        start(0);
        b = line_new(&high, &middle, other, AFAR__RECEIVES);
        open_two(&alt, &high, to, b);
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

    start(0);
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

    start(0);
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

    start(0);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    open_two(&alt, &low, from, b);
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

    start(0);
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

        start(0);
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

        start(0);
        b = line_new(&low, &middle, other, AFAR__SENDS);
        c = line_new(&high, &middle, other, AFAR__SENDS);
        open_two(&alts[0], &low, from, b);
        open_two(&alts[1], &high, to, c);
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

    start(0);
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

/* ---- ends ---- */

TEST(all_seats_hear_the_end)
{
    waiter receives, sends;
    const char *text;

    start(0);
    waiter_one_far(&receives, &high, to, 0);
    waiter_one_far(&sends, &low, from, 1);
    CHECK(!waiter_begin(&receives));
    go();
    afar__home_finish(home, AFAR__SENDS, true);
    CHECK(afar__seat_is_over(to->seat));
    CHECK(!afar__seat_is_over(from->seat));
    go();
    CHECK_STR(receives.select.text, "no sender is left, and one was lost");
    CHECK_RESULT(&receives, 0, AFAR_LOST);
    CHECK_STR(line_said(to), "O1 e103");
    CHECK_INT(afar__proxy_state(to->proxy, &text), AFAR_LOST);
    line_cut(to); /* the call ends; nothing changes */
    CHECK_STR(text, "no sender is left, and one was lost");
    CHECK(waiter_begin(&receives));
    CHECK_RESULT(&receives, 0, AFAR_LOST);
    waiter_close(&receives);
    waiter_close(&sends);

    /* Who attaches later. */
    to = line_new(&high, &middle, home, AFAR__RECEIVES);
    CHECK_STR(line_said(to), "e103");
    go();
    CHECK_INT(afar__proxy_state(to->proxy, &text), AFAR_LOST);
    finish();
}

TEST(poison_from_elsewhere)
{
    waiter receives, sends, alt;
    line *late;

    start(0);
    waiter_one_far(&receives, &high, to, 0);
    CHECK(!waiter_begin(&receives));
    go();
    afar__proxy_poison(from->proxy, "that is all");
    go();
    CHECK_STR(receives.select.text, "that is all");
    CHECK_RESULT(&receives, 0, AFAR_POISONED);
    waiter_one_far(&sends, &low, from, 1);
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_POISONED);
    afar__proxy_poison(from->proxy, "again"); /* it is over */
    CHECK_STR(line_said(from), "P0 e102");
    waiter_close(&receives);
    waiter_close(&sends);

    /* Before it is attached: it is said then. */
    late = line_unattached(&low, &middle, other, AFAR__SENDS);
    waiter_one_far(&alt, &low, late, 1);
    CHECK(!waiter_begin(&alt));
    afar__proxy_poison(late->proxy, "early");
    afar__proxy_poison(late->proxy, "the first counts");
    afar__proxy_attached(late->proxy);
    go();
    CHECK_STR(alt.select.text, "early");
    CHECK_RESULT(&alt, 0, AFAR_POISONED);
    CHECK_STR(line_said(late), "P0 O1 e102");
    CHECK_INT(parcels_live, 0);
    waiter_close(&alt);
    finish();
}

/* What is being committed happens; who has part in it hears the end behind that. */
TEST(a_commit_wins_over_poison)
{
    waiter receives, sends;

    for (int i = 0; i < 2; i++) {
        start(0);
        waiter_one_far(&receives, &high, to, 0);
        waiter_one_far(&sends, &low, from, 3);
        CHECK(!waiter_begin(&receives));
        CHECK(!waiter_begin(&sends));
        while (line_act(from) || line_act(to))
            ;
        if (i == 0)
            afar__home_poison(home, "now");
        else
            afar__home_finish(home, AFAR__SENDS, false);
        CHECK(!afar__seat_is_over(from->seat));
        CHECK(!afar__seat_is_over(to->seat));
        go();
        CHECK_RESULT(&receives, 0, AFAR_OK);
        CHECK_INT(receives.value, 3);
        CHECK_RESULT(&sends, 0, AFAR_OK);
        CHECK_STR(line_said(to), i == 0 ? "O1 m1 A1 e102" : "O1 m1 A1 e101");
        CHECK_STR(line_said(from), i == 0 ? "O1 t1 e102" : "O1 t1");
        CHECK(waiter_begin(&receives));
        CHECK_RESULT(&receives, 0, i == 0 ? AFAR_POISONED : AFAR_ENDED);
        waiter_close(&receives);
        waiter_close(&sends);
        finish();
    }
}

/* What is only being claimed does not. */
TEST(poison_wins_over_claims)
{
    waiter alt, near;
    line *b;

    for (int i = 0; i < 3; i++) {
        start(i == 2 ? 1 : 0);
        b = line_new(&low, &middle, other, AFAR__SENDS);
        open_two(&alt, &low, from, b);
        CHECK(!waiter_begin(&alt));
        go();
        if (i < 2) {
            waiter_one(&near, &middle, home, AFAR__RECEIVES, 0);
            CHECK(!waiter_begin(&near));
        }
        if (i == 1)
            CHECK(line_word(from)); /* granted, and held */
        afar__home_poison(home, "now");
        go();
        if (i < 2) {
            CHECK_RESULT(&near, 0, AFAR_POISONED);
            waiter_close(&near);
            CHECK_RESULT(&alt, 0, AFAR_POISONED);
        } else {
            CHECK_RESULT(&alt, 0, AFAR_OK); /* the buffer had room at once */
        }
        CHECK_INT(parcels_live, 0);
        waiter_close(&alt);
        finish();
    }
}

/* A select that another home holds hears of the end when that lets go of it, or in the next round. */
TEST(the_end_waits_for_what_is_held)
{
    waiter alt, near;
    line *b;

    for (int i = 0; i < 2; i++) {
        start(0);
        b = line_new(&high, &middle, other, AFAR__RECEIVES);
        open_two(&alt, &high, to, b);
        CHECK(!waiter_begin(&alt));
        go();
        waiter_one(&near, &middle, home, AFAR__SENDS, 0);
        CHECK(!waiter_begin(&near));
        CHECK(line_word(to)); /* held */
        afar__home_poison(other, "now");
        CHECK(line_word(b));
        CHECK_INT(alt.done, 0);
        if (i == 0) {
            CHECK(afar__select_stop(&near.select));
            CHECK_RESULT(&near, -1, AFAR_OK);
        }
        go();
        CHECK_RESULT(&alt, i == 0 ? 1 : 0, i == 0 ? AFAR_POISONED : AFAR_OK);
        if (i == 1) {
            CHECK_RESULT(&near, 0, AFAR_OK);
            CHECK(waiter_begin(&alt));
            CHECK_RESULT(&alt, 1, AFAR_POISONED);
        }
        waiter_close(&alt);
        waiter_close(&near);
        finish();
    }
}

/* Senders of a buffer whose receivers went while a room was reserved for one. */
TEST(a_buffer_ends_while_it_claims)
{
    waiter alt;
    line *b;

    start(1);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    open_two(&alt, &low, from, b);
    CHECK(!waiter_begin(&alt));
    while (line_act(from) || line_act(b))
        ;
    CHECK_STR(line_said(from), "O1 c1");
    afar__home_finish(home, AFAR__RECEIVES, false);
    go();
    CHECK_STR(line_said(from), "e101 G1");
    CHECK_RESULT(&alt, 0, AFAR_ENDED);
    waiter_close(&alt);
    finish();
}

/* ---- what was sent ahead ---- */

TEST(posts_are_counted)
{
    waiter near;
    afar__posts posts;

    start(0);
    for (int i = 0; i < 4; i++)
        CHECK(afar__proxy_post(from->proxy, parcel_new(i)));
    CHECK_INT(afar__proxy_posts(from->proxy).open, 4);
    CHECK(afar__proxy_busy(from->proxy));
    waiter_one(&near, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&near));
    go();
    CHECK_RESULT(&near, 0, AFAR_OK);
    CHECK_INT(afar__proxy_posts(from->proxy).open, 3);
    CHECK_INT(from->posted, 0);
    afar__home_finish(home, AFAR__RECEIVES, false);
    go();
    posts = afar__proxy_posts(from->proxy);
    CHECK_INT(posts.open, 0);
    CHECK_INT(posts.refused, 3);
    CHECK_INT(posts.unknown, 0);
    CHECK_INT(from->posted, 1);
    CHECK(!afar__proxy_busy(from->proxy));
    waiter_close(&near);
    finish();
}

TEST(posts_are_unknown_when_the_home_is_lost)
{
    afar__posts posts;
    afar__parcel *parcel = parcel_new(1);
    line *late;

    start(0);
    CHECK(afar__proxy_post(from->proxy, parcel));
    CHECK(afar__proxy_post(from->proxy, parcel_new(2)));
    line_cut(from);
    posts = afar__proxy_posts(from->proxy);
    CHECK_INT(posts.open, 0);
    CHECK_INT(posts.refused, 0);
    CHECK_INT(posts.unknown, 2);
    CHECK_INT(from->posted, 1);
    parcel = parcel_new(3);
    CHECK(!afar__proxy_post(from->proxy, parcel));

    /* One that is not attached yet: its owner is told when it is. */
    late = line_unattached(&low, &middle, other, AFAR__SENDS);
    CHECK(!afar__proxy_post(late->proxy, parcel));
    CHECK_INT(late->posted, 0);
    afar__proxy_attached(late->proxy);
    CHECK_INT(late->posted, 1);
    CHECK(afar__proxy_post(late->proxy, parcel));
    go();
    finish();
}

/* A window's worth, and then one when another was taken; a send behind posts comes behind them. */
TEST(the_window_is_kept)
{
    enum { FIT = AFAR__CHANNEL_WINDOW / (1000 + AFAR__CHANNEL_OFFER_COST) };
    waiter near, sends, poll;
    afar__parcel *parcel;

    start(0);
    for (int i = 0; i < FIT; i++) {
        parcel = parcel_new(i);
        parcel->bytes = 1000;
        CHECK(afar__proxy_post(from->proxy, parcel));
    }
    parcel = parcel_new(FIT + 1);
    parcel->bytes = 1000;
    CHECK(!afar__proxy_post(from->proxy, parcel));
    low.bytes = 1000;
    waiter_one_far(&poll, &low, from, 0);
    CHECK(waiter_poll(&poll)); /* nothing can be sent now */
    CHECK_RESULT(&poll, -1, AFAR_OK);
    waiter_close(&poll);
    waiter_one_far(&sends, &low, from, FIT);
    CHECK(!waiter_begin(&sends));
    CHECK(afar__select_stop(&sends.select)); /* was not sent: at once */
    CHECK_RESULT(&sends, -1, AFAR_OK);
    CHECK(!waiter_begin(&sends));
    go();
    CHECK_INT(from->posted, 0);
    waiter_one(&near, &middle, home, AFAR__RECEIVES, 0);
    for (int i = 0; i <= FIT; i++) {
        CHECK(waiter_begin(&near));
        CHECK_RESULT(&near, 0, AFAR_OK);
        CHECK_INT(near.value, i);
        go();
        if (i == 0)
            CHECK_INT(sends.done, 0);
    }
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK(from->posted > 0);
    CHECK(afar__proxy_post(from->proxy, parcel));
    waiter_close(&near);
    waiter_close(&sends);
    go();
    finish();
}

/* Before Welcome, the least; and one that is larger than the window goes alone. */
TEST(a_window_before_welcome)
{
    waiter sends[2], near;
    line *late;

    start(0);
    late = line_unattached(&low, &middle, other, AFAR__SENDS);
    afar__proxy_attached(late->proxy);
    low.bytes = AFAR__CHANNEL_LEAST_WINDOW + 1;
    for (int i = 0; i < 2; i++) {
        waiter_one_far(&sends[i], &low, late, i);
        CHECK(!waiter_begin(&sends[i]));
    }
    CHECK_STR(line_said(late), "O1");
    afar__proxy_limits(late->proxy, AFAR__CHANNEL_OFFERS, AFAR__CHANNEL_WINDOW);
    CHECK_STR(line_said(late), "O2");
    waiter_one(&near, &middle, other, AFAR__RECEIVES, 0);
    for (int i = 0; i < 2; i++) {
        CHECK(!waiter_begin(&near) || i > 0);
        go();
        CHECK_RESULT(&near, 0, AFAR_OK);
        go();
        CHECK_RESULT(&sends[i], 0, AFAR_OK);
        waiter_close(&sends[i]);
    }
    waiter_close(&near);
    finish();
}

TEST(guards_wait_until_the_end_is_attached)
{
    waiter poll, sends;
    line *late;

    start(0);
    late = line_unattached(&low, &middle, other, AFAR__SENDS);
    waiter_one_far(&poll, &low, late, 1);
    CHECK(!waiter_poll(&poll)); /* the home is asked once it can be */
    waiter_one_far(&sends, &low, late, 2);
    CHECK(!waiter_begin(&sends));
    CHECK(afar__select_stop(&sends.select));
    CHECK_RESULT(&sends, -1, AFAR_OK);
    afar__proxy_attached(late->proxy);
    go();
    CHECK_RESULT(&poll, -1, AFAR_OK);
    CHECK_STR(line_said(late), "O1 w1 W1 x1");
    waiter_close(&poll);

    /* It cannot be. */
    late = line_unattached(&low, &middle, other, AFAR__SENDS);
    waiter_close(&sends);
    waiter_one_far(&sends, &low, late, 2);
    CHECK(!waiter_begin(&sends));
    afar__proxy_lost(late->proxy, AFAR_PERMISSION_DENIED, "not for you");
    CHECK_STR(sends.select.text, "not for you");
    CHECK_RESULT(&sends, 0, AFAR_PERMISSION_DENIED);
    waiter_close(&sends);
    finish();
}

/* The message cannot be made when it is needed. */
TEST(no_message_for_a_home_elsewhere)
{
    waiter sends, alt, near;
    line *b;

    start(0);
    low.pack_fails = true;
    waiter_one_far(&sends, &low, from, 1);
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_RESOURCE_EXHAUSTED);
    waiter_close(&sends);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    open_two(&alt, &low, from, b);
    CHECK(!waiter_begin(&alt));
    waiter_one(&near, &middle, home, AFAR__RECEIVES, 1);
    CHECK(!waiter_begin(&near));
    go();
    CHECK_RESULT(&alt, 0, AFAR_RESOURCE_EXHAUSTED);
    CHECK_STR(line_said(from), "O1 c1 D1");
    CHECK(afar__select_stop(&near.select));
    CHECK_RESULT(&near, -1, AFAR_OK);
    waiter_close(&near);
    waiter_close(&alt);
    finish();
}
