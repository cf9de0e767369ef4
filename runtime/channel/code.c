/* Writing and reading acts and words, by one table: the fields of each message of channel.proto.
 *
 * Whatever the message, its fields pass through an array with one value for each; so what is said
 * of a field (its number, its type) stands in the table only, and what it means in `fill` and
 * `take` only.
 *
 *     step + payload --fill--> values --write--> bytes --read--> values --take--> step + payload
 *
 * Reading is strict: channel.proto has a version, so what is not in it is an error.  So is a
 * field that comes twice.  Each byte is looked at a fixed number of times.
 *
 * Any thread. */

#include "runtime/channel/code.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/utf8.h"
#include "runtime/wire.h"

#define FIRST_ROOM ((size_t)256)
#define MOST_FIELDS 4

/* ---- the messages ---- */

struct layout {
    const char *name;
    const char *fields[MOST_FIELDS];
    uint8_t types[MOST_FIELDS]; /* wire types */
    uint8_t count;
};

enum { NUMBER = AFAR__WIRE_VARINT, BYTES = AFAR__WIRE_LENGTH };

/* By the number of their field in Act or Word, from 1. */
static const struct layout all_acts[] = {
    { "Hello", { "version", "process", "carries" }, { NUMBER, BYTES, BYTES }, 3 },
    { "Offer", { "select", "payload", "tell", "patient" }, { NUMBER, BYTES, NUMBER, NUMBER }, 4 },
    { "Withdraw", { "offer" }, { NUMBER }, 1 },
    { "Grant", { "claim", "payload" }, { NUMBER, BYTES }, 2 },
    { "Deny", { "claim" }, { NUMBER }, 1 },
    { "Ack", { "count" }, { NUMBER }, 1 },
    { "Poison", { "reason" }, { BYTES }, 1 },
};

static const struct layout all_words[] = {
    { "Welcome", { "offers", "window_bytes", "buffered" }, { NUMBER, NUMBER, NUMBER }, 3 },
    { "Taken", { "offer", "count" }, { NUMBER, NUMBER }, 2 },
    { "Message", { "offer", "payload", "ack" }, { NUMBER, BYTES, NUMBER }, 3 },
    { "Waiting", { "offer" }, { NUMBER }, 1 },
    { "Claim", { "offer" }, { NUMBER }, 1 },
    { "Release", { "claim" }, { NUMBER }, 1 },
    { "Withdrawn", { "offer" }, { NUMBER }, 1 },
    { "Unknown", { "offer" }, { NUMBER }, 1 },
    { "Ended", { "code", "text" }, { NUMBER, BYTES }, 2 },
};

#define ACTS ((uint32_t)(sizeof all_acts / sizeof *all_acts))
#define WORDS ((uint32_t)(sizeof all_words / sizeof *all_words))

/* Hello and Welcome have the number 1; the steps follow, in the order of the enum. */
#define GREETING 1u

static uint32_t
number_of(afar__step_kind kind)
{
    return (uint32_t)(kind < AFAR__STEP_TAKEN ? kind - AFAR__STEP_OFFER : kind - AFAR__STEP_TAKEN) +
           2;
}

static const struct layout *
layout_of(bool is_word, uint32_t number)
{
    return is_word ? &all_words[number - 1] : &all_acts[number - 1];
}

/* A field: a number, or bytes. */
struct value {
    uint64_t number;
    const uint8_t *data;
    size_t length;
};

static struct value
number_value(uint64_t number)
{
    return (struct value){ .number = number };
}

static struct value
bytes_value(const void *data, size_t length)
{
    return (struct value){ .length = length, .data = data };
}

/* ---- writing ---- */

static inline size_t
size_of_field(unsigned type, const struct value *value)
{
    if (type == NUMBER)
        return value->number ? 1 + afar__wire_varint_size(value->number) : 0;
    return value->length ? 1 + afar__wire_varint_size(value->length) + value->length : 0;
}

static inline uint8_t *
write_field(uint8_t *at, uint32_t number, unsigned type, const struct value *value)
{
    if (type == NUMBER)
        return value->number ? afar__wire_put_number(at, number, value->number) : at;
    if (value->length == 0)
        return at;
    at = afar__wire_put_length(at, number, value->length);
    memcpy(at, value->data, value->length);
    return at + value->length;
}

static bool
grow(afar__channel_buffer *buffer, size_t more)
{
    size_t room = buffer->room ? buffer->room : FIRST_ROOM;
    uint8_t *data;

    while (room - buffer->length < more)
        room *= 2;
    data = realloc(buffer->data, room);
    if (!data)
        return false;
    buffer->data = data;
    buffer->room = room;
    return true;
}

static inline bool
make_room(afar__channel_buffer *buffer, size_t more)
{
    return more <= buffer->room - buffer->length || grow(buffer, more);
}

/* The field 1 of ToHome or ToEnd, with the field `number` of Act or Word in it. */
static bool
write_values(afar__channel_buffer *buffer, uint32_t number, const struct layout *layout,
             const struct value *values)
{
    size_t body = 0, middle;
    uint8_t *at;

    for (unsigned i = 0; i < layout->count; i++)
        body += size_of_field(layout->types[i], &values[i]);
    middle = 1 + afar__wire_varint_size(body) + body;
    if (!make_room(buffer, 1 + afar__wire_varint_size(middle) + middle))
        return false;
    buffer->last = buffer->length;
    at = afar__wire_put_length(buffer->data + buffer->length, 1, middle);
    at = afar__wire_put_length(at, number, body);
    for (unsigned i = 0; i < layout->count; i++)
        at = write_field(at, i + 1, layout->types[i], &values[i]);
    buffer->length = (size_t)(at - buffer->data);
    buffer->mergeable = false;
    return true;
}

/* As much of a text as may be sent. */
static struct value
text_value(const char *text)
{
    size_t length = text ? strnlen(text, AFAR__CHANNEL_REASON) : 0;

    return bytes_value(text, length ? afar__utf8_span((const uint8_t *)text, length) : 0);
}

static void
fill(struct value *values, const afar__step *step, afar__channel_span payload)
{
    values[0] = number_value(step->number);
    values[1] = bytes_value(payload.data, payload.length);
    switch (step->kind) {
    case AFAR__STEP_OFFER:
        values[0] = number_value(step->select);
        values[2] = number_value(step->tell);
        values[3] = number_value(step->patient);
        break;
    case AFAR__STEP_MESSAGE:
        values[2] = number_value(step->ack);
        break;
    case AFAR__STEP_ACK:
        values[0] = number_value(step->count);
        break;
    case AFAR__STEP_TAKEN:
        values[1] = number_value(step->count);
        break;
    case AFAR__STEP_CLAIM:
        values[0] = number_value(step->offer);
        break;
    case AFAR__STEP_POISON:
        values[0] = text_value(step->text);
        break;
    case AFAR__STEP_ENDED:
        values[0] = number_value((uint64_t)step->code);
        values[1] = text_value(step->text);
        break;
    default:
        break;
    }
}

/* Whether the last one and this one are said by one. */
static bool
follows(const afar__channel_buffer *buffer, const afar__step *step)
{
    const afar__step *last = &buffer->merged;

    if (!buffer->mergeable || last->kind != step->kind || last->count > UINT64_MAX - step->count)
        return false;
    return step->kind == AFAR__STEP_ACK || last->number + last->count == step->number;
}

static bool
add_countable(afar__channel_buffer *buffer, const afar__step *step)
{
    afar__step whole = { .kind = step->kind, .number = step->number, .count = step->count };
    uint32_t number = number_of(step->kind);
    struct value values[MOST_FIELDS];
    size_t length = buffer->length;

    if (follows(buffer, step)) {
        whole.number = buffer->merged.number;
        whole.count += buffer->merged.count;
        buffer->length = buffer->last;
    }
    fill(values, &whole, (afar__channel_span){ NULL, 0 });
    if (!write_values(buffer, number, layout_of(step->kind == AFAR__STEP_TAKEN, number), values)) {
        buffer->length = length;
        return false;
    }
    buffer->merged = whole;
    buffer->mergeable = true;
    return true;
}

bool
afar__channel_add(afar__channel_buffer *buffer, const afar__step *step, afar__channel_span payload)
{
    uint32_t number = number_of(step->kind);
    struct value values[MOST_FIELDS];

    if (step->kind == AFAR__STEP_TAKEN || step->kind == AFAR__STEP_ACK)
        return add_countable(buffer, step);
    fill(values, step, payload);
    return write_values(buffer, number, layout_of(step->kind >= AFAR__STEP_TAKEN, number), values);
}

bool
afar__channel_add_hello(afar__channel_buffer *buffer, const afar__channel_hello *hello)
{
    struct value values[MOST_FIELDS] = {
        number_value(hello->version),
        bytes_value(hello->process, sizeof hello->process),
        bytes_value(hello->carries, strlen(hello->carries)),
    };

    return write_values(buffer, GREETING, layout_of(false, GREETING), values);
}

bool
afar__channel_add_welcome(afar__channel_buffer *buffer, const afar__channel_welcome *welcome)
{
    struct value values[MOST_FIELDS] = {
        number_value(welcome->offers),
        number_value(welcome->window_bytes),
        number_value(welcome->buffered),
    };

    return write_values(buffer, GREETING, layout_of(true, GREETING), values);
}

size_t
afar__channel_middle(const uint8_t *data, size_t length)
{
    const uint8_t *at = data, *end = data + length;
    size_t last = 0;

    while (at < end && (size_t)(at - data) <= length / 2) {
        afar__wire_field field;

        last = (size_t)(at - data);
        if (afar__wire_next(&at, end, &field))
            return length;
    }
    return at < end || last == 0 ? (size_t)(at - data) : last;
}

void
afar__channel_buffer_clear(afar__channel_buffer *buffer)
{
    buffer->length = 0;
    buffer->mergeable = false;
}

void
afar__channel_buffer_free(afar__channel_buffer *buffer)
{
    free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}

/* ---- reading ---- */

/* What is being read, for the text of an error. */
struct reading {
    const char *message;
    const char *field; /* or NULL */
};

static const char not_here[] = "is a field that it does not have";
static const char another_type[] = "has the wire type of another kind of field";

static const char *
read_values(const struct layout *layout, const uint8_t *at, const uint8_t *end,
            struct value *ret_values, struct reading *reading)
{
    unsigned seen = 0;

    while (at < end) {
        afar__wire_field wire;
        const char *wrong = afar__wire_next(&at, end, &wire);

        if (wrong)
            return wrong;
        if (wire.number > layout->count)
            return not_here;
        reading->field = layout->fields[wire.number - 1];
        if (wire.type != layout->types[wire.number - 1])
            return another_type;
        if (seen & 1u << wire.number)
            return "comes twice";
        seen |= 1u << wire.number;
        ret_values[wire.number - 1] =
            wire.type == NUMBER ? number_value(wire.value) : bytes_value(wire.data, wire.length);
    }
    reading->field = NULL;
    return NULL;
}

/* The only field of a message that has one, which is bytes. */
static const char *
read_only(const uint8_t *at, const uint8_t *end, uint32_t most, afar__wire_field *ret_wire)
{
    const char *wrong;

    if (at == end)
        return "is empty";
    wrong = afar__wire_next(&at, end, ret_wire);
    if (wrong)
        return wrong;
    if (ret_wire->number > most)
        return not_here;
    if (ret_wire->type != BYTES)
        return another_type;
    return at == end ? NULL : "has more than one kind";
}

/* Copies a text to where it has an end. */
static const char *
take_text(afar__channel_reader *reader, size_t most, const struct value *value,
          const char **ret_text)
{
    if (value->length > most)
        return most == AFAR__CHANNEL_REASON ? "is longer than 1000 bytes"
                                            : "is longer than 512 bytes";
    if (value->length > 0 && afar__utf8_span(value->data, value->length) < value->length)
        return "is no text in UTF-8";
    if (value->length > 0)
        memcpy(reader->text, value->data, value->length);
    reader->text[value->length] = '\0';
    *ret_text = reader->text;
    return NULL;
}

static const char *
take_hello(afar__channel_reader *reader, const struct value *values, afar__channel_hello *hello,
           struct reading *reading)
{
    if (values[1].length != sizeof hello->process) {
        reading->field = "process";
        return "has not 16 bytes";
    }
    hello->version = (uint32_t)values[0].number;
    memcpy(hello->process, values[1].data, sizeof hello->process);
    reading->field = "carries";
    return take_text(reader, AFAR__CHANNEL_CARRIES, &values[2], &hello->carries);
}

static const char *
take_ended(afar__channel_reader *reader, const struct value *values, afar__step *step,
           struct reading *reading)
{
    uint32_t code = (uint32_t)values[0].number;

    if (code != AFAR_ENDED && code != AFAR_POISONED && code != AFAR_LOST) {
        reading->field = "code";
        return "is none of those that end a channel";
    }
    step->code = (afar_code)code;
    reading->field = "text";
    return take_text(reader, AFAR__CHANNEL_REASON, &values[1], &step->text);
}

static const char *
take(afar__channel_reader *reader, const struct value *values, afar__channel_said *said,
     struct reading *reading)
{
    afar__step *step = &said->step;

    switch (step->kind) {
    case AFAR__STEP_OFFER:
        step->select = values[0].number;
        step->tell = values[2].number != 0;
        step->patient = values[3].number != 0;
        break;
    case AFAR__STEP_ACK:
        step->count = values[0].number;
        return NULL;
    case AFAR__STEP_POISON:
        reading->field = "reason";
        return take_text(reader, AFAR__CHANNEL_REASON, &values[0], &step->text);
    case AFAR__STEP_TAKEN:
        step->number = values[0].number;
        step->count = values[1].number;
        reading->field = "count";
        return step->count ? NULL : "is 0";
    case AFAR__STEP_CLAIM:
        step->offer = values[0].number;
        return NULL;
    case AFAR__STEP_ENDED:
        return take_ended(reader, values, step, reading);
    case AFAR__STEP_MESSAGE:
        step->ack = values[2].number != 0;
        step->number = values[0].number;
        break;
    case AFAR__STEP_GRANT:
        step->number = values[0].number;
        break;
    default:
        step->number = values[0].number;
        return NULL;
    }
    said->payload = (afar__channel_span){ values[1].data, values[1].length };
    step->bytes = values[1].length;
    return NULL;
}

static void
take_welcome(const struct value *values, afar__channel_welcome *welcome)
{
    welcome->offers = (uint32_t)values[0].number;
    welcome->window_bytes = (uint32_t)values[1].number;
    welcome->buffered = values[2].number != 0;
}

static const char *
read_said(afar__channel_reader *reader, const afar__wire_field *outer, afar__channel_said *said,
          struct reading *reading)
{
    struct value values[MOST_FIELDS] = { { .number = 0 } };
    const struct layout *layout;
    afar__wire_field kind;
    const char *wrong;

    reading->message = reader->words ? "Word" : "Act";
    wrong =
        read_only(outer->data, outer->data + outer->length, reader->words ? WORDS : ACTS, &kind);
    if (wrong)
        return wrong;
    layout = layout_of(reader->words, kind.number);
    reading->message = layout->name;
    wrong = read_values(layout, kind.data, kind.data + kind.length, values, reading);
    if (wrong)
        return wrong;
    said->step = (afar__step){ .kind = AFAR__STEP_OFFER };
    said->payload = (afar__channel_span){ NULL, 0 };
    if (kind.number == GREETING) {
        said->kind = reader->words ? AFAR__CHANNEL_WELCOME : AFAR__CHANNEL_HELLO;
        if (!reader->words)
            return take_hello(reader, values, &said->hello, reading);
        take_welcome(values, &said->welcome);
        return NULL;
    }
    said->kind = AFAR__CHANNEL_STEP;
    said->step.kind =
        (afar__step_kind)((reader->words ? AFAR__STEP_TAKEN : AFAR__STEP_OFFER) + kind.number - 2);
    return take(reader, values, said, reading);
}

void
afar__channel_reader_init(afar__channel_reader *reader, bool words, const uint8_t *data,
                          size_t length)
{
    reader->at = length > 0 ? data : (const uint8_t *)"";
    reader->end = reader->at + length;
    reader->words = words;
    reader->text[0] = '\0';
}

afar_code
afar__channel_read(afar__channel_reader *reader, afar__channel_said *ret_said, afar_error *err)
{
    struct reading reading = { reader->words ? "ToEnd" : "ToHome", NULL };
    afar__wire_field outer;
    const char *wrong;

    if (reader->at == reader->end)
        return AFAR_ENDED;
    wrong = afar__wire_next(&reader->at, reader->end, &outer);
    if (!wrong && outer.number != 1)
        wrong = not_here;
    if (!wrong && outer.type != BYTES)
        wrong = another_type;
    if (!wrong)
        wrong = read_said(reader, &outer, ret_said, &reading);
    if (!wrong)
        return AFAR_OK;
    reader->at = reader->end;
    return afar_fail(err, AFAR_INVALID_ARGUMENT, "%s%s%s: %s", reading.message,
                     reading.field ? "." : "", reading.field ? reading.field : "", wrong);
}
