/* What a child was given is the child's alone: it counts until the child has finished it, and no longer; or, if the
 * child does not, until the child has ended.  The network can poison it all the same.
 *
 * Labels: concurrent */

#include <afar/client.h>

#include <signal.h>
#include <stdio.h>

#include "world.h"

static void
ends_with(csp_item_receiver *receiver, afar_code code)
{
    uint64_t number;

    CHECK_INT(receive_number(receiver, &number, soon()), code);
}

/* The child still runs: it takes one. */
static void
still_runs(struct pair pair)
{
    CHECK_INT(send_number(pair.to, 1, soon()), AFAR_OK);
}

/* It has finished its sender, and goes on until there is nothing more to receive. */
static void
seen_while_it_runs(const char *what, bool tells)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair pair = spawn(&world, what, &options);

    if (tells)
        CHECK(received(pair.from) > 0);
    ends_with(pair.from, AFAR_ENDED);
    still_runs(pair);
    csp_item_sender_close(pair.to);
    wait_well(&world);
    csp_item_receiver_close(pair.from);
    close_world(world);
}

TEST(a_sender_that_a_child_finishes_early)
{
    seen_while_it_runs("early", true);
}

TEST(a_sender_that_a_child_closes_unused)
{
    seen_while_it_runs("unused", false);
}

TEST(a_child_that_finished_does_not_find_it_again)
{
    seen_while_it_runs("again", true);
}

TEST(what_a_child_gives_on_to_its_own_child)
{
    seen_while_it_runs("parent early", true);
    seen_while_it_runs("parent unused", false);
}

TEST(a_receiver_that_a_child_closes_early)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair pair = spawn(&world, "deaf", &options);

    CHECK_INT(received(pair.from), pair.pid);
    CHECK_INT(send_number(pair.to, 1, soon()), AFAR_ENDED);
    CHECK_INT(received(pair.from), pair.pid);
    csp_item_receiver_close(pair.from);
    wait_well(&world);
    csp_item_sender_close(pair.to);
    close_world(world);
}

/* Both are one end. */
TEST(a_child_that_opens_it_twice)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair pair = spawn(&world, "twice", &options);

    CHECK_INT(received(pair.from), pair.pid);
    CHECK_INT(send_number(pair.to, 17, soon()), AFAR_OK);
    CHECK_INT(received(pair.from), 17);
    ends_with(pair.from, AFAR_ENDED);
    still_runs(pair);
    csp_item_sender_close(pair.to);
    wait_well(&world);
    csp_item_receiver_close(pair.from);
    close_world(world);
}

/* Each of them has an end of its own of the same channel. */
TEST(children_that_share_a_channel)
{
    enum { COUNT = 3 };
    struct world world = open_world();
    struct ends results = make_channel(0), jobs[COUNT];
    csp_item_sender *shares[COUNT];
    afar_error err = AFAR_ERROR_INIT;
    uint64_t number;

    for (int i = 0; i < COUNT; i++) {
        CHECK_OK(csp_item_sender_share(results.sender, &shares[i], &err));
        jobs[i] = make_channel(0);
    }
    csp_item_sender_close(results.sender);
    for (int i = 0; i < COUNT; i++) {
        struct ends given = { shares[i], jobs[i].receiver };

        CHECK_INT(receive_number(results.receiver, &number, now()), AFAR_DEADLINE_EXCEEDED);
        CHECK_OK(spawn_with(&world, "early", given, NULL, &err));
        CHECK(received(results.receiver) > 0);
    }
    ends_with(results.receiver, AFAR_ENDED);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(send_number(jobs[i].sender, 1, soon()), AFAR_OK);
        csp_item_sender_close(jobs[i].sender);
    }
    wait_well(&world);
    csp_item_receiver_close(results.receiver);
    close_world(world);
}

/* ---- what is not finished ---- */

TEST(what_a_child_never_opens_counts_until_it_has_ended)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair pair = spawn(&world, "half", &options);
    uint64_t number;

    still_runs(pair);
    CHECK_INT(receive_number(pair.from, &number, now()), AFAR_DEADLINE_EXCEEDED);
    still_runs(pair);
    csp_item_sender_close(pair.to);
    ends_with(pair.from, AFAR_ENDED);
    wait_well(&world);
    csp_item_receiver_close(pair.from);
    close_world(world);
}

TEST(what_vanishes_with_a_child_is_lost)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair pair = spawn(&world, "vanish", &options);

    CHECK_INT(received(pair.from), pair.pid);
    ends_with(pair.from, AFAR_LOST);
    wait_well(&world);
    CHECK_INT(send_number(pair.to, 1, soon()), AFAR_LOST);
    close_pair(pair);
    close_world(world);
}

/* It has opened nothing, so no stream of it breaks. */
static void
killed_before(bool may_fail, afar_code code)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair;
    uint64_t number;

    options.may_fail = may_fail;
    pair = spawn(&world, "sleep", &options);
    CHECK_INT(receive_number(pair.from, &number, now()), AFAR_DEADLINE_EXCEEDED);
    CHECK_INT(kill(pair.pid, SIGKILL), 0);
    ends_with(pair.from, code);
    CHECK_INT(send_number(pair.to, 1, soon()), code);
    if (may_fail)
        wait_well(&world);
    else
        CHECK_FAILS(afar_network_wait(world.network, soon(), &err), AFAR_LOST);
    afar_error_clear(&err);
    close_pair(pair);
    close_world(world);
}

TEST(a_child_that_is_killed_before_it_opens_anything)
{
    killed_before(false, AFAR_POISONED);
    killed_before(true, AFAR_LOST);
}

/* The poison comes first, though what the child had is lost before. */
TEST(a_child_that_is_killed_has_not_finished)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair pair = spawn(&world, "tell", &options);
    afar_error err = AFAR_ERROR_INIT;

    CHECK_INT(received(pair.from), pair.pid);
    CHECK_INT(kill(pair.pid, SIGKILL), 0);
    ends_with(pair.from, AFAR_POISONED);
    CHECK_FAILS(afar_network_wait(world.network, soon(), &err), AFAR_LOST);
    afar_error_clear(&err);
    close_pair(pair);
    close_world(world);
}

/* ---- poison ---- */

TEST(poison_reaches_what_a_child_has_not_finished)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair pair = spawn(&world, "early", &options);

    CHECK_INT(received(pair.from), pair.pid);
    ends_with(pair.from, AFAR_ENDED);
    afar_network_poison(world.network, "enough");
    CHECK_INT(send_number(pair.to, 1, soon()), AFAR_POISONED);
    wait_well(&world);
    close_pair(pair);
    close_world(world);
}

TEST(poison_reaches_what_a_child_has_not_opened)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair;

    options.grace_ms = 50;
    pair = spawn(&world, "sleep", &options);
    afar_network_poison(world.network, "enough");
    ends_with(pair.from, AFAR_POISONED);
    CHECK_INT(send_number(pair.to, 1, soon()), AFAR_POISONED);
    CHECK_FAILS(afar_network_wait(world.network, soon(), &err), AFAR_LOST);
    afar_error_clear(&err);
    close_pair(pair);
    close_world(world);
}

/* ---- ends whose home is elsewhere ---- */

static afar_code
trade(void *self, const Csp__Ends *request, Csp__Ends *reply, afar_call *call)
{
    struct ends *laid_out = self, given = *laid_out;
    afar_code code;

    (void)request;
    *laid_out = (struct ends){ NULL, NULL };
    code = csp_ends_give_sender(reply, call, given.sender);
    return code ? code : csp_ends_give_receiver(reply, call, given.receiver);
}

/* A child whose ends came over a connection: this process passes on what it does. */
struct far {
    struct world world;
    afar_client *client;
    struct pair pair;
};

static struct ends
fetch(struct far *far, struct ends *laid_out)
{
    static const csp_office_methods methods = { trade };
    csp_office *near = NULL, *office = NULL;
    struct ends ends = { NULL, NULL };
    Csp__Ends request = CSP__ENDS__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    char address[300];

    CHECK_OK(csp_office_new(&methods, laid_out, NULL, &near, &err));
    CHECK_OK(afar_server_export(far->world.server, "office", csp_office_object(near), &err));
    snprintf(address, sizeof address, "afar://%s/office", afar_server_address(far->world.server));
    CHECK_OK(afar_client_open(NULL, NULL, &far->client, &err));
    CHECK_OK(csp_office_open(far->client, address, soon(), &office, &err));
    CHECK_OK(csp_office_trade(office, &request, soon(), &reply, &err));
    CHECK_OK(csp_ends_take_sender(reply, &ends.sender, &err));
    CHECK_OK(csp_ends_take_receiver(reply, &ends.receiver, &err));
    afar_message_free(reply);
    csp_office_close(office);
    csp_office_close(near);
    return ends;
}

static struct far
spawn_far(const char *what)
{
    struct ends there = make_channel(0), back = make_channel(0), given;
    struct ends laid_out = { back.sender, there.receiver };
    struct far far = { .world = open_world(), .pair = { there.sender, back.receiver, 0 } };
    afar_error err = AFAR_ERROR_INIT;

    given = fetch(&far, &laid_out);
    CHECK_OK(spawn_with(&far.world, what, given, NULL, &err));
    return far;
}

static void
close_far(struct far far)
{
    close_pair(far.pair);
    afar_network_close(far.world.network);
    afar_client_close(far.client);
    far.world.network = NULL;
    close_world(far.world);
}

static void
far_and_seen(const char *what, bool tells)
{
    struct far far = spawn_far(what);

    if (tells)
        CHECK(received(far.pair.from) > 0);
    ends_with(far.pair.from, AFAR_ENDED);
    still_runs(far.pair);
    csp_item_sender_close(far.pair.to);
    far.pair.to = NULL;
    wait_well(&far.world);
    close_far(far);
}

TEST(ends_of_a_home_elsewhere_are_finished_early)
{
    far_and_seen("early", true);
    far_and_seen("unused", false);
    far_and_seen("parent early", true);
}

TEST(a_receiver_of_a_home_elsewhere_is_closed_early)
{
    struct far far = spawn_far("deaf");

    CHECK(received(far.pair.from) > 0);
    CHECK_INT(send_number(far.pair.to, 1, soon()), AFAR_ENDED);
    CHECK(received(far.pair.from) > 0);
    csp_item_receiver_close(far.pair.from);
    far.pair.from = NULL;
    wait_well(&far.world);
    close_far(far);
}

/* Without a child: an end that has finished does not count, though it is not closed. */
TEST(an_end_of_a_home_elsewhere_finishes_before_it_is_closed)
{
    struct ends there = make_channel(0), back = make_channel(0), ends;
    struct ends laid_out = { back.sender, there.receiver };
    struct far far = { .world = open_world(), .pair = { there.sender, back.receiver, 0 } };
    afar_error err = AFAR_ERROR_INIT;

    ends = fetch(&far, &laid_out);
    CHECK_OK(csp_item_sender_finish(ends.sender, soon(), &err));
    ends_with(far.pair.from, AFAR_ENDED);
    CHECK_INT(send_number(ends.sender, 1, soon()), AFAR_FAILED_PRECONDITION);
    CHECK(!csp_item_sender_object(ends.sender));
    csp_item_receiver_close(ends.receiver);
    CHECK_INT(send_number(far.pair.to, 1, soon()), AFAR_ENDED);
    csp_item_sender_close(ends.sender);
    close_far(far);
}

TEST(poison_reaches_a_home_elsewhere)
{
    struct far far = spawn_far("early");
    afar_code code;

    CHECK(received(far.pair.from) > 0);
    ends_with(far.pair.from, AFAR_ENDED);
    afar_network_poison(far.world.network, "enough");
    do {
        code = send_number(far.pair.to, 1, soon()); /* until it has arrived there */
    } while (!code);
    CHECK_INT(code, AFAR_POISONED);
    wait_well(&far.world);
    close_far(far);
}

TEST(what_vanishes_is_lost_to_a_home_elsewhere)
{
    struct far far = spawn_far("vanish");

    CHECK(received(far.pair.from) > 0);
    ends_with(far.pair.from, AFAR_LOST);
    CHECK_INT(send_number(far.pair.to, 1, soon()), AFAR_LOST);
    wait_well(&far.world);
    close_far(far);
}
