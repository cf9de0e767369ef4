/* Tests of local misuse: what death.h says. */

#include "death.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Reads to the end; what is more than fits is dropped. */
static void
read_all(int fd, char *text, size_t size)
{
    size_t length = 0;
    ssize_t n;

    while ((n = read(fd, text + length, size - 1 - length)) > 0)
        length += (size_t)n;
    text[length] = 0;
}

void
check_dies(void (*fn)(void *arg), void *arg, const char *text)
{
    char output[4096];
    int ends[2], status = 0;
    pid_t child;

    CHECK(pipe(ends) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        fn(arg);
        _exit(EXIT_SUCCESS);
    }
    close(ends[1]);
    read_all(ends[0], output, sizeof output);
    close(ends[0]);
    CHECK_INT(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        check_fail(__FILE__, __LINE__, "not ended by abort (status %d), but said: %s", status,
                   output);
    if (!strstr(output, text))
        check_fail(__FILE__, __LINE__, "said\n  %s\nwithout\n  %s", output, text);
}
