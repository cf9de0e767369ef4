/* What a message may cost, on the way in and on the way back, as the options of each
 * node say. */

#include <stdlib.h>
#include <string.h>

#include "pair.h"

#define MIB (1024 * 1024)

/* One side has a limit of 1000 bytes, the other none of its own. */
struct limited {
    afar_node *node;
    struct pair pair;
    test_probe *probe;
    struct event done; /* of the handler of a talk */
    afar_code told;    /* by its last receive */
};

/* Answers with `number` bytes. */
static afar_code
answer_with_bytes(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)self;
    reply->data.len = (size_t)request->number;
    reply->data.data = afar_call_alloc(call, reply->data.len);
    return reply->data.data ? AFAR_OK : AFAR_RESOURCE_EXHAUSTED;
}

static afar_code
note_the_end(void *self, test_probe_talk_server_stream *stream, afar_call *call)
{
    struct limited *limited = self;
    const Test__Packet *packet = NULL;
    afar_code code;

    (void)call;
    while (!(code = test_probe_talk_server_receive(stream, soon(), &packet, NULL)) &&
           !(code = test_probe_talk_server_send(stream, packet, soon(), NULL)))
        continue;
    limited->told = code;
    event_raise(&limited->done);
    return code;
}

static const test_probe_methods methods = { .ask = answer_with_bytes, .talk = note_the_end };

static void
limited_open(struct limited *limited, bool at_server, const char *address)
{
    afar_node_options options = AFAR_NODE_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;

    *limited = (struct limited){ .done = EVENT_INIT };
    options.limits.max_bytes = 1000;
    CHECK_OK(afar_node_open(&options, &limited->node, &err));
    pair_open(&limited->pair, address);
    if (at_server) {
        afar_server_close(limited->pair.server);
        CHECK_OK(afar_server_open(limited->node, address, NULL, &limited->pair.server, &err));
        CHECK_OK(afar_server_start(limited->pair.server, &err));
    } else {
        afar_client_close(limited->pair.client);
        CHECK_OK(afar_client_open(limited->node, NULL, &limited->pair.client, &err));
    }
    limited->probe = pair_probe(&limited->pair, "", &methods, limited, AFAR_SERIAL);
}

static void
limited_close(struct limited *limited)
{
    test_probe_close(limited->probe);
    pair_close(&limited->pair);
    afar_node_close(limited->node);
}

/* Asks for `back` bytes with a request of `out` bytes. */
static afar_code
exchange(struct limited *limited, size_t out, int64_t back, afar_error *err)
{
    Test__Packet request = TEST__PACKET__INIT, *reply = NULL;

    request.number = back;
    request.data = (ProtobufCBinaryData){ out, calloc(1, out) };
    CHECK(request.data.data);
    afar_code code = test_probe_ask(limited->probe, &request, soon(), &reply, err);
    if (!code)
        CHECK_INT(reply->data.len, back);
    afar_message_free(reply);
    free(request.data.data);
    return code;
}

TEST(a_reply_over_the_limit_of_the_client)
{
    static const char *const addresses[] = { TCP, INPROC };

    for (int i = 0; i < 2; i++) {
        afar_error err = AFAR_ERROR_INIT;
        struct limited limited;

        limited_open(&limited, false, addresses[i]);
        CHECK_OK(exchange(&limited, 5000, 997, &err));
        CHECK_FAILS(exchange(&limited, 1, 998, &err), AFAR_RESOURCE_EXHAUSTED);
        CHECK_FAILS(exchange(&limited, 1, 2 * MIB, &err), AFAR_RESOURCE_EXHAUSTED);
        CHECK(strstr(err.message, "1000"));
        CHECK_OK(exchange(&limited, 1, 100, &err));
        afar_error_clear(&err);
        limited_close(&limited);
    }
}

TEST(a_request_over_the_limit_of_the_server)
{
    static const char *const addresses[] = { TCP, INPROC };

    for (int i = 0; i < 2; i++) {
        afar_error err = AFAR_ERROR_INIT;
        struct limited limited;

        limited_open(&limited, true, addresses[i]);
        CHECK_OK(exchange(&limited, 900, 5000, &err));
        CHECK_FAILS(exchange(&limited, 1000, 1, &err), AFAR_RESOURCE_EXHAUSTED);
        CHECK_FAILS(exchange(&limited, 2 * MIB, 1, &err), AFAR_RESOURCE_EXHAUSTED);
        CHECK_OK(exchange(&limited, 1, 100, &err));
        afar_error_clear(&err);
        limited_close(&limited);
    }
}

TEST(a_packet_of_a_stream_over_the_limit_of_the_server)
{
    static const char *const addresses[] = { TCP, INPROC };

    for (int i = 0; i < 2; i++) {
        Test__Packet packet = TEST__PACKET__INIT, *reply = NULL;
        test_probe_talk_stream *stream = NULL;
        static uint8_t data[2000];
        afar_error err = AFAR_ERROR_INIT;
        struct limited limited;

        limited_open(&limited, true, addresses[i]);
        CHECK_OK(test_probe_talk(limited.probe, soon(), NULL, &stream, &err));
        CHECK_OK(test_probe_talk_send(stream, &packet, soon(), &err));
        CHECK_OK(test_probe_talk_receive(stream, soon(), &reply, &err));
        afar_message_free(reply);
        packet.data = (ProtobufCBinaryData){ sizeof data, data };
        /* In a session the limit is known here, and nothing is sent. */
        if (!test_probe_talk_send(stream, &packet, soon(), &err))
            CHECK_FAILS(test_probe_talk_receive(stream, soon(), &reply, &err),
                        AFAR_RESOURCE_EXHAUSTED);
        CHECK_INT(err.code, AFAR_RESOURCE_EXHAUSTED);
        test_probe_talk_close(stream);
        CHECK_OK(exchange(&limited, 1, 100, &err));
        event_wait(&limited.done, 1);
        limited_close(&limited);
        CHECK(limited.told != AFAR_OK && limited.told != AFAR_ENDED);
        afar_error_clear(&err);
    }
}

/* What gRPC allows by default, to the byte, both ways. */
TEST(four_mebibytes_and_one_byte_more)
{
    static const char *const addresses[] = { TCP, INPROC };

    for (int i = 0; i < 2; i++) {
        Test__Packet measure = TEST__PACKET__INIT;
        afar_error err = AFAR_ERROR_INIT;
        struct limited limited = { .done = EVENT_INIT };

        pair_open(&limited.pair, addresses[i]);
        limited.probe = pair_probe(&limited.pair, "", &methods, &limited, AFAR_SERIAL);
        size_t most = 4 * MIB - 5; /* a tag and a length of four bytes */
        measure.data = (ProtobufCBinaryData){ most, NULL };
        CHECK_INT(protobuf_c_message_get_packed_size(&measure.base), 4 * MIB);
        CHECK_OK(exchange(&limited, 1, (int64_t)most, &err));
        CHECK_FAILS(exchange(&limited, 1, (int64_t)most + 1, &err), AFAR_RESOURCE_EXHAUSTED);
        CHECK_OK(exchange(&limited, most - 2, 1, &err)); /* its number takes two */
        CHECK_FAILS(exchange(&limited, most - 1, 1, &err), AFAR_RESOURCE_EXHAUSTED);
        CHECK_OK(exchange(&limited, 1, 1, &err));
        afar_error_clear(&err);
        limited_close(&limited);
    }
}
