#ifndef COMMAND_HELP_H
#define COMMAND_HELP_H

/* Help: for the program, a group of commands, or one command. */

#include <stdio.h>

#include "command/table.h"

void
help_program(FILE *out);
void
help_group(FILE *out, const group_row *group);
void
help_command(FILE *out, const command_row *command);

/* Writes "-l, --long" or "    --json", with the value, into `text`. */
void
spell_option(const option_row *row, char *text, size_t room);

#endif
