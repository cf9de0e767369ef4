/* Numbers of methods: a path is sent once in a session, and a number from then on.
 *
 * Each side numbers what it calls: `theirs` are the paths by the peer's numbers, `ours` by
 * ours, with a hash table from path to number.  Nothing is taken out before the end.  The last
 * one that was asked for is kept, since many calls in a row are of one method. */

#include <stdlib.h>
#include <string.h>

#include "runtime/session/parts.h"
#include "runtime/spare.h"

static uint32_t
hash_of(const char *path, size_t length)
{
    uint32_t hash = 2166136261u;

    for (size_t at = 0; at < length; at++)
        hash = (hash ^ (uint8_t)path[at]) * 16777619u;
    return hash;
}

void
afar__read_method(afar__session *session, const afar__frame_method *method)
{
    afar__methods *methods = &session->methods;
    afar__method_name *name;
    char *path;

    if (method->number != methods->n_theirs + 1) {
        afar__session_fault(session, "Method has the number %u, not %u", (unsigned)method->number,
                            (unsigned)methods->n_theirs + 1);
        return;
    }
    if (methods->n_theirs == session->limits.methods) {
        afar__session_fault(session, "more than %u methods", (unsigned)session->limits.methods);
        return;
    }
    path = afar__session_alloc(session, method->path.length + 1);
    if (!path ||
        !afar__session_grow(session, (void *)&methods->theirs, &methods->their_capacity,
                            methods->n_theirs + 1, session->limits.methods, sizeof *name, true)) {
        afar__session_drop(session, path, method->path.length + 1);
        afar__session_exhausted(session);
        return;
    }
    if (method->path.length)
        memcpy(path, method->path.data, method->path.length);
    name = &methods->theirs[methods->n_theirs++];
    name->path = path;
    name->length = (uint32_t)method->path.length;
}

afar__session_span
afar__method_path(const afar__session *session, uint32_t number)
{
    const afar__method_name *name;

    if (number == 0 || number > session->methods.n_theirs)
        return (afar__session_span){ NULL, 0 };
    name = &session->methods.theirs[number - 1];
    return (afar__session_span){ name->path, name->length };
}

/* The place in the hash where a path is, or would be. */
static uint32_t
place_of(const afar__methods *methods, const char *path, uint32_t length, uint32_t hash)
{
    uint32_t mask = methods->by_path_capacity - 1;
    uint32_t at = hash & mask;

    for (; methods->by_path[at]; at = (at + 1) & mask) {
        const afar__method_name *name = &methods->ours[methods->by_path[at] - 1];

        if (name->hash == hash && name->length == length && memcmp(name->path, path, length) == 0)
            break;
    }
    return at;
}

/* Keeps the table at most half full. */
static bool
make_room(afar__methods *methods)
{
    uint32_t capacity = methods->by_path_capacity ? methods->by_path_capacity * 2 : 16;
    uint32_t *table;

    if ((methods->n_ours + 1) * 2 <= methods->by_path_capacity)
        return true;
    table = calloc(capacity, sizeof *table);
    if (!table)
        return false;
    free(methods->by_path);
    methods->by_path = table;
    methods->by_path_capacity = capacity;
    for (uint32_t number = 1; number <= methods->n_ours; number++) {
        const afar__method_name *name = &methods->ours[number - 1];

        table[place_of(methods, name->path, name->length, name->hash)] = number;
    }
    return true;
}

/* Gives a new path the next number, and sends that. */
static bool
announce(afar__session *session, const char *path, uint32_t length, uint32_t hash)
{
    afar__methods *methods = &session->methods;
    afar__waiting *waiting = afar__pack_plain(NULL, AFAR__FRAME_METHOD);
    char *copy = strdup(path);

    if (!waiting || !copy || !make_room(methods) ||
        !afar__session_grow(session, (void *)&methods->ours, &methods->our_capacity,
                            methods->n_ours + 1, UINT32_MAX, sizeof *methods->ours, false)) {
        free(copy);
        afar__spare_free(waiting, sizeof *waiting);
        return false;
    }
    methods->by_path[place_of(methods, path, length, hash)] = methods->n_ours + 1;
    methods->ours[methods->n_ours++] = (afar__method_name){ copy, length, hash };
    waiting->frame.method.number = methods->n_ours;
    waiting->frame.method.path = (afar__bytes){ (const uint8_t *)copy, length };
    afar__flow_push(session, waiting);
    return true;
}

afar_code
afar__method_number(afar__session *session, const char *path, uint32_t *ret_number, afar_error *err)
{
    afar__methods *methods = &session->methods;
    uint32_t hash, at;
    afar_code code;
    size_t length;

    if (methods->last && strcmp(methods->ours[methods->last - 1].path, path) == 0) {
        *ret_number = methods->last;
        return AFAR_OK;
    }
    length = strlen(path);
    if (length == 0 || length > AFAR__FRAME_MAX_METHOD)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "the path of a method has %zu bytes, not 1 to %d", length,
                         AFAR__FRAME_MAX_METHOD);
    hash = hash_of(path, length);
    if (methods->n_ours) {
        at = place_of(methods, path, (uint32_t)length, hash);
        if (methods->by_path[at]) {
            *ret_number = methods->last = methods->by_path[at];
            return AFAR_OK;
        }
    }
    if (methods->n_ours >= session->peer.methods)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "the peer takes %u methods in a session",
                         (unsigned)session->peer.methods);
    code = afar__frame_check(&(afar__frame){ .kind = AFAR__FRAME_METHOD,
                                             .method = { 1, { (const uint8_t *)path, length } } },
                             NULL, err);
    if (code != AFAR_OK)
        return code;
    if (!announce(session, path, (uint32_t)length, hash))
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "out of memory for a method's number");
    *ret_number = methods->last = methods->n_ours;
    return AFAR_OK;
}

void
afar__methods_clear(afar__session *session)
{
    afar__methods *methods = &session->methods;

    for (uint32_t at = 0; at < methods->n_theirs; at++)
        free(methods->theirs[at].path);
    for (uint32_t at = 0; at < methods->n_ours; at++)
        free(methods->ours[at].path);
    free(methods->theirs);
    free(methods->ours);
    free(methods->by_path);
}
