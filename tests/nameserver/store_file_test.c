/* Files that are not as a store left them: of somebody else, of another version, damaged.
 * Nothing of it crashes, and nothing is loaded that was not committed. */

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "store_model.h"

/* ---- files as bytes ---- */

struct image {
    uint8_t *bytes;
    size_t length;
};

static struct image
read_image(const char *path)
{
    struct image image = { NULL, 0 };
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0 && fstat(fd, &status) == 0);
    image.length = (size_t)status.st_size;
    image.bytes = malloc(image.length + 1);
    CHECK(image.bytes != NULL);
    CHECK_INT(read(fd, image.bytes, image.length), image.length);
    close(fd);
    return image;
}

static void
write_image(const char *path, const uint8_t *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, length), length);
    CHECK(close(fd) == 0);
}

static void
check_untouched(const char *path, const struct image *before)
{
    struct image now = read_image(path);

    CHECK_INT(now.length, before->length);
    CHECK(memcmp(now.bytes, before->bytes, now.length) == 0);
    free(now.bytes);
}

static void
wal_of(const struct place *place, char *path, size_t room)
{
    snprintf(path, room, "%s-wal", place->path);
}

/* Runs SQL on a file behind the store's back. */
static void
run_sql(const char *path, const char *text)
{
    sqlite3 *database = NULL;
    char *message = NULL;

    CHECK_INT(sqlite3_open(path, &database), SQLITE_OK);
    if (sqlite3_exec(database, text, NULL, NULL, &message) != SQLITE_OK)
        check_fail(__FILE__, __LINE__, "%s: %s", text, message);
    CHECK_INT(sqlite3_close(database), SQLITE_OK);
}

static afar__store *
open_ok(const char *path)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__store *store = NULL;

    CHECK_OK(afar__store_open(path, &store, &err));
    return store;
}

/* A closed store with some commits in it. */
static void
make_store(const struct place *place, struct model *model, uint32_t commits)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__store *store = open_ok(place->path);

    model_init(model, model_revision(store), 30, 5);
    while (model->step < commits)
        CHECK_OK(model_commit(model, store, &err));
    store->ops->close(store);
}

static void
check_refused(const char *path, afar_code code, const char *text)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__store *store = NULL;

    CHECK_FAILS(afar__store_open(path, &store, &err), code);
    if (!strstr(err.message, path) || !strstr(err.message, text))
        check_fail(__FILE__, __LINE__, "the message is \"%s\", without \"%s\"", err.message, text);
    afar_error_clear(&err);
}

/* ---- of somebody else ---- */

TEST(other_files_are_left_alone)
{
    static const char *const contents[] = {
        "x",
        "Dear diary, today I went to the sea.\n",
        "SQLite format 3",
    };
    struct place place;

    place_make(&place);
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        struct image before;

        write_image(place.path, (const uint8_t *)contents[i], strlen(contents[i]));
        before = read_image(place.path);
        check_refused(place.path, AFAR_DATA_LOSS, "not a database");
        check_untouched(place.path, &before);
        free(before.bytes);
    }
    place_remove(&place);
}

TEST(long_file_of_noise_is_left_alone)
{
    struct place place;
    struct image before;
    uint8_t *noise = malloc(100000);

    CHECK(noise != NULL);
    for (uint32_t i = 0; i < 100000; i++)
        noise[i] = (uint8_t)(i * UINT32_C(2654435761) >> 24);
    place_make(&place);
    write_image(place.path, noise, 100000);
    before = read_image(place.path);
    check_refused(place.path, AFAR_DATA_LOSS, "not a database");
    check_untouched(place.path, &before);
    free(before.bytes);
    free(noise);
    place_remove(&place);
}

TEST(other_database_is_left_alone)
{
    struct place place;
    struct image before;

    place_make(&place);
    run_sql(place.path, "CREATE TABLE song (title TEXT); INSERT INTO song VALUES ('Ja');");
    before = read_image(place.path);
    check_refused(place.path, AFAR_DATA_LOSS, "not one of names");
    check_untouched(place.path, &before);
    free(before.bytes);
    place_remove(&place);
}

/* Also what is only in its log: neither file changes. */
TEST(other_database_with_a_log_is_left_alone)
{
    struct place place;
    struct image before, log;
    sqlite3 *database = NULL;
    char other[64], wal[80], path[80];

    place_make(&place);
    snprintf(other, sizeof other, "%s/other.db", place.folder);
    CHECK_INT(sqlite3_open(other, &database), SQLITE_OK);
    CHECK_INT(sqlite3_exec(database,
                           "PRAGMA journal_mode = WAL; CREATE TABLE song (title TEXT);"
                           "INSERT INTO song VALUES ('Ja');",
                           NULL, NULL, NULL),
              SQLITE_OK);
    snprintf(path, sizeof path, "%s-wal", other);
    wal_of(&place, wal, sizeof wal);
    before = read_image(other);
    log = read_image(path);
    CHECK(log.length > 0);
    CHECK_INT(sqlite3_close(database), SQLITE_OK);
    write_image(place.path, before.bytes, before.length);
    write_image(wal, log.bytes, log.length);

    check_refused(place.path, AFAR_DATA_LOSS, "not one of names");
    check_untouched(place.path, &before);
    check_untouched(wal, &log);
    free(before.bytes);
    free(log.bytes);
    place_remove(&place);
}

TEST(database_in_use_by_another_program_is_refused)
{
    struct place place;
    sqlite3 *database = NULL;

    place_make(&place);
    CHECK_INT(sqlite3_open(place.path, &database), SQLITE_OK);
    CHECK_INT(sqlite3_exec(database,
                           "PRAGMA journal_mode = WAL; CREATE TABLE song (title TEXT);"
                           "BEGIN IMMEDIATE;",
                           NULL, NULL, NULL),
              SQLITE_OK);
    check_refused(place.path, AFAR_FAILED_PRECONDITION, "in use");
    CHECK_INT(sqlite3_close(database), SQLITE_OK);
    place_remove(&place);
}

TEST(empty_file_becomes_a_store)
{
    struct place place;
    struct model model;

    place_make(&place);
    write_image(place.path, NULL, 0);
    make_store(&place, &model, 5);
    place_remove(&place);
}

/* ---- of another version ---- */

TEST(store_of_a_newer_afar_is_left_alone)
{
    struct place place;
    struct model model;
    struct image before;
    afar__store *store;
    const char *difference = NULL;
    afar_error err = AFAR_ERROR_INIT;

    place_make(&place);
    make_store(&place, &model, 10);
    run_sql(place.path, "PRAGMA user_version = 2; CREATE TABLE shoe (size INTEGER)");
    before = read_image(place.path);
    check_refused(place.path, AFAR_FAILED_PRECONDITION, "newer afar");
    check_untouched(place.path, &before);
    free(before.bytes);

    run_sql(place.path, "PRAGMA user_version = 1");
    store = open_ok(place.path);
    CHECK_OK(model_compare(&model, store, &difference, &err));
    CHECK_STR(difference, NULL);
    store->ops->close(store);
    place_remove(&place);
}

/* ---- damaged ---- */

/* Opens and loads what may be damaged.  True if it was noticed; if not, the store must
 * hold what the model says, or what it said after an earlier commit. */
static bool
notices(const char *path, const struct model *model, bool or_earlier, size_t where)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__store *store = NULL;
    const char *difference = NULL;
    struct model expected = *model;
    afar_code code = afar__store_open(path, &store, &err);

    if (code == AFAR_OK) {
        code = model_compare(model, store, &difference, &err);
        if (code == AFAR_OK && difference && or_earlier) {
            uint64_t revision = model_revision(store);

            CHECK(revision >= model->first && revision <= model->first + model->step);
            model_go_to(&expected, (uint32_t)(revision - model->first));
            CHECK_OK(model_compare(&expected, store, &difference, &err));
        }
        store->ops->close(store);
    }
    if (difference)
        check_fail(__FILE__, __LINE__, "at %zu: loaded %s", where, difference);
    if (code != AFAR_OK && code != AFAR_DATA_LOSS &&
        (code != AFAR_FAILED_PRECONDITION || !strstr(err.message, "newer afar")))
        check_fail(__FILE__, __LINE__, "at %zu: %s: %s", where, afar_code_name(code), err.message);
    CHECK(code == AFAR_OK || strstr(err.message, path));
    afar_error_clear(&err);
    return code != AFAR_OK;
}

TEST(flipped_bytes_are_noticed_or_do_not_matter)
{
    struct place place;
    struct model model;
    struct image good;
    char wal[80];
    int noticed = 0, tried = 0;

    place_make(&place);
    wal_of(&place, wal, sizeof wal);
    make_store(&place, &model, 20);
    good = read_image(place.path);
    for (size_t i = 0; i < good.length; i += i < 200 ? 1 : 97) {
        uint8_t was = good.bytes[i];

        good.bytes[i] ^= (uint8_t)(1 << i % 8);
        write_image(place.path, good.bytes, good.length);
        good.bytes[i] = was;
        noticed += notices(place.path, &model, false, i);
        unlink(wal);
        tried++;
    }
    CHECK(noticed > tried / 4);
    free(good.bytes);
    place_remove(&place);
}

TEST(file_that_is_too_short_is_noticed)
{
    struct place place;
    struct model model;
    struct image good;
    char wal[80];

    place_make(&place);
    wal_of(&place, wal, sizeof wal);
    make_store(&place, &model, 20);
    good = read_image(place.path);
    for (size_t length = 1; length < good.length; length += length < 200 ? 7 : 331) {
        write_image(place.path, good.bytes, length);
        if (!notices(place.path, &model, false, length))
            check_fail(__FILE__, __LINE__, "%zu of %zu bytes are taken for all", length,
                       good.length);
        unlink(wal);
    }
    free(good.bytes);
    place_remove(&place);
}

/* The store as a killed process leaves it, and its log cut or changed somewhere: what
 * remains is what some commits made, the later ones missing. */
TEST(damaged_log_loses_whole_commits_at_its_end)
{
    afar_error err = AFAR_ERROR_INIT;
    struct place place;
    struct model model;
    struct image good, log;
    afar__store *store;
    char wal[80];

    place_make(&place);
    wal_of(&place, wal, sizeof wal);
    make_store(&place, &model, 3);
    store = open_ok(place.path);
    while (model.step < 15)
        CHECK_OK(model_commit(&model, store, &err));
    good = read_image(place.path);
    log = read_image(wal);
    store->ops->close(store);
    for (size_t i = 0; i < log.length; i += i < 100 ? 3 : 1021) {
        write_image(place.path, good.bytes, good.length);
        write_image(wal, log.bytes, i);
        CHECK(!notices(place.path, &model, true, i));

        log.bytes[i] ^= 0x10;
        write_image(place.path, good.bytes, good.length);
        write_image(wal, log.bytes, log.length);
        log.bytes[i] ^= 0x10;
        CHECK(!notices(place.path, &model, true, i));
    }
    free(good.bytes);
    free(log.bytes);
    place_remove(&place);
}

/* Values that SQLite finds in order and that nobody committed. */
TEST(changed_values_are_noticed)
{
    static const char *const changes[] = {
        "UPDATE meta SET revision = revision + 1",
        "UPDATE meta SET revision = revision - 1",
        "UPDATE meta SET revision = -1",
        "DELETE FROM meta",
        "UPDATE lease SET id = zeroblob(16) WHERE id = (SELECT min(id) FROM lease)",
        "UPDATE lease SET id = substr(id, 1, 15)",
        "UPDATE lease SET key = CAST(key || x'00' AS BLOB)",
        "UPDATE lease SET key = zeroblob(32)",
        "UPDATE lease SET instance = zeroblob(16)",
        "UPDATE lease SET instance = x''",
        "UPDATE lease SET instance = NULL",
        "UPDATE lease SET term_ms = term_ms + 1",
        "UPDATE lease SET term_ms = -5",
        "UPDATE lease SET term_ms = 0",
        "UPDATE lease SET term_ms = 4294967296 + term_ms",
        "UPDATE name SET name = name || 'x'",
        "UPDATE name SET name = CAST(name || x'00' AS TEXT)",
        "UPDATE name SET name = '' WHERE name = (SELECT min(name) FROM name)",
        "UPDATE name SET name = replace(hex(zeroblob(500)), '0', 'a') || name",
        "UPDATE name SET lease = zeroblob(16)",
        "UPDATE name SET lease = x''",
        "UPDATE name SET revision = revision - 1",
        "UPDATE name SET revision = revision + 1000000000",
        "UPDATE name SET record = x''",
        "UPDATE name SET record = zeroblob(8193)",
        "UPDATE name SET record = zeroblob(length(record))",
        "UPDATE name SET key = x'00'",
        "UPDATE name SET key = zeroblob(32)",
        "UPDATE name SET signature = zeroblob(65)",
        "UPDATE name SET signature = zeroblob(64)",
        "UPDATE name SET sum = sum + 1",
        "DROP TABLE name",
        "ALTER TABLE lease RENAME COLUMN key TO owner",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = -1",
        "PRAGMA application_id = 0",
    };
    struct place place;
    struct model model;
    struct image good;

    place_make(&place);
    make_store(&place, &model, 20);
    good = read_image(place.path);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        write_image(place.path, good.bytes, good.length);
        CHECK(!notices(place.path, &model, false, i));
        run_sql(place.path, changes[i]);
        if (!notices(place.path, &model, false, i))
            check_fail(__FILE__, __LINE__, "not noticed: %s", changes[i]);
    }
    free(good.bytes);
    place_remove(&place);
}
