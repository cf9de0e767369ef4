#ifndef BYTES_H
#define BYTES_H

/* Messages written byte by byte, right or wrong. */

#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t length, capacity;
};

#define BYTES_INIT                                                                                 \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void
bytes_clear(struct bytes *bytes);

void
bytes_raw(struct bytes *bytes, const void *data, size_t length);

void
bytes_varint(struct bytes *bytes, uint64_t value);

void
bytes_tag(struct bytes *bytes, uint32_t number, uint32_t wire_type);

/* A field of each kind. */
void
bytes_number(struct bytes *bytes, uint32_t number, uint64_t value);

void
bytes_block(struct bytes *bytes, uint32_t number, const void *data, size_t length);

void
bytes_string(struct bytes *bytes, uint32_t number, const char *string);

void
bytes_message(struct bytes *bytes, uint32_t number, const struct bytes *message);

#endif
