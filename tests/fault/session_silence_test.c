/* A peer that is not heard any more, without an end of the connection: its host is gone, or it is
 * stopped.  After `session_dead_ms` the session is over: calls end, with what is true, objects that
 * the peer had are let go.  That it goes on later does no harm.
 *
 * The bytes are spread over the visit (visitor.h); AFAR_FAULT_CUTS sets how many places there are.
 *
 * Labels: concurrent waits.  Cost: 34 */

#include <stdlib.h>

#include "check.h"
#include "proxy.h"

#define PLACES 3
#define IDLE_MS 300
#define DEAD_MS 900

static int
place_count(void)
{
    const char *text = getenv("AFAR_FAULT_CUTS");

    return text && atoi(text) > 0 ? atoi(text) : PLACES;
}

static void
silence_everywhere(enum harm harm, bool up)
{
    struct harm_plan plan = { .harm = HARM_NONE, .up = up };
    size_t bytes[2];
    int count = place_count();

    proxy_run(&plan, bytes);
    plan.options = (struct desk_options){ IDLE_MS, DEAD_MS, true };
    plan.harm = harm;
    for (int i = 0; i < count; i++) {
        plan.after = 1500 + bytes[up ? 0 : 1] * (size_t)i / (size_t)count;
        proxy_run(&plan, NULL);
    }
}

TEST(nothing_comes_through_any_more)
{
    silence_everywhere(HARM_SILENCE, true);
}

TEST(nothing_comes_up_any_more)
{
    silence_everywhere(HARM_SILENCE_UP, true);
}

TEST(nothing_comes_down_any_more)
{
    silence_everywhere(HARM_SILENCE_DOWN, false);
}

TEST(the_server_is_stopped_for_a_while)
{
    silence_everywhere(HARM_STOP_SERVER, false);
}

TEST(the_client_is_stopped_for_a_while)
{
    silence_everywhere(HARM_STOP_CLIENT, true);
}
