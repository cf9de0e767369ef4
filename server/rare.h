#ifndef AFAR_SERVER_RARE_H
#define AFAR_SERVER_RARE_H

/* Log lines that peers can cause at will, thinned out.  One thread at a time. */

#include <stdint.h>

#include <afar/api.h>

/* Lines of one kind; all zero at first. */
typedef struct afar__rare {
    int64_t next; /* before that none is let through */
    unsigned held_back;
} afar__rare;

/* Logs a warning, at most one a second; the next one tells how many were not. */
AFAR_PRINTF(2, 3)
void
afar__rare_warn(afar__rare *rare, const char *format, ...);

#endif
