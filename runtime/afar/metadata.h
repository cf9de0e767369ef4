#ifndef AFAR_METADATA_H
#define AFAR_METADATA_H

/* Metadata: pairs beside a call, as gRPC has them (grpc, doc/PROTOCOL-HTTP2.md,
 * "Custom-Metadata").  A plain array, so a caller can write it as an
 * initialiser:
 *
 *     afar_metadata_entry entries[] = { { "trace", "7f", 2 } };
 *     afar_metadata metadata = { entries, 1 };
 *
 * Keys are lower case letters, digits, '-', '_' and '.'; a key that ends in
 * "-bin" carries any bytes, every other one printable ASCII.  Keys that begin
 * with "grpc-" belong to gRPC, with "afar-" to Afar.  Keys may repeat; order
 * among equal keys is kept.  All that a call carries must fit 8 KiB. */

#include <stddef.h>

#include <afar/api.h>
#include <afar/error.h>

AFAR_BEGIN

typedef struct afar_metadata_entry {
    const char *key;
    const void *value;             /* received values have a 0 byte behind them */
    size_t length;
} afar_metadata_entry;

typedef struct afar_metadata {
    const afar_metadata_entry *entries;
    size_t count;
} afar_metadata;

/* The first value with that key and its length (ret_length may be NULL), or
 * NULL.  Lives as long as the metadata. */
AFAR_API const void *
afar_metadata_find(const afar_metadata *metadata, const char *key, size_t *ret_length);

/* INVALID_ARGUMENT, naming the key, if one of the pairs may not be sent. */
AFAR_API AFAR_MUST_USE afar_code
afar_metadata_check(const afar_metadata *metadata, afar_error *err);

AFAR_END

#endif
