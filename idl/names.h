#ifndef IDL_NAMES_H
#define IDL_NAMES_H

/* A table from names to things. */

#include "idl/pool.h"

typedef struct idl_names idl_names;

idl_names *
names_new(idl_pool *pool);

/* The thing of that name, or NULL. */
void *
names_find(const idl_names *names, const char *name);

/* Gives a name, not yet there, a thing. */
void
names_add(idl_names *names, const char *name, void *thing);

#endif
