/* afar names unregister.  A removal names the lease and carries its next sequence
 * number, which the server that holds the lease counts up as well: who is overtaken is
 * told so (Stale) and tries again.  Each name is on its own; the exit code is that of the
 * first that could not be removed. */

#include <string.h>

#include <afar/message.h>

#include "command/ask.h"
#include "command/commands.h"
#include "command/entry.h"
#include "command/json.h"
#include "command/key_file.h"
#include "command/say.h"
#include "runtime/address.h"

enum { MOST_TRIES = 5 };

/* What is asked for at the moment. */
typedef struct name_removal {
    const name_server *server;
    const afar_key *key;
    const char *key_file;
    const char *name;
    uint64_t revision; /* of the removal, when it is done */
} name_removal;

/* Signs and sends one removal. */
static afar_code
send_removal(name_removal *removal, const Afar__Names__V1__Removal *what, uint32_t *ret_count,
             afar_error *err)
{
    Afar__Names__V1__UnregisterRequest request = AFAR__NAMES__V1__UNREGISTER_REQUEST__INIT;
    Afar__Names__V1__UnregisterReply *reply = NULL;
    afar__signed *signed_removal = NULL;
    afar_code code =
        afar__record_sign(removal->key, AFAR__PURPOSE_REMOVAL, &what->base, &signed_removal, err);

    if (code)
        return code;
    request.removal = signed_removal;
    code = afar_names_v1_names_unregister(removal->server->names, &request,
                                          afar_after_ms(removal->server->timeout_ms), &reply, err);
    afar__record_free(signed_removal);
    if (code)
        return code;
    *ret_count = reply->count;
    removal->revision = reply->revision;
    afar_message_free(reply);
    return AFAR_OK;
}

/* Removes a name from the lease that `found` says, again with what Stale says as often
 * as it is overtaken. */
static afar_code
remove_from_lease(name_removal *removal, const Afar__Names__V1__LookupReply *found,
                  uint32_t *ret_count, afar_error *err)
{
    Afar__Names__V1__Removal what = AFAR__NAMES__V1__REMOVAL__INIT;
    uint8_t epoch[AFAR__EPOCH_BYTES];
    char *name = (char *)removal->name;
    afar_code code;

    what.lease = found->entry->lease;
    what.epoch = found->epoch;
    what.sequence = found->entry->sequence + 1;
    what.n_names = 1;
    what.names = &name;
    for (int tries = 1;; tries++) {
        const Afar__Names__V1__Stale *stale;

        code = send_removal(removal, &what, ret_count, err);
        stale = code ? afar_names_v1_stale_of(err) : NULL;
        if (!stale || stale->epoch.len != sizeof epoch || tries == MOST_TRIES)
            return code;
        memcpy(epoch, stale->epoch.data, sizeof epoch);
        what.epoch.data = epoch;
        what.epoch.len = sizeof epoch;
        what.sequence = stale->sequence + 1;
        afar_error_clear(err); /* the next try may succeed */
    }
}

/* Whether the key may remove it; the name server would refuse too, but cannot say which
 * file was meant. */
static afar_code
check_owner(const name_removal *removal, const name_entry *entry, afar_error *err)
{
    if (entry->problem)
        return afar_fail(err, AFAR_UNAUTHENTICATED, "%s", entry->problem);
    if (strcmp(entry->owner, afar_key_public(removal->key)))
        return afar_fail(
            err, AFAR_PERMISSION_DENIED,
            "it belongs to %s, your key is %s; give the owner's with --key instead of %s",
            entry->owner, afar_key_public(removal->key), removal->key_file);
    return AFAR_OK;
}

/* One look-up and the removal of what it found.  *ret_count is 0 when the name has moved
 * to another lease meanwhile. */
static afar_code
remove_once(name_removal *removal, uint32_t *ret_count, afar_error *err)
{
    Afar__Names__V1__LookupReply *found = NULL;
    afar_code code = name_server_lookup(removal->server, removal->name, &found, err);
    name_entry entry;

    if (code == AFAR_NOT_FOUND)
        return afar_fail(err, AFAR_NOT_FOUND, "it is not registered");
    if (code)
        return code;
    entry_read(found->entry, removal->name, &entry);
    if (!(code = check_owner(removal, &entry, err)))
        code = remove_from_lease(removal, found, ret_count, err);
    entry_clear(&entry);
    afar_message_free(found);
    return code;
}

static afar_code
remove_name(name_removal *removal, afar_error *err)
{
    for (int i = 0; i < MOST_TRIES; i++) {
        uint32_t count = 0;
        afar_code code = remove_once(removal, &count, err);

        if (code || count)
            return code;
    }
    return afar_fail(err, AFAR_ABORTED, "it changes its lease all the time; try again");
}

/* A name server that is none, or away, is not about the name. */
static int
tell_failure(const name_removal *removal, afar_error *err)
{
    int code = exit_code_of(err->code);

    if (code == EXIT_UNREACHABLE || err->code == AFAR_UNIMPLEMENTED)
        return name_server_failed(removal->server, err);
    complain("%s: %s", removal->name, err->message);
    afar_error_clear(err);
    return code;
}

/* Removes one name and tells about it; the exit code. */
static int
unregister(name_removal *removal, cJSON *document)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = remove_name(removal, &err);
    cJSON *object = json_object();
    int exit_code = EXIT_DONE;

    json_text(object, "name", removal->name);
    json_bool(object, "removed", !code);
    if (code) {
        json_text(object, "problem", err.message);
        exit_code = tell_failure(removal, &err);
    } else {
        json_count(object, "revision", removal->revision);
        if (!document)
            printf("unregistered %s\n", removal->name);
    }
    if (document)
        json_add(document, object);
    else
        cJSON_Delete(object);
    return exit_code;
}

static int
unregister_all(const command_args *args, name_removal *removal)
{
    cJSON *document = args->given[OPTION_JSON] ? json_array() : NULL;
    int code = EXIT_DONE;

    for (size_t i = 0; i < args->operand_count; i++) {
        int one;

        removal->name = args->operands[i];
        one = unregister(removal, document);
        code = code ? code : one;
    }
    if (document)
        json_print(document);
    return code;
}

static int
check_names(const command_args *args)
{
    for (size_t i = 0; i < args->operand_count; i++) {
        afar_error err = AFAR_ERROR_INIT;

        if (afar__name_check(args->operands[i], &err))
            return complain_error(&err);
    }
    return EXIT_DONE;
}

int
run_names_unregister(const command_args *args)
{
    char path[KEY_PATH_ROOM];
    name_server server;
    afar_key *key = NULL;
    int code;

    if ((code = check_names(args)) || (code = find_key_file(args, path, sizeof path)) ||
        (code = load_key(path, &key)))
        return code;
    if (!(code = name_server_open(args, &server))) {
        name_removal removal = { .server = &server, .key = key, .key_file = path };

        code = unregister_all(args, &removal);
        name_server_close(&server);
    }
    afar_key_close(key);
    return code;
}
