#ifndef GOAL_H
#define GOAL_H

/* A goal without a transport (runtime/seek.h): its links lead nowhere and are never used.
 * What fails here ends the test. */

#include <stdatomic.h>

#include <afar/node.h>

#include "runtime/seek.h"

/* Not idempotent, and so. */
extern const afar_method plain_method, idempotent_method;

/* A finder that does what the test says. */
struct fake {
    afar__finder base;
    afar__link *link;    /* what it finds */
    afar_code code;      /* or how it fails, so often */
    atomic_int failures; /* -1: always */
    atomic_bool stuck;   /* it does not return */
    atomic_int asked, freed;
};

struct world {
    afar_node *node;
    afar__link *links[2]; /* the goal is at the first; the finder knows the second */
    struct fake fake;
    afar__goal *goal; /* of "alice"; instance 1 there, the finder finds 2 */
};

void
world_open(struct world *world);

/* When nobody waits: waits until the finder has been let go of. */
void
world_close(struct world *world);

/* Until the number is that high. */
void
wait_for_count(atomic_int *number, int least);

/* ---- calls ---- */

struct seeker {
    afar__seek seek;
    atomic_int told;
    afar__verdict verdict; /* plain: written before `told` is */
};

/* The first attempt of a call goes to the place that is known. */
void
seeker_init(struct seeker *call, afar__goal *goal, const afar_method *method, bool patient);

/* Its last attempt failed so. */
void
seeker_fail(struct seeker *call, afar_code code, afar_outcome outcome, const char *text);

void
seeker_wait(struct seeker *call);

bool
seeker_leave(struct seeker *call);

/* Waits until it is told that. */
void
seeker_is_told(struct seeker *call, afar__verdict verdict);

/* The instance that is expected where it goes now. */
int
seeker_goes_to(struct seeker *call);

#endif
