/* Opening sockets that listen.
 *
 * TCP.  The address is resolved here and now; what is checked against loopback is
 * what it resolved to, never its spelling.  SO_REUSEADDR lets a server come back
 * while connections of its forerunner are in TIME_WAIT.  SO_REUSEPORT is never set:
 * two servers would share a port without an error.
 *
 * Unix sockets.  A server that dies leaves its file behind, and the next one must
 * remove it, but only that.  These rules keep two servers that start at once from
 * removing each other's:
 *
 * - All is done under a lock, a file beside the socket that exists for these few
 *   system calls.  Whoever finds it taken fails: somebody is about to listen.
 * - Bound, but not yet listening, looks stale.  Both happen within the lock, so who
 *   holds it sees sockets that listen and sockets that never will.
 * - Stale is only what is a socket and refuses a connection.  A server too busy to
 *   take one does not refuse: it is not stale.
 * - At the end the file goes only if it has our device and inode.  They cannot have
 *   been given to another file meanwhile, since the open socket holds them; so the
 *   file goes before the socket is closed.
 *
 * Any thread; a listener belongs to one at a time.
 */

#include "server/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* How often a lock may go away, or a file come back, under our hands. */
#define ATTEMPTS 8

/* What the lock's file has behind the name of the socket. */
#define LOCK_SUFFIX ".afar-lock"

/* ---- errors ---- */

static afar_code
code_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return AFAR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return AFAR_PERMISSION_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:
        return AFAR_RESOURCE_EXHAUSTED;
    default:
        return AFAR_INTERNAL;
    }
}

static afar_code
fail_errno(afar_error *err, const char *address, int error)
{
    if (error == EADDRINUSE)
        return afar_fail(err, AFAR_ALREADY_EXISTS, "%s: somebody listens there already", address);
    if (error == EADDRNOTAVAIL || error == EAFNOSUPPORT)
        return afar_fail(err, AFAR_NOT_FOUND, "%s: not an address of this machine", address);
    return afar_fail(err, code_of(error), "%s: cannot listen: %s", address, strerror(error));
}

/* Closes, and returns the error that made it necessary. */
static int
close_after(int fd, int error)
{
    close(fd);
    return error;
}

/* ---- TCP ---- */

static bool
is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)(const void *)address;

        return ntohl(ipv4->sin_addr.s_addr) >> 24 == 127;
    }
    const struct in6_addr *ipv6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

    return IN6_IS_ADDR_LOOPBACK(ipv6) || (IN6_IS_ADDR_V4MAPPED(ipv6) && ipv6->s6_addr[12] == 127);
}

void
afar__listen_print(const struct sockaddr_storage *from, char *ret_text, size_t size)
{
    const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)(const void *)from;
    struct sockaddr_storage plain = *from;
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";

    if (from->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&ipv6->sin6_addr)) {
        struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = ipv6->sin6_port };

        memcpy(&ipv4.sin_addr, &ipv6->sin6_addr.s6_addr[12], sizeof ipv4.sin_addr);
        memcpy(&plain, &ipv4, sizeof ipv4);
    }
    getnameinfo((struct sockaddr *)&plain, sizeof plain, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(ret_text, size, plain.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* Returns 0 or an errno. */
static int
bind_tcp(const struct addrinfo *info, uint16_t port, int *ret_fd)
{
    const int on = 1, off = 0;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    /* [::] means IPv4 too, whatever the default of the system is. */
    if (info->ai_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0)
        return close_after(fd, errno);
    /* A free port must not be one that somebody has bound likewise and does not listen
     * on yet; so then the option is set when the port is ours, for who comes after. */
    if (port != 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return close_after(fd, errno);
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 || listen(fd, SOMAXCONN) < 0)
        return close_after(fd, errno);
    *ret_fd = fd;
    return 0;
}

/* The first of the addresses that this machine has.  One that is taken ends the
 * search: on the next one, callers of the same name would find somebody else. */
static afar_code
bind_first(const struct addrinfo *found, const char *given, uint16_t port, bool insecure,
           int *ret_fd, afar_error *err)
{
    static const int families[] = { AF_INET, AF_INET6 };
    int error = EADDRNOTAVAIL;

    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        for (const struct addrinfo *info = found; info; info = info->ai_next) {
            if (info->ai_family != families[i])
                continue;
            if (!insecure && !is_loopback(info->ai_addr))
                return afar_fail(err, AFAR_PERMISSION_DENIED,
                                 "%s is beyond loopback: listening there needs the option "
                                 "`insecure`",
                                 given);
            error = bind_tcp(info, port, ret_fd);
            if (error == 0)
                return AFAR_OK;
            if (error != EADDRNOTAVAIL && error != EAFNOSUPPORT)
                return fail_errno(err, given, error);
        }
    }
    return fail_errno(err, given, error);
}

static afar_code
fail_resolve(afar_error *err, const char *given, int failure)
{
    int error = errno;

    switch (failure) {
    case EAI_SYSTEM:
        return fail_errno(err, given, error);
    case EAI_MEMORY:
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory to look it up", given);
    case EAI_AGAIN:
        return afar_fail(err, AFAR_UNAVAILABLE, "%s: %s", given, gai_strerror(failure));
    default:
        return afar_fail(err, AFAR_NOT_FOUND, "%s: %s", given, gai_strerror(failure));
    }
}

static afar_code
open_tcp(const afar__address *address, bool insecure, afar__listener *listener, afar_error *err)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct sockaddr_storage bound = { .ss_family = AF_UNSPEC };
    socklen_t length = sizeof bound;
    struct addrinfo *found = NULL;
    char given[sizeof address->host + 16], port[8];

    snprintf(given, sizeof given, strchr(address->host, ':') ? "[%s]:%u" : "%s:%u", address->host,
             (unsigned)address->port);
    snprintf(port, sizeof port, "%u", (unsigned)address->port);
    int failure = getaddrinfo(address->host, port, &hints, &found);
    if (failure)
        return fail_resolve(err, given, failure);
    afar_code code = bind_first(found, given, address->port, insecure, &listener->fd, err);
    freeaddrinfo(found);
    if (code)
        return code;
    getsockname(listener->fd, (struct sockaddr *)&bound, &length);
    afar__listen_print(&bound, listener->address, sizeof listener->address);
    return AFAR_OK;
}

/* ---- unix sockets ---- */

/* Opens the folder of a path and notes the name within it. */
static afar_code
find_folder(const char *path, afar__listener *listener, afar_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path;
    char folder[sizeof listener->file] = ".";

    if (slash)
        snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (file[0] == '\0')
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "%s: the name of the socket is empty",
                         listener->address);
    snprintf(listener->file, sizeof listener->file, "%s", file);
    listener->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return listener->folder < 0 ? fail_errno(err, listener->address, errno) : AFAR_OK;
}

/* Takes the lock that stands for the right to make or remove the socket's file.
 * The holder removes the lock's file before letting go, so a file without a name
 * is one that was let go of since we opened it. */
static afar_code
lock_file(const afar__listener *listener, const char *lock, int *ret_fd, afar_error *err)
{
    struct stat state;

    for (int i = 0; i < ATTEMPTS; i++) {
        int fd = openat(listener->folder, lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0)
            return fail_errno(err, listener->address, errno);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            close(fd);
            break;
        }
        if (fstat(fd, &state) == 0 && state.st_nlink > 0) {
            *ret_fd = fd;
            return AFAR_OK;
        }
        close(fd);
    }
    return afar_fail(err, AFAR_ALREADY_EXISTS, "%s: somebody else begins to listen there",
                     listener->address);
}

static void
unlock_file(const afar__listener *listener, const char *lock, int fd)
{
    unlinkat(listener->folder, lock, 0);
    close(fd);
}

/* Whether a connection is refused, which says that nobody will ever accept one. */
static bool
is_refused(const struct sockaddr_un *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    bool refused =
        connect(fd, (const struct sockaddr *)path, sizeof *path) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static afar_code
remove_stale(const afar__listener *listener, const struct sockaddr_un *path, afar_error *err)
{
    struct stat state;

    if (fstatat(listener->folder, listener->file, &state, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? AFAR_OK : fail_errno(err, listener->address, errno);
    if (!S_ISSOCK(state.st_mode))
        return afar_fail(err, AFAR_ALREADY_EXISTS, "%s: a file that is not a socket is there",
                         listener->address);
    if (!is_refused(path))
        return fail_errno(err, listener->address, EADDRINUSE);
    if (unlinkat(listener->folder, listener->file, 0) < 0 && errno != ENOENT)
        return fail_errno(err, listener->address, errno);
    return AFAR_OK;
}

static afar_code
bind_file(const afar__listener *listener, const struct sockaddr_un *path, afar_error *err)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        if (bind(listener->fd, (const struct sockaddr *)path, sizeof *path) == 0)
            return AFAR_OK;
        if (errno != EADDRINUSE)
            return fail_errno(err, listener->address, errno);
        afar_code code = remove_stale(listener, path, err);
        if (code)
            return code;
    }
    return fail_errno(err, listener->address, EADDRINUSE);
}

/* The file gets the mode that the socket has when it is bound: it never has a
 * wider one, and the umask of the process is left alone. */
static afar_code
listen_unix(afar__listener *listener, const struct sockaddr_un *path, afar_error *err)
{
    struct stat state;

    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0 || fchmod(listener->fd, S_IRUSR | S_IWUSR) < 0)
        return fail_errno(err, listener->address, errno);
    afar_code code = bind_file(listener, path, err);
    if (code)
        return code;
    if (fstatat(listener->folder, listener->file, &state, AT_SYMLINK_NOFOLLOW) < 0)
        return fail_errno(err, listener->address, errno);
    listener->device = state.st_dev;
    listener->inode = state.st_ino;
    listener->owner = getpid();
    if (listen(listener->fd, SOMAXCONN) < 0)
        return fail_errno(err, listener->address, errno);
    return AFAR_OK;
}

static afar_code
open_unix(const afar__address *address, afar__listener *listener, afar_error *err)
{
    struct sockaddr_un path = { .sun_family = AF_UNIX };
    char lock[sizeof listener->file + sizeof LOCK_SUFFIX];
    int lock_fd = -1;

    _Static_assert(sizeof path.sun_path == sizeof address->path, "any path fits");
    memcpy(path.sun_path, address->path, strlen(address->path));
    snprintf(listener->address, sizeof listener->address, "unix:%s", address->path);
    afar_code code = find_folder(address->path, listener, err);
    if (code)
        return code;
    snprintf(lock, sizeof lock, "%s" LOCK_SUFFIX, listener->file);
    code = lock_file(listener, lock, &lock_fd, err);
    if (code)
        return code;
    code = listen_unix(listener, &path, err);
    unlock_file(listener, lock, lock_fd);
    return code;
}

/* ---- both ---- */

afar_code
afar__listen_open(const afar__address *address, bool insecure, afar__listener *ret_listener,
                  afar_error *err)
{
    afar__listener listener = AFAR__LISTENER_INIT;
    afar_code code;

    switch (address->kind) {
    case AFAR__ADDRESS_TCP:
        code = open_tcp(address, insecure, &listener, err);
        break;
    case AFAR__ADDRESS_UNIX:
        code = open_unix(address, &listener, err);
        break;
    default:
        code = afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "cannot listen at \"%s\": neither TCP nor a unix socket",
                         address->kind == AFAR__ADDRESS_INPROC ? address->path : address->name);
        break;
    }
    if (code)
        afar__listen_close(&listener);
    else
        *ret_listener = listener;
    return code;
}

static bool
is_file_ours(const afar__listener *listener)
{
    struct stat state;

    return listener->owner == getpid() &&
           fstatat(listener->folder, listener->file, &state, AT_SYMLINK_NOFOLLOW) == 0 &&
           state.st_dev == listener->device && state.st_ino == listener->inode;
}

void
afar__listen_close(afar__listener *listener)
{
    if (listener->folder >= 0) {
        if (is_file_ours(listener))
            unlinkat(listener->folder, listener->file, 0);
        close(listener->folder);
    }
    if (listener->fd >= 0)
        close(listener->fd);
    *listener = (afar__listener)AFAR__LISTENER_INIT;
}

/* The folder is asked of the kernel: the working folder may be another one by now. */
afar_code
afar__listen_whole(const afar__listener *listener, char *ret_text, size_t size, afar_error *err)
{
    char link[40], folder[256];
    ssize_t length;

    snprintf(link, sizeof link, "/proc/self/fd/%d", listener->folder);
    length = readlink(link, folder, sizeof folder);
    if (length < 1 || (size_t)length >= sizeof folder)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%s: its whole path is not known or too long; set the option `endpoints`",
                         listener->address);
    folder[length] = '\0';
    snprintf(ret_text, size, "unix:%s/%s", strcmp(folder, "/") == 0 ? "" : folder, listener->file);
    return AFAR_OK;
}
