/* What state.h says: names in the order of bytes, leases by their ids and by their ends,
 * owners by their keys, all of them in trees.  Nothing that changes a state takes
 * memory, so a group that was committed can always be made visible.
 *
 * A kept record lives as long as the state or a reader has it.
 */

#include "server/nameserver/state.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"

#define ID_AT 8 /* in the key of an end */

/* ---- names ---- */

static size_t
metadata_bytes(const afar__record *record)
{
    size_t bytes = 0;

    for (size_t i = 0; i < record->n_metadata; i++)
        bytes += strlen(record->metadata[i]->key) + strlen(record->metadata[i]->value) + 2;
    return bytes;
}

static char *
copy_text(char *to, const char *text)
{
    size_t length = strlen(text) + 1;

    memcpy(to, text, length);
    return to + length;
}

afar__kept *
afar__kept_new(const afar__signed *signed_record, const afar__record *record)
{
    size_t name_bytes = strlen(record->name) + 1;
    afar__kept *kept = calloc(1, sizeof *kept + name_bytes + metadata_bytes(record));
    char *text;

    if (!kept)
        return NULL;
    kept->record = afar__record_copy(signed_record);
    if (!kept->record) {
        free(kept);
        return NULL;
    }
    atomic_init(&kept->refs, 1);
    kept->generation = record->generation;
    kept->name = (char *)(kept + 1);
    text = copy_text((char *)(kept + 1), record->name);
    kept->metadata = text;
    kept->metadata_count = record->n_metadata;
    for (size_t i = 0; i < record->n_metadata; i++) {
        text = copy_text(text, record->metadata[i]->key);
        text = copy_text(text, record->metadata[i]->value);
    }
    return kept;
}

void
afar__kept_unref(afar__kept *kept)
{
    if (atomic_fetch_sub_explicit(&kept->refs, 1, memory_order_acq_rel) > 1)
        return;
    afar__record_free(kept->record);
    free(kept);
}

const uint8_t *
afar__kept_key(const afar__kept *kept)
{
    return afar__record_key(kept->record);
}

afar__kept *
afar__state_find(const afar__state *state, const char *name)
{
    afar__tree_item *item = afar__tree_find(&state->names, name, strlen(name));

    return item ? AFAR__TREE_OF(item, afar__kept, item) : NULL;
}

void
afar__state_put(afar__state *state, afar__kept *kept, afar__lease *lease)
{
    afar__tree_add(&state->names, &kept->item, kept->name, strlen(kept->name));
    kept->lease = lease;
    kept->previous = NULL;
    kept->next = lease->names;
    if (kept->next)
        kept->next->previous = kept;
    lease->names = kept;
}

void
afar__state_take(afar__state *state, afar__kept *kept)
{
    afar__tree_remove(&state->names, &kept->item);
    *(kept->previous ? &kept->previous->next : &kept->lease->names) = kept->next;
    if (kept->next)
        kept->next->previous = kept->previous;
    kept->lease = NULL;
}

/* ---- leases ---- */

afar__lease *
afar__lease_new(void)
{
    afar__lease *lease = calloc(1, sizeof *lease);

    if (lease)
        afar__secure_random(lease->id, sizeof lease->id);
    return lease;
}

void
afar__lease_free(afar__lease *lease)
{
    afar__lost *lost;

    if (!lease)
        return;
    while ((lost = lease->lost)) {
        lease->lost = lost->next;
        free(lost);
    }
    free(lease);
}

afar__lease *
afar__state_find_lease(const afar__state *state, const void *id, size_t length)
{
    afar__tree_item *item = NULL;

    if (length == AFAR__LEASE_BYTES)
        item = afar__tree_find(&state->leases, id, length);
    return item ? AFAR__TREE_OF(item, afar__lease, by_id) : NULL;
}

static void
add_end(afar__state *state, afar__lease *lease, int64_t now_ns)
{
    lease->end_ns = now_ns + lease->term_ms * AFAR__MILLISECOND;
    for (unsigned i = 0; i < ID_AT; i++)
        lease->end_key[i] = (uint8_t)((uint64_t)lease->end_ns >> (56 - 8 * i));
    memcpy(lease->end_key + ID_AT, lease->id, sizeof lease->id);
    afar__tree_add(&state->ends, &lease->by_end, lease->end_key, sizeof lease->end_key);
}

void
afar__state_add_lease(afar__state *state, afar__lease *lease, int64_t now_ns)
{
    afar__tree_add(&state->leases, &lease->by_id, lease->id, sizeof lease->id);
    add_end(state, lease, now_ns);
}

void
afar__state_extend(afar__state *state, afar__lease *lease, int64_t now_ns)
{
    afar__tree_remove(&state->ends, &lease->by_end);
    add_end(state, lease, now_ns);
}

void
afar__state_take_lease(afar__state *state, afar__lease *lease)
{
    afar__tree_remove(&state->leases, &lease->by_id);
    afar__tree_remove(&state->ends, &lease->by_end);
    state->lost_count -= lease->lost_count;
}

afar__lease *
afar__state_first_end(const afar__state *state)
{
    afar__tree_item *item = afar__tree_first(&state->ends);

    return item ? AFAR__TREE_OF(item, afar__lease, by_end) : NULL;
}

afar__lease *
afar__state_next_end(const afar__lease *lease)
{
    afar__tree_item *item = afar__tree_next(&lease->by_end);

    return item ? AFAR__TREE_OF(item, afar__lease, by_end) : NULL;
}

uint32_t
afar__lease_left_ms(const afar__lease *lease, int64_t now_ns)
{
    int64_t left = lease->end_ns - now_ns;

    return left > 0 ? (uint32_t)((left + AFAR__MILLISECOND - 1) / AFAR__MILLISECOND) : 0;
}

afar__lost *
afar__lost_new(const char *name)
{
    size_t bytes = strlen(name) + 1;
    afar__lost *lost = malloc(sizeof *lost + bytes);

    if (lost) {
        lost->next = NULL;
        memcpy(lost->name, name, bytes);
    }
    return lost;
}

bool
afar__state_lose(afar__state *state, afar__lease *lease, afar__lost *lost)
{
    if (lease->lost_count >= state->most_lost_of_lease || state->lost_count >= state->most_lost)
        return false;
    lost->next = NULL;
    *(lease->lost ? &lease->last_lost->next : &lease->lost) = lost;
    lease->last_lost = lost;
    lease->lost_count++;
    state->lost_count++;
    return true;
}

afar__lost *
afar__state_take_lost(afar__state *state, afar__lease *lease)
{
    afar__lost *lost = lease->lost;

    if (lost) {
        lease->lost = lost->next;
        lease->lost_count--;
        state->lost_count--;
    }
    return lost;
}

/* ---- owners ---- */

afar__owner *
afar__state_owner(afar__state *state, const uint8_t key[AFAR__PUBLIC_BYTES])
{
    afar__tree_item *item = afar__tree_find(&state->owners, key, AFAR__PUBLIC_BYTES);
    afar__owner *owner;

    if (item)
        return AFAR__TREE_OF(item, afar__owner, item);
    owner = calloc(1, sizeof *owner);
    if (!owner)
        return NULL;
    memcpy(owner->key, key, sizeof owner->key);
    afar__tree_add(&state->owners, &owner->item, owner->key, sizeof owner->key);
    return owner;
}

void
afar__state_forget_owner(afar__state *state, afar__owner *owner)
{
    if (owner->names > 0 || owner->leases > 0)
        return;
    afar__tree_remove(&state->owners, &owner->item);
    free(owner);
}

void
afar__state_clear(afar__state *state)
{
    afar__tree_item *item;

    while ((item = afar__tree_first(&state->names))) {
        afar__kept *kept = AFAR__TREE_OF(item, afar__kept, item);

        afar__state_take(state, kept);
        afar__kept_unref(kept);
    }
    while ((item = afar__tree_first(&state->leases))) {
        afar__lease *lease = AFAR__TREE_OF(item, afar__lease, by_id);

        afar__state_take_lease(state, lease);
        afar__lease_free(lease);
    }
    while ((item = afar__tree_first(&state->owners))) {
        afar__tree_remove(&state->owners, item);
        free(AFAR__TREE_OF(item, afar__owner, item));
    }
}
