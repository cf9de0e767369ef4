#ifndef AFAR_RUNTIME_FAR_ROUTE_H
#define AFAR_RUNTIME_FAR_ROUTE_H

/* Routes: references to objects that have a name in their process.  Each call finds the connection to
 * the place where the object is now; when there is none any more, or the call cannot have
 * done anything, it is made again elsewhere (seek.h).
 *
 * A link has one connection at a time, opened by the first call that needs it. */

#include "runtime/far/far.h"
#include "runtime/far/question.h"
#include "runtime/finder.h"
#include "runtime/seek.h"

/* ---- the connection of a link ---- */

/* The open connection, or a new one that opens now; with a reference.  Does not wait. */
afar_code
afar__link_session(afar__link *link, afar__connection **ret_connection, afar_error *err);

/* Waits until it is open.  UNIMPLEMENTED: a server without sessions. */
afar_code
afar__link_session_ready(afar__link *link, afar_deadline deadline, afar_error *err);

/* The client was closed: calls on it are cancelled, and it closes.  Waits for that, where that is
 * allowed. */
void
afar__link_session_shut(afar__link *link);

/* Finds the same place again, when its link can be connected. */
afar__finder *
afar__link_finder(void);

/* ---- routes ---- */

afar__route *
afar__route_ref(afar__route *route);

/* NULL is allowed. */
void
afar__route_unref(afar__route *route);

const char *
afar__route_name(const afar__route *route);

/* Something that is not repeated has failed at that place. */
void
afar__route_note(afar__route *route, uint64_t place, const afar_error *why);

/* It was opened as what the process that started this one gave it; before others use it.  An object of
 * another kind is left as it is, and was not. */
void
afar__route_inherit(afar_object *object);

bool
afar__route_is_inherited(afar_object *object);

/* Where a third process can open it; NULL if it is no route, or leads into this process only. */
const afar__where *
afar__route_where(afar_object *object);

/* A reference to an object of a third process, as it was received. */
afar_code
afar__route_third(afar_node *node, const afar__session_reference *reference,
                  const afar_interface *interface, afar_object **ret_object, afar_error *err);

bool
afar__where_fill(afar__where *where, const afar__session_reference *reference);

/* ---- ways (far.h) ---- */

afar_node *
afar__way_node(const afar__way *way);

/* Before a stream: its connection, with a reference.  Waits for a place if it must. */
afar_code
afar__way_ready(const afar__way *way, const afar__request *request, afar__question *question,
                afar__connection **ret_connection, uint64_t *ret_place, afar_error *err);

/* ---- unary calls on their way ----
 *
 * A question and its attempts.  All of them are the question's owner's. */
typedef struct afar__attempts afar__attempts;
struct afar__attempts {
    afar__question *question;
    afar__route *route; /* NULL: one attempt, over the way's connection */
    /* There will be no attempt any more: seek.error says why. */
    void (*failed)(afar__attempts *attempts);

    afar__seek seek;
    afar__task task; /* to go on, on a library thread */
    afar__timer timer;
    bool waits; /* with the seek; these are guarded by the lock of the goal */
    atomic_bool cancelled;
    afar__link *link;              /* it waits since it failed there; with a reference */
    afar__attempts *next, **place; /* among those; guarded by the lock of that link's slot */
};

void
afar__attempts_init(afar__attempts *attempts, const afar__way *way, afar__question *question,
                    const afar__request *request, void (*failed)(afar__attempts *attempts));

void
afar__attempts_start(afar__attempts *attempts, const afar__way *way);

/* The client of that link was closed: ends those that wait, and waits for that, where it may. */
void
afar__attempts_end(afar__link *link);

/* The last attempt failed, with that error, which may change.  True: it will be made again,
 * or `failed` comes. */
bool
afar__attempts_again(afar__attempts *attempts, afar_error *err);

/* Any thread, any time: it does not wait any more. */
void
afar__attempts_cancel(afar__attempts *attempts);

void
afar__attempts_clear(afar__attempts *attempts);

#endif
