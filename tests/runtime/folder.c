/* A folder of a test's own: what folder.h says.  One in a process. */

#include "folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

static char folder[200];

const char *
folder_open(void)
{
    const char *parent = getenv("TMPDIR");

    snprintf(folder, sizeof folder, "%s/afar-test-XXXXXX", parent ? parent : "/tmp");
    CHECK(mkdtemp(folder) != NULL);
    CHECK_INT(setenv("AFAR_HOME", folder, 1), 0);
    return folder;
}

char *
folder_path(const char *file, char path[300])
{
    int length = snprintf(path, 300, "%s/%s", folder, file);

    CHECK(length > 0 && length < 300);
    return path;
}

int
folder_count(void)
{
    DIR *stream = opendir(folder);
    const struct dirent *entry;
    int count = 0;

    CHECK(stream != NULL);
    while ((entry = readdir(stream)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            count++;
    closedir(stream);
    return count;
}

void
folder_write(const char *file, const void *bytes, size_t length)
{
    char path[300];
    int fd = open(folder_path(file, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, length), length);
    close(fd);
}

size_t
folder_read(const char *file, void *bytes, size_t room)
{
    char path[300];
    int fd = open(folder_path(file, path), O_RDONLY | O_CLOEXEC);
    ssize_t length;

    CHECK(fd >= 0);
    length = read(fd, bytes, room);
    CHECK(length >= 0 && (size_t)length < room);
    close(fd);
    return (size_t)length;
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void
folder_close(void)
{
    CHECK_INT(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}
