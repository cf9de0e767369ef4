#ifndef AFAR_RUNTIME_FAR_RELAY_RAW_H
#define AFAR_RUNTIME_FAR_RELAY_RAW_H

/* Relayed ends of channels: streams of bytes between two sessions (raw.h), with their references. */

#include <afar/call.h>
#include <afar/object.h>

/* Whether the streams of that object are passed on so: an end of a channel that a session leads to.  Its relay
 * takes raw streams (afar__host_take_raw). */
bool
afar__relay_is_raw(afar_object *far);

/* Passes a call on that came over a session, from inside its handler, which returns what this does.  If that is OK,
 * `ended` (or NULL) is called once, while the call still keeps its object: `well` if the caller had finished, and the
 * home answered with OK.  Under no lock; it does not wait. */
afar_code
afar__relay_raw(afar_object *far, afar_call *call, void (*ended)(void *arg, bool well), void *arg);

/* The session of who had a relayed end broke: tells the home that it was lost.  Under no lock; does not wait. */
void
afar__relay_lost(afar_object *far);

#endif
