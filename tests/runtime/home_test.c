/* The folder of keys: where it is, how it is made, and when it is refused. */

#include "runtime/home.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "folder.h"

static char path[PATH_MAX];

static afar_code
home_path(afar_error *err)
{
    return afar__home_path("key", path, sizeof path, err);
}

static unsigned
mode_of(const char *file)
{
    struct stat info;

    CHECK_INT(stat(file, &info), 0);
    return info.st_mode & 07777;
}

TEST(afar_home_is_the_folder)
{
    afar_error err = AFAR_ERROR_INIT;
    char expected[300];

    folder_open();
    CHECK_OK(home_path(&err));
    CHECK_STR(path, folder_path("key", expected));
    folder_close();
}

TEST(without_afar_home_it_is_in_the_home_folder)
{
    afar_error err = AFAR_ERROR_INIT;
    char expected[300];

    setenv("HOME", folder_open(), 1);
    unsetenv("AFAR_HOME");
    CHECK_OK(home_path(&err));
    CHECK_STR(path, folder_path(".afar/key", expected));
    setenv("AFAR_HOME", "", 1);
    CHECK_OK(home_path(&err));
    CHECK_STR(path, expected);
    folder_close();
}

TEST(it_is_made_for_its_owner_only)
{
    afar_error err = AFAR_ERROR_INIT;
    char folder[300];

    folder_open();
    setenv("AFAR_HOME", folder_path("new", folder), 1);
    umask(0);
    CHECK_OK(home_path(&err));
    CHECK_INT(mode_of(folder), 0700);
    CHECK_OK(home_path(&err));
    folder_close();
}

TEST(no_variable_says_where)
{
    afar_error err = AFAR_ERROR_INIT;

    unsetenv("AFAR_HOME");
    unsetenv("HOME");
    CHECK_FAILS(home_path(&err), AFAR_FAILED_PRECONDITION);
    CHECK_STR(err.message, "no folder for keys and known names: set AFAR_HOME to its path (HOME "
                           "is not set either)");
    setenv("HOME", "", 1);
    CHECK_FAILS(home_path(&err), AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(home_path(NULL), AFAR_FAILED_PRECONDITION);
    afar_error_clear(&err);
}

TEST(others_may_not_write_to_it)
{
    static const unsigned modes[] = { 0720, 0702, 0777, 01777 };
    afar_error err = AFAR_ERROR_INIT;
    const char *folder = folder_open();
    char expected[300];

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        CHECK_INT(chmod(folder, modes[i]), 0);
        CHECK_FAILS(home_path(&err), AFAR_PERMISSION_DENIED);
        snprintf(expected, sizeof expected,
                 "others may write to the folder of keys (mode %04o); mend it with: chmod go-w %s",
                 modes[i], folder);
        CHECK_STR(err.message, expected);
    }
    CHECK_INT(chmod(folder, 0755), 0);
    CHECK_OK(home_path(&err));
    folder_close();
    afar_error_clear(&err);
}

TEST(somebody_elses_folder_is_refused)
{
    afar_error err = AFAR_ERROR_INIT;
    const char *folder;
    char expected[300];

    if (geteuid() != 0)
        return;
    folder = folder_open();
    CHECK_INT(chown(folder, 12345, (gid_t)-1), 0);
    CHECK_FAILS(home_path(&err), AFAR_PERMISSION_DENIED);
    snprintf(expected, sizeof expected,
             "the folder of keys is user 12345's, not yours; set AFAR_HOME to your own, or: "
             "chown 0 %s",
             folder);
    CHECK_STR(err.message, expected);
    folder_close();
    afar_error_clear(&err);
}

TEST(a_file_is_no_folder)
{
    afar_error err = AFAR_ERROR_INIT;
    char file[300], inside[300];

    folder_open();
    folder_write("file", "", 0);
    setenv("AFAR_HOME", folder_path("file", file), 1);
    CHECK_FAILS(home_path(&err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "is not a folder; set AFAR_HOME to one") != NULL);
    setenv("AFAR_HOME", folder_path("file/inside", inside), 1);
    CHECK_FAILS(home_path(&err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "Not a directory") != NULL);
    folder_close();
    afar_error_clear(&err);
}

TEST(only_the_folder_itself_is_made)
{
    afar_error err = AFAR_ERROR_INIT;
    char missing[300];

    folder_open();
    setenv("AFAR_HOME", folder_path("a/b", missing), 1);
    CHECK_FAILS(home_path(&err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "cannot make the folder of keys") != NULL);
    CHECK(strstr(err.message, "No such file or directory") != NULL);
    CHECK_INT(folder_count(), 0);
    folder_close();
    afar_error_clear(&err);
}

TEST(a_folder_that_cannot_be_made)
{
    afar_error err = AFAR_ERROR_INIT;
    const char *folder = folder_open();
    char below[300];

    CHECK_INT(chmod(folder, 0500), 0);
    setenv("AFAR_HOME", folder_path("below", below), 1);
    if (geteuid() == 0) {
        CHECK_INT(chown(folder, 12345, (gid_t)-1), 0);
        CHECK_INT(seteuid(12345), 0);
    }
    CHECK_FAILS(home_path(&err), AFAR_PERMISSION_DENIED);
    CHECK(strstr(err.message, "cannot make the folder of keys") != NULL);
    CHECK_INT(seteuid(getuid()), 0);
    folder_close();
    afar_error_clear(&err);
}

/* One byte too little room is seen, at each length of the path. */
TEST(a_path_that_does_not_fit)
{
    afar_error err = AFAR_ERROR_INIT;
    const char *folder = folder_open();
    size_t needed = strlen(folder) + strlen("/key") + 1;

    for (size_t room = 1; room < needed; room++) {
        memset(path, 'x', sizeof path);
        CHECK_FAILS(afar__home_path("key", path, room, &err), AFAR_FAILED_PRECONDITION);
        CHECK(strstr(err.message, "too long") != NULL);
        CHECK_INT(path[room], 'x');
    }
    CHECK_OK(afar__home_path("key", path, needed, &err));
    CHECK_INT(path[needed - 1], 0);
    folder_close();
    afar_error_clear(&err);
}
