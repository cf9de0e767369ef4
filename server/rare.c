/* Thinned-out log lines: a stranger who opens a thousand connections a second must
 * not fill a disk.  What is held back is counted, so that the next line shows how
 * often it happened.  Whoever owns the struct brings the thread.
 */

#include "server/rare.h"

#include <stdarg.h>
#include <stdio.h>

#include "runtime/clock.h"
#include "runtime/log.h"

void
afar__rare_warn(afar__rare *rare, const char *format, ...)
{
    int64_t now = afar__now();
    char line[256], more[64] = "";
    va_list arguments;

    if (!afar__log_on(AFAR_LOG_WARNING))
        return;
    if (now < rare->next) {
        rare->held_back++;
        return;
    }
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (rare->held_back > 0)
        snprintf(more, sizeof more, "; %u more since the last such line", rare->held_back);
    afar__log(AFAR_LOG_WARNING, "%s%s", line, more);
    rare->held_back = 0;
    rare->next = now + AFAR__SECOND;
}
