/* The registry: opening, closing, reading and renewing; what registry.h says.
 *
 * Signatures are checked on the callers' threads, before the lock, so that they take
 * no time from anybody else.  Under the lock nothing waits: it is held for one look
 * into a tree, or for some hundred names of a list.
 *
 * A name is visible as long as its lease has not ended by the clock, whether it was
 * removed already or not.  A renewal reads the clock under the lock, and so does the writer
 * before it ends a lease: one of them is first, and the other one sees it.
 */

#include "server/nameserver/registry.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "runtime/clock.h"
#include "runtime/misuse.h"
#include "server/nameserver/parts.h"

#define MAX_NAMES 100000
#define MAX_NAMES_PER_KEY 20000
#define MAX_GRAVES 100000
#define MOST_LOST_AT_ONCE 4096 /* the others are told with the next renewal */

/* ---- opening ---- */

/* Goes on while the machine is suspended; nobody can set it. */
static int64_t
boot_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * AFAR__SECOND + now.tv_nsec;
}

static afar_code
fail_load(afar_error *err)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for the names in the store");
}

/* A lease gets a whole term, since nobody knows how long the name server was away. */
static afar_code
load_lease(void *arg, const afar__stored_lease *stored, afar_error *err)
{
    afar__registry *registry = arg;
    afar__state *state = &registry->state;
    afar__lease *lease = afar__lease_new();

    if (!lease)
        return fail_load(err);
    memcpy(lease->id, stored->id, sizeof lease->id);
    memcpy(lease->instance, stored->instance, sizeof lease->instance);
    lease->has_instance = stored->has_instance;
    lease->term_ms = stored->term_ms;
    lease->owner = afar__state_owner(state, stored->key);
    if (!lease->owner || afar__state_find_lease(state, lease->id, sizeof lease->id)) {
        bool no_memory = !lease->owner;

        afar__lease_free(lease);
        return no_memory ? fail_load(err)
                         : afar_fail(err, AFAR_DATA_LOSS, "the store has a lease twice");
    }
    lease->owner->leases++;
    state->lease_count++;
    afar__state_add_lease(state, lease, registry->now_ns());
    return AFAR_OK;
}

static afar_code
fail_stored(const afar__stored_name *stored, const char *fault, afar_error *err)
{
    return afar_fail(err, AFAR_DATA_LOSS, "the store is damaged: the name %.100s %s", stored->name,
                     fault);
}

static afar_code
keep_stored(afar__registry *registry, const afar__stored_name *stored, const afar__record *record,
            afar_error *err)
{
    afar__state *state = &registry->state;
    afar__lease *lease = afar__state_find_lease(state, stored->lease, sizeof stored->lease);
    afar__kept *kept;

    if (strcmp(record->name, stored->name) != 0)
        return fail_stored(stored, "has the record of another one", err);
    if (!lease ||
        memcmp(lease->owner->key, afar__record_key(stored->record), sizeof lease->owner->key) != 0)
        return fail_stored(stored, "has no lease of its key", err);
    if (afar__state_find(state, stored->name))
        return fail_stored(stored, "is there twice", err);
    kept = afar__kept_new(stored->record, record);
    if (!kept)
        return fail_load(err);
    kept->revision = stored->revision;
    kept->loaded = true;
    lease->owner->names++;
    state->name_count++;
    afar__state_put(state, kept, lease);
    return AFAR_OK;
}

/* Signatures were checked before the names came into the store; clients check them too. */
static afar_code
load_name(void *arg, const afar__stored_name *stored, afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    ProtobufCMessage *message = NULL;
    afar_code code;

    if (stored->record->key.len != AFAR__PUBLIC_BYTES ||
        stored->record->signature.len != AFAR__SIGNATURE_BYTES)
        return fail_stored(stored, "has a key or signature of a wrong length", err);
    code = afar_message_unpack(&afar__names__v1__record__descriptor, stored->record->record.data,
                               stored->record->record.len, NULL, &message, &why);
    if (code)
        code = fail_stored(stored, "has a record that cannot be read", err);
    else
        code = keep_stored(arg, stored, (const afar__record *)message, err);
    afar_message_free(message);
    afar_error_clear(&why);
    return code;
}

static afar_code
load(afar__registry *registry, afar_error *err)
{
    afar__store_reader reader = { load_lease, load_name, registry };
    uint64_t revision = 0;
    afar_code code = registry->store->ops->load(registry->store, &reader, &revision, err);
    int64_t now = registry->now_ns();

    /* From when it can be renewed again, and not from when it was read. */
    for (afar__tree_item *item = afar__tree_first(&registry->state.leases); item;
         item = afar__tree_next(item))
        afar__state_extend(&registry->state, AFAR__TREE_OF(item, afar__lease, by_id), now);
    registry->state.revision = registry->group.revision = revision;
    return code;
}

static afar_code
start_writer(afar__registry *registry, afar_error *err)
{
    sigset_t all, before;
    int failure;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&registry->writer, NULL, afar__writer_run, registry);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no thread for the names: %s",
                         strerror(failure));
    return AFAR_OK;
}

/* Everything but the writer. */
static void
free_registry(afar__registry *registry)
{
    afar__graves_clear(&registry->graves);
    afar__group_clear(&registry->group);
    afar__state_clear(&registry->state);
    registry->store->ops->close(registry->store);
    afar__secure_free(registry->secret);
    pthread_cond_destroy(&registry->work);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

static size_t
or_default(size_t given, size_t otherwise)
{
    return given > 0 ? given : otherwise;
}

static afar__registry *
new_registry(afar__store *store, const afar__registry_options *options)
{
    static const afar__registry_options defaults = { 0, 0, NULL };
    afar__registry *registry = calloc(1, sizeof *registry);

    if (!registry)
        return NULL;
    if (!options)
        options = &defaults;
    registry->store = store;
    registry->now_ns = options->now_ns ? options->now_ns : boot_time;
    registry->max_names = or_default(options->max_names, MAX_NAMES);
    registry->max_names_per_key = or_default(options->max_names_per_key, MAX_NAMES_PER_KEY);
    registry->state.most_lost = registry->max_names;
    registry->state.most_lost_of_lease = registry->max_names_per_key;
    registry->graves.most = MAX_GRAVES;
    registry->graves.floor_ms = INT64_MIN;
    pthread_mutex_init(&registry->lock, NULL);
    pthread_cond_init(&registry->work, NULL);
    return registry;
}

afar_code
afar__registry_open(afar__store *store, const afar__registry_options *options,
                    afar__registry **ret_registry, afar_error *err)
{
    afar__registry *registry = new_registry(store, options);
    afar_code code;

    if (!registry) {
        store->ops->close(store);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for the names");
    }
    code = afar__secure_start(err);
    if (!code) {
        afar__secure_random(registry->epoch, sizeof registry->epoch);
        registry->secret = afar__nonce_secret();
        if (!registry->secret)
            code = afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for the names' secret");
    }
    if (!code)
        code = load(registry, err);
    if (!code)
        code = start_writer(registry, err);
    if (code) {
        free_registry(registry);
        return code;
    }
    *ret_registry = registry;
    return AFAR_OK;
}

void
afar__registry_close(afar__registry *registry)
{
    if (!registry)
        return;
    pthread_mutex_lock(&registry->lock);
    registry->closing = true;
    pthread_cond_signal(&registry->work);
    pthread_mutex_unlock(&registry->lock);
    pthread_join(registry->writer, NULL);
    free_registry(registry);
}

const uint8_t *
afar__registry_epoch(const afar__registry *registry)
{
    return registry->epoch;
}

void
afar__registry_challenge(afar__registry *registry, afar__challenge *ret_challenge)
{
    afar__nonce_make(registry->secret, registry->now_ns(), ret_challenge->nonce);
    memcpy(ret_challenge->epoch, registry->epoch, sizeof registry->epoch);
    pthread_mutex_lock(&registry->lock);
    ret_challenge->revision = registry->state.revision;
    pthread_mutex_unlock(&registry->lock);
}

/* ---- changes ---- */

static afar_code
check_record(const afar__registry *registry, const afar__record *record, afar_error *err)
{
    afar_code code = afar__record_check(record, err);

    if (code)
        return code;
    if (!afar__nonce_is_ours(registry->secret, record->nonce.data, record->nonce.len))
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "the nonce for %.100s is not one of this name server since it started; "
                         "ask for a new one",
                         record->name);
    return afar__check_nonce_age(record, registry->now_ns(), err);
}

/* The caller's part of a change; the writer does the rest. */
static void
change(afar__registry *registry, afar__registry_request *request, afar__purpose purpose)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    request->message = NULL;
    code = afar__record_verify(request->signed_record, purpose, &request->message, &err);
    if (!code && purpose == AFAR__PURPOSE_RECORD)
        code = check_record(registry, (const afar__record *)request->message, &err);
    if (!code)
        code = afar__writer_queue(registry, request, &err);
    if (!code)
        return;
    afar_message_free(request->message);
    request->message = NULL;
    request->done(request, code, NULL, &err);
    afar_error_clear(&err);
}

void
afar__registry_register(afar__registry *registry, afar__registry_request *request,
                        const afar__signed *signed_record)
{
    request->signed_record = signed_record;
    request->kind = AFAR__REQUEST_REGISTER;
    change(registry, request, AFAR__PURPOSE_RECORD);
}

void
afar__registry_unregister(afar__registry *registry, afar__registry_request *request,
                          const afar__signed *signed_record)
{
    request->signed_record = signed_record;
    request->kind = AFAR__REQUEST_UNREGISTER;
    change(registry, request, AFAR__PURPOSE_REMOVAL);
}

/* ---- renewing ---- */

/* Takes names off what a lease has lost; without those that it has again. */
static afar__lost *
take_lost_locked(afar__registry *registry, afar__lease *lease)
{
    afar__lost *told = NULL, **end = &told;

    for (unsigned i = 0; lease->lost && i < MOST_LOST_AT_ONCE; i++) {
        afar__lost *lost = afar__state_take_lost(&registry->state, lease);
        const afar__kept *kept = afar__state_find(&registry->state, lost->name);

        if (kept && kept->lease == lease) {
            free(lost);
            continue;
        }
        lost->next = NULL;
        *end = lost;
        end = &lost->next;
    }
    return told;
}

static afar_code
renew_locked(afar__registry *registry, const Afar__Names__V1__Renewal *renewal, const uint8_t *key,
             afar__lease **ret_lease, afar_error *err)
{
    afar__lease *lease =
        afar__state_find_lease(&registry->state, renewal->lease.data, renewal->lease.len);
    int64_t now = registry->now_ns();
    afar_code code = afar__check_lease_locked(lease, key, now, err);

    if (!code)
        code = afar__check_sequence_locked(registry, lease, renewal->epoch, renewal->sequence, err);
    if (code)
        return code;
    lease->sequence = renewal->sequence;
    afar__state_extend(&registry->state, lease, now);
    *ret_lease = lease;
    return AFAR_OK;
}

afar_code
afar__registry_renew(afar__registry *registry, const afar__signed *signed_record,
                     void (*lost)(void *arg, const char *name), void *arg, uint32_t *ret_term_ms,
                     afar_error *err)
{
    ProtobufCMessage *message = NULL;
    afar__lease *lease = NULL;
    afar__lost *told = NULL, *next;
    afar_code code = afar__record_verify(signed_record, AFAR__PURPOSE_RENEWAL, &message, err);

    if (code)
        return code;
    pthread_mutex_lock(&registry->lock);
    code = renew_locked(registry, (const Afar__Names__V1__Renewal *)message,
                        afar__record_key(signed_record), &lease, err);
    if (!code) {
        *ret_term_ms = lease->term_ms;
        told = take_lost_locked(registry, lease);
    }
    pthread_mutex_unlock(&registry->lock);
    for (; told; told = next) {
        next = told->next;
        lost(arg, told->name);
        free(told);
    }
    afar_message_free(message);
    return code;
}

/* ---- reading ---- */

static void
lend_locked(afar__kept *kept, int64_t now, afar__entry *ret_entry)
{
    const afar__lease *lease = kept->lease;

    ret_entry->kept = kept;
    ret_entry->record = kept->record;
    ret_entry->name = kept->name;
    ret_entry->revision = kept->revision;
    ret_entry->left_ms = afar__lease_left_ms(lease, now);
    memcpy(ret_entry->lease, lease->id, sizeof lease->id);
    ret_entry->sequence = lease->sequence;
}

void
afar__entry_share(const afar__entry *entry, afar__entry *ret_entry)
{
    atomic_fetch_add_explicit(&entry->kept->refs, 1, memory_order_relaxed);
    *ret_entry = *entry;
}

void
afar__entry_clear(afar__entry *entry)
{
    if (entry->kept)
        afar__kept_unref(entry->kept);
    memset(entry, 0, sizeof *entry);
}

bool
afar__entry_has(const afar__entry *entry, const char *key, const char *value)
{
    const char *at = entry->kept->metadata;

    for (size_t i = 0; i < entry->kept->metadata_count; i++) {
        const char *its_value = at + strlen(at) + 1;

        if (strcmp(at, key) == 0)
            return strcmp(its_value, value) == 0;
        at = its_value + strlen(its_value) + 1;
    }
    return false;
}

afar_code
afar__registry_lookup(afar__registry *registry, const char *name, afar__entry *ret_entry,
                      afar_error *err)
{
    afar__entry entry;
    afar__kept *kept;
    int64_t now;

    pthread_mutex_lock(&registry->lock);
    kept = afar__state_find(&registry->state, name);
    now = registry->now_ns();
    if (kept && afar__lease_is_over(kept->lease, now))
        kept = NULL;
    if (kept) {
        lend_locked(kept, now, &entry);
        afar__entry_share(&entry, ret_entry);
    }
    pthread_mutex_unlock(&registry->lock);
    return kept ? AFAR_OK : afar_fail(err, AFAR_NOT_FOUND, "nobody has the name %.200s", name);
}

uint64_t
afar__registry_list(afar__registry *registry, const char *prefix, const char *after,
                    bool (*each)(void *arg, const afar__entry *entry), void *arg)
{
    const char *start = strcmp(after, prefix) > 0 ? after : prefix;
    size_t prefix_length = strlen(prefix);
    bool more = true;
    afar__tree_item *item;
    afar__entry entry;
    uint64_t revision;
    int64_t now;

    pthread_mutex_lock(&registry->lock);
    now = registry->now_ns();
    for (item = afar__tree_seek(&registry->state.names, start, strlen(start)); item && more;
         item = afar__tree_next(item)) {
        afar__kept *kept = AFAR__TREE_OF(item, afar__kept, item);

        if (strncmp(kept->name, prefix, prefix_length) != 0)
            break;
        if (afar__lease_is_over(kept->lease, now) || strcmp(kept->name, after) == 0)
            continue;
        lend_locked(kept, now, &entry);
        more = each(arg, &entry);
    }
    revision = registry->state.revision;
    pthread_mutex_unlock(&registry->lock);
    return revision;
}
