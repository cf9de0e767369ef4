#ifndef PARTS_H
#define PARTS_H

/* A network that is spread: threads of this process, and of programs (child/csp_part.c) that are asked
 * for chains of processes.  What fails here ends the test. */

#include <afar/client.h>
#include <afar/spawn.h>

#include "items.h"
#include "stages.h"

struct part {
    csp_ends_sender
        *work; /* what it is to run; when that is closed it ends after its last process */
    csp_ends_receiver *parts; /* what goes into that */
};

struct spread {
    afar_server *server;
    afar_network *network;
};

void
spread_open(struct spread *spread);

/* Closes the network and the server: no child is left. */
void
spread_close(struct spread *spread);

/* Starts a program whose processes are of that kind: "add", "filter".  `aside` may be NULL, and stays the
 * caller's. */
struct part
part_start(struct spread *spread, const char *kind, csp_item_sender *aside);

/* Has it run a chain of `count` that sends to `out`, which is closed; what goes into it. */
csp_item_sender *
part_chain(const struct part *part, size_t count, csp_item_sender *out);

/* It will be asked for no more. */
void
part_close(struct part *part);

/* Runs a stage of this process in the network, which closes its ends.  The stage stays until it ended. */
void
run_stage(afar_network *network, const char *name, afar_process_fn fn, struct stage *stage);

#endif
