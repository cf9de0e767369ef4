/* Messages written byte by byte: what bytes.h says. */

#include "bytes.h"

#include <stdlib.h>
#include <string.h>

void
bytes_clear(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes)BYTES_INIT;
}

void
bytes_raw(struct bytes *bytes, const void *data, size_t length)
{
    if (length > bytes->capacity - bytes->length) {
        bytes->capacity = 2 * (bytes->length + length);
        bytes->data = realloc(bytes->data, bytes->capacity);
        if (!bytes->data)
            abort();
    }
    if (length > 0)
        memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

void
bytes_varint(struct bytes *bytes, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        bytes_raw(bytes, &(uint8_t){ (uint8_t)(value | 0x80) }, 1);
    bytes_raw(bytes, &(uint8_t){ (uint8_t)value }, 1);
}

void
bytes_tag(struct bytes *bytes, uint32_t number, uint32_t wire_type)
{
    bytes_varint(bytes, (uint64_t)number << 3 | wire_type);
}

void
bytes_number(struct bytes *bytes, uint32_t number, uint64_t value)
{
    bytes_tag(bytes, number, 0);
    bytes_varint(bytes, value);
}

void
bytes_block(struct bytes *bytes, uint32_t number, const void *data, size_t length)
{
    bytes_tag(bytes, number, 2);
    bytes_varint(bytes, length);
    bytes_raw(bytes, data, length);
}

void
bytes_string(struct bytes *bytes, uint32_t number, const char *string)
{
    bytes_block(bytes, number, string, strlen(string));
}

void
bytes_message(struct bytes *bytes, uint32_t number, const struct bytes *message)
{
    bytes_block(bytes, number, message->data, message->length);
}
