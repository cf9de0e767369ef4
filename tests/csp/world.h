#ifndef WORLD_H
#define WORLD_H

/* Networks of programs: csp_child, with ends of channels of this process. */

#include <afar/spawn.h>

#include "items.h"

struct world {
    afar_server *server;
    afar_network *network;
};

struct world
open_world_at(const char *address);

struct world
open_world(void);

/* No child is left behind, not even one that nobody waited for. */
void
close_world(struct world world);

/* Where the programs of the tests are. */
const char *
child_program(void);

/* csp_child WHAT, or "parent WHAT", given those as "out" and "in"; NULL: not that one. */
afar_code
spawn_with(const struct world *world, const char *what, struct ends ends,
           const afar_spawn_options *options, afar_error *err);

/* A child with an end of each kind, and the others of both channels. */
struct pair {
    csp_item_sender *to;
    csp_item_receiver *from;
    pid_t pid;
};

struct pair
spawn(const struct world *world, const char *what, afar_spawn_options *options);

void
close_pair(struct pair pair);

/* All end well. */
void
wait_well(const struct world *world);

#endif
