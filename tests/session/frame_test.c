/* Frames against protobuf-c, which has the same messages from session.proto: what one writes the
 * other reads, whatever the contents.  Then what protobuf-c knows nothing of: rules, limits,
 * and bytes that nobody would write. */

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "frames/frames.h"
#include "runtime/session/frame_layout.h"

#define ROUNDS 300 /* of each kind */
#define MUTATIONS 200

static frames_maker
new_maker(uint64_t seed)
{
    frames_maker maker = { { .state = seed }, afar__arena_new(65536) };

    CHECK(maker.arena != NULL);
    return maker;
}

/* A batch of one frame, by protobuf-c. */
static struct frames_bytes
packed(frames_proto *frame)
{
    Afar__Session__V1__Batch batch = AFAR__SESSION__V1__BATCH__INIT;
    struct frames_bytes whole;

    batch.n_frames = 1;
    batch.frames = &frame;
    whole = frames_new_bytes(afar__session__v1__batch__get_packed_size(&batch));
    afar__session__v1__batch__pack(&batch, whole.data);
    return whole;
}

static void
check_same(struct frames_bytes a, struct frames_bytes b)
{
    CHECK_INT(a.length, b.length);
    CHECK(memcmp(a.data, b.data, a.length) == 0);
}

/* ---- against protobuf-c ---- */

static void
check_both_ways(frames_maker *maker, const afar__frame *frame)
{
    struct frames_bytes ours = frames_written(frame);
    struct frames_bytes theirs = packed(frames_to_proto(maker->arena, frame));
    struct frames_bytes again;
    afar__frame read;

    check_same(ours, theirs);
    frames_read_one(theirs, &read);
    CHECK_INT(read.kind, frame->kind);
    CHECK_INT(read.number, frame->kind);
    CHECK_INT(read.length, afar__frame_length(frame));
    again = packed(frames_to_proto(maker->arena, &read));
    check_same(theirs, again);
    free(again.data);
    again = frames_written(&read);
    check_same(theirs, again);
    free(again.data);
    free(theirs.data);
    free(ours.data);
}

TEST(both_write_and_read_the_same)
{
    frames_maker maker = new_maker(1);

    for (uint32_t kind = 1; kind <= AFAR__FRAME_LAST_KIND; kind++) {
        for (int i = 0; i < ROUNDS; i++) {
            afar_error err = AFAR_ERROR_INIT;
            afar__frame frame;
            size_t length = 0;

            frames_make(&maker, kind, &frame);
            CHECK_OK(afar__frame_check(&frame, &length, &err));
            CHECK_INT(length, afar__frame_length(&frame));
            check_both_ways(&maker, &frame);
            afar__arena_reset(maker.arena);
        }
    }
    afar__arena_free(maker.arena);
}

static afar__form
form_of(const ProtobufCFieldDescriptor *field)
{
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;

    switch (field->type) {
    case PROTOBUF_C_TYPE_UINT32:
        return repeated ? AFAR__FORM_NUMBERS : AFAR__FORM_UINT32;
    case PROTOBUF_C_TYPE_ENUM:
        return AFAR__FORM_UINT32;
    case PROTOBUF_C_TYPE_UINT64:
        return AFAR__FORM_UINT64;
    case PROTOBUF_C_TYPE_FIXED64:
        return AFAR__FORM_FIXEDS;
    case PROTOBUF_C_TYPE_BOOL:
        return AFAR__FORM_BOOL;
    case PROTOBUF_C_TYPE_MESSAGE:
        return repeated ? AFAR__FORM_LIST : AFAR__FORM_MESSAGE;
    default:
        return strcmp(field->name, "payload") == 0 ? AFAR__FORM_PAYLOAD : AFAR__FORM_BYTES;
    }
}

static void
check_layout(const afar__layout *layout, const ProtobufCMessageDescriptor *type)
{
    CHECK_STR(layout->name, type->short_name);
    CHECK_INT(layout->count, type->n_fields);
    for (uint32_t i = 0; i < layout->count; i++) {
        const afar__field *ours = &layout->fields[i];
        const ProtobufCFieldDescriptor *theirs = &type->fields[i];

        CHECK_INT(theirs->id, i + 1);
        CHECK_STR(ours->name, theirs->name);
        CHECK_INT(ours->form, form_of(theirs));
        CHECK_INT(ours->one_of, (theirs->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0);
        if (theirs->type == PROTOBUF_C_TYPE_MESSAGE)
            check_layout(ours->message, theirs->descriptor);
    }
}

TEST(tables_are_those_of_the_schema)
{
    const ProtobufCMessageDescriptor *frame = &afar__session__v1__frame__descriptor;

    CHECK_INT(frame->n_fields, AFAR__FRAME_LAST_KIND + 1);
    for (uint32_t kind = 1; kind <= AFAR__FRAME_LAST_KIND; kind++) {
        CHECK_INT(frame->fields[kind - 1].id, kind);
        check_layout(&afar__frame_layouts[kind], frame->fields[kind - 1].descriptor);
    }
    CHECK_INT(frame->fields[AFAR__FRAME_LAST_KIND].id, AFAR__FRAME_FIELD_MAY_IGNORE);
    CHECK_STR(afar__frame_name(AFAR__FRAME_CALL), "Call");
    CHECK_STR(afar__frame_name(AFAR__FRAME_LAST_KIND + 1), "frame");
}

/* Reads a batch to its end, as protobuf-c's frames; NULL if it is refused. */
static Afar__Session__V1__Batch *
read_all(afar__arena *arena, struct frames_bytes batch)
{
    Afar__Session__V1__Batch *read = afar__arena_zalloc(arena, sizeof *read);
    afar_error err = AFAR_ERROR_INIT;
    afar__frame_reader reader;
    afar__frame frame;
    afar_code code;

    afar__session__v1__batch__init(read);
    read->frames = afar__arena_zalloc(arena, (batch.length / 2 + 1) * sizeof *read->frames);
    CHECK(read->frames != NULL);
    afar__frame_reader_init(&reader, batch.data, batch.length);
    while (!(code = afar__frame_read(&reader, &frame, &err)))
        read->frames[read->n_frames++] = frames_to_proto(arena, &frame);
    CHECK_INT(code == AFAR_ENDED, err.message[0] == 0);
    afar_error_clear(&err);
    return code == AFAR_ENDED ? read : NULL;
}

/* What we accept protobuf-c accepts, and takes for the same; what it refuses we refuse.
 * Returns whether we accept. */
static bool
check_agreed(afar__arena *arena, struct frames_bytes batch)
{
    Afar__Session__V1__Batch *ours = read_all(arena, batch);
    Afar__Session__V1__Batch *theirs =
        afar__session__v1__batch__unpack(NULL, batch.length, batch.data);
    struct frames_bytes a, b;

    CHECK(theirs != NULL || ours == NULL);
    if (ours) {
        frames_strip(&theirs->base);
        a = frames_new_bytes(afar__session__v1__batch__get_packed_size(ours));
        afar__session__v1__batch__pack(ours, a.data);
        b = frames_new_bytes(afar__session__v1__batch__get_packed_size(theirs));
        afar__session__v1__batch__pack(theirs, b.data);
        check_same(a, b);
        free(a.data);
        free(b.data);
    }
    if (theirs)
        afar__session__v1__batch__free_unpacked(theirs, NULL);
    return ours != NULL;
}

/* A batch of a few frames; `ends`, if not NULL, is where each of them ends. */
static struct frames_bytes
several(frames_maker *maker, size_t count, size_t *ends)
{
    afar__batch batch = { .bytes = NULL };
    struct frames_bytes whole;

    for (size_t i = 0; i < count; i++) {
        afar__frame frame;

        frames_make(maker, 1 + (uint32_t)random_below(&maker->random, AFAR__FRAME_LAST_KIND),
                    &frame);
        CHECK(afar__batch_add(&batch, &frame));
        if (ends)
            ends[i] = batch.length;
    }
    CHECK_INT(batch.frames, count);
    whole = frames_of_batch(&batch);
    afar__batch_free(&batch);
    return whole;
}

TEST(changed_bytes_are_read_as_protobuf_reads_them_or_refused)
{
    frames_maker maker = new_maker(2);
    int accepted = 0, refused = 0;

    for (int round = 0; round < ROUNDS; round++) {
        struct frames_bytes whole = several(&maker, 3, NULL);
        struct frames_bytes changed = frames_new_bytes(whole.length);

        for (int i = 0; i < MUTATIONS && whole.length < 4000; i++) {
            memcpy(changed.data, whole.data, whole.length);
            for (size_t n = random_below(&maker.random, 3) + 1; n > 0; n--)
                changed.data[random_below(&maker.random, whole.length)] =
                    (uint8_t)random_next(&maker.random);
            if (check_agreed(maker.arena, changed))
                accepted++;
            else
                refused++;
            afar__arena_reset(maker.arena);
        }
        free(changed.data);
        free(whole.data);
    }
    CHECK(accepted > 1000 && refused > 1000);
    afar__arena_free(maker.arena);
}

TEST(random_messages_of_protobuf_are_read_the_same_or_refused)
{
    frames_maker maker = new_maker(3);
    int accepted = 0;

    for (int i = 0; i < 20000; i++) {
        ProtobufCMessage *frame =
            random_message(&maker.random, &afar__session__v1__frame__descriptor, 4, maker.arena);
        struct frames_bytes batch = packed((frames_proto *)frame);

        accepted += check_agreed(maker.arena, batch);
        free(batch.data);
        afar__arena_reset(maker.arena);
    }
    CHECK(accepted > 1000);
    afar__arena_free(maker.arena);
}

/* A batch that was cut ends at the end of a frame, or is refused. */
TEST(cut_at_every_byte)
{
    frames_maker maker = new_maker(4);

    for (int round = 0; round < 20; round++) {
        size_t ends[3], whole_frames = 0;
        struct frames_bytes whole = several(&maker, 3, ends);

        for (size_t cut = 0; cut<whole.length; cut += whole.length> 5000 ? 97 : 1) {
            struct frames_bytes part = frames_new_bytes(cut);
            Afar__Session__V1__Batch *read;

            while (whole_frames < 3 && ends[whole_frames] <= cut)
                whole_frames++;
            memcpy(part.data, whole.data, cut);
            read = read_all(maker.arena, part);
            if (cut == 0 || (whole_frames > 0 && cut == ends[whole_frames - 1]))
                CHECK(read != NULL && read->n_frames == whole_frames);
            else
                CHECK(read == NULL);
            free(part.data);
        }
        free(whole.data);
        afar__arena_reset(maker.arena);
    }
    afar__arena_free(maker.arena);
}

/* The frame says how long it is, so only its contents are cut. */
TEST(contents_cut_at_every_byte)
{
    frames_maker maker = new_maker(5);

    for (uint32_t kind = 1; kind <= AFAR__FRAME_LAST_KIND; kind++) {
        for (int round = 0; round < 5; round++) {
            afar__frame frame;
            struct frames_bytes whole;
            size_t length;

            frames_make(&maker, kind, &frame);
            frame.may_ignore = false;
            length = afar__frame_length(&frame);
            whole = frames_written(&frame);
            for (size_t cut = 0; cut<length; cut += length> 5000 ? 97 : 1) {
                struct frames_bytes part =
                    frames_framed(kind, whole.data + whole.length - length, cut);

                check_agreed(maker.arena, part);
                free(part.data);
            }
            free(whole.data);
            afar__arena_reset(maker.arena);
        }
    }
    afar__arena_free(maker.arena);
}
