/* afar: the command.  Finds the row of the table that the first words name, reads the
 * options, and runs it.
 *
 * The program's first thread does all of this; the libraries have their own.  SIGPIPE
 * is ignored: who closes the pipe early has got what they wanted, which is no failure. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/commands.h"
#include "command/help.h"
#include "command/say.h"

/* A standard descriptor that is closed would become some socket.  What is opened for
 * it fails as a closed one does. */
static void
open_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
            exit(EXIT_OTHER);
    }
}

/* Whether standard output is a pipe or a socket that nobody reads any more. */
static bool
reader_is_gone(void)
{
    struct pollfd output = { .fd = STDOUT_FILENO, .events = POLLOUT };

    return poll(&output, 1, 0) > 0 && output.revents & (POLLERR | POLLHUP);
}

/* The last word on the output: what could not be written makes a command fail, unless
 * the reader went away. */
static int
finish_output(int code)
{
    bool failed = ferror(stdout);

    errno = 0;
    if (fflush(stdout))
        failed = true;
    if (!failed || code || reader_is_gone())
        return code;
    complain("the output cannot be written%s%s", errno ? ": " : "", errno ? strerror(errno) : "");
    return EXIT_OTHER;
}

static int
run_command(const command_row *command, int argc, char **argv)
{
    command_args args;
    int code;

    complain_as(command->path);
    code = parse_arguments(command, argc, argv, &args);
    if (code)
        return code;
    if (args.given[OPTION_HELP]) {
        help_command(stdout, command);
        return EXIT_DONE;
    }
    return command->run(&args);
}

/* Says that a word is no command of the group, or of the program if that is NULL. */
static int
no_such_command(const char *group, const char *word)
{
    const char *words[32];
    size_t count = 0;

    for (const group_row *row = group_rows; row->name && !group; row++)
        words[count++] = row->name;
    for (const command_row *row = command_rows; row->path && count < 31; row++) {
        if (!row->hidden && is_in_group(row, group))
            words[count++] = command_word(row);
    }
    words[count] = NULL;
    complain_unknown(*word == '-' ? "option" : "command", word, words);
    return EXIT_USAGE;
}

static bool
is_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* argv[0] is the group's name. */
static int
run_group(const group_row *group, int argc, char **argv)
{
    const command_row *command;
    char path[64];

    complain_as(group->name);
    if (argc < 2) {
        complain("a command is missing; `afar %s --help` lists them", group->name);
        return EXIT_USAGE;
    }
    if (is_help(argv[1])) {
        help_group(stdout, group);
        return EXIT_DONE;
    }
    snprintf(path, sizeof path, "%s %s", group->name, argv[1]);
    command = find_command(path);
    return command ? run_command(command, argc - 1, argv + 1)
                   : no_such_command(group->name, argv[1]);
}

/* argv[0] is the program's name. */
static int
run(int argc, char **argv)
{
    const command_row *command;
    const group_row *group;

    if (argc < 2) {
        complain("a command is missing; `afar help` lists them");
        return EXIT_USAGE;
    }
    if (is_help(argv[1])) {
        help_program(stdout);
        return EXIT_DONE;
    }
    if (!strcmp(argv[1], "--version"))
        return run_command(find_command("version"), argc - 1, argv + 1);
    if ((group = find_group(argv[1])))
        return run_group(group, argc - 1, argv + 1);
    command = strchr(argv[1], ' ') ? NULL : find_command(argv[1]);
    return command ? run_command(command, argc - 1, argv + 1) : no_such_command(NULL, argv[1]);
}

int
main(int argc, char **argv)
{
    open_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    return finish_output(run(argc, argv));
}
