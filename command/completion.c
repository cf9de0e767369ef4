/* The script that completes commands in bash, made from the table.
 *
 * It needs nothing but bash 4.  bash breaks words at '=', ':' and '@' too, so that
 * "--key=x" is three words; the script looks past such a break.  Names are asked of
 * the name server, for half a second at most, and what has other characters than a
 * name may have is dropped, since bash would evaluate it. */

#include <stdio.h>
#include <string.h>

#include "command/commands.h"
#include "command/say.h"

static const char head[] =
    "# Completion of `afar` for bash; made by `afar completion bash`.\n"
    "\n"
    "# The names that begin with $1, from the name server that the line names.\n"
    "_afar_names()\n"
    "{\n"
    "    local at=() name rest header\n"
    "\n"
    "    if [[ $COMP_LINE =~ [[:space:]]--names[=[:space:]]+([^[:space:]]+) ]]; then\n"
    "        at=(--names \"${BASH_REMATCH[1]}\")\n"
    "    fi\n"
    "    {\n"
    "        read -r header\n"
    "        while read -r name rest; do\n"
    "            [[ $name =~ ^[A-Za-z0-9._/-]+$ ]] && COMPREPLY+=(\"$name\")\n"
    "        done\n"
    "    } < <(\"${COMP_WORDS[0]}\" names list --timeout 500 \"${at[@]}\" -- \"$1\" 2>/dev/null)\n"
    "}\n"
    "\n"
    "_afar()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local options= operands=\n"
    "\n"
    "    COMPREPLY=()\n"
    "    if [[ $cur == [=@] ]]; then\n"
    "        cur=\n"
    "    elif [[ $prev == = && $COMP_CWORD -gt 2 ]]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    fi\n"
    "    case $prev in\n";

static const char middle[] = "    esac\n"
                             "    case \"$COMP_CWORD:${COMP_WORDS[1]}\" in\n";

static const char tail[] = "    esac\n"
                           "    if [[ $cur == -* ]]; then\n"
                           "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
                           "    elif [[ $operands == names ]]; then\n"
                           "        _afar_names \"$cur\"\n"
                           "    else\n"
                           "        COMPREPLY=($(compgen -W \"$operands\" -- \"$cur\"))\n"
                           "    fi\n"
                           "}\n"
                           "\n"
                           "complete -F _afar afar\n";

static bool
is_file(value_kind kind)
{
    return kind == VALUE_FILE || kind == VALUE_FOLDER;
}

/* The case for the value of an option: files, or nothing that could be offered. */
static void
print_values(bool files, const char *action)
{
    const char *bar = "";

    printf("    ");
    for (size_t i = 0; i < OPTIONS; i++) {
        const option_row *row = &option_rows[i];

        if (!row->value || is_file(row->kind) != files)
            continue;
        printf("%s--%s", bar, row->name);
        bar = "|";
        if (row->letter)
            printf("|-%c", row->letter);
    }
    printf(")\n%s        return\n        ;;\n", action);
}

/* Groups, and the commands of one word; without a group its own commands. */
static void
print_words(const char *group)
{
    const char *space = "";

    for (const group_row *row = group_rows; row->name && !group; row++) {
        printf("%s%s", space, row->name);
        space = " ";
    }
    for (const command_row *row = command_rows; row->path; row++) {
        if (row->hidden || !is_in_group(row, group))
            continue;
        printf("%s%s", space, command_word(row));
        space = " ";
    }
}

/* The words that may stand at a place of the line: `where` is "1:*", "2:names". */
static void
print_place(const char *where, const char *more, const char *group)
{
    printf("    %s)\n        COMPREPLY=($(compgen -W \"", where);
    print_words(group);
    printf("%s\" -- \"$cur\"))\n        return\n        ;;\n", more);
}

static void
print_places(void)
{
    char where[64];

    print_place("1:*", " --help --version", NULL);
    print_place("2:help", " --help", NULL);
    for (const group_row *row = group_rows; row->name; row++) {
        snprintf(where, sizeof where, "2:%s", row->name);
        print_place(where, " --help", row->name);
    }
    printf("    3:help)\n        case $prev in\n");
    for (const group_row *row = group_rows; row->name; row++) {
        printf("        %s)\n            COMPREPLY=($(compgen -W \"", row->name);
        print_words(row->name);
        printf("\" -- \"$cur\"))\n            ;;\n");
    }
    printf("        esac\n        return\n        ;;\n");
}

/* The options and operands of a command. */
static void
print_command(const command_row *command)
{
    const char *space = "";

    printf("    \"%s%s*)\n        options=\"", command->path,
           strchr(command->path, ' ') ? "\"" : " \"");
    for (const option_id *id = command->options;; id++) {
        printf("%s--%s", space, option_rows[*id].name);
        space = " ";
        if (*id == OPTION_HELP)
            break;
    }
    printf("\"\n");
    if (command->kind == VALUE_NAME || command->kind == VALUE_PREFIX)
        printf("        operands=names\n");
    if (command->kind == VALUE_SHELL)
        printf("        operands=%s\n", command->operands);
    printf("        ;;\n");
}

int
run_completion(const command_args *args)
{
    if (strcmp(args->operands[0], "bash")) {
        complain("there is completion for bash only, not for %s", args->operands[0]);
        return EXIT_USAGE;
    }
    fputs(head, stdout);
    print_values(true, "        compopt -o filenames 2>/dev/null\n"
                       "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n");
    print_values(false, "");
    fputs(middle, stdout);
    print_places();
    printf("    esac\n    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
    for (const command_row *row = command_rows; row->path; row++) {
        if (!row->hidden)
            print_command(row);
    }
    fputs(tail, stdout);
    return EXIT_DONE;
}
