/* Known names: a table in memory, and the file that it was read from.
 *
 * Invariants:
 * - The table is what the file held when it was last looked at; it is read again, whole,
 *   when its inode, size or time of change is another.  A file that cannot be read
 *   leaves the table as it was, and is read again next time.
 * - A name is added while the file is locked (flock), after it was read again, and by one
 *   write at its end: processes neither lose nor double lines.  The lock is on the file
 *   itself; if the file was replaced while we waited, the new one is locked.
 * - `lock` guards the table.  Nobody waits for another process while holding it.
 *
 * Any thread. */

#include "client/known.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/pins.h"
#include "runtime/clock.h"
#include "runtime/home.h"
#include "runtime/log.h"

#define MAX_FILE (64 << 20)
#define DATE_TEXT 11 /* YYYY-MM-DD and the 0 */
#define LOCK_PAUSE (2 * AFAR__MILLISECOND)

/* What the file was when it was read. */
struct look {
    bool there;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct afar__known {
    pthread_mutex_t lock; /* guards what follows */
    bool in_memory;
    char path[4096]; /* "": not known yet */
    struct look look;
    afar__pins pins;
};

/* ---- life ---- */

afar_code
afar__known_new(const char *path, afar__known **ret_known, afar_error *err)
{
    afar__known *known;

    if (path && strlen(path) >= sizeof known->path)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "the path of the known names is longer than %zu bytes",
                         sizeof known->path - 1);
    known = calloc(1, sizeof *known);
    if (!known)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for known names");
    pthread_mutex_init(&known->lock, NULL);
    known->in_memory = path && !*path;
    if (path)
        memcpy(known->path, path, strlen(path) + 1);
    *ret_known = known;
    return AFAR_OK;
}

void
afar__known_free(afar__known *known)
{
    if (!known)
        return;
    afar__pins_clear(&known->pins);
    pthread_mutex_destroy(&known->lock);
    free(known);
}

/* ---- reading ---- */

static afar_code
fail_file(const afar__known *known, const char *what, int error, afar_error *err)
{
    return afar_fail(err, AFAR_FAILED_PRECONDITION, "%s: cannot %s the known names: %s",
                     afar__path_tail(known->path, 120), what, strerror(error));
}

static afar_code
read_bytes(const afar__known *known, int fd, size_t room, char *text, size_t *ret_length,
           afar_error *err)
{
    size_t length = 0;

    while (length < room) {
        ssize_t n = pread(fd, text + length, room - length, (off_t)length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_file(known, "read", errno, err);
        if (n == 0)
            break;
        length += (size_t)n;
    }
    text[length] = 0;
    *ret_length = length;
    return AFAR_OK;
}

/* Whoever can write to it can send us to a server of theirs. */
static afar_code
check_owner(const afar__known *known, const struct stat *info, afar_error *err)
{
    const char *path = afar__path_tail(known->path, 190);

    if (!S_ISREG(info->st_mode))
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "%s: the known names are not in an ordinary file", path);
    if (info->st_uid != geteuid() && info->st_uid != 0)
        return afar_fail(err, AFAR_PERMISSION_DENIED, "%s: the known names are another user's file",
                         path);
    if (info->st_mode & (S_IWGRP | S_IWOTH))
        return afar_fail(err, AFAR_PERMISSION_DENIED,
                         "others may write to the known names; do: chmod go-w %s", path);
    if (info->st_size > MAX_FILE)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: more than %d MiB of known names", path,
                         MAX_FILE >> 20);
    return AFAR_OK;
}

static struct look
look_of(const struct stat *info)
{
    return (struct look){ true, info->st_dev, info->st_ino, info->st_size, info->st_mtim };
}

static bool
same_look(const struct look *a, const struct look *b)
{
    return a->there == b->there && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Reads the file that is open as `fd` unless it is as it was. */
static afar_code
read_open_locked(afar__known *known, int fd, afar_error *err)
{
    struct stat info;
    struct look look;
    size_t length = 0;
    char *text;
    afar_code code;

    if (fstat(fd, &info) < 0)
        return fail_file(known, "read", errno, err);
    code = check_owner(known, &info, err);
    if (code)
        return code;
    look = look_of(&info);
    if (same_look(&look, &known->look))
        return AFAR_OK;
    text = malloc((size_t)info.st_size + 1);
    if (!text)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for the known names");
    code = read_bytes(known, fd, (size_t)info.st_size, text, &length, err);
    if (!code)
        code = afar__pins_read(&known->pins, known->path, text, length, err);
    if (!code)
        known->look = look;
    free(text);
    return code;
}

/* No file: no names. */
static void
forget_locked(afar__known *known)
{
    afar__pins_clear(&known->pins);
    known->look = (struct look){ 0 };
}

/* Brings the table up to date; one look at the file if nothing was changed. */
static afar_code
refresh_locked(afar__known *known, afar_error *err)
{
    struct stat info;
    struct look look;
    afar_code code = AFAR_OK;
    int fd;

    if (!*known->path)
        code = afar__home_path("known_names", known->path, sizeof known->path, err);
    if (code) {
        *known->path = 0;
        return code;
    }
    if (stat(known->path, &info) == 0) {
        look = look_of(&info);
        if (same_look(&look, &known->look))
            return check_owner(known, &info, err);
    }
    fd = open(known->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        forget_locked(known);
        return AFAR_OK;
    }
    if (fd < 0)
        return fail_file(known, "read", errno, err);
    code = read_open_locked(known, fd, err);
    close(fd);
    return code;
}

/* ---- judging ---- */

static afar_code
fail_changed(const afar__known *known, const afar__pin *pin, const uint8_t *key, afar_error *err)
{
    const char *path = afar__path_tail(known->path, 60);
    char before[AFAR__KEY_TEXT], now[AFAR__KEY_TEXT];
    int room = 90 - (int)strlen(path);

    afar__key_print(pin->key, before);
    afar__key_print(key, now);
    if (known->in_memory)
        return afar_fail(err, AFAR_PERMISSION_DENIED,
                         "%.90s: its owner is %s, and was %s when this client first opened it",
                         pin->name, now, before);
    return afar_fail(err, AFAR_PERMISSION_DENIED,
                     "%.*s: owner %s, but %s in %s:%zu; remove that line if the owner has really "
                     "changed",
                     room, pin->name, now, before, path, pin->line);
}

/* AFAR_OK with *ret_new for a name that nobody has opened. */
static afar_code
judge_locked(const afar__known *known, const char *name, const uint8_t *key, bool *ret_new,
             afar_error *err)
{
    const afar__pin *pin = afar__pins_find(&known->pins, name);

    *ret_new = !pin;
    if (!pin || memcmp(pin->key, key, AFAR__PUBLIC_BYTES) == 0)
        return AFAR_OK;
    return fail_changed(known, pin, key, err);
}

/* ---- adding ---- */

/* flock knows no time limit, so it is tried again and again; the lock is held for
 * the time of a write. */
static afar_code
lock_file(const afar__known *known, int fd, afar_deadline deadline, afar_error *err)
{
    struct timespec pause = { 0, LOCK_PAUSE };

    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail_file(known, "lock", errno, err);
        if (afar__now() >= deadline.ns)
            return afar_fail(err, AFAR_DEADLINE_EXCEEDED,
                             "%s: another process kept the known names locked",
                             afar__path_tail(known->path, 120));
        nanosleep(&pause, NULL);
    }
    return AFAR_OK;
}

/* Opens and locks the file that has the name now. */
static afar_code
open_locked_file(const afar__known *known, afar_deadline deadline, int *ret_fd, afar_error *err)
{
    for (;;) {
        int fd = open(known->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600);
        struct stat mine, named;
        afar_code code;

        if (fd < 0)
            return fail_file(known, "write", errno, err);
        code = lock_file(known, fd, deadline, err);
        if (!code && fstat(fd, &mine) == 0 && stat(known->path, &named) == 0 &&
            mine.st_dev == named.st_dev && mine.st_ino == named.st_ino) {
            *ret_fd = fd;
            return AFAR_OK;
        }
        close(fd);
        if (code)
            return code;
    }
}

/* A line is there whole or not at all.  If somebody else has written too, without the
 * lock, the file is not what we know, and is read again next time. */
static afar_code
append(afar__known *known, int fd, const char *line, afar_error *err)
{
    size_t length = strlen(line);
    ssize_t n = write(fd, line, length);
    struct stat info;

    if (n == (ssize_t)length) {
        if (fstat(fd, &info) == 0 && info.st_size == known->look.size + n)
            known->look = look_of(&info);
        return AFAR_OK;
    }
    if (n > 0 && ftruncate(fd, known->look.size) < 0)
        return fail_file(known, "mend", errno, err);
    return fail_file(known, "write", n < 0 ? errno : ENOSPC, err);
}

static afar_code
write_pin_locked(afar__known *known, int fd, const char *name, const uint8_t *key, afar_error *err)
{
    char line[512], text[AFAR__KEY_TEXT], date[DATE_TEXT];
    time_t now = time(NULL);
    struct tm day;
    afar_code code;

    afar__key_print(key, text);
    gmtime_r(&now, &day);
    strftime(date, sizeof date, "%Y-%m-%d", &day);
    snprintf(line, sizeof line, "%s%s %s %s\n", known->pins.open_line ? "\n" : "", name, text,
             date);
    code = append(known, fd, line, err);
    if (code)
        return code;
    known->pins.lines++;
    known->pins.open_line = false;
    afar__log(AFAR_LOG_INFO, "%s: opened for the first time, its owner is %s (%s:%zu)", name, text,
              known->path, known->pins.lines);
    code = afar__pins_add(&known->pins, name, key, known->pins.lines, err);
    if (code)
        known->look.there = false; /* to be read again */
    return code;
}

/* The table may have been brought up to date by another thread since the file was
 * locked, but not with lines that came later. */
static afar_code
add(afar__known *known, const char *name, const uint8_t *key, afar_deadline deadline,
    afar_error *err)
{
    afar_code code;
    bool is_new;
    int fd = -1;

    code = open_locked_file(known, deadline, &fd, err);
    if (code)
        return code;
    pthread_mutex_lock(&known->lock);
    code = read_open_locked(known, fd, err);
    if (!code)
        code = judge_locked(known, name, key, &is_new, err);
    if (!code && is_new)
        code = write_pin_locked(known, fd, name, key, err);
    pthread_mutex_unlock(&known->lock);
    close(fd);
    return code;
}

afar_code
afar__known_check(afar__known *known, const char *name, const uint8_t key[AFAR__PUBLIC_BYTES],
                  afar_deadline deadline, afar_error *err)
{
    afar_code code = AFAR_OK;
    bool is_new = false;

    pthread_mutex_lock(&known->lock);
    if (!known->in_memory)
        code = refresh_locked(known, err);
    if (!code)
        code = judge_locked(known, name, key, &is_new, err);
    if (!code && is_new && known->in_memory)
        code = afar__pins_add(&known->pins, name, key, 0, err);
    pthread_mutex_unlock(&known->lock);
    if (!code && is_new && !known->in_memory)
        code = add(known, name, key, deadline, err);
    return code;
}
