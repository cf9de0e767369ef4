#ifndef AFAR_RUNTIME_LOG_H
#define AFAR_RUNTIME_LOG_H

/* The library's side of the log hook.  Any thread. */

#include <stdatomic.h>
#include <stdbool.h>

#include <afar/log.h>

/* The last level that reaches the hook; -1 while there is none.  Read it with
 * afar__log_on. */
extern atomic_int afar__log_last;

/* Whether a line of this level reaches anybody.  One relaxed load: ask before
 * making what a line needs. */
static inline bool
afar__log_on(afar_log_level level)
{
    return (int)level <= atomic_load_explicit(&afar__log_last, memory_order_relaxed);
}

/* Sends a line to the hook if its level is on.  It is cut at 511 bytes; line breaks
 * and other control characters become spaces. */
AFAR_PRINTF(2, 3)
void
afar__log(afar_log_level level, const char *format, ...);

#endif
