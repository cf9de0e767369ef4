/* Events from frames: the lists of pairs and references as arrays.
 *
 * The arrays are one malloc for both, made for an event that has any, and freed with the
 * next event.  References were counted before (afar__refs_receive); here they only get the
 * form in which the owner sees them. */

#include <stdlib.h>

#include "runtime/session/parts.h"

static afar__session_span
span(afar__bytes bytes)
{
    return (afar__session_span){ bytes.data, bytes.length };
}

static void
fill_pairs(const afar__list *from, afar__session_pair *to)
{
    afar__list list = *from;
    afar__pair pair;

    while (afar__list_next_pair(&list, &pair))
        *to++ = (afar__session_pair){ span(pair.key), span(pair.value) };
}

static void
fill_elsewhere(const afar__elsewhere *from, afar__session_reference *to)
{
    to->address = span(from->address);
    to->name = span(from->name);
    to->instance = span(from->instance);
    to->key = span(from->key);
}

static void
fill_references(const afar__session *session, const afar__list *from, afar__session_reference *to)
{
    afar__list list = *from;
    afar__reference reference;

    for (; afar__list_next_reference(&list, &reference); to++) {
        *to = (afar__session_reference){ .interface = span(reference.interface) };
        switch (reference.kind) {
        case AFAR__REFERENCE_HOSTED:
            to->kind = AFAR__SESSION_THEIRS;
            to->import = reference.hosted.id;
            if (reference.hosted.where.address.length)
                fill_elsewhere(&reference.hosted.where, to);
            break;
        case AFAR__REFERENCE_YOURS:
            to->kind = AFAR__SESSION_OURS;
            to->object = afar__export_object(session, reference.yours);
            break;
        default:
            to->kind = AFAR__SESSION_THIRD;
            fill_elsewhere(&reference.address, to);
            break;
        }
    }
}

bool
afar__unpack(afar__session *session, const afar__list *first, const afar__list *second,
             const afar__list *references, afar__session_event *event)
{
    size_t pairs = first->count + second->count;
    size_t size =
        pairs * sizeof(afar__session_pair) + references->count * sizeof(afar__session_reference);
    afar__session_reference *objects;
    afar__session_pair *list;

    if (size == 0)
        return true;
    session->lists = afar__session_alloc(session, size);
    if (!session->lists)
        return false;
    session->lists_length = size;
    objects = session->lists;
    list = (afar__session_pair *)(void *)(objects + references->count);
    fill_references(session, references, objects);
    fill_pairs(first, list);
    fill_pairs(second, list + first->count);
    event->references = objects;
    event->reference_count = references->count;
    event->metadata = list;
    event->metadata_count = first->count;
    event->trailing = list + first->count;
    event->trailing_count = second->count;
    return true;
}

void
afar__unpack_done(afar__session *session)
{
    afar__session_drop(session, session->lists, session->lists_length);
    afar__session_drop(session, session->told, session->told_length);
    session->lists = NULL;
    session->told = NULL;
}
