#ifndef STRESS_H
#define STRESS_H

/* What the threads of the stress do to channels: each act at random, and what became of each number
 * is written down.  What cannot be, ends the test. */

#include <pthread.h>
#include <stdatomic.h>

#include <afar/server.h>

#include "items.h"

#define CHANNELS 4 /* two rendezvous, a buffer of 1, a buffer of 10 */
#define THREADS 6
#define NUMBERS 2000000
#define POSTS 64 /* of a thread under way, at most */

enum told { TOLD_NOTHING, TOLD_OK, TOLD_BUFFERED, TOLD_NOT_SENT, TOLD_UNKNOWN };

struct note {
    atomic_uchar received;
    atomic_uchar told;
};

struct world {
    afar_server *server;
    struct ends home[CHANNELS];
    csp_ends_sender *give; /* ends that move */
    csp_ends_receiver *take;
    csp_office *office;
    atomic_uint next, acts, cuts;
    struct note notes[NUMBERS];
};

/* One thread, and its connection: others may close the client at any time. */
struct thread {
    struct world *world;
    uint64_t random;
    pthread_t id;
    pthread_mutex_t lock;
    afar_client *client; /* guarded by lock */
    csp_item_sender *senders[CHANNELS];
    csp_item_receiver *receivers[CHANNELS];
    csp_ends_sender *give;
    csp_ends_receiver *take;
    csp_office *office;
    uint64_t posts[CHANNELS][POSTS];
    size_t post_count[CHANNELS];
    bool broken; /* the connection is to be made again */
};

void
world_open(struct world *world);

void
thread_open(struct thread *thread, struct world *world, unsigned seed);

/* One act. */
void
thread_act(struct thread *thread);

/* Closes the connection under what the thread does. */
void
thread_cut(struct thread *thread);

/* Finishes its ends. */
void
thread_close(struct thread *thread);

void
note_received(struct world *world, Csp__Item *item);

#endif
