/* What a sender that does not read is told of the end of its call: how it ended, whenever it
 * looks.
 *
 * Labels: concurrent */

#include <string.h>

#include "peer.h"

/* ---- an end behind messages that are still read ---- */

/* Less than a window takes unread; slow to read, since each is many messages. */
enum { ROUNDS = 5, REPLIES = 20, PARTS = 400 };

static afar_code
say_much(void *self, far_peer_talk_server_stream *stream, afar_call *call)
{
    Far__Bundle part = FAR__BUNDLE__INIT, item = FAR__BUNDLE__INIT, *parts[PARTS];
    const afar_code *ends = self;
    afar_code code = AFAR_OK;

    for (int i = 0; i < PARTS; i++)
        parts[i] = &part;
    item.inners = parts;
    item.n_inners = PARTS;
    for (; item.number < REPLIES && !code; item.number++)
        code = far_peer_talk_server_send(stream, &item, soon(), NULL);
    return code || !*ends ? code : afar_call_fail(call, *ends, "enough");
}

static const far_peer_methods saying_much = { .talk = say_much };

static void
check_unread(far_peer_talk_stream *stream, afar_code ends)
{
    afar_error err = AFAR_ERROR_INIT;
    Far__Bundle *item = NULL;

    for (int i = 0; i < REPLIES; i++) {
        CHECK_OK(far_peer_talk_receive(stream, soon(), &item, &err));
        CHECK_INT(item->number, i);
        afar_message_free(item);
    }
    CHECK_FAILS(far_peer_talk_receive(stream, soon(), &item, &err), ends);
    afar_error_clear(&err);
}

static void
send_until_told(far_peer *peer, afar_code ends)
{
    Far__Bundle item = FAR__BUNDLE__INIT;
    far_peer_talk_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    CHECK_OK(far_peer_talk(peer, soon(), NULL, &stream, &err));
    do
        code = far_peer_talk_send(stream, &item, soon(), &err);
    while (!code);
    CHECK_INT(code, ends);
    CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED);
    check_unread(stream, ends);
    far_peer_talk_close(stream);
    afar_error_clear(&err);
}

static void
check_told(afar_code answer, afar_code ends)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &saying_much, &answer, AFAR_CONCURRENT);
        for (int i = 0; i < ROUNDS; i++)
            send_until_told(peer, ends);
        far_peer_close(peer);
        pair_close(&pair);
    }
}

TEST(a_sender_is_told_of_an_end_behind_what_it_has_not_read)
{
    check_told(AFAR_OK, AFAR_ENDED);
}

TEST(a_sender_is_told_of_an_error_behind_what_it_has_not_read)
{
    check_told(AFAR_ABORTED, AFAR_ABORTED);
}

/* ---- an end that is still to come ---- */

/* A call on the client's side makes a stream, and is cancelled; the stream's handler knows of that,
 * and takes its time. */
struct place {
    far_peer *far;
    struct gate gate;
    struct event cancelled, answer, done;
};

static afar_code
answer_late(void *self, far_peer_talk_server_stream *stream, afar_call *call)
{
    struct place *place = self;
    afar_code code = gate_pass(&place->gate, NULL);

    (void)stream;
    CHECK_INT(code, AFAR_CANCELLED);
    event_raise(&place->cancelled);
    event_wait(&place->answer, 1);
    return afar_call_fail(call, AFAR_ABORTED, "enough");
}

static afar_code
send_cancelled(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    struct place *place = self;
    far_peer_talk_stream *stream = NULL;
    Far__Bundle *item = NULL;
    afar_error err = AFAR_ERROR_INIT;

    (void)reply;
    (void)call;
    CHECK_OK(far_peer_talk(place->far, soon(), NULL, &stream, &err));
    event_wait(&place->cancelled, 1);
    CHECK_FAILS(far_peer_talk_send(stream, request, afar_after_ms(20), &err),
                AFAR_DEADLINE_EXCEEDED);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    event_raise(&place->answer);
    CHECK_FAILS(far_peer_talk_send(stream, request, soon(), &err), AFAR_ABORTED);
    CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED);
    CHECK_FAILS(far_peer_talk_receive(stream, soon(), &item, &err), AFAR_ABORTED);
    far_peer_talk_close(stream);
    afar_error_clear(&err);
    event_raise(&place->done);
    return AFAR_OK;
}

static const far_peer_methods answering_late = { .talk = answer_late };
static const far_peer_methods sending = { .ask = send_cancelled };

TEST(a_sender_whose_call_was_cancelled_waits_for_its_end)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct place place = { .cancelled = EVENT_INIT, .answer = EVENT_INIT, .done = EVENT_INIT };
        struct pair pair;

        gate_init(&place.gate);
        pair_open(&pair, *transport);
        place.far = pair_peer(&pair, "", &answering_late, &place, AFAR_CONCURRENT);
        far_peer *near = make_peer(&sending, &place, AFAR_CONCURRENT, NULL);
        afar_future *future = start_number(near, 1);
        event_wait(&place.gate.entered, 1);
        afar_future_close(future);
        event_wait(&place.done, 1);
        far_peer_close(near);
        far_peer_close(place.far);
        pair_close(&pair);
        gate_close(&place.gate);
    }
}
