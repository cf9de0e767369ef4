#ifndef AFAR_SERVER_REGISTER_H
#define AFAR_SERVER_REGISTER_H

/* Keeping the names of a server registered with a name server, from a thread of its own.
 * server.h says what that promises. */

#include <afar/server.h>

#include "server/listen.h"

typedef struct afar__register afar__register;

/* Checks the options, and loads or makes the key.  Talks to nobody yet. */
afar_code
afar__register_open(afar_node *node, const afar_server_options *options,
                    afar__register **ret_register, afar_error *err);

/* An interface is exported under a name, or is not any more; its text must live as long
 * as the server.  Any thread, any time. */
afar_code
afar__register_add(afar__register *registration, const char *name, const char *interface,
                   afar_error *err);
void
afar__register_remove(afar__register *registration, const char *name, const char *interface);

/* Before start: where the server can be reached, if the options do not say so. */
afar_code
afar__register_listeners(afar__register *registration, const afar__listener *listeners,
                         size_t count, afar_error *err);

afar_code
afar__register_start(afar__register *registration, afar_error *err);

/* Waits until all names are registered (afar_server_registered). */
afar_code
afar__register_wait(afar__register *registration, afar_deadline deadline, afar_error *err);

/* Unregisters all names, if the name server answers within a second, and ends the thread.
 * Waits: not on a library thread.  Once. */
void
afar__register_stop(afar__register *registration);

/* After it was stopped, or if it never was started; NULL is allowed. */
void
afar__register_free(afar__register *registration);

#endif
