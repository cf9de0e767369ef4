/* How channels of one process end: finished, or poisoned. */

#include <stdio.h>
#include <string.h>

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

TEST(finishing_a_rendezvous)
{
    waiter receives[2], sends;
    const char *text = NULL;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 0);
    CHECK_INT(afar__home_state(home, AFAR__RECEIVES, &text), AFAR_OK);
    waiter_one(&sends, &here, home, AFAR__SENDS, 1);
    CHECK(!waiter_begin(&sends));
    afar__home_finish(home, AFAR__SENDS, false); /* what was offered still happens */
    CHECK_INT(afar__home_state(home, AFAR__RECEIVES, &text), AFAR_OK);
    waiter_one(&receives[0], &here, home, AFAR__RECEIVES, 0);
    waiter_one(&receives[1], &here, home, AFAR__RECEIVES, 0);
    CHECK(waiter_begin(&receives[0]));
    CHECK_RESULT(&receives[0], 0, AFAR_OK);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_INT(afar__home_state(home, AFAR__RECEIVES, &text), AFAR_ENDED);
    CHECK_STR(text, "all senders have finished");
    for (int i = 0; i < 3; i++) { /* each time */
        CHECK(waiter_begin(&receives[1]));
        CHECK_STR(receives[1].select.text, "all senders have finished");
        CHECK_RESULT(&receives[1], 0, AFAR_ENDED);
    }
    waiter_close(&sends);
    waiter_close(&receives[0]);
    waiter_close(&receives[1]);
    afar__home_free(home);
    finish();
}

TEST(the_last_that_goes_ends_those_who_wait)
{
    waiter receives, sends, idle;
    const char *text;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 0);
    waiter_one(&idle, &here, home, AFAR__SENDS, 1);
    CHECK(!waiter_begin(&idle));
    CHECK(afar__select_stop(&idle.select));
    CHECK_RESULT(&idle, -1, AFAR_OK);
    afar__home_finish(home, AFAR__SENDS, true); /* the idle one's offer counts no more */
    CHECK_INT(afar__home_state(home, AFAR__RECEIVES, &text), AFAR_LOST);
    CHECK_INT(afar__home_state(home, AFAR__SENDS, &text), AFAR_OK);
    waiter_close(&idle);
    afar__home_free(home);

    home = afar__home_new(&here.board, 0);
    waiter_one(&receives, &here, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    afar__home_finish(home, AFAR__SENDS, false);
    CHECK_INT(receives.done, 1);
    CHECK_RESULT(&receives, 0, AFAR_ENDED);
    waiter_close(&receives);
    afar__home_free(home);

    home = afar__home_new(&here.board, 0);
    waiter_one(&sends, &here, home, AFAR__SENDS, 0);
    CHECK(!waiter_begin(&sends));
    afar__home_finish(home, AFAR__RECEIVES, true);
    CHECK_STR(sends.select.text, "no receiver is left, and one was lost");
    CHECK_RESULT(&sends, 0, AFAR_LOST);
    waiter_close(&sends);
    afar__home_free(home);
    finish();
}

TEST(a_buffer_is_drained_before_the_end)
{
    waiter receives;
    const char *text;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 5);
    CHECK(afar__home_post(home, parcel_new(1)));
    CHECK(afar__home_post(home, parcel_new(2)));
    afar__home_finish(home, AFAR__SENDS, false);
    CHECK_INT(afar__home_state(home, AFAR__RECEIVES, &text), AFAR_OK);
    waiter_one(&receives, &here, home, AFAR__RECEIVES, 0);
    for (int i = 1; i <= 2; i++) {
        CHECK(waiter_begin(&receives));
        CHECK_RESULT(&receives, 0, AFAR_OK);
        CHECK_INT(receives.value, i);
    }
    CHECK(waiter_begin(&receives));
    CHECK_RESULT(&receives, 0, AFAR_ENDED);
    waiter_close(&receives);
    afar__home_free(home);
    finish();
}

TEST(without_receivers_the_buffer_is_dropped)
{
    waiter sends;
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 1);
    CHECK(afar__home_post(home, parcel_new(1)));
    waiter_one(&sends, &here, home, AFAR__SENDS, 2);
    CHECK(!waiter_begin(&sends));
    afar__home_finish(home, AFAR__RECEIVES, false);
    CHECK_RESULT(&sends, 0, AFAR_ENDED);
    CHECK_INT(parcels_live, 0);
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_ENDED);
    afar__home_finish(home, AFAR__SENDS, false);
    waiter_close(&sends);
    afar__home_free(home);
    finish();
}

TEST(poison_ends_all_at_once)
{
    waiter receives, sends, idle;
    const char *text;
    char reason[1200];
    afar__home *home;

    start();
    home = afar__home_new(&here.board, 1);
    CHECK(afar__home_post(home, parcel_new(1)));
    waiter_one(&idle, &here, home, AFAR__SENDS, 1);
    CHECK(!waiter_begin(&idle));
    CHECK(afar__select_stop(&idle.select));
    CHECK_RESULT(&idle, -1, AFAR_OK);
    waiter_one(&sends, &here, home, AFAR__SENDS, 2);
    CHECK(!waiter_begin(&sends));
    afar__home_poison(home, "the disk is full");
    afar__home_poison(home, "the first counts");
    CHECK_STR(sends.select.text, "the disk is full");
    CHECK_RESULT(&sends, 0, AFAR_POISONED);
    CHECK_INT(parcels_live, 0);
    CHECK(waiter_begin(&idle));
    CHECK_RESULT(&idle, 0, AFAR_POISONED);
    CHECK_INT(afar__home_state(home, AFAR__SENDS, &text), AFAR_POISONED);
    CHECK_STR(text, "the disk is full");
    waiter_one(&receives, &here, home, AFAR__RECEIVES, 0);
    CHECK(waiter_poll(&receives));
    CHECK_RESULT(&receives, 0, AFAR_POISONED);
    waiter_close(&receives);
    waiter_close(&idle);
    waiter_close(&sends);
    afar__home_finish(home, AFAR__SENDS, true);
    CHECK_INT(afar__home_state(home, AFAR__RECEIVES, &text), AFAR_POISONED);
    afar__home_free(home);

    /* A reason is cut at a character. */
    home = afar__home_new(&here.board, 0);
    memset(reason, 'x', 999);
    snprintf(reason + 999, sizeof(reason) - 999, "\u00e4 and so on");
    afar__home_poison(home, reason);
    CHECK_INT(afar__home_state(home, AFAR__SENDS, &text), AFAR_POISONED);
    CHECK_INT(strlen(text), 999);
    afar__home_free(home);
    finish();
}
