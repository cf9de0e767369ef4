/* Raw streams: references in messages, peers that die, and ends that are closed while they are told.
 *
 * Labels: concurrent */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "line.h"
#include "runtime/refs.h"

/* ---- references ---- */

struct taken {
    far_peer *one;
    struct event there;
};

static void
take_one(struct end *end, const Far__Bundle *bundle, afar__raw_item *item)
{
    struct taken *taken = end->arg;
    afar__arena *arena = afar__arena_new(512);
    Far__Bundle message = *bundle;
    afar_error err = AFAR_ERROR_INIT;
    afar__raw_kept *kept = NULL;

    if (!bundle->one) {
        afar__arena_free(arena);
        return;
    }
    CHECK(arena != NULL);
    CHECK_OK(afar__raw_keep(item, &kept, &err));
    CHECK_OK(afar__raw_accept(kept, line_method()->request_refs, &message.base, arena, &err));
    taken->one = far_bundle_take_one(&message);
    afar__arena_free(arena);
    event_raise(&taken->there);
}

/* A reference goes with a message that comes when its call is not taken yet, and one that comes
 * later. */
TEST(references_go_with_messages)
{
    for (const char *const *kind = ways; *kind; kind++) {
        struct taken taken = { NULL, EVENT_INIT };
        struct event gone = EVENT_INIT, wait = EVENT_INIT;
        struct end near;
        struct way way;

        way_open(&way, *kind);
        way.lines.react = take_one;
        way.lines.arg = &taken;
        way.lines.wait = &wait;
        way_call(&way, &near);
        for (int round = 0; round < 2; round++) {
            far_peer *one = make_peer(&counting_methods, &gone, AFAR_SERIAL, raise_event);

            end_send_with(&near, round, one);
            far_peer_close(one);
            event_raise(&wait);
            event_wait(&taken.there, round + 1);
            CHECK_INT(event_count(&gone), round);
            use_all_kinds(taken.one);
            far_peer_close(taken.one);
            end_send(&near, -1, 0); /* a relay has a message until the next one comes */
            event_wait(&gone, round + 1);
        }
        end_close(&near);
        event_wait(&way.lines.ends[0].over, 1);
        end_close(&way.lines.ends[0]);
        way_close(&way);
    }
}

TEST(references_that_nobody_takes_are_given_back)
{
    for (const char *const *kind = ways; *kind; kind++) {
        struct event gone = EVENT_INIT;
        struct end near;
        struct way way;

        way_open(&way, *kind);
        way_call(&way, &near);
        far_peer *one = make_peer(&counting_methods, &gone, AFAR_SERIAL, raise_event);
        end_send_with(&near, 0, one);
        far_peer_close(one);
        end_send(&near, -1, 0); /* as above */
        event_wait(&gone, 1);
        end_close(&near);
        event_wait(&way.lines.served, 1);
        event_wait(&way.lines.ends[0].over, 1);
        end_close(&way.lines.ends[0]);
        way_close(&way);
    }
}

/* ---- peers that die ---- */

static void
be_server(struct child *self)
{
    static struct way way;

    way_open(&way, TCP);
    child_serve(self, way.pair.server);
    way_close(&way);
}

TEST(a_server_that_is_killed_ends_it_once)
{
    afar_client *client = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct child child;
    char address[300];
    struct end ends[8];

    child_start(&child, be_server);
    child_hear(&child, address);
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    far_peer *peer = reach_peer_at(client, address, "line");
    for (int i = 0; i < 8; i++) {
        end_init(&ends[i]);
        end_open(&ends[i], far_peer_object(peer));
        end_send(&ends[i], 0, 0);
    }
    child_kill(&child);
    for (int i = 0; i < 8; i++) {
        event_wait(&ends[i].over, 1);
        CHECK_INT(ends[i].code, AFAR_UNAVAILABLE);
        CHECK_INT(end_try(&ends[i], 1, 0), AFAR_CANCELLED);
        CHECK(afar__raw_idle(ends[i].raw));
    }
    /* One that is opened now fails the same way, whether it is told inside this or later. */
    struct end late;
    end_init(&late);
    end_open(&late, far_peer_object(peer));
    (void)!end_try(&late, 0, 0);
    event_wait(&late.over, 1);
    CHECK_INT(late.code, AFAR_UNAVAILABLE);
    end_close(&late);
    for (int i = 0; i < 8; i++) {
        end_close(&ends[i]);
        CHECK_INT(event_count(&ends[i].over), 1);
    }
    far_peer_close(peer);
    afar_client_close(client);
}

static void
be_client(struct child *self)
{
    static struct end end;
    afar_client *client = NULL;
    afar_error err = AFAR_ERROR_INIT;
    char address[300];

    child_hear(self, address);
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    far_peer *peer = reach_peer_at(client, address, "line");
    end_init(&end);
    end_open(&end, far_peer_object(peer));
    end_send(&end, 0, 0);
    pause();
}

TEST(a_caller_that_is_killed_ends_it_once)
{
    struct child child;
    struct way way;

    child_start(&child, be_client);
    way_open(&way, TCP);
    child_say(&child, afar_server_address(way.pair.server));
    event_wait(&way.lines.served, 1);
    struct end *far = &way.lines.ends[0];
    event_wait(&far->came, 1);
    child_kill(&child);
    event_wait(&far->over, 1);
    CHECK_INT(far->code, AFAR_CANCELLED);
    CHECK_INT(end_try(far, 0, 0), AFAR_CANCELLED);
    end_close(far);
    CHECK_INT(event_count(&far->over), 1);
    way_close(&way);
}

TEST(a_client_that_is_closed_ends_its_streams)
{
    struct end near;
    struct way way;

    way_open(&way, TCP);
    way_call(&way, &near);
    end_send(&near, 0, 0);
    event_wait(&way.lines.served, 1);
    afar_client_close(way.pair.client);
    way.pair.client = NULL;
    event_wait(&near.over, 1);
    CHECK_INT(near.code, AFAR_CANCELLED);
    end_close(&near);
    event_wait(&way.lines.ends[0].over, 1);
    end_close(&way.lines.ends[0]);
    way_close(&way);
}

/* ---- closing while callbacks run ---- */

static void
close_inside(struct end *end, const Far__Bundle *bundle, afar__raw_item *item)
{
    struct event *closed = end->arg;

    (void)item;
    if (bundle->number != 5)
        return;
    afar__raw_close(end->raw, NULL);
    event_raise(closed);
}

TEST(an_end_may_be_closed_in_its_own_callback)
{
    for (const char *const *kind = ways; *kind; kind++) {
        struct event closed = EVENT_INIT;
        struct end near;
        struct way way;

        way_open(&way, *kind);
        way_call(&way, &near);
        event_wait(&way.lines.served, 1);
        struct end *far = &way.lines.ends[0];
        near.react = close_inside;
        near.arg = &closed;
        for (int64_t i = 0; i < 10 && !end_try(far, i, 0); i++)
            continue;
        event_wait(&closed, 1);
        event_wait(&far->over, 1);
        end_close(far);
        CHECK_INT(near.next, 6);
        way_close(&way);
    }
}

enum { ROUNDS = 15 };

static void
pour(void *arg)
{
    struct end *end = arg;

    for (int64_t i = 0; !end_try(end, i, 50) && i < 100000; i++)
        continue;
}

/* Both ends send for all they can and one is closed in the middle of it. */
static void
close_under_load(struct way *way, int round)
{
    struct worker down, up;
    struct end near;

    way_call(way, &near);
    event_wait(&way->lines.served, round + 1);
    struct end *far = &way->lines.ends[round];
    worker_start(&up, pour, &near);
    worker_start(&down, pour, far);
    event_wait(&near.came, 20);
    event_wait(&far->came, 20);
    if (round % 2) {
        afar__raw_finish(far->raw, NULL);
        event_wait(&near.over, 1);
        event_wait(&far->over, 1);
    } else {
        afar_error err = AFAR_ERROR_INIT;

        afar_fail(&err, AFAR_ABORTED, "enough");
        afar__raw_finish(far->raw, &err);
        afar_error_clear(&err);
        event_wait(&near.over, 1);
    }
    worker_join(&up);
    worker_join(&down);
    end_close(round % 3 ? &near : far);
    end_close(round % 3 ? far : &near);
}

static void
close_often(const char *kind, int rounds)
{
    struct way way;

    way_open(&way, kind);
    for (int round = 0; round < rounds; round++)
        close_under_load(&way, round);
    way_close(&way);
}

TEST(ends_close_while_both_are_told)
{
    static const char *const some[] = { TCP, INPROC, LOCAL, NULL };

    for (const char *const *kind = some; *kind; kind++)
        close_often(*kind, ROUNDS);
}

TEST(relayed_ends_close_while_both_are_told)
{
    close_often(END, 4);
    close_often(CHAIN, 2);
}

static void
wait_inside(struct end *end, const Far__Bundle *bundle, afar__raw_item *item)
{
    struct event *events = end->arg;

    (void)bundle;
    (void)item;
    event_raise(&events[0]);
    event_wait(&events[1], 1);
}

static void
close_near(void *arg)
{
    end_close(arg);
}

TEST(released_waits_for_the_callback_that_runs)
{
    struct event events[2] = { EVENT_INIT, EVENT_INIT };
    struct end near;
    struct way way;

    way_open(&way, TCP);
    way_call(&way, &near);
    event_wait(&way.lines.served, 1);
    near.react = wait_inside;
    near.arg = events;
    end_send(&way.lines.ends[0], 0, 0);
    event_wait(&events[0], 1);
    struct worker closer;
    worker_start(&closer, close_near, &near);
    event_raise(&events[1]);
    worker_join(&closer);
    CHECK_INT(event_count(&near.came), 1);
    event_wait(&way.lines.ends[0].over, 1);
    end_close(&way.lines.ends[0]);
    way_close(&way);
}
