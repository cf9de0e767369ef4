#ifndef AFAR_SERVER_REGISTER_RECORD_H
#define AFAR_SERVER_REGISTER_RECORD_H

/* What a server says of each of its names, and the key that signs it. */

#include <afar/server.h>

#include "server/listen.h"
#include "server/register_names.h"

typedef struct afar__claim {
    afar_key *key;
    afar__record record; /* all but the name and what changes; it owns what it points to */
    bool given;          /* the endpoints were; else they are those of the listeners */
} afar__claim;

/* Takes copies from the options, checks them, and loads the key.  What it filled is to be
 * cleared, also after it failed.  `instance` must outlive it. */
afar_code
afar__claim_init(afar__claim *claim, const afar_server_options *options, const uint8_t *instance,
                 afar_error *err);
void
afar__claim_clear(afar__claim *claim);

/* The endpoints, if none were given.  INVALID_ARGUMENT when others could not reach the
 * server by them. */
afar_code
afar__claim_listeners(afar__claim *claim, const afar__listener *listeners, size_t count,
                      afar_error *err);

/* What changes from one record to the next. */
typedef struct afar__claim_terms {
    ProtobufCBinaryData nonce;
    ProtobufCBinaryData lease; /* empty: a new one */
    uint64_t generation;
} afar__claim_terms;

/* The signed record of a name as it is wanted now; afar__record_free. */
afar_code
afar__claim_sign(const afar__claim *claim, const afar__name *name, const afar__claim_terms *terms,
                 afar__signed **ret_signed, afar_error *err);

#endif
