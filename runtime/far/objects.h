#ifndef AFAR_RUNTIME_FAR_OBJECTS_H
#define AFAR_RUNTIME_FAR_OBJECTS_H

/* References over a connection: what they are when they are sent, and the far objects that come of
 * them when they are received.
 *
 * A far object is one import of one connection.  It counts the references that the peer gave for it, and
 * gives them back when the last one here is closed.  The same import is the same far object as
 * long as that lives. */

#include "runtime/arena.h"
#include "runtime/far/far.h"
#include "runtime/far/question.h"
#include "runtime/far/sending.h"
#include "runtime/refs.h"

/* ---- sending ---- */

/* Replaces what the peer of that connection cannot reach by relays (relay.h).  Without the lock. */
afar_code
afar__refs_prepare(afar__connection *connection, afar__ref_list *list, afar_error *err);

/* Where a third process can open it; NULL: nowhere, or it is no object of these. */
const afar__where *
afar__refs_where(afar_object *object);

/* ---- receiving ---- */

/* Gives the references in a received message their objects, which the arena closes at its
 * end, and gives back those that are not in it.  INVALID_ARGUMENT for one that was not sent, or is
 * of another interface than its field.  Without the lock, on the thread that pumps; another
 * one has brought home what came, and pumps then. */
afar_code
afar__refs_accept(afar__connection *connection, const afar_refs *plan, ProtobufCMessage *message,
                  const afar__session_event *event, afar__arena *arena, afar_error *err);

/* What comes from the other end of a session in this process is ours from now on, with a reference each: so it
 * outlives the session.  UNAVAILABLE if the session is over; what it was then stays. */
AFAR_MUST_USE afar_code
afar__refs_bring_home(afar__connection *connection, afar__session_reference *references,
                      size_t count, afar_error *err);

/* For who passes a message on unread: adds the objects of all its references to a list, in their order.
 * INVALID_ARGUMENT if one is of none of these interfaces.  On failure all are given back, and the list is empty.
 * Without the lock, on the thread that pumps. */
AFAR_MUST_USE afar_code
afar__refs_pass(afar__connection *connection, const afar__session_event *event,
                const afar__refs_known *known, afar__ref_list *list, afar_error *err);

/* The peer has no reference to an object of ours any more: it released them, or the session ended. */
void
afar__refs_released(afar__connection *connection, const afar__session_event *event);

/* Gives all back: nobody reads the message.  Without the lock, as afar__refs_accept. */
void
afar__refs_refuse(afar__connection *connection, const afar__session_event *event);

#endif
