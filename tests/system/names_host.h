#ifndef NAMES_HOST_H
#define NAMES_HOST_H

/* A name server for tests, in this process, and servers that register with it.  What
 * fails here ends the test. */

#include <stdbool.h>

#include "pair.h"
#include "server/nameserver/registry.h"

struct names_host {
    afar__registry *registry;
    afar_server *server;
    char address[128]; /* for the option `names`: stays the same when it starts again */
};

/* Starts one at a free port; `store` as for afar__store_open. */
void
names_host_open(struct names_host *host, const char *store);

/* The same at a given address. */
void
names_host_open_at(struct names_host *host, const char *address, const char *store);

/* Starts it again at the address that it had. */
void
names_host_reopen(struct names_host *host, const char *store);

/* Stops it; the address is kept. */
void
names_host_close(struct names_host *host);

/* Whether somebody has the name, and then the record; afar_message_free. */
bool
names_host_has(const struct names_host *host, const char *name);
afar__record *
names_host_record(const struct names_host *host, const char *name);

/* Waits until somebody has the name, or nobody. */
void
names_host_wait(const struct names_host *host, const char *name, bool there);

/* A folder for this test's keys and files, named by AFAR_HOME; it is removed when the process
 * ends.  Before anything else, and once. */
const char *
names_home(void);

/* Server options with the name server and a lease of `lease_ms`; 0: the usual one. */
afar_server_options
names_options(const struct names_host *host, unsigned lease_ms);

/* Waits until the server waits for a name, and says why with these words. */
void
names_wait_reason(afar_server *server, const char *why);

/* Opens and starts a server that exports `name`, if it is not NULL. */
afar_server *
names_serve(const afar_server_options *options, const char *name);

#endif
