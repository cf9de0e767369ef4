/* The parser: getopt_long over options made from the rows of a command, so that what
 * it accepts is what help says.
 *
 * getopt_long's own messages are off: ours know the nearest option.  A long option has
 * its id above LONG as value, so that optopt tells which one lacks a value, or has one
 * too many; a short one has its letter. */

#include "command/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/say.h"

enum { LONG = 256 };

typedef struct option_parser {
    struct option longs[OPTIONS + 1];
    char shorts[2 + OPTIONS * 2 + 1];
    const char *words[OPTIONS + 1]; /* for suggestions */
} option_parser;

static void
make_parser(const command_row *command, option_parser *parser)
{
    size_t count = 0;
    size_t length = 0;

    memset(parser, 0, sizeof *parser);
    parser->shorts[length++] = ':'; /* tells a value that lacks from an unknown option */
    for (const option_id *id = command->options;; id++) {
        const option_row *row = &option_rows[*id];
        struct option *option = &parser->longs[count];

        parser->words[count++] = row->name;
        option->name = row->name;
        option->has_arg = row->value ? required_argument : no_argument;
        option->val = LONG + (int)*id;
        if (row->letter) {
            parser->shorts[length++] = row->letter;
            if (row->value)
                parser->shorts[length++] = ':';
        }
        if (*id == OPTION_HELP)
            return;
    }
}

/* The option that getopt means: by its value, or by its letter. */
static option_id
option_of(int value)
{
    if (value >= LONG)
        return (option_id)(value - LONG);
    for (size_t i = 0; i < OPTIONS; i++) {
        if (option_rows[i].letter == value)
            return (option_id)i;
    }
    return OPTIONS;
}

static int
take_number(const option_row *row, const char *text, int64_t *ret_number)
{
    char *end = NULL;
    long long number;

    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno || end == text || *end || number < row->least || number > row->most) {
        complain("--%s takes a number from %" PRId64 " to %" PRId64 ", not '%s'", row->name,
                 row->least, row->most, text);
        return EXIT_USAGE;
    }
    *ret_number = number;
    return EXIT_DONE;
}

static int
take_option(option_id id, const char *value, command_args *args)
{
    const option_row *row = &option_rows[id];

    if (args->given[id] && row->value && !row->repeats) {
        complain("--%s was given twice", row->name);
        return EXIT_USAGE;
    }
    args->given[id] = true;
    if (!row->value)
        return EXIT_DONE;
    if (!*value) {
        complain("--%s needs a value, %s", row->name, row->value);
        return EXIT_USAGE;
    }
    args->text[id] = value;
    if (row->kind == VALUE_NUMBER)
        return take_number(row, value, &args->number[id]);
    if (id == OPTION_LISTEN) {
        if (args->listen_count == MAX_LISTEN) {
            complain("--listen was given more than %d times", MAX_LISTEN);
            return EXIT_USAGE;
        }
        args->listen[args->listen_count++] = value;
    }
    return EXIT_DONE;
}

/* `word` is what getopt stumbled over; `value` tells what it thinks of it. */
static void
complain_option(const option_parser *parser, char *word, int value)
{
    if (value >= LONG) {
        complain("--%s takes no value", option_rows[value - LONG].name);
    } else if (value) {
        char letter[] = { (char)value, 0 };

        complain("there is no option -%s; see `afar %s --help`", letter, complaining());
    } else {
        word[strcspn(word, "=")] = 0;
        complain_unknown("option", word, parser->words);
    }
}

/* A public key may begin with '-', and KEY@NAME is no option then: its dash is hidden
 * from getopt, and shown again when the word has its place. */
enum { KEY_LENGTH = 43, HIDDEN_DASH = 1 };

static void
hide_dashes(int argc, char **argv)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (int i = 1; i < argc; i++) {
        if (*argv[i] == '-' && strspn(argv[i], digits) == KEY_LENGTH && argv[i][KEY_LENGTH] == '@')
            *argv[i] = HIDDEN_DASH;
    }
}

static void
show_dashes(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (*argv[i] == HIDDEN_DASH)
            *argv[i] = '-';
    }
}

static int
check_operands(const command_row *command, const command_args *args)
{
    if (args->operand_count < command->least) {
        complain("%s is missing; see `afar %s --help`", command->operands, command->path);
        return EXIT_USAGE;
    }
    if (args->operand_count > command->most) {
        complain("'%s' is too much; see `afar %s --help`", args->operands[command->most],
                 command->path);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static int
take_options(const option_parser *parser, int argc, char **argv, command_args *args)
{
    int value;
    int code;

    opterr = 0;
    optind = 0; /* glibc: begin anew */
    while ((value = getopt_long(argc, argv, parser->shorts, parser->longs, NULL)) != -1) {
        if (value == '?') {
            complain_option(parser, argv[optind - 1], optopt);
            return EXIT_USAGE;
        }
        if (value == ':') {
            const option_row *row = &option_rows[option_of(optopt)];

            complain("--%s needs a value, %s", row->name, row->value);
            return EXIT_USAGE;
        }
        if ((code = take_option(option_of(value), optarg, args)))
            return code;
    }
    return EXIT_DONE;
}

int
parse_arguments(const command_row *command, int argc, char **argv, command_args *ret_args)
{
    option_parser parser;
    int code;

    memset(ret_args, 0, sizeof *ret_args);
    ret_args->command = command;
    for (size_t i = 0; i < OPTIONS; i++)
        ret_args->number[i] = option_rows[i].usual;
    make_parser(command, &parser);
    hide_dashes(argc, argv);
    code = take_options(&parser, argc, argv, ret_args);
    show_dashes(argc, argv);
    if (code)
        return code;
    ret_args->operands = argv + optind;
    ret_args->operand_count = (size_t)(argc - optind);
    return ret_args->given[OPTION_HELP] ? EXIT_DONE : check_operands(command, ret_args);
}

/* ---- what may have been meant ---- */

enum { LONGEST_WORD = 63 };

static size_t
least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* How many letters to add, drop or change make one word of the other. */
static size_t
distance(const char *from, const char *to)
{
    size_t width = strlen(to);
    size_t row[LONGEST_WORD + 1];

    if (strlen(from) > LONGEST_WORD || width > LONGEST_WORD)
        return SIZE_MAX;
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; from[i - 1]; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t above = row[j];

            row[j] = least_of(corner + (from[i - 1] != to[j - 1]), above + 1, row[j - 1] + 1);
            corner = above;
        }
    }
    return row[width];
}

void
complain_unknown(const char *what, const char *word, const char *const *words)
{
    const char *bare = word + strspn(word, "-");
    const char *nearest = NULL;
    size_t best = strlen(bare) / 3 + 1; /* further off it is another word */

    for (; *words; words++) {
        size_t far = distance(bare, *words);

        if (far <= best && (!nearest || far < best)) {
            nearest = *words;
            best = far;
        }
    }
    if (nearest)
        complain("there is no %s %s; did you mean %.*s%s?", what, word, (int)(bare - word), word,
                 nearest);
    else
        complain("there is no %s %s; see `afar %s%s--help`", what, word, complaining(),
                 *complaining() ? " " : "");
}
