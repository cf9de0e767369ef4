#ifndef END_H
#define END_H

/* One end of a transport in a test: its user, who writes down what it is told, checks that
 * it is told in order, and can be waited for. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "runtime/transport.h"

struct end {
    afar__transport *transport;
    /* Called within the event, without a lock; NULL: nothing is done. */
    void (*received)(struct end *end, const uint8_t *data, size_t length);
    void (*sent)(struct end *end);
    void (*over)(struct end *end);
    void *arg;

    atomic_uint inside; /* of its functions */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    unsigned asked, got, given, gone; /* receives and what came; sends and what was sent */
    size_t bytes;                     /* that came */
    unsigned overs;
    afar_error why;
};

void
end_init(struct end *end);

/* Takes the transport; its user is this one from here on. */
void
end_attach(struct end *end, afar__transport *transport);

void
end_start(struct end *end);
void
end_receive(struct end *end);

/* Asks for all that comes from now on, till the end. */
void
end_drain(struct end *end);

/* Sends a copy. */
void
end_send(struct end *end, const void *data, size_t length);
void
end_close(struct end *end, bool abort);

/* Waits until it has a transport, which another thread gives it. */
void
end_wait_attached(struct end *end);

/* Each waits with a bound, and ends the test if that passes. */
void
end_wait_got(struct end *end, unsigned count);
void
end_wait_sent(struct end *end, unsigned count);
void
end_wait_over(struct end *end);

unsigned
end_sent(struct end *end);
bool
end_is_over(struct end *end);

/* Waits until it is over, checks why, and frees the transport. */
void
end_finish(struct end *end, afar_code why);

/* Frees the transport, and what the end holds. */
void
end_free(struct end *end);

/* ---- batches that can be checked ---- */

/* The bytes of a batch are made from its number. */
uint8_t *
batch_make(uint64_t number, size_t length);
void
batch_check(uint64_t number, const uint8_t *data, size_t length);

/* The next number of a sequence that begins with a seed. */
uint64_t
next_random(uint64_t *state);

#endif
