/* Which object a call goes to: exporting and taking back, before and after the
 * start, defaults, many objects, and when an object ends.
 *
 * Labels: concurrent */

#include <stdio.h>
#include <string.h>

#include "pair.h"

#define OBJECTS 5000

static afar_code
say_who(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)request;
    (void)call;
    reply->number = *(int64_t *)self;
    return AFAR_OK;
}

static const test_probe_methods telling = { .ask = say_who };
static const test_other_methods telling_too = { .ask = say_who };

static void
export_number(afar_server *server, const char *name, int64_t *number)
{
    test_probe *probe = make_probe(&telling, number, AFAR_SERIAL);

    export_probe(server, name, probe);
    test_probe_close(probe);
}

static afar_code
ask_name(struct pair *pair, const char *name, int64_t *ret_number)
{
    test_probe *probe = pair_reach(pair, name);
    afar_code code = ask(probe, 0, ret_number, NULL);

    test_probe_close(probe);
    return code;
}

static int64_t
number_of(struct pair *pair, const char *name)
{
    int64_t number = 0;

    CHECK_INT(ask_name(pair, name, &number), AFAR_OK);
    return number;
}

static afar_code
code_of(struct pair *pair, const char *name)
{
    int64_t number = 0;

    return ask_name(pair, name, &number);
}

TEST(before_and_after_the_start)
{
    int64_t numbers[] = { 1, 2 };

    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        struct pair pair = { NULL, NULL };
        char path[108];

        snprintf(path, sizeof path, "%s", *transport);
        if (strcmp(*transport, UNIX) == 0)
            snprintf(path, sizeof path, "unix:%s/socket", check_folder());
        CHECK_OK(afar_server_open(NULL, path, NULL, &pair.server, &err));
        export_number(pair.server, "early", &numbers[0]);
        CHECK_OK(afar_server_start(pair.server, &err));
        export_number(pair.server, "late", &numbers[1]);
        CHECK_OK(afar_client_open(NULL, NULL, &pair.client, &err));
        CHECK_INT(number_of(&pair, "early"), 1);
        CHECK_INT(number_of(&pair, "late"), 2);
        CHECK_INT(code_of(&pair, "never"), AFAR_NOT_FOUND);
        pair_close(&pair);
    }
}

TEST(a_name_is_taken_once)
{
    int64_t numbers[] = { 1, 2 };
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair;

    pair_open(&pair, TCP);
    export_number(pair.server, "a", &numbers[0]);
    test_probe *second = make_probe(&telling, &numbers[1], AFAR_SERIAL);
    CHECK_FAILS(afar_server_export(pair.server, "a", test_probe_object(second), &err),
                AFAR_ALREADY_EXISTS);
    CHECK(strstr(err.message, "a"));
    CHECK_INT(number_of(&pair, "a"), 1);
    CHECK_OK(afar_server_unexport(pair.server, "a", &test_probe_interface, &err));
    CHECK_INT(code_of(&pair, "a"), AFAR_NOT_FOUND);
    CHECK_FAILS(afar_server_unexport(pair.server, "a", &test_probe_interface, &err),
                AFAR_NOT_FOUND);
    export_probe(pair.server, "a", second);
    test_probe_close(second);
    CHECK_INT(number_of(&pair, "a"), 2);
    afar_error_clear(&err);
    pair_close(&pair);
}

TEST(one_name_for_two_interfaces)
{
    Test__Packet request = TEST__PACKET__INIT, *reply = NULL;
    int64_t numbers[] = { 1, 2 };
    afar_error err = AFAR_ERROR_INIT;
    test_other *near = NULL, *far = NULL;
    struct pair pair;
    char text[300];

    pair_open(&pair, TCP);
    export_number(pair.server, "a", &numbers[0]);
    CHECK_OK(test_other_new(&telling_too, &numbers[1], NULL, &near, &err));
    CHECK_OK(afar_server_export(pair.server, "a", test_other_object(near), &err));
    CHECK_OK(test_other_open(pair.client, pair_name(&pair, "a", text), soon(), &far, &err));
    CHECK_OK(test_other_ask(far, &request, soon(), &reply, &err));
    CHECK_INT(reply->number, 2);
    CHECK_INT(number_of(&pair, "a"), 1);
    CHECK_FAILS(afar_server_unexport(pair.server, "b", &test_other_interface, &err),
                AFAR_NOT_FOUND);
    CHECK_OK(afar_server_unexport(pair.server, "a", &test_other_interface, &err));
    CHECK_INT(number_of(&pair, "a"), 1);
    afar_message_free(reply);
    test_other_close(near);
    test_other_close(far);
    afar_error_clear(&err);
    pair_close(&pair);
}

/* Each step changes who answers a call that names nobody. */
TEST(the_default_object)
{
    int64_t numbers[] = { 1, 2, 3 };
    afar_error err = AFAR_ERROR_INIT;

    for (const char *const *transport = transports; *transport; transport++) {
        struct pair pair;

        pair_open(&pair, *transport);
        CHECK_INT(code_of(&pair, ""), AFAR_UNIMPLEMENTED); /* no such interface here */
        CHECK_INT(code_of(&pair, "a"), AFAR_UNIMPLEMENTED);
        export_number(pair.server, "a", &numbers[0]);
        CHECK_INT(number_of(&pair, ""), 1); /* the only one */
        export_number(pair.server, "b", &numbers[1]);
        CHECK_INT(code_of(&pair, ""), AFAR_NOT_FOUND); /* two, and none is the default */
        export_number(pair.server, "", &numbers[2]);
        CHECK_INT(number_of(&pair, ""), 3);
        CHECK_INT(number_of(&pair, "a"), 1);
        CHECK_OK(afar_server_unexport(pair.server, "b", &test_probe_interface, &err));
        CHECK_OK(afar_server_unexport(pair.server, "", &test_probe_interface, &err));
        CHECK_INT(number_of(&pair, ""), 1);
        pair_close(&pair);
    }
}

TEST(a_method_without_a_handler)
{
    static const test_probe_methods methods = { .ask = NULL };

    for (const char *const *transport = transports; *transport; transport++) {
        test_probe_talk_stream *stream = NULL;
        afar_error err = AFAR_ERROR_INIT;
        Test__Packet *packet = NULL;
        int64_t number = 0;
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &methods, NULL, AFAR_SERIAL);
        CHECK_FAILS(ask(probe, 1, &number, &err), AFAR_UNIMPLEMENTED);
        CHECK(strstr(err.message, "test.Probe/Ask"));
        CHECK_OK(test_probe_talk(probe, soon(), NULL, &stream, &err));
        CHECK_FAILS(test_probe_talk_receive(stream, soon(), &packet, &err), AFAR_UNIMPLEMENTED);
        test_probe_talk_close(stream);
        test_probe_close(probe);
        afar_error_clear(&err);
        pair_close(&pair);
    }
}

TEST(thousands_of_objects)
{
    static int64_t numbers[OBJECTS];
    struct pair pair;
    char name[32];

    pair_open(&pair, TCP);
    for (int i = 0; i < OBJECTS; i++) {
        numbers[i] = i;
        snprintf(name, sizeof name, "object/%d", i);
        export_number(pair.server, name, &numbers[i]);
    }
    for (int i = 0; i < OBJECTS; i++) {
        snprintf(name, sizeof name, "object/%d", i);
        CHECK_INT(number_of(&pair, name), i);
    }
    pair_close(&pair);
}

static void
export_and_take_back(void *arg)
{
    afar_error err = AFAR_ERROR_INIT;
    static int64_t number = 9;

    for (int i = 0; i < 500; i++) {
        export_number(arg, "flicker", &number);
        CHECK_OK(afar_server_unexport(arg, "flicker", &test_probe_interface, &err));
    }
}

/* Calls to an object that comes and goes find it or do not; others are not touched. */
TEST(exporting_while_calls_come)
{
    int64_t number = 1;
    struct worker worker;
    struct pair pair;

    pair_open(&pair, TCP);
    export_number(pair.server, "stays", &number);
    test_probe *stays = pair_reach(&pair, "stays");
    test_probe *flicker = pair_reach(&pair, "flicker");
    worker_start(&worker, export_and_take_back, pair.server);
    for (int i = 0; i < 500; i++) {
        int64_t answer = 9;
        afar_code code = ask(flicker, 0, &answer, NULL);

        CHECK(code == AFAR_OK || code == AFAR_NOT_FOUND);
        CHECK_INT(answer, 9);
        CHECK_INT(asked(stays, 0), 1);
    }
    worker_join(&worker);
    test_probe_close(stays);
    test_probe_close(flicker);
    pair_close(&pair);
}

/* ---- when an object ends ---- */

struct mortal {
    struct gate gate;
    struct event finalized;
    pthread_t by;
};

static afar_code
linger(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct mortal *mortal = self;

    (void)call;
    afar_code code = gate_pass(&mortal->gate, NULL);
    CHECK_INT(event_count(&mortal->finalized), 0);
    reply->number = request->number + 1;
    return code;
}

static void
finalize(void *self)
{
    struct mortal *mortal = self;

    mortal->by = pthread_self();
    event_raise(&mortal->finalized);
}

static test_probe *
make_mortal(struct mortal *mortal)
{
    static const test_probe_methods methods = { .ask = linger };
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    test_probe *probe = NULL;

    *mortal = (struct mortal){ .finalized = EVENT_INIT };
    gate_init(&mortal->gate);
    options.finalizer = finalize;
    CHECK_OK(test_probe_new(&methods, mortal, &options, &probe, &err));
    return probe;
}

TEST(an_object_ends_with_its_last_reference)
{
    struct mortal mortal;
    test_probe *probe = make_mortal(&mortal);
    afar_object *shared = afar_object_share(test_probe_object(probe));

    test_probe_close(probe);
    CHECK_INT(event_count(&mortal.finalized), 0);
    afar_object_close(shared);
    event_wait(&mortal.finalized, 1);
    CHECK(!pthread_equal(mortal.by, pthread_self()));
    gate_close(&mortal.gate);
}

/* Taken back, no reference left, and yet a call is inside: it ends first. */
TEST(an_object_ends_after_its_last_call)
{
    afar_error err = AFAR_ERROR_INIT;
    struct mortal mortal;
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *near = make_mortal(&mortal);
    export_probe(pair.server, "", near);
    test_probe_close(near);
    test_probe *far = pair_reach(&pair, "");
    afar_future *future = start_ask(far, 1, soon());
    event_wait(&mortal.gate.entered, 1);
    CHECK_OK(afar_server_unexport(pair.server, "", &test_probe_interface, &err));
    CHECK_INT(event_count(&mortal.finalized), 0);
    gate_open(&mortal.gate);
    CHECK_INT(finish_ask(future), 2);
    event_wait(&mortal.finalized, 1);
    test_probe_close(far);
    pair_close(&pair);
    CHECK_INT(event_count(&mortal.finalized), 1);
    gate_close(&mortal.gate);
}

TEST(an_object_ends_with_its_server)
{
    struct mortal mortal;
    struct pair pair;

    for (const char *const *transport = transports; *transport; transport++) {
        pair_open(&pair, *transport);
        test_probe *near = make_mortal(&mortal);
        export_probe(pair.server, "", near);
        export_probe(pair.server, "once-more", near);
        test_probe_close(near);
        pair_close(&pair);
        event_wait(&mortal.finalized, 1);
        CHECK_INT(event_count(&mortal.finalized), 1);
        gate_close(&mortal.gate);
    }
}
