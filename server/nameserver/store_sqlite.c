/* The names in a SQLite database.
 *
 * What always holds:
 *
 * - The file is empty or it is ours: the schema, its number, our application id and the
 *   first revision are made by one transaction.  A file of somebody else is looked at and
 *   not written to.
 * - A commit is one transaction in the write-ahead log, which is flushed before it returns
 *   (synchronous=FULL).  The last revision is part of it.
 * - The connection locks the file from its first look at it until it closes
 *   (locking_mode=EXCLUSIVE), so there is one name server for a file.  A second one finds
 *   the lock taken and is refused without waiting.  The index of the log is in memory:
 *   there is no third file, and a killed name server leaves no lock behind.
 * - What is damaged is found at the start: SQLite checks its pages, and store_row.c the
 *   rows.
 *
 * A path is never taken for one of SQLite's special names.  The thread that has the store
 * runs this; there is one at a time.
 */

#include "server/nameserver/store.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/nameserver/store_parts.h"

#define APPLICATION_ID 0x61666172 /* "afar" */
#define SCHEMA_VERSION 1

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    PUT_LEASE,
    PUT_NAME,
    REMOVE_NAME,
    END_LEASE,
    PUT_REVISION,
    READ_LEASES,
    READ_NAMES,
    READ_REVISION,
    STATEMENTS
};

static const char *const statement_texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PUT_LEASE] = "REPLACE INTO lease VALUES (?, ?, ?, ?, ?)",
    [PUT_NAME] = "REPLACE INTO name VALUES (?, ?, ?, ?, ?, ?, ?)",
    [REMOVE_NAME] = "DELETE FROM name WHERE name = ?",
    [END_LEASE] = "DELETE FROM lease WHERE id = ?",
    [PUT_REVISION] = "REPLACE INTO meta VALUES (1, ?, ?)",
    [READ_LEASES] = "SELECT id, key, instance, term_ms, sum FROM lease",
    [READ_NAMES] = "SELECT name, lease, revision, record, key, signature, sum FROM name",
    [READ_REVISION] = "SELECT revision, sum FROM meta WHERE id = 1",
};

static const char schema[] =
    "CREATE TABLE meta ("
    " id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, sum INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE lease ("
    " id BLOB NOT NULL PRIMARY KEY, key BLOB NOT NULL, instance BLOB,"
    " term_ms INTEGER NOT NULL, sum INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE name ("
    " name TEXT NOT NULL PRIMARY KEY, lease BLOB NOT NULL, revision INTEGER NOT NULL,"
    " record BLOB NOT NULL, key BLOB NOT NULL, signature BLOB NOT NULL, sum INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "PRAGMA application_id = 0x61666172;" /* APPLICATION_ID */
    "PRAGMA user_version = 1;";           /* SCHEMA_VERSION */

struct sqlite_store {
    afar__store store; /* first: this is one */
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
    int reason;  /* errno after the last step; 0 if nothing failed in it */
    char path[]; /* as SQLite is to take it: never empty, "file:..." or ":memory:" */
};

/* ---- failures ---- */

static afar_code
code_of(int result)
{
    switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return AFAR_FAILED_PRECONDITION;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
        return AFAR_RESOURCE_EXHAUSTED;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return AFAR_DATA_LOSS;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return AFAR_PERMISSION_DENIED;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return AFAR_UNAVAILABLE;
    default:
        return AFAR_INTERNAL;
    }
}

static afar_code
fail_damaged(struct sqlite_store *store, const char *why, afar_error *err)
{
    return afar_fail(err, AFAR_DATA_LOSS,
                     "\"%s\" is damaged: %s; take a copy of before, or move it away: servers that"
                     " run register again",
                     store->path, why);
}

/* The failure of the last thing that SQLite did, with the system's reason if there is one. */
static afar_code
fail_sqlite(struct sqlite_store *store, int result, const char *what, afar_error *err)
{
    const char *text = sqlite3_errmsg(store->database);
    int kind = result & 0xff;
    bool has_reason = kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN || kind == SQLITE_FULL;

    if (kind == SQLITE_CORRUPT)
        return fail_damaged(store, text, err);
    if (kind == SQLITE_BUSY)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "\"%s\" is in use by another process: a file is for one name server",
                         store->path);
    if (has_reason && store->reason != 0)
        return afar_fail(err, code_of(result), "cannot %s \"%s\": %s (%s)", what, store->path, text,
                         strerror(store->reason));
    return afar_fail(err, code_of(result), "cannot %s \"%s\": %s", what, store->path, text);
}

/* What SQLite cannot make sense of in a file, it calls an error like any other. */
static afar_code
fail_open(struct sqlite_store *store, int result, afar_error *err)
{
    if (result == SQLITE_ERROR)
        return fail_damaged(store, sqlite3_errmsg(store->database), err);
    return fail_sqlite(store, result, "open", err);
}

/* ---- statements ---- */

static int
step(struct sqlite_store *store, sqlite3_stmt *statement)
{
    int result;

    errno = 0;
    result = sqlite3_step(statement);
    store->reason = errno;
    return result;
}

/* Runs a statement that answers nothing, and makes it ready for the next time. */
static int
run(struct sqlite_store *store, enum statement which)
{
    sqlite3_stmt *statement = store->statements[which];
    int result = step(store, statement);

    sqlite3_reset(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static afar_code
execute(struct sqlite_store *store, const char *text, afar_error *err)
{
    int result;

    errno = 0;
    result = sqlite3_exec(store->database, text, NULL, NULL, NULL);
    store->reason = errno;
    return result == SQLITE_OK ? AFAR_OK : fail_open(store, result, err);
}

/* The value that a pragma answers, as text; "" for none.  It is run to its end: what it
 * changes is committed only there. */
static afar_code
ask(struct sqlite_store *store, const char *pragma, char *answer, size_t room, afar_error *err)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(store->database, pragma, -1, &statement, NULL);
    afar_code code;

    answer[0] = '\0';
    if (result == SQLITE_OK)
        result = step(store, statement);
    while (result == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);

        snprintf(answer, room, "%s", text ? text : "");
        result = step(store, statement);
    }
    code = result == SQLITE_DONE ? AFAR_OK : fail_open(store, result, err);
    sqlite3_finalize(statement);
    return code;
}

static afar_code
ask_number(struct sqlite_store *store, const char *pragma, int64_t *ret_number, afar_error *err)
{
    char answer[32];
    afar_code code = ask(store, pragma, answer, sizeof answer, err);

    if (code == AFAR_OK)
        *ret_number = strtoll(answer, NULL, 10);
    return code;
}

/* One that SQLite does not understand means that a table is not as we made it. */
static afar_code
prepare(struct sqlite_store *store, enum statement which, afar_error *err)
{
    int result = sqlite3_prepare_v3(store->database, statement_texts[which], -1,
                                    SQLITE_PREPARE_PERSISTENT, &store->statements[which], NULL);

    return result == SQLITE_OK ? AFAR_OK : fail_open(store, result, err);
}

static afar_code
prepare_all(struct sqlite_store *store, afar_error *err)
{
    afar_code code = AFAR_OK;

    for (int i = 0; i < STATEMENTS && code == AFAR_OK; i++)
        if (!store->statements[i])
            code = prepare(store, (enum statement)i, err);
    return code;
}

/* ---- writing ---- */

static int
put_values(sqlite3_stmt *statement, const afar__change *change)
{
    switch (change->kind) {
    case AFAR__CHANGE_LEASE:
        return afar__row_put_lease(statement, &change->lease);
    case AFAR__CHANGE_PUT:
        return afar__row_put_name(statement, &change->name);
    case AFAR__CHANGE_REMOVE:
        return afar__row_put_name_key(statement, change->name.name);
    case AFAR__CHANGE_END:
        return afar__row_put_lease_key(statement, change->lease.id);
    }
    return SQLITE_MISUSE;
}

static int
apply(struct sqlite_store *store, const afar__change *change)
{
    static const enum statement statements[] = {
        [AFAR__CHANGE_LEASE] = PUT_LEASE,
        [AFAR__CHANGE_PUT] = PUT_NAME,
        [AFAR__CHANGE_REMOVE] = REMOVE_NAME,
        [AFAR__CHANGE_END] = END_LEASE,
    };
    enum statement which = statements[change->kind];
    sqlite3_stmt *statement = store->statements[which];
    int result = put_values(statement, change);

    if (result == SQLITE_OK)
        result = run(store, which);
    sqlite3_clear_bindings(statement);
    return result;
}

static int
write_revision(struct sqlite_store *store, uint64_t revision)
{
    int result = afar__row_put_revision(store->statements[PUT_REVISION], revision);

    return result == SQLITE_OK ? run(store, PUT_REVISION) : result;
}

/* What could not be read again is not written: it would stop the next start. */
static afar_code
check_changes(const afar__change *changes, size_t count, uint64_t revision, afar_error *err)
{
    if (revision > INT64_MAX)
        return afar_fail(err, AFAR_INTERNAL, "the revision %" PRIu64 " is too high", revision);
    for (size_t i = 0; i < count; i++) {
        const afar__change *change = &changes[i];

        if (change->kind == AFAR__CHANGE_LEASE && !afar__row_lease_fits(&change->lease))
            return afar_fail(err, AFAR_INTERNAL, "a lease of %" PRIu32 " ms cannot be kept",
                             change->lease.term_ms);
        if (change->kind == AFAR__CHANGE_PUT &&
            (!afar__row_name_fits(&change->name) || change->name.revision > revision))
            return afar_fail(err, AFAR_INTERNAL,
                             "the name \"%.64s\" cannot be kept: its record, its signature or its"
                             " revision is not as it must be",
                             change->name.name);
    }
    return AFAR_OK;
}

/* Some failures end the transaction by themselves. */
static void
roll_back(struct sqlite_store *store)
{
    if (!sqlite3_get_autocommit(store->database))
        run(store, ROLLBACK);
}

static afar_code
commit(afar__store *base, const afar__change *changes, size_t count, uint64_t revision,
       afar_error *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    afar_code code = check_changes(changes, count, revision, err);
    int result;

    if (code != AFAR_OK)
        return code;
    result = run(store, BEGIN);
    for (size_t i = 0; i < count && result == SQLITE_OK; i++)
        result = apply(store, &changes[i]);
    if (result == SQLITE_OK)
        result = write_revision(store, revision);
    if (result == SQLITE_OK)
        result = run(store, COMMIT);
    if (result == SQLITE_OK)
        return AFAR_OK;
    code = fail_sqlite(store, result, "write to", err);
    roll_back(store);
    return code;
}

/* ---- reading ---- */

/* The end of a reading loop: all rows were read, or SQLite failed. */
static afar_code
end_rows(struct sqlite_store *store, int result, afar_error *err)
{
    return result == SQLITE_DONE ? AFAR_OK : fail_open(store, result, err);
}

static afar_code
load_revision(struct sqlite_store *store, uint64_t *ret_revision, afar_error *err)
{
    sqlite3_stmt *row = store->statements[READ_REVISION];
    int result = step(store, row);

    if (result != SQLITE_ROW && result != SQLITE_DONE)
        return end_rows(store, result, err);
    if (result == SQLITE_DONE || !afar__row_read_revision(row, ret_revision))
        return fail_damaged(store, "the last revision is not what was written", err);
    return AFAR_OK;
}

static afar_code
load_leases(struct sqlite_store *store, const afar__store_reader *reader, afar_error *err)
{
    sqlite3_stmt *row = store->statements[READ_LEASES];
    afar_code code = AFAR_OK;
    int result;

    while ((result = step(store, row)) == SQLITE_ROW && code == AFAR_OK) {
        afar__stored_lease lease;

        code = afar__row_read_lease(row, &lease)
                   ? reader->lease(reader->arg, &lease, err)
                   : fail_damaged(store, "a lease is not what was written", err);
    }
    return code != AFAR_OK ? code : end_rows(store, result, err);
}

static afar_code
load_names(struct sqlite_store *store, const afar__store_reader *reader, uint64_t revision,
           afar_error *err)
{
    sqlite3_stmt *row = store->statements[READ_NAMES];
    afar_code code = AFAR_OK;
    int result;

    while ((result = step(store, row)) == SQLITE_ROW && code == AFAR_OK) {
        afar__signed record;
        afar__stored_name name;

        code = afar__row_read_name(row, &record, &name) && name.revision <= revision
                   ? reader->name(reader->arg, &name, err)
                   : fail_damaged(store, "a name is not what was written", err);
    }
    return code != AFAR_OK ? code : end_rows(store, result, err);
}

static afar_code
load(afar__store *base, const afar__store_reader *reader, uint64_t *ret_revision, afar_error *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    uint64_t revision = 0;
    afar_code code = load_revision(store, &revision, err);

    if (code == AFAR_OK)
        code = load_leases(store, reader, err);
    if (code == AFAR_OK)
        code = load_names(store, reader, revision, err);
    sqlite3_reset(store->statements[READ_REVISION]);
    sqlite3_reset(store->statements[READ_LEASES]);
    sqlite3_reset(store->statements[READ_NAMES]);
    if (code == AFAR_OK)
        *ret_revision = revision;
    return code;
}

/* ---- opening ---- */

/* Closing writes the log back into the file, unless opening left that switched off. */
static void
close_store(afar__store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(store->statements[i]);
    sqlite3_close(store->database);
    free(store);
}

static const afar__store_ops sqlite_ops = {
    .load = load,
    .commit = commit,
    .close = close_store,
};

/* How this connection works.  The lock is taken with the first look at the file, which is
 * here: SQLite asks for the schema before it sets `synchronous`.  The log is not written
 * back at the end, until the file is known to be ours and whole. */
static afar_code
set_up(struct sqlite_store *store, afar_error *err)
{
    sqlite3_db_config(store->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return execute(store,
                   "PRAGMA locking_mode = EXCLUSIVE;"
                   "PRAGMA synchronous = FULL;"
                   "PRAGMA cell_size_check = ON;",
                   err);
}

/* Makes the tables of a new store, and its first revision: all or nothing. */
static afar_code
make_tables(struct sqlite_store *store, afar_error *err)
{
    afar_code code = execute(store, "BEGIN EXCLUSIVE", err);
    int result;

    if (code == AFAR_OK)
        code = execute(store, schema, err);
    if (code == AFAR_OK)
        code = prepare(store, PUT_REVISION, err);
    if (code != AFAR_OK)
        return code;
    result = write_revision(store, afar__store_first_revision());
    if (result != SQLITE_OK)
        return fail_open(store, result, err);
    return execute(store, "COMMIT", err);
}

/* Whether it is ours to use; an empty file becomes ours. */
static afar_code
identify(struct sqlite_store *store, afar_error *err)
{
    int64_t application = 0, version = 0, pages = 0;
    afar_code code = ask_number(store, "PRAGMA application_id", &application, err);

    if (code == AFAR_OK)
        code = ask_number(store, "PRAGMA user_version", &version, err);
    if (code == AFAR_OK)
        code = ask_number(store, "PRAGMA page_count", &pages, err);
    if (code != AFAR_OK)
        return code;
    if (pages == 0)
        return make_tables(store, err);
    if (application != APPLICATION_ID)
        return afar_fail(err, AFAR_DATA_LOSS,
                         "\"%s\" is a database, but not one of names: choose another file",
                         store->path);
    if (version > SCHEMA_VERSION)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "\"%s\" was made by a newer afar: its version is %" PRId64
                         ", and %d is the last one known here",
                         store->path, version, SCHEMA_VERSION);
    if (version < 1)
        return fail_damaged(store, "it has no version", err);
    return AFAR_OK;
}

static afar_code
check_pages(struct sqlite_store *store, afar_error *err)
{
    char answer[120];
    afar_code code = ask(store, "PRAGMA quick_check(1)", answer, sizeof answer, err);

    if (code != AFAR_OK || strcmp(answer, "ok") == 0)
        return code;
    return fail_damaged(store, answer, err);
}

/* From here on changes go to the log. */
static afar_code
start_log(struct sqlite_store *store, afar_error *err)
{
    char answer[16];
    afar_code code = ask(store, "PRAGMA journal_mode = WAL", answer, sizeof answer, err);

    if (code != AFAR_OK)
        return code;
    if (strcmp(answer, "wal") != 0)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "cannot write to \"%s\": SQLite makes no write-ahead log for it",
                         store->path);
    sqlite3_db_config(store->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    return AFAR_OK;
}

/* The file's entry in its folder is on the disk, and that its first journal is gone. */
static afar_code
flush(struct sqlite_store *store, afar_error *err)
{
    return afar__store_flush_folder(sqlite3_db_filename(store->database, "main"), err);
}

static afar_code
open_database(struct sqlite_store *store, afar_error *err)
{
    int result;

    errno = 0;
    result = sqlite3_open_v2(store->path, &store->database,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    store->reason = errno;
    if (!store->database)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory to open \"%s\"", store->path);
    if (result != SQLITE_OK)
        return fail_open(store, result, err);
    if (sqlite3_db_readonly(store->database, "main") != 0)
        return afar_fail(err, AFAR_PERMISSION_DENIED, "cannot write to \"%s\": permission denied",
                         store->path);
    return AFAR_OK;
}

afar_code
afar__store_open_sqlite(const char *path, afar__store **ret_store, afar_error *err)
{
    static afar_code (*const steps[])(struct sqlite_store *, afar_error *) = {
        open_database, set_up, identify, check_pages, prepare_all, start_log, flush,
    };
    /* SQLite takes "file:..." and ":memory:" for something else than paths. */
    const char *here = path[0] == '/' || path[0] == '.' ? "" : "./";
    size_t room = strlen(here) + strlen(path) + 1;
    struct sqlite_store *store = calloc(1, sizeof *store + room);
    afar_code code;

    if (!store)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory to open \"%s\"", path);
    store->store.ops = &sqlite_ops;
    snprintf(store->path, room, "%s%s", here, path);
    code = afar__store_make_file(path, err);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && code == AFAR_OK; i++)
        code = steps[i](store, err);
    if (code != AFAR_OK) {
        close_store(&store->store);
        return code;
    }
    *ret_store = &store->store;
    return AFAR_OK;
}
