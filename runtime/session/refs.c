/* References: what the peer has of ours (exports) and what we have of the peer's (imports).
 *
 * An export has one id as long as the peer has a reference; `count` is how many were given out
 * and not released.  A call that is held here may name an export that the peer releases
 * meanwhile, so it pins it.  When both counts are 0 the id is free and the owner is told; that
 * is found by looking through a list, so that an object that is given out again in
 * between is not told.
 *
 * An import counts what the owner was told of; what a call that is held has brought counts when
 * that is told, so that the owner's pointer goes with the last reference it knows.  What the owner
 * releases is owed to the peer, and sent when no frame that waits names the import any more: a
 * Release must not overtake those.  An id whose counts are all 0 is not in use.
 *
 * Always: refs.exported is the sum of the exports' counts; an export is in `by_object` if and
 * only if it has an object. */

#include <stdlib.h>
#include <string.h>

#include "runtime/misuse.h"
#include "runtime/session/parts.h"

/* ---- exports ---- */

static uint32_t
place_of(const afar__refs *refs, const void *object)
{
    uint32_t mask = refs->by_object_capacity - 1;
    uint64_t mixed = (uint64_t)(uintptr_t)object * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t at = (uint32_t)(mixed >> 32) & mask;

    while (refs->by_object[at] && refs->exports[refs->by_object[at] - 1].object != object)
        at = (at + 1) & mask;
    return at;
}

static afar__export *
find_object(const afar__refs *refs, const void *object, uint32_t *ret_id)
{
    uint32_t id = refs->by_object_capacity ? refs->by_object[place_of(refs, object)] : 0;

    if (!id)
        return NULL;
    *ret_id = id;
    return &refs->exports[id - 1];
}

static afar__export *
find_export(const afar__refs *refs, uint32_t id)
{
    if (id == 0 || id > refs->export_made || !refs->exports[id - 1].object)
        return NULL;
    return &refs->exports[id - 1];
}

/* Keeps the table at most half full. */
static bool
make_room(afar__refs *refs)
{
    uint32_t capacity = refs->by_object_capacity ? refs->by_object_capacity * 2 : 16;
    uint32_t *table;

    if (refs->by_object && (refs->export_used + 1) * 2 <= refs->by_object_capacity)
        return true;
    table = calloc(capacity, sizeof *table);
    if (!table)
        return false;
    free(refs->by_object);
    refs->by_object = table;
    refs->by_object_capacity = capacity;
    for (uint32_t id = 1; refs->exports && id <= refs->export_made; id++)
        if (refs->exports[id - 1].object)
            table[place_of(refs, refs->exports[id - 1].object)] = id;
    return true;
}

/* Takes an entry out of the table and moves up those that it kept from their place. */
static void
unhash(afar__refs *refs, const void *object)
{
    uint32_t mask = refs->by_object_capacity - 1;
    uint32_t at = place_of(refs, object);

    refs->by_object[at] = 0;
    for (at = (at + 1) & mask; refs->by_object[at]; at = (at + 1) & mask) {
        uint32_t id = refs->by_object[at];

        refs->by_object[at] = 0;
        refs->by_object[place_of(refs, refs->exports[id - 1].object)] = id;
    }
}

/* A new export; 0 without memory. */
static uint32_t
add_export(afar__session *session, void *object)
{
    afar__refs *refs = &session->refs;
    uint32_t id = refs->export_free;

    if (!make_room(refs))
        return 0;
    if (id && refs->exports) {
        refs->export_free = refs->exports[id - 1].next;
    } else {
        if (!afar__session_grow(session, (void *)&refs->exports, &refs->export_capacity,
                                refs->export_made + 1, UINT32_MAX, sizeof *refs->exports, false))
            return 0;
        id = ++refs->export_made;
    }
    refs->exports[id - 1] = (afar__export){ .object = object };
    refs->by_object[place_of(refs, object)] = id;
    refs->export_used++;
    return id;
}

afar_code
afar__export_give(afar__session *session, void *object, uint32_t *ret_id, afar_error *err)
{
    afar__refs *refs = &session->refs;
    uint32_t id = 0;
    afar__export *export = find_object(refs, object, &id);

    if (!export) {
        if (refs->export_used >= session->peer.references)
            return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "the peer takes %u references",
                             (unsigned)session->peer.references);
        id = add_export(session, object);
        if (!id)
            return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "out of memory for a reference");
        export = &refs->exports[id - 1];
    }
    if (export->count == INT32_MAX)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "the peer has %d references to an object",
                         INT32_MAX);
    export->count++;
    refs->exported++;
    *ret_id = id;
    return AFAR_OK;
}

/* Lists it to be looked at if nothing holds it. */
static void
look_later(afar__refs *refs, uint32_t id)
{
    afar__export *export = &refs->exports[id - 1];

    if (export->count || export->pins || export->listed)
        return;
    export->listed = true;
    export->next = refs->export_look;
    refs->export_look = id;
}

/* Frees the id; returns the object that had it. */
static void *
forget(afar__refs *refs, uint32_t id)
{
    afar__export *export = &refs->exports[id - 1];
    void *object = export->object;

    unhash(refs, object);
    *export = (afar__export){ .next = refs->export_free };
    refs->export_free = id;
    refs->export_used--;
    return object;
}

/* One that is listed is told when its turn comes: it was there before. */
void
afar__export_undo(afar__session *session, uint32_t id)
{
    afar__export *export = &session->refs.exports[id - 1];

    export->count--;
    session->refs.exported--;
    if (export->count == 0 && export->pins == 0 && !export->listed)
        forget(&session->refs, id);
}

void
afar__export_take_back(afar__session *session, uint32_t id)
{
    afar__export *export = find_export(&session->refs, id);

    if (!export || !export->count)
        return;
    export->count--;
    session->refs.exported--;
    look_later(&session->refs, id);
}

void *
afar__export_object(const afar__session *session, uint32_t id)
{
    const afar__export *export = find_export(&session->refs, id);

    return export ? export->object : NULL;
}

void *
afar__session_export_object(const afar__session *session, uint32_t id)
{
    return afar__export_object(session, id);
}

bool
afar__export_known(const afar__session *session, uint32_t id)
{
    const afar__export *export = find_export(&session->refs, id);

    return export && export->count;
}

void
afar__export_pin(afar__session *session, uint32_t id, bool pin)
{
    afar__export *export = find_export(&session->refs, id);

    if (!export)
        return;
    if (pin) {
        export->pins++;
    } else {
        export->pins--;
        look_later(&session->refs, id);
    }
}

/* With the session, all references go. */
static void *
next_at_the_end(afar__session *session)
{
    afar__refs *refs = &session->refs;

    while (session->over_export < refs->export_made) {
        afar__export *export = &refs->exports[session->over_export++];

        if (!export->object)
            continue;
        refs->exported -= export->count;
        return forget(refs, session->over_export);
    }
    return NULL;
}

void *
afar__export_next_released(afar__session *session)
{
    afar__refs *refs = &session->refs;

    if (session->over)
        return next_at_the_end(session);
    while (refs->export_look) {
        uint32_t id = refs->export_look;
        afar__export *export = &refs->exports[id - 1];

        refs->export_look = export->next;
        export->listed = false;
        if (export->count == 0 && export->pins == 0)
            return forget(refs, id);
    }
    return NULL;
}

uint32_t
afar__session_exported(const afar__session *session, const void *object)
{
    uint32_t id;
    const afar__export *export = find_object(&session->refs, object, &id);

    return export ? export->count : 0;
}

bool
afar__session_exports(const afar__session *session, const void *object)
{
    uint32_t id;

    return find_object(&session->refs, object, &id) != NULL;
}

void
afar__read_release(afar__session *session, const afar__frame_release *release)
{
    afar__export *export = find_export(&session->refs, release->export);

    if (!export || release->count == 0 || release->count > export->count) {
        afar__session_fault(session, "Release of %u of %u references to export %u",
                            (unsigned)release->count, export ? (unsigned)export->count : 0,
                            (unsigned)release->export);
        return;
    }
    export->count -= release->count;
    session->refs.exported -= release->count;
    look_later(&session->refs, release->export);
}

/* ---- imports ---- */

static afar__import *
find_import(const afar__refs *refs, uint32_t id)
{
    return id && id <= refs->import_capacity ? &refs->imports[id - 1] : NULL;
}

static bool
in_use(const afar__import *import)
{
    return import->count || import->owed;
}

bool
afar__import_known(const afar__session *session, uint32_t id)
{
    const afar__import *import = find_import(&session->refs, id);

    return import && import->count;
}

void
afar__import_use(afar__session *session, uint32_t id, bool use)
{
    afar__import *import = find_import(&session->refs, id);

    if (import)
        import->uses += use ? 1u : (uint32_t)-1;
}

static bool
check_import(afar__session *session, uint32_t id)
{
    if (id > 0 && id <= session->limits.references)
        return true;
    return afar__session_fault(session, "a reference to export %u, over %u", (unsigned)id,
                               (unsigned)session->limits.references);
}

static bool
add_import(afar__session *session, uint32_t id)
{
    afar__refs *refs = &session->refs;
    afar__import *import;

    if (!check_import(session, id))
        return false;
    if (!afar__session_grow(session, (void *)&refs->imports, &refs->import_capacity, id,
                            session->limits.references, sizeof *refs->imports, true))
        return afar__session_exhausted(session);
    import = &refs->imports[id - 1];
    if (import->count + import->owed >= INT32_MAX)
        return afar__session_fault(session, "more than %d references to export %u", INT32_MAX,
                                   (unsigned)id);
    if (!in_use(import))
        refs->import_used++;
    import->count++;
    return true;
}

void
afar__session_release(afar__session *session, uint32_t id, uint32_t count)
{
    afar__refs *refs = &session->refs;
    afar__import *import = find_import(refs, id);

    if (session->over_told || count == 0)
        return;
    if (count > (import ? import->count : 0))
        afar__misuse("more references to import %u are released than came", (unsigned)id);
    import->count -= count;
    if (import->owed == 0) {
        import->next = refs->owing;
        refs->owing = id;
    }
    import->owed += count;
    if (import->count == 0)
        import->user = NULL;
}

void *
afar__session_import_user(const afar__session *session, uint32_t id)
{
    const afar__import *import = find_import(&session->refs, id);

    return import ? import->user : NULL;
}

void
afar__session_set_import_user(afar__session *session, uint32_t id, void *user)
{
    afar__import *import = find_import(&session->refs, id);

    if (import && import->count)
        import->user = user;
}

bool
afar__refs_owe(const afar__session *session)
{
    for (uint32_t id = session->refs.owing; id; id = session->refs.imports[id - 1].next)
        if (session->refs.imports[id - 1].uses == 0)
            return true;
    return false;
}

bool
afar__refs_take(afar__session *session, afar__batch *batch)
{
    afar__refs *refs = &session->refs;
    uint32_t *link = &refs->owing;

    while (*link && batch->length < AFAR__FRAME_MAX_BATCH - 64) {
        afar__import *import = &refs->imports[*link - 1];
        afar__frame frame = { .kind = AFAR__FRAME_RELEASE,
                              .release = { .export = *link, .count = import->owed } };

        if (import->uses) {
            link = &import->next;
            continue;
        }
        if (!afar__batch_add(batch, &frame))
            return false;
        import->owed = 0;
        *link = import->next;
        import->next = 0;
        if (!in_use(import))
            refs->import_used--;
    }
    return true;
}

/* ---- references in frames ---- */

bool
afar__refs_receive(afar__session *session, const afar__list *references, bool held)
{
    afar__list list = *references;
    afar__reference reference;

    while (afar__list_next_reference(&list, &reference)) {
        switch (reference.kind) {
        case AFAR__REFERENCE_HOSTED:
            if (held ? !check_import(session, reference.hosted.id)
                     : !add_import(session, reference.hosted.id))
                return false;
            break;
        case AFAR__REFERENCE_YOURS:
            if (!afar__export_known(session, reference.yours))
                return afar__session_fault(session, "a reference to export %u, which is none",
                                           (unsigned)reference.yours);
            if (held)
                afar__export_pin(session, reference.yours, true);
            break;
        default:
            break;
        }
    }
    return true;
}

void
afar__refs_ignore(afar__session *session, const afar__list *references, bool held)
{
    afar__list list = *references;
    afar__reference reference;

    while (afar__list_next_reference(&list, &reference)) {
        if (reference.kind == AFAR__REFERENCE_YOURS && held)
            afar__export_pin(session, reference.yours, false);
        if (reference.kind != AFAR__REFERENCE_HOSTED || session->over)
            continue;
        if (!held || add_import(session, reference.hosted.id))
            afar__session_release(session, reference.hosted.id, 1);
    }
}

bool
afar__refs_told(afar__session *session, const afar__list *references)
{
    afar__list list = *references;
    afar__reference reference;

    while (afar__list_next_reference(&list, &reference)) {
        if (reference.kind == AFAR__REFERENCE_YOURS)
            afar__export_pin(session, reference.yours, false);
        if (reference.kind == AFAR__REFERENCE_HOSTED && !add_import(session, reference.hosted.id))
            return false;
    }
    return true;
}

void
afar__refs_clear(afar__session *session)
{
    afar__refs *refs = &session->refs;

    session->held_bytes -= refs->import_capacity * sizeof *refs->imports;
    free(refs->exports);
    free(refs->by_object);
    free(refs->imports);
    *refs = (afar__refs){ .exports = NULL };
}
