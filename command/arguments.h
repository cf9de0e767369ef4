#ifndef COMMAND_ARGUMENTS_H
#define COMMAND_ARGUMENTS_H

/* What a command was called with. */

#include "command/table.h"

typedef struct command_args {
    const command_row *command;
    bool given[OPTIONS];
    const char *text[OPTIONS]; /* the last value given, NULL if none was */
    int64_t number[OPTIONS];   /* of options that take one: the usual one if none was given */
    const char *listen[MAX_LISTEN];
    size_t listen_count;
    char **operands;
    size_t operand_count;
} command_args;

/* Reads the words of a command, argv[0] being the last word of its path.  EXIT_USAGE
 * after having said what is wrong. */
int
parse_arguments(const command_row *command, int argc, char **argv, command_args *ret_args);

/* Says that there is no such word, with the one of `words` (ends with NULL) that is
 * nearest; `what` is "command", "option". */
void
complain_unknown(const char *what, const char *word, const char *const *words);

#endif
