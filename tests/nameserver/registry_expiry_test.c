/* Leases end when their time is over: never before, and everything with them.
 *
 * Labels: concurrent waits */

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "registry_host.h"
#include "runtime/clock.h"

#define MANY 10000

TEST(a_name_lives_to_the_end_of_its_lease_and_not_longer)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 1, .lease_ms = 5000 };
    afar__registered result = registered(registry, &wish);

    clock_advance_ms(4999);
    CHECK(has_name(registry, "bank/alice"));
    CHECK_INT(count_names(registry, ""), 1);
    clock_advance_ms(1);
    CHECK(!has_name(registry, "bank/alice"));
    CHECK_INT(count_names(registry, ""), 0);
    /* The writer finds out by itself. */
    wait_revision(registry, result.revision + 1);
    afar__registry_close(registry);
}

TEST(a_renewal_gives_a_whole_term)
{
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "bank/alice", .key = 1, .lease_ms = 5000 };
    afar__registered result = registered(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;
    afar__entry entry;

    for (uint64_t i = 1; i <= 5; i++) {
        clock_advance_ms(4999);
        CHECK_OK(ask_renew(registry, 1, result.lease, i, NULL, &err));
    }
    CHECK_OK(afar__registry_lookup(registry, "bank/alice", &entry, &err));
    CHECK_INT(entry.left_ms, 5000);
    CHECK_INT(entry.sequence, 5);
    CHECK_INT(entry.revision, result.revision);
    afar__entry_clear(&entry);
    clock_advance_ms(5000);
    CHECK_FAILS(ask_renew(registry, 1, result.lease, 6, NULL, &err), AFAR_NOT_FOUND);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

TEST(an_expired_name_is_free_at_once)
{
    afar__registry *registry = host_open("memory");
    struct wish mine = { .name = "bank/alice", .key = 1, .lease_ms = 5000 },
                theirs = { .name = "bank/alice", .key = 2 };
    afar__registered first = registered(registry, &mine), second;

    clock_advance_ms(5000);
    second = registered(registry, &theirs);
    CHECK_INT(second.revision, first.revision + 2);
    CHECK_INT(revision_of(registry, "bank/alice"), second.revision);
    afar__registry_close(registry);
}

/* It waits for the others to be removed, which is one commit. */
TEST(one_of_many_expired_names_is_free_soon)
{
    afar__registry *registry = host_open_gated();
    char name[16];

    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "many/%d", i);
        registered(registry, &(struct wish){ .name = name, .key = 1 });
    }
    int before = gate_commits();
    clock_advance_ms(10000);
    registered(registry, &(struct wish){ .name = name, .key = 2 });
    CHECK_INT(count_names(registry, ""), 1);
    CHECK(gate_commits() - before <= 2);
    afar__registry_close(registry);
}

TEST(a_lease_without_names_can_be_renewed_until_it_ends)
{
    static const char *const names[] = { "a", NULL };
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "a", .key = 1, .lease_ms = 5000 };
    afar__registered result = registered(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(ask_unregister(registry, 1, result.lease, 1, names, NULL, &err));
    clock_advance_ms(4999);
    CHECK_OK(ask_renew(registry, 1, result.lease, 2, NULL, &err));
    clock_advance_ms(4999);
    wish.lease = result.lease;
    registered(registry, &wish);
    CHECK_OK(ask_renew(registry, 1, result.lease, 3, NULL, &err));
    CHECK_OK(ask_unregister(registry, 1, result.lease, 4, names, NULL, &err));
    clock_advance_ms(5000);
    CHECK_FAILS(ask_renew(registry, 1, result.lease, 5, NULL, &err), AFAR_NOT_FOUND);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

/* The store hears of names that expired, each with a revision, and of their lease. */
TEST(what_expired_is_removed_from_the_store)
{
    afar__registry *registry = host_open_gated();
    struct wish wish = { .name = "a", .key = 1, .lease_ms = 5000 };
    afar__registered result = registered(registry, &wish);

    wish.lease = result.lease;
    wish.name = "b";
    result = registered(registry, &wish);
    clock_advance_ms(5000);
    wait_revision(registry, result.revision + 2);
    CHECK_INT(last_revision(registry), result.revision + 2);
    CHECK_INT(gate_commits(), 3);
    CHECK_INT(gate_changes(AFAR__CHANGE_REMOVE), 2);
    CHECK_INT(gate_changes(AFAR__CHANGE_END), 1);
    afar__registry_close(registry);
}

TEST(expired_names_stay_away_while_the_store_fails)
{
    afar__registry *registry = host_open_gated();
    struct wish wish = { .name = "a", .key = 1, .lease_ms = 5000 };
    afar__registered result = registered(registry, &wish);
    afar_error err = AFAR_ERROR_INIT;

    gate_break(true);
    clock_advance_ms(5000);
    wish.key = 2;
    CHECK_FAILS(ask_register(registry, &wish, NULL, &err), AFAR_UNAVAILABLE);
    CHECK(!has_name(registry, "a"));
    CHECK_FAILS(ask_renew(registry, 1, result.lease, 1, NULL, &err), AFAR_NOT_FOUND);
    CHECK_INT(last_revision(registry), result.revision);
    gate_break(false);
    wait_revision(registry, result.revision + 1);
    registered(registry, &wish);
    afar_error_clear(&err);
    afar__registry_close(registry);
}

/* ---- the real clock ---- */

static int64_t
boot_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The wall clock may step as it likes: it is not looked at.  The nonce shows the time. */
TEST(time_is_that_since_the_machine_started)
{
    afar__registry *registry = host_open_with("memory", NULL);
    afar__challenge challenge;
    int64_t before = boot_ms(), made = 0;

    afar__registry_challenge(registry, &challenge);
    for (unsigned i = 0; i < 8; i++)
        made = made << 8 | challenge.nonce[i];
    CHECK(before <= made && made <= boot_ms());
    afar__registry_close(registry);
}

TEST(a_lease_of_a_second_ends_after_one_and_before_three)
{
    afar__registry *registry = host_open_with("memory", NULL);
    struct wish wish = { .name = "bank/alice", .key = 1, .lease_ms = 1000 };
    int64_t before = boot_ms(), begun, gone;
    uint64_t revision = registered(registry, &wish).revision;

    begun = boot_ms();
    while (last_revision(registry) == revision) {
        bool there = has_name(registry, "bank/alice");

        CHECK(there || boot_ms() - before >= 1000);
        CHECK(!there || boot_ms() - begun < 10000);
        poll(NULL, 0, 1);
    }
    gone = boot_ms();
    CHECK(gone - before >= 1000);
    CHECK(gone - begun < 3000);
    CHECK(!has_name(registry, "bank/alice"));
    afar__registry_close(registry);
}

/* ---- many names ---- */

static bool
take_page(void *arg, const afar__entry *entry)
{
    afar__entry *last = arg;

    afar__entry_clear(last);
    afar__entry_share(entry, last);
    return strcmp(entry->name + strlen("many0/"), "999") != 0;
}

/* Walks the names in pages of a thousand. */
static int
count_pages(afar__registry *registry)
{
    afar__entry last = { .kept = NULL };
    char after[32] = "";
    int pages = 0;

    for (;;) {
        afar__registry_list(registry, "many", after, take_page, &last);
        if (!last.kept || strcmp(last.name, after) == 0)
            break;
        CHECK(strcmp(last.name, after) > 0);
        snprintf(after, sizeof after, "%s", last.name);
        pages++;
    }
    afar__entry_clear(&last);
    return pages;
}

static void
register_many(afar__registry *registry, const afar__registered *first)
{
    struct change *changes[100] = { NULL };
    afar_error err = AFAR_ERROR_INIT;
    char name[32];

    for (int i = 1; i < MANY + 100; i++) {
        struct wish wish = { .name = name, .key = 1, .lease = first->lease };
        struct change **change = &changes[i % 100];

        if (*change)
            CHECK_OK(finish_change(*change, NULL, &err));
        *change = NULL;
        snprintf(name, sizeof name, "many%d/%03d", i / 1000, i % 1000);
        if (i < MANY)
            *change = start_register(registry, sign_wish(registry, &wish));
    }
}

TEST(ten_thousand_names_of_a_lease_end_together)
{
    afar__registry *registry = host_open_gated();
    struct wish wish = { .name = "many0/000", .key = 1 };
    afar__registered first = registered(registry, &wish);
    uint64_t revision;

    register_many(registry, &first);
    revision = last_revision(registry);
    CHECK_INT(revision, first.revision + MANY - 1);
    CHECK_INT(count_names(registry, "many"), MANY);
    CHECK_INT(count_pages(registry), MANY / 1000);
    clock_advance_ms(9999);
    CHECK_INT(count_names(registry, "many"), MANY);
    clock_advance_ms(1);
    CHECK_INT(count_names(registry, ""), 0);
    wait_revision(registry, revision + MANY);
    CHECK_INT(gate_changes(AFAR__CHANGE_REMOVE), MANY);
    CHECK_INT(gate_changes(AFAR__CHANGE_END), 1);
    afar__registry_close(registry);
}
