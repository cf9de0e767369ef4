#ifndef AFAR_RUNTIME_GRACE_H
#define AFAR_RUNTIME_GRACE_H

/* The grace of a local object: its references that a session held stay for a while after the
 * session broke.  See grace.c. */

#include <afar/object.h>

#include "runtime/timer.h"

typedef struct afar__grace afar__grace;
struct afar__grace {
    afar_object *object;
    int64_t time; /* ns; 0: it has none */

    /* guarded by the lock of all */
    afar__timer timer;
    int64_t until;
    const afar_node *node;
    afar__grace *next, **link; /* link is NULL: it is not running */
};

void
afar__grace_init(afar__grace *grace, afar_object *object, unsigned ms);

/* A session of that node broke that held the object.  Takes a reference, and closes it when the
 * time is over; at once if there is no such time.  Any thread; does not wait. */
void
afar__grace_begin(afar__grace *grace, const afar_node *node);

/* Nobody can come back through that node: what it has running ends now. */
void
afar__graces_end(const afar_node *node);

#endif
