/* Known names: the file, what is refused, and several processes with one file.
 *
 * Labels: concurrent */

#include "client/known.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <afar/log.h>

#include "check.h"

#define PROCESSES 8
#define NAMES 40

static char folder[100], path[160];
static char texts[3][AFAR__KEY_TEXT]; /* of keys that are 32 times 1, 2, 3 */

static const uint8_t *
key_of(int number)
{
    static uint8_t keys[3][AFAR__PUBLIC_BYTES];

    memset(keys[number - 1], number, AFAR__PUBLIC_BYTES);
    return keys[number - 1];
}

static void
enter_folder(void)
{
    snprintf(folder, sizeof folder, "%s/known-XXXXXX", check_folder());
    CHECK(mkdtemp(folder) != NULL);
    CHECK_INT(setenv("AFAR_HOME", folder, 1), 0);
    snprintf(path, sizeof path, "%s/known_names", folder);
    for (int i = 0; i < 3; i++)
        afar__key_print(key_of(i + 1), texts[i]);
}

static void
leave_folder(void)
{
    unlink(path);
    CHECK_INT(rmdir(folder), 0);
}

static afar__known *
open_known(const char *where)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__known *known = NULL;

    CHECK_OK(afar__known_new(where, &known, &err));
    return known;
}

static afar_code
check_name(afar__known *known, const char *name, int key, afar_error *err)
{
    return afar__known_check(known, name, key_of(key), afar_after_ms(10000), err);
}

static void
write_file(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK_INT(fclose(file), 0);
    CHECK_INT(chmod(path, mode), 0);
}

static char *
read_file(void)
{
    static char text[200000];
    FILE *file = fopen(path, "r");

    CHECK(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

/* ---- first use ---- */

TEST(a_new_name_gets_a_line)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__known *known;
    char line[100];
    struct stat info;
    int year, month, day;

    enter_folder();
    known = open_known(NULL);
    CHECK_OK(check_name(known, "bank/alice", 1, &err));
    snprintf(line, sizeof line, "bank/alice %s ", texts[0]);
    CHECK(strncmp(read_file(), line, strlen(line)) == 0);
    CHECK_INT(sscanf(read_file() + strlen(line), "%4d-%2d-%2d\n", &year, &month, &day), 3);
    CHECK_INT(strlen(read_file()), strlen(line) + 11);
    CHECK_INT(stat(path, &info), 0);
    CHECK_INT(info.st_mode & 07777, 0600);
    CHECK_OK(check_name(known, "bank/alice", 1, &err));
    CHECK_INT(strlen(read_file()), strlen(line) + 11);
    afar__known_free(known);
    leave_folder();
}

static char logged[600];

static void
keep_line(void *arg, afar_log_level level, const char *line)
{
    (void)arg;
    CHECK_INT(level, AFAR_LOG_INFO);
    snprintf(logged, sizeof logged, "%s", line);
}

TEST(a_new_name_is_logged)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__known *known;
    char expected[300];

    enter_folder();
    afar_log_set(keep_line, NULL, AFAR_LOG_INFO);
    known = open_known(NULL);
    CHECK_OK(check_name(known, "a", 1, &err));
    CHECK_OK(check_name(known, "b", 2, &err));
    snprintf(expected, sizeof expected, "b: opened for the first time, its owner is %s (%s:2)",
             texts[1], path);
    CHECK_STR(logged, expected);
    afar__known_free(known);
    leave_folder();
}

TEST(nothing_is_written_before_a_name_is_asked_for)
{
    enter_folder();
    afar__known_free(open_known(NULL));
    CHECK_INT(access(path, F_OK), -1);
    leave_folder();
}

TEST(names_in_memory)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__known *known;
    char message[300];

    enter_folder();
    known = open_known("");
    CHECK_OK(check_name(known, "a", 1, &err));
    CHECK_OK(check_name(known, "a", 1, &err));
    CHECK_FAILS(check_name(known, "a", 2, &err), AFAR_PERMISSION_DENIED);
    snprintf(message, sizeof message,
             "a: its owner is %s, and was %s when this client first opened it", texts[1], texts[0]);
    CHECK_STR(err.message, message);
    CHECK_INT(access(path, F_OK), -1);
    afar__known_free(known);
    leave_folder();
}

/* ---- what is in the file ---- */

TEST(comments_and_empty_lines)
{
    afar_error err = AFAR_ERROR_INIT;
    char text[500], message[400];
    afar__known *known;

    enter_folder();
    snprintf(text, sizeof text, "# mine\n\n  \t\na %s 2024-02-29\r\n #b\nb\t%s   2024-01-01",
             texts[0], texts[1]);
    write_file(text, 0644);
    known = open_known(path);
    CHECK_OK(check_name(known, "a", 1, &err));
    CHECK_OK(check_name(known, "b", 2, &err));
    CHECK_OK(check_name(known, "c", 3, &err)); /* b's line had no end */
    CHECK_FAILS(check_name(known, "c", 1, &err), AFAR_PERMISSION_DENIED);
    snprintf(message, sizeof message,
             "c: owner %s, but %s in %s:7; remove that line if the owner has really changed",
             texts[0], texts[2], path);
    CHECK_STR(err.message, message);
    afar__known_free(known);
    known = open_known(path);
    CHECK_OK(check_name(known, "c", 3, &err));
    afar__known_free(known);
    leave_folder();
}

TEST(a_changed_key_with_long_names)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__known *known;
    char name[256], path_tail[61], message[400];

    enter_folder();
    memset(name, 'n', 255);
    name[255] = 0;
    snprintf(path, sizeof path, "%s/%s", folder, "a_file_of_known_names_with_a_rather_long_name");
    known = open_known(path);
    CHECK_OK(check_name(known, name, 1, &err));
    CHECK_FAILS(check_name(known, name, 2, &err), AFAR_PERMISSION_DENIED);
    snprintf(path_tail, sizeof path_tail, "%s", path + strlen(path) - 60);
    snprintf(message, sizeof message,
             "%.30s: owner %s, but %s in %s:1; remove that line if the owner has really changed",
             name, texts[1], texts[0], path_tail);
    CHECK_STR(err.message, message);
    afar__known_free(known);
    leave_folder();
}

TEST(lines_that_cannot_be_read)
{
    static const char *const lines[][2] = {
        { "a", "not NAME KEY YYYY-MM-DD" },
        { "a KEY", "not NAME KEY YYYY-MM-DD" },
        { "a KEY 2024-01-01 more", "not NAME KEY YYYY-MM-DD" },
        { "a!b KEY 2024-01-01", "the first word is no name" },
        { "a KEYS 2024-01-01", "the second word is no key" },
        { "a KEY 2024-1-1", "the third word is no date" },
        { "a KEY 2024-01-01x", "the third word is no date" },
        { "first OTHER 2024-01-01", "the name has another key in a line before" },
    };
    afar__known *known;

    enter_folder();
    known = open_known(path);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        afar_error err = AFAR_ERROR_INIT;
        char text[500], line[200], message[300];
        const char *key = strstr(lines[i][0], "KEY"), *other = strstr(lines[i][0], "OTHER");
        const char *cut = key ? key : other;

        if (cut)
            snprintf(line, sizeof line, "%.*s%s%s", (int)(cut - lines[i][0]), lines[i][0],
                     texts[key ? 0 : 1], cut + (key ? 3 : 5));
        else
            snprintf(line, sizeof line, "%s", lines[i][0]);
        snprintf(text, sizeof text, "first %s 2024-01-01\n%s\n", texts[0], line);
        write_file(text, 0600);
        snprintf(message, sizeof message, "%s:2: %s; mend or remove that line", path, lines[i][1]);
        CHECK_FAILS(check_name(known, "first", 1, &err), AFAR_FAILED_PRECONDITION);
        CHECK_STR(err.message, message);
        CHECK_STR(read_file(), text);
    }
    afar__known_free(known);
    leave_folder();
}

/* A long-running client sees it. */
TEST(a_line_that_was_mended)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__known *known;
    char text[200];

    enter_folder();
    known = open_known(path);
    snprintf(text, sizeof text, "# old\na %s 2024-01-01\n", texts[0]);
    write_file(text, 0600);
    CHECK_FAILS(check_name(known, "a", 2, &err), AFAR_PERMISSION_DENIED);
    write_file("# new\n", 0600);
    CHECK_OK(check_name(known, "a", 2, &err));
    CHECK_FAILS(check_name(known, "a", 1, &err), AFAR_PERMISSION_DENIED);
    CHECK_INT(unlink(path), 0);
    CHECK_OK(check_name(known, "a", 3, &err));
    CHECK(strstr(read_file(), texts[2]) != NULL);
    afar__known_free(known);
    leave_folder();
}

TEST(a_file_that_others_may_write_to)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__known *known;
    char message[300];

    enter_folder();
    known = open_known(path);
    write_file("", 0620);
    snprintf(message, sizeof message, "others may write to the known names; do: chmod go-w %s",
             path);
    CHECK_FAILS(check_name(known, "a", 1, &err), AFAR_PERMISSION_DENIED);
    CHECK_STR(err.message, message);
    CHECK_INT(chmod(path, 0600), 0);
    CHECK_OK(check_name(known, "a", 1, &err));
    CHECK_INT(chmod(path, 0602), 0); /* its content is as it was */
    CHECK_FAILS(check_name(known, "a", 1, &err), AFAR_PERMISSION_DENIED);
    afar__known_free(known);
    leave_folder();
}

TEST(a_file_that_is_none)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__known *known;

    enter_folder();
    known = open_known(folder);
    CHECK_FAILS(check_name(known, "a", 1, &err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "not in an ordinary file"));
    afar__known_free(known);
    CHECK_INT(mkfifo(path, 0600), 0);
    known = open_known(path);
    CHECK_FAILS(check_name(known, "a", 1, &err), AFAR_FAILED_PRECONDITION);
    afar__known_free(known);
    snprintf(path, sizeof path, "%s/none/known_names", folder);
    known = open_known(path);
    CHECK_FAILS(check_name(known, "a", 1, &err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "cannot write the known names: No such file"));
    afar__known_free(known);
    snprintf(path, sizeof path, "%s/known_names", folder);
    leave_folder();
}

TEST(a_file_that_stays_locked)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__known *known;
    int fd;

    enter_folder();
    known = open_known(path);
    CHECK_OK(check_name(known, "a", 1, &err));
    fd = open(path, O_RDONLY);
    CHECK_INT(flock(fd, LOCK_EX), 0);
    CHECK_OK(check_name(known, "a", 1, &err)); /* needs no lock */
    CHECK_FAILS(afar__known_check(known, "b", key_of(1), afar_after_ms(20), &err),
                AFAR_DEADLINE_EXCEEDED);
    CHECK(strstr(err.message, "another process kept the known names locked"));
    close(fd);
    CHECK_OK(check_name(known, "b", 1, &err));
    afar__known_free(known);
    leave_folder();
}

/* ---- several at once ---- */

/* All names, beginning with another one each. */
static void
check_all(afar__known *known, int start)
{
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < NAMES; i++) {
        int number = (i + start * NAMES / PROCESSES) % NAMES;
        char name[20];

        snprintf(name, sizeof name, "name-%d", number);
        CHECK_OK(check_name(known, name, number % 3 + 1, &err));
    }
}

static void
check_each_once(void)
{
    const char *text = read_file();
    size_t lines = 0;

    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    CHECK_INT(lines, NAMES);
    for (int i = 0; i < NAMES; i++) {
        char line[100];

        snprintf(line, sizeof line, "name-%d %s 2", i, texts[i % 3]);
        CHECK(strstr(text, line) != NULL);
    }
}

TEST(processes_with_one_file)
{
    enter_folder();
    for (int i = 0; i < PROCESSES; i++) {
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
            afar__known *known = open_known(NULL);

            check_all(known, i);
            afar__known_free(known);
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 1;

        CHECK(wait(&status) > 0);
        CHECK_INT(status, 0);
    }
    check_each_once();
    leave_folder();
}

struct checker {
    afar__known *known;
    int start;
    pthread_t thread;
};

static void *
run_checker(void *arg)
{
    struct checker *checker = arg;

    check_all(checker->known, checker->start);
    return NULL;
}

TEST(threads_with_one_file)
{
    struct checker checkers[PROCESSES];
    afar__known *known;

    enter_folder();
    known = open_known(NULL);
    for (int i = 0; i < PROCESSES; i++) {
        checkers[i] = (struct checker){ .known = known, .start = i };
        CHECK_INT(pthread_create(&checkers[i].thread, NULL, run_checker, &checkers[i]), 0);
    }
    for (int i = 0; i < PROCESSES; i++)
        CHECK_INT(pthread_join(checkers[i].thread, NULL), 0);
    check_each_once();
    afar__known_free(known);
    leave_folder();
}
