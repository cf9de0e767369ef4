/* A part of a network of processes that is spread over programs:
 *
 *     csp_part add|filter
 *
 * For each message of csp.Ends from "work" it runs a chain of `number` such processes (stages.h), which sends to
 * the sender in the message, and tells "parts" the sender that goes into it.  So the home of what the chain
 * receives is here.  When there is no more work, or the network was poisoned, and all of it is
 * done, no thread of them is left. */

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include <afar/client.h>

#include "stages.h"

#define PATIENCE (afar_after_ms(15000))
#define LIBRARY_THREADS 20 /* that may come and go by themselves */

struct part {
    afar_process_fn fn;
    afar_client *client;
    afar_network *network;
    csp_ends_receiver *work;
    csp_ends_sender *parts;
    csp_item_sender *aside;
};

static int
count_threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    int count = -2;

    if (!folder)
        return 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static afar_code
open_part(struct part *part, afar_error *err)
{
    afar_code code = afar_client_open(NULL, NULL, &part->client, err);

    if (!code)
        code = afar_network_open(&part->network, err);
    if (!code)
        code = csp_ends_receiver_open(part->client, "inherited:work", PATIENCE, &part->work, err);
    if (!code)
        code = csp_ends_sender_open(part->client, "inherited:parts", PATIENCE, &part->parts, err);
    if (!code && part->fn == stage_filter)
        code = csp_item_sender_open(part->client, "inherited:aside", PATIENCE, &part->aside, err);
    return code;
}

static afar_code
tell(struct part *part, csp_item_sender *in, afar_error *err)
{
    Csp__Ends ends = CSP__ENDS__INIT;
    afar_sender_room room;
    afar_code code;

    csp_ends_put_sender(&ends, &room, in);
    code = csp_ends_send(part->parts, &ends, PATIENCE, err);
    csp_item_sender_close(in);
    return code;
}

/* The chain closes the end that it gets. */
static afar_code
serve_one(struct part *part, const Csp__Ends *wanted, afar_error *err)
{
    csp_item_sender *out = NULL, *in = NULL;
    afar_code code = csp_ends_take_sender(wanted, &out, err);

    if (!code)
        code = stage_chain(part->network, part->fn, (size_t)wanted->number, out, part->aside, &in,
                           err);
    return code ? code : tell(part, in, err);
}

static afar_code
serve(struct part *part, afar_error *err)
{
    Csp__Ends *wanted = NULL;
    afar_code code;

    while (!(code = csp_ends_receive(part->work, AFAR_FOREVER, &wanted, err))) {
        code = serve_one(part, wanted, err);
        afar_message_free(wanted);
        if (code)
            return code;
    }
    if (code != AFAR_ENDED && code != AFAR_POISONED)
        return code;
    csp_ends_sender_close(part->parts);
    part->parts = NULL;
    return afar_network_wait(part->network, AFAR_FOREVER, err);
}

static void
close_part(struct part *part)
{
    afar_network_close(part->network);
    csp_ends_receiver_close(part->work);
    csp_ends_sender_close(part->parts);
    csp_item_sender_close(part->aside);
    afar_client_close(part->client);
}

int
main(int argc, char **argv)
{
    struct part part = { NULL, NULL, NULL, NULL, NULL, NULL };
    afar_error err = AFAR_ERROR_INIT;
    int before, after;
    afar_code code;

    if (argc != 2)
        return 2;
    part.fn = strcmp(argv[1], "filter") == 0 ? stage_filter : stage_add;
    code = open_part(&part, &err);
    before = count_threads();
    if (!code)
        code = serve(&part, &err);
    close_part(&part);
    after = count_threads();
    if (code)
        fprintf(stderr, "csp_part: %s: %s\n", afar_code_name(code), err.message);
    else if (after > before + LIBRARY_THREADS)
        fprintf(stderr, "csp_part: %d threads, before %d\n", after, before);
    afar_error_clear(&err);
    return code || after > before + LIBRARY_THREADS ? 1 : 0;
}
