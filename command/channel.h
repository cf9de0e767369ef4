#ifndef COMMAND_CHANNEL_H
#define COMMAND_CHANNEL_H

/* What the commands about channels share: an end that was opened by its name or address. */

#include <afar/client.h>
#include <afar/select.h>

#include "command/arguments.h"
#include "command/ending.h"
#include "runtime/channel/bytes.h"

typedef struct channel_run {
    const char *name; /* as it was given */
    int64_t patience; /* ms for each message; 0: for ever */
    afar_client *client;
    afar_object *object;
    ending_watch ending;
} channel_run;

/* Opens the object; `output` is that of ending_open.  The exit code, after having complained. */
int
channel_open(const command_args *args, const afar_interface *interface, bool output,
             channel_run *ret_run);
void
channel_close(channel_run *run);

/* How long the next message may take, from now. */
afar_deadline
channel_deadline(const channel_run *run);

/* How long finishing may take: what is said last has to get there, but a person who has interrupted the
 * command does not wait for ever. */
int64_t
channel_last_ms(const channel_run *run);
afar_deadline
channel_last_deadline(const channel_run *run);

/* Complains about what a channel has come to, after `what`, and clears the error; the exit code. */
int
channel_failed(const channel_run *run, const char *what, afar_error *err);

#endif
