/* The floor: the same works over bare sockets, without any framing beyond sizes that both
 * sides know.  What the other paths need on top of this is their own cost.
 *
 *     raw server WORK VARIANT ADDRESS
 *     raw client WORK VARIANT ADDRESS SECONDS WARM-UP SERVER-PID
 *
 * Variants: `blocking` sleeps in the kernel until bytes come; `polled` looks for
 * them without sleeping, lets others run between two looks, and sleeps only when
 * nothing came for a while.  Writing is the same in both: it waits when the
 * peer's buffer is full.
 *
 * One thread and one connection on each side.  The server serves one client and
 * ends with its connection.  In `bulk` it takes a message whole before it answers,
 * as a handler would; in all else it answers what it has read so far, so that
 * small messages travel together when many are outstanding. */

#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define POLL_FOR_NS 300000 /* how long a polled read looks before it sleeps */
#define CHUNK 65536        /* bytes read or written at a time */

typedef struct wire {
    int fd;
    bool polled;
} wire;

/* ---- sockets ---- */

static socklen_t
read_address(const char *text, struct sockaddr_storage *address)
{
    memset(address, 0, sizeof *address);
    if (strncmp(text, "unix:", 5) == 0) {
        struct sockaddr_un *local = (struct sockaddr_un *)address;

        local->sun_family = AF_UNIX;
        if (strlen(text + 5) >= sizeof local->sun_path)
            bench_fail("the socket path %s is too long", text + 5);
        memcpy(local->sun_path, text + 5, strlen(text + 5) + 1);
        return sizeof *local;
    }
    struct sockaddr_in *net = (struct sockaddr_in *)address;
    const char *port = strrchr(text, ':');

    net->sin_family = AF_INET;
    net->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    net->sin_port = htons(port ? (uint16_t)strtoul(port + 1, NULL, 10) : 0);
    return sizeof *net;
}

static void
send_at_once(int fd, const struct sockaddr_storage *address)
{
    int on = 1;

    if (address->ss_family == AF_INET && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
        bench_fail("TCP_NODELAY: %s", strerror(errno));
}

static wire
accept_one(const bench_options *options)
{
    struct sockaddr_storage address;
    socklen_t length = read_address(options->address, &address);
    int listener = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char name[64];

    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1))
        bench_fail("cannot listen on %s: %s", options->address, strerror(errno));
    if (address.ss_family == AF_INET) {
        getsockname(listener, (struct sockaddr *)&address, &length);
        snprintf(name, sizeof name, "127.0.0.1:%u",
                 (unsigned)ntohs(((struct sockaddr_in *)&address)->sin_port));
    }
    bench_ready(address.ss_family == AF_INET ? name : options->address);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        bench_fail("accept on %s: %s", options->address, strerror(errno));
    send_at_once(fd, &address);
    close(listener);
    return (wire){ .fd = fd, .polled = strcmp(options->variant, "polled") == 0 };
}

static wire
connect_to(const bench_options *options)
{
    struct sockaddr_storage address;
    socklen_t length = read_address(options->address, &address);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, length))
        bench_fail("cannot connect to %s: %s", options->address, strerror(errno));
    send_at_once(fd, &address);
    return (wire){ .fd = fd, .polled = strcmp(options->variant, "polled") == 0 };
}

/* ---- bytes ---- */

static bool
nothing_yet(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Looks for bytes for a while; returns as recv does. */
static ssize_t
poll_some(int fd, void *data, size_t room)
{
    int64_t end = bench_now() + POLL_FOR_NS;
    ssize_t got;

    while ((got = recv(fd, data, room, MSG_DONTWAIT)) < 0 && nothing_yet() && bench_now() < end)
        sched_yield();
    return got;
}

/* Reads what is there, at least one byte; 0 when the peer has closed. */
static size_t
read_some(const wire *w, void *data, size_t room)
{
    ssize_t got = -1;

    errno = EAGAIN;
    if (w->polled)
        got = poll_some(w->fd, data, room);
    while (got < 0 && nothing_yet())
        got = recv(w->fd, data, room, 0);
    if (got < 0 && errno != ECONNRESET)
        bench_fail("recv: %s", strerror(errno));
    return got > 0 ? (size_t)got : 0;
}

/* Reads so many bytes; false when the peer has closed. */
static bool
read_whole(const wire *w, uint8_t *data, size_t length)
{
    while (length > 0) {
        size_t got = read_some(w, data, length);

        if (got == 0)
            return false;
        data += got;
        length -= got;
    }
    return true;
}

static void
write_whole(const wire *w, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t put = send(w->fd, data, length, 0);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            bench_fail("send: %s", strerror(errno));
        data += put;
        length -= (size_t)put;
    }
}

/* ---- the server ---- */

static void
echo_some(const wire *w)
{
    static uint8_t data[CHUNK];
    size_t got;

    while ((got = read_some(w, data, sizeof data)) > 0)
        write_whole(w, data, got);
}

static void
echo_bulk(const wire *w)
{
    static uint8_t data[BENCH_BULK];

    while (read_whole(w, data, sizeof data))
        write_whole(w, data, sizeof data);
}

static void
take_stream(const wire *w)
{
    static uint8_t data[CHUNK];
    uint64_t count = 0;
    size_t held = 0, got;

    while ((got = read_some(w, data + held, sizeof data - held)) > 0) {
        size_t used = 0;

        for (held += got; held - used >= BENCH_SMALL; used += BENCH_SMALL) {
            bench_taken taken = bench_stream_take(data + used, BENCH_SMALL, &count);

            if (taken == BENCH_TAKEN_WRONG)
                bench_fail("message %llu of the stream is wrong", (unsigned long long)count);
            if (taken == BENCH_TAKEN_END)
                write_whole(w, (const uint8_t *)&count, sizeof count);
        }
        held -= used;
        memmove(data, data + used, held);
    }
}

static void
serve(const bench_options *options)
{
    wire w = accept_one(options);

    if (options->work == BENCH_STREAM)
        take_stream(&w);
    else if (options->work == BENCH_BULK_ECHO)
        echo_bulk(&w);
    else
        echo_some(&w);
    close(w.fd);
}

/* ---- the client ---- */

/* One call after the other, of either size, with or without a pause. */
static void
run_calls(const wire *w, const bench_options *options, bench_meter *meter)
{
    bench_payload payload = bench_payload_new(options->work);
    static uint8_t reply[BENCH_BULK];
    int64_t since = bench_now();

    bench_meter_start(meter, options, since, true);
    for (uint64_t number = 0;; number++) {
        bench_payload_set(&payload, number);
        write_whole(w, payload.data, payload.length);
        if (!read_whole(w, reply, payload.length))
            bench_fail("the server closed the connection");
        bench_payload_check(&payload, number, reply, payload.length);
        if (!bench_meter_note(meter, &since))
            break;
        if (options->work == BENCH_THINK)
            bench_think(&since);
    }
    free(payload.data);
}

/* Keeps the window full: as many messages as came back are written in one go. */
static void
run_window(const wire *w, const bench_options *options, bench_meter *meter)
{
    uint8_t out[BENCH_WINDOW * BENCH_SMALL], in[BENCH_WINDOW * BENCH_SMALL];
    int64_t since[BENCH_WINDOW];
    uint64_t sent = 0, done = 0;
    size_t held = 0;
    bool more = true;

    bench_meter_start(meter, options, bench_now(), true);
    while (more) {
        size_t length = 0;

        for (; sent < done + BENCH_WINDOW; sent++, length += BENCH_SMALL) {
            bench_small_set(out + length, sent);
            since[sent % BENCH_WINDOW] = bench_now();
        }
        write_whole(w, out, length);
        size_t got = read_some(w, in + held, sizeof in - held), used = 0;
        if (got == 0)
            bench_fail("the server closed the connection");
        for (held += got; more && held - used >= BENCH_SMALL; used += BENCH_SMALL, done++) {
            if (!bench_small_is(in + used, BENCH_SMALL, done))
                bench_fail("the reply to call %llu is wrong", (unsigned long long)done);
            more = bench_meter_note(meter, &since[done % BENCH_WINDOW]);
        }
        held -= used;
        memmove(in, in + used, held);
    }
}

/* Sends until `end`, a chunk at a time, then waits for the acknowledgement. */
static void
send_until(const wire *w, int64_t end, uint64_t *sent)
{
    uint8_t out[CHUNK];
    size_t length = 0;
    uint64_t count = 0;

    while (bench_stream_more(end, *sent)) {
        bench_small_set(out + length, (*sent)++);
        length += BENCH_SMALL;
        if (length == sizeof out) {
            write_whole(w, out, length);
            length = 0;
        }
    }
    bench_small_set(out + length, BENCH_STREAM_END);
    write_whole(w, out, length + BENCH_SMALL);
    if (!read_whole(w, (uint8_t *)&count, sizeof count) || count != *sent)
        bench_fail("%llu messages were sent, %llu acknowledged", (unsigned long long)*sent,
                   (unsigned long long)count);
}

static void
run_stream(const wire *w, const bench_options *options)
{
    uint64_t sent = 0;

    send_until(w, bench_now() + options->warm_ns, &sent);
    uint64_t before = sent;
    bench_usage from = bench_usage_now(options->server);
    send_until(w, from.wall + options->measured_ns, &sent);
    bench_report_stream(sent - before, from, bench_usage_now(options->server));
}

static void
call(const bench_options *options)
{
    static bench_meter meter;
    wire w = connect_to(options);

    if (options->work == BENCH_STREAM) {
        run_stream(&w, options);
    } else if (options->work == BENCH_IDLE) {
        bench_report_idle(options);
    } else if (options->work == BENCH_CONC) {
        run_window(&w, options, &meter);
        bench_report_meter(&meter);
    } else if (options->work == BENCH_CONC8) {
        bench_fail("conc8 would be eight connections here: run conc");
    } else {
        run_calls(&w, options, &meter);
        bench_report_meter(&meter);
    }
    close(w.fd);
}

int
main(int argc, char **argv)
{
    bench_options options;
    bool server = argc > 1 && strcmp(argv[1], "server") == 0;

    if (!server && (argc < 2 || strcmp(argv[1], "client") != 0))
        bench_fail("say server or client first");
    bench_options_read(&options, argc - 2, argv + 2);
    if (server)
        serve(&options);
    else
        call(&options);
    return EXIT_SUCCESS;
}
