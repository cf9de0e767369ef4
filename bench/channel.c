/* Afar's channels, in one process and between two.
 *
 *     bench-channel local WORK VARIANT ADDRESS SECONDS WARM-UP 0
 *     bench-channel server WORK VARIANT ADDRESS
 *     bench-channel client WORK VARIANT ADDRESS SECONDS WARM-UP SERVER-PID
 *
 * `local` is a work of one process.  Variant and, for `local`, address say nothing.
 *
 * The server is the home of all channels; the client has their other ends.  Two of them are always
 * there: `up`, to the server, which is the one that is measured in stream and rendezvous, and
 * `down`, to the client.  This file has what the three parts share. */

#include "channel.h"

#include <stdlib.h>
#include <string.h>

void
channel_expect(afar_code code, const afar_error *err, const char *what)
{
    if (code)
        bench_fail("%s: %s: %s", what, afar_code_name(code), err->message);
}

channel
channel_new(unsigned capacity)
{
    afar_error err = AFAR_ERROR_INIT;
    channel ends = { NULL, NULL };
    afar_code code = capacity
                         ? bench_item_buffered_new(capacity, &ends.sender, &ends.receiver, &err)
                         : bench_item_rendezvous_new(&ends.sender, &ends.receiver, &err);

    channel_expect(code, &err, "make a channel");
    return ends;
}

void
channel_close(channel ends)
{
    bench_item_sender_close(ends.sender);
    bench_item_receiver_close(ends.receiver);
}

/* Whether something was handed over.  That it was not is no failure when somebody ended the channel, or has
 * gone: a client ends its channels, and then its process. */
static bool
handed_over(afar_code code, const afar_error *err, const char *what)
{
    if (code == AFAR_ENDED || code == AFAR_POISONED || code == AFAR_LOST || code == AFAR_UNKNOWN)
        return false;
    channel_expect(code, err, what);
    return true;
}

static bool
send_item(bench_item_sender *sender, const Bench__Item *item)
{
    afar_error err = AFAR_ERROR_INIT;

    return handed_over(bench_item_send(sender, item, AFAR_FOREVER, &err), &err, "send");
}

bool
channel_send(bench_item_sender *sender, uint64_t number)
{
    Bench__Item item = BENCH__ITEM__INIT;
    uint8_t data[BENCH_SMALL];

    bench_small_set(data, number);
    item.data = (ProtobufCBinaryData){ sizeof data, data };
    return send_item(sender, &item);
}

bool
channel_pass(bench_item_sender *sender, Bench__Item *item)
{
    bool sent = send_item(sender, item);

    afar_message_free(item);
    return sent;
}

bool
channel_receive(bench_item_receiver *receiver, Bench__Item **ret_item)
{
    afar_error err = AFAR_ERROR_INIT;

    return handed_over(bench_item_receive(receiver, AFAR_FOREVER, ret_item, &err), &err, "receive");
}

void
channel_check(const Bench__Item *item, uint64_t number)
{
    if (!bench_small_is(item->data.data, item->data.len, number))
        bench_fail("message %llu is not what came", (unsigned long long)number);
}

bool
channel_take(bench_item_receiver *receiver, uint64_t number)
{
    Bench__Item *item = NULL;

    if (!channel_receive(receiver, &item))
        return false;
    channel_check(item, number);
    afar_message_free(item);
    return true;
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const bench_options *options);
    } ways[] = { { "local", channel_local },
                 { "server", channel_serve },
                 { "client", channel_call } };
    bench_options options;

    for (size_t i = 0; argc > 1 && i < sizeof ways / sizeof *ways; i++) {
        if (strcmp(argv[1], ways[i].name) == 0) {
            bench_options_read(&options, argc - 2, argv + 2);
            ways[i].run(&options);
            return EXIT_SUCCESS;
        }
    }
    bench_fail("say local, server or client first");
}
