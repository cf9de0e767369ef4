/* The log hook.
 *
 * The level is read for every line that might be written, so it is one relaxed
 * load; -1 means that there is no hook.  No lock: a process that forks must be able
 * to log in the child.  The hook and its argument are two values, which go together
 * because they are set when no line is under way (afar/log.h says when).
 *
 * Any thread.
 */

#include "runtime/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "runtime/line.h"

#define LINE_SIZE 512

atomic_int afar__log_last = -1;

static _Atomic(afar_log_fn) hook;
static _Atomic(void *) hook_arg;

void
afar_log_set(afar_log_fn fn, void *arg, afar_log_level last)
{
    atomic_store(&afar__log_last, -1);
    atomic_store(&hook_arg, arg);
    atomic_store(&hook, fn);
    atomic_store(&afar__log_last, fn ? (int)last : -1);
}

/* What is left of control characters could confuse a terminal or the next reader. */
static void
blank_controls(char *line)
{
    for (char *at = line; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
}

void
afar__log(afar_log_level level, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    afar_log_fn fn;

    if (!afar__log_on(level))
        return;
    va_start(arguments, format);
    afar__line_format(line, sizeof line, format, arguments);
    va_end(arguments);
    blank_controls(line);
    fn = atomic_load(&hook);
    if (fn)
        fn(atomic_load(&hook_arg), level, line);
}

/* One write, so that lines of several threads and processes do not mix. */
void
afar_log_stderr(void *arg, afar_log_level level, const char *line)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };
    char text[LINE_SIZE + 64], moment[32];
    struct timespec now;
    struct tm parts;
    int length;

    (void)arg;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(moment, sizeof moment, "%Y-%m-%dT%H:%M:%S", &parts);
    length = snprintf(text, sizeof text, "%s.%03ldZ %s: %s\n", moment, now.tv_nsec / 1000000,
                      (unsigned)level <= AFAR_LOG_DEBUG ? names[level] : "log", line);
    if (length >= (int)sizeof text) {
        length = (int)sizeof text - 1;
        text[length - 1] = '\n';
    }
    if (length > 0 && write(STDERR_FILENO, text, (size_t)length) < 0)
        return; /* there is nobody left to tell */
}
