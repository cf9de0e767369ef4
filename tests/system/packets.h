#ifndef PACKETS_H
#define PACKETS_H

/* Streams of numbered packets, as several tests send and receive them.  What fails
 * here ends the test. */

#include "pair.h"

#define KIB 1024

/* A packet with that number and `size` bytes of data, at most 64 KiB. */
Test__Packet
packet_of(int64_t number, size_t size);

/* Starts a List of `count` packets, each with `size` bytes. */
test_probe_list_stream *
start_list(test_probe *probe, int64_t count, size_t size);

test_probe_talk_stream *
start_talk(test_probe *probe);

/* Receives the packets from number `from` to number `to` - 1. */
void
receive_numbers(test_probe_list_stream *stream, int64_t from, int64_t to);

/* Finds that the stream has ended well, and says so again when asked again. */
void
receive_end(test_probe_list_stream *stream);

#endif
