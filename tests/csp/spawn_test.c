/* Networks whose processes are programs: real ones, some of which are killed.
 *
 * Labels: concurrent */

#include <afar/client.h>
#include <afar/spawn.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

/* ---- ordinary ends ---- */

static void
children_in_a_row(const char *address)
{
    struct world world = open_world_at(address);
    struct ends first = make_channel(0), last = first;
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < 3; i++) {
        struct ends next = make_channel(0);
        struct ends given = { next.sender, last.receiver };

        CHECK_OK(spawn_with(&world, "add", given, NULL, &err));
        last.receiver = next.receiver;
    }
    for (uint64_t i = 0; i < 50; i++) {
        CHECK_INT(send_number(first.sender, i, soon()), AFAR_OK);
        CHECK_INT(received(last.receiver), i + 3);
    }
    csp_item_sender_close(first.sender);
    CHECK_FAILS(receive_number(last.receiver, &(uint64_t){ 0 }, soon()), AFAR_ENDED);
    wait_well(&world);
    csp_item_receiver_close(last.receiver);
    close_world(world);
}

TEST(a_pipeline_of_programs)
{
    children_in_a_row("127.0.0.1:0");
}

TEST(a_pipeline_of_programs_over_a_unix_socket)
{
    char address[108];

    CHECK_INT(chdir(check_folder()), 0);
    children_in_a_row("unix:socket");
    snprintf(address, sizeof address, "unix:%s/socket", check_folder());
    children_in_a_row(address);
}

TEST(a_child_inherits_what_it_should)
{
    struct world world = open_world();
    struct ends none = { NULL, NULL };
    afar_error err = AFAR_ERROR_INIT;
    sigset_t all;

    sigfillset(&all);
    setenv("AFAR_END_OLD", "afar://127.0.0.1:1/x", 1);
    setenv("CSP_CHILD", "yes", 1);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK_OK(spawn_with(&world, "inherits", none, NULL, &err));
    wait_well(&world);
    close_world(world);
}

TEST(what_was_not_given_is_not_found)
{
    struct world world = open_world();
    struct ends none = { NULL, NULL };
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(spawn_with(&world, "missing", none, NULL, &err));
    wait_well(&world);
    close_world(world);
}

TEST(a_wrong_type_is_refused)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair pair = spawn(&world, "wrong", &options);

    wait_well(&world);
    close_pair(pair);
    close_world(world);
}

TEST(fifty_children)
{
    enum { COUNT = 50 };
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair pairs[COUNT];
    int threads;

    pairs[0] = spawn(&world, "tell", &options);
    CHECK_INT(received(pairs[0].from), pairs[0].pid);
    threads = thread_count();
    for (int i = 1; i < COUNT; i++)
        pairs[i] = spawn(&world, "tell", &options);
    for (int i = 1; i < COUNT; i++)
        CHECK_INT(received(pairs[i].from), pairs[i].pid);
    for (int i = 0; i < COUNT; i++)
        csp_item_sender_close(pairs[i].to);
    wait_well(&world);
    CHECK(thread_count() <
          threads + COUNT / 2); /* the library has some more, none for each child */
    for (int i = 0; i < COUNT; i++)
        csp_item_receiver_close(pairs[i].from);
    close_world(world);
}

/* ---- poison ---- */

TEST(poison_ends_children)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair pairs[3];

    for (int i = 0; i < 3; i++) {
        pairs[i] = spawn(&world, "tell", &options);
        CHECK_INT(received(pairs[i].from), pairs[i].pid);
    }
    afar_network_poison(world.network, "enough");
    wait_well(&world);
    for (int i = 0; i < 3; i++)
        close_pair(pairs[i]);
    close_world(world);
}

TEST(close_ends_children)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair pair = spawn(&world, "tell", &options);

    close_world(world);
    close_pair(pair);
}

TEST(a_child_that_does_not_heed_poison_is_killed)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct pair pair;

    options.grace_ms = 50;
    pair = spawn(&world, "hang", &options);
    CHECK_INT(received(pair.from), pair.pid);
    afar_network_poison(world.network, "enough");
    CHECK_FAILS(afar_network_wait(world.network, soon(), &err), AFAR_LOST);
    CHECK(strstr(err.message, "did not end within 50 ms of the network's poison"));
    afar_error_clear(&err);
    close_pair(pair);
    close_world(world);
}

/* ---- failures ---- */

static void
check_names(const afar_error *err, pid_t pid, const char *how)
{
    char text[100];

    snprintf(text, sizeof text, "csp_child (process %d) %s", (int)pid, how);
    CHECK_STR(err->message, text);
}

TEST(a_killed_child_poisons_the_network)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair victim = spawn(&world, "tell", &options), other = spawn(&world, "tell", &options);
    afar_error err = AFAR_ERROR_INIT;

    CHECK_INT(received(victim.from), victim.pid);
    CHECK_INT(received(other.from), other.pid);
    CHECK_INT(kill(victim.pid, SIGKILL), 0);
    CHECK_FAILS(afar_network_wait(world.network, soon(), &err), AFAR_LOST);
    check_names(&err, victim.pid, "was killed by signal 9");
    CHECK_INT(send_number(other.to, 1, soon()), AFAR_POISONED);
    afar_error_clear(&err);
    close_pair(victim);
    close_pair(other);
    close_world(world);
}

static afar_code
receive_all(void *arg, afar_error *err)
{
    Csp__Item *item = NULL;
    afar_code code;

    while (!(code = csp_item_receive(arg, AFAR_FOREVER, &item, err)))
        afar_message_free(item);
    return code;
}

/* A thread that hears of it first, by LOST, is not what is told. */
TEST(the_death_of_a_child_is_told_before_what_others_have_of_it)
{
    for (int i = 0; i < 10; i++) {
        struct world world = open_world();
        afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
        struct pair pair = spawn(&world, "tell", &options);
        afar_given given[] = { AFAR_GIVE_RECEIVER("in", pair.from), AFAR_GIVE_END };
        afar_error err = AFAR_ERROR_INIT;

        CHECK_INT(received(pair.from), pair.pid);
        CHECK_OK(afar_network_run(world.network, "receiver", receive_all, pair.from, given, &err));
        CHECK_INT(kill(pair.pid, SIGKILL), 0);
        CHECK_FAILS(afar_network_wait(world.network, soon(), &err), AFAR_LOST);
        check_names(&err, pair.pid, "was killed by signal 9");
        afar_error_clear(&err);
        csp_item_sender_close(pair.to);
        close_world(world);
    }
}

TEST(a_child_that_exits_badly_has_failed)
{
    struct world world = open_world();
    const char *const argv[] = { child_program(), "exit", "3", NULL };
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    pid_t pid = 0;

    options.ret_pid = &pid;
    CHECK_OK(afar_network_spawn(world.network, world.server, argv, NULL, &options, &err));
    CHECK_FAILS(afar_network_wait(world.network, soon(), &err), AFAR_LOST);
    check_names(&err, pid, "exited with 3");
    afar_error_clear(&err);
    close_world(world);
}

TEST(a_child_has_the_name_it_is_given)
{
    struct world world = open_world();
    const char *const argv[] = { child_program(), "exit", "1", NULL };
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;

    options.name = "the third";
    CHECK_OK(afar_network_spawn(world.network, world.server, argv, NULL, &options, &err));
    CHECK_FAILS(afar_network_wait(world.network, soon(), &err), AFAR_LOST);
    CHECK(strncmp(err.message, "the third (process ", 19) == 0);
    afar_error_clear(&err);
    close_world(world);
}

TEST(a_child_that_is_this_program_has_its_name)
{
    struct world world = open_world();
    const char *const argv[] = { "/proc/self/exe", "no_test_has_this_name", NULL };
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_network_spawn(world.network, world.server, argv, NULL, NULL, &err));
    CHECK_FAILS(afar_network_wait(world.network, soon(), &err), AFAR_LOST);
    CHECK(strncmp(err.message, "csp_spawn_test (process ", 24) == 0);
    afar_error_clear(&err);
    close_world(world);
}

/* Somebody else takes the ends of children, here the kernel. */
TEST(a_child_that_others_waited_for)
{
    struct world world = open_world();
    const char *const argv[] = { child_program(), "exit", "0", NULL };
    afar_error err = AFAR_ERROR_INIT;

    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    CHECK_OK(afar_network_spawn(world.network, world.server, argv, NULL, NULL, &err));
    CHECK_FAILS(afar_network_wait(world.network, soon(), &err), AFAR_LOST);
    CHECK(strstr(err.message, "ended, and nobody here knows how"));
    afar_error_clear(&err);
    close_world(world);
}

struct told {
    struct event event;
    afar_code code;
    char message[256];
};

static void
tell(void *arg, afar_code code, const afar_error *err)
{
    struct told *told = arg;

    told->code = code;
    snprintf(told->message, sizeof told->message, "%s", err->message);
    event_raise(&told->event);
}

TEST(a_child_that_may_fail_does_not_end_the_network)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct told told = { .event = EVENT_INIT };
    struct pair victim, other;
    uint64_t number;

    options.may_fail = true;
    options.ended = tell;
    options.arg = &told;
    victim = spawn(&world, "tell", &options);
    options.ended = NULL;
    other = spawn(&world, "add", &options);
    CHECK_INT(received(victim.from), victim.pid);
    CHECK_INT(kill(victim.pid, SIGKILL), 0);
    event_wait(&told.event, 1);
    CHECK_INT(told.code, AFAR_LOST);
    CHECK(strstr(told.message, "was killed by signal 9"));
    CHECK_INT(receive_number(victim.from, &number, soon()), AFAR_LOST);
    CHECK_INT(send_number(other.to, 4, soon()), AFAR_OK);
    CHECK_INT(received(other.from), 5);
    close_pair(victim);
    csp_item_sender_close(other.to);
    wait_well(&world);
    csp_item_receiver_close(other.from);
    close_world(world);
}

/* ---- what cannot be started ---- */

TEST(a_missing_program)
{
    struct world world = open_world();
    const char *const argv[] = { "/no/such/program", NULL };
    struct ends ends = make_channel(0);
    afar_given given[] = { AFAR_GIVE_RECEIVER("in", ends.receiver), AFAR_GIVE_END };
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(afar_network_spawn(world.network, world.server, argv, given, NULL, &err),
                AFAR_NOT_FOUND);
    CHECK_STR(err.message, "/no/such/program cannot be started: No such file or directory");
    CHECK_FAILS(afar_network_wait(world.network, now(), &err), AFAR_NOT_FOUND);
    CHECK_STR(err.message, "/no/such/program cannot be started: No such file or directory");
    CHECK_INT(send_number(ends.sender, 1, soon()), AFAR_ENDED); /* its receiver was closed */
    csp_item_sender_close(ends.sender);
    afar_error_clear(&err);
    close_world(world);
}

TEST(a_missing_program_that_may_fail)
{
    struct world world = open_world();
    const char *const argv[] = { "/etc/passwd", NULL };
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;

    options.may_fail = true;
    CHECK_FAILS(afar_network_spawn(world.network, world.server, argv, NULL, &options, &err),
                AFAR_PERMISSION_DENIED);
    CHECK_OK(afar_network_wait(world.network, now(), &err));
    afar_error_clear(&err);
    close_world(world);
}

static void
refused(const char *first, const char *second, const char *text)
{
    struct world world = open_world();
    const char *const argv[] = { child_program(), "exit", "0", NULL };
    struct ends ends = make_channel(0);
    afar_given given[] = { AFAR_GIVE_RECEIVER(first, ends.receiver),
                           AFAR_GIVE_SENDER(second, ends.sender), AFAR_GIVE_END };
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(afar_network_spawn(world.network, world.server, argv, given, NULL, &err),
                AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, text));
    afar_error_clear(&err);
    close_world(world);
}

TEST(wrong_names_are_refused)
{
    refused("in", "in", "two things are given as \"in\"");
    refused("in", "", "\"\" is no name");
    refused("in", NULL, "\"\" is no name");
    refused("in", "Out", "\"Out\" is no name");
    refused("in", "a=b", "\"a=b\" is no name");
    refused("in", "x1234567890123456789012345678901234567890123456789012345678901234", "at most");
}

TEST(a_server_that_nobody_can_reach_is_refused)
{
    struct world world = open_world_at("inproc:spawn");
    const char *const argv[] = { child_program(), "tell", NULL };
    struct ends ends = make_channel(0);
    afar_given given[] = { AFAR_GIVE_RECEIVER("in", ends.receiver), AFAR_GIVE_END };
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(afar_network_spawn(world.network, world.server, argv, given, NULL, &err),
                AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "no address that another process can connect to"));
    csp_item_sender_close(ends.sender);
    afar_error_clear(&err);
    close_world(world);
}

TEST(nothing_is_spawned_in_a_poisoned_network)
{
    struct world world = open_world();
    const char *const argv[] = { child_program(), "hang", NULL };
    struct ends ends = make_channel(0);
    afar_given given[] = { AFAR_GIVE_SENDER("out", ends.sender), AFAR_GIVE_END };
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    pid_t pid = 0;

    options.ret_pid = &pid;
    afar_network_poison(world.network, "we close");
    CHECK_FAILS(afar_network_spawn(world.network, world.server, argv, given, &options, &err),
                AFAR_POISONED);
    CHECK_INT(pid, 0);
    csp_item_receiver_close(ends.receiver);
    afar_error_clear(&err);
    close_world(world);
}

/* ---- what is given ---- */

/* The name holds until the child has ended, and not longer. */
TEST(what_was_given_is_gone_with_the_child)
{
    struct world world = open_world();
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    struct pair pair = spawn(&world, "tell", &options);
    char path[64], environment[65536] = "", address[300];
    afar_client *client = NULL;
    csp_item_sender *sender = NULL;
    Csp__Item item = CSP__ITEM__INIT;
    afar_error err = AFAR_ERROR_INIT;
    const char *place = NULL;
    FILE *file;

    CHECK_INT(received(pair.from), pair.pid);
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pair.pid);
    file = fopen(path, "r");
    CHECK(file);
    size_t length = fread(environment, 1, sizeof environment - 1, file);
    fclose(file);
    for (size_t i = 0; i < length; i += strlen(environment + i) + 1)
        if (strncmp(environment + i, "AFAR_END_OUT=", 13) == 0)
            place = environment + i + 13;
    CHECK(place);
    snprintf(address, sizeof address, "%s", place);

    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    CHECK_OK(csp_item_sender_open(client, address, soon(), &sender, &err));
    item.number = 9;
    CHECK_FAILS(csp_item_send(sender, &item, now(), &err), AFAR_DEADLINE_EXCEEDED);
    csp_item_sender_close(sender);
    csp_item_sender_close(pair.to);
    wait_well(&world);
    CHECK_OK(csp_item_sender_open(client, address, soon(), &sender, &err));
    CHECK_FAILS(csp_item_send(sender, &item, soon(), &err), AFAR_NOT_FOUND);
    csp_item_sender_close(sender);
    csp_item_receiver_close(pair.from);
    afar_client_close(client);
    afar_error_clear(&err);
    close_world(world);
}
