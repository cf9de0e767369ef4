/* Key files.
 *
 * A key file is one line of text,
 *
 *     afar-key-1 ed25519 SEED PUBLIC
 *
 * where SEED and PUBLIC are 32 bytes each, in base64url without padding, and PUBLIC is
 * what SEED makes: a file in which one of them was changed is damaged.  Nothing else is
 * in it, and nothing is read that is not just that.
 *
 * A file is looked at through the descriptor it is read from, so that what was checked is
 * what is read.  A new one is written under another name in the same folder, brought to
 * the disk, and only then linked to its own name, which fails if there is one already.  So
 * others see it whole or not at all, and of several that make one at a time one wins.
 *
 * Secrets are in memory of afar__secure_alloc only, also while they are text.
 *
 * Any thread.
 */

#include "runtime/key.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/home.h"

#define WORDS "afar-key-1 ed25519 "
#define WORDS_LENGTH (sizeof WORDS - 1)
#define KEY_LENGTH (AFAR__KEY_TEXT - 1)
#define LINE_LENGTH (WORDS_LENGTH + KEY_LENGTH + 1 + KEY_LENGTH + 1)

/* How often the key may go and come while load_or_create looks. */
#define TRIES 10

static afar_code
fail_errno(const char *what, const char *path, int error, afar_error *err)
{
    afar_code code = AFAR_FAILED_PRECONDITION;

    if (error == EACCES || error == EPERM || error == EROFS)
        code = AFAR_PERMISSION_DENIED;
    else if (error == ENOSPC || error == EDQUOT || error == ENOMEM || error == EMFILE ||
             error == ENFILE || error == EFBIG)
        code = AFAR_RESOURCE_EXHAUSTED;
    return afar_fail(err, code, "cannot %s the key %s: %s", what, path, strerror(error));
}

static afar_code
fail_memory(afar_error *err)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a key");
}

/* `path`, or the default one, which is written to `buffer`. */
static afar_code
resolve(const char *path, char buffer[PATH_MAX], const char **ret_path, afar_error *err)
{
    afar_code code = afar__secure_start(err);

    if (!code && !path) {
        code = afar__home_path("key", buffer, PATH_MAX, err);
        path = buffer;
    }
    if (!code)
        *ret_path = path;
    return code;
}

/* NULL when memory is out. */
static afar_key *
make_key(const uint8_t seed[AFAR__SEED_BYTES])
{
    afar_key *key = afar__secure_alloc(sizeof *key);

    if (key) {
        afar__secure_pair(seed, key->public, key->secret);
        afar__key_print(key->public, key->text);
    }
    return key;
}

afar_code
afar__key_from_seed(const uint8_t seed[AFAR__SEED_BYTES], afar_key **ret_key, afar_error *err)
{
    afar_key *key = make_key(seed);

    if (!key)
        return fail_memory(err);
    *ret_key = key;
    return AFAR_OK;
}

/* ---- lines ---- */

/* What a line is taken apart into and put together from; secret memory. */
struct line {
    char text[LINE_LENGTH + 1]; /* one more, so that a longer file shows */
    uint8_t seed[AFAR__SEED_BYTES];
};

static void
write_line(struct line *line, const afar_key *key)
{
    char *at = line->text;

    memcpy(at, WORDS, WORDS_LENGTH);
    at += WORDS_LENGTH;
    afar__key_print(line->seed, at);
    at += KEY_LENGTH;
    *at++ = ' ';
    memcpy(at, key->text, KEY_LENGTH);
    at += KEY_LENGTH;
    *at = '\n';
}

/* Whether `length` bytes of text are a line; its parts. */
static bool
read_line(struct line *line, size_t length, uint8_t public[AFAR__PUBLIC_BYTES])
{
    const char *seed = line->text + WORDS_LENGTH;
    const char *key = seed + KEY_LENGTH + 1;

    return length == LINE_LENGTH && memcmp(line->text, WORDS, WORDS_LENGTH) == 0 &&
           seed[KEY_LENGTH] == ' ' && key[KEY_LENGTH] == '\n' &&
           afar__key_parse(seed, KEY_LENGTH, line->seed) &&
           afar__key_parse(key, KEY_LENGTH, public);
}

/* ---- loading ---- */

/* Whether this is a file that only we can have written. */
static afar_code
check_file(int fd, const char *path, afar_error *err)
{
    struct stat info;

    if (fstat(fd, &info) != 0)
        return fail_errno("look at", path, errno, err);
    if (!S_ISREG(info.st_mode))
        return afar_fail(err, AFAR_PERMISSION_DENIED,
                         "a key must be an ordinary file, and this is none; remove it with: "
                         "rm %s",
                         path);
    if (info.st_uid != geteuid())
        return afar_fail(err, AFAR_PERMISSION_DENIED,
                         "the key is user %u's, not yours; name another, or: chown %u %s",
                         (unsigned)info.st_uid, (unsigned)geteuid(), path);
    if (info.st_mode & (S_IRWXG | S_IRWXO))
        return afar_fail(err, AFAR_PERMISSION_DENIED,
                         "others than its owner may use the key (mode %04o); mend it with: "
                         "chmod 600 %s",
                         (unsigned)info.st_mode & 07777, path);
    return AFAR_OK;
}

static afar_code
fail_open(const char *path, int error, afar_error *err)
{
    if (error == ENOENT || error == ENOTDIR)
        return afar_fail(err, AFAR_NOT_FOUND, "there is no key %s; make one with: afar key new",
                         path);
    if (error == ELOOP)
        return afar_fail(err, AFAR_PERMISSION_DENIED,
                         "a key must be an ordinary file, and this is a symbolic link; remove "
                         "it with: rm %s",
                         path);
    if (error == EACCES)
        return afar_fail(err, AFAR_PERMISSION_DENIED,
                         "the key cannot be read; if it is yours: chmod 600 %s", path);
    if (error == ENXIO) /* a socket */
        return afar_fail(err, AFAR_PERMISSION_DENIED,
                         "a key must be an ordinary file, and this is none; remove it with: "
                         "rm %s",
                         path);
    return fail_errno("open", path, error, err);
}

/* Reads up to `room` bytes. */
static afar_code
read_all(int fd, char *text, size_t room, size_t *ret_length, const char *path, afar_error *err)
{
    size_t length = 0;

    while (length < room) {
        ssize_t n = read(fd, text + length, room - length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno("read", path, errno, err);
        if (n == 0)
            break;
        length += (size_t)n;
    }
    *ret_length = length;
    return AFAR_OK;
}

static afar_code
read_key(int fd, const char *path, struct line *line, afar_key **ret_key, afar_error *err)
{
    uint8_t public[AFAR__PUBLIC_BYTES];
    afar_key *key;
    size_t length = 0;
    afar_code code = read_all(fd, line->text, sizeof line->text, &length, path, err);

    if (code)
        return code;
    if (!read_line(line, length, public))
        return afar_fail(err, AFAR_DATA_LOSS, "this file is damaged, or is no key: %s", path);
    key = make_key(line->seed);
    if (!key)
        return fail_memory(err);
    if (!afar__secure_equal(key->public, public, sizeof public)) {
        afar_key_close(key);
        return afar_fail(err, AFAR_DATA_LOSS,
                         "the key is damaged, its two halves do not belong together: %s", path);
    }
    *ret_key = key;
    return AFAR_OK;
}

/* Not blocking, for a pipe of that name; it is refused once it is open. */
static afar_code
load(const char *path, afar_key **ret_key, afar_error *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct line *line;
    afar_code code;

    if (fd < 0)
        return fail_open(path, errno, err);
    code = check_file(fd, path, err);
    if (!code) {
        line = afar__secure_alloc(sizeof *line);
        code = line ? read_key(fd, path, line, ret_key, err) : fail_memory(err);
        afar__secure_free(line);
    }
    close(fd);
    return code;
}

/* ---- creating ---- */

/* A key file on its way to its name. */
struct draft {
    const char *path; /* as the caller wrote it */
    const char *name; /* in the folder */
    char temporary[NAME_MAX + 1];
    int folder;
    int file;
};

static int
write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        text += n;
        length -= (size_t)n;
    }
    return 0;
}

/* Opens the folder, for the key is to be found under this name in this folder whatever is
 * renamed meanwhile. */
static afar_code
open_folder(struct draft *draft, afar_error *err)
{
    const char *slash = strrchr(draft->path, '/');
    char folder[PATH_MAX] = ".";
    size_t length = slash ? (size_t)(slash - draft->path) + 1 : 0;

    draft->name = draft->path + length;
    if (!*draft->name || strlen(draft->path) >= sizeof folder ||
        strlen(draft->name) > NAME_MAX - sizeof ".0123456789abcdef.new")
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "this cannot be the path of a key: %.120s",
                         draft->path);
    if (length > 0) {
        memcpy(folder, draft->path, length);
        folder[length] = 0;
    }
    draft->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (draft->folder < 0)
        return fail_errno("open the folder of", draft->path, errno, err);
    return AFAR_OK;
}

static afar_code
open_temporary(struct draft *draft, afar_error *err)
{
    uint64_t number;

    afar__secure_random(&number, sizeof number);
    snprintf(draft->temporary, sizeof draft->temporary, ".%s.%016" PRIx64 ".new", draft->name,
             number);
    draft->file = openat(draft->folder, draft->temporary,
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (draft->file < 0)
        return fail_errno("write", draft->path, errno, err);
    return AFAR_OK;
}

/* Puts the key on the disk, and then under its name.  The mode is set again, for a umask
 * that took the owner's bits. */
static afar_code
write_draft(struct draft *draft, const struct line *line, afar_error *err)
{
    int error = write_all(draft->file, line->text, LINE_LENGTH);

    if (!error && (fchmod(draft->file, S_IRUSR | S_IWUSR) != 0 || fsync(draft->file) != 0))
        error = errno;
    if (error)
        return fail_errno("write", draft->path, error, err);
    if (linkat(draft->folder, draft->temporary, draft->folder, draft->name, 0) == 0)
        return AFAR_OK;
    if (errno == EEXIST)
        return afar_fail(err, AFAR_ALREADY_EXISTS, "there is a file already, it was left alone: %s",
                         draft->path);
    return fail_errno("write", draft->path, errno, err);
}

/* Writes the line to a new file of that name. */
static afar_code
create_file(const char *path, const struct line *line, afar_error *err)
{
    struct draft draft = { .path = path };
    afar_code code = open_folder(&draft, err);

    if (code)
        return code;
    code = open_temporary(&draft, err);
    if (!code) {
        code = write_draft(&draft, line, err);
        close(draft.file);
        unlinkat(draft.folder, draft.temporary, 0);
    }
    if (!code && fsync(draft.folder) != 0)
        code = fail_errno("keep", path, errno, err);
    close(draft.folder);
    return code;
}

static afar_code
create(const char *path, afar_key **ret_key, afar_error *err)
{
    struct line *line = afar__secure_alloc(sizeof *line);
    afar_key *key = NULL;
    afar_code code;

    if (line) {
        afar__secure_random(line->seed, sizeof line->seed);
        key = make_key(line->seed);
    }
    if (!key) {
        afar__secure_free(line);
        return fail_memory(err);
    }
    write_line(line, key);
    code = create_file(path, line, err);
    afar__secure_free(line);
    if (code)
        afar_key_close(key);
    else
        *ret_key = key;
    return code;
}

/* ---- what others call ---- */

afar_code
afar_key_load(const char *path, afar_key **ret_key, afar_error *err)
{
    char buffer[PATH_MAX];
    afar_code code = resolve(path, buffer, &path, err);

    return code ? code : load(path, ret_key, err);
}

afar_code
afar_key_create(const char *path, afar_key **ret_key, afar_error *err)
{
    char buffer[PATH_MAX];
    afar_code code = resolve(path, buffer, &path, err);

    return code ? code : create(path, ret_key, err);
}

/* Another process may make the key after we looked, or take it away before. */
afar_code
afar_key_load_or_create(const char *path, afar_key **ret_key, afar_error *err)
{
    char buffer[PATH_MAX];
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = resolve(path, buffer, &path, err);

    if (code)
        return code;
    for (int i = 0; i < TRIES; i++) {
        code = load(path, ret_key, &why);
        if (code == AFAR_NOT_FOUND)
            code = create(path, ret_key, &why);
        if (code != AFAR_ALREADY_EXISTS)
            break;
    }
    if (code && err)
        afar_error_move(err, &why);
    afar_error_clear(&why);
    return code;
}

const char *
afar_key_public(const afar_key *key)
{
    return key->text;
}

void
afar_key_close(afar_key *key)
{
    afar__secure_free(key);
}
