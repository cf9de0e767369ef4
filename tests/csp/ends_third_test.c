/* Ends of channels that are opened by name, and ends that move on to a third process: straight to the
 * home, or through the one that gave them if the home has no address.
 *
 * The other processes are real ones. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parts.h"
#include "server/nameserver/registry.h"
#include "server/nameserver/service.h"

/* ---- by name ---- */

struct names {
    char home[100];
    afar__registry *registry;
    afar_server *server;
};

static void
open_names(struct names *names)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_object *service = NULL;
    afar__store *store = NULL;

    snprintf(names->home, sizeof names->home, "%s/home-XXXXXX", check_folder());
    CHECK(mkdtemp(names->home));
    CHECK_INT(setenv("AFAR_HOME", names->home, 1), 0);
    CHECK_OK(afar__store_open("memory", &store, &err));
    CHECK_OK(afar__registry_open(store, NULL, &names->registry, &err));
    CHECK_OK(afar__names_service_new(names->registry, &service, &err));
    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &names->server, &err));
    CHECK_OK(afar_server_export(names->server, "", service, &err));
    CHECK_OK(afar_server_start(names->server, &err));
    afar_object_close(service);
}

static void
close_names(struct names *names)
{
    afar_server_close(names->server);
    afar__registry_close(names->registry);
}

/* A server that has registered both ends of a channel. */
static afar_server *
serve_by_name(const struct names *names, struct ends ends)
{
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;

    options.names = afar_server_address(names->server);
    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", &options, &server, &err));
    CHECK_OK(afar_server_export(server, "orders/in", csp_item_sender_object(ends.sender), &err));
    CHECK_OK(
        afar_server_export(server, "orders/out", csp_item_receiver_object(ends.receiver), &err));
    CHECK_OK(afar_server_start(server, &err));
    CHECK_OK(afar_server_registered(server, soon(), &err));
    return server;
}

static afar_client *
open_client(const struct names *names)
{
    afar_client_options options = AFAR_CLIENT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    options.names = afar_server_address(names->server);
    CHECK_OK(afar_client_open(NULL, &options, &client, &err));
    return client;
}

TEST(ends_by_name)
{
    struct names names;
    struct ends near = make_channel(0), far;
    afar_error err = AFAR_ERROR_INIT;
    csp_item_sender *none = NULL;

    open_names(&names);
    afar_server *server = serve_by_name(&names, near);
    afar_client *client = open_client(&names);
    CHECK_OK(csp_item_sender_open(client, "orders/in", soon(), &far.sender, &err));
    CHECK_OK(csp_item_receiver_open(client, "orders/out", soon(), &far.receiver, &err));
    for (uint64_t i = 0; i < 20; i++) {
        struct sending sending;

        start_sending(&sending, i % 2 ? far.sender : near.sender, i);
        CHECK_INT(received(i % 3 ? far.receiver : near.receiver), i);
        CHECK_INT(finish_sending(&sending), AFAR_OK);
    }
    CHECK_FAILS(csp_item_sender_open(client, "orders/none", soon(), &none, &err), AFAR_NOT_FOUND);
    close_ends(far);
    close_ends(near);
    afar_client_close(client);
    afar_server_close(server);
    close_names(&names);
    afar_error_clear(&err);
}

/* Who has lost its home finds the next one, by the name. */
TEST(a_name_leads_to_the_next_home)
{
    struct names names;
    struct ends first = make_channel(5), second = make_channel(5);
    afar_error err = AFAR_ERROR_INIT;
    csp_item_sender *far = NULL;
    afar_code code;

    open_names(&names);
    afar_server *server = serve_by_name(&names, first);
    afar_client *client = open_client(&names);
    CHECK_OK(csp_item_sender_open(client, "orders/in", soon(), &far, &err));
    CHECK_INT(send_number(far, 1, soon()), AFAR_OK);
    CHECK_INT(received(first.receiver), 1);
    afar_server_close(server);
    server = serve_by_name(&names, second);
    do
        code = send_number(far, 2, soon());
    while (code == AFAR_LOST || code == AFAR_UNKNOWN || code == AFAR_UNAVAILABLE);
    CHECK_INT(code, AFAR_OK);
    CHECK_INT(received(second.receiver), 2);
    csp_item_sender_close(far);
    close_ends(first);
    close_ends(second);
    afar_client_close(client);
    afar_server_close(server);
    close_names(&names);
}

/* ---- to a third process ---- */

#define ITEMS 500

/* A process with an address, which receives until there is nothing more, and ends well if it was all of
 * it.  Where it is goes into the pipe. */
static void
be_sink(int pipe)
{
    struct ends ends = make_channel(0);
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    char address[64] = "";
    uint64_t number;

    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &server, &err));
    CHECK_OK(afar_server_export(server, "sink", csp_item_sender_object(ends.sender), &err));
    CHECK_OK(afar_server_start(server, &err));
    snprintf(address, sizeof address, "%s", afar_server_address(server));
    CHECK(write(pipe, address, sizeof address) == sizeof address);
    for (uint64_t i = 1; i <= ITEMS; i++) {
        CHECK_INT(received(ends.receiver), i);
        if (i > 1)
            continue;
        CHECK_OK(afar_server_unexport(server, "sink", csp_item_channel_type.sender, &err));
        csp_item_sender_close(ends.sender);
    }
    CHECK_INT(receive_number(ends.receiver, &number, soon()), AFAR_ENDED);
    csp_item_receiver_close(ends.receiver);
    afar_server_close(server);
    _exit(0);
}

static pid_t
start_sink(char address[64])
{
    int pipes[2];
    pid_t pid;

    CHECK(!pipe(pipes));
    fflush(stdout);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        be_sink(pipes[1]);
    CHECK(read(pipes[0], address, 64) == 64);
    close(pipes[0]);
    close(pipes[1]);
    return pid;
}

/* Sends into a chain, and lets go of it. */
static void
feed(csp_item_sender *sender, uint64_t first)
{
    afar_error err = AFAR_ERROR_INIT;

    for (uint64_t i = 0; i < ITEMS; i++)
        CHECK_INT(send_number(sender, first + i, soon()), AFAR_OK);
    CHECK_OK(csp_item_sender_finish(sender, soon(), &err));
    csp_item_sender_close(sender);
}

/* From the sink to here, and from here to a program, which then has no need of us. */
TEST(an_end_moves_on_to_a_third_process)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;
    csp_item_sender *sink = NULL;
    char address[64], name[100];
    struct spread spread;
    int status;

    pid_t pid = start_sink(address);
    spread_open(&spread);
    struct part part = part_start(&spread, "add", NULL);
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    snprintf(name, sizeof name, "afar://%s/sink", address);
    CHECK_OK(csp_item_sender_open(client, name, soon(), &sink, &err));
    csp_item_sender *in = part_chain(&part, 3, sink);
    afar_client_close(client);
    feed(in, 0 - (uint64_t)2);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    part_close(&part);
    CHECK_OK(afar_network_wait(spread.network, soon(), &err));
    spread_close(&spread);
}

/* Programs that are clients only: what one gives to the other goes through us. */
TEST(an_end_without_an_address_is_relayed)
{
    afar_error err = AFAR_ERROR_INIT;
    struct ends home = make_channel(0);
    struct spread spread;
    uint64_t number;

    spread_open(&spread);
    struct part one = part_start(&spread, "add", NULL), two = part_start(&spread, "add", NULL);
    csp_item_sender *in = part_chain(&two, 2, home.sender);
    in = part_chain(&one, 2, in);
    in = part_chain(&two, 2, in);
    part_close(&one);
    part_close(&two);
    for (uint64_t i = 0; i < ITEMS; i++) {
        struct sending sending;

        start_sending(&sending, in, i);
        CHECK_INT(received(home.receiver), i + 6);
        CHECK_INT(finish_sending(&sending), AFAR_OK);
    }
    CHECK_OK(csp_item_sender_finish(in, soon(), &err));
    csp_item_sender_close(in);
    CHECK_INT(receive_number(home.receiver, &number, soon()), AFAR_ENDED);
    csp_item_receiver_close(home.receiver);
    CHECK_OK(afar_network_wait(spread.network, soon(), &err));
    spread_close(&spread);
}

/* The same, ended by poison: it goes all the way. */
TEST(poison_is_relayed)
{
    struct ends home = make_channel(0);
    afar_error err = AFAR_ERROR_INIT;
    Csp__Item *item = NULL;
    struct spread spread;

    spread_open(&spread);
    struct part one = part_start(&spread, "add", NULL), two = part_start(&spread, "add", NULL);
    csp_item_sender *in = part_chain(&two, 1, home.sender);
    in = part_chain(&one, 1, in);
    part_close(&one);
    part_close(&two);
    csp_item_sender_poison(in, "that will do");
    csp_item_sender_close(in);
    CHECK_FAILS(csp_item_receive(home.receiver, soon(), &item, &err), AFAR_POISONED);
    CHECK(strstr(err.message, "that will do"));
    csp_item_receiver_close(home.receiver);
    CHECK_OK(afar_network_wait(spread.network, soon(), &err));
    spread_close(&spread);
    afar_error_clear(&err);
}
