/* Man pages, made from the table: afar(1), and one for each command, afar-names-list(1).
 *
 * The macros are those of man(7) that every formatter knows.  Nothing of the table is
 * roff: what roff would understand is escaped. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command/commands.h"
#include "command/paragraphs.h"
#include "command/say.h"

/* Whether roff would take the line that begins here for a request. */
static bool
is_request(const char *text, int length)
{
    return length > 0 && (*text == '.' || *text == '\'');
}

/* Text of which no character means anything to roff; `ticks` become bold.  A sentence
 * begins on a line of its own, which is how roff knows it. */
static void
roff_text(FILE *out, const char *text, int length)
{
    bool bold = false;

    if (is_request(text, length))
        fputs("\\&", out);
    for (int i = 0; i < length; i++) {
        if (text[i] == '\\') {
            fputs("\\e", out);
        } else if (text[i] == '-') {
            fputs("\\-", out);
        } else if (text[i] == '~') {
            fputs("\\(ti", out);
        } else if (text[i] == '`') {
            bold = !bold;
            fputs(bold ? "\\fB" : "\\fR", out);
        } else if (text[i] == ' ' && i && text[i - 1] == '.') {
            fputs(is_request(text + i + 1, length - i - 1) ? "\n\\&" : "\n", out);
        } else {
            fputc(text[i], out);
        }
    }
}

static void
roff(FILE *out, const char *text)
{
    roff_text(out, text, (int)strlen(text));
}

static void
roff_bold(FILE *out, const char *text)
{
    fputs("\\fB", out);
    roff(out, text);
    fputs("\\fR", out);
}

static void
roff_paragraphs(FILE *out, const char *text)
{
    const char *start;
    int length;

    for (bool first = true; next_paragraph(&text, &start, &length); first = false) {
        if (!first)
            fputs(".PP\n", out);
        roff_text(out, start, length);
        fputc('\n', out);
    }
}

static void
roff_terms(FILE *out, const char *title, const term *terms)
{
    fprintf(out, ".SH %s\n", title);
    for (; terms->word; terms++) {
        if (*terms->word) {
            fputs(".TP\n", out);
            roff_bold(out, terms->word);
            fputc('\n', out);
        }
        roff(out, terms->text);
        fputc('\n', out);
    }
}

/* "names list" as "afar-names-list". */
static void
page_name(const char *path, char *name, size_t room)
{
    snprintf(name, room, "afar%s%s", *path ? "-" : "", path);
    for (; *name; name++) {
        if (*name == ' ')
            *name = '-';
    }
}

static void
roff_head(FILE *out, const char *path, const char *summary)
{
    char name[64];

    page_name(path, name, sizeof name);
    fputs(".\\\" Made by `afar man`.\n.TH ", out);
    for (const char *c = name; *c; c++)
        fputc(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c, out);
    fprintf(out, " 1 " TEXT_DATE " \"Afar " AFAR_VERSION "\" \"Afar\"\n.SH NAME\n");
    roff(out, name);
    fprintf(out, " \\- ");
    roff(out, summary);
    fprintf(out, "\n.SH SYNOPSIS\n");
}

static void
roff_options(FILE *out, const command_row *command)
{
    fputs(".SH OPTIONS\n", out);
    for (const option_id *id = command->options;; id++) {
        const option_row *row = &option_rows[*id];

        fputs(".TP\n", out);
        if (row->letter)
            fprintf(out, "\\fB\\-%c\\fR, ", row->letter);
        fputs("\\fB\\-\\-", out);
        roff(out, row->name);
        fputs("\\fR", out);
        if (row->value)
            fprintf(out, " \\fI%s\\fR", row->value);
        fputc('\n', out);
        roff(out, row->text);
        fputc('\n', out);
        if (*id == OPTION_HELP)
            return;
    }
}

static void
roff_examples(FILE *out, const char *examples)
{
    const char *start;
    int length;

    fputs(".SH EXAMPLES\n.nf\n", out);
    while (next_paragraph(&examples, &start, &length)) {
        roff_text(out, start, length);
        fputc('\n', out);
    }
    fputs(".fi\n", out);
}

static bool
takes(const command_row *command, option_id wanted)
{
    for (const option_id *id = command->options; *id != OPTION_HELP; id++) {
        if (*id == wanted)
            return true;
    }
    return false;
}

static void
man_command(FILE *out, const command_row *command)
{
    roff_head(out, command->path, command->summary);
    fputs("\\fBafar ", out);
    roff(out, command->path);
    fputs("\\fR [\\fIOPTION\\fR]...", out);
    if (*command->operands) {
        fputs(" \\fI", out);
        roff(out, command->operands);
        fputs("\\fR", out);
    }
    fputs("\n.SH DESCRIPTION\n", out);
    roff_paragraphs(out, command->text);
    roff_options(out, command);
    if (command->json)
        roff_terms(out, "JSON", command->json);
    roff_terms(out, "EXIT STATUS", exit_terms);
    roff_terms(out, "ENVIRONMENT", environment_terms + !takes(command, OPTION_NAMES));
    if (command->examples)
        roff_examples(out, command->examples);
    fputs(".SH SEE ALSO\n\\fBafar\\fR(1)\n", out);
}

static void
man_see_also(FILE *out)
{
    const char *comma = "";

    fputs(".SH SEE ALSO\n", out);
    for (const command_row *row = command_rows; row->path; row++) {
        char name[64];

        if (row->hidden)
            continue;
        page_name(row->path, name, sizeof name);
        fputs(comma, out);
        roff_bold(out, name);
        fputs("(1)", out);
        comma = ",\n";
    }
    fputc('\n', out);
}

static void
man_program(FILE *out)
{
    roff_head(out, "", program_summary);
    fputs("\\fBafar\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIOPERAND\\fR]...\n", out);
    fputs(".SH DESCRIPTION\n", out);
    roff_paragraphs(out, program_text);
    fputs(".SH COMMANDS\n", out);
    for (const command_row *row = command_rows; row->path; row++) {
        if (row->hidden)
            continue;
        fputs(".TP\n\\fBafar ", out);
        roff(out, row->path);
        fputs(*row->operands ? "\\fR " : "\\fR", out);
        roff(out, row->operands);
        fputc('\n', out);
        roff(out, row->summary);
        fputc('\n', out);
    }
    roff_terms(out, "EXIT STATUS", exit_terms);
    roff_terms(out, "ENVIRONMENT", environment_terms);
    roff_terms(out, "FILES", file_terms);
    man_see_also(out);
}

/* The page of one command, or of the program if it is NULL. */
static int
write_page(const char *folder, const command_row *command)
{
    char path[4096];
    char name[64];
    FILE *out;
    bool failed;

    page_name(command ? command->path : "", name, sizeof name);
    snprintf(path, sizeof path, "%s/%s.1", folder, name);
    out = fopen(path, "we");
    if (!out) {
        complain("%s cannot be written: %s", path, strerror(errno));
        return EXIT_OTHER;
    }
    if (command)
        man_command(out, command);
    else
        man_program(out);
    failed = ferror(out);
    if (fclose(out) || failed) {
        complain("%s was not written whole", path);
        return EXIT_OTHER;
    }
    return EXIT_DONE;
}

int
run_man(const command_args *args)
{
    const char *folder = args->operands[0];
    int code = write_page(folder, NULL);

    for (const command_row *row = command_rows; row->path && !code; row++) {
        if (!row->hidden)
            code = write_page(folder, row);
    }
    return code;
}
