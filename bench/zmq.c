/* Beside sessions: ZeroMQ's bare echo, a DEALER socket that asks a ROUTER socket.  Beside channels:
 * its messages one way, from a PUSH socket to a PULL socket.
 *
 *     zmq server WORK VARIANT ADDRESS
 *     zmq client WORK VARIANT ADDRESS SECONDS WARM-UP SERVER-PID
 *
 * A message is bytes and nothing else: there are no methods, no codes, no deadlines.  What a
 * library of calls needs beyond that is its own cost.  There is one variant, `bare`.
 *
 * Both sides have a thread of ZeroMQ's that reads and writes.  The server answers in the order in
 * which it was asked, so a client knows which answer comes next.  In `conc8` each thread has
 * a socket, since a socket belongs to one thread, and an eighth of the window.
 *
 * `stream` has another two sockets for the acknowledgement; the server's address is then that of both, with a comma
 * between them.  There the usual limits hold, 1,000 messages on each side, so that memory does not
 * grow when the receiver is slower. */

#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

typedef struct worker {
    pthread_t thread;
    void *socket;
    size_t width; /* messages it keeps outstanding */
    bench_meter meter;
} worker;

/* Ends the program if a call to the library failed. */
static void
expect(int result, const char *what)
{
    if (result < 0)
        bench_fail("%s: %s", what, zmq_strerror(errno));
}

static void *
open_limited(void *context, int kind)
{
    void *socket = zmq_socket(context, kind);
    int at_once = 0;

    if (!socket)
        bench_fail("a socket: %s", zmq_strerror(errno));
    expect(zmq_setsockopt(socket, ZMQ_LINGER, &at_once, sizeof at_once), "no linger");
    return socket;
}

static void *
open_socket(void *context, int kind)
{
    void *socket = open_limited(context, kind);
    int unlimited = 0;

    expect(zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited), "no limit");
    expect(zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited), "no limit");
    return socket;
}

/* An address of ours as one of theirs, and back. */
static void
their_address(const char *address, char *name, size_t room)
{
    if (strncmp(address, "unix:", 5) == 0)
        snprintf(name, room, "ipc://%s", address + 5);
    else
        snprintf(name, room, "tcp://%s", address);
}

/* ---- the server ---- */

/* Where a socket listens, as an address of ours. */
static void
our_address(void *socket, char *address, size_t room)
{
    char name[256];
    size_t length = sizeof name;

    expect(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, name, &length), "the address");
    if (strncmp(name, "tcp://", 6) == 0)
        snprintf(address, room, "%s", name + 6);
    else
        snprintf(address, room, "unix:%s", name + strlen("ipc://"));
}

/* Sends each part of what comes back, the first of which says to whom.  Until the process is
 * killed. */
static void
serve(const bench_options *options)
{
    void *context = zmq_ctx_new();
    void *socket = open_socket(context, ZMQ_ROUTER);
    char name[256], address[256];
    zmq_msg_t part;

    their_address(options->address, name, sizeof name);
    expect(zmq_bind(socket, name), name);
    our_address(socket, address, sizeof address);
    bench_ready(address);
    for (;;) {
        expect(zmq_msg_init(&part), "a message");
        while (zmq_msg_recv(&part, socket, 0) < 0)
            if (errno != EINTR)
                expect(-1, "receive");
        expect(zmq_msg_send(&part, socket, zmq_msg_more(&part) ? ZMQ_SNDMORE : 0), "send");
    }
}

static void
receive(void *socket, zmq_msg_t *message)
{
    expect(zmq_msg_init(message), "a message");
    while (zmq_msg_recv(message, socket, 0) < 0)
        if (errno != EINTR)
            expect(-1, "receive");
}

static void
send_bytes(void *socket, const void *data, size_t length)
{
    expect(zmq_send(socket, data, length, 0), "send");
}

/* Takes numbered messages, and says how many there were when an end comes. */
static void
serve_stream(const bench_options *options)
{
    void *context = zmq_ctx_new();
    void *messages = open_limited(context, ZMQ_PULL), *counts = open_limited(context, ZMQ_PUSH);
    char name[256], other[300], addresses[2][256], both[520];
    uint64_t count = 0;
    zmq_msg_t message;

    their_address(options->address, name, sizeof name);
    snprintf(other, sizeof other, "%s%s", name, strncmp(name, "ipc:", 4) == 0 ? ".counts" : "");
    expect(zmq_bind(messages, name), name);
    expect(zmq_bind(counts, other), other);
    our_address(messages, addresses[0], sizeof addresses[0]);
    our_address(counts, addresses[1], sizeof addresses[1]);
    snprintf(both, sizeof both, "%s,%s", addresses[0], addresses[1]);
    bench_ready(both);
    for (;;) {
        receive(messages, &message);
        bench_taken taken =
            bench_stream_take(zmq_msg_data(&message), zmq_msg_size(&message), &count);
        zmq_msg_close(&message);
        if (taken == BENCH_TAKEN_WRONG)
            bench_fail("message %llu is not what came", (unsigned long long)count);
        if (taken == BENCH_TAKEN_END)
            send_bytes(counts, &count, sizeof count);
    }
}

/* ---- the client ---- */

/* One message after the other, of either size, with or without a pause. */
static void
run_calls(void *socket, const bench_options *options)
{
    static bench_meter meter;
    bench_payload payload = bench_payload_new(options->work);
    int64_t since = bench_now();
    zmq_msg_t reply;

    bench_meter_start(&meter, options, since, true);
    for (uint64_t number = 0;; number++) {
        bench_payload_set(&payload, number);
        send_bytes(socket, payload.data, payload.length);
        receive(socket, &reply);
        bench_payload_check(&payload, number, zmq_msg_data(&reply), zmq_msg_size(&reply));
        zmq_msg_close(&reply);
        if (!bench_meter_note(&meter, &since))
            break;
        if (options->work == BENCH_THINK)
            bench_think(&since);
    }
    bench_report_meter(&meter);
    free(payload.data);
}

static void
send_small(worker *w, uint64_t number, int64_t *since)
{
    uint8_t data[BENCH_SMALL];

    bench_small_set(data, number);
    since[number % w->width] = bench_now();
    send_bytes(w->socket, data, sizeof data);
}

static void *
run_window(void *arg)
{
    worker *w = arg;
    int64_t since[BENCH_WINDOW];
    uint64_t sent = 0;
    bool more = true;

    while (sent < w->width)
        send_small(w, sent++, since);
    for (uint64_t done = 0; done < sent; done++) {
        zmq_msg_t reply;

        receive(w->socket, &reply);
        if (!bench_small_is(zmq_msg_data(&reply), zmq_msg_size(&reply), done))
            bench_fail("the reply to message %llu is wrong", (unsigned long long)done);
        zmq_msg_close(&reply);
        more = more && bench_meter_note(&w->meter, &since[done % w->width]);
        if (more)
            send_small(w, sent++, since);
    }
    return NULL;
}

static void
run_workers(void *context, const char *name, const bench_options *options, size_t count)
{
    static worker workers[BENCH_THREADS];
    int64_t now = bench_now();

    for (size_t i = 0; i < count; i++) {
        workers[i].socket = open_socket(context, ZMQ_DEALER);
        expect(zmq_connect(workers[i].socket, name), name);
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
    for (size_t i = 0; i < count; i++)
        zmq_close(workers[i].socket);
}

/* ---- messages one way ---- */

static void
push_small(void *messages, uint64_t number)
{
    uint8_t data[BENCH_SMALL];

    bench_small_set(data, number);
    send_bytes(messages, data, sizeof data);
}

/* Sends until `end`, then waits for the acknowledgement. */
static void
push_until(void *messages, void *counts, int64_t end, uint64_t *sent)
{
    uint64_t count = 0;
    zmq_msg_t answer;

    while (bench_stream_more(end, *sent))
        push_small(messages, (*sent)++);
    push_small(messages, BENCH_STREAM_END);
    receive(counts, &answer);
    if (zmq_msg_size(&answer) == sizeof count)
        memcpy(&count, zmq_msg_data(&answer), sizeof count);
    zmq_msg_close(&answer);
    if (count != *sent)
        bench_fail("%llu messages were sent, %llu acknowledged", (unsigned long long)*sent,
                   (unsigned long long)count);
}

static void
run_stream(void *context, const bench_options *options)
{
    void *messages = open_limited(context, ZMQ_PUSH), *counts = open_limited(context, ZMQ_PULL);
    char first[256], name[256];
    const char *comma = strchr(options->address, ',');
    uint64_t sent = 0;

    if (!comma)
        bench_fail("%s is not two addresses", options->address);
    snprintf(first, sizeof first, "%.*s", (int)(comma - options->address), options->address);
    their_address(first, name, sizeof name);
    expect(zmq_connect(messages, name), name);
    their_address(comma + 1, name, sizeof name);
    expect(zmq_connect(counts, name), name);
    push_until(messages, counts, bench_now() + options->warm_ns, &sent);
    uint64_t before = sent;
    bench_usage from = bench_usage_now(options->server);
    push_until(messages, counts, from.wall + options->measured_ns, &sent);
    bench_report_stream(sent - before, from, bench_usage_now(options->server));
    zmq_close(messages);
    zmq_close(counts);
}

static void
run_idle(void *socket, const bench_options *options)
{
    zmq_msg_t reply;

    send_bytes(socket, "", 0);
    receive(socket, &reply);
    zmq_msg_close(&reply);
    bench_report_idle(options);
}

static void
call(const bench_options *options)
{
    void *context = zmq_ctx_new();
    char name[256];

    their_address(options->address, name, sizeof name);
    if (options->work == BENCH_CONC || options->work == BENCH_CONC8) {
        run_workers(context, name, options, options->work == BENCH_CONC ? 1 : BENCH_THREADS);
    } else if (options->work == BENCH_STREAM) {
        run_stream(context, options);
    } else {
        void *socket = open_socket(context, ZMQ_DEALER);

        expect(zmq_connect(socket, name), name);
        if (options->work == BENCH_IDLE)
            run_idle(socket, options);
        else
            run_calls(socket, options);
        zmq_close(socket);
    }
    zmq_ctx_term(context);
}

int
main(int argc, char **argv)
{
    bench_options options;
    bool server = argc > 1 && strcmp(argv[1], "server") == 0;

    if (!server && (argc < 2 || strcmp(argv[1], "client") != 0))
        bench_fail("say server or client first");
    bench_options_read(&options, argc - 2, argv + 2);
    if (server && options.work == BENCH_STREAM)
        serve_stream(&options);
    else if (server)
        serve(&options);
    else
        call(&options);
    return EXIT_SUCCESS;
}
