#ifndef AFAR_RUNTIME_FINDER_H
#define AFAR_RUNTIME_FINDER_H

/* Finding an object again: what a reference that was opened by name asks when the
 * process it knew does not answer any more.  The client implements it (client/find.c),
 * links use it (grpc_again.c).
 *
 * A reference that has a finder goes to a place: a link and the instance expected
 * there.  A call that failed and may be repeated (nothing was sent, the answer was
 * MOVED, or the method is idempotent and the peer was lost) is parked at its reference;
 * one task at a time, on a library thread, asks the finder for another place, and then
 * starts all parked calls there, each with the deadline it had.  A call leaves
 * earlier when its deadline passes or it is cancelled.  Its request stays packed until
 * it is over, so nothing of the user's is needed again. */

#include <afar/error.h>

#include "runtime/link.h"

typedef struct afar__place {
    afar__link *link;      /* with a reference */
    uint8_t instance[16];
    bool has_instance;     /* else nothing is checked */
} afar__place;

typedef struct afar__finder afar__finder;

typedef struct afar__finder_ops {
    /* Looks for another place than `old`, until `deadline` (ns) at most; called again
     * for the same purpose it goes on where it was.  DEADLINE_EXCEEDED: not yet;
     * anything else is final for the calls that wait, unless they wait for readiness:
     * then UNAVAILABLE and NOT_FOUND are asked again, after a pause.  One thread at a
     * time for a finder.  The same place again counts as found if the link to it is
     * connected. */
    afar_code (*find)(afar__finder *finder, const afar__place *old, int64_t deadline,
                      afar__place *ret_place, afar_error *err);
    /* No reference needs it any more; never while find runs. */
    void (*free)(afar__finder *finder);
} afar__finder_ops;

struct afar__finder {
    const afar__finder_ops *ops;
};

/* A reference to the object with that name that is at `place` now.  Takes the finder,
 * and a reference of its own to the link; the finder may be NULL. */
afar_code
afar__place_object(const afar__place *place, const afar_interface *interface, const char *name,
                   afar__finder *finder, afar_object **ret_object, afar_error *err);

#endif
