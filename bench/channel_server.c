/* The home of channels, for a client in another process.
 *
 * What is exported: the sender of `up`, the receiver of `down`, and the other side of all channels that the work
 * is about, under their numbers.  Each end that a client has open is a call that lasts, so many calls are allowed.
 * It ends when the client has poisoned what it waits for. */

#include "channel.h"

#include <stdio.h>
#include <stdlib.h>

#include <afar/server.h>

typedef struct home {
    afar_server *server;
    channel up;
    channel down;
} home;

static void
publish(home *h, const char *name, afar_object *object)
{
    afar_error err = AFAR_ERROR_INIT;

    channel_expect(afar_server_export(h->server, name, object, &err), &err, "export");
}

/* ---- stream and rendezvous: messages that come ---- */

static void
serve_stream(home *h)
{
    Bench__Item *item = NULL;
    uint64_t count = 0;

    while (channel_receive(h->up.receiver, &item)) {
        bench_taken taken = bench_stream_take(item->data.data, item->data.len, &count);

        afar_message_free(item);
        if (taken == BENCH_TAKEN_WRONG)
            bench_fail("message %llu is not what came", (unsigned long long)count);
        if (taken == BENCH_TAKEN_END && !channel_send(h->down.sender, count))
            return;
    }
}

static void
serve_rendezvous(home *h)
{
    uint64_t count = 0;

    while (channel_take(h->up.receiver, count))
        count++;
}

/* ---- select: messages that go, from each channel in its turn ---- */

static void
publish_receivers(home *h, channel *channels, size_t count)
{
    char name[24];

    for (size_t i = 0; i < count; i++) {
        channels[i] = channel_new(0);
        snprintf(name, sizeof name, "%zu", i);
        publish(h, name, bench_item_receiver_object(channels[i].receiver));
    }
}

static void
serve_select(channel *channels, size_t count)
{
    uint64_t number = 0;

    while (channel_send(channels[number % count].sender, number))
        number++;
    for (size_t i = 0; i < count; i++)
        channel_close(channels[i]);
}

/* ---- many: channels made when the client wants them, and one message from each ---- */

static void
serve_many(home *h)
{
    channel *channels = calloc(CHANNEL_MANY_ATTACHED, sizeof *channels);
    char name[24];

    if (!channels)
        bench_fail("no memory for %d channels", CHANNEL_MANY_ATTACHED);
    if (!channel_take(h->up.receiver, 0))
        bench_fail("the client ended before it began");
    for (size_t i = 0; i < CHANNEL_MANY_ATTACHED; i++) {
        channels[i] = channel_new(0);
        snprintf(name, sizeof name, "%zu", i);
        publish(h, name, bench_item_sender_object(channels[i].sender));
    }
    if (!channel_send(h->down.sender, 0))
        bench_fail("the client ended before it began");
    for (size_t i = 0; i < CHANNEL_MANY_ATTACHED; i++)
        if (!channel_take(channels[i].receiver, i))
            bench_fail("channel %zu ended", i);
    while (channel_take(h->up.receiver, 1))
        ;
    for (size_t i = 0; i < CHANNEL_MANY_ATTACHED; i++)
        channel_close(channels[i]);
    free(channels);
}

/* ---- all of them ---- */

static home
open_home(const bench_options *options)
{
    home h = { .up = channel_new(options->work == BENCH_STREAM ? CHANNEL_STREAM_BUFFER : 0),
               .down = channel_new(0) };
    afar_server_options how = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;

    how.max_streams = 2 * CHANNEL_MANY_ATTACHED;
    channel_expect(afar_server_open(NULL, options->address, &how, &h.server, &err), &err,
                   "open a server");
    publish(&h, "up", bench_item_sender_object(h.up.sender));
    publish(&h, "down", bench_item_receiver_object(h.down.receiver));
    return h;
}

static void
start(home *h)
{
    afar_error err = AFAR_ERROR_INIT;

    channel_expect(afar_server_start(h->server, &err), &err, "start a server");
    bench_ready(afar_server_address(h->server));
}

void
channel_serve(const bench_options *options)
{
    home h = open_home(options);
    channel channels[CHANNEL_MOST_CASES];
    size_t count = channel_cases(options->work);

    if (options->work == BENCH_SELECT4 || options->work == BENCH_SELECT256)
        publish_receivers(&h, channels, count);
    start(&h);
    if (options->work == BENCH_STREAM)
        serve_stream(&h);
    else if (options->work == BENCH_RENDEZVOUS)
        serve_rendezvous(&h);
    else if (options->work == BENCH_MANY)
        serve_many(&h);
    else if (options->work == BENCH_SELECT4 || options->work == BENCH_SELECT256)
        serve_select(channels, count);
    else
        bench_fail("there is no server for this work");
    channel_close(h.up);
    channel_close(h.down);
    afar_server_close(h.server);
}
