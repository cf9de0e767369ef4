#ifndef COMMAND_TABLE_H
#define COMMAND_TABLE_H

/* What the program can do: commands, their options and what is said about them.  The
 * parser, the help, the man pages and the completion are all made from these rows. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a value is; completion and the parser want to know. */
typedef enum value_kind {
    VALUE_NONE,
    VALUE_ADDRESS, /* host:port, unix:path */
    VALUE_FILE,
    VALUE_FOLDER,
    VALUE_NUMBER,
    VALUE_NAME,    /* of an object: completion asks the name server */
    VALUE_PREFIX,  /* of names; the same for completion */
    VALUE_COMMAND, /* words of this table */
    VALUE_SHELL
} value_kind;

typedef enum option_id {
    OPTION_NAMES,
    OPTION_TIMEOUT,
    OPTION_JSON,
    OPTION_LONG,
    OPTION_ADDRESS,
    OPTION_LISTEN,
    OPTION_STORE,
    OPTION_INSECURE,
    OPTION_MAX_NAMES,
    OPTION_KEY,
    OPTION_TIMES,
    OPTION_INTERVAL,
    OPTION_AHEAD,
    OPTION_MESSAGES,
    OPTION_PATIENCE,
    OPTION_HELP, /* every command has it: the end of a command's list */
    OPTIONS      /* how many there are */
} option_id;

typedef struct option_row {
    const char *name;
    char letter; /* 0: none */
    bool repeats;
    value_kind kind;
    const char *value;          /* how help calls it; NULL: a switch */
    int64_t usual, least, most; /* of a number */
    const char *text;
} option_row;

/* A word and what it means; a list of them ends with a NULL word. */
typedef struct term {
    const char *word;
    const char *text;
} term;

struct command_args;

typedef struct command_row {
    const char *path;     /* "names list" */
    const char *operands; /* as help writes them; "" for none */
    value_kind kind;      /* of the operands */
    size_t least, most;   /* how many */
    const option_id *options;
    bool hidden;          /* not in lists */
    const char *summary;  /* a line, without a full stop */
    const char *text;     /* paragraphs, between line breaks */
    const term *json;     /* keys that --json prints; NULL: it has no --json */
    const char *examples; /* lines; NULL: none */
    int (*run)(const struct command_args *args);
} command_row;

typedef struct group_row {
    const char *name;
    const char *summary;
} group_row;

extern const option_row option_rows[OPTIONS];
extern const command_row command_rows[]; /* ends with a NULL path */
extern const group_row group_rows[];     /* ends with a NULL name */

/* For the page about the whole program, and at the end of the others. */
extern const char *const program_summary;
extern const char *const program_text;
extern const term exit_terms[];
extern const term environment_terms[];
extern const term file_terms[];

/* When the texts last changed; man pages carry a date. */
#define TEXT_DATE "2026-11-21"

#define MAX_LISTEN 16 /* addresses of one name server */

/* The command with that path, or NULL. */
const command_row *
find_command(const char *path);

/* The group with that name, or NULL. */
const group_row *
find_group(const char *name);

/* Whether the command is one of the group, "names list" of "names"; NULL stands for
 * no group, so for commands of one word. */
bool
is_in_group(const command_row *command, const char *group);

/* The last word of a command's path. */
const char *
command_word(const command_row *command);

#endif
