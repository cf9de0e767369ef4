#ifndef SHOP_H
#define SHOP_H

/* Servers with a shop, which gives and takes references to things, and clients of it; for tests of
 * references over plain gRPC.  What fails here ends the test. */

#include <stdbool.h>

#include <afar/client.h>
#include <afar/server.h>

#include "abroad.afar.h"
#include "event.h"

typedef Abroad__Number Number;
typedef Abroad__Things Things;

/* ---- things: each counts the calls on itself ---- */

/* Raised when one is finalized. */
extern struct event ended;

abroad_thing *
make_thing(void);

/* Adds to what it has counted, which must succeed; the sum. */
int64_t
counted(abroad_thing *thing, int64_t number);

/* How a call on it fails. */
afar_code
count_fails(abroad_thing *thing);

/* ---- a server, and a client of the same node ---- */

struct shop {
    abroad_thing *one;     /* what it gives; NULL: new ones */
    afar_object *seen;     /* what it was sent last; no reference */
    abroad_thing *kept[4]; /* what it was told to keep */
    size_t n_kept;
};

extern const abroad_shop_methods shop_methods; /* of a struct shop */

struct place {
    afar_node *node;
    afar_server *server;
    afar_client *client;
    struct shop self;
    abroad_shop *shop; /* the server's own reference to what it exports as "shop" */
};

/* The options are those of the server, 0: their defaults. */
void
place_open(struct place *place, const char *address, int64_t lend_ms, unsigned max_lent);

/* With the thing that it gives, and those that it keeps. */
void
place_close(struct place *place);

/* A client of a node of its own, which has no server. */
afar_client *
lone_client(void);

/* The shop at `to`, as that client sees it by "grpc://" or "afar://". */
abroad_shop *
reach(afar_client *client, const char *scheme, const struct place *to);

/* ---- calls on a shop, which must succeed ---- */

/* So many things, in a message that is the caller's. */
Things *
got(abroad_shop *shop, int64_t number);

abroad_thing *
got_one(abroad_shop *shop);

/* Makes a message that borrows a thing. */
void
put_one(Things *things, Afar__Ref **place, Afar__Ref *room, abroad_thing *thing);

/* Sends a thing, on which the shop calls Count; what that said.  This one may fail. */
AFAR_MUST_USE afar_code
use_one(abroad_shop *shop, abroad_thing *thing, int64_t *ret_sum, afar_error *err);

int64_t
used(abroad_shop *shop, abroad_thing *thing);

#endif
