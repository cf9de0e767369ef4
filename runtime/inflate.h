#ifndef AFAR_RUNTIME_INFLATE_H
#define AFAR_RUNTIME_INFLATE_H

/* Compressed messages, read within a limit. */

#include <stddef.h>
#include <stdint.h>

#include <afar/error.h>

/* Reads gzip or zlib data into a block of malloc.  RESOURCE_EXHAUSTED if it holds more
 * than `limit` bytes, found without making room for them; INTERNAL if it cannot be
 * read. */
AFAR_MUST_USE afar_code
afar__inflate(const uint8_t *data, size_t length, size_t limit, uint8_t **ret_data,
              size_t *ret_length, afar_error *err);

#endif
