/* Pairs of ends for tests: what pairs.h says. */

#include "pairs.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "runtime/clock.h"
#include "runtime/fail.h"
#include "runtime/loop_transport.h"

afar_node *
keep_core(void)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;

    CHECK_OK(afar_node_open(NULL, &node, &err));
    return node;
}

/* ---- a place ---- */

static afar_code
find(void *arg, const char *path, const char *name, afar__target *ret_target, afar_error *err)
{
    (void)arg;
    (void)name;
    (void)ret_target;
    return afar_fail(err, AFAR_UNIMPLEMENTED, "%s is not here", path);
}

static afar_peer
peer(void *arg, int fd)
{
    (void)arg;
    (void)fd;
    return (afar_peer){ "the test", 17, 18 };
}

static void
session(void *arg, afar__transport *transport)
{
    struct place *place = arg;
    struct end *end = place->next;

    if (!end) {
        transport->ops->free(transport);
        return;
    }
    place->next = NULL;
    end_attach(end, transport);
    if (!place->manual)
        end_start(end);
}

static void *
take_connections(void *arg)
{
    struct place *place = arg;
    int fd;

    while ((fd = accept4(place->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        afar__port_add(place->port, fd);
    return NULL;
}

static void
listen_at(struct place *place, bool tcp)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    socklen_t length = sizeof in;

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(un.sun_path, sizeof un.sun_path, "%s/socket", check_folder());
    unlink(un.sun_path);
    place->listener = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(place->listener >= 0);
    if (tcp) {
        CHECK_INT(bind(place->listener, (struct sockaddr *)&in, sizeof in), 0);
        CHECK_INT(getsockname(place->listener, (struct sockaddr *)&in, &length), 0);
        snprintf(place->address, sizeof place->address, "127.0.0.1:%d", ntohs(in.sin_port));
    } else {
        CHECK_INT(bind(place->listener, (struct sockaddr *)&un, sizeof un), 0);
        snprintf(place->address, sizeof place->address, "unix:%s", un.sun_path);
    }
    CHECK_INT(listen(place->listener, 64), 0);
    CHECK_INT(pthread_create(&place->thread, NULL, take_connections, place), 0);
}

void
place_open(struct place *place, const char *address, struct end *next)
{
    afar__port_options options = { .max_streams = 100,
                                   .find = find,
                                   .peer = peer,
                                   .session = place->plain ? NULL : session,
                                   .session_arg = place };
    afar_error err = AFAR_ERROR_INIT;

    place->next = next;
    place->listener = -1;
    CHECK_OK(afar_node_open(NULL, &place->node, &err));
    CHECK_OK(afar__port_open(place->node, &options, &place->port, &err));
    CHECK_OK(afar__port_start(place->port, &err));
    if (address)
        listen_at(place, strcmp(address, "tcp") == 0);
}

void
place_close(struct place *place)
{
    if (place->listener >= 0) {
        CHECK_INT(shutdown(place->listener, SHUT_RDWR), 0);
        CHECK_INT(pthread_join(place->thread, NULL), 0);
        close(place->listener);
        if (strncmp(place->address, "unix:", 5) == 0)
            unlink(place->address + 5);
    }
    afar__port_stop(place->port, afar__now());
    afar__port_close(place->port);
    afar_node_close(place->node);
}

afar__link *
place_link(afar_node *node, const char *address)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__link *link = NULL;
    afar__address parsed;

    CHECK_OK(afar__address_parse_listen(address, &parsed, &err));
    CHECK_OK(afar__link_open(node, &parsed, &link, &err));
    return link;
}

/* ---- a pair ---- */

static void
connect_loop(struct pair *pair)
{
    afar__transport *transports[2];
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar__loop_transports(pair->node, NULL, transports, &err));
    for (int i = 0; i < 2; i++)
        end_attach(&pair->ends[i], transports[i]);
    if (!pair->place.manual)
        end_start(&pair->ends[1]);
    end_start(&pair->ends[0]);
}

static void
start_first(struct pair *pair)
{
    afar__transport *transport = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar__link_transport(pair->link, &transport, &err));
    end_attach(&pair->ends[0], transport);
    end_start(&pair->ends[0]);
}

void
pair_connect_over(struct pair *pair, const int fds[2])
{
    afar_error err = AFAR_ERROR_INIT;

    pair->kind = SOCKET_PAIR;
    if (!pair->node)
        pair->node = keep_core();
    place_open(&pair->place, NULL, &pair->ends[1]);
    afar__port_add(pair->place.port, fds[1]);
    CHECK_OK(afar__link_adopt(pair->node, "pair", fds[0], &pair->link, &err));
    start_first(pair);
}

void
pair_connect(struct pair *pair, enum kind kind)
{
    int fds[2];

    pair->kind = kind;
    pair->node = keep_core();
    if (kind == LOOP) {
        connect_loop(pair);
    } else if (kind == SOCKET_PAIR) {
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        pair_connect_over(pair, fds);
    } else {
        place_open(&pair->place, kind == TCP ? "tcp" : "unix", &pair->ends[1]);
        pair->link = place_link(pair->node, pair->place.address);
        start_first(pair);
    }
}

void
pair_meet(struct pair *pair)
{
    end_wait_attached(&pair->ends[1]);
}

void
pair_open(struct pair *pair, enum kind kind)
{
    memset(pair, 0, sizeof *pair);
    end_init(&pair->ends[0]);
    end_init(&pair->ends[1]);
    pair_connect(pair, kind);
    pair_meet(pair);
}

void
pair_close(struct pair *pair)
{
    if (pair->kind != LOOP) {
        afar__link_unref(pair->link);
        place_close(&pair->place);
    }
    afar_node_close(pair->node);
}
