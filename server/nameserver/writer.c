/* The writer: the one thread that changes names and the store.
 *
 * It takes what is queued, decides on it in order, and commits what was granted as one
 * group, together with the removal of leases that are over; then the group becomes
 * visible, and only then it is answered.  What was refused is answered at once, since it
 * was refused for what is visible already.  What meets a change of the group is left for
 * the next one; what others want goes first.  When the store fails, the group is
 * undone and those that were granted are told so.
 *
 * It sleeps until there is something to do or the next lease ends, but no longer than a
 * second: the wait is on CLOCK_MONOTONIC, which stands still while the machine is
 * suspended, and leases are not.
 *
 * Callbacks run without the lock.
 */

#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "runtime/clock.h"
#include "server/nameserver/parts.h"

#define MOST_QUEUED 10000
#define MOST_SLEEP AFAR__SECOND
#define ENDS_AT_ONCE 1024
#define MOST_ROUNDS 16
#define STEPS_OF_ENDS 10000 /* no more leases join a group that has so many */

/* ---- the queue ---- */

afar_code
afar__writer_queue(afar__registry *registry, afar__registry_request *request, afar_error *err)
{
    afar_code code = AFAR_OK;

    request->next = NULL;
    pthread_mutex_lock(&registry->lock);
    if (registry->closing) {
        code = afar_fail(err, AFAR_UNAVAILABLE, "the name server is stopping");
    } else if (registry->queued >= MOST_QUEUED) {
        code = afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "%d changes wait for the name server's disk, no more can; try again later",
                         MOST_QUEUED);
    } else {
        *(registry->first ? &registry->last->next : &registry->first) = request;
        registry->last = request;
        registry->queued++;
        pthread_cond_signal(&registry->work);
    }
    pthread_mutex_unlock(&registry->lock);
    return code;
}

static void
answer(afar__registry_request *request, afar_code code, const afar__registered *result,
       const afar_error *err)
{
    afar_message_free(request->message);
    request->message = NULL;
    request->done(request, code, result, err);
}

static void
refuse(afar__registry_request *request, afar_error *err)
{
    answer(request, err->code, NULL, err);
    afar_error_clear(err);
}

/* Takes up to a group's requests off the queue. */
static afar__registry_request *
take_locked(afar__registry *registry)
{
    afar__registry_request *taken = registry->first, *last = taken;
    size_t count = 1;

    if (!taken)
        return NULL;
    for (; count < AFAR__GROUP_REQUESTS && last->next; count++)
        last = last->next;
    registry->first = last->next;
    registry->queued -= count;
    last->next = NULL;
    return taken;
}

/* How long nothing has to be done, if nobody asks. */
static int64_t
sleep_locked(const afar__registry *registry)
{
    const afar__lease *lease = afar__state_first_end(&registry->state);
    int64_t left = lease ? lease->end_ns - registry->now_ns() : MOST_SLEEP;

    return left < MOST_SLEEP ? left : MOST_SLEEP;
}

/* Waits for requests or for a lease to end; with `store_failed`, the latter is not tried
 * again so soon.  False when the registry closes and all is done. */
static bool
wait_for_work(afar__registry *registry, bool store_failed, afar__registry_request **ret_requests)
{
    int64_t left = 0, end;
    struct timespec at;
    int waited = 0;
    bool more;

    pthread_mutex_lock(&registry->lock);
    while (!registry->first && !registry->closing) {
        left = store_failed ? MOST_SLEEP : sleep_locked(registry);
        if (left <= 0 || (store_failed && waited))
            break;
        end = afar__now() + left;
        at.tv_sec = (time_t)(end / AFAR__SECOND);
        at.tv_nsec = (long)(end % AFAR__SECOND);
        waited = pthread_cond_clockwait(&registry->work, &registry->lock, CLOCK_MONOTONIC, &at);
    }
    *ret_requests = take_locked(registry);
    more = *ret_requests || !registry->closing;
    pthread_mutex_unlock(&registry->lock);
    return more;
}

/* ---- leases that are over ---- */

/* Marks them, so that no renewal comes between. */
static size_t
take_ends(afar__registry *registry, afar__lease *leases[ENDS_AT_ONCE])
{
    int64_t now = registry->group.now_ns;
    size_t count = 0;

    pthread_mutex_lock(&registry->lock);
    for (afar__lease *lease = afar__state_first_end(&registry->state);
         lease && count < ENDS_AT_ONCE && afar__lease_is_over(lease, now);
         lease = afar__state_next_end(lease)) {
        lease->ending = true;
        leases[count++] = lease;
    }
    pthread_mutex_unlock(&registry->lock);
    return count;
}

static afar_code
end_lease(afar__registry *registry, afar__lease *lease, afar_error *err)
{
    afar__group *group = &registry->group;
    size_t from = group->count;
    afar_code code = afar__group_reserve(group, 1, err);

    for (afar__kept *kept = lease->names; kept && !code; kept = kept->next) {
        code = afar__group_reserve(group, 2, err);
        if (!code)
            code = afar__group_add_remove(group, kept, false, err);
    }
    if (code)
        afar__group_undo(group, &registry->state, from);
    else
        afar__group_add_end(group, lease);
    return code;
}

/* ---- groups ---- */

/* Begins a group with the leases that are over; true unless memory is out. */
static bool
begin(afar__registry *registry)
{
    afar__group *group = &registry->group;
    afar__lease *leases[ENDS_AT_ONCE];
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;
    size_t count;

    group->number++;
    group->now_ns = registry->now_ns();
    afar__graves_expire(&registry->graves, group->now_ns / AFAR__MILLISECOND);
    count = take_ends(registry, leases);
    for (size_t i = 0; i < count && group->count < STEPS_OF_ENDS && !code; i++)
        code = end_lease(registry, leases[i], &err);
    if (code)
        afar__rare_warn(&registry->failures, "names: cannot remove a lease that is over: %s",
                        err.message);
    afar_error_clear(&err);
    return !code;
}

static void
publish(afar__registry *registry)
{
    int64_t now;

    pthread_mutex_lock(&registry->lock);
    now = registry->now_ns();
    afar__group_publish_locked(&registry->group, &registry->state, now);
    pthread_mutex_unlock(&registry->lock);
    afar__group_finish(&registry->group, &registry->state, &registry->graves, now);
}

/* Commits the group, makes it visible, and answers.  `err` is filled when the store
 * fails. */
static afar_code
finish(afar__registry *registry, afar_error *err)
{
    afar__group *group = &registry->group;
    afar_code code = AFAR_OK;

    if (group->count > 0)
        code = afar__group_commit(group, registry->store, err);
    if (code) {
        afar__rare_warn(&registry->failures, "names: the store failed: %s", err->message);
        afar__group_undo(group, &registry->state, 0);
    } else if (group->count > 0) {
        publish(registry);
    }
    for (size_t i = 0; i < group->granted; i++)
        answer(group->grants[i].request, code, &group->grants[i].result, code ? err : NULL);
    group->granted = 0;
    return code;
}

/* Finishes the group and begins another one, for requests that must see what was in it.
 * Fails when that would not bring it any further. */
static afar_code
turn_over(afar__registry *registry, afar_error *err)
{
    bool is_empty = registry->group.count == 0;
    afar_code code = finish(registry, err);

    if (code)
        return code;
    if (!begin(registry) && is_empty)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "the name server is out of memory");
    return AFAR_OK;
}

/* The requests that are decided on later. */
struct later {
    afar__registry_request *first, **end;
    bool may_wait; /* for what a group changes */
};

static void
serve_one(afar__registry *registry, afar__registry_request *request, struct later *later)
{
    afar__group *group = &registry->group;
    afar__grant *grant = &group->grants[group->granted];
    afar_error err = AFAR_ERROR_INIT;
    afar__decision decision = afar__decide(registry, request, &grant->result, &err);

    if (decision == AFAR__LATER && !later->may_wait) {
        decision = AFAR__REFUSED;
        afar_fail(&err, AFAR_RESOURCE_EXHAUSTED,
                  "too many changes of this name or lease at once; try again later");
    }
    if (decision == AFAR__GRANTED) {
        grant->request = request;
        group->granted++;
    } else if (decision == AFAR__REFUSED) {
        refuse(request, &err);
    } else {
        *later->end = request;
        later->end = &request->next;
    }
}

/* What comes later keeps its order.  Each round is a commit, and others wait for it: so
 * nobody gets as many rounds as he has requests. */
static afar_code
serve_rounds(afar__registry *registry, afar__registry_request *requests, afar_error *err)
{
    for (unsigned round = 0; requests; round++) {
        struct later later = { NULL, &later.first, round < MOST_ROUNDS };

        while (requests) {
            afar__registry_request *request = requests;

            requests = request->next;
            serve_one(registry, request, &later);
        }
        *later.end = NULL;
        requests = later.first;
        if (requests && turn_over(registry, err))
            break;
    }
    while (requests) {
        afar__registry_request *request = requests;

        requests = request->next;
        answer(request, err->code, NULL, err);
    }
    return err->code;
}

/* True unless the store failed, or memory is out. */
static bool
serve(afar__registry *registry, afar__registry_request *requests)
{
    afar_error err = AFAR_ERROR_INIT;
    bool fine = begin(registry);

    fine = serve_rounds(registry, requests, &err) == AFAR_OK && fine;
    afar_error_clear(&err);
    fine = finish(registry, &err) == AFAR_OK && fine;
    afar_error_clear(&err);
    return fine;
}

void *
afar__writer_run(void *arg)
{
    afar__registry *registry = arg;
    afar__registry_request *requests;
    bool fine = true;

    while (wait_for_work(registry, !fine, &requests))
        fine = serve(registry, requests);
    return NULL;
}
