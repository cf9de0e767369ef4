/* Where servers listen and clients connect: every form of address, what is wrong
 * with one, sockets that refuse or stay silent, and connections that break.
 *
 * Labels: concurrent waits */

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "pair.h"

static void
serve_at(const char *address)
{
    struct pair pair;

    pair_open(&pair, address);
    test_probe *probe = pair_probe(&pair, "a/b", &echo_methods, NULL, AFAR_SERIAL);
    test_probe *first = pair_reach(&pair, "");
    CHECK_INT(asked(probe, 1), 2);
    CHECK_INT(asked(first, 1), 2);
    test_probe_close(probe);
    test_probe_close(first);
    pair_close(&pair);
}

TEST(loopback_in_every_form)
{
    serve_at("127.0.0.1:0");
    serve_at("localhost:0");
    serve_at("[::1]:0");
}

TEST(the_address_says_which_port)
{
    struct pair pair;

    pair_open(&pair, "127.0.0.1:0");
    const char *address = afar_server_address(pair.server);
    CHECK(strncmp(address, "127.0.0.1:", 10) == 0);
    CHECK(atoi(address + 10) > 0);
    pair_close(&pair);
    pair_open(&pair, "[::1]:0");
    CHECK(strncmp(afar_server_address(pair.server), "[::1]:", 6) == 0);
    pair_close(&pair);
    pair_open(&pair, "inproc:some-name");
    CHECK_STR(afar_server_address(pair.server), "inproc:some-name");
    pair_close(&pair);
}

static void
refuse_to_serve(const char *address, afar_code code)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;

    CHECK_FAILS(afar_server_open(NULL, address, NULL, &server, &err), code);
    CHECK(!server);
    CHECK(strlen(err.message) > 0);
    if (strlen(address) < 100) /* a message has 255 bytes */
        CHECK(strstr(err.message, address));
    afar_error_clear(&err);
}

TEST(addresses_that_cannot_be_read)
{
    static const char *const bad[] = {
        "",          "127.0.0.1",   "127.0.0.1:",   "127.0.0.1:x",
        ":0",        "1.2.3:70000", "127.0.0.1:-1", "unix:",
        "inproc:",   "[::1:0",      "::1:7000",     "127.0.0.1:65536",
        "http://x:1"
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuse_to_serve(bad[i], AFAR_INVALID_ARGUMENT);
}

TEST(a_unix_path_that_is_too_long)
{
    char address[256] = "unix:/tmp/";

    memset(address + strlen(address), 'x', 200);
    refuse_to_serve(address, AFAR_INVALID_ARGUMENT);
}

TEST(beyond_loopback_only_if_told_so)
{
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;

    refuse_to_serve("0.0.0.0:0", AFAR_PERMISSION_DENIED);
    refuse_to_serve("[::]:0", AFAR_PERMISSION_DENIED);
    options.insecure = true;
    CHECK_OK(afar_server_open(NULL, "0.0.0.0:0", &options, &server, &err));
    afar_server_close(server);
}

TEST(an_address_that_is_taken)
{
    struct pair pair;

    for (const char *const *transport = transports; *transport; transport++) {
        pair_open(&pair, *transport);
        refuse_to_serve(afar_server_address(pair.server), AFAR_ALREADY_EXISTS);
        char address[300];
        snprintf(address, sizeof address, "%s", afar_server_address(pair.server));
        pair_close(&pair);
        serve_at(address); /* and free again */
    }
}

TEST(several_addresses)
{
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair = { NULL, NULL };
    test_probe *probe = NULL;
    char unix_address[100], unix_name[108];

    snprintf(unix_address, sizeof unix_address, "unix:%s/socket", check_folder());
    snprintf(unix_name, sizeof unix_name, "%s/x", unix_address);
    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &pair.server, &err));
    CHECK_OK(afar_server_listen(pair.server, unix_address, &err));
    CHECK_OK(afar_server_listen(pair.server, "inproc:several", &err));
    CHECK_FAILS(afar_server_listen(pair.server, "nonsense", &err), AFAR_INVALID_ARGUMENT);
    CHECK_OK(afar_server_start(pair.server, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &pair.client, &err));
    test_probe *first = pair_probe(&pair, "x", &echo_methods, NULL, AFAR_SERIAL);
    CHECK_INT(asked(first, 1), 2);
    test_probe_close(first);
    const char *const names[] = { unix_name, "inproc:several/x" };
    for (int i = 0; i < 2; i++) {
        CHECK_OK(test_probe_open(pair.client, names[i], soon(), &probe, &err));
        CHECK_INT(asked(probe, 1), 2);
        test_probe_close(probe);
    }
    afar_error_clear(&err);
    pair_close(&pair);
}

TEST(two_servers_and_two_clients_on_one_node)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;
    struct pair pairs[2];
    test_probe *probes[2];

    CHECK_OK(afar_node_open(NULL, &node, &err));
    for (int i = 0; i < 2; i++) {
        pair_open_with(&pairs[i], node, TCP, NULL);
        probes[i] = pair_probe(&pairs[i], "", &echo_methods, NULL, AFAR_SERIAL);
    }
    for (int i = 0; i < 100; i++)
        CHECK_INT(asked(probes[i % 2], i), i + 1);
    test_probe_close(probes[0]);
    pair_close(&pairs[0]);
    CHECK_INT(asked(probes[1], 1), 2);
    test_probe_close(probes[1]);
    pair_close(&pairs[1]);
    afar_node_close(node);
}

/* ---- unix sockets ---- */

TEST(a_unix_socket_is_for_its_owner)
{
    struct stat status;
    char path[300];
    struct pair pair;

    pair_open(&pair, UNIX);
    snprintf(path, sizeof path, "%s", afar_server_address(pair.server) + strlen("unix:"));
    CHECK_INT(stat(path, &status), 0);
    CHECK_INT(status.st_mode & 07777, 0600);
    pair_close(&pair);
    CHECK_INT(stat(path, &status), -1); /* it goes with its server */
}

/* What a server that was killed left behind is in nobody's way. */
TEST(a_stale_unix_socket_is_replaced)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char text[120];

    CHECK(fd >= 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", check_folder());
    snprintf(text, sizeof text, "unix:%s", address.sun_path);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    serve_at(text);
}

TEST(a_file_that_is_no_socket_is_not_replaced)
{
    char text[120];
    const char *path = text + strlen("unix:");
    int fd;

    snprintf(text, sizeof text, "unix:%s/file", check_folder());
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
    refuse_to_serve(text, AFAR_ALREADY_EXISTS);
    CHECK_INT(access(path, F_OK), 0);
}

/* ---- connecting ---- */

static afar_code
connect_to(const char *name, int64_t ms, afar_error *err)
{
    test_probe *probe = NULL;
    afar_client *client = NULL;

    CHECK_INT(afar_client_open(NULL, NULL, &client, NULL), AFAR_OK);
    afar_code code = test_probe_open(client, name, afar_after_ms(ms), &probe, err);
    CHECK(!code || !probe);
    test_probe_close(probe);
    afar_client_close(client);
    return code;
}

TEST(names_that_cannot_be_read)
{
    static const char *const bad[] = { "",
                                       "grpc://",
                                       "grpc://host",
                                       "grpc://host:x/name",
                                       "grpc://:7000",
                                       "grpc://127.0.0.1:0/x",
                                       "grpc://[::1/x",
                                       "grpc://127.0.0.1:70000",
                                       "http://127.0.0.1:1/x",
                                       "unix:",
                                       "inproc:",
                                       "grpc://127.0.0.1:1/line\nbreak" };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        afar_error err = AFAR_ERROR_INIT;

        CHECK_FAILS(connect_to(bad[i], 5000, &err), AFAR_INVALID_ARGUMENT);
        CHECK(strlen(err.message) > 0 && !strchr(err.message, '\n'));
        afar_error_clear(&err);
    }
}

/* A socket that is bound but does not listen. */
static int
bound_socket(int *ret_port)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, length), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

TEST(a_port_that_refuses_is_known_at_once)
{
    afar_error err = AFAR_ERROR_INIT;
    char name[64];
    int port, fd = bound_socket(&port);

    snprintf(name, sizeof name, "grpc://127.0.0.1:%d/x", port);
    int64_t start = now_ms();
    CHECK_FAILS(connect_to(name, 60000, &err), AFAR_UNAVAILABLE);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(now_ms() - start < 5000);
    snprintf(name, sizeof name, "127.0.0.1:%d", port);
    CHECK(strstr(err.message, name));
    CHECK_FAILS(connect_to("unix:/tmp/afar-nobody.sock", 60000, &err), AFAR_UNAVAILABLE);
    CHECK_FAILS(connect_to("inproc:nobody", 60000, &err), AFAR_UNAVAILABLE);
    CHECK(now_ms() - start < 10000);
    afar_error_clear(&err);
    close(fd);
}

static int
socket_count(void)
{
    int sockets = 0;

    for (int fd = 0; fd < 256; fd++) {
        struct stat status;
        sockets += fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
    }
    return sockets;
}

/* The core keeps the socket for a while, as nobody is there to say that it closed. */
TEST(a_port_that_is_silent_is_known_at_the_deadline)
{
    afar_error err = AFAR_ERROR_INIT;
    char name[64];
    int port, before = socket_count(), fd = bound_socket(&port);

    CHECK_INT(listen(fd, 8), 0);
    snprintf(name, sizeof name, "grpc://127.0.0.1:%d/x", port);
    int64_t start = now_ms();
    CHECK_FAILS(connect_to(name, 300, &err), AFAR_UNAVAILABLE);
    CHECK(now_ms() - start >= 299 && now_ms() - start < 8000);
    afar_error_clear(&err);
    close(fd);
    for (int64_t end = now_ms() + 15000; socket_count() > before; poll(NULL, 0, 10))
        CHECK(now_ms() < end);
}

TEST(a_host_that_does_not_exist)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(connect_to("grpc://no-such-host.invalid:1/x", 8000, &err), AFAR_UNAVAILABLE);
    CHECK(strstr(err.message, "no-such-host.invalid"));
    afar_error_clear(&err);
}

/* ---- breaking and healing ---- */

/* The server goes and comes back at the same port; the reference heals by itself. */
TEST(a_reference_outlives_its_server)
{
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair;
    int64_t number = 0;
    char address[300];

    pair_open(&pair, TCP);
    snprintf(address, sizeof address, "%s", afar_server_address(pair.server));
    test_probe *probe = pair_probe(&pair, "x", &echo_methods, NULL, AFAR_SERIAL);
    CHECK_INT(asked(probe, 1), 2);
    afar_server_close(pair.server);
    CHECK_FAILS(ask(probe, 1, &number, &err), AFAR_UNAVAILABLE);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);

    CHECK_OK(afar_server_open(NULL, address, NULL, &pair.server, &err));
    CHECK_OK(afar_server_start(pair.server, &err));
    test_probe *near = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    export_probe(pair.server, "x", near);
    test_probe_close(near);
    int64_t end = now_ms() + 15000;
    while (ask(probe, 1, &number, &err))
        CHECK(err.code == AFAR_UNAVAILABLE && now_ms() < end);
    CHECK_INT(number, 2);
    test_probe_close(probe);
    afar_error_clear(&err);
    pair_close(&pair);
}

TEST(a_call_may_wait_for_its_server)
{
    afar_call_options options = AFAR_CALL_OPTIONS_INIT;
    Test__Packet request = TEST__PACKET__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;
    struct pair pair;
    char address[300];

    pair_open(&pair, TCP);
    snprintf(address, sizeof address, "%s", afar_server_address(pair.server));
    test_probe *probe = pair_probe(&pair, "x", &echo_methods, NULL, AFAR_SERIAL);
    afar_server_close(pair.server);
    options.wait_for_ready = true;
    CHECK_OK(test_probe_ask_start(probe, &request, soon(), &options, &future, &err));
    CHECK_FAILS(afar_future_wait(future, afar_after_ms(100), &err), AFAR_DEADLINE_EXCEEDED);

    CHECK_OK(afar_server_open(NULL, address, NULL, &pair.server, &err));
    test_probe *near = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    export_probe(pair.server, "x", near);
    test_probe_close(near);
    CHECK_OK(afar_server_start(pair.server, &err));
    CHECK_INT(finish_ask(future), 1);
    test_probe_close(probe);
    afar_error_clear(&err);
    pair_close(&pair);
}

TEST(references_share_a_connection)
{
    test_probe *probes[50];
    struct pair pair;

    pair_open(&pair, TCP);
    for (int i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        probes[i] = pair_probe(&pair, name, &echo_methods, NULL, AFAR_SERIAL);
        CHECK_INT(asked(probes[i], i), i + 1);
    }
    CHECK(socket_count() < 10); /* both ends, what listens, what watches */
    for (int i = 0; i < 50; i++)
        test_probe_close(probes[i]);
    pair_close(&pair);
}
