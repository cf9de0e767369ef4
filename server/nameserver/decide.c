/* The rules for changes: who gets a name, who may remove it.  afar/names.proto says them
 * for people.
 *
 * A decision is made on what is visible, at the moment when the group was begun.  What
 * the group changes already is not looked at: a request that meets it comes LATER, in
 * a group after it.  Signatures, limits of records and the origin of nonces have
 * been checked by the caller's thread.
 *
 * On the writer.  It holds the lock for what others may change too: the ends and
 * sequence numbers of leases.  The trees of names and leases change on this very thread.
 */

#include "server/nameserver/parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "runtime/clock.h"

/* ---- saying no ---- */

static void
add_detail(afar_error *err, const ProtobufCMessage *detail)
{
    uint8_t bytes[128];

    /* Keys, epochs and numbers: they fit, and a refusal without its detail is still one. */
    if (err && protobuf_c_message_get_packed_size(detail) <= sizeof bytes)
        (void)afar_error_add_detail(err, detail->descriptor->name, bytes,
                                    protobuf_c_message_pack(detail, bytes));
}

static afar_code
fail_memory(afar_error *err)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "the name server is out of memory");
}

/* `same_key`: it is the caller's own, under another lease. */
static afar_code
fail_held(const afar__kept *held, bool same_key, int64_t now_ns, afar_error *err)
{
    Afar__Names__V1__Held detail = AFAR__NAMES__V1__HELD__INIT;
    char key[AFAR__KEY_TEXT];

    detail.key.data = (uint8_t *)afar__kept_key(held);
    detail.key.len = AFAR__PUBLIC_BYTES;
    detail.lease_left_ms = afar__lease_left_ms(held->lease, now_ns);
    afar__key_print(detail.key.data, key);
    afar_fail(err, AFAR_ALREADY_EXISTS,
              "%.100s is held by %s%s; its lease has %" PRIu32 " s left%s", held->name,
              same_key ? "another lease of its key " : "the key ", key,
              (detail.lease_left_ms + 999) / 1000, same_key ? "; take_over takes it" : "");
    add_detail(err, &detail.base);
    return AFAR_ALREADY_EXISTS;
}

afar_code
afar__check_nonce_age(const afar__record *record, int64_t now_ns, afar_error *err)
{
    int64_t age = now_ns / AFAR__MILLISECOND - afar__nonce_ms(record->nonce.data);

    if (age <= AFAR__NONCE_LIFE_MS)
        return AFAR_OK;
    return afar_fail(err, AFAR_FAILED_PRECONDITION,
                     "the nonce for %.100s is %" PRId64 " s old, at most %d are allowed; ask for a "
                     "new one",
                     record->name, age / 1000, AFAR__NONCE_LIFE_MS / 1000);
}

afar_code
afar__check_lease_locked(const afar__lease *lease, const uint8_t *key, int64_t now_ns,
                         afar_error *err)
{
    if (!lease || afar__lease_is_over(lease, now_ns) ||
        memcmp(lease->owner->key, key, AFAR__PUBLIC_BYTES) != 0)
        return afar_fail(err, AFAR_NOT_FOUND,
                         "this key has no such lease, or it is over; register again");
    return AFAR_OK;
}

afar_code
afar__check_sequence_locked(const afar__registry *registry, const afar__lease *lease,
                            ProtobufCBinaryData epoch, uint64_t sequence, afar_error *err)
{
    Afar__Names__V1__Stale detail = AFAR__NAMES__V1__STALE__INIT;
    bool same_epoch = epoch.len == AFAR__EPOCH_BYTES &&
                      memcmp(epoch.data, registry->epoch, AFAR__EPOCH_BYTES) == 0;

    if (same_epoch && sequence > lease->sequence)
        return AFAR_OK;
    if (same_epoch)
        afar_fail(err, AFAR_FAILED_PRECONDITION,
                  "the sequence number %" PRIu64 " is not higher than %" PRIu64
                  ", the last one of the lease",
                  sequence, lease->sequence);
    else
        afar_fail(err, AFAR_FAILED_PRECONDITION,
                  "the epoch is not that of the name server, which has started anew");
    detail.epoch.data = (uint8_t *)registry->epoch;
    detail.epoch.len = AFAR__EPOCH_BYTES;
    detail.sequence = lease->sequence;
    add_detail(err, &detail.base);
    return AFAR_FAILED_PRECONDITION;
}

/* ---- registering ---- */

struct registration {
    const afar__record *record;
    const uint8_t *key;
    afar__owner *owner;
    bool opens; /* a lease of its own */
    afar__step put;
};

static bool
is_touched(const afar__registry *registry, const char *name, const afar__kept *visible)
{
    return (visible && visible->changed == registry->group.number) ||
           afar__tree_find(&registry->group.puts, name, strlen(name));
}

/* The lease that the record wants to join. */
static afar__decision
check_join_locked(afar__registry *registry, struct registration *wish, afar_error *err)
{
    const afar__record *record = wish->record;
    afar__lease *lease =
        afar__state_find_lease(&registry->state, record->lease.data, record->lease.len);

    if (afar__check_lease_locked(lease, wish->key, registry->group.now_ns, err))
        return AFAR__REFUSED;
    if (lease->changed == registry->group.number)
        return AFAR__LATER;
    if (lease->has_instance != (record->instance.len > 0) ||
        (lease->has_instance &&
         memcmp(lease->instance, record->instance.data, AFAR__INSTANCE_BYTES) != 0)) {
        afar_fail(err, AFAR_INVALID_ARGUMENT,
                  "the record of %.100s: its lease is that of another instance", record->name);
        return AFAR__REFUSED;
    }
    wish->put.lease = lease;
    return AFAR__GRANTED;
}

/* The name, if it is there. */
static afar__decision
check_name_locked(afar__registry *registry, struct registration *wish, afar_error *err)
{
    const afar__record *record = wish->record;
    int64_t now = registry->group.now_ns;
    afar__kept *old = afar__state_find(&registry->state, record->name);
    bool same_key;

    if (old && afar__lease_is_over(old->lease, now))
        return AFAR__ENDING;
    if (is_touched(registry, record->name, old))
        return AFAR__LATER;
    wish->put.old = old;
    if (!old)
        return AFAR__GRANTED;
    same_key = memcmp(afar__kept_key(old), wish->key, AFAR__PUBLIC_BYTES) == 0;
    if (!same_key || (old->lease != wish->put.lease && !record->take_over)) {
        fail_held(old, same_key, now, err);
        return AFAR__REFUSED;
    }
    return AFAR__GRANTED;
}

/* What keeps old records from coming back. */
static afar_code
check_age(const afar__registry *registry, const struct registration *wish, afar_error *err)
{
    const afar__record *record = wish->record;
    const afar__kept *old = wish->put.old;
    const afar__grave *grave = afar__graves_find(&registry->graves, record->name, wish->key);
    uint64_t last;

    if (afar__check_nonce_age(record, registry->group.now_ns, err))
        return AFAR_FAILED_PRECONDITION;
    if (afar__nonce_ms(record->nonce.data) < registry->graves.floor_ms)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "the nonce for %.100s is too old by now; ask for a new one", record->name);
    if (!old && !grave)
        return AFAR_OK;
    last = grave ? afar__grave_generation(grave) : 0;
    if (old && old->generation > last)
        last = old->generation;
    if (record->generation > last)
        return AFAR_OK;
    return afar_fail(err, AFAR_FAILED_PRECONDITION,
                     "the generation %" PRIu64 " of %.100s is not higher than %" PRIu64
                     ", that of its last record",
                     record->generation, record->name, last);
}

static afar_code
check_limits(const afar__registry *registry, const struct registration *wish, afar_error *err)
{
    const afar__state *state = &registry->state;
    bool adds = !wish->put.old;
    size_t most = registry->max_names, most_of_key = registry->max_names_per_key;

    if (adds && state->name_count >= most)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "%.100s: the name server is full, it holds at most %zu names",
                         wish->record->name, most);
    if (adds && wish->owner->names >= most_of_key)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "%.100s: a key may have at most %zu names, this one has them",
                         wish->record->name, most_of_key);
    if (wish->opens && state->lease_count >= most)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "%.100s: the name server is full, it holds at most %zu leases",
                         wish->record->name, most);
    if (wish->opens && wish->owner->leases >= most_of_key)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "%.100s: a key may have at most %zu leases, this one has them",
                         wish->record->name, most_of_key);
    return AFAR_OK;
}

static afar__decision
check_registration(afar__registry *registry, struct registration *wish, afar_error *err)
{
    afar__decision decision = AFAR__GRANTED;

    pthread_mutex_lock(&registry->lock);
    if (!wish->opens)
        decision = check_join_locked(registry, wish, err);
    if (decision == AFAR__GRANTED)
        decision = check_name_locked(registry, wish, err);
    pthread_mutex_unlock(&registry->lock);
    if (decision != AFAR__GRANTED)
        return decision;
    if (check_age(registry, wish, err) || check_limits(registry, wish, err))
        return AFAR__REFUSED;
    return AFAR__GRANTED;
}

static afar__lease *
open_lease(const struct registration *wish)
{
    afar__lease *lease = afar__lease_new();

    if (!lease)
        return NULL;
    lease->owner = wish->owner;
    lease->term_ms = wish->record->lease_ms;
    lease->has_instance = wish->record->instance.len == AFAR__INSTANCE_BYTES;
    if (lease->has_instance)
        memcpy(lease->instance, wish->record->instance.data, AFAR__INSTANCE_BYTES);
    return lease;
}

/* Makes all that the change needs, and puts it in the group. */
static afar_code
grant_registration(afar__registry *registry, struct registration *wish,
                   const afar__signed *signed_record, afar_error *err)
{
    afar__group *group = &registry->group;
    afar__step *put = &wish->put;
    bool moves = put->old && put->old->lease != put->lease;
    afar_code code = afar__group_reserve(group, 2, err);

    if (code)
        return code;
    put->kept = afar__kept_new(signed_record, wish->record);
    if (wish->opens)
        put->lease = open_lease(wish);
    if (moves)
        put->lost = afar__lost_new(wish->record->name);
    if (!put->kept || !put->lease || (moves && !put->lost)) {
        if (put->kept)
            afar__kept_unref(put->kept);
        if (wish->opens)
            afar__lease_free(put->lease);
        free(put->lost);
        return fail_memory(err);
    }
    if (wish->opens)
        afar__group_add_lease(group, &registry->state, put->lease);
    afar__group_add_put(group, &registry->state, put);
    return AFAR_OK;
}

static afar__decision
decide_register(afar__registry *registry, const afar__registry_request *request,
                afar__registered *ret_result, afar_error *err)
{
    struct registration wish = { .record = (const afar__record *)request->message,
                                 .key = afar__record_key(request->signed_record) };
    afar__decision decision;

    wish.opens = wish.record->lease.len == 0;
    wish.owner = afar__state_owner(&registry->state, wish.key);
    if (!wish.owner) {
        fail_memory(err);
        return AFAR__REFUSED;
    }
    decision = check_registration(registry, &wish, err);
    if (decision == AFAR__GRANTED &&
        grant_registration(registry, &wish, request->signed_record, err))
        decision = AFAR__REFUSED;
    if (decision != AFAR__GRANTED) {
        afar__state_forget_owner(&registry->state, wish.owner);
        return decision;
    }
    ret_result->revision = registry->group.revision;
    ret_result->term_ms = wish.put.lease->term_ms;
    memcpy(ret_result->lease, wish.put.lease->id, AFAR__LEASE_BYTES);
    return AFAR__GRANTED;
}

/* ---- removing ---- */

typedef Afar__Names__V1__Removal removal_message;

/* The name if the lease has it. */
static afar__kept *
find_under(const afar__registry *registry, const char *name, const afar__lease *lease)
{
    afar__kept *kept = afar__state_find(&registry->state, name);

    return kept && kept->lease == lease ? kept : NULL;
}

/* Whether the group changes something that a removal would have to see. */
static bool
meets_group(const afar__registry *registry, const removal_message *removal,
            const afar__lease *lease)
{
    uint64_t number = registry->group.number;

    if (lease->joined == number || lease->changed == number)
        return true;
    for (size_t i = 0; i < removal->n_names; i++) {
        const afar__kept *kept = find_under(registry, removal->names[i], lease);

        if (kept && kept->changed == number)
            return true;
    }
    if (removal->n_names == 0)
        for (const afar__kept *kept = lease->names; kept; kept = kept->next)
            if (kept->changed == number)
                return true;
    return false;
}

/* A sequence number that was good is used up, whatever comes of it. */
static afar__decision
check_removal(afar__registry *registry, const removal_message *removal, const uint8_t *key,
              afar__lease **ret_lease, afar_error *err)
{
    afar__lease *lease =
        afar__state_find_lease(&registry->state, removal->lease.data, removal->lease.len);
    afar__decision decision = AFAR__REFUSED;

    pthread_mutex_lock(&registry->lock);
    if (!afar__check_lease_locked(lease, key, registry->group.now_ns, err)) {
        if (meets_group(registry, removal, lease)) {
            decision = AFAR__LATER;
        } else if (!afar__check_sequence_locked(registry, lease, removal->epoch, removal->sequence,
                                                err)) {
            lease->sequence = removal->sequence;
            decision = AFAR__GRANTED;
        }
    }
    pthread_mutex_unlock(&registry->lock);
    *ret_lease = lease;
    return decision;
}

static afar_code
remove_all(afar__registry *registry, afar__lease *lease, uint32_t *ret_count, afar_error *err)
{
    afar_code code = AFAR_OK;

    for (afar__kept *kept = lease->names; kept && !code; kept = kept->next) {
        code = afar__group_reserve(&registry->group, 2, err);
        if (!code)
            code = afar__group_add_remove(&registry->group, kept, false, err);
        ++*ret_count;
    }
    if (!code)
        code = afar__group_reserve(&registry->group, 1, err);
    if (!code)
        afar__group_add_end(&registry->group, lease);
    return code;
}

static afar_code
remove_some(afar__registry *registry, const removal_message *removal, const afar__lease *lease,
            uint32_t *ret_count, afar_error *err)
{
    afar_code code = afar__group_reserve(&registry->group, removal->n_names, err);

    for (size_t i = 0; i < removal->n_names && !code; i++) {
        afar__kept *kept = find_under(registry, removal->names[i], lease);

        /* One that is said twice is removed once. */
        if (!kept || kept->changed == registry->group.number)
            continue;
        code = afar__group_add_remove(&registry->group, kept, true, err);
        ++*ret_count;
    }
    return code;
}

static afar__decision
decide_unregister(afar__registry *registry, const afar__registry_request *request,
                  afar__registered *ret_result, afar_error *err)
{
    const removal_message *removal = (const removal_message *)request->message;
    size_t from = registry->group.count;
    afar__lease *lease;
    uint32_t count = 0;
    afar__decision decision =
        check_removal(registry, removal, afar__record_key(request->signed_record), &lease, err);
    afar_code code;

    if (decision != AFAR__GRANTED)
        return decision;
    code = removal->n_names == 0 ? remove_all(registry, lease, &count, err)
                                 : remove_some(registry, removal, lease, &count, err);
    if (code) {
        afar__group_undo(&registry->group, &registry->state, from);
        return AFAR__REFUSED;
    }
    ret_result->revision = registry->group.revision;
    ret_result->count = count;
    memcpy(ret_result->lease, lease->id, AFAR__LEASE_BYTES);
    return AFAR__GRANTED;
}

afar__decision
afar__decide(afar__registry *registry, afar__registry_request *request,
             afar__registered *ret_result, afar_error *err)
{
    memset(ret_result, 0, sizeof *ret_result);
    return request->kind == AFAR__REQUEST_REGISTER
               ? decide_register(registry, request, ret_result, err)
               : decide_unregister(registry, request, ret_result, err);
}
