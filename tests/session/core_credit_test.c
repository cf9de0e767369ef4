/* Credit that is given back in two steps: that of the session at once, that of the stream later. */

#include "check.h"
#include "core.h"

/* The session gives its credit for an event back; what that lets go arrives. */
static void
give_back(struct duo duo, const afar__session_event *event)
{
    afar__session_taken(duo.b, event->call, event->cost, false);
    CHECK(core_carry(duo.b, duo.a));
    core_expect_none(duo.a);
    core_carry(duo.a, duo.b);
}

TEST(an_item_that_is_kept_holds_up_its_stream_only)
{
    afar__session_limits small = { .window_bytes = 1, .session_bytes = 1 };
    struct duo duo = duo_open(NULL, &small);
    afar__session_request request = core_request("");
    afar_error err = AFAR_ERROR_INIT;
    afar__session_event event, item;
    afar__session_id stream = core_call(duo.a, &request);

    core_carry(duo.a, duo.b);
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    core_expect_none(duo.b);
    CHECK_OK(core_item(duo.a, stream, "one", &err));
    CHECK_OK(core_item(duo.a, stream, "two", &err));
    give_back(duo, &event);
    item = core_expect(duo.b, AFAR__SESSION_ITEM);
    core_expect_none(duo.b);
    core_call(duo.a, &request);
    give_back(duo, &item);
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    core_expect_none(duo.b);
    give_back(duo, &event);
    core_expect_none(duo.b);
    CHECK(afar__session_stalled(duo.a, stream));
    afar__session_passed(duo.b, item.call, item.cost);
    CHECK(core_carry(duo.b, duo.a));
    core_expect_none(duo.a);
    CHECK(core_carry(duo.a, duo.b));
    CHECK(core_expect(duo.a, AFAR__SESSION_WRITABLE).call == stream);
    core_expect(duo.b, AFAR__SESSION_ITEM);
    core_expect_none(duo.b);
    duo_close(duo);
}
