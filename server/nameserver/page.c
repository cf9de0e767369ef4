/* Pages of a list.  Names are shared under the registry's lock, so many at a time, and their
 * metadata is compared without it: a list that nothing answers to goes through all names,
 * and who renews a lease meanwhile does not wait for it.  When the names change in
 * between, the page ends before the change, if it has an entry.
 *
 * Any thread; a page is its caller's.
 */

#include "server/nameserver/page.h"

#include <stdlib.h>

#define ENTRY_BYTES 80 /* of an entry beside its signed record: numbers, lease, tags */
#define FIRST_ROOM 64
#define SLICE 128 /* names that are taken under one lock */

struct slice {
    afar__entry entries[SLICE];
    size_t count;
};

static bool
is_wanted(const Afar__Names__V1__ListRequest *request, const afar__entry *entry)
{
    for (size_t i = 0; i < request->n_metadata; i++)
        if (!afar__entry_has(entry, request->metadata[i]->key, request->metadata[i]->value))
            return false;
    return true;
}

static bool
make_room(afar__page *page)
{
    size_t room = page->room > 0 ? page->room * 2 : FIRST_ROOM;
    afar__entry *entries;

    if (page->count < page->room)
        return true;
    entries = realloc(page->entries, room * sizeof *entries);
    if (!entries)
        return false;
    page->entries = entries;
    page->room = room;
    return true;
}

static bool
take(void *arg, const afar__entry *entry)
{
    struct slice *slice = arg;

    afar__entry_share(entry, &slice->entries[slice->count++]);
    return slice->count < SLICE;
}

/* Goes on until one that is wanted does not fit any more: so `more` is right. */
static bool
add(afar__page *page, const afar__entry *entry)
{
    size_t bytes =
        ENTRY_BYTES + AFAR__PUBLIC_BYTES + AFAR__SIGNATURE_BYTES + entry->record->record.len;

    if (!is_wanted(page->request, entry))
        return true;
    page->more = page->count > 0 &&
                 (page->bytes + bytes > AFAR__PAGE_BYTES || page->count == page->request->limit);
    if (page->more)
        return false;
    if (!make_room(page)) {
        page->no_memory = true;
        return false;
    }
    afar__entry_share(entry, &page->entries[page->count++]);
    page->bytes += bytes;
    return true;
}

/* Adds what is wanted of a slice; false at the end of the page. */
static bool
add_slice(afar__page *page, const struct slice *slice, uint64_t revision)
{
    bool goes_on = true;

    if (page->count > 0 && revision != page->revision) {
        page->more = true;
        return false;
    }
    page->revision = revision;
    for (size_t i = 0; i < slice->count && goes_on; i++)
        goes_on = add(page, &slice->entries[i]);
    return goes_on && slice->count == SLICE;
}

afar_code
afar__page_gather(afar__registry *registry, const Afar__Names__V1__ListRequest *request,
                  afar__page *ret_page, afar_error *err)
{
    afar__page page = { .request = request };
    afar__entry last = { .name = request->after };
    struct slice slice;
    bool goes_on = true;

    if (request->n_metadata > AFAR__MAX_PAIRS)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%zu pairs of metadata are asked for; no name has more than %d",
                         request->n_metadata, AFAR__MAX_PAIRS);
    while (goes_on) {
        uint64_t revision;

        slice.count = 0;
        revision = afar__registry_list(registry, request->prefix, last.name, take, &slice);
        goes_on = add_slice(&page, &slice, revision);
        afar__entry_clear(&last);
        if (goes_on)
            afar__entry_share(&slice.entries[slice.count - 1], &last);
        for (size_t i = 0; i < slice.count; i++)
            afar__entry_clear(&slice.entries[i]);
    }
    if (page.no_memory) {
        afar__page_clear(&page);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "the name server is out of memory");
    }
    *ret_page = page;
    return AFAR_OK;
}

void
afar__page_clear(afar__page *page)
{
    for (size_t i = 0; i < page->count; i++)
        afar__entry_clear(&page->entries[i]);
    free(page->entries);
}
