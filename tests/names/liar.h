#ifndef LIAR_H
#define LIAR_H

/* A name server that says whatever it is told to say. */

#include <stdatomic.h>

#include <afar/server.h>

#include "claim.h"

struct liar {
    afar_server *server;
    const char *address;
    atomic_int lookups; /* that it has answered */

    /* What it says; changed only while nobody asks. */
    afar__signed *record; /* NULL: none */
    bool no_entry;
    uint32_t lease_left_ms;
    afar_code code; /* an error instead */
    const char *message;
};

/* It says that the record is of no use beyond this moment, so a client asks each time. */
void
liar_open(struct liar *liar);

/* One whose replies to Lookup are a field of bytes: these. */
void
liar_open_garbage(struct liar *liar, const void *bytes, size_t length);

/* Takes the record. */
void
liar_says(struct liar *liar, afar__signed *record);

void
liar_close(struct liar *liar);

#endif
