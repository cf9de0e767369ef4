/* Channels within one process: nothing is claimed, and who can go on does so at once. */

#include "boards.h"
#include "check.h"

static process here;

static void
start(void)
{
    process_init(&here, 1);
}

static void
finish(void)
{
    process_clear(&here);
    CHECK_INT(parcels_live, 0);
}

TEST(a_receiver_waits_for_a_sender)
{
    waiter receives, sends;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 0);
    CHECK(!afar__home_buffered(home));
    waiter_one(&receives, &here, home, AFAR__RECEIVES, 0);
    waiter_one(&sends, &here, home, AFAR__SENDS, 7);
    CHECK(!waiter_begin(&receives));
    CHECK_INT(afar__home_offer_count(home, AFAR__RECEIVES), 1);
    CHECK(waiter_begin(&sends));
    CHECK_INT(receives.done, 1);
    CHECK_INT(sends.done, 0); /* its begin has said so */
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 7);
    CHECK_INT(afar__home_offer_count(home, AFAR__RECEIVES), 0);
    waiter_close(&sends);
    waiter_close(&receives);
    afar__home_free(home);
    finish();
}

TEST(a_sender_waits_for_a_receiver)
{
    waiter receives, sends;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 0);
    waiter_one(&receives, &here, home, AFAR__RECEIVES, 0);
    waiter_one(&sends, &here, home, AFAR__SENDS, 8);
    for (int i = 0; i < 3; i++) {
        CHECK(!waiter_begin(&sends));
        CHECK(waiter_begin(&receives));
        CHECK_RESULT(&receives, 0, AFAR_OK);
        CHECK_INT(receives.value, 8);
        CHECK_INT(sends.done, 1);
        CHECK_RESULT(&sends, 0, AFAR_OK);
    }
    waiter_close(&sends);
    waiter_close(&receives);
    afar__home_free(home);
    finish();
}

TEST(the_oldest_go_first)
{
    waiter receives[3], sends;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 0);
    for (int i = 0; i < 3; i++) {
        waiter_one(&receives[i], &here, home, AFAR__RECEIVES, 0);
        CHECK(!waiter_begin(&receives[i]));
    }
    for (int i = 0; i < 3; i++) {
        waiter_one(&sends, &here, home, AFAR__SENDS, i);
        CHECK(waiter_begin(&sends));
        CHECK_RESULT(&sends, 0, AFAR_OK);
        waiter_close(&sends);
        CHECK_INT(receives[i].done, 1);
        CHECK_RESULT(&receives[i], 0, AFAR_OK);
        CHECK_INT(receives[i].value, i);
        waiter_close(&receives[i]);
    }
    afar__home_free(home);
    finish();
}

/* Both its guards stand; others go past them. */
TEST(a_select_is_not_paired_with_itself)
{
    waiter both, both_too, sends;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 0);
    waiter_init(&both);
    waiter_on(&both, home, AFAR__RECEIVES, 0);
    waiter_on(&both, home, AFAR__SENDS, 1);
    waiter_on(&both, home, AFAR__RECEIVES, 0);
    waiter_open(&both, &here, false);
    CHECK(!waiter_begin(&both));
    waiter_init(&both_too);
    waiter_on(&both_too, home, AFAR__RECEIVES, 0);
    waiter_on(&both_too, home, AFAR__SENDS, 2);
    waiter_open(&both_too, &here, false);
    CHECK(waiter_begin(&both_too));
    CHECK_RESULT(&both_too, 0, AFAR_OK);
    CHECK_INT(both_too.value, 1);
    CHECK_RESULT(&both, 1, AFAR_OK);

    CHECK(!waiter_begin(&both));
    waiter_one(&sends, &here, home, AFAR__SENDS, 3);
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&both, 0, AFAR_OK);
    CHECK_INT(both.value, 3);
    CHECK(!waiter_begin(&both));
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&both, 2, AFAR_OK); /* the one that happened has gone to the end */
    waiter_close(&both);
    waiter_close(&both_too);
    waiter_close(&sends);
    afar__home_free(home);
    finish();
}

/* What the select that went first has left stands in the way of nobody. */
TEST(idle_offers_are_taken_out_when_found)
{
    afar__home *homes[2];
    waiter alt, sends, receives;

    start();
    homes[0] = afar__home_new(&here.board, 0);
    homes[1] = afar__home_new(&here.board, 0);
    waiter_init(&alt);
    waiter_on(&alt, homes[0], AFAR__RECEIVES, 0);
    waiter_on(&alt, homes[1], AFAR__RECEIVES, 0);
    waiter_open(&alt, &here, false);
    CHECK(!waiter_begin(&alt));
    waiter_one(&sends, &here, homes[0], AFAR__SENDS, 1);
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&alt, 0, AFAR_OK);
    waiter_close(&sends);
    CHECK_INT(afar__home_offer_count(homes[0], AFAR__RECEIVES), 0);
    CHECK_INT(afar__home_offer_count(homes[1], AFAR__RECEIVES), 1);

    /* A sender finds it, waits, and is there in the next round; another receiver is faster. */
    waiter_one(&sends, &here, homes[1], AFAR__SENDS, 2);
    CHECK(!waiter_begin(&sends));
    CHECK_INT(afar__home_offer_count(homes[1], AFAR__RECEIVES), 0);
    waiter_one(&receives, &here, homes[1], AFAR__RECEIVES, 0);
    CHECK(waiter_begin(&receives));
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK(!waiter_begin(&sends));
    CHECK(waiter_begin(&alt));
    CHECK_RESULT(&alt, 1, AFAR_OK);
    CHECK_INT(alt.value, 2);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    waiter_close(&receives);
    waiter_close(&sends);
    waiter_close(&alt);
    afar__home_free(homes[0]);
    afar__home_free(homes[1]);
    finish();
}

/* All three can happen in each round. */
static void
take_turns(bool by_priority, const int *expected, int n)
{
    afar__home *homes[3];
    waiter sends[3], alt;

    start();
    waiter_init(&alt);
    for (int i = 0; i < 3; i++) {
        homes[i] = afar__home_new(&here.board, 0);
        waiter_on(&alt, homes[i], AFAR__RECEIVES, 0);
        waiter_one(&sends[i], &here, homes[i], AFAR__SENDS, i);
        CHECK(!waiter_begin(&sends[i]));
    }
    waiter_open(&alt, &here, by_priority);
    for (int i = 0; i < n; i++) {
        CHECK(waiter_begin(&alt));
        CHECK_RESULT(&alt, expected[i], AFAR_OK);
        CHECK_INT(alt.value, expected[i]);
        CHECK_RESULT(&sends[alt.value], 0, AFAR_OK);
        CHECK(!waiter_begin(&sends[alt.value]));
    }
    waiter_close(&alt);
    for (int i = 0; i < 3; i++) {
        CHECK(afar__select_stop(&sends[i].select));
        CHECK_RESULT(&sends[i], -1, AFAR_OK);
        waiter_close(&sends[i]);
        afar__home_free(homes[i]);
    }
    finish();
}

TEST(fair_selects_take_turns)
{
    take_turns(false, (int[]){ 0, 1, 2, 0, 1, 2, 0 }, 7);
}

TEST(by_priority_the_first_that_can)
{
    take_turns(true, (int[]){ 0, 0, 0, 0 }, 4);
}

TEST(stopping_ends_the_round)
{
    waiter receives, sends;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 0);
    waiter_one(&receives, &here, home, AFAR__RECEIVES, 0);
    CHECK(afar__select_stop(&receives.select)); /* between rounds */
    CHECK(!waiter_begin(&receives));
    CHECK(afar__select_stop(&receives.select));
    CHECK_INT(receives.done, 0);
    CHECK(afar__select_stop(&receives.select));
    CHECK_RESULT(&receives, -1, AFAR_OK);
    waiter_one(&sends, &here, home, AFAR__SENDS, 5);
    CHECK(!waiter_begin(&sends));
    CHECK(waiter_begin(&receives));
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK(afar__select_stop(&sends.select)); /* it was faster */
    CHECK_RESULT(&sends, 0, AFAR_OK);
    waiter_close(&receives);
    waiter_close(&sends);
    afar__home_free(home);
    finish();
}

TEST(polling_takes_what_is_there)
{
    waiter receives, sends;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 0);
    waiter_one(&receives, &here, home, AFAR__RECEIVES, 0);
    waiter_one(&sends, &here, home, AFAR__SENDS, 5);
    CHECK(waiter_poll(&receives));
    CHECK_RESULT(&receives, -1, AFAR_OK);
    CHECK(waiter_poll(&receives));
    CHECK_RESULT(&receives, -1, AFAR_OK);
    CHECK(!waiter_begin(&sends));
    CHECK(waiter_poll(&receives));
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK(waiter_poll(&sends));
    CHECK_RESULT(&sends, -1, AFAR_OK);
    CHECK(waiter_poll(&receives)); /* the sender is between rounds */
    CHECK_RESULT(&receives, -1, AFAR_OK);
    waiter_close(&receives);
    waiter_close(&sends);
    afar__home_free(home);
    finish();
}

TEST(other_guards_end_a_round)
{
    waiter alt, sends;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 0);
    waiter_init(&alt);
    waiter_on(&alt, home, AFAR__RECEIVES, 0);
    waiter_other(&alt);
    waiter_other(&alt);
    waiter_open(&alt, &here, false);
    CHECK(!waiter_begin(&alt));
    CHECK(afar__select_fire(&alt.select, &alt.guards[1]));
    CHECK_INT(alt.done, 0);
    CHECK(!afar__select_fire(&alt.select, &alt.guards[2])); /* it is done: forgotten */
    CHECK_RESULT(&alt, 1, AFAR_OK);
    CHECK(!waiter_begin(&alt));
    CHECK(afar__select_stop(&alt.select));
    CHECK_RESULT(&alt, -1, AFAR_OK);

    /* Between rounds: for the next one, and only that. */
    waiter_one(&sends, &here, home, AFAR__SENDS, 1);
    CHECK(!waiter_begin(&sends));
    CHECK(!afar__select_fire(&alt.select, &alt.guards[2]));
    CHECK(waiter_begin(&alt));
    CHECK_RESULT(&alt, 0, AFAR_OK);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK(!waiter_begin(&alt));
    CHECK(afar__select_stop(&alt.select));
    CHECK_RESULT(&alt, -1, AFAR_OK);
    CHECK(!afar__select_fire(&alt.select, &alt.guards[2]));
    CHECK(waiter_begin(&alt));
    CHECK_RESULT(&alt, 2, AFAR_OK);
    waiter_close(&alt);
    waiter_close(&sends);
    afar__home_free(home);
    finish();
}

TEST(guards_are_switched)
{
    afar__home *homes[2];
    waiter alt, sends[2];

    start();
    waiter_init(&alt);
    for (int i = 0; i < 2; i++) {
        homes[i] = afar__home_new(&here.board, 0);
        waiter_on(&alt, homes[i], AFAR__RECEIVES, 0);
        waiter_one(&sends[i], &here, homes[i], AFAR__SENDS, i);
    }
    alt.guards[1].off = true;
    waiter_open(&alt, &here, false);
    CHECK(!waiter_begin(&sends[1]));
    CHECK(!waiter_begin(&alt));
    CHECK(afar__select_stop(&alt.select));
    CHECK_RESULT(&alt, -1, AFAR_OK);
    afar__select_switch(&alt.guards[0], false);
    afar__select_switch(&alt.guards[0], false);
    CHECK_INT(afar__home_offer_count(homes[0], AFAR__RECEIVES), 0);
    afar__select_switch(&alt.guards[1], true);
    CHECK(waiter_begin(&alt));
    CHECK_RESULT(&alt, 1, AFAR_OK);
    CHECK_RESULT(&sends[1], 0, AFAR_OK);
    CHECK(!waiter_begin(&sends[0]));
    CHECK(!waiter_begin(&alt));
    CHECK(afar__select_stop(&alt.select));
    CHECK_RESULT(&alt, -1, AFAR_OK);
    afar__select_switch(&alt.guards[0], true);
    CHECK(waiter_begin(&alt));
    CHECK_RESULT(&alt, 0, AFAR_OK);
    CHECK_RESULT(&sends[0], 0, AFAR_OK);
    waiter_close(&alt);
    for (int i = 0; i < 2; i++) {
        waiter_close(&sends[i]);
        afar__home_free(homes[i]);
    }
    finish();
}

/* The sender's round ends; the receiver's offer goes on standing. */
TEST(a_message_that_cannot_be_made)
{
    waiter receives, sends;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 0);
    waiter_one(&receives, &here, home, AFAR__RECEIVES, 0);
    waiter_one(&sends, &here, home, AFAR__SENDS, 7);
    CHECK(!waiter_begin(&receives));
    here.pack_fails = true;
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_RESOURCE_EXHAUSTED);
    CHECK_INT(receives.done, 0);
    CHECK_INT(afar__home_offer_count(home, AFAR__RECEIVES), 1);
    CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), 0);
    here.pack_fails = false;
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    waiter_close(&receives);
    waiter_close(&sends);
    afar__home_free(home);
    finish();
}

TEST(a_buffer_takes_and_gives_in_order)
{
    waiter receives, sends;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 40);
    CHECK(afar__home_buffered(home));
    waiter_one(&receives, &here, home, AFAR__RECEIVES, 0);
    waiter_one(&sends, &here, home, AFAR__SENDS, 7);
    for (int i = 0; i < 40; i++) {
        sends.guards[0].user = (void *)(intptr_t)i;
        CHECK(waiter_begin(&sends));
        CHECK_RESULT(&sends, 0, AFAR_OK);
    }
    CHECK_INT(afar__home_buffer_count(home), 40);
    sends.guards[0].user = (void *)(intptr_t)40;
    CHECK(!waiter_begin(&sends));
    for (int i = 0; i <= 40; i++) {
        CHECK(waiter_begin(&receives));
        CHECK_RESULT(&receives, 0, AFAR_OK);
        CHECK_INT(receives.value, i);
        if (i == 0)
            CHECK_RESULT(&sends, 0, AFAR_OK);
    }
    CHECK(!waiter_begin(&receives));
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 40);
    waiter_close(&receives);
    waiter_close(&sends);
    afar__home_free(home);
    finish();
}

TEST(posts_go_into_the_buffer)
{
    afar__parcel *parcel;
    waiter receives;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 2);
    waiter_one(&receives, &here, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(afar__home_post(home, parcel_new(1)));
    CHECK_INT(receives.done, 1);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 1);
    CHECK(afar__home_post(home, parcel_new(2)));
    CHECK(afar__home_post(home, parcel_new(3)));
    parcel = parcel_new(4);
    CHECK(!afar__home_post(home, parcel));
    afar__home_poison(home, "enough");
    CHECK_INT(parcels_live, 1);
    CHECK(!afar__home_post(home, parcel));
    waiter_close(&receives);
    afar__home_free(home);

    home = afar__home_new(&here.board, 0);
    CHECK(!afar__home_post(home, parcel));
    afar__home_free(home);
    home = afar__home_new(&here.board, 1);
    CHECK(afar__home_post(home, parcel)); /* is freed with it */
    afar__home_free(home);
    finish();
}

/* One message more that went, or came, or neither. */
static void
count_result(waiter *w, int *sent, int *received)
{
    afar_code code;
    int guard = waiter_result(w, &code);

    CHECK_INT(code, AFAR_OK);
    if (guard >= 0 && w->guards[guard].direction == AFAR__SENDS)
        ++*sent;
    else if (guard >= 0)
        ++*received;
}

TEST(many_selects_each_do_one_thing)
{
    enum { CHANNELS = 4, WAITERS = 40, ROUNDS = 20000 };
    static waiter waiters[WAITERS];
    static bool waiting[WAITERS];
    afar__home *homes[CHANNELS];
    int sent = 0, received = 0;
    uint32_t chance = 1;

    start();
    for (int i = 0; i < CHANNELS; i++)
        homes[i] = afar__home_new(&here.board, i == 3 ? 2 : 0);
    for (int i = 0; i < WAITERS; i++) {
        waiter_init(&waiters[i]);
        for (int j = 0; j < CHANNELS; j++)
            waiter_on(&waiters[i], homes[j], (i >> j) & 1 ? AFAR__SENDS : AFAR__RECEIVES, i);
        waiter_open(&waiters[i], &here, i % 3 == 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        waiter *w = &waiters[(chance = chance * 1103515245u + 12345u) / 65536 % WAITERS];
        bool over = false;

        if (!waiting[w - waiters])
            over = chance % 5 == 0 ? waiter_poll(w) : waiter_begin(w);
        else if (w->done == 0 && chance % 3 == 0)
            over = afar__select_stop(&w->select);
        waiting[w - waiters] = true;
        if (w->done > 0 || over) {
            CHECK_INT(w->done + over, 1);
            count_result(w, &sent, &received);
            waiting[w - waiters] = false;
        }
    }
    CHECK(sent > 1000);
    for (int i = 0; i < WAITERS; i++) {
        if (waiting[i]) {
            CHECK(afar__select_stop(&waiters[i].select));
            count_result(&waiters[i], &sent, &received);
        }
        waiter_close(&waiters[i]);
    }
    CHECK_INT(sent, received + (int)afar__home_buffer_count(homes[3]));
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_INT(afar__home_offer_count(homes[i], AFAR__SENDS), 0);
        CHECK_INT(afar__home_offer_count(homes[i], AFAR__RECEIVES), 0);
        afar__home_free(homes[i]);
    }
    finish();
}
