/* Decoding held against protobuf-c alone: all random valid messages are accepted
 * and come out the same; of broken ones, protobuf-c accepts what we accept, and
 * what it accepts and we refuse we refuse for one of the known reasons. */

#include <stdlib.h>
#include <string.h>

#include "runtime/decode.h"
#include "runtime/scan.h"

#include "check.h"
#include "legacy.pb-c.h"
#include "random.h"
#include "values.pb-c.h"
#include "wide.pb-c.h"

static const ProtobufCMessageDescriptor *const types[] = {
    &leaf__scalars__descriptor,     &leaf__lists__descriptor,  &leaf__optionals__descriptor,
    &leaf__tree__descriptor,        &leaf__choice__descriptor, &leaf__maps__descriptor,
    &leaf__everything__descriptor,  &leaf__wide__descriptor,   &leaf__legacy__descriptor,
    &leaf__legacy_list__descriptor,
};

#define TYPES (sizeof types / sizeof types[0])

static uint8_t *
pack(const ProtobufCMessage *message, size_t *ret_length)
{
    uint8_t *bytes;

    *ret_length = protobuf_c_message_get_packed_size(message);
    bytes = malloc(*ret_length + 1);
    CHECK(bytes != NULL);
    protobuf_c_message_pack(message, bytes);
    return bytes;
}

static void
check_packs_to(const ProtobufCMessage *message, const uint8_t *bytes, size_t length)
{
    size_t again_length;
    uint8_t *again = pack(message, &again_length);

    CHECK_INT(again_length, length);
    CHECK(memcmp(again, bytes, length) == 0);
    free(again);
}

/* ---- what protobuf-c asks for ---- */

struct count {
    size_t live; /* each piece rounded up to 16 */
};

static void *
count_alloc(void *data, size_t n)
{
    struct count *count = data;
    size_t *piece = malloc(16 + n);

    CHECK(piece != NULL);
    *piece = (n + 15) & ~(size_t)15;
    count->live += *piece;
    return (char *)piece + 16;
}

static void
count_free(void *data, void *piece)
{
    struct count *count = data;
    void *start = (char *)piece - 16;
    size_t size;

    memcpy(&size, start, sizeof size);
    count->live -= size;
    free(start);
}

/* The scan knew what the message takes: not less, and not much more. */
static void
check_cost(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length)
{
    static const afar_message_limits roomy = { 1 << 30, 1 << 30, 100 };
    struct count count = { 0 };
    ProtobufCAllocator allocator = { count_alloc, count_free, &count };
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *message;
    afar__scan_cost cost;

    CHECK_OK(afar__scan(type, bytes, length, &roomy, &cost, &err));
    message = protobuf_c_message_unpack(type, &allocator, length, bytes);
    CHECK(message != NULL);
    CHECK(count.live <= cost.memory);
    CHECK(cost.memory <= 2 * count.live + 1000);
    protobuf_c_message_free_unpacked(message, &allocator);
}

TEST(valid_messages_come_out_the_same)
{
    struct random random = { .state = 20 };
    afar__arena *arena = afar__arena_new(0), *target = afar__arena_new(0);

    for (int round = 0; round < 3000; round++) {
        const ProtobufCMessageDescriptor *type = types[round % (int)TYPES];
        ProtobufCMessage *message =
            random_message(&random, type, (unsigned)random_below(&random, 3), arena);
        afar_error err = AFAR_ERROR_INIT;
        ProtobufCMessage *read;
        size_t length;
        uint8_t *bytes = pack(message, &length);

        CHECK_OK(afar__decode_message(type, bytes, length, NULL, &read, &err));
        check_packs_to(read, bytes, length);
        afar_message_free(read);
        CHECK_OK(afar__decode(type, bytes, length, NULL, target, &read, &err));
        check_packs_to(read, bytes, length);
        check_cost(type, bytes, length);
        free(bytes);
        afar__arena_reset(target);
        afar__arena_reset(arena);
    }
    afar__arena_free(target);
    afar__arena_free(arena);
}

/* Fields that one type has and another has not, and types that do not fit. */
TEST(messages_read_as_another_type)
{
    struct random random = { .state = 21 };
    afar__arena *arena = afar__arena_new(0);
    size_t read_count = 0;

    for (int round = 0; round < 2000; round++) {
        const ProtobufCMessageDescriptor *from = types[random_below(&random, TYPES)];
        const ProtobufCMessageDescriptor *to = types[random_below(&random, TYPES)];
        ProtobufCMessage *message = random_message(&random, from, 1, arena), *read;
        size_t length;
        uint8_t *bytes = pack(message, &length);

        if (afar__decode_message(to, bytes, length, NULL, &read, NULL) == AFAR_OK) {
            ProtobufCMessage *other = protobuf_c_message_unpack(to, NULL, length, bytes);
            size_t other_length;
            uint8_t *other_bytes;

            CHECK(other != NULL);
            other_bytes = pack(other, &other_length);
            check_packs_to(read, other_bytes, other_length);
            free(other_bytes);
            protobuf_c_message_free_unpacked(other, NULL);
            check_cost(to, bytes, length);
            afar_message_free(read);
            read_count++;
        }
        free(bytes);
        afar__arena_reset(arena);
    }
    CHECK(read_count > 200);
    afar__arena_free(arena);
}

/* ---- broken messages ---- */

/* Changes one to three places; the result may have up to 16 bytes more. */
static size_t
break_bytes(struct random *random, uint8_t *bytes, size_t length)
{
    for (size_t n = 1 + random_below(random, 3); n > 0; n--) {
        size_t at = random_below(random, length + 1);
        size_t from = random_below(random, length + 1);
        size_t count = random_below(random, 6);

        switch (random_below(random, 5)) {
        case 0: /* another byte */
            if (at < length)
                bytes[at] = (uint8_t)random_next(random);
            break;
        case 1: /* another bit */
            if (at < length)
                bytes[at] ^= (uint8_t)(1 << random_below(random, 8));
            break;
        case 2: /* an end */
            length = at;
            break;
        case 3: /* some bytes less */
            count = count < length - at ? count : length - at;
            memmove(bytes + at, bytes + at + count, length - at - count);
            length -= count;
            break;
        default: /* some bytes twice */
            count = count < length - from ? count : length - from;
            memmove(bytes + from + count, bytes + from, length - from);
            length += count;
        }
    }
    return length;
}

/* Why we may refuse what protobuf-c takes. */
static bool
is_known_reason(const char *message)
{
    static const char *const reasons[] = {
        "not UTF-8",
        "a 0 byte in a string",
        "comes twice, and merging messages is not supported",
        "field number 0",
        "a tag without end",                    /* it takes numbers above 2^29 - 1 */
        "its wire type is that of another type" /* it takes anything for a bool */
    };

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (strstr(message, reasons[i]))
            return true;
    return false;
}

/* Returns whether the message was accepted. */
static bool
compare(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length)
{
    ProtobufCMessage *alone = protobuf_c_message_unpack(type, NULL, length, bytes), *read;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = afar__decode_message(type, bytes, length, NULL, &read, &err);

    if (code == AFAR_OK) {
        size_t alone_length;
        uint8_t *alone_bytes;

        CHECK(alone != NULL);
        alone_bytes = pack(alone, &alone_length);
        check_packs_to(read, alone_bytes, alone_length);
        free(alone_bytes);
        afar_message_free(read);
    } else {
        CHECK_INT(code, AFAR_INTERNAL);
        if (alone && !is_known_reason(err.message))
            check_fail(__FILE__, __LINE__, "refused without reason: %s", err.message);
    }
    if (alone)
        protobuf_c_message_free_unpacked(alone, NULL);
    return code == AFAR_OK;
}

TEST(broken_messages)
{
    struct random random = { .state = 22 };
    afar__arena *arena = afar__arena_new(0);
    size_t accepted = 0, refused = 0;

    for (int round = 0; round < 300; round++) {
        const ProtobufCMessageDescriptor *type = types[round % (int)TYPES];
        ProtobufCMessage *message = random_message(&random, type, 1, arena);
        size_t length;
        uint8_t *bytes = pack(message, &length);

        for (int i = 0; i < 50; i++) {
            uint8_t *broken = malloc(length + 16);
            size_t broken_length;

            CHECK(broken != NULL);
            memcpy(broken, bytes, length);
            broken_length = break_bytes(&random, broken, length);
            if (compare(type, broken, broken_length))
                accepted++;
            else
                refused++;
            free(broken);
        }
        free(bytes);
        afar__arena_reset(arena);
    }
    CHECK(accepted > 1000 && refused > 1000);
    afar__arena_free(arena);
}

TEST(noise)
{
    struct random random = { .state = 23 };
    uint8_t noise[64];

    for (int round = 0; round < 100000; round++) {
        size_t length = random_below(&random, sizeof noise);

        for (size_t i = 0; i < length; i++)
            noise[i] = (uint8_t)(random_next(&random) >> (random_below(&random, 2) ? 0 : 58));
        compare(types[random_below(&random, TYPES)], noise, length);
    }
}
