/* Calls that say which process they are meant for.
 *
 * Labels: concurrent */

#include <string.h>

#include "places.h"

static afar_node *
open_node(void)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;

    CHECK_OK(afar_node_open(NULL, &node, &err));
    return node;
}

static const char *const addresses[] = { TCP, "inproc:instance", NULL };

/* ---- the right one ---- */

TEST(the_process_that_is_meant_serves_all_kinds_of_calls)
{
    for (const char *const *address = addresses; *address; address++) {
        Test__Count request = TEST__COUNT__INIT;
        afar_error err = AFAR_ERROR_INIT;
        afar_node *here = open_node();
        struct home home;
        int count;

        home_open(&home, *address, here);
        test_counter *counter = place_counter(&home, NULL);
        int64_t number = 0;
        CHECK_INT(added(counter, 4), 5);
        CHECK_OK(finish_add(start_add(counter, 5, soon()), &number, &err));
        CHECK_INT(number, 6);
        CHECK_OK(watch(counter, 3, soon(), &count, &err));
        CHECK_INT(count, 3);
        CHECK_OK(test_counter_tell(counter, &request, soon(), &err));
        event_wait(&home.told, 1);
        test_counter_close(counter);
        home_close(&home);
        afar_node_close(here);
    }
}

TEST(nobody_is_meant_without_an_instance)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *here = open_node();
    afar_object *object = NULL;
    struct home home;

    home_open(&home, TCP, here);
    afar__place place = { .link = home.link, .has_instance = false };
    CHECK_OK(afar__place_object(&place, &test_counter_interface, "count", NULL, &object, &err));
    CHECK_INT(added((test_counter *)object, 4), 5);
    afar_object_close(object);
    home_close(&home);
    afar_node_close(here);
}

/* ---- the wrong one ---- */

/* A reference to the home, as if another process had been there. */
static test_counter *
place_elsewhere(struct home *home, const char *name)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_object *object = NULL;
    afar__place place = { .link = home->link, .has_instance = true };

    memcpy(place.instance, home->instance, sizeof place.instance);
    place.instance[0] ^= 0x10;
    CHECK_OK(afar__place_object(&place, &test_counter_interface, name, NULL, &object, &err));
    return (test_counter *)object;
}

TEST(another_process_answers_moved_and_does_nothing)
{
    for (const char *const *address = addresses; *address; address++) {
        Test__Count request = TEST__COUNT__INIT;
        afar_error err = AFAR_ERROR_INIT;
        afar_node *here = open_node();
        int64_t number = 0;
        struct home home;
        int count;

        home_open(&home, *address, here);
        test_counter *counter = place_elsewhere(&home, "count");
        CHECK_FAILS(add(counter, 4, soon(), &number, &err), AFAR_MOVED);
        CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED);
        CHECK(err.remote);
        CHECK(strstr(err.message, ": another process is at this address now"));
        CHECK_FAILS(finish_add(start_add(counter, 4, soon()), &number, &err), AFAR_MOVED);
        CHECK_FAILS(watch(counter, 3, soon(), &count, &err), AFAR_MOVED);
        CHECK_OK(test_counter_tell(counter, &request, soon(), &err));
        /* A call over the same link, so that Tell would have come before it. */
        test_counter *right = place_counter(&home, NULL);
        CHECK_INT(added(right, 1), 2);
        CHECK_INT(atomic_load(&home.tally->calls), 1);
        test_counter_close(right);
        test_counter_close(counter);
        afar_error_clear(&err);
        home_close(&home);
        afar_node_close(here);
    }
}

/* The name could mean something else there. */
TEST(another_process_is_told_apart_before_its_objects_are)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *here = open_node();
    int64_t number = 0;
    struct home home;

    home_open(&home, TCP, here);
    test_counter *counter = place_elsewhere(&home, "nobody");
    CHECK_FAILS(add(counter, 4, soon(), &number, &err), AFAR_MOVED);
    test_counter_close(counter);
    afar_error_clear(&err);
    home_close(&home);
    afar_node_close(here);
}

/* ---- what others see of it ---- */

static afar_code
look_at_metadata(void *self, const Test__Count *request, Test__Count *reply, afar_call *call)
{
    const afar_metadata *metadata = afar_call_metadata(call);

    (void)self;
    (void)request;
    for (size_t i = 0; i < metadata->count; i++)
        reply->number += strncmp(metadata->entries[i].key, "afar-", 5) == 0;
    return AFAR_OK;
}

static afar_code
pass_moved_on(void *self, const Test__Count *request, Test__Count *reply, afar_call *call)
{
    (void)self;
    (void)request;
    (void)reply;
    return afar_call_fail(call, AFAR_MOVED, "somebody else has moved");
}

static const test_counter_methods odd = { .add = look_at_metadata, .read = pass_moved_on };

static test_counter *
place_odd(struct home *home)
{
    afar_error err = AFAR_ERROR_INIT;
    test_counter *near = NULL;

    CHECK_OK(test_counter_new(&odd, NULL, NULL, &near, &err));
    CHECK_OK(afar_server_unexport(home->server, "count", &test_counter_interface, &err));
    CHECK_OK(afar_server_export(home->server, "count", test_counter_object(near), &err));
    test_counter_close(near);
    return place_counter(home, NULL);
}

TEST(handlers_do_not_see_the_instance)
{
    afar_node *here = open_node();
    struct home home;

    home_open(&home, TCP, here);
    test_counter *counter = place_odd(&home);
    CHECK_INT(added(counter, 0), 0);
    test_counter_close(counter);
    home_close(&home);
    afar_node_close(here);
}

/* A caller that took it for the server's own would repeat what was done. */
TEST(moved_from_a_handler_is_unavailable)
{
    Test__Count request = TEST__COUNT__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_node *here = open_node();
    struct home home;

    home_open(&home, TCP, here);
    test_counter *counter = place_odd(&home);
    CHECK_FAILS(test_counter_read(counter, &request, soon(), &reply, &err), AFAR_UNAVAILABLE);
    CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED);
    CHECK_STR(err.message, "somebody else has moved");
    test_counter_close(counter);
    afar_error_clear(&err);
    home_close(&home);
    afar_node_close(here);
}
