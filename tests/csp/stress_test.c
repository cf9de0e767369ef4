/* All that can be done with channels, at once and at random, by threads whose connections are cut.  At the end
 * the counts add up: nothing was received twice, nothing that was not sent, and all that was sent.
 *
 * Labels: concurrent */

#include "stress.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __SANITIZE_THREAD__
#define ACTS 1200 /* of each thread */
#else
#define ACTS 2400
#endif
#define ACTS_TO_CUT 40 /* of all threads, from one cut to the next */

static struct world world;
static struct thread threads[THREADS];
static struct event acted = EVENT_INIT;   /* by each thread, when it is done */
static struct event drained = EVENT_INIT; /* others receive now, so that posts are taken */

static void *
run_thread(void *arg)
{
    struct thread *thread = arg;

    for (int i = 0; i < ACTS; i++)
        thread_act(thread);
    event_raise(&acted);
    event_wait(&drained, 1);
    thread_close(thread);
    return NULL;
}

/* Cuts connections as long as threads act. */
static void
cut_now_and_then(void)
{
    unsigned seed = 1, next = ACTS_TO_CUT;

    while (event_count(&acted) < THREADS) {
        if (atomic_load(&world.acts) >= next) {
            seed = seed * 1103515245 + 12345;
            thread_cut(&threads[(seed >> 16) % THREADS]);
            next += ACTS_TO_CUT;
        }
        (void)poll(NULL, 0, 1);
    }
}

/* What is left, until the last sender is gone. */
static void *
drain(void *arg)
{
    csp_item_receiver *receiver = arg;
    Csp__Item *item = NULL;
    afar_code code;

    while (!(code = csp_item_receive(receiver, soon(), &item, NULL)))
        note_received(&world, item);
    CHECK(code == AFAR_ENDED || code == AFAR_LOST);
    return NULL;
}

static void
let_go_of_senders(void)
{
    afar_error err = AFAR_ERROR_INIT;
    char name[30];

    for (int i = 0; i < CHANNELS; i++) {
        snprintf(name, sizeof name, "send%d", i);
        CHECK_OK(afar_server_unexport(world.server, name, csp_item_channel_type.sender, &err));
        csp_item_sender_close(world.home[i].sender);
    }
}

static void
end_it(void)
{
    pthread_t drains[CHANNELS];

    for (int i = 0; i < CHANNELS; i++)
        CHECK(!pthread_create(&drains[i], NULL, drain, world.home[i].receiver));
    event_raise(&drained);
    for (int i = 0; i < THREADS; i++)
        CHECK(!pthread_join(threads[i].id, NULL));
    let_go_of_senders();
    for (int i = 0; i < CHANNELS; i++) {
        CHECK(!pthread_join(drains[i], NULL));
        csp_item_receiver_close(world.home[i].receiver);
    }
    csp_ends_sender_close(world.give);
    csp_ends_receiver_close(world.take);
    csp_office_close(world.office);
    afar_server_close(world.server);
}

/* Of what was in a buffer a cut loses what was on its way to a receiver. */
static void
judge(void)
{
    unsigned counts[TOLD_UNKNOWN + 1] = { 0 }, on_its_way = 0, numbers = atomic_load(&world.next);

    for (unsigned i = 0; i < numbers; i++) {
        unsigned told = atomic_load(&world.notes[i].told);
        unsigned received = atomic_load(&world.notes[i].received);

        counts[told]++;
        CHECK(told != TOLD_NOTHING);
        if (told == TOLD_OK)
            CHECK_INT(received, 1);
        if (told == TOLD_NOT_SENT)
            CHECK_INT(received, 0);
        on_its_way += told == TOLD_BUFFERED && received == 0;
    }
    printf("%u numbers: %u sent, %u buffered (%u lost), %u not sent, %u unknown; %u cuts\n",
           numbers, counts[TOLD_OK], counts[TOLD_BUFFERED], on_its_way, counts[TOLD_NOT_SENT],
           counts[TOLD_UNKNOWN], atomic_load(&world.cuts));
    CHECK(counts[TOLD_OK] > 0 && counts[TOLD_BUFFERED] > 0);
    CHECK(on_its_way <= atomic_load(&world.cuts) * CHANNELS);
}

TEST(the_counts_add_up)
{
    world_open(&world);
    for (unsigned i = 0; i < THREADS; i++)
        thread_open(&threads[i], &world, i);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(!pthread_create(&threads[i].id, NULL, run_thread, &threads[i]));
    cut_now_and_then();
    end_it();
    judge();
}
