/* afar names lookup.  Nothing is printed of a record that is not to be believed, so that
 * a script that ignores the exit code gets nothing rather than something wrong. */

#include <string.h>

#include <afar/message.h>

#include "command/ask.h"
#include "command/commands.h"
#include "command/entry.h"
#include "command/json.h"
#include "command/say.h"

enum { LABEL_WIDTH = 12 };

/* A line with a label, or without one below a line that has it. */
static void
print_field(const char *label, const char *text)
{
    printf("  %-*s", LABEL_WIDTH, label);
    print_clean(stdout, text);
    putchar('\n');
}

static void
print_fields(const char *label, char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        print_field(i ? "" : label, texts[i]);
}

static void
print_block(const name_entry *entry)
{
    const afar__record *record = entry->record;
    char text[32];

    printf("%s\n", record->name);
    print_fields("address", record->endpoints, record->n_endpoints);
    print_fields("interface", record->interfaces, record->n_interfaces);
    print_field("owner", entry->owner);
    print_lease(entry->from->lease_left_ms, text, sizeof text);
    print_field("lease", text);
    if (*entry->instance)
        print_field("instance", entry->instance);
    snprintf(text, sizeof text, "%llu", (unsigned long long)entry->from->revision);
    print_field("revision", text);
    for (size_t i = 0; i < record->n_metadata; i++) {
        printf("  %-*s", LABEL_WIDTH, i ? "" : "metadata");
        print_clean(stdout, record->metadata[i]->key);
        printf(" = ");
        print_clean(stdout, record->metadata[i]->value);
        putchar('\n');
    }
}

/* "grpc://host:port" as host:port; unix:path stays. */
static void
print_address(const char *endpoint)
{
    if (!strncmp(endpoint, "grpc://", 7))
        endpoint += 7;
    print_clean(stdout, endpoint);
    putchar('\n');
}

static void
print_entry(const command_args *args, const name_entry *entry)
{
    if (args->given[OPTION_JSON])
        json_print(entry_json(entry));
    else if (args->given[OPTION_ADDRESS])
        print_address(entry->record->endpoints[0]);
    else
        print_block(entry);
}

/* Whether the entry may be believed, and is the right owner's. */
static int
judge(const name_entry *entry, const char *name, const char *key)
{
    if (entry->problem) {
        complain("%s: what the name server says is not to be believed: %s", name, entry->problem);
        return EXIT_NO;
    }
    if (*key && strcmp(key, entry->owner)) {
        complain("%s belongs to %s, not to %s", name, entry->owner, key);
        return EXIT_NO;
    }
    return EXIT_DONE;
}

static int
lookup(const command_args *args, const name_server *server, const char *name, const char *key)
{
    Afar__Names__V1__LookupReply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    name_entry entry;
    int code;

    if (name_server_lookup(server, name, &reply, &err)) {
        if (err.code != AFAR_NOT_FOUND)
            return name_server_failed(server, &err);
        complain("%s is not registered at %s; `afar names list` shows what is", name,
                 server->address);
        afar_error_clear(&err);
        return EXIT_NO;
    }
    entry_read(reply->entry, name, &entry);
    if (!(code = judge(&entry, name, key)))
        print_entry(args, &entry);
    entry_clear(&entry);
    afar_message_free(reply);
    return code;
}

int
run_names_lookup(const command_args *args)
{
    char key[AFAR__KEY_TEXT];
    const char *name;
    name_server server;
    int code;

    if ((code = split_name(args->operands[0], key, &name)) ||
        (code = name_server_open(args, &server)))
        return code;
    code = lookup(args, &server, name, key);
    name_server_close(&server);
    return code;
}
