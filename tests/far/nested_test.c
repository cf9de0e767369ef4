/* A calls B, which calls A back: what the modes of A say of that, and what the call inherits on
 * its way.
 *
 * Labels: concurrent waits */

#include <string.h>

#include "peer.h"

/* A calls B when it is asked for more than 0; B calls A with one less. */
struct caller {
    far_peer *self; /* the client's object, as the client has it */
    far_peer *other;
    struct event asked, cancelled;
    struct gate *gate;  /* asked for 0 it waits there, if there is one */
    int64_t left_ns[2]; /* of the time, with number 1 and 0 */
    char trace[16];     /* metadata that came with 0 */
};

static afar_code
call_other(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    struct caller *caller = self;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;

    event_raise(&caller->asked);
    caller->left_ns[request->number != 0] = afar_deadline_left_ns(afar_call_deadline(call));
    if (request->number > 0) {
        code = ask_with(caller->other, request->number, caller->self, &reply->number, &err);
    } else {
        const char *trace = afar_metadata_find(afar_call_metadata(call), "traceparent", NULL);

        strncpy(caller->trace, trace ? trace : "none", sizeof caller->trace - 1);
        if (caller->gate)
            code = gate_pass(caller->gate, &err);
    }
    if (afar_call_cancelled(call))
        event_raise(&caller->cancelled);
    reply->number++;
    if (code)
        afar_call_fail_error(call, &err);
    afar_error_clear(&err);
    return code;
}

static const far_peer_methods calling = { .ask = call_other };

static afar_code
call_back(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    far_peer *one = far_bundle_take_one(request);
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    (void)self;
    code = ask_with(one, request->number - 1, NULL, &reply->number, &err);
    reply->number++;
    far_peer_close(one);
    if (code)
        afar_call_fail_error(call, &err);
    afar_error_clear(&err);
    return code;
}

static const far_peer_methods calling_back = { .ask = call_back };

static void
caller_open(struct caller *caller, struct pair *pair, const char *transport, afar_mode mode)
{
    *caller = (struct caller){ .asked = EVENT_INIT, .cancelled = EVENT_INIT };
    pair_open(pair, transport);
    caller->other = pair_peer(pair, "", &calling_back, NULL, AFAR_CONCURRENT);
    caller->self = make_peer(&calling, caller, mode, NULL);
}

static void
caller_close(struct caller *caller, struct pair *pair)
{
    far_peer_close(caller->self);
    far_peer_close(caller->other);
    pair_close(pair);
}

TEST(a_serial_object_that_would_wait_for_itself_is_told)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        struct caller caller;
        struct pair pair;
        int64_t answer, start = now_ms();

        caller_open(&caller, &pair, *transport, AFAR_SERIAL);
        CHECK_FAILS(ask_with(caller.self, 1, NULL, &answer, &err), AFAR_DEADLOCK);
        CHECK(now_ms() - start < 10000); /* not at its deadline */
        CHECK_INT(event_count(&caller.asked), 1);
        CHECK(strstr(err.message, "far.Peer"));
        afar_error_clear(&err);
        caller_close(&caller, &pair);
    }
}

static void
check_enters(afar_mode mode)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct caller caller;
        struct pair pair;

        caller_open(&caller, &pair, *transport, mode);
        CHECK_INT(number_of(caller.self, 1), 3);
        CHECK_INT(number_of(caller.self, 3), 7); /* three times around */
        CHECK_INT(event_count(&caller.asked), 2 + 4);
        caller_close(&caller, &pair);
    }
}

TEST(a_reentrant_object_is_entered_by_its_descendants)
{
    check_enters(AFAR_REENTRANT);
}

TEST(a_concurrent_object_is_entered)
{
    check_enters(AFAR_CONCURRENT);
}

/* ---- what goes along ---- */

static void
call_with(struct caller *caller, int64_t ms, const char *trace, afar_future **ret_future)
{
    afar_metadata_entry entry = { "traceparent", trace, strlen(trace) };
    afar_metadata metadata = { &entry, 1 };
    afar_call_options options = AFAR_CALL_OPTIONS_INIT;
    Far__Bundle request = FAR__BUNDLE__INIT;
    afar_error err = AFAR_ERROR_INIT;

    options.metadata = &metadata;
    request.number = 1;
    CHECK_OK(
        far_peer_ask_start(caller->self, &request, afar_after_ms(ms), &options, ret_future, &err));
}

TEST(time_and_metadata_go_there_and_back)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        afar_future *future = NULL;
        Far__Bundle *reply = NULL;
        struct caller caller;
        struct pair pair;

        caller_open(&caller, &pair, *transport, AFAR_REENTRANT);
        call_with(&caller, 12000, "t-1", &future);
        CHECK_OK(far_peer_ask_await(future, soon(), &reply, &err));
        CHECK_INT(reply->number, 3);
        CHECK_STR(caller.trace, "t-1");
        CHECK(caller.left_ns[1] > 0 && caller.left_ns[1] <= INT64_C(13000000000));
        CHECK(caller.left_ns[0] > 0 && caller.left_ns[0] <= INT64_C(13000000000));
        afar_message_free(reply);
        afar_future_close(future);
        caller_close(&caller, &pair);
    }
}

TEST(a_cancelled_call_cancels_what_it_called_there_and_back)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_future *future = NULL;
        struct caller caller;
        struct pair pair;
        struct gate gate;

        gate_init(&gate);
        caller_open(&caller, &pair, *transport, AFAR_REENTRANT);
        caller.gate = &gate;
        call_with(&caller, 15000, "t-1", &future);
        event_wait(&gate.entered, 1);
        afar_future_close(future);
        event_wait(&gate.left, 1); /* the innermost call is cancelled */
        event_wait(&caller.cancelled, 2);
        caller_close(&caller, &pair);
        gate_close(&gate);
    }
}

TEST(a_deadline_ends_all_calls_of_the_chain)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        afar_future *future = NULL;
        Far__Bundle *reply = NULL;
        struct caller caller;
        struct pair pair;
        struct gate gate;

        gate_init(&gate);
        caller_open(&caller, &pair, *transport, AFAR_REENTRANT);
        caller.gate = &gate;
        call_with(&caller, 1000, "t-1", &future);
        CHECK_FAILS(far_peer_ask_await(future, soon(), &reply, &err), AFAR_DEADLINE_EXCEEDED);
        if (event_count(&caller.asked) == 2) /* else it was too slow to come so far */
            event_wait(&gate.left, 1);
        afar_future_close(future);
        afar_error_clear(&err);
        caller_close(&caller, &pair);
        gate_close(&gate);
    }
}
