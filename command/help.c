/* Help as text, made from the table. */

#include "command/help.h"

#include <string.h>

#include "command/commands.h"
#include "command/paragraphs.h"
#include "command/say.h"

enum { INDENT = 2, TERM_INDENT = 24 };

/* A word, and next to it its text. */
static void
print_term(FILE *out, const char *word, const char *text)
{
    int column = fprintf(out, "%*s%s", INDENT, "", word);

    if (column + 2 > TERM_INDENT)
        column = TERM_INDENT + 1; /* too long: the text begins on a line of its own */
    print_filled(out, text, (int)strlen(text), column, TERM_INDENT);
}

static void
print_terms(FILE *out, const char *title, const term *terms)
{
    fprintf(out, "\n%s:\n", title);
    for (; terms->word; terms++) {
        if (*terms->word)
            print_term(out, terms->word, terms->text);
        else
            print_filled(out, terms->text, (int)strlen(terms->text), 0, INDENT);
    }
}

static void
print_commands(FILE *out, const char *group)
{
    for (const command_row *row = command_rows; row->path; row++) {
        if (!row->hidden && is_in_group(row, group))
            print_term(out, row->path, row->summary);
    }
}

void
spell_option(const option_row *row, char *text, size_t room)
{
    char letter[] = { '-', row->letter, ',', ' ', 0 };

    snprintf(text, room, "%s--%s%s%s", row->letter ? letter : "    ", row->name,
             row->value ? " " : "", row->value ? row->value : "");
}

void
help_program(FILE *out)
{
    fprintf(out, "Usage: afar COMMAND [OPTION]... [OPERAND]...\n\n");
    print_paragraphs(out, program_text, 0);
    fprintf(out, "\nCommands:\n");
    for (const group_row *group = group_rows; group->name; group++)
        print_commands(out, group->name);
    print_commands(out, NULL);
    print_terms(out, "Exit codes", exit_terms);
    print_terms(out, "Environment", environment_terms);
    print_terms(out, "Files", file_terms);
    fprintf(out, "\n`afar COMMAND --help` says more about a command.\n");
}

void
help_group(FILE *out, const group_row *group)
{
    fprintf(out, "Usage: afar %s COMMAND [OPTION]... [OPERAND]...\n\n", group->name);
    fprintf(out, "%s: %s.\n\nCommands:\n", group->name, group->summary);
    print_commands(out, group->name);
    fprintf(out, "\n`afar %s COMMAND --help` says more about a command.\n", group->name);
}

static void
print_examples(FILE *out, const char *examples)
{
    const char *start;
    int length;

    fprintf(out, "\nExamples:\n");
    while (next_paragraph(&examples, &start, &length))
        fprintf(out, "%*s%.*s\n", INDENT, "", length, start);
}

void
help_command(FILE *out, const command_row *command)
{
    fprintf(out, "Usage: afar %s [OPTION]...%s%s\n\n", command->path, *command->operands ? " " : "",
            command->operands);
    print_paragraphs(out, command->text, 0);
    fprintf(out, "\nOptions:\n");
    for (const option_id *id = command->options;; id++) {
        char text[64];

        spell_option(&option_rows[*id], text, sizeof text);
        print_term(out, text, option_rows[*id].text);
        if (*id == OPTION_HELP)
            break;
    }
    if (command->json)
        print_terms(out, "JSON keys", command->json);
    if (command->examples)
        print_examples(out, command->examples);
    fprintf(out, "\n`afar help` explains exit codes, environment and files.\n");
}

int
run_help(const command_args *args)
{
    const command_row *command;
    const group_row *group;
    char path[64];

    if (!args->operand_count) {
        help_program(stdout);
        return EXIT_DONE;
    }
    snprintf(path, sizeof path, "%s%s%s", args->operands[0], args->operand_count > 1 ? " " : "",
             args->operand_count > 1 ? args->operands[1] : "");
    if ((command = find_command(path))) {
        help_command(stdout, command);
        return EXIT_DONE;
    }
    if ((group = find_group(path))) {
        help_group(stdout, group);
        return EXIT_DONE;
    }
    complain("there is no command %s; `afar help` lists them", path);
    return EXIT_USAGE;
}
