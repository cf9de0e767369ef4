/* A disk in memory, as a SQLite VFS.
 *
 * `now` is what the program sees.  `settled` with all of `history` is the same, as long as
 * it is recorded.  After a power failure at some place in the history a file is: all its
 * changes up to its last flush, and of those after it what the kind of loss says.  A file
 * that is deleted is gone for good once the folder was flushed; until then it may come
 * back, with what it had.
 *
 * Locks are not needed: one connection at a time.  There is no shared memory, so a log
 * works only for a connection that has the file for itself.
 */

#include "store_disk.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define SECTOR 512
#define FILES 3

enum change_kind { CREATE, WRITE, TRUNCATE, DELETE, FLUSH, FLUSH_FOLDER };

struct image {
    uint8_t *bytes;
    size_t length, room;
    bool exists;
};

struct change {
    enum change_kind kind;
    int file;
    size_t offset, length;
    uint8_t *bytes;
};

struct handle {
    sqlite3_file base;
    int file;
};

static struct {
    sqlite3_vfs vfs, *usual;
    struct image now[FILES], settled[FILES];
    struct change *history;
    size_t count, room;
    bool recording, flushing;
    disk_failure failure;
    int left; /* operations until it fails; below 0: nothing fails */
    bool for_good, failed;
} disk;

/* ---- images ---- */

static void
set_length(struct image *image, size_t length)
{
    if (length > image->room) {
        image->room = length * 2;
        image->bytes = realloc(image->bytes, image->room);
        CHECK(image->bytes != NULL);
    }
    if (length > image->length)
        memset(image->bytes + image->length, 0, length - image->length);
    image->length = length;
}

static void
write_image(struct image *image, size_t offset, const uint8_t *bytes, size_t length)
{
    if (length == 0)
        return;
    if (image->length < offset + length)
        set_length(image, offset + length);
    memcpy(image->bytes + offset, bytes, length);
    image->exists = true;
}

static void
copy_image(struct image *to, const struct image *from)
{
    to->length = 0;
    to->exists = from->exists;
    write_image(to, 0, from->bytes, from->length);
    to->exists = from->exists;
}

static void
apply(struct image *image, const struct change *change)
{
    switch (change->kind) {
    case CREATE:
        image->exists = true;
        break;
    case WRITE:
        write_image(image, change->offset, change->bytes, change->length);
        break;
    case TRUNCATE:
        set_length(image, change->length);
        break;
    case DELETE:
        image->exists = false;
        image->length = 0;
        break;
    case FLUSH:
    case FLUSH_FOLDER:
        break;
    }
}

/* ---- history ---- */

static void
record(enum change_kind kind, int file, const void *bytes, size_t offset, size_t length)
{
    struct change change = { .kind = kind, .file = file, .offset = offset, .length = length };

    if (bytes) {
        change.bytes = malloc(length);
        CHECK(change.bytes != NULL);
        memcpy(change.bytes, bytes, length);
    }
    if (file >= 0)
        apply(&disk.now[file], &change);
    if (!disk.recording) {
        free(change.bytes);
        return;
    }
    if (disk.count == disk.room) {
        disk.room = disk.room ? disk.room * 2 : 256;
        disk.history = realloc(disk.history, disk.room * sizeof disk.history[0]);
        CHECK(disk.history != NULL);
    }
    disk.history[disk.count++] = change;
}

static void
forget_history(void)
{
    for (size_t i = 0; i < disk.count; i++)
        free(disk.history[i].bytes);
    disk.count = 0;
}

size_t
disk_position(void)
{
    return disk.count;
}

bool
disk_wrote_back(void)
{
    for (size_t i = 0; i < disk.count; i++)
        if (disk.history[i].file == 0 && disk.history[i].kind == WRITE)
            return true;
    return false;
}

void
disk_settle(void)
{
    for (int i = 0; i < FILES; i++)
        copy_image(&disk.settled[i], &disk.now[i]);
    forget_history();
}

void
disk_stop_flushing(void)
{
    disk.flushing = false;
}

void
disk_flush_folder(void)
{
    if (disk.flushing)
        record(FLUSH_FOLDER, -1, NULL, 0, 0);
}

/* ---- losing power ---- */

/* The number of changes at the beginning that are surely on the disk for a file. */
static size_t
flushed_until(int file, size_t position)
{
    size_t until = 0, deleted = 0;

    for (size_t i = 0; i < position; i++) {
        const struct change *change = &disk.history[i];

        if (change->file == file && change->kind == FLUSH)
            until = i + 1;
        else if (change->file == file && change->kind == DELETE)
            deleted = i + 1;
        else if (change->kind == FLUSH_FOLDER && deleted > until)
            until = deleted;
    }
    return until;
}

static bool
toss(uint32_t seed, size_t change, size_t sector)
{
    uint64_t value = (seed * UINT64_C(1000003) + change) * UINT64_C(1000003) + sector;

    value = (value ^ value >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return value >> 40 & 1;
}

/* False: nothing that comes later can be there either. */
static bool
tear(struct image *image, size_t place, uint32_t seed)
{
    const struct change *change = &disk.history[place];

    if (change->kind != WRITE) {
        bool kept = toss(seed, place, 0);

        if (kept)
            apply(image, change);
        return kept || change->kind != DELETE;
    }
    for (size_t offset = 0; offset < change->length; offset += SECTOR) {
        size_t rest = change->length - offset;

        if (toss(seed, place, offset))
            write_image(image, change->offset + offset, change->bytes + offset,
                        rest < SECTOR ? rest : SECTOR);
    }
    return true;
}

static void
rebuild(int file, size_t position, disk_loss loss, uint32_t seed)
{
    struct image *image = &disk.now[file];
    size_t until = flushed_until(file, position);

    copy_image(image, &disk.settled[file]);
    for (size_t i = 0; i < position; i++) {
        if (disk.history[i].file != file)
            continue;
        if (i < until || loss == DISK_KEEP)
            apply(image, &disk.history[i]);
        else if (loss == DISK_DROP || !tear(image, i, seed))
            return;
    }
}

void
disk_lose_power(size_t position, disk_loss loss, uint32_t seed)
{
    disk.recording = false;
    for (int i = 0; i < FILES; i++)
        rebuild(i, position, loss, seed);
}

/* ---- failing ---- */

void
disk_fail(disk_failure failure, int after, bool for_good)
{
    disk.failure = failure;
    disk.left = after;
    disk.for_good = for_good;
    disk.failed = false;
}

bool
disk_mend(void)
{
    disk.left = -1;
    return disk.failed;
}

static bool
fails(disk_failure failure)
{
    if (failure != disk.failure || disk.left < 0)
        return false;
    if (disk.left > 0) {
        disk.left--;
        return false;
    }
    if (!disk.for_good)
        disk.left = -1;
    disk.failed = true;
    return true;
}

/* ---- files, as SQLite wants them ---- */

static int
file_of(sqlite3_file *base)
{
    return ((struct handle *)base)->file;
}

static int
close_file(sqlite3_file *base)
{
    (void)base;
    return SQLITE_OK;
}

static int
read_file(sqlite3_file *base, void *bytes, int length, sqlite3_int64 offset)
{
    const struct image *image = &disk.now[file_of(base)];
    size_t wanted = (size_t)length, from = (size_t)offset;
    size_t there = from < image->length ? image->length - from : 0;

    if (fails(DISK_BAD_READ))
        return SQLITE_IOERR_READ;
    if (there > wanted)
        there = wanted;
    if (there > 0)
        memcpy(bytes, image->bytes + from, there);
    memset((uint8_t *)bytes + there, 0, wanted - there);
    return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

/* A write for which there is no room is done in half. */
static int
write_file(sqlite3_file *base, const void *bytes, int length, sqlite3_int64 offset)
{
    size_t written = (size_t)length;
    int result = SQLITE_OK;

    if (fails(DISK_FULL)) {
        written /= 2;
        result = SQLITE_FULL;
    } else if (fails(DISK_BAD_WRITE)) {
        written /= 2;
        result = SQLITE_IOERR_WRITE;
    }
    record(WRITE, file_of(base), bytes, (size_t)offset, written);
    return result;
}

static int
truncate_file(sqlite3_file *base, sqlite3_int64 length)
{
    if (fails(DISK_BAD_WRITE))
        return SQLITE_IOERR_TRUNCATE;
    record(TRUNCATE, file_of(base), NULL, 0, (size_t)length);
    return SQLITE_OK;
}

static int
flush_file(sqlite3_file *base, int flags)
{
    (void)flags;
    if (fails(DISK_BAD_FLUSH))
        return SQLITE_IOERR_FSYNC;
    if (disk.flushing)
        record(FLUSH, file_of(base), NULL, 0, 0);
    return SQLITE_OK;
}

static int
length_of_file(sqlite3_file *base, sqlite3_int64 *ret_length)
{
    *ret_length = (sqlite3_int64)disk.now[file_of(base)].length;
    return SQLITE_OK;
}

static int
lock_file(sqlite3_file *base, int level)
{
    (void)base;
    (void)level;
    return SQLITE_OK;
}

static int
is_reserved(sqlite3_file *base, int *ret_reserved)
{
    (void)base;
    *ret_reserved = 0;
    return SQLITE_OK;
}

static int
control_file(sqlite3_file *base, int operation, void *arg)
{
    (void)base;
    (void)operation;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int
sector_size(sqlite3_file *base)
{
    (void)base;
    return 4096;
}

/* As SQLite's own: bytes beside those that are written are safe. */
static int
traits_of_file(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 1,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = flush_file,
    .xFileSize = length_of_file,
    .xLock = lock_file,
    .xUnlock = lock_file,
    .xCheckReservedLock = is_reserved,
    .xFileControl = control_file,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = traits_of_file,
};

/* ---- the folder ---- */

static int
file_named(const char *path)
{
    const char *name = strrchr(path, '/');

    if (strstr(name, "-journal"))
        return 2;
    return strstr(name, "-wal") ? 1 : 0;
}

static int
open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *ret_flags)
{
    struct handle *handle = (struct handle *)base;

    (void)vfs;
    handle->base.pMethods = NULL;
    if (!path || fails(DISK_BAD_WRITE))
        return SQLITE_CANTOPEN;
    handle->file = file_named(path);
    if (!disk.now[handle->file].exists) {
        if (!(flags & SQLITE_OPEN_CREATE) && handle->file != 0)
            return SQLITE_CANTOPEN;
        record(CREATE, handle->file, NULL, 0, 0);
    }
    handle->base.pMethods = &file_methods;
    if (ret_flags)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int
delete_file(sqlite3_vfs *vfs, const char *path, int flush_folder)
{
    (void)vfs;
    if (fails(DISK_BAD_WRITE))
        return SQLITE_IOERR_DELETE;
    if (!disk.now[file_named(path)].exists)
        return SQLITE_IOERR_DELETE_NOENT;
    record(DELETE, file_named(path), NULL, 0, 0);
    if (flush_folder)
        disk_flush_folder();
    return SQLITE_OK;
}

/* SQLite's own takes an empty file for none here as well. */
static int
access_file(sqlite3_vfs *vfs, const char *path, int flags, int *ret_there)
{
    const struct image *image = &disk.now[file_named(path)];

    (void)vfs;
    *ret_there = image->exists && (flags != SQLITE_ACCESS_EXISTS || image->length > 0);
    return SQLITE_OK;
}

void
disk_start(void)
{
    memset(&disk, 0, sizeof disk);
    disk.usual = sqlite3_vfs_find(NULL);
    disk.recording = disk.flushing = true;
    disk.left = -1;
    disk.vfs = *disk.usual; /* the clock, paths, and chance */
    disk.vfs.zName = "disk in memory";
    disk.vfs.szOsFile = sizeof(struct handle);
    disk.vfs.xOpen = open_file;
    disk.vfs.xDelete = delete_file;
    disk.vfs.xAccess = access_file;
    CHECK_INT(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

void
disk_stop(void)
{
    CHECK_INT(sqlite3_vfs_unregister(&disk.vfs), SQLITE_OK);
    CHECK_INT(sqlite3_vfs_register(disk.usual, 1), SQLITE_OK);
    forget_history();
    free(disk.history);
    for (int i = 0; i < FILES; i++) {
        free(disk.now[i].bytes);
        free(disk.settled[i].bytes);
    }
}
