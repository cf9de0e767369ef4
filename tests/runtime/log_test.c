/* The log hook: levels, lines, and the hook for standard error. */

#include "runtime/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

static struct {
    int count;
    afar_log_level level;
    char line[1024];
} last;

static void
keep(void *arg, afar_log_level level, const char *line)
{
    CHECK(arg == &last);
    last.count++;
    last.level = level;
    snprintf(last.line, sizeof last.line, "%s", line);
}

TEST(nothing_is_logged_without_a_hook)
{
    for (int level = AFAR_LOG_ERROR; level <= AFAR_LOG_DEBUG; level++)
        CHECK(!afar__log_on((afar_log_level)level));
    afar__log(AFAR_LOG_ERROR, "to nobody");
    afar_log_set(keep, &last, AFAR_LOG_DEBUG);
    afar_log_set(NULL, NULL, AFAR_LOG_DEBUG);
    CHECK(!afar__log_on(AFAR_LOG_ERROR));
    afar__log(AFAR_LOG_ERROR, "to nobody");
    CHECK_INT(last.count, 0);
}

TEST(levels_up_to_the_last)
{
    for (int set = AFAR_LOG_ERROR; set <= AFAR_LOG_DEBUG; set++) {
        afar_log_set(keep, &last, (afar_log_level)set);
        for (int level = AFAR_LOG_ERROR; level <= AFAR_LOG_DEBUG; level++) {
            int before = last.count;

            CHECK_INT(afar__log_on((afar_log_level)level), level <= set);
            afar__log((afar_log_level)level, "%s %d", "line", level);
            CHECK_INT(last.count - before, level <= set);
        }
        CHECK_INT(last.level, set);
    }
    CHECK_STR(last.line, "line 3");
}

TEST(line_is_one_line_without_controls)
{
    afar_log_set(keep, &last, AFAR_LOG_ERROR);
    afar__log(AFAR_LOG_ERROR, "a\nb\r\tc\x1b[31md\x7f \xc3\xa4");
    CHECK_STR(last.line, "a b  c [31md  \xc3\xa4");
}

TEST(long_line_is_cut)
{
    char text[2000] = "";

    memset(text, 'x', 510);
    memcpy(text + 510, "\xc3\xa4 and more", 11);
    afar_log_set(keep, &last, AFAR_LOG_ERROR);
    afar__log(AFAR_LOG_ERROR, "%s", text);
    CHECK_INT(strlen(last.line), 510);
    memset(text, 'x', 1000);
    afar__log(AFAR_LOG_ERROR, "%s", text);
    CHECK_INT(strlen(last.line), 511);
}

/* What the hook writes to standard error. */
static void
write_line(afar_log_level level, const char *line, char *text, size_t size)
{
    int ends[2], before = dup(STDERR_FILENO);
    ssize_t length;

    CHECK(pipe(ends) == 0 && before >= 0);
    dup2(ends[1], STDERR_FILENO);
    afar_log_stderr(NULL, level, line);
    dup2(before, STDERR_FILENO);
    close(before);
    close(ends[1]);
    length = read(ends[0], text, size - 1); /* the hook writes once */
    CHECK(length > 0);
    text[length] = 0;
    close(ends[0]);
}

TEST(standard_error_gets_time_and_level)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };
    char text[2000], expected[64];
    int year, month, day, hour, minute, second, ms, end = 0;

    for (int level = 0; level < 4; level++) {
        write_line((afar_log_level)level, "what happened", text, sizeof text);
        CHECK_INT(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day, &hour,
                         &minute, &second, &ms, &end),
                  7);
        CHECK(year >= 2024 && month <= 12 && end == 25);
        snprintf(expected, sizeof expected, "%s: what happened\n", names[level]);
        CHECK_STR(text + end, expected);
    }
}

TEST(standard_error_takes_long_lines)
{
    char line[1500], text[2000];

    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = 0;
    write_line(AFAR_LOG_INFO, line, text, sizeof text);
    CHECK(strlen(text) > 500 && strlen(text) < sizeof line);
    CHECK_INT(text[strlen(text) - 1], '\n');
}
