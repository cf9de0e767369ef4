/* Handlers that wait for other handlers: whoever waits in the library is replaced,
 * so that no number of threads is enough to hang it.
 *
 * Labels: concurrent */

#include <stdio.h>
#include <string.h>

#include "pair.h"

/* An object that asks the next one, and adds 1. */
struct link {
    test_probe *next; /* NULL: the last */
};

static afar_code
ask_the_next(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct link *link = self;
    afar_error err = AFAR_ERROR_INIT;

    reply->number = request->number;
    if (link->next && ask(link->next, request->number, &reply->number, &err))
        afar_call_fail_error(call, &err);
    reply->number++;
    afar_code code = err.code;
    afar_error_clear(&err);
    return code;
}

static const test_probe_methods linked = { .ask = ask_the_next };

/* Makes a chain whose links are reached through the server, the last one first. */
static void
make_chain(struct pair *pair, struct link *links, int count)
{
    test_probe *next = NULL;

    for (int i = 0; i < count; i++) {
        char name[24];

        snprintf(name, sizeof name, "link-%d", i);
        links[i].next = next;
        next = pair_probe(pair, name, &linked, &links[i], AFAR_SERIAL);
    }
    links[count].next = next; /* the way in */
}

static void
close_chain(struct link *links, int count)
{
    for (int i = 0; i <= count; i++)
        test_probe_close(links[i].next);
}

static void
ask_through(const char *address, afar_node *node, int length)
{
    struct link links[64];
    struct pair pair;

    pair_open_with(&pair, node, address, NULL);
    make_chain(&pair, links, length);
    for (int i = 0; i < 20; i++)
        CHECK_INT(asked(links[length].next, i), i + length);
    close_chain(links, length);
    pair_close(&pair);
}

TEST(two_nested_blocking_calls)
{
    for (const char *const *transport = transports; *transport; transport++)
        ask_through(*transport, NULL, 2);
}

TEST(a_chain_of_eight)
{
    for (const char *const *transport = transports; *transport; transport++)
        ask_through(*transport, NULL, 8);
}

TEST(a_chain_of_sixty)
{
    ask_through(TCP, NULL, 60);
}

TEST(a_chain_on_one_node)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;

    CHECK_OK(afar_node_open(NULL, &node, &err));
    ask_through(TCP, node, 8);
    afar_node_close(node);
}

/* Several chains at a time, each through every object. */
struct traveller {
    struct worker worker;
    test_probe *way_in;
    int length;
};

static void
travel(void *arg)
{
    struct traveller *traveller = arg;

    for (int i = 0; i < 50; i++)
        CHECK_INT(asked(traveller->way_in, i), i + traveller->length);
}

TEST(four_callers_through_one_chain)
{
    struct traveller travellers[4];
    struct link links[9];
    struct pair pair;

    pair_open(&pair, TCP);
    make_chain(&pair, links, 8);
    for (int i = 0; i < 4; i++) {
        travellers[i].way_in = links[8].next;
        travellers[i].length = 8;
        worker_start(&travellers[i].worker, travel, &travellers[i]);
    }
    for (int i = 0; i < 4; i++)
        worker_join(&travellers[i].worker);
    close_chain(links, 8);
    pair_close(&pair);
}

/* ---- many at a time ---- */

static afar_code
wait_at_gate(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)call;
    reply->number = request->number;
    return gate_pass(self, NULL);
}

static const test_probe_methods waiting = { .ask = wait_at_gate };

TEST(forty_handlers_wait_at_once)
{
    afar_future *futures[40];
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &waiting, &gate, AFAR_CONCURRENT);
    test_probe *other = pair_probe(&pair, "other", &echo_methods, NULL, AFAR_SERIAL);
    for (int i = 0; i < 40; i++)
        futures[i] = start_ask(probe, i, soon());
    event_wait(&gate.entered, 40);
    CHECK_INT(asked(other, 1), 2);
    gate_open(&gate);
    for (int i = 0; i < 40; i++)
        CHECK_INT(finish_ask(futures[i]), i);
    test_probe_close(probe);
    test_probe_close(other);
    pair_close(&pair);
    gate_close(&gate);
}

/* More handlers wait than there may be threads: some are refused, with a code that
 * says so, and what the others wait for still comes. */
TEST(more_handlers_wait_than_there_may_be_threads)
{
    enum { STARTED = 400 };
    static afar_future *futures[STARTED];
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *reply = NULL;
    struct pair pair;
    struct gate gate;
    int refused = 0;

    gate_init(&gate);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &waiting, &gate, AFAR_CONCURRENT);
    for (int i = 0; i < STARTED; i++)
        futures[i] = start_ask(probe, i, soon());
    event_wait(&gate.entered, 200);
    CHECK(thread_count() < 300);
    gate_open(&gate);
    for (int i = 0; i < STARTED; i++) {
        if (test_probe_ask_await(futures[i], soon(), &reply, &err)) {
            CHECK_INT(err.code, AFAR_RESOURCE_EXHAUSTED);
            refused++;
        }
        afar_message_free(reply);
        reply = NULL;
        afar_future_close(futures[i]);
    }
    CHECK(refused <= STARTED - 200);
    test_probe_close(probe);
    afar_error_clear(&err);
    pair_close(&pair);
    gate_close(&gate);
}

/* ---- streams within handlers ---- */

/* Reads a whole list of the next object, and asks with what it found. */
static afar_code
add_up_list(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    test_probe_list_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *packet = NULL;

    (void)call;
    CHECK_OK(test_probe_list(self, request, soon(), NULL, &stream, &err));
    while (!test_probe_list_receive(stream, soon(), &packet, &err)) {
        reply->number += packet->number;
        afar_message_free(packet);
    }
    CHECK_INT(err.code, AFAR_ENDED);
    test_probe_list_close(stream);
    afar_error_clear(&err);
    return AFAR_OK;
}

TEST(handlers_read_streams)
{
    static const test_probe_methods methods = { .ask = add_up_list };
    afar_future *futures[10];
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *source = pair_probe(&pair, "source", &echo_methods, NULL, AFAR_CONCURRENT);
    test_probe *probe = pair_probe(&pair, "", &methods, source, AFAR_CONCURRENT);
    for (int i = 0; i < 10; i++)
        futures[i] = start_ask(probe, 1000, soon());
    for (int i = 0; i < 10; i++)
        CHECK_INT(finish_ask(futures[i]), 1000 * 999 / 2);
    test_probe_close(probe);
    test_probe_close(source);
    pair_close(&pair);
}

/* A handler that waits for futures instead. */
static afar_code
ask_twice(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)call;
    afar_future *first = start_ask(self, request->number, soon());
    afar_future *second = start_ask(self, request->number + 1, soon());
    reply->number = finish_ask(second) - finish_ask(first);
    return AFAR_OK;
}

TEST(handlers_wait_for_futures)
{
    static const test_probe_methods methods = { .ask = ask_twice };
    afar_future *futures[100];
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *source = pair_probe(&pair, "source", &echo_methods, NULL, AFAR_SERIAL);
    test_probe *probe = pair_probe(&pair, "", &methods, source, AFAR_CONCURRENT);
    for (int i = 0; i < 100; i++)
        futures[i] = start_ask(probe, i, soon());
    for (int i = 0; i < 100; i++)
        CHECK_INT(finish_ask(futures[i]), 1);
    test_probe_close(probe);
    test_probe_close(source);
    pair_close(&pair);
}
