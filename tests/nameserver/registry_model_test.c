/* Random changes, renewals and steps of the clock, against a model that is as simple as the
 * rules: arrays, searched from the front. */

#include <stdio.h>
#include <string.h>

#include "registry_host.h"
#include "runtime/clock.h"

#define NAMES 12
#define KEYS 3
#define LEASES 400 /* in all; those that are over stay */
#define ROUNDS 4000

struct model_lease {
    uint8_t id[AFAR__LEASE_BYTES];
    unsigned key;
    int64_t term_ms, end_ns;
    uint64_t sequence;
    bool ended; /* by a removal */
};

struct model_name {
    int lease; /* -1: nobody has it */
    uint64_t revision;
    uint64_t generation[KEYS]; /* the highest of each key */
};

static struct model {
    struct model_lease leases[LEASES];
    int lease_count;
    struct model_name names[NAMES];
    uint64_t generation;
    uint64_t revision; /* the last one that was answered */
} model;

static unsigned random_state = 4711;

static unsigned
random_below(unsigned end)
{
    random_state = random_state * 1103515245 + 12345;
    return (random_state >> 8) % end;
}

static const char *
name_text(unsigned name)
{
    static char text[NAMES][16];

    snprintf(text[name], sizeof text[name], "n/%0*u", (int)(1 + name % 3), name);
    return text[name];
}

static bool
is_open(int lease)
{
    return lease >= 0 && !model.leases[lease].ended && model.leases[lease].end_ns > clock_now();
}

static bool
is_held(unsigned name)
{
    return is_open(model.names[name].lease);
}

/* ---- what happens ---- */

/* What a registration must answer. */
static afar_code
expected_of(unsigned name, unsigned key, int lease, uint64_t generation, bool take_over)
{
    const struct model_name *named = &model.names[name];

    if (lease >= 0 && (!is_open(lease) || model.leases[lease].key != key))
        return AFAR_NOT_FOUND;
    if (is_held(name) && model.leases[named->lease].key != key)
        return AFAR_ALREADY_EXISTS;
    if (is_held(name) && named->lease != lease && !take_over)
        return AFAR_ALREADY_EXISTS;
    return generation > named->generation[key] ? AFAR_OK : AFAR_FAILED_PRECONDITION;
}

static int
add_lease(unsigned key, const afar__registered *result)
{
    struct model_lease *lease = &model.leases[model.lease_count];

    memcpy(lease->id, result->lease, sizeof lease->id);
    lease->key = key;
    lease->term_ms = result->term_ms;
    lease->end_ns = clock_now() + lease->term_ms * AFAR__MILLISECOND;
    return model.lease_count++;
}

static void
saw_revision(uint64_t revision)
{
    CHECK(revision > model.revision);
    model.revision = revision;
}

static void
try_register(afar__registry *registry)
{
    unsigned name = random_below(NAMES), key = random_below(KEYS);
    int lease = model.lease_count > 0 && (model.lease_count == LEASES || random_below(3) > 0)
                    ? model.lease_count - 1 - (int)random_below(10)
                    : -1;
    struct wish wish = { .name = name_text(name), .key = key, .take_over = random_below(2) };
    afar_error err = AFAR_ERROR_INIT;
    afar__registered result;
    afar_code code;

    if (lease < 0)
        lease = -1;
    else
        wish.lease = model.leases[lease].id;
    if (lease < 0 && model.lease_count == LEASES)
        return;
    wish.lease_ms = 1000 + random_below(3000);
    wish.generation = ++model.generation - random_below(2) * random_below(20);
    code = expected_of(name, key, lease, wish.generation, wish.take_over);
    if (code) {
        CHECK_FAILS(ask_register(registry, &wish, &result, &err), code);
        afar_error_clear(&err);
        return;
    }
    CHECK_OK(ask_register(registry, &wish, &result, &err));
    saw_revision(result.revision);
    model.names[name].lease = lease < 0 ? add_lease(key, &result) : lease;
    model.names[name].revision = result.revision;
    model.names[name].generation[key] = wish.generation;
}

static void
try_renew(afar__registry *registry)
{
    int lease = model.lease_count - 1 - (int)random_below(10);
    struct model_lease *renewed = &model.leases[lease < 0 ? 0 : lease];
    unsigned key = random_below(10) ? renewed->key : random_below(KEYS);
    uint64_t sequence = renewed->sequence + random_below(4);
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    if (lease < 0)
        return;
    code = ask_renew(registry, key, renewed->id, sequence, NULL, &err);
    if (!is_open(lease) || key != renewed->key) {
        CHECK_INT(code, AFAR_NOT_FOUND);
    } else if (sequence <= renewed->sequence) {
        CHECK_INT(code, AFAR_FAILED_PRECONDITION);
    } else {
        CHECK_INT(code, AFAR_OK);
        renewed->sequence = sequence;
        renewed->end_ns = clock_now() + renewed->term_ms * AFAR__MILLISECOND;
    }
    afar_error_clear(&err);
}

/* Takes names from a lease; returns how many it had. */
static uint32_t
forget_names(int lease, unsigned first, bool all)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < NAMES; i++)
        if (model.names[i].lease == lease && (all || i == first || i == first + 1)) {
            model.names[i].lease = -1;
            count++;
        }
    return count;
}

static void
try_unregister(afar__registry *registry)
{
    unsigned first = random_below(NAMES - 1);
    const char *names[] = { name_text(first), name_text(first + 1), NULL };
    int lease = model.lease_count - 1 - (int)random_below(10);
    struct model_lease *from = &model.leases[lease < 0 ? 0 : lease];
    bool all = random_below(3) == 0;
    afar_error err = AFAR_ERROR_INIT;
    afar__registered result;
    uint32_t count;

    if (lease < 0)
        return;
    if (!is_open(lease)) {
        CHECK_FAILS(ask_unregister(registry, from->key, from->id, 9999, names, NULL, &err),
                    AFAR_NOT_FOUND);
        afar_error_clear(&err);
        return;
    }
    CHECK_OK(ask_unregister(registry, from->key, from->id, ++from->sequence, all ? NULL : names,
                            &result, &err));
    count = forget_names(lease, first, all);
    from->ended = all;
    CHECK_INT(result.count, count);
    CHECK(result.revision >= model.revision + count);
    model.revision = result.revision;
}

/* ---- what is there ---- */

struct list {
    unsigned count;
    char names[NAMES][16];
};

static bool
add_to_list(void *arg, const afar__entry *entry)
{
    struct list *list = arg;

    CHECK(list->count < NAMES);
    CHECK(list->count == 0 || strcmp(list->names[list->count - 1], entry->name) < 0);
    snprintf(list->names[list->count++], sizeof list->names[0], "%s", entry->name);
    return true;
}

static void
compare_name(afar__registry *registry, unsigned name)
{
    const struct model_name *named = &model.names[name];
    const struct model_lease *lease = &model.leases[named->lease < 0 ? 0 : named->lease];
    afar_error err = AFAR_ERROR_INIT;
    afar__entry entry;

    if (!is_held(name)) {
        CHECK(!has_name(registry, name_text(name)));
        return;
    }
    CHECK_OK(afar__registry_lookup(registry, name_text(name), &entry, &err));
    CHECK_INT(entry.revision, named->revision);
    CHECK_INT(entry.sequence, lease->sequence);
    CHECK_INT(entry.left_ms, (lease->end_ns - clock_now()) / AFAR__MILLISECOND);
    CHECK(memcmp(entry.lease, lease->id, sizeof entry.lease) == 0);
    CHECK(memcmp(afar__record_key(entry.record), key_bytes(lease->key), AFAR__PUBLIC_BYTES) == 0);
    afar__entry_clear(&entry);
}

static void
compare(afar__registry *registry)
{
    struct list list = { 0, { "" } };
    unsigned held = 0;

    for (unsigned i = 0; i < NAMES; i++) {
        compare_name(registry, i);
        held += is_held(i);
    }
    afar__registry_list(registry, "n/", "", add_to_list, &list);
    CHECK_INT(list.count, held);
}

TEST(a_registry_does_what_its_rules_say)
{
    afar__registry *registry = host_open("memory");

    for (unsigned i = 0; i < NAMES; i++)
        model.names[i].lease = -1;
    model.generation = 100;
    model.revision = last_revision(registry);
    for (int round = 0; round < ROUNDS; round++) {
        unsigned what = random_below(10);

        if (what < 4)
            try_register(registry);
        else if (what < 7)
            try_renew(registry);
        else if (what < 8)
            try_unregister(registry);
        else
            clock_advance_ms(random_below(random_below(4) ? 200 : 2500));
        compare(registry);
    }
    CHECK(model.lease_count > 100);
    afar__registry_close(registry);
}
