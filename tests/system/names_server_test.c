/* A server that registers what it exports: what is recorded, what follows from exporting
 * and taking back, before and after the start, and the options.
 *
 * Labels: concurrent */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <afar/node.afar.h>

#include "names_host.h"

#define MANY 10000

static void
check_registered(afar_server *server)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_server_registered(server, soon(), &err));
}

/* The code, and the message in err. */
static afar_code
open_with(const char *address, const afar_server_options *options, afar_error *err)
{
    afar_server *server = NULL;
    afar_code code = afar_server_open(NULL, address, options, &server, err);

    if (!code)
        code = afar_server_start(server, err);
    afar_server_close(server);
    return code;
}

TEST(before_and_after_the_start)
{
    afar_error err = AFAR_ERROR_INIT;
    struct names_host host;

    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, 0);
    afar_server *server = names_serve(&options, "bank/early");
    check_registered(server);
    CHECK(names_host_has(&host, "bank/early"));
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    export_probe(server, "bank/late", probe);
    export_probe(server, "", probe);
    check_registered(server);
    CHECK(names_host_has(&host, "bank/late"));
    CHECK_OK(afar_server_unexport(server, "", &test_probe_interface, &err));
    CHECK_OK(afar_server_unexport(server, "bank/early", &test_probe_interface, &err));
    names_host_wait(&host, "bank/early", false);
    CHECK(names_host_has(&host, "bank/late"));
    test_probe_close(probe);
    afar_server_close(server);
    CHECK(!names_host_has(&host, "bank/late"));
    names_host_close(&host);
}

TEST(what_is_recorded)
{
    const char *const metadata[] = { "room", "12", "floor", "3", NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    struct names_host host;
    afar_node *node = NULL;
    char text[200];

    names_home();
    names_host_open(&host, "memory");
    CHECK_OK(afar_node_open(NULL, &node, &err));
    afar_server_options options = names_options(&host, 7000);
    options.metadata = metadata;
    CHECK_OK(afar_server_open(node, TCP, &options, &server, &err));
    snprintf(text, sizeof text, "unix:%s/sock", getenv("AFAR_HOME"));
    CHECK_OK(afar_server_listen(server, text, &err));
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    export_probe(server, "x", probe);
    CHECK_OK(afar_server_start(server, &err));
    check_registered(server);
    afar__record *record = names_host_record(&host, "x");
    CHECK_STR(record->name, "x");
    CHECK_INT(record->n_endpoints, 2);
    CHECK_STR(record->endpoints[1], text);
    snprintf(text, sizeof text, "grpc://%s", afar_server_address(server));
    CHECK_STR(record->endpoints[0], text);
    CHECK_INT(record->n_interfaces, 1);
    CHECK_STR(record->interfaces[0], "test.Probe");
    CHECK_INT(record->instance.len, 16);
    CHECK(memcmp(record->instance.data, afar_node_instance(node), 16) == 0);
    CHECK_INT(record->lease_ms, 7000);
    CHECK_INT(record->n_metadata, 2);
    CHECK_STR(record->metadata[0]->key, "room");
    CHECK_STR(record->metadata[1]->value, "3");
    CHECK(!record->take_over);
    afar_message_free(record);
    test_probe_close(probe);
    afar_server_close(server);
    afar_node_close(node);
    names_host_close(&host);
}

TEST(given_endpoints_are_recorded_as_they_are)
{
    const char *const endpoints[] = { "grpc://bank.example:7000", "unix:/run/bank.sock", NULL };
    struct names_host host;

    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, 0);
    options.endpoints = endpoints;
    afar_server *server = names_serve(&options, "x");
    check_registered(server);
    afar__record *record = names_host_record(&host, "x");
    CHECK_INT(record->n_endpoints, 2);
    CHECK_STR(record->endpoints[0], endpoints[0]);
    CHECK_STR(record->endpoints[1], endpoints[1]);
    afar_message_free(record);
    afar_server_close(server);
    names_host_close(&host);
}

TEST(several_interfaces_are_one_record)
{
    static const test_other_methods other_methods = { NULL };
    afar_error err = AFAR_ERROR_INIT;
    test_other *other = NULL;
    struct names_host host;

    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, 0);
    afar_server *server = names_serve(&options, "x");
    check_registered(server);
    CHECK_OK(test_other_new(&other_methods, NULL, NULL, &other, &err));
    CHECK_OK(afar_server_export(server, "x", test_other_object(other), &err));
    check_registered(server);
    afar__record *record = names_host_record(&host, "x");
    CHECK_INT(record->n_interfaces, 2);
    CHECK_STR(record->interfaces[1], "test.Other");
    uint64_t generation = record->generation;
    afar_message_free(record);
    CHECK_OK(afar_server_unexport(server, "x", &test_probe_interface, &err));
    check_registered(server);
    record = names_host_record(&host, "x");
    CHECK_INT(record->n_interfaces, 1);
    CHECK_STR(record->interfaces[0], "test.Other");
    CHECK(record->generation > generation);
    afar_message_free(record);
    CHECK_OK(afar_server_unexport(server, "x", &test_other_interface, &err));
    names_host_wait(&host, "x", false);
    test_other_close(other);
    afar_server_close(server);
    names_host_close(&host);
}

/* It must be the one that was asked, whatever name the call gives, and also if the
 * server exports nothing. */
TEST(a_server_says_who_it_is)
{
    static const char *const names[] = { "", "any/name" };
    Afar__Node__V1__IdentifyRequest request = AFAR__NODE__V1__IDENTIFY_REQUEST__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;
    struct pair pair;
    char text[300];

    CHECK_OK(afar_node_open(NULL, &node, &err));
    pair_open_with(&pair, node, TCP, NULL);
    for (size_t i = 0; i < 2; i++) {
        Afar__Node__V1__Identity *reply = NULL;
        afar_node_v1_node *far = NULL;

        CHECK_OK(afar_node_v1_node_open(pair.client, pair_name(&pair, names[i], text), soon(), &far,
                                        &err));
        CHECK_OK(afar_node_v1_node_identify(far, &request, soon(), &reply, &err));
        CHECK_INT(reply->instance.len, 16);
        CHECK(memcmp(reply->instance.data, afar_node_instance(node), 16) == 0);
        CHECK(strchr(reply->version, '.'));
        afar_message_free(reply);
        afar_node_v1_node_close(far);
    }
    pair_close(&pair);
    afar_node_close(node);
}

TEST(options_that_cannot_be_are_refused)
{
    const char *const none[] = { NULL };
    const char *const odd[] = { "grpc://127.0.0.1:1", "room", NULL };
    const char *const wrong[] = { "127.0.0.1:1", NULL };
    afar_error err = AFAR_ERROR_INIT;
    struct names_host host = { NULL, NULL, "127.0.0.1:1" };
    afar_server_options options;

    names_home();
    options = names_options(&host, 999);
    CHECK_FAILS(open_with(TCP, &options, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "999"));
    options = names_options(&host, 0);
    options.endpoints = none;
    CHECK_FAILS(open_with(TCP, &options, &err), AFAR_INVALID_ARGUMENT);
    options.endpoints = wrong;
    CHECK_FAILS(open_with(TCP, &options, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "127.0.0.1:1"));
    options = names_options(&host, 0);
    options.metadata = odd + 1;
    CHECK_FAILS(open_with(TCP, &options, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "room"));
    options = names_options(&host, 0);
    options.names = "nowhere";
    CHECK_FAILS(open_with(TCP, &options, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "the option names: nowhere: no port; write nowhere:PORT");
    options = names_options(&host, 0);
    CHECK_FAILS(open_with(INPROC, &options, &err), AFAR_INVALID_ARGUMENT);
    options.insecure = true;
    CHECK_FAILS(open_with("0.0.0.0:0", &options, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "endpoints"));
    CHECK_FAILS(open_with("[::]:0", &options, &err), AFAR_INVALID_ARGUMENT);
    options.key_file = "/nowhere/key";
    CHECK(open_with(TCP, &options, &err));
    CHECK(strstr(err.message, "/nowhere/key"));
    afar_error_clear(&err);
}

TEST(waiting_needs_a_name_server_and_a_start)
{
    struct names_host host = { NULL, NULL, "127.0.0.1:1" };
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;

    names_home();
    afar_server_options options = names_options(&host, 0);
    options.names = "";
    CHECK_OK(afar_server_open(NULL, TCP, &options, &server, &err));
    CHECK_FAILS(afar_server_registered(server, soon(), &err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "names"));
    afar_server_close(server);
    options = names_options(&host, 0);
    CHECK_OK(afar_server_open(NULL, TCP, &options, &server, &err));
    CHECK_FAILS(afar_server_registered(server, soon(), &err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "start"));
    afar_server_close(server);
    afar_error_clear(&err);
}

TEST(ten_thousand_names)
{
    afar_error err = AFAR_ERROR_INIT;
    struct names_host host;
    char text[32];

    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, 0);
    afar_server *server = names_serve(&options, NULL);
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "many/%d", i);
        export_probe(server, text, probe);
    }
    CHECK_OK(afar_server_registered(server, AFAR_FOREVER, &err)); /* the runner has a limit */
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "many/%d", i);
        CHECK(names_host_has(&host, text));
    }
    test_probe_close(probe);
    afar_server_close(server);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "many/%d", i);
        CHECK(!names_host_has(&host, text));
    }
    names_host_close(&host);
}

struct closing {
    afar_server *server;
    struct event closed;
};

static afar_code
close_it(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct closing *closing = self;

    (void)call;
    reply->number = request->number;
    afar_server_close(closing->server);
    event_raise(&closing->closed);
    return AFAR_OK;
}

static const test_probe_methods closing_methods = { .ask = close_it };

TEST(closed_from_a_handler)
{
    struct closing closing = { NULL, EVENT_INIT };
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;
    struct names_host host;
    test_probe *far = NULL;
    int64_t answer = 0;
    char text[300];

    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, 0);
    closing.server = names_serve(&options, NULL);
    test_probe *near = make_probe(&closing_methods, &closing, AFAR_SERIAL);
    export_probe(closing.server, "x", near);
    test_probe_close(near);
    check_registered(closing.server);
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    snprintf(text, sizeof text, "grpc://%s/x", afar_server_address(closing.server));
    CHECK_OK(test_probe_open(client, text, soon(), &far, &err));
    CHECK_OK(ask(far, 7, &answer, &err));
    CHECK_INT(answer, 7);
    event_wait(&closing.closed, 1);
    names_host_wait(&host, "x", false);
    test_probe_close(far);
    afar_client_close(client);
    names_host_close(&host);
}
