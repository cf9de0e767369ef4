/* Everything at once: calls, streams, deadlines, cancellations and closes from
 * several threads, with the same numbers for every run of one seed.  What each
 * call may answer is checked; what the sanitizers see is the point.
 *
 * Labels: concurrent */

#include <stdlib.h>
#include <string.h>

#include "pair.h"

#define THREADS 6
#define ROUNDS 150

/* ---- the server ---- */

static afar_code
ask_or_defer(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)self;
    reply->number = request->number + 1;
    if (request->number % 3 != 0)
        return afar_call_cancelled(call) ? AFAR_CANCELLED : AFAR_OK;
    afar_call_defer(call);
    afar_call_finish(call, AFAR_OK);
    return AFAR_OK;
}

static test_probe_methods methods; /* outlives every call */

static void
prepare(void)
{
    methods = echo_methods;
    methods.ask = ask_or_defer;
}

/* ---- the callers ---- */

struct storm {
    struct worker worker;
    test_probe *probe;
    unsigned seed;
};

/* 0 to below - 1. */
static int
pick(struct storm *storm, int below)
{
    return rand_r(&storm->seed) % below;
}

static afar_deadline
some_time(struct storm *storm)
{
    return pick(storm, 3) ? soon() : afar_after_ms(pick(storm, 3));
}

static bool
may_happen(afar_code code)
{
    return code == AFAR_OK || code == AFAR_DEADLINE_EXCEEDED || code == AFAR_CANCELLED;
}

static void
storm_ask(struct storm *storm)
{
    Test__Packet request = TEST__PACKET__INIT, *reply = NULL;

    request.number = 3 * pick(storm, 100) + pick(storm, 2);
    afar_code code = test_probe_ask(storm->probe, &request, some_time(storm), &reply, NULL);
    CHECK(may_happen(code));
    if (!code)
        CHECK_INT(reply->number, request.number + 1);
    afar_message_free(reply);
}

static void
close_quietly(afar_future *future, void *arg)
{
    (void)arg;
    afar_future_close(future);
}

static void
storm_future(struct storm *storm)
{
    Test__Packet *reply = NULL;
    afar_future *future = start_ask(storm->probe, 3 * pick(storm, 100), soon());

    switch (pick(storm, 3)) {
    case 0:
        afar_future_close(future);
        break;
    case 1:
        afar_future_on_done(future, close_quietly, NULL);
        break;
    default:
        CHECK(may_happen(test_probe_ask_await(future, some_time(storm), &reply, NULL)));
        afar_message_free(reply);
        afar_future_close(future);
    }
}

static void
storm_list(struct storm *storm)
{
    Test__Packet request = TEST__PACKET__INIT, *packet = NULL;
    test_probe_list_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    int wanted = pick(storm, 50);

    request.number = 50;
    CHECK_OK(test_probe_list(storm->probe, &request, soon(), NULL, &stream, &err));
    for (int i = 0; i < wanted; i++) {
        if (test_probe_list_receive(stream, some_time(storm), &packet, NULL))
            break;
        CHECK_INT(packet->number, i);
        afar_message_free(packet);
    }
    test_probe_list_close(stream);
}

static void
storm_talk(struct storm *storm)
{
    Test__Packet packet = TEST__PACKET__INIT, *reply = NULL;
    test_probe_talk_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    int wanted = pick(storm, 20);

    CHECK_OK(test_probe_talk(storm->probe, soon(), NULL, &stream, &err));
    for (packet.number = 0; packet.number < wanted; packet.number++)
        CHECK_OK(test_probe_talk_send(stream, &packet, soon(), &err));
    for (int i = 0; i < wanted - pick(storm, 2); i++) {
        CHECK_OK(test_probe_talk_receive(stream, soon(), &reply, &err));
        CHECK_INT(reply->number, i + 1);
        afar_message_free(reply);
    }
    if (pick(storm, 2))
        CHECK_OK(test_probe_talk_finish(stream, &err));
    test_probe_talk_close(stream);
}

static void
rage(void *arg)
{
    static void (*const acts[])(struct storm *) = { storm_ask, storm_future, storm_list,
                                                    storm_talk };
    struct storm *storm = arg;

    for (int i = 0; i < ROUNDS; i++)
        acts[pick(storm, 4)](storm);
}

static void
storm_at(test_probe *probe)
{
    struct storm storms[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        storms[i].probe = probe;
        storms[i].seed = i + 1;
        worker_start(&storms[i].worker, rage, &storms[i]);
    }
    for (int i = 0; i < THREADS; i++)
        worker_join(&storms[i].worker);
    CHECK_INT(asked(probe, 0), 1);
    test_probe_close(probe);
}

static void
storm_over(const char *address, afar_mode mode)
{
    struct pair pair;

    prepare();
    pair_open(&pair, address);
    storm_at(pair_probe(&pair, "", &methods, NULL, mode));
    pair_close(&pair);
}

TEST(over_tcp)
{
    storm_over(TCP, AFAR_CONCURRENT);
}

TEST(over_a_unix_socket_to_a_serial_object)
{
    storm_over(UNIX, AFAR_SERIAL);
}

TEST(within_the_process)
{
    storm_over(INPROC, AFAR_CONCURRENT);
}

TEST(without_a_server)
{
    prepare();
    storm_at(make_probe(&methods, NULL, AFAR_SERIAL));
}
