#ifndef COMMAND_ASK_H
#define COMMAND_ASK_H

/* Asking a name server. */

#include <afar/client.h>
#include <afar/names.afar.h>

#include "command/arguments.h"

typedef struct name_server {
    const char *address; /* as a person writes it */
    int64_t timeout_ms;  /* for each call */
    afar_client *client;
    afar_names_v1_names *names;
} name_server;

/* Where it is: --names, AFAR_NAMES, or the usual address. */
const char *
name_server_address(const command_args *args);

/* Connects `server`, of which all but `names` is filled. */
afar_code
name_server_connect(name_server *server, afar_error *err);

/* The same with a client of its own; the exit code, after having complained. */
int
name_server_open(const command_args *args, name_server *ret_server);
void
name_server_close(name_server *server);

/* Complains about a failed call of the name server and clears the error; the exit code. */
int
name_server_failed(const name_server *server, afar_error *err);

/* Looks up a name; *ret_reply is released by afar_message_free. */
afar_code
name_server_lookup(const name_server *server, const char *name,
                   Afar__Names__V1__LookupReply **ret_reply, afar_error *err);

#endif
