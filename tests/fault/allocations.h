#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

/* The library's allocations, on all threads: counted, and one of them made to fail. */

#include <stdbool.h>

/* The allocation after `n` more fails, once. */
void
allocations_fail_after(long n);

/* None fails any more; whether one has. */
bool
allocations_stop(void);

/* How many pieces there are. */
long
allocations_count(void);

#endif
