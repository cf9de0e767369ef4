/* Links, kept in a list and found by where they go.
 *
 * A link lives as long as the list or a reference over it.  `lock` guards the list and
 * what is noted in it; nothing waits while it is held.  Two threads that want the
 * same address at the same time share the link: connecting is done outside the lock,
 * by each.
 *
 * Any thread. */

#include "client/links.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *next;
    afar__address address; /* without an object's name */
    afar__link *link;
    bool confirmed;
    uint8_t instance[AFAR__INSTANCE_BYTES]; /* if confirmed */
};

struct afar__links {
    atomic_uint refs;
    afar_node *node;
    pthread_mutex_t lock; /* guards what follows */
    bool shut;
    struct entry *entries;
};

/* ---- life ---- */

afar_code
afar__links_new(afar_node *node, afar__links **ret_links, afar_error *err)
{
    afar__links *links = calloc(1, sizeof *links);

    if (!links)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a client");
    atomic_init(&links->refs, 1);
    links->node = node;
    pthread_mutex_init(&links->lock, NULL);
    *ret_links = links;
    return AFAR_OK;
}

afar__links *
afar__links_ref(afar__links *links)
{
    atomic_fetch_add_explicit(&links->refs, 1, memory_order_relaxed);
    return links;
}

static void
free_entries(struct entry *entries)
{
    for (struct entry *next, *entry = entries; entry; entry = next) {
        next = entry->next;
        afar__link_unref(entry->link);
        free(entry);
    }
}

void
afar__links_shut(afar__links *links)
{
    struct entry *entries;

    pthread_mutex_lock(&links->lock);
    links->shut = true;
    entries = links->entries;
    links->entries = NULL;
    pthread_mutex_unlock(&links->lock);
    for (struct entry *entry = entries; entry; entry = entry->next)
        afar__link_shut(entry->link);
    free_entries(entries);
}

void
afar__links_unref(afar__links *links)
{
    if (atomic_fetch_sub_explicit(&links->refs, 1, memory_order_acq_rel) != 1)
        return;
    afar_node_close(links->node);
    pthread_mutex_destroy(&links->lock);
    free(links);
}

/* ---- connecting ---- */

static bool
same_place(const afar__address *a, const afar__address *b)
{
    return a->kind == b->kind && a->port == b->port && strcmp(a->host, b->host) == 0 &&
           strcmp(a->path, b->path) == 0;
}

static struct entry *
find_locked(const afar__links *links, const afar__address *address)
{
    struct entry *entry = links->entries;

    while (entry && !same_place(&entry->address, address))
        entry = entry->next;
    return entry;
}

/* Takes out the links that nobody uses and that lead nowhere: the places of servers that
 * have moved would gather here. */
static struct entry *
take_idle_locked(afar__links *links)
{
    struct entry **place = &links->entries, *idle = NULL;

    while (*place) {
        struct entry *entry = *place;

        if (afar__link_shared(entry->link) || afar__link_connected(entry->link)) {
            place = &entry->next;
            continue;
        }
        *place = entry->next;
        entry->next = idle;
        idle = entry;
    }
    return idle;
}

static afar_code
add_locked(afar__links *links, const afar__address *address, struct entry **ret_entry,
           afar_error *err)
{
    struct entry *entry = calloc(1, sizeof *entry);
    afar_code code;

    if (!entry)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a connection");
    code = afar__link_open(links->node, address, &entry->link, err);
    if (code) {
        free(entry);
        return code;
    }
    entry->address = *address;
    entry->next = links->entries;
    links->entries = entry;
    *ret_entry = entry;
    return AFAR_OK;
}

/* The link to an address, with a reference, connected or not. */
static afar_code
get(afar__links *links, const afar__address *address, afar__link **ret_link, afar_error *err)
{
    struct entry *entry, *idle = NULL;
    afar_code code = AFAR_OK;

    pthread_mutex_lock(&links->lock);
    entry = find_locked(links, address);
    if (!entry) {
        idle = take_idle_locked(links);
        code = links->shut ? afar_fail(err, AFAR_FAILED_PRECONDITION, "the client was closed")
                           : add_locked(links, address, &entry, err);
    }
    if (entry)
        *ret_link = afar__link_ref(entry->link);
    pthread_mutex_unlock(&links->lock);
    free_entries(idle);
    return code;
}

/* A link that broke and cannot mend itself makes room for a new one. */
static void
forget(afar__links *links, afar__link *link)
{
    struct entry **place, *entry;

    pthread_mutex_lock(&links->lock);
    place = &links->entries;
    while (*place && (*place)->link != link)
        place = &(*place)->next;
    entry = *place;
    if (entry) {
        *place = entry->next;
        entry->next = NULL;
    }
    pthread_mutex_unlock(&links->lock);
    free_entries(entry);
}

afar_code
afar__links_connect(afar__links *links, const afar__address *address, afar_deadline deadline,
                    afar__link **ret_link, afar_error *err)
{
    afar_code code = AFAR_UNAVAILABLE;

    for (int tries = 0; tries < 2 && code == AFAR_UNAVAILABLE; tries++) {
        afar__link *link = NULL;
        bool again;

        code = get(links, address, &link, err);
        if (code)
            return code;
        code = afar__link_connect(link, deadline, err);
        if (!code) {
            *ret_link = link;
            return AFAR_OK;
        }
        again = !afar__link_heals(link);
        if (again)
            forget(links, link);
        afar__link_unref(link);
        if (!again)
            break;
    }
    return code;
}

/* "ADDRESS: cannot connect: REASON", or "ADDRESS: REASON". */
const char *
afar__links_reason(const afar_error *err)
{
    static const char cannot[] = ": cannot connect: ";
    const char *at = strstr(err->message, cannot);

    if (at)
        return at + sizeof cannot - 1;
    at = strstr(err->message, ": ");
    return at ? at + 2 : err->message;
}

/* ---- who is there ---- */

static struct entry *
entry_locked(afar__links *links, const afar__link *link)
{
    struct entry *entry = links->entries;

    while (entry && entry->link != link)
        entry = entry->next;
    return entry;
}

bool
afar__links_confirmed(afar__links *links, const afar__link *link,
                      const uint8_t instance[AFAR__INSTANCE_BYTES])
{
    const struct entry *entry;
    bool confirmed;

    pthread_mutex_lock(&links->lock);
    entry = entry_locked(links, link);
    confirmed =
        entry && entry->confirmed && memcmp(entry->instance, instance, AFAR__INSTANCE_BYTES) == 0;
    pthread_mutex_unlock(&links->lock);
    return confirmed;
}

void
afar__links_confirm(afar__links *links, const afar__link *link,
                    const uint8_t instance[AFAR__INSTANCE_BYTES])
{
    struct entry *entry;

    pthread_mutex_lock(&links->lock);
    entry = entry_locked(links, link);
    if (entry) {
        entry->confirmed = true;
        memcpy(entry->instance, instance, AFAR__INSTANCE_BYTES);
    }
    pthread_mutex_unlock(&links->lock);
}
