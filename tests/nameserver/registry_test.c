/* The rules of afar/names.proto, one after the other. */

#include <stdio.h>
#include <string.h>

#include "registry_host.h"
#include "runtime/clock.h"
#include "server/nameserver/parts.h"

#include <afar/names.afar.h>

TEST(a_registered_name_is_found)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice" };
    afar_error err = AFAR_ERROR_INIT;
    uint64_t before = last_revision(registry);
    afar__registered result;
    afar__signed *record = sign_wish(registry, &wish), *copy = afar__record_copy(record);
    afar__entry entry;

    CHECK(!has_name(registry, "bank/alice"));
    CHECK_OK(finish_change(start_register(registry, record), &result, &err));
    CHECK_INT(result.revision, before + 1);
    CHECK_INT(result.term_ms, 10000);
    CHECK_INT(last_revision(registry), result.revision);
    CHECK_OK(afar__registry_lookup(registry, "bank/alice", &entry, &err));
    CHECK(afar__record_equal(entry.record, copy));
    CHECK_STR(entry.name, "bank/alice");
    CHECK_INT(entry.revision, result.revision);
    CHECK_INT(entry.left_ms, 10000);
    CHECK_INT(entry.sequence, 0);
    CHECK(memcmp(entry.lease, result.lease, sizeof entry.lease) == 0);
    CHECK(!has_name(registry, "bank/alic"));
    CHECK(!has_name(registry, "bank/alice2"));
    /* What was found lives on without the registry. */
    afar__registry_close(registry);
    CHECK(afar__record_equal(entry.record, copy));
    afar__entry_clear(&entry);
    afar__record_free(copy);
}

/* ---- who has a name ---- */

static void
check_held(const afar_error *err, unsigned key, uint32_t left_ms)
{
    const Afar__Names__V1__Held *held = afar_names_v1_held_of(err);
    char seconds[32];

    CHECK_INT(err->code, AFAR_ALREADY_EXISTS);
    CHECK(held);
    CHECK_INT(held->key.len, AFAR__PUBLIC_BYTES);
    CHECK(memcmp(held->key.data, key_bytes(key), AFAR__PUBLIC_BYTES) == 0);
    CHECK_INT(held->lease_left_ms, left_ms);
    snprintf(seconds, sizeof seconds, " %u s left", (left_ms + 999) / 1000);
    CHECK(strstr(err->message, "bank/alice"));
    CHECK(strstr(err->message, afar_key_public(key_number(key))));
    CHECK(strstr(err->message, seconds));
}

TEST(a_second_key_cannot_take_or_change_a_live_name)
{
    afar__registry *registry = host_open("memory");
    struct wish mine = { .name = "bank/alice", .key = 1 }, theirs = { .name = "bank/alice" };
    afar__registered result = registered(registry, &mine);
    afar_error err = AFAR_ERROR_INIT;

    theirs.key = 2;
    clock_advance_ms(1500);
    CHECK_FAILS(ask_register(registry, &theirs, NULL, &err), AFAR_ALREADY_EXISTS);
    check_held(&err, 1, 8500);
    theirs.take_over = true;
    CHECK_FAILS(ask_register(registry, &theirs, NULL, &err), AFAR_ALREADY_EXISTS);
    check_held(&err, 1, 8500);
    theirs.lease = result.lease;
    CHECK_FAILS(ask_register(registry, &theirs, NULL, &err), AFAR_NOT_FOUND);
    CHECK_INT(revision_of(registry, "bank/alice"), result.revision);
    CHECK_INT(last_revision(registry), result.revision);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(two_leases_of_one_key_do_not_push_each_other_out)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 3 };
    afar__registered first = registered(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_ALREADY_EXISTS);
    check_held(&err, 3, 10000);
    CHECK_INT(revision_of(registry, "bank/alice"), first.revision);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(taking_over_moves_the_name_and_tells_the_other_lease_once)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 3 }, other = { .name = "bank/bob", .key = 3 };
    afar__registered first = registered(registry, &wish), second;
    afar_error err = AFAR_ERROR_INIT;
    char lost[200];

    other.lease = first.lease;
    registered(registry, &other);
    wish.take_over = true;
    second = registered(registry, &wish);
    CHECK(memcmp(first.lease, second.lease, sizeof first.lease) != 0);
    CHECK_INT(revision_of(registry, "bank/alice"), second.revision);
    CHECK(has_name(registry, "bank/bob"));
    CHECK_OK(ask_renew(registry, 3, first.lease, 1, lost, &err));
    CHECK_STR(lost, "bank/alice ");
    CHECK_OK(ask_renew(registry, 3, first.lease, 2, lost, &err));
    CHECK_STR(lost, "");
    CHECK_OK(ask_renew(registry, 3, second.lease, 1, lost, &err));
    CHECK_STR(lost, "");
    afar__registry_close(registry);
}

/* Leases that nobody renews cannot pile up what they would be told. */
TEST(what_all_leases_are_to_be_told_is_limited)
{
    afar__registry_options options = { 5, 4, clock_now };
    afar__registry *registry = host_open_with("memory", &options);
    afar__registered leases[3];
    afar_error err = AFAR_ERROR_INIT;
    char lost[200];

    for (int i = 0; i < 3; i++) {
        const char name[] = { (char)('a' + i), 0 };

        leases[i] = registered(registry, &(struct wish){ .name = name, .key = 1 });
    }
    for (int i = 0; i < 20; i++)
        registered(registry, &(struct wish){ .name = i < 10 ? "a" : "b",
                                             .key = 1,
                                             .lease = leases[i % 3].lease,
                                             .take_over = true });
    CHECK_INT(registry->state.lost_count, 5);
    for (int i = 0; i < 3; i++)
        CHECK_OK(ask_renew(registry, 1, leases[i].lease, 1, lost, &err));
    CHECK_INT(registry->state.lost_count, 0);
    /* What was not told goes with its lease, and makes room. */
    registered(registry, &(struct wish){ .name = "c", .key = 1, .take_over = true });
    CHECK_INT(registry->state.lost_count, 1);
    CHECK_OK(ask_unregister(registry, 1, leases[2].lease, 2, NULL, NULL, &err));
    CHECK_INT(registry->state.lost_count, 0);
    afar__registry_close(registry);
}

TEST(a_name_that_came_back_is_not_lost)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 3, .take_over = true };
    afar__registered first = registered(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;
    char lost[200];

    registered(registry, &wish);
    wish.lease = first.lease;
    registered(registry, &wish);
    CHECK_OK(ask_renew(registry, 3, first.lease, 1, lost, &err));
    CHECK_STR(lost, "");
    afar__registry_close(registry);
}

TEST(a_failed_renewal_tells_of_no_losses)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 3, .take_over = true };
    afar__registered first = registered(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;
    char lost[200];

    registered(registry, &wish);
    CHECK_FAILS(ask_renew(registry, 3, first.lease, 0, lost, &err), AFAR_FAILED_PRECONDITION);
    CHECK_STR(lost, "");
    CHECK_OK(ask_renew(registry, 3, first.lease, 1, lost, &err));
    CHECK_STR(lost, "bank/alice ");
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(a_lease_changes_its_own_name)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 1, .metadata = { "zone", "a" } };
    afar__registered first = registered(registry, &wish), second;
    afar_error err = AFAR_ERROR_INIT;
    afar__entry entry;

    wish.lease = first.lease;
    wish.metadata[1] = "b";
    second = registered(registry, &wish);
    CHECK_INT(second.revision, first.revision + 1);
    CHECK(memcmp(first.lease, second.lease, sizeof first.lease) == 0);
    CHECK_OK(afar__registry_lookup(registry, "bank/alice", &entry, &err));
    CHECK_INT(entry.revision, second.revision);
    CHECK(afar__entry_has(&entry, "zone", "b"));
    CHECK(!afar__entry_has(&entry, "zone", "a"));
    afar__entry_clear(&entry);
    CHECK_INT(count_names(registry, ""), 1);
    afar__registry_close(registry);
}

/* ---- joining leases ---- */

TEST(joining_takes_an_open_lease_of_the_same_key_and_instance)
{
    static const uint8_t here[16] = { 1 }, there[16] = { 2 }, unknown[16] = { 3 };
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "a", .key = 1, .instance = here };
    afar__registered result = registered(registry, &wish), joined;
    afar_error err = AFAR_ERROR_INIT;

    wish.name = "b";
    wish.lease = result.lease;
    joined = registered(registry, &wish);
    CHECK(memcmp(joined.lease, result.lease, sizeof result.lease) == 0);
    wish.name = "c";
    wish.instance = there;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_INVALID_ARGUMENT);
    wish.instance = NULL;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_INVALID_ARGUMENT);
    wish.instance = here;
    wish.lease = unknown;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_NOT_FOUND);
    wish.lease = result.lease;
    wish.key = 2;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_NOT_FOUND);
    wish.key = 1;
    clock_advance_ms(10000);
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_NOT_FOUND);
    CHECK(!has_name(registry, "c"));
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(joining_does_not_renew)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "a", .key = 1 };
    afar__registered result = registered(registry, &wish);

    clock_advance_ms(9999);
    wish.name = "b";
    wish.lease = result.lease;
    registered(registry, &wish);
    CHECK(has_name(registry, "b"));
    clock_advance_ms(1);
    CHECK(!has_name(registry, "a"));
    CHECK(!has_name(registry, "b"));
    afar__registry_close(registry);
}

/* ---- what is forged, replayed, rolled back ---- */

static afar_code
send(afar__registry *registry, const afar__signed *record, afar_error *err)
{
    return finish_change(start_register(registry, afar__record_copy(record)), NULL, err);
}

TEST(a_forged_record_is_refused)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 1 };
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *record = sign_wish(registry, &wish);

    record->signature.data[5] ^= 1;
    CHECK_FAILS(send(registry, record, &err), AFAR_UNAUTHENTICATED);
    record->signature.data[5] ^= 1;
    record->record.data[3] ^= 1;
    CHECK_FAILS(send(registry, record, &err), AFAR_UNAUTHENTICATED);
    record->record.data[3] ^= 1;
    memcpy(record->key.data, key_bytes(2), AFAR__PUBLIC_BYTES);
    CHECK_FAILS(send(registry, record, &err), AFAR_UNAUTHENTICATED);
    memcpy(record->key.data, key_bytes(1), AFAR__PUBLIC_BYTES);
    record->key.len = 31;
    CHECK_FAILS(finish_change(start_register(registry, record), NULL, &err), AFAR_INVALID_ARGUMENT);
    CHECK_INT(count_names(registry, ""), 0);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(what_was_signed_for_one_purpose_is_good_for_no_other)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 1 };
    afar__registered result = registered(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *renewal = sign_renewal(registry, 1, result.lease, 1);

    CHECK_FAILS(finish_change(start_unregister(registry, afar__record_copy(renewal)), NULL, &err),
                AFAR_UNAUTHENTICATED);
    CHECK_FAILS(finish_change(start_register(registry, renewal), NULL, &err), AFAR_UNAUTHENTICATED);
    CHECK(has_name(registry, "bank/alice"));
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(a_record_beyond_the_limits_is_refused)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank//alice", .key = 1 };
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "bank//alice"));
    wish.name = "bank/alice";
    wish.lease_ms = 999;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_INVALID_ARGUMENT);
    wish.lease_ms = 3600001;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_INVALID_ARGUMENT);
    wish.lease_ms = 3600000;
    CHECK_INT(registered(registry, &wish).term_ms, 3600000);
    wish.lease_ms = 1000;
    wish.name = "bank/bob";
    CHECK_INT(registered(registry, &wish).term_ms, 1000);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(a_record_counts_once)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 1, .take_over = true };
    afar__signed *record = sign_wish(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(send(registry, record, &err));
    CHECK_FAILS(send(registry, record, &err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "generation"));
    afar__record_free(record);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(an_older_record_does_not_come_back)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 1, .take_over = true, .generation = 5 };
    afar__signed *old = sign_wish(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;

    wish.generation = 6;
    registered(registry, &wish);
    CHECK_FAILS(send(registry, old, &err), AFAR_FAILED_PRECONDITION);
    wish.generation = 6;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_FAILED_PRECONDITION);
    wish.generation = 7;
    registered(registry, &wish);
    afar__record_free(old);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(a_removed_name_does_not_come_back_by_its_old_record)
{
    static const char *const names[] = { "bank/alice", NULL };
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 1, .generation = 5 };
    afar__signed *record = sign_wish(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;
    afar__registered result;

    CHECK_OK(finish_change(start_register(registry, afar__record_copy(record)), &result, &err));
    CHECK_OK(ask_unregister(registry, 1, result.lease, 1, names, NULL, &err));
    CHECK_FAILS(send(registry, record, &err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "generation"));
    /* As long as its nonce lives, and then because it does not. */
    clock_advance_ms(60000);
    CHECK_FAILS(send(registry, record, &err), AFAR_FAILED_PRECONDITION);
    clock_advance_ms(1);
    CHECK_FAILS(send(registry, record, &err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "nonce"));
    CHECK(!has_name(registry, "bank/alice"));
    /* Other keys are not concerned. */
    wish.key = 2;
    registered(registry, &wish);
    afar__record_free(record);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(an_expired_name_does_not_come_back_by_its_old_record)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 1, .generation = 5, .lease_ms = 1000 };
    afar__signed *record = sign_wish(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;
    uint64_t revision;

    CHECK_OK(send(registry, record, &err));
    revision = last_revision(registry);
    clock_advance_ms(1000);
    CHECK_FAILS(send(registry, record, &err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "generation"));
    CHECK_INT(last_revision(registry), revision + 1);
    wish.generation = 6;
    registered(registry, &wish);
    afar__record_free(record);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(generation_zero_counts_once_too)
{
    afar__registry *registry = host_open("memory");
    Afar__Names__V1__Record record = AFAR__NAMES__V1__RECORD__INIT;
    char *endpoints[] = { (char *)"grpc://127.0.0.1:7000" };
    afar_error err = AFAR_ERROR_INIT;
    afar__challenge challenge;
    afar__registered result;
    afar__signed *made;

    afar__registry_challenge(registry, &challenge);
    record.name = (char *)"zero";
    record.endpoints = endpoints;
    record.n_endpoints = 1;
    record.nonce.data = challenge.nonce;
    record.nonce.len = sizeof challenge.nonce;
    record.lease_ms = 5000;
    CHECK_OK(afar__record_sign(key_number(1), AFAR__PURPOSE_RECORD, &record.base, &made, &err));
    CHECK_OK(finish_change(start_register(registry, afar__record_copy(made)), &result, &err));
    CHECK_OK(ask_unregister(registry, 1, result.lease, 1, NULL, NULL, &err));
    CHECK_FAILS(send(registry, made, &err), AFAR_FAILED_PRECONDITION);
    afar__record_free(made);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(a_nonce_is_good_for_a_minute_and_for_one_name_server)
{
    afar__registry *registry = host_open("memory"), *other = host_open("memory");
    afar_error err = AFAR_ERROR_INIT;
    struct wish wish = { .name = "bank/alice", .key = 1 };
    afar__challenge challenge;

    afar__registry_challenge(other, &challenge);
    wish.nonce = challenge.nonce;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_FAILED_PRECONDITION);
    afar__registry_challenge(registry, &challenge);
    challenge.nonce[7] ^= 1;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_FAILED_PRECONDITION);
    challenge.nonce[7] ^= 1;
    challenge.nonce[AFAR__NONCE_BYTES - 1] ^= 1;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_FAILED_PRECONDITION);
    challenge.nonce[AFAR__NONCE_BYTES - 1] ^= 1;
    clock_advance_ms(60000);
    registered(registry, &wish);
    clock_advance_ms(1);
    wish.name = "bank/bob";
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "bank/bob"));
    afar_error_clear(&err);
    afar__registry_close(other);
    afar__registry_close(registry);
}

/* ---- renewing ---- */

static void
check_stale(const afar_error *err, const afar__registry *registry, uint64_t sequence)
{
    const Afar__Names__V1__Stale *stale = afar_names_v1_stale_of(err);

    CHECK(stale);
    CHECK_INT(stale->epoch.len, AFAR__EPOCH_BYTES);
    CHECK(memcmp(stale->epoch.data, afar__registry_epoch(registry), AFAR__EPOCH_BYTES) == 0);
    CHECK_INT(stale->sequence, sequence);
}

TEST(a_renewal_counts_once)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 1 };
    afar__registered result = registered(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(ask_renew(registry, 1, result.lease, 0, NULL, &err), AFAR_FAILED_PRECONDITION);
    check_stale(&err, registry, 0);
    CHECK_OK(ask_renew(registry, 1, result.lease, 7, NULL, &err));
    CHECK_FAILS(ask_renew(registry, 1, result.lease, 7, NULL, &err), AFAR_FAILED_PRECONDITION);
    check_stale(&err, registry, 7);
    CHECK_FAILS(ask_renew(registry, 1, result.lease, 6, NULL, &err), AFAR_FAILED_PRECONDITION);
    CHECK_OK(ask_renew(registry, 1, result.lease, 8, NULL, &err));
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(a_renewal_is_good_for_one_name_server_and_key)
{
    static const uint8_t unknown[16] = { 9 };
    afar__registry *registry = host_open("memory"), *other = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 1 };
    afar__registered result = registered(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *renewal = sign_renewal(other, 1, result.lease, 1);
    uint32_t term;

    CHECK_FAILS(afar__registry_renew(registry, renewal, NULL, NULL, &term, &err),
                AFAR_FAILED_PRECONDITION);
    check_stale(&err, registry, 0);
    CHECK_FAILS(ask_renew(registry, 2, result.lease, 1, NULL, &err), AFAR_NOT_FOUND);
    CHECK_FAILS(ask_renew(registry, 1, unknown, 1, NULL, &err), AFAR_NOT_FOUND);
    afar__record_free(renewal);
    afar_error_clear(&err);
    afar__registry_close(other);
    afar__registry_close(registry);
}

/* ---- unregistering ---- */

TEST(names_are_removed_one_by_one)
{
    static const char *const names[] = { "b", "nobody", "b", "theirs", NULL };
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "a", .key = 1 }, theirs = { .name = "theirs", .key = 1 };
    afar__registered result = registered(registry, &wish), removed;
    afar_error err = AFAR_ERROR_INIT;
    char lost[200];

    registered(registry, &theirs);
    wish.lease = result.lease;
    wish.name = "b";
    result = registered(registry, &wish);
    CHECK_OK(ask_unregister(registry, 1, result.lease, 1, names, &removed, &err));
    CHECK_INT(removed.count, 1);
    CHECK_INT(removed.revision, result.revision + 1);
    CHECK(has_name(registry, "a"));
    CHECK(!has_name(registry, "b"));
    CHECK(has_name(registry, "theirs"));
    /* Somebody else with this key may have done it: the lease is told. */
    CHECK_OK(ask_renew(registry, 1, result.lease, 2, lost, &err));
    CHECK_STR(lost, "b ");
    afar__registry_close(registry);
}

TEST(removing_all_ends_the_lease)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "a", .key = 1 };
    afar__registered result = registered(registry, &wish), removed;
    afar_error err = AFAR_ERROR_INIT;

    wish.lease = result.lease;
    wish.name = "b";
    result = registered(registry, &wish);
    CHECK_OK(ask_unregister(registry, 1, result.lease, 1, NULL, &removed, &err));
    CHECK_INT(removed.count, 2);
    CHECK_INT(removed.revision, result.revision + 2);
    CHECK_INT(count_names(registry, ""), 0);
    CHECK_FAILS(ask_renew(registry, 1, result.lease, 2, NULL, &err), AFAR_NOT_FOUND);
    CHECK_FAILS(ask_unregister(registry, 1, result.lease, 3, NULL, NULL, &err), AFAR_NOT_FOUND);
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_NOT_FOUND);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(a_removal_counts_once_and_needs_the_key)
{
    static const char *const names[] = { "nobody", NULL };
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "a", .key = 1 };
    afar__registered result = registered(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(ask_unregister(registry, 2, result.lease, 1, NULL, NULL, &err), AFAR_NOT_FOUND);
    CHECK_FAILS(ask_unregister(registry, 1, result.lease, 0, NULL, NULL, &err),
                AFAR_FAILED_PRECONDITION);
    check_stale(&err, registry, 0);
    CHECK_OK(ask_unregister(registry, 1, result.lease, 5, names, NULL, &err));
    CHECK_FAILS(ask_unregister(registry, 1, result.lease, 5, NULL, NULL, &err),
                AFAR_FAILED_PRECONDITION);
    check_stale(&err, registry, 5);
    CHECK_FAILS(ask_renew(registry, 1, result.lease, 5, NULL, &err), AFAR_FAILED_PRECONDITION);
    CHECK(has_name(registry, "a"));
    afar_error_clear(&err);
    afar__registry_close(registry);
}

/* ---- limits ---- */

TEST(limits_are_named)
{
    static const char *const names[] = { "a", "b", "c", "d", NULL };
    afar__registry_options options = { 3, 2, clock_now };
    afar__registry *registry = host_open_with("memory", &options);
    struct wish wish = { .name = "a", .key = 1 };
    afar__registered result = registered(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;

    wish.lease = result.lease;
    wish.name = "b";
    registered(registry, &wish);
    wish.name = "c";
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK(strstr(err.message, "at most 2 names"));
    /* A change needs no room. */
    wish.name = "b";
    registered(registry, &wish);
    wish = (struct wish){ .name = "c", .key = 2 };
    registered(registry, &wish);
    wish.name = "d";
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK(strstr(err.message, "at most 3 names"));
    /* What was removed makes room. */
    CHECK_OK(ask_unregister(registry, 1, result.lease, 1, names, NULL, &err));
    registered(registry, &wish);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

/* Leases that have lost their names stay until they end; nobody can pile them up. */
TEST(leases_without_names_are_limited)
{
    afar__registry_options options = { 10, 2, clock_now };
    afar__registry *registry = host_open_with("memory", &options);
    struct wish wish = { .name = "a", .key = 1, .take_over = true };
    afar_error err = AFAR_ERROR_INIT;

    registered(registry, &wish);
    registered(registry, &wish);
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK(strstr(err.message, "at most 2 leases"));
    clock_advance_ms(10000);
    registered(registry, &wish);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

/* ---- lists ---- */

static bool
add_name(void *arg, const afar__entry *entry)
{
    add_word(arg, 200, entry->name);
    return true;
}

static const char *
listed(afar__registry *registry, const char *prefix, const char *after)
{
    static char text[200];

    text[0] = 0;
    CHECK_INT(afar__registry_list(registry, prefix, after, add_name, text),
              last_revision(registry));
    return text;
}

TEST(lists_are_in_the_order_of_bytes)
{
    static const char *const names[] = { "bank/a", "b", "bank", "bank-2", "Bank", "bank/b/c", "z" };
    afar__registry *registry = host_open("memory");

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        registered(registry, &(struct wish){ .name = names[i], .key = 1 });
    CHECK_STR(listed(registry, "", ""), "Bank b bank bank-2 bank/a bank/b/c z ");
    CHECK_STR(listed(registry, "bank", ""), "bank bank-2 bank/a bank/b/c ");
    CHECK_STR(listed(registry, "bank/", ""), "bank/a bank/b/c ");
    CHECK_STR(listed(registry, "ba", "bank"), "bank-2 bank/a bank/b/c ");
    CHECK_STR(listed(registry, "ba", "bank/a"), "bank/b/c ");
    CHECK_STR(listed(registry, "bank", "a"), "bank bank-2 bank/a bank/b/c ");
    CHECK_STR(listed(registry, "bank", "c"), "");
    CHECK_STR(listed(registry, "bank", "bank."), "bank/a bank/b/c ");
    CHECK_STR(listed(registry, "q", ""), "");
    CHECK_STR(listed(registry, "zz", ""), "");
    afar__registry_close(registry);
}
