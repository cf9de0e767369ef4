#ifndef AFAR_SERVER_REGISTER_NAMES_H
#define AFAR_SERVER_REGISTER_NAMES_H

/* The names that a server wants registered, and how far that is.  A table without a
 * lock, a thread or a clock of its own: register.c has all three.
 *
 * Whoever exports changes what is wanted, at any time.  One thread asks what is to be
 * done, does it, and tells how it went.  What changed while it was done shows when it
 * is told: then the name is due again. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <afar/error.h>

#include "runtime/record.h"

typedef enum afar__name_state {
    AFAR__NAME_DUE,      /* to be registered now */
    AFAR__NAME_LATER,    /* to be registered at `when` */
    AFAR__NAME_LOST,     /* our lease has it no more: to be looked up now */
    AFAR__NAME_BUSY,     /* something about it is being done */
    AFAR__NAME_THERE,    /* registered, as it is wanted */
    AFAR__NAME_LEFT,     /* somebody removed it by hand: not before it is exported again */
    AFAR__NAME_UNWANTED, /* to be removed now */
    AFAR__NAME_STATES
} afar__name_state;

typedef struct afar__name afar__name;
struct afar__name {
    afar__name *next_in_bucket;
    afar__name *next, **place; /* in the list of its state */
    uint64_t hash;
    afar__name_state state;
    bool counted; /* among those that are waited for */

    /* What is wanted: nothing if it has no interfaces. */
    const char *interfaces[AFAR__MAX_INTERFACES];
    size_t interface_count;
    unsigned version;      /* changes with the interfaces, and when it is exported again */
    unsigned busy_version; /* what is being done is about this one */

    /* What is known. */
    bool known;          /* the name server may have it under our lease */
    bool take_over;      /* until it was registered once */
    bool told;           /* that somebody holds it was logged */
    bool hurried;        /* it was held, and tried again when that lease was said to be over */
    unsigned refusals;   /* one after the other, for reasons that a new challenge removes */
    uint64_t generation; /* of the last record that may have been registered */
    int64_t when;        /* of LATER */
    int64_t tried;       /* when it was found to be held; 0: it was not */
    char *why;           /* what it waits for; NULL: nothing is known yet */
    char name[];
};

typedef struct afar__wanted afar__wanted;

/* NULL: no memory. */
afar__wanted *
afar__wanted_new(bool take_over);
void
afar__wanted_free(afar__wanted *names);

/* ---- what is wanted ---- */

/* One more interface for a name.  RESOURCE_EXHAUSTED: no memory, or too many of them. */
afar_code
afar__wanted_add(afar__wanted *names, const char *text, const char *interface, afar_error *err);

/* One less; what is not there is left alone. */
void
afar__wanted_remove(afar__wanted *names, const char *text, const char *interface);

/* How many are wanted and not THERE. */
size_t
afar__wanted_waiting(const afar__wanted *names);

/* How many are in that state. */
size_t
afar__wanted_count(const afar__wanted *names, afar__name_state state);

/* One that is waited for, of those whose reason is known if there are such; NULL: none. */
const afar__name *
afar__wanted_first_waiting(const afar__wanted *names);

/* ---- what is to be done ---- */

/* Those of LATER whose time has come are DUE.  Returns when the next one's comes. */
int64_t
afar__wanted_wake(afar__wanted *names, int64_t now);

/* The longest waiting one of that state, which is BUSY then; NULL: none. */
afar__name *
afar__wanted_take(afar__wanted *names, afar__name_state state);

/* The same one, left as it is. */
const afar__name *
afar__wanted_peek(const afar__wanted *names, afar__name_state state);

/* ---- how it went, of a BUSY one ---- */

void
afar__name_is_there(afar__wanted *names, afar__name *name);

/* Again at once, for the reason `why`; NULL: as before. */
void
afar__name_again(afar__wanted *names, afar__name *name, const char *why);

void
afar__name_later(afar__wanted *names, afar__name *name, int64_t when, const char *why);

/* Looking it up did not work: to be looked up again. */
void
afar__name_look_again(afar__wanted *names, afar__name *name);

void
afar__name_is_left(afar__wanted *names, afar__name *name, const char *why);

/* The name server does not have it any more; `name` is gone if nobody wants it. */
void
afar__name_is_removed(afar__wanted *names, afar__name *name);

/* ---- what the name server says ---- */

/* The lease has lost the name `text`; NULL if it is not THERE, else it is LOST. */
const afar__name *
afar__wanted_lose(afar__wanted *names, const char *text);

/* The lease is over: whatever was registered is due again. */
void
afar__wanted_lose_all(afar__wanted *names);

#endif
