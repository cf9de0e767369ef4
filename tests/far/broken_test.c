/* A connection that breaks: the server is killed, or closed.  Every call ends, with what is known of
 * it; references say why they fail, and heal where a server is again.
 *
 * Labels: concurrent */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"

/* ---- servers in processes ---- */

static afar_code
make_counter(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    (void)self;
    if (request->number == -1) {
        afar_call_defer(call); /* never answered */
        return AFAR_OK;
    }
    reply->number = request->number + 1;
    return far_bundle_give_one(reply, call, make_peer(&counting_methods, NULL, AFAR_SERIAL, NULL));
}

static afar_code
list_one(void *self, const Far__Bundle *request, far_peer_list_server_stream *stream,
         afar_call *call)
{
    Far__Bundle item = FAR__BUNDLE__INIT;

    (void)self;
    (void)request;
    afar_call_defer(call);
    return far_peer_list_server_send(stream, &item, AFAR_FOREVER, NULL);
}

static afar_code
receive_all(void *self, far_peer_gather_server_stream *stream, Far__Bundle *reply, afar_call *call)
{
    const Far__Bundle *item = NULL;
    afar_code code;

    (void)self;
    (void)reply;
    (void)call;
    while (!(code = far_peer_gather_server_receive(stream, AFAR_FOREVER, &item, NULL)))
        continue;
    return code;
}

static afar_code
talk_on(void *self, far_peer_talk_server_stream *stream, afar_call *call)
{
    Far__Bundle item = FAR__BUNDLE__INIT;
    const Far__Bundle *received = NULL;
    afar_code code = far_peer_talk_server_send(stream, &item, AFAR_FOREVER, NULL);

    (void)self;
    (void)call;
    while (!code)
        code = far_peer_talk_server_receive(stream, AFAR_FOREVER, &received, NULL);
    return code;
}

static const far_peer_methods methods = {
    .ask = make_counter, .list = list_one, .gather = receive_all, .talk = talk_on
};

/* A server at the address that it is told; it is not closed in order: its calls do not end. */
static void
serve_at(struct child *self)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    char address[300];

    child_hear(self, address);
    CHECK_OK(afar_server_open(NULL, address, NULL, &server, &err));
    serve_peer(server, "", &methods, NULL, AFAR_CONCURRENT);
    CHECK_OK(afar_server_start(server, &err));
    child_serve(self, server);
}

static void
start_server(struct child *child, const char *address, char line[300])
{
    child_say(child, address);
    child_hear(child, line);
}

/* Where a server may be: TCP with a free port, or a path in the folder. */
static const char *const places[] = { "127.0.0.1:0", "unix:", NULL };

static void
fill_place(const char *place, char text[300])
{
    if (strcmp(place, "unix:") == 0)
        snprintf(text, 300, "unix:%s/socket", check_folder());
    else
        snprintf(text, 300, "%s", place);
}

/* ---- killed ---- */

static void
check_lost(afar_code code, const afar_error *err, afar_outcome outcome, const char *address)
{
    CHECK_INT(code, AFAR_UNAVAILABLE);
    CHECK_INT(err->outcome, outcome);
    CHECK(!err->remote);
    CHECK(strstr(err->message, address));
}

struct streams {
    far_peer_list_stream *list;
    far_peer_gather_stream *gather;
    far_peer_talk_stream *talk;
};

static void
open_streams(far_peer *peer, struct streams *streams)
{
    Far__Bundle request = FAR__BUNDLE__INIT, *item = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(far_peer_list(peer, &request, soon(), NULL, &streams->list, &err));
    CHECK_OK(far_peer_list_receive(streams->list, soon(), &item, &err));
    afar_message_free(item);
    CHECK_OK(far_peer_gather(peer, soon(), NULL, &streams->gather, &err));
    CHECK_OK(far_peer_gather_send(streams->gather, &request, soon(), &err));
    CHECK_OK(far_peer_talk(peer, soon(), NULL, &streams->talk, &err));
    CHECK_OK(far_peer_talk_receive(streams->talk, soon(), &item, &err));
    afar_message_free(item);
}

static void
check_streams_lost(struct streams *streams, const char *address)
{
    afar_error err = AFAR_ERROR_INIT;
    Far__Bundle *item = NULL;

    check_lost(far_peer_list_receive(streams->list, soon(), &item, &err), &err,
               AFAR_OUTCOME_UNKNOWN, address);
    check_lost(far_peer_gather_finish(streams->gather, soon(), &item, &err), &err,
               AFAR_OUTCOME_UNKNOWN, address);
    check_lost(far_peer_talk_receive(streams->talk, soon(), &item, &err), &err,
               AFAR_OUTCOME_UNKNOWN, address);
    far_peer_list_close(streams->list);
    far_peer_gather_close(streams->gather);
    far_peer_talk_close(streams->talk);
    afar_error_clear(&err);
}

/* A reference that was received, over a connection that is no more. */
static void
check_dead(far_peer *peer, const char *address)
{
    afar_error err = AFAR_ERROR_INIT;
    int64_t answer;

    check_lost(ask_with(peer, 1, NULL, &answer, &err), &err, AFAR_OUTCOME_NOT_SENT, address);
    afar_error_clear(&err);
}

static void
check_killed(const char *place)
{
    struct child first, second;
    struct streams streams;
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;
    Far__Bundle *reply = NULL;
    char address[300], line[300];
    int64_t answer;

    child_start(&first, serve_at);
    child_start(&second, serve_at);
    fill_place(place, line);
    start_server(&first, line, address);
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    far_peer *peer = reach_peer_at(client, address, "");
    far_peer *received = get_from(peer, 1);
    afar_future *done = start_number(peer, 1), *lost = start_number(peer, -1);
    CHECK_OK(afar_future_wait(done, soon(), &err));
    open_streams(peer, &streams);

    child_kill(&first);
    CHECK_OK(far_peer_ask_await(done, soon(), &reply, &err)); /* what was answered is */
    CHECK_INT(reply->number, 2);
    afar_message_free(reply);
    check_lost(far_peer_ask_await(lost, soon(), &reply, &err), &err, AFAR_OUTCOME_UNKNOWN, address);
    check_streams_lost(&streams, address);
    check_dead(received, address);
    check_lost(ask_with(peer, 1, NULL, &answer, &err), &err, AFAR_OUTCOME_NOT_SENT, address);

    start_server(&second, address, line);
    CHECK_STR(line, address);
    CHECK_INT(number_of(peer, 5), 6); /* opened by its address: it heals */
    check_dead(received, address);
    child_kill(&second);
    afar_future_close(done);
    afar_future_close(lost);
    far_peer_close(received);
    far_peer_close(peer);
    afar_client_close(client);
    afar_error_clear(&err);
    if (strncmp(address, "unix:", 5) == 0)
        unlink(address + 5);
}

TEST(calls_and_references_when_the_server_is_killed)
{
    check_killed(places[0]);
}

TEST(calls_and_references_when_the_server_at_a_path_is_killed)
{
    check_killed(places[1]);
}

/* ---- closed ---- */

static afar_code
wait_at_gate(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    (void)call;
    reply->number = request->number;
    return gate_pass(self, NULL);
}

static afar_code
listen_at_gate(void *self, far_peer_talk_server_stream *stream, afar_call *call)
{
    const Far__Bundle *item = NULL;
    struct gate *gate = self;

    (void)call;
    event_raise(&gate->entered);
    afar_code code = far_peer_talk_server_receive(stream, AFAR_FOREVER, &item, NULL);
    event_raise(&gate->left);
    return code;
}

static const far_peer_methods waiting = { .ask = wait_at_gate, .talk = listen_at_gate };

TEST(a_client_that_closes_cancels_its_calls_and_streams)
{
    for (const char *const *transport = transports; *transport; transport++) {
        far_peer_talk_stream *talk = NULL;
        afar_error err = AFAR_ERROR_INIT;
        Far__Bundle *reply = NULL;
        struct pair pair;
        struct gate gate;
        int64_t answer;

        gate_init(&gate);
        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &waiting, &gate, AFAR_CONCURRENT);
        afar_future *future = start_number(peer, 1);
        CHECK_OK(far_peer_talk(peer, soon(), NULL, &talk, &err));
        event_wait(&gate.entered, 2);
        afar_client_close(pair.client);
        pair.client = NULL;
        CHECK_FAILS(far_peer_ask_await(future, soon(), &reply, &err), AFAR_CANCELLED);
        CHECK_FAILS(far_peer_talk_receive(talk, soon(), &reply, &err), AFAR_CANCELLED);
        event_wait(&gate.left, 2); /* the handlers know */
        CHECK_FAILS(ask_with(peer, 1, NULL, &answer, &err), AFAR_FAILED_PRECONDITION);
        CHECK(strstr(err.message, "closed"));
        afar_future_close(future);
        far_peer_talk_close(talk);
        far_peer_close(peer);
        afar_error_clear(&err);
        pair_close(&pair);
        gate_close(&gate);
    }
}

TEST(a_server_that_closes_cancels_calls_after_its_grace)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
        far_peer_talk_stream *talk = NULL;
        afar_error err = AFAR_ERROR_INIT;
        Far__Bundle *reply = NULL;
        struct pair pair;
        struct gate gate;
        int64_t answer;

        gate_init(&gate);
        options.grace_ms = -1;
        pair_open_with(&pair, NULL, *transport, &options);
        far_peer *peer = pair_peer(&pair, "", &waiting, &gate, AFAR_CONCURRENT);
        afar_future *future = start_number(peer, 1);
        CHECK_OK(far_peer_talk(peer, soon(), NULL, &talk, &err));
        event_wait(&gate.entered, 2);
        afar_server_close(pair.server);
        pair.server = NULL;
        event_wait(&gate.left, 2);
        CHECK(far_peer_ask_await(future, soon(), &reply, &err));
        CHECK(err.code == AFAR_CANCELLED || err.code == AFAR_UNAVAILABLE);
        CHECK(far_peer_talk_receive(talk, soon(), &reply, &err));
        CHECK(err.code == AFAR_CANCELLED || err.code == AFAR_UNAVAILABLE);
        CHECK_FAILS(ask_with(peer, 1, NULL, &answer, &err), AFAR_UNAVAILABLE);
        afar_future_close(future);
        far_peer_talk_close(talk);
        far_peer_close(peer);
        afar_error_clear(&err);
        pair_close(&pair);
        gate_close(&gate);
    }
}

/* ---- closed from within ---- */

struct closer {
    struct pair *pair;
    bool server; /* closes that, else the client */
    struct event closed;
};

static afar_code
close_pair(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    struct closer *closer = self;

    (void)request;
    (void)reply;
    (void)call;
    if (closer->server)
        afar_server_close(closer->pair->server);
    else
        afar_client_close(closer->pair->client);
    event_raise(&closer->closed);
    return AFAR_OK;
}

static afar_code
pass_call(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    far_peer *one = far_bundle_take_one(request);
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = ask_with(one, 0, NULL, &reply->number, &err);

    (void)self;
    far_peer_close(one);
    if (code)
        afar_call_fail_error(call, &err);
    afar_error_clear(&err);
    return code;
}

/* Closing was only started, so calls may pass for a while. */
static void
check_ends(far_peer *peer, far_peer *one)
{
    int64_t answer, end = now_ms() + 10000;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    do
        code = ask_with(peer, 0, one, &answer, &err);
    while ((!code || code == AFAR_CANCELLED) && now_ms() < end);
    CHECK(code == AFAR_UNAVAILABLE || code == AFAR_FAILED_PRECONDITION);
    afar_error_clear(&err);
}

/* The client's object closes it in a callback, while the client waits. */
TEST(a_side_that_is_closed_in_a_callback)
{
    static const far_peer_methods closing = { .ask = close_pair }, passing = { .ask = pass_call };

    for (int i = 0; i < 6; i++) {
        struct pair pair;
        struct closer closer = { &pair, i % 2 == 0, EVENT_INIT };
        afar_error err = AFAR_ERROR_INIT;
        int64_t answer;
        afar_code code;

        pair_open(&pair, transports[i / 2]);
        far_peer *peer = pair_peer(&pair, "", &passing, NULL, AFAR_SERIAL);
        far_peer *mine = make_peer(&closing, &closer, AFAR_SERIAL, NULL);
        far_peer *other = make_peer(&counting_methods, NULL, AFAR_SERIAL, NULL);
        code = ask_with(peer, 0, mine, &answer, &err);
        CHECK(!code || code == AFAR_CANCELLED || code == AFAR_UNAVAILABLE);
        event_wait(&closer.closed, 1);
        if (closer.server)
            pair.server = NULL;
        else
            pair.client = NULL;
        check_ends(peer, other);
        far_peer_close(other);
        far_peer_close(mine);
        far_peer_close(peer);
        afar_error_clear(&err);
        pair_close(&pair);
    }
}
