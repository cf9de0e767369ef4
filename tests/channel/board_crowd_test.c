/* Seats that have as many claims open as may be: a home holds no more messages for them.  Their other offers are
 * passed over, keep their places, and are paired when claims are resolved. */

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "three.h"

enum { MOST = AFAR__CHANNEL_CLAIMS };

static void
offer(line *l, uint64_t select)
{
    CHECK_INT(line_act_is(l, (afar__step){ .kind = AFAR__STEP_OFFER, .select = select }), AFAR_OK);
}

static void
offer_many(line *l, uint64_t first, uint64_t last)
{
    for (uint64_t select = first; select <= last; select++)
        offer(l, select);
}

static void
act(line *l, afar__step_kind kind, uint64_t first, uint64_t last)
{
    for (uint64_t number = first; number <= last; number++)
        CHECK_INT(line_act_is(l, (afar__step){ .kind = kind, .number = number }), AFAR_OK);
}

static afar_code
grant_message(line *l, uint64_t claim, int value)
{
    return line_act_is(
        l, (afar__step){ .kind = AFAR__STEP_GRANT, .number = claim, .parcel = parcel_new(value) });
}

/* How many claims were said since this was asked last. */
static int
claims(line *l)
{
    int count = 0;

    for (const char *said = line_said(l); *said; said++)
        count += *said == 'c';
    return count;
}

/* Nobody answers the claims of the receivers: what the senders granted is kept, and they are many. */
TEST(a_home_keeps_a_few_messages)
{
    enum { OFFERS = AFAR__CHANNEL_OFFERS };
    uint64_t granted = 0;

    start_with_lines(0);
    offer_many(from, 1, OFFERS);
    offer_many(to, 1, OFFERS);
    while (grant_message(from, granted + 1, (int)granted) == AFAR_OK)
        granted++;
    CHECK_INT(granted, MOST);
    CHECK_INT(parcels_live, MOST);
    CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), OFFERS);
    finish();
}

/* Each is answered after a while: all arrive, in order, and never are more kept. */
TEST(all_arrive_in_the_end)
{
    enum { OFFERS = 5000, KEPT = 40 };
    uint64_t granted = 0, arrived = 0;

    start_with_lines(0);
    offer_many(from, 1, OFFERS);
    offer_many(to, 1, OFFERS);
    while (arrived < OFFERS) {
        while (granted < OFFERS && granted - arrived < KEPT) {
            granted++;
            CHECK_INT(grant_message(from, granted, (int)granted), AFAR_OK);
        }
        CHECK_INT(parcels_live, granted); /* those that arrived are on the line still */
        line_said(from);
        line_said(to);
        act(to, AFAR__STEP_GRANT, arrived + 1, arrived + 1);
        CHECK_INT(line_act_is(to, (afar__step){ .kind = AFAR__STEP_ACK, .count = 1 }), AFAR_OK);
        arrived++;
        {
            char expected[32];

            snprintf(expected, sizeof(expected), "m%d", (int)arrived);
            CHECK(strncmp(line_said(to), expected, strlen(expected)) == 0);
            snprintf(expected, sizeof(expected), "t%d", (int)arrived);
            CHECK(strncmp(line_said(from), expected, strlen(expected)) == 0);
        }
    }
    CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), 0);
    CHECK_INT(afar__home_offer_count(home, AFAR__RECEIVES), 0);
    finish();
}

/* Selects of two processes, as they are, with others that wait between them. */
TEST(order_is_kept)
{
    enum { EACH = 3 * MOST };
    static waiter sends[EACH], receives[EACH];
    line *elsewhere;

    start_with_lines(0);
    elsewhere = line_new(&low, &middle, other, AFAR__SENDS);
    for (int i = 0; i < EACH; i++) {
        waiter_init(&sends[i]);
        waiter_far(&sends[i], from, i);
        waiter_far(&sends[i], elsewhere, i);
        waiter_open(&sends[i], &low, false);
        CHECK(!waiter_begin(&sends[i]));
    }
    go();
    for (int i = 0; i < EACH; i++) {
        waiter_one_far(&receives[i], &high, to, 0);
        CHECK(!waiter_begin(&receives[i]));
    }
    line_said(from);
    while (line_act(to))
        ;
    CHECK_INT(claims(from), MOST);
    go();
    for (int i = 0; i < EACH; i++) {
        CHECK_RESULT(&sends[i], 0, AFAR_OK);
        CHECK_RESULT(&receives[i], 0, AFAR_OK);
        CHECK_INT(receives[i].value, i);
        waiter_close(&sends[i]);
        waiter_close(&receives[i]);
    }
    go();
    finish();
}

/* Who came behind is not put in front when the others are taken up again. */
TEST(places_among_others_are_kept)
{
    line *others;

    start_with_lines(0);
    others = line_new(&low, &middle, home, AFAR__SENDS);
    offer_many(from, 1, MOST + 2);
    offer(others, 1000);
    offer_many(from, MOST + 3, MOST + 3);
    for (int i = 0; i < MOST; i++)
        offer(to, 0);
    CHECK_INT(claims(from), MOST);
    act(to, AFAR__STEP_WITHDRAW, 1, 2);
    offer(to, 0); /* finds the other one, since this seat is crowded */
    CHECK_STR(line_said(others), "c1");
    act(to, AFAR__STEP_WITHDRAW, MOST + 1, MOST + 1);
    act(others, AFAR__STEP_DENY, 1, 1);
    offer(others, 1001);
    act(from, AFAR__STEP_DENY, 1, 2); /* two come back: the last one is behind */
    CHECK_INT(claims(from), 0);
    offer(to, 0);
    offer(to, 0);
    CHECK_STR(line_said(from), "c65 c66");
    offer(to, 0);
    CHECK_STR(line_said(others), "c2");
    finish();
}

/* Its message is in the window already. */
TEST(exclusive_offers_go_on)
{
    start_with_lines(0);
    offer_many(from, 1, MOST + 1);
    for (int i = 0; i < MOST; i++)
        offer(to, 0);
    CHECK_INT(claims(from), MOST);
    CHECK_INT(line_act_is(from, (afar__step){ .kind = AFAR__STEP_OFFER, .parcel = parcel_new(7) }),
              AFAR_OK);
    offer(to, 0);
    CHECK_STR(line_said(to), "m65");
    CHECK_STR(line_said(from), "");
    finish();
}

/* Those that have come back go again, without a claim: there is room for the next. */
TEST(one_that_has_come_back_makes_room)
{
    start_with_lines(0);
    offer_many(from, 1, MOST + 3);
    for (int i = 0; i < MOST + 1; i++)
        offer(to, 0);
    CHECK_INT(claims(from), MOST);
    act(to, AFAR__STEP_WITHDRAW, 1, MOST + 1);
    act(from, AFAR__STEP_DENY, 1, 1);
    act(from, AFAR__STEP_WITHDRAW, MOST + 1, MOST + 1);
    CHECK_STR(line_said(from), "x65");
    offer(to, 0);
    CHECK_STR(line_said(from), "c65");
    act(from, AFAR__STEP_DENY, 65, 65); /* the receiver goes to the next */
    CHECK_STR(line_said(from), "c66");
    finish();
}

/* One that can be had is behind more than come back, which are of the receiver's select. */
TEST(one_is_found_behind_those_of_the_same_select)
{
    line *low_to;

    start_with_lines(0);
    low_to = line_new(&low, &middle, home, AFAR__RECEIVES);
    offer_many(from, 10, 10 + MOST - 1);
    for (int i = 0; i < 3 * MOST; i++)
        offer(from, 1);
    offer(from, 2);
    for (int i = 0; i < MOST + 1; i++)
        offer(to, 0);
    CHECK_INT(claims(from), MOST);
    act(to, AFAR__STEP_WITHDRAW, 1, MOST + 1);
    act(from, AFAR__STEP_DENY, 1, MOST);
    CHECK_STR(line_said(low_to), "");
    offer(low_to, 1);
    CHECK_STR(line_said(low_to), "c1");
    act(low_to, AFAR__STEP_GRANT, 1, 1);
    CHECK_STR(line_said(from), "c65");
    CHECK_INT(grant_message(from, 65, 9), AFAR_OK);
    CHECK_STR(line_said(low_to), "m1");
    finish();
}

/* ---- stalled, too ---- */

TEST(a_stall_ends_while_it_is_crowded)
{
    start_with_lines(0);
    offer_many(from, 1, 2 * MOST);
    for (int i = 0; i < 2 * MOST; i++)
        offer(to, 0);
    CHECK_INT(claims(from), MOST);
    afar__seat_stall(from->seat, true);
    afar__seat_stall(from->seat, false);
    CHECK_INT(claims(from), 0);
    act(from, AFAR__STEP_DENY, 1, 1);
    CHECK_STR(line_said(from), "c65");
    finish();
}

TEST(room_comes_while_it_is_stalled)
{
    start_with_lines(0);
    offer_many(from, 1, 2 * MOST);
    for (int i = 0; i < 2 * MOST; i++)
        offer(to, 0);
    CHECK_INT(claims(from), MOST);
    afar__seat_stall(from->seat, true);
    act(from, AFAR__STEP_DENY, 1, 2);
    CHECK_STR(line_said(from), "");
    afar__seat_stall(from->seat, false);
    CHECK_STR(line_said(from), "c65 c66");
    act(from, AFAR__STEP_DENY, 3, 3);
    CHECK_STR(line_said(from), "c67");
    finish();
}

TEST(more_come_while_it_is_stalled)
{
    start_with_lines(0);
    for (int i = 0; i < 3 * MOST; i++)
        offer(to, 0);
    afar__seat_stall(from->seat, true);
    offer_many(from, 1, 2 * MOST);
    CHECK_STR(line_said(from), "");
    afar__seat_stall(from->seat, false);
    CHECK_INT(claims(from), MOST);
    act(from, AFAR__STEP_DENY, 1, MOST);
    CHECK_INT(claims(from), MOST);
    CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), MOST);
    finish();
}

/* ---- buffers ---- */

TEST(a_buffer_with_room_claims_a_few)
{
    start_with_lines(3 * MOST);
    offer_many(from, 1, 2 * MOST);
    CHECK_INT(claims(from), MOST);
    for (uint64_t i = 1; i <= 2 * MOST; i++)
        CHECK_INT(grant_message(from, i, (int)i), AFAR_OK);
    CHECK_INT(afar__home_buffer_count(home), 2 * MOST);
    offer(to, 0);
    CHECK_STR(line_said(to), "m1");
    finish();
}

TEST(a_buffer_that_gets_room_claims_a_few)
{
    start_with_lines(2 * MOST);
    for (int i = 0; i < 2 * MOST; i++)
        CHECK(afar__home_post(home, parcel_new(i)));
    offer_many(from, 1, 2 * MOST);
    CHECK_INT(claims(from), 0);
    for (int i = 0; i < 2 * MOST; i++)
        offer(to, 0);
    CHECK_INT(claims(from), MOST);
    act(from, AFAR__STEP_DENY, 1, 1);
    CHECK_STR(line_said(from), "c65");
    finish();
}

/* ---- the ends ---- */

TEST(poison_ends_those_that_are_parked)
{
    start_with_lines(0);
    offer_many(from, 1, 2 * MOST);
    offer_many(to, 1, 2 * MOST);
    for (uint64_t i = 1; i <= MOST; i++)
        CHECK_INT(grant_message(from, i, (int)i), AFAR_OK);
    CHECK_INT(parcels_live, MOST);
    afar__home_poison(home, "why");
    CHECK_INT(parcels_live, 0);
    CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), 0);
    finish();
}

TEST(a_receiver_that_goes_makes_room)
{
    start_with_lines(0);
    offer_many(from, 1, 2 * MOST);
    offer_many(to, 1, 2 * MOST);
    for (uint64_t i = 1; i <= MOST; i++)
        CHECK_INT(grant_message(from, i, (int)i), AFAR_OK);
    line_said(from);
    line_cut(to);
    CHECK_INT(parcels_live, 0);
    line_said(from);
    line_again(to, home);
    offer_many(to, 1, 2 * MOST);
    CHECK_INT(claims(from), MOST);
    finish();
}

/* A receiver finds that all are crowded, goes, and there is room for one: again and again.  What that costs does
 * not go with how many they are. */
TEST(others_may_be_many)
{
    enum { OFFERS = 60000, ROUNDS = 20000 };
    uint64_t received = MOST;

    start_with_lines(0);
    offer_many(from, 1, OFFERS);
    offer_many(to, 1, MOST);
    act(to, AFAR__STEP_WITHDRAW, 1, MOST);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        offer(to, 0);
        received++;
        act(to, AFAR__STEP_WITHDRAW, received, received);
        act(from, AFAR__STEP_DENY, i, i);
        offer(to, 0);
        received++;
        act(to, AFAR__STEP_WITHDRAW, received, received);
        offer(from, OFFERS + i);
    }
    CHECK_INT(line_act_is(from, (afar__step){ .kind = AFAR__STEP_DENY, .number = ROUNDS + MOST }),
              AFAR_OK); /* each round had a claim */
    CHECK_INT(
        line_act_is(from, (afar__step){ .kind = AFAR__STEP_DENY, .number = ROUNDS + MOST + 1 }),
        AFAR_INVALID_ARGUMENT);
    CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), OFFERS - 1);
    finish();
}
