#ifndef COMMAND_SAY_H
#define COMMAND_SAY_H

/* What the program says to people, and how it ends. */

#include <stdint.h>
#include <stdio.h>

#include <afar/error.h>

enum exit_code {
    EXIT_DONE = 0,
    EXIT_NO = 1,          /* the answer is no */
    EXIT_USAGE = 2,       /* the command was not understood */
    EXIT_UNREACHABLE = 3, /* no name server, no answer */
    EXIT_OTHER = 4
};

/* Whose messages follow: the path of a command, or "". */
void
complain_as(const char *path);
const char *
complaining(void);

/* One line on standard error, "afar names list: ...". */
AFAR_PRINTF(1, 2)
void
complain(const char *format, ...);

/* Complains with the error's message and clears it; the exit code for it. */
int
complain_error(afar_error *err);

/* A message of the library without the target in front, when that is said already. */
const char *
without_target(const char *message, const char *target);

/* The exit code for a failure. */
int
exit_code_of(afar_code code);

/* Prints text that may come from anybody: control characters become '?', so that it
 * cannot write to the terminal what is not text. */
void
print_clean(FILE *out, const char *text);

/* `length` bytes as hexadecimal digits; `text` has room for twice that and a 0. */
void
print_hex(const uint8_t *bytes, size_t length, char *text);

/* Memory, or the end of the program. */
_Noreturn void
out_of_memory(void);
void *
must_alloc(size_t size);
void *
must_realloc(void *memory, size_t count, size_t size);
char *
must_copy(const char *text);

#endif
