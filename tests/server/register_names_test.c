/* The table of names to be registered: its states, without a name server, a thread or a
 * clock. */

#include "server/register_names.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

#define MANY 3000

static afar__wanted *
make(void)
{
    afar__wanted *names = afar__wanted_new(true);

    CHECK(names);
    return names;
}

static void
add(afar__wanted *names, const char *name, const char *interface)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar__wanted_add(names, name, interface, &err));
}

/* Takes the first one of a state, which must have that name. */
static afar__name *
take(afar__wanted *names, afar__name_state state, const char *expected)
{
    afar__name *name = afar__wanted_take(names, state);

    CHECK(name);
    CHECK_STR(name->name, expected);
    CHECK_INT(name->state, AFAR__NAME_BUSY);
    return name;
}

static afar__name *
make_there(afar__wanted *names, const char *text)
{
    afar__name *name;

    add(names, text, "a.A");
    name = take(names, AFAR__NAME_DUE, text);
    afar__name_is_there(names, name);
    CHECK_INT(name->state, AFAR__NAME_THERE);
    return name;
}

TEST(a_new_name_is_due_until_it_is_there)
{
    afar__wanted *names = make();

    CHECK_INT(afar__wanted_waiting(names), 0);
    CHECK(!afar__wanted_take(names, AFAR__NAME_DUE));
    add(names, "x", "a.A");
    CHECK_INT(afar__wanted_waiting(names), 1);
    afar__name *name = take(names, AFAR__NAME_DUE, "x");
    CHECK(name->take_over);
    CHECK_INT(afar__wanted_waiting(names), 1);
    afar__name_is_there(names, name);
    CHECK_INT(afar__wanted_waiting(names), 0);
    CHECK(!name->take_over);
    CHECK(name->known);
    CHECK(!afar__wanted_first_waiting(names));
    afar__wanted_free(names);
}

TEST(several_interfaces_are_one_name)
{
    afar__wanted *names = make();

    add(names, "x", "a.A");
    add(names, "x", "b.B");
    afar__name *name = take(names, AFAR__NAME_DUE, "x");
    CHECK_INT(name->interface_count, 2);
    CHECK_STR(name->interfaces[0], "a.A");
    CHECK_STR(name->interfaces[1], "b.B");
    afar__name_is_there(names, name);
    afar__wanted_remove(names, "x", "a.A");
    CHECK_INT(name->state, AFAR__NAME_DUE);
    CHECK_STR(name->interfaces[0], "b.B");
    CHECK_INT(afar__wanted_waiting(names), 1);
    afar__wanted_remove(names, "x", "c.C");
    afar__wanted_remove(names, "y", "b.B");
    CHECK_INT(name->interface_count, 1);
    afar__wanted_remove(names, "x", "b.B");
    CHECK_INT(name->state, AFAR__NAME_UNWANTED);
    CHECK_INT(afar__wanted_waiting(names), 0);
    afar__wanted_free(names);
}

TEST(a_name_has_so_many_interfaces_and_no_more)
{
    static char texts[AFAR__MAX_INTERFACES + 1][16];
    afar_error err = AFAR_ERROR_INIT;
    afar__wanted *names = make();

    for (int i = 0; i <= AFAR__MAX_INTERFACES; i++)
        snprintf(texts[i], sizeof texts[i], "a.A%d", i);
    for (int i = 0; i < AFAR__MAX_INTERFACES; i++)
        add(names, "x", texts[i]);
    CHECK_FAILS(afar__wanted_add(names, "x", texts[AFAR__MAX_INTERFACES], &err),
                AFAR_RESOURCE_EXHAUSTED);
    CHECK(strstr(err.message, "32"));
    CHECK_INT(take(names, AFAR__NAME_DUE, "x")->interface_count, AFAR__MAX_INTERFACES);
    afar_error_clear(&err);
    afar__wanted_free(names);
}

TEST(a_change_under_way_shows_at_the_end)
{
    afar__wanted *names = make();

    add(names, "x", "a.A");
    afar__name *name = take(names, AFAR__NAME_DUE, "x");
    add(names, "x", "b.B");
    CHECK_INT(name->state, AFAR__NAME_BUSY);
    afar__name_is_there(names, name);
    CHECK_INT(name->state, AFAR__NAME_DUE);
    CHECK_INT(afar__wanted_waiting(names), 1);
    name = take(names, AFAR__NAME_DUE, "x");
    afar__wanted_remove(names, "x", "a.A");
    afar__wanted_remove(names, "x", "b.B");
    CHECK_INT(afar__wanted_waiting(names), 0);
    afar__name_is_there(names, name);
    CHECK_INT(name->state, AFAR__NAME_UNWANTED);
    CHECK(name->known);
    afar__wanted_free(names);
}

TEST(what_is_unwanted_goes_or_comes_back)
{
    afar__wanted *names = make();

    make_there(names, "x");
    afar__wanted_remove(names, "x", "a.A");
    afar__name *name = take(names, AFAR__NAME_UNWANTED, "x");
    add(names, "x", "a.A");
    CHECK_INT(name->state, AFAR__NAME_BUSY);
    afar__name_is_removed(names, name);
    CHECK_INT(name->state, AFAR__NAME_DUE);
    CHECK(!name->known);
    CHECK(name->take_over);
    afar__name_is_there(names, take(names, AFAR__NAME_DUE, "x"));
    afar__wanted_remove(names, "x", "a.A");
    add(names, "x", "a.A");
    CHECK_INT(name->state, AFAR__NAME_DUE);
    afar__wanted_remove(names, "x", "a.A");
    afar__name_is_removed(names, take(names, AFAR__NAME_UNWANTED, "x"));
    for (int state = 0; state < AFAR__NAME_STATES; state++)
        CHECK_INT(afar__wanted_count(names, (afar__name_state)state), 0);
    afar__wanted_free(names);
}

TEST(later_is_when_its_time_comes)
{
    afar__wanted *names = make();

    CHECK_INT(afar__wanted_wake(names, 0), INT64_MAX);
    for (const char *text = "xyz"; *text; text++) {
        char one[2] = { *text, '\0' };
        add(names, one, "a.A");
    }
    afar__name_later(names, take(names, AFAR__NAME_DUE, "x"), 300, "x is held");
    afar__name_later(names, take(names, AFAR__NAME_DUE, "y"), 100, "y is held");
    afar__name_later(names, take(names, AFAR__NAME_DUE, "z"), 200, NULL);
    CHECK_STR(afar__wanted_first_waiting(names)->why, "x is held");
    CHECK_INT(afar__wanted_wake(names, 99), 100);
    CHECK(!afar__wanted_peek(names, AFAR__NAME_DUE));
    CHECK_INT(afar__wanted_wake(names, 200), 300);
    take(names, AFAR__NAME_DUE, "y");
    take(names, AFAR__NAME_DUE, "z");
    CHECK_INT(afar__wanted_wake(names, 300), INT64_MAX);
    take(names, AFAR__NAME_DUE, "x");
    CHECK_INT(afar__wanted_waiting(names), 3);
    afar__wanted_free(names);
}

TEST(exported_again_does_not_wait)
{
    afar__wanted *names = make();

    add(names, "x", "a.A");
    afar__name *name = take(names, AFAR__NAME_DUE, "x");
    afar__name_later(names, name, 1000, "held");
    add(names, "x", "b.B");
    CHECK_INT(name->state, AFAR__NAME_DUE);
    CHECK_STR(name->why, "held");
    afar__name_is_left(names, take(names, AFAR__NAME_DUE, "x"), "removed");
    CHECK_INT(name->state, AFAR__NAME_LEFT);
    CHECK_INT(afar__wanted_waiting(names), 1);
    CHECK_STR(afar__wanted_first_waiting(names)->why, "removed");
    afar__wanted_remove(names, "x", "b.B");
    CHECK_INT(name->state, AFAR__NAME_LEFT);
    add(names, "x", "b.B");
    CHECK_INT(name->state, AFAR__NAME_DUE);
    CHECK(!name->known);
    afar__wanted_free(names);
}

TEST(only_what_is_there_is_lost)
{
    afar__wanted *names = make();
    afar__name *name = make_there(names, "x");

    add(names, "y", "a.A");
    CHECK(!afar__wanted_lose(names, "y"));
    CHECK(!afar__wanted_lose(names, "z"));
    CHECK(afar__wanted_lose(names, "x") == name);
    CHECK(!afar__wanted_lose(names, "x"));
    CHECK_INT(afar__wanted_waiting(names), 2);
    afar__name_look_again(names, take(names, AFAR__NAME_LOST, "x"));
    afar__name_later(names, take(names, AFAR__NAME_LOST, "x"), 5, "another has it");
    CHECK_INT(name->state, AFAR__NAME_LATER);
    CHECK(!name->take_over);
    afar__wanted_free(names);
}

TEST(a_lost_name_with_another_interface_is_due)
{
    afar__wanted *names = make();
    afar__name *name = make_there(names, "x");

    CHECK(afar__wanted_lose(names, "x") == name);
    add(names, "x", "b.B");
    CHECK_INT(name->state, AFAR__NAME_DUE);
    afar__wanted_free(names);
}

TEST(all_is_lost_with_the_lease)
{
    afar__wanted *names = make();
    afar__name *busy, *unwanted;

    make_there(names, "x");
    make_there(names, "lost");
    CHECK(afar__wanted_lose(names, "lost"));
    unwanted = make_there(names, "unwanted");
    afar__wanted_remove(names, "unwanted", "a.A");
    make_there(names, "left");
    CHECK(afar__wanted_lose(names, "left"));
    take(names, AFAR__NAME_LOST, "lost");
    afar__name_is_left(names, take(names, AFAR__NAME_LOST, "left"), "removed");
    add(names, "busy", "a.A");
    busy = take(names, AFAR__NAME_DUE, "busy");
    afar__wanted_lose_all(names);
    CHECK_INT(busy->state, AFAR__NAME_BUSY);
    CHECK_INT(unwanted->state, AFAR__NAME_UNWANTED);
    CHECK(!unwanted->known);
    CHECK_INT(afar__wanted_count(names, AFAR__NAME_LEFT), 1);
    CHECK_INT(afar__wanted_count(names, AFAR__NAME_THERE), 0);
    take(names, AFAR__NAME_DUE, "x");
    CHECK(!afar__wanted_peek(names, AFAR__NAME_DUE));
    afar__wanted_free(names);
}

TEST(many_names_in_their_order)
{
    afar__wanted *names = make();
    char text[32];

    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "many/%d", i);
        add(names, text, "a.A");
    }
    CHECK_INT(afar__wanted_waiting(names), MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "many/%d", i);
        afar__name_is_there(names, take(names, AFAR__NAME_DUE, text));
    }
    CHECK_INT(afar__wanted_waiting(names), 0);
    for (int i = 0; i < MANY; i += 2) {
        snprintf(text, sizeof text, "many/%d", i);
        afar__wanted_remove(names, text, "a.A");
        afar__name_is_removed(names, take(names, AFAR__NAME_UNWANTED, text));
    }
    CHECK_INT(afar__wanted_count(names, AFAR__NAME_THERE), MANY / 2);
    CHECK(!afar__wanted_lose(names, "many/0"));
    CHECK(afar__wanted_lose(names, "many/1"));
    afar__wanted_free(names);
}
