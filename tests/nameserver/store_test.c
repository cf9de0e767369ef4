/* The stores: what is committed is there, all of it or nothing; files that are not as they
 * should be are told apart and left alone. */

#include "server/nameserver/store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "store_model.h"

#define NOBODY 65534

static afar__store *
open_ok(const char *path)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__store *store = NULL;

    CHECK_OK(afar__store_open(path, &store, &err));
    return store;
}

static void
close_it(afar__store *store)
{
    store->ops->close(store);
}

static void
check_holds(afar__store *store, const struct model *model)
{
    afar_error err = AFAR_ERROR_INIT;
    const char *difference = NULL;

    CHECK_OK(model_compare(model, store, &difference, &err));
    CHECK_STR(difference, NULL);
}

/* A new store, and a model of it. */
static afar__store *
open_new(const struct place *place, struct model *model, size_t names, size_t leases)
{
    afar__store *store = open_ok(place->path);

    model_init(model, model_revision(store), names, leases);
    return store;
}

static void
commit_times(struct model *model, afar__store *store, int times)
{
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < times; i++)
        CHECK_OK(model_commit(model, store, &err));
}

static uint64_t
clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- what is kept ---- */

TEST(memory_keeps_nothing_and_grows)
{
    afar__store *store = open_ok("memory");
    struct model model;
    uint64_t first = model_revision(store);

    CHECK(first > UINT64_C(1600000000000000));
    model_init(&model, first, 20, 3);
    commit_times(&model, store, 20);
    close_it(store);
    store = open_ok("memory");
    model_init(&model, model_revision(store), 20, 3);
    CHECK(model.first > first);
    close_it(store);
}

TEST(new_store_begins_with_the_clock)
{
    struct place place;
    struct model model;
    uint64_t before = clock_us(), after;
    afar__store *store;

    place_make(&place);
    store = open_new(&place, &model, 10, 2);
    after = clock_us();
    CHECK(before <= model.first && model.first <= after);
    check_holds(store, &model);
    close_it(store);

    store = open_ok(place.path);
    CHECK_INT(model_revision(store), model.first);
    close_it(store);
    place_remove(&place);
}

TEST(thousand_names_come_back)
{
    afar_error err = AFAR_ERROR_INIT;
    struct place place;
    struct model model;
    afar__store *store;

    place_make(&place);
    store = open_new(&place, &model, 1000, 100);
    CHECK_OK(model_fill(&model, store, &err));
    check_holds(store, &model);
    close_it(store);

    store = open_ok(place.path);
    check_holds(store, &model);
    commit_times(&model, store, 100);
    check_holds(store, &model);
    close_it(store);

    store = open_ok(place.path);
    check_holds(store, &model);
    close_it(store);
    place_remove(&place);
}

TEST(each_commit_is_there_after_reopening)
{
    struct place place;
    struct model model;
    afar__store *store;

    place_make(&place);
    store = open_new(&place, &model, 30, 5);
    for (int i = 0; i < 30; i++) {
        commit_times(&model, store, 1 + i % 3);
        close_it(store);
        store = open_ok(place.path);
        check_holds(store, &model);
    }
    close_it(store);
    place_remove(&place);
}

static afar_code
take_lease(void *arg, const afar__stored_lease *lease, afar_error *err)
{
    (void)arg;
    (void)lease;
    (void)err;
    return AFAR_OK;
}

static afar_code
take_few_names(void *arg, const afar__stored_name *name, afar_error *err)
{
    int *left = arg;

    return (*left)-- > 0 ? AFAR_OK
                         : afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no room for %s", name->name);
}

/* Who reads may have enough; the store goes on. */
TEST(reader_that_fails_ends_loading)
{
    afar_error err = AFAR_ERROR_INIT;
    int left = 7;
    afar__store_reader reader = { take_lease, take_few_names, &left };
    uint64_t revision = 5;
    struct place place;
    struct model model;
    afar__store *store;

    place_make(&place);
    store = open_new(&place, &model, 30, 5);
    CHECK_OK(model_fill(&model, store, &err));
    CHECK_FAILS(store->ops->load(store, &reader, &revision, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK(strstr(err.message, "no room for part-"));
    CHECK_INT(left, -1);
    CHECK_INT(revision, 5);
    commit_times(&model, store, 3);
    check_holds(store, &model);
    close_it(store);
    afar_error_clear(&err);
    place_remove(&place);
}

/* Exits in a child without closing: nothing is written back from the log. */
TEST(commits_are_there_without_closing)
{
    struct place place;
    struct model model;
    afar__store *store;
    int status;
    pid_t child;

    place_make(&place);
    store = open_new(&place, &model, 30, 5);
    close_it(store);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        commit_times(&model, open_ok(place.path), 50);
        raise(SIGKILL);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    model_go_to(&model, 50);
    store = open_ok(place.path);
    check_holds(store, &model);
    close_it(store);
    place_remove(&place);
}

/* The log goes back into the file while commits go on, and does not grow without end. */
TEST(long_logs_are_written_back)
{
    struct place place;
    struct model model;
    struct stat status;
    afar__store *store;
    char path[80];

    place_make(&place);
    store = open_new(&place, &model, 200, 20);
    commit_times(&model, store, 300);
    snprintf(path, sizeof path, "%s-wal", place.path);
    CHECK(stat(path, &status) == 0);
    CHECK(status.st_size > 1000000 && status.st_size < 20000000);
    CHECK(stat(place.path, &status) == 0);
    CHECK(status.st_size > 100000);
    check_holds(store, &model);
    close_it(store);
    place_remove(&place);
}

TEST(file_is_for_its_owner_only)
{
    struct place place;
    struct model model;
    struct stat status;
    afar__store *store;
    char path[80];

    umask(0);
    place_make(&place);
    store = open_new(&place, &model, 30, 5);
    commit_times(&model, store, 3);
    CHECK(stat(place.path, &status) == 0);
    CHECK_INT(status.st_mode & 07777, 0600);
    snprintf(path, sizeof path, "%s-wal", place.path);
    CHECK(stat(path, &status) == 0);
    CHECK_INT(status.st_mode & 07777, 0600);
    snprintf(path, sizeof path, "%s-shm", place.path);
    CHECK(stat(path, &status) < 0 && errno == ENOENT);
    close_it(store);
    place_remove(&place);
}

/* ---- all or nothing ---- */

static void
limit_files(rlim_t bytes)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* The log may not grow any further, at ever more places. */
TEST(full_disk_changes_nothing)
{
    afar_error err = AFAR_ERROR_INIT;
    struct place place;
    struct model model;
    afar__store *store;
    rlim_t limit = 512;
    int failures = 0;

    signal(SIGXFSZ, SIG_IGN);
    place_make(&place);
    store = open_new(&place, &model, 100, 10);
    for (;;) {
        limit_files(limit);
        if (model_fill(&model, store, &err) == AFAR_OK)
            break;
        limit_files(RLIM_INFINITY);
        CHECK_INT(err.code, AFAR_UNAVAILABLE);
        CHECK(strstr(err.message, place.path) && strstr(err.message, "File too large"));
        failures++;
        check_holds(store, &model);
        commit_times(&model, store, 1);
        check_holds(store, &model);
        limit += 7001;
    }
    limit_files(RLIM_INFINITY);
    CHECK(failures >= 10);
    check_holds(store, &model);
    close_it(store);
    store = open_ok(place.path);
    check_holds(store, &model);
    close_it(store);
    afar_error_clear(&err);
    place_remove(&place);
}

TEST(no_new_store_on_a_full_disk)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__store *store = NULL;
    struct place place;
    struct model model;
    rlim_t limit = 0;

    signal(SIGXFSZ, SIG_IGN);
    place_make(&place);
    for (;; limit += 1024) {
        limit_files(limit);
        if (afar__store_open(place.path, &store, &err) == AFAR_OK)
            break;
        limit_files(RLIM_INFINITY);
        CHECK_INT(err.code, AFAR_UNAVAILABLE);
        CHECK(strstr(err.message, place.path) && strstr(err.message, "File too large"));
    }
    limit_files(RLIM_INFINITY);
    CHECK(limit > 10000);
    model_init(&model, model_revision(store), 30, 5);
    commit_times(&model, store, 10);
    check_holds(store, &model);
    close_it(store);
    afar_error_clear(&err);
    place_remove(&place);
}

/* A change at the end that cannot be kept takes those before it along. */
TEST(what_could_not_be_read_is_not_written)
{
    afar_error err = AFAR_ERROR_INIT;
    static uint8_t bytes[AFAR__MAX_RECORD + 1];
    afar__signed record = AFAR__NAMES__V1__SIGNED_RECORD__INIT;
    afar__change changes[2] = { { .kind = AFAR__CHANGE_LEASE, .lease.term_ms = 1000 },
                                { .kind = AFAR__CHANGE_PUT, .name.record = &record } };
    struct place place;
    struct model model;
    afar__store *store;

    place_make(&place);
    store = open_new(&place, &model, 30, 5);
    record.record = (ProtobufCBinaryData){ .len = AFAR__MAX_RECORD, .data = bytes };
    record.key = (ProtobufCBinaryData){ .len = AFAR__PUBLIC_BYTES, .data = bytes };
    record.signature = (ProtobufCBinaryData){ .len = AFAR__SIGNATURE_BYTES, .data = bytes };
    changes[1].name.name = "a";
    changes[1].name.revision = model.first + 1;

    record.record.len++;
    CHECK_FAILS(store->ops->commit(store, changes, 2, model.first + 1, &err), AFAR_INTERNAL);
    record.record.len--;
    record.key.len--;
    CHECK_FAILS(store->ops->commit(store, changes, 2, model.first + 1, &err), AFAR_INTERNAL);
    record.key.len++;
    CHECK_FAILS(store->ops->commit(store, changes, 2, model.first, &err), AFAR_INTERNAL);
    changes[0].lease.term_ms = 0;
    CHECK_FAILS(store->ops->commit(store, changes, 2, model.first + 1, &err), AFAR_INTERNAL);
    check_holds(store, &model);
    changes[0].lease.term_ms = 1;
    CHECK_OK(store->ops->commit(store, changes, 2, model.first + 1, &err));
    CHECK_INT(model_revision(store), model.first + 1);
    close_it(store);
    afar_error_clear(&err);
    place_remove(&place);
}

/* ---- one name server for a file ---- */

static void
check_in_use(const char *path)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__store *store = NULL;
    uint64_t before = clock_us();

    CHECK_FAILS(afar__store_open(path, &store, &err), AFAR_FAILED_PRECONDITION);
    CHECK(clock_us() - before < 2000000);
    CHECK(strstr(err.message, path) && strstr(err.message, "in use"));
    afar_error_clear(&err);
}

static void
check_in_use_for_others(const char *path)
{
    int status;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        check_in_use(path);
        _exit(EXIT_SUCCESS);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_INT(status, 0);
}

TEST(second_name_server_is_refused)
{
    struct place place;
    struct model model;
    afar__store *store;

    place_make(&place);
    store = open_new(&place, &model, 30, 5);
    check_in_use_for_others(place.path); /* nothing is in the log yet */
    check_in_use(place.path);
    commit_times(&model, store, 5);
    check_in_use(place.path);
    check_in_use_for_others(place.path); /* being refused gave up no lock of ours */
    commit_times(&model, store, 5);
    check_holds(store, &model);
    close_it(store);

    store = open_ok(place.path);
    check_in_use_for_others(place.path); /* it has read, and not written */
    check_holds(store, &model);
    close_it(store);
    place_remove(&place);
}

/* ---- paths ---- */

TEST(special_names_of_sqlite_are_files)
{
    static const char *const paths[] = { ":memory:", "file:names?mode=memory", "file:x" };
    struct place place;
    struct stat status;

    place_make(&place);
    CHECK(chdir(place.folder) == 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct model model;
        afar__store *store = open_ok(paths[i]);

        CHECK(stat(paths[i], &status) == 0);
        model_init(&model, model_revision(store), 30, 5);
        commit_times(&model, store, 5);
        close_it(store);
        store = open_ok(paths[i]);
        check_holds(store, &model);
        close_it(store);
    }
    CHECK(chdir("/") == 0);
    place_remove(&place);
}

static void
check_refused(const char *path, afar_code code, const char *text)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__store *store = NULL;

    CHECK_FAILS(afar__store_open(path, &store, &err), code);
    if (!strstr(err.message, text))
        check_fail(__FILE__, __LINE__, "the message is \"%s\", without \"%s\"", err.message, text);
    afar_error_clear(&err);
}

TEST(paths_that_cannot_be_used)
{
    struct place place;
    char path[128];
    int fd;

    place_make(&place);
    check_refused("", AFAR_INVALID_ARGUMENT, "empty");
    snprintf(path, sizeof path, "%s/none/names.db", place.folder);
    check_refused(path, AFAR_NOT_FOUND, path);
    check_refused(path, AFAR_NOT_FOUND, "folder");
    check_refused(place.folder, AFAR_FAILED_PRECONDITION, "is not a file");
    fd = open(place.path, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0 && close(fd) == 0);
    snprintf(path, sizeof path, "%s/names.db", place.path);
    check_refused(path, AFAR_NOT_FOUND, path);
    place_remove(&place);
}

static void
become_nobody(const struct place *place)
{
    if (geteuid() != 0)
        return;
    CHECK(chown(place->folder, NOBODY, NOBODY) == 0);
    CHECK(access(place->path, F_OK) != 0 || chown(place->path, NOBODY, NOBODY) == 0);
    CHECK(seteuid(NOBODY) == 0);
}

TEST(folder_that_may_not_be_written_to)
{
    struct place place;

    place_make(&place);
    become_nobody(&place);
    CHECK(chmod(place.folder, 0500) == 0);
    check_refused(place.path, AFAR_PERMISSION_DENIED, place.path);
    CHECK(chmod(place.folder, 0700) == 0);
    CHECK(geteuid() != NOBODY || seteuid(0) == 0);
    place_remove(&place);
}

TEST(file_that_may_not_be_written_to)
{
    struct place place;
    struct model model;
    afar__store *store;

    place_make(&place);
    store = open_new(&place, &model, 30, 5);
    commit_times(&model, store, 5);
    close_it(store);
    become_nobody(&place);
    CHECK(chmod(place.path, 0400) == 0);
    check_refused(place.path, AFAR_PERMISSION_DENIED, place.path);
    CHECK(chmod(place.path, 0600) == 0);
    store = open_ok(place.path);
    check_holds(store, &model);
    close_it(store);
    CHECK(geteuid() != NOBODY || seteuid(0) == 0);
    place_remove(&place);
}
