/* A call as its handler sees it: late answers, cancellation, what is known of the
 * caller, and what a nested call inherits.
 *
 * Labels: concurrent waits */

#include <string.h>
#include <unistd.h>

#include "pair.h"

/* ---- late answers ---- */

struct late {
    struct event entered, finished;
    struct worker worker;
    afar_call *call;
    afar_code code;
};

static void
finish_late(void *arg)
{
    struct late *late = arg;
    Test__Packet *reply = (Test__Packet *)afar_call_reply(late->call);

    reply->number = 7;
    reply->text = afar_call_strdup(late->call, "late");
    if (late->code)
        afar_call_fail(late->call, late->code, "late as well");
    afar_call_finish(late->call, late->code);
    event_raise(&late->finished);
}

static afar_code
defer_only(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct late *late = self;

    (void)request;
    (void)reply;
    afar_call_defer(call);
    late->call = call;
    event_raise(&late->entered);
    return AFAR_OK;
}

TEST(an_answer_from_another_thread)
{
    static const test_probe_methods methods = { .ask = defer_only };
    struct late late = { .entered = EVENT_INIT, .finished = EVENT_INIT };

    for (const char *const *transport = transports; *transport; transport++) {
        Test__Packet request = TEST__PACKET__INIT, *reply = NULL;
        afar_error err = AFAR_ERROR_INIT;
        afar_future *future = NULL;
        struct pair pair;
        int before = event_count(&late.entered);

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, &late, AFAR_SERIAL);
        for (int i = 1; i <= 2; i++) {
            late.code = i == 1 ? AFAR_OK : AFAR_ABORTED;
            CHECK_OK(test_probe_ask_start(probe, &request, soon(), NULL, &future, &err));
            event_wait(&late.entered, before + i);
            worker_start(&late.worker, finish_late, &late);
            CHECK_INT(test_probe_ask_await(future, soon(), &reply, &err), late.code);
            worker_join(&late.worker);
            afar_future_close(future);
        }
        CHECK(strstr(err.message, "late as well"));
        CHECK_STR(reply->text, "late");
        CHECK_INT(reply->number, 7);
        afar_message_free(reply);
        afar_error_clear(&err);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

/* The call is finished, by another thread, while the handler still runs. */
static afar_code
finish_before_return(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct late late = { .entered = EVENT_INIT, .finished = EVENT_INIT, .call = call };

    (void)self; /* the turn is over, and others may be inside */
    (void)request;
    (void)reply;
    afar_call_defer(call);
    worker_start(&late.worker, finish_late, &late);
    worker_join(&late.worker);
    return AFAR_OK;
}

TEST(an_answer_before_the_handler_returned)
{
    static const test_probe_methods methods = { .ask = finish_before_return };

    for (const char *const *transport = transports; *transport; transport++) {
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, NULL, AFAR_SERIAL);
        for (int i = 0; i < 200; i++)
            CHECK_INT(asked(probe, 1), 7);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

static afar_code
finish_at_once(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)self;
    reply->number = request->number;
    afar_call_defer(call);
    afar_call_finish(call, AFAR_OK);
    return AFAR_INTERNAL; /* the call is finished: what is returned changes nothing */
}

TEST(a_handler_finishes_its_own_call)
{
    static const test_probe_methods methods = { .ask = finish_at_once };
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &methods, NULL, AFAR_SERIAL);
    for (int i = 0; i < 200; i++)
        CHECK_INT(asked(probe, i), i);
    test_probe_close(probe);
    pair_close(&pair);
}

/* ---- errors ---- */

static afar_code
return_a_code(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)self;
    (void)call;
    reply->number = 5;
    return (afar_code)request->number;
}

TEST(a_code_without_a_message)
{
    static const test_probe_methods methods = { .ask = return_a_code };
    struct pair pair;

    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        int64_t number = 0;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, NULL, AFAR_SERIAL);
        for (int code = 1; code <= 16; code++) {
            CHECK_FAILS(ask(probe, code, &number, &err), (afar_code)code);
            CHECK(err.remote && err.outcome == AFAR_OUTCOME_ANSWERED);
            CHECK(strlen(err.message) > 0 && !strchr(err.message, '\n'));
        }
        CHECK_FAILS(ask(probe, 17, &number, &err), AFAR_UNKNOWN);
        CHECK_FAILS(ask(probe, -1, &number, &err), AFAR_UNKNOWN);
        CHECK_INT(number, 0);
        test_probe_close(probe);
        afar_error_clear(&err);
        pair_close(&pair);
    }
}

static afar_code
fail_as_told(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    Test__Broken detail = TEST__BROKEN__INIT;
    uint8_t bytes[16];
    afar_error err = AFAR_ERROR_INIT;

    (void)self;
    (void)reply;
    detail.number = request->number;
    size_t length = test__broken__pack(&detail, bytes);
    afar_fail(&err, AFAR_ALREADY_EXISTS, "two\nlines");
    CHECK_OK(afar_error_add_detail(&err, "test.Broken", bytes, length));
    CHECK_OK(afar_error_add_detail(&err, "test.Unheard", "\1\2", 2));
    afar_code code = afar_call_fail_error(call, &err);
    afar_error_clear(&err);
    return code;
}

TEST(an_error_travels_with_its_details)
{
    static const test_probe_methods methods = { .ask = fail_as_told };

    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        int64_t number = 0;
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, NULL, AFAR_SERIAL);
        CHECK_FAILS(ask(probe, 99, &number, &err), AFAR_ALREADY_EXISTS);
        CHECK(strstr(err.message, "two lines"));
        CHECK_INT(afar_error_detail_count(&err), 2);
        CHECK_INT(test_broken_of(&err)->number, 99);
        afar_detail unheard = afar_error_detail(&err, 1);
        CHECK_STR(unheard.type, "test.Unheard");
        CHECK(unheard.length == 2 && memcmp(unheard.data, "\1\2", 2) == 0);
        afar_error_clear(&err);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

/* ---- cancellation ---- */

struct cancelling {
    struct event entered, told, out;
    afar_call *call;
};

static void
note_cancelled(afar_call *call, void *arg)
{
    struct cancelling *cancelling = arg;

    CHECK(call == cancelling->call);
    CHECK(afar_call_cancelled(call));
    event_raise(&cancelling->told);
}

/* Watches, waits to be told, and finds that a second look says the same. */
static afar_code
watch(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct cancelling *cancelling = self;

    (void)request;
    (void)reply;
    cancelling->call = call;
    CHECK(!afar_call_cancelled(call));
    afar_call_on_cancelled(call, note_cancelled, cancelling);
    event_raise(&cancelling->entered);
    event_wait(&cancelling->told, event_count(&cancelling->entered));
    CHECK(afar_call_cancelled(call));
    event_raise(&cancelling->out);
    return AFAR_OK;
}

static const test_probe_methods watching = { .ask = watch };

TEST(a_handler_is_told_of_a_cancellation)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct cancelling cancelling = { EVENT_INIT, EVENT_INIT, EVENT_INIT, NULL };
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &watching, &cancelling, AFAR_SERIAL);
        afar_future *future = start_ask(probe, 1, AFAR_FOREVER);
        event_wait(&cancelling.entered, 1);
        afar_future_close(future);
        event_wait(&cancelling.out, 1);
        test_probe_close(probe);
        pair_close(&pair);
        CHECK_INT(event_count(&cancelling.told), 1);
    }
}

TEST(a_handler_is_told_of_a_deadline)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct cancelling cancelling = { EVENT_INIT, EVENT_INIT, EVENT_INIT, NULL };
        Test__Packet request = TEST__PACKET__INIT, *reply = NULL;
        afar_error err = AFAR_ERROR_INIT;
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &watching, &cancelling, AFAR_SERIAL);
        CHECK_FAILS(test_probe_ask(probe, &request, afar_after_ms(300), &reply, &err),
                    AFAR_DEADLINE_EXCEEDED);
        event_wait(&cancelling.out, 1);
        test_probe_close(probe);
        afar_error_clear(&err);
        pair_close(&pair);
    }
}

static afar_code
watch_late(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct cancelling *cancelling = self;

    (void)request;
    (void)reply;
    cancelling->call = call;
    event_raise(&cancelling->entered);
    int64_t end = now_ms() + 15000;
    while (!afar_call_cancelled(call))
        CHECK(now_ms() < end);
    afar_call_on_cancelled(call, note_cancelled, cancelling);
    event_wait(&cancelling->told, 1);
    return AFAR_OK;
}

TEST(a_watch_that_comes_after_the_cancellation)
{
    static const test_probe_methods methods = { .ask = watch_late };
    struct cancelling cancelling = { EVENT_INIT, EVENT_INIT, EVENT_INIT, NULL };
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &methods, &cancelling, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 1, AFAR_FOREVER);
    event_wait(&cancelling.entered, 1);
    afar_future_close(future);
    event_wait(&cancelling.told, 1);
    test_probe_close(probe);
    pair_close(&pair);
}

static afar_code
watch_and_answer(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct cancelling *cancelling = self;

    reply->number = request->number;
    afar_call_on_cancelled(call, note_cancelled, cancelling);
    return AFAR_OK;
}

TEST(a_finished_call_is_never_told)
{
    static const test_probe_methods methods = { .ask = watch_and_answer };
    struct cancelling cancelling = { EVENT_INIT, EVENT_INIT, EVENT_INIT, NULL };
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &methods, &cancelling, AFAR_CONCURRENT);
    for (int i = 0; i < 200; i++) {
        afar_future *future = start_ask(probe, i, soon());
        CHECK_INT(finish_ask(future), i);
    }
    test_probe_close(probe);
    pair_close(&pair);
    CHECK_INT(event_count(&cancelling.told), 0);
}

/* ---- what is known of the caller ---- */

struct facts {
    const char *address, *name;
    bool is_unix;
};

static afar_code
check_facts(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct facts *facts = self;
    afar_peer peer = afar_call_peer(call);

    (void)reply;
    CHECK_STR(afar_call_method(call)->path, "/test.Probe/Ask");
    CHECK_STR(afar_call_object_name(call), facts->name);
    CHECK(afar_call_request(call) == &request->base);
    CHECK(afar_call_current() == call);
    CHECK(strncmp(peer.address, facts->address, strlen(facts->address)) == 0);
    if (strcmp(facts->address, "local") != 0) { /* there it goes without saying */
        CHECK_INT(peer.uid, facts->is_unix ? (int64_t)geteuid() : -1);
        CHECK_INT(peer.pid, facts->is_unix ? getpid() : -1);
    }
    CHECK_INT(afar_call_deadline(call).ns, INT64_MAX);
    return AFAR_OK;
}

TEST(what_a_handler_knows)
{
    static const test_probe_methods methods = { .ask = check_facts };
    static const struct facts all[] = { { "127.0.0.1:", "", false },
                                        { "unix", "", true },
                                        { "local", "", false } };
    static const char *const names[] = { "", "a", "a/b-c/d_e.f" };

    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            struct facts facts = all[i];
            struct pair pair;

            facts.name = names[j];
            pair_open(&pair, transports[i]);
            test_probe *probe = pair_probe(&pair, names[j], &methods, &facts, AFAR_SERIAL);
            finish_ask(start_ask(probe, 1, AFAR_FOREVER));
            test_probe_close(probe);
            pair_close(&pair);
        }
    }
}

static afar_code
show_metadata(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    const afar_metadata *metadata = afar_call_metadata(call);
    size_t length = 0;

    (void)self;
    (void)request;
    const void *bytes = afar_metadata_find(metadata, "bytes-bin", &length);
    CHECK(bytes && length == 3 && memcmp(bytes, "\0\xff\n", 3) == 0);
    CHECK_STR(afar_metadata_find(metadata, "text", NULL), "one");
    CHECK(!afar_metadata_find(metadata, "Text", NULL));
    for (size_t i = 0; i < metadata->count; i++)
        reply->number += strcmp(metadata->entries[i].key, "text") == 0;
    return AFAR_OK;
}

TEST(metadata_of_the_caller)
{
    static const test_probe_methods methods = { .ask = show_metadata };
    afar_metadata_entry entries[] = { { "text", "one", 3 },
                                      { "bytes-bin", "\0\xff\n", 3 },
                                      { "text", "two", 3 } };
    afar_metadata metadata = { entries, 3 };

    for (const char *const *transport = transports; *transport; transport++) {
        afar_call_options options = AFAR_CALL_OPTIONS_INIT;
        Test__Packet request = TEST__PACKET__INIT;
        afar_error err = AFAR_ERROR_INIT;
        afar_future *future = NULL;
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, NULL, AFAR_SERIAL);
        options.metadata = &metadata;
        CHECK_OK(test_probe_ask_start(probe, &request, soon(), &options, &future, &err));
        CHECK_INT(finish_ask(future), 2);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

TEST(metadata_that_may_not_be_sent)
{
    static const afar_metadata_entry bad[] = {
        { "Upper", "x", 1 },       { "", "x", 1 },
        { "a key", "x", 1 },       { "text", "\n", 1 },
        { "text", "\xc3\xab", 2 }, { "grpc-timeout", "1S", 2 },
        { "afar-object", "x", 1 },
    };
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        afar_metadata metadata = { &bad[i], 1 };
        afar_call_options options = AFAR_CALL_OPTIONS_INIT;
        Test__Packet request = TEST__PACKET__INIT;
        afar_error err = AFAR_ERROR_INIT;
        afar_future *future = NULL;

        options.metadata = &metadata;
        CHECK_FAILS(test_probe_ask_start(probe, &request, soon(), &options, &future, &err),
                    AFAR_INVALID_ARGUMENT);
        CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
        CHECK(!future && strstr(err.message, bad[i].key));
        afar_error_clear(&err);
    }
    CHECK_INT(asked(probe, 1), 2);
    test_probe_close(probe);
    pair_close(&pair);
}
