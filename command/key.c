/* afar key new, afar key show.  The rules for files of keys are those of runtime/key.c;
 * whatever is wrong with one is EXIT_OTHER. */

#include <stdio.h>

#include <afar/key.h>

#include "command/commands.h"
#include "command/json.h"
#include "command/key_file.h"
#include "command/say.h"

static void
print_key(const command_args *args, const char *path, const afar_key *key)
{
    if (args->given[OPTION_JSON]) {
        cJSON *document = json_object();

        json_text(document, "file", path);
        json_text(document, "public", afar_key_public(key));
        json_print(document);
        return;
    }
    printf("file    ");
    print_clean(stdout, path);
    printf("\npublic  %s\n", afar_key_public(key));
}

int
find_key_file(const command_args *args, char *path, size_t room)
{
    afar_error err = AFAR_ERROR_INIT;
    int length;

    if (!args->text[OPTION_KEY]) {
        if (!afar__home_path("key", path, room, &err))
            return EXIT_DONE;
        complain_error(&err);
        return EXIT_OTHER;
    }
    length = snprintf(path, room, "%s", args->text[OPTION_KEY]);
    if ((size_t)length < room)
        return EXIT_DONE;
    complain("the path of the key is longer than %zu bytes", room - 1);
    return EXIT_OTHER;
}

int
load_key(const char *path, afar_key **ret_key)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = afar_key_load(path, ret_key, &err);

    if (code == AFAR_NOT_FOUND) {
        complain("there is no key at %s; `afar key new` makes one", path);
        afar_error_clear(&err);
    } else if (code) {
        complain_error(&err);
    }
    return code ? EXIT_OTHER : EXIT_DONE;
}

int
run_key_new(const command_args *args)
{
    char path[KEY_PATH_ROOM];
    afar_error err = AFAR_ERROR_INIT;
    afar_key *key = NULL;

    if (find_key_file(args, path, sizeof path))
        return EXIT_OTHER;
    if (afar_key_create(path, &key, &err)) {
        complain_error(&err);
        return EXIT_OTHER;
    }
    print_key(args, path, key);
    afar_key_close(key);
    return EXIT_DONE;
}

int
run_key_show(const command_args *args)
{
    char path[KEY_PATH_ROOM];
    afar_key *key = NULL;

    if (find_key_file(args, path, sizeof path) || load_key(path, &key))
        return EXIT_OTHER;
    print_key(args, path, key);
    afar_key_close(key);
    return EXIT_DONE;
}
