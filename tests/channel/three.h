#ifndef TESTS_CHANNEL_THREE_H
#define TESTS_CHANNEL_THREE_H

/* Three processes, and two homes in the middle one.  Claims go up: those of `low` first. */

#include "boards.h"

extern process low, middle, high;
extern afar__home *home, *other; /* `other` is a rendezvous */
extern line *from, *to;          /* with lines: low's sender, high's receiver, at `home` */

void
start(unsigned capacity);

void
start_with_lines(unsigned capacity);

/* A select of `p` on two lines; it sends 10 or 11. */
void
open_two(waiter *w, process *p, line *a, line *b, bool by_priority);

/* Until all that is on its way has arrived. */
void
go(void);

void
finish(void);

#endif
