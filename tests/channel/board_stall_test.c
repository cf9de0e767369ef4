/* Seats that are stalled: their offers are passed over, keep their places, and are paired, oldest first, when
 * their process reads again. */

#include "check.h"
#include "three.h"

enum { EACH = 3 };

static waiter receives[3 * EACH];

/* Waits for a message, as the n-th: at `to` or, from another process, at `l`. */
static void
wait_far(size_t n, process *p, line *l)
{
    waiter_one_far(&receives[n], p, l, 0);
    CHECK(!waiter_begin(&receives[n]));
    go();
}

static void
send_value(int value)
{
    waiter sends;

    waiter_one(&sends, &middle, home, AFAR__SENDS, value);
    waiter_begin(&sends);
    go();
    CHECK_RESULT(&sends, 0, AFAR_OK);
    waiter_close(&sends);
}

static void
check_received(size_t n, int value)
{
    CHECK_RESULT(&receives[n], 0, AFAR_OK);
    CHECK_INT(receives[n].value, value);
    waiter_close(&receives[n]);
}

static void
close_all(size_t first, size_t end)
{
    for (size_t n = first; n < end; n++) {
        if (!afar__select_stop(&receives[n].select))
            go();
        CHECK_RESULT(&receives[n], -1, AFAR_OK);
        waiter_close(&receives[n]);
    }
}

/* Some came before the stall, some in it; others wait between them. */
TEST(places_are_kept)
{
    line *low_to;

    start_with_lines(0);
    low_to = line_new(&low, &middle, home, AFAR__RECEIVES);
    for (size_t n = 0; n < EACH; n++)
        wait_far(n, &high, to);
    afar__seat_stall(to->seat, true);
    for (size_t n = EACH; n < 2 * EACH; n++)
        wait_far(n, &low, low_to);
    for (size_t n = 2 * EACH; n < 3 * EACH; n++)
        wait_far(n, &high, to);
    send_value(1); /* passes those in front */
    check_received(EACH, 1);
    afar__seat_stall(to->seat, false);
    for (int n = 0; n < EACH; n++) {
        send_value(10 + n);
        check_received((size_t)n, 10 + n);
    }
    for (int n = EACH + 1; n < 3 * EACH; n++) {
        send_value(10 + n);
        check_received((size_t)n, 10 + n);
    }
    finish();
}

/* Somebody waits for it: it is paired when it can be, with the oldest. */
TEST(what_came_meanwhile_is_paired_in_order)
{
    waiter sends[EACH];

    start_with_lines(0);
    wait_far(0, &high, to);
    afar__seat_stall(to->seat, true);
    for (int i = 0; i < EACH; i++) {
        waiter_one(&sends[i], &middle, home, AFAR__SENDS, i);
        CHECK(!waiter_begin(&sends[i])); /* the first of these finds the first of those */
    }
    for (size_t n = 1; n < EACH + 1; n++)
        wait_far(n, &high, to);
    afar__seat_stall(to->seat, false);
    go();
    for (int i = 0; i < EACH; i++) {
        CHECK_RESULT(&sends[i], 0, AFAR_OK);
        waiter_close(&sends[i]);
        check_received((size_t)i, i);
    }
    close_all(EACH, EACH + 1);
    finish();
}

/* The same with a buffer. */
TEST(what_came_meanwhile_is_served_from_a_buffer)
{
    start_with_lines(EACH);
    afar__seat_stall(to->seat, true);
    for (int i = 0; i < EACH; i++)
        CHECK(afar__home_post(home, parcel_new(i)));
    for (size_t n = 0; n < EACH + 1; n++)
        wait_far(n, &high, to);
    CHECK_INT(afar__home_buffer_count(home), EACH);
    afar__seat_stall(to->seat, false);
    go();
    for (int i = 0; i < EACH; i++)
        check_received((size_t)i, i);
    close_all(EACH, EACH + 1);
    finish();
}

/* Its pair went while it was stalled: another one, who waits, has it afterwards. */
TEST(one_whose_pair_went_is_paired_again)
{
    waiter first, second;
    line *elsewhere;

    start_with_lines(0);
    elsewhere = line_new(&low, &middle, other, AFAR__SENDS);
    wait_far(0, &high, to);
    waiter_init(&first);
    waiter_far(&first, from, 1);
    waiter_far(&first, elsewhere, 2);
    waiter_open(&first, &low, false);
    CHECK(!waiter_begin(&first));
    while (line_act(from))
        ; /* it is being claimed */
    afar__seat_stall(to->seat, true);
    waiter_one(&second, &middle, home, AFAR__SENDS, 3);
    CHECK(!waiter_begin(&second));
    CHECK(afar__select_stop(&first.select));
    CHECK_RESULT(&first, -1, AFAR_OK);
    go(); /* the claim is denied */
    CHECK_INT(second.done, 0);
    afar__seat_stall(to->seat, false);
    go();
    CHECK_RESULT(&second, 0, AFAR_OK);
    check_received(0, 3);
    waiter_close(&second);
    waiter_close(&first);
    go();
    finish();
}

/* The stall of one does not look at what others have: they can be many. */
TEST(others_may_be_many)
{
    enum { OTHERS = 60000, ROUNDS = 200000 };
    line *low_to;

    start_with_lines(0);
    low_to = line_new(&low, &middle, home, AFAR__RECEIVES);
    for (int i = 0; i < OTHERS; i++)
        CHECK_INT(line_act_is(low_to, (afar__step){ .kind = AFAR__STEP_OFFER }), AFAR_OK);
    wait_far(0, &high, to);
    for (int i = 0; i < ROUNDS; i++) {
        afar__seat_stall(to->seat, true);
        afar__seat_stall(to->seat, false);
    }
    close_all(0, 1);
    line_cut_seat(low_to);
    finish();
}
