#ifndef AFAR_CLIENT_NAMES_H
#define AFAR_CLIENT_NAMES_H

/* What a client knows of names: the name server and what it said, the keys of owners.
 * Counted, as the links are, and for the same reason.  Any thread. */

#include <afar/client.h>
#include <afar/future.h>

#include "client/cache.h"
#include "client/links.h"

typedef struct afar__names afar__names;

/* A name that is to be opened. */
typedef struct afar__wanted {
    const char *name;
    const uint8_t *key; /* the only one that may own it; NULL: the known one */
} afar__wanted;

/* What the name server said, and is to be believed. */
typedef struct afar__answer {
    afar__sighting *sighting; /* with a reference */
    int64_t lease_end;        /* ns */
} afar__answer;

/* A look-up that may be under way; begins as { 0 }. */
typedef struct afar__asking {
    bool in_slices; /* it is waited for again and again; else it ends with the deadline */
    /* names.c's: */
    bool again;
    int64_t since, give_up; /* ns; give_up 0: nothing is under way */
    afar_future *future;
} afar__asking;

/* Options as afar_client_open has them; they are copied.  INVALID_ARGUMENT for an address
 * that cannot be read.  The links get one more reference. */
afar_code
afar__names_new(afar__links *links, const afar_client_options *options, afar__names **ret_names,
                afar_error *err);
afar__names *
afar__names_ref(afar__names *names);
void
afar__names_unref(afar__names *names);

afar__links *
afar__names_links(const afar__names *names);

/* A fresh answer that is known already, if there is one. */
bool
afar__names_recall(afar__names *names, const afar__wanted *wanted, afar_deadline deadline,
                   afar__answer *ret_answer);

/* The record was of no use: the name server is to be asked next time. */
void
afar__names_drop(afar__names *names, const char *name);

/* Asks the name server, and judges what it says.  The errors are those of
 * afar_object_open; and DEADLINE_EXCEEDED for a look-up in slices: it is under way, and
 * the next call goes on with it. */
afar_code
afar__names_ask(afar__names *names, const afar__wanted *wanted, afar__asking *asking,
                afar_deadline deadline, afar__answer *ret_answer, afar_error *err);

/* Whether it is this thread's own call that ended what was asked with CANCELLED.  If not, the
 * peer went away: one that stops drops calls that it has not begun. */
bool
afar__cancelled_here(void);

/* Forgets a look-up that is under way. */
void
afar__names_stop(afar__asking *asking);

#endif
