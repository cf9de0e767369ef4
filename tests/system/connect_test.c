/* Connections that the core gives up though nothing is wrong with them.
 *
 * Labels: concurrent */

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pair.h"

/* How many connections are to fail as an allocation between connect and a late look at errno
 * makes them fail. */
static atomic_int spoiled;

/* In front of the C library's, for the libraries too. */
int
connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
    int result = (int)syscall(SYS_connect, fd, addr.__sockaddr__, len);

    if (addr.__sockaddr__->sa_family == AF_UNIX || atomic_load(&spoiled) == 0)
        return result;
    atomic_fetch_sub(&spoiled, 1);
    errno = ENOENT;
    return -1;
}

static test_probe *
open_spoiled(struct pair *pair, int count, afar_code expected)
{
    char name[160];
    afar_error err = AFAR_ERROR_INIT;
    test_probe *probe = NULL;

    snprintf(name, sizeof name, "grpc://%s", afar_server_address(pair->server));
    atomic_store(&spoiled, count);
    afar_code code = test_probe_open(pair->client, name, soon(), &probe, &err);
    CHECK_INT(code, expected);
    atomic_store(&spoiled, 0);
    afar_error_clear(&err);
    return probe;
}

TEST(a_connection_that_was_given_up_by_mistake_is_tried_again)
{
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = open_spoiled(&pair, 1, AFAR_OK);
    CHECK_INT(atomic_load(&spoiled), 0);
    test_probe_close(probe);
    pair_close(&pair);
}

TEST(but_not_for_ever)
{
    struct pair pair;

    pair_open(&pair, TCP);
    CHECK(open_spoiled(&pair, 1000, AFAR_UNAVAILABLE) == NULL);
    test_probe_close(open_spoiled(&pair, 0, AFAR_OK));
    pair_close(&pair);
}
