/* The other ends of channels that have their home in a server. */

#include "channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/client.h>
#include <afar/select.h>

typedef struct visitor {
    const bench_options *options;
    afar_client *client;
    channel ends; /* the sender of `up`, the receiver of `down` */
} visitor;

static bench_item_sender *
open_sender(const visitor *v, const char *name)
{
    afar_error err = AFAR_ERROR_INIT;
    bench_item_sender *sender = NULL;
    char whole[300];

    snprintf(whole, sizeof whole, "afar://%s/%s", v->options->address, name);
    channel_expect(
        bench_item_sender_open(v->client, whole, afar_after_ms(CHANNEL_OPEN_MS), &sender, &err),
        &err, whole);
    return sender;
}

static bench_item_receiver *
open_receiver(const visitor *v, const char *name)
{
    afar_error err = AFAR_ERROR_INIT;
    bench_item_receiver *receiver = NULL;
    char whole[300];

    snprintf(whole, sizeof whole, "afar://%s/%s", v->options->address, name);
    channel_expect(
        bench_item_receiver_open(v->client, whole, afar_after_ms(CHANNEL_OPEN_MS), &receiver, &err),
        &err, whole);
    return receiver;
}

static void
send_up(visitor *v, uint64_t number)
{
    if (!channel_send(v->ends.sender, number))
        bench_fail("the server ended the channel");
}

/* ---- stream ---- */

static void
post(bench_item_sender *sender, uint64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    Bench__Item item = BENCH__ITEM__INIT;
    uint8_t data[BENCH_SMALL];

    bench_small_set(data, number);
    item.data = (ProtobufCBinaryData){ sizeof data, data };
    channel_expect(bench_item_post(sender, &item, AFAR_FOREVER, &err), &err, "post");
}

/* Posts until `end`, then waits for the acknowledgement by whoever receives. */
static void
post_until(visitor *v, int64_t end, uint64_t *sent)
{
    while (bench_stream_more(end, *sent))
        post(v->ends.sender, (*sent)++);
    post(v->ends.sender, BENCH_STREAM_END);
    if (!channel_take(v->ends.receiver, *sent))
        bench_fail("the server ended the channel");
}

static void
run_stream(visitor *v)
{
    const bench_options *options = v->options;
    uint64_t sent = 0;

    post_until(v, bench_now() + options->warm_ns, &sent);
    uint64_t before = sent;
    bench_usage from = bench_usage_now(options->server);
    post_until(v, from.wall + options->measured_ns, &sent);
    bench_report_stream(sent - before, from, bench_usage_now(options->server));
}

/* ---- rendezvous ---- */

static void
run_rendezvous(visitor *v)
{
    static bench_meter meter;
    int64_t since = bench_now();
    uint64_t number = 0;

    bench_meter_start(&meter, v->options, since, true);
    do
        send_up(v, number++);
    while (bench_meter_note(&meter, &since));
    bench_report_meter(&meter);
}

/* ---- select ---- */

static void
open_cases(const visitor *v, afar_case *cases, bench_item_receiver **receivers, size_t count)
{
    char name[24];

    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%zu", i);
        receivers[i] = open_receiver(v, name);
        cases[i] = (afar_case)AFAR_CASE_RECEIVE(bench_item_receiver_base(receivers[i]));
    }
}

static void
select_until_over(const visitor *v, afar_selector *selector, const afar_case *cases, size_t count)
{
    static bench_meter meter;
    afar_error err = AFAR_ERROR_INIT;
    int64_t since = bench_now();
    uint64_t number = 0;
    size_t which = 0;

    bench_meter_start(&meter, v->options, since, true);
    do {
        channel_expect(afar_selector_select(selector, AFAR_FOREVER, &which, &err), &err, "select");
        if (which != number % count)
            bench_fail("case %zu happened, not %llu", which, (unsigned long long)number % count);
        channel_check((const Bench__Item *)cases[which].received, number++);
        afar_message_free(cases[which].received);
    } while (bench_meter_note(&meter, &since));
    bench_report_meter(&meter);
}

static void
run_select(visitor *v)
{
    bench_item_receiver *receivers[CHANNEL_MOST_CASES];
    afar_case cases[CHANNEL_MOST_CASES];
    afar_error err = AFAR_ERROR_INIT;
    afar_selector *selector = NULL;
    size_t count = channel_cases(v->options->work);

    open_cases(v, cases, receivers, count);
    channel_expect(afar_selector_open(cases, count, AFAR_FAIR, &selector, &err), &err,
                   "open a selector");
    select_until_over(v, selector, cases, count);
    afar_selector_close(selector);
    for (size_t i = 0; i < count; i++) {
        bench_item_receiver_poison(receivers[i], "enough");
        bench_item_receiver_close(receivers[i]);
    }
}

/* ---- many ---- */

/* Memory of both processes. */
typedef struct memory {
    int64_t here;
    int64_t there;
} memory;

static memory
memory_now(const visitor *v)
{
    return (memory){ bench_memory_of(0), bench_memory_of(v->options->server) };
}

/* Opens an end of each channel, and sends through it. */
static void
attach_all(visitor *v, bench_item_sender **senders)
{
    char name[24];

    for (size_t i = 0; i < CHANNEL_MANY_ATTACHED; i++) {
        snprintf(name, sizeof name, "%zu", i);
        senders[i] = open_sender(v, name);
        if (!channel_send(senders[i], i))
            bench_fail("channel %zu was ended", i);
    }
}

static void
run_many(visitor *v)
{
    bench_item_sender **senders = calloc(CHANNEL_MANY_ATTACHED, sizeof *senders);
    pid_t server = v->options->server;

    if (!senders)
        bench_fail("no memory for %d ends", CHANNEL_MANY_ATTACHED);
    memory before = memory_now(v);
    send_up(v, 0);
    if (!channel_take(v->ends.receiver, 0))
        bench_fail("the server ended before it began");
    bench_usage from = bench_usage_now(server);
    attach_all(v, senders);
    bench_usage to = bench_usage_now(server);
    memory after = memory_now(v);
    bench_report_memory(CHANNEL_MANY_ATTACHED, from, to, after.here - before.here,
                        after.there - before.there);
    for (size_t i = 0; i < CHANNEL_MANY_ATTACHED; i++)
        bench_item_sender_close(senders[i]);
    free(senders);
}

/* ---- all of them ---- */

static void
run(visitor *v)
{
    switch (v->options->work) {
    case BENCH_STREAM:
        run_stream(v);
        return;
    case BENCH_RENDEZVOUS:
        run_rendezvous(v);
        return;
    case BENCH_SELECT4:
    case BENCH_SELECT256:
        run_select(v);
        return;
    case BENCH_MANY:
        run_many(v);
        return;
    default:
        bench_fail("there is no client for this work");
    }
}

void
channel_call(const bench_options *options)
{
    visitor v = { .options = options };
    afar_error err = AFAR_ERROR_INIT;

    channel_expect(afar_client_open(NULL, NULL, &v.client, &err), &err, "open a client");
    v.ends.sender = open_sender(&v, "up");
    v.ends.receiver = open_receiver(&v, "down");
    run(&v);
    bench_item_sender_poison(v.ends.sender, "enough");
    channel_close(v.ends);
    afar_client_close(v.client);
}
