/* The names of the servers of this process.  One list under one lock, which is held
 * while a server takes a socket, so that a server that has left is not called. */

#include "runtime/inproc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct place {
    struct place *next;
    afar__inproc_fn fn;
    void *arg;
    uint64_t server; /* its number: no two have the same */
    char name[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct place *places;
static uint64_t last_server;

static struct place **
find_locked(const char *name)
{
    struct place **link = &places;

    while (*link && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    return link;
}

afar_code
afar__inproc_listen(const char *name, afar__inproc_fn fn, void *arg, afar_error *err)
{
    struct place *place = malloc(sizeof *place + strlen(name) + 1);
    bool taken;

    if (!place)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "inproc:%s: no memory", name);
    place->fn = fn;
    place->arg = arg;
    memcpy(place->name, name, strlen(name) + 1);
    pthread_mutex_lock(&lock);
    taken = *find_locked(name) != NULL;
    if (!taken) {
        place->server = ++last_server;
        place->next = places;
        places = place;
    }
    pthread_mutex_unlock(&lock);
    if (!taken)
        return AFAR_OK;
    free(place);
    return afar_fail(err, AFAR_ALREADY_EXISTS, "inproc:%s: a server has that name already", name);
}

void
afar__inproc_unlisten(const char *name, void *arg)
{
    struct place **link, *place;

    pthread_mutex_lock(&lock);
    link = find_locked(name);
    place = *link;
    if (place && place->arg == arg)
        *link = place->next;
    else
        place = NULL;
    pthread_mutex_unlock(&lock);
    free(place);
}

afar_code
afar__inproc_connect(const char *name, int *ret_fd, uint64_t *ret_server, afar_error *err)
{
    struct place *place;
    uint64_t server;
    afar_code code;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends))
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "inproc:%s: no socket pair: %s", name,
                         strerror(errno));
    pthread_mutex_lock(&lock);
    place = *find_locked(name);
    code = place ? place->fn(place->arg, ends[1], err)
                 : afar_fail(err, AFAR_UNAVAILABLE, "inproc:%s: no server has that name", name);
    server = place ? place->server : 0;
    pthread_mutex_unlock(&lock);
    if (code) {
        close(ends[0]);
        close(ends[1]);
        return code;
    }
    *ret_fd = ends[0];
    *ret_server = server;
    return AFAR_OK;
}

bool
afar__inproc_serves(const char *name, uint64_t server)
{
    struct place *place;
    bool serves;

    pthread_mutex_lock(&lock);
    place = *find_locked(name);
    serves = place && place->server == server;
    pthread_mutex_unlock(&lock);
    return serves;
}
