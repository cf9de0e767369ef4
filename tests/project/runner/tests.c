/* Tests that end in every way a test can end, for runner_test.py. */

#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static afar_code
fail_with(afar_code code, afar_error *err)
{
    err->code = code;
    snprintf(err->message, sizeof err->message, "said why");
    return code;
}

/* The library's is not linked here. */
const char *
afar_code_name(afar_code code)
{
    return code == AFAR_NOT_FOUND ? "NOT_FOUND" : "OTHER";
}

TEST(passes)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK(1 + 1 == 2);
    CHECK_INT(-3, -3);
    CHECK_STR("a", "a");
    CHECK_STR(NULL, NULL);
    CHECK_OK(fail_with(AFAR_OK, &err));
    CHECK_FAILS(fail_with(AFAR_NOT_FOUND, &err), AFAR_NOT_FOUND);
}

TEST(condition)
{
    CHECK(1 + 1 == 3);
}

TEST(number)
{
    CHECK_INT(6 * 7, 43);
}

TEST(text)
{
    CHECK_STR("left", "right");
}

TEST(null_text)
{
    CHECK_STR(NULL, "right");
}

TEST(unexpected_failure)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(fail_with(AFAR_NOT_FOUND, &err));
}

TEST(unexpected_success)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(fail_with(AFAR_OK, &err), AFAR_NOT_FOUND);
}

TEST(another_code)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(fail_with(AFAR_UNKNOWN, &err), AFAR_NOT_FOUND);
}

/* Into the folder of the test, and into one below that. */
static void
leave_files(void)
{
    char path[200];
    int fd;

    CHECK_STR(getenv("TMPDIR"), check_folder());
    snprintf(path, sizeof path, "%s/below", check_folder());
    CHECK_INT(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/below/file", check_folder());
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    close(fd);
}

TEST(crash)
{
    leave_files();
    abort();
}

/* Waits for ever, and so does the process that it started; the pipe, which both
 * hold, tells when both are gone. */
TEST(hang)
{
    int fd = open(getenv("RUNNER_FIFO"), O_WRONLY);

    CHECK(fd >= 0);
    leave_files();
    fork();
    for (;;)
        pause();
}

TEST(descriptor)
{
    CHECK(open("/dev/null", O_RDONLY) >= 0);
}

TEST(exit_code)
{
    exit(3);
}

TEST(passes_too)
{
}
