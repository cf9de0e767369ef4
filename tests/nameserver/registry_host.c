/* Registries for tests: what registry_host.h says. */

#include "registry_host.h"

#include <pthread.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/key.h"

#define KEYS 16
#define PATIENCE_MS 15000

/* ---- the clock ---- */

static _Atomic(int64_t) clock_ns = 3600 * AFAR__SECOND;

int64_t
clock_now(void)
{
    return atomic_load(&clock_ns);
}

void
clock_advance_ms(int64_t ms)
{
    atomic_fetch_add(&clock_ns, ms * AFAR__MILLISECOND);
}

/* ---- the gate ---- */

static struct gate {
    afar__store store;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool held, broken, waits;
    void (*at_commit)(void);
    int commits;
    int changes[4];
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static afar_code
gate_load(afar__store *store, const afar__store_reader *reader, uint64_t *ret_revision,
          afar_error *err)
{
    (void)store;
    (void)reader;
    (void)err;
    *ret_revision = 1000;
    return AFAR_OK;
}

static afar_code
gate_commit(afar__store *store, const afar__change *changes, size_t count, uint64_t revision,
            afar_error *err)
{
    bool broken;

    (void)store;
    (void)revision;
    pthread_mutex_lock(&gate.lock);
    gate.waits = true;
    pthread_cond_broadcast(&gate.changed);
    while (gate.held)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.waits = false;
    broken = gate.broken;
    if (gate.at_commit)
        gate.at_commit();
    gate.commits++;
    memset(gate.changes, 0, sizeof gate.changes);
    for (size_t i = 0; i < count; i++)
        gate.changes[changes[i].kind]++;
    pthread_mutex_unlock(&gate.lock);
    return broken ? afar_fail(err, AFAR_UNAVAILABLE, "the gate is broken") : AFAR_OK;
}

static void
gate_close_store(afar__store *store)
{
    (void)store;
}

afar__registry *
host_open_gated(void)
{
    static const afar__store_ops ops = { gate_load, gate_commit, gate_close_store };
    afar__registry_options options = { 0, 0, clock_now };
    afar_error err = AFAR_ERROR_INIT;
    afar__registry *registry;

    gate.store.ops = &ops;
    CHECK_OK(afar__registry_open(&gate.store, &options, &registry, &err));
    return registry;
}

static void
gate_set(bool *flag, bool value)
{
    pthread_mutex_lock(&gate.lock);
    *flag = value;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

void
gate_hold(void)
{
    gate_set(&gate.held, true);
}

void
gate_release(void)
{
    gate_set(&gate.held, false);
}

void
gate_break(bool broken)
{
    gate_set(&gate.broken, broken);
}

void
gate_at_commit(void (*fn)(void))
{
    pthread_mutex_lock(&gate.lock);
    gate.at_commit = fn;
    pthread_mutex_unlock(&gate.lock);
}

void
gate_wait(void)
{
    pthread_mutex_lock(&gate.lock);
    while (!gate.waits)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

int
gate_commits(void)
{
    pthread_mutex_lock(&gate.lock);
    int commits = gate.commits;
    pthread_mutex_unlock(&gate.lock);
    return commits;
}

int
gate_changes(afar__change_kind kind)
{
    pthread_mutex_lock(&gate.lock);
    int count = gate.changes[kind];
    pthread_mutex_unlock(&gate.lock);
    return count;
}

/* ---- the registry ---- */

afar__registry *
host_open_with(const char *store, const afar__registry_options *options)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__registry *registry;
    afar__store *opened;

    CHECK_OK(afar__store_open(store, &opened, &err));
    CHECK_OK(afar__registry_open(opened, options, &registry, &err));
    return registry;
}

afar__registry *
host_open(const char *store)
{
    afar__registry_options options = { 0, 0, clock_now };

    return host_open_with(store, &options);
}

/* ---- owners ---- */

static pthread_mutex_t keys_lock = PTHREAD_MUTEX_INITIALIZER;
static afar_key *keys[KEYS]; /* guarded by keys_lock; live as long as the test */

const afar_key *
key_number(unsigned number)
{
    uint8_t seed[AFAR__SEED_BYTES] = { (uint8_t)number, 77 };
    afar_error err = AFAR_ERROR_INIT;

    CHECK(number < KEYS);
    pthread_mutex_lock(&keys_lock);
    if (!keys[number]) {
        CHECK_OK(afar__secure_start(&err));
        CHECK_OK(afar__key_from_seed(seed, &keys[number], &err));
    }
    pthread_mutex_unlock(&keys_lock);
    return keys[number];
}

const uint8_t *
key_bytes(unsigned number)
{
    return key_number(number)->public;
}

static uint64_t
next_generation(void)
{
    static _Atomic(uint64_t) last = 1;

    return atomic_fetch_add(&last, 1);
}

static ProtobufCBinaryData
bytes_of(const uint8_t *data, size_t length)
{
    ProtobufCBinaryData bytes = { data ? length : 0, (uint8_t *)data };

    return bytes;
}

static void
fill_record(afar__record *record, const struct wish *wish, const afar__challenge *challenge)
{
    afar__names__v1__record__init(record);
    record->name = (char *)wish->name;
    record->instance = bytes_of(wish->instance, AFAR__INSTANCE_BYTES);
    record->lease = bytes_of(wish->lease, AFAR__LEASE_BYTES);
    record->nonce = bytes_of(wish->nonce ? wish->nonce : challenge->nonce, AFAR__NONCE_BYTES);
    record->generation = wish->generation ? wish->generation : next_generation();
    record->lease_ms = wish->lease_ms ? wish->lease_ms : 10000;
    record->take_over = wish->take_over;
}

afar__signed *
sign_wish(afar__registry *registry, const struct wish *wish)
{
    Afar__Names__V1__Record__MetadataEntry pairs[2], *metadata[2] = { &pairs[0], &pairs[1] };
    char *endpoints[] = { (char *)"grpc://127.0.0.1:7000" };
    afar_error err = AFAR_ERROR_INIT;
    afar__challenge challenge;
    afar__record record;
    afar__signed *made;

    afar__registry_challenge(registry, &challenge);
    fill_record(&record, wish, &challenge);
    record.endpoints = endpoints;
    record.n_endpoints = 1;
    record.metadata = metadata;
    for (; record.n_metadata < 2 && wish->metadata[2 * record.n_metadata]; record.n_metadata++) {
        Afar__Names__V1__Record__MetadataEntry *pair = metadata[record.n_metadata];

        afar__names__v1__record__metadata_entry__init(pair);
        pair->key = (char *)wish->metadata[2 * record.n_metadata];
        pair->value = (char *)wish->metadata[2 * record.n_metadata + 1];
    }
    CHECK_OK(
        afar__record_sign(key_number(wish->key), AFAR__PURPOSE_RECORD, &record.base, &made, &err));
    return made;
}

struct change {
    afar__registry_request request; /* the first member */
    afar__signed *record;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    int answers;
    afar_code code;
    afar__registered result;
    afar_error err;
};

static void
done(afar__registry_request *request, afar_code code, const afar__registered *result,
     const afar_error *err)
{
    struct change *change = (struct change *)request;

    pthread_mutex_lock(&change->lock);
    change->answers++;
    change->code = code;
    if (code == AFAR_OK) {
        change->result = *result;
    } else {
        CHECK_INT(err->code, code);
        afar_error_copy(&change->err, err);
    }
    pthread_cond_signal(&change->changed);
    pthread_mutex_unlock(&change->lock);
}

static struct change *
new_change(afar__signed *record)
{
    static const afar_error no_error = AFAR_ERROR_INIT;
    struct change *change = calloc(1, sizeof *change);

    CHECK(change);
    change->request.done = done;
    change->record = record;
    change->err = no_error;
    pthread_mutex_init(&change->lock, NULL);
    pthread_cond_init(&change->changed, NULL);
    return change;
}

struct change *
start_register(afar__registry *registry, afar__signed *record)
{
    struct change *change = new_change(record);

    afar__registry_register(registry, &change->request, record);
    return change;
}

struct change *
start_unregister(afar__registry *registry, afar__signed *removal)
{
    struct change *change = new_change(removal);

    afar__registry_unregister(registry, &change->request, removal);
    return change;
}

afar_code
finish_change(struct change *change, afar__registered *ret_result, afar_error *err)
{
    afar_code code;

    pthread_mutex_lock(&change->lock);
    while (change->answers == 0)
        pthread_cond_wait(&change->changed, &change->lock);
    CHECK_INT(change->answers, 1);
    pthread_mutex_unlock(&change->lock);
    code = change->code;
    if (code == AFAR_OK && ret_result)
        *ret_result = change->result;
    if (code && err)
        afar_error_copy(err, &change->err);
    afar_error_clear(&change->err);
    afar__record_free(change->record);
    pthread_cond_destroy(&change->changed);
    pthread_mutex_destroy(&change->lock);
    free(change);
    return code;
}

afar_code
ask_register(afar__registry *registry, const struct wish *wish, afar__registered *ret_result,
             afar_error *err)
{
    return finish_change(start_register(registry, sign_wish(registry, wish)), ret_result, err);
}

afar__registered
registered(afar__registry *registry, const struct wish *wish)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__registered result;

    CHECK_OK(ask_register(registry, wish, &result, &err));
    return result;
}

afar__signed *
sign_removal(afar__registry *registry, unsigned key, const uint8_t *lease, uint64_t sequence,
             const char *const *names)
{
    Afar__Names__V1__Removal removal = AFAR__NAMES__V1__REMOVAL__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *made;

    removal.lease = bytes_of(lease, AFAR__LEASE_BYTES);
    removal.epoch = bytes_of(afar__registry_epoch(registry), AFAR__EPOCH_BYTES);
    removal.sequence = sequence;
    removal.names = (char **)names;
    while (names && names[removal.n_names])
        removal.n_names++;
    CHECK_OK(afar__record_sign(key_number(key), AFAR__PURPOSE_REMOVAL, &removal.base, &made, &err));
    return made;
}

afar_code
ask_unregister(afar__registry *registry, unsigned key, const uint8_t *lease, uint64_t sequence,
               const char *const *names, afar__registered *ret_result, afar_error *err)
{
    afar__signed *removal = sign_removal(registry, key, lease, sequence, names);

    return finish_change(start_unregister(registry, removal), ret_result, err);
}

afar__signed *
sign_renewal(afar__registry *registry, unsigned key, const uint8_t *lease, uint64_t sequence)
{
    Afar__Names__V1__Renewal renewal = AFAR__NAMES__V1__RENEWAL__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *made;

    renewal.lease = bytes_of(lease, AFAR__LEASE_BYTES);
    renewal.epoch = bytes_of(afar__registry_epoch(registry), AFAR__EPOCH_BYTES);
    renewal.sequence = sequence;
    CHECK_OK(afar__record_sign(key_number(key), AFAR__PURPOSE_RENEWAL, &renewal.base, &made, &err));
    return made;
}

void
add_word(char *text, size_t size, const char *word)
{
    size_t used = strlen(text);

    CHECK(used + strlen(word) + 2 <= size);
    snprintf(text + used, size - used, "%s ", word);
}

static void
add_lost(void *arg, const char *name)
{
    if (arg)
        add_word(arg, 200, name);
}

afar_code
ask_renew(afar__registry *registry, unsigned key, const uint8_t *lease, uint64_t sequence,
          char lost[200], afar_error *err)
{
    afar__signed *renewal = sign_renewal(registry, key, lease, sequence);
    uint32_t term = 0;
    afar_code code;

    if (lost)
        lost[0] = 0;
    code = afar__registry_renew(registry, renewal, add_lost, lost, &term, err);
    CHECK(code != AFAR_OK || term >= AFAR__MIN_LEASE_MS);
    afar__record_free(renewal);
    return code;
}

/* ---- reading ---- */

bool
has_name(afar__registry *registry, const char *name)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__entry entry;
    afar_code code = afar__registry_lookup(registry, name, &entry, &err);

    if (code) {
        CHECK_INT(code, AFAR_NOT_FOUND);
        return false;
    }
    CHECK_STR(entry.name, name);
    afar__entry_clear(&entry);
    return true;
}

uint64_t
revision_of(afar__registry *registry, const char *name)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__entry entry;
    uint64_t revision;

    CHECK_OK(afar__registry_lookup(registry, name, &entry, &err));
    revision = entry.revision;
    afar__entry_clear(&entry);
    return revision;
}

static bool
count_one(void *arg, const afar__entry *entry)
{
    (void)entry;
    ++*(int *)arg;
    return true;
}

int
count_names(afar__registry *registry, const char *prefix)
{
    int count = 0;

    afar__registry_list(registry, prefix, "", count_one, &count);
    return count;
}

uint64_t
last_revision(afar__registry *registry)
{
    afar__challenge challenge;

    afar__registry_challenge(registry, &challenge);
    return challenge.revision;
}

void
wait_revision(afar__registry *registry, uint64_t revision)
{
    int64_t end = afar__now() + PATIENCE_MS * AFAR__MILLISECOND;

    while (last_revision(registry) < revision) {
        CHECK(afar__now() < end);
        poll(NULL, 0, 1);
    }
}
