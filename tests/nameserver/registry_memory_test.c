/* Changes for which memory runs out: the writer's allocations fail, one after the other, and
 * nothing is changed, nothing is lost, and the next one who asks is served.
 *
 * Labels: waits */

#include <stdatomic.h>
#include <stdio.h>

#include "registry_host.h"
#include "tests/runtime/faults.h"

#define MOST_FAULTS 100

static atomic_long fault = -1; /* which of the writer's next allocations fails; -1: none */

/* On the writer: what fails is what comes after this commit. */
static void
arm(void)
{
    faults_after(atomic_exchange(&fault, -1));
}

/* Lets the writer's n-th allocation from now on fail, after a commit that is not in question. */
static void
fail_after(afar__registry *registry, long n)
{
    static afar__registered lease;
    struct wish wish = { .name = "other", .key = 15, .lease_ms = 3600000 };

    if (lease.revision > 0)
        wish.lease = lease.lease;
    fault = n;
    lease = registered(registry, &wish);
}

static afar__registry *
open_host(void)
{
    afar__registry *registry = host_open_gated();

    gate_at_commit(arm);
    fail_after(registry, -1);
    return registry;
}

TEST(a_registration_without_memory_changes_nothing)
{
    struct wish wish = { .name = "a", .key = 1, .take_over = true };
    afar_code code = AFAR_RESOURCE_EXHAUSTED;
    afar_error err = AFAR_ERROR_INIT;
    afar__registry *registry;
    afar__registered first;
    char lost[200];
    long n;

    if (!faults_can())
        return;
    registry = open_host();
    first = registered(registry, &wish);
    for (n = 0; code && n < MOST_FAULTS; n++) {
        fail_after(registry, n);
        code = ask_register(registry, &wish, NULL, &err);
        if (code == AFAR_OK)
            break;
        CHECK_INT(code, AFAR_RESOURCE_EXHAUSTED);
        CHECK_INT(revision_of(registry, "a"), first.revision);
        CHECK_OK(ask_renew(registry, 1, first.lease, (uint64_t)n + 1, lost, &err));
        CHECK_STR(lost, "");
    }
    /* The record in two pieces, the lease, and the name that is lost. */
    CHECK(code == AFAR_OK && n >= 4);
    CHECK_OK(ask_renew(registry, 1, first.lease, 1000, lost, &err));
    CHECK_STR(lost, "a ");
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(the_first_name_of_a_key_without_memory_leaves_nothing)
{
    struct wish wish = { .name = "a", .key = 2 };
    afar_code code = AFAR_RESOURCE_EXHAUSTED;
    afar_error err = AFAR_ERROR_INIT;
    afar__registry *registry;
    long n;

    if (!faults_can())
        return;
    registry = open_host();
    for (n = 0; n < MOST_FAULTS; n++) {
        fail_after(registry, n);
        code = ask_register(registry, &wish, NULL, &err);
        if (code == AFAR_OK)
            break;
        CHECK_INT(code, AFAR_RESOURCE_EXHAUSTED);
        CHECK(!has_name(registry, "a"));
    }
    CHECK(code == AFAR_OK && n >= 4);
    CHECK(has_name(registry, "a"));
    afar_error_clear(&err);
    afar__registry_close(registry);
}

/* Many enough for the group to grow. */
TEST(a_removal_without_memory_removes_nothing)
{
    struct wish wish = { .name = "many/00", .key = 1 };
    afar_code code = AFAR_RESOURCE_EXHAUSTED;
    afar_error err = AFAR_ERROR_INIT;
    afar__registered first, removed;
    afar__registry *registry;
    char name[16];
    long n;

    if (!faults_can())
        return;
    registry = open_host();
    first = registered(registry, &wish);
    wish.lease = first.lease;
    wish.name = name;
    for (int i = 1; i < 20; i++) {
        snprintf(name, sizeof name, "many/%02d", i);
        registered(registry, &wish);
    }
    for (n = 0; n < MOST_FAULTS; n++) {
        fail_after(registry, n);
        code = ask_unregister(registry, 1, first.lease, (uint64_t)n + 1, NULL, &removed, &err);
        if (code == AFAR_OK)
            break;
        CHECK_INT(code, AFAR_RESOURCE_EXHAUSTED);
        CHECK_INT(count_names(registry, "many/"), 20);
    }
    CHECK(code == AFAR_OK && n >= 20);
    CHECK_INT(removed.count, 20);
    CHECK_INT(count_names(registry, "many/"), 0);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

/* It is gone for readers, and removed when there is memory again. */
TEST(a_lease_ends_without_memory)
{
    struct wish wish = { .name = "a", .key = 1, .lease_ms = 1000 };
    afar__registry *registry;
    uint64_t revision;

    if (!faults_can())
        return;
    registry = open_host();
    registered(registry, &wish);
    wish.key = 2;
    fail_after(registry, 0);
    revision = last_revision(registry);
    clock_advance_ms(1000);
    CHECK(!has_name(registry, "a"));
    wait_revision(registry, revision + 1);
    registered(registry, &wish);
    afar__registry_close(registry);
}
