#ifndef AFAR_LOG_H
#define AFAR_LOG_H

/* The library never prints.  What a person who runs it may want to know goes
 * through one hook, one line an event. */

#include <afar/api.h>

AFAR_BEGIN

typedef enum afar_log_level {
    AFAR_LOG_ERROR = 0,            /* something was lost or refused that should not be */
    AFAR_LOG_WARNING = 1,          /* a limit was reached, a peer misbehaved */
    AFAR_LOG_INFO = 2,             /* started, stopped, registered */
    AFAR_LOG_DEBUG = 3             /* a line for every call that is served */
} afar_log_level;

/* Called from any thread, several at once; must not call Afar and must not
 * block.  The line has no line break and lives until the function returns. */
typedef void (*afar_log_fn)(void *arg, afar_log_level level, const char *line);

/* Sets the hook of this process and the last level that reaches it; NULL turns
 * logging off, which is how a process starts.  Set it before the first node
 * opens, or between two. */
AFAR_API void
afar_log_set(afar_log_fn fn, void *arg, afar_log_level last);

/* A hook that is ready: a line to standard error with time and level. */
AFAR_API void
afar_log_stderr(void *arg, afar_log_level level, const char *line);

AFAR_END

#endif
