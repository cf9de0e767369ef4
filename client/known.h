#ifndef AFAR_CLIENT_KNOWN_H
#define AFAR_CLIENT_KNOWN_H

/* Known names: which key owned a name when it was first opened.  Any thread, and any
 * number of processes with one file.
 *
 * The file has a line for each name, `NAME KEY YYYY-MM-DD`; empty lines and lines that
 * begin with # are allowed.  It is read again when it was changed. */

#include <afar/deadline.h>
#include <afar/error.h>

#include "runtime/secure.h"

typedef struct afar__known afar__known;

/* `path` is copied.  NULL: known_names in the folder of keys; "": names are known as
 * long as this lives.  Nothing is read yet. */
afar_code
afar__known_new(const char *path, afar__known **ret_known, afar_error *err);
void
afar__known_free(afar__known *known);

/* Whether `key` may own `name`: it did before, or the name is new and is its own from now
 * on.  PERMISSION_DENIED for another key, or a file that others may write to;
 * FAILED_PRECONDITION for a file that cannot be read or written.  Waits until `deadline`
 * at most for other processes. */
afar_code
afar__known_check(afar__known *known, const char *name, const uint8_t key[AFAR__PUBLIC_BYTES],
                  afar_deadline deadline, afar_error *err);

#endif
