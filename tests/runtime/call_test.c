/* How calls end, without a transport. */

#include "runtime/call.h"

#include <string.h>

#include "check.h"

static struct {
    afar_call call;
    afar_code ended; /* with that code */
} fake;

static void
finish(afar_call *call)
{
    fake.ended = call->error.code;
}

static void
free_call(afar_call *call)
{
    afar__call_clear(call);
}

static const afar__call_ops ops = { .finish = finish, .free = free_call };
static const afar_method method = { .name = "Ask", .path = "/test.Fake/Ask" };

/* The code that goes out when a handler returns one. */
static afar_code
ends_with(afar_code code, afar_deadline deadline)
{
    memset(&fake, 0, sizeof fake);
    afar__call_init(&fake.call);
    fake.call.ops = &ops;
    fake.call.method = &method;
    fake.call.deadline = deadline;
    afar__call_returned(&fake.call, code);
    return fake.ended;
}

TEST(a_handler_that_gives_up_because_time_is_over)
{
    afar_deadline over = afar_after_ms(-1);

    CHECK_INT(ends_with(AFAR_CANCELLED, over), AFAR_DEADLINE_EXCEEDED);
    CHECK_INT(ends_with(AFAR_NOT_FOUND, over), AFAR_NOT_FOUND);
    CHECK_INT(ends_with(AFAR_OK, over), AFAR_OK);
}

TEST(a_handler_that_gives_up_because_its_caller_did)
{
    CHECK_INT(ends_with(AFAR_CANCELLED, AFAR_FOREVER), AFAR_CANCELLED);
}

TEST(the_end_of_a_stream_is_not_passed_on)
{
    CHECK_INT(ends_with(AFAR_ENDED, AFAR_FOREVER), AFAR_INTERNAL);
}
