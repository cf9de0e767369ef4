/* Acts and words against protobuf-c, which has the same messages from channel.proto: what one writes
 * the other reads.  Then what protobuf-c lets pass and we do not. */

#include <stdlib.h>
#include <string.h>

#include <afar/channel.pb-c.h>

#include "check.h"
#include "runtime/channel/code.h"
#include "tests/runtime/random.h"

#define ROUNDS 2000
#define MUTATIONS 300

typedef Afar__Channels__V1__ToHome to_home;
typedef Afar__Channels__V1__ToEnd to_end;

struct bytes {
    uint8_t *data;
    size_t length;
};

static const afar__channel_span nothing = { NULL, 0 };

static struct bytes
packed(const ProtobufCMessage *message)
{
    struct bytes whole = { NULL, protobuf_c_message_get_packed_size(message) };

    whole.data = malloc(whole.length + 1);
    CHECK(whole.data != NULL);
    protobuf_c_message_pack(message, whole.data);
    return whole;
}

/* A copy that ends where its block ends, so that reading beyond it is seen. */
static struct bytes
copy_of(const uint8_t *data, size_t length)
{
    struct bytes copy = { malloc(length ? length : 1), length };

    CHECK(copy.data != NULL);
    if (length)
        memcpy(copy.data, data, length);
    return copy;
}

/* ---- random ones ---- */

static uint64_t
some_number(struct random *random)
{
    return random_next(random) >> random_below(random, 64);
}

static afar__step
some_step(struct random *random, bool words, uint8_t *room, size_t most,
          afar__channel_span *payload)
{
    static const char *const texts[] = { NULL, "", "enough", "genug \xc3\xbc" };
    static const afar_code codes[] = { AFAR_ENDED, AFAR_POISONED, AFAR_LOST };
    size_t first = words ? AFAR__STEP_TAKEN : AFAR__STEP_OFFER;
    size_t count = words ? AFAR__STEP_ENDED - AFAR__STEP_TAKEN + 1 : AFAR__STEP_TAKEN;
    afar__step step = {
        .kind = (afar__step_kind)(first + random_below(random, count)),
        .number = some_number(random),
        .count = 1 + (some_number(random) >> 1),
        .select = some_number(random),
        .offer = some_number(random),
        .tell = random_below(random, 2),
        .patient = random_below(random, 2),
        .ack = random_below(random, 2),
        .code = codes[random_below(random, 3)],
        .text = texts[random_below(random, 4)],
    };

    payload->data = room;
    payload->length = random_below(random, most);
    for (size_t i = 0; i < payload->length; i++)
        room[i] = (uint8_t)random_next(random);
    return step;
}

/* ---- what was said, as protobuf-c has it ---- */

/* All that a message of the kinds has, in one place. */
struct flat {
    uint32_t kind; /* the number in the oneof */
    uint64_t numbers[3];
    const void *bytes;
    size_t length;
};

static struct flat
flat_bytes(struct flat flat, const void *bytes, size_t length)
{
    flat.bytes = bytes;
    flat.length = length;
    return flat;
}

static struct flat
flat_act(const Afar__Channels__V1__Act *act)
{
    struct flat flat = { .kind = act->kind_case };

    switch (act->kind_case) {
    case AFAR__CHANNELS__V1__ACT__KIND_HELLO:
        flat.numbers[0] = act->hello->version;
        return flat_bytes(flat, act->hello->carries, strlen(act->hello->carries));
    case AFAR__CHANNELS__V1__ACT__KIND_OFFER:
        flat.numbers[0] = act->offer->select;
        flat.numbers[1] = (uint64_t)act->offer->tell;
        flat.numbers[2] = (uint64_t)act->offer->patient;
        return flat_bytes(flat, act->offer->payload.data, act->offer->payload.len);
    case AFAR__CHANNELS__V1__ACT__KIND_WITHDRAW:
        flat.numbers[0] = act->withdraw->offer;
        break;
    case AFAR__CHANNELS__V1__ACT__KIND_GRANT:
        flat.numbers[0] = act->grant->claim;
        return flat_bytes(flat, act->grant->payload.data, act->grant->payload.len);
    case AFAR__CHANNELS__V1__ACT__KIND_DENY:
        flat.numbers[0] = act->deny->claim;
        break;
    case AFAR__CHANNELS__V1__ACT__KIND_ACK:
        flat.numbers[0] = act->ack->count;
        break;
    case AFAR__CHANNELS__V1__ACT__KIND_POISON:
        return flat_bytes(flat, act->poison->reason, strlen(act->poison->reason));
    default:
        break;
    }
    return flat;
}

static struct flat
flat_word(const Afar__Channels__V1__Word *word)
{
    struct flat flat = { .kind = word->kind_case };

    switch (word->kind_case) {
    case AFAR__CHANNELS__V1__WORD__KIND_WELCOME:
        flat.numbers[0] = word->welcome->offers;
        flat.numbers[1] = word->welcome->window_bytes;
        flat.numbers[2] = (uint64_t)word->welcome->buffered;
        break;
    case AFAR__CHANNELS__V1__WORD__KIND_TAKEN:
        flat.numbers[0] = word->taken->offer;
        flat.numbers[1] = word->taken->count;
        break;
    case AFAR__CHANNELS__V1__WORD__KIND_MESSAGE:
        flat.numbers[0] = word->message->offer;
        flat.numbers[1] = (uint64_t)word->message->ack;
        return flat_bytes(flat, word->message->payload.data, word->message->payload.len);
    case AFAR__CHANNELS__V1__WORD__KIND_WAITING:
        flat.numbers[0] = word->waiting->offer;
        break;
    case AFAR__CHANNELS__V1__WORD__KIND_CLAIM:
        flat.numbers[0] = word->claim->offer;
        break;
    case AFAR__CHANNELS__V1__WORD__KIND_RELEASE:
        flat.numbers[0] = word->release->claim;
        break;
    case AFAR__CHANNELS__V1__WORD__KIND_WITHDRAWN:
        flat.numbers[0] = word->withdrawn->offer;
        break;
    case AFAR__CHANNELS__V1__WORD__KIND_UNKNOWN:
        flat.numbers[0] = word->unknown->offer;
        break;
    case AFAR__CHANNELS__V1__WORD__KIND_ENDED:
        flat.numbers[0] = word->ended->code;
        return flat_bytes(flat, word->ended->text, strlen(word->ended->text));
    default:
        break;
    }
    return flat;
}

static struct flat
flat_step(const afar__step *step, afar__channel_span payload)
{
    struct flat flat = { .numbers = { step->number } };
    const char *text = step->text ? step->text : "";

    flat.kind = (uint32_t)step->kind + 2 - (step->kind >= AFAR__STEP_TAKEN ? AFAR__STEP_TAKEN : 0);
    switch (step->kind) {
    case AFAR__STEP_OFFER:
        flat.numbers[0] = step->select;
        flat.numbers[1] = step->tell;
        flat.numbers[2] = step->patient;
        return flat_bytes(flat, payload.data, payload.length);
    case AFAR__STEP_GRANT:
        return flat_bytes(flat, payload.data, payload.length);
    case AFAR__STEP_ACK:
        flat.numbers[0] = step->count;
        break;
    case AFAR__STEP_TAKEN:
        flat.numbers[1] = step->count;
        break;
    case AFAR__STEP_MESSAGE:
        flat.numbers[1] = step->ack;
        return flat_bytes(flat, payload.data, payload.length);
    case AFAR__STEP_CLAIM:
        flat.numbers[0] = step->offer;
        break;
    case AFAR__STEP_POISON:
        flat.numbers[0] = 0;
        return flat_bytes(flat, text, strlen(text));
    case AFAR__STEP_ENDED:
        flat.numbers[0] = (uint64_t)step->code;
        return flat_bytes(flat, text, strlen(text));
    default:
        break;
    }
    return flat;
}

static struct flat
flat_said(const afar__channel_said *said)
{
    struct flat flat = { .kind = 1 };

    if (said->kind == AFAR__CHANNEL_STEP)
        return flat_step(&said->step, said->payload);
    if (said->kind == AFAR__CHANNEL_HELLO) {
        flat.numbers[0] = said->hello.version;
        return flat_bytes(flat, said->hello.carries, strlen(said->hello.carries));
    }
    flat.numbers[0] = said->welcome.offers;
    flat.numbers[1] = said->welcome.window_bytes;
    flat.numbers[2] = said->welcome.buffered;
    return flat;
}

static void
check_flat(struct flat a, struct flat b)
{
    CHECK_INT(a.kind, b.kind);
    for (int i = 0; i < 3; i++)
        CHECK_INT(a.numbers[i], b.numbers[i]);
    CHECK_INT(a.length, b.length);
    if (a.length > 0)
        CHECK(a.bytes && b.bytes && memcmp(a.bytes, b.bytes, a.length) == 0);
}

/* ---- both ways ---- */

/* Reads all and compares with protobuf-c: what we accept it accepts, and takes for the same. */
static bool
agrees(bool words, struct bytes bytes)
{
    to_home *home =
        words ? NULL : afar__channels__v1__to_home__unpack(NULL, bytes.length, bytes.data);
    to_end *end = words ? afar__channels__v1__to_end__unpack(NULL, bytes.length, bytes.data) : NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar__channel_reader reader;
    afar__channel_said said;
    size_t count = 0;
    afar_code code;

    afar__channel_reader_init(&reader, words, bytes.data, bytes.length);
    while (!(code = afar__channel_read(&reader, &said, &err))) {
        if (words && end && count < end->n_words)
            check_flat(flat_said(&said), flat_word(end->words[count]));
        if (!words && home && count < home->n_acts)
            check_flat(flat_said(&said), flat_act(home->acts[count]));
        count++;
    }
    if (code == AFAR_ENDED) {
        CHECK(words ? end != NULL : home != NULL);
        CHECK_INT(words ? end->n_words : home->n_acts, count);
        CHECK_STR(err.message, "");
    } else {
        CHECK_INT(code, AFAR_INVALID_ARGUMENT);
        CHECK(err.message[0] != '\0');
        CHECK_INT(afar__channel_read(&reader, &said, &err), AFAR_ENDED);
    }
    afar_error_clear(&err);
    if (home)
        afar__channels__v1__to_home__free_unpacked(home, NULL);
    if (end)
        afar__channels__v1__to_end__free_unpacked(end, NULL);
    return code == AFAR_ENDED;
}

static void
add_greeting(afar__channel_buffer *buffer, bool words)
{
    static const afar__channel_hello hello = { 1, "0123456789abcde", "bank.Entry" };
    static const afar__channel_welcome welcome = { 65536, 262144, true };

    CHECK(words ? afar__channel_add_welcome(buffer, &welcome)
                : afar__channel_add_hello(buffer, &hello));
}

/* A greeting and some steps, none of which can be merged; their ends are noted. */
static struct bytes
some_bytes(struct random *random, bool words, size_t count, size_t *ends)
{
    afar__channel_buffer buffer = { .data = NULL };
    uint8_t room[400];
    struct bytes bytes;

    add_greeting(&buffer, words);
    ends[0] = buffer.length;
    for (size_t i = 1; i < count; i++) {
        afar__channel_span payload;
        afar__step step = some_step(random, words, room, sizeof room, &payload);

        buffer.mergeable = false;
        CHECK(afar__channel_add(&buffer, &step, payload));
        ends[i] = buffer.length;
    }
    bytes = copy_of(buffer.data, buffer.length);
    afar__channel_buffer_free(&buffer);
    return bytes;
}

static void
check_round(struct random *random, bool words, size_t most)
{
    static uint8_t room[300000];
    afar__channel_buffer buffer = { .data = NULL };
    afar__channel_span payload;
    afar__step step = some_step(random, words, room, most, &payload);
    struct flat flat = flat_step(&step, payload);
    afar_error err = AFAR_ERROR_INIT;
    afar__channel_reader reader;
    afar__channel_said said;
    struct bytes theirs;

    CHECK(afar__channel_add(&buffer, &step, payload));
    afar__channel_reader_init(&reader, words, buffer.data, buffer.length);
    CHECK_OK(afar__channel_read(&reader, &said, &err));
    check_flat(flat_said(&said), flat);
    CHECK_INT(said.step.bytes, said.payload.length);
    CHECK_INT(afar__channel_read(&reader, &said, &err), AFAR_ENDED);
    if (words) {
        to_end *read = afar__channels__v1__to_end__unpack(NULL, buffer.length, buffer.data);

        CHECK(read && read->n_words == 1);
        check_flat(flat_word(read->words[0]), flat);
        theirs = packed(&read->base);
        afar__channels__v1__to_end__free_unpacked(read, NULL);
    } else {
        to_home *read = afar__channels__v1__to_home__unpack(NULL, buffer.length, buffer.data);

        CHECK(read && read->n_acts == 1);
        check_flat(flat_act(read->acts[0]), flat);
        theirs = packed(&read->base);
        afar__channels__v1__to_home__free_unpacked(read, NULL);
    }
    CHECK_INT(theirs.length, buffer.length);
    CHECK(memcmp(theirs.data, buffer.data, buffer.length) == 0);
    free(theirs.data);
    afar__channel_buffer_free(&buffer);
}

TEST(both_write_and_read_the_same)
{
    struct random random = { .state = 1 };

    for (int i = 0; i < ROUNDS; i++) {
        check_round(&random, false, 300);
        check_round(&random, true, 300);
    }
    for (int i = 0; i < 20; i++) {
        check_round(&random, false, 300000);
        check_round(&random, true, 300000);
    }
}

TEST(a_process_need_not_say_what_is_carried)
{
    static const afar__channel_hello hello = { 1, "0123456789abcde", "" };
    afar__channel_buffer buffer = { .data = NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar__channel_reader reader;
    afar__channel_said said;

    CHECK(afar__channel_add_hello(&buffer, &hello));
    CHECK(agrees(false, (struct bytes){ buffer.data, buffer.length }));
    afar__channel_reader_init(&reader, false, buffer.data, buffer.length);
    CHECK_OK(afar__channel_read(&reader, &said, &err));
    CHECK_STR(said.hello.carries, "");
    afar__channel_buffer_free(&buffer);
}

TEST(greetings_are_read_as_they_were_written)
{
    afar__channel_buffer buffer = { .data = NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar__channel_reader reader;
    afar__channel_said said;

    add_greeting(&buffer, false);
    CHECK(agrees(false, (struct bytes){ buffer.data, buffer.length }));
    afar__channel_reader_init(&reader, false, buffer.data, buffer.length);
    CHECK_OK(afar__channel_read(&reader, &said, &err));
    CHECK_INT(said.kind, AFAR__CHANNEL_HELLO);
    CHECK_INT(said.hello.version, AFAR__CHANNEL_VERSION);
    CHECK(memcmp(said.hello.process, "0123456789abcde", 16) == 0);
    CHECK_STR(said.hello.carries, "bank.Entry");
    afar__channel_buffer_clear(&buffer);
    add_greeting(&buffer, true);
    CHECK(agrees(true, (struct bytes){ buffer.data, buffer.length }));
    afar__channel_reader_init(&reader, true, buffer.data, buffer.length);
    CHECK_OK(afar__channel_read(&reader, &said, &err));
    CHECK_INT(said.kind, AFAR__CHANNEL_WELCOME);
    CHECK_INT(said.welcome.offers, 65536);
    CHECK_INT(said.welcome.window_bytes, 262144);
    CHECK(said.welcome.buffered);
    afar__channel_buffer_free(&buffer);
}

/* ---- merging ---- */

static void
add_count(afar__channel_buffer *buffer, afar__step_kind kind, uint64_t number, uint64_t count)
{
    afar__step step = { .kind = kind, .number = number, .count = count };

    CHECK(afar__channel_add(buffer, &step, nothing));
}

static void
check_next(afar__channel_reader *reader, afar__step_kind kind, uint64_t number, uint64_t count)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__channel_said said;

    CHECK_OK(afar__channel_read(reader, &said, &err));
    CHECK_INT(said.step.kind, kind);
    CHECK_INT(said.step.number, number);
    CHECK_INT(said.step.count, count);
}

TEST(taken_that_adjoin_are_one)
{
    afar__channel_buffer buffer = { .data = NULL };
    afar__channel_reader reader;
    afar__channel_said said;
    size_t length;

    for (uint64_t n = 1; n <= 1000; n++)
        add_count(&buffer, AFAR__STEP_TAKEN, n, 1);
    length = buffer.length;
    CHECK(length < 16);
    add_count(&buffer, AFAR__STEP_TAKEN, 1002, 1);
    add_count(&buffer, AFAR__STEP_TAKEN, 1003, 5);
    add_count(&buffer, AFAR__STEP_WAITING, 1100, 0);
    add_count(&buffer, AFAR__STEP_TAKEN, 1008, 1);
    afar__channel_reader_init(&reader, true, buffer.data, buffer.length);
    check_next(&reader, AFAR__STEP_TAKEN, 1, 1000);
    check_next(&reader, AFAR__STEP_TAKEN, 1002, 6);
    check_next(&reader, AFAR__STEP_WAITING, 1100, 0);
    check_next(&reader, AFAR__STEP_TAKEN, 1008, 1);
    CHECK_INT(afar__channel_read(&reader, &said, NULL), AFAR_ENDED);
    afar__channel_buffer_clear(&buffer);
    add_count(&buffer, AFAR__STEP_TAKEN, 1009, 1);
    afar__channel_reader_init(&reader, true, buffer.data, buffer.length);
    check_next(&reader, AFAR__STEP_TAKEN, 1009, 1);
    afar__channel_buffer_free(&buffer);
}

TEST(acks_are_one)
{
    afar__channel_buffer buffer = { .data = NULL };
    afar__channel_reader reader;
    afar__channel_said said;

    for (int i = 0; i < 300; i++)
        add_count(&buffer, AFAR__STEP_ACK, 0, 2);
    add_count(&buffer, AFAR__STEP_DENY, 7, 0);
    add_count(&buffer, AFAR__STEP_ACK, 0, 1);
    afar__channel_reader_init(&reader, false, buffer.data, buffer.length);
    check_next(&reader, AFAR__STEP_ACK, 0, 600);
    check_next(&reader, AFAR__STEP_DENY, 7, 0);
    check_next(&reader, AFAR__STEP_ACK, 0, 1);
    CHECK_INT(afar__channel_read(&reader, &said, NULL), AFAR_ENDED);
    afar__channel_buffer_free(&buffer);
}

/* ---- texts ---- */

static void
check_reason(const char *text, size_t expected)
{
    afar__step step = { .kind = AFAR__STEP_POISON, .text = text };
    afar__channel_buffer buffer = { .data = NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar__channel_reader reader;
    afar__channel_said said;

    CHECK(afar__channel_add(&buffer, &step, nothing));
    CHECK(agrees(false, (struct bytes){ buffer.data, buffer.length }));
    afar__channel_reader_init(&reader, false, buffer.data, buffer.length);
    CHECK_OK(afar__channel_read(&reader, &said, &err));
    CHECK_INT(strlen(said.step.text), expected);
    CHECK(strncmp(said.step.text, text, expected) == 0);
    afar__channel_buffer_free(&buffer);
}

TEST(long_texts_are_cut_where_a_letter_ends)
{
    char text[1100];

    memset(text, 'a', sizeof text);
    text[1000] = '\0';
    check_reason(text, 1000);
    text[1000] = 'a';
    text[1099] = '\0';
    check_reason(text, 1000);
    memcpy(text + 998, "\xe2\x82\xac", 3); /* from 998 to 1001 */
    check_reason(text, 998);
    check_reason("\xff", 0);
}

/* ---- what is refused ---- */

struct refused {
    bool words;
    const char *bytes;
    size_t length;
    const char *text;
};

#define REFUSED(WORDS, BYTES, TEXT)                                                                \
    {                                                                                              \
        WORDS, BYTES, sizeof(BYTES) - 1, TEXT                                                      \
    }

TEST(what_is_not_in_the_protocol_is_refused)
{
    static const struct refused all[] = {
        REFUSED(false, "\x12\x00", "ToHome: is a field that it does not have"),
        REFUSED(true, "\x08\x00", "ToEnd: has the wire type of another kind of field"),
        REFUSED(false, "\x0a\x00", "Act: is empty"),
        REFUSED(true, "\x0a\x00", "Word: is empty"),
        REFUSED(false, "\x0a\x02\x42\x00", "Act: is a field that it does not have"),
        REFUSED(true, "\x0a\x02\x52\x00", "Word: is a field that it does not have"),
        REFUSED(false, "\x0a\x04\x1a\x00\x1a\x00", "Act: has more than one kind"),
        REFUSED(false, "\x0a\x02\x10\x00", "Act: has the wire type of another kind of field"),
        REFUSED(false, "\x0a\x04\x12\x02\x28\x01", "Offer: is a field that it does not have"),
        REFUSED(false, "\x0a\x06\x12\x04\x08\x01\x08\x01", "Offer.select: comes twice"),
        REFUSED(false, "\x0a\x04\x12\x02\x10\x01",
                "Offer.payload: has the wire type of another kind of field"),
        REFUSED(false, "\x0a\x04\x12\x02\x12\x01", "Offer: goes beyond the end"),
        REFUSED(false, "\x0a\x02\x0a\x00", "Hello.process: has not 16 bytes"),
        REFUSED(true, "\x0a\x04\x12\x02\x08\x01", "Taken.count: is 0"),
        REFUSED(true, "\x0a\x04\x4a\x02\x08\x05",
                "Ended.code: is none of those that end a channel"),
        REFUSED(false, "\x0a\x05\x3a\x03\x0a\x01\xff", "Poison.reason: is no text in UTF-8"),
        REFUSED(false, "\x0a", "ToHome: a length without end"),
        REFUSED(false, "\x0a\x05\x12", "ToHome: goes beyond the end"),
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct bytes bytes = copy_of((const uint8_t *)all[i].bytes, all[i].length);
        afar_error err = AFAR_ERROR_INIT;
        afar__channel_reader reader;
        afar__channel_said said;

        afar__channel_reader_init(&reader, all[i].words, bytes.data, bytes.length);
        CHECK_FAILS(afar__channel_read(&reader, &said, &err), AFAR_INVALID_ARGUMENT);
        CHECK_STR(err.message, all[i].text);
        CHECK(!agrees(all[i].words, bytes));
        afar_error_clear(&err);
        free(bytes.data);
    }
}

static void
check_poison(size_t length, bool good)
{
    Afar__Channels__V1__Poison poison = AFAR__CHANNELS__V1__POISON__INIT;
    Afar__Channels__V1__Act act = AFAR__CHANNELS__V1__ACT__INIT, *acts[] = { &act };
    to_home home = AFAR__CHANNELS__V1__TO_HOME__INIT;
    char reason[1100];
    struct bytes bytes;

    memset(reason, 'r', sizeof reason);
    reason[length] = '\0';
    poison.reason = reason;
    act.kind_case = AFAR__CHANNELS__V1__ACT__KIND_POISON;
    act.poison = &poison;
    home.n_acts = 1;
    home.acts = acts;
    bytes = packed(&home.base);
    CHECK_INT(agrees(false, bytes), good);
    free(bytes.data);
}

TEST(a_reason_has_1000_bytes_at_most)
{
    check_poison(1000, true);
    check_poison(1001, false);
}

/* ---- bytes that nobody would write ---- */

TEST(cut_at_every_byte)
{
    struct random random = { .state = 2 };

    for (int round = 0; round < 60; round++) {
        bool words = round % 2;
        size_t ends[5];
        struct bytes whole = some_bytes(&random, words, 5, ends);

        for (size_t cut = 0; cut <= whole.length; cut++) {
            struct bytes part = copy_of(whole.data, cut);
            bool at_end = cut == 0;

            for (size_t i = 0; i < 5; i++)
                at_end = at_end || cut == ends[i];
            CHECK_INT(agrees(words, part), at_end);
            free(part.data);
        }
        free(whole.data);
    }
}

TEST(changed_bytes_are_read_as_protobuf_reads_them_or_refused)
{
    struct random random = { .state = 3 };
    int accepted = 0, refused = 0;

    for (int round = 0; round < 300; round++) {
        bool words = round % 2;
        size_t ends[4];
        struct bytes whole = some_bytes(&random, words, 4, ends);

        for (int i = 0; i < MUTATIONS; i++) {
            struct bytes changed = copy_of(whole.data, whole.length);

            for (size_t n = random_below(&random, 3) + 1; n > 0; n--)
                changed.data[random_below(&random, whole.length)] = (uint8_t)random_next(&random);
            if (agrees(words, changed))
                accepted++;
            else
                refused++;
            free(changed.data);
        }
        free(whole.data);
    }
    CHECK(accepted > 1000 && refused > 1000);
}

TEST(random_messages_of_protobuf_are_read_the_same_or_refused)
{
    struct random random = { .state = 4 };
    afar__arena *arena = afar__arena_new(65536);
    int accepted = 0;

    CHECK(arena != NULL);
    for (int i = 0; i < 20000; i++) {
        bool words = i % 2;
        ProtobufCMessage *message = random_message(&random,
                                                   words ? &afar__channels__v1__to_end__descriptor
                                                         : &afar__channels__v1__to_home__descriptor,
                                                   4, arena);
        struct bytes bytes = packed(message);

        accepted += agrees(words, bytes);
        free(bytes.data);
        afar__arena_reset(arena);
    }
    CHECK(accepted > 1000);
    afar__arena_free(arena);
}

/* Both parts are messages, and say what the whole does. */
TEST(what_is_cut_in_the_middle_says_the_same)
{
    afar__channel_buffer buffer = { .data = NULL };

    for (uint64_t count = 1; count < 40; count++) {
        afar__step step = { .kind = AFAR__STEP_WITHDRAW, .number = count * count * count };
        struct bytes whole;
        size_t middle, acts;

        CHECK(afar__channel_add(&buffer, &step, nothing));
        whole = copy_of(buffer.data, buffer.length);
        middle = afar__channel_middle(whole.data, whole.length);
        CHECK(count == 1 ? middle == whole.length : middle > 0 && middle < whole.length);
        acts = 0;
        for (int part = 0; part < 2; part++) {
            struct bytes half = part ? copy_of(whole.data + middle, whole.length - middle)
                                     : copy_of(whole.data, middle);
            to_home *read = afar__channels__v1__to_home__unpack(NULL, half.length, half.data);

            CHECK(read != NULL);
            for (size_t i = 0; i < read->n_acts; i++, acts++)
                CHECK_INT(read->acts[i]->withdraw->offer, (acts + 1) * (acts + 1) * (acts + 1));
            afar__channels__v1__to_home__free_unpacked(read, NULL);
            free(half.data);
        }
        CHECK_INT(acts, count);
        free(whole.data);
    }
    afar__channel_buffer_free(&buffer);
}
