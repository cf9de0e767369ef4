#ifndef AFAR_RUNTIME_FORK_H
#define AFAR_RUNTIME_FORK_H

/* Whether this process was forked from one that used Afar: afar__engine_forked and
 * afar__engine_check (engine.h).  See fork.c. */

#include <stdbool.h>

/* Whether the core is open.  The engine says so, with its lock held. */
void
afar__fork_in_use(bool in_use);

/* There is a channel, or was one. */
void
afar__fork_has_channels(void);

#endif
