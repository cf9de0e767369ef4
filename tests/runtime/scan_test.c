/* The scan: each thing that is refused, with its message, and each limit reached
 * and passed by one. */

#include "runtime/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "check.h"
#include "legacy.pb-c.h"
#include "nameless.h"
#include "values.pb-c.h"
#include "wide.pb-c.h"

#define SCALARS (&leaf__scalars__descriptor)
#define LISTS (&leaf__lists__descriptor)
#define TREE (&leaf__tree__descriptor)
#define CHOICE (&leaf__choice__descriptor)

static const afar_message_limits roomy = { 1 << 30, 1 << 30, 100 };

static afar_code
scan(const ProtobufCMessageDescriptor *type, const struct bytes *bytes, afar_error *err)
{
    afar__scan_cost cost;
    /* A piece of its own, so that reading behind its end is seen. */
    uint8_t *data = malloc(bytes->length > 0 ? bytes->length : 1);
    afar_code code;

    CHECK(data != NULL);
    if (bytes->length > 0)
        memcpy(data, bytes->data, bytes->length);
    code = afar__scan(type, data, bytes->length, &roomy, &cost, err);
    free(data);
    return code;
}

/* The bytes pass. */
static void
check_passes(const ProtobufCMessageDescriptor *type, struct bytes *bytes)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(scan(type, bytes, &err));
    bytes_clear(bytes);
}

/* The bytes are malformed, with that message. */
static void
check_malformed(const ProtobufCMessageDescriptor *type, struct bytes *bytes, const char *message)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(scan(type, bytes, &err), AFAR_INTERNAL);
    CHECK_STR(err.message, message);
    bytes_clear(bytes);
}

static void
check_raw(const ProtobufCMessageDescriptor *type, const char *raw, size_t length,
          const char *message)
{
    struct bytes bytes = BYTES_INIT;

    bytes_raw(&bytes, raw, length);
    if (message)
        check_malformed(type, &bytes, message);
    else
        check_passes(type, &bytes);
}

/* For string literals that have 0 bytes in them. */
#define CHECK_RAW(type, raw, message) check_raw(type, raw, sizeof(raw) - 1, message)

TEST(empty_message_passes)
{
    CHECK_RAW(SCALARS, "", NULL);
    CHECK_RAW(LISTS, "", NULL);
}

TEST(tags)
{
    CHECK_RAW(SCALARS, "\x08\x01", NULL);
    CHECK_RAW(SCALARS, "\x88\x80\x80\x80\x00\x01", NULL); /* longer than need be */
    CHECK_RAW(SCALARS, "\xf8\xff\xff\xff\x0f\x01", NULL); /* 2^29 - 1 */
    CHECK_RAW(SCALARS, "\x88\x80\x80\x80\x80\x00\x01", "leaf.Scalars at byte 0: a tag without end");
    CHECK_RAW(SCALARS, "\x80\x80\x80\x80\x10\x01", "leaf.Scalars at byte 0: a tag without end");
    CHECK_RAW(SCALARS, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
              "leaf.Scalars at byte 0: a tag without end");
    CHECK_RAW(SCALARS, "\x08\x01\x88", "leaf.Scalars at byte 2: a tag without end");
    CHECK_RAW(SCALARS, "\x00\x01", "leaf.Scalars at byte 0: field number 0");
    CHECK_RAW(SCALARS, "\x08\x01\x02\x00", "leaf.Scalars at byte 2: field number 0");
}

TEST(varints)
{
    CHECK_RAW(SCALARS, "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", NULL);
    CHECK_RAW(SCALARS, "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", NULL);
    CHECK_RAW(SCALARS, "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",
              "leaf.Scalars.a_int32 at byte 0: a varint without end");
    CHECK_RAW(SCALARS, "\x08", "leaf.Scalars.a_int32 at byte 0: a varint without end");
    CHECK_RAW(SCALARS, "\x08\x80", "leaf.Scalars.a_int32 at byte 0: a varint without end");
    CHECK_RAW(SCALARS, "\xa0\x06\x80", "field 100 of leaf.Scalars at byte 0: a varint without end");
}

TEST(fixed_numbers)
{
    CHECK_RAW(SCALARS, "\x3d\x01\x02\x03\x04", NULL);
    CHECK_RAW(SCALARS, "\x3d\x01\x02\x03", "leaf.Scalars.a_fixed32 at byte 0: goes beyond the end");
    CHECK_RAW(SCALARS, "\x41\x01\x02\x03\x04\x05\x06\x07\x08", NULL);
    CHECK_RAW(SCALARS, "\x41\x01\x02\x03\x04\x05\x06\x07",
              "leaf.Scalars.a_fixed64 at byte 0: goes beyond the end");
}

TEST(lengths)
{
    CHECK_RAW(SCALARS, "\x7a\x00", NULL);
    CHECK_RAW(SCALARS, "\x7a\x83\x80\x80\x80\x00xyz", NULL);
    CHECK_RAW(SCALARS, "\x7a\x83\x80\x80\x80\x80\x00xyz",
              "leaf.Scalars.a_string at byte 0: a length without end");
    CHECK_RAW(SCALARS, "\x7a\x04xyz", "leaf.Scalars.a_string at byte 0: goes beyond the end");
    CHECK_RAW(SCALARS, "\x7a", "leaf.Scalars.a_string at byte 0: a length without end");
    CHECK_RAW(SCALARS, "\x7a\x80\x80\x80\x80\x08", /* 2^31 */
              "leaf.Scalars.a_string at byte 0: goes beyond the end");
    CHECK_RAW(SCALARS, "\x7a\xff\xff\xff\xff\x0f", /* 2^32 - 1 */
              "leaf.Scalars.a_string at byte 0: goes beyond the end");
    CHECK_RAW(SCALARS, "\x7a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", /* 2^63 */
              "leaf.Scalars.a_string at byte 0: a length without end");
    CHECK_RAW(TREE, "\x1a\x03\x12\x02x", "leaf.Tree.name at byte 2: goes beyond the end");
}

TEST(groups_and_wire_types_that_are_none)
{
    CHECK_RAW(SCALARS, "\x0b\x0c", "leaf.Scalars.a_int32 at byte 0: a group, which cannot be read");
    CHECK_RAW(SCALARS, "\xa3\x06\xa4\x06",
              "field 100 of leaf.Scalars at byte 0: a group, which cannot be read");
    CHECK_RAW(SCALARS, "\x0c", "leaf.Scalars.a_int32 at byte 0: a group, which cannot be read");
    CHECK_RAW(SCALARS, "\x0e\x01", "leaf.Scalars.a_int32 at byte 0: a wire type that is none");
    CHECK_RAW(SCALARS, "\x0f\x01", "leaf.Scalars.a_int32 at byte 0: a wire type that is none");
}

/* Every field with every wire type: the right one passes, and a packed block where
 * the field is repeated; protobuf-c would fail on each other one or read nonsense. */
TEST(wire_types_must_fit)
{
    static const char bodies[][9] = { "\x01", "\1\1\1\1\1\1\1\1", "\x00", "", "", "\1\1\1\1" };
    static const size_t lengths[] = { 1, 8, 1, 0, 0, 4 };
    const ProtobufCMessageDescriptor *types[] = { SCALARS, LISTS };

    for (size_t t = 0; t < 2; t++)
        for (unsigned i = 0; i < types[t]->n_fields; i++) {
            const ProtobufCFieldDescriptor *field = &types[t]->fields[i];
            unsigned passed = 0;

            for (uint32_t wire = 0; wire <= 5; wire += wire == 2 ? 3 : 1) {
                struct bytes bytes = BYTES_INIT;
                afar_error err = AFAR_ERROR_INIT;

                bytes_tag(&bytes, field->id, wire);
                bytes_raw(&bytes, bodies[wire], lengths[wire]);
                if (scan(types[t], &bytes, &err))
                    CHECK(strstr(err.message, ": its wire type is that of another type"));
                else
                    passed++;
                bytes_clear(&bytes);
            }
            CHECK_INT(passed, types[t] == LISTS && field->type < PROTOBUF_C_TYPE_STRING ? 2 : 1);
        }
}

TEST(strings_are_utf8_without_0)
{
    CHECK_RAW(SCALARS, "\x7a\x04\xf0\x9f\x98\x88", NULL);
    CHECK_RAW(SCALARS, "\x7a\x03xb\xff", "leaf.Scalars.a_string at byte 4: not UTF-8");
    CHECK_RAW(SCALARS, "\x7a\x02\xc0\x80", "leaf.Scalars.a_string at byte 2: not UTF-8");
    CHECK_RAW(SCALARS, "\x7a\x03\xed\xa0\x80", "leaf.Scalars.a_string at byte 2: not UTF-8");
    CHECK_RAW(SCALARS, "\x7a\x01\xc3", "leaf.Scalars.a_string at byte 2: not UTF-8");
    CHECK_RAW(SCALARS, "\x7a\x03x\0b", "leaf.Scalars.a_string at byte 3: a 0 byte in a string");
    CHECK_RAW(LISTS, "\x7a\x01x\x7a\x01\xff", "leaf.Lists.strings at byte 5: not UTF-8");
    CHECK_RAW(SCALARS, "\x82\x01\x03x\0\xff", NULL); /* bytes may be anything */
    CHECK_RAW(&leaf__maps__descriptor, "\x0a\x03\x0a\x01\xff",
              "leaf.Maps.CountsEntry.key at byte 4: not UTF-8");
    CHECK_RAW(CHOICE, "\x1a\x01\xff", "leaf.Choice.text at byte 2: not UTF-8");
}

TEST(packed_blocks)
{
    CHECK_RAW(LISTS, "\x0a\x00", NULL);
    CHECK_RAW(LISTS, "\x0a\x0b\x01\x01\x01\x01\x01\x01\x01\x01\x80\x01\x01", NULL);
    CHECK_RAW(LISTS, "\x0a\x02\x01\x80",
              "leaf.Lists.int32s at byte 3: a packed varint without end");
    CHECK_RAW(LISTS, "\x0a\x0b\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
              "leaf.Lists.int32s at byte 2: a packed varint without end");
    CHECK_RAW(LISTS, "\x3a\x08\x01\x02\x03\x04\x05\x06\x07\x08", NULL);
    CHECK_RAW(LISTS, "\x3a\x05\x01\x02\x03\x04\x05",
              "leaf.Lists.fixed32s at byte 0: a packed length with a rest");
    CHECK_RAW(LISTS, "\x42\x04\x01\x02\x03\x04",
              "leaf.Lists.fixed64s at byte 0: a packed length with a rest");
    CHECK_RAW(LISTS, "\x6a\x03\x00\x01\x00", NULL);
    CHECK_RAW(LISTS, "\x6a\x04\x80\x01\x02\x00", NULL);
    CHECK_RAW(LISTS, "\x6a\x02\x01\x80", "leaf.Lists.bools at byte 3: a packed varint without end");
    CHECK_RAW(&leaf__legacy__descriptor, "\x08\x01\x22\x02\x01\x02\x28\x03", NULL);
}

TEST(unknown_fields_and_enum_numbers_pass)
{
    CHECK_RAW(SCALARS, "\xa0\x06\x01\xa1\x06\1\1\1\1\1\1\1\1\xa2\x06\x02\xff\x00\xa5\x06\1\1\1\1",
              NULL);
    CHECK_RAW(SCALARS, "\x70\x63", NULL);
}

TEST(message_that_comes_twice)
{
    CHECK_RAW(TREE, "\x1a\x02\x08\x01\x22\x02\x08\x02", NULL);
    CHECK_RAW(TREE, "\x22\x02\x08\x02\x1a\x02\x08\x01", NULL); /* not in order */
    CHECK_RAW(TREE, "\x2a\x00\x2a\x00\x1a\x00\x2a\x00", NULL); /* repeated */
    CHECK_RAW(TREE, "\x1a\x02\x1a\x00\x22\x02\x1a\x00", NULL); /* in different messages */
    CHECK_RAW(TREE, "\x1a\x00\x08\x01\x1a\x00",
              "leaf.Tree.left at byte 4: comes twice, and merging messages is not supported");
    CHECK_RAW(TREE, "\x22\x06\x1a\x00\x12\x00\x1a\x00",
              "leaf.Tree.left at byte 6: comes twice, and merging messages is not supported");
    CHECK_RAW(CHOICE, "\x2a\x00\x2a\x00",
              "leaf.Choice.tree at byte 2: comes twice, and merging messages is not supported");
}

TEST(scalars_that_come_twice_pass)
{
    CHECK_RAW(SCALARS, "\x08\x01\x08\x02\x7a\x01x\x7a\x01y", NULL);
    CHECK_RAW(CHOICE, "\x10\x01\x1a\x01x\x10\x02\x22\x01y", NULL);
}

TEST(messages_of_wide_types_are_told_apart)
{
    const ProtobufCMessageDescriptor *type = &leaf__wide__descriptor;

    /* Fields 1, 65 and 130 in both orders; field 130 has index 129. */
    CHECK_RAW(type, "\x0a\x00\x8a\x04\x00\x92\x08\x00", NULL);
    CHECK_RAW(type, "\x92\x08\x00\x8a\x04\x00\x0a\x00", NULL);
    CHECK_RAW(type, "\x8a\x04\x00\x0a\x00\x8a\x04\x00",
              "leaf.Wide.field_65 at byte 5: comes twice, and merging messages is not supported");
}

TEST(types_without_names)
{
    afar__arena *arena = afar__arena_new(0);
    const ProtobufCMessageDescriptor *type = nameless(&leaf__marked__descriptor, arena);

    CHECK_RAW(type, "\x0a\x01x", NULL);
    CHECK_RAW(type, "\x0a\x01\xff", "field 1 of a message at byte 2: not UTF-8");
    CHECK_RAW(type, "\x1a\x02\x08\x01",
              "field 1 of a message at byte 2: its wire type is that of another type");
    CHECK_RAW(type, "\x00", "a message at byte 0: field number 0");
    afar__arena_free(arena);
}

/* ---- limits ---- */

static afar_code
scan_within(const ProtobufCMessageDescriptor *type, const struct bytes *bytes,
            const afar_message_limits *limits, afar__scan_cost *ret_cost, afar_error *err)
{
    return afar__scan(type, bytes->length > 0 ? bytes->data : (const uint8_t *)"", bytes->length,
                      limits, ret_cost, err);
}

TEST(size_limit)
{
    struct bytes bytes = BYTES_INIT;
    afar_message_limits limits = roomy;
    afar_error err = AFAR_ERROR_INIT;
    afar__scan_cost cost;

    bytes_string(&bytes, 15, "abc");
    limits.max_bytes = bytes.length;
    CHECK_OK(scan_within(SCALARS, &bytes, &limits, &cost, &err));
    limits.max_bytes--;
    CHECK_FAILS(scan_within(SCALARS, &bytes, &limits, &cost, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK_STR(err.message, "leaf.Scalars has 5 bytes, more than 4 (max_bytes)");
    limits.max_bytes = SIZE_MAX;
    CHECK_FAILS(afar__scan(SCALARS, bytes.data, (size_t)INT32_MAX + 1, &limits, &cost, &err),
                AFAR_RESOURCE_EXHAUSTED);
    CHECK_STR(err.message, "leaf.Scalars has 2147483648 bytes, more than 2147483647 (max_bytes)");
    bytes_clear(&bytes);
}

/* Trees within trees, by their left. */
static void
nest(struct bytes *bytes, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) {
        struct bytes outer = BYTES_INIT;

        bytes_message(&outer, 3, bytes);
        bytes_clear(bytes);
        *bytes = outer;
    }
}

TEST(depth_limit)
{
    static const unsigned limits[] = { 1, 2, 50, 100 };

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        afar_message_limits within = roomy;
        struct bytes bytes = BYTES_INIT;
        afar_error err = AFAR_ERROR_INIT;
        afar__scan_cost cost;
        char message[100];

        within.max_depth = limits[i];
        nest(&bytes, limits[i]);
        CHECK_OK(scan_within(TREE, &bytes, &within, &cost, &err));
        nest(&bytes, 1);
        CHECK_FAILS(scan_within(TREE, &bytes, &within, &cost, &err), AFAR_RESOURCE_EXHAUSTED);
        snprintf(message, sizeof message, ": more than %u messages within messages (max_depth)",
                 limits[i]);
        CHECK(strstr(err.message, message) != NULL);
        bytes_clear(&bytes);
    }
}

TEST(memory_limit)
{
    struct bytes bytes = BYTES_INIT;
    afar_message_limits limits = roomy;
    afar_error err = AFAR_ERROR_INIT;
    afar__scan_cost cost;

    for (int i = 0; i < 100; i++)
        bytes_string(&bytes, 15, "abc");
    CHECK_OK(scan_within(LISTS, &bytes, &limits, &cost, &err));
    limits.max_memory = cost.memory;
    CHECK_OK(scan_within(LISTS, &bytes, &limits, &cost, &err));
    limits.max_memory--;
    CHECK_FAILS(scan_within(LISTS, &bytes, &limits, &cost, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK(strstr(err.message, "leaf.Lists at byte 495: takes more than ") == err.message);
    CHECK(strstr(err.message, " bytes in memory (max_memory)") != NULL);
    bytes_clear(&bytes);
    limits.max_memory = sizeof(Leaf__Lists) - 1;
    CHECK_FAILS(scan_within(LISTS, &bytes, &limits, &cost, &err), AFAR_RESOURCE_EXHAUSTED);
}

/* ---- what it costs ---- */

TEST(fields_of_the_fullest_message)
{
    struct bytes inner = BYTES_INIT, outer = BYTES_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar__scan_cost cost;

    for (int i = 0; i < 20; i++)
        bytes_number(&inner, 1, 1);
    bytes_message(&outer, 3, &inner);
    bytes_number(&outer, 1, 1);
    CHECK_OK(scan_within(TREE, &outer, &roomy, &cost, &err));
    CHECK_INT(cost.fields, 20);
    bytes_number(&inner, 1, 1);
    for (int i = 0; i < 20; i++)
        bytes_number(&outer, 1, 1);
    CHECK_OK(scan_within(TREE, &outer, &roomy, &cost, &err));
    CHECK_INT(cost.fields, 22);
    bytes_clear(&inner);
    bytes_clear(&outer);
}

/* ---- what protobuf-c refuses all the same ---- */

static void
check_explained(const ProtobufCMessageDescriptor *type, struct bytes *bytes, const char *message)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(scan(type, bytes, &err));
    CHECK(protobuf_c_message_unpack(type, NULL, bytes->length, bytes->data) == NULL);
    CHECK_FAILS(afar__scan_explain(type, bytes->data, bytes->length, &err), AFAR_INTERNAL);
    CHECK_STR(err.message, message);
    bytes_clear(bytes);
}

TEST(missing_required_field_is_named)
{
    struct bytes bytes = BYTES_INIT, inner = BYTES_INIT;

    bytes_string(&bytes, 2, "a");
    check_explained(&leaf__legacy__descriptor, &bytes,
                    "leaf.Legacy: the required field number (1) is missing");
    bytes_number(&bytes, 1, 1);
    bytes_string(&inner, 8, "b");
    bytes_message(&bytes, 7, &inner);
    check_explained(&leaf__legacy__descriptor, &bytes,
                    "leaf.Legacy: the required field number (1) is missing");
    bytes_number(&bytes, 1, 1); /* field 8 has a default, and may be missing */
    check_passes(&leaf__legacy__descriptor, &bytes);
    bytes_clear(&inner);
}
