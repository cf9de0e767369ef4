/* Parts of a network that are programs: what parts.h says. */

#include "parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void
spread_open(struct spread *spread)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &spread->server, &err));
    CHECK_OK(afar_server_start(spread->server, &err));
    CHECK_OK(afar_network_open(&spread->network, &err));
}

void
spread_close(struct spread *spread)
{
    afar_network_close(spread->network);
    afar_server_close(spread->server);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_INT(errno, ECHILD);
}

/* It is beside the test's program. */
static void
find_program(char path[512])
{
    CHECK(readlink("/proc/self/exe", path, 400) > 0);
    path[400] = '\0';
    CHECK(strrchr(path, '/'));
    snprintf(strrchr(path, '/'), 100, "/csp_part");
}

struct part
part_start(struct spread *spread, const char *kind, csp_item_sender *aside)
{
    struct part part = { NULL, NULL };
    csp_ends_receiver *work = NULL;
    csp_ends_sender *parts = NULL;
    csp_item_sender *shared = NULL;
    afar_error err = AFAR_ERROR_INIT;
    char path[512] = "";

    find_program(path);
    CHECK_OK(csp_ends_rendezvous_new(&part.work, &work, &err));
    CHECK_OK(csp_ends_rendezvous_new(&parts, &part.parts, &err));
    if (aside)
        CHECK_OK(csp_item_sender_share(aside, &shared, &err));
    const char *const argv[] = { path, kind, NULL };
    afar_given given[] = { AFAR_GIVE_RECEIVER("work", work), AFAR_GIVE_SENDER("parts", parts),
                           AFAR_GIVE_END, AFAR_GIVE_END };
    if (aside)
        given[2] = (afar_given)AFAR_GIVE_SENDER("aside", shared);
    CHECK_OK(afar_network_spawn(spread->network, spread->server, argv, given, NULL, &err));
    return part;
}

csp_item_sender *
part_chain(const struct part *part, size_t count, csp_item_sender *out)
{
    Csp__Ends ends = CSP__ENDS__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    csp_item_sender *in = NULL;
    afar_sender_room room;

    ends.number = count;
    csp_ends_put_sender(&ends, &room, out);
    CHECK_OK(csp_ends_send(part->work, &ends, soon(), &err));
    csp_item_sender_close(out);
    CHECK_OK(csp_ends_receive(part->parts, soon(), &reply, &err));
    CHECK_OK(csp_ends_take_sender(reply, &in, &err));
    afar_message_free(reply);
    CHECK(in);
    return in;
}

void
part_close(struct part *part)
{
    csp_ends_sender_close(part->work);
    csp_ends_receiver_close(part->parts);
}

void
run_stage(afar_network *network, const char *name, afar_process_fn fn, struct stage *stage)
{
    afar_given given[4] = { AFAR_GIVE_END, AFAR_GIVE_END, AFAR_GIVE_END, AFAR_GIVE_END };
    afar_error err = AFAR_ERROR_INIT;
    size_t count = 0;

    if (stage->in)
        given[count++] = (afar_given)AFAR_GIVE_RECEIVER("in", stage->in);
    if (stage->out)
        given[count++] = (afar_given)AFAR_GIVE_SENDER("out", stage->out);
    if (stage->aside)
        given[count++] = (afar_given)AFAR_GIVE_SENDER("aside", stage->aside);
    CHECK_OK(afar_network_run(network, name, fn, stage, given, &err));
}
