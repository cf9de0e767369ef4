#ifndef AFAR_RUNTIME_MISUSE_H
#define AFAR_RUNTIME_MISUSE_H

#include <afar/api.h>

/* The one end of local misuse (a NULL object, a double close): prints the line
 * behind "afar: " to standard error and aborts, in every build.  Never for
 * anything that a peer can cause. */
AFAR_PRINTF(1, 2)
_Noreturn void
afar__misuse(const char *format, ...);

/* What the public function of that name cannot do without. */
static inline void
afar__need(const void *thing, const char *function, const char *name)
{
    if (!thing)
        afar__misuse("%s: a NULL %s", function, name);
}

#endif
