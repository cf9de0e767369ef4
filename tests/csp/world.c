/* Networks of programs, for who tests them. */

#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct world
open_world_at(const char *address)
{
    struct world world = { NULL, NULL };
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_server_open(NULL, address, NULL, &world.server, &err));
    CHECK_OK(afar_server_start(world.server, &err));
    CHECK_OK(afar_network_open(&world.network, &err));
    return world;
}

struct world
open_world(void)
{
    return open_world_at("127.0.0.1:0");
}

void
close_world(struct world world)
{
    afar_network_close(world.network);
    afar_server_close(world.server);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_INT(errno, ECHILD);
}

const char *
child_program(void)
{
    static char path[512];
    const char *folder = getenv("AFAR_BIN");
    char self[400] = "";

    if (!folder) {
        CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
        *strrchr(self, '/') = '\0';
        folder = self;
    }
    snprintf(path, sizeof path, "%s/csp_child", folder);
    return path;
}

afar_code
spawn_with(const struct world *world, const char *what, struct ends ends,
           const afar_spawn_options *options, afar_error *err)
{
    bool parent = strncmp(what, "parent ", 7) == 0;
    const char *const argv[] = { child_program(), parent ? "parent" : what,
                                 parent ? what + 7 : NULL, NULL };
    afar_given given[3] = { AFAR_GIVE_END, AFAR_GIVE_END, AFAR_GIVE_END };
    size_t count = 0;

    if (ends.sender)
        given[count++] = (afar_given)AFAR_GIVE_SENDER("out", ends.sender);
    if (ends.receiver)
        given[count++] = (afar_given)AFAR_GIVE_RECEIVER("in", ends.receiver);
    return afar_network_spawn(world->network, world->server, argv, given, options, err);
}

struct pair
spawn(const struct world *world, const char *what, afar_spawn_options *options)
{
    struct ends there = make_channel(0), back = make_channel(0);
    struct ends given = { back.sender, there.receiver };
    struct pair pair = { there.sender, back.receiver, 0 };
    afar_error err = AFAR_ERROR_INIT;

    options->ret_pid = &pair.pid;
    CHECK_OK(spawn_with(world, what, given, options, &err));
    options->ret_pid = NULL;
    CHECK(pair.pid > 0);
    return pair;
}

void
close_pair(struct pair pair)
{
    csp_item_sender_close(pair.to);
    csp_item_receiver_close(pair.from);
}

void
wait_well(const struct world *world)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_network_wait(world->network, soon(), &err));
}
