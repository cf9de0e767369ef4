/* Throws bytes at what reads signed records and keys: it must neither crash nor leak, what
 * it refuses it must refuse with a message, and what it accepts must keep the limits, as
 * they are counted here once more.
 *
 * The first byte of an input says what the rest is:
 *
 *     0, 1, 2   what the owner of a key signed, as a record, a renewal, a removal
 *     3         a signed record as it comes over the wire, to be read as each of them
 *     4         an endpoint
 *     5         a key as text
 *
 * Built with AFAR_LIBFUZZER it is a
 * target of libFuzzer; without, replay.h says what it does.
 *
 * One thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/address.h"
#include "runtime/decode.h"
#include "runtime/key.h"
#include "runtime/record.h"
#include "tests/fuzz/replay/replay.h"

static const char *const words[] = { "afar-record-v1", "afar-renewal-v1", "afar-removal-v1" };

/* ---- what was accepted ---- */

static void
require_plain(const char *text)
{
    for (; *text; text++)
        require((unsigned char)*text >= ' ' && *text != 0x7f, "accepted a control character");
}

static void
require_endpoint(const char *endpoint)
{
    afar__address address;

    require(strlen(endpoint) <= 300, "accepted a long endpoint");
    require_plain(endpoint);
    require(afar__address_parse_endpoint(endpoint, &address, NULL) == AFAR_OK &&
                address.kind != AFAR__ADDRESS_INPROC,
            "accepted an endpoint that cannot be used");
}

static void
require_limits(const afar__record *record)
{
    size_t bytes = 0;

    require(afar__name_check(record->name, NULL) == AFAR_OK, "accepted a bad name");
    require(record->n_endpoints >= 1 && record->n_endpoints <= 8, "accepted many endpoints");
    for (size_t i = 0; i < record->n_endpoints; i++)
        require_endpoint(record->endpoints[i]);
    require(record->n_interfaces <= 32, "accepted many interfaces");
    for (size_t i = 0; i < record->n_interfaces; i++)
        require_plain(record->interfaces[i]);
    require(record->instance.len == 0 || record->instance.len == 16, "accepted an instance");
    require(record->lease.len == 0 || record->lease.len == 16, "accepted a lease");
    require(record->n_metadata <= 32, "accepted much metadata");
    for (size_t i = 0; i < record->n_metadata; i++) {
        require_plain(record->metadata[i]->key);
        require_plain(record->metadata[i]->value);
        bytes += strlen(record->metadata[i]->key) + strlen(record->metadata[i]->value);
    }
    require(bytes <= 4096, "accepted large metadata");
}

static void
use_message(const ProtobufCMessage *message)
{
    afar_error err = AFAR_ERROR_INIT;

    if (message->descriptor == &afar__names__v1__record__descriptor) {
        const afar__record *record = (const afar__record *)message;

        if (afar__record_check(record, &err) == AFAR_OK)
            require_limits(record);
        else
            require(err.code == AFAR_INVALID_ARGUMENT && err.message[0], "an odd refusal");
    }
    afar_error_clear(&err);
}

/* Reads it as one of the three.  Returns whether the signature was good. */
static bool
read_signed(const afar__signed *given, afar__purpose purpose)
{
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *message;
    afar_code code = afar__record_verify(given, purpose, &message, &err);

    if (!code) {
        afar__signed *copy = afar__record_copy(given);

        require(copy != NULL && afar__record_equal(copy, given), "a copy differs");
        afar__record_free(copy);
        use_message(message);
        afar_message_free(message);
    } else {
        require(code == AFAR_UNAUTHENTICATED || code == AFAR_INVALID_ARGUMENT ||
                    code == AFAR_RESOURCE_EXHAUSTED,
                "an odd code");
        require(err.message[0] != 0, "no message");
    }
    afar_error_clear(&err);
    return code != AFAR_UNAUTHENTICATED;
}

/* ---- inputs ---- */

static const afar_key *
owner(void)
{
    static const uint8_t seed[AFAR__SEED_BYTES] = { 'f', 'u', 'z', 'z' };
    static afar_key key;

    if (!key.text[0]) {
        require(afar__secure_start(NULL) == AFAR_OK, "libsodium does not start");
        afar__secure_pair(seed, key.public, key.secret);
        afar__key_print(key.public, key.text);
    }
    return &key;
}

/* With a good signature over any bytes, so that they reach the decoder. */
static void
run_signed(afar__purpose purpose, const uint8_t *data, size_t length)
{
    uint8_t covered[16 + AFAR__MAX_RECORD], signature[AFAR__SIGNATURE_BYTES];
    uint8_t key[AFAR__PUBLIC_BYTES];
    size_t word = strlen(words[purpose]) + 1;
    afar__signed given = AFAR__NAMES__V1__SIGNED_RECORD__INIT;

    if (length > AFAR__MAX_RECORD)
        return;
    memcpy(covered, words[purpose], word);
    memcpy(covered + word, data, length);
    afar__secure_sign(owner()->secret, covered, word + length, signature);
    memcpy(key, owner()->public, sizeof key);
    given.record = (ProtobufCBinaryData){ length, covered + word };
    given.key = (ProtobufCBinaryData){ sizeof key, key };
    given.signature = (ProtobufCBinaryData){ sizeof signature, signature };
    require(read_signed(&given, purpose), "a good signature was refused");
}

static void
run_wire(const uint8_t *data, size_t length)
{
    ProtobufCMessage *given;

    if (afar__decode_message(&afar__names__v1__signed_record__descriptor, data, length, NULL,
                             &given, NULL) != AFAR_OK)
        return;
    read_signed((const afar__signed *)given, AFAR__PURPOSE_RECORD);
    read_signed((const afar__signed *)given, AFAR__PURPOSE_RENEWAL);
    read_signed((const afar__signed *)given, AFAR__PURPOSE_REMOVAL);
    afar_message_free(given);
}

static void
run_endpoint(const uint8_t *data, size_t length)
{
    char text[512];

    if (length >= sizeof text)
        return;
    memcpy(text, data, length);
    text[length] = 0;
    if (afar__endpoint_check(text, NULL) == AFAR_OK)
        require_endpoint(text);
}

static void
run_key(const uint8_t *data, size_t length)
{
    uint8_t key[AFAR__PUBLIC_BYTES];
    char text[AFAR__KEY_TEXT];

    if (!afar__key_parse((const char *)data, length, key))
        return;
    afar__key_print(key, text);
    require(length == strlen(text) && memcmp(text, data, length) == 0, "two texts of one key");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    owner();
    if (length < 1)
        return 0;
    if (data[0] < 3)
        run_signed((afar__purpose)data[0], data + 1, length - 1);
    else if (data[0] == 3)
        run_wire(data + 1, length - 1);
    else if (data[0] == 4)
        run_endpoint(data + 1, length - 1);
    else
        run_key(data + 1, length - 1);
    return 0;
}

const replay replay_how = { .name = "record_fuzz", .changes = 4000, .fixed = 1 };
