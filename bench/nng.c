/* Beside streams of messages: nng, with a pair of sockets.
 *
 *     bench-nng server stream pair ADDRESS
 *     bench-nng client stream pair ADDRESS SECONDS WARM-UP SERVER-PID
 *
 * Its pattern for messages one way is push and pull, but a pair does the same much faster, and brings the
 * acknowledgement back.  Both sides may gather messages, as Afar's channel does. */

#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>

#define BUFFERED 1024

static void
expect(int failure, const char *what)
{
    if (failure)
        bench_fail("%s: %s", what, nng_strerror(failure));
}

static nng_socket
open_socket(void)
{
    nng_socket socket;

    expect(nng_pair0_open(&socket), "a socket");
    expect(nng_socket_set_int(socket, NNG_OPT_SENDBUF, BUFFERED), "a buffer");
    expect(nng_socket_set_int(socket, NNG_OPT_RECVBUF, BUFFERED), "a buffer");
    return socket;
}

/* An address of ours as one of theirs. */
static void
their_address(const char *address, char *name, size_t room)
{
    if (strncmp(address, "unix:", 5) == 0)
        snprintf(name, room, "ipc://%s", address + 5);
    else
        snprintf(name, room, "tcp://%s", address);
}

static void
send_bytes(nng_socket socket, const void *data, size_t length)
{
    nng_msg *message = NULL;

    expect(nng_msg_alloc(&message, length), "a message");
    memcpy(nng_msg_body(message), data, length);
    expect(nng_sendmsg(socket, message, 0), "send");
}

/* ---- the server ---- */

static void
say_ready(nng_listener listener, const char *address)
{
    char name[64];
    int port = 0;

    if (strncmp(address, "unix:", 5) != 0) {
        expect(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port), "the port");
        snprintf(name, sizeof name, "127.0.0.1:%d", port);
        address = name;
    }
    bench_ready(address);
}

/* Until the process is killed. */
static void
serve(const bench_options *options)
{
    nng_socket socket = open_socket();
    nng_listener listener;
    nng_msg *message = NULL;
    uint64_t count = 0;
    char name[256];

    their_address(options->address, name, sizeof name);
    expect(nng_listen(socket, name, &listener, 0), name);
    say_ready(listener, options->address);
    for (;;) {
        expect(nng_recvmsg(socket, &message, 0), "receive");
        bench_taken taken = bench_stream_take(nng_msg_body(message), nng_msg_len(message), &count);
        nng_msg_free(message);
        if (taken == BENCH_TAKEN_WRONG)
            bench_fail("message %llu is not what came", (unsigned long long)count);
        if (taken == BENCH_TAKEN_END)
            send_bytes(socket, &count, sizeof count);
    }
}

/* ---- the client ---- */

static void
send_small(nng_socket socket, uint64_t number)
{
    uint8_t data[BENCH_SMALL];

    bench_small_set(data, number);
    send_bytes(socket, data, sizeof data);
}

/* Sends until `end`, then waits for the acknowledgement. */
static void
send_until(nng_socket socket, int64_t end, uint64_t *sent)
{
    nng_msg *answer = NULL;
    uint64_t count = 0;

    while (bench_stream_more(end, *sent))
        send_small(socket, (*sent)++);
    send_small(socket, BENCH_STREAM_END);
    expect(nng_recvmsg(socket, &answer, 0), "receive");
    if (nng_msg_len(answer) == sizeof count)
        memcpy(&count, nng_msg_body(answer), sizeof count);
    if (count != *sent)
        bench_fail("%llu messages were sent, %llu acknowledged", (unsigned long long)*sent,
                   (unsigned long long)count);
    nng_msg_free(answer);
}

static void
call(const bench_options *options)
{
    nng_socket socket = open_socket();
    uint64_t sent = 0;
    char name[256];

    their_address(options->address, name, sizeof name);
    expect(nng_dial(socket, name, NULL, 0), name);
    send_until(socket, bench_now() + options->warm_ns, &sent);
    uint64_t before = sent;
    bench_usage from = bench_usage_now(options->server);
    send_until(socket, from.wall + options->measured_ns, &sent);
    bench_report_stream(sent - before, from, bench_usage_now(options->server));
    nng_close(socket);
}

int
main(int argc, char **argv)
{
    bench_options options;
    bool server = argc > 1 && strcmp(argv[1], "server") == 0;

    if (!server && (argc < 2 || strcmp(argv[1], "client") != 0))
        bench_fail("say server or client first");
    bench_options_read(&options, argc - 2, argv + 2);
    if (options.work != BENCH_STREAM)
        bench_fail("there is only stream");
    if (server)
        serve(&options);
    else
        call(&options);
    return EXIT_SUCCESS;
}
