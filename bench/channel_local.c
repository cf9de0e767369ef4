/* Channels between the threads of one process.
 *
 * pingpong and commstime are networks of processes (afar/network.h), one of which is the main thread; it
 * measures.  Both are over in a few microseconds, so the clock is looked at now and then only.
 *
 * select4 and select256 are one thread that puts a message in one of the channels, which
 * have room for one, and then waits for any: so what is measured is a send and a select, and
 * no change of threads. */

#include "channel.h"

#include <stdlib.h>

#include <afar/network.h>
#include <afar/select.h>

/* ---- processes ---- */

typedef struct process {
    bench_item_receiver *in;
    bench_item_sender *out;
    bench_item_sender *other;
} process;

/* A process that has its ends in `self`. */
static void
start(afar_network *network, const char *name, afar_process_fn fn, process *self)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_given given[] = { AFAR_GIVE_RECEIVER("in", self->in), AFAR_GIVE_SENDER("out", self->out),
                           AFAR_GIVE_END, AFAR_GIVE_END };

    if (self->other)
        given[2] = (afar_given)AFAR_GIVE_SENDER("other", self->other);
    channel_expect(afar_network_run(network, name, fn, self, given, &err), &err, name);
}

static afar_network *
open_network(void)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_network *network = NULL;

    channel_expect(afar_network_open(&network, &err), &err, "open a network");
    return network;
}

/* All have ended, or are about to. */
static void
close_network(afar_network *network)
{
    afar_error err = AFAR_ERROR_INIT;

    channel_expect(afar_network_wait(network, AFAR_FOREVER, &err), &err, "wait for processes");
    afar_network_close(network);
}

/* Passes on what comes. */
static afar_code
copy(void *arg, afar_error *err)
{
    process *self = arg;
    Bench__Item *item = NULL;

    (void)err;
    while (channel_receive(self->in, &item) && channel_pass(self->out, item))
        ;
    return AFAR_OK;
}

/* ---- pingpong ---- */

static void
run_pingpong(const bench_options *options)
{
    static bench_meter meter;
    channel there = channel_new(0), back = channel_new(0);
    process echo = { there.receiver, back.sender, NULL };
    afar_network *network = open_network();
    uint64_t number = 0;

    start(network, "echo", copy, &echo);
    int64_t since = bench_now();
    bench_meter_start(&meter, options, since, true);
    do {
        for (size_t i = 0; i < BENCH_BATCH; i++, number++)
            if (!channel_send(there.sender, number) || !channel_take(back.receiver, number))
                bench_fail("the echo ended");
    } while (bench_meter_note_batch(&meter, &since, BENCH_BATCH));
    bench_report_meter(&meter);
    bench_item_sender_close(there.sender);
    close_network(network);
    bench_item_receiver_close(back.receiver);
}

/* ---- commstime ----
 *
 *     prefix -> delta -> consumer
 *        ^        |
 *        +- succ <+
 *
 * A number goes round, becomes one more each time, and is given to the consumer: 4 rendezvous. */

static afar_code
prefix(void *arg, afar_error *err)
{
    process *self = arg;

    return channel_send(self->out, 0) ? copy(self, err) : AFAR_OK;
}

/* Gives all that comes to both. */
static afar_code
delta(void *arg, afar_error *err)
{
    process *self = arg;
    Bench__Item *item = NULL;

    while (channel_receive(self->in, &item)) {
        afar_code code = bench_item_send(self->out, item, AFAR_FOREVER, err);

        if (!channel_pass(self->other, item) || code)
            return code;
    }
    return AFAR_OK;
}

static afar_code
succ(void *arg, afar_error *err)
{
    process *self = arg;
    Bench__Item *item = NULL;

    (void)err;
    for (uint64_t number = 0; channel_receive(self->in, &item); number++) {
        channel_check(item, number);
        bench_small_set(item->data.data, number + 1);
        if (!channel_pass(self->out, item))
            break;
    }
    return AFAR_OK;
}

static void
run_commstime(const bench_options *options)
{
    static bench_meter meter;
    channel first = channel_new(0), taken = channel_new(0), round = channel_new(0),
            next = channel_new(0);
    process processes[] = { { next.receiver, first.sender, NULL },
                            { first.receiver, taken.sender, round.sender },
                            { round.receiver, next.sender, NULL } };
    afar_network *network = open_network();
    uint64_t number = 0;

    start(network, "prefix", prefix, &processes[0]);
    start(network, "delta", delta, &processes[1]);
    start(network, "succ", succ, &processes[2]);
    int64_t since = bench_now();
    bench_meter_start(&meter, options, since, true);
    do {
        for (size_t i = 0; i < BENCH_BATCH; i++, number++)
            if (!channel_take(taken.receiver, number))
                bench_fail("the numbers ended");
    } while (bench_meter_note_batch(&meter, &since, BENCH_BATCH));
    bench_report_meter(&meter);
    afar_network_poison(network, "enough");
    close_network(network);
    bench_item_receiver_close(taken.receiver);
}

/* ---- select ---- */

static void
select_one(afar_selector *selector, const afar_case *cases, size_t wanted, uint64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    size_t which = 0;

    channel_expect(afar_selector_select(selector, AFAR_FOREVER, &which, &err), &err, "select");
    if (which != wanted)
        bench_fail("case %zu happened, not %zu", which, wanted);
    channel_check((const Bench__Item *)cases[which].received, number);
    afar_message_free(cases[which].received);
}

static void
run_select(const bench_options *options)
{
    static bench_meter meter;
    channel channels[CHANNEL_MOST_CASES];
    afar_case cases[CHANNEL_MOST_CASES];
    afar_error err = AFAR_ERROR_INIT;
    afar_selector *selector = NULL;
    size_t count = channel_cases(options->work);
    uint64_t number = 0;

    for (size_t i = 0; i < count; i++) {
        channels[i] = channel_new(1);
        cases[i] = (afar_case)AFAR_CASE_RECEIVE(bench_item_receiver_base(channels[i].receiver));
    }
    channel_expect(afar_selector_open(cases, count, AFAR_FAIR, &selector, &err), &err,
                   "open a selector");
    int64_t since = bench_now();
    bench_meter_start(&meter, options, since, true);
    do {
        for (size_t i = 0; i < BENCH_BATCH; i++, number++) {
            if (!channel_send(channels[number % count].sender, number))
                bench_fail("a channel ended");
            select_one(selector, cases, number % count, number);
        }
    } while (bench_meter_note_batch(&meter, &since, BENCH_BATCH));
    bench_report_meter(&meter);
    afar_selector_close(selector);
    for (size_t i = 0; i < count; i++)
        channel_close(channels[i]);
}

/* ---- many ---- */

static void
run_many(void)
{
    channel *channels = calloc(CHANNEL_MANY_HERE, sizeof *channels);

    if (!channels)
        bench_fail("no memory for %d channels", CHANNEL_MANY_HERE);
    channel_close(channel_new(0));
    int64_t before = bench_memory_of(0);
    bench_usage from = bench_usage_now(0);
    for (size_t i = 0; i < CHANNEL_MANY_HERE; i++)
        channels[i] = channel_new(0);
    bench_usage to = bench_usage_now(0);
    bench_report_memory(CHANNEL_MANY_HERE, from, to, bench_memory_of(0) - before, 0);
    for (size_t i = 0; i < CHANNEL_MANY_HERE; i++)
        channel_close(channels[i]);
    free(channels);
}

void
channel_local(const bench_options *options)
{
    switch (options->work) {
    case BENCH_PINGPONG:
        run_pingpong(options);
        return;
    case BENCH_COMMSTIME:
        run_commstime(options);
        return;
    case BENCH_SELECT4:
    case BENCH_SELECT256:
        run_select(options);
        return;
    case BENCH_MANY:
        run_many();
        return;
    default:
        bench_fail("this work needs two processes");
    }
}
