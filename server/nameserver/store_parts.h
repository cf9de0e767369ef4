#ifndef AFAR_NAMESERVER_STORE_PARTS_H
#define AFAR_NAMESERVER_STORE_PARTS_H

/* What the SQLite store is made of, beside SQLite's connection: its rows and its file. */

#include "server/nameserver/store.h"

struct sqlite3_stmt;

/* ---- rows: the order of values is that of the statements in store_sqlite.c ---- */

/* Whether something may be kept: it could be read again. */
bool
afar__row_lease_fits(const afar__stored_lease *lease);
bool
afar__row_name_fits(const afar__stored_name *name);

/* Fill in a statement; SQLite's result.  The bytes are borrowed until it has run and its
 * values are cleared. */
int
afar__row_put_lease(struct sqlite3_stmt *statement, const afar__stored_lease *lease);
int
afar__row_put_name(struct sqlite3_stmt *statement, const afar__stored_name *name);
int
afar__row_put_lease_key(struct sqlite3_stmt *statement, const uint8_t id[AFAR__LEASE_BYTES]);
int
afar__row_put_name_key(struct sqlite3_stmt *statement, const char *name);
int
afar__row_put_revision(struct sqlite3_stmt *statement, uint64_t revision);

/* Read the row that a statement stands on; false when it is not what was written. */
bool
afar__row_read_lease(struct sqlite3_stmt *row, afar__stored_lease *lease);
bool
afar__row_read_revision(struct sqlite3_stmt *row, uint64_t *ret_revision);

/* The name points into `record`, and both into the row: they live until the next step. */
bool
afar__row_read_name(struct sqlite3_stmt *row, afar__signed *record, afar__stored_name *name);

/* ---- the file ---- */

/* Makes an empty file that nobody else can read, unless there is a file. */
afar_code
afar__store_make_file(const char *path, afar_error *err);

/* Returns when the folder of a file, given by its whole path, is on the disk. */
afar_code
afar__store_flush_folder(const char *path, afar_error *err);

#endif
