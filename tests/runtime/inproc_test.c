/* The names of the servers of a process: taken, found, given back, while others
 * connect.
 *
 * Labels: concurrent */

#include "runtime/inproc.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"

struct listener {
    atomic_int taken;
    atomic_bool gone; /* it may not be called any more */
    afar_code answer;
    int fd;
};

static afar_code
take(void *arg, int fd, afar_error *err)
{
    struct listener *listener = arg;

    CHECK(!atomic_load(&listener->gone));
    if (listener->answer)
        return afar_fail(err, listener->answer, "not now");
    atomic_fetch_add(&listener->taken, 1);
    if (listener->fd < 0)
        listener->fd = fd;
    else
        close(fd);
    return AFAR_OK;
}

TEST(two_ends_of_one_connection)
{
    struct listener listener = { .fd = -1 };
    afar_error err = AFAR_ERROR_INIT;
    char text[3] = "";
    uint64_t server = 0;
    int fd = -1;

    CHECK_OK(afar__inproc_listen("here", take, &listener, &err));
    CHECK_OK(afar__inproc_connect("here", &fd, &server, &err));
    CHECK_INT(atomic_load(&listener.taken), 1);
    for (int i = 0; i < 2; i++) {
        int end = i ? fd : listener.fd, other = i ? listener.fd : fd;

        CHECK(fcntl(end, F_GETFD) & FD_CLOEXEC);
        CHECK(fcntl(end, F_GETFL) & O_NONBLOCK);
        CHECK_INT(write(end, "hi", 2), 2);
        CHECK_INT(read(other, text, 2), 2);
        CHECK_STR(text, "hi");
    }
    close(fd);
    close(listener.fd);
    afar__inproc_unlisten("here", &listener);
}

TEST(a_name_is_one_servers)
{
    struct listener first = { .fd = -1 }, second = { .fd = -1 };
    afar_error err = AFAR_ERROR_INIT;
    uint64_t server = 0;
    int fd = -1;

    CHECK_FAILS(afar__inproc_connect("here", &fd, &server, &err), AFAR_UNAVAILABLE);
    CHECK_STR(err.message, "inproc:here: no server has that name");
    CHECK_OK(afar__inproc_listen("here", take, &first, &err));
    CHECK_FAILS(afar__inproc_listen("here", take, &second, &err), AFAR_ALREADY_EXISTS);
    CHECK_STR(err.message, "inproc:here: a server has that name already");
    CHECK_OK(afar__inproc_listen("here too", take, &second, &err));
    afar__inproc_unlisten("here", &second); /* not its own */
    CHECK_OK(afar__inproc_connect("here", &fd, &server, &err));
    CHECK_INT(atomic_load(&first.taken), 1);
    CHECK(server != 0 && afar__inproc_serves("here", server));
    CHECK(!afar__inproc_serves("here", server + 1) && !afar__inproc_serves("there", server));
    close(fd);
    close(first.fd);
    afar__inproc_unlisten("here", &first);
    CHECK(!afar__inproc_serves("here", server));
    afar__inproc_unlisten("here", &first);
    CHECK_FAILS(afar__inproc_connect("here", &fd, &server, &err), AFAR_UNAVAILABLE);
    CHECK_OK(afar__inproc_listen("here", take, &second, &err));
    CHECK(!afar__inproc_serves("here", server)); /* another one has the name now */
    afar__inproc_unlisten("here", &second);
    afar__inproc_unlisten("here too", &second);
    afar_error_clear(&err);
}

TEST(a_server_that_refuses)
{
    struct listener listener = { .answer = AFAR_RESOURCE_EXHAUSTED, .fd = -1 };
    afar_error err = AFAR_ERROR_INIT;
    uint64_t server = 0;
    int fd = -1;

    CHECK_OK(afar__inproc_listen("here", take, &listener, &err));
    CHECK_FAILS(afar__inproc_connect("here", &fd, &server, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK_STR(err.message, "not now");
    CHECK_INT(fd, -1); /* both ends are closed: the runner looks */
    afar__inproc_unlisten("here", &listener);
    afar_error_clear(&err);
}

TEST(no_descriptors)
{
    struct listener listener = { .fd = -1 };
    afar_error err = AFAR_ERROR_INIT;
    struct rlimit before, none;
    uint64_t server = 0;
    int fd = -1;

    CHECK_OK(afar__inproc_listen("here", take, &listener, &err));
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    afar_code code = afar__inproc_connect("here", &fd, &server, &err);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_INT(code, AFAR_RESOURCE_EXHAUSTED);
    CHECK_STR(err.message, "inproc:here: no socket pair: Too many open files");
    CHECK_INT(atomic_load(&listener.taken), 0);
    afar__inproc_unlisten("here", &listener);
    afar_error_clear(&err);
}

static void *
connect_often(void *arg)
{
    atomic_bool *stop = arg;

    while (!atomic_load(stop)) {
        afar_error err = AFAR_ERROR_INIT;
        uint64_t server = 0;
        int fd = -1;

        if (afar__inproc_connect("here", &fd, &server, &err) == AFAR_OK)
            close(fd);
        else
            CHECK_INT(err.code, AFAR_UNAVAILABLE);
        afar_error_clear(&err);
    }
    return NULL;
}

/* Who has left is not called any more, whoever connects meanwhile. */
TEST(leaving_while_others_connect)
{
    static struct listener listeners[500];
    static atomic_bool stop;
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, connect_often, &stop), 0);
    for (int i = 0; i < 500; i++) {
        afar_error err = AFAR_ERROR_INIT;

        listeners[i].fd = -1;
        CHECK_OK(afar__inproc_listen("here", take, &listeners[i], &err));
        while (atomic_load(&listeners[i].taken) == 0)
            sched_yield();
        afar__inproc_unlisten("here", &listeners[i]);
        atomic_store(&listeners[i].gone, true);
        close(listeners[i].fd);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
}
