#ifndef BENCH_CHANNEL_H
#define BENCH_CHANNEL_H

/* What the parts of bench-channel share: channels of 64-byte messages with numbers, all of which must
 * come in order.  What fails ends the program; that a channel is over, or its other side
 * gone, is for the caller to judge. */

#include <afar/channel.h>

#include "bench.h"
#include "item.afar.h"

#define CHANNEL_OPEN_MS 10000
#define CHANNEL_STREAM_BUFFER 1024  /* messages in the buffer that a stream goes through */
#define CHANNEL_MANY_HERE 100000    /* channels that are open in one process */
#define CHANNEL_MANY_ATTACHED 10000 /* channels with an end in another process */
#define CHANNEL_LEAST_CASES 4
#define CHANNEL_MOST_CASES 256

typedef struct channel {
    bench_item_sender *sender;
    bench_item_receiver *receiver;
} channel;

void
channel_expect(afar_code code, const afar_error *err, const char *what);

/* Capacity 0: rendezvous. */
channel
channel_new(unsigned capacity);

void
channel_close(channel ends);

/* Sends the message with that number; false when the channel is over. */
bool
channel_send(bench_item_sender *sender, uint64_t number);

/* Sends on what was received, and releases it; the same. */
bool
channel_pass(bench_item_sender *sender, Bench__Item *item);

/* Receives whatever comes; false when the channel is over. */
bool
channel_receive(bench_item_receiver *receiver, Bench__Item **ret_item);

/* Fails unless the message has that number. */
void
channel_check(const Bench__Item *item, uint64_t number);

/* Receives the message with that number; false when the channel is over. */
bool
channel_take(bench_item_receiver *receiver, uint64_t number);

/* The channels that select4 and select256 are about. */
static inline size_t
channel_cases(bench_work work)
{
    return work == BENCH_SELECT256 ? CHANNEL_MOST_CASES : CHANNEL_LEAST_CASES;
}

/* The three ways to run the program. */
void
channel_local(const bench_options *options);
void
channel_serve(const bench_options *options);
void
channel_call(const bench_options *options);

#endif
