#ifndef AFAR_RUNTIME_FINDER_H
#define AFAR_RUNTIME_FINDER_H

/* Finding an object again: what a reference that was opened by name asks when the
 * process it knew does not answer any more.  The client implements it (client/find.c),
 * goals ask it (seek.h).
 *
 * A reference that has a finder goes to a place: a link and the instance expected
 * there.  A unary call that failed and may be repeated (nothing was sent, the answer was
 * MOVED, or the method is idempotent and the peer was lost) is parked at its reference and
 * makes the place bad; one task at a time, on a library thread, asks the finder for another
 * place, and then starts all parked calls there, each with the deadline it had.  A call
 * leaves earlier when its deadline passes, it is cancelled, its client is closed, or the call
 * it belongs to ends.  Its request stays packed until it is over, so nothing of the user's
 * is needed again.  It is repeated four times at most, with pauses of 20 ms and more from the
 * second on; without limit, until its deadline, if it waits for readiness, which
 * on such a reference means the finder and not the connection.  A call that is made while
 * the place is bad is parked before its first attempt.
 *
 * A stream is never repeated.  Before one starts, the finder is asked if the place is bad
 * or its link is not connected; the caller waits for that, within the deadline.  A
 * connection that is lost without a sign looks connected: then the stream fails.
 * One that fails because nothing was sent, or with MOVED, makes the place bad.
 *
 * The error of a call for which no place was found is the finder's, with the method and the
 * name in front; its outcome is NOT_SENT, or UNKNOWN if an attempt may have arrived. */

#include <afar/error.h>

#include "runtime/link.h"

typedef struct afar__place {
    afar__link *link; /* with a reference */
    uint8_t instance[16];
    bool has_instance; /* else nothing is checked */
} afar__place;

typedef struct afar__finder afar__finder;

typedef struct afar__finder_ops {
    /* Looks for another place than `old`, until `deadline` (ns) at most, which is 1 s away:
     * who waits may have gone then.  Called again for the same purpose it goes on where it
     * was.  DEADLINE_EXCEEDED: not yet; anything else is final for the calls that wait,
     * unless they wait for readiness: then UNAVAILABLE and NOT_FOUND are asked again, after
     * a pause.  One thread at a time for a finder, a library thread; it may wait.  The
     * same place again counts as found if the link to it is connected.  The link's
     * reference goes to the caller. */
    afar_code (*find)(afar__finder *finder, const afar__place *old, int64_t deadline,
                      afar__place *ret_place, afar_error *err);
    /* No reference and no call needs it any more; never while find runs.  On any thread,
     * perhaps one that must not wait. */
    void (*free)(afar__finder *finder);
} afar__finder_ops;

struct afar__finder {
    const afar__finder_ops *ops;
};

/* A reference to the object with that name that is at `place` now.  Takes the finder, also
 * when it fails, and a reference of its own to the link; the finder may be NULL. */
afar_code
afar__place_object(const afar__place *place, const afar_interface *interface, const char *name,
                   afar__finder *finder, afar_object **ret_object, afar_error *err);

#endif
