/* The rows of the table.  What a user reads about the program is here and nowhere else;
 * what a command does is in the file of its name.
 *
 * In texts a line break ends a paragraph, and `words` between ticks are what one types. */

#include "command/table.h"

#include <string.h>

#include "command/commands.h"

const option_row option_rows[OPTIONS] = {
    [OPTION_NAMES] = { .name = "names",
                       .kind = VALUE_ADDRESS,
                       .value = "ADDRESS",
                       .text = "Where the name server is: host:port or unix:path. Without it "
                               "AFAR_NAMES says, or else it is 127.0.0.1:7700." },
    [OPTION_TIMEOUT] = { .name = "timeout",
                         .kind = VALUE_NUMBER,
                         .value = "MS",
                         .usual = 5000,
                         .least = 1,
                         .most = 86400000,
                         .text = "Gives up when an answer takes longer than so many "
                                 "milliseconds; 5000 without it." },
    [OPTION_JSON] = { .name = "json", .text = "Prints one JSON document instead of text." },
    [OPTION_LONG] = { .name = "long",
                      .letter = 'l',
                      .text = "Prints every address, the whole key, revision and metadata." },
    [OPTION_ADDRESS] = { .name = "address",
                         .letter = 'a',
                         .text = "Prints only the first address, as host:port or unix:path, so "
                                 "that a script can use it." },
    [OPTION_LISTEN] = { .name = "listen",
                        .repeats = true,
                        .kind = VALUE_ADDRESS,
                        .value = "ADDRESS",
                        .text = "Serves at this address: host:port or unix:path; port 0 takes a "
                                "free one. May be given up to 16 times. 127.0.0.1:7700 without "
                                "it." },
    [OPTION_STORE] = { .name = "store",
                       .kind = VALUE_FILE,
                       .value = "FILE",
                       .text = "Keeps the names in this database, which is made if it is not "
                               "there, or with `memory` only as long as the name server runs. "
                               "names.db in the folder of keys without it." },
    [OPTION_INSECURE] = { .name = "insecure",
                          .text = "Allows addresses that other machines can reach. Nothing is "
                                  "encrypted." },
    [OPTION_MAX_NAMES] = { .name = "max-names",
                           .kind = VALUE_NUMBER,
                           .value = "N",
                           .usual = 100000,
                           .least = 1,
                           .most = 100000000,
                           .text =
                               "Holds at most N names; 100000 without it. At most 20,000 of them "
                               "belong to one key." },
    [OPTION_KEY] = { .name = "key",
                     .kind = VALUE_FILE,
                     .value = "FILE",
                     .text = "The file of the private key; `key` in the folder of keys without "
                             "it." },
    [OPTION_TIMES] = { .name = "count",
                       .letter = 'c',
                       .kind = VALUE_NUMBER,
                       .value = "N",
                       .usual = 1,
                       .least = 0,
                       .most = 1000000000,
                       .text = "Asks N times; 0: until it is interrupted. Once without it." },
    [OPTION_INTERVAL] = { .name = "interval",
                          .letter = 'i',
                          .kind = VALUE_NUMBER,
                          .value = "MS",
                          .usual = 1000,
                          .least = 0,
                          .most = 86400000,
                          .text = "Waits so many milliseconds between two; 1000 without it." },
    [OPTION_AHEAD] = { .name = "ahead",
                       .text = "Does not wait for one message to be taken before it sends the "
                               "next, but for all of them at the end. What was not taken then is "
                               "counted, not shown." },
    [OPTION_MESSAGES] = { .name = "count",
                          .kind = VALUE_NUMBER,
                          .value = "N",
                          .usual = 0,
                          .least = 1,
                          .most = INT64_MAX,
                          .text = "Ends after N messages. Without it only the channel's end, or "
                                  "the reader's, ends it." },
    [OPTION_PATIENCE] = { .name = "timeout",
                          .kind = VALUE_NUMBER,
                          .value = "MS",
                          .usual = 0,
                          .least = 1,
                          .most = 86400000,
                          .text = "Gives up when the next message takes longer than so many "
                                  "milliseconds. Without it, it waits as long as it takes." },
    [OPTION_HELP] = { .name = "help", .letter = 'h', .text = "Prints this help." },
};

const group_row group_rows[] = {
    { "names", "the name server, and asking it" },
    { "key", "the key that owns names" },
    { "channel", "sending and receiving messages" },
    { NULL, NULL },
};

#define LIST(...)                                                                                  \
    (const option_id[])                                                                            \
    {                                                                                              \
        __VA_ARGS__, OPTION_HELP                                                                   \
    }
#define NO_OPTIONS                                                                                 \
    (const option_id[])                                                                            \
    {                                                                                              \
        OPTION_HELP                                                                                \
    }
#define TERMS(...)                                                                                 \
    (const term[])                                                                                 \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

/* Keys that both list and lookup print for a name. */
#define NAME_TERMS                                                                                 \
    { "name", "the name" }, { "verified", "whether the record is signed by its owner" },           \
        { "problem", "what is wrong with the record; only if it is not verified" },                \
        { "endpoints", "where the server is, the best first" },                                    \
        { "interfaces", "full names of the object's interfaces" },                                 \
        { "owner", "the public key of the owner" },                                                \
        { "instance", "which process it is, in hexadecimal; \"\" if that is not known" },          \
        { "generation", "of the record" }, { "revision", "of the change that put it there" },      \
        { "lease_left_ms", "milliseconds until the name goes, unless it is renewed" },             \
    {                                                                                              \
        "metadata", "an object with what the owner added"                                          \
    }

const command_row command_rows[] = {
    { .path = "names serve",
      .operands = "",
      .options = LIST(OPTION_LISTEN, OPTION_STORE, OPTION_INSECURE, OPTION_MAX_NAMES),
      .summary = "runs a name server",
      .text = "Runs a name server until SIGTERM or SIGINT. When it serves it prints a line with "
              "its address and with where it keeps the names.\n"
              "Servers register their names with it and renew them; a name goes when its server "
              "does. Names, owners and leases are kept over a restart, unless the store is "
              "`memory`. One name server at a time can use a store.\n"
              "Warnings go to standard error.",
      .examples = "afar names serve\n"
                  "afar names serve --listen 127.0.0.1:0 --store memory\n"
                  "afar names serve --listen 127.0.0.1:7700 --listen unix:/run/afar/names.sock",
      .run = run_names_serve },
    { .path = "names list",
      .operands = "[PREFIX]",
      .kind = VALUE_PREFIX,
      .most = 1,
      .options = LIST(OPTION_LONG, OPTION_NAMES, OPTION_TIMEOUT, OPTION_JSON),
      .summary = "lists the names that are registered",
      .text = "Lists the names that begin with PREFIX, or all. PREFIX is any text, not only "
              "whole parts of names.\n"
              "LEASE is the time after which a name goes unless its server renews it; OWNER is "
              "the beginning of the owner's public key.\n"
              "The name server is not believed: a record that its owner did not sign is shown as "
              "such, and the exit code is 1.",
      .json = TERMS({ "", "an array with an object for each name:" }, NAME_TERMS),
      .examples = "afar names list\n"
                  "afar names list bank/ --long",
      .run = run_names_list },
    { .path = "names lookup",
      .operands = "NAME",
      .kind = VALUE_NAME,
      .least = 1,
      .most = 1,
      .options = LIST(OPTION_ADDRESS, OPTION_NAMES, OPTION_TIMEOUT, OPTION_JSON),
      .summary = "says where a name is, and whose",
      .text = "Prints what its owner has registered for NAME, after checking the signature. "
              "KEY@NAME also checks that the owner is KEY, a public key as `afar key show` "
              "prints it. The file known_names is not looked at; `afar ping` does that.",
      .json = TERMS(NAME_TERMS),
      .examples = "afar names lookup bank/accounts/alice\n"
                  "curl http://$(afar names lookup shop/web --address)/",
      .run = run_names_lookup },
    { .path = "names unregister",
      .operands = "NAME...",
      .kind = VALUE_NAME,
      .least = 1,
      .most = SIZE_MAX,
      .options = LIST(OPTION_KEY, OPTION_NAMES, OPTION_TIMEOUT, OPTION_JSON),
      .summary = "takes names away from their server",
      .text = "Removes names, each of which must belong to your key; for example one that a "
              "server left behind which was killed. A server that still runs does not register "
              "them again.",
      .json = TERMS({ "", "an array with an object for each name:" }, { "name", "the name" },
                    { "removed", "whether it is gone" },
                    { "revision", "of the change; only if it is gone" },
                    { "problem", "why it is not gone; only then" }),
      .examples = "afar names unregister bank/accounts/alice\n"
                  "afar names unregister bank/accounts/alice --key /etc/bank/key",
      .run = run_names_unregister },
    { .path = "key new",
      .operands = "",
      .options = LIST(OPTION_KEY, OPTION_JSON),
      .summary = "makes a key",
      .text = "Makes a key pair, writes it to a file that only you can read, and prints the "
              "public key. A file that exists is left alone.\n"
              "Servers make a key by themselves when they need one and there is none.",
      .json = TERMS({ "file", "where the key is" }, { "public", "the public key" }),
      .examples = "afar key new\n"
                  "afar key new --key ./bank.key",
      .run = run_key_new },
    { .path = "key show",
      .operands = "",
      .options = LIST(OPTION_KEY, OPTION_JSON),
      .summary = "prints your public key",
      .text = "Prints the file of a key, and its public half: what others may write in front of "
              "a name, as KEY@NAME.",
      .json = TERMS({ "file", "where the key is" }, { "public", "the public key" }),
      .examples = "afar key show",
      .run = run_key_show },
    { .path = "channel send",
      .operands = "NAME|ADDRESS",
      .kind = VALUE_NAME,
      .least = 1,
      .most = 1,
      .options = LIST(OPTION_AHEAD, OPTION_NAMES, OPTION_PATIENCE),
      .summary = "sends messages into a channel",
      .text = "Reads messages from standard input, sends each into the channel that has its "
              "sender at NAME or ADDRESS (afar://host:port/name or unix:path/name), and finishes "
              "when the input ends. A message is done when a receiver has it, or the buffer of a "
              "buffered channel.\n"
              "Each message has its length in front, as a varint: what protobuf calls delimited, "
              "as its writeDelimitedTo writes it. They are passed on as they are, whatever "
              "their type; one that is not of the channel's type is an error for who receives "
              "it. Messages with references in them cannot be sent.\n"
              "At a failure, or in input that is no message, it stops; all before that was sent. "
              "SIGINT and SIGTERM end it in the same way, with the exit code 0.",
      .examples = "afar channel send farm/jobs < jobs\n"
                  "make-jobs | afar channel send afar://127.0.0.1:7000/farm/jobs --ahead",
      .run = run_channel_send },
    { .path = "channel receive",
      .operands = "NAME|ADDRESS",
      .kind = VALUE_NAME,
      .least = 1,
      .most = 1,
      .options = LIST(OPTION_MESSAGES, OPTION_NAMES, OPTION_PATIENCE),
      .summary = "receives messages from a channel",
      .text = "Receives messages from the channel that has its receiver at NAME or ADDRESS "
              "(afar://host:port/name or unix:path/name), and writes each to standard output at "
              "once, with its length in front, as `afar channel send` reads them. Messages with "
              "references in them cannot be received.\n"
              "It ends with 0 when all senders have finished, after SIGINT or SIGTERM, "
              "and when nobody reads its output any more. It asks for a message only when the "
              "one before was written. A message that it has received and cannot write is lost.",
      .examples = "afar channel receive farm/results > results\n"
                  "afar channel receive farm/jobs --count 1 | tail -c +2 | protoc --decode_raw",
      .run = run_channel_receive },
    { .path = "ping",
      .operands = "NAME|ADDRESS",
      .kind = VALUE_NAME,
      .least = 1,
      .most = 1,
      .options = LIST(OPTION_TIMES, OPTION_INTERVAL, OPTION_NAMES, OPTION_TIMEOUT, OPTION_JSON),
      .summary = "asks a server whether it is there",
      .text = "Asks the server that has NAME, or the one at ADDRESS (host:port, "
              "grpc://host:port or unix:path), who it is, and prints how long the answer took.\n"
              "A name is looked up as any client does it: its owner must have signed where it "
              "is, must be the one that was known before (the file known_names), and the process "
              "there must be the one that was registered.\n"
              "A gRPC server that is not Afar's is reachable too, and said to be none. The exit "
              "code is 0 when at least one answer came.",
      .json =
          TERMS({ "target", "what was asked for" }, { "sent", "how many times it was asked" },
                { "answered", "how many answers came" },
                { "min_ms, avg_ms, max_ms", "times of the answers; only if there are any" },
                { "replies", "an array with an object for each time it was asked:" },
                { "replies[].ok", "whether an answer came" },
                { "replies[].time_ms", "how long it took; if ok" },
                { "replies[].address", "where it came from, \"\" if that is not known; if ok" },
                { "replies[].afar", "whether it is a server of Afar; if ok" },
                { "replies[].instance", "which process it is, in hexadecimal; if it is Afar's" },
                { "replies[].version", "of Afar; if it is Afar's" },
                { "replies[].code, replies[].problem", "why no answer came; if not ok" }),
      .examples = "afar ping bank/accounts/alice\n"
                  "afar ping 127.0.0.1:7700 --count 5 --interval 200",
      .run = run_ping },
    { .path = "version",
      .operands = "",
      .options = LIST(OPTION_JSON),
      .summary = "prints the version",
      .text = "Prints the version of Afar.",
      .json = TERMS({ "version", "the version, \"1.2.3\"" }),
      .run = run_version },
    { .path = "help",
      .operands = "[COMMAND]",
      .kind = VALUE_COMMAND,
      .most = 2,
      .options = NO_OPTIONS,
      .summary = "explains a command",
      .text = "Prints what there is, or all about one command; `afar COMMAND --help` does the "
              "same.",
      .examples = "afar help names serve",
      .run = run_help },
    { .path = "completion",
      .operands = "bash",
      .kind = VALUE_SHELL,
      .least = 1,
      .most = 1,
      .options = NO_OPTIONS,
      .summary = "prints a script that completes commands",
      .text = "Prints a script for bash that completes commands, options, files, and names, "
              "which it gets from the name server. An installed Afar has it in place.",
      .examples = "source <(afar completion bash)",
      .run = run_completion },
    { .path = "man",
      .operands = "FOLDER",
      .kind = VALUE_FOLDER,
      .least = 1,
      .most = 1,
      .options = NO_OPTIONS,
      .hidden = true,
      .summary = "writes the man pages",
      .text = "Writes the man pages of this program to FOLDER, which must be there.",
      .run = run_man },
    { .path = NULL },
};

const char *const program_summary = "names, keys, channels and servers of Afar";

const char *const program_text =
    "Afar is gRPC with remote objects and names, for plain C. This command runs the name "
    "server, asks it where objects are, manages the key that owns names, sends and receives the "
    "messages of channels, and looks whether servers are there.\n"
    "Options may stand before and after operands; `--` ends them. --json prints one "
    "document to standard output; messages always go to standard error.";

const term exit_terms[] = {
    { "0", "Done." },
    { "1", "The answer is no: a name is not registered, a record is not signed by its owner, "
           "something was refused, a channel was poisoned or has no receivers any more." },
    { "2", "The command was not understood." },
    { "3", "Not reachable: there is no name server, the server does not answer or was lost, or "
           "it took too long." },
    { "4", "Anything else: a file of a key, the store, memory, the input, writing the output." },
    { NULL, NULL },
};

/* The first one only concerns commands with the option --names. */
const term environment_terms[] = {
    { "AFAR_NAMES", "Where the name server is, unless --names says it." },
    { "AFAR_HOME", "The folder of keys, instead of ~/.afar." },
    { NULL, NULL },
};

const term file_terms[] = {
    { "~/.afar/key", "Your private key; nobody else may read it." },
    { "~/.afar/known_names", "The owners of the names that were opened: NAME KEY DATE." },
    { "~/.afar/names.db", "What the name server keeps." },
    { NULL, NULL },
};

const command_row *
find_command(const char *path)
{
    for (const command_row *row = command_rows; row->path; row++) {
        if (!strcmp(row->path, path))
            return row;
    }
    return NULL;
}

const group_row *
find_group(const char *name)
{
    for (const group_row *row = group_rows; row->name; row++) {
        if (!strcmp(row->name, name))
            return row;
    }
    return NULL;
}

bool
is_in_group(const command_row *command, const char *group)
{
    const char *space = strchr(command->path, ' ');

    if (!group)
        return !space;
    return space && strlen(group) == (size_t)(space - command->path) &&
           !strncmp(command->path, group, strlen(group));
}

const char *
command_word(const command_row *command)
{
    const char *space = strchr(command->path, ' ');

    return space ? space + 1 : command->path;
}
