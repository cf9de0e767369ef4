/* A token goes round a ring of 1,000 processes: threads of this program and of two others.
 *
 * Labels: concurrent.  Cost: 10 */

#include "parts.h"

#include <stdio.h>
#include <string.h>

#define PROCESSES 1000
#ifdef __SANITIZE_THREAD__
#define ROUNDS 30
#else
#define ROUNDS 100
#endif
#define LIBRARY_THREADS 20 /* that may come and go by themselves */

/* The one who sees the token come round. */
struct master {
    struct stage stage;
    size_t processes, rounds;
    bool poisons;
    afar_code end; /* what came round at last */
    char reason[256];
};

/* All others add 1. */
static afar_code
send_round(void *arg, afar_error *err)
{
    struct master *master = arg;
    Csp__Item token = CSP__ITEM__INIT, *item = NULL;
    afar_code code = AFAR_OK;

    for (size_t i = 1; i <= master->rounds && !code; i++) {
        code = csp_item_send(master->stage.out, &token, AFAR_FOREVER, err);
        if (!code)
            code = csp_item_receive(master->stage.in, AFAR_FOREVER, &item, err);
        if (code)
            break;
        CHECK_INT(item->number, token.number + master->processes - 1);
        token.number = item->number;
        afar_message_free(item);
    }
    if (code)
        return code;
    if (master->poisons)
        csp_item_sender_poison(master->stage.out, "the ring is broken");
    else
        code = csp_item_sender_finish(master->stage.out, soon(), err);
    if (!code)
        master->end = csp_item_receive(master->stage.in, AFAR_FOREVER, &item, err);
    snprintf(master->reason, sizeof master->reason, "%s", err->message);
    return code;
}

static void
go_round(bool poisons)
{
    struct master master = { .processes = PROCESSES, .rounds = ROUNDS, .poisons = poisons };
    afar_error err = AFAR_ERROR_INIT;
    struct spread spread;
    struct ends home;
    csp_item_sender *next;

    spread_open(&spread);
    struct part one = part_start(&spread, "add", NULL), two = part_start(&spread, "add", NULL);
    home = make_channel(0);
    int threads = thread_count();

    next = part_chain(&two, PROCESSES / 3, home.sender);
    next = part_chain(&one, PROCESSES / 3, next);
    CHECK_OK(stage_chain(spread.network, stage_add, PROCESSES - 1 - PROCESSES / 3 * 2, next, NULL,
                         &next, &err));
    part_close(&one);
    part_close(&two);
    master.stage.in = home.receiver;
    master.stage.out = next;
    run_stage(spread.network, "master", send_round, &master.stage);
    CHECK(thread_count() > PROCESSES / 3);
    CHECK_OK(afar_network_wait(spread.network, AFAR_FOREVER, &err));
    CHECK_INT(master.end, poisons ? AFAR_POISONED : AFAR_ENDED);
    CHECK(!poisons || strstr(master.reason, "the ring is broken"));
    CHECK(thread_count() < threads + LIBRARY_THREADS);
    spread_close(&spread);
}

TEST(a_ring_that_finishes)
{
    go_round(false);
}

TEST(a_ring_that_is_poisoned)
{
    go_round(true);
}
