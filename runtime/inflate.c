/* Compressed messages.
 *
 * gRPC's core would inflate a message completely before it looks at its size: 256 KiB
 * from a peer became 256 MiB.  So it is told to leave messages as they are, and they
 * are inflated here, a block at a time, until they are read or over the limit. */

#include "runtime/inflate.h"

#include <limits.h>
#include <stdlib.h>

#include <zlib.h>

#define FIRST_ROOM ((size_t)4096)

/* Both forms gRPC knows: zlib tells them apart by their first bytes. */
#define ANY_FORM (MAX_WBITS + 32)

/* Makes room for more, up to one byte over the limit. */
static bool
grow(uint8_t **data, size_t *room, size_t limit)
{
    size_t more = *room ? *room * 2 : FIRST_ROOM;
    uint8_t *grown;

    if (more > limit + 1)
        more = limit + 1;
    grown = realloc(*data, more);
    if (!grown)
        return false;
    *data = grown;
    *room = more;
    return true;
}

static afar_code
inflate_all(z_stream *stream, size_t limit, uint8_t **ret_data, size_t *ret_length, afar_error *err)
{
    uint8_t *data = NULL;
    size_t room = 0;
    int status = Z_OK;

    while (status == Z_OK && stream->total_out <= limit) {
        if (stream->total_out == room && !grow(&data, &room, limit))
            break;
        stream->next_out = data + stream->total_out;
        stream->avail_out = (uInt)(room - stream->total_out);
        status = inflate(stream, Z_NO_FLUSH);
    }
    if (status == Z_STREAM_END && stream->total_out <= limit) {
        *ret_data = data;
        *ret_length = stream->total_out;
        return AFAR_OK;
    }
    free(data);
    if (stream->total_out > limit)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "a compressed message has more than the %zu bytes allowed", limit);
    if (status == Z_OK || status == Z_MEM_ERROR)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a compressed message");
    return afar_fail(err, AFAR_INTERNAL, "a compressed message cannot be read: %s",
                     stream->msg ? stream->msg : "it is cut off");
}

afar_code
afar__inflate(const uint8_t *data, size_t length, size_t limit, uint8_t **ret_data,
              size_t *ret_length, afar_error *err)
{
    z_stream stream = { .next_in = (z_const Bytef *)data };
    afar_code code;

    if (limit >= UINT_MAX)
        limit = UINT_MAX - 1;
    if (length > UINT_MAX)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "a compressed message of %zu bytes is too long", length);
    stream.avail_in = (uInt)length;
    if (inflateInit2(&stream, ANY_FORM) != Z_OK)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a compressed message");
    code = inflate_all(&stream, limit, ret_data, ret_length, err);
    inflateEnd(&stream);
    return code;
}
