/* Ten thousand names of one lease, listed in pages.
 *
 * Labels: concurrent */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "registry_host.h"
#include "server/nameserver/page.h"

#define MANY 10000

static void
register_many(afar__registry *registry)
{
    struct change *changes[100] = { NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar__registered first;
    char name[32];

    first = registered(registry, &(struct wish){ .name = "many/00000", .key = 1 });
    for (int i = 1; i < MANY + 100; i++) {
        struct wish wish = { .name = name, .key = 1, .lease = first.lease };
        struct change **change = &changes[i % 100];

        if (*change)
            CHECK_OK(finish_change(*change, NULL, &err));
        *change = NULL;
        snprintf(name, sizeof name, "many/%05d", i);
        if (i < MANY)
            *change = start_register(registry, sign_wish(registry, &wish));
    }
}

TEST(pages_are_full_and_miss_nothing)
{
    Afar__Names__V1__ListRequest request = AFAR__NAMES__V1__LIST_REQUEST__INIT;
    afar__registry *registry = host_open("memory");
    afar_error err = AFAR_ERROR_INIT;
    char name[32], after[32] = "";
    bool more = true;
    int count = 0;

    register_many(registry);
    request.after = after;
    while (more) {
        afar__page page;

        CHECK_OK(afar__page_gather(registry, &request, &page, &err));
        CHECK(page.bytes <= AFAR__PAGE_BYTES);
        CHECK(!page.more || page.bytes > AFAR__PAGE_BYTES - 9000);
        CHECK_INT(page.revision, last_revision(registry));
        for (size_t i = 0; i < page.count; i++, count++) {
            snprintf(name, sizeof name, "many/%05d", count);
            CHECK_STR(page.entries[i].name, name);
        }
        more = page.more;
        snprintf(after, sizeof after, "%s", name);
        afar__page_clear(&page);
    }
    CHECK_INT(count, MANY);
    afar__registry_close(registry);
}

/* The last page says that it is the last, also when it is full. */
TEST(a_limit_that_is_just_enough_leaves_nothing)
{
    Afar__Names__V1__ListRequest request = AFAR__NAMES__V1__LIST_REQUEST__INIT;
    afar__registry *registry = host_open("memory");
    afar_error err = AFAR_ERROR_INIT;
    afar__page page;

    registered(registry, &(struct wish){ .name = "a", .key = 1 });
    registered(registry, &(struct wish){ .name = "b", .key = 1 });
    for (request.limit = 1; request.limit < 4; request.limit++) {
        CHECK_OK(afar__page_gather(registry, &request, &page, &err));
        CHECK_INT(page.count, request.limit == 1 ? 1 : 2);
        CHECK(page.more == (request.limit == 1));
        afar__page_clear(&page);
    }
    afar__registry_close(registry);
}

/* Each pair is looked for in each name. */
TEST(more_metadata_than_a_name_can_have_is_refused)
{
    Afar__Names__V1__ListRequest__MetadataEntry pair =
        AFAR__NAMES__V1__LIST_REQUEST__METADATA_ENTRY__INIT;
    Afar__Names__V1__ListRequest__MetadataEntry *pairs[AFAR__MAX_PAIRS + 1];
    Afar__Names__V1__ListRequest request = AFAR__NAMES__V1__LIST_REQUEST__INIT;
    afar__registry *registry = host_open("memory");
    struct wish wish = { .name = "a", .key = 1, .metadata = { "zone", "b" } };
    afar_error err = AFAR_ERROR_INIT;
    afar__page page;

    registered(registry, &wish);
    pair.key = (char *)"zone";
    pair.value = (char *)"b";
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        pairs[i] = &pair;
    request.metadata = pairs;
    request.n_metadata = AFAR__MAX_PAIRS;
    CHECK_OK(afar__page_gather(registry, &request, &page, &err));
    CHECK_INT(page.count, 1);
    afar__page_clear(&page);
    request.n_metadata++;
    CHECK_FAILS(afar__page_gather(registry, &request, &page, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "33 pairs of metadata"));
    afar_error_clear(&err);
    afar__registry_close(registry);
}

/* ---- lists while names change ---- */

static afar__registry *changing;
static atomic_bool enough;

/* Changes the last name all the time. */
static void *
change_last(void *arg)
{
    afar__registered *last = arg;

    while (!atomic_load(&enough))
        registered(changing, &(struct wish){ .name = "z", .key = 2, .lease = last->lease });
    return NULL;
}

/* No entry is of a later time than its page says, and none is missed. */
TEST(entries_are_as_they_were_at_one_revision)
{
    Afar__Names__V1__ListRequest request = AFAR__NAMES__V1__LIST_REQUEST__INIT;
    afar__registry *registry = changing = host_open("memory");
    afar__registered last = registered(registry, &(struct wish){ .name = "z", .key = 2 });
    afar_error err = AFAR_ERROR_INIT;
    char after[32];
    pthread_t changer;

    register_many(registry);
    CHECK(!pthread_create(&changer, NULL, change_last, &last));
    request.after = after;
    for (int round = 0; round < 200; round++) {
        bool more = true;
        size_t count = 0;

        snprintf(after, sizeof after, "many/%05d", MANY - 2001);
        while (more) {
            afar__page page;

            CHECK_OK(afar__page_gather(registry, &request, &page, &err));
            for (size_t i = 0; i < page.count; i++)
                CHECK(page.entries[i].revision <= page.revision);
            count += page.count;
            more = page.more;
            if (page.count > 0)
                snprintf(after, sizeof after, "%s", page.entries[page.count - 1].name);
            afar__page_clear(&page);
        }
        CHECK_INT(count, 2001);
    }
    atomic_store(&enough, true);
    pthread_join(changer, NULL);
    afar__registry_close(registry);
}
