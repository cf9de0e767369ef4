/* Numbered packets: what packets.h says. */

#include "packets.h"

Test__Packet
packet_of(int64_t number, size_t size)
{
    static uint8_t zeros[64 * KIB];
    Test__Packet packet = TEST__PACKET__INIT;

    packet.number = number;
    packet.data = (ProtobufCBinaryData){ size, zeros };
    return packet;
}

test_probe_list_stream *
start_list(test_probe *probe, int64_t count, size_t size)
{
    Test__Packet request = packet_of(count, size);
    test_probe_list_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(test_probe_list(probe, &request, AFAR_FOREVER, NULL, &stream, &err));
    return stream;
}

test_probe_talk_stream *
start_talk(test_probe *probe)
{
    test_probe_talk_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(test_probe_talk(probe, AFAR_FOREVER, NULL, &stream, &err));
    return stream;
}

void
receive_numbers(test_probe_list_stream *stream, int64_t from, int64_t to)
{
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *packet = NULL;

    for (int64_t i = from; i < to; i++) {
        CHECK_OK(test_probe_list_receive(stream, soon(), &packet, &err));
        CHECK_INT(packet->number, i);
        afar_message_free(packet);
    }
}

void
receive_end(test_probe_list_stream *stream)
{
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *packet = NULL;

    for (int i = 0; i < 2; i++)
        CHECK_FAILS(test_probe_list_receive(stream, soon(), &packet, &err), AFAR_ENDED);
    afar_error_clear(&err);
}
