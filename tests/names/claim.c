/* What owners sign: what claim.h says. */

#include "claim.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

#define LEASE_MS 15000

afar_key *
claim_key(uint8_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    uint8_t seed[AFAR__SEED_BYTES] = { number };
    afar_key *key = NULL;

    CHECK_OK(afar__secure_start(&err));
    CHECK_OK(afar__key_from_seed(seed, &key, &err));
    return key;
}

static afar__signed *
sign(const afar_key *key, afar__purpose purpose, const ProtobufCMessage *message)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *made = NULL;

    CHECK_OK(afar__record_sign(key, purpose, message, &made, &err));
    return made;
}

static ProtobufCBinaryData
part(const uint8_t *bytes, size_t length)
{
    return (ProtobufCBinaryData){ bytes ? length : 0, (uint8_t *)bytes };
}

afar__signed *
claim_sign(const struct claim *claim)
{
    afar__record record = AFAR__NAMES__V1__RECORD__INIT;
    char *interfaces[] = { (char *)"names.Thing" };

    record.name = (char *)claim->name;
    record.endpoints = (char **)claim->endpoints;
    while (claim->endpoints[record.n_endpoints])
        record.n_endpoints++;
    record.interfaces = interfaces;
    record.n_interfaces = 1;
    record.instance = part(claim->instance, AFAR__INSTANCE_BYTES);
    record.generation = claim->generation;
    record.nonce = part(claim->nonce, NONCE_BYTES);
    record.lease_ms = LEASE_MS;
    record.lease = part(claim->lease, AFAR__LEASE_BYTES);
    record.take_over = claim->take_over;
    return sign(claim->key, AFAR__PURPOSE_RECORD, &record.base);
}

afar__signed *
claim_renewal(const struct held *held)
{
    Afar__Names__V1__Renewal renewal = AFAR__NAMES__V1__RENEWAL__INIT;

    renewal.lease = part(held->lease, sizeof held->lease);
    renewal.epoch = part(held->epoch, sizeof held->epoch);
    renewal.sequence = held->sequence;
    return sign(held->key, AFAR__PURPOSE_RENEWAL, &renewal.base);
}

afar__signed *
claim_removal(const struct held *held, const char *name)
{
    Afar__Names__V1__Removal removal = AFAR__NAMES__V1__REMOVAL__INIT;
    char *names[] = { (char *)name };

    removal.lease = part(held->lease, sizeof held->lease);
    removal.epoch = part(held->epoch, sizeof held->epoch);
    removal.sequence = held->sequence;
    removal.names = names;
    removal.n_names = name ? 1 : 0;
    return sign(held->key, AFAR__PURPOSE_REMOVAL, &removal.base);
}

/* The struct is one that afar__record_copy makes, so it is released like the others. */
afar__signed *
claim_bytes(const afar_key *key, const void *bytes, size_t length)
{
    static const char word[] = "afar-record-v1"; /* its zero byte belongs to it */
    uint8_t *covered = malloc(sizeof word + length);
    uint8_t public[AFAR__PUBLIC_BYTES], signature[AFAR__SIGNATURE_BYTES];
    afar__signed given = AFAR__NAMES__V1__SIGNED_RECORD__INIT, *made;

    CHECK(covered != NULL);
    memcpy(covered, word, sizeof word);
    memcpy(covered + sizeof word, bytes, length);
    memcpy(public, key->public, sizeof public);
    afar__secure_sign(key->secret, covered, sizeof word + length, signature);
    given.record = part(covered + sizeof word, length);
    given.key = part(public, sizeof public);
    given.signature = part(signature, sizeof signature);
    made = afar__record_copy(&given);
    CHECK(made != NULL);
    free(covered);
    return made;
}
