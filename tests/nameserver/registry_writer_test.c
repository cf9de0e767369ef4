/* Changes from many at once: groups, a store that fails, and that whoever has a name is
 * alone with it.
 *
 * Labels: concurrent */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "registry_host.h"
#include "server/nameserver/parts.h"

#define CROWD 64

/* ---- groups ---- */

/* Holds the store with a change of its own, so that what comes next waits together. */
static struct change *
hold_store(afar__registry *registry)
{
    struct wish wish = { .name = "holder", .key = 15, .take_over = true };
    struct change *change;

    gate_hold();
    change = start_register(registry, sign_wish(registry, &wish));
    gate_wait();
    return change;
}

static void
release_store(struct change *holder)
{
    afar_error err = AFAR_ERROR_INIT;

    gate_release();
    CHECK_OK(finish_change(holder, NULL, &err));
}

TEST(who_waits_together_is_committed_together)
{
    afar__registry *registry = host_open_gated();
    struct change *holder = hold_store(registry), *changes[CROWD];
    afar_error err = AFAR_ERROR_INIT;
    afar__registered result;
    uint64_t last = 0;
    char name[32];

    for (int i = 0; i < CROWD; i++) {
        snprintf(name, sizeof name, "crowd/%d", i);
        changes[i] =
            start_register(registry, sign_wish(registry, &(struct wish){ .name = name, .key = 1 }));
    }
    /* Nothing is visible before it is on the disk. */
    CHECK_INT(count_names(registry, ""), 0);
    release_store(holder);
    for (int i = 0; i < CROWD; i++) {
        CHECK_OK(finish_change(changes[i], &result, &err));
        CHECK(result.revision > last);
        last = result.revision;
    }
    CHECK_INT(gate_commits(), 2);
    CHECK_INT(gate_changes(AFAR__CHANGE_PUT), CROWD);
    CHECK_INT(count_names(registry, "crowd/"), CROWD);
    afar__registry_close(registry);
}

TEST(of_two_who_wait_for_one_name_the_first_gets_it)
{
    afar__registry *registry = host_open_gated();
    struct change *holder = hold_store(registry), *first, *second;
    struct wish wish = { .name = "bank/alice", .key = 1 };
    afar_error err = AFAR_ERROR_INIT;
    afar__registered result;

    first = start_register(registry, sign_wish(registry, &wish));
    wish.key = 2;
    second = start_register(registry, sign_wish(registry, &wish));
    release_store(holder);
    CHECK_OK(finish_change(first, &result, &err));
    CHECK_FAILS(finish_change(second, NULL, &err), AFAR_ALREADY_EXISTS);
    CHECK_INT(revision_of(registry, "bank/alice"), result.revision);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

/* Each of these must see the one before. */
TEST(changes_of_one_name_happen_in_their_order)
{
    afar__registry *registry = host_open_gated();
    struct wish wish = { .name = "bank/alice", .key = 1 }, theirs = { .name = "bank/alice" };
    afar__registered first = registered(registry, &wish), result;
    struct change *holder = hold_store(registry), *changes[5];
    afar_error err = AFAR_ERROR_INIT;

    wish.lease = first.lease;
    theirs.key = 2;
    changes[0] = start_register(registry, sign_wish(registry, &wish));
    changes[1] = start_register(registry, sign_wish(registry, &theirs));
    changes[2] = start_unregister(registry, sign_removal(registry, 1, first.lease, 1, NULL));
    changes[3] = start_register(registry, sign_wish(registry, &theirs));
    changes[4] = start_register(registry, sign_wish(registry, &wish));
    release_store(holder);
    CHECK_OK(finish_change(changes[0], NULL, &err));
    CHECK_FAILS(finish_change(changes[1], NULL, &err), AFAR_ALREADY_EXISTS);
    CHECK_OK(finish_change(changes[2], &result, &err));
    CHECK_INT(result.count, 1);
    CHECK_OK(finish_change(changes[3], &result, &err));
    CHECK_FAILS(finish_change(changes[4], NULL, &err), AFAR_NOT_FOUND);
    CHECK_INT(revision_of(registry, "bank/alice"), result.revision);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

/* Each change of one name takes a commit of its own: who wants many of them does not make
 * others wait for all. */
TEST(many_changes_of_one_name_do_not_hold_up_others)
{
    afar__registry *registry = host_open_gated();
    struct wish wish = { .name = "bank/alice", .key = 1 };
    afar__registered lease = registered(registry, &wish), first, other;
    struct change *holder = hold_store(registry), *changes[CROWD], *last;
    afar_error err = AFAR_ERROR_INIT;
    int granted = 1, before = gate_commits();

    wish.lease = lease.lease;
    for (int i = 0; i < CROWD; i++)
        changes[i] = start_register(registry, sign_wish(registry, &wish));
    last = start_register(registry, sign_wish(registry, &(struct wish){ .name = "x", .key = 2 }));
    release_store(holder);
    CHECK_OK(finish_change(changes[0], &first, &err));
    CHECK_OK(finish_change(last, &other, &err));
    CHECK_INT(other.revision, first.revision + 1);
    for (int i = 1; i < CROWD; i++) {
        if (!finish_change(changes[i], NULL, &err)) {
            CHECK_INT(granted++, i);
            continue;
        }
        CHECK_INT(err.code, AFAR_RESOURCE_EXHAUSTED);
        CHECK(strstr(err.message, "too many changes"));
    }
    CHECK_INT(granted, 17);
    CHECK_INT(gate_commits() - before, 18);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

/* A name that joins while its lease is being removed. */
TEST(a_removal_of_all_sees_who_joined_before)
{
    static const char *const names[] = { "a", "b", NULL };
    afar__registry *registry = host_open_gated();
    struct wish wish = { .name = "a", .key = 1 };
    afar__registered first = registered(registry, &wish), result;
    struct change *holder = hold_store(registry), *changes[4];
    afar_error err = AFAR_ERROR_INIT;

    wish.lease = first.lease;
    wish.name = "b";
    changes[0] = start_register(registry, sign_wish(registry, &wish));
    changes[1] = start_unregister(registry, sign_removal(registry, 1, first.lease, 1, names));
    wish.name = "c";
    changes[2] = start_register(registry, sign_wish(registry, &wish));
    changes[3] = start_unregister(registry, sign_removal(registry, 1, first.lease, 2, NULL));
    release_store(holder);
    CHECK_OK(finish_change(changes[0], NULL, &err));
    CHECK_OK(finish_change(changes[1], &result, &err));
    CHECK_INT(result.count, 2);
    CHECK_OK(finish_change(changes[2], NULL, &err));
    CHECK_OK(finish_change(changes[3], &result, &err));
    CHECK_INT(result.count, 1);
    CHECK_INT(count_names(registry, ""), 1);
    afar__registry_close(registry);
}

/* ---- a store that fails ---- */

TEST(a_commit_that_fails_changes_nothing)
{
    afar__registry *registry = host_open_gated();
    struct wish wish = { .name = "a", .key = 1 }, more = { .name = "b", .key = 1 };
    afar__registered first = registered(registry, &wish), second;
    struct change *holder = hold_store(registry), *changes[3];
    afar_error err = AFAR_ERROR_INIT;

    wish.take_over = true;
    changes[0] = start_register(registry, sign_wish(registry, &wish));
    changes[1] = start_register(registry, sign_wish(registry, &more));
    changes[2] = start_unregister(registry, sign_removal(registry, 1, first.lease, 1, NULL));
    gate_break(true);
    gate_release();
    CHECK_FAILS(finish_change(holder, NULL, &err), AFAR_UNAVAILABLE);
    for (int i = 0; i < 3; i++)
        CHECK_FAILS(finish_change(changes[i], NULL, &err), AFAR_UNAVAILABLE);
    CHECK_INT(last_revision(registry), first.revision);
    CHECK_INT(revision_of(registry, "a"), first.revision);
    CHECK_INT(count_names(registry, ""), 1);
    gate_break(false);
    /* Numbers that failed are not used again. */
    second = registered(registry, &wish);
    CHECK(second.revision > first.revision + 1);
    CHECK_OK(ask_renew(registry, 1, first.lease, 2, NULL, &err));
    registered(registry, &more);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

/* ---- the queue ---- */

static atomic_int answered;

static void
count_answer(afar__registry_request *request, afar_code code, const afar__registered *result,
             const afar_error *err)
{
    (void)request;
    (void)result;
    CHECK_INT(code, AFAR_NOT_FOUND);
    CHECK_INT(err->code, AFAR_NOT_FOUND);
    atomic_fetch_add(&answered, 1);
}

/* What a verified removal of nobody's lease is. */
static void
fill_request(afar__registry_request *request, const afar__signed *removal)
{
    afar_error err = AFAR_ERROR_INIT;

    request->done = count_answer;
    request->signed_record = removal;
    request->kind = AFAR__REQUEST_UNREGISTER;
    CHECK_OK(afar_message_unpack(&afar__names__v1__removal__descriptor, removal->record.data,
                                 removal->record.len, NULL, &request->message, &err));
}

TEST(the_queue_is_bounded_and_closing_answers_all)
{
    static const uint8_t nobody[16] = { 1 };
    afar__registry *registry = host_open_gated();
    struct change *holder = hold_store(registry);
    afar__signed *removal = sign_removal(registry, 1, nobody, 1, NULL);
    afar__registry_request *requests = calloc(10001, sizeof *requests);
    afar_error err = AFAR_ERROR_INIT;

    CHECK(requests);
    for (int i = 0; i < 10000; i++) {
        fill_request(&requests[i], removal);
        CHECK_OK(afar__writer_queue(registry, &requests[i], &err));
    }
    fill_request(&requests[10000], removal);
    CHECK_FAILS(afar__writer_queue(registry, &requests[10000], &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK(strstr(err.message, "10000"));
    afar_message_free(requests[10000].message);
    gate_release();
    afar__registry_close(registry);
    CHECK_INT(answered, 10000);
    CHECK_OK(finish_change(holder, NULL, &err));
    afar__record_free(removal);
    free(requests);
    afar_error_clear(&err);
}

/* ---- many at once ---- */

#define THREADS 4
#define NAMES 3
#define ROUNDS 150

static struct shared {
    afar__registry *registry;
    atomic_int owner[NAMES]; /* who knows that it has the name: key + 1, or 0 */
    _Atomic(uint64_t) last;  /* no revision that was answered is higher */
    atomic_int granted;
} shared;

static const char *const shared_names[NAMES] = { "one", "one/two", "one/three" };

static void
saw_revision(uint64_t revision, uint64_t before)
{
    uint64_t last = atomic_load(&shared.last);

    CHECK(revision > before);
    while (last < revision && !atomic_compare_exchange_weak(&shared.last, &last, revision))
        continue;
}

/* Who was granted a name is alone with it until it is given back. */
static void
hold_name(unsigned key, unsigned name, const afar__registered *result)
{
    const char *const names[] = { shared_names[name], NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar__registered removed;
    afar__entry entry;
    uint64_t before;
    int nobody = 0;

    CHECK(atomic_compare_exchange_strong(&shared.owner[name], &nobody, (int)key + 1));
    CHECK_OK(afar__registry_lookup(shared.registry, shared_names[name], &entry, &err));
    CHECK(memcmp(afar__record_key(entry.record), key_bytes(key), AFAR__PUBLIC_BYTES) == 0);
    CHECK_INT(entry.revision, result->revision);
    afar__entry_clear(&entry);
    CHECK_OK(ask_renew(shared.registry, key, result->lease, 1, NULL, &err));
    atomic_store(&shared.owner[name], 0);
    before = atomic_load(&shared.last);
    CHECK_OK(ask_unregister(shared.registry, key, result->lease, 2, key % 2 ? names : NULL,
                            &removed, &err));
    CHECK_INT(removed.count, 1);
    saw_revision(removed.revision, before);
    atomic_fetch_add(&shared.granted, 1);
}

static void *
contend(void *arg)
{
    unsigned key = *(unsigned *)arg, random = key * 7919;
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < ROUNDS; i++) {
        unsigned name = (random >> 16) % NAMES;
        struct wish wish = { .name = shared_names[name], .key = key };
        uint64_t before = atomic_load(&shared.last);
        afar__registered result;
        afar_code code = ask_register(shared.registry, &wish, &result, &err);

        random = random * 1103515245 + 12345;
        if (code) {
            CHECK_INT(code, AFAR_ALREADY_EXISTS);
            continue;
        }
        saw_revision(result.revision, before);
        hold_name(key, name, &result);
    }
    afar_error_clear(&err);
    return NULL;
}

/* Lists meanwhile: each name at most once, in order. */
static bool
check_next(void *arg, const afar__entry *entry)
{
    const char **last = arg;

    CHECK(!*last || strcmp(*last, entry->name) < 0);
    for (unsigned i = 0; i < NAMES; i++)
        if (strcmp(shared_names[i], entry->name) == 0)
            *last = shared_names[i];
    return true;
}

TEST(who_has_a_name_is_alone_with_it)
{
    unsigned keys[THREADS];
    pthread_t threads[THREADS];
    uint64_t revision = 0, next;

    shared.registry = host_open("memory");
    shared.last = last_revision(shared.registry);
    for (unsigned i = 0; i < THREADS; i++) {
        keys[i] = i;
        key_number(i);
        CHECK_INT(pthread_create(&threads[i], NULL, contend, &keys[i]), 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        const char *last = NULL;

        next = afar__registry_list(shared.registry, "one", "", check_next, &last);
        CHECK(next >= revision);
        revision = next;
    }
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK(shared.granted > 0);
    CHECK_INT(count_names(shared.registry, ""), 0);
    CHECK_INT(last_revision(shared.registry), shared.last);
    afar__registry_close(shared.registry);
}

/* ---- renewing while the clock runs ---- */

/* The clock makes one step for each that is allowed, on a thread of its own. */
static struct race {
    afar__registry *registry;
    atomic_int allowed, made;
    atomic_bool ended;
} race;

static void *
run_clock(void *arg)
{
    unsigned random = 1;

    (void)arg;
    while (!race.ended) {
        if (race.made == race.allowed) {
            sched_yield();
            continue;
        }
        random = random * 1103515245 + 12345;
        clock_advance_ms((random >> 16) % 1200);
        race.made++;
    }
    return NULL;
}

static void
wait_for_clock(void)
{
    while (race.made != race.allowed)
        sched_yield();
}

/* A renewal that was granted holds for its term; one that was not comes too late for ever. */
TEST(a_lease_is_renewed_or_over_and_never_both)
{
    struct wish wish = { .name = "race", .key = 1, .lease_ms = 1000 };
    afar_error err = AFAR_ERROR_INIT;
    pthread_t ticker;

    race.registry = host_open("memory");
    CHECK_INT(pthread_create(&ticker, NULL, run_clock, NULL), 0);
    for (int round = 0; round < 200; round++) {
        afar_code code = AFAR_OK;
        afar__registered result;

        wait_for_clock();
        result = registered(race.registry, &wish);
        for (uint64_t i = 1; code == AFAR_OK; i++) {
            int64_t before;
            bool there;

            wait_for_clock();
            before = clock_now();
            race.allowed++;
            code = ask_renew(race.registry, 1, result.lease, i, NULL, &err);
            there = has_name(race.registry, "race");
            CHECK(code == AFAR_OK || code == AFAR_NOT_FOUND);
            CHECK(code == AFAR_OK || !there);
            CHECK(code != AFAR_OK || there || clock_now() - before >= 1000000000);
        }
    }
    race.ended = true;
    CHECK_INT(pthread_join(ticker, NULL), 0);
    afar_error_clear(&err);
    afar__registry_close(race.registry);
}
