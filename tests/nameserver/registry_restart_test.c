/* What a name server knows after it has started again: a registry over SQLite.
 *
 * Labels: waits */

#include <stdio.h>
#include <string.h>

#include "registry_host.h"
#include "store_model.h"

static const uint8_t instance[AFAR__INSTANCE_BYTES] = { 1, 2, 3 };

TEST(names_and_leases_outlive_the_name_server)
{
    struct wish wish = { .name = "bank/alice", .key = 1, .instance = instance, .lease_ms = 5000 };
    afar_error err = AFAR_ERROR_INIT;
    afar__registered result, later;
    afar__registry *registry;
    afar__signed *record;
    afar__entry entry;
    struct place place;

    place_make(&place);
    registry = host_open(place.path);
    record = sign_wish(registry, &wish);
    CHECK_OK(finish_change(start_register(registry, afar__record_copy(record)), &result, &err));
    clock_advance_ms(4000);
    afar__registry_close(registry);

    clock_advance_ms(100000);
    registry = host_open(place.path);
    CHECK_INT(last_revision(registry), result.revision);
    CHECK_OK(afar__registry_lookup(registry, "bank/alice", &entry, &err));
    CHECK(afar__record_equal(entry.record, record));
    CHECK_INT(entry.revision, result.revision);
    CHECK_INT(entry.left_ms, 5000);
    CHECK_INT(entry.sequence, 0);
    CHECK(memcmp(entry.lease, result.lease, sizeof entry.lease) == 0);
    afar__entry_clear(&entry);
    /* The lease is joined by its key and instance, and by nobody else. */
    wish.lease = result.lease;
    wish.name = "bank/bob";
    later = registered(registry, &wish);
    CHECK(later.revision > result.revision);
    wish.key = 2;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_NOT_FOUND);
    CHECK_OK(ask_renew(registry, 1, result.lease, 1, NULL, &err));
    clock_advance_ms(5000);
    CHECK_INT(count_names(registry, ""), 0);
    wait_revision(registry, later.revision + 2);
    afar__registry_close(registry);

    registry = host_open(place.path);
    CHECK_INT(count_names(registry, ""), 0);
    CHECK_INT(last_revision(registry), later.revision + 2);
    afar__registry_close(registry);
    afar__record_free(record);
    afar_error_clear(&err);
    place_remove(&place);
}

/* Neither a record nor a renewal from before is worth anything. */
TEST(what_was_heard_before_a_restart_is_worth_nothing)
{
    struct wish wish = { .name = "bank/alice", .key = 1, .take_over = true };
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *record, *renewal, *removal;
    afar__registry *registry;
    afar__registered result;
    struct place place;
    uint32_t term;

    place_make(&place);
    registry = host_open(place.path);
    result = registered(registry, &wish);
    record = sign_wish(registry, &wish);
    renewal = sign_renewal(registry, 1, result.lease, 1);
    removal = sign_removal(registry, 1, result.lease, 1, NULL);
    afar__registry_close(registry);

    registry = host_open(place.path);
    CHECK_FAILS(finish_change(start_register(registry, record), NULL, &err),
                AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(finish_change(start_unregister(registry, removal), NULL, &err),
                AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(afar__registry_renew(registry, renewal, NULL, NULL, &term, &err),
                AFAR_FAILED_PRECONDITION);
    afar__record_free(renewal);
    /* Generations of names that are there are known. */
    wish.generation = 1;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_FAILED_PRECONDITION);
    CHECK_INT(revision_of(registry, "bank/alice"), result.revision);
    afar__registry_close(registry);
    afar_error_clear(&err);
    place_remove(&place);
}

TEST(removed_names_stay_removed)
{
    static const char *const names[] = { "b", NULL };
    struct wish wish = { .name = "a", .key = 1 };
    afar_error err = AFAR_ERROR_INIT;
    afar__registered first, removed;
    afar__registry *registry;
    struct place place;

    place_make(&place);
    registry = host_open(place.path);
    first = registered(registry, &wish);
    wish.lease = first.lease;
    wish.name = "b";
    registered(registry, &wish);
    CHECK_OK(ask_unregister(registry, 1, first.lease, 1, names, &removed, &err));
    afar__registry_close(registry);

    registry = host_open(place.path);
    CHECK(has_name(registry, "a"));
    CHECK(!has_name(registry, "b"));
    CHECK_INT(last_revision(registry), removed.revision);
    CHECK_OK(ask_unregister(registry, 1, first.lease, 1, NULL, &removed, &err));
    CHECK_INT(removed.count, 1);
    afar__registry_close(registry);

    registry = host_open(place.path);
    CHECK_INT(count_names(registry, ""), 0);
    CHECK_FAILS(ask_renew(registry, 1, first.lease, 1, NULL, &err), AFAR_NOT_FOUND);
    afar__registry_close(registry);
    afar_error_clear(&err);
    place_remove(&place);
}
