/* The client on Afar: every work, with the stubs that protoc-gen-afar writes.
 *
 *     bench-client WORK VARIANT ADDRESS SECONDS WARM-UP SERVER-PID
 *
 * Variants: `grpc` makes plain gRPC calls; `session` makes them over a session.
 *
 * Calls have no deadline, so that what goes over the wire is what the other paths
 * send; the life of the process is bounded instead (bench.h).
 *
 * `conc` keeps a window of futures: it waits for the oldest, takes its answer and
 * starts the next call in its place.  A call's latency is thus what its caller
 * sees: an answer that came while an older one was awaited counts as later.
 * `conc8` does the same in eight threads, each with an eighth of the window, on
 * one reference and one connection. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "echo.afar.h"

#define OPEN_MS 10000

typedef struct slot {
    uint64_t number;
    int64_t since;
    afar_future *future;
} slot;

typedef struct worker {
    pthread_t thread;
    bench_echo *echo;
    size_t width; /* calls it keeps outstanding */
    bench_meter meter;
} worker;

/* Ends the program if a call failed. */
static void
expect(afar_code code, const afar_error *err, const char *what)
{
    if (code)
        bench_fail("%s: %s: %s", what, afar_code_name(code), err->message);
}

static Bench__Blob
blob_of(uint8_t *data, size_t length)
{
    Bench__Blob blob = BENCH__BLOB__INIT;

    blob.data.data = data;
    blob.data.len = length;
    return blob;
}

/* ---- one call after the other, of either size, with or without a pause ---- */

static void
call_once(bench_echo *echo, bench_payload *payload, uint64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    Bench__Blob *reply = NULL;

    bench_payload_set(payload, number);
    Bench__Blob request = blob_of(payload->data, payload->length);
    expect(bench_echo_call(echo, &request, AFAR_FOREVER, &reply, &err), &err, "call");
    bench_payload_check(payload, number, reply->data.data, reply->data.len);
    afar_message_free(reply);
}

static void
run_calls(bench_echo *echo, const bench_options *options)
{
    static bench_meter meter;
    bench_payload payload = bench_payload_new(options->work);
    int64_t since = bench_now();

    bench_meter_start(&meter, options, since, true);
    for (uint64_t number = 0;; number++) {
        call_once(echo, &payload, number);
        if (!bench_meter_note(&meter, &since))
            break;
        if (options->work == BENCH_THINK)
            bench_think(&since);
    }
    bench_report_meter(&meter);
    free(payload.data);
}

/* ---- a window of calls ---- */

static void
start(bench_echo *echo, slot *s)
{
    afar_error err = AFAR_ERROR_INIT;
    uint8_t data[BENCH_SMALL];

    bench_small_set(data, s->number);
    Bench__Blob request = blob_of(data, sizeof data);
    expect(bench_echo_call_start(echo, &request, AFAR_FOREVER, NULL, &s->future, &err), &err,
           "start");
}

static void
finish(slot *s)
{
    afar_error err = AFAR_ERROR_INIT;
    Bench__Blob *reply = NULL;

    expect(bench_echo_call_await(s->future, AFAR_FOREVER, &reply, &err), &err, "await");
    if (!bench_small_is(reply->data.data, reply->data.len, s->number))
        bench_fail("the reply to call %llu is not its request", (unsigned long long)s->number);
    afar_message_free(reply);
    afar_future_close(s->future);
    s->future = NULL;
}

static void *
run_window(void *arg)
{
    worker *w = arg;
    slot slots[BENCH_WINDOW] = { { 0, 0, NULL } };
    uint64_t number = 0;
    size_t oldest = 0;

    for (; number < w->width; number++) {
        slots[number] = (slot){ .number = number, .since = bench_now() };
        start(w->echo, &slots[number]);
    }
    for (;; oldest = (oldest + 1) % w->width) {
        slot *s = &slots[oldest];

        finish(s);
        if (!bench_meter_note(&w->meter, &s->since))
            break;
        s->number = number++;
        start(w->echo, s);
    }
    for (size_t i = 0; i < w->width; i++)
        if (slots[i].future)
            finish(&slots[i]);
    return NULL;
}

static void
run_workers(bench_echo *echo, const bench_options *options, size_t count)
{
    static worker workers[BENCH_THREADS];
    int64_t now = bench_now();

    for (size_t i = 0; i < count; i++) {
        workers[i].echo = echo;
        workers[i].width = BENCH_WINDOW / count;
        bench_meter_start(&workers[i].meter, options, now, i == 0);
        if (i > 0 && pthread_create(&workers[i].thread, NULL, run_window, &workers[i]))
            bench_fail("thread %zu could not be made", i);
    }
    run_window(&workers[0]);
    for (size_t i = 1; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        bench_meter_add(&workers[0].meter, &workers[i].meter);
    }
    bench_report_meter(&workers[0].meter);
}

/* ---- a stream one way ---- */

static void
send_small(bench_echo_flow_stream *flow, uint64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    uint8_t data[BENCH_SMALL];

    bench_small_set(data, number);
    Bench__Blob message = blob_of(data, sizeof data);
    expect(bench_echo_flow_send(flow, &message, AFAR_FOREVER, &err), &err, "send");
}

/* Sends until `end`, then waits for the acknowledgement. */
static void
send_until(bench_echo_flow_stream *flow, int64_t end, uint64_t *sent)
{
    afar_error err = AFAR_ERROR_INIT;
    Bench__Blob *answer = NULL;
    uint64_t count = 0;

    while (bench_stream_more(end, *sent))
        send_small(flow, (*sent)++);
    send_small(flow, BENCH_STREAM_END);
    expect(bench_echo_flow_receive(flow, AFAR_FOREVER, &answer, &err), &err, "receive");
    if (answer->data.len == sizeof count)
        memcpy(&count, answer->data.data, sizeof count);
    if (count != *sent)
        bench_fail("%llu messages were sent, %llu acknowledged", (unsigned long long)*sent,
                   (unsigned long long)count);
    afar_message_free(answer);
}

static void
run_stream(bench_echo *echo, const bench_options *options)
{
    afar_error err = AFAR_ERROR_INIT;
    bench_echo_flow_stream *flow = NULL;
    uint64_t sent = 0;

    expect(bench_echo_flow(echo, AFAR_FOREVER, NULL, &flow, &err), &err, "open the stream");
    send_until(flow, bench_now() + options->warm_ns, &sent);
    uint64_t before = sent;
    bench_usage from = bench_usage_now(options->server);
    send_until(flow, from.wall + options->measured_ns, &sent);
    bench_report_stream(sent - before, from, bench_usage_now(options->server));
    expect(bench_echo_flow_finish(flow, &err), &err, "finish");
    bench_echo_flow_close(flow);
}

/* ---- nothing ---- */

/* A call, and one by future, so that all threads a client may need are there. */
static void
run_idle(bench_echo *echo, const bench_options *options)
{
    bench_payload payload = bench_payload_new(options->work);
    slot s = { .number = 1 };

    call_once(echo, &payload, 0);
    start(echo, &s);
    finish(&s);
    bench_report_idle(options);
    free(payload.data);
}

static void
run(bench_echo *echo, const bench_options *options)
{
    switch (options->work) {
    case BENCH_SEQ:
    case BENCH_BULK_ECHO:
    case BENCH_THINK:
        run_calls(echo, options);
        return;
    case BENCH_CONC:
        run_workers(echo, options, 1);
        return;
    case BENCH_CONC8:
        run_workers(echo, options, BENCH_THREADS);
        return;
    case BENCH_STREAM:
        run_stream(echo, options);
        return;
    case BENCH_IDLE:
        run_idle(echo, options);
        return;
    default:
        bench_fail("this is a work of bench-channel");
    }
}

/* How the address is written when that way is meant. */
static void
name_of(const bench_options *options, char *name, size_t room)
{
    bool local = strncmp(options->address, "unix:", 5) == 0;

    if (strcmp(options->variant, "session") == 0)
        snprintf(name, room, "afar://%s", options->address);
    else if (strcmp(options->variant, "grpc") == 0)
        snprintf(name, room, "%s%s", local ? "" : "grpc://", options->address);
    else
        bench_fail("there is no variant called %s", options->variant);
}

int
main(int argc, char **argv)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;
    bench_echo *echo = NULL;
    bench_options options;
    char name[256];

    bench_options_read(&options, argc - 1, argv + 1);
    name_of(&options, name, sizeof name);
    expect(afar_client_open(NULL, NULL, &client, &err), &err, "open a client");
    expect(bench_echo_open(client, name, afar_after_ms(OPEN_MS), &echo, &err), &err, name);
    run(echo, &options);
    bench_echo_close(echo);
    afar_client_close(client);
    return EXIT_SUCCESS;
}
