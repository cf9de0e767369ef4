#ifndef AFAR_CLIENT_SEARCH_H
#define AFAR_CLIENT_SEARCH_H

/* The way from a name to a place: ask the name server, try the recorded endpoints in
 * order, make sure who is there.  A search is one thread's at a time. */

#include "client/names.h"
#include "runtime/finder.h"

typedef struct afar__search {
    afar__names *names;
    afar__wanted wanted;
    bool in_slices; /* else run ends with its deadline */

    /* search.c's: */
    afar__asking asking;
    afar__answer answer; /* without a sighting: to be asked for */
    size_t next;         /* of the endpoints */
    int64_t give_up;     /* of this endpoint (ns); 0: not begun */
    bool repeated;       /* the connection to it broke once already */
    afar__link *link;    /* whose other end is asked who it is */
    afar_future *future;
} afar__search;

/* Begins a search.  Nothing is copied. */
void
afar__search_init(afar__search *search, afar__names *names, const afar__wanted *wanted);

/* Lets go of what is under way; it can be run again, from the beginning. */
void
afar__search_reset(afar__search *search);

/* Searches until `deadline`.  The errors are those of afar_object_open; and
 * DEADLINE_EXCEEDED for a search in slices: the next run goes on where this one was. */
afar_code
afar__search_run(afar__search *search, afar_deadline deadline, afar__place *ret_place,
                 afar_error *err);

#endif
