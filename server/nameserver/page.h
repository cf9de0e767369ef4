#ifndef AFAR_NAMESERVER_PAGE_H
#define AFAR_NAMESERVER_PAGE_H

/* One answer to List: the entries that are wanted and fit. */

#include "server/nameserver/registry.h"

/* What a page may have, packed, but for its first entry.  A client that does not read has the
 * server keep pages: one for each call that it may have at a time. */
#define AFAR__PAGE_BYTES ((size_t)64 * 1024)

typedef struct afar__page {
    afar__entry *entries;
    size_t count;
    size_t bytes;      /* no less than they have when they are packed */
    bool more;         /* another one is wanted */
    uint64_t revision; /* the entries are as they were then */

    /* while it is gathered */
    const Afar__Names__V1__ListRequest *request;
    size_t room;
    bool no_memory;
} afar__page;

/* RESOURCE_EXHAUSTED when memory is out; INVALID_ARGUMENT for more metadata than a name can
 * have: each pair costs time, for each name. */
afar_code
afar__page_gather(afar__registry *registry, const Afar__Names__V1__ListRequest *request,
                  afar__page *ret_page, afar_error *err);

/* Lets the entries go. */
void
afar__page_clear(afar__page *page);

#endif
