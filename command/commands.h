#ifndef COMMAND_COMMANDS_H
#define COMMAND_COMMANDS_H

/* The commands.  Each returns an exit code (say.h) and has told on standard error why
 * if that is not EXIT_DONE. */

#include "command/arguments.h"

int
run_names_serve(const command_args *args);
int
run_names_list(const command_args *args);
int
run_names_lookup(const command_args *args);
int
run_names_unregister(const command_args *args);
int
run_key_new(const command_args *args);
int
run_key_show(const command_args *args);
int
run_channel_send(const command_args *args);
int
run_channel_receive(const command_args *args);
int
run_ping(const command_args *args);
int
run_version(const command_args *args);
int
run_help(const command_args *args);
int
run_completion(const command_args *args);
int
run_man(const command_args *args);

#endif
