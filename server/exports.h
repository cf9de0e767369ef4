#ifndef AFAR_SERVER_EXPORTS_H
#define AFAR_SERVER_EXPORTS_H

/* What a server exports: objects by interface and name, methods by path. */

#include <stdbool.h>

#include <afar/object.h>

#include "runtime/port.h"

typedef struct afar__exports afar__exports;

afar__exports *
afar__exports_new(void);

/* Lets go of every object. */
void
afar__exports_free(afar__exports *exports);

/* Takes a reference of its own.  ALREADY_EXISTS, RESOURCE_EXHAUSTED. */
afar_code
afar__exports_add(afar__exports *exports, const char *name, afar_object *object, afar_error *err);

/* NOT_FOUND. */
afar_code
afar__exports_remove(afar__exports *exports, const char *name, const afar_interface *interface,
                     afar_error *err);

/* The name by which that object is exported, any name rather than ""; false if it is not. */
bool
afar__exports_name(afar__exports *exports, const afar_object *object, char ret_name[256]);

/* The object of that interface which is exported so, a reference, or NULL. */
afar_object *
afar__exports_object(afar__exports *exports, const afar_interface *interface, const char *name);

/* What a call is for (port.h). */
afar_code
afar__exports_find(afar__exports *exports, const char *path, const char *name,
                   afar__target *ret_target, afar_error *err);

#endif
