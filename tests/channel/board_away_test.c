/* How channels end for those who are elsewhere; what is sent ahead, the window, and ends that are not
 * attached yet. */

#include "check.h"
#include "three.h"

/* ---- ends ---- */

TEST(all_seats_hear_the_end)
{
    waiter receives, sends;
    const char *text;

    start_with_lines(0);
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

    start_with_lines(0);
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
        start_with_lines(0);
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
        start_with_lines(i == 2 ? 1 : 0);
        b = line_new(&low, &middle, other, AFAR__SENDS);
        open_two(&alt, &low, from, b, false);
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
        start_with_lines(0);
        b = line_new(&high, &middle, other, AFAR__RECEIVES);
        open_two(&alt, &high, to, b, false);
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

    start_with_lines(1);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    open_two(&alt, &low, from, b, false);
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

    start_with_lines(0);
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

    start_with_lines(0);
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

    start_with_lines(0);
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

    start_with_lines(0);
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

    start_with_lines(0);
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

    start_with_lines(0);
    low.pack_fails = true;
    waiter_one_far(&sends, &low, from, 1);
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_RESOURCE_EXHAUSTED);
    waiter_close(&sends);
    b = line_new(&low, &middle, other, AFAR__SENDS);
    open_two(&alt, &low, from, b, false);
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
