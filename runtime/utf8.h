#ifndef AFAR_RUNTIME_UTF8_H
#define AFAR_RUNTIME_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The number of bytes at the start of `data` that are well formed UTF-8 without
 * a 0 byte: `length` if the whole is. */
size_t
afar__utf8_span(const uint8_t *data, size_t length);

#endif
