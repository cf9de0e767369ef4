/* When a channel is still: the board knows of nothing there. */

#include "boards.h"
#include "check.h"

static process here, there;
static afar__board_ops ops;
static int told; /* how often */

static void
still(void *arg, afar__home *home, bool is_still)
{
    bool *known = afar__home_user(home);

    (void)arg;
    CHECK(*known != is_still);
    *known = is_still;
    told++;
}

static afar__home *
start(bool *known, unsigned capacity)
{
    afar__home *home;

    process_init(&here, 1);
    process_init(&there, 2);
    ops = *here.board.ops;
    ops.still = still;
    here.board.ops = &ops;
    home = afar__home_new(&here.board, capacity);
    *known = false;
    afar__home_set_user(home, known);
    return home;
}

static void
finish(afar__home *home)
{
    process_clear(&there);
    afar__home_free(home);
    process_clear(&here);
    CHECK_INT(parcels_live, 0);
}

TEST(it_is_while_nobody_waits)
{
    waiter sends, receives;
    bool known;
    afar__home *home = start(&known, 0);

    CHECK(known);
    waiter_one(&receives, &here, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(!known);
    waiter_one(&sends, &here, home, AFAR__SENDS, 1);
    CHECK(waiter_begin(&sends));
    CHECK_RESULT(&sends, 0, AFAR_OK);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK(known);
    waiter_close(&sends);
    waiter_close(&receives);
    CHECK(known);
    finish(home);
}

TEST(it_is_not_while_an_offer_stands)
{
    waiter sends;
    bool known;
    afar__home *home = start(&known, 0);

    waiter_one(&sends, &here, home, AFAR__SENDS, 1);
    CHECK(!waiter_begin(&sends));
    CHECK(afar__select_stop(&sends.select)); /* time is up */
    CHECK(!known);
    afar__select_next(&sends.select);
    CHECK(!known);
    waiter_close(&sends);
    CHECK(known);
    finish(home);
}

TEST(it_is_when_one_was_handed_over_at_once)
{
    afar__parcel *parcel = parcel_new(7);
    waiter receives;
    bool known;
    afar__home *home = start(&known, 0);

    waiter_one(&receives, &here, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    CHECK(!known);
    CHECK(afar__home_send_at_once(home, parcel));
    CHECK(known);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    waiter_close(&receives);
    finish(home);
}

TEST(it_is_not_while_others_are_attached)
{
    bool known;
    afar__home *home = start(&known, 0);
    line *sender = line_new(&there, &here, home, AFAR__SENDS);

    CHECK(!known);
    line_cut(sender);
    CHECK(known);
    finish(home);
}

TEST(it_is_never_again_when_it_has_ended)
{
    bool known;
    afar__home *home = start(&known, 0);

    afar__home_finish(home, AFAR__SENDS, false);
    CHECK(!known);
    finish(home);

    home = start(&known, 0);
    afar__home_poison(home, "enough");
    CHECK(!known);
    finish(home);
    CHECK_INT(told, 4);
}

TEST(a_buffer_is_never_still)
{
    bool known;
    afar__home *home = start(&known, 3);

    CHECK(!known);
    CHECK(afar__home_post(home, parcel_new(1)));
    CHECK_INT(told, 0);
    finish(home);
}
