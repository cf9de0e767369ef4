/* More calls than a peer takes at once, messages at the limit, and what comes beside replies.
 *
 * Labels: concurrent */

#include <stdlib.h>
#include <string.h>

#include "peer.h"

/* ---- calls ---- */

enum { CALLS = 2500, USUAL = 1000, MORE = 2000 };

/* The first calls are answered when so many are here. */
struct hall {
    pthread_mutex_t lock;
    afar_call *calls[MORE];
    int at_once;
    int count; /* guarded by lock */
    struct event full;
};

static afar_code
enter_hall(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    struct hall *hall = self;

    reply->number = request->number;
    pthread_mutex_lock(&hall->lock);
    if (hall->count < hall->at_once) {
        afar_call_defer(call);
        hall->calls[hall->count++] = call;
        if (hall->count == hall->at_once)
            event_raise(&hall->full);
    }
    pthread_mutex_unlock(&hall->lock);
    return AFAR_OK;
}

static void
call_into(far_peer *peer, struct hall *hall, afar_future *futures[CALLS])
{
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < CALLS; i++)
        futures[i] = start_number(peer, i);
    event_wait(&hall->full, 1);
    for (int i = 0; i < hall->at_once; i++)
        afar_call_finish(hall->calls[i], AFAR_OK);
    for (int i = 0; i < CALLS; i++) {
        Far__Bundle *reply = NULL;

        CHECK_OK(far_peer_ask_await(futures[i], soon(), &reply, &err));
        CHECK_INT(reply->number, i);
        afar_message_free(reply);
        afar_future_close(futures[i]);
    }
}

static void
fill_hall(int at_once, const afar_server_options *options)
{
    static const far_peer_methods methods = { .ask = enter_hall };

    for (const char *const *transport = transports; *transport; transport++) {
        struct hall hall = { .lock = PTHREAD_MUTEX_INITIALIZER, .full = EVENT_INIT };
        afar_future *futures[CALLS];
        struct pair pair;

        hall.at_once = at_once;
        pair_open_with(&pair, NULL, *transport, options);
        far_peer *peer = pair_peer(&pair, "", &methods, &hall, AFAR_SERIAL);
        call_into(peer, &hall, futures);
        far_peer_close(peer);
        pair_close(&pair);
    }
}

TEST(more_calls_than_the_peer_takes_wait_and_are_answered)
{
    fill_hall(USUAL, NULL);
}

TEST(a_server_takes_as_many_calls_of_a_session_as_it_was_told)
{
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;

    options.max_streams = MORE;
    fill_hall(MORE, &options);
}

/* ---- sizes ---- */

static afar_code
ask_with_data(far_peer *peer, size_t length, size_t *ret_length, afar_error *err)
{
    Far__Bundle request = FAR__BUNDLE__INIT, *reply = NULL;

    request.data.len = length;
    request.data.data = calloc(1, length);
    CHECK(request.data.data);
    afar_code code = far_peer_ask(peer, &request, soon(), &reply, err);
    if (!code)
        *ret_length = reply->data.len;
    afar_message_free(reply);
    free(request.data.data);
    return code;
}

/* Both sides have the usual limit. */
TEST(messages_at_the_limit_and_over_it)
{
    const size_t limit = (size_t)4 << 20;

    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        size_t length = 0;
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &counting_methods, NULL, AFAR_SERIAL);
        CHECK_OK(ask_with_data(peer, limit - 1000, &length, &err));
        CHECK_INT(length, limit - 1000);
        CHECK_FAILS(ask_with_data(peer, limit + 1, &length, &err), AFAR_RESOURCE_EXHAUSTED);
        CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
        CHECK(strstr(err.message, "/far.Peer/Ask"));
        CHECK_INT(number_of(peer, 1), 2); /* the session lives */
        afar_error_clear(&err);
        far_peer_close(peer);
        pair_close(&pair);
    }
}

static afar_code
reply_with_data(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    (void)self;
    reply->data.len = (size_t)request->number;
    reply->data.data = afar_call_alloc(call, reply->data.len);
    CHECK(reply->data.data);
    return AFAR_OK;
}

/* A client that takes less than the server sends. */
TEST(a_reply_over_the_limit_of_the_client)
{
    static const far_peer_methods methods = { .ask = reply_with_data };

    for (const char *const *transport = transports; *transport; transport++) {
        afar_node_options options = AFAR_NODE_OPTIONS_INIT;
        afar_error err = AFAR_ERROR_INIT;
        afar_client *client = NULL;
        afar_node *node = NULL;
        struct pair pair;
        int64_t answer;

        options.limits.max_bytes = 100000;
        pair_open(&pair, *transport);
        CHECK_OK(afar_node_open(&options, &node, &err));
        CHECK_OK(afar_client_open(node, NULL, &client, &err));
        serve_peer(pair.server, "", &methods, NULL, AFAR_SERIAL);
        far_peer *peer = reach_peer_at(client, afar_server_address(pair.server), "");
        CHECK_OK(ask_with(peer, 99000, NULL, &answer, &err));
        CHECK_FAILS(ask_with(peer, 100001, NULL, &answer, &err), AFAR_RESOURCE_EXHAUSTED);
        CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED);
        CHECK_OK(ask_with(peer, 1, NULL, &answer, &err));
        afar_error_clear(&err);
        far_peer_close(peer);
        afar_client_close(client);
        afar_node_close(node);
        pair_close(&pair);
    }
}

/* ---- beside the reply ---- */

static afar_code
refuse(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    Far__Refused refused = FAR__REFUSED__INIT;

    (void)self;
    (void)reply;
    CHECK(!afar_call_add_initial_metadata(call, "first", "1", 1, NULL));
    CHECK(!afar_call_add_trailing_metadata(call, "last-bin", "\0\xff", 2, NULL));
    refused.number = request->number;
    if (request->number == 0)
        return AFAR_OK;
    return far_refused_fail(call, AFAR_ABORTED, &refused, "no");
}

static void
check_metadata(afar_future *future)
{
    size_t length = 0;
    const char *last =
        afar_metadata_find(afar_future_trailing_metadata(future), "last-bin", &length);

    CHECK_STR(afar_metadata_find(afar_future_initial_metadata(future), "first", NULL), "1");
    CHECK_INT(length, 2);
    CHECK(memcmp(last, "\0\xff", 2) == 0);
}

TEST(typed_errors_and_metadata_come_back)
{
    static const far_peer_methods methods = { .ask = refuse };

    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        Far__Bundle *reply = NULL;
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &methods, NULL, AFAR_SERIAL);
        afar_future *well = start_number(peer, 0), *badly = start_number(peer, 7);
        CHECK_OK(far_peer_ask_await(well, soon(), &reply, &err));
        check_metadata(well);
        afar_message_free(reply);
        CHECK_FAILS(far_peer_ask_await(badly, soon(), &reply, &err), AFAR_ABORTED);
        check_metadata(badly);
        const Far__Refused *refused = far_refused_of(&err);
        CHECK(refused && refused->number == 7);
        CHECK(err.remote);
        CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED);
        afar_future_close(well);
        afar_future_close(badly);
        afar_error_clear(&err);
        far_peer_close(peer);
        pair_close(&pair);
    }
}
