#ifndef FAULTS_H
#define FAULTS_H

/* malloc, calloc and realloc of the test program, counted, and made to fail.  Under
 * a sanitizer or valgrind, which have their own, nothing fails and faults_can is
 * false: a test that needs them returns. */

#include <stdbool.h>
#include <stddef.h>

bool
faults_can(void);

/* Lets the allocation after `n` more of this thread fail, once; -1: none. */
void
faults_after(long n);

/* Whether the one that was to fail has. */
bool
faults_happened(void);

/* Allocations of this thread so far. */
size_t
faults_allocations(void);

#endif
