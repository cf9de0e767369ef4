#ifndef AFAR_RUNTIME_FAR_SENDING_H
#define AFAR_RUNTIME_FAR_SENDING_H

/* References on their way out (objects.c).  One thread at a time has one; what says `_locked` is
 * called under the lock of the connection. */

#include "runtime/far/far.h"
#include "runtime/far/packed.h"
#include "runtime/session/session.h"

/* What the core is told of a prepared list, for one call, answer or item.  Open it, fill it and
 * give `references` to the core under the lock, say when the core took them: then objects that the
 * peer had no reference to before are held for it. */
typedef struct afar__sending {
    const afar__ref_list *list;
    const afar__connection *connection;
    afar__session_reference *references; /* NULL: none */
    bool *fresh;                         /* which of ours were not exported before */
    afar__where *where;                  /* others can open ours; no address: nowhere */
} afar__sending;

/* Without the lock.  RESOURCE_EXHAUSTED; then it need not be closed. */
afar_code
afar__sending_open(afar__sending *sending, const afar__connection *connection,
                   const afar__ref_list *list, afar_error *err);

void
afar__sending_fill_locked(afar__sending *sending);

void
afar__sending_sent_locked(const afar__sending *sending);

/* Also one that is zeroed, or was closed. */
void
afar__sending_close(afar__sending *sending);

#endif
