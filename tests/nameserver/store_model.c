/* Commits that follow from their numbers, and stores compared with what they make. */

#include "store_model.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

struct made {
    char name[64];
    uint8_t record[AFAR__MAX_RECORD], key[AFAR__PUBLIC_BYTES], signature[AFAR__SIGNATURE_BYTES];
    afar__signed signed_record;
};

static uint32_t
mix(uint32_t a, uint32_t b)
{
    uint32_t value = a * UINT32_C(2654435761) ^ (b + 1) * UINT32_C(2246822519);

    value = (value ^ value >> 15) * UINT32_C(3266489917);
    return value ^ value >> 13;
}

static void
fill(uint8_t *bytes, size_t length, uint32_t seed)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)mix(seed, (uint32_t)i);
}

/* ---- rows from numbers ---- */

static void
make_lease(uint32_t slot, uint32_t step, afar__stored_lease *lease)
{
    uint32_t seed = mix(slot, step);

    memset(lease, 0, sizeof *lease);
    fill(lease->id, sizeof lease->id, slot);
    memcpy(lease->id, &slot, sizeof slot);
    fill(lease->key, sizeof lease->key, seed);
    lease->has_instance = seed & 1;
    if (lease->has_instance)
        fill(lease->instance, sizeof lease->instance, seed);
    lease->term_ms = 1000 + seed % 3599000;
}

/* Most records have some hundred bytes; now and then one is as long as it may be. */
static void
make_name(const struct model *model, uint32_t slot, uint32_t step, struct made *made,
          afar__stored_name *name)
{
    afar__signed empty = AFAR__NAMES__V1__SIGNED_RECORD__INIT;
    uint32_t seed = mix(slot, step);
    afar__stored_lease lease;

    CHECK(model->leases > 0);
    snprintf(made->name, sizeof made->name, "part-%u/name.%u", slot % 7, slot);
    made->signed_record = empty;
    made->signed_record.record.data = made->record;
    made->signed_record.record.len = seed % 16 == 0 ? AFAR__MAX_RECORD : 100 + seed % 500;
    made->signed_record.key.data = made->key;
    made->signed_record.key.len = sizeof made->key;
    made->signed_record.signature.data = made->signature;
    made->signed_record.signature.len = sizeof made->signature;
    fill(made->record, made->signed_record.record.len, seed);
    fill(made->key, sizeof made->key, seed + 1);
    fill(made->signature, sizeof made->signature, seed + 2);

    make_lease(seed % (uint32_t)model->leases, step, &lease);
    memcpy(name->lease, lease.id, sizeof name->lease);
    name->name = made->name;
    name->revision = model->first + step;
    name->record = &made->signed_record;
}

/* ---- commits ---- */

/* What change number `place` of a commit is about. */
static afar__change_kind
pick(const struct model *model, uint32_t step, uint32_t place, uint32_t *ret_slot)
{
    uint32_t seed = mix(step, place);
    bool is_lease = seed % 4 == 0, goes = seed / 4 % 4 == 0;

    *ret_slot = seed / 16 % (uint32_t)(is_lease ? model->leases : model->names);
    if (is_lease)
        return goes ? AFAR__CHANGE_END : AFAR__CHANGE_LEASE;
    return goes ? AFAR__CHANGE_REMOVE : AFAR__CHANGE_PUT;
}

static uint32_t
change_count(uint32_t step)
{
    return 1 + mix(step, 77) % MODEL_CHANGES;
}

static void
step_once(struct model *model)
{
    uint32_t step = ++model->step;

    for (uint32_t i = 0; i < change_count(step); i++) {
        uint32_t slot;
        afar__change_kind kind = pick(model, step, i, &slot);

        if (kind == AFAR__CHANGE_LEASE || kind == AFAR__CHANGE_END)
            model->lease[slot] = kind == AFAR__CHANGE_LEASE ? step : 0;
        else
            model->name[slot] = kind == AFAR__CHANGE_PUT ? step : 0;
    }
}

void
model_init(struct model *model, uint64_t first, size_t names, size_t leases)
{
    memset(model, 0, sizeof *model);
    model->first = first;
    model->names = names;
    model->leases = leases;
}

void
model_go_to(struct model *model, uint32_t step)
{
    model_init(model, model->first, model->names, model->leases);
    while (model->step < step)
        step_once(model);
}

static void
make_change(const struct model *model, uint32_t step, afar__change_kind kind, uint32_t slot,
            struct made *made, afar__change *change)
{
    change->kind = kind;
    make_lease(slot < model->leases ? slot : 0, step, &change->lease);
    make_name(model, slot, step, made, &change->name);
}

afar_code
model_commit(struct model *model, afar__store *store, afar_error *err)
{
    uint32_t step = model->step + 1, count = change_count(step);
    afar__change *changes = calloc(count, sizeof *changes);
    struct made *made = calloc(count, sizeof *made);
    afar_code code;

    CHECK(changes && made);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot;
        afar__change_kind kind = pick(model, step, i, &slot);

        make_change(model, step, kind, slot, &made[i], &changes[i]);
    }
    code = store->ops->commit(store, changes, count, model->first + step, err);
    if (code == AFAR_OK)
        step_once(model);
    free(made);
    free(changes);
    return code;
}

afar_code
model_fill(struct model *model, afar__store *store, afar_error *err)
{
    size_t count = model->leases + model->names;
    afar__change *changes = calloc(count, sizeof *changes);
    struct made *made = calloc(count, sizeof *made);
    uint32_t step = model->step + 1;
    afar_code code;

    CHECK(changes && made);
    for (uint32_t i = 0; i < count; i++) {
        bool is_lease = i < model->leases;

        make_change(model, step, is_lease ? AFAR__CHANGE_LEASE : AFAR__CHANGE_PUT,
                    is_lease ? i : i - (uint32_t)model->leases, &made[i], &changes[i]);
    }
    code = store->ops->commit(store, changes, count, model->first + step, err);
    if (code == AFAR_OK) {
        model->step = step;
        for (size_t i = 0; i < model->leases; i++)
            model->lease[i] = step;
        for (size_t i = 0; i < model->names; i++)
            model->name[i] = step;
    }
    free(made);
    free(changes);
    return code;
}

/* ---- comparing ---- */

struct comparison {
    const struct model *model;
    const char *difference;
    size_t names, leases;
    bool seen_name;
};

static void
differs(struct comparison *comparison, const char *how)
{
    if (!comparison->difference)
        comparison->difference = how;
}

static afar_code
compare_lease(void *arg, const afar__stored_lease *lease, afar_error *err)
{
    struct comparison *comparison = arg;
    const struct model *model = comparison->model;
    afar__stored_lease expected;
    uint32_t slot;

    (void)err;
    memcpy(&slot, lease->id, sizeof slot);
    comparison->leases++;
    if (comparison->seen_name)
        differs(comparison, "a lease comes after a name");
    if (slot >= model->leases || model->lease[slot] == 0) {
        differs(comparison, "a lease that should not be there");
        return AFAR_OK;
    }
    make_lease(slot, model->lease[slot], &expected);
    if (memcmp(expected.id, lease->id, sizeof lease->id) != 0 ||
        memcmp(expected.key, lease->key, sizeof lease->key) != 0 ||
        memcmp(expected.instance, lease->instance, sizeof lease->instance) != 0 ||
        expected.has_instance != lease->has_instance || expected.term_ms != lease->term_ms)
        differs(comparison, "a lease with other values");
    return AFAR_OK;
}

static bool
same_bytes(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static afar_code
compare_name(void *arg, const afar__stored_name *name, afar_error *err)
{
    struct comparison *comparison = arg;
    const struct model *model = comparison->model;
    afar__stored_name expected;
    const char *dot = strchr(name->name, '.');
    unsigned long slot = dot ? strtoul(dot + 1, NULL, 10) : MODEL_NAMES;
    struct made made;

    (void)err;
    comparison->names++;
    comparison->seen_name = true;
    if (slot >= model->names || model->name[slot] == 0) {
        differs(comparison, "a name that should not be there");
        return AFAR_OK;
    }
    make_name(model, (uint32_t)slot, model->name[slot], &made, &expected);
    if (strcmp(expected.name, name->name) != 0 || expected.revision != name->revision ||
        memcmp(expected.lease, name->lease, sizeof name->lease) != 0 ||
        !same_bytes(expected.record->record, name->record->record) ||
        !same_bytes(expected.record->key, name->record->key) ||
        !same_bytes(expected.record->signature, name->record->signature))
        differs(comparison, "a name with other values");
    return AFAR_OK;
}

static size_t
count_of(const uint32_t *slots, size_t room)
{
    size_t count = 0;

    for (size_t i = 0; i < room; i++)
        count += slots[i] != 0;
    return count;
}

afar_code
model_compare(const struct model *model, afar__store *store, const char **ret_difference,
              afar_error *err)
{
    struct comparison comparison = { .model = model };
    afar__store_reader reader = { compare_lease, compare_name, &comparison };
    uint64_t revision = 0;
    afar_code code = store->ops->load(store, &reader, &revision, err);

    if (code != AFAR_OK)
        return code;
    if (revision != model->first + model->step)
        differs(&comparison, "another revision");
    if (comparison.leases != count_of(model->lease, model->leases))
        differs(&comparison, "too few leases");
    if (comparison.names != count_of(model->name, model->names))
        differs(&comparison, "too few names");
    *ret_difference = comparison.difference;
    return AFAR_OK;
}

static afar_code
skip_lease(void *arg, const afar__stored_lease *lease, afar_error *err)
{
    (void)arg;
    (void)lease;
    (void)err;
    return AFAR_OK;
}

static afar_code
skip_name(void *arg, const afar__stored_name *name, afar_error *err)
{
    (void)arg;
    (void)name;
    (void)err;
    return AFAR_OK;
}

afar_code
model_read_revision(afar__store *store, uint64_t *ret_revision, afar_error *err)
{
    afar__store_reader reader = { skip_lease, skip_name, NULL };

    return store->ops->load(store, &reader, ret_revision, err);
}

uint64_t
model_revision(afar__store *store)
{
    afar_error err = AFAR_ERROR_INIT;
    uint64_t revision = 0;

    CHECK_OK(model_read_revision(store, &revision, &err));
    return revision;
}

/* ---- files ---- */

/* In memory, where the system has such a folder: flushing costs nothing there, and what
 * is lost without flushing is another test's work. */
void
place_make(struct place *place)
{
    snprintf(place->folder, sizeof place->folder, "%s/afar-store-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(place->folder) != NULL);
    snprintf(place->path, sizeof place->path, "%s/names.db", place->folder);
}

void
place_remove(const struct place *place)
{
    DIR *folder = opendir(place->folder);
    struct dirent *entry;

    CHECK(folder != NULL);
    while ((entry = readdir(folder)))
        if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
            CHECK(unlinkat(dirfd(folder), entry->d_name, 0) == 0);
    closedir(folder);
    CHECK(rmdir(place->folder) == 0);
}
