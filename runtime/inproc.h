#ifndef AFAR_RUNTIME_INPROC_H
#define AFAR_RUNTIME_INPROC_H

/* Servers of this process, found by name: `inproc:name`.  A connection is a
 * socket pair, of which the server gets one end.  Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include <afar/error.h>

/* Takes a connected socket, on success. */
typedef afar_code (*afar__inproc_fn)(void *arg, int fd, afar_error *err);

/* ALREADY_EXISTS if the name is taken. */
afar_code
afar__inproc_listen(const char *name, afar__inproc_fn fn, void *arg, afar_error *err);

/* After it returns `fn` is not called any more. */
void
afar__inproc_unlisten(const char *name, void *arg);

/* Connects; the descriptor is the caller's.  UNAVAILABLE if nobody has the name.
 * *ret_server is the number of the server that has it now, never 0. */
afar_code
afar__inproc_connect(const char *name, int *ret_fd, uint64_t *ret_server, afar_error *err);

/* Whether that server still has the name. */
bool
afar__inproc_serves(const char *name, uint64_t server);

#endif
