/* Reading frames.  Two steps: the bytes into a struct, by the tables of frame_layout.c, which can
 * fail on what is no protobuf or another type; then the rules about values, in frame_check.c.
 *
 * Nothing is copied but numbers: a struct points into the batch.  Arrays with a small limit are
 * in the struct.  A list is read once to be checked and counted, each item into the same struct,
 * and again when its owner walks through it.
 *
 * Each byte is looked at a fixed number of times, whatever it says: the messages of the
 * protocol do not contain themselves, so the depth of the recursion is that of the tables (4).
 *
 * Any thread; a reader belongs to one. */

#include "runtime/session/frame.h"

#include <endian.h>
#include <string.h>

#include "runtime/session/frame_layout.h"
#include "runtime/wire.h"

/* One item of any list. */
union item {
    afar__pair pair;
    afar__reference reference;
};

struct reading {
    const afar__layout *layout;
    char *to;             /* the struct */
    const uint8_t *start; /* of the field that is read: its tag */
    const uint8_t *end;   /* of the message */
    uint32_t seen;        /* messages that came, by 1 << number */
};

static const char *
read_message(const afar__layout *layout, void *to, const uint8_t *at, const uint8_t *end,
             afar__fault *fault);

static const char another_type[] = "has the wire type of another kind of field";

/* ---- fields ---- */

/* Each of these returns NULL, or what is wrong with the field; fault->what is then set
 * already if it is something further inside. */

static const char *
add_number(const afar__field *field, char *to, uint64_t value)
{
    uint32_t *count = (void *)(to + field->offset);

    if (*count == field->most)
        return "has more items than allowed";
    if (field->form == AFAR__FORM_FIXEDS)
        ((uint64_t *)(void *)(to + field->array))[*count] = value;
    else
        ((uint32_t *)(void *)(to + field->array))[*count] = (uint32_t)value;
    ++*count;
    return NULL;
}

static uint64_t
fixed(const uint8_t *data)
{
    uint64_t value;

    memcpy(&value, data, sizeof value);
    return le64toh(value);
}

static const char *
read_packed(const afar__field *field, char *to, const afar__wire_field *wire)
{
    const uint8_t *at = wire->data, *end = at + wire->length;
    const char *wrong = NULL;

    while (!wrong && at < end) {
        uint64_t value = 0;

        if (field->form == AFAR__FORM_FIXEDS) {
            if (end - at < 8)
                return "is not a whole number of items";
            value = fixed(at);
            at += 8;
        } else {
            at = afar__wire_varint(at, end, &value);
            if (!at)
                return "a varint without end";
        }
        wrong = add_number(field, to, value);
    }
    return wrong;
}

/* Numbers are packed, or each has a tag: both are proto3. */
static const char *
read_numbers(const afar__field *field, char *to, const afar__wire_field *wire)
{
    uint32_t single = field->form == AFAR__FORM_FIXEDS ? AFAR__WIRE_64 : AFAR__WIRE_VARINT;

    if (wire->type == AFAR__WIRE_LENGTH)
        return read_packed(field, to, wire);
    if (wire->type != single)
        return another_type;
    return add_number(field, to, single == AFAR__WIRE_64 ? fixed(wire->data) : wire->value);
}

static const char *
read_item(const struct reading *in, const afar__field *field, const afar__wire_field *wire,
          afar__fault *fault)
{
    afar__list *list = (void *)(in->to + field->offset);
    union item item;

    if (list->count++ == 0) {
        list->wire = (afar__bytes){ in->start, (size_t)(in->end - in->start) };
        list->number = wire->number;
    }
    memset(&item, 0, sizeof item);
    return read_message(field->message, &item, wire->data, wire->data + wire->length, fault);
}

static const char *
read_lengthy(struct reading *in, const afar__field *field, const afar__wire_field *wire,
             afar__fault *fault)
{
    uint32_t bit = UINT32_C(1) << wire->number;
    char *to = in->to + field->offset;

    if (wire->type != AFAR__WIRE_LENGTH)
        return another_type;
    if (field->form == AFAR__FORM_LIST)
        return read_item(in, field, wire, fault);
    if (field->form != AFAR__FORM_MESSAGE) {
        *(afar__bytes *)(void *)to = (afar__bytes){ wire->data, wire->length };
        return NULL;
    }
    if (in->seen & bit)
        return "comes twice";
    in->seen |= bit;
    return read_message(field->message, to, wire->data, wire->data + wire->length, fault);
}

static const char *
read_field(struct reading *in, const afar__field *field, const afar__wire_field *wire,
           afar__fault *fault)
{
    char *to = in->to + field->offset;

    if (field->one_of) {
        uint32_t *kind = (void *)in->to;

        if (*kind != 0)
            return "comes beside another member of its oneof";
        *kind = wire->number;
    }
    if (field->form == AFAR__FORM_NUMBERS || field->form == AFAR__FORM_FIXEDS)
        return read_numbers(field, in->to, wire);
    if (field->form >= AFAR__FORM_BYTES)
        return read_lengthy(in, field, wire, fault);
    if (wire->type != AFAR__WIRE_VARINT)
        return another_type;
    if (field->form == AFAR__FORM_UINT32)
        *(uint32_t *)(void *)to = (uint32_t)wire->value;
    else if (field->form == AFAR__FORM_UINT64)
        *(uint64_t *)(void *)to = wire->value;
    else
        *(bool *)to = wire->value != 0;
    return NULL;
}

/* ---- messages ---- */

/* Reads a message into its struct, which is zeroed.  Returns NULL or what is wrong, and then
 * the whole fault is known. */
static const char *
read_message(const afar__layout *layout, void *to, const uint8_t *at, const uint8_t *end,
             afar__fault *fault)
{
    struct reading in = { .layout = layout, .to = to, .end = end };

    while (at < end) {
        const afar__field *field = NULL;
        afar__wire_field wire;
        const char *wrong;

        in.start = at;
        wrong = afar__wire_next(&at, end, &wire);
        if (wire.number >= 1 && wire.number <= layout->count)
            field = &layout->fields[wire.number - 1];
        if (!wrong && field)
            wrong = read_field(&in, field, &wire, fault);
        if (!wrong)
            continue;
        if (!fault->what)
            *fault = (afar__fault){ layout->name, field ? field->name : NULL, wrong };
        return wrong;
    }
    return NULL;
}

static const char *
read_kind(afar__frame *frame, const afar__wire_field *wire, afar__fault *fault)
{
    const afar__layout *layout = &afar__frame_layouts[wire->number];
    void *body = (char *)frame + AFAR__FRAME_BODY;

    if (frame->kind != AFAR__FRAME_NONE)
        return "has two kinds";
    if (wire->type != AFAR__WIRE_LENGTH)
        return another_type;
    frame->kind = wire->number;
    frame->length = wire->length;
    memset(body, 0, layout->size);
    return read_message(layout, body, wire->data, wire->data + wire->length, fault);
}

/* A frame whose kind is not known has the first number that is not. */
static const char *
read_frame(afar__frame *frame, const uint8_t *at, const uint8_t *end, afar__fault *fault)
{
    afar__wire_field wire;
    const char *wrong = NULL;

    frame->kind = AFAR__FRAME_NONE;
    frame->number = 0;
    frame->length = 0;
    frame->may_ignore = false;
    while (!wrong && at < end) {
        wrong = afar__wire_next(&at, end, &wire);
        if (wrong)
            break;
        if (wire.number <= AFAR__FRAME_LAST_KIND)
            wrong = read_kind(frame, &wire, fault);
        else if (wire.number != AFAR__FRAME_FIELD_MAY_IGNORE)
            frame->number = frame->number ? frame->number : wire.number;
        else if (wire.type == AFAR__WIRE_VARINT)
            frame->may_ignore = wire.value != 0;
        else
            wrong = another_type;
    }
    if (frame->kind != AFAR__FRAME_NONE)
        frame->number = frame->kind;
    return wrong;
}

/* ---- batches ---- */

void
afar__frame_reader_init(afar__frame_reader *reader, const void *batch, size_t length)
{
    const uint8_t *at = length > 0 ? batch : (const uint8_t *)"";

    *reader = (afar__frame_reader){ .at = at, .end = at + length, .length = length };
}

/* Finds the next frame.  Fields of Batch that are not known are skipped. */
static const char *
find_frame(afar__frame_reader *reader, const uint8_t **ret_start, afar__wire_field *ret_wire)
{
    while (reader->at < reader->end) {
        const char *wrong;

        *ret_start = reader->at;
        wrong = afar__wire_next(&reader->at, reader->end, ret_wire);
        if (wrong)
            return wrong;
        if (ret_wire->number != 1)
            continue;
        if (ret_wire->type != AFAR__WIRE_LENGTH)
            return another_type;
        if (reader->read++ > 0 && reader->length > AFAR__FRAME_MAX_BATCH)
            return "is larger than 1 MiB and has more than one frame";
        return NULL;
    }
    *ret_start = NULL;
    return NULL;
}

afar_code
afar__frame_read(afar__frame_reader *reader, afar__frame *ret_frame, afar_error *err)
{
    afar__fault fault = { "Batch", NULL, NULL };
    const uint8_t *start = NULL;
    afar__wire_field wire;
    const char *wrong = find_frame(reader, &start, &wire);

    if (!wrong && !start)
        return AFAR_ENDED;
    if (!wrong) {
        fault.message = "Frame";
        ret_frame->wire = (afar__bytes){ start, (size_t)(reader->at - start) };
        wrong = read_frame(ret_frame, wire.data, wire.data + wire.length, &fault);
    }
    if (!wrong && afar__frame_is_good(ret_frame, ret_frame->length, &fault))
        return AFAR_OK;
    if (!fault.what)
        fault.what = wrong;
    reader->at = reader->end;
    return afar__frame_fail(&fault, AFAR_INTERNAL, err);
}

/* ---- lists ---- */

/* Finds and reads the next item on the wire. */
static bool
next_on_wire(afar__list *list, const afar__layout *layout, void *item)
{
    const uint8_t *at = list->wire.data, *end = at + list->wire.length;
    afar__fault fault = { NULL, NULL, NULL };
    afar__wire_field wire;

    do {
        if (at == end || afar__wire_next(&at, end, &wire))
            return false;
    } while (wire.number != list->number);
    list->wire = (afar__bytes){ at, (size_t)(end - at) };
    return !read_message(layout, item, wire.data, wire.data + wire.length, &fault);
}

/* Takes the first item of a list that has one into a struct that is zeroed. */
static bool
next_item(afar__list *list, const afar__layout *layout, void *item)
{
    list->count--;
    if (!list->items)
        return next_on_wire(list, layout, item);
    memcpy(item, list->items, layout->size);
    list->items = (const char *)list->items + layout->size;
    return true;
}

bool
afar__list_next_pair(afar__list *list, afar__pair *ret_pair)
{
    if (list->count == 0)
        return false;
    memset(ret_pair, 0, sizeof *ret_pair);
    return next_item(list, &afar__layout_pair, ret_pair);
}

bool
afar__list_next_reference(afar__list *list, afar__reference *ret_reference)
{
    if (list->count == 0)
        return false;
    memset(ret_reference, 0, sizeof *ret_reference);
    return next_item(list, &afar__layout_reference, ret_reference);
}
