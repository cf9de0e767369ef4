/* Deadlines: what is left, and the ends of the range. */

#include <afar/deadline.h>

#include "runtime/clock.h"

#include "check.h"

TEST(moment_to_come)
{
    int64_t before = afar__now();
    afar_deadline deadline = afar_after_ms(60000);
    int64_t after = afar__now();

    CHECK(deadline.ns >= before + 60000 * AFAR__MILLISECOND);
    CHECK(deadline.ns <= after + 60000 * AFAR__MILLISECOND);
    CHECK(afar_deadline_left_ns(deadline) > 0);
    CHECK(afar_deadline_left_ns(deadline) <= 60000 * AFAR__MILLISECOND);
}

TEST(nothing_is_left_of_the_past)
{
    const int64_t past[] = { 0, -1, INT64_MIN, afar__now() };

    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++)
        CHECK_INT(afar_deadline_left_ns(afar_deadline_at(past[i])), 0);
}

TEST(zero_and_less_do_not_wait)
{
    const int64_t times[] = { 0, -1, INT64_MIN };

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        afar_deadline deadline = afar_after_ms(times[i]);

        CHECK(deadline.ns <= afar__now());
        CHECK_INT(afar_deadline_left_ns(deadline), 0);
    }
}

TEST(what_does_not_fit_is_forever)
{
    CHECK_INT(afar_after_ms(INT64_MAX).ns, INT64_MAX);
    CHECK_INT(afar_after_ms(INT64_MAX / 1000000 + 1).ns, INT64_MAX);
    CHECK_INT(afar_after_ms(INT64_MAX / 1000000).ns, INT64_MAX);
    CHECK(afar_after_ms(INT64_MAX / 2000000).ns < INT64_MAX);
    CHECK_INT(afar_deadline_left_ns(AFAR_FOREVER), INT64_MAX);
}

TEST(the_earlier_of_two)
{
    CHECK_INT(afar_deadline_min(afar_deadline_at(1), afar_deadline_at(2)).ns, 1);
    CHECK_INT(afar_deadline_min(AFAR_FOREVER, afar_deadline_at(2)).ns, 2);
    CHECK_INT(afar_deadline_min(AFAR_FOREVER, AFAR_FOREVER).ns, INT64_MAX);
}
