/* Changes on their way from a decision to the store and to the readers.
 *
 *     added       counts are up, and the new things exist; no reader sees them
 *     committed   by the store, or undone: counts are down, the new things are gone
 *     published   under the lock; this takes no memory and cannot fail
 *     finished    the old things are released, without the lock
 *
 * The writer's own.
 */

#include "server/nameserver/group.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "server/nameserver/nonce.h"

/* ---- adding ---- */

afar_code
afar__group_reserve(afar__group *group, size_t more, afar_error *err)
{
    size_t room = group->room * 2 > group->count + more ? group->room * 2 : group->count + more;
    afar__change *changes;
    afar__step *steps;

    if (group->count + more <= group->room)
        return AFAR_OK;
    steps = realloc(group->steps, room * sizeof *steps);
    if (!steps)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "the name server is out of memory");
    group->steps = steps;
    changes = realloc(group->changes, room * sizeof *changes);
    if (!changes)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "the name server is out of memory");
    group->changes = changes;
    group->room = room;
    return AFAR_OK;
}

void
afar__group_add_lease(afar__group *group, afar__state *state, afar__lease *lease)
{
    lease->owner->leases++;
    state->lease_count++;
    group->steps[group->count++] = (afar__step){ .kind = AFAR__CHANGE_LEASE, .lease = lease };
}

void
afar__group_add_put(afar__group *group, afar__state *state, const afar__step *put)
{
    afar__step *step = &group->steps[group->count++];
    afar__kept *kept = put->kept;

    *step = *put;
    step->kind = AFAR__CHANGE_PUT;
    step->revision = kept->revision = ++group->revision;
    kept->since_ns = group->now_ns;
    step->lease->joined = group->number;
    afar__tree_add(&group->puts, &kept->item, kept->name, strlen(kept->name));
    if (step->old) {
        step->old->changed = group->number;
        return;
    }
    step->lease->owner->names++;
    state->name_count++;
}

void
afar__group_add_end(afar__group *group, afar__lease *lease)
{
    lease->changed = group->number;
    group->steps[group->count++] = (afar__step){ .kind = AFAR__CHANGE_END, .lease = lease };
}

/* Whether somebody may still have a nonce that is good for the record of this name. */
static bool
needs_grave(const afar__kept *kept, int64_t now_ns)
{
    return !kept->loaded && (now_ns - kept->since_ns) / AFAR__MILLISECOND <= AFAR__NONCE_LIFE_MS;
}

afar_code
afar__group_add_remove(afar__group *group, afar__kept *kept, bool tell, afar_error *err)
{
    afar__step step = { .kind = AFAR__CHANGE_REMOVE, .kept = kept, .lease = kept->lease };
    bool grave = needs_grave(kept, group->now_ns);

    if (tell)
        step.lost = afar__lost_new(kept->name);
    if (grave)
        step.grave = afar__grave_new(kept->name, afar__kept_key(kept), kept->generation);
    if ((tell && !step.lost) || (grave && !step.grave)) {
        free(step.lost);
        free(step.grave);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "the name server is out of memory");
    }
    step.revision = ++group->revision;
    kept->changed = group->number;
    kept->lease->changed = group->number;
    group->steps[group->count++] = step;
    return AFAR_OK;
}

/* ---- undoing ---- */

static void
undo_put(afar__group *group, afar__state *state, afar__step *step)
{
    afar__tree_remove(&group->puts, &step->kept->item);
    if (!step->old) {
        step->lease->owner->names--;
        state->name_count--;
    }
    afar__kept_unref(step->kept);
}

static void
forget_lease(afar__state *state, afar__lease *lease)
{
    lease->owner->leases--;
    state->lease_count--;
    afar__state_forget_owner(state, lease->owner);
    afar__lease_free(lease);
}

void
afar__group_undo(afar__group *group, afar__state *state, size_t from)
{
    while (group->count > from) {
        afar__step *step = &group->steps[--group->count];

        if (step->kind == AFAR__CHANGE_PUT)
            undo_put(group, state, step);
        else if (step->kind == AFAR__CHANGE_LEASE)
            forget_lease(state, step->lease);
        free(step->lost);
        free(step->grave);
    }
}

/* ---- the store ---- */

static void
describe(const afar__step *step, afar__change *change)
{
    const afar__lease *lease = step->lease;

    memset(change, 0, sizeof *change);
    change->kind = step->kind;
    memcpy(change->lease.id, lease->id, sizeof lease->id);
    memcpy(change->lease.key, lease->owner->key, sizeof lease->owner->key);
    memcpy(change->lease.instance, lease->instance, sizeof lease->instance);
    change->lease.has_instance = lease->has_instance;
    change->lease.term_ms = lease->term_ms;
    if (!step->kept)
        return;
    change->name.name = step->kept->name;
    change->name.record = step->kept->record;
    change->name.revision = step->revision;
    memcpy(change->name.lease, lease->id, sizeof lease->id);
}

afar_code
afar__group_commit(afar__group *group, afar__store *store, afar_error *err)
{
    for (size_t i = 0; i < group->count; i++)
        describe(&group->steps[i], &group->changes[i]);
    return store->ops->commit(store, group->changes, group->count, group->revision, err);
}

/* ---- making visible ---- */

/* Tells the lease that had a name, unless there is too much to be told already. */
static void
lose(afar__state *state, afar__step *step, afar__lease *lease)
{
    if (step->lost && afar__state_lose(state, lease, step->lost))
        step->lost = NULL;
}

static void
publish_put(afar__group *group, afar__state *state, afar__step *step)
{
    afar__tree_remove(&group->puts, &step->kept->item);
    if (step->old) {
        lose(state, step, step->old->lease);
        afar__state_take(state, step->old);
    }
    afar__state_put(state, step->kept, step->lease);
}

void
afar__group_publish_locked(afar__group *group, afar__state *state, int64_t now_ns)
{
    for (size_t i = 0; i < group->count; i++) {
        afar__step *step = &group->steps[i];

        switch (step->kind) {
        case AFAR__CHANGE_LEASE:
            afar__state_add_lease(state, step->lease, now_ns);
            break;
        case AFAR__CHANGE_PUT:
            publish_put(group, state, step);
            break;
        case AFAR__CHANGE_REMOVE:
            lose(state, step, step->lease);
            afar__state_take(state, step->kept);
            break;
        case AFAR__CHANGE_END:
            afar__state_take_lease(state, step->lease);
            break;
        }
    }
    state->revision = group->revision;
}

/* ---- afterwards ---- */

static void
finish_remove(afar__state *state, afar__graves *graves, afar__step *step, int64_t now_ns)
{
    step->lease->owner->names--;
    state->name_count--;
    if (step->grave)
        afar__graves_add(graves, step->grave, now_ns / AFAR__MILLISECOND);
    afar__kept_unref(step->kept);
}

void
afar__group_finish(afar__group *group, afar__state *state, afar__graves *graves, int64_t now_ns)
{
    for (size_t i = 0; i < group->count; i++) {
        afar__step *step = &group->steps[i];

        free(step->lost);
        if (step->kind == AFAR__CHANGE_REMOVE)
            finish_remove(state, graves, step, now_ns);
        else if (step->kind == AFAR__CHANGE_PUT && step->old)
            afar__kept_unref(step->old);
        else if (step->kind == AFAR__CHANGE_END)
            forget_lease(state, step->lease);
    }
    group->count = 0;
}

void
afar__group_clear(afar__group *group)
{
    free(group->steps);
    free(group->changes);
}
