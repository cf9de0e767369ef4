#ifndef AFAR_NAMESERVER_GRAVES_H
#define AFAR_NAMESERVER_GRAVES_H

/* Names that are gone, with their keys and generations, for as long as a nonce lives:
 * who has heard the record of such a name cannot bring it back by sending it again.
 * One thread. */

#include <stddef.h>
#include <stdint.h>

#include "runtime/secure.h"
#include "server/nameserver/tree.h"

typedef struct afar__grave afar__grave;

typedef struct afar__graves {
    afar__tree by_name;        /* by name, 0 byte, key */
    afar__grave *first, *last; /* in the order of their ends */
    size_t count, most;
    int64_t floor_ms; /* nonces from before this are not taken any more */
} afar__graves;

/* Makes one; NULL when memory is out.  free() releases it. */
afar__grave *
afar__grave_new(const char *name, const uint8_t key[AFAR__PUBLIC_BYTES], uint64_t generation);

/* Takes the grave.  When there are too many, all are forgotten, and `floor_ms` rises to
 * now instead: servers have to ask for new nonces. */
void
afar__graves_add(afar__graves *graves, afar__grave *grave, int64_t now_ms);

/* The grave of a name and key, or NULL. */
const afar__grave *
afar__graves_find(const afar__graves *graves, const char *name,
                  const uint8_t key[AFAR__PUBLIC_BYTES]);

uint64_t
afar__grave_generation(const afar__grave *grave);

/* Forgets those whose time is over. */
void
afar__graves_expire(afar__graves *graves, int64_t now_ms);

void
afar__graves_clear(afar__graves *graves);

#endif
