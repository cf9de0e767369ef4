/* Raw streams, over every way to an object: order, credit, and how they end.
 *
 * Labels: concurrent */

#include <string.h>

#include "line.h"

/* ---- order ---- */

static void
send_back(struct end *end, const Far__Bundle *bundle, afar__raw_item *item)
{
    (void)item;
    end_send(end, bundle->number, bundle->data.len);
}

static void
check_many(struct way *way, int64_t count)
{
    struct end near;

    way->lines.react = send_back;
    way_call(way, &near);
    for (int64_t i = 0; i < count; i++)
        end_send(&near, i, 0);
    afar__raw_finish(near.raw, NULL);
    event_wait(&way->lines.served, 1);
    struct end *far = &way->lines.ends[0];
    event_wait(&far->ended, 1);
    CHECK_INT(event_count(&far->came), count);
    afar__raw_finish(far->raw, NULL);
    event_wait(&near.over, 1);
    CHECK_INT(near.code, AFAR_ENDED);
    CHECK_INT(event_count(&near.came), count);
    event_wait(&far->over, 1);
    CHECK_INT(far->code, AFAR_ENDED);
    CHECK_INT(end_try(&near, 0, 0), AFAR_CANCELLED);
    CHECK_INT(end_try(far, 0, 0), AFAR_CANCELLED);
    end_close(far);
    end_close(&near);
    CHECK_INT(event_count(&near.over), 1);
    CHECK_INT(event_count(&far->over), 1);
}

TEST(messages_come_in_order_both_ways)
{
    for (const char *const *kind = ways; *kind; kind++) {
        struct way way;

        way_open(&way, *kind);
        check_many(&way, 2000);
        way_close(&way);
    }
}

TEST(a_hundred_thousand_small_messages)
{
    struct way way;

    struct end near;

    way_open(&way, TCP);
    way_call(&way, &near);
    event_wait(&way.lines.served, 1);
    for (int count = 1; count <= 100000; count++) {
        end_send(&near, count - 1, 0);
        if (count % 10000 == 0)
            event_wait(&way.lines.ends[0].came, count);
    }
    end_close(&near);
    event_wait(&way.lines.ends[0].over, 1);
    end_close(&way.lines.ends[0]);
    way_close(&way);
}

/* What comes before the handler has taken the call is told first. */
TEST(what_came_before_is_told_in_order)
{
    for (const char *const *kind = ways; *kind; kind++) {
        struct event wait = EVENT_INIT;
        struct end near;
        struct way way;

        way_open(&way, *kind);
        way.lines.wait = &wait;
        way_call(&way, &near);
        for (int64_t i = 0; i < 200; i++)
            end_send(&near, i, 0);
        event_raise(&wait);
        for (int64_t i = 200; i < 400; i++)
            end_send(&near, i, 0);
        afar__raw_finish(near.raw, NULL);
        event_wait(&way.lines.served, 1);
        struct end *far = &way.lines.ends[0];
        event_wait(&far->ended, 1);
        CHECK_INT(event_count(&far->came), 400);
        end_close(far);
        event_wait(&near.over, 1);
        CHECK_INT(near.code, AFAR_CANCELLED);
        end_close(&near);
        way_close(&way);
    }
}

/* ---- credit ---- */

static void
wait_to_go_on(struct end *end, const Far__Bundle *bundle, afar__raw_item *item)
{
    (void)bundle;
    (void)item;
    event_wait(end->arg, 1);
}

TEST(who_sends_too_much_is_stalled_until_it_is_taken)
{
    for (const char *const *kind = ways; strcmp(*kind, RELAY) != 0; kind++) {
        struct event go = EVENT_INIT;
        struct end near;
        struct way way;
        int64_t count = 0;

        way_open(&way, *kind);
        way.lines.react = wait_to_go_on;
        way.lines.arg = &go;
        way_call(&way, &near);
        event_wait(&way.lines.served, 1);
        CHECK(!afar__raw_stalled(near.raw));
        for (; !afar__raw_stalled(near.raw) && count < 10000; count++)
            end_send(&near, count, 10000);
        CHECK(count < 10000);
        end_send(&near, count++, 10000); /* waits as well */
        event_raise(&go);
        event_wait(&way.lines.ends[0].came, (int)count);
        event_wait(&near.writable, 1);
        CHECK(!afar__raw_stalled(near.raw));
        end_close(&near);
        event_wait(&way.lines.ends[0].over, 1);
        end_close(&way.lines.ends[0]);
        way_close(&way);
    }
}

TEST(who_serves_is_stalled_as_well)
{
    for (const char *const *kind = ways; strcmp(*kind, RELAY) != 0; kind++) {
        struct event go = EVENT_INIT;
        struct end near;
        struct way way;
        int64_t count = 0;

        way_open(&way, *kind);
        way_call(&way, &near);
        near.react = wait_to_go_on;
        near.arg = &go;
        event_wait(&way.lines.served, 1);
        struct end *far = &way.lines.ends[0];
        for (; !afar__raw_stalled(far->raw) && count < 10000; count++)
            end_send(far, count, 10000);
        CHECK(count < 10000);
        event_raise(&go);
        event_wait(&far->writable, 1);
        afar__raw_finish(far->raw, NULL);
        event_wait(&near.over, 1);
        CHECK_INT(near.code, AFAR_ENDED);
        CHECK_INT(event_count(&near.came), count);
        end_close(far);
        end_close(&near);
        way_close(&way);
    }
}

/* Who gathers messages is told each time when they can go. */
TEST(idle_is_told_when_it_was_asked_for)
{
    for (const char *const *kind = ways; *kind; kind++) {
        struct end near;
        struct way way;
        int waited = 0;

        way_open(&way, *kind);
        way_call(&way, &near);
        for (int64_t i = 0; i < 200; i++) {
            if (!afar__raw_idle(near.raw))
                event_wait(&near.idle, ++waited);
            end_send(&near, i, 100);
        }
        event_wait(&way.lines.served, 1);
        event_wait(&way.lines.ends[0].came, 200);
        end_close(&near);
        event_wait(&way.lines.ends[0].over, 1);
        end_close(&way.lines.ends[0]);
        way_close(&way);
    }
}

/* ---- half-close, cancel ---- */

TEST(the_other_direction_goes_on_after_a_finish)
{
    for (const char *const *kind = ways; *kind; kind++) {
        struct end near;
        struct way way;

        way_open(&way, *kind);
        way_call(&way, &near);
        afar__raw_finish(near.raw, NULL);
        event_wait(&way.lines.served, 1);
        struct end *far = &way.lines.ends[0];
        event_wait(&far->ended, 1);
        for (int64_t i = 0; i < 100; i++)
            end_send(far, i, 0);
        event_wait(&near.came, 100);
        afar__raw_finish(far->raw, NULL);
        event_wait(&near.over, 1);
        CHECK_INT(near.code, AFAR_ENDED);
        end_close(far);
        end_close(&near);
        way_close(&way);
    }
}

TEST(who_serves_is_told_that_the_caller_has_gone)
{
    for (const char *const *kind = ways; *kind; kind++) {
        struct end near;
        struct way way;

        way_open(&way, *kind);
        way_call(&way, &near);
        end_send(&near, 0, 0);
        event_wait(&way.lines.served, 1);
        struct end *far = &way.lines.ends[0];
        event_wait(&far->came, 1);
        end_close(&near);
        CHECK_INT(event_count(&near.over), 0);
        event_wait(&far->over, 1);
        CHECK_INT(far->code, AFAR_CANCELLED);
        afar__raw_finish(far->raw, NULL); /* too late, and no harm */
        end_close(far);
        way_close(&way);
    }
}

TEST(the_caller_is_told_why_it_was_refused)
{
    for (const char *const *kind = ways; *kind; kind++) {
        afar_error err = AFAR_ERROR_INIT;
        struct end near;
        struct way way;

        way_open(&way, *kind);
        way_call(&way, &near);
        event_wait(&way.lines.served, 1);
        struct end *far = &way.lines.ends[0];
        afar_fail(&err, AFAR_INVALID_ARGUMENT, "Act: is empty");
        afar__raw_finish(far->raw, &err);
        afar_error_clear(&err);
        event_wait(&near.over, 1);
        CHECK_INT(near.code, AFAR_INVALID_ARGUMENT);
        CHECK(strstr(near.text, "Act: is empty"));
        event_wait(&far->over, 1);
        CHECK_INT(far->code, AFAR_ENDED);
        end_close(&near);
        end_close(far);
        way_close(&way);
    }
}

/* ---- where there is nothing ---- */

TEST(an_object_that_is_not_there_is_an_end)
{
    struct end near;
    struct way way;
    afar_error err = AFAR_ERROR_INIT;

    way_open(&way, TCP);
    CHECK_OK(afar_server_unexport(way.pair.server, "line", &far_peer_interface, &err));
    way_call(&way, &near);
    end_send(&near, 0, 0);
    event_wait(&near.over, 1);
    CHECK_INT(near.code, AFAR_NOT_FOUND);
    end_close(&near);
    way_close(&way);
}

TEST(plain_grpc_carries_no_raw_streams)
{
    afar_error err = AFAR_ERROR_INIT;
    far_peer *plain = NULL;
    afar__raw *raw = NULL;
    struct way way;
    char text[300];
    struct end near;

    way_open(&way, TCP);
    end_init(&near);
    CHECK_OK(
        far_peer_open(way.pair.client, pair_name(&way.pair, "line", text), soon(), &plain, &err));
    CHECK_FAILS(afar__raw_open(far_peer_object(plain), &far_peer_interface.methods[3], NULL, NULL,
                               &raw, &err),
                AFAR_UNIMPLEMENTED);
    afar_error_clear(&err);
    far_peer_close(plain);
    way_close(&way);
}
