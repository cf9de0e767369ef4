/* The folder of keys and known names.
 *
 * Whoever can write to it can give this user another key, or other known names.  So the
 * folder must be the user's own, and nobody else may write to it.  It is made when a file
 * in it is first asked for, readable by its owner only.
 *
 * Any thread, as long as no other changes the environment.
 */

#include "runtime/home.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *
setting(const char *variable)
{
    const char *value = getenv(variable);

    return value && *value ? value : NULL;
}

/* Writes the path of the folder. */
static afar_code
find_folder(char *path, size_t room, afar_error *err)
{
    const char *folder = setting("AFAR_HOME");
    const char *behind = "";
    int length;

    if (!folder) {
        folder = setting("HOME");
        behind = "/.afar";
    }
    if (!folder)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "no folder for keys and known names: set AFAR_HOME to its path "
                         "(HOME is not set either)");
    length = snprintf(path, room, "%s%s", folder, behind);
    if (length < 0 || (size_t)length >= room)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "the path of the folder of keys is too long: %.60s...", folder);
    return AFAR_OK;
}

static afar_code
fail_errno(const char *what, const char *folder, int error, afar_error *err)
{
    afar_code code = AFAR_FAILED_PRECONDITION;

    if (error == EACCES || error == EPERM || error == EROFS)
        code = AFAR_PERMISSION_DENIED;
    else if (error == ENOSPC || error == EDQUOT || error == EMLINK)
        code = AFAR_RESOURCE_EXHAUSTED;
    return afar_fail(err, code, "%s the folder of keys %s: %s", what, folder, strerror(error));
}

static afar_code
check_folder(const char *folder, afar_error *err)
{
    struct stat info;

    if (stat(folder, &info) != 0)
        return fail_errno("cannot look at", folder, errno, err);
    if (!S_ISDIR(info.st_mode))
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "the folder of keys is not a folder; set AFAR_HOME to one: %s", folder);
    if (info.st_uid != geteuid())
        return afar_fail(err, AFAR_PERMISSION_DENIED,
                         "the folder of keys is user %u's, not yours; set AFAR_HOME to your own, "
                         "or: chown %u %s",
                         (unsigned)info.st_uid, (unsigned)geteuid(), folder);
    if (info.st_mode & (S_IWGRP | S_IWOTH))
        return afar_fail(err, AFAR_PERMISSION_DENIED,
                         "others may write to the folder of keys (mode %04o); mend it with: "
                         "chmod go-w %s",
                         (unsigned)info.st_mode & 07777, folder);
    return AFAR_OK;
}

afar_code
afar__home_path(const char *file, char *path, size_t room, afar_error *err)
{
    size_t length, behind = strlen(file) + 1; /* with the slash */
    afar_code code = find_folder(path, room, err);

    if (code)
        return code;
    length = strlen(path);
    if (length + behind >= room)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "the path of the folder of keys is too long: %.60s...", path);
    if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST)
        return fail_errno("cannot make", path, errno, err);
    code = check_folder(path, err);
    if (code)
        return code;
    path[length] = '/';
    memcpy(path + length + 1, file, behind); /* with its 0 */
    return AFAR_OK;
}
