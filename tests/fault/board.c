/* The board, and how to wait for what another process does: board.h. */

#include "board.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define PATIENCE_MS 15000

#ifdef __SANITIZE_THREAD__
/* It would let each child sleep for a second at its end. */
__attribute__((visibility("default"))) const char *
__tsan_default_options(void);

const char *
__tsan_default_options(void)
{
    return "atexit_sleep_ms=0";
}
#endif

struct board *
board_new(void)
{
    struct board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(board != MAP_FAILED);
    return board;
}

void
board_free(struct board *board)
{
    CHECK_INT(munmap(board, sizeof *board), 0);
}

pid_t
board_fork(void)
{
    pid_t child;

    fflush(stdout);
    child = fork();
    CHECK(child >= 0);
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

void
board_begin(struct board *board, int number)
{
    CHECK(number >= 0 && number < BOARD_CALLS);
    CHECK_INT(atomic_load(&board->calls[number].state), BOARD_NOT_MADE);
    atomic_store(&board->calls[number].state, BOARD_MADE);
}

void
board_end(struct board *board, int number, afar_code code, const afar_error *err)
{
    struct board_call *call = &board->calls[number];

    CHECK_INT(atomic_load(&call->state), BOARD_MADE);
    call->code = code;
    call->outcome = code ? err->outcome : AFAR_OUTCOME_ANSWERED;
    atomic_store(&call->state, BOARD_ENDED);
}

void
board_ran(struct board *board, int64_t number)
{
    CHECK(number >= 0 && number < BOARD_CALLS);
    atomic_fetch_add(&board->calls[number].ran, 1);
}

static void
judge(const struct board_call *call, int number)
{
    int ran = atomic_load(&call->ran);

    if (call->code == AFAR_OK && ran != 1)
        check_fail(__FILE__, __LINE__, "call %d succeeded and ran %d times", number, ran);
    if (call->outcome == AFAR_OUTCOME_NOT_SENT && ran != 0)
        check_fail(__FILE__, __LINE__, "call %d was not sent (%s) and ran", number,
                   afar_code_name(call->code));
    if (call->code == AFAR_DEADLINE_EXCEEDED)
        check_fail(__FILE__, __LINE__, "call %d hung until its deadline", number);
}

void
board_judge(const struct board *board, int first, int end, bool all_ended)
{
    for (int number = first; number < end; number++) {
        const struct board_call *call = &board->calls[number];
        int state = atomic_load(&call->state);

        if (atomic_load(&call->ran) > 1)
            check_fail(__FILE__, __LINE__, "call %d ran %d times", number, atomic_load(&call->ran));
        if (state == BOARD_MADE && all_ended)
            check_fail(__FILE__, __LINE__, "call %d never ended", number);
        if (state == BOARD_ENDED)
            judge(call, number);
    }
}

/* ---- waiting ---- */

int64_t
now_in_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
wait_until(bool (*holds)(const void *arg), const void *arg, const char *what)
{
    int64_t end = now_in_ms() + PATIENCE_MS;

    while (!holds(arg)) {
        if (now_in_ms() > end)
            check_fail(__FILE__, __LINE__, "waited in vain: %s", what);
        poll(NULL, 0, 1);
    }
}

bool
is_set(const void *flag)
{
    return atomic_load((const atomic_bool *)flag);
}

void
wait_for_flag(const atomic_bool *flag)
{
    while (!atomic_load(flag))
        poll(NULL, 0, 1);
}

static bool
is_event_object(const char *target)
{
    return strncmp(target, "anon_inode:", 11) == 0;
}

int
descriptor_count(void)
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    int count = 0;

    CHECK(folder);
    while ((entry = readdir(folder))) {
        char target[64] = "";

        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder) &&
            readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1) > 0)
            count += !is_event_object(target);
    }
    closedir(folder);
    return count;
}

int
live_threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    int count = 0;

    CHECK(folder);
    while ((entry = readdir(folder)))
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

size_t
resident_bytes(int pid)
{
    char path[64];
    unsigned long pages = 0, all = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    file = fopen(path, "re");
    CHECK(file);
    CHECK_INT(fscanf(file, "%lu %lu", &all, &pages), 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}
