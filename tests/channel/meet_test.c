/* Two threads that meet at a channel without the lock.  tests/model/meet.pml has every order of their
 * steps; here they run.  Labels: concurrent */

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "check.h"
#include "runtime/channel/live.h"

enum { SENDERS = 3, RECEIVERS = 2, EACH = 1000, ALL = SENDERS * EACH };

static afar__meet meet;
static afar__parcel *parcels;
static atomic_uint taken[ALL];
static atomic_uint sent, received, senders;

static void
start(bool open)
{
    afar__meet_init(&meet);
    if (open)
        afar__meet_open_locked(&meet, true);
}

TEST(nobody_waits_where_it_is_closed)
{
    afar__parcel parcel, *got = NULL;
    bool waited = false;

    start(false);
    CHECK(!afar__meet_send(&meet, &parcel, &waited));
    CHECK(!afar__meet_receive(&meet, &got, &waited));
    CHECK(!waited);
}

TEST(who_finds_nobody_has_waited)
{
    afar__parcel parcel, *got = NULL;
    bool waited = false;

    start(true);
    CHECK(!afar__meet_send(&meet, &parcel, &waited));
    CHECK(waited);
    waited = false;
    CHECK(!afar__meet_receive(&meet, &got, &waited));
    CHECK(waited);
    CHECK(!got);
}

/* ---- many ---- */

static void *
send_each(void *arg)
{
    afar__parcel *mine = arg;
    bool waited;

    for (size_t i = 0; i < EACH;)
        if (afar__meet_send(&meet, &mine[i], &waited)) {
            atomic_fetch_add(&sent, 1);
            i++;
        } else {
            sched_yield();
        }
    atomic_fetch_sub(&senders, 1);
    return NULL;
}

static void *
receive_all(void *arg)
{
    afar__parcel *got = NULL;
    bool waited;

    (void)arg;
    while (atomic_load(&senders) > 0 || atomic_load(&received) < atomic_load(&sent))
        if (afar__meet_receive(&meet, &got, &waited)) {
            atomic_fetch_add(&taken[got->length], 1);
            atomic_fetch_add(&received, 1);
        } else {
            sched_yield();
        }
    return NULL;
}

/* As the board does, under its lock: here by one thread. */
static void *
close_and_open(void *arg)
{
    (void)arg;
    while (atomic_load(&senders) > 0) {
        afar__meet_open_locked(&meet, false);
        afar__meet_open_locked(&meet, true);
        sched_yield();
    }
    return NULL;
}

static void
run(bool closes)
{
    pthread_t threads[SENDERS + RECEIVERS + 1];
    size_t count = 0;

    start(true);
    parcels = calloc(ALL, sizeof *parcels);
    CHECK(parcels);
    for (size_t i = 0; i < ALL; i++) {
        parcels[i].length = i;
        atomic_store(&taken[i], 0);
    }
    atomic_store(&sent, 0);
    atomic_store(&received, 0);
    atomic_store(&senders, SENDERS);
    for (size_t i = 0; i < SENDERS; i++)
        CHECK_INT(pthread_create(&threads[count++], NULL, send_each, &parcels[i * EACH]), 0);
    for (size_t i = 0; i < RECEIVERS; i++)
        CHECK_INT(pthread_create(&threads[count++], NULL, receive_all, NULL), 0);
    if (closes)
        CHECK_INT(pthread_create(&threads[count++], NULL, close_and_open, NULL), 0);
    while (count > 0)
        CHECK_INT(pthread_join(threads[--count], NULL), 0);
    CHECK_INT(atomic_load(&sent), ALL);
    CHECK_INT(atomic_load(&received), ALL);
    for (size_t i = 0; i < ALL; i++)
        CHECK_INT(atomic_load(&taken[i]), 1);
    free(parcels);
}

TEST(each_is_given_to_one)
{
    run(false);
}

TEST(each_is_given_to_one_while_it_closes_and_opens)
{
    run(true);
}
