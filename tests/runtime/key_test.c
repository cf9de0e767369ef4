/* Key files: made safely, read strictly, and refused when others could have had them.
 *
 * Labels: concurrent */

#include "runtime/key.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "faults.h"
#include "folder.h"

#define LINE 107 /* bytes of a key file */

/* The first vector of RFC 8032, 7.1. */
#define GOOD_LINE                                                                                  \
    "afar-key-1 ed25519 nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A "                              \
    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\n"
#define GOOD_PUBLIC "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

static void
write_text(const char *text)
{
    folder_write("key", text, strlen(text));
}

/* The key in the folder is refused with this message, in which %s is its path. */
static void
check_refused(afar_code code, const char *before, const char *behind)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_key *key = NULL;
    char expected[600], path[300];

    folder_path("key", path);
    CHECK_FAILS(afar_key_load(path, &key, &err), code);
    CHECK(key == NULL);
    snprintf(expected, sizeof expected, "%s%s%s", before, path, behind);
    CHECK_STR(err.message, expected);
    CHECK_FAILS(afar_key_load(NULL, &key, NULL), code);
    afar_error_clear(&err);
}

/* ---- a life ---- */

TEST(made_once_and_read_again)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_key *made, *read;
    char path[300];

    folder_open();
    CHECK_OK(afar_key_create(folder_path("some.key", path), &made, &err));
    CHECK_OK(afar_key_load(path, &read, &err));
    CHECK_INT(strlen(afar_key_public(made)), 43);
    CHECK_STR(afar_key_public(read), afar_key_public(made));
    CHECK(memcmp(made->secret, read->secret, sizeof made->secret) == 0);
    CHECK_INT(folder_count(), 1);
    afar_key_close(made);
    afar_key_close(read);
    afar_key_close(NULL);
    folder_close();
}

TEST(the_default_one_is_in_the_folder_of_keys)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_key *made, *read, *named;
    char path[300];

    folder_open();
    CHECK_FAILS(afar_key_load(NULL, &read, &err), AFAR_NOT_FOUND);
    CHECK_OK(afar_key_load_or_create(NULL, &made, &err));
    CHECK_OK(afar_key_load_or_create(NULL, &read, &err));
    CHECK_OK(afar_key_load(folder_path("key", path), &named, &err));
    CHECK_STR(afar_key_public(read), afar_key_public(made));
    CHECK_STR(afar_key_public(named), afar_key_public(made));
    afar_key_close(made);
    afar_key_close(read);
    afar_key_close(named);
    folder_close();
    afar_error_clear(&err);
}

/* What was looked for first and not found is no error of the whole. */
TEST(success_leaves_the_error_alone)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_key *key;

    folder_open();
    CHECK_OK(afar_key_load_or_create(NULL, &key, &err));
    CHECK_INT(err.code, AFAR_OK);
    CHECK_STR(err.message, "");
    afar_key_close(key);
    folder_close();
}

TEST(keys_differ)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_key *one, *other;
    char path[300];

    folder_open();
    CHECK_OK(afar_key_create(folder_path("one", path), &one, &err));
    CHECK_OK(afar_key_create(folder_path("other", path), &other, &err));
    CHECK(strcmp(afar_key_public(one), afar_key_public(other)) != 0);
    afar_key_close(one);
    afar_key_close(other);
    folder_close();
}

TEST(a_path_without_a_folder_is_in_the_current_one)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_key *made, *read;

    CHECK_INT(chdir(folder_open()), 0);
    CHECK_OK(afar_key_create("plain", &made, &err));
    CHECK_OK(afar_key_load("./plain", &read, &err));
    CHECK_STR(afar_key_public(read), afar_key_public(made));
    afar_key_close(made);
    afar_key_close(read);
    CHECK_INT(chdir("/"), 0);
    folder_close();
}

TEST(the_file_is_one_line_of_text)
{
    afar_error err = AFAR_ERROR_INIT;
    char text[LINE + 10], again[AFAR__KEY_TEXT];
    uint8_t public[32], secret[64];
    afar_key *key;
    struct stat info;
    char path[300];

    folder_open();
    umask(0);
    CHECK_OK(afar_key_create(NULL, &key, &err));
    CHECK_INT(folder_read("key", text, sizeof text), LINE);
    CHECK(strncmp(text, "afar-key-1 ed25519 ", 19) == 0);
    CHECK_INT(text[19 + 43], ' ');
    CHECK(strncmp(text + 63, afar_key_public(key), 43) == 0);
    CHECK_INT(text[LINE - 1], '\n');
    CHECK(afar__key_parse(text + 19, 43, secret));
    afar__secure_pair(secret, public, secret);
    afar__key_print(public, again);
    CHECK_STR(again, afar_key_public(key));
    CHECK_INT(stat(folder_path("key", path), &info), 0);
    CHECK_INT(info.st_mode & 07777, 0600);
    CHECK_INT(info.st_nlink, 1);
    afar_key_close(key);
    folder_close();
}

TEST(a_umask_that_takes_everything_does_not_take_it_from_the_owner)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_key *key;
    struct stat info;
    char path[300];

    folder_open();
    umask(0777);
    CHECK_OK(afar_key_create(folder_path("key", path), &key, &err));
    CHECK_INT(stat(path, &info), 0);
    CHECK_INT(info.st_mode & 07777, 0600);
    afar_key_close(key);
    folder_close();
}

/* ---- what is in the file ---- */

TEST(a_file_written_by_hand)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_key *key;

    folder_open();
    write_text(GOOD_LINE);
    CHECK_OK(afar_key_load(NULL, &key, &err));
    CHECK_STR(afar_key_public(key), GOOD_PUBLIC);
    afar_key_close(key);
    folder_close();
}

TEST(damaged_at_any_bit)
{
    afar_key *key = NULL;
    char line[] = GOOD_LINE;

    folder_open();
    write_text(line);
    CHECK_INT(afar_key_load(NULL, &key, NULL), AFAR_OK);
    afar_key_close(key);
    key = NULL;
    for (size_t bit = 0; bit < 8 * (size_t)LINE; bit++) {
        line[bit / 8] = (char)(line[bit / 8] ^ 1 << bit % 8);
        folder_write("key", line, LINE);
        CHECK_INT(afar_key_load(NULL, &key, NULL), AFAR_DATA_LOSS);
        line[bit / 8] = (char)(line[bit / 8] ^ 1 << bit % 8);
    }
    CHECK(key == NULL);
    check_refused(AFAR_DATA_LOSS, "this file is damaged, or is no key: ", "");
    folder_close();
}

TEST(cut_anywhere_or_longer)
{
    afar_key *key = NULL;

    folder_open();
    for (size_t length = 0; length < LINE; length++) {
        folder_write("key", GOOD_LINE, length);
        CHECK_INT(afar_key_load(NULL, &key, NULL), AFAR_DATA_LOSS);
    }
    folder_write("key", GOOD_LINE, LINE + 1); /* with a zero byte */
    check_refused(AFAR_DATA_LOSS, "this file is damaged, or is no key: ", "");
    write_text(GOOD_LINE "\n");
    check_refused(AFAR_DATA_LOSS, "this file is damaged, or is no key: ", "");
    write_text(GOOD_LINE GOOD_LINE);
    check_refused(AFAR_DATA_LOSS, "this file is damaged, or is no key: ", "");
    folder_close();
}

TEST(halves_of_two_keys)
{
    folder_open();
    write_text("afar-key-1 ed25519 nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A "
               "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw\n");
    check_refused(AFAR_DATA_LOSS,
                  "the key is damaged, its two halves do not belong together: ", "");
    folder_close();
}

TEST(another_version_or_kind_is_no_key)
{
    static const char *const others[] = {
        "afar-key-2 ed25519 nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A "
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\n",
        "afar-key-1 ed44819 nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A "
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\n",
        "afar-key-1 ed25519\tnWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A "
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n",
    };

    folder_open();
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        write_text(others[i]);
        check_refused(AFAR_DATA_LOSS, "this file is damaged, or is no key: ", "");
    }
    folder_close();
}

/* ---- who may have had it ---- */

TEST(no_file)
{
    folder_open();
    check_refused(AFAR_NOT_FOUND, "there is no key ", "; make one with: afar key new");
    folder_close();
}

TEST(modes_that_others_can_use)
{
    char path[300], before[200];

    folder_open();
    write_text(GOOD_LINE);
    folder_path("key", path);
    for (unsigned bit = 1; bit <= 040; bit <<= 1) {
        CHECK_INT(chmod(path, 0600 | bit), 0);
        snprintf(before, sizeof before,
                 "others than its owner may use the key (mode %04o); mend it with: chmod 600 ",
                 0600 | bit);
        check_refused(AFAR_PERMISSION_DENIED, before, "");
    }
    folder_close();
}

TEST(modes_of_its_owner_only)
{
    afar_error err = AFAR_ERROR_INIT;
    char path[300];
    afar_key *key;

    folder_open();
    write_text(GOOD_LINE);
    CHECK_INT(chmod(folder_path("key", path), 0400), 0);
    CHECK_OK(afar_key_load(path, &key, &err));
    afar_key_close(key);
    folder_close();
}

TEST(a_symbolic_link_is_not_followed)
{
    afar_key *key = NULL;
    char path[300];

    folder_open();
    folder_write("real", GOOD_LINE, LINE);
    CHECK_INT(symlink("real", folder_path("key", path)), 0);
    check_refused(
        AFAR_PERMISSION_DENIED,
        "a key must be an ordinary file, and this is a symbolic link; remove it with: rm ", "");
    CHECK_INT(afar_key_create(path, &key, NULL), AFAR_ALREADY_EXISTS);
    CHECK_INT(afar_key_load_or_create(path, &key, NULL), AFAR_PERMISSION_DENIED);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(symlink("nowhere", path), 0);
    CHECK_INT(afar_key_create(path, &key, NULL), AFAR_ALREADY_EXISTS);
    CHECK_INT(afar_key_load_or_create(path, &key, NULL), AFAR_PERMISSION_DENIED);
    CHECK_INT(folder_count(), 2);
    folder_close();
}

static void
make_socket(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, strlen(path) + 1);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

/* A pipe must not hold us up either. */
TEST(what_is_no_ordinary_file)
{
    static const char before[] =
        "a key must be an ordinary file, and this is none; remove it with: rm ";
    char path[300];

    folder_open();
    CHECK_INT(mkfifo(folder_path("key", path), 0600), 0);
    check_refused(AFAR_PERMISSION_DENIED, before, "");
    CHECK_INT(unlink(path), 0);
    CHECK_INT(mkdir(path, 0700), 0);
    check_refused(AFAR_PERMISSION_DENIED, before, "");
    CHECK_INT(rmdir(path), 0);
    make_socket(path);
    check_refused(AFAR_PERMISSION_DENIED, before, "");
    folder_close();
}

TEST(somebody_elses_file)
{
    char path[300];

    if (geteuid() != 0)
        return;
    folder_open();
    write_text(GOOD_LINE);
    CHECK_INT(chown(folder_path("key", path), 12345, (gid_t)-1), 0);
    check_refused(AFAR_PERMISSION_DENIED,
                  "the key is user 12345's, not yours; name another, or: chown 0 ", "");
    folder_close();
}

/* As an ordinary user, who can be refused: as root, another one. */
static void
become_ordinary(const char *folder)
{
    if (geteuid() != 0)
        return;
    CHECK_INT(chown(folder, 12345, (gid_t)-1), 0);
    CHECK_INT(seteuid(12345), 0);
}

TEST(a_file_that_even_its_owner_cannot_read)
{
    const char *folder = folder_open();
    char path[300];

    become_ordinary(folder);
    write_text(GOOD_LINE);
    CHECK_INT(chmod(folder_path("key", path), 0), 0);
    check_refused(AFAR_PERMISSION_DENIED, "the key cannot be read; if it is yours: chmod 600 ", "");
    CHECK_INT(seteuid(getuid()), 0);
    folder_close();
}

/* ---- creating fails ---- */

TEST(an_existing_file_is_left_alone)
{
    afar_error err = AFAR_ERROR_INIT;
    char path[300], expected[400], text[100];
    afar_key *key = NULL;

    folder_open();
    folder_write("key", "precious", 8);
    CHECK_FAILS(afar_key_create(folder_path("key", path), &key, &err), AFAR_ALREADY_EXISTS);
    snprintf(expected, sizeof expected, "there is a file already, it was left alone: %s", path);
    CHECK_STR(err.message, expected);
    CHECK(key == NULL);
    CHECK_INT(folder_read("key", text, sizeof text), 8);
    CHECK(memcmp(text, "precious", 8) == 0);
    CHECK_INT(folder_count(), 1);
    folder_close();
    afar_error_clear(&err);
}

TEST(a_folder_that_cannot_be_written_to)
{
    afar_error err = AFAR_ERROR_INIT;
    const char *folder = folder_open();
    afar_key *key = NULL;
    char path[300];

    CHECK_INT(chmod(folder, 0500), 0);
    become_ordinary(folder);
    CHECK_FAILS(afar_key_load_or_create(folder_path("key", path), &key, &err),
                AFAR_PERMISSION_DENIED);
    CHECK(strstr(err.message, "Permission denied") != NULL);
    CHECK(strstr(err.message, path) != NULL);
    CHECK(key == NULL);
    CHECK_INT(seteuid(getuid()), 0);
    CHECK_INT(folder_count(), 0);
    folder_close();
    afar_error_clear(&err);
}

/* The kernel takes some bytes and no more: as on a disk that fills up. */
TEST(a_disk_that_fills_up_leaves_nothing_behind)
{
    afar_error err = AFAR_ERROR_INIT;
    struct rlimit limit;
    afar_key *key = NULL;

    folder_open();
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t room = 0; room < LINE; room += 53) {
        struct rlimit small = { room, limit.rlim_max };

        CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
        afar_code code = afar_key_load_or_create(NULL, &key, &err);
        CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
        CHECK_INT(code, AFAR_RESOURCE_EXHAUSTED);
        CHECK(strncmp(err.message, "cannot write the key ", 21) == 0);
        CHECK_INT(folder_count(), 0);
    }
    CHECK(key == NULL);
    CHECK_OK(afar_key_load_or_create(NULL, &key, &err));
    afar_key_close(key);
    folder_close();
    afar_error_clear(&err);
}

/* With no descriptor at all, and with one: then there is a folder, and no file in it.  Not
 * under valgrind, which makes the file before it refuses the descriptor. */
TEST(no_descriptors_left)
{
    afar_error err = AFAR_ERROR_INIT;
    struct rlimit limit, small;
    afar_key *key = NULL;
    int lowest;

    if (!faults_can())
        return;
    folder_open();
    lowest = dup(0);
    close(lowest);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    small = limit;
    for (int more = 0; more < 2; more++) {
        small.rlim_cur = (rlim_t)lowest + (rlim_t)more;
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &small), 0);
        afar_code code = afar_key_create(NULL, &key, &err);
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
        CHECK_INT(code, AFAR_RESOURCE_EXHAUSTED);
        CHECK(strstr(err.message, "Too many open files") != NULL);
        CHECK_INT(folder_count(), 0);
    }
    folder_close();
    afar_error_clear(&err);
}

TEST(paths_that_cannot_be)
{
    static char longest[5000];
    afar_error err = AFAR_ERROR_INIT;
    afar_key *key = NULL;
    char path[300];

    folder_open();
    memset(longest, 'x', sizeof longest - 1);
    CHECK_FAILS(afar_key_create(longest, &key, &err), AFAR_INVALID_ARGUMENT);
    longest[250] = 0;
    CHECK_FAILS(afar_key_create(longest, &key, &err), AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(afar_key_create("", &key, &err), AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(afar_key_create(folder_path("sub/", path), &key, &err), AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(afar_key_load_or_create(folder_path("sub/key", path), &key, &err),
                AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "cannot open the folder of the key ") != NULL);
    CHECK_FAILS(afar_key_load(folder_path("sub/key", path), &key, &err), AFAR_NOT_FOUND);
    CHECK(key == NULL);
    CHECK_INT(folder_count(), 0);
    folder_close();
    afar_error_clear(&err);
}

/* ---- several at a time ---- */

#define CREATORS 8

struct told {
    afar_code code;
    char public[AFAR__KEY_TEXT];
};

/* What each of the processes does once all are there. */
static void
run_creator(int go, int result, bool load)
{
    struct told told = { 0 };
    afar_key *key = NULL;
    char byte;

    CHECK_INT(read(go, &byte, 1), 0); /* the end comes for all at a time */
    told.code =
        load ? afar_key_load_or_create(NULL, &key, NULL) : afar_key_create(NULL, &key, NULL);
    if (!told.code)
        memcpy(told.public, afar_key_public(key), sizeof told.public);
    afar_key_close(key);
    CHECK_INT(write(result, &told, sizeof told), sizeof told);
}

static void
run_creators(bool load, struct told told[CREATORS])
{
    int go[2], results[2], status;

    CHECK_INT(pipe2(go, O_CLOEXEC), 0);
    CHECK_INT(pipe2(results, O_CLOEXEC), 0);
    for (int i = 0; i < CREATORS; i++) {
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
            close(go[1]);
            run_creator(go[0], results[1], load);
            _exit(0);
        }
    }
    close(go[1]);
    for (int i = 0; i < CREATORS; i++) {
        CHECK(wait(&status) > 0);
        CHECK_INT(status, 0);
        CHECK_INT(read(results[0], &told[i], sizeof told[i]), sizeof told[i]);
    }
    close(go[0]);
    close(results[0]);
    close(results[1]);
}

TEST(of_several_processes_one_makes_the_key)
{
    struct told told[CREATORS];
    afar_error err = AFAR_ERROR_INIT;
    afar_key *key;
    int made = 0;

    folder_open();
    run_creators(false, told);
    CHECK_OK(afar_key_load(NULL, &key, &err));
    for (int i = 0; i < CREATORS; i++)
        if (told[i].code == AFAR_OK) {
            CHECK_STR(told[i].public, afar_key_public(key));
            made++;
        } else {
            CHECK_INT(told[i].code, AFAR_ALREADY_EXISTS);
        }
    CHECK_INT(made, 1);
    CHECK_INT(folder_count(), 1);
    afar_key_close(key);
    folder_close();
}

TEST(several_processes_get_the_same_key)
{
    struct told told[CREATORS];

    folder_open();
    run_creators(true, told);
    for (int i = 0; i < CREATORS; i++) {
        CHECK_INT(told[i].code, AFAR_OK);
        CHECK_STR(told[i].public, told[0].public);
    }
    CHECK_INT(folder_count(), 1);
    folder_close();
}

static void *
load_or_create(void *arg)
{
    afar_key **ret_key = arg;

    CHECK_INT(afar_key_load_or_create(NULL, ret_key, NULL), AFAR_OK);
    return NULL;
}

TEST(several_threads_get_the_same_key)
{
    pthread_t threads[CREATORS];
    afar_key *keys[CREATORS];

    folder_open();
    for (int i = 0; i < CREATORS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, load_or_create, &keys[i]), 0);
    for (int i = 0; i < CREATORS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < CREATORS; i++)
        CHECK_STR(afar_key_public(keys[i]), afar_key_public(keys[0]));
    for (int i = 0; i < CREATORS; i++)
        afar_key_close(keys[i]);
    CHECK_INT(folder_count(), 1);
    folder_close();
}

/* ---- nothing is left ---- */

#define MASK 0x5a

/* Whether `length` bytes that differ from `masked` by MASK are between `from` and `to`.
 * They are compared without ever being put together here. */
static bool
is_between(const volatile uint8_t *from, const volatile uint8_t *to, const uint8_t *masked,
           size_t length)
{
    for (; from + length <= to; from++) {
        size_t same = 0;

        while (same < length && from[same] == (uint8_t)(masked[same] ^ MASK))
            same++;
        if (same == length)
            return true;
    }
    return false;
}

/* Looks through all memory of the process that can be written to. */
static bool
is_in_memory(const uint8_t *masked, size_t length)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    bool found = false;
    char line[512];

    CHECK(maps != NULL);
    while (!found && fgets(line, sizeof line, maps)) {
        unsigned long from, to;

        if (sscanf(line, "%lx-%lx rw", &from, &to) == 2 && strstr(line, " rw"))
            found = is_between((const volatile uint8_t *)from, (const volatile uint8_t *)to, masked,
                               length);
    }
    fclose(maps);
    return found;
}

/* Seed and text of the seed, unreadable for the search. */
struct masked {
    uint8_t seed[32], text[43];
};

static void
mask_secret(struct masked *masked)
{
    char line[LINE + 10];
    uint8_t seed[32];

    folder_read("key", line, sizeof line);
    CHECK(afar__key_parse(line + 19, 43, seed));
    for (size_t i = 0; i < sizeof seed; i++)
        masked->seed[i] = seed[i] ^ MASK;
    for (size_t i = 0; i < 43; i++)
        masked->text[i] = (uint8_t)line[19 + i] ^ MASK;
    afar__secure_wipe(line, sizeof line);
    afar__secure_wipe(seed, sizeof seed);
}

/* The memory of sanitizers is too large to look through. */
TEST(closed_keys_leave_no_secret_in_memory)
{
    afar_error err = AFAR_ERROR_INIT;
    struct masked masked;
    afar_key *made, *read;
    uint8_t signature[64];

    if (!faults_can())
        return;
    folder_open();
    CHECK_OK(afar_key_create(NULL, &made, &err));
    mask_secret(&masked);
    CHECK(is_in_memory(masked.seed, sizeof masked.seed));
    CHECK_OK(afar_key_load(NULL, &read, &err));
    afar__secure_sign(read->secret, "text", 4, signature);
    afar_key_close(made);
    afar_key_close(read);
    CHECK(!is_in_memory(masked.seed, sizeof masked.seed));
    CHECK(!is_in_memory(masked.text, sizeof masked.text));
    CHECK_OK(afar_key_load(NULL, &read, &err));
    CHECK(is_in_memory(masked.seed, sizeof masked.seed));
    CHECK(!is_in_memory(masked.text, sizeof masked.text));
    afar_key_close(read);
    folder_close();
}
