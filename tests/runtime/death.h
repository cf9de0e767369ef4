#ifndef DEATH_H
#define DEATH_H

/* Runs `fn(arg)` in a process of its own and fails the test unless that ends by
 * abort with `text` in what it wrote to standard error. */
void
check_dies(void (*fn)(void *arg), void *arg, const char *text);

#endif
