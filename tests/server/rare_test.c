/* Thinned-out log lines. */

#include "server/rare.h"

#include <stdio.h>
#include <string.h>

#include <afar/log.h>

#include "check.h"

static char last[256];
static unsigned count;

static void
gather(void *arg, afar_log_level level, const char *line)
{
    (void)arg;
    CHECK_INT(level, AFAR_LOG_WARNING);
    snprintf(last, sizeof last, "%s", line);
    count++;
}

TEST(one_line_of_many_gets_through_and_counts_the_others)
{
    afar__rare rare = { 0 };

    afar_log_set(gather, NULL, AFAR_LOG_WARNING);
    for (int i = 0; i < 1000; i++)
        afar__rare_warn(&rare, "peer %d", i);
    CHECK_INT(count, 1);
    CHECK_STR(last, "peer 0");

    rare.next = 0; /* as if the second were over */
    afar__rare_warn(&rare, "peer %d", 1000);
    CHECK_INT(count, 2);
    CHECK_STR(last, "peer 1000; 999 more since the last such line");

    rare.next = 0;
    afar__rare_warn(&rare, "peer %d", 1001);
    CHECK_STR(last, "peer 1001");
}

TEST(nothing_is_counted_while_nobody_listens)
{
    afar__rare rare = { 0 };

    afar_log_set(gather, NULL, AFAR_LOG_ERROR);
    for (int i = 0; i < 10; i++)
        afar__rare_warn(&rare, "peer %d", i);
    CHECK_INT(count, 0);
    afar_log_set(gather, NULL, AFAR_LOG_WARNING);
    afar__rare_warn(&rare, "peer");
    CHECK_STR(last, "peer");
}

TEST(kinds_do_not_hold_back_each_other)
{
    afar__rare one = { 0 }, other = { 0 };

    afar_log_set(gather, NULL, AFAR_LOG_WARNING);
    afar__rare_warn(&one, "one");
    afar__rare_warn(&other, "other");
    CHECK_INT(count, 2);
    CHECK_STR(last, "other");
}
