/* Signed records: made, checked, copied.
 *
 * A signature is over a word that says what the bytes are for, a zero byte, and the bytes.
 * The words are no prefixes of each other with their zero bytes, so what was signed as
 * a renewal can never be shown as a record.
 *
 * Everything that arrives is checked from the outside in: first the lengths, then the
 * signature over the bytes as they are, then the bytes as a message.  So only the owner of
 * a key, and nobody on the way, gets as far as the decoder.  Bytes are never packed again.
 *
 * A signed record that is made here is one block: the struct, and behind it key, signature
 * and bytes.  Any thread.
 */

#include "runtime/record.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/address.h"
#include "runtime/decode.h"
#include "runtime/key.h"

#define MAX_WORD 16
#define MAX_ENDPOINT 300
#define MAX_METADATA_BYTES 4096

struct purpose {
    const char *word;
    const char *noun;
    const ProtobufCMessageDescriptor *type;
};

static const struct purpose purposes[] = {
    [AFAR__PURPOSE_RECORD] = { "afar-record-v1", "record", &afar__names__v1__record__descriptor },
    [AFAR__PURPOSE_RENEWAL] = { "afar-renewal-v1", "renewal",
                                &afar__names__v1__renewal__descriptor },
    [AFAR__PURPOSE_REMOVAL] = { "afar-removal-v1", "removal",
                                &afar__names__v1__removal__descriptor },
};

/* ---- blocks ---- */

/* A signed record with room for `length` bytes, all still to be filled. */
static afar__signed *
new_signed(size_t length)
{
    size_t fixed = AFAR__PUBLIC_BYTES + AFAR__SIGNATURE_BYTES;
    afar__signed *made = malloc(sizeof *made + fixed + length);

    if (!made)
        return NULL;
    afar__names__v1__signed_record__init(made);
    made->key.data = (uint8_t *)(made + 1);
    made->key.len = AFAR__PUBLIC_BYTES;
    made->signature.data = made->key.data + AFAR__PUBLIC_BYTES;
    made->signature.len = AFAR__SIGNATURE_BYTES;
    made->record.data = made->signature.data + AFAR__SIGNATURE_BYTES;
    made->record.len = length;
    return made;
}

void
afar__record_free(afar__signed *signed_record)
{
    free(signed_record);
}

const uint8_t *
afar__record_key(const afar__signed *signed_record)
{
    return signed_record->key.data;
}

static bool
bytes_equal(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool
afar__record_equal(const afar__signed *a, const afar__signed *b)
{
    return bytes_equal(a->record, b->record) && bytes_equal(a->key, b->key) &&
           bytes_equal(a->signature, b->signature);
}

/* ---- signing ---- */

/* Writes what is signed: word, zero byte, bytes; the length. */
static size_t
cover(const struct purpose *purpose, const uint8_t *bytes, size_t length,
      uint8_t covered[MAX_WORD + AFAR__MAX_RECORD])
{
    size_t word = strlen(purpose->word) + 1;

    memcpy(covered, purpose->word, word);
    if (length > 0)
        memcpy(covered + word, bytes, length);
    return word + length;
}

afar_code
afar__record_sign(const afar_key *key, afar__purpose purpose, const ProtobufCMessage *message,
                  afar__signed **ret_signed, afar_error *err)
{
    const struct purpose *to = &purposes[purpose];
    uint8_t covered[MAX_WORD + AFAR__MAX_RECORD];
    size_t length;
    afar__signed *made;

    if (message->descriptor != to->type || !protobuf_c_message_check(message))
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "this message is no %s to sign", to->noun);
    length = protobuf_c_message_get_packed_size(message);
    if (length > AFAR__MAX_RECORD)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "a %s of %zu bytes; at most %d can be signed",
                         to->noun, length, AFAR__MAX_RECORD);
    made = new_signed(length);
    if (!made)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a signed %s", to->noun);
    protobuf_c_message_pack(message, made->record.data);
    memcpy(made->key.data, key->public, AFAR__PUBLIC_BYTES);
    length = cover(to, made->record.data, length, covered);
    afar__secure_sign(key->secret, covered, length, made->signature.data);
    *ret_signed = made;
    return AFAR_OK;
}

/* ---- verifying ---- */

/* Whether the parts have the lengths they must have; nothing else was looked at yet. */
static afar_code
check_lengths(const afar__signed *given, const struct purpose *purpose, afar_error *err)
{
    if (!given)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "there is no signed %s", purpose->noun);
    if (given->key.len != AFAR__PUBLIC_BYTES)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "the key of a signed %s has %zu bytes, not %d",
                         purpose->noun, given->key.len, AFAR__PUBLIC_BYTES);
    if (given->signature.len != AFAR__SIGNATURE_BYTES)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "the signature of a %s has %zu bytes, not %d",
                         purpose->noun, given->signature.len, AFAR__SIGNATURE_BYTES);
    if (given->record.len > AFAR__MAX_RECORD)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "a signed %s of %zu bytes; at most %d",
                         purpose->noun, given->record.len, AFAR__MAX_RECORD);
    return AFAR_OK;
}

static bool
is_genuine(const afar__signed *given, const struct purpose *purpose)
{
    uint8_t covered[MAX_WORD + AFAR__MAX_RECORD];
    size_t length = cover(purpose, given->record.data, given->record.len, covered);

    return afar__secure_verify(given->key.data, covered, length, given->signature.data);
}

/* The decoder calls bytes that are no such message INTERNAL; here they are what a peer
 * has handed in. */
static afar_code
decode(const afar__signed *given, const struct purpose *purpose, ProtobufCMessage **ret_message,
       afar_error *err)
{
    const afar_message_limits limits = { .max_bytes = AFAR__MAX_RECORD };
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = afar__decode_message(purpose->type, given->record.data, given->record.len,
                                          &limits, ret_message, &why);

    if (code == AFAR_INTERNAL)
        code = AFAR_INVALID_ARGUMENT;
    if (code)
        afar_fail(err, code, "what was signed as a %s cannot be read: %s", purpose->noun,
                  why.message);
    afar_error_clear(&why);
    return code;
}

afar_code
afar__record_verify(const afar__signed *signed_record, afar__purpose purpose,
                    ProtobufCMessage **ret_message, afar_error *err)
{
    const struct purpose *as = &purposes[purpose];
    char key[AFAR__KEY_TEXT];
    afar_code code = check_lengths(signed_record, as, err);

    if (!code)
        code = afar__secure_start(err);
    if (code)
        return code;
    if (!is_genuine(signed_record, as)) {
        afar__key_print(signed_record->key.data, key);
        return afar_fail(err, AFAR_UNAUTHENTICATED,
                         "the signature of a %s is not that of the key %s", as->noun, key);
    }
    return decode(signed_record, as, ret_message, err);
}

afar__signed *
afar__record_copy(const afar__signed *signed_record)
{
    afar__signed *made = new_signed(signed_record->record.len);

    if (!made)
        return NULL;
    memcpy(made->key.data, signed_record->key.data, AFAR__PUBLIC_BYTES);
    memcpy(made->signature.data, signed_record->signature.data, AFAR__SIGNATURE_BYTES);
    if (made->record.len > 0)
        memcpy(made->record.data, signed_record->record.data, made->record.len);
    return made;
}

/* ---- the limits of a record ---- */

/* Text that can be shown as it is: no control characters, neither those of ASCII nor
 * U+0080 to U+009F.  That it is UTF-8 has been checked when it was read. */
static bool
is_plain(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0))
            return false;
    return true;
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Past a full name as protobuf has them, identifiers with dots between; NULL if there is none. */
static const char *
past_full_name(const char *text)
{
    for (;; text++) {
        if (!is_letter(*text))
            return NULL;
        while (is_letter(*text) || (*text >= '0' && *text <= '9'))
            text++;
        if (*text != '.')
            return text;
    }
}

/* "bank.Account", or for an end of a channel "afar.Sender(bank.Entry)". */
static bool
is_interface(const char *text)
{
    const char *end = past_full_name(text);

    if (end && *end == '(')
        end = past_full_name(end + 1);
    else
        return end && *end == 0;
    return end && strcmp(end, ")") == 0;
}

/* A unix path is not looked up: it means something on the machine of whoever registered
 * it, which need not be this one. */
afar_code
afar__endpoint_check(const char *endpoint, afar_error *err)
{
    afar__address address;
    size_t length = strlen(endpoint);

    if (length > MAX_ENDPOINT)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "the endpoint %.60s... has %zu bytes; at most %d", endpoint, length,
                         MAX_ENDPOINT);
    if (!is_plain(endpoint))
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "an endpoint has a control character");
    if (strncmp(endpoint, "unix:", 5) != 0 && strncmp(endpoint, "grpc://", 7) != 0)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "the endpoint \"%.90s\" is neither grpc://HOST:PORT nor unix:PATH",
                         endpoint);
    return afar__address_parse_endpoint(endpoint, &address, err);
}

static afar_code
check_endpoints(const afar__record *record, afar_error *err)
{
    afar_code code = AFAR_OK;

    if (record->n_endpoints < 1 || record->n_endpoints > AFAR__MAX_ENDPOINTS)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "%zu endpoints; it needs 1 to %d",
                         record->n_endpoints, AFAR__MAX_ENDPOINTS);
    for (size_t i = 0; !code && i < record->n_endpoints; i++)
        code = afar__endpoint_check(record->endpoints[i], err);
    return code;
}

static afar_code
check_interfaces(const afar__record *record, afar_error *err)
{
    if (record->n_interfaces > AFAR__MAX_INTERFACES)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "%zu interfaces; at most %d",
                         record->n_interfaces, AFAR__MAX_INTERFACES);
    for (size_t i = 0; i < record->n_interfaces; i++)
        if (!is_interface(record->interfaces[i]))
            return afar_fail(err, AFAR_INVALID_ARGUMENT,
                             "interface %zu has no full name, as bank.Account is one", i + 1);
    return AFAR_OK;
}

static bool
has_key_before(const afar__record *record, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(record->metadata[i]->key, record->metadata[index]->key) == 0)
            return true;
    return false;
}

static afar_code
check_metadata(const afar__record *record, afar_error *err)
{
    size_t bytes = 0;

    if (record->n_metadata > AFAR__MAX_PAIRS)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "%zu pairs of metadata; at most %d",
                         record->n_metadata, AFAR__MAX_PAIRS);
    for (size_t i = 0; i < record->n_metadata; i++) {
        const char *key = record->metadata[i]->key, *value = record->metadata[i]->value;

        if (!is_plain(key) || !is_plain(value))
            return afar_fail(err, AFAR_INVALID_ARGUMENT, "metadata has a control character");
        if (has_key_before(record, i))
            return afar_fail(err, AFAR_INVALID_ARGUMENT, "metadata has the key %.60s twice", key);
        bytes += strlen(key) + strlen(value);
    }
    if (bytes > MAX_METADATA_BYTES)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "%zu bytes of metadata; at most %d", bytes,
                         MAX_METADATA_BYTES);
    return AFAR_OK;
}

static afar_code
check_numbers(const afar__record *record, afar_error *err)
{
    if (record->instance.len != 0 && record->instance.len != AFAR__INSTANCE_BYTES)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "an instance of %zu bytes; it has %d, or none",
                         record->instance.len, AFAR__INSTANCE_BYTES);
    if (record->lease.len != 0 && record->lease.len != AFAR__LEASE_BYTES)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "a lease of %zu bytes; it has %d, or none",
                         record->lease.len, AFAR__LEASE_BYTES);
    if (record->lease.len == 0 &&
        (record->lease_ms < AFAR__MIN_LEASE_MS || record->lease_ms > AFAR__MAX_LEASE_MS))
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "a lease of %u ms; it may have %d to %d",
                         (unsigned)record->lease_ms, AFAR__MIN_LEASE_MS, AFAR__MAX_LEASE_MS);
    return AFAR_OK;
}

afar_code
afar__record_check(const afar__record *record, afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    afar_code code;

    if (!is_plain(record->name))
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "the name of a record has a control character");
    code = afar__name_check(record->name, &why);
    if (!code)
        code = check_endpoints(record, &why);
    if (!code)
        code = check_interfaces(record, &why);
    if (!code)
        code = check_numbers(record, &why);
    if (!code)
        code = check_metadata(record, &why);
    if (code)
        afar_fail(err, code, "the record of \"%.80s\": %s", record->name, why.message);
    afar_error_clear(&why);
    return code;
}
