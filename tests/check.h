#ifndef CHECK_H
#define CHECK_H

/* The test runner.  A test program is one file, linked with check.c, which has
 * its `main`:
 *
 *     #include "check.h"
 *
 *     TEST(empty_name_is_refused)
 *     {
 *         afar_error err = AFAR_ERROR_INIT;
 *
 *         CHECK_FAILS(open_it("", &err), AFAR_INVALID_ARGUMENT);
 *         CHECK_STR(err.message, "the name is empty");
 *         afar_error_clear(&err);
 *     }
 *
 * `prog` runs all tests in the order of the file, `prog name...` runs some.  Each
 * test has a process of its own, so a crash is a failed test and no test sees
 * what another left behind.  A test fails when a CHECK does, when it ends by a
 * signal or an exit code other than 0 (a sanitizer's, too), when it takes longer
 * than 20 seconds (the environment's CHECK_TIMEOUT sets another number), or when
 * descriptors are open at its end that were not at its start.
 *
 * Each test also has a folder of its own, check_folder(), which goes with it whatever way
 * it ends.  TMPDIR names it, so what the test starts puts its files there as well.
 *
 * Under a debugger there is no process of its own, no time-out, and a failed
 * CHECK stops where it stands: `gdb --args prog name`.
 *
 * A failed CHECK ends the test, whichever thread it is on. */

#include <stdint.h>

#include <afar/error.h>

struct check_test {
    const char *name;
    void (*run)(void);
    int line;
};

/* The linker gathers the pointers of all tests in one section. */
#define TEST(test)                                                                                 \
    static void test(void);                                                                        \
    static const struct check_test check_##test = { #test, test, __LINE__ };                       \
    static const struct check_test *const check_entry_##test                                       \
        __attribute__((used, section("check_tests"))) = &check_##test;                             \
    static void test(void)

#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, "%s is false", #condition))

#define CHECK_INT(actual, expected)                                                                \
    check_int(__FILE__, __LINE__, #actual, (intmax_t)(actual), (intmax_t)(expected))

#define CHECK_STR(actual, expected) check_str(__FILE__, __LINE__, #actual, actual, expected)

/* The call succeeds.  Both print the message of the `afar_error err` in scope. */
#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        afar_code check_code = (call);                                                             \
        if (check_code != AFAR_OK)                                                                 \
            check_fail(__FILE__, __LINE__, "%s fails: %s: %s", #call, afar_code_name(check_code),  \
                       err.message);                                                               \
    } while (0)

/* The call fails with just that code. */
#define CHECK_FAILS(call, expected)                                                                \
    do {                                                                                           \
        afar_code check_code = (call);                                                             \
        if (check_code == AFAR_OK)                                                                 \
            check_fail(__FILE__, __LINE__, "%s succeeds, expected %s", #call,                      \
                       afar_code_name(expected));                                                  \
        if (check_code != (expected))                                                              \
            check_fail(__FILE__, __LINE__, "%s fails with %s, expected %s: %s", #call,             \
                       afar_code_name(check_code), afar_code_name(expected), err.message);         \
    } while (0)

/* Ends the test with a message. */
__attribute__((noreturn, format(printf, 3, 4))) void
check_fail(const char *file, int line, const char *format, ...);

void
check_int(const char *file, int line, const char *what, intmax_t actual, intmax_t expected);

/* NULL equals NULL only. */
void
check_str(const char *file, int line, const char *what, const char *actual, const char *expected);

/* The path of the test's folder, of 80 bytes at most, so that sockets fit in.  Anybody may pass
 * through it, for tests that become another user. */
const char *
check_folder(void);

#endif
