/* The names that a server wants registered: what register_names.h says.
 *
 *     DUE       take -> BUSY
 *     LATER     wake, or exported again -> DUE
 *     LOST      take -> BUSY; another interface, or lose_all -> DUE
 *     BUSY      is_there -> THERE; again -> DUE; later -> LATER; is_left -> LEFT;
 *               look_again -> LOST; is_removed -> DUE, or gone
 *     THERE     another interface -> DUE; lose -> LOST; lose_all -> DUE
 *     LEFT      exported again -> DUE
 *     UNWANTED  take -> BUSY; exported again -> DUE
 *
 * From any state but BUSY a name that loses its last interface is UNWANTED.  What
 * happens to a BUSY name shows when it leaves that state: it is UNWANTED if it has no
 * interface, and DUE if its version is not the one that was taken.
 *
 * Names are found by a hash table, and each is in one list, that of its state, in the
 * order in which it got there.  A BUSY name is never freed, so its text may be read
 * without a lock. */

#include "server/register_names.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 64

struct list {
    afar__name *first, **last;
    size_t count;
};

struct afar__wanted {
    afar__name **buckets;
    size_t count, room;
    size_t waiting;
    int64_t next_wake; /* no LATER one is due before; at most too early */
    bool take_over;
    struct list lists[AFAR__NAME_STATES];
};

/* ---- lists ---- */

static void
append(struct list *list, afar__name *name)
{
    name->next = NULL;
    name->place = list->last;
    *list->last = name;
    list->last = &name->next;
    list->count++;
}

static void
unlink_name(struct list *list, afar__name *name)
{
    *name->place = name->next;
    if (name->next)
        name->next->place = name->place;
    else
        list->last = name->place;
    list->count--;
}

static void
recount(afar__wanted *names, afar__name *name)
{
    bool counts = name->interface_count > 0 && name->state != AFAR__NAME_THERE;

    if (counts && !name->counted)
        names->waiting++;
    else if (!counts && name->counted)
        names->waiting--;
    name->counted = counts;
}

/* The one place where a state changes. */
static void
enter(afar__wanted *names, afar__name *name, afar__name_state state)
{
    unlink_name(&names->lists[name->state], name);
    name->state = state;
    append(&names->lists[state], name);
    recount(names, name);
}

/* Out of BUSY: to `state`, unless something else is wanted by now. */
static void
settle(afar__wanted *names, afar__name *name, afar__name_state state)
{
    if (name->interface_count == 0)
        state = AFAR__NAME_UNWANTED;
    else if (name->version != name->busy_version)
        state = AFAR__NAME_DUE;
    enter(names, name, state);
}

/* Without memory the reason of before is better than none. */
static void
keep_reason(afar__name *name, const char *why)
{
    char *copy = why ? strdup(why) : NULL;

    if (!copy)
        return;
    free(name->why);
    name->why = copy;
}

/* ---- the table ---- */

/* FNV-1a. */
static uint64_t
hash_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash ^ hash >> 32;
}

static afar__name **
bucket_of(const afar__wanted *names, uint64_t hash)
{
    return &names->buckets[hash & (names->room - 1)];
}

static afar__name *
find(const afar__wanted *names, const char *text)
{
    uint64_t hash = hash_of(text);
    afar__name *name = *bucket_of(names, hash);

    while (name && (name->hash != hash || strcmp(name->name, text) != 0))
        name = name->next_in_bucket;
    return name;
}

static bool
grow(afar__wanted *names)
{
    afar__name **old = names->buckets;
    size_t old_room = names->room;

    if (names->count < old_room)
        return true;
    names->buckets = calloc(old_room * 2, sizeof(afar__name *));
    if (!names->buckets) {
        names->buckets = old;
        return false;
    }
    names->room = old_room * 2;
    for (size_t i = 0; i < old_room; i++)
        while (old[i]) {
            afar__name *name = old[i], **bucket = bucket_of(names, name->hash);

            old[i] = name->next_in_bucket;
            name->next_in_bucket = *bucket;
            *bucket = name;
        }
    free(old);
    return true;
}

static afar__name *
insert(afar__wanted *names, const char *text)
{
    afar__name *name = calloc(1, sizeof *name + strlen(text) + 1), **bucket;

    if (!name || !grow(names)) {
        free(name);
        return NULL;
    }
    memcpy(name->name, text, strlen(text) + 1);
    name->hash = hash_of(text);
    name->state = AFAR__NAME_DUE;
    name->take_over = names->take_over;
    bucket = bucket_of(names, name->hash);
    name->next_in_bucket = *bucket;
    *bucket = name;
    names->count++;
    append(&names->lists[AFAR__NAME_DUE], name);
    return name;
}

static void
discard(afar__wanted *names, afar__name *name)
{
    afar__name **place = bucket_of(names, name->hash);

    while (*place != name)
        place = &(*place)->next_in_bucket;
    *place = name->next_in_bucket;
    unlink_name(&names->lists[name->state], name);
    names->count--;
    free(name->why);
    free(name);
}

afar__wanted *
afar__wanted_new(bool take_over)
{
    afar__wanted *names = calloc(1, sizeof *names);

    if (!names)
        return NULL;
    names->buckets = calloc(FIRST_ROOM, sizeof(afar__name *));
    if (!names->buckets) {
        free(names);
        return NULL;
    }
    names->room = FIRST_ROOM;
    names->next_wake = INT64_MAX;
    names->take_over = take_over;
    for (size_t i = 0; i < AFAR__NAME_STATES; i++)
        names->lists[i].last = &names->lists[i].first;
    return names;
}

void
afar__wanted_free(afar__wanted *names)
{
    if (!names)
        return;
    for (size_t i = 0; i < AFAR__NAME_STATES; i++)
        while (names->lists[i].first)
            discard(names, names->lists[i].first);
    free(names->buckets);
    free(names);
}

/* ---- what is wanted ---- */

afar_code
afar__wanted_add(afar__wanted *names, const char *text, const char *interface, afar_error *err)
{
    afar__name *name = find(names, text);

    if (!name)
        name = insert(names, text);
    if (!name)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory to register \"%s\"", text);
    if (name->interface_count == AFAR__MAX_INTERFACES)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "\"%s\" stands for %d interfaces already; the name server takes no more",
                         text, AFAR__MAX_INTERFACES);
    if (name->interface_count == 0 || name->state == AFAR__NAME_LEFT)
        name->take_over = names->take_over;
    name->interfaces[name->interface_count++] = interface;
    name->version++;
    if (name->state == AFAR__NAME_BUSY)
        recount(names, name);
    else
        enter(names, name, AFAR__NAME_DUE);
    return AFAR_OK;
}

/* What is left when an interface has gone. */
static void
shrink(afar__wanted *names, afar__name *name)
{
    if (name->state == AFAR__NAME_BUSY)
        recount(names, name);
    else if (name->interface_count == 0)
        enter(names, name, AFAR__NAME_UNWANTED);
    else if (name->state == AFAR__NAME_THERE || name->state == AFAR__NAME_LOST)
        enter(names, name, AFAR__NAME_DUE);
}

void
afar__wanted_remove(afar__wanted *names, const char *text, const char *interface)
{
    afar__name *name = find(names, text);

    for (size_t i = 0; name && i < name->interface_count; i++) {
        if (strcmp(name->interfaces[i], interface) != 0)
            continue;
        memmove(&name->interfaces[i], &name->interfaces[i + 1],
                (--name->interface_count - i) * sizeof *name->interfaces);
        name->version++;
        shrink(names, name);
        return;
    }
}

size_t
afar__wanted_waiting(const afar__wanted *names)
{
    return names->waiting;
}

size_t
afar__wanted_count(const afar__wanted *names, afar__name_state state)
{
    return names->lists[state].count;
}

const afar__name *
afar__wanted_first_waiting(const afar__wanted *names)
{
    const afar__name *first = NULL;

    for (size_t i = 0; i < AFAR__NAME_STATES; i++)
        for (const afar__name *name = names->lists[i].first; name; name = name->next) {
            if (name->counted && name->why)
                return name;
            if (name->counted && !first)
                first = name;
        }
    return first;
}

/* ---- what is to be done ---- */

int64_t
afar__wanted_wake(afar__wanted *names, int64_t now)
{
    afar__name *next;

    if (now < names->next_wake)
        return names->next_wake;
    names->next_wake = INT64_MAX;
    for (afar__name *name = names->lists[AFAR__NAME_LATER].first; name; name = next) {
        next = name->next;
        if (name->when <= now)
            enter(names, name, AFAR__NAME_DUE);
        else if (name->when < names->next_wake)
            names->next_wake = name->when;
    }
    return names->next_wake;
}

const afar__name *
afar__wanted_peek(const afar__wanted *names, afar__name_state state)
{
    return names->lists[state].first;
}

afar__name *
afar__wanted_take(afar__wanted *names, afar__name_state state)
{
    afar__name *name = names->lists[state].first;

    if (!name)
        return NULL;
    name->busy_version = name->version;
    enter(names, name, AFAR__NAME_BUSY);
    return name;
}

/* ---- how it went ---- */

void
afar__name_is_there(afar__wanted *names, afar__name *name)
{
    name->known = true;
    name->take_over = false;
    name->told = false;
    name->refusals = 0;
    name->tried = 0;
    free(name->why);
    name->why = NULL;
    settle(names, name, AFAR__NAME_THERE);
}

void
afar__name_again(afar__wanted *names, afar__name *name, const char *why)
{
    keep_reason(name, why);
    settle(names, name, AFAR__NAME_DUE);
}

void
afar__name_later(afar__wanted *names, afar__name *name, int64_t when, const char *why)
{
    keep_reason(name, why);
    name->when = when;
    if (when < names->next_wake)
        names->next_wake = when;
    settle(names, name, AFAR__NAME_LATER);
}

void
afar__name_look_again(afar__wanted *names, afar__name *name)
{
    settle(names, name, AFAR__NAME_LOST);
}

void
afar__name_is_left(afar__wanted *names, afar__name *name, const char *why)
{
    keep_reason(name, why);
    name->known = false;
    settle(names, name, AFAR__NAME_LEFT);
}

void
afar__name_is_removed(afar__wanted *names, afar__name *name)
{
    name->known = false;
    if (name->interface_count == 0)
        discard(names, name);
    else
        enter(names, name, AFAR__NAME_DUE);
}

/* ---- what the name server says ---- */

const afar__name *
afar__wanted_lose(afar__wanted *names, const char *text)
{
    afar__name *name = find(names, text);

    if (!name || name->state != AFAR__NAME_THERE)
        return NULL;
    name->known = false;
    enter(names, name, AFAR__NAME_LOST);
    return name;
}

void
afar__wanted_lose_all(afar__wanted *names)
{
    static const afar__name_state registered[] = { AFAR__NAME_THERE, AFAR__NAME_LOST };

    for (size_t i = 0; i < AFAR__NAME_STATES; i++)
        for (afar__name *name = names->lists[i].first; name; name = name->next)
            name->known = false;
    for (size_t i = 0; i < sizeof registered / sizeof *registered; i++)
        while (names->lists[registered[i]].first)
            enter(names, names->lists[registered[i]].first, AFAR__NAME_DUE);
}
