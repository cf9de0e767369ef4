/* Frames that protobuf allows and session.proto does not, and the freedom that protobuf
 * leaves to who writes: order, unknown fields, long varints. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "frames/frames.h"
#include "runtime/session/frame_layout.h"

#define ID "\x08\x01"             /* field 1: 1 */
#define TARGET "\x12\x02\x08\x01" /* of a Call: export 1 */
#define METHOD "\x18\x01"         /* of a Call: 1 */
#define CALL ID TARGET METHOD
#define INSTANCE "0123456789abcdef"
#define REFERENCE "\x04\x0a\x02\x08\x01" /* its length, and hosted 1 */

/* Reads a frame whose message is the bytes of a string constant. */
#define READ(kind, message, ret_frame)                                                             \
    struct frames_bytes ret_frame##_bytes = frames_framed(kind, message, sizeof(message) - 1);     \
    afar__frame ret_frame;                                                                         \
    frames_read_one(ret_frame##_bytes, &(ret_frame))

#define DROP(frame) free(frame##_bytes.data)

static void
refuse(uint32_t kind, const void *message, size_t length, const char *why)
{
    struct frames_bytes batch = frames_framed(kind, message, length);

    frames_refuse(batch, why);
    free(batch.data);
}

#define REFUSE(kind, message, why) refuse(kind, message, sizeof(message) - 1, why)

/* Refuses a batch that is the bytes of a string constant. */
#define REFUSE_BATCH(bytes, why)                                                                   \
    frames_refuse((struct frames_bytes){ (uint8_t *)(uintptr_t)(bytes), sizeof(bytes) - 1 }, why)

static bool
is(afar__bytes bytes, const char *text)
{
    return bytes.length == strlen(text) && memcmp(bytes.data, text, bytes.length) == 0;
}

/* ---- what protobuf leaves open ---- */

TEST(unknown_fields_are_skipped)
{
    READ(AFAR__FRAME_CALL,
         "\xf8\x7f\x05" ID "\xf2\x7f\x03xyz"
         "\x12\x07\x08\x07\x7d"
         "abcd" METHOD "\x79"
         "12345678",
         call);
    CHECK_INT(call.call.id, 1);
    CHECK_INT(call.call.target.export, 7);
    DROP(call);
}

static void
check_unknown(const char *batch, size_t length, uint32_t number, bool may_ignore)
{
    struct frames_bytes copy = frames_new_bytes(length);
    afar__frame frame;

    memcpy(copy.data, batch, length);
    frames_read_one(copy, &frame);
    CHECK_INT(frame.kind, AFAR__FRAME_NONE);
    CHECK_INT(frame.number, number);
    CHECK_INT(frame.may_ignore, may_ignore);
    free(copy.data);
}

TEST(unknown_frames_are_reported_with_their_number)
{
    check_unknown("\x0a\x00", 2, 0, false);
    check_unknown("\x0a\x02\x78\x01", 4, 0, true);
    check_unknown("\x0a\x06\x82\x01\x03xyz", 8, 16, false);
    check_unknown("\x0a\x08\x78\x01\x82\x01\x03xyz", 10, 16, true);
    check_unknown("\x0a\x06\x88\x01\x01\x80\x01\x01", 8, 17, false);
}

TEST(unknown_fields_beside_a_kind_do_not_change_it)
{
    struct frames_bytes batch = frames_new_bytes(9);
    afar__frame frame;

    memcpy(batch.data, "\x0a\x07\x80\x01\x05\x22\x02\x08\x03", 9);
    frames_read_one(batch, &frame);
    CHECK_INT(frame.kind, AFAR__FRAME_CANCEL);
    CHECK_INT(frame.number, AFAR__FRAME_CANCEL);
    CHECK_INT(frame.cancel, 3);
    free(batch.data);
}

TEST(fields_of_a_batch_that_are_unknown_are_skipped)
{
    static const char bytes[] = "\x10\x05\x0a\x04\x22\x02\x08\x03\x1a\x01x";
    afar__frame_reader reader;
    afar__frame frame;

    afar__frame_reader_init(&reader, bytes, sizeof bytes - 1);
    CHECK(afar__frame_read(&reader, &frame, NULL) == AFAR_OK);
    CHECK_INT(frame.cancel, 3);
    CHECK_INT(frame.wire.length, 6);
    CHECK(afar__frame_read(&reader, &frame, NULL) == AFAR_ENDED);
    afar__frame_reader_init(&reader, NULL, 0);
    CHECK(afar__frame_read(&reader, &frame, NULL) == AFAR_ENDED);
}

TEST(varints_may_be_longer_than_they_need)
{
    READ(AFAR__FRAME_CANCEL, "\x88\x80\x80\x80\x00\x83\x80\x80\x80\x80\x80\x80\x80\x80\x00",
         cancel);
    CHECK_INT(cancel.cancel, 3);
    DROP(cancel);
    REFUSE(AFAR__FRAME_CANCEL, "\x08\x83\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",
           "Cancel.call: a varint without end");
    REFUSE(AFAR__FRAME_CANCEL, "\x88\x80\x80\x80\x80\x00\x03", "Cancel: a tag without end");
    REFUSE(AFAR__FRAME_GOODBYE, "\x12\x81\x80\x80\x80\x80\x00x",
           "Goodbye.text: a length without end");
}

TEST(numbers_are_cut_to_their_type)
{
    READ(AFAR__FRAME_CREDIT, "\x10\x80\x80\x80\x80\x10\x18\x85\x80\x80\x80\x10", credit);
    CHECK_INT(credit.credit.bytes, 5);
    CHECK(credit.credit.to_caller);
    DROP(credit);
}

TEST(of_a_number_or_text_that_comes_twice_the_last_counts)
{
    READ(AFAR__FRAME_GOODBYE, "\x12\x01x\x08\x02\x12\x02yz\x08\x04", goodbye);
    CHECK_INT(goodbye.goodbye.reason, AFAR__GOODBYE_SILENCE);
    CHECK(is(goodbye.goodbye.text, "yz"));
    DROP(goodbye);
}

TEST(messages_and_members_of_a_oneof_come_once)
{
    REFUSE(AFAR__FRAME_CALL, CALL TARGET, "Call.target: comes twice");
    REFUSE(AFAR__FRAME_HELLO, "\x2a\x00\x2a\x00", "Hello.limits: comes twice");
    REFUSE(AFAR__FRAME_CALL, ID "\x12\x04\x08\x01\x08\x01",
           "Target.export: comes beside another member of its oneof");
    REFUSE(AFAR__FRAME_CALL, ID "\x12\x05\x08\x01\x1a\x01x",
           "Target.name: comes beside another member of its oneof");
    REFUSE(AFAR__FRAME_ITEM, ID "\x22\x06\x10\x01\x0a\x02\x08\x01",
           "Reference.hosted: comes beside another member of its oneof");
    REFUSE(AFAR__FRAME_ITEM, ID "\x22\x08\x0a\x06\x08\x01\x12\x00\x12\x00",
           "Hosted.where: comes twice");
    REFUSE_BATCH("\x0a\x08\x22\x02\x08\x01\x2a\x02\x08\x01", "Frame: has two kinds");
    REFUSE_BATCH("\x0a\x08\x22\x02\x08\x01\x22\x02\x08\x01", "Frame: has two kinds");
}

/* Lists and arrays may be split by other fields, and numbers need not be packed. */
TEST(lists_need_not_be_in_one_piece)
{
    afar__pair pair;
    afar__list metadata;

    READ(AFAR__FRAME_CALL,
         "\x32\x03\x0a\x01"
         "a" ID "\x29"
         "\x01\0\0\0\0\0\0\0"
         "\x32\x03\x0a\x01"
         "b" TARGET METHOD "\x2a\x08"
         "\x02\0\0\0\0\0\0\0"
         "\x29"
         "\x03\0\0\0\0\0\0\0",
         call);
    CHECK_INT(call.call.n_chain, 3);
    for (uint64_t i = 0; i < 3; i++)
        CHECK_INT(call.call.chain[i], i + 1);
    metadata = call.call.metadata;
    CHECK_INT(metadata.count, 2);
    CHECK(afar__list_next_pair(&metadata, &pair) && is(pair.key, "a"));
    CHECK(afar__list_next_pair(&metadata, &pair) && is(pair.key, "b"));
    CHECK(!afar__list_next_pair(&metadata, &pair));
    CHECK(!afar__list_next_pair(&metadata, &pair));
    CHECK_INT(call.call.metadata.count, 2);
    DROP(call);
}

TEST(paths_packed_and_not)
{
    READ(AFAR__FRAME_CALL, ID "\x12\x0c\x12\x0a\x10\x05\x12\x02\x06\x07\x08\x09\x10\x08" METHOD,
         call);
    CHECK_INT(call.call.target.kind, AFAR__CALLEE_PROMISED);
    CHECK_INT(call.call.target.promised.call, 9);
    CHECK_INT(call.call.target.promised.n_path, 4);
    for (uint32_t i = 0; i < 4; i++)
        CHECK_INT(call.call.target.promised.path[i], i + 5);
    DROP(call);
}

/* ---- bytes that are nothing ---- */

TEST(bytes_that_are_no_batch)
{
    REFUSE_BATCH("\x0a", "Batch: a length without end");
    REFUSE_BATCH("\x0a\x05\x22", "Batch: goes beyond the end");
    REFUSE_BATCH("\x08\x01", "Batch: has the wire type of another kind of field");
    REFUSE_BATCH("\x02\x00", "Batch: field number 0");
    REFUSE_BATCH("\x0b\x0c", "Batch: a group, which cannot be read");
    REFUSE_BATCH("\x0f", "Batch: a wire type that is none");
    REFUSE_BATCH("\x0a\xff\xff\xff\xff\x0f", "Batch: goes beyond the end");
    REFUSE_BATCH("\x0a\x02\x20\x01", "Frame: has the wire type of another kind of field");
    REFUSE_BATCH("\x0a\x02\x7a\x00", "Frame: has the wire type of another kind of field");
    REFUSE_BATCH("\x0a\x02\x78\x80", "Frame: a varint without end");
    REFUSE(AFAR__FRAME_CALL,
           ID "\x3a\x05"
              "abc",
           "Call.payload: goes beyond the end");
    REFUSE(AFAR__FRAME_CALL,
           ID "\x2a\x07"
              "1234567",
           "Call.chain: is not a whole number of items");
    REFUSE(AFAR__FRAME_CALL, ID "\x12\x04\x12\x02\x12\x01", "Promised.path: goes beyond the end");
    REFUSE(AFAR__FRAME_CALL, ID "\x12\x05\x12\x03\x12\x01\x80",
           "Promised.path: a varint without end");
    REFUSE(AFAR__FRAME_CALL, ID "\x32\x02\x0a\x01", "Pair.key: goes beyond the end");
}

static bool
may_have(afar__form form, uint32_t type)
{
    switch (form) {
    case AFAR__FORM_UINT32:
    case AFAR__FORM_UINT64:
    case AFAR__FORM_BOOL:
        return type == 0;
    case AFAR__FORM_NUMBERS:
        return type == 0 || type == 2;
    case AFAR__FORM_FIXEDS:
        return type == 1 || type == 2;
    default:
        return type == 2;
    }
}

/* Each field of each kind of frame with each wire type that it must not have. */
TEST(fields_with_the_wire_type_of_others)
{
    static const char *const values[] = { "\x01", "12345678", "\x00", NULL, NULL, "1234" };
    static const size_t lengths[] = { 1, 8, 1, 0, 0, 4 };
    int refused = 0;

    for (uint32_t kind = 1; kind <= AFAR__FRAME_LAST_KIND; kind++) {
        const afar__layout *layout = &afar__frame_layouts[kind];

        for (uint32_t i = 0; i < 6 * layout->count; i++) {
            const afar__field *field = &layout->fields[i / 6];
            uint32_t type = i % 6;
            char message[9] = { (char)((i / 6 + 1) << 3 | type) }, why[128];

            if (may_have((afar__form)field->form, type) || !values[type])
                continue;
            memcpy(message + 1, values[type], lengths[type]);
            snprintf(why, sizeof why, "%s.%s: has the wire type of another kind of field",
                     layout->name, field->name);
            refuse(kind, message, 1 + lengths[type], why);
            refused++;
        }
    }
    CHECK(refused > 100);
}

/* ---- values ---- */

TEST(numbers_begin_at_1)
{
    REFUSE(AFAR__FRAME_CALL, TARGET METHOD, "Call.id: is 0; numbers begin at 1");
    REFUSE(AFAR__FRAME_CALL, ID TARGET, "Call.method: is 0; numbers begin at 1");
    REFUSE(AFAR__FRAME_CALL, ID METHOD "\x12\x02\x08\x00",
           "Target.export: is 0; numbers begin at 1");
    REFUSE(AFAR__FRAME_CALL, ID METHOD "\x12\x02\x12\x00",
           "Promised.call: is 0; numbers begin at 1");
    REFUSE(AFAR__FRAME_RETURN, "", "Return.call: is 0; numbers begin at 1");
    REFUSE(AFAR__FRAME_CANCEL, "", "Cancel.call: is 0; numbers begin at 1");
    REFUSE(AFAR__FRAME_FINISH, "", "Finish.call: is 0; numbers begin at 1");
    REFUSE(AFAR__FRAME_ITEM, "", "Item.call: is 0; numbers begin at 1");
    REFUSE(AFAR__FRAME_END, "", "End.call: is 0; numbers begin at 1");
    REFUSE(AFAR__FRAME_RELEASE, "", "Release.export: is 0; numbers begin at 1");
    REFUSE(AFAR__FRAME_METHOD, "\x12\x01/", "Method.number: is 0; numbers begin at 1");
    REFUSE(AFAR__FRAME_ITEM, ID "\x22\x02\x0a\x00", "Hosted.id: is 0; numbers begin at 1");
    REFUSE(AFAR__FRAME_ITEM, ID "\x22\x02\x10\x00", "Reference.yours: is 0; numbers begin at 1");
}

TEST(kinds_that_are_missing)
{
    REFUSE(AFAR__FRAME_CALL, ID METHOD,
           "Target: is missing, or has none of the kinds that there are");
    REFUSE(AFAR__FRAME_CALL, ID METHOD "\x12\x00",
           "Target: is missing, or has none of the kinds that there are");
    REFUSE(AFAR__FRAME_ITEM, ID "\x22\x00", "Reference: has none of the kinds that there are");
}

TEST(strings_are_utf8_without_a_zero_byte)
{
    REFUSE(AFAR__FRAME_CALL, ID METHOD "\x12\x03\x1a\x01\xff",
           "Target.name: is not UTF-8 without a zero byte");
    REFUSE(AFAR__FRAME_CALL, CALL "\x32\x03\x0a\x01\0",
           "Call.metadata: is not UTF-8 without a zero byte");
    REFUSE(AFAR__FRAME_RETURN, ID "\x10\x01\x1a\x02\xc0\x80",
           "Return.text: is not UTF-8 without a zero byte");
    REFUSE(AFAR__FRAME_RETURN, ID "\x2a\x03\x0a\x01\x80",
           "Return.initial: is not UTF-8 without a zero byte");
    REFUSE(AFAR__FRAME_RETURN, ID "\x32\x03\x0a\x01\x80",
           "Return.trailing: is not UTF-8 without a zero byte");
    REFUSE(AFAR__FRAME_ITEM, ID "\x10\x01\x2a\x03\x0a\x01\x80",
           "Item.initial: is not UTF-8 without a zero byte");
    REFUSE(AFAR__FRAME_GOODBYE, "\x12\x01\xfe", "Goodbye.text: is not UTF-8 without a zero byte");
    REFUSE(AFAR__FRAME_METHOD, ID "\x12\x01\xfe", "Method.path: is not UTF-8 without a zero byte");
    REFUSE(AFAR__FRAME_ITEM, ID "\x22\x05\x10\x01\x22\x01\xff",
           "Reference.interface: is not UTF-8 without a zero byte");
    REFUSE(AFAR__FRAME_ITEM, ID "\x22\x05\x1a\x03\x0a\x01\xff",
           "Address.address: is not UTF-8 without a zero byte");
    REFUSE(AFAR__FRAME_ITEM, ID "\x22\x05\x1a\x03\x12\x01\xff",
           "Address.name: is not UTF-8 without a zero byte");
    REFUSE(AFAR__FRAME_ITEM, ID "\x22\x09\x0a\x07\x08\x01\x12\x03\x0a\x01\xff",
           "Address.address: is not UTF-8 without a zero byte");
}

TEST(a_reply_is_a_success_or_a_failure)
{
    REFUSE(AFAR__FRAME_RETURN, ID "\x1a\x01x", "Return.text: comes with a success");
    REFUSE(AFAR__FRAME_RETURN, ID "\x48\x01", "Return.not_begun: comes with a success");
    REFUSE(AFAR__FRAME_RETURN, ID "\x10\x05\x3a\x01x", "Return.payload: comes with a failure");
    REFUSE(AFAR__FRAME_RETURN, ID "\x10\x05\x42" REFERENCE,
           "Return.references: come with a failure");
}

TEST(a_method_has_a_path)
{
    REFUSE(AFAR__FRAME_METHOD, ID, "Method.path: is empty");
}

TEST(a_caller_has_no_initial_metadata_in_its_items)
{
    REFUSE(AFAR__FRAME_ITEM, ID "\x2a\x03\x0a\x01x", "Item.initial: comes from the caller");
}

TEST(bytes_of_a_fixed_length)
{
    READ(AFAR__FRAME_HELLO, "\x1a\x10" INSTANCE "\x22\x10" INSTANCE, hello);
    CHECK(is(hello.hello.instance, INSTANCE) && is(hello.hello.host, INSTANCE));
    DROP(hello);
    REFUSE(AFAR__FRAME_HELLO, "", "Hello.instance: is missing");
    REFUSE(AFAR__FRAME_HELLO, "\x1a\x11" INSTANCE "x", "Hello.instance: is not of 16 bytes");
    REFUSE(AFAR__FRAME_HELLO, "\x1a\x01x", "Hello.instance: is not of 16 bytes");
    REFUSE(AFAR__FRAME_HELLO, "\x1a\x10" INSTANCE "\x22\x01x", "Hello.host: is not of 16 bytes");
    REFUSE(AFAR__FRAME_HELLO, "\x08\x02\x10\x01\x1a\x10" INSTANCE,
           "Hello.lowest: is above `highest`");
    REFUSE(AFAR__FRAME_ITEM, ID "\x22\x05\x1a\x03\x1a\x01x",
           "Address.instance: is not of 16 bytes");
    REFUSE(AFAR__FRAME_ITEM, ID "\x22\x05\x1a\x03\x22\x01x", "Address.key: is not of 32 bytes");
    REFUSE(AFAR__FRAME_ITEM, ID "\x22\x09\x0a\x07\x08\x01\x12\x03\x1a\x01x",
           "Address.instance: is not of 16 bytes");
}
