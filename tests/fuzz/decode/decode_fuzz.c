/* Throws bytes at the decoder: it must neither crash, hang nor leak; what it
 * accepts protobuf-c alone must accept as the same message; and what it refuses it
 * must refuse with a message.  The reader of google.rpc.Status gets them too.
 *
 * The first byte of an input says what it is read as, the second within which limits.
 *
 * Built with AFAR_LIBFUZZER it is a
 * target of libFuzzer; without, replay.h says what it does.
 *
 * One thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/decode.h"
#include "runtime/status.h"
#include "tests/fuzz/replay/replay.h"

#include "legacy.pb-c.h"
#include "values.pb-c.h"
#include "wide.pb-c.h"

static const ProtobufCMessageDescriptor *const types[] = {
    &leaf__everything__descriptor, &leaf__scalars__descriptor, &leaf__lists__descriptor,
    &leaf__optionals__descriptor,  &leaf__tree__descriptor,    &leaf__choice__descriptor,
    &leaf__maps__descriptor,       &leaf__holder__descriptor,  &leaf__legacy_list__descriptor,
    &leaf__wide__descriptor,
};

#define TYPES (sizeof types / sizeof types[0])

static const afar_message_limits limits[] = {
    { 0, 0, 0 }, { 0, 0, 2 }, { 0, 1000, 0 }, { 100, 0, 0 }, { 0, 50000, 0 },
};

#define LIMITS (sizeof limits / sizeof limits[0])

static uint8_t *
pack(const ProtobufCMessage *message, size_t *ret_length)
{
    uint8_t *bytes;

    *ret_length = protobuf_c_message_get_packed_size(message);
    bytes = malloc(*ret_length + 1);
    require(bytes != NULL, "out of memory");
    protobuf_c_message_pack(message, bytes);
    return bytes;
}

static void
require_same(const ProtobufCMessage *left, const ProtobufCMessage *right)
{
    size_t left_length, right_length;
    uint8_t *left_bytes = pack(left, &left_length), *right_bytes = pack(right, &right_length);

    require(left_length == right_length && memcmp(left_bytes, right_bytes, left_length) == 0,
            "the same bytes came out differently");
    free(left_bytes);
    free(right_bytes);
}

/* A message that was accepted. */
static void
use(const ProtobufCMessage *message, const uint8_t *data, size_t length)
{
    ProtobufCMessage *alone = protobuf_c_message_unpack(message->descriptor, NULL, length, data);
    ProtobufCMessage *copy;
    char text[100];
    size_t text_length;

    require(alone != NULL, "accepted what protobuf-c refuses");
    require_same(message, alone);
    protobuf_c_message_free_unpacked(alone, NULL);
    require(afar_message_copy(message, &copy, NULL) == AFAR_OK, "it cannot be copied");
    require_same(message, copy);
    text_length = afar_message_print(message, text, sizeof text);
    require(afar_message_print(copy, NULL, 0) == text_length, "a copy has another text");
    afar_message_free(copy);
}

static void
decode(const ProtobufCMessageDescriptor *type, const afar_message_limits *within,
       const uint8_t *data, size_t length)
{
    afar__arena *arena = afar__arena_new(0);
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *own, *in_arena;
    afar_code code = afar__decode_message(type, data, length, within, &own, &err);
    afar_code again = afar__decode(type, data, length, within, arena, &in_arena, NULL);

    require(code == again, "two ways to decode differ");
    if (code == AFAR_OK) {
        require_same(own, in_arena);
        use(own, data, length);
        afar_message_free(own);
    } else {
        require(code == AFAR_INTERNAL || code == AFAR_RESOURCE_EXHAUSTED, "an odd code");
        require(err.message[0] != 0, "no message");
    }
    afar__arena_free(arena);
}

static void
read_status(const uint8_t *data, size_t length)
{
    afar_error err = AFAR_ERROR_INIT;

    afar_fail(&err, AFAR_ABORTED, "why");
    afar__status_decode(data, length, &err);
    require(afar_error_detail_count(&err) <= 64, "too many details");
    for (size_t i = 0; i < afar_error_detail_count(&err); i++)
        require(*afar_error_detail(&err, i).type != 0, "a detail without type");
    afar_error_clear(&err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    if (length < 2)
        return 0;
    if (data[0] % (TYPES + 1) == TYPES)
        read_status(data + 2, length - 2);
    else
        decode(types[data[0] % (TYPES + 1)], &limits[data[1] % LIMITS], data + 2, length - 2);
    return 0;
}

const replay replay_how = { .name = "decode_fuzz", .changes = 2000, .repeats = true };
