/* The limits of frames, each reached and passed by one, when a frame is read and when one is to be
 * written; and batches, with what they copy and what they borrow. */

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "frames/frames.h"

static uint8_t zeroes[AFAR__FRAME_MAX_BATCH + 64];

static const uint8_t letter[] = "x";

static afar__bytes
of_length(size_t length)
{
    CHECK(length <= sizeof zeroes);
    return (afar__bytes){ zeroes, length };
}

static afar__frame
a_call(void)
{
    afar__frame frame;

    memset(&frame, 0, sizeof frame);
    frame.kind = AFAR__FRAME_CALL;
    frame.call.id = 1;
    frame.call.method = 1;
    frame.call.target.kind = AFAR__CALLEE_EXPORT;
    frame.call.target.export = 1;
    return frame;
}

static afar__frame
an_item(size_t length)
{
    afar__frame frame;

    memset(&frame, 0, sizeof frame);
    frame.kind = AFAR__FRAME_ITEM;
    frame.item.call = 1;
    frame.item.payload = of_length(length);
    return frame;
}

/* ---- limits ---- */

static void
accept(const afar__frame *frame)
{
    struct frames_bytes batch = frames_written(frame);
    afar_error err = AFAR_ERROR_INIT;
    afar__frame read;

    CHECK_OK(afar__frame_check(frame, NULL, &err));
    frames_read_one(batch, &read);
    free(batch.data);
}

/* Not by us, and not from another. */
static void
refuse(const afar__frame *frame, const char *message)
{
    struct frames_bytes batch = frames_written(frame);
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(afar__frame_check(frame, NULL, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, message);
    frames_refuse(batch, message);
    afar_error_clear(&err);
    free(batch.data);
}

TEST(metadata_of_8_KiB)
{
    afar__pair pairs[3] = {
        { .key = { letter, 1 }, .value = of_length(8192 - 3 * 32 - 2) },
        { .key = { letter, 1 } },
    };
    const afar__list lists[] = { { .count = 3, .items = pairs }, { .count = 0 } };
    afar__frame call = a_call();
    afar__frame returned = { .kind = AFAR__FRAME_RETURN, .returned = { .call = 1 } };
    afar__frame item = { .kind = AFAR__FRAME_ITEM, .item = { .call = 1, .to_caller = true } };

    call.call.metadata = lists[0];
    returned.returned.initial = lists[0];
    returned.returned.trailing = lists[0];
    item.item.initial = lists[0];
    accept(&call);
    accept(&returned);
    accept(&item);
    pairs[2].value = of_length(1);
    refuse(&call, "Call.metadata: is larger than 8 KiB, with 32 bytes for each pair");
    refuse(&returned, "Return.initial: is larger than 8 KiB, with 32 bytes for each pair");
    refuse(&item, "Item.initial: is larger than 8 KiB, with 32 bytes for each pair");
    returned.returned.initial = lists[1];
    refuse(&returned, "Return.trailing: is larger than 8 KiB, with 32 bytes for each pair");
}

TEST(metadata_of_many_empty_pairs)
{
    static afar__pair pairs[257];
    afar__frame call = a_call();

    call.call.metadata = (afar__list){ .count = 256, .items = pairs };
    accept(&call);
    call.call.metadata.count = 257;
    refuse(&call, "Call.metadata: is larger than 8 KiB, with 32 bytes for each pair");
}

TEST(references_4096)
{
    static afar__reference references[4097];
    afar__list list = { .count = 4096, .items = references };
    afar__frame call = a_call(), item = an_item(0);
    afar__frame returned = { .kind = AFAR__FRAME_RETURN, .returned = { .call = 1 } };

    for (size_t i = 0; i < 4097; i++) {
        references[i].kind = AFAR__REFERENCE_YOURS;
        references[i].yours = 1;
    }
    call.call.references = item.item.references = returned.returned.references = list;
    accept(&call);
    accept(&item);
    accept(&returned);
    list.count++;
    call.call.references = item.item.references = returned.returned.references = list;
    refuse(&call, "Call.references: has more items than allowed");
    refuse(&item, "Item.references: has more items than allowed");
    refuse(&returned, "Return.references: has more items than allowed");
}

TEST(method_of_512_bytes)
{
    uint8_t path[513];
    afar__frame method = { .kind = AFAR__FRAME_METHOD, .method = { 1, { path, 512 } } };

    memset(path, '/', sizeof path);
    accept(&method);
    method.method.path.length++;
    refuse(&method, "Method.path: is longer than 512 bytes");
}

/* What has a place in a struct cannot be written with more: these are put together by hand. */
static void
check_array(uint32_t kind, const char *head, size_t head_length, size_t most, const char *message)
{
    uint8_t bytes[256];
    struct frames_bytes batch;
    afar__frame frame;

    memcpy(bytes, head, head_length);
    bytes[head_length] = (uint8_t)most;
    memset(bytes + head_length + 1, 1, most + 1);
    batch = frames_framed(kind, bytes, head_length + 1 + most);
    frames_read_one(batch, &frame);
    free(batch.data);
    bytes[head_length]++;
    batch = frames_framed(kind, bytes, head_length + 2 + most);
    frames_refuse(batch, message);
    free(batch.data);
}

TEST(features_64)
{
    static const char head[] = "\x1a\x10"
                               "0123456789abcdef"
                               "\x32";

    check_array(AFAR__FRAME_HELLO, head, sizeof head - 1, 64,
                "Hello.features: has more items than allowed");
}

TEST(chain_of_16)
{
    afar__frame call = a_call();
    struct frames_bytes batch, longer;
    uint8_t more[9] = { 5 << 3 | 1, 9 };

    call.call.n_chain = 16;
    accept(&call);
    batch = frames_written(&call);
    longer = frames_new_bytes(afar__frame_length(&call) + sizeof more);
    memcpy(longer.data, batch.data + batch.length - (longer.length - sizeof more),
           longer.length - sizeof more);
    memcpy(longer.data + longer.length - sizeof more, more, sizeof more);
    free(batch.data);
    batch = frames_framed(AFAR__FRAME_CALL, longer.data, longer.length);
    frames_refuse(batch, "Call.chain: has more items than allowed");
    free(batch.data);
    free(longer.data);
}

TEST(path_of_16)
{
    afar__frame call = a_call();
    struct frames_bytes batch;
    uint8_t message[64] = "\x08\x01\x18\x01\x12\x17\x12\x15\x08\x01\x12\x11";

    call.call.target.kind = AFAR__CALLEE_PROMISED;
    memset(&call.call.target.promised, 0, sizeof call.call.target.promised);
    call.call.target.promised.call = 1;
    call.call.target.promised.n_path = 16;
    accept(&call);
    batch = frames_framed(AFAR__FRAME_CALL, message, 12 + 17);
    frames_refuse(batch, "Promised.path: has more items than allowed");
    free(batch.data);
}

/* Far more than there is room for in any struct. */
TEST(arrays_of_100000_items)
{
    static const char *const heads[] = { "\x32\xa0\x8d\x06", "\x2a\xa0\x8d\x06",
                                         "\x12\xa8\x8d\x06\x12\xa4\x8d\x06\x12\xa0\x8d\x06" };
    static const uint32_t kinds[] = { AFAR__FRAME_HELLO, AFAR__FRAME_CALL, AFAR__FRAME_CALL };
    static const char *const messages[] = { "Hello.features: has more items than allowed",
                                            "Call.chain: has more items than allowed",
                                            "Promised.path: has more items than allowed" };
    static uint8_t bytes[100032];

    for (size_t i = 0; i < 3; i++) {
        size_t head = strlen(heads[i]);
        struct frames_bytes batch;

        memset(bytes, 1, sizeof bytes);
        memcpy(bytes, heads[i], head);
        batch = frames_framed(kinds[i], bytes, head + 100000);
        frames_refuse(batch, messages[i]);
        free(batch.data);
    }
}

TEST(frame_of_1_MiB_beside_its_payload)
{
    size_t most = AFAR__FRAME_MAX_REST - 2 - 4; /* the call, tag and length */
    afar__frame returned = { .kind = AFAR__FRAME_RETURN, .returned = { .call = 1 } };

    returned.returned.details = of_length(most - 4);
    returned.returned.payload = of_length(100);
    CHECK_INT(afar__frame_length(&returned), AFAR__FRAME_MAX_REST - 4 + 2 + 100);
    returned.returned.details = of_length(most - 2);
    CHECK_INT(afar__frame_length(&returned), AFAR__FRAME_MAX_REST + 100);
    accept(&returned);
    returned.returned.details.length++;
    refuse(&returned, "Return: is larger than 1 MiB without its payload");
}

TEST(check_counts_arrays)
{
    afar__frame call = a_call();
    afar_error err = AFAR_ERROR_INIT;

    call.call.n_chain = 17;
    CHECK_FAILS(afar__frame_check(&call, NULL, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "Call.chain: has more items than allowed");
    afar_error_clear(&err);
}

/* ---- batches ---- */

static afar_code
read_batch(const afar__batch *batch, size_t *ret_frames)
{
    struct frames_bytes whole = frames_of_batch(batch);
    afar__frame_reader reader;
    afar__frame frame;
    afar_code code;
    size_t n = 0;

    afar__frame_reader_init(&reader, whole.data, whole.length);
    while (!(code = afar__frame_read(&reader, &frame, NULL)))
        n++;
    free(whole.data);
    *ret_frames = n;
    return code;
}

TEST(batch_of_1_MiB_or_of_one_frame)
{
    afar__batch batch = { .bytes = NULL };
    afar__frame small = an_item(100), large = an_item(AFAR__FRAME_MAX_BATCH);
    size_t frames, taken = afar__frame_size(&small);

    CHECK(afar__batch_add(&batch, &large));
    CHECK(batch.length > AFAR__FRAME_MAX_BATCH);
    CHECK(read_batch(&batch, &frames) == AFAR_ENDED && frames == 1);
    CHECK(afar__batch_add(&batch, &small));
    CHECK(read_batch(&batch, &frames) == AFAR_INTERNAL && frames == 1);

    afar__batch_clear(&batch);
    large = an_item(AFAR__FRAME_MAX_BATCH - taken - 14); /* tags, lengths and the call */
    CHECK_INT(afar__frame_size(&large) + taken, AFAR__FRAME_MAX_BATCH);
    CHECK(afar__batch_add(&batch, &small) && afar__batch_add(&batch, &large));
    CHECK(read_batch(&batch, &frames) == AFAR_ENDED && frames == 2);
    afar__batch_free(&batch);
}

TEST(long_payloads_are_borrowed_and_short_ones_copied)
{
    static uint8_t payload[AFAR__BATCH_COPY + 1];
    afar__batch batch = { .bytes = NULL };
    afar__batch_place place = { 0, 0 };
    afar__frame copied = an_item(0), borrowed = an_item(0);
    afar__bytes piece;

    copied.item.payload = (afar__bytes){ payload, AFAR__BATCH_COPY };
    borrowed.item.payload = (afar__bytes){ payload, AFAR__BATCH_COPY + 1 };
    CHECK(afar__batch_add(&batch, &copied) && afar__batch_add(&batch, &borrowed));
    CHECK(afar__batch_add(&batch, &borrowed));
    CHECK(afar__batch_next(&batch, &place, &piece) && piece.length > AFAR__BATCH_COPY);
    CHECK(afar__batch_next(&batch, &place, &piece) && piece.data == payload);
    CHECK_INT(piece.length, AFAR__BATCH_COPY + 1);
    CHECK(afar__batch_next(&batch, &place, &piece) && piece.length < 20);
    CHECK(afar__batch_next(&batch, &place, &piece) && piece.data == payload);
    CHECK(!afar__batch_next(&batch, &place, &piece));
    CHECK(!afar__batch_next(&batch, &place, &piece));
    afar__batch_free(&batch);
}

TEST(batch_is_used_again)
{
    afar__batch batch = { .bytes = NULL };
    afar__batch_place place = { 0, 0 };
    afar__frame item = an_item(2000);
    afar__bytes piece;
    size_t frames;

    CHECK(!afar__batch_next(&batch, &place, &piece));
    for (size_t i = 1; i <= 500; i++)
        CHECK(afar__batch_add(&batch, &item));
    CHECK(read_batch(&batch, &frames) == AFAR_ENDED && frames == 500);
    afar__batch_clear(&batch);
    CHECK_INT(batch.length, 0);
    CHECK_INT(batch.frames, 0);
    CHECK(!afar__batch_next(&batch, &place, &piece));
    item = an_item(3);
    CHECK(afar__batch_add(&batch, &item));
    CHECK_INT(batch.length, afar__frame_size(&item));
    CHECK(read_batch(&batch, &frames) == AFAR_ENDED && frames == 1);
    afar__batch_free(&batch);
    CHECK(!batch.bytes && !batch.gaps && batch.room == 0 && batch.gap_room == 0);
    afar__batch_free(&batch);
}

/* A call that has to wait: its bytes are kept, and read once more. */
TEST(wire_of_a_frame_is_a_batch)
{
    afar__batch batch = { .bytes = NULL };
    afar__frame call = a_call(), item = an_item(7);
    struct frames_bytes whole, kept;
    afar__frame_reader reader;
    afar__frame read;

    CHECK(afar__batch_add(&batch, &item) && afar__batch_add(&batch, &call));
    CHECK(afar__batch_add(&batch, &item));
    whole = frames_of_batch(&batch);
    afar__frame_reader_init(&reader, whole.data, whole.length);
    CHECK(afar__frame_read(&reader, &read, NULL) == AFAR_OK);
    CHECK(afar__frame_read(&reader, &read, NULL) == AFAR_OK);
    CHECK_INT(read.wire.length, afar__frame_size(&call));
    kept = frames_new_bytes(read.wire.length);
    memcpy(kept.data, read.wire.data, kept.length);
    free(whole.data);
    frames_read_one(kept, &read);
    CHECK_INT(read.kind, AFAR__FRAME_CALL);
    CHECK_INT(read.call.target.export, 1);
    free(kept.data);
    afar__batch_free(&batch);
}

/* ---- memory ---- */

void *
__real_realloc(void *piece, size_t size);

void *
__wrap_realloc(void *piece, size_t size);

static int reallocs_left = -1; /* before one fails; below 0: none does */

/* The linker sends the calls of realloc here (CMakeLists.txt). */
void *
__wrap_realloc(void *piece, size_t size)
{
    if (reallocs_left >= 0 && reallocs_left-- == 0)
        return NULL;
    return __real_realloc(piece, size);
}

/* Adds to a batch that has one frame already, with the n-th allocation failing. */
static bool
add_failing_after(int n, const afar__frame *frame)
{
    afar__batch batch = { .bytes = NULL };
    afar__frame first = an_item(10);
    size_t frames;
    bool added;

    CHECK(afar__batch_add(&batch, &first));
    reallocs_left = n;
    added = afar__batch_add(&batch, frame);
    reallocs_left = -1;
    CHECK_INT(batch.frames, added ? 2 : 1);
    CHECK_INT(batch.length, afar__frame_size(&first) + (added ? afar__frame_size(frame) : 0));
    CHECK(read_batch(&batch, &frames) == AFAR_ENDED && frames == batch.frames);
    CHECK(afar__batch_add(&batch, frame));
    CHECK(read_batch(&batch, &frames) == AFAR_ENDED && frames == batch.frames);
    afar__batch_free(&batch);
    return added;
}

TEST(batch_stays_as_it_was_when_memory_is_out)
{
    afar__frame returned = { .kind = AFAR__FRAME_RETURN, .returned = { .call = 1 } };

    returned.returned.details = of_length(3000);
    returned.returned.payload = of_length(3000);
    CHECK(!add_failing_after(0, &returned));
    CHECK(!add_failing_after(1, &returned));
    CHECK(add_failing_after(2, &returned));
}
