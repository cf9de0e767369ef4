/* The rules of afar/names.proto, one after the other. */

#include <stdio.h>
#include <string.h>

#include "registry_host.h"
#include "runtime/clock.h"

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
