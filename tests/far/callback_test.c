/* Callbacks: a client that listens nowhere passes an object, which the server calls.
 *
 * Labels: concurrent */

#include <stdlib.h>
#include <string.h>

#include "peer.h"

/* ---- at once, within the call ---- */

static afar_code
call_at_once(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    far_peer *one = far_bundle_take_one(request);

    (void)self;
    (void)call;
    use_all_kinds(one);
    reply->number = number_of(one, 41);
    far_peer_close(one);
    return AFAR_OK;
}

static const far_peer_methods calling_at_once = { .ask = call_at_once };

TEST(a_callback_within_the_call)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        struct event gone = EVENT_INIT;
        int64_t answer = 0;
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &calling_at_once, NULL, AFAR_SERIAL);
        far_peer *mine = make_peer(&counting_methods, &gone, AFAR_SERIAL, raise_event);
        CHECK_OK(ask_with(peer, 0, mine, &answer, &err));
        CHECK_INT(answer, 42);
        far_peer_close(mine);
        event_wait(&gone, 1);
        far_peer_close(peer);
        pair_close(&pair);
    }
}

/* ---- later ---- */

struct keeper {
    far_peer *kept;
};

static afar_code
keep(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    struct keeper *keeper = self;

    (void)reply;
    (void)call;
    far_peer_close(keeper->kept);
    keeper->kept = far_bundle_take_one(request);
    return AFAR_OK;
}

static const far_peer_methods keeping = { .ask = keep };

TEST(a_callback_later_from_another_thread)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct event gone = EVENT_INIT;
        struct keeper keeper = { NULL };
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &keeping, &keeper, AFAR_SERIAL);
        far_peer *mine = make_peer(&counting_methods, &gone, AFAR_SERIAL, raise_event);
        give_to(peer, mine);
        far_peer_close(mine); /* the server has it */
        CHECK_INT(event_count(&gone), 0);
        use_all_kinds(keeper.kept);
        use_all_kinds(keeper.kept);
        far_peer_close(keeper.kept);
        event_wait(&gone, 1);
        far_peer_close(peer);
        pair_close(&pair);
    }
}

TEST(a_callback_to_a_client_that_was_closed_fails)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        struct event gone = EVENT_INIT;
        struct keeper keeper = { NULL };
        int64_t answer;
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &keeping, &keeper, AFAR_SERIAL);
        far_peer *mine = make_peer(&counting_methods, &gone, AFAR_SERIAL, raise_event);
        give_to(peer, mine);
        far_peer_close(mine);
        afar_client_close(pair.client);
        pair.client = NULL;
        event_wait(&gone, 1);
        CHECK_FAILS(ask_with(keeper.kept, 1, NULL, &answer, &err), AFAR_UNAVAILABLE);
        CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
        CHECK(strstr(err.message, "/far.Peer/Ask"));
        far_peer_close(keeper.kept);
        far_peer_close(peer);
        afar_error_clear(&err);
        pair_close(&pair);
    }
}

/* ---- oneway, in order ---- */

enum { TOLD = 10000 };

static afar_code
tell_often(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    Far__Bundle news = FAR__BUNDLE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    far_peer *one = far_bundle_take_one(request);

    (void)self;
    (void)reply;
    (void)call;
    for (; news.number < TOLD; news.number++)
        CHECK_OK(far_peer_tell(one, &news, AFAR_FOREVER, &err));
    far_peer_close(one);
    return AFAR_OK;
}

struct listener {
    int64_t next;
    struct event all;
};

static afar_code
hear_in_order(void *self, const Far__Bundle *request, afar_call *call)
{
    struct listener *listener = self;

    (void)call;
    CHECK_INT(request->number, listener->next++);
    if (listener->next == TOLD)
        event_raise(&listener->all);
    return AFAR_OK;
}

TEST(oneway_callbacks_come_in_order)
{
    static const far_peer_methods telling = { .ask = tell_often };
    static const far_peer_methods listening = { .tell = hear_in_order };

    for (const char *const *transport = transports; *transport; transport++) {
        struct listener listener = { 0, EVENT_INIT };
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &telling, NULL, AFAR_SERIAL);
        far_peer *mine = make_peer(&listening, &listener, AFAR_SERIAL, NULL);
        give_to(peer, mine);
        event_wait(&listener.all, 1);
        far_peer_close(mine);
        far_peer_close(peer);
        pair_close(&pair);
    }
}

/* ---- many that wait ---- */

enum { LATE = 300, BLOCKED = 200 };

/* The answers come when all have asked. */
struct crowd {
    pthread_mutex_t lock;
    afar_call *calls[LATE];
    int count; /* guarded by lock */
    struct event joined;
};

static afar_code
join_crowd(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    struct crowd *crowd = self;

    reply->number = request->number;
    afar_call_defer(call);
    pthread_mutex_lock(&crowd->lock);
    CHECK(crowd->count < LATE);
    crowd->calls[crowd->count++] = call;
    pthread_mutex_unlock(&crowd->lock);
    event_raise(&crowd->joined);
    return AFAR_OK;
}

static const far_peer_methods crowding = { .ask = join_crowd };

/* This handler waits. */
static afar_code
call_and_wait(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    far_peer *one = far_bundle_take_one(request);
    afar_error err = AFAR_ERROR_INIT;

    (void)self;
    (void)call;
    CHECK_OK(ask_with(one, request->number, NULL, &reply->number, &err));
    far_peer_close(one);
    return AFAR_OK;
}

/* This one answers later. */
static void
answer(afar_future *future, void *arg)
{
    afar_call *call = arg;
    afar_error err = AFAR_ERROR_INIT;
    Far__Bundle *answer = NULL;

    CHECK_OK(far_peer_ask_await(future, AFAR_FOREVER, &answer, &err));
    ((Far__Bundle *)afar_call_reply(call))->number = answer->number;
    afar_message_free(answer);
    afar_future_close(future);
    afar_call_finish(call, AFAR_OK);
}

static afar_code
call_and_defer(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    far_peer *one = far_bundle_take_one(request);

    (void)self;
    (void)reply;
    afar_call_defer(call);
    afar_future_on_done(start_number(one, request->number), answer, call);
    far_peer_close(one);
    return AFAR_OK;
}

static void
call_with_crowd(const far_peer_methods *methods, const char *transport, int count)
{
    struct crowd crowd = { .lock = PTHREAD_MUTEX_INITIALIZER, .joined = EVENT_INIT };
    afar_future *futures[LATE];
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair;

    pair_open(&pair, transport);
    far_peer *peer = pair_peer(&pair, "", methods, NULL, AFAR_CONCURRENT);
    far_peer *mine = make_peer(&crowding, &crowd, AFAR_CONCURRENT, NULL);
    for (int i = 0; i < count; i++) {
        Far__Bundle request = FAR__BUNDLE__INIT;
        Afar__Ref room;

        request.number = i;
        far_bundle_put_one(&request, &room, mine);
        CHECK_OK(far_peer_ask_start(peer, &request, soon(), NULL, &futures[i], &err));
    }
    event_wait(&crowd.joined, count);
    for (int i = 0; i < count; i++)
        afar_call_finish(crowd.calls[i], AFAR_OK);
    for (int i = 0; i < count; i++) {
        Far__Bundle *reply = NULL;

        CHECK_OK(far_peer_ask_await(futures[i], soon(), &reply, &err));
        CHECK_INT(reply->number, i);
        afar_message_free(reply);
        afar_future_close(futures[i]);
    }
    far_peer_close(mine);
    far_peer_close(peer);
    pair_close(&pair);
}

TEST(handlers_that_wait_in_a_callback_are_replaced)
{
    static const far_peer_methods methods = { .ask = call_and_wait };

    for (const char *const *transport = transports; *transport; transport++)
        call_with_crowd(&methods, *transport, BLOCKED);
}

TEST(late_answers_that_wait_for_callbacks_hold_no_thread)
{
    static const far_peer_methods methods = { .ask = call_and_defer };

    call_with_crowd(&methods, TCP, LATE);
    CHECK(thread_count() < 30);
}
