/* The test runner: what check.h says.
 *
 * The parent forks a child for every test, waits for it, and judges.  It never
 * calls the library: gRPC cannot be used in a child of a process that has used
 * it.  The child leads a process group, so that whatever the test started ends
 * with it, and dies with its parent.
 *
 * Descriptors are compared by number within the child.  The kernel's event
 * objects (epoll, eventfd, timerfd) are left out: the gRPC core makes them with
 * its first use and keeps them as long as the process lives.  The core also
 * closes sockets on threads of its own, somewhat later than the call that asks
 * for it returns; so the comparison is repeated for a while before it fails.
 *
 * The folder of a test is made and removed by the parent, so that it goes also when the child was
 * killed.
 *
 * Standard output is line buffered, since LeakSanitizer ends the process before
 * stdio writes out what it holds.
 */

#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_DESCRIPTORS 4096
#define CLOSING_MS 3000
#define FOLDER_BYTES 80
#define FOLDER_DEPTH 16 /* descriptors for the walk through it */

/* Made by the linker: the first and the last of the section. */
extern const struct check_test *const __start_check_tests[];
extern const struct check_test *const __stop_check_tests[];

static bool debugged;
static char place[FOLDER_BYTES]; /* of the test that runs */
static sigset_t child_ends;      /* SIGCHLD; blocked in the parent, which waits for it */

/* ---- within a test ---- */

void
check_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;

    flockfile(stdout);
    printf("%s:%d: ", file, line);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    funlockfile(stdout);
    if (debugged)
        raise(SIGTRAP);
    _exit(EXIT_FAILURE);
}

void
check_int(const char *file, int line, const char *what, intmax_t actual, intmax_t expected)
{
    if (actual != expected)
        check_fail(file, line, "%s is %jd, expected %jd", what, actual, expected);
}

void
check_str(const char *file, int line, const char *what, const char *actual, const char *expected)
{
    if (!actual && !expected)
        return;
    if (!actual || !expected || strcmp(actual, expected) != 0)
        check_fail(file, line, "%s is\n  %s\nexpected\n  %s", what, actual ? actual : "(NULL)",
                   expected ? expected : "(NULL)");
}

const char *
check_folder(void)
{
    return place;
}

/* ---- the folder of a test ---- */

static bool
make_folder(void)
{
    static const char *parent; /* what TMPDIR says at first: each test sets it to its own */
    const char *given = getenv("TMPDIR");
    int length;

    if (!parent)
        parent = given ? strdup(given) : "/tmp";
    if (!parent)
        return false;
    length = snprintf(place, sizeof place, "%s/check-XXXXXX", parent);
    return length > 0 && (size_t)length < sizeof place && mkdtemp(place) &&
           chmod(place, 0711) == 0 && setenv("TMPDIR", place, 1) == 0;
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    remove(path);
    return 0;
}

static void
remove_folder(void)
{
    nftw(place, remove_one, FOLDER_DEPTH, FTW_DEPTH | FTW_PHYS);
}

/* ---- descriptors ---- */

static bool
is_event_object(const char *target)
{
    return strncmp(target, "anon_inode:[event", 17) == 0 || /* eventfd, eventpoll */
           strcmp(target, "anon_inode:[timerfd]") == 0;
}

/* Marks the descriptors that are open; the one that reads the folder is not
 * among them. */
static void
list_descriptors(bool open_now[MAX_DESCRIPTORS])
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;

    memset(open_now, 0, MAX_DESCRIPTORS * sizeof open_now[0]);
    while (folder && (entry = readdir(folder))) {
        char target[64] = "";
        int fd = atoi(entry->d_name);

        if (entry->d_name[0] == '.' || fd == dirfd(folder) || fd >= MAX_DESCRIPTORS)
            continue;
        if (readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1) > 0)
            open_now[fd] = !is_event_object(target);
    }
    if (folder)
        closedir(folder);
}

/* The first descriptor that is open now and was not before, or -1. */
static int
find_leak(const bool before[MAX_DESCRIPTORS])
{
    bool after[MAX_DESCRIPTORS];

    list_descriptors(after);
    for (int fd = 0; fd < MAX_DESCRIPTORS; fd++)
        if (after[fd] && !before[fd])
            return fd;
    return -1;
}

static void
check_descriptors(const char *name, const bool before[MAX_DESCRIPTORS])
{
    char path[64], target[128] = "";
    int fd = find_leak(before);

    for (int waited = 0; fd >= 0 && waited < CLOSING_MS; waited += 10) {
        poll(NULL, 0, 10);
        fd = find_leak(before);
    }
    if (fd < 0)
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (readlink(path, target, sizeof target - 1) < 0)
        return;
    printf("%s: descriptor %d (%s) is still open\n", name, fd, target);
    exit(EXIT_FAILURE);
}

/* ---- running one ---- */

static void
run_here(const struct check_test *test)
{
    bool before[MAX_DESCRIPTORS];

    list_descriptors(before);
    test->run();
    check_descriptors(test->name, before);
}

static int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int
timeout_s(void)
{
    const char *text = getenv("CHECK_TIMEOUT");
    int seconds = text ? atoi(text) : 0;

    return seconds > 0 && seconds <= INT32_MAX / 1000 ? seconds : 20;
}

/* Waits for the end of a child; false when it did not come in time.  It stays to be
 * reaped, so that its number is still its own. */
static bool
ends_in_time(pid_t child)
{
    int64_t end = now_ms() + timeout_s() * 1000;
    siginfo_t info = { 0 };

    while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0) {
        int64_t left = end - now_ms();
        struct timespec wait = { left / 1000, left % 1000 * 1000000 };

        if (left <= 0)
            return false;
        sigtimedwait(&child_ends, NULL, &wait);
    }
    return true;
}

static bool
judge(const struct check_test *test, bool in_time, int status, int64_t ms)
{
    if (!in_time)
        printf("FAIL %s: not done after %d seconds\n", test->name, timeout_s());
    else if (WIFSIGNALED(status))
        printf("FAIL %s: ended by signal %d (%s)\n", test->name, WTERMSIG(status),
               strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        printf("FAIL %s: exit code %d\n", test->name, WEXITSTATUS(status));
    else
        printf("ok   %s (%jd ms)\n", test->name, (intmax_t)ms);
    return in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool
run(const struct check_test *test)
{
    int64_t start = now_ms();
    pid_t parent = getpid();
    pid_t child;
    int status = 0;

    if (!make_folder()) {
        printf("FAIL %s: no folder can be made: %s\n", test->name, strerror(errno));
        return false;
    }
    if (debugged) {
        run_here(test);
        remove_folder();
        return true;
    }
    sigprocmask(SIG_BLOCK, &child_ends, NULL);
    fflush(stdout);
    child = fork();
    if (child < 0) {
        printf("FAIL %s: fork: %s\n", test->name, strerror(errno));
        remove_folder();
        return false;
    }
    if (child == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(EXIT_FAILURE);
        sigprocmask(SIG_UNBLOCK, &child_ends, NULL);
        run_here(test);
        exit(EXIT_SUCCESS);
    }
    setpgid(child, child); /* by whoever comes first, so that the kill below finds the group */
    bool in_time = ends_in_time(child);
    kill(-child, SIGKILL);
    waitpid(child, &status, 0);
    remove_folder();
    return judge(test, in_time, status, now_ms() - start);
}

/* ---- all of them ---- */

static bool
is_debugged(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    int tracer = 0;

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "TracerPid: %d", &tracer) == 1)
            break;
    if (file)
        fclose(file);
    return tracer != 0;
}

static int
compare_lines(const void *left, const void *right)
{
    const struct check_test *const *a = left;
    const struct check_test *const *b = right;

    return ((*a)->line > (*b)->line) - ((*a)->line < (*b)->line);
}

static const struct check_test *
find(const char *name, const struct check_test *const *tests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tests[i]->name, name) == 0)
            return tests[i];
    fprintf(stderr, "there is no test %s\n", name);
    exit(2);
}

int
main(int argc, char **argv)
{
    /* cppcheck-suppress comparePointers ; the linker makes one array of them */
    size_t count = (size_t)(__stop_check_tests - __start_check_tests);
    size_t wanted = argc > 1 ? (size_t)argc - 1 : count;
    const struct check_test *tests[count];
    size_t passed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    debugged = is_debugged();
    sigemptyset(&child_ends);
    sigaddset(&child_ends, SIGCHLD);
    memcpy(tests, __start_check_tests, sizeof tests);
    qsort(tests, count, sizeof *tests, compare_lines);
    for (size_t i = 0; i < wanted; i++)
        passed += run(argc > 1 ? find(argv[i + 1], tests, count) : tests[i]);
    printf("%zu passed, %zu failed\n", passed, wanted - passed);
    return passed == wanted ? EXIT_SUCCESS : EXIT_FAILURE;
}
