/* Writing frames into a batch, by the tables of frame_layout.c.  The fields are in the order of
 * their numbers and what is 0 or empty is left out, so the bytes are those of any other
 * protobuf.
 *
 * A batch is one block of bytes, and gaps in it where payloads belong that were too long to be
 * copied:
 *
 *     bytes   [ frame, frame, head of a call | rest of it, frame ]
 *     gaps                                   ^ payload
 *
 * The size of a frame is known before its first byte is written, so memory can only be out
 * before the batch was changed.
 *
 * Any thread; a batch belongs to one. */

#include "runtime/session/frame.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/session/frame_layout.h"
#include "runtime/wire.h"

#define FIRST_BYTES ((size_t)512) /* of each of the two arrays */

struct afar__batch_gap {
    size_t byte; /* of batch.bytes, before which it is */
    afar__bytes payload;
};

static size_t
size_of_message(const afar__layout *layout, const void *from);

static uint8_t *
write_message(afar__batch *batch, uint8_t *at, const afar__layout *layout, const void *from);

/* ---- sizes ---- */

/* Of length and bytes. */
static inline size_t
size_of_bytes(size_t length)
{
    return afar__wire_varint_size(length) + length;
}

/* The numbers of fields are below 16 everywhere: a tag is one byte. */
static inline size_t
size_of_number(uint64_t value)
{
    return 1 + afar__wire_varint_size(value);
}

/* Takes the next item of a list, of either type; the type is told by its layout. */
static const void *
next_item(afar__list *list, const afar__layout *layout, afar__pair *pair,
          afar__reference *reference)
{
    if (layout == &afar__layout_pair)
        return afar__list_next_pair(list, pair) ? (void *)pair : NULL;
    return afar__list_next_reference(list, reference) ? (void *)reference : NULL;
}

static size_t
size_of_list(const afar__layout *layout, const afar__list *from)
{
    afar__list list = *from;
    afar__reference reference;
    afar__pair pair;
    const void *item;
    size_t size = 0;

    while ((item = next_item(&list, layout, &pair, &reference)))
        size += 1 + size_of_bytes(size_of_message(layout, item));
    return size;
}

/* Of the bytes of a packed array. */
static size_t
size_of_packed(const afar__field *field, const char *from)
{
    uint32_t count = *(const uint32_t *)(const void *)(from + field->offset);
    const uint32_t *numbers = (const void *)(from + field->array);
    size_t size = 0;

    if (field->form == AFAR__FORM_FIXEDS)
        return (size_t)count * 8;
    for (uint32_t i = 0; i < count; i++)
        size += afar__wire_varint_size(numbers[i]);
    return size;
}

/* Of a oneof one member is there, and may be 0 or empty; what is 0 or empty elsewhere is not. */
static inline bool
is_another_member(const afar__field *field, uint32_t number, const char *from)
{
    return field->one_of && *(const uint32_t *)(const void *)from != number;
}

/* 0 if it is not there.  A message must be looked into. */
static inline size_t
size_of_field(const afar__field *field, uint32_t number, const char *from)
{
    const void *value = from + field->offset;
    uint64_t whole;
    size_t size;

    if (is_another_member(field, number, from))
        return 0;
    switch ((afar__form)field->form) {
    case AFAR__FORM_UINT32:
        whole = *(const uint32_t *)value;
        return whole > 0 || field->one_of ? size_of_number(whole) : 0;
    case AFAR__FORM_UINT64:
        whole = *(const uint64_t *)value;
        return whole > 0 ? size_of_number(whole) : 0;
    case AFAR__FORM_BOOL:
        return *(const bool *)value ? 2 : 0;
    case AFAR__FORM_LIST:
        return ((const afar__list *)value)->count > 0 ? size_of_list(field->message, value) : 0;
    case AFAR__FORM_BYTES:
    case AFAR__FORM_PAYLOAD:
        size = ((const afar__bytes *)value)->length;
        break;
    case AFAR__FORM_MESSAGE:
        size = size_of_message(field->message, value);
        break;
    default:
        size = size_of_packed(field, from);
        break;
    }
    return size > 0 || field->one_of ? 1 + size_of_bytes(size) : 0;
}

static size_t
size_of_message(const afar__layout *layout, const void *from)
{
    size_t size = 0;

    for (uint32_t i = 0; i < layout->count; i++)
        size += size_of_field(&layout->fields[i], i + 1, from);
    return size;
}

/* Of Frame without its own tag; `body` is the size of the message in it. */
static size_t
size_of_frame(const afar__frame *frame, size_t body)
{
    return 1 + size_of_bytes(body) + (frame->may_ignore ? 2 : 0);
}

size_t
afar__frame_length(const afar__frame *frame)
{
    const char *from = (const char *)frame + AFAR__FRAME_BODY;

    return size_of_message(&afar__frame_layouts[frame->kind], from);
}

size_t
afar__frame_size_of(const afar__frame *frame, size_t length)
{
    return 1 + size_of_bytes(size_of_frame(frame, length));
}

size_t
afar__frame_size(const afar__frame *frame)
{
    return afar__frame_size_of(frame, afar__frame_length(frame));
}

/* ---- bytes ---- */

static uint8_t *
write_bytes(uint8_t *at, afar__bytes bytes)
{
    if (bytes.length > 0)
        memcpy(at, bytes.data, bytes.length);
    return at + bytes.length;
}

/* There is room for the gap. */
static uint8_t *
write_payload(afar__batch *batch, uint8_t *at, afar__bytes payload)
{
    if (payload.length <= AFAR__BATCH_COPY)
        return write_bytes(at, payload);
    batch->gaps[batch->n_gaps++] = (struct afar__batch_gap){ (size_t)(at - batch->bytes), payload };
    return at;
}

static uint8_t *
write_list(afar__batch *batch, uint8_t *at, const afar__layout *layout, uint32_t number,
           const afar__list *from)
{
    afar__list list = *from;
    afar__reference reference;
    afar__pair pair;
    const void *item;

    while ((item = next_item(&list, layout, &pair, &reference))) {
        at = afar__wire_put_length(at, number, size_of_message(layout, item));
        at = write_message(batch, at, layout, item);
    }
    return at;
}

static uint8_t *
write_packed(uint8_t *at, const afar__field *field, const char *from)
{
    uint32_t count = *(const uint32_t *)(const void *)(from + field->offset);
    const void *array = from + field->array;

    for (uint32_t i = 0; i < count; i++) {
        if (field->form == AFAR__FORM_NUMBERS) {
            at = afar__wire_put_varint(at, ((const uint32_t *)array)[i]);
        } else {
            uint64_t value = htole64(((const uint64_t *)array)[i]);

            memcpy(at, &value, sizeof value);
            at += sizeof value;
        }
    }
    return at;
}

/* A field with a length. */
static uint8_t *
write_lengthy(afar__batch *batch, uint8_t *at, const afar__field *field, uint32_t number,
              const char *from)
{
    const void *value = from + field->offset;
    size_t size;

    switch ((afar__form)field->form) {
    case AFAR__FORM_MESSAGE:
        size = size_of_message(field->message, value);
        break;
    case AFAR__FORM_BYTES:
    case AFAR__FORM_PAYLOAD:
        size = ((const afar__bytes *)value)->length;
        break;
    default:
        size = size_of_packed(field, from);
        break;
    }
    if (size == 0 && !field->one_of)
        return at;
    at = afar__wire_put_length(at, number, size);
    switch ((afar__form)field->form) {
    case AFAR__FORM_MESSAGE:
        return write_message(batch, at, field->message, value);
    case AFAR__FORM_BYTES:
        return write_bytes(at, *(const afar__bytes *)value);
    case AFAR__FORM_PAYLOAD:
        return write_payload(batch, at, *(const afar__bytes *)value);
    default:
        return write_packed(at, field, from);
    }
}

static inline uint8_t *
write_field(afar__batch *batch, uint8_t *at, const afar__field *field, uint32_t number,
            const char *from)
{
    const void *value = from + field->offset;
    uint64_t whole;

    if (is_another_member(field, number, from))
        return at;
    switch ((afar__form)field->form) {
    case AFAR__FORM_UINT32:
        whole = *(const uint32_t *)value;
        return whole > 0 || field->one_of ? afar__wire_put_number(at, number, whole) : at;
    case AFAR__FORM_UINT64:
        whole = *(const uint64_t *)value;
        return whole > 0 ? afar__wire_put_number(at, number, whole) : at;
    case AFAR__FORM_BOOL:
        return *(const bool *)value ? afar__wire_put_number(at, number, 1) : at;
    case AFAR__FORM_LIST:
        return ((const afar__list *)value)->count > 0
                   ? write_list(batch, at, field->message, number, value)
                   : at;
    case AFAR__FORM_BYTES:
    case AFAR__FORM_PAYLOAD:
        return field->one_of || ((const afar__bytes *)value)->length > 0
                   ? write_lengthy(batch, at, field, number, from)
                   : at;
    default:
        return write_lengthy(batch, at, field, number, from);
    }
}

static uint8_t *
write_message(afar__batch *batch, uint8_t *at, const afar__layout *layout, const void *from)
{
    for (uint32_t i = 0; i < layout->count; i++)
        at = write_field(batch, at, &layout->fields[i], i + 1, from);
    return at;
}

/* ---- batches ---- */

/* An array with room for `more` items behind those that are used; NULL when out of memory. */
static void *
grown(void *array, size_t used, size_t *room, size_t more, size_t item)
{
    size_t wanted = *room > 0 ? *room : FIRST_BYTES / item;
    void *larger;

    if (*room - used >= more)
        return array;
    while (wanted - used < more)
        wanted *= 2;
    larger = realloc(array, wanted * item);
    if (larger)
        *room = wanted;
    return larger;
}

static bool
reserve(afar__batch *batch, size_t bytes, size_t gaps)
{
    void *larger = grown(batch->bytes, batch->used, &batch->room, bytes, 1);

    if (!larger)
        return false;
    batch->bytes = larger;
    if (gaps == 0)
        return true;
    larger = grown(batch->gaps, batch->n_gaps, &batch->gap_room, gaps, sizeof *batch->gaps);
    if (!larger)
        return false;
    batch->gaps = larger;
    return true;
}

bool
afar__batch_add(afar__batch *batch, const afar__frame *frame)
{
    return afar__batch_add_of(batch, frame, afar__frame_length(frame));
}

bool
afar__batch_add_of(afar__batch *batch, const afar__frame *frame, size_t length)
{
    const afar__layout *layout = &afar__frame_layouts[frame->kind];
    const char *from = (const char *)frame + AFAR__FRAME_BODY;
    size_t inner = size_of_frame(frame, length);
    size_t size = 1 + size_of_bytes(inner);
    size_t payload = afar__frame_payload(frame).length;
    bool has_gap = payload > AFAR__BATCH_COPY;
    uint8_t *at;

    if (!reserve(batch, has_gap ? size - payload : size, has_gap))
        return false;
    at = afar__wire_put_length(batch->bytes + batch->used, 1, inner);
    at = afar__wire_put_length(at, frame->kind, length);
    at = write_message(batch, at, layout, from);
    if (frame->may_ignore)
        at = afar__wire_put_number(at, AFAR__FRAME_FIELD_MAY_IGNORE, 1);
    batch->used = (size_t)(at - batch->bytes);
    batch->length += size;
    batch->frames++;
    return true;
}

bool
afar__batch_next(const afar__batch *batch, afar__batch_place *place, afar__bytes *ret_piece)
{
    bool has_gap = place->gap < batch->n_gaps;
    size_t end = has_gap ? batch->gaps[place->gap].byte : batch->used;

    if (place->byte < end) {
        *ret_piece = (afar__bytes){ batch->bytes + place->byte, end - place->byte };
        place->byte = end;
        return true;
    }
    if (!has_gap)
        return false;
    *ret_piece = batch->gaps[place->gap++].payload;
    return true;
}

void
afar__batch_clear(afar__batch *batch)
{
    batch->used = 0;
    batch->n_gaps = 0;
    batch->length = 0;
    batch->frames = 0;
}

void
afar__batch_free(afar__batch *batch)
{
    free(batch->bytes);
    free(batch->gaps);
    *batch = (afar__batch){ .bytes = NULL };
}
