/* A name server that is not there, comes late, starts again, or hangs, and what a server
 * that registers does about it.
 *
 * Labels: concurrent waits.  Cost: 14 */

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <afar/log.h>

#include "names_host.h"
#include "server/listen.h"

#define SHORT_LEASE 2000

static void
check_registered(afar_server *server)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_server_registered(server, soon(), &err));
}

/* An address where nobody listens now. */
static struct names_host
nobody(void)
{
    struct names_host host;

    names_host_open(&host, "memory");
    names_host_close(&host);
    return host;
}

TEST(no_name_server_is_told_with_its_address)
{
    names_home();
    struct names_host host = nobody();
    afar_server_options options = names_options(&host, 0);
    afar_server *server = names_serve(&options, "x");
    char expected[256];
    snprintf(expected, sizeof expected,
             "x is not registered: no name server at %s: Connection refused", host.address);
    names_wait_reason(server, expected);
    int64_t before = now_ms();
    afar_server_close(server);
    CHECK(now_ms() - before < 5000);
}

TEST(a_name_server_at_a_unix_socket)
{
    struct names_host host;
    char address[100], expected[200];

    snprintf(address, sizeof address, "unix:%s/names", names_home());
    names_host_open_at(&host, address, "memory");
    CHECK_STR(host.address, address);
    names_host_close(&host);
    afar_server_options options = names_options(&host, 0);
    afar_server *server = names_serve(&options, "x");
    snprintf(expected, sizeof expected, "no name server at %s: No such file or directory", address);
    names_wait_reason(server, expected);
    names_host_reopen(&host, "memory");
    check_registered(server);
    CHECK(names_host_has(&host, "x"));
    afar_server_close(server);
    CHECK(!names_host_has(&host, "x"));
    names_host_close(&host);
}

TEST(a_name_server_that_comes_later)
{
    names_home();
    struct names_host host = nobody();
    afar_server_options options = names_options(&host, 0);
    afar_server *server = names_serve(&options, "x");
    CHECK(afar_server_registered(server, afar_after_ms(500), NULL));
    names_host_reopen(&host, "memory");
    check_registered(server);
    CHECK(names_host_has(&host, "x"));
    afar_server_close(server);
    names_host_close(&host);
}

/* The lease goes on: nothing is registered again. */
TEST(started_again_with_its_store)
{
    const struct timespec pause = { 0, 10000000 };
    struct names_host host;
    char store[200];

    snprintf(store, sizeof store, "%s/names.db", names_home());
    names_host_open(&host, store);
    afar_server_options options = names_options(&host, SHORT_LEASE);
    afar_server *server = names_serve(&options, "x");
    check_registered(server);
    afar__record *before = names_host_record(&host, "x");
    for (int round = 0; round < 2; round++) {
        names_host_close(&host);
        names_host_reopen(&host, store);
        int64_t end = now_ms() + 3 * SHORT_LEASE / 2;
        while (now_ms() < end) {
            CHECK(names_host_has(&host, "x"));
            nanosleep(&pause, NULL);
        }
    }
    afar__record *after = names_host_record(&host, "x");
    CHECK(before->generation == after->generation);
    afar_message_free(before);
    afar_message_free(after);
    check_registered(server);
    afar_server_close(server);
    CHECK(!names_host_has(&host, "x"));
    names_host_close(&host);
}

TEST(started_again_without_memory)
{
    struct names_host host;

    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, SHORT_LEASE);
    afar_server *server = names_serve(&options, "x");
    check_registered(server);
    for (int round = 0; round < 2; round++) {
        names_host_close(&host);
        names_host_reopen(&host, "memory");
        names_host_wait(&host, "x", true);
    }
    check_registered(server);
    afar_server_close(server);
    CHECK(!names_host_has(&host, "x"));
    names_host_close(&host);
}

/* A change is tried at once, so the name is there long before the back-off ends. */
TEST(what_changed_while_it_was_away)
{
    afar_error err = AFAR_ERROR_INIT;
    struct names_host host;
    char store[200];

    snprintf(store, sizeof store, "%s/names.db", names_home());
    names_host_open(&host, store);
    afar_server_options options = names_options(&host, 60000);
    afar_server *server = names_serve(&options, "old");
    check_registered(server);
    names_host_close(&host);
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    export_probe(server, "new", probe);
    CHECK(afar_server_registered(server, afar_after_ms(300), NULL));
    CHECK_OK(afar_server_unexport(server, "old", &test_probe_interface, &err));
    names_host_reopen(&host, store);
    CHECK(names_host_has(&host, "old"));
    check_registered(server);
    CHECK(names_host_has(&host, "new"));
    names_host_wait(&host, "old", false);
    test_probe_close(probe);
    afar_server_close(server);
    names_host_close(&host);
}

static int
count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    CHECK(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* Connections get in, and never an answer.  The core keeps such a connection until it
 * breaks; the other server is there to see that. */
TEST(a_name_server_that_hangs)
{
    const struct timespec pause = { 0, 10000000 };
    struct names_host host = { NULL, NULL, "" };
    afar_error err = AFAR_ERROR_INIT;
    afar_server *other = NULL;
    afar__listener listener;
    afar__address address;

    names_home();
    CHECK_OK(afar_server_open(NULL, TCP, NULL, &other, &err));
    CHECK_OK(afar_server_start(other, &err));
    CHECK_OK(afar__address_parse_listen(TCP, &address, &err));
    int before = count_descriptors();
    CHECK_OK(afar__listen_open(&address, false, &listener, &err));
    snprintf(host.address, sizeof host.address, "%s", listener.address);
    afar_server_options options = names_options(&host, 0);
    afar_server *server = names_serve(&options, "x");
    CHECK_FAILS(afar_server_registered(server, afar_after_ms(200), &err), AFAR_DEADLINE_EXCEEDED);
    int64_t start = now_ms();
    afar_server_close(server);
    CHECK(now_ms() - start < 4000); /* a second, and a slow machine */
    afar__listen_close(&listener);
    while (count_descriptors() > before && now_ms() - start < 15000)
        nanosleep(&pause, NULL);
    CHECK_INT(count_descriptors(), before);
    afar_server_close(other);
    afar_error_clear(&err);
}

/* A gRPC server that is no name server. */
TEST(somebody_else_is_there)
{
    struct names_host host = { NULL, NULL, "" };
    afar_error err = AFAR_ERROR_INIT;
    afar_server *other = NULL;

    names_home();
    CHECK_OK(afar_server_open(NULL, TCP, NULL, &other, &err));
    CHECK_OK(afar_server_start(other, &err));
    snprintf(host.address, sizeof host.address, "%s", afar_server_address(other));
    afar_server_options options = names_options(&host, 0);
    afar_server *server = names_serve(&options, "x");
    char expected[200];
    snprintf(expected, sizeof expected, "no name server at %s: what is there serves no names",
             host.address);
    names_wait_reason(server, expected);
    afar_server_close(server);
    afar_server_close(other);
}

/* ---- what is logged ---- */

static struct {
    atomic_int away, back, registered, forgotten, one_forgotten;
} lines;

static void
count_line(void *arg, afar_log_level level, const char *line)
{
    (void)arg;
    if (level == AFAR_LOG_WARNING && strstr(line, "no name server at"))
        atomic_fetch_add(&lines.away, 1);
    else if (level == AFAR_LOG_WARNING && strstr(line, "has forgotten 1 name of"))
        atomic_fetch_add(&lines.one_forgotten, 1);
    else if (level == AFAR_LOG_WARNING && strstr(line, "has forgotten"))
        atomic_fetch_add(&lines.forgotten, 1);
    else if (level == AFAR_LOG_INFO && strstr(line, "is there"))
        atomic_fetch_add(&lines.back, 1);
    else if (level == AFAR_LOG_INFO && strstr(line, "registered"))
        atomic_fetch_add(&lines.registered, 1);
}

/* The thread that logs is gone when the server is closed. */
TEST(each_change_is_logged_once)
{
    afar_log_set(count_line, NULL, AFAR_LOG_INFO);
    names_home();
    struct names_host host = nobody();
    afar_server_options options = names_options(&host, 0);
    afar_server *server = names_serve(&options, "x");
    names_wait_reason(server, "no name server at");
    CHECK(afar_server_registered(server, afar_after_ms(1000), NULL));
    CHECK_INT(lines.away, 1);
    names_host_reopen(&host, "memory");
    check_registered(server);
    afar_server_close(server);
    CHECK_INT(lines.away, 1);
    CHECK_INT(lines.back, 1);
    CHECK_INT(lines.registered, 1);
    CHECK_INT(lines.forgotten + lines.one_forgotten, 0);
    names_host_close(&host);
}

TEST(one_name_that_is_forgotten_is_one)
{
    struct names_host host;

    afar_log_set(count_line, NULL, AFAR_LOG_INFO);
    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, 6000);
    afar_server *server = names_serve(&options, "x");
    check_registered(server);
    names_host_close(&host);
    names_host_reopen(&host, "memory");
    names_host_wait(&host, "x", true);
    afar_server_close(server);
    CHECK_INT(lines.one_forgotten, 1);
    CHECK_INT(lines.forgotten, 0);
    names_host_close(&host);
}
