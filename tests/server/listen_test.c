/* Sockets that listen.  Labels: concurrent. */

#include "server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accepting.h"
#include "check.h"

static afar_code
open_at(const char *text, bool insecure, afar__listener *ret_listener, afar_error *err)
{
    afar__address address;
    afar_code code = afar__address_parse_listen(text, &address, err);

    return code ? code : afar__listen_open(&address, insecure, ret_listener, err);
}

/* Somebody who connects is accepted. */
static void
check_reachable(const afar__listener *listener)
{
    int client = client_open(listener);
    int accepted = accept(listener->fd, NULL, NULL);

    CHECK(accepted >= 0);
    close(accepted);
    close(client);
}

/* ---- TCP ---- */

TEST(free_port_is_taken_and_told)
{
    static const char *const forms[][2] = { { "127.0.0.1:0", "127.0.0.1:" },
                                            { "[::1]:0", "[::1]:" },
                                            { "localhost:0", "127.0.0.1:" } };

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        afar_error err = AFAR_ERROR_INIT;
        afar__listener listener = AFAR__LISTENER_INIT;
        size_t length = strlen(forms[i][1]);

        CHECK_OK(open_at(forms[i][0], false, &listener, &err));
        CHECK(strncmp(listener.address, forms[i][1], length) == 0);
        CHECK(atoi(listener.address + length) > 0);
        check_reachable(&listener);
        afar__listen_close(&listener);
        CHECK_INT(listener.fd, -1);
        afar__listen_close(&listener);
    }
}

TEST(descriptors_do_not_block_and_do_not_pass_exec)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;

    CHECK_OK(open_at("127.0.0.1:0", false, &listener, &err));
    CHECK(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(listener.fd, F_GETFL) & O_NONBLOCK);
    afar__listen_close(&listener);
}

TEST(taken_port_is_refused)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener first = AFAR__LISTENER_INIT, second = AFAR__LISTENER_INIT;
    char expected[160];

    CHECK_OK(open_at("127.0.0.1:0", false, &first, &err));
    CHECK_FAILS(open_at(first.address, false, &second, &err), AFAR_ALREADY_EXISTS);
    snprintf(expected, sizeof expected, "%s: somebody listens there already", first.address);
    CHECK_STR(err.message, expected);
    CHECK_INT(second.fd, -1);
    afar_error_clear(&err);
    afar__listen_close(&first);
}

/* Its name stands for IPv6 as well, where nobody listens; callers of the name would
 * find the other one. */
TEST(name_whose_first_address_is_taken_is_refused)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener first = AFAR__LISTENER_INIT, second = AFAR__LISTENER_INIT;
    char text[64];

    CHECK_OK(open_at("127.0.0.1:0", false, &first, &err));
    snprintf(text, sizeof text, "localhost%s", strrchr(first.address, ':'));
    CHECK_FAILS(open_at(text, false, &second, &err), AFAR_ALREADY_EXISTS);
    afar_error_clear(&err);
    afar__listen_close(&first);
}

/* The side that ends a connection first keeps it in TIME_WAIT. */
TEST(server_comes_back_to_its_port_at_once)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;
    char address[sizeof listener.address];

    CHECK_OK(open_at("127.0.0.1:0", false, &listener, &err));
    snprintf(address, sizeof address, "%s", listener.address);
    int client = client_open(&listener);
    int accepted = accept(listener.fd, NULL, NULL);
    CHECK(accepted >= 0);
    close(accepted);
    client_see_end(client);
    close(client);
    afar__listen_close(&listener);
    CHECK_OK(open_at(address, false, &listener, &err));
    check_reachable(&listener);
    afar__listen_close(&listener);
}

TEST(beyond_loopback_needs_insecure)
{
    static const char *const texts[] = { "0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0" };
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CHECK_FAILS(open_at(texts[i], false, &listener, &err), AFAR_PERMISSION_DENIED);
        CHECK(strstr(err.message, texts[i]) != NULL);
        CHECK(strstr(err.message, "insecure") != NULL);
        CHECK_INT(listener.fd, -1);
        CHECK_OK(open_at(texts[i], true, &listener, &err));
        afar__listen_close(&listener);
    }
    CHECK_OK(open_at("127.9.9.9:0", false, &listener, &err));
    afar__listen_close(&listener);
    afar_error_clear(&err);
}

TEST(any_ipv6_address_takes_ipv4_too)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;
    struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
    socklen_t length = sizeof from;
    char text[64];
    int port = 0;

    CHECK_OK(open_at("[::]:0", true, &listener, &err));
    CHECK_INT(sscanf(listener.address, "[::]:%d", &port), 1);
    ipv4.sin_port = htons((uint16_t)port);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(connect(client, (struct sockaddr *)&ipv4, sizeof ipv4), 0);
    int accepted = accept(listener.fd, (struct sockaddr *)&from, &length);
    CHECK(accepted >= 0);
    CHECK_INT(from.ss_family, AF_INET6);
    afar__listen_print(&from, text, sizeof text);
    CHECK(strncmp(text, "127.0.0.1:", 10) == 0);
    close(accepted);
    close(client);
    afar__listen_close(&listener);
}

TEST(address_of_another_machine_is_not_found)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;

    CHECK_FAILS(open_at("203.0.113.1:0", true, &listener, &err), AFAR_NOT_FOUND);
    CHECK_STR(err.message, "203.0.113.1:0: not an address of this machine");
    afar_error_clear(&err);
}

/* A label of more than 63 bytes cannot exist, so that nobody needs to be asked. */
TEST(unknown_host_is_not_found)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;
    char text[128];

    memset(text, 'a', 70);
    memcpy(text + 70, ":0", 3);
    CHECK_FAILS(open_at(text, false, &listener, &err), AFAR_NOT_FOUND);
    CHECK(strstr(err.message, text) != NULL);
    afar_error_clear(&err);
}

/* ---- unix sockets ---- */

struct place {
    char folder[100];
    char path[108];
    char text[120];
};

static struct place
place_open(void)
{
    struct place place;

    snprintf(place.folder, sizeof place.folder, "%s/listen-XXXXXX", check_folder());
    CHECK(mkdtemp(place.folder) != NULL);
    snprintf(place.path, sizeof place.path, "%s/socket", place.folder);
    snprintf(place.text, sizeof place.text, "unix:%s", place.path);
    return place;
}

/* Nothing may be left in it. */
static void
place_close(const struct place *place)
{
    CHECK_INT(rmdir(place->folder), 0);
}

/* Leaves a socket file behind as a process does that dies. */
static void
leave_stale(const struct place *place, int type)
{
    struct sockaddr_un path = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    snprintf(path.sun_path, sizeof path.sun_path, "%s", place->path);
    CHECK_INT(bind(fd, (struct sockaddr *)&path, sizeof path), 0);
    close(fd);
}

TEST(unix_socket_is_its_owners_only)
{
    static const mode_t masks[] = { 0, 022, 077 };

    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        afar_error err = AFAR_ERROR_INIT;
        afar__listener listener = AFAR__LISTENER_INIT;
        struct place place = place_open();
        struct stat state;

        umask(masks[i]);
        CHECK_OK(open_at(place.text, false, &listener, &err));
        CHECK_INT(umask(masks[i]), masks[i]);
        CHECK_INT(lstat(place.path, &state), 0);
        CHECK(S_ISSOCK(state.st_mode));
        CHECK_INT(state.st_mode & 07777, 0600);
        CHECK_STR(listener.address, place.text);
        CHECK(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC);
        CHECK(fcntl(listener.folder, F_GETFD) & FD_CLOEXEC);
        check_reachable(&listener);
        afar__listen_close(&listener);
        place_close(&place);
    }
}

TEST(stale_socket_is_replaced)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;
    struct place place = place_open();

    leave_stale(&place, SOCK_STREAM);
    CHECK_OK(open_at(place.text, false, &listener, &err));
    check_reachable(&listener);
    afar__listen_close(&listener);
    place_close(&place);
}

TEST(live_socket_is_left_alone)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener first = AFAR__LISTENER_INIT, second = AFAR__LISTENER_INIT;
    struct place place = place_open();

    CHECK_OK(open_at(place.text, false, &first, &err));
    CHECK_FAILS(open_at(place.text, false, &second, &err), AFAR_ALREADY_EXISTS);
    CHECK(strstr(err.message, "somebody listens there already") != NULL);
    int probe = accept(first.fd, NULL, NULL);
    CHECK(probe >= 0);
    close(probe);
    check_reachable(&first);
    afar_error_clear(&err);
    afar__listen_close(&first);
    place_close(&place);
}

TEST(live_socket_with_a_full_backlog_is_left_alone)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener first = AFAR__LISTENER_INIT, second = AFAR__LISTENER_INIT;
    struct place place = place_open();

    CHECK_OK(open_at(place.text, false, &first, &err));
    CHECK_INT(listen(first.fd, 0), 0);
    int client = client_open(&first);
    CHECK_FAILS(open_at(place.text, false, &second, &err), AFAR_ALREADY_EXISTS);
    close(client);
    afar_error_clear(&err);
    afar__listen_close(&first);
    place_close(&place);
}

/* It is no stream socket and no server of ours; whose it is cannot be known. */
TEST(socket_of_another_type_is_left_alone)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;
    struct sockaddr_un path = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct place place = place_open();

    snprintf(path.sun_path, sizeof path.sun_path, "%s", place.path);
    CHECK_INT(bind(fd, (struct sockaddr *)&path, sizeof path), 0);
    CHECK_FAILS(open_at(place.text, false, &listener, &err), AFAR_ALREADY_EXISTS);
    close(fd);
    CHECK_INT(unlink(place.path), 0);
    afar_error_clear(&err);
    place_close(&place);
}

TEST(other_files_are_left_alone)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;
    struct place place = place_open();
    struct stat state;

    close(open(place.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CHECK_FAILS(open_at(place.text, false, &listener, &err), AFAR_ALREADY_EXISTS);
    CHECK(strstr(err.message, "a file that is not a socket is there") != NULL);
    CHECK_INT(lstat(place.path, &state), 0);
    CHECK(S_ISREG(state.st_mode));
    CHECK_INT(unlink(place.path), 0);

    CHECK_INT(symlink("nowhere", place.path), 0);
    CHECK_FAILS(open_at(place.text, false, &listener, &err), AFAR_ALREADY_EXISTS);
    CHECK_INT(unlink(place.path), 0);
    afar_error_clear(&err);
    place_close(&place);
}

TEST(only_its_own_file_is_removed)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener first = AFAR__LISTENER_INIT, second = AFAR__LISTENER_INIT;
    struct place place = place_open();

    CHECK_OK(open_at(place.text, false, &first, &err));
    CHECK_INT(unlink(place.path), 0);
    CHECK_OK(open_at(place.text, false, &second, &err));
    afar__listen_close(&first);
    check_reachable(&second);
    afar__listen_close(&second);
    place_close(&place);
}

TEST(file_is_found_again_from_another_folder)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;
    struct place place = place_open();

    CHECK_INT(chdir(place.folder), 0);
    CHECK_OK(open_at("unix:socket", false, &listener, &err));
    CHECK_STR(listener.address, "unix:socket");
    CHECK_INT(chdir("/"), 0);
    afar__listen_close(&listener);
    place_close(&place);
}

TEST(child_does_not_remove_its_parents_file)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;
    struct place place = place_open();
    int status = 0;

    CHECK_OK(open_at(place.text, false, &listener, &err));
    pid_t child = fork();
    if (child == 0) {
        afar__listen_close(&listener);
        _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    check_reachable(&listener);
    afar__listen_close(&listener);
    place_close(&place);
}

TEST(missing_folder_is_not_found)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;

    CHECK_FAILS(open_at("unix:/tmp/no-such-folder/socket", false, &listener, &err), AFAR_NOT_FOUND);
    CHECK(strstr(err.message, "unix:/tmp/no-such-folder/socket: ") != NULL);
    afar_error_clear(&err);
}

TEST(name_that_ends_like_a_folder_is_refused)
{
    afar__address address = { .kind = AFAR__ADDRESS_UNIX, .path = "/tmp/" };
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;

    CHECK_FAILS(afar__listen_open(&address, false, &listener, &err), AFAR_INVALID_ARGUMENT);
    afar_error_clear(&err);
}

TEST(path_may_be_as_long_as_the_system_allows)
{
    struct sockaddr_un path;
    const size_t longest = sizeof path.sun_path - 1;
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;
    struct place place = place_open();
    char text[160], limit[16];

    snprintf(text, sizeof text, "unix:%s/", place.folder);
    memset(text + strlen(text), 'x', strlen("unix:") + longest + 1 - strlen(text));
    text[strlen("unix:") + longest + 1] = '\0';
    CHECK_FAILS(open_at(text, false, &listener, &err), AFAR_INVALID_ARGUMENT);
    snprintf(limit, sizeof limit, "%zu", longest);
    CHECK(strstr(err.message, limit) != NULL);
    text[strlen("unix:") + longest] = '\0';
    CHECK_OK(open_at(text, false, &listener, &err));
    CHECK_STR(listener.address, text);
    check_reachable(&listener);
    afar__listen_close(&listener);
    afar_error_clear(&err);
    place_close(&place);
}

TEST(other_kinds_of_address_are_refused)
{
    afar__address address = { .kind = AFAR__ADDRESS_INPROC, .path = "here" };
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;

    CHECK_FAILS(afar__listen_open(&address, false, &listener, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "here") != NULL);
    afar_error_clear(&err);
}

/* ---- two at once ---- */

TEST(lock_that_is_held_refuses_and_one_left_behind_does_not)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__listener listener = AFAR__LISTENER_INIT;
    struct place place = place_open();
    char lock[120];

    snprintf(lock, sizeof lock, "%s.afar-lock", place.path);
    int fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    CHECK_INT(flock(fd, LOCK_EX), 0);
    CHECK_FAILS(open_at(place.text, false, &listener, &err), AFAR_ALREADY_EXISTS);
    close(fd);
    CHECK_OK(open_at(place.text, false, &listener, &err));
    afar_error_clear(&err);
    afar__listen_close(&listener);
    place_close(&place);
}

#define RACERS 6
#define ROUNDS 100

/* One of those that race for a place; keeps what it got until `go_on` closes.  Says
 * over `said` whether it won. */
static void
race(const char *text, int start, int said, int go_on)
{
    afar__listener listener = AFAR__LISTENER_INIT;
    char byte;

    if (read(start, &byte, 1) != 0)
        _exit(1);
    byte = open_at(text, false, &listener, NULL) == AFAR_OK;
    if (write(said, &byte, 1) != 1 || read(go_on, &byte, 1) != 0)
        _exit(1);
    afar__listen_close(&listener);
    _exit(0);
}

/* Whoever wins serves the path: it is the one that a client reaches. */
static void
race_once(const struct place *place)
{
    int start[2], said[2], go_on[2], winners = 0, status;

    CHECK(pipe2(start, O_CLOEXEC) == 0 && pipe2(said, O_CLOEXEC) == 0 &&
          pipe2(go_on, O_CLOEXEC) == 0);
    leave_stale(place, SOCK_STREAM);
    for (int i = 0; i < RACERS; i++)
        if (fork() == 0) {
            close(start[1]);
            close(go_on[1]);
            race(place->text, start[0], said[1], go_on[0]);
        }
    close(start[1]);
    for (int i = 0; i < RACERS; i++) {
        char won;

        CHECK_INT(read(said[0], &won, 1), 1);
        winners += won;
    }
    CHECK_INT(winners, 1);
    CHECK_INT(access(place->path, F_OK), 0);
    close(go_on[1]);
    for (int i = 0; i < RACERS; i++) {
        CHECK(wait(&status) > 0);
        CHECK_INT(status, 0);
    }
    close(start[0]);
    close(said[0]);
    close(said[1]);
    close(go_on[0]);
}

TEST(of_many_at_once_just_one_gets_the_place)
{
    struct place place = place_open();

    for (int i = 0; i < ROUNDS; i++)
        race_once(&place);
    place_close(&place);
}
