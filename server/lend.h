#ifndef AFAR_SERVER_LEND_H
#define AFAR_SERVER_LEND_H

/* What a server lends: objects without a name of their own, each under a random one, as long as
 * somebody uses it.  Who knows the name may call the object, so it is not to be guessed.  Any
 * thread. */

#include <stdbool.h>
#include <stdint.h>

#include <afar/object.h>

/* 128 bits in hexadecimal digits. */
#define AFAR__LENT_NAME 32

typedef struct afar__lend afar__lend;

/* `lease` ns after it was lent or found last, a name ends; there are `limit` at most. */
afar_code
afar__lend_new(afar_node *node, int64_t lease, unsigned limit, afar__lend **ret_lend,
               afar_error *err);

/* The name of an object from now on; the same as before as long as that lives.  One of another
 * process is lent as a relay.  RESOURCE_EXHAUSTED over the limit, or without memory;
 * FAILED_PRECONDITION after the stop. */
afar_code
afar__lend_out(afar__lend *lend, afar_object *object, char ret_name[AFAR__LENT_NAME + 1],
               afar_error *err);

/* A name of its own for an object, without a lease, until it is forgotten: it does not become known to who
 * asks for the name of that object.  `lend` stays until then, too.  The errors are those above. */
afar_code
afar__lend_keep(afar__lend *lend, afar_object *object, char ret_name[AFAR__LENT_NAME + 1],
                afar_error *err);

/* What was kept is to be found as long as somebody else keeps it; it must be forgotten before its finalizer has
 * returned.  Also after the stop. */
void
afar__lend_loosen(afar__lend *lend, const char *name);

/* What was kept is not to be found any more.  Also after the stop. */
void
afar__lend_forget(afar__lend *lend, const char *name);

/* Whether it looks like a name that was lent. */
bool
afar__lend_is_name(const char *name);

/* The object of that interface (NULL: of any) that is called so, with a reference, and its lease
 * begins anew; or NULL. */
afar_object *
afar__lend_find(afar__lend *lend, const char *name, const afar_interface *interface);

/* Lets go of all, and lends no more. */
void
afar__lend_stop(afar__lend *lend);

/* After it was stopped; NULL is allowed. */
void
afar__lend_free(afar__lend *lend);

#endif
