#ifndef AFAR_RUNTIME_DETAILS_H
#define AFAR_RUNTIME_DETAILS_H

/* The typed details of an error: what hangs on afar_error.details.  They belong to
 * the error, and so to one thread at a time. */

#include <stddef.h>
#include <stdint.h>

#include <afar/error.h>

typedef struct afar_details afar_details;

/* Adds a detail, unless all details would then take more than `most` bytes (types and
 * data): RESOURCE_EXHAUSTED, also when out of memory.  The type need not be
 * terminated and holds no 0 byte. */
AFAR_MUST_USE afar_code
afar__details_add(afar_error *err, const char *type, size_t type_length, const void *data,
                  size_t length, size_t most);

/* A copy, without what afar_error_find keeps.  NULL for NULL, and when out of
 * memory. */
afar_details *
afar__details_copy(const afar_details *details);

/* NULL is allowed. */
void
afar__details_free(afar_details *details);

#endif
