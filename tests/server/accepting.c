/* The shared half of the acceptor's tests: what accepting.h says.  The thread of the
 * acceptor runs hand_on and the log hook; everything else is the test's. */

#include "accepting.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "runtime/address.h"
#include "runtime/log.h"

#define LONGEST_MS 15000
#define MAX_LINES 256

int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
wait_until(bool (*holds)(void *arg), void *arg, const char *what)
{
    int64_t end = now_ms() + LONGEST_MS;

    while (!holds(arg)) {
        if (now_ms() > end)
            check_fail(__FILE__, __LINE__, "waited in vain: %s", what);
        poll(NULL, 0, 1);
    }
}

int
descriptor_count(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    CHECK(folder != NULL);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* ---- the acceptor ---- */

static void
take(void *arg, int fd, afar__sniff_kind kind)
{
    struct accepting *accepting = arg;

    pthread_mutex_lock(&accepting->lock);
    CHECK(!accepting->shut);
    CHECK_INT(kind, AFAR__SNIFF_HTTP2);
    CHECK(accepting->taken_count < MAX_TAKEN);
    accepting->taken[accepting->taken_count++] = fd;
    pthread_cond_broadcast(&accepting->changed);
    pthread_mutex_unlock(&accepting->lock);
}

static void
listen_at(struct accepting *accepting, const char *text)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__address address;
    char path[120];

    if (strcmp(text, "unix") == 0) {
        snprintf(accepting->folder, sizeof accepting->folder, "%s/accept-XXXXXX", check_folder());
        CHECK(mkdtemp(accepting->folder) != NULL);
        snprintf(path, sizeof path, "unix:%s/socket", accepting->folder);
        text = path;
    }
    CHECK_OK(afar__address_parse_listen(text, &address, &err));
    CHECK_OK(
        afar__listen_open(&address, false, &accepting->listeners[accepting->listener_count], &err));
    accepting->listener_count++;
}

void
accepting_open_for(struct accepting *accepting, const char *addresses,
                   const afar__accept_options *options)
{
    afar_error err = AFAR_ERROR_INIT;
    char list[128], *rest = list, *text;

    memset(accepting, 0, sizeof *accepting);
    pthread_mutex_init(&accepting->lock, NULL);
    pthread_cond_init(&accepting->changed, NULL);
    snprintf(list, sizeof list, "%s", addresses);
    while ((text = strsep(&rest, " ")))
        if (text[0] != '\0')
            listen_at(accepting, text);
    CHECK_OK(afar__acceptor_open(accepting->listeners, accepting->listener_count, options,
                                 &accepting->acceptor, &err));
    CHECK_OK(afar__acceptor_start(accepting->acceptor, &err));
}

void
accepting_open(struct accepting *accepting, const char *addresses, unsigned max_connections,
               int64_t silent_ms)
{
    const afar__accept_options options = { max_connections, silent_ms, take, accepting };

    accepting_open_for(accepting, addresses, &options);
}

void
accepting_close(struct accepting *accepting)
{
    afar__acceptor_close(accepting->acceptor);
    for (size_t i = 0; i < accepting->listener_count; i++)
        afar__listen_close(&accepting->listeners[i]);
    for (size_t i = accepting->given; i < accepting->taken_count; i++)
        owner_end(accepting->taken[i]);
    if (accepting->folder[0] != '\0')
        CHECK_INT(rmdir(accepting->folder), 0);
    pthread_cond_destroy(&accepting->changed);
    pthread_mutex_destroy(&accepting->lock);
}

int
accepting_take(struct accepting *accepting)
{
    struct timespec end;
    int fd;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += LONGEST_MS / 1000;
    pthread_mutex_lock(&accepting->lock);
    while (accepting->given == accepting->taken_count)
        if (pthread_cond_timedwait(&accepting->changed, &accepting->lock, &end) != 0)
            check_fail(__FILE__, __LINE__, "nothing was handed on");
    fd = accepting->taken[accepting->given++];
    pthread_mutex_unlock(&accepting->lock);
    return fd;
}

size_t
accepting_waiting(struct accepting *accepting)
{
    pthread_mutex_lock(&accepting->lock);
    size_t count = accepting->taken_count - accepting->given;
    pthread_mutex_unlock(&accepting->lock);
    return count;
}

struct count_wait {
    struct accepting *accepting;
    unsigned count;
};

static bool
has_count(void *arg)
{
    const struct count_wait *wait = arg;

    return afar__acceptor_connections(wait->accepting->acceptor) == wait->count;
}

void
accepting_wait_count(struct accepting *accepting, unsigned count)
{
    struct count_wait wait = { accepting, count };
    char what[64];

    snprintf(what, sizeof what, "there are %u connections", count);
    wait_until(has_count, &wait, what);
}

void
owner_end(int fd)
{
    shutdown(fd, SHUT_RDWR);
    CHECK_INT(close(fd), 0);
}

/* ---- clients ---- */

int
client_try_open(const afar__listener *listener)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t length = sizeof address;

    CHECK_INT(getsockname(listener->fd, (struct sockaddr *)&address, &length), 0);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, length) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

int
client_open(const afar__listener *listener)
{
    int fd = client_try_open(listener);

    if (fd < 0)
        check_fail(__FILE__, __LINE__, "connect: %s", strerror(errno));
    return fd;
}

void
client_say(int fd, const char *text, size_t length)
{
    CHECK_INT(send(fd, text, length, MSG_NOSIGNAL), length);
}

size_t
client_hear_all(int fd, char *ret_text, size_t size)
{
    size_t length = 0;

    for (;;) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };

        CHECK_INT(poll(&wait, 1, LONGEST_MS), 1);
        ssize_t n = recv(fd, ret_text + length, size - length - 1, 0);
        if (n < 0)
            CHECK_INT(errno, ECONNRESET);
        if (n <= 0)
            break;
        length += (size_t)n;
    }
    ret_text[length] = '\0';
    return length;
}

void
client_see_end(int fd)
{
    char text[8];

    CHECK_INT(client_hear_all(fd, text, sizeof text), 0);
}

/* ---- the log ---- */

static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;
static char lines[MAX_LINES][256]; /* guarded by lines_lock */
static unsigned line_count;        /* guarded by lines_lock */

static void
gather(void *arg, afar_log_level level, const char *line)
{
    (void)arg;
    (void)level;
    pthread_mutex_lock(&lines_lock);
    CHECK(line_count < MAX_LINES);
    snprintf(lines[line_count++], sizeof lines[0], "%s", line);
    pthread_mutex_unlock(&lines_lock);
}

void
lines_gather(void)
{
    afar_log_set(gather, NULL, AFAR_LOG_INFO);
}

unsigned
lines_count(const char *text)
{
    unsigned count = 0;

    pthread_mutex_lock(&lines_lock);
    for (unsigned i = 0; i < line_count; i++)
        count += strstr(lines[i], text) != NULL;
    pthread_mutex_unlock(&lines_lock);
    return count;
}
