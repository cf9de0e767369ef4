/* Opening by name with the real name server, and servers that register with it.
 *
 * Labels: concurrent */

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "fake.h"
#include "server/nameserver/service.h"

#define ASKERS 4

/* ---- a name server and its servers ---- */

struct host {
    afar__registry *registry;
    afar_server *server;
    char address[128];
};

static void
host_start(struct host *host, const char *address)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_object *service = NULL;
    afar__store *store = NULL;

    CHECK_OK(afar__store_open("memory", &store, &err));
    CHECK_OK(afar__registry_open(store, NULL, &host->registry, &err));
    CHECK_OK(afar__names_service_new(host->registry, &service, &err));
    CHECK_OK(afar_server_open(NULL, address, NULL, &host->server, &err));
    CHECK_OK(afar_server_export(host->server, "", service, &err));
    CHECK_OK(afar_server_start(host->server, &err));
    snprintf(host->address, sizeof host->address, "%s", afar_server_address(host->server));
    afar_object_close(service);
}

static void
host_stop(struct host *host)
{
    afar_server_close(host->server);
    afar__registry_close(host->registry);
}

static afar_code
say_number(void *self, const Client__Word *request, Client__Word *reply, afar_call *call)
{
    (void)request;
    (void)call;
    reply->number = (int64_t)(intptr_t)self;
    return AFAR_OK;
}

static const client_thing_methods things = { .ask = say_number };

/* A server of "bank/alice" that has registered it, with that key. */
static afar_server *
serve(const struct host *host, int64_t number, const char *key_file)
{
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    client_thing *thing = NULL;

    options.names = host->address;
    options.key_file = key_file;
    options.take_over = true;
    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", &options, &server, &err));
    CHECK_OK(client_thing_new(&things, (void *)(intptr_t)number, NULL, &thing, &err));
    CHECK_OK(afar_server_export(server, "bank/alice", client_thing_object(thing), &err));
    client_thing_close(thing);
    CHECK_OK(afar_server_start(server, &err));
    CHECK_OK(afar_server_registered(server, soon(), &err));
    return server;
}

static afar_client *
client_at(const struct host *host)
{
    afar_client_options options = AFAR_CLIENT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    options.names = host->address;
    CHECK_OK(afar_client_open(NULL, &options, &client, &err));
    return client;
}

static int64_t
ask(client_thing *thing)
{
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    int64_t number;

    CHECK_OK(client_thing_ask(thing, &request, soon(), &reply, &err));
    number = reply->number;
    afar_message_free(reply);
    return number;
}

/* ---- tests ---- */

TEST(from_registering_to_unregistering)
{
    char message[300];
    struct host host;
    afar_server *server;
    afar_client *client;

    fake_home();
    host_start(&host, "127.0.0.1:0");
    server = serve(&host, 1, NULL);
    client = client_at(&host);
    CHECK_INT(number_at(client, "bank/alice"), 1);
    snprintf(message, sizeof message, "bank/bob: nobody has registered it (name server %s)",
             host.address);
    check_refused(client, "bank/bob", AFAR_NOT_FOUND, message);
    afar_server_close(server);
    snprintf(message, sizeof message, "bank/alice: nobody has registered it (name server %s)",
             host.address);
    check_refused(client, "bank/alice", AFAR_NOT_FOUND, message);
    afar_client_close(client);
    host_stop(&host);
}

TEST(a_server_that_is_replaced)
{
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;
    struct host host;
    afar_server *server, *next;
    afar_client *client;

    fake_home();
    host_start(&host, "127.0.0.1:0");
    server = serve(&host, 1, NULL);
    client = client_at(&host);
    CHECK_OK(client_thing_open(client, "bank/alice", soon(), &thing, &err));
    for (int i = 2; i < 5; i++) {
        CHECK_INT(ask(thing), i - 1);
        next = serve(&host, i, NULL);
        afar_server_close(server);
        server = next;
    }
    CHECK_INT(ask(thing), 4);
    client_thing_close(thing);
    afar_client_close(client);
    afar_server_close(server);
    host_stop(&host);
}

/* Its store is memory, so it knows nothing when it comes again, and its revisions begin
 * elsewhere: nothing of that is older. */
TEST(a_name_server_that_forgot_everything)
{
    char address[128];
    struct host host;
    afar_server *server;
    afar_client *client;

    fake_home();
    host_start(&host, "127.0.0.1:0");
    server = serve(&host, 1, NULL);
    client = client_at(&host);
    CHECK_INT(number_at(client, "bank/alice"), 1);
    afar_server_close(server);
    host_stop(&host);
    snprintf(address, sizeof address, "%s", host.address);
    host_start(&host, address);
    server = serve(&host, 2, NULL);
    CHECK_INT(number_at(client, "bank/alice"), 2);
    afar_client_close(client);
    afar_server_close(server);
    host_stop(&host);
}

/* The name is free, and somebody else takes it: who knew its owner is told. */
TEST(another_owner_takes_the_name)
{
    afar_error err = AFAR_ERROR_INIT;
    char message[300], path[100];
    client_thing *thing = NULL;
    struct host host;
    afar_server *server;
    afar_client *client;

    fake_home();
    host_start(&host, "127.0.0.1:0");
    snprintf(path, sizeof path, "%s/key-1", getenv("AFAR_HOME"));
    fake_key(1);
    server = serve(&host, 1, path);
    client = client_at(&host);
    CHECK_OK(client_thing_open(client, "bank/alice", soon(), &thing, &err));
    CHECK_INT(ask(thing), 1);
    afar_server_close(server);
    snprintf(path, sizeof path, "%s/key-2", getenv("AFAR_HOME"));
    fake_key(2);
    server = serve(&host, 2, path);
    snprintf(message, sizeof message,
             "bank/alice: owner %s, but %s in %s/known_names:1; remove that line if the owner has "
             "really changed",
             afar_key_public(fake_key(2)), afar_key_public(fake_key(1)), getenv("AFAR_HOME"));
    check_refused(client, "bank/alice", AFAR_PERMISSION_DENIED, message);
    {
        Client__Word request = CLIENT__WORD__INIT, *reply = NULL;

        CHECK(client_thing_ask(thing, &request, soon(), &reply, &err) != AFAR_OK);
        CHECK(strstr(err.message, afar_key_public(fake_key(2))));
        afar_error_clear(&err);
    }
    client_thing_close(thing);
    afar_client_close(client);
    afar_server_close(server);
    host_stop(&host);
}

struct asker {
    pthread_t thread;
    const struct host *host;
    atomic_bool *stop;
    atomic_int asked;
};

/* A call that meets the end of a server may have been lost with it: that is the caller's to
 * judge, and this one asks once more. */
static void
ask_patiently(client_thing *thing)
{
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    do {
        code = client_thing_ask(thing, &request, soon(), &reply, &err);
    } while (code == AFAR_CANCELLED || code == AFAR_UNAVAILABLE);
    CHECK_OK(code);
    CHECK(reply->number > 0);
    afar_message_free(reply);
    afar_error_clear(&err);
}

/* Opens and asks, again and again, until it is told to stop. */
static void *
run_asker(void *arg)
{
    struct asker *asker = arg;
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;
    afar_client *client = client_at(asker->host);

    CHECK_OK(client_thing_open(client, "bank/alice", soon(), &thing, &err));
    while (!atomic_load(asker->stop)) {
        client_thing *other = NULL;

        ask_patiently(thing);
        CHECK_OK(client_thing_open(client, "bank/alice", soon(), &other, &err));
        ask_patiently(other);
        client_thing_close(other);
        atomic_fetch_add(&asker->asked, 1);
    }
    client_thing_close(thing);
    afar_client_close(client);
    return NULL;
}

/* There is always one to be opened, since the next server has the name before the last one
 * goes. */
TEST(servers_that_are_replaced_while_they_are_asked)
{
    struct asker askers[ASKERS];
    atomic_bool stop = false;
    struct host host;
    afar_server *server, *next;

    fake_home();
    host_start(&host, "127.0.0.1:0");
    server = serve(&host, 1, NULL);
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){ .host = &host, .stop = &stop };
        CHECK_INT(pthread_create(&askers[i].thread, NULL, run_asker, &askers[i]), 0);
    }
    for (int round = 2; round < 8; round++) {
        for (int i = 0; i < ASKERS; i++)
            for (int before = atomic_load(&askers[i].asked);
                 atomic_load(&askers[i].asked) < before + 2;)
                sched_yield();
        next = serve(&host, round, NULL);
        afar_server_close(server);
        server = next;
    }
    atomic_store(&stop, true);
    for (int i = 0; i < ASKERS; i++)
        CHECK_INT(pthread_join(askers[i].thread, NULL), 0);
    afar_server_close(server);
    host_stop(&host);
}
