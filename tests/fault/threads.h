#ifndef THREADS_H
#define THREADS_H

/* The threads that the library makes: one, or all from then on, cannot be made. */

#include <stdbool.h>

/* The thread after `n` more fails, once. */
void
threads_fail_after(int n);

/* None can be made until threads_stop. */
void
threads_fail_all(void);

/* Whether one has failed since. */
bool
threads_have_failed(void);

/* All can be made again; the same answer. */
bool
threads_stop(void);

#endif
