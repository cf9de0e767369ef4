/* A session that breaks, at every step: the connection is cut, or one side is killed, after so many
 * bytes in one direction.  Then no call hangs, each has ended with what is true, and whoever is left
 * is as before.
 *
 * The bytes are spread over the whole visit (visitor.h); AFAR_FAULT_CUTS sets how many places there
 * are in each test.
 *
 * Labels: concurrent.  Cost: 10 */

#include <stdlib.h>

#include "check.h"
#include "proxy.h"

#define CUTS 24

static int
cut_count(void)
{
    const char *text = getenv("AFAR_FAULT_CUTS");

    return text && atoi(text) > 0 ? atoi(text) : CUTS;
}

static void
harm_everywhere(enum harm harm, bool up)
{
    struct harm_plan plan = { .harm = HARM_NONE, .up = up };
    size_t bytes[2];
    int count = cut_count();

    proxy_run(&plan, bytes);
    plan.harm = harm;
    for (int i = 0; i < count; i++) {
        plan.after = 1 + bytes[up ? 0 : 1] * (size_t)i / (size_t)count;
        proxy_run(&plan, NULL);
    }
}

TEST(a_visit_without_harm)
{
    struct harm_plan plan = { .harm = HARM_NONE };
    size_t bytes[2];

    proxy_run(&plan, bytes);
    CHECK(bytes[0] > 90000 && bytes[1] > 90000);
}

TEST(the_connection_is_closed_on_the_way_up)
{
    harm_everywhere(HARM_FIN, true);
}

TEST(the_connection_is_closed_on_the_way_down)
{
    harm_everywhere(HARM_FIN, false);
}

TEST(the_connection_is_reset_on_the_way_up)
{
    harm_everywhere(HARM_RST, true);
}

TEST(the_connection_is_reset_on_the_way_down)
{
    harm_everywhere(HARM_RST, false);
}

TEST(the_server_is_killed_on_the_way_up)
{
    harm_everywhere(HARM_KILL_SERVER, true);
}

TEST(the_server_is_killed_on_the_way_down)
{
    harm_everywhere(HARM_KILL_SERVER, false);
}

TEST(the_client_is_killed_on_the_way_up)
{
    harm_everywhere(HARM_KILL_CLIENT, true);
}

TEST(the_client_is_killed_on_the_way_down)
{
    harm_everywhere(HARM_KILL_CLIENT, false);
}
