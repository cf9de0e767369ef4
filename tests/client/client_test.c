/* Clients: what they open, what they share, and what is left when they are closed.
 *
 * Labels: concurrent */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include <afar/client.h>
#include <afar/message.h>
#include <afar/server.h>

#include "check.h"
#include "thing.afar.h"

#define OPENERS 8

static afar_deadline
soon(void)
{
    return afar_after_ms(10000);
}

/* ---- a server that says who calls ---- */

static afar_code
answer(void *self, const Client__Word *request, Client__Word *reply, afar_call *call)
{
    char *address = afar_call_strdup(call, afar_call_peer(call).address);

    (void)self;
    reply->number = request->number;
    reply->data = (ProtobufCBinaryData){ strlen(address), (uint8_t *)address };
    return AFAR_OK;
}

static afar_code
talk(void *self, client_thing_talk_server_stream *stream, afar_call *call)
{
    const Client__Word *word = NULL;
    afar_code code;

    (void)self;
    (void)call;
    while (!(code = client_thing_talk_server_receive(stream, AFAR_FOREVER, &word, NULL)))
        if ((code = client_thing_talk_server_send(stream, word, AFAR_FOREVER, NULL)))
            return code;
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static const client_thing_methods methods = { .ask = answer, .talk = talk };

static afar_server *
serve(const char *address)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    client_thing *thing = NULL;

    CHECK_OK(afar_server_open(NULL, address, NULL, &server, &err));
    CHECK_OK(client_thing_new(&methods, NULL, NULL, &thing, &err));
    CHECK_OK(afar_server_export(server, "a", client_thing_object(thing), &err));
    CHECK_OK(afar_server_export(server, "b", client_thing_object(thing), &err));
    CHECK_OK(afar_server_start(server, &err));
    client_thing_close(thing);
    return server;
}

static afar_client *
open_client(void)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    return client;
}

static client_thing *
reach(afar_client *client, const char *address, const char *name)
{
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;
    char text[300];

    snprintf(text, sizeof text, "grpc://%s/%s", address, name);
    CHECK_OK(client_thing_open(client, text, soon(), &thing, &err));
    return thing;
}

/* Where the server saw the call come from. */
static char *
seen_from(client_thing *thing, char text[100])
{
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(client_thing_ask(thing, &request, soon(), &reply, &err));
    snprintf(text, 100, "%.*s", (int)reply->data.len, (const char *)reply->data.data);
    afar_message_free(reply);
    return text;
}

/* ---- opening ---- */

TEST(options_of_another_size)
{
    afar_client_options options = AFAR_CLIENT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    options.size++;
    CHECK_FAILS(afar_client_open(NULL, &options, &client, &err), AFAR_INVALID_ARGUMENT);
    CHECK(!client);
    afar_error_clear(&err);
}

TEST(names_that_cannot_be_read)
{
    static const char *const names[] = { "",
                                         "grpc://",
                                         "grpc://host",
                                         "grpc://host:port/name",
                                         "grpc://host:70000",
                                         "http://host:1/name",
                                         "unix:",
                                         "inproc:",
                                         "grpc://h:1/two words",
                                         "two words" };
    afar_client *client = open_client();

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        afar_error err = AFAR_ERROR_INIT;
        client_thing *thing = NULL;

        CHECK_FAILS(client_thing_open(client, names[i], soon(), &thing, &err),
                    AFAR_INVALID_ARGUMENT);
        CHECK(err.message[0] && !strchr(err.message, '\n') && !thing);
        afar_error_clear(&err);
    }
    afar_client_close(client);
}

TEST(nobody_listens)
{
    static const char *const names[] = { "grpc://127.0.0.1:1/name", "unix:/tmp/afar-nobody/name",
                                         "inproc:nobody/name" };
    afar_client *client = open_client();

    for (int i = 0; i < 3; i++) {
        afar_error err = AFAR_ERROR_INIT;
        client_thing *thing = NULL;

        CHECK_FAILS(client_thing_open(client, names[i], AFAR_FOREVER, &thing, &err),
                    AFAR_UNAVAILABLE);
        CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
        CHECK(strstr(err.message, i == 0   ? "127.0.0.1:1"
                                  : i == 1 ? "unix:/tmp/afar-nobody"
                                           : "inproc:nobody"));
        afar_error_clear(&err);
    }
    afar_client_close(client);
}

static bool
has_ended(int fd)
{
    char text[100];
    ssize_t n = recv(fd, text, sizeof text, MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN);
}

/* Ends what the core began: it gives its end up when it sees the other one go, which
 * takes somebody who waits. */
static void
end_connections(int listener)
{
    afar_server *server = serve("127.0.0.1:0");
    afar_client *client = open_client();
    client_thing *thing = reach(client, afar_server_address(server), "a");
    char text[100];
    int end;

    while ((end = accept(listener, NULL, NULL)) >= 0) {
        shutdown(end, SHUT_WR);
        while (!has_ended(end))
            seen_from(thing, text);
        close(end);
    }
    client_thing_close(thing);
    afar_client_close(client);
    afar_server_close(server);
}

/* Somebody listens, and says nothing. */
TEST(a_silent_address)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    afar_client *client = open_client();
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    char name[100];

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(listen(fd, 5), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(name, sizeof name, "grpc://127.0.0.1:%d/name", ntohs(address.sin_port));
    for (int ms = 0; ms < 201; ms += 100) {
        afar_deadline deadline = afar_after_ms(ms);

        CHECK_FAILS(client_thing_open(client, name, deadline, &thing, &err), AFAR_UNAVAILABLE);
        CHECK(strstr(err.message, "no connection before the deadline"));
        CHECK_INT(afar_deadline_left_ns(deadline), 0);
    }
    afar_client_close(client);
    afar_error_clear(&err);
    end_connections(fd);
    close(fd);
}

/* ---- sharing ---- */

TEST(one_connection_for_one_address)
{
    afar_server *server = serve("127.0.0.1:0");
    afar_client *first = open_client(), *second = open_client();
    client_thing *a = reach(first, afar_server_address(server), "a");
    client_thing *b = reach(first, afar_server_address(server), "b");
    client_thing *other = reach(second, afar_server_address(server), "a");
    char texts[3][100];

    CHECK_STR(seen_from(a, texts[0]), seen_from(b, texts[1]));
    CHECK(strcmp(texts[0], seen_from(other, texts[2])) != 0);
    client_thing_close(a);
    CHECK_STR(seen_from(b, texts[1]), texts[0]);
    client_thing_close(b);
    b = reach(first, afar_server_address(server), "b");
    CHECK_STR(seen_from(b, texts[1]), texts[0]); /* the client keeps it */
    client_thing_close(b);
    client_thing_close(other);
    afar_client_close(first);
    afar_client_close(second);
    afar_server_close(server);
}

struct opener {
    afar_client *client;
    const char *address;
    pthread_t thread;
    char seen[100];
};

static void *
open_and_ask(void *arg)
{
    struct opener *opener = arg;
    client_thing *thing = reach(opener->client, opener->address, "a");

    seen_from(thing, opener->seen);
    client_thing_close(thing);
    return NULL;
}

TEST(opened_by_several_at_once)
{
    afar_server *server = serve("127.0.0.1:0");

    for (int round = 0; round < 10; round++) {
        struct opener openers[OPENERS];
        afar_client *client = open_client();

        for (int i = 0; i < OPENERS; i++) {
            openers[i] =
                (struct opener){ .client = client, .address = afar_server_address(server) };
            CHECK_INT(pthread_create(&openers[i].thread, NULL, open_and_ask, &openers[i]), 0);
        }
        for (int i = 0; i < OPENERS; i++) {
            CHECK_INT(pthread_join(openers[i].thread, NULL), 0);
            CHECK_STR(openers[i].seen, openers[0].seen);
        }
        afar_client_close(client);
    }
    afar_server_close(server);
}

TEST(a_connection_is_made_again)
{
    afar_server *server = serve("127.0.0.1:0");
    afar_client *client = open_client();
    client_thing *thing = reach(client, afar_server_address(server), "a");
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    afar_call_options options = AFAR_CALL_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;
    char address[100], text[100];

    seen_from(thing, text);
    snprintf(address, sizeof address, "%s", afar_server_address(server));
    afar_server_close(server);
    CHECK_FAILS(client_thing_ask(thing, &request, soon(), &reply, &err), AFAR_UNAVAILABLE);
    server = serve(address);
    options.wait_for_ready = true;
    CHECK_OK(client_thing_ask_start(thing, &request, soon(), &options, &future, &err));
    CHECK_OK(client_thing_ask_await(future, soon(), &reply, &err));
    afar_message_free(reply);
    afar_future_close(future);
    client_thing_close(thing);
    afar_client_close(client);
    afar_server_close(server);
    afar_error_clear(&err);
}

/* One within the process cannot be: it is opened anew. */
TEST(a_server_within_the_process_that_comes_again)
{
    afar_client *client = open_client();

    for (int round = 0; round < 3; round++) {
        Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
        afar_server *server = serve("inproc:again");
        afar_error err = AFAR_ERROR_INIT;
        client_thing *thing = NULL;

        CHECK_OK(client_thing_open(client, "inproc:again/a", soon(), &thing, &err));
        CHECK_OK(client_thing_ask(thing, &request, soon(), &reply, &err));
        afar_message_free(reply);
        afar_server_close(server);
        CHECK_FAILS(client_thing_ask(thing, &request, soon(), &reply, &err), AFAR_UNAVAILABLE);
        client_thing_close(thing);
        afar_error_clear(&err);
    }
    afar_client_close(client);
}

/* ---- after the close ---- */

TEST(what_is_left_of_a_closed_client)
{
    afar_server *server = serve("127.0.0.1:0");
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    client_thing_talk_stream *stream = NULL, *second = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *done = NULL, *none = NULL;
    afar_client *client = open_client();
    client_thing *thing = reach(client, afar_server_address(server), "a");

    CHECK_OK(client_thing_ask_start(thing, &request, soon(), NULL, &done, &err));
    CHECK_OK(afar_future_wait(done, soon(), &err));
    CHECK_OK(client_thing_talk(thing, AFAR_FOREVER, NULL, &stream, &err));
    CHECK_OK(client_thing_talk_send(stream, &request, soon(), &err));
    afar_client_close(client);
    CHECK_FAILS(client_thing_ask(thing, &request, soon(), &reply, &err), AFAR_FAILED_PRECONDITION);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(strstr(err.message, "the client was closed"));
    CHECK_FAILS(client_thing_ask_start(thing, &request, soon(), NULL, &none, &err),
                AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(client_thing_talk(thing, soon(), NULL, &second, &err), AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(client_thing_talk_send(stream, &request, soon(), &err), AFAR_CANCELLED);
    CHECK_OK(client_thing_ask_await(done, soon(), &reply, &err));
    afar_message_free(reply);
    CHECK(!none && !second);
    afar_future_close(done);
    client_thing_talk_close(stream);
    client_thing_close(thing);
    afar_server_close(server);
    afar_error_clear(&err);
}

/* ---- descriptors ---- */

static void
set_descriptors(rlim_t count, struct rlimit *ret_before)
{
    struct rlimit limit;

    CHECK_INT(getrlimit(RLIMIT_NOFILE, ret_before), 0);
    limit = *ret_before;
    limit.rlim_cur = count;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* What needs one says so; what is open goes on; when there are some again all is well. */
TEST(no_descriptors_are_left)
{
    static const char *const addresses[] = { "127.0.0.1:0", "unix:/tmp/afar-none.sock",
                                             "inproc:none" };
    afar_server *server = serve("inproc:some"), *more = NULL;
    afar_client *client = open_client(), *other = NULL;
    client_thing *thing = NULL, *again = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct rlimit before;
    char text[100];

    CHECK_OK(client_thing_open(client, "inproc:some/a", soon(), &thing, &err));
    seen_from(thing, text);
    set_descriptors(0, &before);
    for (int i = 0; i < 3; i++) {
        CHECK_FAILS(afar_server_open(NULL, addresses[i], NULL, &more, &err),
                    AFAR_RESOURCE_EXHAUSTED);
        CHECK(strstr(err.message, addresses[i]) && strstr(err.message, "Too many open files"));
    }
    CHECK_OK(afar_client_open(NULL, NULL, &other, &err));
    CHECK_FAILS(client_thing_open(other, "inproc:some/a", soon(), &again, &err),
                AFAR_RESOURCE_EXHAUSTED);
    CHECK(strstr(err.message, "inproc:some") && strstr(err.message, "Too many open files"));
    CHECK_FAILS(client_thing_open(other, "grpc://127.0.0.1:1/a", soon(), &again, &err),
                AFAR_UNAVAILABLE);
    seen_from(thing, text);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_OK(client_thing_open(other, "inproc:some/a", soon(), &again, &err));
    seen_from(again, text);
    client_thing_close(thing);
    client_thing_close(again);
    afar_client_close(client);
    afar_client_close(other);
    afar_server_close(server);
    afar_error_clear(&err);
}
