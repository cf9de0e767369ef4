/* The file of the SQLite store and its folder, as far as SQLite leaves them to us: who may
 * read a new one, and that it is still there after a power failure.  Any thread. */

#include "server/nameserver/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static afar_code
fail_path(const char *what, const char *path, int number, afar_error *err)
{
    afar_code code = AFAR_UNAVAILABLE;

    if (number == ENOENT || number == ENOTDIR)
        return afar_fail(err, AFAR_NOT_FOUND, "cannot %s \"%s\": its folder is not there; make it",
                         what, path);
    if (number == EACCES || number == EPERM || number == EROFS)
        code = AFAR_PERMISSION_DENIED;
    else if (number == ENOSPC || number == EDQUOT || number == ENOMEM || number == EMFILE)
        code = AFAR_RESOURCE_EXHAUSTED;
    else if (number == ENAMETOOLONG || number == ELOOP)
        code = AFAR_INVALID_ARGUMENT;
    return afar_fail(err, code, "cannot %s \"%s\": %s", what, path, strerror(number));
}

/* A file that is there is not opened: closing it again would give up the locks that
 * SQLite has on it, if this process has it open. */
afar_code
afar__store_make_file(const char *path, afar_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct stat status;

    if (fd >= 0) {
        close(fd);
        return AFAR_OK;
    }
    if (errno != EEXIST)
        return fail_path("make", path, errno, err);
    if (stat(path, &status) != 0)
        return fail_path("open", path, errno, err);
    if (!S_ISREG(status.st_mode))
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "\"%s\" is not a file", path);
    if (status.st_size == 1) /* which SQLite takes for empty */
        return afar_fail(err, AFAR_DATA_LOSS, "cannot read \"%s\": file is not a database", path);
    return AFAR_OK;
}

afar_code
afar__store_flush_folder(const char *path, afar_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash > path ? strndup(path, (size_t)(slash - path)) : strdup("/");
    int fd, number = 0;

    if (!folder)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory to open \"%s\"", path);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP))
        number = errno; /* the two others: this file system does not flush folders */
    if (fd >= 0)
        close(fd);
    free(folder);
    return number == 0 ? AFAR_OK : fail_path("flush the folder of", path, number, err);
}
