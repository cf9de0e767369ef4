/* What a session may have on its way is bounded, and what nobody reads does not count for ever.
 *
 * Labels: concurrent */

#include <stdlib.h>

#include "peer.h"

/* Together more than the credit of a session, in each round less than that of a stream. */
enum { ROUNDS = 30, PIECES = 3, PIECE = 15000 };

static uint8_t piece[PIECE];

static void
set_data(Far__Bundle *bundle)
{
    bundle->data.data = piece;
    bundle->data.len = sizeof piece;
}

/* ---- streams that are not read to their end ---- */

struct place {
    struct event entered, go;
};

static afar_code
send_pieces(void *self, const Far__Bundle *request, far_peer_list_server_stream *stream,
            afar_call *call)
{
    Far__Bundle item = FAR__BUNDLE__INIT;
    struct place *place = self;
    afar_code code = AFAR_OK;

    (void)request;
    (void)call;
    set_data(&item);
    for (int i = 0; i < PIECES && !code; i++)
        code = far_peer_list_server_send(stream, &item, soon(), NULL);
    event_raise(&place->entered);
    return code;
}

static afar_code
take_nothing(void *self, far_peer_gather_server_stream *stream, Far__Bundle *reply, afar_call *call)
{
    struct place *place = self;

    (void)stream;
    (void)call;
    event_raise(&place->entered);
    event_wait(&place->go, (int)event_count(&place->entered));
    reply->number = 1;
    return AFAR_OK;
}

static afar_code
echo(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    (void)self;
    (void)call;
    reply->number = request->number;
    return AFAR_OK;
}

static const far_peer_methods methods = { .ask = echo,
                                          .list = send_pieces,
                                          .gather = take_nothing };

static void
close_early(far_peer *peer, struct place *place, int round)
{
    Far__Bundle request = FAR__BUNDLE__INIT;
    far_peer_list_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(far_peer_list(peer, &request, soon(), NULL, &stream, &err));
    event_wait(&place->entered, round + 1);
    CHECK_INT(number_of(peer, round), round); /* behind the pieces */
    far_peer_list_close(stream);
}

TEST(streams_that_are_closed_early_give_their_credit_back)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct place place = { EVENT_INIT, EVENT_INIT };
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &methods, &place, AFAR_CONCURRENT);
        for (int i = 0; i < ROUNDS; i++)
            close_early(peer, &place, i);
        far_peer_close(peer);
        pair_close(&pair);
    }
}

static void
send_in_vain(far_peer *peer, struct place *place, int round)
{
    Far__Bundle item = FAR__BUNDLE__INIT, *reply = NULL;
    far_peer_gather_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    set_data(&item);
    CHECK_OK(far_peer_gather(peer, soon(), NULL, &stream, &err));
    for (int i = 0; i < PIECES; i++)
        CHECK_OK(far_peer_gather_send(stream, &item, soon(), &err));
    event_wait(&place->entered, round + 1);
    CHECK_INT(number_of(peer, round), round); /* behind the pieces */
    event_raise(&place->go);
    CHECK_OK(far_peer_gather_finish(stream, soon(), &reply, &err));
    afar_message_free(reply);
    far_peer_gather_close(stream);
}

TEST(messages_that_no_handler_took_give_their_credit_back)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct place place = { EVENT_INIT, EVENT_INIT };
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &methods, &place, AFAR_CONCURRENT);
        for (int i = 0; i < ROUNDS; i++)
            send_in_vain(peer, &place, i);
        far_peer_close(peer);
        pair_close(&pair);
    }
}

/* ---- calls that are given up ---- */

static afar_code
wait_for_go(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    struct place *place = self;

    (void)call;
    reply->number = request->number;
    event_raise(&place->entered);
    event_wait(&place->go, event_count(&place->entered));
    return AFAR_OK;
}

static afar_future *
start_piece(far_peer *peer)
{
    Far__Bundle request = FAR__BUNDLE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;

    set_data(&request);
    CHECK_OK(far_peer_ask_start(peer, &request, soon(), NULL, &future, &err));
    return future;
}

static void
take_number(afar_future *future, int64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    Far__Bundle *reply = NULL;

    CHECK_OK(far_peer_ask_await(future, soon(), &reply, &err));
    CHECK_INT(reply->number, number);
    afar_message_free(reply);
    afar_future_close(future);
}

static void
give_up_behind(far_peer *door, far_peer *other, struct place *place, int round)
{
    afar_future *first = start_number(door, round), *behind[PIECES];

    event_wait(&place->entered, round + 1);
    for (int i = 0; i < PIECES; i++)
        behind[i] = start_piece(door);
    CHECK_INT(number_of(other, 1), 2); /* they are there */
    for (int i = 0; i < PIECES; i++)
        afar_future_close(behind[i]);
    CHECK_INT(number_of(other, 1), 2); /* and given up */
    event_raise(&place->go);
    take_number(first, round);
}

TEST(calls_that_never_began_give_their_credit_back)
{
    static const far_peer_methods waiting = { .ask = wait_for_go };

    for (const char *const *transport = transports; *transport; transport++) {
        struct place place = { EVENT_INIT, EVENT_INIT };
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *door = pair_peer(&pair, "door", &waiting, &place, AFAR_SERIAL);
        far_peer *other = pair_peer(&pair, "other", &counting_methods, NULL, AFAR_CONCURRENT);
        for (int i = 0; i < ROUNDS; i++)
            give_up_behind(door, other, &place, i);
        far_peer_close(door);
        far_peer_close(other);
        pair_close(&pair);
    }
}

/* ---- more at once than is read ---- */

enum { MANY = 600 };

TEST(much_that_waits_for_credit_does_not_keep_us_from_reading_it)
{
    static const far_peer_methods echoing = { .ask = echo };

    for (const char *const *transport = transports; *transport; transport++) {
        afar_future *futures[MANY];
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &echoing, NULL, AFAR_CONCURRENT);
        for (int i = 0; i < MANY; i++)
            futures[i] = start_piece(peer);
        for (int i = 0; i < MANY; i++)
            take_number(futures[i], 0);
        far_peer_close(peer);
        pair_close(&pair);
    }
}
