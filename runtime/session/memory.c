/* What a session may take, and what it holds: its limits, the memory that they come to, and how
 * much of that is in use.
 *
 * What a peer makes us hold goes through afar__session_alloc, afar__session_drop and
 * afar__session_grow, which count it; structs of calls and frames that are held are counted where
 * they are made (calls.c, answer.c).  The count never goes over afar__session_most_bytes.
 *
 * Runs under the owner's lock. */

#include <stdlib.h>
#include <string.h>

#include "runtime/session/parts.h"

/* ---- limits ---- */

static uint32_t
chosen(uint32_t value, uint32_t otherwise, uint32_t most)
{
    value = value ? value : otherwise;
    return value < most ? value : most;
}

afar__session_limits
afar__limits_complete(const afar__session_limits *limits)
{
    return (afar__session_limits){
        .calls = chosen(limits->calls, 1000, AFAR__SESSION_MAX_ID),
        .references = chosen(limits->references, 1000000, AFAR__SESSION_MAX_ID),
        .message_bytes = chosen(limits->message_bytes, 4194304, 1 << 30),
        .window_bytes = chosen(limits->window_bytes, 65536, 1 << 30),
        .session_bytes = chosen(limits->session_bytes, 1048576, 1 << 30),
        .methods = chosen(limits->methods, 10000, AFAR__SESSION_MAX_ID),
        .idle_ms = chosen(limits->idle_ms, 10000, UINT32_MAX),
        .dead_ms = chosen(limits->dead_ms, 30000, UINT32_MAX),
    };
}

size_t
afar__session_most_bytes(const afar__session_limits *limits)
{
    afar__session_limits all = afar__limits_complete(limits);
    size_t call = sizeof(afar__call) + sizeof(afar__call *) + 64;
    size_t message = (size_t)all.message_bytes + AFAR__FRAME_MAX_REST;
    size_t pairs = AFAR__FRAME_MAX_METADATA / AFAR__FRAME_PAIR_COST;
    size_t lists = AFAR__FRAME_MAX_REFERENCES * sizeof(afar__session_reference) +
                   2 * pairs * sizeof(afar__session_pair);

    return sizeof(afar__session) + all.calls * call + all.references * sizeof(afar__import) +
           all.methods * (sizeof(afar__method_name) + AFAR__FRAME_MAX_METHOD + 1) +
           all.session_bytes + message + lists;
}

size_t
afar__session_held_bytes(const afar__session *session)
{
    return session->held_bytes;
}

/* ---- memory ---- */

void *
afar__session_alloc(afar__session *session, size_t size)
{
    void *data = calloc(1, size);

    if (data)
        session->held_bytes += size;
    return data;
}

void
afar__session_drop(afar__session *session, void *data, size_t size)
{
    if (data)
        session->held_bytes -= size;
    free(data);
}

bool
afar__session_grow(afar__session *session, void *array, uint32_t *capacity, uint32_t need,
                   uint32_t most, size_t element, bool counted)
{
    void *old, *grown;
    uint32_t wanted = *capacity < 4 ? 8 : *capacity * 2;

    if (need <= *capacity)
        return true;
    if (wanted < need)
        wanted = need;
    if (wanted > most)
        wanted = most;
    memcpy(&old, array, sizeof old);
    grown = realloc(old, wanted * element);
    if (!grown)
        return false;
    memset((char *)grown + *capacity * element, 0, (wanted - *capacity) * element);
    if (counted)
        session->held_bytes += (wanted - *capacity) * element;
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}
