/* Signed records: what is signed comes back, what was touched does not, and the limits of
 * names.proto. */

#include "runtime/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "runtime/key.h"

#include "check.h"
#include "faults.h"

/* Keys that are the same in every run. */
static afar_key *
key_of(uint8_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    uint8_t seed[AFAR__SEED_BYTES] = { number };
    afar_key *key;

    CHECK_OK(afar__secure_start(&err));
    CHECK_OK(afar__key_from_seed(seed, &key, &err));
    return key;
}

/* ---- a record to start from ---- */

struct sample {
    afar__record record;
    char *endpoints[9];
    char *interfaces[33];
    Afar__Names__V1__Record__MetadataEntry pairs[33];
    Afar__Names__V1__Record__MetadataEntry *metadata[33];
    uint8_t bytes[17]; /* of instance and lease */
};

/* One that keeps all limits; `sample` stays where it is. */
static void
sample_init(struct sample *sample)
{
    memset(sample, 0, sizeof *sample);
    afar__names__v1__record__init(&sample->record);
    sample->record.name = (char *)"bank/alice";
    sample->record.endpoints = sample->endpoints;
    sample->record.n_endpoints = 1;
    sample->record.interfaces = sample->interfaces;
    sample->record.n_interfaces = 1;
    sample->record.metadata = sample->metadata;
    sample->record.generation = 7;
    sample->record.lease_ms = 15000;
    for (size_t i = 0; i < 9; i++)
        sample->endpoints[i] = (char *)"grpc://127.0.0.1:7000";
    for (size_t i = 0; i < 33; i++) {
        sample->interfaces[i] = (char *)"bank.Account";
        afar__names__v1__record__metadata_entry__init(&sample->pairs[i]);
        sample->metadata[i] = &sample->pairs[i];
    }
}

static afar__signed *
sign(uint8_t key_number, afar__purpose purpose, const void *message)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_key *key = key_of(key_number);
    afar__signed *made;

    CHECK_OK(afar__record_sign(key, purpose, message, &made, &err));
    afar_key_close(key);
    return made;
}

static afar__signed *
signed_sample(void)
{
    struct sample sample;

    sample_init(&sample);
    return sign(1, AFAR__PURPOSE_RECORD, &sample.record);
}

static afar_code
verify(const afar__signed *given, afar__purpose purpose)
{
    ProtobufCMessage *message;
    afar_code code = afar__record_verify(given, purpose, &message, NULL);

    if (!code)
        afar_message_free(message);
    return code;
}

/* It is refused with this message. */
static void
check_refused(const afar__signed *given, afar__purpose purpose, afar_code code, const char *message)
{
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *read = NULL;

    CHECK_FAILS(afar__record_verify(given, purpose, &read, &err), code);
    CHECK_STR(err.message, message);
    CHECK(read == NULL);
    afar_error_clear(&err);
}

/* ---- signing and verifying ---- */

TEST(what_was_signed_comes_back)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *made = signed_sample();
    afar_key *key = key_of(1);
    ProtobufCMessage *message;
    afar__record *record;

    CHECK_OK(afar__record_verify(made, AFAR__PURPOSE_RECORD, &message, &err));
    record = (afar__record *)message;
    CHECK_STR(record->name, "bank/alice");
    CHECK_INT(record->n_endpoints, 1);
    CHECK_STR(record->endpoints[0], "grpc://127.0.0.1:7000");
    CHECK_INT(record->generation, 7);
    CHECK_OK(afar__record_check(record, &err));
    CHECK(memcmp(afar__record_key(made), key->public, AFAR__PUBLIC_BYTES) == 0);
    afar_message_free(message);
    afar_key_close(key);
    afar__record_free(made);
    afar__record_free(NULL);
}

/* What others must sign, byte for byte: the words of names.proto are part of the
 * protocol. */
TEST(the_signature_is_over_word_zero_and_bytes)
{
    static const struct {
        afar__purpose purpose;
        const char *word;
        size_t length;
    } words[] = {
        { AFAR__PURPOSE_RECORD, "afar-record-v1", 15 },
        { AFAR__PURPOSE_RENEWAL, "afar-renewal-v1", 16 },
        { AFAR__PURPOSE_REMOVAL, "afar-removal-v1", 16 },
    };
    afar_key *key = key_of(3);

    for (size_t i = 0; i < 3; i++) {
        uint8_t covered[20], signature[64];
        afar__signed made = AFAR__NAMES__V1__SIGNED_RECORD__INIT;

        memcpy(covered, words[i].word, words[i].length);
        memcpy(covered + words[i].length, "\x0a\x01x", 3); /* field 1 is "x" in all three */
        afar__secure_sign(key->secret, covered, words[i].length + 3, signature);
        made.record = (ProtobufCBinaryData){ 3, covered + words[i].length };
        made.key = (ProtobufCBinaryData){ 32, key->public };
        made.signature = (ProtobufCBinaryData){ 64, signature };
        for (size_t j = 0; j < 3; j++)
            CHECK_INT(verify(&made, words[j].purpose), i == j ? AFAR_OK : AFAR_UNAUTHENTICATED);
    }
    afar_key_close(key);
}

TEST(signed_for_one_purpose_is_no_other)
{
    Afar__Names__V1__Renewal renewal = AFAR__NAMES__V1__RENEWAL__INIT;
    afar__signed *made;

    renewal.sequence = 5;
    made = sign(1, AFAR__PURPOSE_RENEWAL, &renewal);
    CHECK_INT(verify(made, AFAR__PURPOSE_RENEWAL), AFAR_OK);
    check_refused(made, AFAR__PURPOSE_REMOVAL, AFAR_UNAUTHENTICATED,
                  "the signature of a removal is not that of the key "
                  "zswVB9wd3XKVlRwpCIjwla25BE0bc9aW5t8GXWg71Pw");
    CHECK_INT(verify(made, AFAR__PURPOSE_RECORD), AFAR_UNAUTHENTICATED);
    afar__record_free(made);
}

static void
check_bits(ProtobufCBinaryData *part, const afar__signed *made)
{
    for (size_t bit = 0; bit < 8 * part->len; bit++) {
        part->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK_INT(verify(made, AFAR__PURPOSE_RECORD), AFAR_UNAUTHENTICATED);
        part->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(any_bit_changed_is_seen)
{
    afar__signed *made = signed_sample();

    check_bits(&made->record, made);
    check_bits(&made->key, made);
    check_bits(&made->signature, made);
    CHECK_INT(verify(made, AFAR__PURPOSE_RECORD), AFAR_OK);
    afar__record_free(made);
}

TEST(cut_anywhere_is_seen)
{
    afar__signed *made = signed_sample();
    size_t whole = made->record.len;

    for (made->record.len = 0; made->record.len < whole; made->record.len++)
        CHECK_INT(verify(made, AFAR__PURPOSE_RECORD), AFAR_UNAUTHENTICATED);
    afar__record_free(made);
}

TEST(another_key_did_not_sign_it)
{
    afar__signed *made = signed_sample();
    afar_key *other = key_of(2);

    memcpy(made->key.data, other->public, sizeof other->public);
    CHECK_INT(verify(made, AFAR__PURPOSE_RECORD), AFAR_UNAUTHENTICATED);
    afar_key_close(other);
    afar__record_free(made);
}

TEST(a_key_of_small_order_signs_no_record)
{
    afar__signed *made = signed_sample();

    memset(made->key.data, 0, 32);
    memset(made->signature.data, 0, 64);
    made->key.data[0] = made->signature.data[0] = 1;
    CHECK_INT(verify(made, AFAR__PURPOSE_RECORD), AFAR_UNAUTHENTICATED);
    afar__record_free(made);
}

/* Lengths that lie about what is there: nothing may be read before they are checked. */
TEST(lengths_come_first)
{
    afar__signed *made = signed_sample();
    afar__signed given = *made;

    check_refused(NULL, AFAR__PURPOSE_RENEWAL, AFAR_INVALID_ARGUMENT, "there is no signed renewal");
    given.key = (ProtobufCBinaryData){ 0, NULL };
    check_refused(&given, AFAR__PURPOSE_RECORD, AFAR_INVALID_ARGUMENT,
                  "the key of a signed record has 0 bytes, not 32");
    given.key = (ProtobufCBinaryData){ 33, made->key.data };
    check_refused(&given, AFAR__PURPOSE_RECORD, AFAR_INVALID_ARGUMENT,
                  "the key of a signed record has 33 bytes, not 32");
    given = *made;
    given.signature = (ProtobufCBinaryData){ 63, NULL };
    check_refused(&given, AFAR__PURPOSE_RECORD, AFAR_INVALID_ARGUMENT,
                  "the signature of a record has 63 bytes, not 64");
    given = *made;
    given.record = (ProtobufCBinaryData){ AFAR__MAX_RECORD + 1, NULL };
    check_refused(&given, AFAR__PURPOSE_RECORD, AFAR_INVALID_ARGUMENT,
                  "a signed record of 8193 bytes; at most 8192");
    given.record = (ProtobufCBinaryData){ SIZE_MAX, NULL };
    CHECK_INT(verify(&given, AFAR__PURPOSE_RECORD), AFAR_INVALID_ARGUMENT);
    given.record = (ProtobufCBinaryData){ 0, NULL };
    CHECK_INT(verify(&given, AFAR__PURPOSE_RECORD), AFAR_UNAUTHENTICATED);
    afar__record_free(made);
}

/* A message that was never filled is no bytes, and can be signed too. */
TEST(no_bytes_can_be_signed)
{
    Afar__Names__V1__Removal removal = AFAR__NAMES__V1__REMOVAL__INIT;
    afar__signed *made = sign(1, AFAR__PURPOSE_REMOVAL, &removal), *copy;

    CHECK_INT(made->record.len, 0);
    CHECK_INT(verify(made, AFAR__PURPOSE_REMOVAL), AFAR_OK);
    copy = afar__record_copy(made);
    CHECK(afar__record_equal(made, copy));
    afar__record_free(copy);
    afar__record_free(made);
}

/* The owner of a key may sign what is no message. */
TEST(garbage_with_a_good_signature)
{
    static const char *const garbage[] = { "\x0a", "\x0a\x05xyz", "\xff\xff\xff", "\x0a\x01\xff" };
    afar_key *key = key_of(1);

    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        uint8_t covered[15 + 10], signature[64];
        size_t length = strlen(garbage[i]);
        afar__signed given = AFAR__NAMES__V1__SIGNED_RECORD__INIT;
        afar_error err = AFAR_ERROR_INIT;
        ProtobufCMessage *message;

        memcpy(covered, "afar-record-v1", 15);
        memcpy(covered + 15, garbage[i], length);
        afar__secure_sign(key->secret, covered, 15 + length, signature);
        given.record = (ProtobufCBinaryData){ length, covered + 15 };
        given.key = (ProtobufCBinaryData){ 32, key->public };
        given.signature = (ProtobufCBinaryData){ 64, signature };
        CHECK_FAILS(afar__record_verify(&given, AFAR__PURPOSE_RECORD, &message, &err),
                    AFAR_INVALID_ARGUMENT);
        CHECK(strncmp(err.message, "what was signed as a record cannot be read: ", 44) == 0);
        afar_error_clear(&err);
    }
    afar_key_close(key);
}

TEST(only_what_fits_is_signed)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_key *key = key_of(1);
    struct sample sample;
    afar__signed *made = NULL;
    char *value = malloc(9000);
    size_t rest;

    sample_init(&sample);
    CHECK_FAILS(afar__record_sign(key, AFAR__PURPOSE_RENEWAL, &sample.record.base, &made, &err),
                AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "this message is no renewal to sign");
    sample.record.n_metadata = 1;
    sample.pairs[0].value = value;
    memset(value, 'x', 9000);
    value[8000] = 0;
    rest = AFAR__MAX_RECORD - protobuf_c_message_get_packed_size(&sample.record.base);
    value[8000] = 'x';
    value[8000 + rest] = 0;
    CHECK_OK(afar__record_sign(key, AFAR__PURPOSE_RECORD, &sample.record.base, &made, &err));
    CHECK_INT(made->record.len, AFAR__MAX_RECORD);
    CHECK_INT(verify(made, AFAR__PURPOSE_RECORD), AFAR_OK);
    afar__record_free(made);
    value[8000 + rest] = 'x';
    value[8000 + rest + 1] = 0;
    CHECK_FAILS(afar__record_sign(key, AFAR__PURPOSE_RECORD, &sample.record.base, &made, &err),
                AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "a record of 8193 bytes; at most 8192 can be signed");
    sample.pairs[0].value = NULL;
    sample.endpoints[0] = NULL;
    CHECK_FAILS(afar__record_sign(key, AFAR__PURPOSE_RECORD, &sample.record.base, &made, &err),
                AFAR_INVALID_ARGUMENT);
    free(value);
    afar_key_close(key);
    afar_error_clear(&err);
}

TEST(without_memory)
{
    afar_key *key = key_of(1);
    struct sample sample;
    afar__signed *made = signed_sample(), *other = NULL;
    ProtobufCMessage *message = NULL;
    afar_error err = AFAR_ERROR_INIT;

    if (faults_can()) {
        sample_init(&sample);
        faults_after(0);
        CHECK_FAILS(afar__record_sign(key, AFAR__PURPOSE_RECORD, &sample.record.base, &other, &err),
                    AFAR_RESOURCE_EXHAUSTED);
        CHECK(faults_happened());
        faults_after(0);
        CHECK_FAILS(afar__record_verify(made, AFAR__PURPOSE_RECORD, &message, &err),
                    AFAR_RESOURCE_EXHAUSTED);
        CHECK(faults_happened());
        faults_after(0);
        CHECK(afar__record_copy(made) == NULL);
        CHECK(faults_happened());
        faults_after(-1);
        CHECK(other == NULL && message == NULL);
    }
    afar__record_free(made);
    afar_key_close(key);
    afar_error_clear(&err);
}

/* ---- copies ---- */

TEST(a_copy_is_equal_and_apart)
{
    afar__signed *made = signed_sample();
    afar__signed *copy = afar__record_copy(made);
    ProtobufCBinaryData *parts[] = { &copy->record, &copy->key, &copy->signature };

    CHECK(afar__record_equal(made, copy));
    CHECK_INT(verify(copy, AFAR__PURPOSE_RECORD), AFAR_OK);
    for (size_t i = 0; i < 3; i++) {
        parts[i]->data[parts[i]->len - 1] ^= 1;
        CHECK(!afar__record_equal(made, copy));
        parts[i]->data[parts[i]->len - 1] ^= 1;
    }
    copy->record.len--;
    CHECK(!afar__record_equal(made, copy));
    afar__record_free(made);
    copy->record.len++;
    CHECK_INT(verify(copy, AFAR__PURPOSE_RECORD), AFAR_OK);
    afar__record_free(copy);
}

/* ---- limits ---- */

static void
check_good(const struct sample *sample)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar__record_check(&sample->record, &err));
}

/* It is refused for this reason, and the message names it. */
static void
check_bad(const struct sample *sample, const char *why)
{
    afar_error err = AFAR_ERROR_INIT;
    char expected[300];

    CHECK_FAILS(afar__record_check(&sample->record, &err), AFAR_INVALID_ARGUMENT);
    snprintf(expected, sizeof expected, "the record of \"bank/alice\": %s", why);
    CHECK_STR(err.message, expected);
    afar_error_clear(&err);
}

TEST(names_of_records)
{
    afar_error err = AFAR_ERROR_INIT;
    struct sample sample;
    char name[257];

    sample_init(&sample);
    memset(name, 'n', sizeof name);
    sample.record.name = name;
    name[255] = 0;
    check_good(&sample);
    name[255] = 'n';
    name[256] = 0;
    CHECK_FAILS(afar__record_check(&sample.record, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "longer than 255 bytes") != NULL);
    sample.record.name = (char *)"";
    CHECK_FAILS(afar__record_check(&sample.record, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "the record of \"\": \"\": the name is empty");
    sample.record.name = (char *)"a//b";
    CHECK_FAILS(afar__record_check(&sample.record, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "the record of \"a//b\": a//b: the name has two / in a row");
    sample.record.name = (char *)"a\x1b[31m";
    CHECK_FAILS(afar__record_check(&sample.record, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "the name of a record has a control character");
    afar_error_clear(&err);
}

TEST(one_to_eight_endpoints)
{
    struct sample sample;

    sample_init(&sample);
    sample.record.n_endpoints = 8;
    check_good(&sample);
    sample.record.n_endpoints = 9;
    check_bad(&sample, "9 endpoints; it needs 1 to 8");
    sample.record.n_endpoints = 0;
    check_bad(&sample, "0 endpoints; it needs 1 to 8");
    sample.record.n_endpoints = 8;
    sample.endpoints[7] = (char *)"grpc://127.0.0.1";
    check_bad(&sample, "grpc://127.0.0.1: no port; write grpc://127.0.0.1:PORT");
}

TEST(good_endpoints)
{
    static const char *const good[] = { "grpc://bank.example:1", "grpc://[::1]:65535",
                                        "grpc://10.0.0.1:7000", "unix:/run/bank.sock",
                                        "unix:/a folder/with/many/parts" };
    afar_error err = AFAR_ERROR_INIT;
    char path[5 + 107 + 1] = "unix:";

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK_OK(afar__endpoint_check(good[i], &err));
    memset(path + 5, 'x', 107);
    CHECK_OK(afar__endpoint_check(path, &err));
}

TEST(bad_endpoints)
{
    static const struct {
        const char *endpoint, *why;
    } bad[] = {
        { "", "the endpoint \"\" is neither grpc://HOST:PORT nor unix:PATH" },
        { "127.0.0.1:7000",
          "the endpoint \"127.0.0.1:7000\" is neither grpc://HOST:PORT nor unix:PATH" },
        { "inproc:bank", "the endpoint \"inproc:bank\" is neither grpc://HOST:PORT nor unix:PATH" },
        { "dns:///bank:1",
          "the endpoint \"dns:///bank:1\" is neither grpc://HOST:PORT nor unix:PATH" },
        { "grpc://h:1/bank/alice", "grpc://h:1/bank/alice: an object's name does not belong here" },
        { "grpc://h:1/", "grpc://h:1/: an object's name does not belong here" },
        { "grpc://h:0", "grpc://h:0: port 0 is for listening only" },
        { "grpc://h:65536", "grpc://h:65536: the port is above 65535" },
        { "grpc://[::1]", "grpc://[::1]: no port; write grpc://[::1]:PORT" },
        { "grpc://a b:1", "grpc://a b:1: the host has a character that no host has: \"a b\"" },
        { "unix:", "unix:: no path; write unix:PATH" },
        { "unix:/a\nb", "an endpoint has a control character" },
        { "grpc://h:1\x7f", "an endpoint has a control character" },
        { "unix:/\xc2\x9b"
          "x",
          "an endpoint has a control character" },
    };
    afar_error err = AFAR_ERROR_INIT;
    char text[302], path[5 + 108 + 1] = "unix:";

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_FAILS(afar__endpoint_check(bad[i].endpoint, &err), AFAR_INVALID_ARGUMENT);
        CHECK_STR(err.message, bad[i].why);
    }
    memset(path + 5, 'x', 108);
    CHECK_FAILS(afar__endpoint_check(path, &err), AFAR_INVALID_ARGUMENT);
    memset(text, 'x', sizeof text);
    text[301] = 0;
    CHECK_FAILS(afar__endpoint_check(text, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "has 301 bytes; at most 300") != NULL);
    afar_error_clear(&err);
}

TEST(at_most_32_interfaces)
{
    struct sample sample;

    sample_init(&sample);
    sample.record.n_interfaces = 0;
    check_good(&sample);
    sample.record.n_interfaces = 32;
    check_good(&sample);
    sample.record.n_interfaces = 33;
    check_bad(&sample, "33 interfaces; at most 32");
}

TEST(interfaces_have_full_names)
{
    static const char *const bad[] = { "",    ".",     "a.",    ".a",      "a..b",  "1a",
                                       "a.2", "a b",   "a/b",   "a\n",     "a()",   "(a)",
                                       "a(b", "a(b)c", "a(b.)", "a(b(c))", "a b(c)" };
    static const char *const good[] = { "Account", "bank.Account", "_a.b_2.C3",
                                        "afar.Sender(bank.Entry)" };
    struct sample sample;

    sample_init(&sample);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sample.interfaces[0] = (char *)bad[i];
        check_bad(&sample, "interface 1 has no full name, as bank.Account is one");
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        sample.interfaces[0] = (char *)good[i];
        check_good(&sample);
    }
}

TEST(instance_and_lease_have_16_bytes_or_none)
{
    struct sample sample;

    sample_init(&sample);
    sample.record.instance = sample.record.lease = (ProtobufCBinaryData){ 16, sample.bytes };
    check_good(&sample);
    sample.record.instance.len = 15;
    check_bad(&sample, "an instance of 15 bytes; it has 16, or none");
    sample.record.instance.len = 0;
    check_good(&sample);
    sample.record.lease.len = 17;
    check_bad(&sample, "a lease of 17 bytes; it has 16, or none");
}

TEST(terms_of_leases)
{
    struct sample sample;

    sample_init(&sample);
    sample.record.lease_ms = 1000;
    check_good(&sample);
    sample.record.lease_ms = 3600000;
    check_good(&sample);
    sample.record.lease_ms = 999;
    check_bad(&sample, "a lease of 999 ms; it may have 1000 to 3600000");
    sample.record.lease_ms = 3600001;
    check_bad(&sample, "a lease of 3600001 ms; it may have 1000 to 3600000");
    sample.record.lease = (ProtobufCBinaryData){ 16, sample.bytes }; /* then it has no meaning */
    check_good(&sample);
}

TEST(at_most_32_pairs_of_metadata)
{
    struct sample sample;
    char keys[33][3];

    sample_init(&sample);
    for (unsigned i = 0; i < 33; i++) {
        snprintf(keys[i], sizeof keys[i], "%u", i);
        sample.pairs[i].key = keys[i];
    }
    sample.record.n_metadata = 32;
    check_good(&sample);
    sample.record.n_metadata = 33;
    check_bad(&sample, "33 pairs of metadata; at most 32");
    sample.record.n_metadata = 32;
    sample.pairs[31].key = (char *)"5";
    check_bad(&sample, "metadata has the key 5 twice");
}

TEST(at_most_4_kib_of_metadata)
{
    struct sample sample;
    char value[4096];

    sample_init(&sample);
    memset(value, 'v', sizeof value);
    value[4095] = 0;
    sample.record.n_metadata = 1;
    sample.pairs[0].key = (char *)"k";
    sample.pairs[0].value = value;
    check_good(&sample);
    sample.pairs[0].key = (char *)"kk";
    check_bad(&sample, "4097 bytes of metadata; at most 4096");
}

TEST(metadata_can_be_shown)
{
    static const char *const bad[] = { "\n", "a\tb", "\x1b[0m", "\x7f", "\xc2\x80", "\xc2\x9f" };
    struct sample sample;

    sample_init(&sample);
    sample.record.n_metadata = 1;
    sample.pairs[0].key = (char *)"Straße";
    sample.pairs[0].value = (char *)"Zürich 5\xc2\xa0%";
    check_good(&sample);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sample.pairs[0].key = (char *)bad[i];
        sample.pairs[0].value = (char *)"";
        check_bad(&sample, "metadata has a control character");
        sample.pairs[0].key = (char *)"";
        sample.pairs[0].value = (char *)bad[i];
        check_bad(&sample, "metadata has a control character");
    }
}
