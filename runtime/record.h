#ifndef AFAR_RUNTIME_RECORD_H
#define AFAR_RUNTIME_RECORD_H

/* What owners of names sign, and how it is checked (afar/names.proto has the rules).
 * Used by servers, clients and the name server.  Any thread. */

#include <afar/key.h>
#include <afar/names.pb-c.h>

#include "runtime/secure.h"

typedef Afar__Names__V1__SignedRecord afar__signed;
typedef Afar__Names__V1__Record afar__record;

typedef enum afar__purpose {
    AFAR__PURPOSE_RECORD,
    AFAR__PURPOSE_RENEWAL,
    AFAR__PURPOSE_REMOVAL
} afar__purpose;

#define AFAR__INSTANCE_BYTES 16
#define AFAR__LEASE_BYTES 16
#define AFAR__EPOCH_BYTES 16
#define AFAR__MAX_RECORD 8192
#define AFAR__MAX_ENDPOINTS 8
#define AFAR__MAX_INTERFACES 32
#define AFAR__MAX_PAIRS 32 /* of metadata */
#define AFAR__MIN_LEASE_MS 1000
#define AFAR__MAX_LEASE_MS 3600000

/* Packs and signs a message.  The result is one block, released by
 * afar__record_free. */
afar_code
afar__record_sign(const afar_key *key, afar__purpose purpose, const ProtobufCMessage *message,
                  afar__signed **ret_signed, afar_error *err);
void
afar__record_free(afar__signed *signed_record);

/* The 32 bytes of the key that signed; of the right length after a verify. */
const uint8_t *
afar__record_key(const afar__signed *signed_record);

/* Checks lengths and the signature, and reads the message, of the type that `purpose`
 * says; released by afar_message_free.  UNAUTHENTICATED for a wrong signature,
 * INVALID_ARGUMENT for what is no such message. */
afar_code
afar__record_verify(const afar__signed *signed_record, afar__purpose purpose,
                    ProtobufCMessage **ret_message, afar_error *err);

/* Whether a record keeps the limits of names.proto: its name, endpoints, interfaces,
 * instance, term, metadata.  INVALID_ARGUMENT says what is wrong, and names the name. */
afar_code
afar__record_check(const afar__record *record, afar_error *err);

/* Whether `endpoint` may be in a record: grpc://host:port or unix:path, without an
 * object's name. */
afar_code
afar__endpoint_check(const char *endpoint, afar_error *err);

/* A deep copy of what was signed, for keeping; afar__record_free.  NULL: no memory. */
afar__signed *
afar__record_copy(const afar__signed *signed_record);

/* Whether all three parts are the same bytes. */
bool
afar__record_equal(const afar__signed *a, const afar__signed *b);

#endif
